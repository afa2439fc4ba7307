//! `traceweir plugin`: from an empty directory to a tested component, plugins that are not what they should be, and
//! what a running gateway gives to test with.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use plugins::guests::{Guest, intrinsic};
use serde_json::{Value, json};
use tests::gateway::{Ended, Gateway, Options, binary, run};
use tests::http::Request;
use tests::otlp::{request, span, text};
use tests::wait::until;

const LIMIT: Duration = Duration::from_secs(60);

/// What a batch of a processor's guest is answered with by the guest itself: nothing changes.
fn copies() -> String {
    let answers = plugins::guests::answers(2048, 32);
    // The head of the batch, as that of an answer without sections.
    format!(
        "(memory.copy (i32.const 2048) (local.get $at) (i32.const 32))
         (i32.store (i32.const 2048) (i32.const 0x31415754))
         (i32.store (i32.const 2076) (i32.const 0)) {answers}"
    )
}

fn quiet() -> Guest {
    Guest { process: copies(), reads: vec![intrinsic(1), intrinsic(6)], ..Guest::default() }
}

/// A place for files, with a cache of its own.
struct Desk {
    dir: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn put(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        std::fs::write(self.path(name), bytes).unwrap();
        name.to_owned()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = binary();
        command.arg("plugin").args(arguments).current_dir(self.dir.path());
        command.env("TRACEWEIR_CACHE", self.path("cache"));
        command
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        run(&mut self.command(arguments))
    }

    /// A batch of three spans.
    fn batch(&self) -> String {
        let of = |id: u8, name: &str| {
            json!({
                "traceId": format!("{id:02x}").repeat(16), "spanId": format!("{id:02x}").repeat(8), "name": name,
                "startTimeUnixNano": "1000", "endTimeUnixNano": "2000",
            })
        };
        let spans = [of(1, "one"), of(2, "two"), of(3, "three")];
        let batch = json!({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]});
        self.put("batch.json", batch.to_string())
    }
}

fn of_json(ended: &Ended) -> Value {
    serde_json::from_str(&ended.out).unwrap_or_else(|fault| panic!("{fault}: {ended:?}"))
}

#[track_caller]
fn ends(ended: &Ended, code: i32) -> String {
    assert_eq!(ended.code, Some(code), "{ended:?}");
    format!("{}{}", ended.out, ended.err)
}

/// Makes a plugin, and builds it.
fn built(desk: &Desk, arguments: &[&str]) -> Value {
    let name = arguments[arguments.len() - 1];
    let made = ends(&desk.run(&[&["new"], arguments].concat()), 0);
    assert!(made.contains("traceweir plugin build"), "{made}");
    assert_eq!(desk.run(&[&["new"], arguments].concat()).code, Some(2), "it is there already");
    // What several have in common is compiled once.
    std::fs::create_dir_all(desk.path("target")).unwrap();
    std::fs::create_dir_all(desk.path(name).join("build")).unwrap();
    std::os::unix::fs::symlink(desk.path("target"), desk.path(name).join("build/target")).unwrap();
    // Compilers take their time: as long as it takes.
    let mut build = desk.command(&["build", name, "--json"]);
    build.env_remove("TRACEWEIR_CACHE").stdin(Stdio::null());
    let built = build.output().unwrap();
    let told = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{told}");
    let built: Value = serde_json::from_slice(&built.stdout).unwrap();
    assert_eq!(built["file"], format!("{name}/{name}.wasm"));
    built
}

