//! The metrics page, and the rules that its rows follow.

use std::collections::HashSet;

use ::store::disk::RealDisk;
use model::ByteSize;
use model::metric::Histogram;

use super::*;
use crate::api::Listener;
use crate::auth::{Auth, Tenancy};
use crate::compute::Compute;
use crate::receiver::decode::Coding;
use crate::receiver::stats::{Outcome, Protocol};
use crate::server::Peer;

/// A clock that somebody forgot to wind.
#[derive(Debug)]
struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Nanos {
        Nanos::from_secs(1_700_000_060)
    }

    fn monotonic(&self) -> Nanos {
        Nanos(0)
    }
}

/// One issuer, whose keys do not come.
fn issuers() -> crate::auth::Config {
    let yaml = "issuers: [{issuer: 'https://idp.example', jwks_file: /nonexistent}]";
    serde_saphyr::from_str(yaml).unwrap()
}

/// The sources of a process that has just started.
fn sources() -> (tempfile::TempDir, Sources) {
    let dir = tempfile::tempdir().unwrap();
    let clock: Arc<dyn Clock> = Arc::new(Stopped);
    let config = ::store::Config::default();
    let disk = Arc::new(RealDisk);
    let path = dir.path().join("data");
    let store = Store::open(disk, &path, &config, Arc::clone(&clock), || Ok(1)).unwrap();
    let sources = Sources {
        started: Nanos::from_secs(1_700_000_000),
        clock,
        budget: Budget { cores: 1.5, memory: ByteSize::mib(512), disk: ByteSize::mib(1024) },
        health: Arc::default(),
        servers: vec![("http", Arc::default())],
        accounts: crate::limits::tests::accounts(Arc::new(Stopped)),
        plugins: crate::attach::tests::none(),
        auth: Auth::open(&issuers(), Tenancy::Single, Arc::new(Stopped)).unwrap(),
        tls: Arc::default(),
        receiver: Arc::default(),
        admission: Arc::default(),
        compute: Arc::default(),
        api: OnceLock::new(),
        store,
        bucket: Arc::default(),
        cache: None,
    };
    (dir, sources)
}

#[test]
fn names_follow_the_rules_and_are_used_once() {
    let mut seen = HashSet::new();
    for metric in metrics() {
        let Metric { name, kind, help, labels, .. } = metric;
        assert!(seen.insert(name), "{name} stands twice");
        assert!(name.starts_with("traceweir_") || name.starts_with("process_"), "{name}");
        assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
        assert!(help.ends_with('.') && !help.contains('\n'), "{name}: {help}");
        let word = |text: &str| {
            text.bytes().all(|b| b.is_ascii_lowercase() || b"_0123456789".contains(&b))
        };
        assert!(word(name) && labels.iter().all(|label| word(label)), "{name}");
    }
}

#[test]
fn the_page_has_a_head_and_a_sample_for_each_metric() {
    let (_dir, sources) = sources();
    let accepted = refused_one();
    sources.receiver.count(Protocol::Grpc, Coding::Gzip, Outcome::Partial);
    sources.receiver.count_spans(&accepted);
    let api = api(&sources);
    assert!(sources.api.set(Arc::downgrade(&api)).is_ok());
    answered(&api, "/api/echo");
    let tenant = model::TenantId::single();
    let source = sources.accounts.source(&tenant, None, Some(&"eu-1".into()));
    source.account.refuse(crate::limits::Reason::Spans);
    source.account.refuse_spans(&accepted.reasons);
    source.cluster.usage.spans.add(7);
    let page = page(&sources, "").text;
    for metric in metrics() {
        assert!(page.contains(&format!("# TYPE {} {}\n", metric.name, metric.kind)), "{page}");
        // Those of plugins and tables have one for each.
        let is_there = page.contains(&format!("\n{}", metric.name));
        assert!(
            is_there || matches!(metric.labels.first(), Some(&("plugin" | "table"))),
            "{} has no sample",
            metric.name
        );
    }
    for line in [
        "process_start_time_seconds 1700000000.0",
        "traceweir_cpu_budget_cores 1.5",
        "traceweir_ready 0",
        "traceweir_tenant_spans_total{tenant=\"default\",class=\"\",cluster=\"eu-1\"} 7",
        "traceweir_tenant_refused_total{tenant=\"default\",class=\"\",reason=\"rate_spans\"} 1",
        "traceweir_api_requests_total{route=\"/api/echo\",end=\"answered\"} 1",
        "traceweir_receiver_requests_total{protocol=\"grpc\",coding=\"gzip\",outcome=\"partial\"} 1",
        "traceweir_connections_total{listener=\"http\",end=\"served\"} 0",
    ] {
        assert!(page.contains(&format!("\n{line}\n")), "{line}\nnot in\n{page}");
    }
}

