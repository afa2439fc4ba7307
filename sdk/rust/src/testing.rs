//! Tests of plugins without a host: spans from a [`Fixture`], batches of them for a projection, answers decoded and
//! applied to the fixture.

mod build;
mod fixture;
mod tables;

pub use self::fixture::{Attributes, Event, Fixture, Layout, Link, Resource, Scope, Span};
pub use crate::host::standin::{Host, with as host};
