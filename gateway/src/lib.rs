//! The traceweir process as a library: everything that speaks to the network.

pub mod api;
pub mod clock;
pub mod compute;
pub mod limits;
pub mod receiver;
pub mod server;
