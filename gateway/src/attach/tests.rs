//! The file of plugins, and what is wrong with it.

use std::path::Path;

use model::Nanos;

use super::*;

#[derive(Debug)]
struct Still;

impl Clock for Still {
    fn now(&self) -> Nanos {
        Nanos::from_secs(1_800_000_000)
    }
    fn monotonic(&self) -> Nanos {
        Nanos::from_secs(1)
    }
}

fn open(config: &Config, limits: Limits, dir: &Path) -> Result<Arc<Plugins>, String> {
    let surroundings = Surroundings {
        clock: Arc::new(Still),
        chance: Arc::new(|bytes| bytes.fill(7)),
        tables: Arc::default(),
    };
    Plugins::open(config, Overrides::of(limits), (surroundings, Arc::default(), dir.join("code")))
}

/// No plugins, for tests of others.
pub(crate) fn none() -> Arc<Plugins> {
    Plugins::none(Arc::new(Still))
}

/// A plugin by the name `one`, with more that is said of it.
pub(crate) fn one(dir: &Path, guest: &plugins::guests::Guest, more: &str) -> Arc<Plugins> {
    let (module, file) = (dir.join("one.wasm"), dir.join("one.yaml"));
    std::fs::write(&module, guest.module()).unwrap();
    let text = format!("plugins: {{one: {{source: 'file:{}', {more}}}}}", module.display());
    std::fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap().to_owned();
    open(&Config { file, ..Config::default() }, Limits::default(), dir).unwrap()
}

fn plugins_of(text: &str) -> (tempfile::TempDir, Config) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("plugins.yaml");
    std::fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap().to_owned();
    (dir, Config { file, ..Config::default() })
}

#[test]
fn faults_of_the_file_are_told_by_their_keys() {
    for (text, key) in [
        ("plugins: {a: {source: 'ftp://a'}}", "plugins.a.source"),
        ("plugins: {a: {source: 'bundled:a', timeout: 1h}}", "plugins.a.timeout"),
        ("plugins: {'a b': {source: 'bundled:a'}}", "plugins.a b"),
        ("plugins: {a: {source: 'bundled:a', memory_max: 1B}}", "plugins.a.memory_max"),
        ("plugins: {a: {sauce: 'bundled:a'}}", "sauce"),
        ("plugins: 7", "plugins"),
        ("tables: {a: {}}", "tables.a"),
        ("tables: {a: {file: a, url: 'https://a/b'}}", "tables.a"),
        ("tables: {a: {url: 'http://a.example/b'}}", "tables.a.url"),
        ("tables: {a: {plugin: b}}", "tables.a.plugin"),
        ("tables: {a: {kubernetes: {node: 'a b'}}}", "tables.a.kubernetes.node"),
        (
            "plugins: {a: {source: 'bundled:a', refresher: {hosts: ['a/b']}}}",
            "plugins.a.refresher.hosts[0]",
        ),
    ] {
        let (dir, config) = plugins_of(text);
        let mut faults = Faults::default();
        config.check("plugins", &mut faults);
        let told = faults.list().iter().map(ToString::to_string).collect::<String>();
        assert!(told.contains(key), "{text}: {told}");
        assert!(open(&config, Limits::default(), dir.path()).is_err(), "{text}");
    }
}

#[test]
fn a_plugin_that_cannot_be_had_now_does_not_stop_the_start() {
    let (dir, config) = plugins_of(&format!(
        "plugins: {{a: {{source: 'https://a.invalid/a@sha256:{}'}}}}",
        "0".repeat(64)
    ));
    let plugins = open(&config, Limits::default(), dir.path()).unwrap();
    assert_eq!(plugins.registry().faults()["a"].kind(), Kind::Unavailable);
    let attached: Attached = serde_json::from_str("\"a\"").unwrap();
    let fault = plugins.chain(&[attached]).unwrap_err();
    assert!(fault.to_string().contains('a'), "{fault}");
    assert_eq!(plugins.stats().missing.get(), 1);
}

#[test]
fn plugins_of_a_directory_come_and_go_but_for_those_that_somebody_needs() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("plugins");
    std::fs::create_dir(&dir).unwrap();
    let put = |name: &str| {
        let guest = plugins::guests::Guest::default();
        std::fs::write(dir.join(format!("{name}.wasm")), guest.module()).unwrap();
    };
    put("one");
    put("two");
    let mut limits = Limits::default();
    limits.ingestion.plugins = vec![serde_json::from_str("\"one\"").unwrap()];
    let config = Config { dir: dir.to_str().unwrap().to_owned(), ..Config::default() };
    let plugins = open(&config, limits.clone(), home.path()).unwrap();
    let running = || plugins.registry().entries().keys().cloned().collect::<Vec<_>>();
    assert_eq!(running(), ["one", "two"]);
    for name in ["one", "two"] {
        std::fs::remove_file(dir.join(format!("{name}.wasm"))).unwrap();
    }
    put("three");
    let faults = plugins.reload().unwrap();
    assert_eq!(running(), ["one", "three"]);
    assert_eq!(
        faults.keys().collect::<Vec<_>>(),
        ["one"],
        "it runs on, and that it is gone is told"
    );
    std::fs::remove_dir_all(&dir).unwrap();
    plugins.apply();
    assert_eq!(running(), ["one", "three"]);
    // Nobody starts without what a chain names.
    std::fs::create_dir(&dir).unwrap();
    let fault = open(&config, limits, home.path()).unwrap_err();
    assert!(fault.contains("one") && fault.contains("plugins.dir"), "{fault}");
}
