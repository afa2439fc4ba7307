//! Tenants: one by default, told apart by the header where configured, and never mixed.

use prost::Message;
use tests::api::hex;
use tests::coding::Coding;
use tests::gateway::{Gateway, Options};
use tests::http::{Reply, Request};
use tests::random::Rng;
use tests::{h2, otlp};

const HEADER: &str = "x-scope-orgid";

fn get(gateway: &Gateway, tenant: &str, path: &str) -> Reply {
    Request::get(path).header(HEADER, tenant).send(gateway.at.http)
}

#[test]
fn the_header_means_nothing_to_a_single_tenant() {
    let gateway = Gateway::start();
    let trace = otlp::trace(&mut Rng::new(1), 1);
    let path = format!("/api/traces/{}", hex(&trace[0].trace_id));
    let body = otlp::request("single", trace).encode_to_vec();
    let reply = Request::otlp(body).header(HEADER, "no|tenant").send(gateway.at.otlp_http);
    assert_eq!(reply.status, 200, "{reply:?}");
    for tenant in ["a", "b"] {
        assert_eq!(get(&gateway, tenant, &path).status, 200);
    }
}

#[test]
fn tenants_do_not_see_each_other() {
    let gateway = Options::new().set("tenancy", "header").start();
    let mut rng = Rng::new(2);
    let (id, root) = (rng.id::<16>(), rng.id::<8>());
    // The same ids in both tenants, with content of their own.
    for tenant in ["blue", "red"] {
        let spans = vec![otlp::span(&id, &root, tenant)];
        let body = otlp::request(tenant, spans).encode_to_vec();
        let reply = Request::otlp(body).header(HEADER, tenant).send(gateway.at.otlp_http);
        assert_eq!((reply.status, reply.body.len()), (200, 0), "{reply:?}");
    }
    let only_blue = rng.id::<16>();
    let body = otlp::request("blue", vec![otlp::span(&only_blue, &root, "x")]).encode_to_vec();
    let framed = h2::frame(Coding::None, &body);
    let answer = h2::call(gateway.at.otlp_grpc, otlp::EXPORT, &[(HEADER, "blue")], framed);
    assert_eq!(answer.code, 0, "{answer:?}");

    let check = |gateway: &Gateway| {
        for (tenant, other, traces) in [("blue", "red", 2), ("red", "blue", 1)] {
            let text = get(gateway, tenant, &format!("/api/traces/{}", hex(&id))).text();
            assert!(text.contains(tenant) && !text.contains(other), "{tenant} sees {text}");
            let found = get(gateway, tenant, "/api/search").json();
            assert_eq!(found["traces"].as_array().unwrap().len(), traces, "{tenant}: {found}");
            assert!(!found.to_string().contains(other), "{tenant} finds {found}");
        }
        let path = format!("/api/traces/{}", hex(&only_blue));
        assert_eq!(get(gateway, "red", &path).status, 404);
        assert_eq!(get(gateway, "green", &path).status, 404);
    };
    check(&gateway);
    check(&gateway.kill_and_restart());
}

#[test]
fn a_tenant_that_is_deleted_is_gone_for_good_and_may_come_again() {
    let gateway = Options::new().set("tenancy", "header").start();
    let mut rng = Rng::new(9);
    let mut send = |tenant: &str| {
        let trace = otlp::trace(&mut rng, 3);
        let body = otlp::request(tenant, trace).encode_to_vec();
        let reply = Request::otlp(body).header(HEADER, tenant).send(gateway.at.otlp_http);
        assert_eq!(reply.status, 200, "{reply:?}");
    };
    // In a block, and in memory.
    for _ in 0..2 {
        ["gone", "stays"].iter().for_each(|tenant| send(tenant));
        gateway.flush("l1");
    }
    ["gone", "stays"].iter().for_each(|tenant| send(tenant));
    let delete =
        |tenant: &str| Request::new("DELETE", format!("/tenants/{tenant}")).send(gateway.at.admin);
    let reply = delete("gone");
    assert_eq!((reply.status, reply.json()["spans"].as_u64()), (200, Some(9)), "{reply:?}");
    assert_eq!(delete("nobody").json()["spans"], 0);
    assert_eq!(delete("no|name").status, 400);
    let reply = Request::new("DELETE", "/tenants/stays").send(gateway.at.http);
    assert_eq!(reply.status, 404, "not on the port of queries");
    send("gone");
    let traces = |gateway: &Gateway, tenant: &str| {
        get(gateway, tenant, "/api/search").json()["traces"].as_array().unwrap().len()
    };
    assert_eq!((traces(&gateway, "gone"), traces(&gateway, "stays")), (1, 3));
    let gateway = gateway.kill_and_restart();
    assert_eq!((traces(&gateway, "gone"), traces(&gateway, "stays")), (1, 3));
}

