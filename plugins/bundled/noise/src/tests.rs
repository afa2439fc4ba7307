//! What is noise, what hangs below it, and what only looks like it.

use traceweir_plugin::testing::{
    Fixture, Host, Layout, Resource, Span, answer, host, process, refusal,
};
use traceweir_plugin::{Any, Field};

use super::*;

fn server(name: &str) -> Span {
    Span::new(name).kind(2)
}

/// The reason of a span that stands alone; nothing where it stays.
fn reason(config: &str, span: Span) -> Option<String> {
    let answer = answer::<Noise>(config, &Fixture::of(span)).unwrap();
    answer.reasons.first().cloned().flatten().filter(|_| !answer.keep[0])
}

fn is(span: Span) -> Option<String> {
    reason("{}", span)
}

fn names(fixture: &Fixture) -> Vec<&str> {
    fixture.spans().map(|span| span.name.as_str()).collect()
}

#[test]
fn health_checks_are_found_by_what_any_convention_calls_them() {
    let health = Some("health".to_owned());
    for span in [
        server("x").with("url.path", "/healthz"),
        server("x").with("http.target", "/readyz?verbose"),
        server("x").with("url.full", "http://10.0.0.1:8080/livez"),
        server("x").with("http.url", "https://shop.example/shop/healthz"),
        server("x").with("url.path", "/any").with("http.route", "/actuator/health/{*path}"),
        server("GET /health"),
        server("/-/ready"),
        server("x").with("user_agent.original", "kube-probe/1.31"),
        server("x").with("http.user_agent", "ELB-HealthChecker/2.0"),
        Span::new("x").with("http.user_agent", "GoogleHC/1.0"),
        server("x").with("rpc.service", "grpc.health.v1.Health"),
        server("x").with("rpc.method", "grpc.health.v1.Health/Check"),
        server("grpc.health.v1.Health/Watch"),
        server("x")
            .with("url.path", "/grpc.health.v1.Health/Check")
            .with("http.request.method", "POST"),
        Span::new("GET").kind(3).with("url.full", "http://pay/healthz"),
    ] {
        assert_eq!(is(span.clone()), health, "{span:?}");
    }
}

#[test]
fn scrapes_and_bots_are_found() {
    assert_eq!(is(server("GET /metrics")).as_deref(), Some("scrape"));
    let prometheus = || server("x").with("user_agent.original", "Prometheus/3.1.0");
    assert_eq!(
        is(prometheus().with("url.path", "/admin/metrics-of-mine")).as_deref(),
        Some("scrape")
    );
    assert_eq!(is(prometheus().with("http.method", "POST").with("url.path", "/api/v1/push")), None);
    let bot = server("x").with("user_agent.original", "Mozilla/5.0 (compatible; Googlebot/2.1)");
    assert_eq!(is(bot).as_deref(), Some("bot"));
    assert_eq!(is(server("x").with("user_agent.synthetic.type", "bot")).as_deref(), Some("bot"));
    assert_eq!(is(server("GET /robots.txt")).as_deref(), Some("bot"));
}

#[test]
fn what_only_looks_like_it_stays() {
    for span in [
        server("GET /cart"),
        server("x").with("url.path", "/health/articles/7"),
        server("x").with("url.path", "/healthz-of-mine"),
        server("POST /health").with("http.request.method", "POST"),
        server("x").with("http.method", "OPTIONS"),
        server("x").with("user_agent.synthetic.type", "test"),
        server("x").with("user_agent.original", "curl/8.5.0"),
        // What a client calls itself says nothing of whom it asks.
        Span::new("GET").kind(3).with("user_agent.original", "AcmeBot/1.0"),
        Span::new("healthz").kind(5).with("url.path", "/healthz"),
        // Values that are no texts.
        server("x")
            .with("url.path", 1_i64)
            .with("user_agent.original", Any::Array(vec!["kube-probe/1".into()])),
        server("x").with("rpc.service", true).with("http.request.method", 2.5),
        server(""),
    ] {
        assert_eq!(is(span.clone()), None, "{span:?}");
    }
}

#[test]
fn preflights_are_noise_for_whoever_says_so() {
    let config = r#"{"reasons": ["preflight"]}"#;
    let span =
        |method: &str| server("x").with("http.request.method", method).with("url.path", "/healthz");
    assert_eq!(reason(config, span("OPTIONS")).as_deref(), Some("preflight"));
    assert_eq!(reason(config, span("GET")), None, "no other reason holds");
    assert_eq!(reason(config, span("OPTIONS").kind(3)), None);
}

/// A check of a shop, with what hangs below it, in the order in which spans end; and a real request.
fn shop(inner: Span) -> Fixture {
    Fixture::new().resource(
        Resource::new()
            .span(inner.trace(1).id(3, 2))
            .span(Span::new("ready").trace(1).id(2, 1))
            .span(
                server("GET /healthz").trace(1).id(1, 0).with("http.response.status_code", 200_i64),
            )
            .span(Span::new("SELECT").kind(3).trace(2).id(2, 1))
            .span(server("GET /cart").trace(2).id(1, 0)),
    )
}

#[test]
fn what_hangs_below_noise_goes_with_it() {
    let after = process::<Noise>("{}", &shop(Span::new("SELECT 1").kind(3))).unwrap();
    assert_eq!(names(&after), ["SELECT", "GET /cart"]);
}

