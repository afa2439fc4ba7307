//! The whole store on a disk that loses its power at every operation, fills up, and fails.

use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use model::{Nanos, TenantId, TimeRange, TraceId};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use store::log::edit::Edits;
use store::log::record::Format;
use store::log::{Entry, Outcome};
use store::{Accepted, Config, Error, Kind, State, Store};
use tests::clock::TestClock;
use tests::otlp;
use tests::wait::until;

use crate::disk::{Op, Rng, SimDisk};
use crate::ledger::{self, Draft, Ledger, NOW, Running, When, identity, spans_of};
use crate::world::{self, DIR};

/// Traces that the spans are spread over; each tenant has them all.
const TRACES: u64 = 6;
/// Requests in the life of each process.
const REQUESTS: u64 = 12;
/// How long to wait for what threads do.
const LIMIT: Duration = Duration::from_secs(20);

fn trace_id(number: u64) -> Vec<u8> {
    vec![u8::try_from(number % TRACES + 1).unwrap(); 16]
}

fn span(trace: u64, id: u64, name: &str) -> Span {
    Span {
        start_time_unix_nano: NOW - id,
        end_time_unix_nano: NOW,
        ..otlp::span(&trace_id(trace), &(id + 1).to_be_bytes(), name)
    }
}

/// An attribute that nests deeper than any reader should follow.
fn deep() -> KeyValue {
    let nest = |inner: AnyValue, _| AnyValue {
        value: Some(Value::ArrayValue(ArrayValue { values: vec![inner] })),
    };
    let value = (0..20).fold(AnyValue::default(), nest);
    KeyValue { key: "deep".to_owned(), value: Some(value), key_strindex: 0 }
}

/// The request of this number: spans of several traces, and in every third one some to refuse.
pub(crate) fn draft(number: u64) -> Draft {
    let mut rng = Rng(number);
    let count = 1 + rng.below(9);
    let good: Vec<Span> = (0..count)
        .map(|i| {
            let id = number * 100 + i;
            let text: String = (0..rng.below(60)).map(|_| format!("{:x}", rng.next())).collect();
            Span {
                attributes: vec![otlp::text("text", &text)],
                ..span(rng.below(TRACES), id, &format!("span {id}"))
            }
        })
        .collect();
    let mut all = good.clone();
    if number.is_multiple_of(3) {
        let (trace, id) = (rng.below(TRACES), number * 100 + 50);
        let bad = [
            Span { span_id: vec![0; 8], ..span(trace, id, "zero span id") },
            Span { attributes: vec![deep()], ..span(trace, id + 1, "too deep") },
            Span { trace_id: vec![7; 3], ..span(trace, id + 2, "short trace id") },
        ];
        for bad in bad {
            let at = rng.below(all.len() as u64 + 1);
            all.insert(usize::try_from(at).unwrap(), bad);
        }
    }
    let service = format!("service {}", number % 4);
    Draft {
        tenant: TenantId::parse(&format!("team-{}", number % 3)).unwrap(),
        marks: good.iter().map(identity).collect(),
        good: otlp::request(&service, good).resource_spans,
        body: otlp::request(&service, all),
    }
}

/// One process on the disk until its script ends or the power goes off; `true` when it ended in
/// order.
fn process(disk: &SimDisk, ledger: &mut Ledger, rng: &mut Rng, first: u64, close: bool) -> bool {
    let mut running = match Running::start(disk) {
        Ok(running) => running,
        Err(error) => {
            assert!(disk.crashed(), "cannot open: {error}");
            return false;
        }
    };
    ledger.check(&running.store, When::Restarted);
    let mut failed = 0;
    for number in first..first + REQUESTS {
        ledger.send(&mut running, draft(number));
        match rng.below(6) {
            0 => {}
            1 => drop(running.driver.prepare()),
            2 => drop(running.driver.commit()),
            3 => running.settle(),
            _ => {
                let kept = running.keep(rng);
                assert!(kept.is_ok() || disk.crashed(), "cannot keep: {kept:?}");
            }
        }
        failed += ledger.hear(&mut running);
        // Without power no file can be read.
        if rng.chance(20) && !disk.crashed() {
            ledger.check(&running.store, When::Live);
        }
    }
    if close {
        let closed = running.close();
        assert!(closed.is_ok() || disk.crashed(), "cannot close: {closed:?}");
    } else {
        running.settle();
    }
    failed += ledger.hear(&mut running);
    if !disk.crashed() {
        ledger.check(&running.store, When::Live);
    }
    assert!(failed == 0 || disk.crashed(), "{failed} requests failed without a reason");
    assert_eq!(running.store.stats().duplicates.get(), 0, "a span is stored twice");
    close && !disk.crashed()
}

