//! Names of attributes and their values: both versions, names of every kind, and what is no name.

use serde_json::{Value, json};
use tests::api::escape;
use tests::gateway::Gateway;
use tests::otlp;
use tests::random::Rng;

const ODD: [&str; 8] = ["a b", "a/b", "a%20b", "a\"b\\", "{a}", "a=b&c?d", "a+b#", "🐷"];

fn filled() -> Gateway {
    let gateway = Gateway::start();
    let mut trace = otlp::trace(&mut Rng::new(3), 2);
    trace[0].attributes = vec![otlp::text("team", "red"), otlp::text("zone", "z1")];
    trace[1].attributes = vec![otlp::text("team", "blue")];
    trace[1].attributes.extend(ODD.iter().map(|name| otlp::text(name, &format!("of {name}"))));
    gateway.export(&otlp::request("shop", trace));
    gateway
}

/// A name as queries write it.
fn quoted(name: &str) -> String {
    format!("span.\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}

fn values(gateway: &Gateway, name: &str, more: &str) -> Value {
    let reply = gateway.get(&format!("/api/v2/search/tag/{}/values{more}", escape(name)));
    assert_eq!(reply.status, 200, "{name}: {reply:?}");
    reply.json()["tagValues"].clone()
}

#[test]
fn names_come_by_their_scopes() {
    let gateway = filled();
    let answer = gateway.get("/api/v2/search/tags?limit=5000").json();
    assert!(answer["metrics"].is_object(), "{answer}");
    let of = |scope: &str| {
        let scopes = answer["scopes"].as_array().unwrap();
        let found = scopes.iter().find(|found| found["name"] == scope);
        found.map(|found| found["tags"].as_array().unwrap().clone()).unwrap_or_default()
    };
    for name in ODD.iter().chain(&["team", "zone"]) {
        assert!(of("span").contains(&(*name).into()), "{name}: {answer}");
    }
    assert!(of("resource").contains(&"service.name".into()), "{answer}");
    assert!(of("intrinsic").contains(&"duration".into()), "{answer}");
    let flat = gateway.get("/api/search/tags").json();
    let flat = flat["tagNames"].as_array().unwrap();
    assert!(flat.contains(&"team".into()) && flat.contains(&"service.name".into()), "{flat:?}");
    assert!(!flat.contains(&"duration".into()), "{flat:?}");
    let one = gateway.get("/api/v2/search/tags?scope=resource").json();
    let scopes: Vec<&Value> =
        one["scopes"].as_array().unwrap().iter().map(|scope| &scope["name"]).collect();
    assert_eq!(scopes, ["resource"]);
}

#[test]
fn values_come_with_their_types() {
    let gateway = filled();
    let text = |text: &str| json!({ "type": "string", "value": text });
    assert_eq!(values(&gateway, "span.team", ""), json!([text("blue"), text("red")]));
    assert_eq!(values(&gateway, ".team", ""), json!([text("blue"), text("red")]));
    assert_eq!(values(&gateway, "resource.service.name", ""), json!([text("shop")]));
    assert_eq!(values(&gateway, "name", ""), json!([text("span 0"), text("span 1")]));
    let keyword = |word: &str| json!({ "type": "keyword", "value": word });
    let status = values(&gateway, "status", "");
    for word in ["ok", "error", "unset"] {
        assert!(status.as_array().unwrap().contains(&keyword(word)), "{status}");
    }
    let flat = gateway.get("/api/search/tag/team/values").json();
    assert_eq!(flat["tagValues"], json!(["blue", "red"]));
    assert_eq!(gateway.get("/api/search/tag/no.such/values").json()["tagValues"], json!([]));
}

#[test]
fn names_of_every_kind_have_values() {
    let gateway = filled();
    for name in ODD {
        let expected = json!([{ "type": "string", "value": format!("of {name}") }]);
        assert_eq!(values(&gateway, &quoted(name), ""), expected, "{name}");
        let flat = gateway.get(&format!("/api/search/tag/{}/values", escape(name))).json();
        assert_eq!(flat["tagValues"], json!([format!("of {name}")]), "{name}");
    }
    // A proxy that decodes slashes.
    let reply = gateway.get("/api/v2/search/tag/span.a/b/values");
    assert_eq!(reply.json()["tagValues"][0]["value"], "of a/b", "{reply:?}");
}

#[test]
fn what_is_being_typed_narrows_as_far_as_it_goes() {
    let gateway = filled();
    let of = |query: &str| values(&gateway, "span.team", &format!("?q={}", escape(query)));
    let (blue, red) =
        (json!({ "type": "string", "value": "blue" }), json!({ "type": "string", "value": "red" }));
    assert_eq!(of("{ span.zone = \"z1\" && span.team = }"), json!([red]));
    assert_eq!(of("{ name = \"span 1\" && "), json!([blue]));
    assert_eq!(of("{ nonsense"), json!([blue, red]));
}

#[test]
fn what_is_no_name_is_400() {
    let gateway = Gateway::start();
    for name in ["team", "span.", "span.a b", "{}"] {
        let reply = gateway.get(&format!("/api/v2/search/tag/{}/values", escape(name)));
        assert_eq!(reply.status, 400, "{name}: {reply:?}");
        assert!(reply.text().contains("please provide a valid tagName"), "{reply:?}");
    }
    for query in ["scope=trace", "start=2&end=1", "limit=-1"] {
        assert_eq!(gateway.get(&format!("/api/v2/search/tags?{query}")).status, 400, "{query}");
    }
    let intrinsics = gateway.get("/api/search/tags?scope=intrinsic").json();
    assert!(intrinsics["tagNames"].as_array().unwrap().contains(&"duration".into()));
}
