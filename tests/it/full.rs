//! Full is a state that passes: UNAVAILABLE with a retry hint, reads go on, nothing acked is lost.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use prost::Message;
use tests::gateway::{Gateway, Options};
use tests::h2;
use tests::http::Request;
use tests::load::{Load, Sent, Shape};
use tests::otlp;
use tests::pb::Status;
use tests::random::{Rng, seed};
use tests::wait::until;

const LIMIT: Duration = Duration::from_secs(60);
const HEAVY: Shape = Shape { spans: 20, filler_bytes: 3_000 };

/// Sends until the gateway refuses, having taken something before.
fn fill(gateway: &Gateway, seed: u64, once_taken: impl FnOnce()) -> Sent {
    let load = Load::start(gateway.at, 4, HEAVY, seed);
    until("acks", LIMIT, || (load.acked() >= 20).then_some(()));
    once_taken();
    until("refusal", LIMIT, || (load.refused() >= 4).then_some(()));
    load.stop()
}

fn big(rng: &mut Rng) -> impl Message {
    let mut trace = otlp::trace(rng, 20);
    for span in &mut trace {
        let noise: String = (0..200).map(|_| format!("{:x}", rng.number())).collect();
        span.attributes.push(otlp::text("noise", &noise));
    }
    otlp::request("probe", trace)
}

fn refuses(gateway: &Gateway) -> bool {
    let body = big(&mut Rng::new(tests::wait::now_nanos())).encode_to_vec();
    Request::otlp(body).send(gateway.at.otlp_http).status == 503
}

/// A refusal says when to come back, on each protocol.
fn check_refusals(gateway: &Gateway) {
    let mut rng = Rng::new(tests::wait::now_nanos());
    let reply = Request::otlp(big(&mut rng).encode_to_vec()).send(gateway.at.otlp_http);
    assert_eq!((reply.status, reply.content_type()), (503, "application/x-protobuf"), "{reply:?}");
    let after: u32 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&after), "{reply:?}");
    let status = Status::decode(reply.body.as_slice()).unwrap();
    assert_eq!(status.code, 14, "{status:?}");
    assert!(status.retry_seconds().unwrap() > 0.0, "{status:?}");

    let mut connection = h2::Connection::open(gateway.at.otlp_grpc).unwrap();
    let answer = connection.export(&big(&mut rng)).unwrap();
    assert_eq!(answer.code, 14, "{answer:?}");
    assert!(answer.retry_seconds().unwrap() > 0.0, "{answer:?}");
    assert_eq!(answer.details.as_ref().unwrap().code, 14, "{answer:?}");
}

#[test]
fn a_head_that_fills_is_sealed_and_takes_more() {
    let seed = seed();
    let gateway = Options::new().set("head.bytes_max", "16MiB").start();
    let load = Load::start(gateway.at, 4, HEAVY, seed);
    // 60 kB a trace: several heads full. Refusals while a seal runs are told and sent again.
    until("acks", LIMIT, || (load.acked() >= 1_500).then_some(()));
    let sent = load.stop();
    sent.assert_kept(&gateway, &format!("seed {seed}, several heads"));
    assert!(!gateway.search("").is_empty());

    let gateway = gateway.kill_and_restart();
    sent.assert_kept(&gateway, &format!("seed {seed}, several heads, after a restart"));
    until("room", LIMIT, || (!refuses(&gateway)).then_some(()));
}

#[test]
fn a_log_that_fills_has_the_head_sealed_and_takes_more() {
    let seed = seed();
    let gateway = Options::new()
        .set("head.bytes_max", "512MiB")
        .set("wal.segment_bytes", "256KiB")
        .set("wal.bytes_max", "2MiB")
        .start();
    // What the log compresses well takes long to fill it, so let it be noise.
    let mut rng = Rng::new(seed);
    let (mut acked, mut bytes) = (Vec::new(), 0);
    until("several logs", LIMIT, || {
        let mut trace = otlp::trace(&mut rng, 20);
        let noise: String = (0..2_000).map(|_| format!("{:x}", rng.number())).collect();
        bytes += noise.len();
        trace[0].attributes.push(otlp::text("noise", &noise));
        let id = trace[0].trace_id.clone();
        let body = otlp::request("log", trace).encode_to_vec();
        let reply = Request::otlp(body).send(gateway.at.otlp_http);
        match reply.status {
            200 => acked.push(id),
            // While a seal runs.
            503 => {}
            _ => panic!("{reply:?}"),
        }
        // Half of it is left by the compressor.
        (acked.len() > 20 && bytes > 5 * (4 << 20)).then_some(())
    });
    let check = |gateway: &Gateway, when: &str| {
        for id in &acked {
            assert_eq!(gateway.trace(id).len(), 20, "seed {seed}, {when}");
        }
    };
    check(&gateway, "several logs later");
    let gateway = gateway.kill_and_restart();
    check(&gateway, "after a restart");
    until("room", LIMIT, || (!refuses(&gateway)).then_some(()));
}

/// A small file system of its own, unmounted at the end.
struct Mount<'a>(&'a Path);

impl<'a> Mount<'a> {
    /// `None` where this may not be done (it takes root).
    fn tmpfs(at: &'a Path, size: &str) -> Option<Self> {
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(at);
        let output = command.output().ok()?;
        output.status.success().then_some(Self(at))
    }
}

impl Drop for Mount<'_> {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(self.0).status());
    }
}

#[test]
fn a_full_disk_refuses_for_now_and_recovers_by_itself() {
    let seed = seed();
    let home = tempfile::tempdir().unwrap();
    let Some(mount) = Mount::tmpfs(home.path(), "24m") else {
        #[expect(clippy::print_stderr, reason = "a skip is said aloud")]
        {
            eprintln!("SKIPPED: a full disk needs a tmpfs of its own, and mounting one needs root");
        }
        return;
    };
    let data = home.path().join("data");
    let options = Options::new()
        .set("wal.segment_bytes", "256KiB")
        .set("head.bytes_max", "512MiB")
        .set("disk.bytes_max", "64MiB");
    let gateway = options.start_on(&data);
    let ballast = home.path().join("ballast");
    let sent = fill(&gateway, seed, || {
        // Somebody else takes the space.
        let mut length = 24 << 20;
        while fs::write(&ballast, vec![1; length]).is_err() {
            length -= 256 << 10;
        }
    });
    check_refusals(&gateway);
    sent.assert_kept(&gateway, &format!("seed {seed}, full"));

    fs::remove_file(&ballast).unwrap();
    until("recovery without a restart", LIMIT, || (!refuses(&gateway)).then_some(()));
    let load = Load::start(gateway.at, 2, Shape::default(), seed + 1);
    until("load", LIMIT, || (load.acked() >= 20).then_some(()));
    let more = load.stop();
    let gateway = gateway.kill_and_restart();
    sent.assert_kept(&gateway, &format!("seed {seed}, recovered"));
    more.assert_kept(&gateway, &format!("seed {seed}, after the recovery"));

    drop(gateway.stop());
    drop(mount);
}
