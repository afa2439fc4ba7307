//! Reads of several tenants: what each has is told as if it were one's, with whose it is.

use super::real::{NOW, Real, check_keys, text};
use super::*;

const TRACE: &str = "000000000000000000000000000000f1";

/// A span of [`TRACE`], under a resource of its own.
fn span(id: &str, parent: &str, name: &str, resource: &[(&str, &str)]) -> String {
    let attributes: Vec<_> = resource.iter().map(|(key, value)| text(key, value)).collect();
    let (attributes, start) = (attributes.join(","), (NOW - 10) * 1_000_000_000);
    format!(
        r#"{{"resourceSpans":[{{"resource":{{"attributes":[{attributes}]}},"scopeSpans":[{{"spans":[
        {{"traceId":"{TRACE}","spanId":"{id:0>16}","parentSpanId":"{parent}","name":"{name}","kind":2,
        "startTimeUnixNano":"{start}","endTimeUnixNano":"{}"}}]}}]}}]}}"#,
        start + 1_000_000
    )
}

/// A trace whose root is of one tenant and whose query is of another.
async fn shop() -> Real {
    let real = Real::start();
    real.store.replay().unwrap();
    let page = span("a1", "", "page", &[("service.name", "front"), ("tenant", "me")]);
    real.append("team-a", &page).await;
    let query = span("a2", "00000000000000a1", "query", &[("service.name", "db")]);
    real.append("team-b", &query).await;
    real.append("team-c", &span("a3", "00000000000000a2", "row", &[])).await;
    real
}

async fn json(real: &Real, tenants: &str, path: &str) -> Value {
    let (status, text) = real.get(tenants, path).await;
    assert_eq!(status, 200, "{tenants} {path}: {text}");
    serde_json::from_str(&text).unwrap()
}

fn attributes(of: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let pairs = of["attributes"].as_array().into_iter().flatten();
    pairs.map(|pair| (text(&pair["key"]), text(&pair["value"]["stringValue"]))).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn a_trace_by_its_id_tells_whose_each_resource_is() {
    let real = shop().await;
    let both = json(&real, "team-b|team-a", &format!("/api/v2/traces/{TRACE}")).await;
    let resources = both["trace"]["resourceSpans"].as_array().unwrap();
    let told: Vec<_> = resources.iter().map(|of| attributes(&of["resource"])).collect();
    let front = [("service.name", "front"), ("tenant.reported", "me"), ("tenant", "team-a")];
    let db = [("service.name", "db"), ("tenant", "team-b")];
    assert_eq!(told, [pairs(&front), pairs(&db)]);
    let v1 = json(&real, "team-a|team-b", &format!("/api/traces/{TRACE}")).await;
    assert_eq!(v1["batches"], both["trace"]["resourceSpans"]);
    // Of one alone it is as it was sent, however often that one is named.
    for one in ["team-a", "team-a|team-a"] {
        let alone = json(&real, one, &format!("/api/v2/traces/{TRACE}")).await;
        let of = &alone["trace"]["resourceSpans"];
        assert_eq!(of.as_array().unwrap().len(), 1);
        assert_eq!(
            attributes(&of[0]["resource"]),
            pairs(&[("service.name", "front"), ("tenant", "me")])
        );
    }
    assert_eq!(real.get("team-d|team-e", &format!("/api/traces/{TRACE}")).await.0, 404);
}

#[tokio::test]
async fn searches_go_over_tenants_and_their_spans_tell_whose_they_are() {
    let real = shop().await;
    let search = async |tenants: &str, query: &str| {
        let query: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let found = json(&real, tenants, &format!("/api/search?q={query}")).await;
        check_keys(&found, "");
        found["traces"].clone()
    };
    let found = search("team-a|team-b", "{ name = `page` } > { name = `query` }").await;
    assert_eq!(found.as_array().unwrap().len(), 1);
    let (trace, span) = (&found[0], &found[0]["spanSet"]["spans"][0]);
    assert_eq!(
        (&trace["rootTraceName"], &trace["rootServiceName"]),
        (&json!("page"), &json!("front"))
    );
    assert!(attributes(span).contains(&("tenant".to_owned(), "team-b".to_owned())), "{span}");
    assert_eq!(trace["serviceStats"].as_object().unwrap().len(), 2);
    for (tenants, query, count) in [
        ("team-a", "{ name = `page` } > { name = `query` }", 0),
        ("team-a|team-c", "{ name = `page` } >> { name = `row` }", 0),
        ("team-a|team-b|team-c", "{ name = `page` } >> { name = `row` }", 1),
        ("team-a|team-b", "{ resource.tenant = `team-a` } && { resource.tenant = `team-b` }", 1),
        ("team-a|team-b", "{ resource.tenant.reported = `me` && rootName = `page` }", 1),
        ("team-a|team-b", "{ resource.tenant = `me` }", 0),
        ("team-a", "{ resource.tenant = `me` }", 1),
    ] {
        let found = search(tenants, query).await;
        assert_eq!(found.as_array().unwrap().len(), count, "{tenants} {query}");
    }
    let alone = search("team-b", "{ name = `query` }").await;
    assert_eq!(attributes(&alone[0]["spanSet"]["spans"][0]), []);
}

#[tokio::test]
async fn names_values_and_series_are_of_all() {
    let real = shop().await;
    let tags =
        async |tenants: &str| json(&real, tenants, "/api/v2/search/tags?scope=resource").await;
    let both = tags("team-b|team-c").await;
    assert_eq!(both["scopes"][0]["tags"], json!(["service.name", "tenant"]));
    assert_eq!(tags("team-b").await["scopes"][0]["tags"], json!(["service.name"]));
    let values = json(&real, "team-a|team-b", "/api/v2/search/tag/resource.tenant/values").await;
    let values: Vec<_> =
        values["tagValues"].as_array().unwrap().iter().map(|of| &of["value"]).collect();
    assert_eq!(values, ["team-a", "team-b"]);
    let range = format!("start={}&end={}&step=1h", NOW - 3_600, NOW);
    let query = "%7B%7D%7Ccount_over_time()by(resource.tenant)";
    let path = format!("/api/metrics/query_range?q={query}&{range}");
    let series = json(&real, "team-a|team-b|team-c", &path).await;
    let labels: Vec<_> =
        series["series"].as_array().unwrap().iter().map(|of| &of["labels"]).collect();
    let label =
        |name: &str| json!([{ "key": "resource.tenant", "value": { "stringValue": name } }]);
    assert_eq!(labels, [&label("team-a"), &label("team-b"), &label("team-c")]);
}
