//! Spans that are made, and a store that has them in blocks of a bucket in memory, behind the cache.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hybrid::{Config, Hybrid};
use model::{ByteSize, Clock, Nanos, TenantId, TimeRange, TraceId};
use object_store::ObjectStoreExt as _;
use object_store::memory::InMemory;
use object_store::throttle::{ThrottleConfig, ThrottledStore};
use objects::Bucket;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;
use store::backend::{Backend, Shared};
use store::disk::RealDisk;
use store::execute::traceql::{Budget, MetricsRequest, SearchAnswer, SearchRequest};
use store::{Append, Chore, Level, Step, Store};

/// When the first block begins.
pub const BEGIN: Nanos = Nanos::from_secs(1_800_000_000);
/// From one block to the next: a hundred of them make an hour.
const STEP: Nanos = Nanos::from_secs(36);
/// Spans of a trace.
pub const SPANS: u64 = 25;

/// When blocks are looked at: an hour after the first one begins.
const LATER: Nanos = BEGIN.plus(Nanos::from_secs(3_600));

/// A clock that stands still: where a block is written at its time, else later.
#[derive(Debug)]
struct Still(AtomicU64);

impl Default for Still {
    fn default() -> Self {
        Self(AtomicU64::new(LATER.0))
    }
}

impl Clock for Still {
    fn now(&self) -> Nanos {
        Nanos(self.0.load(Ordering::Relaxed))
    }
    fn monotonic(&self) -> Nanos {
        Nanos(1)
    }
}

/// A number that looks random, and is the same each time.
fn scattered(seed: u64) -> u64 {
    let mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed ^ (mixed >> 31)).wrapping_mul(0x94d0_49bb_1331_11eb) ^ (mixed >> 29)
}

/// The id of a trace of a block.
#[must_use]
pub fn trace_id(block: u64, trace: u64) -> TraceId {
    let number = block << 32 | trace;
    let mut id = [0; 16];
    id[..8].copy_from_slice(&scattered(number).to_be_bytes());
    id[8..].copy_from_slice(&scattered(number ^ 0x55).to_be_bytes());
    TraceId::from_array(id)
}

/// The user of a trace: nobody else's.
#[must_use]
pub fn user(block: u64, trace: u64) -> String {
    format!("user-{:016x}", scattered(block << 32 | trace | 1 << 63))
}

fn text(key: &str, text: String) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(text)) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