/// Two processes one after the other, the first with an orderly end, the power going off after so
/// many operations in each; a third one finds what it must. The operations that each one made.
fn live(seed: u64, cuts: [Option<u64>; 2]) -> [u64; 2] {
    let mut made = [0; 2];
    let mut run = || {
        let mut rng = Rng(seed);
        let mut disk = SimDisk::new(seed ^ 0xd15c);
        let mut ledger = Ledger::default();
        for (life, cut) in cuts.into_iter().enumerate() {
            if let Some(cut) = cut {
                disk.crash_after(cut);
            }
            let before = disk.ops();
            let first = seed * 1000 + life as u64 * REQUESTS;
            let ended = process(&disk, &mut ledger, &mut rng, first, life == 0);
            made[life] = disk.ops() - before;
            // An orderly end needs no power cut to be tried, yet it must stand one.
            if !ended || rng.chance(50) {
                disk = disk.restart();
            }
        }
        for disk in [disk.fork(), disk.restart()] {
            let running = Running::start(&disk).expect("the last start");
            ledger.check(&running.store, When::Restarted);
            assert_eq!(running.store.stats().duplicates.get(), 0, "a span is stored twice");
        }
        if cuts == [None; 2] {
            assert_eq!(ledger.stored().len() as u64, 2 * REQUESTS, "all is acknowledged");
        }
    };
    let outcome = catch_unwind(AssertUnwindSafe(&mut run));
    outcome.unwrap_or_else(|fault| {
        let why = fault.downcast_ref::<String>().map_or("see above", String::as_str);
        panic!("live({seed}, {cuts:?}), {made:?} operations: {why}")
    });
    made
}

#[test]
fn a_power_cut_at_any_operation_loses_nothing_acknowledged() {
    for seed in 0..2 {
        let [first, second] = live(seed, [None; 2]);
        assert!(first > 60 && second > 40, "the script does something: {first}, {second}");
        for cut in cuts(first, seed, 7) {
            live(seed, [Some(cut), None]);
        }
        for cut in cuts(second, seed, 7) {
            live(seed, [None, Some(cut)]);
        }
    }
}

/// Where the power is cut: at every operation in the full proof, else at every so manyth.
fn cuts(operations: u64, first: u64, every: u64) -> impl Iterator<Item = u64> {
    let all = std::env::var_os("TRACEWEIR_PROVE_CUTS").is_some();
    let (first, every) = if all { (0, 1) } else { (first % every, every) };
    (first..operations).step_by(usize::try_from(every).unwrap())
}

#[test]
fn what_was_seen_after_kills_stays_over_a_power_cut() {
    let script = |seed: u64, cut: Option<u64>, again: u64| {
        let (mut rng, disk) = (Rng(seed), SimDisk::new(seed ^ 0xd15c));
        let mut ledger = Ledger::default();
        if let Some(cut) = cut {
            disk.crash_after(cut);
        }
        process(&disk, &mut ledger, &mut rng, 1, true);
        // The process is killed there, and the next one while it recovers; the system has what both
        // wrote.
        let (made, disk) = (disk.ops(), disk.kill());
        disk.crash_after(again);
        drop(Running::start(&disk));
        let disk = disk.kill();
        let running = Running::start(&disk).unwrap();
        ledger.check(&running.store, When::Restarted);
        drop(running);
        let running = Running::start(&disk.restart()).unwrap();
        ledger.check(&running.store, When::Restarted);
        made
    };
    for seed in 0..3 {
        for cut in cuts(script(seed, None, 0), seed, 7) {
            for again in 0..12 {
                script(seed, Some(cut), again);
            }
        }
    }
}

#[test]
fn power_cuts_while_recovering_lose_nothing_either() {
    let seed = 7;
    let [first, _] = live(seed, [None; 2]);
    for cut in cuts(first, seed, 19) {
        // Opening, settling what was torn, and the first segments are the first 20 or so.
        for again in (cut % 3..24).step_by(3) {
            live(seed, [Some(cut), Some(again)]);
        }
    }
}

