//! What Traces Drilldown asks, each kind of query with each of its options, over gRPC as Grafana
//! streams it; of traces whose answers are known, from memory and from blocks.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};

use opentelemetry_proto::tonic::trace::v1::Status;
use opentelemetry_proto::tonic::trace::v1::span::Event;
use tests::api::hex;
use tests::gateway::Gateway;
use tests::otlp;
use tests::tempo::{MetricsRequest, Series, Span, Trace};
use tests::wait::now_nanos;

const SECOND: u64 = 1_000_000_000;
const MILLI: u64 = 1_000_000;
const MINUTE: u64 = 60 * SECOND;
const TRACES: u64 = 24;

/// What the plugin puts where it says `$S`.
const SIGNALS: [&str; 5] =
    ["nestedSetParent<0", "true", "kind=server", "kind=consumer", "span.db.system.name!=\"\""];
/// And where it says `$F`: what the user has picked.
const FILTERS: [&str; 2] = ["true", "resource.service.name=\"pay\""];

/// A span of which everything that is asked for is known.
#[derive(Clone, Debug)]
struct Known {
    trace: Vec<u8>,
    id: String,
    service: &'static str,
    name: &'static str,
    kind: i32,
    /// Left, right, and the parent's left.
    set: (i64, i64, i64),
    duration: u64,
    is_error: bool,
}

impl Known {
    fn meets(&self, signal: &str, filter: &str) -> bool {
        let signal = match signal {
            "nestedSetParent<0" => self.set.2 < 0,
            "kind=server" => self.kind == 2,
            "kind=consumer" => self.kind == 5,
            "true" => true,
            _ => self.name == "SELECT",
        };
        signal && (filter == "true" || self.service == "pay")
    }
}

/// A gateway with these spans, all of which start in the minute after `start`.
struct Shop {
    gateway: Gateway,
    spans: Vec<Known>,
    start: u64,
}

/// Service, name, kind, parent, offset in ms, milliseconds per number of the trace, nested set.
type Shape = (&'static str, &'static str, i32, Option<usize>, u64, u64, (i64, i64, i64));
const SHAPE: [Shape; 5] = [
    ("shop", "GET /cart", 2, None, 0, 100, (1, 10, -1)),
    ("shop", "call", 3, Some(0), 1, 70, (2, 7, 1)),
    ("pay", "charge", 2, Some(1), 2, 50, (3, 6, 2)),
    ("pay", "SELECT", 3, Some(2), 3, 10, (4, 5, 3)),
    ("mail", "receive", 5, Some(0), 5, 20, (8, 9, 1)),
];

impl Shop {
    fn open() -> Self {
        let gateway = Gateway::start();
        // A whole minute that is over, so that one interval holds everything.
        let start = now_nanos() / MINUTE * MINUTE - MINUTE;
        let mut spans = Vec::new();
        for number in 0..TRACES {
            let trace = [&[7; 15], [u8::try_from(number).unwrap()].as_slice()].concat();
            let id = |at: usize| [1, 2, 3, 4, 5, 6, trace[15], u8::try_from(at).unwrap() + 1];
            for (at, (service, name, kind, parent, offset, slow, set)) in
                SHAPE.into_iter().enumerate()
            {
                let mut span = otlp::span(&trace, &id(at), name);
                span.kind = kind;
                span.parent_span_id = parent.map(|at| id(at).to_vec()).unwrap_or_default();
                span.start_time_unix_nano = start + SECOND * (1 + 2 * number) + offset * MILLI;
                let duration = (number + 1) * slow * MILLI;
                span.end_time_unix_nano = span.start_time_unix_nano + duration;
                if name == "SELECT" {
                    span.attributes.push(otlp::text("db.system.name", "postgresql"));
                }
                let is_error = match name {
                    "charge" => number % 3 == 0,
                    "GET /cart" => number % 6 == 0,
                    _ => false,
                };
                if is_error {
                    span.status = Some(Status { code: 2, message: String::new() });
                }
                if is_error && name == "charge" {
                    span.events.push(exception(span.start_time_unix_nano, number));
                }
                let (trace, id) = (trace.clone(), hex(&id(at)));
                spans.push(Known { trace, id, service, name, kind, set, duration, is_error });
                gateway.export(&otlp::request(service, vec![span]));
            }
        }
        Self { gateway, spans, start }
    }

