//! Plugins: sandboxed Wasm components that see batches of spans on their way into the store.
//!
//! A request is looked through once, which leaves an outline of it (`model::otlp::Outline`); the plugins of its tenant
//! run over a [`Draft`] of it, each is shown the columns that it has asked for and answers with edits; at the end the
//! new request is written, once. Guests are strangers: nothing that they answer is believed before it was looked at,
//! and what they take is bounded in time, memory and bytes.
//!
//! | module | what |
//! |---|---|
//! | `worlds`, `contract`, `wrap` | what a plugin is, and how a core module becomes one |
//! | `engine`, `code`, `own`, `plugin`, `instance` | compiling it, loading it, running it |
//! | `host`, `imports`, `tables`, `cache`, `custom` | what it may call |
//! | `refresher` | who makes tables |
//! | `projection`, `draft`, `batch`, `answer` | what it is shown, and what its answer changes |
//! | `configured`, `breaker`, `budget`, `step`, `chain` | a plugin with its configuration, and several in a row |
//! | `route`, `identify` | whose spans they are, and who somebody is |
//! | `source`, `shelf`, `definition`, `registry` | where plugins come from, what is kept of them, and how they are swapped |
//! | `stats`, `samples`, `capture`, `order`, `mask` | what is seen of them |
//! | `trial` | a plugin at its author's desk: what it does to requests from files, and what that costs |

mod answer;
mod batch;
mod breaker;
mod budget;
mod cache;
mod capture;
mod chain;
mod code;
mod configured;
mod contract;
mod custom;
pub mod definition;
mod digest;
mod draft;
mod engine;
mod error;
#[cfg(any(test, feature = "guests"))]
pub mod guests;
mod host;
mod identify;
mod imports;
mod instance;
mod mask;
mod order;
mod own;
mod plugin;
mod projection;
pub mod refresher;
pub mod registry;
mod route;
mod samples;
mod schema;
mod shelf;
mod source;
mod stats;
mod step;
mod tables;
pub mod trial;
mod worlds;
mod wrap;

pub use answer::{Bounds, Edits, Fault as AnswerFault, Kept, Outcome, Reason};
pub use batch::{Around, Batch, Budgets, Late, Unlimited};
pub use breaker::State;
pub use capture::{Failures, Poison};
pub use chain::{Chain, Link, OnFailure, Rejected, Scratch, Share, Whose};
pub use code::Codes;
pub use configured::{Configured, Setup};
pub use custom::{Metric, Value as MetricValue};
pub use digest::Digest;
pub use draft::{Draft, Finished, Written};
pub use engine::{Engine, MEMORY_BYTES_MAX, Settings};
pub use error::{Error, Failure, Kind};
pub use host::{Chance, Surroundings};
pub use identify::{Authenticator, Identity, Permission, Shown, Verdict};
pub use instance::Limits;
pub use mask::masked_request;
pub use order::{CAPTURES_MAX, Capture, KEEP_MAX, ORDER_TIME_MAX, Order, Ordered, Orders};
pub use plugin::{COMPONENT_BYTES_MAX, Info, Plugin};
pub use projection::{
    Attribute, Budget, Fault as ProjectionFault, Field, Intrinsic, Level, MatchRule, Owner, Plan,
    Projection, Role,
};
pub use route::{Route, Router};
pub use samples::Sample;
pub use shelf::Shelf;
pub use source::{Fetch, Fetched, Nowhere, Reference, Refused, Source, Trust};
pub use stats::Stats;
pub use tables::{ENTRIES_MAX, Entries, Full, Size, TABLE_BYTES_MAX, TABLES_MAX, Table, Tables};
pub use worlds::World;
pub use wrap::{Interfaces, component_of, interfaces_of};

include!(concat!(env!("OUT_DIR"), "/bundled.rs"));

/// The contract that this host speaks.
pub const CONTRACT: &str = "traceweir:plugin@0.1.0";
