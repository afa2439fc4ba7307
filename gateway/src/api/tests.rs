//! The API as clients see it: codes, headers and bodies of every route.

mod real;

use std::io::Read;
use std::sync::{Barrier, Mutex};
use std::time::Duration;

use http::StatusCode;
use model::{Faults, Nanos, TimeRange, TraceId};
use serde_json::json;
use store::execute::traceql as engine;
use traceql::ast::{Field, Scope, Static};

use super::*;

/// Traces that answer what a test put there, and remember what was asked.
struct Shelf {
    trace: Option<Vec<u8>>,
    left_out: u64,
    partial: Option<String>,
    fails: Option<store::Kind>,
    found: engine::SearchAnswer,
    series: engine::MetricsAnswer,
    names: engine::AttributeNames,
    /// Where a query that waits for its end meets the test.
    started: Barrier,
    cancelled: AtomicBool,
    asked: Mutex<Vec<(TenantId, TraceId, TimeRange)>>,
}

impl Default for Shelf {
    fn default() -> Self {
        Self {
            trace: None,
            left_out: 0,
            partial: None,
            fails: None,
            found: engine::SearchAnswer::default(),
            series: engine::MetricsAnswer::default(),
            names: engine::AttributeNames::default(),
            started: Barrier::new(2),
            cancelled: AtomicBool::new(false),
            asked: Mutex::default(),
        }
    }
}

impl Shelf {
    fn fails(&self) -> Result<(), store::Error> {
        self.fails.map_or(Ok(()), |kind| Err(store::Error::new(kind, "the shelf is broken")))
    }
}

impl Traces for Shelf {
    fn trace(
        &self,
        tenant: &TenantId,
        id: TraceId,
        during: TimeRange,
    ) -> Result<Option<store::Trace>, store::Error> {
        self.asked.lock().unwrap().push((tenant.clone(), id, during));
        match self.fails {
            Some(kind) => Err(store::Error::new(kind, "the shelf is broken")),
            None => {
                let (left_out, partial) = (self.left_out, self.partial.clone());
                let found = |otlp| store::Trace { otlp, spans: 1, left_out, partial };
                Ok(self.trace.clone().map(found))
            }
        }
    }

    fn search(&self, tenant: &TenantId, _: &store::Search) -> Result<store::Found, store::Error> {
        assert_ne!(tenant.as_str(), "panics", "a handler that panics");
        Ok(store::Found { partial: self.partial.clone(), ..store::Found::default() })
    }

    fn query(
        &self,
        tenant: &TenantId,
        request: &engine::SearchRequest,
        on_found: &mut dyn FnMut(&[engine::TraceMatch], engine::Inspected),
    ) -> Result<engine::SearchAnswer, store::Error> {
        if tenant.as_str() == "waits" {
            self.started.wait();
            // Ten seconds at most: then nobody has told it.
            for _ in 0..10_000 {
                if request.budget.is_cancelled() {
                    self.cancelled.store(true, Ordering::Relaxed);
                    break;
                }
                std::thread::park_timeout(Duration::from_millis(1));
            }
        }
        on_found(&[], engine::Inspected::default());
        self.fails()?;
        Ok(engine::SearchAnswer { partial: self.partial.clone(), ..self.found.clone() })
    }

    fn query_metrics(
        &self,
        _: &TenantId,
        _: &engine::MetricsRequest,
    ) -> Result<engine::MetricsAnswer, store::Error> {
        self.fails()?;
        Ok(engine::MetricsAnswer { partial: self.partial.clone(), ..self.series.clone() })
    }

    fn tags(
        &self,
        _: &TenantId,
        _: Option<Scope>,
        _: &engine::NamesRequest,
    ) -> Result<engine::AttributeNames, store::Error> {
        self.fails()?;
        Ok(self.names.clone())
    }

    fn tag_values(
        &self,
        _: &TenantId,
        field: &Field,
        request: &engine::NamesRequest,
    ) -> Result<engine::TagValues, store::Error> {
        self.fails()?;
        let filter = request.filter.as_ref().map(ToString::to_string).unwrap_or_default();
        let values = [field.to_string(), filter].map(Static::Text).to_vec();
        Ok(engine::TagValues { values, ..engine::TagValues::default() })
    }

    fn flush(&self, level: store::Level) -> Result<store::Flushed, store::Error> {
        match self.fails {
            Some(kind) => Err(store::Error::new(kind, "the shelf is broken")),
            None => Ok(store::Flushed {
                blocks: u64::from(level == store::Level::L1),
                l0_files: 2,
                spans: 3,
            }),
        }
    }
}

