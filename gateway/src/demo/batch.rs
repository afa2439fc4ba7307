//! Gathers spans as they are gathered on their way: per pod in its SDK, then per collector.
//!
//! A pod hands its spans over when it has enough of them or has held them for long enough; a
//! collector sends a request when it has a full batch. So a trace is scattered over many requests.

use std::collections::VecDeque;

use model::wire::{put_bytes, varint_len};

use super::Request;
use super::catalog::SERVICES;
use super::resource::{CLUSTERS_COUNT, Fleet, SCOPES, scopes};
use super::value;

/// Collectors in each cluster.
const COLLECTORS: usize = 2;

/// A pod's spans, grouped by instrumentation scope, each a field 2 of `ScopeSpans`.
#[derive(Debug, Default)]
struct Held {
    scopes: [Scoped; SCOPES],
    spans: usize,
    since: u64,
}

#[derive(Debug, Default)]
struct Scoped {
    bytes: Vec<u8>,
    /// Where each span ends.
    ends: Vec<usize>,
}

/// A request under construction.
#[derive(Debug, Default)]
struct Collector {
    body: Vec<u8>,
    spans: usize,
}

/// When spans are passed on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// Spans of a request.
    pub(super) batch: usize,
    /// Spans that a pod holds at most.
    pub(super) held_max: usize,
    /// How long a pod holds a span, in nanoseconds of the data's own time.
    pub(super) held_for: u64,
}

/// The pods' and collectors' buffers.
#[derive(Debug)]
pub(super) struct Batcher {
    rules: Rules,
    pods: Vec<Held>,
    collectors: Vec<Collector>,
    /// By service.
    scopes: Vec<[Vec<u8>; SCOPES]>,
    swept: usize,
    ready: VecDeque<Request>,
}

impl Batcher {
    pub(super) fn new(rules: Rules, fleet: &Fleet) -> Self {
        Self {
            rules,
            pods: fleet.pods.iter().map(|_| Held::default()).collect(),
            collectors: (0..CLUSTERS_COUNT * COLLECTORS).map(|_| Collector::default()).collect(),
            scopes: SERVICES.iter().map(|service| scopes(service.language)).collect(),
            swept: 0,
            ready: VecDeque::new(),
        }
    }

    /// Takes a `Span` message that the pod ends at `now`.
    pub(super) fn add(&mut self, fleet: &Fleet, pod: usize, scope: usize, now: u64, span: &[u8]) {
        let held = &mut self.pods[pod];
        if held.spans == 0 {
            held.since = now;
        }
        held.spans += 1;
        let scoped = &mut held.scopes[scope];
        put_bytes(&mut scoped.bytes, 2, span);
        scoped.ends.push(scoped.bytes.len());
        if held.spans >= self.rules.held_max {
            self.hand_over(fleet, pod);
        }
    }

    /// Looks at the next two pods for spans that were held for long enough.
    pub(super) fn sweep(&mut self, fleet: &Fleet, now: u64) {
        for _ in 0..2 {
            self.swept = (self.swept + 1) % self.pods.len();
            let held = &self.pods[self.swept];
            if held.spans > 0 && held.since.saturating_add(self.rules.held_for) <= now {
                self.hand_over(fleet, self.swept);
            }
        }
    }

    /// Hands everything over and sends what the collectors have.
    pub(super) fn drain(&mut self, fleet: &Fleet) {
        for pod in 0..self.pods.len() {
            self.hand_over(fleet, pod);
        }
        for collector in 0..self.collectors.len() {
            self.send(collector);
        }
    }

    /// The next request, in the order in which they were sent.
    pub(super) fn pop(&mut self) -> Option<Request> {
        self.ready.pop_front()
    }

    /// Passes a pod's spans to its collector, which may send some requests.
    fn hand_over(&mut self, fleet: &Fleet, pod: usize) {
        let of = &fleet.pods[pod];
        let collector = of.cluster * COLLECTORS + pod % COLLECTORS;
        while self.pods[pod].spans > 0 {
            let held = &mut self.pods[pod];
            let to = &mut self.collectors[collector];
            let room = self.rules.batch - to.spans;
            let scopes = &self.scopes[of.service];
            to.spans += held.move_to(&mut to.body, room, &of.resource, scopes);
            if to.spans >= self.rules.batch {
                self.send(collector);
            }
        }
    }

    fn send(&mut self, collector: usize) {
        let from = &mut self.collectors[collector];
        if from.spans > 0 {
            let capacity = from.body.len();
            let body = std::mem::replace(&mut from.body, Vec::with_capacity(capacity));
            self.ready.push_back(Request { body, spans: from.spans, tenant: None });
            from.spans = 0;
        }
    }
}

/// The schema that resources follow.
const SCHEMA: &str = "https://opentelemetry.io/schemas/1.37.0";

impl Held {
    /// Appends at most `room` of the spans as a `ResourceSpans`; returns how many.
    fn move_to(
        &mut self,
        body: &mut Vec<u8>,
        room: usize,
        resource: &[u8],
        scopes: &[Vec<u8>; SCOPES],
    ) -> usize {
        let mut moved = 0;
        let mut taken = [(0, 0); SCOPES];
        let mut len = resource.len() + SCHEMA.len() + 2;
        for ((taken, scoped), scope) in taken.iter_mut().zip(&self.scopes).zip(scopes) {
            let spans = scoped.ends.len().min(room - moved);
            if spans > 0 {
                let bytes = scoped.ends[spans - 1];
                *taken = (spans, bytes);
                moved += spans;
                let scope_len = scope.len() + bytes;
                len += 1 + varint_len(scope_len as u64) + scope_len;
            }
        }
        value::head(body, 1, len);
        body.extend_from_slice(resource);
        for (((spans, bytes), scoped), scope) in taken.into_iter().zip(&mut self.scopes).zip(scopes)
        {
            if spans > 0 {
                value::head(body, 2, scope.len() + bytes);
                body.extend_from_slice(scope);
                body.extend_from_slice(&scoped.bytes[..bytes]);
                scoped.forget(spans, bytes);
            }
        }
        put_bytes(body, 3, SCHEMA.as_bytes());
        self.spans -= moved;
        moved
    }
}

impl Scoped {
    /// Drops the first spans, which were moved on.
    fn forget(&mut self, spans: usize, bytes: usize) {
        self.bytes.drain(..bytes);
        self.ends.drain(..spans);
        for end in &mut self.ends {
            *end -= bytes;
        }
    }
}