/// Makes a plugin, and builds, checks, tests and measures it.
fn from_nothing(desk: &Desk, arguments: &[&str], is_stateless: bool) {
    let name = arguments[arguments.len() - 1];
    let built = built(desk, arguments);
    let file = format!("{name}/{name}.wasm");
    let inspected = of_json(&desk.run(&["inspect", &file, "--json"]));
    assert_eq!(inspected["digest"], built["digest"]);
    assert_eq!((&inspected["name"], &inspected["stateless"]), (&json!(name), &json!(is_stateless)));
    assert!(inspected["projection"]["reads"].as_array().is_some_and(|reads| !reads.is_empty()));
    assert!(ends(&desk.run(&["check", &file]), 0).contains("ok     exports: the world "));
    let (batches, expected) =
        (format!("{name}/fixtures/batch.json"), format!("{name}/fixtures/expected.txt"));
    let test = ["test", &file, "--batches", &batches, "--expect", &expected];
    let told = ends(&desk.run(&test), 0);
    assert!(told.contains("split     the same") || !is_stateless, "{told}");
    // One that is expected to do something else.
    let golden = std::fs::read_to_string(desk.path(&expected)).unwrap();
    std::fs::write(desk.path(&expected), golden.replacen("dropped", "vanished", 1)).unwrap();
    let told = ends(&desk.run(&test), 1);
    assert!(told.contains("something else comes out") && told.contains("vanished"), "{told}");
    let _ = ends(&desk.run(&[&test[..], &["--update"]].concat()), 0);
    assert_eq!(std::fs::read_to_string(desk.path(&expected)).unwrap(), golden);
    assert!(
        ends(&desk.run(&[&test[..], &["--fuel-max", "1"]].concat()), 1).contains("--fuel-max is 1")
    );
    let bench =
        ["bench", &file, "--batches", &batches, "--spans", "200", "--rounds", "3", "--json"];
    let measured = of_json(&desk.run(&bench));
    assert_eq!((&measured["spans"], &measured["rounds"]), (&json!(200), &json!(3)));
    let of = &measured["nanoseconds_per_span"];
    assert!(of["steps"]["call"].as_f64() > Some(0.0) && of["without"].as_f64() > Some(0.0), "{of}");
}

#[test]
fn a_plugin_in_rust_is_made_built_and_tested() {
    let desk = Desk::new();
    from_nothing(&desk, &["--lang", "rust", "shop-team"], true);
    own_tests(&desk, "shop-team");
}

/// Runs the tests that a plugin in Rust has itself, with the SDK that lies beside it.
fn own_tests(desk: &Desk, name: &str) {
    let own = Command::new("cargo")
        .args(["test", "--quiet", "--target-dir"])
        .arg(desk.path("target"))
        .current_dir(desk.path(name))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&own.stdout);
    assert!(own.status.success(), "{told}{}", String::from_utf8_lossy(&own.stderr));
    let passed = |line: &str| line.starts_with("test result: ok.") && !line.contains(" 0 passed");
    assert!(told.lines().any(passed), "{told}");
}

/// What is done with a plugin of each world beside a span processor, and what shows in it.
const WORLDS: [(&str, &[&str], &str); 5] = [
    ("head-sampler", &["--batches", "batch.json"], "permuted  the same"),
    ("tail-sampler", &["--batches", "batch.json"], "split     the same"),
    ("router", &["--config", "config.json", "--batches", "batch.json"], "split     the same"),
    (
        "authenticator",
        &["--config", "config.json", "--requests", "requests.json"],
        "fresh     the same",
    ),
    ("refresher", &["--config", "config.json", "--answers", "answers.json"], "fresh     the same"),
];

