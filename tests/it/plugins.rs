//! Guests that misbehave, in the process: it lives, others get through, and it is said who failed and how.

mod hostile;
mod neighbours;

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use plugins::guests::Guest;
use serde_json::Value;
use tests::gateway::{Gateway, Options};
use tests::http::Request;
use tests::otlp::{request, span};
use tests::wait::until;

use hostile::hostile;

/// Files are looked at every five seconds.
const LIMIT: Duration = Duration::from_secs(60);

/// A gateway with these plugins; tenants by what their chains are.
fn start(dir: &Path, plugins: &[(&'static str, Guest, &'static str)], timeout: &str) -> Gateway {
    let mut file = "plugins:\n".to_owned();
    let mut tenants = "tenants:\n".to_owned();
    for (name, guest, _) in plugins {
        let path = dir.join(format!("{name}.wasm"));
        std::fs::write(&path, guest.module()).unwrap();
        writeln!(
            file,
            "  {name}: {{source: \"file:{}\", timeout: {timeout}, memory_max: 8MiB}}",
            path.display()
        )
        .unwrap();
        writeln!(tenants, "  {name}: {{ingestion: {{plugins: [{name}]}}}}").unwrap();
    }
    let (plugins, overrides) = (dir.join("plugins.yaml"), dir.join("overrides.yaml"));
    std::fs::write(&plugins, file).unwrap();
    std::fs::write(&overrides, tenants).unwrap();
    Options::new()
        .set("tenancy", "header")
        .set("plugins.file", plugins.to_str().unwrap())
        .set("overrides.file", overrides.to_str().unwrap())
        .start()
}

fn send(gateway: &Gateway, tenant: &str, number: u8) -> u16 {
    use prost::Message as _;
    let spans = (1..=8).map(|of| span(&[number; 16], &[of; 8], "work")).collect();
    let body = request("shop", spans).encode_to_vec();
    let to = gateway.at.otlp_http;
    Request::otlp(body).header("x-scope-orgid", tenant).send(to).status
}

fn status(gateway: &Gateway) -> Vec<Value> {
    let page = Request::get("/status/plugins").send(gateway.at.admin).json();
    page["plugins"].as_array().unwrap().clone()
}

#[test]
fn hostile_guests_harm_nobody_and_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let plugins = hostile();
    // So long that what fails in another way does so before, however busy the machine is.
    let gateway = start(dir.path(), &plugins, "300ms");
    for number in 1..=7 {
        for (tenant, ..) in &plugins {
            // It passes what it fails on, as is the default.
            assert_eq!(send(&gateway, tenant, number), 200, "{tenant}");
        }
        assert_eq!(send(&gateway, "innocent", number), 200);
    }
    for (name, _, failure) in &plugins {
        let all = status(&gateway);
        let of = all.iter().find(|of| of["name"] == *name).unwrap();
        assert_eq!(of["failures"][failure], 5, "{of}");
        assert_eq!(of["calls"], 5, "after five failures it is left alone: {of}");
        assert_eq!(of["tenants_open"][0][0], *name, "{of}");
        // What has trapped is not used again.
        assert!(of["instances"] == 0 || *failure == "bad_output", "{of}");
    }
    let found = Request::get("/api/search?limit=100").header("x-scope-orgid", "innocent");
    let traces = found.send(gateway.at.http).json()["traces"].as_array().unwrap().len();
    assert_eq!(traces, 7);
    drop(gateway.stop());
}

#[test]
fn a_plugin_file_that_changes_is_taken_over_and_a_broken_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let keeps = |name: &'static str| (name, Guest { name, ..Guest::default() }, "bad_output");
    let gateway = start(dir.path(), &[keeps("first")], "300ms");
    let digest = || status(&gateway)[0]["digest"].clone();
    let (before, path) = (digest(), dir.path().join("first.wasm"));
    let put = |bytes: &[u8]| {
        let fresh = dir.path().join("fresh");
        std::fs::write(&fresh, bytes).unwrap();
        std::fs::rename(fresh, &path).unwrap();
    };
    put(b"\0asm\x01\0\0\0");
    until("word of it", LIMIT, || status(&gateway)[0]["fault"].is_string().then_some(()));
    assert_eq!(digest(), before);
    put(&Guest { name: "second", ..Guest::default() }.module());
    until("the new one", LIMIT, || (digest() != before).then_some(()));
    assert!(status(&gateway)[0]["fault"].is_null());
}
