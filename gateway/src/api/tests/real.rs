//! The API over the real store: what was acknowledged is what clients read.

use std::collections::BTreeSet;

use store::disk::RealDisk;
use tempfile::TempDir;

use super::*;

/// 2023-11-14T22:13:20Z, in seconds.
pub(super) const NOW: u64 = 1_700_000_000;

#[derive(Debug)]
struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Nanos {
        Nanos::from_secs(NOW)
    }
    fn monotonic(&self) -> Nanos {
        Nanos(0)
    }
}

pub(super) struct Real {
    pub(super) api: Arc<Api>,
    pub(super) store: store::Store,
    compute: Compute,
    _dir: TempDir,
}

impl Drop for Real {
    fn drop(&mut self) {
        self.compute.close();
        self.store.close().unwrap();
    }
}

impl Real {
    pub(super) fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(Fixed);
        let disk = Arc::new(RealDisk);
        let config = store::Config::default();
        let store =
            store::Store::open(disk, dir.path(), &config, Arc::clone(&clock), || Ok(7)).unwrap();
        let compute = Compute::start(1, 16).unwrap();
        let parts = Parts {
            traces: Arc::new(store.clone()),
            auth: Auth::none(Tenancy::Header, Arc::clone(&clock)),
            accounts: limits::tests::accounts(Arc::clone(&clock)),
            plugins: crate::attach::tests::none(),
            compute: compute.clone(),
            queries: compute.clone(),
            clock,
            health: Arc::new(Health::default),
            metrics: Arc::new(|_| Page { content_type: "text/plain", text: String::new() }),
            status: Arc::new(|| Value::Null),
            usage: Arc::new(|| Value::Null),
            settings: Arc::default(),
        };
        Self { api: Api::new(Config::default(), parts), store, compute, _dir: dir }
    }

    pub(super) async fn append(&self, tenant: &str, json: &str) -> u64 {
        let body = model::json::decode(json.as_bytes()).unwrap_or_else(|fault| panic!("{fault}"));
        let append = store::Append {
            tenant: TenantId::parse(tenant).unwrap(),
            received_at: Nanos::from_secs(NOW),
            body: body.into(),
        };
        self.store.append(append).unwrap().durable().await.unwrap().spans
    }

    pub(super) async fn get(&self, tenant: &str, path: &str) -> (u16, String) {
        let request = Request::get(path).header("x-scope-orgid", tenant);
        let request = request.body(Full::<Bytes>::default()).unwrap();
        let response = Arc::clone(&self.api).answer(request, (Listener::Query, &HERE)).await;
        (response.status().as_u16(), String::from_utf8(response.body().to_vec()).unwrap())
    }

    async fn search(&self, query: &str) -> Value {
        let (status, text) = self.get("team-a", &format!("/api/search?{query}")).await;
        assert_eq!(status, 200, "{query}: {text}");
        check_keys(&serde_json::from_str(&text).unwrap(), "");
        serde_json::from_str(&text).unwrap()
    }

    /// The ids that a search finds, in its order.
    async fn ids(&self, query: &str) -> Vec<String> {
        let found = self.search(query).await;
        let traces = found["traces"].as_array().cloned().unwrap_or_default();
        traces.iter().map(|trace| trace["traceID"].as_str().unwrap().to_owned()).collect()
    }
}

/// Every key that `tempopb.SearchResponse` has: Grafana refuses any other.
pub(super) fn check_keys(value: &Value, above: &str) {
    const KEYS: [(&str, &[&str]); 11] = [
        ("", &["traces", "metrics"]),
        (
            "traces",
            &[
                "traceID",
                "rootServiceName",
                "rootTraceName",
                "startTimeUnixNano",
                "durationMs",
                "spanSet",
                "spanSets",
                "serviceStats",
            ],
        ),
        (
            "metrics",
            &["inspectedTraces", "inspectedBytes", "inspectedSpans", "completedJobs", "totalJobs"],
        ),
        ("spanSet", &["spans", "matched", "attributes"]),
        ("spanSets", &["spans", "matched", "attributes"]),
        ("spans", &["spanID", "name", "startTimeUnixNano", "durationNanos", "attributes"]),
        ("attributes", &["key", "value"]),
        ("value", &["stringValue", "intValue", "boolValue", "doubleValue"]),
        ("service", &["spanCount", "errorCount"]),
        ("serviceStats", &[]),
        ("leaf", &[]),
    ];
    match value {
        Value::Object(members) => {
            for (key, inner) in members {
                let free = above == "serviceStats";
                let known = KEYS.iter().find(|(name, _)| *name == above).map(|(_, keys)| *keys);
                assert!(free || known.is_some_and(|keys| keys.contains(&&**key)), "{above}.{key}");
                check_keys(inner, if free { "service" } else { key });
            }
        }
        Value::Array(items) => items.iter().for_each(|item| check_keys(item, above)),
        _ => {}
    }
}