/// Makes a plugin of each world in a language, and builds, checks and tests it.
fn of_each_world(language: &str) {
    let desk = Desk::new();
    for (world, given, shown) in WORLDS {
        let name = format!("my-{world}");
        built(&desk, &["--lang", language, "--world", world, &name]);
        // The sampler is the example of the SDK, whose tests are the vectors.
        if language == "rust" && world != "head-sampler" {
            own_tests(&desk, &name);
        }
        let (file, home) = (format!("{name}/{name}.wasm"), format!("{name}/fixtures/"));
        let place =
            |of: &&str| if of.starts_with("--") { of.to_string() } else { format!("{home}{of}") };
        let given: Vec<String> = given.iter().map(place).collect();
        let given: Vec<&str> = given.iter().map(String::as_str).collect();
        let config = if given.contains(&"--config") { &given[..2] } else { &[] };
        let told = ends(&desk.run(&[&["check", &file], config].concat()), 0);
        assert!(told.contains(&format!("{world}-plugin of ")) && !told.contains("FAULT"), "{told}");
        let told = ends(&desk.run(&[&["inspect", &file], config].concat()), 0);
        assert!(world != "router" || told.contains("routes to   team-checkout"), "{told}");
        let expected = format!("{home}expected.txt");
        let test = [&["test", &file, "--expect", &expected], &*given].concat();
        let told = ends(&desk.run(&test), 0);
        assert!(told.contains(shown) && !told.contains("DIFFERS"), "{told}");
        let wrong = match given.contains(&"--batches") {
            true => ["--requests", "x.json"],
            false => ["--batches", "x.json"],
        };
        let told = ends(&desk.run(&[&["test", &file], config, &wrong].concat()), 2);
        assert!(told.contains("is tested with --"), "{told}");
        if given.contains(&"--batches") {
            let bench = [&["bench", &file, "--rounds", "2", "--json"], &*given].concat();
            let told = of_json(&desk.run(&bench));
            assert!(told["nanoseconds_per_span"]["steps"]["call"].as_f64() > Some(0.0), "{told}");
        }
    }
}

#[test]
fn a_plugin_of_each_world_is_made_built_and_tested() {
    of_each_world("rust");
}

#[test]
fn a_sampler_in_c_is_made_built_and_tested_where_there_is_a_compiler() {
    let has = |program: &str| Command::new(program).arg("--version").output().is_ok();
    if !["clang", "clang-19", "clang-18", "zig", "python3"].into_iter().any(has) {
        #[expect(clippy::print_stderr, reason = "a test that is left out says so")]
        {
            eprintln!("SKIPPED: no clang, no zig and no python3 to get one with");
        }
        return;
    }
    let desk = Desk::new();
    let sampler = ["--lang", "c", "--world", "head-sampler", "keep-errors"];
    from_nothing(&desk, &sampler, true);
}

/// A script by this name.
fn script(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
}

#[test]
fn where_rustup_has_no_target_std_is_built_once_from_the_sources_of_debian() {
    let desk = Desk::new();
    let (debian, bin) = (desk.path("debian"), desk.path("bin"));
    std::fs::create_dir_all(debian.join("usr/src/rustc-9.9.9")).unwrap();
    script(&debian.join("usr/bin/rustc"), "echo rustc 9.9.9 of Debian");
    let cargo = r#"echo "$*" >> "$HERE/built.txt"
deps=$CARGO_TARGET_DIR/wasm32-unknown-unknown/release/deps
mkdir -p "$deps" && touch "$deps/libstd-1.rlib" "$deps/libnothing-1.rlib""#;
    script(&debian.join("usr/bin/cargo"), cargo);
    for (name, text) in
        [("rustc", "exit 1"), ("rustup", "exit 1"), ("wasm-ld-9", ""), ("wasm-ld-19", "")]
    {
        script(&bin.join(name), text);
    }
    let home = desk.path("plugin");
    std::fs::create_dir(&home).unwrap();
    std::fs::write(home.join("ready.wasm"), quiet().module()).unwrap();
    let manifest = "name = \"ready\"\nlanguage = \"rust\"\nworld = \"span-processor-plugin\"\n\
                    build = [\"env > environment.txt\"]\nartifact = \"ready.wasm\"\n";
    std::fs::write(home.join("plugin.toml"), manifest).unwrap();
    let path = format!("{}:/usr/bin:/bin", bin.display());
    let build = |root: &Path| {
        let mut command = desk.command(&["build", "plugin", "-o", "plugin.wasm"]);
        command.env_remove("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS");
        command
            .env("PATH", &path)
            .env("TRACEWEIR_DEBIAN_ROOT", root)
            .env("TRACEWEIR_CACHE", "cache");
        run(command.env("HERE", desk.dir.path()))
    };
    let told = ends(&build(&desk.path("nothing")), 1);
    assert!(told.contains("rust-web-src") && told.contains("rustup target add"), "{told}");
    for _ in 0..2 {
        assert!(ends(&build(&debian), 0).contains("plugin.wasm: "));
    }
    let built = std::fs::read_to_string(desk.path("built.txt")).unwrap();
    assert_eq!(built.matches("-Zbuild-std=std,panic_abort").count(), 1, "{built}");
    let sysroot = desk.path("cache/wasm-sysroot-9.9.9");
    let libraries = sysroot.join("lib/rustlib/wasm32-unknown-unknown/lib");
    let libraries: Vec<_> =
        std::fs::read_dir(libraries).unwrap().map(|of| of.unwrap().file_name()).collect();
    assert_eq!(libraries, ["libstd-1.rlib"]);
    let environment = std::fs::read_to_string(home.join("environment.txt")).unwrap();
    let of = |name: &str| format!("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_{name}=");
    for line in [
        format!("RUSTC={}", debian.join("usr/bin/rustc").display()),
        format!("{}wasm-ld-19", of("LINKER")),
        format!("{}-C target-feature=+simd128 --sysroot {}", of("RUSTFLAGS"), sysroot.display()),
        format!("PATH={}:{path}", debian.join("usr/bin").display()),
    ] {
        assert!(environment.lines().any(|of| *of == line), "{line}: {environment}");
    }
}

