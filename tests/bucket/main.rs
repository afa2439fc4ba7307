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
fn of_many_blocks_a_catalog_tells_which_have_what_is_looked_for() {
    const BLOCKS: u64 = 40;
    let (dir, objects) = bucket(&[100; 40]);
    let cold = || World::open(&objects, dir.path(), Some(&memory()));
    cold().catalog();
    let world = cold();
    // One of the catalog, one of the index, one of pages.
    let (cold_gets, spans) = world.gets(|store| by_id(store, trace_id(7, 9)));
    assert_eq!(spans, SPANS);
    assert!(cold_gets <= 3, "{cold_gets} requests");
    assert_eq!(world.gets(|store| by_id(store, trace_id(7, 9))), (0, SPANS));
    let (absent, spans) = world.gets(|store| by_id(store, trace_id(BLOCKS + 1, 1)));
    assert_eq!(spans, 0);
    assert!(absent <= 1, "{absent} requests");
    // Texts, ids, and what one block has.
    drop(world);
    let world = cold();
    let query = format!("{{ span.user.id = \"{}\" }}", user(3, 5));
    let (needle, found) = world.gets(|store| search(store, &query, 20));
    assert_eq!(found.traces.len(), 1);
    assert!(needle <= 8, "{needle} requests");
    let spared = world.store.catalogs().spared.get();
    // Two looks at each: of the one that reads ahead, and of the search.
    assert!(spared >= 2 * BLOCKS * 98 / 100 - 2, "{spared} of {BLOCKS} were not asked");
    assert_eq!(world.gets(|store| search(store, &query, 20).traces.len()), (0, 1));
}

#[test]
fn what_look_ups_begin_with_is_read_ahead_once() {
    // Forty in a catalog, a few in another, and seven in none.
    let (dir, objects) = bucket(&[100; 72]);
    let open = || World::open(&objects, dir.path(), Some(&memory()));
    open().catalog();
    let world = open();
    (72..80).for_each(|block| world.block(block, 5));
    world.catalog();
    (80..87).for_each(|block| world.block(block, 60));
    drop(world);
    let world = open();
    let (ahead, ()) = world.gets(|_| world.read_ahead());
    assert!((8..=7 + 3).contains(&ahead), "{ahead} requests");
    assert_eq!(world.gets(|_| world.read_ahead()), (0, ()), "once is enough");
    // One of the index and one of pages; of what is in no catalog one of pages; of what nobody has, none.
    for (block, most) in [(7, 2), (75, 2), (84, 1)] {
        let (gets, spans) = world.gets(|store| by_id(store, trace_id(block, 3)));
        assert_eq!(spans, SPANS);
        assert!(gets <= most, "{gets} requests for a trace of block {block}");
    }
    assert_eq!(world.gets(|store| by_id(store, trace_id(999, 3))), (0, 0));
}

#[test]
fn what_is_in_no_catalog_yet_is_found_and_joined_all_the_same() {
    let (dir, objects) = bucket(&[50; 20]);
    let world = World::open(&objects, dir.path(), Some(&memory()));
    world.catalog();
    // Written by now: part of a trace that stands in a block of the catalog, and traces of its own.
    world.block(20, 50);
    world.more(3, 5, 50);
    drop(world);
    let world = World::open(&objects, dir.path(), Some(&memory()));
    assert_eq!(by_id(&world.store, trace_id(20, 7)), SPANS);
    assert_eq!(by_id(&world.store, trace_id(3, 5)), SPANS + 1);
    let query = format!("{{ span.user.id = \"{}\" }} | count() > {SPANS}", user(3, 5));
    assert_eq!(search(&world.store, &query, 20).traces.len(), 1);
    // And once more with all of them in one.
    for block in 21..29 {
        world.block(block, 3);
    }
    world.catalog();
    drop(world);
    let world = World::open(&objects, dir.path(), Some(&memory()));
    assert_eq!(by_id(&world.store, trace_id(3, 5)), SPANS + 1);
    assert_eq!(search(&world.store, &query, 20).traces.len(), 1);
    assert!(world.store.catalogs().spared.get() > 0);
}

#[test]
fn a_block_that_is_gone_keeps_no_other_out_of_a_catalog() {
    let (dir, objects) = bucket(&[20; 10]);
    let world = World::open(&objects, dir.path(), Some(&memory()));
    world.remove(&objects, 1);
    world.catalog();
    let stats = world.store.keep_stats();
    assert_eq!((stats.catalogs.get(), stats.catalogs_failed.get()), (1, 0));
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
