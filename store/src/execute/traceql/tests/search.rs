//! Searches, against the oracle and case by case.

use std::cmp::Reverse;

use model::{Nanos, TimeRange};
use proptest::prelude::*;
use traceql::ast::{Field, Query, Root, Scope, Static};
use traceql::plan;

use super::oracle::{Trace, service, traces};
use super::world::{NOW, S, SECOND, Still, Where, World, scattered, span_id, trace_id};
use crate::execute::traceql::{Budget, SearchAnswer, SearchRequest, Value, search};

pub(super) fn ask(query: &Query, limit: usize) -> SearchRequest {
    SearchRequest {
        query: query.clone(),
        during: TimeRange::ALL,
        limit,
        spans_per_set: 100,
        budget: Budget::default(),
    }
}

pub(super) fn run(world: &World, request: &SearchRequest) -> SearchAnswer {
    let mut told = Vec::new();
    let mut on_found = |new: &[_], _| told.extend(new.to_vec());
    let answer = world.look(|parts| search(parts, &Still, request, &mut on_found)).unwrap();
    // Of numbers that are not, no two are equal.
    assert_eq!(format!("{told:?}"), format!("{:?}", answer.traces));
    answer
}

/// An answer as text, line by line: what the plain evaluator makes of the same spans.
pub(super) fn told(answer: &SearchAnswer) -> Vec<String> {
    let value = |value: &Value| match value {
        Value::One(value) => format!("{:?}", [value]),
        Value::Many(values) => format!("{values:?}"),
    };
    let mut lines = Vec::new();
    for found in &answer.traces {
        lines.push(format!(
            "{} {:?} {:?} {:?} {:?} {:?}",
            found.id,
            found.root_service,
            found.root_name,
            found.start,
            found.duration,
            found.services
        ));
        let mut sets = Vec::new();
        for set in &found.spansets {
            let attributes: Vec<_> =
                set.attributes.iter().map(|(label, of)| format!("{label}={}", value(of))).collect();
            let spans: Vec<_> = set
                .spans
                .iter()
                .map(|span| {
                    let attributes = span.attributes.iter();
                    let attributes: Vec<_> =
                        attributes.map(|(f, of)| format!("{f}={}", value(of))).collect();
                    format!(
                        "{} {} {:?} {:?} {attributes:?}",
                        span.id, span.name, span.start, span.duration
                    )
                })
                .collect();
            sets.push(format!("  {} {attributes:?} {spans:?}", set.matched));
        }
        sets.sort();
        lines.extend(sets);
    }
    lines
}

/// The same from the plain evaluator.
pub(super) fn expected(world: &World, request: &SearchRequest) -> Vec<String> {
    let SearchRequest { query, during, limit, .. } = request;
    let Root::Spans(pipeline) = &query.root else { panic!("no search") };
    let mut shown = plan::selected(query);
    for field in plan::reads(query).fields {
        if !shown.contains(&field) {
            shown.push(field);
        }
    }
    let tenant = Field::attribute(Scope::Resource, "tenant");
    if world.tenants.len() > 1 && !shown.contains(&tenant) {
        shown.push(tenant);
    }
    let mut found = Vec::new();
    for (id, spans) in traces(&world.spans) {
        let trace = Trace::new(&spans);
        let sets = trace.run(pipeline);
        let mut matching = sets.iter().flat_map(|set| &set.spans);
        if !matching.any(|at| during.contains(Nanos(spans[*at].effective()))) {
            continue;
        }
        let rank = spans.iter().map(S::effective).min().unwrap();
        let start = spans.iter().map(|span| span.start).min().unwrap();
        let end = spans.iter().map(|span| span.start + span.duration).max().unwrap();
        let roots = spans.iter().filter(|span| span.parent == 0);
        let root = roots.min_by_key(|span| (span.effective(), span.id, span.kind));
        let mut services: std::collections::BTreeMap<
            String,
            crate::execute::traceql::ServiceStats,
        > = std::collections::BTreeMap::new();
        for span in &spans {
            let stats = services.entry(service(span).to_owned()).or_default();
            stats.spans += 1;
            stats.errors += u64::from(span.status == 2);
        }
        let mut lines = vec![format!(
            "{} {:?} {:?} {:?} {:?} {services:?}",
            trace_id(id),
            root.map(service).unwrap_or_default(),
            root.map(|root| root.name).unwrap_or_default(),
            Nanos(start),
            Nanos(end - start),
        )];
        let mut of_sets = Vec::new();
        for set in &sets {
            let mut order = set.spans.clone();
            order.sort_by_key(|at| (spans[*at].start, spans[*at].id, spans[*at].kind));
            let attributes: Vec<_> =
                set.attributes.iter().map(|(label, of)| format!("{label}={of:?}")).collect();
            let shown: Vec<_> = order
                .iter()
                .map(|at| {
                    let span = &spans[*at];
                    let values = shown.iter().filter_map(|field| {
                        let values: Vec<Static> = trace.field(field, *at);
                        (!values.is_empty()).then(|| format!("{field}={values:?}"))
                    });
                    let values: Vec<_> = values.collect();
                    let id = model::SpanId::from_array(span_id(span.id));
                    let (start, duration) = (Nanos(span.start), Nanos(span.duration));
                    format!("{id} {} {start:?} {duration:?} {values:?}", span.name)
                })
                .collect();
            of_sets.push(format!("  {} {attributes:?} {shown:?}", set.spans.len()));
        }
        of_sets.sort();
        lines.extend(of_sets);
        found.push(((Reverse(rank), trace_id(id)), lines));
    }
    found.sort();
    found.into_iter().take(*limit).flat_map(|(_, lines)| lines).collect()
}

