//! Each trap of the language by itself.

use model::{Nanos, TimeRange};

use super::search::{ask, run};
use super::world::{Attr, NOW, S, SECOND, Still, Where, World};
use crate::execute::traceql::{Budget, MetricsRequest, SearchRequest, Value, metrics, search};

/// The ids of the spans that match, over all spansets.
fn ids(world: &World, query: &str) -> Vec<u8> {
    let query = traceql::parse(query).unwrap_or_else(|error| panic!("{query}: {error}"));
    let answer = run(world, &ask(&query, 100));
    let sets = answer.traces.iter().flat_map(|found| &found.spansets);
    let mut ids: Vec<u8> =
        sets.flat_map(|set| &set.spans).map(|span| span.id.as_bytes()[7]).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

fn everywhere(spans: &[S], cases: &[(&str, &[u8])]) {
    for place in [Where::Block, Where::L0, Where::Head] {
        let world = World::at(place, spans.iter().cloned());
        for (query, expected) in cases {
            assert_eq!(ids(&world, query), *expected, "{place:?} {query}");
        }
    }
}

fn with(id: u8, attrs: Vec<(&'static str, Attr)>) -> S {
    S { id, attrs, ..S::default() }
}

#[test]
fn values_compare_by_one_tower_of_numbers_and_missing_ones_never() {
    let list = Attr::Array(vec![Attr::Text("x"), Attr::Text("y")]);
    let spans = [
        with(1, vec![("n", Attr::Int(7)), ("t", Attr::Text("GET"))]),
        with(2, vec![("n", Attr::Float(7.0)), ("list", list)]),
        with(3, vec![("n", Attr::Text("7")), ("t", Attr::Text("get"))]),
        with(4, vec![("service.name", Attr::Text("mine")), ("map", Attr::Map)]),
        with(5, vec![("n", Attr::Int(0)), ("yes", Attr::Bool(true)), ("t", Attr::Text("x"))]),
    ];
    everywhere(
        &spans,
        &[
            ("{ 6 < .n }", &[1, 2]),
            ("{ .n > 6.5 }", &[1, 2]),
            ("{ .n = 7 }", &[1, 2]),
            ("{ .n = 7.0 }", &[1, 2]),
            ("{ .n = \"7\" }", &[3]),
            ("{ .n != 7 }", &[5]),
            ("{ .n = 7ns }", &[1, 2]),
            ("{ .n + 1 = 8 }", &[1, 2]),
            ("{ 1 / .n > 0 }", &[2]),
            ("{ .n / 0 = 1 }", &[]),
            ("{ .missing != 1 }", &[]),
            ("{ !(.missing = 1) }", &[]),
            ("{ !(.n = 7) }", &[5]),
            ("{ .missing = nil }", &[1, 2, 3, 4, 5]),
            ("{ .n != nil }", &[1, 2, 3, 5]),
            ("{ nil = nil }", &[]),
            ("{ nil != nil }", &[]),
            ("{ name != nil }", &[1, 2, 3, 4, 5]),
            ("{ .n != .missing }", &[]),
            // Whole values, and case matters.
            ("{ .t =~ \"GE\" }", &[]),
            ("{ .t =~ \"GE.\" }", &[1]),
            ("{ .t =~ \"(?i)get\" }", &[1, 3]),
            ("{ .t !~ \"GE.\" }", &[3, 5]),
            // Any element, or none.
            ("{ .list = \"x\" }", &[2]),
            ("{ .list != \"x\" }", &[]),
            ("{ .list != \"z\" }", &[2]),
            ("{ .list !~ \"y.*\" }", &[]),
            ("{ .list =~ \"y.*\" }", &[2]),
            // Stored, and not searchable.
            ("{ .map != nil }", &[]),
            ("{ .map = nil }", &[1, 2, 3, 4, 5]),
            // A span's own value counts before its resource's.
            ("{ .service.name = \"shop\" }", &[1, 2, 3, 5]),
            ("{ resource.service.name = \"shop\" }", &[1, 2, 3, 4, 5]),
            ("{ span.service.name = \"mine\" }", &[4]),
            ("{ .yes }", &[5]),
            ("{ .t }", &[]),
            ("{ span:id = \"1\" }", &[1]),
            ("{ span:id = \"0000000000000001\" }", &[1]),
            ("{ trace:id = \"0701\" }", &[1, 2, 3, 4, 5]),
            ("{ duration = 1s }", &[1, 2, 3, 4, 5]),
            ("{ duration = 1000000000 }", &[1, 2, 3, 4, 5]),
            // Parts of a nanosecond count, in what is written and in what is computed.
            ("{ duration > 6999999999ns / 7 && duration < 7000000001ns / 7 }", &[1, 2, 3, 4, 5]),
            ("{ duration = 7000000001ns / 7 }", &[]),
            ("{ duration / 3 > 333333333ns && duration / 4 = 250ms }", &[1, 2, 3, 4, 5]),
            ("{ duration / 3 <= 333333333ns }", &[]),
            ("{ .n / 2 = 3 }", &[1]),
            ("{ .n / 2 = 3.5 }", &[2]),
            ("{ .yes && .n = 0 || .t = \"get\" }", &[3, 5]),
        ],
    );
}

fn tree() -> Vec<S> {
    let at = |id, parent, name| S {
        id,
        parent,
        name,
        start: NOW - SECOND * 9 + u64::from(id),
        ..S::default()
    };
    vec![
        at(1, 0, "a"),
        at(2, 1, "a"),
        at(3, 2, "b"),
        at(4, 2, "c"),
        at(5, 1, "b"),
        // Not connected: its parent is not there.
        at(6, 77, "a"),
        at(7, 6, "b"),
    ]
}

#[test]
fn structure_is_by_parents_and_of_what_is_connected() {
    everywhere(
        &tree(),
        &[
            ("{ name = \"a\" } > { name = \"b\" }", &[3, 5]),
            ("{ name = \"a\" } >> { name = \"b\" }", &[3, 5]),
            ("{ name = \"a\" } !>> { name = \"b\" }", &[7]),
            ("{ name = \"b\" } << { name = \"a\" }", &[1, 2]),
            ("{ name = \"c\" } < { }", &[2]),
            ("{ name = \"c\" } ~ { }", &[3]),
            ("{ name = \"b\" } !~ { name = \"c\" }", &[]),
            // Every ancestor that takes part.
            ("{ name = \"a\" } &>> { name = \"c\" }", &[1, 2, 4]),
            ("{ name = \"c\" } &<< { name = \"a\" }", &[1, 2, 4]),
            ("{ name = \"b\" } && { name = \"c\" }", &[3, 4, 5, 7]),
            ("{ name = \"b\" } && { name = \"nobody\" }", &[]),
            ("{ nestedSetParent < 0 }", &[1]),
            ("{ nestedSetParent = -1 }", &[1]),
            ("{ nestedSetLeft = 0 && nestedSetRight = 0 && nestedSetParent = 0 }", &[6, 7]),
            ("{ nestedSetLeft = 2 && nestedSetRight = 7 && nestedSetParent = 1 }", &[2]),
            ("{ span:childCount = 2 }", &[1, 2]),
            ("{ parent = nil }", &[1]),
            ("{ parent.name = \"a\" }", &[2, 3, 4, 5, 7]),
            ("{ rootName = \"a\" && name = \"c\" }", &[4]),
            ("{ trace:rootService = \"shop\" && name = \"c\" }", &[4]),
        ],
    );
}

#[test]
fn roots_are_siblings_and_what_is_not_connected_has_none() {
    let at = |id, parent, name| S { id, parent, name, ..S::default() };
    let spans = [
        at(1, 0, "a"),
        at(2, 0, "b"),
        at(3, 1, "c"),
        at(4, 77, "a"),
        at(5, 77, "b"),
        at(6, 5, "c"),
    ];
    everywhere(
        &spans,
        &[
            ("{ name = \"a\" } ~ { }", &[2]),
            ("{ name = \"a\" } &~ { name = \"b\" }", &[1, 2]),
            ("{ name = \"c\" } ~ { }", &[]),
            ("{ name = \"a\" } !~ { }", &[1, 3]),
            ("{ } !~ { }", &[3]),
            ("{ name = \"nobody\" } !~ { }", &[1, 2, 3]),
            ("{ } !> { }", &[1, 2, 4, 5, 6]),
        ],
    );
}

#[test]
fn pipelines_count_group_and_select() {
    everywhere(
        &tree(),
        &[
            ("{ } | count() = 7", &[1, 2, 3, 4, 5, 6, 7]),
            ("{ name = \"a\" } | count() > 3", &[]),
            ("{ } | by(name) | count() = 1", &[4]),
            ("{ } | by(name) | count() > 1 | coalesce() | { name = \"b\" }", &[3, 5, 7]),
            ("{ } | avg(duration) = 1s", &[1, 2, 3, 4, 5, 6, 7]),
            ("{ } | sum(.missing) = 0", &[]),
            ("{ } | count() = max(nestedSetRight) - 3", &[1, 2, 3, 4, 5, 6, 7]),
            ("({ name = \"a\" } | count()) > ({ name = \"c\" } | count())", &[1, 2, 3, 4, 5, 6, 7]),
            ("{ } | count() / 0 > 1", &[]),
        ],
    );
    let world = World::at(Where::Block, tree());
    let query = traceql::parse("{ name = \"c\" } | by(.x) | count() > 0 | select(nestedSetLeft)");
    let answer = run(&world, &ask(&query.unwrap(), 1));
    let set = &answer.traces[0].spansets[0];
    let attributes: Vec<_> =
        set.attributes.iter().map(|(name, value)| (name.as_str(), value)).collect();
    let one = |value| Value::One(value);
    assert_eq!(
        attributes,
        [
            ("by(.x)", &one(traceql::ast::Static::Nil)),
            ("count()", &one(traceql::ast::Static::Int(1))),
        ]
    );
    let shown: Vec<_> =
        set.spans[0].attributes.iter().map(|(field, _)| field.to_string()).collect();
    assert_eq!(shown, ["nestedSetLeft", "name"]);
}

#[test]
fn of_events_a_missing_attribute_needs_an_event() {
    let event = |attrs| vec![("log", 5, attrs)];
    let spans = [
        S { id: 1, events: event(vec![("x", Attr::Int(1))]), ..S::default() },
        S { id: 2, events: event(vec![]), ..S::default() },
        S { id: 3, ..S::default() },
    ];
    everywhere(
        &spans,
        &[
            ("{ event.x = nil }", &[2]),
            ("{ event.x != nil }", &[1]),
            ("{ event:name = \"log\" }", &[1, 2]),
            ("{ event:timeSinceStart = 5ns }", &[1, 2]),
            ("{ event.x = 1 }", &[1]),
        ],
    );
}

#[test]
fn a_span_counts_once_wherever_its_copies_are() {
    let copy = || with(1, vec![("n", Attr::Int(1))]);
    let spans = vec![
        (copy(), Where::Block, 0),
        (copy(), Where::L0, 0),
        (copy(), Where::Head, 0),
        (with(2, vec![]), Where::Head, 0),
    ];
    let world = World::new(spans);
    assert_eq!(ids(&world, "{ } | count() = 2"), [1, 2]);
    assert_eq!(ids(&world, "{ .n = 1 } ~ { .n = 1 } || { .n = 1 } | count() = 1"), [1]);
}

#[test]
fn a_huge_trace_is_judged_by_its_parts_shown_once_and_said_to_be() {
    // Two files have 40 spans each of one trace; more than 64 are huge in tests.
    let span = |id: u8| S { id, start: NOW - u64::from(id), ..S::default() };
    let files = (1..=80).map(|id| (span(id), Where::Block, id / 41));
    let world = World::new(files.collect());
    let query = traceql::parse("{ } | count() > 30").unwrap();
    let request = ask(&query, 9);
    let answer = world.look(|parts| search(parts, &Still, &request, &mut |_, _| {})).unwrap();
    assert_eq!(answer.traces.len(), 1);
    assert_eq!(answer.traces[0].spansets[0].matched, 40);
    assert!(answer.partial.unwrap().contains("huge"));
    let all = traceql::parse("{ } | count_over_time()").unwrap();
    let request = MetricsRequest {
        query: all,
        start: Nanos(0),
        end: Nanos(NOW + 1),
        step: None,
        exemplars: 0,
        series_max: 10,
        budget: Budget::default(),
    };
    for _ in 0..2 {
        let answer = world.look(|parts| metrics(parts, &Still, &request, &mut |_| {})).unwrap();
        assert!((answer.series[0].samples[0].value - 80.0).abs() < 1e-9, "{answer:?}");
        assert!(answer.partial.unwrap().contains("huge"));
    }
}

#[test]
fn the_newest_come_first_and_early() {
    let old = |trace: u8| S { trace, start: NOW - SECOND * u64::from(trace), ..S::default() };
    let world = World::new((1..9).map(|trace| (old(trace), Where::Block, trace)).collect());
    let query = traceql::parse("{ }").unwrap();
    let answer = run(&world, &ask(&query, 2));
    let traces: Vec<u8> = answer.traces.iter().map(|found| found.id.as_bytes()[15]).collect();
    assert_eq!(traces, [1, 2]);
    assert!(answer.inspected.units <= 3, "{:?}", answer.inspected);
}

#[test]
fn a_range_takes_traces_with_a_match_that_starts_in_it() {
    let world = World::at(Where::Block, tree());
    let query = traceql::parse("{ name = \"c\" }").unwrap();
    let at = |from: u64, to: u64| {
        let during = TimeRange { start: Nanos(from), end: Nanos(to) };
        run(&world, &SearchRequest { during, ..ask(&query, 9) }).traces.len()
    };
    let of = NOW - SECOND * 9 + 4;
    assert_eq!([at(of, of), at(0, of - 1), at(of + 1, NOW), at(0, NOW)], [1, 0, 0, 1]);
}

#[test]
fn what_costs_too_much_is_partial() {
    let world = World::at(Where::Block, tree());
    let query = traceql::parse("{ }").unwrap();
    let over = |budget| {
        let request = SearchRequest { budget, ..ask(&query, 9) };
        let answer = world.look(|parts| search(parts, &Still, &request, &mut |_, _| {})).unwrap();
        (answer.traces.len(), answer.partial.is_some())
    };
    assert_eq!(over(Budget { deadline: Some(Nanos(1)), ..Budget::default() }), (0, true));
    let cancelled = Budget::default();
    cancelled.cancelled.store(true, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(over(cancelled), (0, true));
    assert_eq!(over(Budget::default()), (1, false));
}

#[test]
fn row_groups_without_what_is_sought_are_not_read() {
    let spans = |name, texts: [&'static str; 6]| {
        (1..).zip(texts).map(move |(trace, text)| S {
            trace,
            name,
            start: NOW - SECOND * u64::from(trace),
            attrs: vec![("a", Attr::Text(text)), ("far.away", Attr::Text(text))],
            id: trace,
            ..S::default()
        })
    };
    let world = World::at(Where::Block, spans("x", ["p", "q", "p", "q", "q", "r"]));
    let units = |text: &str| {
        let query = traceql::parse(text).unwrap();
        run(&world, &ask(&query, 9)).inspected.units
    };
    assert_eq!(units("{ span.a = \"r\" }"), 1);
    assert_eq!(units("{ .a = \"r\" }"), 1);
    assert_eq!(units("{ span.far.away =~ \"p|r\" }"), 2);
    assert_eq!(units("{ span.a = \"nobody\" }"), 0);
    assert_eq!(units("{ span.nobody = \"x\" }"), 0);
    assert_eq!(units("{ name = \"y\" } >> { }"), 0);
    assert_eq!(units("{ resource.service.name = \"cart\" && span.a = \"p\" }"), 0);
    assert_eq!(units("{ span.a != \"r\" }"), 2);
}

#[test]
fn equal_texts_of_columns_in_which_most_differ_are_all_found() {
    // So many that there is no dictionary, each twice; one is too long for one.
    let long: &'static str = Box::leak("long".repeat(300).into_boxed_str());
    let texts = (0..100u8).map(|n| if n == 7 { long.to_owned() } else { format!("text {n}") });
    let texts: Vec<&'static str> = texts.map(|text| &*Box::leak(text.into_boxed_str())).collect();
    let spans: Vec<S> = (1..201u8)
        .map(|id| with(id, vec![("t", Attr::Text(texts[usize::from(id) % 100]))]))
        .collect();
    let mut expected = vec![(format!("{{ .t = `{long}` }}"), vec![7, 107])];
    for n in [1u8, 50, 99] {
        expected.push((format!("{{ span.t = `text {n}` }}"), vec![n, n + 100]));
        expected.push((format!("{{ .t =~ `text {n}|nobody` }}"), vec![n, n + 100]));
    }
    for place in [Where::Block, Where::L0, Where::Head] {
        let placed = spans.iter().map(|span| (span.clone(), place, 0)).collect();
        let world = World::with_row_groups(placed, 1 << 20);
        for (query, ids_of) in &expected {
            assert_eq!(ids(&world, query), *ids_of, "{place:?} {query}");
        }
    }
}

#[test]
fn what_is_far_from_the_range_is_not_looked_at() {
    let quarter = 900 * SECOND;
    let spans = [0, 2, 4].map(|ago| S { start: NOW - ago * quarter, ..S::default() });
    for place in [Where::Block, Where::L0] {
        // Each in a file of its own.
        let all = (0..).zip(spans.clone()).map(|(number, span)| (span, place, number));
        let near = |start, end| {
            let world = World::new(all.clone().collect());
            world.view.near(TimeRange { start: Nanos(start), end: Nanos(end) }).parts.len()
        };
        assert_eq!(near(NOW + 3 * quarter, NOW + 4 * quarter), 1, "{place:?}");
        assert_eq!(near(NOW + quarter, NOW + 4 * quarter), 2, "{place:?}");
        assert_eq!(near(0, NOW - 8 * quarter + 1), 1, "{place:?}");
        assert_eq!(near(0, u64::MAX), 3, "{place:?}");
    }
}
