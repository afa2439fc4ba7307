//! What a tenant may do: the limits that can be overridden, one by one.

use model::otlp::Rules;
use model::{ByteSize, Faults, Nanos, Wait};
use serde::{Deserialize, Serialize};
use store::execute::traceql::Budget;

pub use super::attached::Attached;

/// The limits of a tenant, or of a cluster within it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// What may be sent.
    pub ingestion: Ingestion,
    /// What may be asked.
    pub query: Query,
}

/// How much may come in a second, and how much at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Units in a second; not zero.
    pub per_second: u64,
    /// Units at once, after a pause; not zero.
    pub burst: u64,
}

/// What traces of a tenant may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LiveLimits {
    /// Most live traces; 0 is without end.
    pub traces_max: u64,
    /// Most bytes of spans of one trace while it is live; 0 is without end.
    pub trace_bytes_max: u64,
}

impl LiveLimits {
    /// Whether there is no limit.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.traces_max == 0 && self.trace_bytes_max == 0
    }
}

/// What may be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ingestion {
    /// Bytes of requests in a second, decompressed. Default 0, which is without end.
    pub rate_bytes: ByteSize,
    /// Bytes at once after a pause; a single request may be larger. Default 0: two seconds of the rate.
    pub burst_bytes: ByteSize,
    /// Spans in a second. Default 0, which is without end.
    pub rate_spans: u64,
    /// Spans at once after a pause; a single request may have more. Default 0: two seconds of the rate.
    pub burst_spans: u64,
    /// Most spans of one request. Default 50,000.
    pub request_spans_max: u32,
    /// Most attributes of a span, an event, a link, a resource or a scope. Default 1,024.
    pub attributes_max: u32,
    /// Most bytes of an attribute, its key and its value as encoded. Default 0, which is without end.
    pub attribute_bytes_max: ByteSize,
    /// What becomes of a longer one. Default `refuse`.
    pub long_attributes: LongAttributes,
    /// The plugins that spans pass, in their order; head samplers go first. Default none.
    pub plugins: Vec<Attached>,
    /// The plugin that says whose the resources of its requests are: a router. What it sends to others passes their
    /// limits and plugins instead of these. Empty, the default: all is of whom it is sent for.
    pub router: String,
    /// Most traces at a time of which spans came in the last 15 to 30 seconds. Default 0, which is without
    /// end.
    pub live_traces_max: u64,
    /// Most bytes of spans of one trace while it is live. Default 0, which is without end.
    pub trace_bytes_max: ByteSize,
}

/// What becomes of an attribute that is too long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LongAttributes {
    /// Its span is refused.
    #[default]
    Refuse,
    /// Its text is cut, and says so.
    Cut,
}

/// What may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Query {
    /// How long a query may take, waiting for a thread included; then it answers with what was
    /// found until then, and says so. Default 30s.
    pub wait: Wait,
    /// The most bytes of columns that one query looks at, as they are in memory; then it answers
    /// as above. Default 0, which is without end.
    pub bytes_max: ByteSize,
    /// The longest range of a search that has one. Default `0s`, which is without end: a search
    /// ends when it has found enough.
    pub search_range_max: Wait,
    /// The longest range of a metrics query, which reads all of it. Default 1day; `0s` is without
    /// end.
    pub metrics_range_max: Wait,
    /// Most series of a metrics query. Default 10,000.
    pub series_max: u32,
    /// Queries that are evaluated at a time; more wait. Default 0: as many as there are threads for them.
    pub concurrent_max: u32,
    /// Queries that wait for their turn; more are told to come back. Default 64.
    pub queued_max: u32,
}

impl Default for Ingestion {
    fn default() -> Self {
        Self {
            rate_bytes: ByteSize(0),
            burst_bytes: ByteSize(0),
            rate_spans: 0,
            burst_spans: 0,
            request_spans_max: 50_000,
            attributes_max: 1_024,
            attribute_bytes_max: ByteSize(0),
            long_attributes: LongAttributes::Refuse,
            plugins: Vec::new(),
            router: String::new(),
            live_traces_max: 0,
            trace_bytes_max: ByteSize(0),
        }
    }
}

impl Default for Query {
    fn default() -> Self {
        Self {
            wait: Wait::secs(30),
            bytes_max: ByteSize(0),
            search_range_max: Wait::secs(0),
            metrics_range_max: Wait::secs(86_400),
            series_max: 10_000,
            concurrent_max: 0,
            queued_max: 64,
        }
    }
}

/// Plugins of one chain.
const PLUGINS_MAX: usize = 32;
/// The longest range that can be set.
const RANGE_MAX: Wait = Wait::secs(100 * 365 * 86_400);

/// Seconds of a rate that come at once where nothing else is said.
const BURST_SECONDS: u64 = 2;

