//! The span log: a sample of received or of refused spans with their reason, for the operator who
//! asks where spans went. Off by default; bounded per second; nothing is walked when it is off.

use std::sync::Arc;

use model::wire::{Reader, Value};
use model::{Clock, Nanos, SpanId, TenantId, TraceId};
use serde::{Deserialize, Serialize};
use store::Accepted;
use tracing::info;

use super::ingest::Ack;
use crate::limits::Throttle;

/// Which spans are logged (`log.spans`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogSpans {
    /// None.
    #[default]
    Off,
    /// A sample of what is stored.
    Received,
    /// A sample of what is refused, with the reason.
    Discarded,
}

/// Lines per second, over all tenants.
const LINES_PER_SECOND: u32 = 10;

/// Lines per request, so that one large request does not take them all.
const LINES_PER_REQUEST: u32 = 3;

/// Writes the sample.
#[derive(Clone, Debug)]
pub(super) struct SpanLog {
    mode: LogSpans,
    throttle: Arc<Throttle>,
    clock: Arc<dyn Clock>,
}

/// A request that is to be looked at when it is acknowledged.
pub(super) struct Sample {
    log: SpanLog,
    body: bytes::Bytes,
}

impl SpanLog {
    pub(super) fn new(mode: LogSpans, clock: Arc<dyn Clock>) -> Self {
        Self { mode, throttle: Arc::new(Throttle::new(LINES_PER_SECOND, Nanos::SECOND)), clock }
    }

    /// Keeps the body until the ack, if spans are logged at all.
    pub(super) fn sample(&self, body: &bytes::Bytes) -> Option<Sample> {
        (self.mode != LogSpans::Off).then(|| Sample { log: self.clone(), body: body.clone() })
    }
}

impl Sample {
    /// The same ack, which writes the lines when it resolves.
    pub(super) fn told_by(self, ack: Ack, tenant: TenantId) -> Ack {
        Box::pin(async move {
            let accepted = ack.await?;
            self.tell(&accepted, &tenant);
            Ok(accepted)
        })
    }

    fn tell(&self, accepted: &Accepted, tenant: &TenantId) {
        let count = match self.log.mode {
            LogSpans::Off => 0,
            LogSpans::Received => accepted.spans,
            LogSpans::Discarded => accepted.refusals.len() as u64,
        };
        let wanted = u32::try_from(count).unwrap_or(u32::MAX).min(LINES_PER_REQUEST);
        let lines = self.log.throttle.take(self.log.clock.monotonic(), wanted) as usize;
        if lines == 0 {
            return;
        }
        if self.log.mode == LogSpans::Received {
            let refused = |place: u64| accepted.refusals.iter().any(|r| r.span == place);
            let stored = spans(&self.body).filter(|span| !refused(span.place));
            stored.take(lines).for_each(|span| span.log(tenant, "span received", "stored"));
            return;
        }
        for refusal in accepted.refusals.iter().take(lines) {
            if let Some(span) = spans(&self.body).find(|span| span.place == refusal.span) {
                span.log(tenant, "span discarded", &refusal.reason);
            }
        }
    }
}

/// What a line shows of a span.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    /// Counted over the whole request, from 0.
    place: u64,
    trace_id: String,
    span_id: String,
    name: String,
    service: String,
}

impl Line {
    fn log(&self, tenant: &TenantId, what: &'static str, reason: &str) {
        let Self { trace_id, span_id, name, service, .. } = self;
        info!(target: "spans", %tenant, trace_id, span_id, name, service, reason, "{what}");
    }
}

/// The spans of a request, in order. The store has accepted these bytes; a fault ends the walk.
fn spans(body: &[u8]) -> impl Iterator<Item = Line> + '_ {
    let resources = messages(body, 1);
    let spans = resources.flat_map(|resource| {
        let service = service(resource);
        let scopes = messages(resource, 2);
        let spans = scopes.flat_map(|scope| messages(scope, 2));
        spans.map(move |span| (service, span))
    });
    (0..).zip(spans).map(|(place, (service, span))| line(place, service, span))
}

fn line(place: u64, service: &str, span: &[u8]) -> Line {
    let trace_id = first(span, 1);
    let span_id = first(span, 2);
    Line {
        place,
        trace_id: TraceId::from_wire(trace_id).map_or_else(|| hex(trace_id), |id| id.to_string()),
        span_id: SpanId::from_wire(span_id).map_or_else(|| hex(span_id), |id| id.to_string()),
        name: text(first(span, 5)).to_owned(),
        service: service.to_owned(),
    }
}

/// `service.name` of a `ResourceSpans`.
fn service(resource_spans: &[u8]) -> &str {
    let resource = first(resource_spans, 1);
    let mut attributes = messages(resource, 1);
    let named = attributes.find(|attribute| first(attribute, 1) == b"service.name");
    named.map_or("", |attribute| text(first(first(attribute, 2), 1)))
}

/// The payloads of every field with this number.
fn messages(message: &[u8], number: u32) -> impl Iterator<Item = &[u8]> {
    let mut reader = Reader::new(message);
    std::iter::from_fn(move || reader.next().ok().flatten())
        .filter(move |field| field.number == number)
        .filter_map(|field| match field.value {
            Value::Bytes(bytes) => Some(bytes),
            _ => None,
        })
}

fn first(message: &[u8], number: u32) -> &[u8] {
    messages(message, number).next().unwrap_or_default()
}

/// The longest valid start of at most 120 bytes: a log line is no place for more.
fn text(bytes: &[u8]) -> &str {
    let bytes = bytes.get(..bytes.len().min(120)).unwrap_or_default();
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => bytes
            .get(..error.valid_up_to())
            .and_then(|valid| std::str::from_utf8(valid).ok())
            .unwrap_or_default(),
    }
}

/// Ids that are none are shown as they came, shortened.
fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().take(16).fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        write!(text, "{byte:02x}").ok();
        text
    })
}

#[cfg(test)]
mod tests;
