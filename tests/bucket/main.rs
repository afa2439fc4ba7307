//! How many requests queries over blocks in a bucket take: pinned, so that they do not creep up.

use hybrid::Config;
use model::ByteSize;
use tests::bucket::{Objects, SPANS, World, by_id, objects, search, trace_id, user};

/// A cache in memory: a store that is opened anew has nothing.
fn memory() -> Config {
    Config { disk_bytes_max: ByteSize(0), ..Config::default() }
}

/// Blocks of so many traces each, in a bucket.
fn bucket(blocks: &[u64]) -> (tempfile::TempDir, Objects) {
    let (dir, objects) = (tempfile::tempdir().expect("a directory"), objects());
    let world = World::open(&objects, dir.path(), Some(&memory()));
    (0..).zip(blocks).for_each(|(block, traces)| world.block(block, *traces));
    (dir, objects)
}

#[test]
fn a_trace_takes_at_most_three_requests_cold_and_none_warm() {
    // A small block comes whole; a large one has a row group as large as they are.
    for (traces, most) in [(40, 1), (400, 2), (8_000, 3)] {
        let (dir, objects) = bucket(&[traces]);
        let world = World::open(&objects, dir.path(), Some(&memory()));
        let id = trace_id(0, traces / 2);
        let (cold, spans) = world.gets(|store| by_id(store, id));
        assert_eq!(spans, SPANS);
        assert!(cold <= most, "{cold} requests for one of {traces} traces");
        assert_eq!(world.gets(|store| by_id(store, id)), (0, SPANS));
    }
}

#[test]
fn a_needle_takes_few_requests_cold_and_none_warm() {
    for (traces, most) in [(40, 1), (400, 3), (8_000, 5)] {
        let (dir, objects) = bucket(&[traces]);
        let world = World::open(&objects, dir.path(), Some(&memory()));
        let query = format!("{{ span.user.id = \"{}\" }}", user(0, traces / 2));
        let ask = || world.gets(|store| search(store, &query, 20).traces.len());
        let (cold, found) = ask();
        assert_eq!(found, 1);
        assert!(cold <= most, "{cold} requests for one of {traces} traces");
        assert_eq!(ask(), (0, 1));
    }
}

#[test]
fn of_many_blocks_each_is_asked_once_for_its_index_and_one_for_pages() {
    let (dir, objects) = bucket(&[400; 12]);
    let world = World::open(&objects, dir.path(), Some(&memory()));
    let (cold, spans) = world.gets(|store| by_id(store, trace_id(7, 9)));
    assert_eq!(spans, SPANS);
    assert!(cold <= 12 + 2, "{cold} requests");
    // Where others are is known by now.
    let (warm, _) = world.gets(|store| by_id(store, trace_id(8, 9)));
    assert!(warm <= 2, "{warm} requests");
    let query = format!("{{ span.user.id = \"{}\" }}", user(3, 5));
    let (needle, found) = world.gets(|store| search(store, &query, 20));
    assert_eq!(found.traces.len(), 1);
    // Filters of each, and of one what is there.
    assert!(needle <= 12 + 4, "{needle} requests");
}

#[test]
fn the_index_of_a_block_is_there_as_soon_as_it_is_written() {
    let (dir, objects) = (tempfile::tempdir().unwrap(), objects());
    let world = World::open(&objects, dir.path(), Some(&memory()));
    world.block(0, 2_000);
    let (gets, _) = world.gets(|store| by_id(store, trace_id(0, 9)));
    assert!(gets <= 1, "{gets} requests besides that for its pages");
}

#[test]
fn the_disk_has_what_was_read_after_a_restart() {
    let (dir, objects) = bucket(&[2_000]);
    let config = Config { disk_bytes_max: ByteSize::mib(256), ..Config::default() };
    let world = World::open(&objects, dir.path(), Some(&config));
    assert_eq!(by_id(&world.store, trace_id(0, 9)), SPANS);
    world.settle();
    drop(world);
    let world = World::open(&objects, dir.path(), Some(&config));
    assert_eq!(world.gets(|store| by_id(store, trace_id(0, 9))), (0, SPANS));
}
