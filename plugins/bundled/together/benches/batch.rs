//! The batch that is measured: 1,000 spans of 8 pods, 20 attributes each, 5 of a trace one after the other; the same in
//! every run.

use traceweir_plugin::testing::{Fixture, Resource, Scope, Span};

const PODS_COUNT: u64 = 8;
const SPANS_OF_POD: u64 = 125;
const SPANS_OF_TRACE: u64 = 5;
const SERVICES: [&str; 4] = ["frontend", "cart", "checkout", "payment"];
const AGENTS: [&str; 3] = [
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
    "okhttp/4.12.0",
];

/// What the host knows of the pods, by their addresses.
pub(crate) const PODS: [(&str, &str); 2] = [
    (
        "pod_ip/10.0.0.1",
        r#"{"k8s.pod.name": "frontend-1", "k8s.node.name": "n1", "k8s.pod.labels.app": "frontend"}"#,
    ),
    (
        "pod_ip/10.0.0.2",
        r#"{"k8s.pod.name": "cart-1", "k8s.node.name": "n2", "k8s.pod.labels.app": "cart"}"#,
    ),
];

/// A number that looks drawn, from one that is counted.
fn drawn(n: u64) -> u64 {
    let n = (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    n ^ (n >> 27)
}

/// Spans of a trace stand one after the other.
pub(crate) fn fixture() -> Fixture {
    spans(|n| n / SPANS_OF_TRACE)
}

/// Each span is of another trace than the one before it.
pub(crate) fn scattered() -> Fixture {
    spans(|n| n % (PODS_COUNT * SPANS_OF_POD / SPANS_OF_TRACE))
}

fn spans(trace_of: impl Fn(u64) -> u64) -> Fixture {
    (0..PODS_COUNT).fold(Fixture::new(), |fixture, pod| {
        let service = SERVICES[usize::try_from(pod).unwrap_or_default() % SERVICES.len()];
        let resource = Resource::new()
            .with("service.name", service)
            .with("service.version", "1.4.2")
            .with("k8s.namespace.name", "shop")
            .with("k8s.cluster.name", "eu-1")
            .with("process.pid", 17_i64)
            .with("process.command", "server")
            .with("telemetry.sdk.language", "go")
            .peer(&format!("10.0.0.{pod}"));
        let numbers = pod * SPANS_OF_POD..(pod + 1) * SPANS_OF_POD;
        let scope =
            numbers.fold(Scope::new("net/http"), |scope, n| scope.span(span(n, trace_of(n))));
        fixture.resource(resource.scope(scope))
    })
}

fn span(n: u64, trace: u64) -> Span {
    let order = drawn(n) % 100_000;
    let (method, route) = match n % 5 {
        0 => ("GET", "/cart/{id}"),
        1 => ("POST", "/cart/{id}/items"),
        2 => ("GET", "/orders/{id}"),
        3 => ("GET", "/static/app.js"),
        _ => ("GET", "/"),
    };
    let path = route.replace("{id}", &order.to_string());
    let place = n % SPANS_OF_TRACE;
    let id = drawn(trace * SPANS_OF_TRACE + place) | 1;
    let parent = if place == 0 { 0 } else { drawn(trace * SPANS_OF_TRACE + place - 1) | 1 };
    let status = if n.is_multiple_of(71) { 503_i64 } else { 200 };
    let agent = AGENTS[usize::try_from(drawn(trace) % 3).unwrap_or_default()];
    let mut span = Span::new(&format!("{method} {route}"))
        .id(id, parent)
        .kind([2, 1, 3, 2, 1][usize::try_from(place).unwrap_or_default()])
        .start(1_800_000_000_000_000_000 + n * 1_000)
        .ms(drawn(n + 7) % 700)
        .with("http.request.method", method)
        .with("http.response.status_code", status)
        .with("http.route", route)
        .with("url.path", path.as_str())
        .with("url.full", format!("https://shop.example{path}?page={}", n % 9).as_str())
        .with("url.scheme", "https")
        .with("user_agent.original", agent)
        .with("server.address", "shop.example")
        .with("server.port", 443_i64)
        .with("network.peer.address", format!("10.1.{}.{}", n % 4, n % 250).as_str())
        .with("network.protocol.version", "1.1")
        .with("http.request.header.accept", "application/json")
        .with("http.request.header.x-request-id", format!("{:016x}", drawn(n + 1)).as_str())
        .with("user.id", format!("user-{}", drawn(n) % 5_000).as_str())
        .with("session.id", format!("{:032x}", drawn(n + 2)).as_str())
        .with("order.id", i64::try_from(order).unwrap_or_default())
        .with("order.total", 19.99)
        .with("cache.hit", n.is_multiple_of(2))
        .with("thread.name", format!("worker-{}", n % 16).as_str())
        .with("code.function.name", "shop.Handler.ServeHTTP");
    span.trace_id =
        (u128::from(drawn(trace)) << 64 | u128::from(drawn(trace + 1_000_000))).to_be_bytes();
    if status == 503 { span.error("upstream is away") } else { span }
}