    fn range(&self, query: &str, step: u64) -> Vec<Series> {
        let (query, start, end) = (query.to_owned(), self.start, self.start + MINUTE);
        self.gateway.series(&MetricsRequest { query, start, end, step, exemplars: 100 })
    }

    fn of<'a>(&'a self, signal: &'a str, filter: &'a str) -> impl Iterator<Item = &'a Known> {
        self.spans.iter().filter(move |span| span.meets(signal, filter))
    }

    /// The spans that a search shows, by their ids; each trace has all that match.
    fn found(&self, query: &str, limit: u32) -> BTreeMap<String, Span> {
        let traces = self.gateway.find(query, limit, 20);
        let ids: BTreeSet<&str> = traces.iter().map(|trace| trace.id.as_str()).collect();
        assert_eq!(ids.len(), traces.len(), "{query}: each trace comes once");
        let sets = traces.iter().flat_map(|Trace { sets, .. }| sets);
        let shown = sets.inspect(|set| {
            assert_eq!(set.matched as usize, set.spans.len(), "{query}: {set:?}");
        });
        shown.flat_map(|set| &set.spans).map(|span| (span.id.clone(), span.clone())).collect()
    }
}

fn exception(at: u64, number: u64) -> Event {
    let message = format!("out of carts {number}");
    Event {
        name: "exception".to_owned(),
        time_unix_nano: at,
        attributes: vec![
            otlp::text("exception.message", &message),
            otlp::text("exception.type", "CartError"),
            otlp::text("exception.stacktrace", "at cart:7"),
        ],
        ..Event::default()
    }
}

/// Once with everything in memory, once with everything in blocks.
fn everywhere(check: impl Fn(&Shop)) {
    let shop = Shop::open();
    check(&shop);
    shop.gateway.flush("l1");
    check(&shop);
}

fn ids(spans: impl Iterator<Item: Borrow<Known>>) -> BTreeSet<String> {
    spans.map(|span| span.borrow().id.clone()).collect()
}

fn keys(spans: &BTreeMap<String, Span>) -> BTreeSet<String> {
    spans.keys().cloned().collect()
}

/// How many spans there are by the value of a label, which a rate over steps of so many seconds
/// tells; series of nothing left out.
fn counts(series: &[Series], label: &str, step: f64) -> BTreeMap<String, u64> {
    let count = |series: &Series| {
        let count = series.sum() * step;
        assert!((count - count.round()).abs() < 1e-6, "{series:?}");
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "few spans")]
        (series.label(label).unwrap_or_default(), count.round() as u64)
    };
    series.iter().map(count).filter(|(_, count)| *count > 0).collect()
}

fn close(found: f64, expected: f64) -> bool {
    (found - expected).abs() <= expected * 0.011
}

#[test]
fn rates_of_each_signal_count_its_spans() {
    everywhere(|shop| {
        for (signal, filter) in SIGNALS.iter().flat_map(|s| FILTERS.map(|f| (*s, f))) {
            for (errors, sampled) in [("", ""), (" && status=error", " with(sample=true)")] {
                let chosen =
                    || shop.of(signal, filter).filter(|span| errors.is_empty() || span.is_error);
                let all = format!("{{{signal} && {filter}{errors}}} | rate() {sampled}");
                let series = shop.range(&all, 10 * SECOND);
                let total = counts(&series, "", 10.0).into_values().sum::<u64>();
                assert_eq!(total, chosen().count() as u64, "{all}: {series:?}");
                for (key, of) in [
                    ("resource.service.name", (|span| span.service) as fn(&Known) -> &str),
                    ("name", |span| span.name),
                ] {
                    let by = format!(
                        "{{{signal} && {filter}{errors} && {key} != nil}} | rate() by({key}){sampled}"
                    );
                    let mut expected: BTreeMap<String, u64> = BTreeMap::new();
                    chosen()
                        .for_each(|span| *expected.entry(of(span).to_owned()).or_default() += 1);
                    let series = shop.range(&by, 10 * SECOND);
                    assert_eq!(counts(&series, key, 10.0), expected, "{by}");
                }
            }
        }
        let probe = shop.range("{} | rate()", MINUTE);
        assert_eq!(counts(&probe, "", 60.0).into_values().sum::<u64>(), TRACES * 5);
    });
}

