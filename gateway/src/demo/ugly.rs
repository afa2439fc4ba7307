//! The ugly set: what nobody means to send, and a gateway gets all the same.
//!
//! Thousands of keys with mixed types, a new resource for every other span, values of up to
//! 100 kB, spans that come late or twice, clocks that are wrong, ids of 64 bits, ids that are
//! shared or missing, one trace without end, a thousand tenants of very different size.

use std::collections::VecDeque;

use model::wire::{put_bytes, put_fixed64, put_message, put_u64};
use model::{Nanos, SpanId, TraceId};

use super::random::Random;
use super::truth::{SAMPLES, Sample, Truth, part};
use super::value::{self, Value};
use super::{Config, Request};

/// How many tenants there are; the first are large, the last are tiny.
const TENANTS: u64 = 1_000;
/// The tenants that fill whole requests; the others send a few spans at a time.
const TENANTS_LARGE: usize = 40;
/// Spans of a request of a small tenant.
const BATCH_SMALL: usize = 10;
/// Attribute keys.
const KEYS: u64 = 3_000;
/// Services.
const SERVICES: u64 = 300;
/// The share of the trace without end, and the most spans that it gets.
const HUGE_SHARE: u64 = 4;
const HUGE_SPANS_MAX: u64 = 1_000_000;

/// Cases per million spans (or traces, where it says so).
const NEW_RESOURCE: u64 = 500_000;
const LONG_VALUE: u64 = 3_000;
const LATE: u64 = 100_000;
const BAD_CLOCK: u64 = 10_000;
const TWICE: u64 = 2_000;
const NO_ID: u64 = 500;
const SHARED_SPAN_ID: u64 = 20_000;
const NESTED: u64 = 10_000;
const TRACES_OF_64_BIT: u64 = 100_000;
const TRACES_OF_SHARED_ID: u64 = 5_000;

/// The trace id that broken programs share.
const SHARED: [u8; 16] = [0x11; 16];
/// The trace without end.
const HUGE: [u8; 16] = [0x4d; 16];

/// 1 January 2099, in nanoseconds since the epoch.
const FAR_AHEAD: u64 = 4_070_908_800_000_000_000;

/// A request of one tenant under construction.
#[derive(Debug, Default)]
struct Pending {
    body: Vec<u8>,
    spans: usize,
}

/// A span on its way: a `ResourceSpans` with nothing else in it.
#[derive(Clone, Debug)]
struct Parcel {
    tenant: usize,
    bytes: Vec<u8>,
}

/// The ugly set: an iterator over its requests, and then its truth.
#[derive(Debug)]
pub struct Ugly {
    config: Config,
    random: Random,
    truth: Truth,
    kept: Vec<u64>,
    pending: Vec<Pending>,
    ready: VecDeque<Request>,
    /// Late spans with the number of spans after which they come, in order.
    late: VecDeque<(u64, Parcel)>,
    resource: Vec<u8>,
    huge_spans: u64,
    huge_last: [u8; 8],
    stride: u64,
    long: Vec<u8>,
    drained: bool,
}

