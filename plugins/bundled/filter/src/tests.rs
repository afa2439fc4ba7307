//! Which spans a condition is true of, and which conditions are refused.

use traceweir_plugin::testing::{Event, Fixture, Link, Resource, Scope, Span, process, refusal};
use traceweir_plugin::{Any, Field, Owner};

use super::*;

fn shop() -> Fixture {
    let list = Any::Array(vec!["a".into(), "b".into()]);
    let lib = Scope { version: "2.1".to_owned(), ..Scope::new("http") };
    Fixture::new()
        .resource(
            Resource::new().with("service.name", "shop").with("region", "eu").scope(
                lib.with("team", "web")
                    .span(
                        Span::new("GET /")
                            .trace(0xab)
                            .id(1, 0)
                            .kind(2)
                            .ms(1500)
                            .with("http.status_code", 200_i64)
                            .with("tags", list)
                            .event(Event {
                                time_unix_nano: 5_000_000,
                                ..Event::new("retry").with("n", 1_i64)
                            })
                            .event(Event::new("done").with("n", 2_i64)),
                    )
                    .span(
                        Span::new("GET /cart")
                            .id(2, 1)
                            .kind(2)
                            .ms(10)
                            .error("gone")
                            .with("region", "us"),
                    ),
            ),
        )
        .resource(
            Resource::new().with("service.name", "pay").scope(
                Scope::new("sql").span(
                    Span::new("SELECT")
                        .id(3, 1)
                        .kind(3)
                        .ms(100)
                        .with("rows", 2.5)
                        .with("ok", true)
                        .link(Link::new().with("why", "batch")),
                ),
            ),
        )
}

/// The names of the spans that a condition is true of.
fn hits(condition: &str) -> Vec<String> {
    let config = format!("{{\"keep\": {}}}", quoted(condition));
    let after = process::<Filter>(&config, &shop()).unwrap();
    after.spans().map(|span| span.name.clone()).collect()
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

const ALL: [&str; 3] = ["GET /", "GET /cart", "SELECT"];

#[test]
fn attributes_are_compared() {
    assert_eq!(hits("{ resource.service.name = `shop` }"), ["GET /", "GET /cart"]);
    assert_eq!(hits("{ span.http.status_code >= 200 && span.http.status_code < 300 }"), ["GET /"]);
    assert_eq!(hits("{ span.rows > 2 }"), ["SELECT"]);
    assert_eq!(hits("{ span.ok }"), ["SELECT"]);
    assert_eq!(hits("{ .region = `us` }"), ["GET /cart"]);
    assert_eq!(hits("{ .region = `eu` }"), ["GET /"]);
    assert_eq!(hits("{ instrumentation.team = `web` }"), ["GET /", "GET /cart"]);
    assert_eq!(hits("{ link.why = `batch` }"), ["SELECT"]);
}

#[test]
fn of_several_values_any_may_meet() {
    assert_eq!(hits("{ span.tags = `b` }"), ["GET /"]);
    assert_eq!(hits("{ span.tags != `b` }"), [""; 0]);
    assert_eq!(hits("{ span.tags != `c` }"), ["GET /"]);
    assert_eq!(hits("{ event.n = 2 }"), ["GET /"]);
    assert_eq!(hits("{ event:name = `retry` }"), ["GET /"]);
    assert_eq!(hits("{ event:timeSinceStart > 1ms }"), ["GET /"]);
}

#[test]
fn intrinsics_are_compared() {
    assert_eq!(hits("{ duration > 1s }"), ["GET /"]);
    assert_eq!(hits("{ status = error }"), ["GET /cart"]);
    assert_eq!(hits("{ statusMessage = `gone` }"), ["GET /cart"]);
    assert_eq!(hits("{ kind = client }"), ["SELECT"]);
    assert_eq!(hits("{ name =~ `GET .*` }"), ["GET /", "GET /cart"]);
    assert_eq!(hits("{ name !~ `GET .*` }"), ["SELECT"]);
    assert_eq!(
        hits("{ instrumentation:name = `http` && instrumentation:version = `2.1` }"),
        ["GET /", "GET /cart"]
    );
    assert_eq!(hits("{ trace:id = `ab` }"), ["GET /"]);
    assert_eq!(hits("{ span:id = `2` || span:parentID = `0` }"), ["GET /", "GET /cart"]);
    assert_eq!(hits("{ parent = nil }"), ["GET /"]);
}

#[test]
fn what_is_missing_is_neither_true_nor_false() {
    assert_eq!(hits("{ span.http.status_code != 500 }"), ["GET /"]);
    assert_eq!(hits("{ !(span.http.status_code = 500) }"), ["GET /"]);
    assert_eq!(hits("{ span.http.status_code = nil }"), ["GET /cart", "SELECT"]);
    assert_eq!(hits("{ span.http.status_code != nil }"), ["GET /"]);
    assert_eq!(hits("{ span.rows = `2.5` }"), [""; 0]);
}

#[test]
fn conditions_are_joined_and_computed() {
    assert_eq!(hits("{ }"), ALL);
    assert_eq!(hits("{ true }"), ALL);
    assert_eq!(hits("{ kind = client } || { status = error }"), ["GET /cart", "SELECT"]);
    assert_eq!(
        hits("{ (kind = server || kind = client) && !(status = error) }"),
        ["GET /", "SELECT"]
    );
    assert_eq!(hits("{ span.rows * 2 = 5 }"), ["SELECT"]);
    assert_eq!(hits("{ duration > 2 * 500ms }"), ["GET /"]);
    assert_eq!(hits("{ 1s < duration }"), ["GET /"]);
    assert_eq!(hits("{ resource.region = span.region }"), [""; 0]);
    assert_eq!(hits("{ resource.region != span.region }"), ["GET /cart"]);
}

#[test]
fn drop_is_the_opposite_of_keep() {
    let after = process::<Filter>(r#"{"drop": "{ kind = server }"}"#, &shop()).unwrap();
    assert_eq!(after.spans().map(|span| span.name.as_str()).collect::<Vec<_>>(), ["SELECT"]);
}

#[test]
fn only_what_it_asks_for_is_read() {
    let config = r#"{"drop": "{ span.a = 1 || span.a = 2 }"}"#;
    let (_, projection) = Filter::configure(config).unwrap();
    assert_eq!(projection.reads, [Field::attribute(Owner::Span, "a").complex()]);
}

#[test]
fn what_a_batch_has_not_is_refused_by_its_name() {
    let refusal = |condition: &str| {
        refusal::<Filter>(&format!("{{\"drop\": {}}}", quoted(condition))).unwrap()
    };
    for (condition, word) in [
        ("{ traceDuration > 1s }", "traceDuration"),
        ("{ rootServiceName = `shop` }", "rootServiceName"),
        ("{ parent.name = `x` }", "parent."),
        ("{ span:childCount > 1 }", "span:childCount"),
        ("{ } >> { status = error }", ">>"),
        ("{ name = `a` } && { name = `b` }", "&&"),
        ("{ } | count() > 2", "|"),
        ("{ } | rate()", "metrics"),
        ("{ name = 1 }", "string"),
        ("{ name = `a`", "}"),
        ("{ (name = `a`) = true }", "condition"),
    ] {
        let why = refusal(condition);
        assert!(why.starts_with("$.drop: ") && why.contains(word), "{condition}: {why}");
    }
    assert_eq!(
        traceweir_plugin::testing::refusal::<Filter>("{}").unwrap(),
        "$: must have either drop or keep"
    );
}