fn int(key: &str, number: u64) -> KeyValue {
    let number = i64::try_from(number).unwrap_or(i64::MAX);
    let value = Some(AnyValue { value: Some(Value::IntValue(number)) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

/// The request with a trace, spread over a second of the minute of its block.
fn request(block: u64, trace: u64, of: u64, spans: Range<u64>) -> Vec<u8> {
    let begin = BEGIN.0 + block * STEP.0 + trace * (STEP.0 - 2_000_000_000) / of;
    let id = trace_id(block, trace);
    let spans = spans.map(|at| {
        let number = scattered(block << 40 ^ trace << 8 ^ at);
        let start = begin + at * 3_000_000;
        Span {
            trace_id: id.as_bytes().to_vec(),
            span_id: (number | 1).to_be_bytes().to_vec(),
            name: format!("operation {}", number % 60),
            kind: 2,
            start_time_unix_nano: start,
            end_time_unix_nano: start + number % 50_000_000,
            attributes: vec![
                text("user.id", user(block, trace)),
                text("http.request.method", if at % 2 == 0 { "GET" } else { "POST" }.to_owned()),
                int("http.response.status_code", 200 + number % 3 * 150),
                text("url.path", format!("/shop/{}/{:x}", number % 20, number)),
                text("session.key", format!("{:016x}", scattered(number))),
                text("db.query.text", format!("SELECT a, b FROM t{} WHERE id = ?", number % 40)),
            ],
            ..Span::default()
        }
    });
    let service = scattered(trace) % 20;
    let resource = Resource {
        attributes: vec![
            text("service.name", format!("service-{service}")),
            text("k8s.pod.name", format!("service-{service}-{}", trace % 3)),
        ],
        ..Resource::default()
    };
    let scope_spans = vec![ScopeSpans { spans: spans.collect(), ..ScopeSpans::default() }];
    let resource_spans =
        vec![ResourceSpans { resource: Some(resource), scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

/// A bucket in memory, which may take its time.
pub type Objects = Arc<ThrottledStore<InMemory>>;

/// A bucket in memory that is quick.
#[must_use]
pub fn objects() -> Objects {
    Arc::new(ThrottledStore::new(InMemory::new(), ThrottleConfig::default()))
}

/// A store over a bucket.
#[derive(Debug)]
pub struct World {
    /// The store.
    pub store: Store,
    /// What was asked of the bucket.
    pub bucket: Arc<objects::Stats>,
    /// The cache, where there is one.
    pub cache: Option<Arc<Hybrid>>,
    clock: Arc<Still>,
}

impl World {
    /// Opens it; `cache` as its settings say, below the directory of the data.
    pub fn open(objects: &Objects, dir: &Path, cache: Option<&Config>) -> Self {
        Self::open_with(objects, dir, cache, &store::Config::default())
    }

    /// The same with hardly any memory for columns as they are decoded.
    pub fn open_small(objects: &Objects, dir: &Path, cache: Option<&Config>) -> Self {
        let mut config = store::Config::default();
        config.query.cache_bytes_max = ByteSize::mib(1);
        Self::open_with(objects, dir, cache, &config)
    }

    fn open_with(
        objects: &Objects,
        dir: &Path,
        cache: Option<&Config>,
        config: &store::Config,
    ) -> Self {
        let objects = Arc::clone(objects);
        let bucket = Bucket::new(objects, "p".into(), "memory".to_owned()).expect("threads");
        let stats = Arc::clone(bucket.stats());
        let bucket: Arc<dyn Backend> = Arc::new(bucket);
        let clock = Arc::new(Still::default());
        let cache = cache.map(|config| {
            let bucket = Arc::clone(&bucket);
            Arc::new(
                Hybrid::open(bucket, config, &dir.join("cache"), Arc::new(Still::default()))
                    .expect("a cache"),
            )
        });
        let backend = match &cache {
            Some(cache) => Arc::clone(cache) as Arc<dyn Backend>,
            None => bucket,
        };
        let (poll, grace) = (Nanos::from_secs(30), Nanos::from_secs(900));
        let shared = Shared { url: "memory".to_owned(), poll, grace, backend };
        let disk = Arc::new(RealDisk);
        let data = dir.join("data");
        // The blocks are to stay as they are, and requests are those of queries.
        let mut config = config.clone();
        config.compaction.enabled = false;
        let still: Arc<dyn Clock> = Arc::clone(&clock) as _;
        let opened = Store::open_with(disk, &data, Some(shared), &config, still, || Ok(7));
        let store = opened.expect("a store");
        store.replay().expect("a log that is whole");
        Self { store, bucket: stats, cache, clock }
    }

    /// Adds a block of so many traces.
    pub fn block(&self, block: u64, traces: u64) {
        let received_at = BEGIN.plus(Nanos((block + 1) * STEP.0));
        // What seems to have waited for an hour would be sealed at once, in as many files.
        self.clock.0.store(received_at.0, Ordering::Relaxed);
        for trace in 0..traces {
            let append = || Append {
                tenant: TenantId::single(),
                received_at,
                body: Bytes::from(request(block, trace, traces, 0..SPANS)),
            };
            while let Err(error) = self.store.append(append()) {
                assert_eq!(error.kind(), store::Kind::Unavailable, "{error}");
                self.store.flush(Level::L0).expect("it is sealed");
            }
        }
        self.store.flush(Level::L1).expect("it is merged");
        self.clock.0.store(LATER.0, Ordering::Relaxed);
    }

    /// Adds a span more to a trace of a block of so many: it comes to stand in another block.
    pub fn more(&self, block: u64, trace: u64, traces: u64) {
        let body = Bytes::from(request(block, trace, traces, SPANS..SPANS + 1));
        let append = Append { tenant: TenantId::single(), received_at: LATER, body };
        self.store.append(append).expect("it is taken");
        self.store.flush(Level::L1).expect("it is merged");
    }

    /// Has the block of this number gone from the bucket, as somebody else may do it.
    pub fn remove(&self, objects: &Objects, number: u64) {
        let name = format!("p/blocks/default/{:016x}{number:016x}.parquet", 7);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let removed = runtime.expect("a runtime").block_on(objects.delete(&name.into()));
        removed.expect("it is there");
    }

    /// Has catalogs of the blocks written, as the thread that merges does.
    pub fn catalog(&self) {
        while self.store.step(Chore::Catalog).expect("a catalog is written") == Step::Worked {}
    }

    /// Has read what look-ups begin with, as the thread that merges does.
    pub fn read_ahead(&self) {
        self.store.step(Chore::ReadAhead).expect("it never fails");
    }

    /// Waits until the cache has written what it took for the disk.
    pub fn settle(&self) {
        while self.cache.as_ref().is_some_and(|cache| cache.queued_bytes() > 0) {
            std::thread::yield_now();
        }
    }

    /// What a call asks of the bucket.
    pub fn gets<T>(&self, call: impl FnOnce(&Store) -> T) -> (u64, T) {
        let before = self.bucket.gets.get();
        let done = call(&self.store);
        (self.bucket.gets.get() - before, done)
    }
}

/// All spans of a trace; none where there is no such trace.
pub fn by_id(store: &Store, id: TraceId) -> u64 {
    let found = store.trace(&TenantId::single().into(), id, TimeRange::ALL).expect("an answer");
    found.map_or(0, |found| {
        assert_eq!(found.partial, None);
        found.spans
    })
}

/// Traces of a query over an hour.
pub fn search(store: &Store, query: &str, limit: usize) -> SearchAnswer {
    let request = SearchRequest {
        query: traceql::parse(query).expect("a query"),
        during: TimeRange { start: BEGIN, end: BEGIN.plus(Nanos::from_secs(3_600_000)) },
        limit,
        spans_per_set: 3,
        budget: Budget::default(),
    };
    let answer =
        store.query(&TenantId::single().into(), &request, &mut |_, _| {}).expect("an answer");
    assert_eq!(answer.partial, None);
    answer
}

/// How many series there are over the same.
pub fn series(store: &Store, query: &str) -> usize {
    let request = MetricsRequest {
        query: traceql::parse(query).expect("a query"),
        start: BEGIN,
        end: BEGIN.plus(Nanos::from_secs(3_600)),
        step: Some(Nanos::from_secs(60)),
        exemplars: 0,
        series_max: 1_000,
        budget: Budget::default(),
    };
    let answer = store.query_metrics(&TenantId::single().into(), &request, &mut |_| {});
    answer.expect("an answer").series.len()
}

/// Has each request take its time.
pub fn slow(objects: &Objects, wait: Duration) {
    objects.config_mut(|config| config.wait_get_per_call = wait);
}
