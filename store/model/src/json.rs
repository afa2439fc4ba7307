//! OTLP/JSON in, OTLP and Tempo JSON out, both against OTLP protobuf bytes.
//!
//! Receivers hand foreign JSON to [`decode`], which turns an `ExportTraceServiceRequest` into the
//! same protobuf bytes a client could have sent; from there on there is one path. The query API
//! hands a trace's bytes to [`encode`]. Neither builds a tree: both walk the one table of
//! messages in `schema` and write as they read.

mod decode;
mod encode;
mod scan;
mod schema;
#[cfg(test)]
mod tests;

use std::fmt;

pub use decode::decode;
pub use encode::{encode, encode_attribute, put_str, put_text};
pub use schema::{SPAN_KINDS, STATUS_CODES};

/// Where and why a JSON request cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The value that is wrong, such as `resourceSpans[0].scopeSpans[1].spans[3].kind`; empty
    /// for the request as a whole.
    pub path: String,
    /// Byte offset in the request.
    pub offset: usize,
    /// What was expected there.
    pub expected: &'static str,
    /// What stands there instead, at most a few characters of it.
    pub found: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "malformed JSON at byte {}", self.offset)?;
        if !self.path.is_empty() {
            write!(f, " ({})", self.path)?;
        }
        write!(f, ": expected {}, found {}", self.expected, self.found)
    }
}

impl std::error::Error for Fault {}

/// Whose JSON a trace is written as. All follow the proto3 JSON mapping: lowerCamelCase keys,
/// 64-bit integers as strings, enums by name, zero and empty fields left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// OTLP/JSON: `resourceSpans`, ids in hex.
    Otlp,
    /// Tempo's `/api/traces/{id}`: the list is called `batches`, ids in base64.
    TempoV1,
    /// The `trace` of Tempo's `/api/v2/traces/{id}`: `resourceSpans`, ids in base64.
    TempoV2,
}

/// How deep a value that is skipped (an unknown key's) may nest.
pub const SKIPPED_NESTING_MAX: usize = 64;
