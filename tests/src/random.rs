//! Seeded chance, and OTLP made with it that holds whatever the protocol allows.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

use crate::wait::now_nanos;

/// `SplitMix64`: the same numbers for the same seed, on any machine.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// Numbers that follow from `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `end`, which is above 0.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.number() % (end as u64)).unwrap_or(0)
    }

    /// True once in `n`.
    pub fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// One of them.
    pub fn pick<'a, T>(&mut self, among: &'a [T]) -> &'a T {
        let place = self.below(among.len());
        among.get(place).expect("below the length")
    }

    /// `N` bytes that are not all zeros.
    pub fn id<const N: usize>(&mut self) -> Vec<u8> {
        let mut id: Vec<u8> = (0..N).map(|_| self.byte()).collect();
        if let Some(last) = id.last_mut() {
            *last |= 1;
        }
        id
    }

    fn byte(&mut self) -> u8 {
        self.number().to_be_bytes()[0]
    }
}

/// A seed for this run, unless `TRACEWEIR_SEED` names one; tests print it when they fail.
#[must_use]
pub fn seed() -> u64 {
    let given = std::env::var("TRACEWEIR_SEED").ok().and_then(|text| text.parse().ok());
    given.unwrap_or_else(now_nanos)
}

const TEXTS: [&str; 8] =
    ["", "a", "GET /cart", "naïve – 測試 🧵", "\u{0}\u{1}\"\\\n", "user.id", "0.1", "ß"];
const KEYS: [&str; 8] = [
    "service.name",
    "http.request.method",
    "http.response.status_code",
    "db.query.text",
    "user.id",
    "",
    "ключ",
    "custom.key",
];

/// Requests with everything in them that OTLP allows, ids valid.
#[derive(Debug)]
pub struct Arbitrary {
    rng: Rng,
    now: u64,
    traces: Vec<Vec<u8>>,
}

impl Arbitrary {
    /// Spans of so many traces, scattered over all requests.
    #[must_use]
    pub fn new(mut rng: Rng, traces: usize) -> Self {
        let traces = (0..traces)
            .map(|number| {
                let mut id = rng.id::<16>();
                if number % 5 == 4 {
                    // What a 64-bit tracer sends.
                    id.splice(..8, [0; 8]);
                }
                id
            })
            .collect();
        Self { rng, now: now_nanos(), traces }
    }

    /// Spans that were made around this time: the same ones for the same seed.
    #[must_use]
    pub fn at(self, now: u64) -> Self {
        Self { now, ..self }
    }

    /// The ids of all traces that spans may belong to.
    #[must_use]
    pub fn trace_ids(&self) -> &[Vec<u8>] {
        &self.traces
    }

    /// The next request.
    pub fn request(&mut self) -> ExportTraceServiceRequest {
        let resource_spans = (0..self.rng.below(4)).map(|_| self.resource_spans()).collect();
        ExportTraceServiceRequest { resource_spans }
    }

    fn resource_spans(&mut self) -> ResourceSpans {
        let resource = (!self.rng.once_in(8)).then(|| Resource {
            attributes: self.attributes(),
            dropped_attributes_count: self.count(),
            entity_refs: Vec::new(),
        });
        let scope_spans = (0..self.rng.below(4)).map(|_| self.scope_spans()).collect();
        ResourceSpans { resource, scope_spans, schema_url: self.text() }
    }

    fn scope_spans(&mut self) -> ScopeSpans {
        let scope = (!self.rng.once_in(8)).then(|| InstrumentationScope {
            name: self.text(),
            version: self.text(),
            attributes: self.attributes(),
            dropped_attributes_count: self.count(),
        });
        let spans = (0..self.rng.below(8)).map(|_| self.span()).collect();
        ScopeSpans { scope, spans, schema_url: self.text() }
    }