#[test]
fn what_is_no_plugin_is_told_line_by_line() {
    let desk = Desk::new();
    let nothing = desk.put("nothing.wasm", b"\0asm\x01\0\0\0");
    let told = ends(&desk.run(&["check", &nothing]), 1);
    assert!(told.contains("FAULT  file: not a plugin: exports nothing"), "{told}");
    assert_eq!(desk.run(&["inspect", &nothing]).code, Some(1));
    assert_eq!(desk.run(&["check", "absent.wasm"]).code, Some(2));
    let schema = r#"{"type": "object", "properties": {"ratio": {"type": "number"}}}"#;
    let strict = Guest { schema: schema.to_owned(), ..quiet() };
    let strict = desk.put("strict.wasm", strict.module());
    let config = ["check", &strict, "--config", r#"{"ratio": "much"}"#];
    let told = ends(&desk.run(&config), 1);
    assert!(told.contains("FAULT  config: $.ratio: "), "{told}");
    let found = of_json(&desk.run(&["check", &strict, "--json"]));
    assert_eq!(found["ok"], true, "{found}");
    let yaml = desk.put("config.yaml", "ratio: 0.5\n");
    let _ = ends(&desk.run(&["check", &strict, "--config", &yaml]), 0);
    assert_eq!(desk.run(&["check", &strict, "--strict"]).code, Some(1), "1.0 is no version");
}

#[test]
fn what_is_bundled_is_looked_at_by_its_name() {
    let desk = Desk::new();
    let Some((name, _)) = plugins::BUNDLED.first() else { return };
    let told = of_json(&desk.run(&["inspect", &format!("bundled:{name}"), "--json"]));
    assert_eq!(told["name"], *name);
    let told = ends(&desk.run(&["inspect", "bundled:nothing"]), 2);
    assert!(told.contains("there are ") && told.contains(name), "{told}");
}

#[test]
fn a_plugin_that_remembers_is_found_and_so_is_one_that_fails() {
    let desk = Desk::new();
    let batch = desk.batch();
    let good = desk.put("good.wasm", quiet().module());
    let told = ends(&desk.run(&["test", &good, "--batches", &batch]), 0);
    assert!(told.contains("3 spans: 3 kept, 0 dropped, 0 changed"), "{told}");
    // From its second call on it traps.
    let tired = Guest {
        extra: "(global $calls (mut i32) (i32.const 0))".to_owned(),
        process: format!(
            "(global.set $calls (i32.add (global.get $calls) (i32.const 1)))
             (if (i32.gt_u (global.get $calls) (i32.const 1)) (then unreachable)) {}",
            copies()
        ),
        ..quiet()
    };
    let tired = desk.put("tired.wasm", tired.module());
    let told = ends(&desk.run(&["test", &tired, "--batches", &batch]), 1);
    assert!(told.contains("batch.json: twice: a call failed: panic"), "{told}");
    assert!(told.contains("fresh     the same") && told.contains("twice     DIFFERS"), "{told}");
    let _ = ends(&desk.run(&["test", &tired, "--batches", &batch, "--skip", "twice"]), 0);
    let traps = Guest { process: "unreachable".to_owned(), ..quiet() };
    let traps = desk.put("traps.wasm", traps.module());
    let told = of_json(&desk.run(&["test", &traps, "--batches", &batch, "--json"]));
    assert_eq!(told["batches"][0]["failures"][0]["failure"], "panic", "{told}");
    let bad = desk.put("bad.json", "{\"resourceSpans\": 7}");
    let told = ends(&desk.run(&["test", &good, "--batches", &bad]), 2);
    assert!(told.contains("bad.json: malformed JSON"), "{told}");
}

/// A gateway whose tenant `shop` has a plugin.
fn gateway(dir: &Path, guest: &Guest) -> Gateway {
    let put = |name: &str, text: &[u8]| {
        std::fs::write(dir.join(name), text).unwrap();
        dir.join(name).to_str().unwrap().to_owned()
    };
    let wasm = put("runs.wasm", &guest.module());
    let plugins = format!("plugins:\n  runs: {{source: \"file:{wasm}\", timeout: 1s}}\n");
    let plugins = put("plugins.yaml", plugins.as_bytes());
    let overrides = "tenants:\n  shop: {ingestion: {plugins: [runs]}}\n";
    let overrides = put("overrides.yaml", overrides.as_bytes());
    let options = Options::new().set("tenancy", "header").set("plugins.file", plugins);
    options.set("overrides.file", overrides).start()
}

fn send(gateway: &Gateway, tenant: &str, number: u8) {
    use prost::Message as _;
    let mut spans: Vec<_> =
        (1..=4).map(|of| span(&[number; 16], &[of; 8], "GET /ada/17")).collect();
    for span in &mut spans {
        span.attributes.push(text("user", "Ada Lovelace"));
        span.attributes.push(text("team", "checkout"));
    }
    let body = request("secret-service", spans).encode_to_vec();
    let sent = Request::otlp(body).header("x-scope-orgid", tenant).send(gateway.at.otlp_http);
    assert_eq!(sent.status, 200);
}

#[test]
fn requests_of_a_running_gateway_are_captured_masked_and_replayed() {
    let desk = Desk::new();
    let gateway = gateway(desk.dir.path(), &quiet());
    let admin = gateway.at.admin.to_string();
    let capture = [
        "capture",
        "--admin",
        &admin,
        "--tenant",
        "shop",
        "--plugin",
        "runs",
        "--requests",
        "2",
        "--keep",
        "team",
    ];
    let mut child =
        desk.command(&capture).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let state = || Request::get("/plugins/captures").send(gateway.at.admin);
    until("an order", LIMIT, || (state().status == 200).then_some(()));
    let mut number = 0;
    until("the captures", LIMIT, || {
        number = number % 200 + 1;
        send(&gateway, "other", number);
        send(&gateway, "shop", number);
        child.try_wait().unwrap()
    });
    let captured = child.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&captured.stdout).into_owned();
    assert!(captured.status.success(), "{}", String::from_utf8_lossy(&captured.stderr));
    assert_eq!(told, "captures/0001.otlp\ncaptures/0002.otlp\n");
    assert_eq!(state().status, 404, "nothing is left on the gateway");
    for file in ["0001.otlp", "0001.after", "0001.record.json", "0002.otlp"] {
        let bytes = std::fs::read(desk.path("captures").join(file)).unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        for canary in ["Ada", "ada", "Lovelace", "secret"] {
            assert!(!text.contains(canary), "{file}: {canary}: {text}");
        }
        assert!(file.ends_with("json") || text.contains("checkout"), "{file}: {text}");
    }
    let again = ends(&desk.run(&capture), 2);
    assert!(again.contains("captures are in it already"), "{again}");

    // What runs there does the same here; one that keeps nothing does not.
    let same = desk.put("same.wasm", quiet().module());
    let told = ends(&desk.run(&["replay", &same, "--captures", "captures", "--same"]), 0);
    assert!(told.contains("2 captures, 8 spans: 0 calls fail, 0 spans differ"), "{told}");
    let none = Guest { answer: keeps_none(), process: Guest::default().process, ..quiet() };
    let none = desk.put("none.wasm", none.module());
    let told = ends(&desk.run(&["replay", &none, "--captures", "captures"]), 0);
    assert!(told.contains("4 spans, 0 kept, before 4, 4 different"), "{told}");
    assert!(told.contains("was kept, is dropped"), "{told}");
    assert_eq!(desk.run(&["replay", &none, "--captures", "captures", "--same"]).code, Some(1));
    let tested = ends(&desk.run(&["test", &same, "--batches", "captures"]), 0);
    assert!(tested.contains("batch 0002.otlp"), "{tested}");
}