/// A query API over the sources' store.
fn api(sources: &Sources) -> Arc<Api> {
    let parts = crate::api::Parts {
        traces: Arc::new(sources.store.clone()),
        auth: Auth::none(Tenancy::Single, Arc::clone(&sources.clock)),
        accounts: Arc::clone(&sources.accounts),
        plugins: crate::attach::tests::none(),
        compute: Compute::start(1, 1).unwrap(),
        queries: Compute::start(1, 1).unwrap(),
        clock: Arc::clone(&sources.clock),
        health: Arc::new(crate::api::Health::default),
        metrics: Arc::new(|_| Page { content_type: "", text: String::new() }),
        status: Arc::new(|| serde_json::Value::Null),
        usage: Arc::new(|| serde_json::Value::Null),
        settings: Arc::default(),
    };
    Api::new(crate::api::Config::default(), parts)
}

/// Asks the API for a path.
fn answered(api: &Arc<Api>, path: &str) {
    let body = http_body_util::Empty::<bytes::Bytes>::new();
    let request = http::Request::get(path).body(body).unwrap();
    let here = Peer::at(([127, 0, 0, 1], 1).into());
    let answer = Arc::clone(api).answer(request, (Listener::Query, &here));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(runtime.block_on(answer).status(), 200);
}

/// An answer about one span that is not stored.
fn refused_one() -> ::store::Accepted {
    let reasons = vec![("trace_id", 1)];
    ::store::Accepted { refused: 1, reasons, ..::store::Accepted::default() }
}

#[test]
fn openmetrics_names_counters_without_suffix_and_ends() {
    let (_dir, sources) = sources();
    let page = page(&sources, "application/openmetrics-text;version=1.0.0").text;
    assert!(
        page.contains("# TYPE process_cpu_seconds counter\nprocess_cpu_seconds_total "),
        "{page}"
    );
    assert!(page.ends_with("# EOF\n"));
    assert_eq!(Format::of("text/plain"), Format::Prometheus);
}

#[test]
fn histograms_accumulate_and_labels_are_escaped() {
    const ROW: Metric = Metric {
        name: "traceweir_x_seconds",
        kind: Kind::Histogram,
        help: "X.",
        labels: &["a"],
        read: |_, _| {},
    };
    let histogram = Histogram::default();
    [100_000, 400_000, 60_000_000_000].into_iter().for_each(|nanos| histogram.record(nanos));
    let mut emit = Emit::new(Format::Prometheus);
    emit.begin(&ROW);
    emit.histogram(&["q\"\\\n"], &histogram);
    let page = emit.finish();
    let label = r#"a="q\"\\\n""#;
    for line in [
        format!("traceweir_x_seconds_bucket{{{label},le=\"0.00025\"}} 1\n"),
        format!("traceweir_x_seconds_bucket{{{label},le=\"0.0005\"}} 2\n"),
        format!("traceweir_x_seconds_bucket{{{label},le=\"+Inf\"}} 3\n"),
        format!("traceweir_x_seconds_sum{{{label}}} 60.0005\n"),
        format!("traceweir_x_seconds_count{{{label}}} 3\n"),
    ] {
        assert!(page.contains(&line), "{line}\nnot in\n{page}");
    }
}

#[test]
fn seconds_are_exact() {
    let text = [0, 1_000_000_000, 1_500_000_000, 250_000].map(emit::seconds);
    assert_eq!(text, ["0.0", "1.0", "1.5", "0.00025"]);
}

