//! What stays, what is masked and what goes.

use traceweir_plugin::testing::{Event, Fixture, Link, Resource, Scope, Span, process, refusal};

use super::*;

fn after(config: &str, span: Span) -> Span {
    let after = process::<Redact>(config, &Fixture::of(span)).unwrap();
    after.spans().next().unwrap().clone()
}

fn keys(span: &Span) -> Vec<&str> {
    span.attributes.iter().map(|(key, _)| key.as_str()).collect()
}

#[test]
fn secrets_are_masked_wherever_they_are() {
    let mail = "to ada@example.com";
    let fixture = Fixture::new().resource(
        Resource::new().with("owner", mail).scope(
            Scope::new("lib").with("author", mail).span(
                Span::new("send to ada@example.com")
                    .error("no such user: ada@example.com")
                    .with("to", mail)
                    .event(Event::new("sent").with("to", mail))
                    .link(Link::new().with("to", mail)),
            ),
        ),
    );
    let after = process::<Redact>("{}", &fixture).unwrap();
    let masked = Any::from("to ****");
    let resource = &after.resources[0];
    let scope = &resource.scopes[0];
    let span = &scope.spans[0];
    assert_eq!(resource.get("owner"), Some(&masked));
    assert_eq!(scope.get("author"), Some(&masked));
    assert_eq!(span.get("to"), Some(&masked));
    assert_eq!(span.events[0].get("to"), Some(&masked));
    assert_eq!(span.links[0].get("to"), Some(&masked));
    assert_eq!(span.name, "send to ****");
    assert_eq!(span.status_message, "no such user: ****");
}

#[test]
fn what_is_clean_is_not_touched() {
    let span =
        Span::new("GET /").with("http.route", "/").with("n", 7_i64).with("m", Any::Map(vec![]));
    let answer = traceweir_plugin::testing::answer::<Redact>("{}", &Fixture::of(span)).unwrap();
    assert!(answer.pairs.is_empty() && answer.sets.is_empty());
}

#[test]
fn numbers_of_cards_are_found_in_numbers_too() {
    let span = Span::new("pay").with("card", 4_111_111_111_111_111_i64).with("id", 4_711_i64);
    let after = after("{}", span);
    assert_eq!(after.get("card"), Some(&"****".into()));
    assert_eq!(after.get("id"), Some(&4_711_i64.into()));
}

#[test]
fn arrays_and_maps_are_looked_into() {
    let inside = |mail: &str| {
        let list = Any::Array(vec![mail.into(), 1_i64.into()]);
        Any::Map(vec![("list".to_owned(), list), ("plain".to_owned(), "x".into())])
    };
    let after = after("{}", Span::new("span").with("map", inside("ada@example.com")));
    assert_eq!(after.get("map"), Some(&inside("****")));
}

#[test]
fn only_allowed_keys_stay() {
    let span =
        || Span::new("span").with("a", 1_i64).with("b.x", 1_i64).with("c", "ada@example.com");
    let config = r#"{"allowed_keys": ["a", "b.*"], "ignored_keys": ["c"]}"#;
    let kept = after(config, span());
    assert_eq!(keys(&kept), ["a", "b.x", "c"]);
    assert_eq!(kept.get("c"), Some(&"ada@example.com".into()), "ignored is not looked at");
    assert_eq!(keys(&after(r#"{"allow_all_keys": false}"#, span())), [""; 0]);
    assert_eq!(keys(&after(r#"{"blocked_keys": ["b.*", "c"]}"#, span())), ["a"]);
}

#[test]
fn keys_and_values_are_blocked_by_patterns() {
    let config = r##"{"blocked_key_patterns": ["(?i)token$"], "blocked_values": ["C-\\d+", "x*"],
        "allowed_values": ["^C-1$"], "mask": "#", "patterns": []}"##;
    let span = Span::new("for C-22 and C-333")
        .with("my.Token", 7_i64)
        .with("a", "C-1")
        .with("b", "C-1 C-2")
        .with("mail", "ada@example.com");
    let after = after(config, span);
    assert_eq!(after.get("my.Token"), Some(&"#".into()));
    assert_eq!(after.get("a"), Some(&"C-1".into()));
    assert_eq!(after.get("b"), Some(&"# #".into()));
    // x* matches the x of example, and nothing at all in between.
    assert_eq!(after.get("mail"), Some(&"ada@e#ample.com".into()));
    assert_eq!(after.name, "for # and #");
}

#[test]
fn keys_may_be_ignored_by_patterns() {
    let span = Span::new("x").with("app.mail", "ada@example.com").with("mail", "ada@example.com");
    let after = after(r#"{"ignored_key_patterns": ["^app\\."]}"#, span);
    assert_eq!(after.get("app.mail"), Some(&"ada@example.com".into()));
    assert_eq!(after.get("mail"), Some(&"****".into()));
}

#[test]
fn numbers_are_looked_at_as_texts_for_whoever_says_so() {
    let span = || {
        let inside = Any::Array(vec![123_456_i64.into(), 7_i64.into()]);
        Span::new("x").with("n", 123_456_i64).with("d", 0.5).with("on", true).with("a", inside)
    };
    let config = r#"{"blocked_values": ["^123456$", "^0\\.5$", "^true$"]"#;
    let all = after(&format!("{config}, \"redact_all_types\": true}}"), span());
    for key in ["n", "d", "on"] {
        assert_eq!(all.get(key), Some(&"****".into()), "{key}");
    }
    assert_eq!(all.get("a"), Some(&Any::Array(vec!["****".into(), 7_i64.into()])));
    assert_eq!(after(&format!("{config}}}"), span()), span());
}

#[test]
fn a_summary_tells_what_was_done() {
    let span = Span::new("span")
        .with("z", "ada@example.com")
        .with("b", "ada@example.com")
        .with("a", 1_i64);
    let after = after(r#"{"summary": "debug", "blocked_keys": ["a"]}"#, span);
    assert_eq!(after.get("redaction.masked.keys"), Some(&"b,z".into()));
    assert_eq!(after.get("redaction.masked.count"), Some(&2_i64.into()));
    assert_eq!(after.get("redaction.redacted.keys"), Some(&"a".into()));
    assert_eq!(after.get("redaction.redacted.count"), Some(&1_i64.into()));
}

#[test]
fn what_is_wrong_is_named() {
    let refusal = |config| refusal::<Redact>(config).unwrap();
    assert_eq!(refusal(r#"{"blocked_values": ["a", "("]}"#), "$.blocked_values[1]: unclosed group");
    assert!(
        refusal(r#"{"patterns": ["card", "iban"]}"#).starts_with("$.patterns[1]: unknown variant")
    );
    assert_eq!(refusal(r#"{"hash_function": "md5"}"#), "$.hash_function: unknown");
}
