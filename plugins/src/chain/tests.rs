//! Plugins in a row, over a request of ten spans.

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;
use serde_json::json;
use traceweir_plugin::codes::{ANSWER_MAGIC, VERSION, answer, domain, layout};

use super::*;
use crate::code::Codes;
use crate::configured::Setup;
use crate::engine::{Engine, Settings};
use crate::guests::{Guest, intrinsic};
use crate::host::{Shared, Surroundings};
use crate::instance::Limits;
use crate::plugin::Plugin;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    Engine::start(&Settings { instances_max: 200, ..Settings::default() }).unwrap()
});

#[derive(Debug, Default)]
struct Hand(AtomicU64);

impl Hand {
    fn pass(&self, time: Nanos) {
        self.0.fetch_add(time.0, Ordering::SeqCst);
    }
}

impl model::Clock for Hand {
    fn now(&self) -> Nanos {
        Nanos::from_secs(1_700_000_000).plus(self.monotonic())
    }
    fn monotonic(&self) -> Nanos {
        Nanos(self.0.load(Ordering::SeqCst))
    }
}

const SPANS: u32 = 10;

fn request() -> Bytes {
    let span = |number: u32| Span {
        trace_id: [&[7; 12][..], &number.to_be_bytes()].concat(),
        span_id: vec![u8::try_from(number + 1).unwrap(); 8],
        name: format!("span {number}"),
        start_time_unix_nano: 1,
        end_time_unix_nano: 2,
        ..Span::default()
    };
    let spans = (0..SPANS).map(span).collect();
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec().into()
}

/// An answer that keeps those of ten rows of one resource and scope whose bit is set.
fn keeps(bits: u64) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend_from_slice(&ANSWER_MAGIC.to_le_bytes());
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&[0, 0]);
    for number in [SPANS, 1, 1, 0, 0, 1] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.extend_from_slice(&answer::KEEP.to_le_bytes());
    out.extend_from_slice(&[layout::BITMAP, domain::SPANS]);
    for number in [0u32, 48, 8] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.extend_from_slice(&bits.to_le_bytes());
    out
}

fn reads() -> Vec<[u32; 5]> {
    vec![intrinsic(1)]
}

struct Rig {
    clock: Arc<Hand>,
    failures: Arc<Failures>,
    tenant: TenantId,
}

impl Rig {
    fn new() -> Self {
        let (clock, failures) = (Arc::default(), Arc::default());
        Self { clock, failures, tenant: TenantId::parse("shop").unwrap() }
    }

    fn configured(&self, guest: &Guest) -> Arc<Configured> {
        let surroundings = Surroundings {
            clock: Arc::<Hand>::clone(&self.clock),
            chance: Arc::new(|bytes| bytes.fill(7)),
            tables: Arc::default(),
        };
        let limits = Limits {
            time: Duration::from_millis(300),
            memory_bytes_max: 4 << 20,
            answer_bytes_max: 64 << 10,
        };
        let shared = Shared::new("guest", surroundings.clone(), Arc::default(), 0);
        let loaded = (Arc::new(shared), limits);
        let plugin = Plugin::load(&ENGINE, &Codes::default(), &guest.module(), loaded).unwrap();
        let (name, config) = (guest.name.to_owned(), json!({}));
        let setup = Setup { name, config, limits, cache_bytes_max: 1 << 20 };
        Configured::new(plugin, setup, surroundings).unwrap()
    }

    fn link(&self, guest: &Guest, on_failure: OnFailure) -> Link {
        Link { configured: self.configured(guest), on_failure, canary: None, is_shadow: false }
    }

    fn run(&self, links: &[Link]) -> Result<Bytes, Rejected> {
        let chain = Chain::new(links.to_vec(), Arc::clone(&self.failures));
        let body = request();
        let mut draft = Draft::of(&body, chain.wants()).unwrap();
        let whose = Whose { tenant: &self.tenant, peer: None };
        chain.run(&mut draft, whose, &mut Scratch::default())?;
        Ok(draft.finish(Vec::with_capacity).body.into_bytes())
    }

    fn spans(&self, links: &[Link]) -> Vec<String> {
        let body = self.run(links).unwrap();
        let request = ExportTraceServiceRequest::decode(body).unwrap();
        let scopes = request.resource_spans.into_iter().flat_map(|of| of.scope_spans);
        scopes.flat_map(|of| of.spans).map(|span| span.name).collect()
    }
}

fn keeper(bits: u64) -> Guest {
    Guest { answer: keeps(bits), reads: reads(), ..Guest::default() }
}

fn trapper() -> Guest {
    Guest { process: "unreachable".to_owned(), reads: reads(), ..Guest::default() }
}

#[test]
fn what_a_plugin_drops_is_gone_and_counted() {
    let rig = Rig::new();
    let link = rig.link(&keeper(0b10_0000_0001), OnFailure::Pass);
    assert_eq!(rig.spans(std::slice::from_ref(&link)), ["span 0", "span 9"]);
    let stats = link.configured.stats();
    assert_eq!((stats.rows_in.get(), stats.rows_out.get(), stats.calls.get()), (10, 2, 1));
    assert_eq!(stats.instances.get(), 1);
}