#[test]
fn a_question_within_a_real_trace_goes_alone() {
    let fixture = Fixture::new().resource(
        Resource::new()
            .span(Span::new("deploy").id(1, 0))
            .span(Span::new("GET").kind(3).id(2, 1).with("url.full", "http://pay/readyz"))
            .span(server("GET /readyz").id(3, 2))
            .span(Span::new("switch").id(4, 1)),
    );
    assert_eq!(names(&process::<Noise>("{}", &fixture).unwrap()), ["deploy", "switch"]);
}

#[test]
fn a_check_in_which_something_fails_stays_as_a_whole() {
    let failing = shop(Span::new("SELECT 1").kind(3).error("no route to host"));
    assert_eq!(process::<Noise>("{}", &failing).unwrap(), failing);
    let after = process::<Noise>(r#"{"keep_errors": false}"#, &failing).unwrap();
    assert_eq!(names(&after), ["SELECT", "GET /cart"]);
    let status = |status: Any| is(server("GET /readyz").with("http.status_code", status));
    assert_eq!(status(503_i64.into()), None);
    assert_eq!(status("503".into()), None, "a text, as Envoy writes it");
    assert_eq!(status(404_i64.into()).as_deref(), Some("health"));
    assert_eq!(status(Any::Empty).as_deref(), Some("health"));
}

#[test]
fn it_may_be_marked_instead() {
    let config = r#"{"action": "mark", "attribute": "noise"}"#;
    let after = process::<Noise>(config, &shop(Span::new("SELECT 1"))).unwrap();
    let marks: Vec<_> = after.spans().map(|span| span.get("noise").cloned()).collect();
    let mark = Some(Any::from("health"));
    assert_eq!(marks, [mark.clone(), mark.clone(), mark, None, None]);
    let (_, projection) = Noise::configure(config).unwrap();
    assert_eq!(projection.writes, [Field::attribute(Owner::Span, "noise")]);
    assert_eq!(Noise::configure("{}").unwrap().1.writes, []);
}

#[test]
fn lists_are_added_to_and_left_out_from() {
    let config = r#"{
        "health": {"paths": ["/up", "*/alive"], "agents": ["Acme-Probe/"], "services": ["acme.Health"]},
        "bot": {"agents": ["lighthouse"]},
        "except": {"paths": ["/ping", "/metrics/mine"], "agents": ["applebot"], "services": ["grpc.health.v1.Health"]}
    }"#;
    let reason = |span| reason(config, span);
    let agent = |agent: &str| server("x").with("user_agent.original", agent);
    assert_eq!(reason(server("GET /up")).as_deref(), Some("health"));
    assert_eq!(reason(server("GET /a/alive/")).as_deref(), Some("health"));
    assert_eq!(reason(agent("acme-probe/2")).as_deref(), Some("health"));
    assert_eq!(reason(server("acme.Health/Check")).as_deref(), Some("health"));
    assert_eq!(reason(agent("Chrome-Lighthouse")).as_deref(), Some("bot"));
    assert_eq!(reason(server("GET /ping")), None);
    assert_eq!(reason(server("GET /metrics/mine")), None);
    assert_eq!(reason(server("GET /metrics/all")).as_deref(), Some("scrape"));
    assert_eq!(reason(agent("Mozilla/5.0 (compatible; Applebot/0.1)")), None);
    assert_eq!(reason(server("grpc.health.v1.Health/Check")), None);
}

#[test]
fn each_reason_is_counted() {
    Host::default().install();
    let fixture = shop(Span::new("SELECT 1"));
    let fixture =
        fixture.resource(Resource::new().span(server("GET /metrics").trace(9).error("x")));
    let answer = answer::<Noise>("{}", &fixture).unwrap();
    let named = |id: &u32| host(|host| host.metrics[*id as usize].0.clone());
    let counters: Vec<_> = answer.counters.iter().map(|(id, by)| (named(id), *by)).collect();
    assert_eq!(counters, [("health_spans".to_owned(), 3), ("failed_spans".to_owned(), 1)]);
}

#[test]
fn a_batch_without_noise_or_without_spans_is_not_touched() {
    for fixture in [
        Fixture::new(),
        Fixture::new().resource(Resource::new()),
        Fixture::of(server("GET /cart")).layout(Layout::Each),
    ] {
        let after = answer::<Noise>("{}", &fixture).unwrap();
        assert!(after.keep.iter().all(|keep| *keep) && after.counters.is_empty());
    }
}

#[test]
fn what_is_wrong_is_named() {
    let refusal = |config| refusal::<Noise>(config).unwrap();
    assert_eq!(refusal(r#"{"reasons": []}"#), "$.reasons: must have a reason");
    assert!(refusal(r#"{"reasons": ["bots"]}"#).starts_with("$.reasons[0]: unknown variant"));
    assert_eq!(refusal(r#"{"attribute": ""}"#), "$.attribute: must have 1 to 512 bytes");
    assert_eq!(
        refusal(r#"{"health": {"paths": ["/up", "alive"]}}"#),
        "$.health.paths[1]: must begin with / or *"
    );
    assert_eq!(
        refusal(r#"{"bot": {"agents": ["x"]}}"#),
        "$.bot.agents[0]: must have 3 to 512 bytes"
    );
    assert_eq!(
        refusal(r#"{"except": {"services": ["a/b"]}}"#),
        "$.except.services[0]: must be a service, without its method"
    );
    assert_eq!(refusal(r#"{"health": {"path": []}}"#), "$.health.path: unknown");
}
