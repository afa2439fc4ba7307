//! The words of tracing, and their columns.
//!
//! What every other crate of the house speaks in: ids, tenants, times, counters, the walk from
//! OTLP bytes into columns and back. A leaf: no I/O, no clock of its own, no async.

pub mod attributes;
pub mod batch;
pub mod column;
pub mod federation;
pub mod id;
pub mod json;
pub mod metric;
pub mod otlp;
pub mod secret;
pub mod tenant;
pub mod time;
pub mod unit;
pub mod wire;

pub use batch::Batch;
pub use federation::{Federation, FederationFault, TENANT_ATTRIBUTE};
pub use id::{SpanId, TraceId};
pub use secret::Secret;
pub use tenant::TenantId;
pub use time::{Clock, Nanos, TimeRange};
pub use unit::{ByteSize, Fault, Faults, Wait};