fn field() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        ".a",
        ".b",
        "span.a",
        "span.c",
        "resource.a",
        ".d",
        ".service.name",
        "span.far.away",
        "resource.service.name",
        "event.a",
        "event.e",
        "link.a",
        "instrumentation.a",
        "duration",
        "name",
        "status",
        "kind",
        "statusMessage",
        "event:name",
        "event:timeSinceStart",
        "span:id",
        "span:parentID",
        "trace:id",
        "link:traceID",
        "link:spanID",
        "parent.a",
        "parent.span.b",
        "parent.resource.service.name",
        "span:childCount",
        "nestedSetLeft",
        "nestedSetRight",
        "nestedSetParent",
        "rootName",
        "rootServiceName",
        "traceDuration",
        "instrumentation:name",
    ])
    .prop_map(str::to_owned)
}

fn literal() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "\"x\"",
        "\"y\"",
        "\"\"",
        "\"shop\"",
        "1",
        "2",
        "-1",
        "0",
        "1.0",
        "1.5",
        "true",
        "false",
        "1s",
        "500ms",
        "1ms",
        "error",
        "ok",
        "server",
        "client",
        "nil",
        "\"05\"",
        "\"0703\"",
        "\"5\"",
        "1000000000",
    ])
    .prop_map(str::to_owned)
}

pub(super) fn condition() -> impl Strategy<Value = String> {
    let op = || prop::sample::select(vec!["=", "!=", "<", "<=", ">", ">="]);
    let math = prop::sample::select(vec!["+", "-", "*", "/", "%", "^"]);
    let regex = prop::sample::select(vec!["=~", "!~"]);
    let pattern = prop::sample::select(vec!["\"x.*\"", "\".+\"", "\"x|y\""]);
    let leaf = prop_oneof![
        6 => (field(), op(), literal()).prop_map(|(f, op, l)| format!("{f} {op} {l}")),
        2 => (literal(), op(), field()).prop_map(|(l, op, f)| format!("{l} {op} {f}")),
        2 => (field(), op(), field()).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
        2 => (field(), regex.clone(), pattern).prop_map(|(f, op, p)| format!("{f} {op} {p}")),
        1 => (field(), regex, field()).prop_map(|(f, op, p)| format!("{f} {op} {p}")),
        2 => (field(), math, field(), op(), literal())
            .prop_map(|(a, m, b, op, l)| format!("{a} {m} {b} {op} {l}")),
        1 => field(),
        1 => prop::sample::select(vec!["true", "false"]).prop_map(str::to_owned),
    ];
    leaf.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|of| format!("!({of})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) && ({b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) || ({b})")),
            (inner, any::<bool>()).prop_map(|(of, value)| format!("({of}) = {value}")),
        ]
    })
}