/// An answer to four spans of one resource and scope: all of them go.
fn keeps_none() -> Vec<u8> {
    let mut out = b"TWA1\x01\0\0\0".to_vec();
    for number in [4u32, 1, 1, 0, 0, 1] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    // keep, a bitmap of spans.
    out.extend_from_slice(&[1, 0, 5, 1]);
    for number in [0u32, 48, 8, 0, 0] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out
}

#[test]
fn batches_that_a_plugin_failed_on_are_fetched_and_tried_again() {
    let desk = Desk::new();
    let traps = Guest { process: "unreachable".to_owned(), ..quiet() };
    let gateway = gateway(desk.dir.path(), &traps);
    send(&gateway, "shop", 1);
    let admin = gateway.at.admin.to_string();
    let fetch = ["capture", "--admin", &admin, "--failures", "--plugin", "runs", "-o", "failed"];
    assert_eq!(ends(&desk.run(&fetch), 0), "failed/0001.twb\n");
    let still = desk.put("still.wasm", traps.module());
    let told = ends(&desk.run(&["replay", &still, "--captures", "failed"]), 1);
    assert!(told.contains("failed before: panic") && told.contains("fails: panic"), "{told}");
    let mended = desk.put("mended.wasm", quiet().module());
    let told = ends(&desk.run(&["replay", &mended, "--captures", "failed"]), 0);
    assert!(told.contains("1 captures, 4 spans: 0 calls fail"), "{told}");
}

#[test]
fn nothing_is_waited_for_longer_than_was_said() {
    let desk = Desk::new();
    let gateway = gateway(desk.dir.path(), &quiet());
    let admin = gateway.at.admin.to_string();
    let told = ends(&desk.run(&["capture", "--admin", &admin, "--wait", "1ms"]), 1);
    assert!(told.contains("no request came"), "{told}");
    let told = ends(&desk.run(&["capture", "--admin", &admin, "--wait", "1h"]), 1);
    assert!(told.contains("wait: 1h, up to 600s"), "{told}");
    let told = ends(&desk.run(&["capture", "--admin", &admin, "--plugin", "absent"]), 1);
    assert!(told.contains("plugin \"absent\" does not run"), "{told}");
    let order = |body: &str| {
        Request::new("POST", "/plugins/captures").body(body).send(gateway.at.admin).status
    };
    assert_eq!(order(r#"{"requests": 65, "wait": "1s"}"#), 400);
    assert_eq!(order(r#"{"requests": 1, "wait": "1s", "tenant": "a/b"}"#), 400);
    assert_eq!(order("[]"), 400);
}
