//! The command line and the configuration: every fault at once, and exit codes that scripts trust.

use std::net::TcpListener;

use tests::api::hex;
use tests::gateway::{Gateway, Options, binary, run};
use tests::otlp;
use tests::random::Rng;

#[test]
fn all_faults_of_a_configuration_are_told_at_once() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("traceweir.yaml");
    std::fs::write(&file, "wal:\n  durability: maybe\nno_such_part:\n  x: 1\n").unwrap();
    let ended = Options::new()
        .argument("--config")
        .argument(file.display().to_string())
        .set("head.bytes_max", "banana")
        .set("log.format", "xml")
        .set("tenancy.typo", "1")
        .environment("TRACEWEIR__CPU__CORES", "many")
        .run();
    assert_eq!(ended.code, Some(2), "{ended:?}");
    for key in
        ["wal.durability", "no_such_part", "head.bytes_max", "log.format", "tenancy", "cpu.cores"]
    {
        assert!(ended.err.contains(key), "{key} is not named in {}", ended.err);
    }
    for found in ["banana", "xml", "maybe", "many"] {
        assert!(ended.err.contains(found), "{found} is not shown in {}", ended.err);
    }
    assert!(!ended.err.contains("listening"), "no port was bound: {}", ended.err);
}

#[test]
fn faults_come_before_ports() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = Options::new().listen("--http", address).set("head.bytes_max", "1").run();
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.err.contains("head.bytes_max"), "{ended:?}");
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = Options::new().listen("--http", address.clone()).run();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains(&address), "{ended:?}");
}

#[test]
fn flags_are_stronger_than_set_and_environment_and_file() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("traceweir.yaml");
    std::fs::write(&file, "log:\n  level: warn\n  format: json\nhead:\n  bytes_max: 64MiB\n")
        .unwrap();
    let print = |set: Option<&str>, environment: Option<&str>| {
        let mut command = binary();
        command.args(["config", "print", "--config"]).arg(&file);
        if let Some(value) = set {
            command.arg("--set").arg(format!("head.bytes_max={value}"));
        }
        if let Some(value) = environment {
            command.env("TRACEWEIR__HEAD__BYTES_MAX", value);
        }
        let ended = run(&mut command);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        ended.out
    };
    assert!(print(None, None).contains("64MiB"));
    assert!(print(None, Some("65MiB")).contains("65MiB"));
    assert!(print(Some("66MiB"), Some("65MiB")).contains("66MiB"));
}

#[test]
fn secrets_are_never_printed() {
    let secret = "hunter2hunter2";
    let url = format!("s3://user:{secret}@bucket.example.com/path");
    let ended = Options::new().argument("--data").argument(url.clone()).run();
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(!format!("{}{}", ended.out, ended.err).contains(secret), "{ended:?}");
    let mut command = binary();
    command.args(["config", "print"]).env("TRACEWEIR__STORE__URL", url);
    let ended = run(&mut command);
    assert!(!format!("{}{}", ended.out, ended.err).contains(secret), "{ended:?}");
}

#[test]
fn usage_faults_exit_2_and_help_and_version_exit_0() {
    for arguments in [&["serve", "--no-such-flag"][..], &["no-such-command"], &["query", "trace"]] {
        let ended = run(binary().args(arguments));
        assert_eq!(ended.code, Some(2), "{arguments:?}: {ended:?}");
    }
    for arguments in [&["--help"][..], &["serve", "--help"], &["version"], &["--version"]] {
        let ended = run(binary().args(arguments));
        assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:?}");
        assert!(!ended.out.is_empty(), "{arguments:?}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let ended = run(binary().args(["completion", shell]));
        assert_eq!(ended.code, Some(0), "{shell}: {ended:?}");
        assert!(ended.out.contains("traceweir"), "{shell}");
    }
}

#[test]
fn query_trace_draws_the_trace() {
    let gateway = Gateway::start();
    let trace = otlp::trace(&mut Rng::new(1), 4);
    let id = hex(&trace[0].trace_id);
    gateway.export(&otlp::request("waterfall", trace));
    let query = |id: &str| {
        let url = format!("http://{}", gateway.at.http);
        run(binary().args(["query", "trace", id, "--url", &url]))
    };
    let ended = query(&id);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for text in ["waterfall", "span 0", "span 1", "span 2", "span 3"] {
        assert!(ended.out.contains(text), "{text:?} is not in {}", ended.out);
    }
    let unknown = query("1234");
    assert_eq!(unknown.code, Some(1), "{unknown:?}");
    let no_id = query("xyz");
    assert!(matches!(no_id.code, Some(1 | 2)), "{no_id:?}");
}

#[test]
fn demo_sends_traces_that_can_be_searched() {
    let gateway = Gateway::start();
    let to = format!("http://{}", gateway.at.otlp_grpc);
    let ended = run(binary().args(["demo", "--seconds", "2", "--rate", "200", "--endpoint", &to]));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let found = gateway.search("limit=100");
    assert!(found.len() > 3, "only {} traces", found.len());
    assert!(found.iter().any(|trace| trace["rootServiceName"].is_string()), "{found:?}");
}

#[test]
fn status_shows_a_running_gateway() {
    let gateway = Gateway::start();
    gateway.export(&otlp::request("status", otlp::trace(&mut Rng::new(1), 4)));
    let admin = gateway.at.admin.to_string();
    let ended = run(binary().args(["status", "--admin", &admin]));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for word in ["wal", "head", "4 spans"] {
        assert!(ended.out.to_lowercase().contains(word), "{word} is not in {}", ended.out);
    }
}