#[test]
fn a_kill_at_any_operation_and_a_power_cut_soon_after_lose_nothing() {
    let seed = 11;
    let [first, _] = live(seed, [None; 2]);
    for cut in cuts(first, seed, 5) {
        // What the first process has named and not made durable, the second one sees.
        let disk = SimDisk::new(seed);
        let (mut ledger, mut rng) = (Ledger::default(), Rng(seed));
        disk.crash_after(cut);
        process(&disk, &mut ledger, &mut rng, seed * 1000, true);
        for again in (cut % 7..70).step_by(7) {
            let (disk, mut ledger, mut rng) = (disk.kill(), ledger.clone(), rng.clone());
            disk.reseed(cut * 100 + again);
            disk.crash_after(again);
            process(&disk, &mut ledger, &mut rng, seed * 1000 + REQUESTS, false);
            let running = Running::start(&disk.restart()).expect("the last start");
            ledger.check(&running.store, When::Restarted);
            assert_eq!(running.store.stats().duplicates.get(), 0, "a span is stored twice");
        }
    }
}

/// Waits for the answer.
fn answer(taken: Result<store::Pending, Error>) -> Result<Accepted, Error> {
    let pending = taken?;
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(pending.durable())
}

/// A store with threads of its own.
fn start(disk: &SimDisk) -> Result<Store, Error> {
    let store = ledger::open(disk)?;
    store.replay()?;
    Ok(store)
}

#[test]
fn with_threads_of_its_own_the_store_stands_a_power_cut_at_any_time() {
    for seed in 0..60 {
        let mut disk = SimDisk::new(seed);
        let mut ledger = Ledger::default();
        for cut in [seed * 2, seed] {
            disk.crash_after(cut);
            let Ok(store) = start(&disk) else {
                assert!(disk.crashed(), "seed {seed}");
                disk = disk.restart();
                continue;
            };
            ledger.check_while_on(&store, When::Restarted, &disk);
            let mut taken = Vec::new();
            for number in 0..60 {
                let draft = draft(cut * 1000 + number);
                match store.append(draft.append()) {
                    Ok(pending) => taken.push((draft, pending)),
                    Err(error) if error.kind() == Kind::Unavailable => std::thread::yield_now(),
                    Err(error) => assert_eq!(error.kind(), Kind::Fatal, "seed {seed}"),
                }
            }
            for (draft, pending) in taken {
                match answer(Ok(pending)) {
                    Ok(accepted) => ledger.note_stored(draft, &accepted),
                    Err(_) => ledger.note_unknown(draft),
                }
            }
            ledger.check_while_on(&store, When::Live, &disk);
            drop(store);
            disk = disk.restart();
        }
        let store = start(&disk).unwrap();
        ledger.check(&store, When::Restarted);
        assert_eq!(store.stats().duplicates.get(), 0, "seed {seed}");
    }
}

#[test]
fn what_was_refused_stays_refused_though_this_version_would_take_it() {
    // A record as a version with other rules wrote it: its second span was refused then.
    let disk = SimDisk::new(1);
    let spans = vec![span(0, 0, "first"), span(0, 1, "refused"), span(0, 2, "last")];
    let body = otlp::request("a", spans).encode_to_vec();
    let (mut log, _) = world::open(&disk).unwrap();
    log.settle();
    let packed = log.wal.pack(&body).unwrap();
    let entry = Entry {
        tenant: TenantId::single(),
        received_at: Nanos(NOW),
        format: Format::OtlpProtobuf,
        edits: Edits { refused: [1].into_iter().collect() },
    };
    log.wal.reserve(&packed).unwrap().append(entry, packed, Box::new(|_: Outcome| {}));
    log.settle();
    drop(log);

    let running = Running::start(&disk).unwrap();
    let id = TraceId::from_wire(&trace_id(0)).unwrap();
    let trace =
        running.store.trace(&TenantId::single().into(), id, TimeRange::ALL).unwrap().unwrap();
    let found = ExportTraceServiceRequest::decode(trace.otlp.as_slice()).unwrap();
    let names: Vec<_> = spans_of(&found.resource_spans).map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["first", "last"]);
}

