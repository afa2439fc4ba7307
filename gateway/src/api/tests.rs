//! The API as clients see it: codes, headers and bodies of every route.

mod diffs;
mod federation;
mod operators;
mod real;
mod requests;
mod traces;

use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;

use http::StatusCode;
use http_body_util::Full;
use model::{Faults, Nanos, TenantId, TimeRange, TraceId};
use serde_json::json;
use store::execute::traceql as engine;
use traceql::ast::{Field, Scope, Static};

use super::*;
use crate::auth::Tenancy;

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
    asked: Mutex<Vec<(Federation, TraceId, TimeRange)>>,
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

/// What the second page of a trace comes after.
fn next() -> store::SpanKey {
    store::SpanKey::parse(&format!("{:016x}{:016x}2", 5, 7)).unwrap()
}

impl Traces for Shelf {
    fn trace(
        &self,
        tenants: &Federation,
        id: TraceId,
        during: TimeRange,
        after: Option<store::SpanKey>,
    ) -> Result<Option<store::Trace>, store::Error> {
        self.asked.lock().unwrap().push((tenants.clone(), id, during));
        match self.fails {
            Some(kind) => Err(store::Error::new(kind, "the shelf is broken")),
            None => {
                let (left_out, partial) = (self.left_out, self.partial.clone());
                // One span a page: the second of them is the last one.
                let (spans, before) = (1, u64::from(after.is_some()));
                let next = Some(next()).filter(|next| left_out > 0 && after != Some(*next));
                let found = |otlp| store::Trace { otlp, spans, before, left_out, next, partial };
                Ok(self.trace.clone().map(found))
            }
        }
    }

    fn query(
        &self,
        tenants: &Federation,
        request: &engine::SearchRequest,
        on_found: &mut dyn FnMut(&[Arc<engine::TraceMatch>], engine::Inspected),
    ) -> Result<engine::SearchAnswer, store::Error> {
        let tenants = tenants.to_string();
        assert_ne!(tenants, "panics", "a handler that panics");
        if tenants == "waits" {
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
        _: &Federation,
        _: &engine::MetricsRequest,
        _: &mut dyn FnMut(engine::MetricsAnswer),
    ) -> Result<engine::MetricsAnswer, store::Error> {
        self.fails()?;
        Ok(engine::MetricsAnswer { partial: self.partial.clone(), ..self.series.clone() })
    }

    fn tags(
        &self,
        _: &Federation,
        _: Option<Scope>,
        _: &engine::NamesRequest,
    ) -> Result<engine::AttributeNames, store::Error> {
        self.fails()?;
        Ok(self.names.clone())
    }

    fn tag_values(
        &self,
        _: &Federation,
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

    fn delete_tenant(&self, tenant: &TenantId) -> Result<store::Deleted, store::Error> {
        Ok(store::Deleted { blocks: 1, spans: tenant.as_str().len() as u64 })
    }

    fn redact(
        &self,
        _: &TenantId,
        traces: Vec<TraceId>,
    ) -> Result<store::manifest::BlockId, store::Error> {
        self.fails()?;
        Ok(store::manifest::BlockId { writer: 1, number: traces.len() as u64 })
    }

    fn redactions(&self) -> Vec<store::Redacted> {
        Vec::new()
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
            auth: Auth::none(tenancy, Arc::new(Still)),
            accounts: limits::tests::accounts(Arc::new(Still)),
            plugins: crate::attach::tests::none(),
            compute: compute.clone(),
            queries: compute.clone(),
            clock: Arc::new(Still),
            health: Arc::new(move || Health { live: true, ready, text: text.to_owned() }),
            metrics: Arc::new(|accept| Page {
                content_type: "text/plain; version=0.0.4",
                text: format!("# {accept}\n{}", "a 1\n".repeat(1000)),
            }),
            status: Arc::new(|| json!({ "head": { "spans": 7 } })),
            usage: Arc::new(|| Value::Null),
            settings: Arc::new(Settings {
                all: "all: 1\n".to_owned(),
                defaults: "usual: 1\n".to_owned(),
                changed: String::new(),
            }),
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
        let request = request.body(Full::<Bytes>::default()).unwrap();
        Arc::clone(&self.api).answer(request, (listener, &HERE)).await
    }
}

/// Whoever asks.
static HERE: Peer = Peer::at(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1));

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
