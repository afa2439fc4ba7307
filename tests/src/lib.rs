//! The harness: the real binary on free ports, the clients that speak to it, and spans to send.
//!
//! `tests/it` reads like the contract because everything else is here. Whatever goes wrong in a
//! test is a panic with its message; a [`gateway::Gateway`] that is dropped in one prints its log.

#![expect(clippy::panic, clippy::missing_panics_doc, reason = "a harness fails by panicking")]

pub mod api;
pub mod bucket;
pub mod clock;
pub mod coding;
pub mod gateway;
pub mod h2;
pub mod hostile;
pub mod http;
pub mod load;
pub mod otlp;
pub mod pb;
pub mod random;
pub mod spans;
pub mod tempo;
pub mod wait;
pub mod wal;
