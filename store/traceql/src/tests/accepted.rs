//! What is a query, and how it prints.

use crate::ast::{Field, Intrinsic, Key, Root, Scope, Static, Whose};
use crate::{field, parse};

/// A query as it is written, and as it prints.
const QUERIES: &[(&str, &str)] = &[
    ("{}", "{ }"),
    ("{ }  // everything", "{ }"),
    ("/* a\nb */ {}", "{ }"),
    ("{.a=1}", "{ .a = 1 }"),
    ("{ .a }", "{ .a }"),
    ("{ !.a && -.b<-1 }", "{ !.a && -.b < -1 }"),
    ("{ -(1) < - 1 }", "{ -(1) < -1 }"),
    ("{ span.a = resource.b }", "{ span.a = resource.b }"),
    ("{ event.a != link.b }", "{ event.a != link.b }"),
    ("{ instrumentation.a = nil }", "{ instrumentation.a = nil }"),
    ("{ nil != parent.a }", "{ nil != parent.a }"),
    ("{ parent.span.a = parent.resource.b }", "{ parent.span.a = parent.resource.b }"),
    ("{ parent.duration > 1s }", "{ parent.duration > 1s }"),
    ("{ parent.\"duration\" > 1s }", "{ parent.\"duration\" > 1s }"),
    ("{ parent.\"span.a\" = 1 }", "{ parent.\"span.a\" = 1 }"),
    ("{ parent = nil }", "{ parent = nil }"),
    ("{ .\"a b\".c = 1 }", "{ .\"a b.c\" = 1 }"),
    ("{ .a.\"b\" = 1 }", "{ .a.b = 1 }"),
    (r#"{ ."q\"\\" = 1 }"#, r#"{ ."q\"\\" = 1 }"#),
    ("{ .\"2xx\" = 1 }", "{ .\"2xx\" = 1 }"),
    ("{ span.2xx = 1 }", "{ span.2xx = 1 }"),
    ("{ .a-b/c:d[0]@é#1 = 1 }", "{ .a-b/c:d[0]@é#1 = 1 }"),
    ("{ .a+1=2 }", "{ .a+1 = 2 }"),
    ("{ span:name = `a\"b` }", "{ name = \"a\\\"b\" }"),
    (r#"{ name = "\t\x41\101é\U0001f600" }"#, "{ name = \"\\tAAé😀\" }"),
    ("{ trace:rootService = rootName }", "{ rootServiceName = rootName }"),
    ("{ span:childCount > childCount }", "{ span:childCount > span:childCount }"),
    ("{ kind = server || span:kind != consumer }", "{ kind = server || kind != consumer }"),
    ("{ status=error }", "{ status = error }"),
    ("{ duration>=1h30m && duration<1.5s }", "{ duration >= 90m && duration < 1500ms }"),
    ("{ 1d = 1w || 1y = 1us || 1µs = 1ns || 0s = 0 }", DURATIONS),
    (
        "{ .5 < 1. || 1e3 = 1E-3 || 0.1 = 1.5e+3 }",
        "{ 0.5 < 1.0 || 1000.0 = 0.001 || 0.1 = 1500.0 }",
    ),
    ("{ minInt < maxInt }", "{ -9223372036854775808 < 9223372036854775807 }"),
    ("{ .a =~ \"x|y\" && .b !~ `z.*` }", "{ .a =~ \"x|y\" && .b !~ \"z.*\" }"),
    ("{ .a =~ .b }", "{ .a =~ .b }"),
    ("{ true } && { false } || { .a }", "({ true } && { false }) || { .a }"),
    ("{}>{}>>{}<{}<<{}~{}", "{ } > { } >> { } < { } << { } ~ { }"),
    ("{}!>{}!>>{}!<{}!<<{}!~{}", "{ } !> { } !>> { } !< { } !<< { } !~ { }"),
    ("{}&>{}&>>{}&<{}&<<{}&~{}", "{ } &> { } &>> { } &< { } &<< { } &~ { }"),
    ("{} > ({} >> {})", "{ } > ({ } >> { })"),
    ("{.a} | {.b} | by(.c, name) | coalesce()", "{ .a } | { .b } | by(.c) | by(name) | coalesce()"),
    ("{} | select(.a, name, event.b)", "{ } | select(.a, name, event.b)"),
    ("by(1 + .a) | count() > 2", "by(1 + .a) | count() > 2"),
    (
        "{} | avg(.a * 2) + 1 >= max(duration) / count()",
        "{ } | avg(.a * 2) + 1 >= max(duration) / count()",
    ),
    (
        "({.a} | count()) > ({.b} | min(duration)) * 2",
        "({ .a } | count()) > ({ .b } | min(duration)) * 2",
    ),
    ("({.a} | count() > 1) >> {.b}", "({ .a } | count() > 1) >> { .b }"),
    ("(count() > 1) || ({})", "(count() > 1) || { }"),
    ("({} | by(.a)) && {} | coalesce()", "({ } | by(.a)) && { } | coalesce()"),
    ("{} | rate()", "{ } | rate()"),
    ("{}|rate()by(.a,name,resource.b)", "{ } | rate() by(.a, name, resource.b)"),
    (
        "{} | count_over_time() | topk(3) > 1 | bottomk(2)",
        "{ } | count_over_time() | topk(3) > 1 | bottomk(2)",
    ),
    ("{} | min_over_time(duration)", "{ } | min_over_time(duration)"),
    ("{} | max_over_time(.a) by(.b)", "{ } | max_over_time(.a) by(.b)"),
    ("{} | sum_over_time(.a) > 1s", "{ } | sum_over_time(.a) > 1s"),
    ("{} | avg_over_time(span.a)", "{ } | avg_over_time(span.a)"),
    (
        "{} | quantile_over_time(duration, 0, .9, 1)",
        "{ } | quantile_over_time(duration, 0.0, 0.9, 1.0)",
    ),
    ("{} | histogram_over_time(duration)", "{ } | histogram_over_time(duration)"),
    ("{} | compare({status=error})", "{ } | compare({ status = error })"),
    ("{} | compare({}, 5)", "{ } | compare({ }, 5)"),
    ("{} | compare({.a}, 10, 1, 2)", "{ } | compare({ .a }, 10, 1, 2)"),
    (
        "({}|rate()) / ({}|count_over_time()) * 100",
        "({ } | rate()) / ({ } | count_over_time()) * 100",
    ),
    ("3 / 2 + ({}|rate())", "1 + ({ } | rate())"),
    ("({}|rate()) + (1.0/0)", "({ } | rate()) + 1e999"),
    ("({}|rate()|topk(2)) - -1.5", "({ } | rate() | topk(2)) - -1.5"),
    ("({}|rate()) * (2 + 3) >= 3 <= 4 | topk(1)", "({ } | rate()) * 5 >= 3 <= 4 | topk(1)"),
    ("({} | rate())", "{ } | rate()"),
    ("{} with(most_recent=true)", "{ } with(most_recent=true)"),
    ("{} | rate() with(sample=0.1, exemplars=5)", "{ } | rate() with(sample=0.1, exemplars=5)"),
];

const DURATIONS: &str = "{ 24h = 168h || 8760h = 1us || 1us = 1ns || 0ns = 0 }";

#[test]
fn queries_parse_and_print() {
    for (query, printed) in QUERIES {
        match parse(query) {
            Ok(tree) => assert_eq!(tree.to_string(), *printed, "{query}"),
            Err(error) => panic!("{query}: {error}"),
        }
        let again = parse(printed).unwrap_or_else(|error| panic!("{printed}: {error}"));
        assert_eq!(Ok(again), parse(query), "{query}");
    }
}

#[test]
fn every_intrinsic_has_a_row_and_is_read_by_its_names() {
    for row in crate::ast::INTRINSICS {
        let name = row.intrinsic.name();
        assert_eq!(field(name), Ok(Field::intrinsic(row.intrinsic)));
        if let Some(alias) = row.alias {
            assert_eq!(field(alias), Ok(Field::intrinsic(row.intrinsic)));
        }
        if let Some(word) = row.of_parent {
            let key = Key::Intrinsic(row.intrinsic);
            assert_eq!(field(&format!("parent.{word}")), Ok(Field { whose: Whose::Parent, key }));
        }
    }
    // The last one: the numbers of those before it are smaller.
    assert_eq!(crate::ast::INTRINSICS.len(), Intrinsic::NestedSetParent as usize + 1);
}

#[test]
fn names_of_fields_are_read_alone() {
    let attribute = |scope, name: &str| Ok(Field::attribute(scope, name));
    assert_eq!(field("span.http.method"), attribute(Scope::Span, "http.method"));
    assert_eq!(field(".a/b"), attribute(Scope::Unscoped, "a/b"));
    assert_eq!(field("resource.\"a b\""), attribute(Scope::Resource, "a b"));
    assert_eq!(field("span.attr%20x"), attribute(Scope::Span, "attr%20x"));
    for wrong in ["", "a", "span.", "span.a b", "span.a = 1", "1", "error"] {
        assert!(field(wrong).is_err(), "{wrong}");
    }
}

/// The page for users, which has every word of the language.
const REFERENCE: &str = include_str!("../../../../docs/reference/traceql.md");

#[test]
fn the_reference_has_every_intrinsic_and_its_examples_are_queries() {
    for row in crate::ast::INTRINSICS {
        assert!(REFERENCE.contains(&format!("`{}`", row.name)), "{}", row.name);
    }
    let block = REFERENCE.split("```").nth(1).expect("it has an example");
    for query in block.lines().filter(|line| !line.is_empty()) {
        assert!(parse(query).is_ok(), "{query}");
    }
}

#[test]
fn by_any_number_of_fields() {
    let many: Vec<String> = (0..20).map(|number| format!(".a{number}")).collect();
    let query = parse(&format!("{{}} | rate() by({})", many.join(","))).unwrap();
    let Root::Metrics(crate::ast::MetricsExpr::Query(query)) = query.root else { panic!() };
    assert_eq!(query.by.len(), 20);
}

#[test]
fn settings_are_literals_with_names() {
    let query = parse("{} with(sample=0.1, unknown=\"x\", most_recent=true)").unwrap();
    let named: Vec<_> = query.with.iter().map(|with| (&*with.name, with.value.clone())).collect();
    let text = Static::Text("x".to_owned());
    let sample = Static::Float(0.1);
    let expected = [("sample", sample), ("unknown", text), ("most_recent", Static::Bool(true))];
    assert_eq!(named, expected);
}