#[test]
fn without_a_tenant_it_is_401_and_with_a_bad_one_400() {
    let gateway = Options::new().set("tenancy", "header").start();
    let trace = otlp::trace(&mut Rng::new(3), 1);
    let path = format!("/api/traces/{}", hex(&trace[0].trace_id));
    let body = otlp::request("x", trace).encode_to_vec();
    let framed = h2::frame(Coding::None, &body);

    let reply = Request::otlp(body.clone()).send(gateway.at.otlp_http);
    assert_eq!((reply.status, reply.content_type()), (401, "application/x-protobuf"), "{reply:?}");
    let answer = h2::call(gateway.at.otlp_grpc, otlp::EXPORT, &[], framed.clone());
    assert_eq!(answer.code, 16, "{answer:?}");
    for path in ["/api/search", path.as_str()] {
        assert_eq!(gateway.get(path).status, 401, "{path}");
    }
    for bad in ["a|b", "..", "a/b", "__self", &"x".repeat(151)] {
        let reply = Request::otlp(body.clone()).header(HEADER, bad).send(gateway.at.otlp_http);
        assert_eq!(reply.status, 400, "{bad}: {reply:?}");
        let answer = h2::call(gateway.at.otlp_grpc, otlp::EXPORT, &[(HEADER, bad)], framed.clone());
        assert_eq!(answer.code, 3, "{bad}: {answer:?}");
        // Of several tenants together it is read, and nothing else.
        let status = if bad == "a|b" { 200 } else { 400 };
        assert_eq!(get(&gateway, bad, "/api/search").status, status, "{bad}");
    }
    // Probes and pages about the process belong to no tenant.
    for path in ["/ready", "/api/echo", "/metrics", "/api/status/buildinfo"] {
        assert_eq!(gateway.get(path).status, 200, "{path}");
    }
    assert_eq!(get(&gateway, "a", &path).status, 404, "nothing of it was stored");
}

#[test]
fn header_tenancy_stays_on_loopback() {
    let ended = Options::new()
        .set("tenancy", "header")
        .argument("--insecure-listen")
        .listen("--otlp-http", "0.0.0.0:0")
        .run();
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.err.contains("tenancy"), "{ended:?}");
}

/// More tenants, each with blocks of its own, than the process may have files open.
#[test]
fn many_small_tenants_need_few_files() {
    const TENANTS: usize = 200;
    const FILES: usize = 330;
    let gateway = Options::new()
        .set("tenancy", "header")
        .set("head.bytes_max", "16MiB")
        .set("head.seal.rows", "1000")
        .start();
    limit_files(&gateway, FILES);
    let mut rng = Rng::new(3);
    let mut sent = Vec::new();
    for round in 0..2 {
        for tenant in 0..TENANTS {
            let tenant = format!("tenant-{tenant:03}");
            let trace = otlp::trace(&mut rng, 10);
            let id = trace[0].trace_id.clone();
            let body = otlp::request(&tenant, trace).encode_to_vec();
            let reply = Request::otlp(body).header(HEADER, &tenant).send(gateway.at.otlp_http);
            assert_eq!(reply.status, 200, "round {round}: {reply:?}");
            sent.push((tenant, id));
        }
        gateway.flush("l1");
    }
    let check = |gateway: &Gateway| {
        for (tenant, id) in &sent {
            let reply = get(gateway, tenant, &format!("/api/v2/traces/{}", hex(id)));
            assert_eq!(reply.status, 200, "{tenant}: {reply:?}");
            assert_eq!(reply.text().matches("spanId").count(), 10, "{tenant}: {}", reply.text());
        }
    };
    check(&gateway);
    let gateway = gateway.kill_and_restart();
    limit_files(&gateway, FILES);
    check(&gateway);
}