#[derive(Debug)]
struct Still;

impl Clock for Still {
    fn now(&self) -> Nanos {
        Nanos(0)
    }
    fn monotonic(&self) -> Nanos {
        Nanos(0)
    }
}

struct Rig {
    api: Arc<Api>,
    shelf: Arc<Shelf>,
    compute: Compute,
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.compute.close();
    }
}

impl Rig {
    fn new(shelf: Shelf, tenancy: Tenancy) -> Self {
        Self::with_health(shelf, tenancy, true)
    }

    fn with_health(shelf: Shelf, tenancy: Tenancy, ready: bool) -> Self {
        let shelf = Arc::new(shelf);
        let compute = Compute::start(1, 16).unwrap();
        let text = if ready { "ready: all roles" } else { "replaying: 3 of 7 segments" };
        let traces: Arc<dyn Traces> = Arc::<Shelf>::clone(&shelf);
        let parts = Parts {
            traces,
            tenancy,
            compute: compute.clone(),
            queries: compute.clone(),
            clock: Arc::new(Still),
            health: Arc::new(move || Health { live: true, ready, text: text.to_owned() }),
            metrics: Arc::new(|accept| Page {
                content_type: "text/plain; version=0.0.4",
                text: format!("# {accept}\n{}", "a 1\n".repeat(1000)),
            }),
            status: Arc::new(|| json!({ "head": { "spans": 7 } })),
        };
        let api = Api::new(Config { base_path: "/base".to_owned(), ..Config::default() }, parts);
        Self { api, shelf, compute }
    }

    async fn get(&self, path: &str) -> (StatusCode, String) {
        let response = self.ask(Method::GET, path, Listener::Query, &[]).await;
        let text = String::from_utf8(response.body().to_vec()).unwrap();
        (response.status(), text)
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        listener: Listener,
        headers: &[(&str, &str)],
    ) -> Response<Bytes> {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        Arc::clone(&self.api).answer(head, listener).await
    }
}

const ID: &str = "5b8efff798038103d269b633813fc60c";

fn otlp() -> Vec<u8> {
    let json = format!(
        r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{"traceId":"{ID}",
        "spanId":"eee19b7ec3c1b174","name":"{}","kind":2}}]}}]}}]}}"#,
        "n".repeat(2000)
    );
    model::json::decode(json.as_bytes()).unwrap()
}

fn shelf() -> Shelf {
    Shelf { trace: Some(otlp()), ..Shelf::default() }
}

#[tokio::test]
async fn a_trace_comes_as_json_of_either_version() {
    let rig = Rig::new(shelf(), Tenancy::Single);
    let (status, v1) = rig.get(&format!("/api/traces/{ID}")).await;
    assert_eq!(status, StatusCode::OK);
    let v1: Value = serde_json::from_str(&v1).unwrap();
    let span = &v1["batches"][0]["scopeSpans"][0]["spans"][0];
    assert_eq!(span["traceId"], "W47/95gDgQPSabYzgT/GDA==");
    assert_eq!(span["kind"], "SPAN_KIND_SERVER");
    let (_, v2) = rig.get(&format!("/api/v2/traces/{ID}?q=%7B%20%7D")).await;
    let v2: Value = serde_json::from_str(&v2).unwrap();
    assert_eq!(v2["trace"]["resourceSpans"], v1["batches"]);
    assert_eq!(v2["metrics"], json!({}));
    assert_eq!(v2.as_object().unwrap().len(), 2);
}

#[tokio::test]
async fn a_trace_comes_as_protobuf_for_who_asks() {
    let rig = Rig::new(shelf(), Tenancy::Single);
    let accept = [("accept", "text/html, Application/Protobuf;q=0.9")];
    let path = format!("/api/traces/{ID}");
    let v1 = rig.ask(Method::GET, &path, Listener::Query, &accept).await;
    assert_eq!(v1.headers()[header::CONTENT_TYPE], "application/protobuf");
    assert_eq!(**v1.body(), otlp());
    let path = format!("/api/v2/traces/{ID}");
    let v2 = rig.ask(Method::GET, &path, Listener::Query, &accept).await;
    let mut reader = model::wire::Reader::new(v2.body());
    let trace = reader.next().unwrap().unwrap();
    assert_eq!((trace.number, trace.value), (1, model::wire::Value::Bytes(&otlp())));
    let metrics = reader.next().unwrap().unwrap();
    assert_eq!((metrics.number, metrics.value), (2, model::wire::Value::Bytes(&[])));
    assert!(reader.next().unwrap().is_none());
}

