//! Plugins for Traceweir: what crosses between host and plugin, and how to write one in Rust.
//!
//! A plugin is a type with a trait, [`Processor`] for one, and a macro that exports it. It says once what it reads and
//! what it may write, and is then given batches: columns of just that, as [`Batch`]. What it wants of the spans goes
//! into an [`Answer`]. The same source runs as a Wasm component and, for tests and benches, natively.
//!
//! The README has an example; `testing` has the kit for tests.

pub mod codes;

mod answer;
mod any;
mod batch;
mod buffer;
mod column;
#[cfg(feature = "config")]
pub mod config;
mod error;
mod export;
mod groups;
#[doc(hidden)]
#[cfg(target_family = "wasm")]
pub mod guest;
pub mod host;
mod intern;
mod plugin;
mod projection;
mod tables;
#[cfg(feature = "testing")]
pub mod testing;
mod value;
mod view;

pub use self::answer::{Answer, Clash, TextId, Values, Verdict};
pub use self::any::Any;
pub use self::batch::Batch;
pub use self::buffer::Counts;
pub use self::column::{Column, Pairs};
pub use self::error::{ConfigError, PluginError};
pub use self::groups::{Parents, TraceGroups};
pub use self::plugin::{
    Authenticator, ClientCertificate, Denied, HeadSampler, Identity, InputLevel, Permission,
    Plugin, Processor, Refresher, Request, Route, Router, Table, TailSampler,
};
pub use self::projection::{
    Attribute, Budget, BudgetAt, Field, Info, Intrinsic, MatchRule, Owner, Projection, Read, Write,
};
pub use self::tables::{Budgets, Traces};
pub use self::value::Value;
pub use self::view::{Blobs, Dictionary, Numbers, Texts};