#[test]
fn after_a_failed_sync_or_write_nothing_is_acknowledged_and_reads_go_on() {
    for (seed, op) in [(1, Op::Sync), (2, Op::Write)] {
        let disk = SimDisk::new(seed);
        let mut ledger = Ledger::default();
        let mut running = Running::start(&disk).unwrap();
        let (say, heard) = channel();
        running.store.on_failed(move |error| say.send(error.kind()).unwrap());
        for number in 0..5 {
            ledger.send(&mut running, draft(number));
            running.settle();
        }
        assert_eq!((ledger.hear(&mut running), ledger.stored().len()), (0, 5));

        // Appended, and never durable: these rows are behind what readers see, for good.
        disk.fail(op, "/wal/", ErrorKind::Other, 1);
        ledger.send(&mut running, draft(5));
        ledger.send(&mut running, draft(6));
        running.settle();
        assert_eq!(ledger.hear(&mut running), 2, "{op:?}");
        assert_eq!(heard.try_iter().collect::<Vec<_>>(), [Kind::Fatal], "{op:?}");
        for number in 7..30 {
            let refused = running.store.append(draft(number).append());
            assert_eq!(refused.unwrap_err().kind(), Kind::Fatal, "{op:?}");
            running.settle();
        }
        ledger.check(&running.store, When::Live);
        assert!(running.store.status().wal.failed.is_some());
        assert_eq!(running.close().unwrap_err().kind(), Kind::Fatal);
        ledger.check(&running.store, When::Live);
        drop(running);

        let running = Running::start(&disk.restart()).unwrap();
        ledger.check(&running.store, When::Restarted);
    }
}

#[test]
fn a_full_disk_refuses_until_there_is_space_and_no_restart_is_needed() {
    let disk = SimDisk::new(3);
    disk.set_capacity(90_000);
    let mut ledger = Ledger::default();
    let store = start(&disk).unwrap();
    let mut number = 0;
    let mut send = |ledger: &mut Ledger| {
        let draft = draft(number);
        number += 1;
        let accepted = answer(store.append(draft.append()))?;
        ledger.note_stored(draft, &accepted);
        Ok::<_, Error>(())
    };
    until("full disk", LIMIT, || {
        let refused = send(&mut ledger).err();
        let refused = refused.inspect(|error| assert_eq!(error.kind(), Kind::Unavailable));
        refused.and_then(|_| store.status().wal.full)
    });
    assert!(ledger.stored().len() > 10, "{}", ledger.stored().len());
    ledger.check(&store, When::Live);

    disk.set_capacity(u64::MAX);
    let before = ledger.stored().len();
    until("space again", LIMIT, || {
        let refused = send(&mut ledger).err();
        refused.inspect(|error| assert_eq!(error.kind(), Kind::Unavailable, "{error}"));
        (ledger.stored().len() > before + 40).then_some(())
    });
    assert_eq!(store.status().wal.full, None);
    ledger.check(&store, When::Live);
    store.close().unwrap();
    drop(store);
    ledger.check(&start(&disk.restart()).unwrap(), When::Restarted);
}

#[test]
fn a_dropped_store_finishes_what_is_under_way_and_leaves_the_directory() {
    let disk = SimDisk::new(4);
    // While the clock stands still, a second request waits for company as long as it may.
    let mut config = ledger::config();
    config.wal.commit.wait = model::Wait::millis(100);
    let clock = Arc::new(TestClock::at(Nanos(NOW)));
    let store = open_with(&disk, &config, clock);
    let mut ledger = Ledger::default();
    let accepted = answer(store.append(draft(0).append())).unwrap();
    ledger.note_stored(draft(0), &accepted);
    let pending = store.append(draft(1).append());
    drop(store);

    // The lock is free, so all of it is gone.
    let store = start(&disk).unwrap();
    ledger.note_stored(draft(1), &answer(pending).unwrap());
    ledger.check(&store, When::Restarted);
}

fn open_with(disk: &SimDisk, config: &Config, clock: Arc<TestClock>) -> Store {
    let path = std::path::Path::new(DIR);
    let store = Store::open(Arc::new(disk.clone()), path, config, clock, || Ok(1)).unwrap();
    store.replay().unwrap();
    store
}

#[test]
fn a_store_that_is_closed_before_its_replay_ends_stays_closed() {
    let disk = SimDisk::new(5);
    let store = ledger::open(&disk).unwrap();
    store.close().unwrap();
    let id = TraceId::from_wire(&trace_id(0)).unwrap();
    let early = store.trace(&TenantId::single().into(), id, TimeRange::ALL);
    assert_eq!(early.unwrap_err().kind(), Kind::Unavailable, "nothing is replayed yet");
    store.replay().unwrap();
    assert_eq!(store.state(), State::Closed);
    assert_eq!(store.append(draft(0).append()).unwrap_err().kind(), Kind::Unavailable);
    // Nothing works on the directory any more.
    let made = disk.ops();
    drop(store);
    assert_eq!(disk.ops(), made);
}