impl Limits {
    /// Notes every value that is not accepted; `key` is the dotted key of these limits.
    pub fn check(&self, key: &str, faults: &mut Faults) {
        self.ingestion.check(&format!("{key}.ingestion"), faults);
        self.query.check(&format!("{key}.query"), faults);
    }

    /// The same without rates: a cluster has its own or none, as what it sends counts for its tenant, too.
    #[must_use]
    pub fn without_rates(mut self) -> Self {
        let (none, own) = (Ingestion::default(), &mut self.ingestion);
        (own.rate_bytes, own.burst_bytes) = (none.rate_bytes, none.burst_bytes);
        (own.rate_spans, own.burst_spans) = (none.rate_spans, none.burst_spans);
        self
    }
}

impl Ingestion {
    fn check(&self, key: &str, faults: &mut Faults) {
        let key = |name: &str| format!("{key}.{name}");
        let bytes = ByteSize(0)..=ByteSize(1 << 40);
        faults.check_range(&key("rate_bytes"), self.rate_bytes, bytes.clone());
        faults.check_range(&key("burst_bytes"), self.burst_bytes, bytes.clone());
        faults.check_range(&key("rate_spans"), self.rate_spans, 0..=1_000_000_000);
        faults.check_range(&key("burst_spans"), self.burst_spans, 0..=1_000_000_000);
        faults.check_range(&key("request_spans_max"), self.request_spans_max, 1..=10_000_000);
        faults.check_range(&key("attributes_max"), self.attributes_max, 1..=1_000_000);
        let attribute = self.attribute_bytes_max;
        if attribute.0 > 0 {
            let range = ByteSize(64)..=ByteSize(1 << 30);
            faults.check_range(&key("attribute_bytes_max"), attribute, range);
        }
        if self.plugins.len() > PLUGINS_MAX {
            let found = format!("{} plugins", self.plugins.len());
            faults.push(&key("plugins"), found, format!("{PLUGINS_MAX} at most"));
        }
        faults.check_range(&key("live_traces_max"), self.live_traces_max, 0..=1_000_000);
        faults.check_range(&key("trace_bytes_max"), self.trace_bytes_max, bytes);
    }

    /// The rate of bytes, where there is one.
    #[must_use]
    pub fn bytes(&self) -> Option<Rate> {
        rate(self.rate_bytes.0, self.burst_bytes.0)
    }

    /// The rate of spans, where there is one.
    #[must_use]
    pub fn spans(&self) -> Option<Rate> {
        rate(self.rate_spans, self.burst_spans)
    }

    /// Whether plugins see what comes.
    #[must_use]
    pub const fn has_plugins(&self) -> bool {
        !self.plugins.is_empty() || !self.router.is_empty()
    }

    /// What a span may have in it.
    #[must_use]
    pub fn rules(&self) -> Rules {
        let bytes = self.attribute_bytes_max;
        Rules {
            spans_max: self.request_spans_max,
            attributes_max: self.attributes_max as usize,
            attribute_bytes_max: if bytes.0 == 0 { usize::MAX } else { bytes.as_usize() },
        }
    }

    /// What a trace may be.
    #[must_use]
    pub const fn live(&self) -> LiveLimits {
        LiveLimits { traces_max: self.live_traces_max, trace_bytes_max: self.trace_bytes_max.0 }
    }
}

fn rate(per_second: u64, burst: u64) -> Option<Rate> {
    let burst = if burst == 0 { per_second.saturating_mul(BURST_SECONDS) } else { burst };
    (per_second > 0).then_some(Rate { per_second, burst })
}

impl Query {
    fn check(&self, key: &str, faults: &mut Faults) {
        let key = |name: &str| format!("{key}.{name}");
        let wait = Wait::millis(1)..=Wait::secs(3_600);
        faults.check_range(&key("wait"), self.wait, wait);
        let bytes = ByteSize(0)..=ByteSize(1 << 50);
        faults.check_range(&key("bytes_max"), self.bytes_max, bytes);
        let range = Wait::secs(0)..=RANGE_MAX;
        faults.check_range(&key("search_range_max"), self.search_range_max, range.clone());
        faults.check_range(&key("metrics_range_max"), self.metrics_range_max, range);
        faults.check_range(&key("series_max"), self.series_max, 1..=10_000);
        faults.check_range(&key("concurrent_max"), self.concurrent_max, 0..=4_096);
        faults.check_range(&key("queued_max"), self.queued_max, 1..=100_000);
    }

    /// What a query may cost that comes in now, by the monotonic clock. A client may want it
    /// sooner.
    #[must_use]
    pub fn budget(&self, now: Nanos, wanted: Option<Nanos>) -> Budget {
        let longest = self.wait.nanos();
        let wait = wanted.map_or(longest, |wait| wait.min(longest));
        Budget {
            deadline: Some(now.plus(wait)),
            bytes_max: (self.bytes_max.0 > 0).then_some(self.bytes_max.0),
            ..Budget::default()
        }
    }
}