fn spanset() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        6 => condition().prop_map(|of| format!("{{ {of} }}")),
        1 => Just("{ }".to_owned()),
    ];
    let op = prop::sample::select(vec![
        "&&", "||", ">", ">>", "<", "<<", "~", "!>", "!>>", "!<", "!<<", "!~", "&>", "&>>", "&<",
        "&<<", "&~",
    ]);
    leaf.prop_recursive(2, 4, 2, move |inner| {
        prop_oneof![
            3 => (inner.clone(), op.clone(), inner.clone())
                .prop_map(|(a, op, b)| format!("({a}) {op} ({b})")),
            1 => (inner, condition()).prop_map(|(a, of)| format!("({a} | {{ {of} }})")),
        ]
    })
}

fn stage() -> impl Strategy<Value = String> {
    let total = prop_oneof![
        Just("count()".to_owned()),
        (prop::sample::select(vec!["min", "max", "sum", "avg"]), field())
            .prop_map(|(kind, of)| format!("{kind}({of})")),
    ];
    let op = prop::sample::select(vec!["=", "!=", "<", ">"]);
    prop_oneof![
        field().prop_map(|of| format!("by({of})")),
        (total.clone(), op.clone(), literal()).prop_map(|(t, op, l)| format!("{t} {op} {l}")),
        (total.clone(), op, total).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
        Just("coalesce()".to_owned()),
        spanset(),
        (field(), field()).prop_map(|(a, b)| format!("select({a}, {b})")),
    ]
}

pub(super) fn query() -> impl Strategy<Value = Query> {
    let stages = prop::collection::vec(stage(), 0..3);
    (spanset(), stages)
        .prop_map(|(first, stages)| {
            std::iter::once(first).chain(stages).collect::<Vec<_>>().join(" | ")
        })
        .prop_filter_map("no query", |text| traceql::parse(&text).ok())
}

/// Mostly all of time.
pub(super) fn during() -> impl Strategy<Value = TimeRange> {
    let at = |millis: u64| Nanos(NOW - SECOND + millis * 1_000_000);
    prop_oneof![
        2 => Just(TimeRange::ALL),
        1 => (0u64..2_000, 0u64..2_000)
            .prop_map(move |(from, len)| TimeRange { start: at(from), end: at(from + len) }),
    ]
}

/// So many traces of files are known at a time.
pub(super) fn room() -> impl Strategy<Value = usize> {
    prop_oneof![2 => Just(usize::MAX), 1 => Just(0), 1 => 1usize..8]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, max_global_rejects: 1 << 20, ..ProptestConfig::default() })]

    #[test]
    fn any_search_is_as_the_plain_evaluator_has_it(
        spans in scattered(),
        query in query(),
        limit in prop_oneof![Just(1usize), Just(10)],
        during in during(),
        hidden in 1u8..5,
        room in room(),
    ) {
        let mut world = World::new(spans);
        world.remember(room);
        let request = SearchRequest { during, ..ask(&query, limit) };
        // And again, of what is known by then; and once more without one of the traces.
        for times in 0..4 {
            if times == 2 {
                world.hide(hidden);
            }
            let answer = run(&world, &request);
            prop_assert_eq!(&answer.partial, &None);
            prop_assert_eq!(told(&answer), expected(&world, &request), "{} {:?}", query, during);
        }
    }

    #[test]
    fn what_is_known_of_files_counts_when_others_come_and_go(
        spans in scattered(),
        query in query(),
        limits in prop::collection::vec(1usize..4, 1..3),
        views in prop::collection::vec((0usize..3, 1usize..6, during()), 2..6),
        room in room(),
    ) {
        let mut world = World::new(spans);
        world.remember(room);
        for (from, parts, during) in views {
            world.see(from..from + parts);
            for limit in &limits {
                let request = SearchRequest { during, ..ask(&query, *limit) };
                let answer = run(&world, &request);
                prop_assert_eq!(told(&answer), expected(&world, &request), "{} {:?}", query, during);
            }
        }
    }

    #[test]
    fn it_is_the_same_wherever_spans_are(spans in scattered(), query in query()) {
        let answers = [Where::Block, Where::L0, Where::Head].map(|place| {
            // In the same order: of several spans of one identity the first counts.
            let spans = spans.iter().map(|(span, ..)| span.clone());
            told(&run(&World::at(place, spans), &ask(&query, 10)))
        });
        prop_assert_eq!(&answers[0], &answers[1], "{}", query);
        prop_assert_eq!(&answers[0], &answers[2], "{}", query);
    }
}
