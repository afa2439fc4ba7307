//! kill -9 at random moments under load: what was acknowledged is there, exactly once.
//!
//! Five cycles in every run; `TRACEWEIR_PROVE_KILLS=50` is the full proof.

use std::time::Duration;

use tests::gateway::{Gateway, Options};
use tests::load::{Load, Sent, Shape};
use tests::random::{Rng, seed};
use tests::wait::until;

const CLIENTS: u64 = 4;

fn cycles() -> usize {
    let given = std::env::var("TRACEWEIR_PROVE_KILLS").ok();
    given.map_or(5, |text| text.parse().expect("TRACEWEIR_PROVE_KILLS is a number"))
}

/// One run under load until a moment that chance picks; returns what was sent.
fn load_until(gateway: &Gateway, rng: &mut Rng) -> Load {
    let shape = Shape { spans: 1 + rng.below(40), filler_bytes: rng.below(400) };
    let load = Load::start(gateway.at, CLIENTS, shape, rng.number());
    let enough = rng.below(300) as u64;
    until("load", Duration::from_secs(60), || (load.acked() >= enough).then_some(()));
    load
}

#[test]
fn every_acked_span_survives_kill_9_exactly_once() {
    let seed = seed();
    let mut rng = Rng::new(seed);
    let mut gateway = busy().start();
    let mut all = Sent::default();
    let mut slowest = Duration::ZERO;
    let cycles = cycles();
    for cycle in 0..cycles {
        let load = load_until(&gateway, &mut rng);
        let stopped = gateway.kill();
        let sent = load.stop();
        gateway = stopped.start();
        slowest = slowest.max(gateway.started_in);
        sent.assert_kept(&gateway, &format!("seed {seed}, after kill {cycle}"));
        all.extend(sent);
    }
    all.assert_kept(&gateway, &format!("seed {seed}, after all {cycles} kills"));
    #[expect(clippy::print_stderr, reason = "a figure for people, shown with --nocapture")]
    {
        eprintln!(
            "{cycles} kills, {} spans acked, {} requests unanswered, restart to ready at most {slowest:?}",
            all.acked_spans(),
            all.unanswered.len(),
        );
    }
    assert!(all.acked_spans() > 0, "seed {seed}: nothing was acknowledged");
}

/// Small segments and files that are merged at once, so that kills hit their changes, too.
fn busy() -> Options {
    Options::new()
        .set("wal.segment_bytes", "256KiB")
        .set("head.bytes_max", "64MiB")
        .set("head.seal.rows", "1000")
        .set("l0.window", "0s")
}

#[test]
fn a_crash_at_any_named_point_of_sealing_and_merging_loses_nothing() {
    let seed = seed();
    let mut rng = Rng::new(seed);
    for cycle in 0..cycles().div_ceil(store::fault::POINTS.len()) {
        // Catalogs are of blocks in a bucket: other tests end there.
        let points = store::fault::POINTS.into_iter();
        for point in points.filter(|point| !point.starts_with("catalog")) {
            // The first tidying is at the start, before there is anything to lose.
            let first = 1 + usize::from(point == "tidy");
            // Eight merges make one compaction.
            let times = if point.starts_with("compact") { 2 } else { 4 };
            let at = format!("{point}:{}", first + rng.below(times));
            let mut gateway = busy().environment("TRACEWEIR_CRASH_AT", &at).start();
            let shape = Shape { spans: 20, filler_bytes: 100 };
            let load = Load::start(gateway.at, CLIENTS, shape, rng.number());
            let code = gateway.wait_end(Duration::from_secs(60));
            assert_eq!(code, None, "seed {seed}, {at}: it ends by a signal");
            let sent = load.stop();
            let gateway = gateway.kill().environment("TRACEWEIR_CRASH_AT", "tidy:1000000").start();
            let what = format!("seed {seed}, {at}, cycle {cycle}");
            sent.assert_kept(&gateway, &what);
            gateway.flush("l1");
            sent.assert_kept(&gateway, &format!("{what}, merged"));
            assert!(sent.acked_spans() > 0, "{what}: nothing was acknowledged");
        }
    }
}

#[test]
fn a_kill_during_the_replay_loses_nothing() {
    let seed = seed();
    let mut rng = Rng::new(seed);
    let gateway = Gateway::start();
    let load = load_until(&gateway, &mut rng);
    let mut stopped = gateway.kill();
    let sent = load.stop();
    for _ in 0..3 {
        stopped = stopped.start_unready().kill();
    }
    sent.assert_kept(&stopped.start(), &format!("seed {seed}"));
}
