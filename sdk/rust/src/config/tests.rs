//! What is read, and where it is said to be wrong.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::parse;
use crate::any::Any;

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
struct Config {
    small: u8,
    share: f64,
    on: bool,
    name: Option<String>,
    list: Vec<Inner>,
    map: BTreeMap<String, f64>,
    kind: Kind,
    any: Option<Any>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Inner {
    key: String,
    #[serde(default)]
    pair: Option<(i32, i64)>,
}

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Kind {
    #[default]
    One,
    Two(u8),
    Three {
        a: String,
    },
}

fn wrong(json: &str) -> String {
    parse::<Config>(json).unwrap_err().to_string()
}

#[test]
fn what_stands_there_is_read() {
    assert_eq!(parse::<Config>("{}"), Ok(Config::default()));
    let json = r#"{"small": 255, "share": 1, "on": true, "name": "ü\n", "list": [{"key": "a", "pair": [-1, 2]}],
        "map": {"a": 0.5, "b": -2}, "kind": {"two": 7}, "any": {"x": [null, 1.5]}}"#;
    let config: Config = parse(json).unwrap();
    assert_eq!((config.small, config.share, config.on), (255, 1.0, true));
    assert_eq!(config.name.as_deref(), Some("ü\n"));
    assert_eq!(config.list, [Inner { key: "a".to_owned(), pair: Some((-1, 2)) }]);
    assert_eq!(config.map.get("b"), Some(&-2.0));
    assert_eq!(config.kind, Kind::Two(7));
    assert_eq!(
        config.any,
        Some(Any::Map(vec![("x".to_owned(), Any::Array(vec![Any::Empty, 1.5.into()]))]))
    );
    let kind = |json: &str| parse::<Config>(&format!("{{\"kind\": {json}}}")).unwrap().kind;
    assert_eq!(kind(r#""one""#), Kind::One);
    assert_eq!(kind(r#"{"three": {"a": "x"}}"#), Kind::Three { a: "x".to_owned() });
    assert_eq!(parse::<Config>(r#"{"name": null}"#).unwrap().name, None);
}

#[test]
fn what_is_wrong_has_its_path() {
    for (json, wanted) in [
        ("[]", "$: must be an object"),
        (r#"{"smal": 1}"#, "$.smal: unknown"),
        (r#"{"small": 256}"#, "$.small: is 256, must be u8"),
        (r#"{"small": -1}"#, "$.small: is -1, must be u8"),
        (r#"{"small": 1.5}"#, "$.small: is a number with a fraction, must be u8"),
        (r#"{"share": "1"}"#, "$.share: is a text, must be f64"),
        (r#"{"on": null}"#, "$.on: is null, must be a boolean"),
        (r#"{"list": {}}"#, "$.list: is an object, must be a sequence"),
        (r#"{"list": [{"key": "a"}, {}]}"#, "$.list[1].key: is missing"),
        (r#"{"list": [{"key": "a", "kay": 1}]}"#, "$.list[0].kay: unknown"),
        (
            r#"{"list": [{"key": "a", "pair": [1, true]}]}"#,
            "$.list[0].pair[1]: is true or false, must be i64",
        ),
        (r#"{"map": {"a": 1, "b.c": []}}"#, "$.map.b.c: is a list, must be f64"),
        (
            r#"{"kind": "four"}"#,
            "$.kind: unknown variant `four`, expected one of `one`, `two`, `three`",
        ),
        (r#"{"kind": {"two": 300}}"#, "$.kind.two: is 300, must be u8"),
        (r#"{"kind": {"one": 1}}"#, "$.kind.one: must be null"),
        (r#"{"kind": {"one": null, "two": 1}}"#, "$.kind: must have one key"),
        (r#"{"kind": 1}"#, "$.kind: must be a text, or an object with one key"),
    ] {
        assert_eq!(wrong(json), wanted, "{json}");
    }
    assert!(wrong("{").starts_with("$: is no JSON: expected a key"));
    assert!(wrong("{} {}").starts_with("$: is no JSON: expected its end"));
}
