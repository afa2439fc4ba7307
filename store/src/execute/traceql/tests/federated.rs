//! What several tenants have answers as if it were one's.

use std::collections::BTreeSet;

use model::TimeRange;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use proptest::prelude::*;
use prost::Message as _;
use traceql::ast::{Query, Scope};

use super::metrics;
use super::names;
use super::search::{ask, during, expected, query, room, run, told};
use super::world::{ALONE, Attr, S, Still, Where, World, scattered, trace_id};
use crate::execute::trace;
use crate::execute::traceql::{SearchRequest, TraceMatch};

const TENANTS: [&str; 5] = ["alpha", "beta", "delta", "gamma", "omega"];

type Scattered = Vec<(S, Where, u8)>;

/// Spans of two to four tenants over all kinds of places, and some of one that is not asked; some say
/// themselves whose they are.
fn spans() -> impl Strategy<Value = (&'static [&'static str], Scattered)> {
    let claim = prop::sample::select(vec!["", "", "alpha", "mine"]);
    let whose = prop::collection::vec((0usize..12, claim), 24);
    (2usize..=4, scattered(), whose).prop_map(|(count, mut spans, whose)| {
        let tenants = &TENANTS[..count];
        for ((span, ..), (tenant, claim)) in spans.iter_mut().zip(whose) {
            span.tenant = TENANTS[tenant % (count + 1)];
            if !claim.is_empty() {
                span.resource.push(("tenant", Attr::Text(claim)));
                span.resource.push(("tenant.reported", Attr::Text("a lie")));
            }
        }
        (tenants, spans)
    })
}

/// The same with ids that only one tenant has.
fn apart() -> impl Strategy<Value = (&'static [&'static str], Scattered)> {
    spans().prop_map(|(tenants, mut spans)| {
        let mut known = BTreeSet::new();
        spans.retain(|(span, ..)| known.insert((span.trace, span.id, span.kind)));
        (tenants, spans)
    })
}

/// Now and then a query asks for tenants.
fn asked(query: &str, is_asked: bool) -> String {
    if !is_asked {
        return query.to_owned();
    }
    let tenant = |text: String, quote: &str| {
        text.replace(&format!("{quote}x{quote}"), &format!("{quote}alpha{quote}"))
    };
    let text = query.replace("resource.a", "resource.tenant").replace(".d", ".tenant");
    let text = text.replace("resource.service.name", "resource.tenant.reported");
    tenant(tenant(text, "`"), "\"")
}

fn with_tenants(query: &Query, is_asked: bool) -> Query {
    let text = asked(&query.to_string(), is_asked);
    traceql::parse(&text).unwrap_or_else(|_| query.clone())
}

/// All of one tenant, in one place, as what carries its tenant.
fn alone(tenants: &[&str], spans: &Scattered) -> World {
    let spans = spans.iter().map(|(span, ..)| span);
    let ours = spans.filter(|span| tenants.contains(&span.tenant));
    let spans = ours.map(|span| S { tenant: ALONE, ..span.carried() });
    World::at(Where::Head, spans)
}

/// The spans of a trace with what is around them, in an order of their own, read page by page.
fn by_id(world: &World, of: u8, bytes_max: usize) -> Vec<String> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let read = |parts: &crate::execute::Parts<'_>| {
            trace(parts, trace_id(of), TimeRange::ALL, after, bytes_max).unwrap()
        };
        let Some((page, ..)) = world.look(read) else { break };
        for mut of in ExportTraceServiceRequest::decode(&*page.otlp).unwrap().resource_spans {
            let scopes = std::mem::take(&mut of.scope_spans);
            let mut resource = of.resource.take().unwrap().attributes;
            resource.sort_by(|a, b| a.key.cmp(&b.key));
            for scope in scopes {
                let around = format!("{:?} {resource:?}", scope.scope);
                all.extend(scope.spans.into_iter().map(|span| format!("{span:?} {around}")));
            }
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    all.sort();
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, max_global_rejects: 1 << 20, ..ProptestConfig::default() })]

    #[test]
    fn searches_are_as_the_plain_evaluator_has_them(
        (tenants, spans) in spans(),
        query in query(),
        is_asked in any::<bool>(),
        limit in prop_oneof![Just(1usize), Just(10)],
        during in during(),
        hidden in (0usize..2, 1u8..5),
        room in room(),
        cataloged in prop::collection::vec(0usize..6, 0..6),
    ) {
        let query = with_tenants(&query, is_asked);
        let mut world = World::of(tenants, spans, 4);
        world.remember(room);
        let request = SearchRequest { during, ..ask(&query, limit) };
        for times in 0..4 {
            match times {
                2 => world.hide_of(hidden.0, hidden.1),
                3 => world.catalog(&cataloged),
                _ => {}
            }
            let answer = run(&world, &request);
            prop_assert_eq!(&answer.partial, &None);
            prop_assert_eq!(told(&answer), expected(&world, &request), "{} {}", times, query);
        }
    }

    #[test]
    fn series_are_the_plain_sums(
        (tenants, spans) in spans(),
        query in metrics::query(),
        is_asked in any::<bool>(),
        hidden in (0usize..2, 1u8..5),
        room in room(),
    ) {
        let query = asked(&query, is_asked);
        prop_assume!(traceql::parse(&query).is_ok());
        let mut world = World::of(tenants, spans, 4);
        world.remember(room);
        let request = metrics::ask(&query);
        metrics::same(&world, &request)?;
        // Of what is known by then.
        metrics::same(&world, &request)?;
        world.hide_of(hidden.0, hidden.1);
        metrics::same(&world, &request)?;
    }

    #[test]
    fn names_and_values_are_those_of_one_tenant((tenants, spans) in apart(), room in room()) {
        let one = alone(tenants, &spans);
        let mut world = World::of(tenants, spans, 4);
        world.remember(room);
        for filter in ["", "{ resource.tenant = `alpha` }", "{ span.a = `x` && .tenant != `beta` }"] {
            let names_of = |world: &World| {
                let request = names::ask(filter);
                let found = world.look(|parts| {
                    crate::execute::traceql::names(parts, &Still, None, &request)
                });
                found.unwrap().names
            };
            let all = names_of(&one);
            prop_assert_eq!(&names_of(&world), &all, "{}", filter);
            let own = all.iter().map(|of| format!("{}.{}", of.scope.name(), of.name));
            let unscoped = all.iter().map(|of| format!(".{}", of.name));
            let other = ["name", "event:name", "instrumentation:name", "duration", "rootName",
                "rootServiceName", "traceDuration", "span:childCount", "nestedSetParent",
                "parent.a", "parent.resource.tenant", "trace:id"];
            for field in own.chain(unscoped).chain(other.into_iter().map(str::to_owned)) {
                let told = names::values_of(&world, &field, filter);
                prop_assert_eq!(told, names::values_of(&one, &field, filter), "{} {}", field, filter);
            }
        }
    }

    #[test]
    fn a_trace_by_its_id_is_all_that_tenants_have_of_it(
        (tenants, spans) in apart(),
        bytes_max in prop_oneof![Just(1usize << 20), 1usize..600],
        cataloged in prop::option::of(prop::collection::vec(0usize..6, 0..6)),
    ) {
        let one = alone(tenants, &spans);
        let mut world = World::of(tenants, spans, 4);
        if let Some(cataloged) = cataloged {
            world.catalog(&cataloged);
        }
        for of in 1..5 {
            prop_assert_eq!(by_id(&world, of, bytes_max), by_id(&one, of, 1 << 20));
        }
    }
}

