//! Series, against sums that are made span by span.

use std::collections::BTreeMap;

use model::Nanos;
use proptest::prelude::*;
use traceql::ast::{MetricsExpr, MetricsFunction, MetricsQuery, Over, Query, Root, Static};

use super::oracle::{Trace, traces};
use super::search::{condition, room};
use super::world::{Attr, NOW, S, SECOND, Still, Where, World, scattered, trace_id};
use crate::execute::Parts;
use crate::execute::traceql::{Budget, MetricsAnswer, MetricsRequest, metrics};

const START: u64 = NOW - SECOND;
const END: u64 = NOW + SECOND;
const STEP: u64 = 300_000_000;

pub(super) fn ask(query: &str) -> MetricsRequest {
    MetricsRequest {
        query: traceql::parse(query).unwrap(),
        start: Nanos(START),
        end: Nanos(END),
        step: Some(Nanos(STEP)),
        exemplars: 10,
        series_max: 1_000,
        budget: Budget::default(),
    }
}

pub(super) fn run(world: &World, request: &MetricsRequest) -> MetricsAnswer {
    world.look(|parts| metrics(parts, &Still, request, &mut |_| {})).unwrap()
}

/// Series by their labels, each sample by its time.
type Table = BTreeMap<String, BTreeMap<u64, f64>>;

fn table(answer: &MetricsAnswer) -> Table {
    let series = answer.series.iter().map(|series| {
        let labels: Vec<_> = series.labels.iter().map(|(k, v)| format!("{k}={v:?}")).collect();
        let samples = series.samples.iter().map(|sample| (sample.at.0, sample.value));
        (labels.join(","), samples.collect())
    });
    series.collect()
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "few values"
)]
fn expected(world: &World, query: &Query) -> Table {
    let Root::Metrics(MetricsExpr::Query(MetricsQuery { pipeline, function, by, .. })) =
        &query.root
    else {
        panic!("no plain metrics")
    };
    let origin = START / STEP * STEP;
    let ends: Vec<u64> =
        (1..).map(|n| origin + n * STEP).take_while(|end| *end < END + STEP).collect();
    let field = match function {
        MetricsFunction::Over(_, field)
        | MetricsFunction::Quantile(field, _)
        | MetricsFunction::Histogram(field) => Some(field),
        _ => None,
    };
    let mut groups: BTreeMap<String, BTreeMap<u64, Vec<Static>>> = BTreeMap::new();
    for spans in traces(&world.spans).values() {
        let trace = Trace::new(spans);
        let mut counted: Vec<usize> =
            trace.run(pipeline).into_iter().flat_map(|s| s.spans).collect();
        counted.sort_unstable();
        counted.dedup();
        for at in counted {
            let time = spans[at].effective();
            let Some(end) = ends.iter().find(|end| **end - STEP < time && time <= **end) else {
                continue;
            };
            let labels: Vec<String> = by
                .iter()
                .map(|field| {
                    let value = trace.field(field, at).into_iter().next();
                    format!("{field}={:?}", value.unwrap_or(Static::Nil))
                })
                .collect();
            let values = match field {
                None => vec![Static::Int(1)],
                Some(field) => trace.field(field, at),
            };
            let values =
                values.into_iter().filter(|value| value.as_f64().is_some_and(f64::is_finite));
            let group = groups.entry(labels.join(",")).or_default();
            group.entry(*end).or_default().extend(values);
        }
    }
    let mut all = Table::new();
    for (labels, samples) in groups {
        let with = |more: String| {
            if labels.is_empty() { more } else { format!("{labels},{more}") }
        };
        let seconds = |value: &Static| match value {
            Static::Duration(_) => value.as_f64().unwrap() / 1e9,
            _ => value.as_f64().unwrap(),
        };
        let numbers = |end: &u64| -> Vec<f64> {
            samples.get(end).into_iter().flatten().map(seconds).collect()
        };
        let name = match function {
            MetricsFunction::Rate => "rate",
            MetricsFunction::Count => "count_over_time",
            MetricsFunction::Over(over, _) => over.name(),
            _ => "",
        };
        let plain =
            if labels.is_empty() { format!("__name__=Text({name:?})") } else { labels.clone() };
        match function {
            MetricsFunction::Rate | MetricsFunction::Count => {
                let unit = if *function == MetricsFunction::Rate { STEP as f64 / 1e9 } else { 1.0 };
                let count = |end: &u64| (*end, numbers(end).len() as f64 / unit);
                all.insert(plain, ends.iter().map(count).collect());
            }
            MetricsFunction::Over(over, _) => {
                let made = ends.iter().filter_map(|end| {
                    let numbers = numbers(end);
                    let first = *numbers.first()?;
                    let sum: f64 = numbers.iter().sum();
                    Some((
                        *end,
                        match over {
                            Over::Min => numbers.iter().copied().fold(first, f64::min),
                            Over::Max => numbers.iter().copied().fold(first, f64::max),
                            Over::Sum => sum,
                            Over::Avg => sum / numbers.len() as f64,
                        },
                    ))
                });
                let made: BTreeMap<u64, f64> = made.collect();
                if !made.is_empty() {
                    all.insert(plain, made);
                }
            }
            MetricsFunction::Quantile(_, shares) => {
                for share in shares {
                    let made = ends.iter().filter_map(|end| {
                        let mut numbers = numbers(end);
                        numbers.sort_by(f64::total_cmp);
                        let last = numbers.len().checked_sub(1)?;
                        Some((*end, numbers[(share * last as f64).floor() as usize]))
                    });
                    let made: BTreeMap<u64, f64> = made.collect();
                    all.insert(with(format!("p={:?}", Static::Float(*share))), made);
                }
            }
            MetricsFunction::Histogram(_) => {
                let mut buckets: BTreeMap<String, BTreeMap<u64, f64>> = BTreeMap::new();
                for end in &ends {
                    for value in samples.get(end).into_iter().flatten() {
                        let number = value.as_f64().unwrap();
                        if number <= 0.0 {
                            continue;
                        }
                        let mut bound = 2f64.powi(-40);
                        while bound < number {
                            bound *= 2.0;
                        }
                        let bound =
                            if matches!(value, Static::Duration(_)) { bound / 1e9 } else { bound };
                        let bucket = format!("__bucket={:?}", Static::Float(bound));
                        let bucket = buckets
                            .entry(with(bucket))
                            .or_insert_with(|| ends.iter().map(|end| (*end, 0.0)).collect());
                        *bucket.entry(*end).or_default() += 1.0;
                    }
                }
                all.extend(buckets);
            }
            MetricsFunction::Compare(_) => unreachable!("not made here"),
        }
    }
    // A quantile of nothing is no series with samples.
    all
}