impl Ugly {
    /// Begins a set.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let mut random = Random::new(part(config.seed, 3));
        let long = (0..100_000).map(|_| b"abcdefghijklmnop"[index(random.below(16))]).collect();
        let truth =
            Truth { set: "ugly".into(), seed: config.seed, start: u64::MAX, ..Truth::default() };
        let traces = config.spans / 8;
        Self {
            config,
            random,
            truth,
            kept: vec![0; index(TENANTS)],
            pending: (0..TENANTS).map(|_| Pending::default()).collect(),
            ready: VecDeque::new(),
            late: VecDeque::new(),
            resource: Vec::new(),
            huge_spans: 0,
            huge_last: [0x4d; 8],
            stride: (traces / SAMPLES).max(1),
            long,
            drained: false,
        }
    }

    /// What is true of the requests so far; of the whole set once there are no more. Times are
    /// those that the spans should have had.
    #[must_use]
    pub fn truth(mut self) -> Truth {
        for (tenant, kept) in self.kept.iter().enumerate().filter(|(_, kept)| **kept > 0) {
            self.truth.tenants.insert(tenant_name(tenant), *kept);
        }
        if self.huge_spans > 0 {
            self.truth.samples.push(Sample {
                id: TraceId::from_array(HUGE).to_string(),
                tenant: Some(tenant_name(0)),
                spans: self.huge_spans,
                ..Sample::default()
            });
        }
        self.truth
    }

    /// Makes one trace of one tenant, and some spans of the one without end.
    fn trace(&mut self) {
        let tenant = self.draw_tenant();
        let mut id: [u8; 16] = self.random.bytes();
        let shared = self.random.chance(TRACES_OF_SHARED_ID);
        if shared {
            id = SHARED;
        } else if self.random.chance(TRACES_OF_64_BIT) {
            id[..8].fill(0);
        }
        let start = self.start();
        let spans = self.random.between(1, 15);
        let mut sample = Sample {
            id: TraceId::from_array(id).to_string(),
            tenant: Some(tenant_name(tenant)),
            start: start.0,
            ..Sample::default()
        };
        let mut parent = None;
        for number in 0..spans {
            let at = start.plus(Nanos(number * 700_000));
            let span_id = (self.random.next() | 1).to_be_bytes();
            let kind = self.random.between(1, 5);
            if self.random.chance(NO_ID) {
                self.refused(tenant, id, at);
                continue;
            }
            self.span(tenant, id, span_id, parent, kind, at);
            sample.span_ids.push(SpanId::from_array(span_id).to_string());
            if self.random.chance(SHARED_SPAN_ID) {
                // As Zipkin has it: the two ends of a call share their id.
                self.span(tenant, id, span_id, parent, kind % 5 + 1, at);
                sample.span_ids.push(SpanId::from_array(span_id).to_string());
            }
            parent = Some(span_id);
        }
        self.truth.traces += u64::from(!shared);
        if !shared && !sample.span_ids.is_empty() && self.truth.traces.is_multiple_of(self.stride) {
            sample.spans = sample.span_ids.len() as u64;
            sample.span_ids.sort_unstable();
            self.truth.samples.push(sample);
        }
        let huge = (self.config.spans / HUGE_SHARE).min(HUGE_SPANS_MAX);
        while self.huge_spans * self.config.spans < huge * self.truth.spans {
            let span_id = (self.random.next() | 1).to_be_bytes();
            let parent = (self.huge_spans > 0).then_some(self.huge_last);
            self.span(0, HUGE, span_id, parent, 1, start);
            self.huge_spans += 1;
            // Now a chain, now a star.
            if self.random.chance(10_000) {
                self.huge_last = span_id;
            }
        }
    }

    /// Most spans are of a few tenants.
    fn draw_tenant(&mut self) -> usize {
        let draw = u128::from(self.random.below(1 << 20));
        let tenant = (draw * draw * draw * u128::from(TENANTS)) >> 60;
        usize::try_from(tenant).unwrap_or_default()
    }

    /// When a trace starts that is made now.
    fn start(&self) -> Nanos {
        let share = u128::from(self.truth.spans) * u128::from(self.config.window.0);
        let offset = share / u128::from(self.config.spans.max(1));
        self.config.start.plus(Nanos(u64::try_from(offset).unwrap_or(u64::MAX)))
    }

    /// Makes a span and sends it, perhaps late, perhaps twice.
    fn span(
        &mut self,
        tenant: usize,
        trace: [u8; 16],
        id: [u8; 8],
        parent: Option<[u8; 8]>,
        kind: u64,
        at: Nanos,
    ) {
        self.kept[tenant] += 1;
        let mut span = Vec::new();
        put_bytes(&mut span, 1, &trace);
        put_bytes(&mut span, 2, &id);
        if let Some(parent) = parent {
            put_bytes(&mut span, 4, &parent);
        }
        put_bytes(&mut span, 5, format!("operation {}", self.random.below(5_000)).as_bytes());
        put_u64(&mut span, 6, kind);
        let start = self.clock(at.0);
        put_fixed64(&mut span, 7, start);
        put_fixed64(&mut span, 8, start.saturating_add(self.random.below(80_000_000)));
        self.attributes(&mut span);
        let parcel = self.parcel(tenant, &span);
        if self.random.chance(TWICE) {
            self.hold(parcel.clone());
        }
        if self.random.chance(LATE) {
            self.hold(parcel);
        } else {
            self.deliver(&parcel);
        }
        self.truth.start = self.truth.start.min(at.0);
        self.truth.end = self.truth.end.max(at.0);
    }

    /// Sends a span that has no trace id or no span id.
    fn refused(&mut self, tenant: usize, trace: [u8; 16], at: Nanos) {
        let mut span = Vec::new();
        let (trace, id) = self.random.pick(&[
            (&[0; 16][..], &[7; 8][..]),
            (&[], &[7; 8]),
            (&trace[..7], &[7; 8]),
            (&trace[..], &[0; 8]),
            (&trace[..], &[]),
        ]);
        put_bytes(&mut span, 1, trace);
        put_bytes(&mut span, 2, id);
        put_bytes(&mut span, 5, b"without an id");
        put_fixed64(&mut span, 7, at.0);
        let parcel = self.parcel(tenant, &span);
        self.truth.refused += 1;
        self.deliver(&parcel);
    }

    /// The time that the span's clock shows.
    fn clock(&mut self, at: u64) -> u64 {
        if !self.random.chance(BAD_CLOCK) {
            return at;
        }
        self.random.pick(&[0, at / 1_000, FAR_AHEAD])
    }

    fn attributes(&mut self, span: &mut Vec<u8>) {
        for _ in 0..self.random.between(4, 9) {
            let key = format!("app.custom.{:04}", self.random.below(KEYS));
            let number = self.random.next();
            let text = format!("value-{number:x}");
            // One key, many types: nobody agreed on them.
            let value = match self.random.below(8) {
                0 => Value::Int(number.cast_signed()),
                1 => Value::Bool(number.is_multiple_of(2)),
                2 => Value::Double(f64::from_bits(number >> 2)),
                3 => Value::List(&[&text, "b"]),
                4 => Value::Bytes(text.as_bytes()),
                _ => Value::Str(&text),
            };
            value::attribute(span, 9, &key, value);
        }
        if self.random.chance(LONG_VALUE) {
            // From 2 to 100 kB, the short ones more often.
            let most = 2_000 << self.random.below(6);
            let length = index(self.random.between(most / 2, most).clamp(2_000, 100_000));
            let value = Value::Raw(&self.long[..length]);
            value::attribute(span, 9, "http.request.body.text", value);
        }
        if self.random.chance(NESTED) {
            nested(span, 9, "app.nested", 4);
        }
    }

    /// Wraps a span with its resource.
    fn parcel(&mut self, tenant: usize, span: &[u8]) -> Parcel {
        if self.resource.is_empty() || self.random.chance(NEW_RESOURCE) {
            self.draw_resource();
        }
        let mut bytes = Vec::with_capacity(self.resource.len() + span.len() + 32);
        put_message(&mut bytes, 1, |spans| {
            put_bytes(spans, 1, &self.resource);
            put_message(spans, 2, |scope| put_bytes(scope, 2, span));
        });
        Parcel { tenant, bytes }
    }

    /// A resource that no span had before, as browsers and functions have them.
    fn draw_resource(&mut self) {
        let Self { random, resource, .. } = self;
        resource.clear();
        let mut put =
            |key: &str, value: &str| value::attribute(resource, 1, key, Value::Str(value));
        put("service.name", &format!("service-{}", random.below(SERVICES)));
        put("service.version", &format!("0.{}.{}", random.below(30), random.below(100)));
        put("service.instance.id", &format!("{:016x}{:016x}", random.next(), random.next()));
        put("faas.instance", &format!("{:016x}", random.next()));
        put("browser.session", &format!("{:016x}{:016x}", random.next(), random.next()));
        put("browser.language", random.pick(&["en", "de", "fr", "ja", "pt-BR"]));
        put("device.id", &format!("{:016x}", random.next()));
        put("device.model.identifier", random.pick(&["SM-S921B", "iPhone16,2", "Pixel 9"]));
        put("telemetry.sdk.name", "opentelemetry");
        put("telemetry.sdk.language", random.pick(&["webjs", "swift", "kotlin"]));
    }

    /// Keeps a span back for a tenth to a third of the set.
    fn hold(&mut self, parcel: Parcel) {
        let wait = self.config.spans / 10 + self.random.below(self.config.spans / 4 + 1);
        let due = self.truth.spans + wait;
        let at = self.late.partition_point(|(other, _)| *other <= due);
        self.late.insert(at, (due, parcel));
    }

    /// Puts a span into its tenant's request, which is sent when it is full.
    fn deliver(&mut self, parcel: &Parcel) {
        self.truth.spans += 1;
        let pending = &mut self.pending[parcel.tenant];
        pending.body.extend_from_slice(&parcel.bytes);
        pending.spans += 1;
        let full =
            if parcel.tenant < TENANTS_LARGE { self.config.batch.max(1) } else { BATCH_SMALL };
        if pending.spans >= full {
            self.send(parcel.tenant);
        }
    }

    fn send(&mut self, tenant: usize) {
        let Pending { body, spans } = std::mem::take(&mut self.pending[tenant]);
        if spans > 0 {
            self.truth.requests += 1;
            self.truth.bytes += body.len() as u64;
            self.ready.push_back(Request { body, spans, tenant: Some(tenant_name(tenant)) });
        }
    }

    /// Delivers the late spans that are due; all of them in the end.
    fn deliver_late(&mut self, all: bool) {
        while let Some((due, _)) = self.late.front() {
            if !all && *due > self.truth.spans {
                return;
            }
            if let Some((_, parcel)) = self.late.pop_front() {
                self.deliver(&parcel);
            }
        }
    }
}

impl Iterator for Ugly {
    type Item = Request;

    fn next(&mut self) -> Option<Request> {
        loop {
            if let Some(request) = self.ready.pop_front() {
                return Some(request);
            }
            if self.drained {
                return None;
            }
            if self.truth.spans + (self.late.len() as u64) < self.config.spans {
                self.trace();
                self.deliver_late(false);
            } else {
                self.deliver_late(true);
                (0..self.pending.len()).for_each(|tenant| self.send(tenant));
                self.drained = true;
            }
        }
    }
}

/// A map in a map in a map.
fn nested(out: &mut Vec<u8>, field: u32, key: &str, depth: u32) {
    put_message(out, field, |pair| {
        put_bytes(pair, 1, key.as_bytes());
        put_message(pair, 2, |any| match depth {
            0 => put_bytes(any, 1, b"leaf"),
            _ => put_message(any, 6, |list| nested(list, 1, "deeper", depth - 1)),
        });
    });
}

fn tenant_name(tenant: usize) -> String {
    format!("tenant-{tenant:04}")
}

/// A small number as an index.
fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or_default()
}
