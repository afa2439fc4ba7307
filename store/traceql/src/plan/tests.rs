//! What is known of a query before a span is read.

use proptest::prelude::*;

use super::{implied, normal, reads, required, selected};
use crate::ast::{FieldExpr, Query, Root, SpansetKind, Stage};
use crate::tests::arbitrary;
use crate::{parse, parser};

fn filter(text: &str) -> FieldExpr {
    let query = normal(parse(text).unwrap_or_else(|error| panic!("{text}: {error}")));
    let Root::Spans(pipeline) = query.root else { panic!("{text}") };
    match pipeline.stages.into_iter().next() {
        Some(Stage::Spanset(spanset)) => match spanset.kind {
            SpansetKind::Filter(Some(expr)) => expr,
            kind => panic!("{text}: {kind:?}"),
        },
        stage => panic!("{text}: {stage:?}"),
    }
}

/// Clauses as text: `.a = 1 | .b exists`.
fn clauses(text: &str) -> Vec<String> {
    let clause = |clause: super::Clause| {
        let condition = |condition: &super::Condition| match &condition.test {
            super::Test::Compare(op, value) => {
                format!("{} {} {value}", condition.field, op.symbol())
            }
            super::Test::Exists => format!("{} exists", condition.field),
            super::Test::Missing => format!("{} missing", condition.field),
        };
        clause.iter().map(condition).collect::<Vec<_>>().join(" | ")
    };
    implied(&filter(text)).into_iter().map(clause).collect()
}

#[test]
fn conditions_that_every_match_fulfils() {
    for (query, expected) in [
        ("{ .a = 1 }", &[".a = 1"][..]),
        ("{ 1 < .a }", &[".a > 1"]),
        ("{ .a = 2 * 3 }", &[".a = 6"]),
        ("{ .a }", &[".a = true"]),
        ("{ !.a }", &[".a = false"]),
        ("{ .a = 1 && .b =~ \"x\" }", &[".a = 1", ".b =~ \"x\""]),
        ("{ .a = 1 || .b = 2 }", &[".a = 1 | .b = 2"]),
        ("{ (.a = 1 && .b = 2) || .c = 3 }", &[".a = 1 | .c = 3", ".b = 2 | .c = 3"]),
        ("{ .a = 1 || .a = 1 }", &[".a = 1"]),
        ("{ .a != nil && nil = .b }", &[".a exists", ".b missing"]),
        ("{ !(.a = 1) }", &[".a exists"]),
        ("{ !(.a = nil) && .b = 1 }", &[".b = 1"]),
        ("{ !(.a = 1 || .b = 1) && .c }", &[".c = true"]),
        ("{ .a + .b > .a }", &[".a exists", ".b exists"]),
        ("{ (.a = nil) = true && .b = .c }", &[".b exists", ".c exists"]),
        ("{ .a =~ .b }", &[".a exists", ".b exists"]),
        ("{ .a = 1 || (.b = nil) = true }", &[]),
        ("{ false }", &[""]),
        ("{ .a = 1 || nil = nil }", &[".a = 1"]),
        ("{ .a + .b }", &[""]),
    ] {
        assert_eq!(clauses(query), expected, "{query}");
    }
}

#[test]
fn clauses_stay_few() {
    let wide = vec!["(.a = 1 && .b = 2 && .c = 3)"; 40].join(" || ");
    assert!(clauses(&format!("{{ {wide} }}")).len() <= 16);
}

