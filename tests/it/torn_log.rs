//! A log that was torn or bit-flipped on the disk: what is whole comes back, nothing comes back
//! half, the damage is told, and the gateway goes on.

use std::ops::Range;

use tests::gateway::{Gateway, Options, Stopped};
use tests::otlp;
use tests::random::{Rng, seed};
use tests::wal::{Segment, segments};

const REQUESTS: usize = 30;
const SPANS: usize = 4;

/// A log of one record for each trace, killed, so that nothing marks its end.
fn written(options: Options, rng: &mut Rng) -> (Stopped, Vec<Vec<u8>>) {
    let gateway = options.start();
    let mut ids = Vec::new();
    for _ in 0..REQUESTS {
        let trace = otlp::trace(rng, SPANS);
        ids.push(trace[0].trace_id.clone());
        gateway.export(&otlp::request("torn", trace));
    }
    (gateway.kill(), ids)
}

fn last(segments: &[Segment]) -> (&Segment, Range<usize>) {
    let segment = segments.last().unwrap();
    (segment, segment.records.last().unwrap().clone())
}

/// Insists that these traces are whole, and each other one whole or gone.
fn check(gateway: &Gateway, ids: &[Vec<u8>], whole: Range<usize>, what: &str) {
    for (number, id) in ids.iter().enumerate() {
        let spans = gateway.trace(id).len();
        let must = whole.contains(&number);
        assert!(
            spans == SPANS || (!must && spans == 0),
            "{what}: {spans} of {SPANS} spans of trace {number}"
        );
    }
}

/// What is written from now on is kept, in spite of what was damaged before.
fn check_goes_on(gateway: Gateway, rng: &mut Rng, what: &str) {
    let trace = otlp::trace(rng, SPANS);
    let id = trace[0].trace_id.clone();
    gateway.export(&otlp::request("after", trace));
    let gateway = gateway.kill_and_restart();
    assert_eq!(gateway.trace(&id).len(), SPANS, "{what}: written after the damage");
}

#[test]
fn the_log_is_as_its_format_says() {
    let (stopped, _) = written(Options::new(), &mut Rng::new(1));
    let records: usize = segments(stopped.data()).iter().map(|s| s.records.len()).sum();
    assert_eq!(records, REQUESTS, "one record for each request");
}

#[test]
fn a_torn_last_record_is_cut_and_all_before_it_stays() {
    let seed = seed();
    let mut rng = Rng::new(seed);
    for round in 0..4 {
        let what = format!("seed {seed}, round {round}");
        let (stopped, ids) = written(Options::new(), &mut rng);
        let segments = segments(stopped.data());
        let (segment, record) = last(&segments);
        let torn = record.start + 1 + rng.below(record.len() - 9);
        // Cut off, or not yet written: a preallocated file reads as zeros there.
        segment.damage(|bytes| match round % 2 {
            0 => bytes.truncate(torn),
            _ => bytes[torn..].fill(0),
        });
        let gateway = stopped.start();
        check(&gateway, &ids, 0..REQUESTS - 1, &what);
        assert_eq!(gateway.trace(&ids[REQUESTS - 1]).len(), 0, "{what}: half a record is none");
        check_goes_on(gateway, &mut rng, &what);
    }
}

#[test]
fn a_flipped_bit_costs_its_record_only_what_it_must() {
    let seed = seed();
    let mut rng = Rng::new(seed);
    for round in 0..6 {
        let what = format!("seed {seed}, round {round}");
        let (stopped, ids) = written(Options::new(), &mut rng);
        let segments = segments(stopped.data());
        let segment = segments.last().unwrap();
        assert_eq!(segment.records.len(), REQUESTS, "{what}: all in one segment");
        let victim = rng.below(REQUESTS);
        let record = segment.records[victim].clone();
        let at = record.start + rng.below(record.len() - 8);
        let bit = rng.below(8);
        segment.damage(|bytes| bytes[at] ^= 1 << bit);
        let gateway = stopped.start();
        check(&gateway, &ids, 0..victim, &what);
        check_goes_on(gateway, &mut rng, &what);
    }
}

#[test]
fn noise_behind_the_last_record_is_no_record() {
    let seed = seed();
    let mut rng = Rng::new(seed);
    let (stopped, ids) = written(Options::new(), &mut rng);
    let segments = segments(stopped.data());
    let (segment, record) = last(&segments);
    segment.damage(|bytes| {
        for byte in &mut bytes[record.end..record.end + 4096] {
            *byte = rng.number().to_le_bytes()[0];
        }
    });
    let gateway = stopped.start();
    check(&gateway, &ids, 0..REQUESTS, &format!("seed {seed}"));
    check_goes_on(gateway, &mut rng, &format!("seed {seed}"));
}

#[test]
fn damage_in_an_older_segment_leaves_the_others_alone() {
    let seed = seed();
    let mut rng = Rng::new(seed);
    let options = Options::new().set("wal.segment_bytes", "64KiB");
    let gateway = options.start();
    let mut ids = Vec::new();
    for _ in 0..80 {
        let mut trace = otlp::trace(&mut rng, SPANS);
        let noise: String = (0..500).map(|_| format!("{:x}", rng.number())).collect();
        trace[0].attributes.push(otlp::text("noise", &noise));
        ids.push(trace[0].trace_id.clone());
        // Segments this small are prepared no faster than they fill, on a busy machine.
        gateway.export_until_taken(&otlp::request("torn", trace));
    }
    let stopped = gateway.kill();
    let segments = segments(stopped.data());
    assert!(segments.len() >= 3, "only {} segments", segments.len());
    let first = segments.first().unwrap();
    let middle = first.records.len() / 2;
    let record = first.records[middle].clone();
    first.damage(|bytes| bytes[record.start + 60] ^= 4);

    let gateway = stopped.start();
    let what = format!("seed {seed}");
    check(&gateway, &ids, 0..middle, &what);
    check(&gateway, &ids, first.records.len()..ids.len(), &what);
    let lost = ids.iter().filter(|id| gateway.trace(id).is_empty()).count();
    assert!((1..=first.records.len() - middle).contains(&lost), "{what}: {lost} traces lost");
    let told = gateway.log().lines().any(|line| line.contains("ERROR") || line.contains("WARN"));
    assert!(told, "{what}: damage is told to the operator");
    check_goes_on(gateway, &mut rng, &what);
}
