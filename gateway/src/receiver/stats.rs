//! What the receivers count; the metrics page reads it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use model::metric::{Counter, Gauge, Histogram};
use store::Accepted;

use super::decode::Coding;

/// How a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// OTLP over gRPC.
    Grpc,
    /// OTLP over HTTP, protobuf.
    HttpProtobuf,
    /// OTLP over HTTP, JSON.
    HttpJson,
}

/// Every protocol with its label.
pub const PROTOCOLS: [(Protocol, &str); 3] = [
    (Protocol::Grpc, "grpc"),
    (Protocol::HttpProtobuf, "http_protobuf"),
    (Protocol::HttpJson, "http_json"),
];

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every span is stored.
    Ok,
    /// Some spans were refused.
    Partial,
    /// Malformed, or a bad tenant id.
    Invalid,
    /// Over the size limit.
    TooLarge,
    /// Not a coding or method that we know.
    Unsupported,
    /// Nobody knows of whom.
    Unauthenticated,
    /// Of somebody who may not.
    Forbidden,
    /// Over a limit of its tenant that passes.
    Limited,
    /// Told to come back later.
    Unavailable,
    /// The client sent too slowly.
    Slow,
    /// The client went away before its answer.
    Gone,
}

/// Every outcome with its label.
pub const OUTCOMES: [(Outcome, &str); 11] = [
    (Outcome::Ok, "ok"),
    (Outcome::Partial, "partial"),
    (Outcome::Invalid, "invalid"),
    (Outcome::TooLarge, "too_large"),
    (Outcome::Unsupported, "unsupported"),
    (Outcome::Unauthenticated, "unauthenticated"),
    (Outcome::Forbidden, "forbidden"),
    (Outcome::Limited, "limited"),
    (Outcome::Unavailable, "unavailable"),
    (Outcome::Slow, "slow"),
    (Outcome::Gone, "gone"),
];

/// Every coding with its label.
pub const CODINGS: [(Coding, &str); 5] = [
    (Coding::Identity, "identity"),
    (Coding::Gzip, "gzip"),
    (Coding::Zstd, "zstd"),
    (Coding::Deflate, "deflate"),
    (Coding::Snappy, "snappy"),
];

/// The receivers' counters.
#[derive(Debug, Default)]
pub struct Stats {
    requests: [[[Counter; OUTCOMES.len()]; CODINGS.len()]; PROTOCOLS.len()],
    /// Bytes of bodies as they came.
    pub wire_bytes: Counter,
    /// Bytes of bodies decompressed.
    pub body_bytes: Counter,
    /// Spans that are stored.
    pub spans: Counter,
    /// Spans that were refused, in all.
    pub refused_spans: Counter,
    refused_reasons: Mutex<BTreeMap<&'static str, u64>>,
    /// From the request's head to its answer, where spans were stored.
    pub ack: Histogram,
    /// Requests of other signals that were taken and thrown away, as configured.
    pub discarded: Counter,
    /// Requests of other signals that were refused.
    pub other_signals: Counter,
    /// Requests that are being answered.
    pub in_flight: Gauge,
}

impl Stats {
    /// Counts a request.
    pub fn count(&self, protocol: Protocol, coding: Coding, outcome: Outcome) {
        let counter = self
            .requests
            .get(protocol as usize)
            .and_then(|codings| codings.get(coding as usize))
            .and_then(|outcomes| outcomes.get(outcome as usize));
        if let Some(counter) = counter {
            counter.inc();
        }
    }

    /// Counts the spans of a request.
    pub fn count_spans(&self, accepted: &Accepted) {
        self.spans.add(accepted.spans);
        if accepted.refused == 0 {
            return;
        }
        self.refused_spans.add(accepted.refused);
        // Labels are literals of the store's, so the map is as small as their number.
        let mut reasons = self.refused_reasons.lock().unwrap_or_else(PoisonError::into_inner);
        for (label, count) in &accepted.reasons {
            *reasons.entry(label).or_default() += count;
        }
    }

    /// Every count of requests that is not zero: protocol, coding, outcome, count.
    #[must_use]
    pub fn requests(&self) -> Vec<(&'static str, &'static str, &'static str, u64)> {
        let mut rows = Vec::new();
        for ((_, protocol), codings) in PROTOCOLS.iter().zip(&self.requests) {
            for ((_, coding), outcomes) in CODINGS.iter().zip(codings) {
                let counts = OUTCOMES.iter().zip(outcomes);
                rows.extend(
                    counts.filter(|(_, counter)| counter.get() > 0).map(
                        |((_, outcome), counter)| (*protocol, *coding, *outcome, counter.get()),
                    ),
                );
            }
        }
        rows
    }

    /// Spans that were refused, by reason.
    #[must_use]
    pub fn refused(&self) -> Vec<(&'static str, u64)> {
        let reasons = self.refused_reasons.lock().unwrap_or_else(PoisonError::into_inner);
        reasons.iter().map(|(label, count)| (*label, *count)).collect()
    }
}