pub(super) fn query() -> impl Strategy<Value = String> {
    let number = || {
        prop::sample::select(vec![
            "duration",
            ".a",
            "span.b",
            "event:timeSinceStart",
            "span:childCount",
            "parent.a",
        ])
    };
    let function = prop_oneof![
        Just("rate()".to_owned()),
        Just("count_over_time()".to_owned()),
        (prop::sample::select(vec!["min", "max", "sum", "avg"]), number())
            .prop_map(|(over, of)| format!("{over}_over_time({of})")),
        number().prop_map(|of| format!("quantile_over_time({of}, 0.5, 0.9)")),
        number().prop_map(|of| format!("histogram_over_time({of})")),
    ];
    let by = prop::sample::select(vec![
        "",
        "by(name)",
        "by(resource.service.name)",
        "by(.a)",
        "by(span.b, status)",
        "by(rootName)",
        "by(.d, span.c, kind)",
        "by(.service.name)",
        "by(span.far.away)",
        "by(event:name)",
    ]);
    let filter = prop_oneof![
        condition().prop_map(|of| format!("{{ {of} }}")),
        Just("{ }".to_owned()),
        condition().prop_map(|of| format!("{{ }} >> {{ {of} }}")),
        condition().prop_map(|of| format!("{{ {of} }} | by(name) | count() > 1")),
    ];
    (filter, function, by)
        .prop_map(|(filter, function, by)| format!("{filter} | {function} {by}"))
        .prop_filter("no query", |text| traceql::parse(text).is_ok())
}

