//! The block store: what is acknowledged is durable, and found at once.
//!
//! `Store` on one page: requests go in through [`Store::append`] (walk into the head's columns,
//! append to the log, fsync, publish, acknowledge) and come back through [`Store::trace`] and
//! [`Store::search`]. No network, no authentication: those are the gateway's.

pub mod disk;
pub mod error;
pub mod log;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use model::{Clock, Nanos, TenantId, TimeRange, TraceId};

pub use error::{Error, Kind};

/// SKELETON, being written: the shape that callers may rely on.
#[derive(Clone, Debug)]
pub struct Store;

/// How the store behaves. Serde structs with `deny_unknown_fields`, `check(&self, &mut Faults)`.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {}

/// One request to store: an OTLP `ExportTraceServiceRequest`, decompressed, protobuf.
#[derive(Debug)]
pub struct Append {
    /// Whose spans these are.
    pub tenant: TenantId,
    /// When the gateway received the request.
    pub received_at: Nanos,
    /// The message.
    pub body: Bytes,
}

/// A request that is in the head and on its way to the disk.
#[derive(Debug)]
pub struct Pending;

/// What became of a request.
#[derive(Debug, Default)]
pub struct Accepted {
    /// Spans that are stored.
    pub spans: u64,
    /// Spans that are not, in all.
    pub refused: u64,
    /// Why, for the first few of them (at most 16).
    pub refusals: Vec<Refusal>,
}

/// Why one span was not stored.
#[derive(Debug)]
pub struct Refusal {
    /// Its place in the request, counted over all resources and scopes from 0.
    pub span: u64,
    /// Its name.
    pub name: String,
    /// The reason, such as `trace id is all zeros`.
    pub reason: String,
    /// The reason as a bounded metric label: `trace_id`, `span_id`, ...
    pub label: &'static str,
}

/// All spans of one trace that the store knows, duplicates removed.
#[derive(Debug)]
pub struct Trace {
    /// `tempopb.Trace` = OTLP `TracesData`: `repeated ResourceSpans = 1`, one scope per entry.
    pub otlp: Vec<u8>,
    /// How many spans it holds.
    pub spans: u64,
}

/// Which traces to find.
#[derive(Debug)]
pub struct Search {
    /// Each must match an attribute of a span or of its resource (case-insensitive substring),
    /// or one of the special names of Tempo's tag search.
    pub tags: Vec<(String, String)>,
    /// The shortest trace, in nanoseconds.
    pub duration_min: Option<Nanos>,
    /// The longest trace, in nanoseconds.
    pub duration_max: Option<Nanos>,
    /// Traces that overlap this range.
    pub during: TimeRange,
    /// At most so many traces, the newest.
    pub limit: usize,
    /// At most so many spans for each of them.
    pub spans_per_trace: usize,
}

/// The traces of a search, newest first.
#[derive(Debug, Default)]
pub struct Found {
    /// Newest first by effective start, then by id.
    pub traces: Vec<TraceSummary>,
    /// Spans that were looked at.
    pub inspected_spans: u64,
    /// Bytes that were looked at.
    pub inspected_bytes: u64,
    /// Traces that were looked at.
    pub inspected_traces: u64,
}

/// One found trace.
#[derive(Debug)]
pub struct TraceSummary {
    /// Its id.
    pub id: TraceId,
    /// `service.name` of the root span; empty where the root is not there (yet).
    pub root_service: String,
    /// Name of the root span; empty where the root is not there (yet).
    pub root_name: String,
    /// The first start.
    pub start: Nanos,
    /// From the first start to the last end.
    pub duration: Nanos,
    /// Spans that matched, in all.
    pub matched: u64,
    /// The first of them by start.
    pub spans: Vec<MatchedSpan>,
    /// By service name: spans and spans with an error.
    pub services: Vec<(String, u64, u64)>,
}

/// One matched span.
#[derive(Debug)]
pub struct MatchedSpan {
    /// Its id.
    pub id: model::SpanId,
    /// Its name.
    pub name: String,
    /// Its start.
    pub start: Nanos,
    /// Its duration.
    pub duration: Nanos,
    /// What matched: key and value, as OTLP `KeyValue` messages.
    pub attributes: Vec<Vec<u8>>,
}

impl Store {
    /// Opens the data directory: takes its lock, checks FORMAT. Quick; does not replay.
    ///
    /// # Errors
    /// `Refused` when another process has it or a newer version wrote it.
    pub fn open(dir: &Path, config: &Config, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let _ = (dir, config, clock);
        Ok(Self)
    }

    /// Replays the log into the head; appends answer `Unavailable` until it is done. Blocking:
    /// run it on a thread of its own. Progress shows in [`Store::status`].
    ///
    /// # Errors
    /// `Fatal` or `Io` when the log cannot be read.
    pub fn replay(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Walks the request into the head and hands it to the log. Computes (about 1 ms for 800
    /// spans) and never waits for the disk: run it on the compute pool.
    ///
    /// # Errors
    /// `Invalid` (malformed; names the byte offset), `Unavailable` (head or disk full, replaying,
    /// draining), `Fatal`.
    pub fn append(&self, request: Append) -> Result<Pending, Error> {
        let _ = request;
        Err(Error::new(Kind::Unavailable, "skeleton"))
    }

    /// All spans of a trace, or `None`. Computes: run it on the compute pool.
    ///
    /// # Errors
    /// `Unavailable` while replaying.
    pub fn trace(
        &self,
        tenant: &TenantId,
        id: TraceId,
        during: TimeRange,
    ) -> Result<Option<Trace>, Error> {
        let _ = (tenant, id, during);
        Ok(None)
    }

    /// Finds traces. Computes: run it on the compute pool.
    ///
    /// # Errors
    /// `Unavailable` while replaying.
    pub fn search(&self, tenant: &TenantId, search: &Search) -> Result<Found, Error> {
        let _ = (tenant, search);
        Ok(Found::default())
    }

    /// Refuses new appends, waits for those under way, closes the log clean. Blocking.
    ///
    /// # Errors
    /// `Fatal` or `Io` when the last flush failed.
    pub fn close(&self) -> Result<(), Error> {
        Ok(())
    }
}

impl Pending {
    /// Resolves when the request is durable (as the configuration says) and searchable.
    ///
    /// # Errors
    /// `Fatal` when the disk failed; nothing is acknowledged then.
    ///
    /// # Cancel safety
    /// Dropping the future loses only the answer; the request stays stored.
    pub async fn durable(self) -> Result<Accepted, Error> {
        Ok(Accepted::default())
    }
}
