//! What an ack promises, as configured: `fsync` and `os` survive our crash, `memory` does not.

use tests::gateway::{Gateway, Options};
use tests::load::{Load, Shape};
use tests::otlp;
use tests::random::{Rng, seed};
use tests::wait::until;

fn sent_and_killed(durability: &str) -> (Gateway, tests::load::Sent) {
    let gateway = Options::new().set("wal.durability", durability).start();
    let load = Load::start(gateway.at, 3, Shape::default(), seed());
    until("load", std::time::Duration::from_secs(60), || (load.acked() >= 100).then_some(()));
    let stopped = gateway.kill();
    let sent = load.stop();
    (stopped.start(), sent)
}

#[test]
fn fsync_and_os_survive_a_crash_of_the_process() {
    for durability in ["fsync", "os"] {
        let (gateway, sent) = sent_and_killed(durability);
        sent.assert_kept(&gateway, durability);
    }
}

#[test]
fn memory_is_searchable_and_writes_nothing() {
    let gateway = Options::new().set("wal.durability", "memory").start();
    let trace = otlp::trace(&mut Rng::new(1), 3);
    let id = trace[0].trace_id.clone();
    gateway.export(&otlp::request("memory", trace));
    assert_eq!(gateway.trace(&id).len(), 3);
    let unwritten = !gateway.data().join("wal").try_exists().unwrap()
        || tests::wal::segments(gateway.data()).is_empty();
    assert!(unwritten, "the log has a record");
    assert_eq!(gateway.kill_and_restart().trace(&id).len(), 0);
}