/// A trace of two spans, `seconds` before now, with a root of `millis`.
fn trace(id: &str, service: &str, seconds: u64, millis: u64, attributes: &str) -> String {
    let start = (NOW - seconds) * 1_000_000_000;
    let end = start + millis * 1_000_000;
    format!(
        r#"{{"resourceSpans":[{{"resource":{{"attributes":[
        {{"key":"service.name","value":{{"stringValue":"{service}"}}}}]}},"scopeSpans":[
        {{"scope":{{"name":"lib","version":"1"}},"spans":[
        {{"traceId":"{id:0>32}","spanId":"00000000000000a1","name":"GET /","kind":"SPAN_KIND_SERVER",
        "startTimeUnixNano":"{start}","endTimeUnixNano":"{end}","attributes":[{attributes}]}},
        {{"traceId":"{id:0>32}","spanId":"00000000000000a2","parentSpanId":"00000000000000a1",
        "name":"SELECT","kind":3,"startTimeUnixNano":"{start}","endTimeUnixNano":"{end}",
        "status":{{"code":2,"message":"no"}},"events":[{{"name":"e","timeUnixNano":"{start}"}}]}}
        ]}}],"schemaUrl":"https://schema"}}]}}"#
    )
}

pub(super) fn text(key: &str, value: &str) -> String {
    format!(r#"{{"key":"{key}","value":{{"stringValue":"{value}"}}}}"#)
}

#[tokio::test]
async fn before_the_replay_reads_are_asked_to_come_again() {
    let real = Real::start();
    for path in ["/api/search", "/api/traces/a1", "/api/v2/traces/a1"] {
        let (status, text) = real.get("team-a", path).await;
        assert_eq!(status, 503, "{path}: {text}");
        assert!(text.contains("replayed"), "{text}");
    }
}

#[tokio::test]
async fn an_acknowledged_trace_is_read_back_whole_by_its_tenant_only() {
    let real = Real::start();
    real.store.replay().unwrap();
    let sent = trace("463ac35c9f6413ad", "shop", 10, 20, &text("user.id", "7"));
    assert_eq!(real.append("team-a", &sent).await, 2);
    let (status, v2) = real.get("team-a", "/api/v2/traces/463AC35C9F6413AD").await;
    assert_eq!(status, 200, "{v2}");
    let v2: Value = serde_json::from_str(&v2).unwrap();
    // Ids are base64 in Tempo's JSON; apart from that it is what was sent.
    let expected = model::json::decode(sent.as_bytes()).unwrap();
    let expected = model::json::encode(&expected, model::json::Flavour::TempoV2).unwrap();
    let expected: Value = serde_json::from_str(&expected).unwrap();
    assert_eq!(v2["trace"], expected);
    let (_, v1) = real.get("team-a", "/api/traces/463ac35c9f6413ad").await;
    let v1: Value = serde_json::from_str(&v1).unwrap();
    assert_eq!(v1["batches"], v2["trace"]["resourceSpans"]);
    assert_eq!(real.get("team-b", "/api/traces/463ac35c9f6413ad").await.0, 404);
    let outside = format!("/api/v2/traces/463ac35c9f6413ad?start={}&end={}", NOW + 100, NOW + 200);
    assert_eq!(real.get("team-a", &outside).await.0, 404);
}

#[tokio::test]
async fn searches_find_by_tag_duration_and_time_newest_first() {
    let real = Real::start();
    real.store.replay().unwrap();
    for (id, service, seconds, millis, attributes) in [
        ("a1", "shop", 30, 10, text("user.id", "u-17")),
        ("a2", "shop", 20, 300, text("user.id", "u-18")),
        ("a3", "billing", 10, 2_000, text("http.url", "https://x/a b=c")),
    ] {
        real.append("team-a", &trace(id, service, seconds, millis, &attributes)).await;
    }
    let all = ["a3", "a2", "a1"];
    assert_eq!(real.ids("").await, all);
    assert_eq!(real.ids("q=%7B%20%7D&limit=2").await, ["a3", "a2"]);
    for (query, ids) in [
        ("tags=service.name%3Dshop", &["a2", "a1"][..]),
        ("tags=user.id%3Du-17", &["a1"]),
        ("tags=user.id%3DU-1", &["a2", "a1"]),
        ("tags=http.url%3D%22a+b%3Dc%22", &["a3"]),
        ("tags=service.name%3Dshop+user.id%3Du-18", &["a2"]),
        ("tags=service.name%3Dnobody", &[]),
        ("minDuration=100ms", &["a3", "a2"]),
        ("maxDuration=1s&minDuration=11ms", &["a2"]),
        ("tags=service.name%3Dshop&maxDuration=50ms", &["a1"]),
    ] {
        assert_eq!(real.ids(query).await, ids, "{query}");
    }
    let window = format!("start={}&end={}", NOW - 25, NOW - 15);
    assert_eq!(real.ids(&window).await, ["a2"]);
    let (status, text) = real.get("team-b", "/api/search").await;
    assert!(status == 200 && text.contains("\"traces\":[]"), "{text}");
}

#[tokio::test]
async fn a_found_trace_tells_its_root_its_spans_and_its_services() {
    let real = Real::start();
    real.store.replay().unwrap();
    real.append("team-a", &trace("a1", "shop", 10, 2_000, &text("user.id", "u-17"))).await;
    let found = real.search("tags=user.id%3Du-17").await;
    let trace = &found["traces"][0];
    let start = ((NOW - 10) * 1_000_000_000).to_string();
    assert_eq!(trace["rootServiceName"], "shop");
    assert_eq!(trace["rootTraceName"], "GET /");
    assert_eq!(trace["startTimeUnixNano"], start);
    assert_eq!(trace["durationMs"], 2_000);
    assert_eq!(trace["serviceStats"], json!({ "shop": { "spanCount": 2, "errorCount": 1 } }));
    assert_eq!(trace["spanSets"], json!([trace["spanSet"]]));
    assert_eq!(trace["spanSet"]["matched"], 1);
    let span = &trace["spanSet"]["spans"][0];
    assert_eq!(span["spanID"], "00000000000000a1");
    assert_eq!(span["durationNanos"], "2000000000");
    let everything = real.search("q=%7B%7D&spss=1").await;
    let set = &everything["traces"][0]["spanSet"];
    assert_eq!(set["matched"], 2);
    assert_eq!(set["spans"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_trace_without_its_root_says_so_in_tempos_words() {
    let real = Real::start();
    real.store.replay().unwrap();
    let sent = trace("a1", "shop", 10, 20, "").replacen(
        "\"spanId\":\"00000000000000a1\"",
        "\"spanId\":\"00000000000000a1\",\"parentSpanId\":\"00000000000000ff\"",
        1,
    );
    real.append("team-a", &sent).await;
    let found = real.search("").await;
    assert_eq!(found["traces"][0]["rootServiceName"], "<root span not yet received>");
    assert!(found["traces"][0].get("rootTraceName").is_none());
}

#[tokio::test]
async fn every_trace_of_a_page_of_search_is_found_by_its_printed_id() {
    let real = Real::start();
    real.store.replay().unwrap();
    for number in 1..=50_u64 {
        let id = format!("{:x}", number << 40);
        real.append("team-a", &trace(&id, "shop", number, 5, "")).await;
    }
    let ids = real.ids("limit=50").await;
    let distinct: BTreeSet<_> = ids.iter().collect();
    assert_eq!((ids.len(), distinct.len()), (50, 50));
    for id in &ids {
        let (status, text) = real.get("team-a", &format!("/api/v2/traces/{id}")).await;
        assert_eq!(status, 200, "{id}: {text}");
    }
}
