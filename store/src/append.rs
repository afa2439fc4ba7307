//! A request on its way in: walked into the head, handed to the log, acknowledged when durable.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use model::otlp::{self, Appended};
use model::{Nanos, TenantId};
use tokio::sync::oneshot;

use crate::Store;
use crate::error::{Error, Kind};
use crate::head::Turn;
use crate::log::edit::Edits;
use crate::log::record::Format;
use crate::log::{self, Entry, LocalWal};

/// How long a request waits for room in a full head while a segment is being sealed.
const ROOM_WAIT: Duration = Duration::from_millis(500);
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
pub struct Pending {
    pub(crate) accepted: Accepted,
    outcome: Option<oneshot::Receiver<log::Outcome>>,
}

/// What became of a request.
#[derive(Debug, Default)]
pub struct Accepted {
    /// Spans that are stored.
    pub spans: u64,
    /// Spans that are not, in all.
    pub refused: u64,
    /// Why, for the first few of them.
    pub refusals: Vec<Refusal>,
    /// How many for each reason, by its label.
    pub reasons: Vec<(&'static str, u64)>,
}

/// Why one span was not stored.
#[derive(Debug, Default)]
pub struct Refusal {
    /// Its place in the request, counted over all resources and scopes from 0.
    pub span: u64,
    /// Its name, cut at 128 bytes.
    pub name: String,
    /// The reason, such as `trace id is all zeros`.
    pub reason: String,
}

impl Store {
    /// Walks the request into the head and hands it to the log. Computes (about 1 ms for 800
    /// spans) and never waits for the disk: run it on the compute pool.
    ///
    /// # Errors
    /// `Invalid` (malformed; names the byte), `TooLarge`, `Unavailable` (head or disk full,
    /// replaying, draining), `Fatal` after the disk failed.
    pub fn append(&self, request: Append) -> Result<Pending, Error> {
        let checked =
            otlp::check(&request.body).map_err(|at| Error::new(Kind::Invalid, at.to_string()))?;
        self.append_checked(request, checked)
    }

    /// The same for a request that somebody has looked through who has more rules.
    ///
    /// # Errors
    /// As [`Store::append`].
    pub fn append_checked(
        &self,
        request: Append,
        checked: otlp::Checked,
    ) -> Result<Pending, Error> {
        let inner = &self.0;
        let started = inner.clock.monotonic();
        let wal = self.ready()?;
        // Known before anything is taken: what is refused leaves nothing in the head, and what is
        // taken is known to fit.
        let (refused, is_empty) = (checked.refused_in_all(), checked.is_empty());
        let refusals = checked.refusals.into_iter().map(Refusal::from).collect();
        let mut accepted = Accepted { spans: 0, refused, refusals, reasons: checked.reasons };
        if is_empty {
            inner.head.stats().refused.add(refused);
            return Ok(Pending { accepted, outcome: None });
        }
        let packed = wal.pack(&request.body)?;
        let mut turn = self.turn(wal, request.received_at, checked.heap_bytes)?;
        let reservation = wal.reserve(&packed)?;
        let (appended, unpublished) =
            turn.append(&request.tenant, request.received_at, &request.body, &checked.refused)?;
        let edits = edits(&appended);
        accepted.spans = appended.spans;
        // Counted with the answer: a request that is told to come back is counted then.
        inner.head.stats().refused.add(refused);
        let entry = Entry {
            tenant: request.tenant,
            received_at: request.received_at,
            format: Format::OtlpProtobuf,
            edits,
        };
        let (sender, outcome) = oneshot::channel();
        let (stats, clock) = (Arc::clone(&inner.stats), Arc::clone(&inner.clock));
        let done = move |outcome: log::Outcome| {
            if outcome.is_ok() {
                unpublished.publish();
                stats.append.record(clock.monotonic().minus(started).0);
            }
            // The client may be gone; the request stays stored all the same.
            drop(sender.send(outcome));
        };
        // Under the turn, so that rows and records are in one order.
        reservation.append(entry, packed, Box::new(done));
        drop(turn);
        Ok(Pending { accepted, outcome: Some(outcome) })
    }

    /// The turn to append a request of so many heap bytes at most. Where the head is full it waits a
    /// moment for a segment that is being sealed: slower is better than refused.
    fn turn(&self, wal: &LocalWal, now: Nanos, heap_bytes: usize) -> Result<Turn<'_>, Error> {
        let inner = &self.0;
        let mut turn = inner.head.turn().inspect_err(|error| self.fail(error))?;
        if inner.is_due(&turn, wal, now)? {
            inner.close(&mut turn, wal)?;
        }
        match turn.check_room(heap_bytes) {
            Err(error) if error.kind() == Kind::Unavailable => {}
            room => return room.map(|()| turn),
        }
        drop(turn);
        inner.head.wait_for_room(ROOM_WAIT);
        let turn = inner.head.turn().inspect_err(|error| self.fail(error))?;
        turn.check_room(heap_bytes).map(|()| turn)
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
        let Some(outcome) = self.outcome else { return Ok(self.accepted) };
        match outcome.await {
            Ok(Ok(())) => Ok(self.accepted),
            Ok(Err(error)) => Err(Error::new(error.kind(), error.to_string())),
            Err(_) => Err(Error::new(Kind::Fatal, "the log went away")),
        }
    }
}

impl From<otlp::Refusal> for Refusal {
    fn from(refusal: otlp::Refusal) -> Self {
        let otlp::Refusal { span, name, reason } = refusal;
        Self { span: span.into(), name, reason: reason.to_string() }
    }
}

fn edits(appended: &Appended) -> Edits {
    Edits { refused: appended.refused.iter().map(|span| u64::from(*span)).collect() }
}