    fn span(&mut self) -> Span {
        let start = self.time();
        Span {
            trace_id: self.rng.pick(&self.traces.clone()).clone(),
            span_id: self.rng.id::<8>(),
            trace_state: self.text(),
            parent_span_id: if self.rng.once_in(3) { Vec::new() } else { self.rng.id::<8>() },
            flags: self.count(),
            name: self.text(),
            kind: *self.rng.pick(&[0, 1, 2, 3, 4, 5]),
            start_time_unix_nano: start,
            end_time_unix_nano: if self.rng.once_in(10) { self.time() } else { start + 1_000 },
            attributes: self.attributes(),
            dropped_attributes_count: self.count(),
            events: (0..self.few()).map(|_| self.event()).collect(),
            dropped_events_count: self.count(),
            links: (0..self.few()).map(|_| self.link()).collect(),
            dropped_links_count: self.count(),
            status: (!self.rng.once_in(4))
                .then(|| Status { message: self.text(), code: *self.rng.pick(&[0, 1, 2]) }),
        }
    }

    fn event(&mut self) -> Event {
        Event {
            time_unix_nano: self.time(),
            name: self.text(),
            attributes: self.attributes(),
            dropped_attributes_count: self.count(),
        }
    }

    fn link(&mut self) -> Link {
        Link {
            trace_id: self.rng.id::<16>(),
            span_id: self.rng.id::<8>(),
            trace_state: self.text(),
            attributes: self.attributes(),
            dropped_attributes_count: self.count(),
            flags: self.count(),
        }
    }

    fn attributes(&mut self) -> Vec<KeyValue> {
        (0..self.rng.below(8)).map(|_| self.key_value(0)).collect()
    }

    fn key_value(&mut self, depth: usize) -> KeyValue {
        let value = Some(self.value(depth));
        KeyValue { key: (*self.rng.pick(&KEYS)).to_owned(), value, key_strindex: 0 }
    }

    fn value(&mut self, depth: usize) -> AnyValue {
        let kinds = if depth < 4 { 8 } else { 6 };
        let value = match self.rng.below(kinds) {
            0 => Some(Value::StringValue(self.text())),
            1 => Some(Value::BoolValue(self.rng.once_in(2))),
            2 => Some(Value::IntValue(self.int())),
            3 => Some(Value::DoubleValue(f64::from_bits(self.rng.number()))),
            4 => {
                Some(Value::BytesValue((0..self.rng.below(40)).map(|_| self.rng.byte()).collect()))
            }
            5 => None,
            6 => {
                let values = (0..self.few()).map(|_| self.value(depth + 1)).collect();
                Some(Value::ArrayValue(ArrayValue { values }))
            }
            _ => {
                let values = (0..self.few()).map(|_| self.key_value(depth + 1)).collect();
                Some(Value::KvlistValue(KeyValueList { values }))
            }
        };
        AnyValue { value }
    }

    fn text(&mut self) -> String {
        match self.rng.below(12) {
            0 => "long ".repeat(self.rng.below(4_000)),
            1 => format!("{:x}", self.rng.number()),
            _ => (*self.rng.pick(&TEXTS)).to_owned(),
        }
    }

    fn int(&mut self) -> i64 {
        let any = i64::from_le_bytes(self.rng.number().to_le_bytes());
        *self.rng.pick(&[0, 1, -1, i64::MAX, i64::MIN, 200, any])
    }

    fn count(&mut self) -> u32 {
        *self.rng.pick(&[0, 0, 0, 1, 0x301, u32::MAX])
    }

    fn few(&mut self) -> usize {
        *self.rng.pick(&[0, 0, 1, 3])
    }

    /// Recent, mostly; sometimes what broken clocks say.
    fn time(&mut self) -> u64 {
        match self.rng.below(12) {
            0 => 0,
            1 => self.now / 1_000,
            2 => 4_102_444_800_000_000_000,
            _ => self.now - self.rng.number() % 60_000_000_000,
        }
    }
}