#[test]
fn exemplars_name_spans_that_match() {
    everywhere(|shop| {
        let series = shop.range("{kind=server && true && status=error} | rate()", 10 * SECOND);
        let known: BTreeSet<String> = shop
            .of("kind=server", "true")
            .filter(|span| span.is_error)
            .map(|span| hex(&span.trace))
            .collect();
        let exemplars: Vec<_> = series.iter().flat_map(|series| &series.exemplars).collect();
        assert!(!exemplars.is_empty(), "{series:?}");
        for exemplar in exemplars {
            let id = exemplar.label("trace:id").unwrap_or_default();
            assert!(known.contains(&format!("{id:0>32}")), "{exemplar:?} not in {known:?}");
            let at = u64::try_from(exemplar.at_ms).unwrap() * MILLI;
            assert!((shop.start..=shop.start + MINUTE).contains(&at), "{exemplar:?}");
        }
    });
}

#[test]
fn quantiles_are_of_each_group() {
    everywhere(|shop| {
        for (signal, filter) in SIGNALS.iter().flat_map(|s| FILTERS.map(|f| (*s, f))) {
            let query = format!(
                "{{{signal} && {filter} && name != nil}} | \
                 quantile_over_time(duration, 0.9,0.5) by(name)"
            );
            let series = shop.range(&query, MINUTE);
            let names: BTreeSet<&str> = shop.of(signal, filter).map(|span| span.name).collect();
            assert_eq!(series.len(), names.len() * 2, "{query}: {series:?}");
            for series in &series {
                let name = series.label("name").unwrap();
                let mut all: Vec<u64> = shop
                    .of(signal, filter)
                    .filter(|span| span.name == name)
                    .map(|span| span.duration / MILLI)
                    .collect();
                all.sort_unstable();
                // What has nine tenths, or half, of the others below it: the 21st or 12th of 24.
                let rank = if series.label("p").as_deref() == Some("0.9") { 21 } else { 12 };
                #[expect(clippy::cast_precision_loss, reason = "milliseconds of few hours")]
                let expected = all[rank - 1] as f64 / 1e3;
                assert!(close(series.sum(), expected), "{query}: not {expected}: {series:?}");
            }
        }
    });
}

#[test]
fn histograms_have_each_span_in_its_bucket() {
    everywhere(|shop| {
        for signal in SIGNALS {
            let query =
                format!("{{{signal} && true}} | histogram_over_time(duration) with(sample=true)");
            let mut expected: BTreeMap<u64, u64> = BTreeMap::new();
            for span in shop.of(signal, "true") {
                *expected.entry(span.duration.next_power_of_two()).or_default() += 1;
            }
            let series = shop.range(&query, MINUTE);
            let found: BTreeMap<u64, u64> = counts(&series, "__bucket", 1.0)
                .into_iter()
                .map(|(bound, count)| {
                    #[expect(
                        clippy::cast_possible_truncation,
                        clippy::cast_sign_loss,
                        reason = "a bound of seconds"
                    )]
                    let bound = (bound.parse::<f64>().unwrap() * 1e9).round() as u64;
                    (bound, count)
                })
                .collect();
            assert_eq!(found, expected, "{query}: {series:?}");
        }
    });
}

#[test]
fn comparisons_count_values_on_both_sides() {
    everywhere(|shop| {
        let (start, end) = (shop.start, shop.start + MINUTE);
        for (selection, selects) in [
            ("{status = error}", (|span| span.is_error) as fn(&Known) -> bool),
            ("{duration >= 500ms && duration <= 1s}", |span| {
                (500 * MILLI..=1_000 * MILLI).contains(&span.duration)
            }),
        ] {
            for signal in SIGNALS {
                let query =
                    format!("{{{signal} && true}} | compare({selection}, 10, {start}, {end})");
                let series = shop.range(&query, MINUTE);
                for (meta, selected) in [("baseline", false), ("selection", true)] {
                    let mut expected: BTreeMap<String, u64> = BTreeMap::new();
                    shop.of(signal, "true").filter(|span| selects(span) == selected).for_each(
                        |span| *expected.entry(span.service.to_owned()).or_default() += 1,
                    );
                    let of = series.iter().filter(|series| {
                        series.label("__meta_type").as_deref() == Some(meta)
                            && series.label("resource.service.name").is_some()
                    });
                    let of: Vec<Series> = of.cloned().collect();
                    let found = counts(&of, "resource.service.name", 1.0);
                    assert_eq!(found, expected, "{query}: {meta}");
                }
            }
        }
    });
}