#[tokio::test]
async fn a_trace_that_is_too_large_says_what_is_missing() {
    let rig = Rig::new(Shelf { left_out: 7, ..shelf() }, Tenancy::Single);
    let path = format!("/api/v2/traces/{ID}");
    let (status, text) = rig.get(&path).await;
    assert_eq!(status, StatusCode::OK);
    let json: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["status"], "PARTIAL");
    assert!(json["message"].as_str().unwrap().contains("7 are left out"), "{text}");
    let accept = [("accept", "application/protobuf")];
    let v2 = rig.ask(Method::GET, &path, Listener::Query, &accept).await;
    let mut reader = model::wire::Reader::new(v2.body());
    let numbers: Vec<u32> =
        std::iter::from_fn(|| reader.next().unwrap()).map(|field| field.number).collect();
    assert_eq!(numbers, [1, 2, 3, 4]);
    let path = format!("/api/traces/{ID}");
    let v1 = rig.ask(Method::GET, &path, Listener::Query, &accept).await;
    assert_eq!(v1.headers()["x-traceweir-spans-left-out"], "7");
    assert_eq!(**v1.body(), otlp());
}

#[tokio::test]
async fn ids_and_times_reach_the_store_in_every_spelling() {
    let rig = Rig::new(shelf(), Tenancy::Single);
    for path in [
        "/api/traces/463AC35C9F6413AD",
        "/api/v2/traces/0000000000000000463ac35c9f6413ad?start=1&end=2",
        "/base/api/v2/traces/00000000-0000-0000-463a-c35c9f6413ad",
        "/api/traces/v1/team/tempo/api/traces/463ac35c9f6413ad/",
    ] {
        assert_eq!(rig.get(path).await.0, StatusCode::OK, "{path}");
    }
    let asked = rig.shelf.asked.lock().unwrap();
    let id = TraceId::parse("463ac35c9f6413ad").unwrap();
    assert!(asked.len() == 4 && asked.iter().all(|(_, asked, _)| *asked == id));
    assert_eq!(asked[0].2, TimeRange::ALL);
    assert_eq!(asked[1].2.start, Nanos::from_secs(1));
}

#[tokio::test]
async fn what_is_wrong_with_a_trace_request_is_said() {
    let rig = Rig::new(Shelf::default(), Tenancy::Single);
    for (path, status, word) in [
        (format!("/api/traces/{ID}"), 404, "not known"),
        (format!("/api/v2/traces/{ID}"), 404, "not known"),
        ("/api/traces/xyz".to_owned(), 400, "not hexadecimal"),
        ("/api/v2/traces/00".to_owned(), 400, "all zeros"),
        (format!("/api/traces/{ID}00"), 400, "too many"),
        (format!("/api/traces/{ID}?start=2&end=2"), 400, "before end"),
        (format!("/api/v2/traces/{ID}?q=%7B.a%7D%7Crate()"), 400, "single filter"),
        (format!("/api/v2/traces/{ID}?q=%7B.a%7D&match_depth=-2"), 400, "match_depth"),
        ("/api/traces".to_owned(), 404, "nothing lives at"),
        ("/api/traces/a/b".to_owned(), 404, "nothing lives at"),
    ] {
        let (code, text) = rig.get(&path).await;
        assert_eq!(code.as_u16(), status, "{path}: {text}");
        assert!(text.contains(word), "{path}: {text}");
    }
    assert_eq!(rig.api.unknown(), 2);
}

#[tokio::test]
async fn kinds_of_the_store_become_codes() {
    for (kind, status, retry) in [
        (store::Kind::Invalid, 400, false),
        (store::Kind::TooLarge, 413, false),
        (store::Kind::Unavailable, 503, true),
        (store::Kind::Fatal, 503, true),
        (store::Kind::Corrupt, 500, false),
        (store::Kind::Io, 500, false),
    ] {
        let rig = Rig::new(Shelf { fails: Some(kind), ..Shelf::default() }, Tenancy::Single);
        let path = format!("/api/traces/{ID}");
        let response = rig.ask(Method::GET, &path, Listener::Query, &[]).await;
        assert_eq!(response.status().as_u16(), status);
        assert_eq!(response.headers().contains_key(header::RETRY_AFTER), retry);
        assert_eq!(response.body(), "the shelf is broken\n");
    }
}

