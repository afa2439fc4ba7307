//! Whatever OTLP allows, through any schedule of restarts and power cuts: what is found by id is
//! what went in, by the rules of identity.

use std::panic::{AssertUnwindSafe, catch_unwind};

use model::TenantId;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use tests::otlp;
use tests::random::{self, Arbitrary};

use crate::disk::{Rng, SimDisk};
use crate::ledger::{Draft, Ledger, NOW, Running, When, identity, spans_of};

const SEEDS: u64 = 12;
const LIVES: u64 = 6;
const TRACES: usize = 8;

/// A request with spans of its own, copies of stored ones, and spans that must be refused.
fn draft(rng: &mut Rng, arbitrary: &mut Arbitrary, ledger: &Ledger) -> Draft {
    let tenant = TenantId::parse(["a", "b"][usize::try_from(rng.below(2)).unwrap()]).unwrap();
    let mut good = loop {
        let request = arbitrary.request().resource_spans;
        if spans_of(&request).next().is_some() {
            break request;
        }
    };
    let marks = spans_of(&good).map(identity).collect();
    let stored = ledger.stored();
    let mut same_tenant = stored.iter().filter(|draft| draft.tenant == tenant);
    if rng.chance(40)
        && let Some(earlier) = same_tenant.nth(usize::try_from(rng.below(5)).unwrap())
    {
        let mut copies = earlier.good.clone();
        if rng.chance(50) {
            change(&mut copies);
        }
        let at = usize::try_from(rng.below(good.len() as u64 + 1)).unwrap();
        good.splice(at..at, copies);
    }
    let mut body = ExportTraceServiceRequest { resource_spans: good.clone() };
    for of in body.resource_spans.iter_mut().flat_map(|of| &mut of.scope_spans) {
        if rng.chance(20) {
            let at = usize::try_from(rng.below(of.spans.len() as u64 + 1)).unwrap();
            of.spans.insert(at, bad(rng, arbitrary));
        }
    }
    Draft { tenant, body, good, marks }
}

/// Other content under the same identities.
fn change(message: &mut [ResourceSpans]) {
    let scopes = message.iter_mut().flat_map(|of| &mut of.scope_spans);
    for span in scopes.flat_map(|of: &mut ScopeSpans| &mut of.spans) {
        span.name.push_str(" changed");
    }
}

fn bad(rng: &mut Rng, arbitrary: &Arbitrary) -> Span {
    let trace = &arbitrary.trace_ids()[usize::try_from(rng.below(TRACES as u64)).unwrap()];
    let id = rng.next().to_le_bytes();
    let mut span = otlp::span(trace, &id, "bad");
    match rng.below(4) {
        0 => span.trace_id = vec![0; 16],
        1 => span.trace_id.truncate(8),
        2 => span.span_id = vec![0; 8],
        _ => span.parent_span_id = vec![1; 5],
    }
    span
}

/// One process; whatever happens to it happens at any time.
fn process(disk: &SimDisk, ledger: &mut Ledger, rng: &mut Rng, arbitrary: &mut Arbitrary) {
    if rng.chance(70) {
        disk.crash_after(rng.below(120));
    }
    let Ok(mut running) = Running::start(disk) else {
        assert!(disk.crashed(), "cannot open");
        return;
    };
    ledger.check(&running.store, When::Restarted);
    ledger.retry(&mut running, || rng.chance(30));
    let mut failed = 0;
    for _ in 0..rng.below(10) {
        let draft = draft(rng, arbitrary, ledger);
        ledger.send(&mut running, draft);
        if rng.chance(50) {
            running.settle();
        }
        if rng.chance(40) {
            let kept = running.keep(rng);
            assert!(kept.is_ok() || disk.crashed(), "cannot keep: {kept:?}");
        }
        failed += ledger.hear(&mut running);
        // Without power no file can be read.
        if rng.chance(15) && !disk.crashed() {
            ledger.check(&running.store, When::Live);
        }
    }
    if rng.chance(40) {
        let closed = running.close();
        assert!(closed.is_ok() || disk.crashed(), "cannot close: {closed:?}");
    }
    failed += ledger.hear(&mut running);
    if !disk.crashed() {
        ledger.check(&running.store, When::Live);
    }
    assert!(failed == 0 || disk.crashed(), "{failed} requests failed without a reason");
}

fn live(seed: u64) {
    let mut rng = Rng(seed);
    let mut arbitrary = Arbitrary::new(random::Rng::new(seed), TRACES).at(NOW);
    let mut disk = SimDisk::new(seed);
    let mut ledger = Ledger::default();
    for _ in 0..LIVES {
        process(&disk, &mut ledger, &mut rng, &mut arbitrary);
        // A kill leaves what the system has of the files, a power cut does not.
        disk = if rng.chance(40) { disk.kill() } else { disk.restart() };
    }
    let running = Running::start(&disk.restart()).expect("the last start");
    ledger.check(&running.store, When::Restarted);
}

#[test]
fn by_id_comes_out_what_went_in_over_any_restarts() {
    let first = random::seed();
    for seed in (0..SEEDS).map(|i| first.wrapping_add(i)) {
        catch_unwind(AssertUnwindSafe(|| live(seed))).unwrap_or_else(|fault| {
            let why = fault.downcast_ref::<String>().map_or("see above", String::as_str);
            panic!("TRACEWEIR_SEED={seed}: {why}")
        });
    }
}
