//! What is refused leaves nothing behind, and what is taken stays inside the bound.

use std::sync::Arc;

use bytes::Bytes;
use model::wire::{put_bytes, put_message};
use model::{ByteSize, Clock, Nanos, TenantId};

use crate::disk::RealDisk;
use crate::{Append, Config, Kind, Store};

/// A clock that stands still.
#[derive(Debug)]
pub(crate) struct Still;

impl Clock for Still {
    fn now(&self) -> Nanos {
        Nanos::from_secs(1_000)
    }
    fn monotonic(&self) -> Nanos {
        Nanos(1)
    }
}

fn store(head: ByteSize) -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config::default();
    config.head.bytes_max = head;
    config.wal.segment_bytes = ByteSize::mib(1);
    let (disk, random) = (Arc::new(RealDisk), || Ok(7));
    let store = Store::open(disk, &dir.path().join("data"), &config, Arc::new(Still), random);
    let store = store.unwrap();
    store.replay().unwrap();
    (dir, store)
}

fn append(store: &Store, tenant: &str, body: Vec<u8>) -> Result<u64, Kind> {
    let tenant = TenantId::parse(tenant).unwrap();
    let request = Append { tenant, received_at: Nanos::from_secs(1_000), body: Bytes::from(body) };
    store.append(request).map(|pending| pending.accepted.spans).map_err(|error| error.kind())
}

/// A request of one span, made of a resource and what `span` adds to a valid span.
fn request(trace_id: [u8; 16], resource: &[u8], span: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
    let mut body = Vec::new();
    put_message(&mut body, 1, |rs| {
        put_message(rs, 1, |out| put_message(out, 1, |kv| put_bytes(kv, 1, resource)));
        put_message(rs, 2, |ss| {
            put_message(ss, 2, |out| {
                put_bytes(out, 1, &trace_id);
                put_bytes(out, 2, &[2; 8]);
                span(out);
            });
        });
    });
    body
}

fn attribute(out: &mut Vec<u8>, text: &[u8]) {
    put_message(out, 9, |kv| {
        put_bytes(kv, 1, b"key");
        put_message(kv, 2, |value| put_bytes(value, 1, text));
    });
}

#[test]
fn malformed_and_refused_requests_leave_nothing_in_the_head() {
    let (_dir, store) = store(ByteSize::mib(16));
    let bytes = || store.head_stats().bytes.get();
    assert_eq!(append(&store, "a", request([1; 16], b"small", |_| {})), Ok(1));
    let before = bytes();
    for round in 0..8u8 {
        // A resource of its own each time, and a last byte that makes no sense.
        let mut malformed = request([1; 16], &vec![b'a' + round; 4 << 20], |_| {});
        malformed.push(0x0f);
        assert_eq!(append(&store, &format!("tenant-{round}"), malformed), Err(Kind::Invalid));
        // A large value in a span without a trace id.
        let refused = request([0; 16], b"small", |out| attribute(out, &vec![round; 4 << 20]));
        assert_eq!(append(&store, "a", refused), Ok(0));
    }
    assert_eq!(bytes(), before);
    assert_eq!(append(&store, "a", request([3; 16], b"small", |_| {})), Ok(1));
    assert!(bytes() - before < 1 << 20, "{before} grew to {}", bytes());
    assert_eq!(store.head_stats().refused.get(), 8);
}

#[test]
fn a_small_body_that_grows_in_memory_is_held_to_the_bound() {
    let (_dir, store) = store(ByteSize::mib(16));
    for part in [11, 13] {
        // Two bytes each: an empty event or link.
        let swarm =
            |n| request([1; 16], b"small", |out| (0..n).for_each(|_| put_bytes(out, part, b"")));
        assert_eq!(append(&store, "a", swarm(2_000_000)), Err(Kind::TooLarge));
        assert_eq!(append(&store, "a", swarm(1_000)), Ok(1));
    }
    assert!(store.head_stats().bytes.get() < 16 << 20);
    // Smaller ones fit; a full head is sealed meanwhile, and may refuse until it is.
    let swarm =
        |_| request([1; 16], b"small", |out| (0..100_000).for_each(|_| put_bytes(out, 11, b"")));
    for body in (0..100).map(swarm) {
        let answer = append(&store, "a", body);
        assert!(matches!(answer, Ok(1) | Err(Kind::Unavailable)), "{answer:?}");
        // The open segment, a quarter at most, has vectors that may just have doubled.
        assert!(store.head_stats().bytes.get() < 24 << 20, "{}", store.head_stats().bytes.get());
    }
}

#[test]
fn every_tenant_finds_room_however_many_came_before() {
    let (_dir, store) = store(ByteSize::mib(512));
    for tenant in 0..70_000 {
        let body = request([1; 16], b"small", |_| {});
        assert_eq!(append(&store, &format!("t{tenant}"), body), Ok(1), "tenant {tenant}");
        if tenant % 1_000 == 0 {
            // The log's queue is bounded, too.
            while store.log_stats().queue_records.get() > 100 {
                std::thread::yield_now();
            }
        }
    }
    assert!(store.head_stats().segments.get() > 1);
}