/// What is counted is what the plain sums are.
pub(super) fn same(world: &World, request: &MetricsRequest) -> Result<(), TestCaseError> {
    let (mut shown, mut expected) = (table(&run(world, request)), expected(world, &request.query));
    // What has no sample is as good as not there.
    expected.retain(|_, samples| !samples.is_empty());
    shown.retain(|_, samples| !samples.is_empty());
    let labels = |table: &Table| table.keys().cloned().collect::<Vec<_>>();
    prop_assert_eq!(labels(&shown), labels(&expected), "{}", request.query);
    for (labels, samples) in &expected {
        let shown = &shown[labels];
        prop_assert_eq!(
            shown.keys().collect::<Vec<_>>(),
            samples.keys().collect::<Vec<_>>(),
            "{} {}",
            request.query,
            labels
        );
        for (at, value) in samples {
            // Sketches have a bounded error, sums another order.
            let error = (shown[at] - value).abs();
            let is_near = error <= value.abs() * 0.010_001 + 1e-9;
            prop_assert!(is_near, "{} {labels} {} {value}", request.query, shown[at]);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, max_global_rejects: 1 << 20, ..ProptestConfig::default() })]

    #[test]
    fn any_series_are_as_the_plain_sums(
        spans in scattered(),
        query in query(),
        hidden in 1u8..5,
        room in room(),
    ) {
        let mut world = World::new(spans.clone());
        world.remember(room);
        let request = ask(&query);
        let answer = run(&world, &request);
        // What is kept of the first answer makes the second one.
        let told = |answer: &MetricsAnswer| format!("{:?}", answer.series);
        prop_assert_eq!(told(&run(&world, &request)), told(&answer), "{}", query);
        // And a part of one with other intervals.
        let other = MetricsRequest { step: request.step.map(|step| Nanos(step.0 / 3)), ..request.clone() };
        let alone = run(&World::new(spans), &other);
        prop_assert_eq!(told(&run(&world, &other)), told(&alone), "{}", query);
        same(&world, &request)?;
        world.hide(hidden);
        same(&world, &request)?;
    }
}

/// A span of a trace of its own, so many milliseconds after the start.
fn at(trace: u8, millis: u64, name: &'static str, attrs: Vec<(&'static str, Attr)>) -> S {
    S { trace, name, attrs, start: START + millis * 1_000_000, ..S::default() }
}

fn sums(world: &World, query: &str) -> Vec<(String, f64)> {
    let request = MetricsRequest { step: None, ..ask(query) };
    let answer = run(world, &request);
    assert_eq!(answer.partial, None);
    let series = table(&answer).into_iter();
    series.map(|(labels, samples)| (labels, samples.values().sum())).collect()
}

fn shop() -> World {
    World::at(
        Where::Block,
        [
            at(1, 100, "x", vec![("n", Attr::Int(1))]),
            at(2, 200, "x", vec![("n", Attr::Int(2))]),
            at(3, 300, "y", vec![("n", Attr::Float(4.0))]),
            at(4, 400, "y", vec![("n", Attr::Text("no number"))]),
        ],
    )
}

#[test]
fn series_are_computed_with_and_selected() {
    let world = shop();
    let x = |value: f64| ("name=Text(\"x\")".to_owned(), value);
    let y = |value: f64| ("name=Text(\"y\")".to_owned(), value);
    for (query, expected) in [
        ("{ } | count_over_time() by(name)", vec![x(2.0), y(2.0)]),
        ("{ } | rate() by(name)", vec![x(1.0), y(1.0)]),
        ("{ } | sum_over_time(.n) by(name)", vec![x(3.0), y(4.0)]),
        ("{ } | sum_over_time(.n) by(name) | topk(1)", vec![y(4.0)]),
        ("{ } | sum_over_time(.n) by(name) | bottomk(1)", vec![x(3.0)]),
        ("{ } | sum_over_time(.n) by(name) > 3", vec![y(4.0)]),
        ("{ } | sum_over_time(duration) by(name) >= 2s", vec![x(2.0), y(2.0)]),
        (
            "({ } | sum_over_time(.n) by(name)) / ({ } | count_over_time() by(name))",
            vec![x(1.5), y(2.0)],
        ),
        ("({ } | sum_over_time(.n) by(name)) * 2", vec![x(6.0), y(8.0)]),
        ("6 / ({ } | sum_over_time(.n) by(name))", vec![x(2.0), y(1.5)]),
        // What is divided by zero has no sample.
        (
            "({ } | count_over_time() by(name)) / ({ .n < 2 } | count_over_time() by(name))",
            vec![x(2.0)],
        ),
        ("({ } | count_over_time() by(name)) / 0", vec![]),
        ("{ name = \"nobody\" } | rate()", vec![]),
    ] {
        assert_eq!(sums(&world, query), expected, "{query}");
    }
}

#[test]
fn intervals_are_open_at_their_start_and_closed_at_their_end() {
    let world = World::at(
        Where::Head,
        [at(1, 0, "x", vec![]), at(2, 500, "x", vec![]), at(3, 501, "x", vec![])],
    );
    let request =
        MetricsRequest { step: Some(Nanos(SECOND / 2)), ..ask("{ } | count_over_time()") };
    let answer = run(&world, &request);
    let samples: Vec<_> =
        answer.series[0].samples.iter().map(|s| (s.at.0 - START, s.value)).collect();
    // The span at the very start is of the interval before.
    assert_eq!(
        samples,
        [(SECOND / 2, 1.0), (SECOND, 1.0), (SECOND * 3 / 2, 0.0), (2 * SECOND, 0.0)]
    );
}

