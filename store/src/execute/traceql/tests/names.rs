//! Names of attributes, and their values.

use model::TimeRange;
use proptest::prelude::*;
use traceql::ast::{Scope, Static};

use super::world::{Attr, S, Still, Where, World, scattered};
use crate::execute::traceql::{Budget, NamesRequest, names, values};

fn world(place: Where) -> World {
    let one = S {
        attrs: vec![
            ("a", Attr::Text("x")),
            ("n", Attr::Int(2)),
            ("list", Attr::Array(vec![Attr::Text("p"), Attr::Text("q")])),
        ],
        events: vec![("log", 5, vec![("e", Attr::Bool(true))])],
        ..S::default()
    };
    let two = S {
        trace: 2,
        name: "y",
        attrs: vec![("a", Attr::Text("y")), ("n", Attr::Float(1.5)), ("many.more", Attr::Int(1))],
        resource: vec![("service.name", Attr::Text("cart")), ("r", Attr::Text("z"))],
        ..S::default()
    };
    World::at(place, [one, two])
}

pub(super) fn ask(filter: &str) -> NamesRequest {
    NamesRequest {
        filter: traceql::incomplete(filter),
        during: TimeRange::ALL,
        limit: 100,
        budget: Budget::default(),
    }
}

pub(super) fn values_of(world: &World, field: &str, filter: &str) -> Vec<String> {
    let field = traceql::field(field).unwrap();
    let found = world.look(|parts| values(parts, &Still, &field, &ask(filter))).unwrap();
    found.values.iter().map(Static::to_string).collect()
}

#[test]
fn names_come_by_scope_and_filter() {
    for place in [Where::Block, Where::L0, Where::Head] {
        let world = world(place);
        let names_of = |scope, filter| {
            let found = world.look(|parts| names(parts, &Still, scope, &ask(filter))).unwrap();
            found.names.into_iter().map(|name| name.name).collect::<Vec<_>>()
        };
        assert_eq!(names_of(Some(Scope::Span), ""), ["a", "list", "many.more", "n"], "{place:?}");
        assert_eq!(names_of(Some(Scope::Resource), ""), ["r", "service.name"]);
        assert_eq!(names_of(Some(Scope::Resource), "{ name = \"x\" }"), ["service.name"]);
        assert_eq!(names_of(Some(Scope::Span), "{ name = \"x\" && .b = }"), ["a", "list", "n"]);
        assert_eq!(names_of(Some(Scope::Event), ""), ["e"]);
        assert_eq!(names_of(Some(Scope::Event), "{ name = \"y\" }"), [""; 0]);
        assert_eq!(names_of(None, "").len(), 8);
    }
}

#[test]
fn what_is_hidden_has_no_names_and_no_values() {
    for place in [Where::Block, Where::L0, Where::Head] {
        let mut world = world(place);
        world.hide(2);
        let found = world.look(|parts| names(parts, &Still, Some(Scope::Span), &ask(""))).unwrap();
        let names: Vec<_> = found.names.into_iter().map(|name| name.name).collect();
        assert_eq!(names, ["a", "list", "n"], "{place:?}");
        for (field, expected) in [
            ("span.a", &["\"x\""][..]),
            ("resource.service.name", &["\"shop\""]),
            ("name", &["\"x\""]),
            ("rootName", &["\"x\""]),
            ("trace:id", &["\"00000000000000000000000000000701\""]),
        ] {
            assert_eq!(values_of(&world, field, ""), expected, "{place:?} {field}");
        }
    }
}

#[test]
fn values_come_typed_and_filtered() {
    for place in [Where::Block, Where::L0, Where::Head] {
        let world = world(place);
        for (field, filter, expected) in [
            (".a", "", &["\"x\"", "\"y\""][..]),
            ("span.a", "{ name = \"y\" }", &["\"y\""]),
            ("span.n", "", &["2", "1.5"]),
            ("span.list", "", &["\"p\"", "\"q\""]),
            ("span.many.more", "", &["1"]),
            ("resource.service.name", "", &["\"cart\"", "\"shop\""]),
            ("resource.service.name", "{ .a = \"x\" && }", &["\"shop\""]),
            ("name", "", &["\"x\"", "\"y\""]),
            ("event:name", "", &["\"log\""]),
            ("event.e", "", &["true"]),
            ("rootName", "{ .a = \"y\" }", &["\"y\""]),
            ("status", "{ .a = \"nobody\" }", &["unset", "ok", "error"]),
            ("span.nobody", "", &[]),
        ] {
            assert_eq!(values_of(&world, field, filter), expected, "{place:?} {field} {filter}");
        }
    }
}

/// A filter that lets everything through: what it asks for is looked up in rows.
const ALL: &str = "{ duration >= 0s || duration < 0s }";

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn what_blocks_tell_is_what_their_rows_have(spans in scattered(), group_rows in 1u32..6) {
        let world = World::with_row_groups(spans, group_rows);
        let names_of = |filter| {
            let found = world.look(|parts| names(parts, &Still, None, &ask(filter))).unwrap();
            found.names
        };
        let all = names_of(ALL);
        prop_assert_eq!(&names_of(""), &all);
        let own = all.iter().map(|of| format!("{}.{}", of.scope.name(), of.name));
        let unscoped = all.iter().map(|of| format!(".{}", of.name));
        let other = ["name", "event:name", "instrumentation:name", "instrumentation:version"];
        let other = other.into_iter().map(str::to_owned);
        for field in own.chain(unscoped).chain(other) {
            let told = values_of(&world, &field, "");
            prop_assert_eq!(told, values_of(&world, &field, ALL), "{}", field);
        }
    }
}

/// How many row groups had to be read for the values of a field.
#[test]
fn values_that_repeat_are_told_without_a_row() {
    let world = world(Where::Block);
    for (field, is_read) in [
        ("span.a", false),
        ("resource.service.name", false),
        ("resource.nobody", false),
        ("span.nobody", false),
        ("name", false),
        // Not of one type, no column of its own, another's rows.
        (".service.name", false),
        ("duration", true),
        ("rootName", true),
    ] {
        let field_of = traceql::field(field).unwrap();
        let found = world.look(|parts| values(parts, &Still, &field_of, &ask(""))).unwrap();
        assert_eq!(found.inspected.spans > 0, is_read, "{field}");
    }
}