/// `docs/reference/metrics.md` has a row for each metric, with its kind, labels and help.
#[test]
fn every_metric_is_documented() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/metrics.md");
    let docs = std::fs::read_to_string(path).unwrap();
    let documented = docs.lines().filter(|line| line.starts_with("| `")).count();
    for Metric { name, kind, help, labels, .. } in metrics() {
        let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
        let row = format!("| `{name}` | {kind} | {} | {help} |", labels.join(", "));
        assert!(docs.lines().any(|line| line == row), "docs/reference/metrics.md lacks\n{row}");
    }
    assert_eq!(documented, metrics().count(), "the page documents what is no metric");
}

#[test]
fn the_probes_are_told_the_phase_and_how_far_the_replay_is() {
    let (_dir, sources) = sources();
    let told = || {
        let health = sources.health();
        (health.ready, health.live, health.text)
    };
    assert_eq!(told(), (false, true, "replaying the log: 0 of 0 MiB".to_owned()));
    for (phase, ready, live) in
        [(Phase::Ready, true, true), (Phase::Draining, false, true), (Phase::Failed, false, false)]
    {
        sources.health.advance(phase);
        assert_eq!(told(), (ready, live, phase.to_string()));
    }
}

#[test]
fn the_status_tells_budgets_and_the_store() {
    let (_dir, sources) = sources();
    let status = serde_json::to_value(status::Status::now(&sources)).unwrap();
    let at = |path: &str| status.pointer(path).cloned().unwrap_or_default();
    assert_eq!(at("/phase"), "replaying");
    assert_eq!(at("/uptime_ms"), 60_000);
    assert_eq!(at("/budget/memory_bytes_max"), 512 << 20);
    assert!(at("/budget/memory_bytes").as_u64() > Some(0));
    assert_eq!(at("/store/state"), "replaying");
}

/// A plugin that counts, and fails.
fn failing() -> ::plugins::guests::Guest {
    let import = |name: &str, types: &str| {
        format!(
            "(import \"traceweir:plugin/metrics@0.1.0\" \"{name}\" (func ${name} (param {types}) (result i32)))"
        )
    };
    let (counter, histogram) = ("i32 i32 i32 i32", "i32 i32 i32 i32 i32 i32");
    let text = "(i32.const 8192) (i32.const 5)";
    ::plugins::guests::Guest {
        imports: [import("counter", counter), import("histogram", histogram)].concat(),
        configure: format!(
            "(drop (call $counter {text} {text})) \
             (drop (call $histogram (i32.const 8193) (i32.const 4) {text} (i32.const 0) (i32.const 0)))"
        ),
        process: "unreachable".to_owned(),
        ..::plugins::guests::Guest::default()
    }
}

#[test]
fn a_plugin_has_a_sample_of_each_metric() {
    use ::plugins::{Draft, Scratch, Whose};
    use model::wire::{put_bytes, put_message};
    let (dir, mut sources) = sources();
    sources.plugins = crate::attach::tests::one(dir.path(), &failing(), "on_failure: drop");
    let attached = serde_json::from_str("\"one\"").unwrap();
    let chain = sources.plugins.chain(&[attached]).unwrap();
    let mut body = Vec::new();
    put_message(&mut body, 1, |resource_spans| {
        put_message(resource_spans, 2, |scope_spans| {
            put_message(scope_spans, 2, |span| {
                put_bytes(span, 1, &[1; 16]);
                put_bytes(span, 2, &[2; 8]);
            });
        });
    });
    let body = body.into();
    let mut draft = Draft::of(&body, chain.wants()).unwrap();
    let tenant = model::TenantId::single();
    let whose = Whose { tenant: &tenant, peer: None };
    chain.run(&mut draft, whose, &mut Scratch::default()).unwrap();
    let page = page(&sources, "").text;
    for metric in metrics().filter(|metric| metric.labels.first() == Some(&"plugin")) {
        let sample = format!("\n{}", metric.name);
        assert!(page.contains(&sample), "{} has no sample\n{page}", metric.name);
    }
    for line in [
        "traceweir_plugin_failures_total{plugin=\"one\",failure=\"panic\"} 1",
        "traceweir_plugin_dropped_spans_total{plugin=\"one\",reason=\"plugin failed\"} 1",
        "traceweir_plugin_custom_total{plugin=\"one\",metric=\"guest\"} 0",
    ] {
        assert!(page.contains(&format!("\n{line}\n")), "{line}\nnot in\n{page}");
    }
}
