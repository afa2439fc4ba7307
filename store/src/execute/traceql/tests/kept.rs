//! What searches have found in files before.

use std::sync::atomic::Ordering;

use super::search::{ask, run};
use super::world::{Attr, NOW, S, SECOND, Still, Where, World};
use crate::execute::traceql::SearchAnswer;

fn at(trace: u8, id: u8, parent: u8, name: &'static str) -> S {
    let start = NOW - SECOND * u64::from(20 - trace) + u64::from(id);
    S { trace, id, parent, name, start, ..S::default() }
}

/// A search of the first parts of a world.
fn search(world: &mut World, parts: usize, query: &str, limit: usize) -> SearchAnswer {
    world.see(0..parts);
    run(world, &ask(&traceql::parse(query).unwrap(), limit))
}

fn traces(answer: &SearchAnswer) -> Vec<u8> {
    answer.traces.iter().map(|found| found.id.as_bytes()[15]).collect()
}

#[test]
fn what_is_asked_again_is_not_read_again() {
    let spans = [at(1, 1, 0, "a"), at(2, 1, 0, "a"), at(3, 1, 0, "b")];
    for place in [Where::Block, Where::L0] {
        let mut world = World::at(place, spans.clone());
        let mut ask = |query: &str| search(&mut world, 9, query, 9);
        let first = ask("{ name = `a` }");
        assert!(first.inspected.bytes > 0);
        let again = ask("{name=\"a\"}");
        assert_eq!((&again.traces, again.inspected.bytes), (&first.traces, 0));
        let without_bytes = |answer: &SearchAnswer| {
            let of = answer.inspected;
            (of.units, of.units_total, of.spans, of.traces)
        };
        assert_eq!(without_bytes(&again), without_bytes(&first));
        assert_eq!(traces(&ask("{ name = `b` }")), [3]);
        assert_eq!(traces(&ask("{ name = `a` } | count() > 0")), [2, 1]);
    }
}

#[test]
fn one_of_the_newest_that_goes_on_elsewhere_makes_room_for_an_older_one() {
    let mut world = World::new(vec![
        (at(1, 1, 0, "a"), Where::Block, 0),
        (at(2, 1, 0, "a"), Where::Block, 0),
        (at(2, 2, 1, "a"), Where::Head, 0),
    ]);
    let query = "{ } | count() = 1";
    assert_eq!(traces(&search(&mut world, 1, query, 1)), [2]);
    assert_eq!(traces(&search(&mut world, 2, query, 1)), [1]);
    assert_eq!(traces(&search(&mut world, 1, query, 1)), [2]);
}

#[test]
fn a_trace_that_did_not_match_may_when_more_of_it_comes() {
    let mut world = World::new(vec![
        (at(1, 1, 0, "a"), Where::Block, 0),
        (at(1, 3, 2, "b"), Where::Block, 0),
        (at(1, 2, 1, "link"), Where::L0, 0),
    ]);
    let query = "{ name = `a` } >> { name = `b` }";
    assert_eq!(traces(&search(&mut world, 1, query, 9)), [0u8; 0]);
    assert_eq!(traces(&search(&mut world, 2, query, 9)), [1]);
    assert_eq!(traces(&search(&mut world, 1, query, 9)), [0u8; 0]);
}

#[test]
fn traces_of_several_files_are_brought_together_once() {
    let mut world = World::new(vec![
        (at(1, 1, 0, "a"), Where::Block, 0),
        (at(1, 2, 1, "b"), Where::Block, 1),
        (at(2, 1, 0, "c"), Where::L0, 0),
    ]);
    let query = "{ name = `a` } > { name = `b` }";
    let first = search(&mut world, 3, query, 9);
    let again = search(&mut world, 3, query, 9);
    assert_eq!((&again.traces, again.inspected.bytes), (&first.traces, 0));
    assert_eq!(traces(&again), [1]);
    // Of other places it is another trace.
    assert_eq!(traces(&search(&mut world, 1, query, 9)), [0u8; 0]);
}

#[test]
fn what_could_not_be_read_is_not_kept_as_nothing() {
    let spans = vec![
        (at(1, 1, 0, "a"), Where::Block, 0),
        (at(2, 1, 0, "a"), Where::Block, 1),
        (at(2, 2, 1, "a"), Where::Block, 0),
    ];
    for query in ["{ name = `a` }", "{ name = `a` } | count() > 0", "{ } > { } || { }"] {
        let mut world = World::new(spans.clone());
        // Now both are open, and nothing is read of them.
        assert_eq!(traces(&search(&mut world, 9, "{ .nobody = 1 }", 9)), [0u8; 0]);
        world.is_broken.store(true, Ordering::Relaxed);
        let request = ask(&traceql::parse(query).unwrap(), 9);
        let (answer, problems) = world.look_and_tell(|parts| {
            crate::execute::traceql::search(parts, &Still, &request, &mut |_, _| {}).unwrap()
        });
        assert!(traces(&answer).is_empty() && problems > 0, "{query}");
        world.is_broken.store(false, Ordering::Relaxed);
        for _ in 0..2 {
            assert_eq!(traces(&search(&mut world, 9, query, 9)), [2, 1], "{query}");
        }
    }
}

#[test]
fn a_part_that_could_not_be_read_is_looked_for_again() {
    let with = |span: S| S { attrs: vec![("z", Attr::Text("v"))], kind: 2, ..span };
    // The L0 can be read all the time, the block cannot.
    let spans = vec![
        (with(at(1, 1, 0, "a")), Where::Block, 0),
        (with(at(1, 2, 1, "b")), Where::L0, 0),
        (with(at(1, 3, 2, "c")), Where::L0, 0),
    ];
    for query in ["{ .z = `v` }", "{ kind = server && .z != `w` }"] {
        let mut world = World::new(spans.clone());
        // Where its traces stand is known by then.
        assert_eq!(traces(&search(&mut world, 9, "{ name = `c` }", 9)), [1]);
        let request = ask(&traceql::parse(query).unwrap(), 9);
        world.is_broken.store(true, Ordering::Relaxed);
        let (_, problems) = world.look_and_tell(|parts| {
            crate::execute::traceql::search(parts, &Still, &request, &mut |_, _| {}).unwrap()
        });
        world.is_broken.store(false, Ordering::Relaxed);
        assert!(problems > 0, "{query}");
        for _ in 0..2 {
            let answer = search(&mut world, 9, query, 9);
            assert_eq!(answer.traces[0].spansets[0].matched, 3, "{query}");
            assert_eq!(answer.traces[0].services.values().map(|of| of.spans).sum::<u64>(), 3);
        }
    }
}
