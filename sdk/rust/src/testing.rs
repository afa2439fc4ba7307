//! Tests of plugins without a host: spans from a [`Fixture`], batches of them for a projection, and answers decoded or
//! applied to the fixture.

mod apply;
mod build;
mod decoded;
mod fixture;
mod run;
mod tables;

pub use self::apply::apply;
pub use self::decoded::{Addition, Decoded, Edit};
pub use self::fixture::{Attributes, Event, Fixture, Layout, Link, Resource, Scope, Span};
pub use self::run::{Failure, answer, decide, process, refusal, sample};
pub use crate::host::standin::{Host, with as host};
