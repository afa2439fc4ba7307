//! What Grafana and operators ask about the process itself.

use super::*;

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

#[tokio::test]
async fn status_pages_tell_what_runs_here() {
    let rig = Rig::new(Shelf::default(), Tenancy::Header);
    let ask = async |path: &str, listener| {
        let response = rig.ask(Method::GET, path, listener, &[]).await;
        let text = String::from_utf8(response.body().to_vec()).unwrap();
        (response.status().as_u16(), text)
    };
    for listener in [Listener::Query, Listener::Admin] {
        let (status, version) = ask("/status/version", listener).await;
        assert!(status == 200 && version.contains(env!("CARGO_PKG_VERSION")), "{version}");
        let (status, endpoints) = ask("/status/endpoints", listener).await;
        assert_eq!(status, 200);
        for row in [
            "query POST /base/api/v2/traces/diff  ",
            "admin GET  /status/config  ",
            "query gRPC /tempopb.StreamingQuerier/Search  ",
        ] {
            assert!(endpoints.contains(row), "{row}: {endpoints}");
        }
    }
    for (query, status, text) in [
        ("", 200, "all: 1\n"),
        ("?mode=defaults", 200, "usual: 1\n"),
        ("?mode=diff", 200, ""),
        ("?mode=x", 400, "mode: \"x\" is neither diff nor defaults\n"),
    ] {
        let told = ask(&format!("/status/config{query}"), Listener::Admin).await;
        assert_eq!(told, (status, text.to_owned()));
    }
    assert_eq!(ask("/status/config", Listener::Query).await.0, 404);
}