/// A trace of which two tenants have spans, and the whole of another.
fn shop() -> World {
    let span =
        |tenant, trace, id, parent, name| S { tenant, trace, id, parent, name, ..S::default() };
    let spans = [
        (span("alpha", 1, 1, 0, "page"), Where::Block, 0),
        (span("beta", 1, 2, 1, "query"), Where::L0, 0),
        (span("alpha", 1, 3, 1, "list"), Where::Head, 0),
        (span("beta", 1, 3, 2, "row"), Where::Head, 0),
        (span("beta", 2, 1, 0, "page"), Where::Head, 0),
    ];
    World::of(&TENANTS[..2], spans.into(), 4)
}

fn found(world: &World, query: &str) -> Vec<(u8, u64)> {
    let answer = run(world, &ask(&traceql::parse(query).unwrap(), 10));
    let matched = |of: &TraceMatch| of.spansets.iter().map(|set| set.matched).sum();
    answer.traces.iter().map(|of| (of.id.as_bytes()[15], matched(of))).collect()
}

#[test]
fn structure_goes_over_tenants() {
    let world = shop();
    for (query, expected) in [
        ("{ resource.tenant = `alpha` } >> { resource.tenant = `beta` }", &[(1, 2)][..]),
        ("{ resource.tenant = `alpha` } && { resource.tenant = `beta` }", &[(1, 4)]),
        ("{ name = `query` } ~ { name = `list` }", &[(1, 1)]),
        ("{ } | count() = 4", &[(1, 4)]),
        ("{ rootName = `page` && name = `row` }", &[(1, 1)]),
        ("{ } | by(resource.tenant) | count() = 2", &[(1, 4)]),
        ("{ .tenant = `gamma` }", &[]),
    ] {
        assert_eq!(found(&world, query), expected, "{query}");
    }
}

#[test]
fn spans_of_two_tenants_with_one_id_are_two() {
    let world = shop();
    assert_eq!(found(&world, "{ span:id = `0000000000000003` }"), [(1, 2)]);
    assert_eq!(by_id(&world, 1, 1 << 20).len(), 4);
    // Both are on the page that ends with them.
    assert_eq!(by_id(&world, 1, 1).len(), 4);
}

#[test]
fn what_one_tenant_hides_others_still_show() {
    let mut world = shop();
    world.hide_of(0, 1);
    assert_eq!(found(&world, "{ }"), [(1, 2), (2, 1)]);
    assert_eq!(by_id(&world, 1, 1 << 20).len(), 2);
    world.hide_of(1, 1);
    assert_eq!(found(&world, "{ }"), [(2, 1)]);
    assert!(by_id(&world, 1, 1 << 20).is_empty());
}

#[test]
fn tenants_are_names_and_values_of_resources() {
    let world = shop();
    assert_eq!(names::values_of(&world, "resource.tenant", ""), ["\"alpha\"", "\"beta\""]);
    assert_eq!(names::values_of(&world, ".tenant", "{ name = `row` }"), ["\"beta\""]);
    let request = names::ask("");
    let names = world.look(|parts| {
        crate::execute::traceql::names(parts, &Still, Some(Scope::Resource), &request)
    });
    let names: Vec<_> = names.unwrap().names.into_iter().map(|name| name.name).collect();
    assert_eq!(names, ["service.name", "tenant"]);
}