#[test]
fn hashes_are_seeded_by_chance_and_once() {
    let rig = Rig::new();
    let chain = Chain::new(vec![rig.link(&keeper(1), OnFailure::Reject)], Arc::default());
    let (body, mut scratch) = (request(), Scratch::default());
    for _ in 0..2 {
        let mut draft = Draft::of(&body, chain.wants()).unwrap();
        let whose = Whose { tenant: &rig.tenant, peer: None };
        chain.run(&mut draft, whose, &mut scratch).unwrap();
        assert_eq!(scratch.batch.seed(), u64::from_le_bytes([7; 8]));
    }
}

#[test]
fn a_chain_sees_what_those_before_left() {
    let rig = Rig::new();
    let first = rig.link(&keeper(0b11_1111_1110), OnFailure::Pass);
    // It answers for ten rows, and is shown nine.
    let second = rig.link(&keeper(0b1), OnFailure::Pass);
    assert_eq!(rig.spans(&[first, second.clone()]).len(), 9);
    let failures: Vec<_> = second.configured.stats().failures().filter(|(_, n)| *n > 0).collect();
    assert_eq!(failures, [("bad_output", 1)]);
}

#[test]
fn the_policy_says_what_becomes_of_what_a_plugin_fails_on() {
    let rig = Rig::new();
    let of = |on_failure| rig.run(&[rig.link(&trapper(), on_failure)]);
    assert_eq!(of(OnFailure::Pass).unwrap(), request());
    assert!(of(OnFailure::Drop).unwrap().is_empty());
    let rejected = of(OnFailure::Reject).unwrap_err();
    assert_eq!(rejected, Rejected { plugin: "guest".to_owned(), failure: Some(Failure::Panic) });
    let poison = rig.failures.of("guest");
    assert_eq!(poison.len(), 3);
    assert_eq!(poison[0].failure, Failure::Panic);
}

#[test]
fn a_shadow_changes_nothing_and_is_counted() {
    let rig = Rig::new();
    let mut link = rig.link(&keeper(1), OnFailure::Pass);
    link.is_shadow = true;
    assert_eq!(rig.run(std::slice::from_ref(&link)).unwrap(), request());
    assert_eq!(link.configured.stats().rows_out.get(), 1);
    let mut trap = rig.link(&trapper(), OnFailure::Reject);
    trap.is_shadow = true;
    assert_eq!(rig.run(&[trap]).unwrap(), request());
}

#[test]
fn a_canary_is_a_share_of_the_traces_and_always_the_same() {
    let rig = Rig::new();
    let guest = Guest { answer: Vec::new(), reads: reads(), ..trapper() };
    let mut link = rig.link(&guest, OnFailure::Drop);
    link.canary = Some(Share::percent(30.0));
    let left = rig.spans(std::slice::from_ref(&link));
    assert!((4..10).contains(&left.len()), "{left:?}");
    assert_eq!(rig.spans(std::slice::from_ref(&link)), left);
    let ids = (0..100_000u128).map(|id| TraceId::from_array((id << 3).to_be_bytes()));
    let share = Share::percent(5.0);
    let within = ids.filter(|id| share.has(*id)).count();
    assert!((4_700..5_300).contains(&within), "{within}");
}

#[test]
fn who_fails_too_often_is_left_alone_for_a_while() {
    let rig = Rig::new();
    let link = rig.link(&trapper(), OnFailure::Drop);
    let run = || rig.run(std::slice::from_ref(&link)).unwrap();
    for _ in 0..20 {
        assert!(run().is_empty(), "the policy holds all the time");
    }
    assert_eq!(link.configured.stats().calls.get(), 5);
    rig.clock.pass(Nanos::from_secs(1));
    run();
    run();
    assert_eq!(link.configured.stats().calls.get(), 6, "one tries");
    // Each trap takes its instance with it.
    assert_eq!(link.configured.stats().instances.get(), 0);
}

#[test]
fn instances_that_nobody_needs_go() {
    let rig = Rig::new();
    let link = rig.link(&keeper(1), OnFailure::Pass);
    rig.run(std::slice::from_ref(&link)).unwrap();
    let stats = link.configured.stats();
    link.configured.sweep(rig.clock.monotonic_now());
    assert_eq!(stats.instances.get(), 1);
    rig.clock.pass(Nanos::from_secs(61));
    link.configured.sweep(rig.clock.monotonic_now());
    assert_eq!((stats.instances.get(), stats.memory_bytes.get()), (0, 0));
    rig.run(std::slice::from_ref(&link)).unwrap();
    assert_eq!(stats.instances.get(), 1, "another is made when somebody does");
}

impl Hand {
    fn monotonic_now(&self) -> Nanos {
        model::Clock::monotonic(self)
    }
}

#[test]
fn what_is_kept_of_a_failure_does_not_say_what_stood_there() {
    let rig = Rig::new();
    let guest = Guest { reads: vec![intrinsic(1), intrinsic(6)], ..trapper() };
    rig.run(&[rig.link(&guest, OnFailure::Pass)]).unwrap();
    let poison = rig.failures.of("guest").remove(0);
    let has = |text: &[u8]| poison.batch.windows(text.len()).any(|window| window == text);
    assert!(!has(b"span 1") && has(b"xxxx 0"), "{:?}", String::from_utf8_lossy(&poison.batch));
}
