//! The data side of plugins, held against plain implementations over prost structs: what a batch shows, and what becomes
//! of a request by an answer.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "data/answers.rs"]
mod answers;
#[path = "data/chance.rs"]
mod chance;
#[path = "data/edits.rs"]
mod edits;
#[path = "data/hostile.rs"]
mod hostile;
#[path = "data/odd.rs"]
mod odd;
#[path = "data/plain.rs"]
mod plain;
#[path = "data/projections.rs"]
mod projections;
#[path = "data/reader.rs"]
mod reader;
#[path = "data/requests.rs"]
mod requests;
#[path = "data/sampling.rs"]
mod sampling;
#[path = "data/views.rs"]
mod views;
