//! What the actions do to spans, and which spans they are done to.

use traceweir_plugin::testing::{Fixture, Resource, Scope, Span, answer, process, refusal};
use traceweir_plugin::{Any, Field, Intrinsic};

use super::*;

fn config(actions: &str) -> String {
    format!(r#"{{"actions": [{actions}]}}"#)
}

/// The attributes of one span after the actions.
fn after(actions: &str, span: Span) -> Vec<(String, Any)> {
    let after = process::<Attributes>(&config(actions), &Fixture::of(span)).unwrap();
    after.spans().next().unwrap().attributes.clone()
}

fn list<const N: usize>(pairs: [(&str, Any); N]) -> Vec<(String, Any)> {
    pairs.map(|(key, value)| (key.to_owned(), value)).to_vec()
}

#[test]
fn insert_update_and_upsert_ask_what_is_there() {
    let actions = r#"
        {"action": "insert", "key": "a", "value": 1}, {"action": "insert", "key": "b", "value": 1},
        {"action": "update", "key": "c", "value": true}, {"action": "update", "key": "d", "value": true},
        {"action": "upsert", "key": "e", "value": 0.5}, {"action": "upsert", "key": "f", "value": ["x", 2]}"#;
    let span = Span::new("span").with("a", "old").with("c", "old").with("e", "old");
    let wanted = list([
        ("a", "old".into()),
        ("c", true.into()),
        ("e", 0.5.into()),
        ("b", 1_i64.into()),
        ("f", Any::Array(vec!["x".into(), 2_i64.into()])),
    ]);
    assert_eq!(after(actions, span), wanted);
}

#[test]
fn a_value_comes_from_another_attribute_whatever_it_is() {
    let map = Any::Map(vec![("inner".to_owned(), 1_i64.into())]);
    let actions = r#"
        {"action": "upsert", "key": "copy", "from_attribute": "map"},
        {"action": "upsert", "key": "none", "from_attribute": "absent"},
        {"action": "rename", "key": "new", "from_attribute": "old"}"#;
    let span = Span::new("span").with("map", map.clone()).with("old", "x");
    let wanted = list([("map", map.clone()), ("new", "x".into()), ("copy", map)]);
    assert_eq!(after(actions, span), wanted);
}

#[test]
fn a_value_may_be_the_address_that_the_spans_came_from() {
    let action =
        r#"{"action": "insert", "key": "client.address", "from_context": "client.address"}"#;
    let fixture = Fixture::new()
        .resource(Resource::new().peer("10.0.0.1").span(Span::new("a")))
        .resource(Resource::new().span(Span::new("b")))
        .resource(Resource::new().peer("::1").span(Span::new("c").with("client.address", "own")));
    let after = process::<Attributes>(&config(action), &fixture).unwrap();
    let addresses: Vec<_> = after.spans().map(|span| span.get("client.address").cloned()).collect();
    assert_eq!(addresses, [Some("10.0.0.1".into()), None, Some("own".into())]);
}

#[test]
fn deletions_by_key_or_pattern() {
    let span = || Span::new("span").with("db.user", "u").with("db.statement", "s").with("x", 1_i64);
    let wanted = list([("db.statement", "s".into()), ("x", 1_i64.into())]);
    assert_eq!(after(r#"{"action": "delete", "key": "db.user"}"#, span()), wanted);
    let wanted = list([("x", 1_i64.into())]);
    assert_eq!(after(r#"{"action": "delete", "pattern": "^db\\."}"#, span()), wanted);
}

#[test]
fn what_an_action_has_made_is_what_the_next_one_sees() {
    let actions = r#"
        {"action": "upsert", "key": "db.user", "value": "4711"},
        {"action": "convert", "key": "db.user", "converted_type": "int"},
        {"action": "upsert", "key": "copy", "from_attribute": "db.user"},
        {"action": "delete", "pattern": "^db\\."},
        {"action": "insert", "key": "db.name", "value": "new"}"#;
    let span = Span::new("span").with("db.name", "old");
    let wanted = list([("copy", 4711_i64.into()), ("db.name", "new".into())]);
    assert_eq!(after(actions, span), wanted);
}

#[test]
fn hashes_are_those_of_the_collector() {
    let actions = r#"{"action": "hash", "key": "user"}, {"action": "hash", "pattern": "^secret"}"#;
    let span = Span::new("span").with("user", "ada").with("secret.n", 1_i64).with("other", "x");
    let text = "63d2fe2aec75ef0dd7dba74f8e9e00b66b871d3afc5c862e9efde24f0a0c7a1c";
    let after = after(actions, span);
    let hash = |i: usize| match &after[i].1 {
        Any::Text(text) => text.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!((hash(0).len(), hash(1).len()), (text.len(), text.len()));
    // sha256 of the eight bytes of 1, little endian.
    assert_eq!(hash(1), "7c9fa136d4413fa6173637e883b6998d32e1d675f88cddff9dcbcf331820f4b8");
    assert_eq!(after[2].1, "x".into());
}

#[test]
fn extract_makes_attributes_of_groups() {
    let actions = r#"{"action": "extract", "key": "url.full",
        "pattern": "^(?P<scheme>https?)://(?P<host>[^/:]+)(:(?P<port>\\d+))?"}"#;
    let span =
        Span::new("span").with("url.full", "https://shop.example:8443/cart").with("port", "x");
    let wanted = list([
        ("url.full", "https://shop.example:8443/cart".into()),
        ("port", "8443".into()),
        ("scheme", "https".into()),
        ("host", "shop.example".into()),
    ]);
    assert_eq!(after(actions, span), wanted);
    let span = Span::new("span").with("url.full", "/cart");
    assert_eq!(after(actions, span.clone()), span.attributes);
}

#[test]
fn conversions_leave_what_has_no_meaning() {
    let convert = |to: &str, value: Any| {
        let actions = format!(r#"{{"action": "convert", "key": "a", "converted_type": "{to}"}}"#);
        after(&actions, Span::new("span").with("a", value))[0].1.clone()
    };
    assert_eq!(convert("int", "42".into()), 42_i64.into());
    assert_eq!(convert("int", 4.9.into()), 4_i64.into());
    assert_eq!(convert("int", true.into()), 1_i64.into());
    assert_eq!(convert("int", "many".into()), "many".into());
    assert_eq!(convert("double", "4.5".into()), 4.5.into());
    assert_eq!(convert("bool", "true".into()), true.into());
    assert_eq!(convert("string", 7_i64.into()), "7".into());
    assert_eq!(convert("string", Any::Array(vec![])), Any::Array(vec![]));
}

/// Names of the spans that an action is done to.
fn selected(conditions: &str, fixture: &Fixture) -> Vec<String> {
    let action = r#""actions": [{"action": "upsert", "key": "hit", "value": true}]"#;
    let after = process::<Attributes>(&format!("{{{action}, {conditions}}}"), fixture).unwrap();
    let hit = after.spans().filter(|span| span.get("hit").is_some());
    hit.map(|span| span.name.clone()).collect()
}

fn shop() -> Fixture {
    let lib = |name: &str, version: &str| Scope { version: version.to_owned(), ..Scope::new(name) };
    Fixture::new()
        .resource(
            Resource::new()
                .with("service.name", "shop")
                .with("host", "a1")
                .scope(lib("http", "1").span(Span::new("GET /").kind(2).with("code", 200_i64)))
                .scope(lib("http", "2").span(Span::new("GET /cart").kind(2).with("user", "ada"))),
        )
        .resource(
            Resource::new()
                .with("service.name", "pay")
                .with("host", "b1")
                .scope(lib("sql", "1").span(Span::new("SELECT").kind(3).with("code", 500_i64))),
        )
}

#[test]
fn strict_conditions_fit_as_they_are() {
    let include = |rest: &str| {
        selected(&format!(r#""include": {{"match_type": "strict", {rest}}}"#), &shop())
    };
    assert_eq!(include(r#""services": ["shop", "x"]"#), ["GET /", "GET /cart"]);
    assert_eq!(include(r#""span_names": ["SELECT"]"#), ["SELECT"]);
    assert_eq!(include(r#""span_kinds": ["SPAN_KIND_CLIENT", "producer"]"#), ["SELECT"]);
    assert_eq!(include(r#""attributes": [{"key": "code"}]"#), ["GET /", "SELECT"]);
    assert_eq!(include(r#""attributes": [{"key": "code", "value": 500}]"#), ["SELECT"]);
    assert_eq!(include(r#""resources": [{"key": "host", "value": "a1"}]"#), ["GET /", "GET /cart"]);
    assert_eq!(include(r#""libraries": [{"name": "http", "version": "2"}]"#), ["GET /cart"]);
    assert_eq!(include(r#""services": ["shop"], "attributes": [{"key": "user"}]"#), ["GET /cart"]);
}

#[test]
fn patterns_fit_anywhere() {
    let conditions = r#""include": {"match_type": "regexp", "services": ["^s"]},
        "exclude": {"match_type": "regexp", "attributes": [{"key": "code", "value": "^2"}]}"#;
    assert_eq!(selected(conditions, &shop()), ["GET /cart"]);
    let conditions = r#""exclude": {"match_type": "regexp", "span_kinds": ["SERVER"],
        "regexp": {"cacheenabled": true, "cachemaxnumentries": 1000}}"#;
    assert_eq!(selected(conditions, &shop()), ["SELECT"]);
}

#[test]
fn the_host_does_what_it_can_and_little_is_read() {
    let actions = r#"{"action": "delete", "key": "a"}, {"action": "rename", "key": "c", "from_attribute": "b"},
        {"action": "upsert", "key": "team", "value": "shop"}"#;
    let (_, projection) = Attributes::configure(&config(actions)).unwrap();
    assert_eq!(projection.reads, []);
    let answer = answer::<Attributes>(&config(actions), &Fixture::of(Span::new("span"))).unwrap();
    assert_eq!((answer.deletes.len(), answer.renames.len(), answer.sets.len()), (1, 1, 1));

    let delete = config(r#"{"action": "delete", "pattern": "^http\\."}"#);
    let (_, projection) = Attributes::configure(&delete).unwrap();
    assert_eq!(projection.reads, [Field::Intrinsic(Intrinsic::SpanAttributeKeys)]);
}

#[test]
fn what_is_wrong_is_named() {
    let action = |action: &str| refusal::<Attributes>(&config(action)).unwrap();
    assert_eq!(action(r#"{"action": "delete"}"#), "$.actions[0].key: is missing");
    assert_eq!(
        action(r#"{"action": "delete", "key": "a", "value": 1}"#),
        "$.actions[0].value: is of no use to the action"
    );
    assert_eq!(
        action(r#"{"action": "extract", "key": "a", "pattern": "(x)"}"#),
        "$.actions[0].pattern: must have groups with names: (?P<name>…)"
    );
    assert_eq!(
        action(r#"{"action": "hash", "pattern": "("}"#),
        "$.actions[0].pattern: unclosed group"
    );
    assert_eq!(
        action(r#"{"action": "insert", "key": "a", "from_context": "metadata.x"}"#),
        "$.actions[0].from_context: must be client.address: nothing else of the request is here"
    );
    assert_eq!(
        action(r#"{"action": "insert", "key": "a", "value": 1, "from_attribute": "b"}"#),
        "$.actions[0].from_attribute: must not be there beside value"
    );
    let whole = |config: &str| refusal::<Attributes>(config).unwrap();
    assert_eq!(
        whole(
            r#"{"actions": [{"action": "delete", "key": "a"}], "include": {"match_type": "strict"}}"#
        ),
        "$.include: must have services, resources, libraries, span_names, span_kinds or attributes"
    );
    assert_eq!(
        whole(
            r#"{"actions": [{"action": "delete", "key": "a"}],
                "include": {"match_type": "regexp", "span_names": ["a", "["]}}"#
        ),
        "$.include.span_names[1]: unclosed character class"
    );
}