#[test]
fn exemplars_name_their_traces_and_have_the_value_of_the_sample_where_only_spans_are_counted() {
    let world = shop();
    let step = Some(Nanos(SECOND / 10));
    let answer =
        run(&world, &MetricsRequest { step, ..ask("{ name = \"x\" } | sum_over_time(.n)") });
    let of: Vec<_> = answer.series[0].exemplars.iter().map(|e| (e.trace, e.value)).collect();
    assert_eq!(of, [(trace_id(1), 1.0), (trace_id(2), 2.0)]);
    let answer = run(&world, &MetricsRequest { step: None, ..ask("{ } | count_over_time()") });
    let of: Vec<_> = answer.series[0].exemplars.iter().map(|e| e.value).collect();
    assert_eq!(of, [4.0]);
    let none = run(&world, &ask("{ } | count_over_time() with(exemplars=false)"));
    assert!(none.series[0].exemplars.is_empty());
}

#[test]
fn compare_tells_selection_and_baseline_apart() {
    let world = shop();
    let found = sums(&world, "{ } | compare({ name = \"x\" }, 1)");
    let of = |labels: &str| found.iter().find(|(known, _)| known == labels).map(|(_, sum)| *sum);
    assert_eq!(of("__meta_type=Text(\"selection\"),name=Text(\"x\")"), Some(2.0));
    assert_eq!(of("__meta_type=Text(\"baseline\"),name=Text(\"y\")"), Some(2.0));
    assert_eq!(of("__meta_type=Text(\"selection_total\"),span.n=Nil"), Some(2.0));
    assert_eq!(
        of("__meta_type=Text(\"baseline\"),resource.service.name=Text(\"shop\")"),
        Some(2.0)
    );
    assert_eq!(of("__meta_type=Text(\"selection\"),span.n=Int(2)"), None, "one value each");
}

#[test]
fn groups_past_the_bound_are_left_out_and_said_to_be() {
    let world = shop();
    let answer = run(&world, &MetricsRequest { series_max: 1, ..ask("{ } | rate() by(name)") });
    assert_eq!(answer.series.len(), 1);
    assert!(answer.partial.is_some_and(|why| why.contains("series")));
}

#[test]
fn what_is_no_range_or_no_metrics_is_invalid() {
    let world = shop();
    let refused = |request: MetricsRequest| {
        world.look(|parts| metrics(parts, &Still, &request, &mut |_| {})).unwrap_err().kind()
    };
    let rate = || ask("{ } | rate()");
    assert_eq!(refused(MetricsRequest { end: Nanos(START), ..rate() }), crate::Kind::Invalid);
    assert_eq!(refused(MetricsRequest { step: Some(Nanos(1)), ..rate() }), crate::Kind::Invalid);
    assert_eq!(refused(MetricsRequest { step: Some(Nanos(0)), ..rate() }), crate::Kind::Invalid);
    assert_eq!(refused(ask("{ }")), crate::Kind::Invalid);
}

/// A clock that every look sets a second ahead.
#[derive(Debug, Default)]
struct Hasty(std::sync::atomic::AtomicU64);

impl model::Clock for Hasty {
    fn now(&self) -> Nanos {
        Nanos(0)
    }
    fn monotonic(&self) -> Nanos {
        Nanos(self.0.fetch_add(SECOND, std::sync::atomic::Ordering::Relaxed))
    }
}

#[test]
fn what_is_counted_so_far_is_told_and_grows() {
    let spans = (1..=4).map(|trace| (at(trace, 1, "x", vec![]), Where::Block, trace)).collect();
    let world = World::new(spans);
    let told = |query: &str| {
        let request = MetricsRequest { step: None, ..ask(query) };
        let mut told: Vec<f64> = Vec::new();
        let mut note = |answer: &MetricsAnswer| {
            assert!(answer.inspected.units <= answer.inspected.units_total, "{answer:?}");
            told.push(answer.series[0].samples[0].value);
        };
        let clock = Hasty::default();
        let look = |parts: &Parts<'_>| {
            metrics(parts, &clock, &request, &mut |answer| note(&answer)).unwrap()
        };
        let last = world.look(look);
        note(&last);
        told
    };
    let so_far = told("{ } | count_over_time()");
    assert!(so_far.len() >= 3 && so_far.is_sorted(), "{so_far:?}");
    assert_eq!(so_far.last(), Some(&4.0));
    assert_eq!(told("{ } | count_over_time() > 0"), [4.0]);
}