#[test]
fn span_lists_show_their_columns() {
    everywhere(|shop| {
        for (signal, filter) in SIGNALS.iter().flat_map(|s| FILTERS.map(|f| (*s, f))) {
            for (tab, is_shown) in [
                ("", (|_| true) as fn(&Known) -> bool),
                (" && status = error", |span| span.is_error),
                (" && duration > 600ms", |span| span.duration > 600 * MILLI),
                (" && duration >= 350ms && duration <= 1s", |span| {
                    (350 * MILLI..=SECOND).contains(&span.duration)
                }),
            ] {
                let query = format!(
                    "{{{signal} && {filter}{tab}}} | \
                     select(status, resource.service.name, name, kind, span.db.system.name)"
                );
                let found = shop.found(&query, 200);
                let chosen = || shop.of(signal, filter).filter(|span| is_shown(span));
                assert_eq!(keys(&found), ids(chosen()), "{query}");
                for span in chosen() {
                    let shown = &found[&span.id];
                    let text = |key: &str| shown.text(key).unwrap_or_default();
                    assert_eq!(text("service.name"), span.service, "{query}: {shown:?}");
                    assert_eq!(shown.name, span.name, "{query}: {shown:?}");
                    assert_eq!(text("status") == "error", span.is_error, "{query}: {shown:?}");
                    let is_sql = text("db.system.name") == "postgresql";
                    assert_eq!(is_sql, span.name == "SELECT", "{query}: {shown:?}");
                }
            }
        }
    });
}

#[test]
fn structures_have_the_numbers_of_nested_sets() {
    everywhere(|shop| {
        for (part, is_part) in [
            ("kind = server", (|span| span.kind == 2) as fn(&Known) -> bool),
            ("status = error", |span| span.is_error),
            ("duration > 600ms", |span| span.duration > 600 * MILLI),
        ] {
            for signal in SIGNALS {
                let query = format!(
                    "({{{signal} && true}} &>> {{ {part} }}) || ({{{signal} && true}}) | \
                     select(status, resource.service.name, name, nestedSetParent, \
                     nestedSetLeft, nestedSetRight)"
                );
                // The signal's spans, and what is below any of them and a part.
                let below = |span: &&Known| {
                    is_part(span)
                        && shop.of(signal, "true").any(|above| {
                            above.trace == span.trace
                                && above.set.0 < span.set.0
                                && span.set.1 < above.set.1
                        })
                };
                let mut expected = ids(shop.of(signal, "true"));
                expected.extend(ids(shop.spans.iter().filter(below)));
                let found = shop.found(&query, 200);
                assert_eq!(keys(&found), expected, "{query}");
                for span in shop.spans.iter().filter(|span| expected.contains(&span.id)) {
                    let shown = &found[&span.id];
                    let number = |key: &str| shown.text(key).and_then(|text| text.parse().ok());
                    let set = (
                        number("nestedSetLeft"),
                        number("nestedSetRight"),
                        number("nestedSetParent"),
                    );
                    let (left, right, parent) = span.set;
                    assert_eq!(set, (Some(left), Some(right), Some(parent)), "{query}: {shown:?}");
                    assert_eq!(shown.text("service.name").as_deref(), Some(span.service));
                }
            }
        }
    });
}

#[test]
fn exceptions_are_shown_with_their_events() {
    everywhere(|shop| {
        let select = "select(resource.service.name, event.exception.message,\
                      event.exception.stacktrace,event.exception.type) with(most_recent=true)";
        for (signal, count) in [("kind=server", 12), ("true", 12), ("nestedSetParent<0", 4)] {
            let query = format!("{{{signal} && true && status = error}} | {select}");
            let found = shop.found(&query, 400);
            assert_eq!(found.len(), count, "{query}");
            for span in found.values().filter(|span| span.id.ends_with("03")) {
                let text = |key: &str| span.text(key).unwrap_or_default();
                assert!(text("exception.message").contains("out of carts"), "{span:?}");
                assert!(text("exception.type").contains("CartError"), "{span:?}");
                assert!(text("exception.stacktrace").contains("cart:7"), "{span:?}");
                assert_eq!(text("service.name"), "pay", "{span:?}");
            }
        }
        let one = format!(
            "{{true && true && status = error && event.exception.message=~\"out of carts 1?2\"}} | {select}"
        );
        assert_eq!(shop.found(&one, 400).len(), 1, "{one}");
    });
}
