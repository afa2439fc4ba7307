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

#[test]
fn status_pages_tell_what_runs_here() {
    let gateway = Options::new().set("overrides.defaults.query.wait", "7s").start();
    let admin = |path: &str| Request::get(path).send(gateway.at.admin);
    assert!(gateway.get("/status/version").text().starts_with("traceweir, version "));
    let endpoints = gateway.get("/status/endpoints").text();
    assert!(endpoints.lines().any(|line| line.starts_with("query GET  /api/search ")));
    assert_eq!(gateway.get("/status/config").status, 404, "operators have a port of their own");
    let config = admin("/status/config").text();
    assert!(config.contains("wait: 7s") && config.contains("tenancy:"), "{config}");
    let defaults = admin("/status/config?mode=defaults").text();
    assert!(defaults.contains("wait: 30s"), "{defaults}");
    let changed = admin("/status/config?mode=diff").text();
    assert!(
        changed.contains("overrides.defaults.query.wait: 7s (")
            && !changed.contains("api.base_path")
    );
}

#[test]
fn web_pages_may_ask_where_it_is_configured() {
    let origin = "https://grafana.example.com";
    let preflight = |gateway: &Gateway, path: &str| {
        Request::new("OPTIONS", path)
            .header("origin", origin)
            .header("access-control-request-method", "GET")
            .send(gateway.at.http)
    };
    let allowed = "access-control-allow-origin";
    let gateway = Gateway::start();
    assert_eq!(preflight(&gateway, "/api/search").header(allowed), None);
    let plain = Request::get("/api/echo").header("origin", origin).send(gateway.at.http);
    assert_eq!((plain.status, plain.header(allowed)), (200, None));

    let origins = "[\"https://*.example.com\"]";
    let gateway = Options::new().set("api.cors.allowed_origins", origins).start();
    let reply = preflight(&gateway, "/api/search");
    assert_eq!((reply.status, reply.header(allowed)), (204, Some(origin)), "{reply:?}");
    assert!(reply.header("access-control-allow-methods").is_some_and(|all| all.contains("GET")));
    let reply = Request::get("/api/echo").header("origin", origin).send(gateway.at.http);
    assert_eq!((reply.status, reply.header(allowed)), (200, Some(origin)), "{reply:?}");
    let exposed = reply.header("access-control-expose-headers").unwrap_or_default();
    assert!(exposed.contains("link") && exposed.contains("x-traceweir-hint"), "{exposed}");
    let other = "https://example.org";
    let reply = Request::get("/api/echo").header("origin", other).send(gateway.at.http);
    assert_eq!((reply.status, reply.header(allowed)), (200, None), "{reply:?}");
    // Sending spans is another matter, and so is the admin port.
    assert_eq!(preflight(&gateway, "/v1/traces").header(allowed), None);
    let reply = Request::get("/metrics").header("origin", origin).send(gateway.at.admin);
    assert_eq!((reply.status, reply.header(allowed)), (200, None), "{reply:?}");
}
