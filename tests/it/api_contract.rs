//! The small endpoints that Grafana, probes and operators ask.

use tests::gateway::{Gateway, Options};
use tests::http::Request;
use tests::otlp;
use tests::random::Rng;

#[test]
fn echo_and_buildinfo_are_what_grafana_expects() {
    let gateway = Gateway::start();
    let echo = gateway.get("/api/echo");
    assert_eq!((echo.status, echo.text().as_str()), (200, "echo"));
    let info = gateway.get("/api/status/buildinfo");
    assert_eq!((info.status, info.content_type()), (200, "application/json"), "{info:?}");
    assert_eq!(info.json()["version"], "3.0.2", "Grafana switches features on by it");
}

#[test]
fn probes_and_metrics_are_on_both_ports() {
    let gateway = Gateway::start();
    gateway.export(&otlp::request("probe", otlp::trace(&mut Rng::new(1), 7)));
    for to in [gateway.at.http, gateway.at.admin] {
        for path in ["/ready", "/live"] {
            assert_eq!(Request::get(path).send(to).status, 200, "{path}");
        }
        let page = Request::get("/metrics").send(to);
        assert_eq!(page.status, 200, "{page:?}");
        let text = page.text();
        let received = text.lines().find(|line| {
            line.starts_with("traceweir_") && line.contains("spans") && line.ends_with(" 7")
        });
        assert!(received.is_some(), "seven spans are counted somewhere: {text}");
        let described = text.lines().filter(|line| line.starts_with("# HELP")).count();
        assert!(described > 10, "every metric is described: {text}");
    }
}

#[test]
fn unknown_paths_are_404_and_other_methods_405() {
    let gateway = Gateway::start();
    for path in ["/api/nope", "/api/traces", "/api/traces/", "/api/v3/traces/1"] {
        assert_eq!(gateway.get(path).status, 404, "{path}");
    }
    for path in ["/api/search", "/api/traces/1", "/api/echo"] {
        let reply = Request::new("POST", path).body("").send(gateway.at.http);
        assert_eq!(reply.status, 405, "{path}: {reply:?}");
    }
}

#[test]
fn paths_work_behind_a_base_path_and_behind_a_tenants_prefix() {
    let gateway = Options::new().set("api.base_path", "/tempo").start();
    let trace = otlp::trace(&mut Rng::new(2), 1);
    let id = tests::api::hex(&trace[0].trace_id);
    gateway.export(&otlp::request("base", trace));
    for prefix in ["", "/tempo", "/api/traces/v1/default/tempo"] {
        for path in ["/api/echo", &format!("/api/traces/{id}"), "/api/search"] {
            let reply = gateway.get(&format!("{prefix}{path}"));
            assert_eq!(reply.status, 200, "{prefix}{path}: {reply:?}");
        }
    }
    assert_eq!(gateway.get("/other/api/echo").status, 404);
}