/// What it takes to merge the large one is more than a merge may hold, so it is merged in turns; the
/// small ones around it are gathered. A trace that comes in pieces is whole whichever way.
#[test]
fn a_large_tenant_is_merged_in_turns_and_small_ones_around_it_together() {
    const ROUNDS: usize = 3;
    const LARGE: &str = "m-large";
    let gateway = Options::new()
        .set("tenancy", "header")
        .set("head.bytes_max", "64MiB")
        .set("l0.merge_bytes_max", "16MiB")
        .set("l0.window", "1h")
        .start();
    let mut rng = Rng::new(4);
    let small = ["a", "b", "y", "z"];
    // One trace of each tenant has a span in every round.
    let pieces: Vec<(&str, Vec<u8>)> =
        small.into_iter().chain([LARGE]).map(|tenant| (tenant, rng.id::<16>().to_vec())).collect();
    let mut sent: Vec<(&str, Vec<u8>, usize)> = Vec::new();
    let export = |tenant: &str, spans| {
        let body = otlp::request(tenant, spans).encode_to_vec();
        let reply = Request::otlp(body).header(HEADER, tenant).send(gateway.at.otlp_http);
        assert_eq!(reply.status, 200, "{tenant}: {reply:?}");
    };
    for _ in 0..ROUNDS {
        for (tenant, id) in &pieces {
            export(tenant, vec![otlp::span(id, &rng.id::<8>(), "piece")]);
        }
        for tenant in small {
            let trace = otlp::trace(&mut rng, 5);
            sent.push((tenant, trace[0].trace_id.clone(), 5));
            export(tenant, trace);
        }
        // Noise, which makes the files as large as what is sent.
        for _ in 0..200 {
            let mut trace = otlp::trace(&mut rng, 3);
            let noise: String = (0..2_000).map(|_| format!("{:016x}", rng.number())).collect();
            trace[0].attributes.push(otlp::text("noise", &noise));
            sent.push((LARGE, trace[0].trace_id.clone(), 3));
            export(LARGE, trace);
        }
        gateway.flush("l0");
    }
    sent.extend(pieces.iter().map(|(tenant, id)| (*tenant, id.clone(), ROUNDS)));
    let merges = || gateway.metric("traceweir_store_merges_total").to_string();
    assert_eq!(merges(), "0");
    gateway.flush("l1");
    assert_eq!(merges(), "1", "all files in one merge");
    let blocks = |tenant: &str| {
        let dir = gateway.data().join("blocks").join(tenant);
        std::fs::read_dir(dir).expect("its blocks").count()
    };
    assert!(blocks(LARGE) >= ROUNDS, "{} blocks: it took no turns", blocks(LARGE));
    small.iter().for_each(|tenant| assert_eq!(blocks(tenant), 1, "{tenant}"));
    let check = |gateway: &Gateway| {
        for (tenant, id, spans) in &sent {
            let reply = get(gateway, tenant, &format!("/api/v2/traces/{}", hex(id)));
            assert_eq!(reply.status, 200, "{tenant}: {reply:?}");
            assert_eq!(reply.text().matches("\"spanId\"").count(), *spans, "{tenant} {}", hex(id));
        }
    };
    check(&gateway);
    check(&gateway.kill_and_restart());
}

/// Fewer than it may have by itself, in the middle of its life.
fn limit_files(gateway: &Gateway, files: usize) {
    let pid = gateway.pid().to_string();
    let limit = format!("--nofile={files}:{files}");
    let output = std::process::Command::new("prlimit").args(["--pid", &pid, &limit]).output();
    let output = output.expect("prlimit of util-linux");
    assert!(output.status.success(), "{output:?}");
}