#[tokio::test]
async fn tenants_are_told_apart_by_header_or_path() {
    let rig = Rig::new(shelf(), Tenancy::Header);
    let plain = format!("/api/traces/{ID}");
    let prefixed = format!("/api/traces/v1/team-b/tempo/api/traces/{ID}");
    let both = [("x-scope-orgid", "team-a")];
    for (path, headers, status, word) in [
        (&plain, &[][..], 401, "no org id"),
        (&plain, &[("x-scope-orgid", "a|b")][..], 400, "X-Scope-OrgID"),
        (&plain, &both[..], 200, ""),
        (&prefixed, &[][..], 200, ""),
        (&prefixed, &both[..], 400, "different tenants"),
    ] {
        let response = rig.ask(Method::GET, path, Listener::Query, headers).await;
        let text = String::from_utf8_lossy(response.body()).into_owned();
        assert_eq!(response.status().as_u16(), status, "{path} {text}");
        assert!(text.contains(word), "{text}");
    }
    let asked = rig.shelf.asked.lock().unwrap();
    let tenants: Vec<_> = asked.iter().map(|(tenant, ..)| tenant.as_str()).collect();
    assert_eq!(tenants, ["team-a", "team-b"]);
}

#[tokio::test]
async fn methods_are_checked_and_head_has_no_body() {
    let rig = Rig::new(shelf(), Tenancy::Single);
    let path = format!("/api/traces/{ID}");
    let post = rig.ask(Method::POST, &path, Listener::Query, &[]).await;
    assert_eq!(post.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(post.headers()[header::ALLOW], "GET");
    let get = rig.ask(Method::GET, &path, Listener::Query, &[]).await;
    let head = rig.ask(Method::HEAD, &path, Listener::Query, &[]).await;
    assert_eq!(head.status(), StatusCode::OK);
    assert!(head.body().is_empty() && !get.body().is_empty());
    assert_eq!(head.headers(), get.headers());
    assert_eq!(get.headers()[header::CONTENT_LENGTH], get.body().len().to_string().as_str());
}

#[tokio::test]
async fn long_answers_are_gzipped_for_who_takes_it() {
    let rig = Rig::new(shelf(), Tenancy::Single);
    let path = format!("/api/traces/{ID}");
    let plain = rig.ask(Method::GET, &path, Listener::Query, &[("accept-encoding", "br")]).await;
    assert!(!plain.headers().contains_key(header::CONTENT_ENCODING));
    let refused = [("accept-encoding", "gzip;q=0, br")];
    let refused = rig.ask(Method::GET, &path, Listener::Query, &refused).await;
    assert_eq!(refused.body(), plain.body());
    let accept = [("accept-encoding", "br, gzip;q=0.5")];
    let packed = rig.ask(Method::GET, &path, Listener::Query, &accept).await;
    assert_eq!(packed.headers()[header::CONTENT_ENCODING], "gzip");
    assert!(packed.body().len() < plain.body().len() / 4);
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(&**packed.body()).read_to_end(&mut unpacked).unwrap();
    assert_eq!(unpacked, **plain.body());
    let short = rig.ask(Method::GET, "/api/echo", Listener::Query, &accept).await;
    assert!(!short.headers().contains_key(header::CONTENT_ENCODING));
}

#[tokio::test]
async fn grafana_finds_what_it_probes_for() {
    let rig = Rig::new(shelf(), Tenancy::Header);
    assert_eq!(rig.get("/api/echo").await, (StatusCode::OK, "echo".to_owned()));
    assert_eq!(rig.get("/base/api/echo").await.0, StatusCode::OK);
    let (_, info) = rig.get("/api/status/buildinfo").await;
    let info: Value = serde_json::from_str(&info).unwrap();
    assert_eq!(info["version"], "3.0.2");
    assert_eq!(info["traceweir"], env!("CARGO_PKG_VERSION"));
    let (_, services) = rig.get("/status/services").await;
    let services: Value = serde_json::from_str(&services).unwrap();
    assert_eq!(services[0]["status"], "Running");
}

#[tokio::test]
async fn an_empty_search_answers_tempos_empty_response() {
    let rig = Rig::new(Shelf::default(), Tenancy::Single);
    let (status, text) = rig.get("/api/search?q=%7B%7D&limit=5").await;
    assert_eq!(
        (status, &*text),
        (StatusCode::OK, r#"{"traces":[],"metrics":{"completedJobs":1,"totalJobs":1}}"#)
    );
    let long = format!("/api/search?tags={}", "a".repeat(60_000));
    assert_eq!(rig.get(&long).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_handler_that_panics_takes_nobody_along() {
    let rig = Rig::new(Shelf::default(), Tenancy::Header);
    let tenant = [("x-scope-orgid", "panics")];
    let response = rig.ask(Method::GET, "/api/search", Listener::Query, &tenant).await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let tenant = [("x-scope-orgid", "fine")];
    let response = rig.ask(Method::GET, "/api/search", Listener::Query, &tenant).await;
    assert_eq!(response.status(), StatusCode::OK);
    let (_, stats) = rig.api.stats().find(|(path, _)| *path == "/api/search").unwrap();
    assert_eq!((stats.answered.get(), stats.failed.get(), stats.refused.get()), (1, 1, 0));
}

#[tokio::test]
async fn a_query_ends_with_its_client() {
    let rig = Rig::new(Shelf::default(), Tenancy::Header);
    let request = Request::get("/api/search?q=%7B.a%3D1%7D").header("x-scope-orgid", "waits");
    let (head, ()) = request.body(()).unwrap().into_parts();
    let mut answer = Box::pin(Arc::clone(&rig.api).answer(head, Listener::Query));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(answer.as_mut().poll(&mut context).is_pending());
    rig.shelf.started.wait();
    drop(answer);
    rig.compute.close();
    assert!(rig.shelf.cancelled.load(Ordering::Relaxed));
}

#[tokio::test]
async fn what_is_missing_is_told_wherever_there_is_room() {
    let partial = Some("a block is damaged: é".to_owned());
    let rig = Rig::new(Shelf { partial, ..Shelf::default() }, Tenancy::Single);
    for path in
        ["/api/search?q=%7B.a%3D1%7D", "/api/metrics/query_range?q=%7B%7D%7Crate()&start=1&end=2"]
    {
        let response = rig.ask(Method::GET, path, Listener::Query, &[]).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let header = response.headers()["x-traceweir-partial"].to_str().unwrap();
        assert_eq!(header, "a block is damaged: %C3%A9", "{path}");
        let json: Value = serde_json::from_slice(response.body()).unwrap();
        let is_range = path.contains("range");
        assert_eq!(json["status"] == "PARTIAL", is_range, "{path}: {json}");
    }
}

#[tokio::test]
async fn operators_have_their_own_port() {
    let rig = Rig::new(Shelf::default(), Tenancy::Single);
    let status = rig.ask(Method::GET, "/status", Listener::Admin, &[]).await;
    assert_eq!(status.body(), r#"{"head":{"spans":7}}"#);
    assert_eq!(rig.get("/status").await.0, StatusCode::NOT_FOUND);
    let search = rig.ask(Method::GET, "/api/search", Listener::Admin, &[]).await;
    assert_eq!(search.status(), StatusCode::NOT_FOUND);
    for listener in [Listener::Query, Listener::Admin] {
        let accept = [("accept", "application/openmetrics-text")];
        let metrics = rig.ask(Method::GET, "/metrics", listener, &accept).await;
        assert_eq!(metrics.headers()[header::CONTENT_TYPE], "text/plain; version=0.0.4");
        assert!(metrics.body().starts_with(b"# application/openmetrics-text\n"));
    }
}

#[tokio::test]
async fn probes_tell_a_start_from_a_failure() {
    let rig = Rig::with_health(Shelf::default(), Tenancy::Single, false);
    let replaying = "replaying: 3 of 7 segments\n".to_owned();
    assert_eq!(rig.get("/ready").await, (StatusCode::SERVICE_UNAVAILABLE, replaying.clone()));
    assert_eq!(rig.get("/live").await, (StatusCode::OK, replaying));
    let rig = Rig::new(Shelf::default(), Tenancy::Single);
    assert_eq!(rig.get("/ready").await, (StatusCode::OK, "ready: all roles\n".to_owned()));
}

#[test]
fn the_base_path_is_checked() {
    let faults = |path: &str| {
        let mut faults = Faults::default();
        Config { base_path: path.to_owned(), ..Config::default() }.check("api", &mut faults);
        faults.list().len()
    };
    for good in ["", "/tempo", "/a/b"] {
        assert_eq!(faults(good), 0, "{good}");
    }
    for bad in ["/", "tempo", "/tempo/", "/a//b", "/a b", "/a?b", "/é"] {
        assert_eq!(faults(bad), 1, "{bad}");
    }
}

#[test]
fn every_route_is_documented() {
    let doc = include_str!("../../../docs/reference/api.md");
    for route in ROUTES {
        let row = format!("| `{} {}` |", route.method, route.path);
        assert!(doc.contains(&row), "docs/reference/api.md lacks {row}");
        assert!(doc.contains(route.doc), "docs/reference/api.md lacks {:?}", route.doc);
    }
    let is_row = |line: &&str| line.starts_with("| `GET ") || line.starts_with("| `POST ");
    let rows = doc.lines().filter(is_row).count();
    assert_eq!(rows, ROUTES.len(), "docs/reference/api.md has rows of its own");
}