#[test]
fn simpler_forms_of_the_same() {
    for (query, expected) in [
        ("{ true }", "{ }"),
        ("{ nestedSetParent<0 && true }", "{ nestedSetParent < 0 }"),
        ("{ true && .a && true }", "{ .a }"),
        ("{ .a || 1 = 1.0 }", "{ }"),
        ("{ .a && 1 > 2 }", "{ false }"),
        ("{ .a && (false || (.b && .c)) }", "{ .a && .b && .c }"),
        ("{ !true || .a }", "{ .a }"),
        ("{ 1 + 1 < .a * (4 / 3) }", "{ .a * 1 > 2 }"),
        ("{ nil != .a }", "{ .a != nil }"),
        ("{ nil = nil }", "{ false }"),
        ("{ \"x\" =~ .a }", "{ \"x\" =~ .a }"),
        ("{ \"xy\" =~ \"x.\" }", "{ }"),
        ("{ \"a\" < \"b\" && 1h = 3600s && 1 = \"x\" }", ""),
        ("{ duration > -(1s) * 2 }", "{ duration > -2s }"),
        ("{ .a = 1 / 0 }", "{ .a = 1 / 0 }"),
        ("{ duration > 1s / 4 }", "{ duration > 250ms }"),
        ("{ duration > 5ns / 2 }", "{ duration > 2.5 }"),
        ("{ duration = 5000000000ns * .2 }", "{ duration = 1000000000.0 }"),
        ("{ .a } >> { true } | count() > 1 + 2", "{ .a } >> { } | count() > 3"),
        ("{ } | by(1 + 2 + .a) | sum(.a * (2 - 1)) > 3", "{ } | by(3 + .a) | sum(.a * 1) > 3"),
        ("{ true } | compare({ true && .a })", "{ } | compare({ .a })"),
        ("({ true } | rate()) * 2 > 1", "({ } | rate()) * 2 > 1"),
    ] {
        if let Ok(query) = parse(query) {
            assert_eq!(normal(query).to_string(), expected);
        } else {
            assert_eq!(expected, "", "{query}");
        }
    }
}

fn fields(query: &Query) -> (Vec<String>, bool) {
    let reads = reads(query);
    (reads.fields.iter().map(ToString::to_string).collect(), reads.structure)
}

#[test]
fn fields_that_are_read() {
    for (query, expected, structure) in [
        ("{ }", "", false),
        ("{ .a = .a && span.b } | by(.c) | max(.d) > 1", ".a .c .d span.b", false),
        ("{ .a } | select(name, .a)", ".a name", false),
        ("{ .a } > { .b }", ".a .b", true),
        ("{ parent.a }", "parent.a", true),
        ("{ nestedSetParent < 0 }", "nestedSetParent", true),
        ("({ .a } | min(.b)) > count()", ".a .b", false),
        ("({ .a } | rate() by(.b)) / ({ .c } | sum_over_time(.d))", ".a .b .c .d", false),
        ("{ } | compare({ .a })", ".a", false),
    ] {
        let (found, related) = fields(&parse(query).unwrap());
        assert_eq!((found.join(" ").as_str(), related), (expected, structure), "{query}");
    }
}

#[test]
fn selected_fields_keep_their_order() {
    let query = parse("({ } | select(name)) || { } | select(.b, .a) | select(.a, .c)").unwrap();
    let selected: Vec<_> = selected(&query).iter().map(ToString::to_string).collect();
    assert_eq!(selected, ["name", ".b", ".a", ".c"]);
}

#[test]
fn filters_that_have_to_match_somewhere() {
    for (query, expected) in [
        ("{ }", ""),
        ("{ .a }", "[.a]"),
        ("{ .a } && { .b }", "[.a] [.b]"),
        ("{ .a } || { .b }", "[.a .b]"),
        ("{ .a } || { }", ""),
        ("{ .a } >> { .b }", "[.a] [.b]"),
        ("{ .a } !>> { .b }", "[.b]"),
        ("{ .a } &>> { .b }", "[.a] [.b]"),
        ("({ .a } >> { .b }) || { .c }", "[.a .c] [.b .c]"),
        ("({ .a } | { .b }) >> { } | { .c }", "[.a] [.b] [.c]"),
        ("({ .a } | count()) = 0", ""),
    ] {
        let parsed = parse(query).unwrap();
        let Root::Spans(pipeline) = &parsed.root else { panic!("{query}") };
        let group = |group: &Vec<&FieldExpr>| {
            let filters: Vec<_> = group.iter().map(ToString::to_string).collect();
            format!("[{}]", filters.join(" "))
        };
        let found: Vec<_> = required(pipeline).iter().map(group).collect();
        assert_eq!(found.join(" "), expected, "{query}");
    }
}

proptest! {
    #[test]
    fn a_normal_form_is_normal_and_reads_no_more(query in arbitrary::query()) {
        let simple = normal(query.clone());
        prop_assert!(reads(&simple).fields.is_subset(&reads(&query).fields));
        prop_assert_eq!(&normal(simple.clone()), &simple, "{}", query);
        let again = parser::parse(&simple.to_string());
        prop_assert_eq!(again.ok(), Some(simple), "{}", query);
    }
}
