//! The configuration as people write it, right and wrong.

use std::collections::BTreeSet;

use super::*;

fn machine(_: &Path) -> Budget {
    Budget { cores: 2.0, memory: ByteSize::mib(1024), disk: ByteSize::mib(4096) }
}

fn given(file: &str, env: &[(&str, &str)], set: &[&str]) -> (tempfile::TempDir, Sources) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("traceweir.yaml");
    std::fs::write(&path, file).unwrap();
    let env = env.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    let set = set.iter().map(|text| (*text).to_owned()).collect();
    (dir, Sources { file: Some(path), env, set, flags: Vec::new() })
}

fn load(file: &str, env: &[(&str, &str)], set: &[&str]) -> Result<Loaded, Faults> {
    let (_dir, sources) = given(file, env, set);
    Config::load(&sources, &machine)
}

/// The faults as lines, without the path of the temporary file.
fn faults(file: &str, env: &[(&str, &str)], set: &[&str]) -> Vec<String> {
    let (dir, sources) = given(file, env, set);
    let dir = format!("{}/", dir.path().display());
    let faults = Config::load(&sources, &machine).unwrap_err();
    faults.list().iter().map(|fault| fault.to_string().replace(&dir, "")).collect()
}

#[test]
fn defaults_need_nothing_and_hold() {
    let loaded = Config::load(&Sources::default(), &machine).unwrap();
    assert_eq!(loaded.budget(), machine(Path::new("")));
    assert_eq!(loaded.config.store.dir(), Some(PathBuf::from("./data")));
}

#[test]
fn each_source_is_stronger_than_the_one_before() {
    let file = "log: {level: error, format: json}\nstore: {url: from-file}\ncpu: {cores: 3}\n";
    let env = [
        ("TRACEWEIR__STORE__URL", "from-env"),
        ("TRACEWEIR__LOG__LEVEL", "warn"),
        ("HOME", "/elsewhere"),
    ];
    let (_dir, mut sources) = given(file, &env, &["log.level=debug", "store.url=from-set"]);
    sources.flags.push(("store.url", "--data", "from-flag".to_owned()));
    let loaded = Config::load(&sources, &machine).unwrap();
    let Config { store, log: lines, cpu, memory, .. } = &loaded.config;
    assert_eq!(store.url, "from-flag");
    assert_eq!((lines.level, lines.format), (log::Level::Debug, log::Format::Json));
    assert_eq!(cpu.cores, 3.0);
    assert_eq!(memory.bytes_max, ByteSize::mib(1024));
    let origin = |key: &str| loaded.rows().into_iter().find(|row| row.0 == key).unwrap().2;
    assert_eq!(origin("store.url"), Origin::Flag("--data"));
    assert_eq!(origin("log.level"), Origin::Set);
    assert_eq!(origin("memory.bytes_max"), Origin::Budget);
    assert_eq!(origin("log.spans"), Origin::Default);
}

#[test]
fn every_fault_is_told_at_once_with_its_key_and_what_is_accepted() {
    let file = "\
log:
  level: loud
  colour: red
memory: {bytes_max: 3 parsecs}
cpu: 4
wal: {x: 1, commit: {wait: 1h}}
server: {streams_max: 0}
nonsense: 1
listen: {http: '0.0.0.0:3200', admin: '127.0.0.1:4317'}
head: {bytes_max: 1TiB}
";
    let env = [("TRACEWEIR__LOG__FORMAT", "xml"), ("TRACEWEIR__STOR__URL", "x")];
    let told = faults(file, &env, &["nonsense", "store.url=s3://key:secret@bucket/x"]);
    let expected = [
        "--set: a setting without `=` is not accepted, expected key=value",
        "cpu: 4 (from traceweir.yaml) is not accepted, expected a section with some of cores",
        "log.colour: an unknown key (from traceweir.yaml) is not accepted",
        "wal.x: an unknown key (from traceweir.yaml) is not accepted, expected a key of wal: ",
        "nonsense: an unknown key (from traceweir.yaml) is not accepted, expected a known key: ",
        "wal.commit.wait: 1h is not accepted, expected 0s to 100ms",
        "server.streams_max: 0 is not accepted, expected 1 to 10000",
        "listen.http: 0.0.0.0:3200 is not accepted, expected a loopback address",
        "listen.admin: 127.0.0.1:4317 is not accepted, expected another address than listen.otlp_grpc",
        "head.bytes_max: 1TiB is not accepted, expected at most memory.bytes_max, which is 1GiB",
        "stor.url: an unknown key (from TRACEWEIR__STOR__URL) is not accepted, expected a known key; did you mean `store.url`?",
        "log.level: loud (from traceweir.yaml) is not accepted, expected one of `error`, `warn`, `info`, `debug`, `trace`",
        "memory.bytes_max: 3 parsecs (from traceweir.yaml) is not accepted, expected one such as 512, 64KiB",
        "log.format: xml (from TRACEWEIR__LOG__FORMAT) is not accepted, expected `text` or `json`",
        "store.url: s3://***@bucket/x is not accepted, expected a local directory",
    ];
    for expected in expected {
        assert!(told.iter().any(|line| line.starts_with(expected)), "{expected}\nnot in {told:#?}");
    }
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    assert!(!told.join("\n").contains("secret"), "{told:#?}");
}

#[test]
fn other_addresses_than_loopback_are_refused_unless_they_are_meant() {
    let open = ["listen.http=0.0.0.0:3200", "listen.insecure=true"];
    assert!(load("", &[], &open[..1]).is_err());
    let loaded = load("", &[], &open).unwrap();
    assert!(!loaded.config.listen.is_local());
    // Whoever reaches the port could name any tenant.
    assert!(load("tenancy: header\n", &[], &open).is_err());
    assert!(load("tenancy: header\n", &[], &[]).is_ok());
}

#[test]
fn port_zero_may_be_given_more_than_once() {
    let zero = ["listen.http=127.0.0.1:0", "listen.admin=127.0.0.1:0"];
    assert!(load("", &[], &zero).is_ok());
}

#[test]
fn a_small_machine_gets_settings_that_hold_and_follow_what_was_said() {
    let tiny =
        |_: &Path| Budget { cores: 0.25, memory: ByteSize::mib(48), disk: ByteSize::mib(20) };
    let loaded = Config::load(&Sources::default(), &tiny).unwrap();
    let Config { head, wal, receiver, .. } = &loaded.config;
    assert_eq!((head.bytes_max, wal.segment_bytes), (ByteSize::mib(32), ByteSize::mib(4)));
    assert_eq!(receiver.limits.in_flight_bytes_max, ByteSize::mib(32));
    let loaded = load("", &[], &["memory.bytes_max=256MiB"]).unwrap();
    assert_eq!(loaded.config.head.bytes_max, ByteSize::mib(64));
    let loaded = load("", &[], &["memory.bytes_max=4GiB", "disk.bytes_max=100MiB"]).unwrap();
    assert_eq!(loaded.config.head.bytes_max, ByteSize::mib(128), "a quarter, but no more");
    assert_eq!(loaded.config.wal.bytes_max, ByteSize::mib(100));
}

#[test]
fn the_cache_keeps_its_size_while_others_take_of_the_disk() {
    let size = |mib: u64| {
        let detect = move |_: &Path| Budget {
            cores: 1.0,
            memory: ByteSize::mib(1024),
            disk: ByteSize::mib(mib),
        };
        Config::load(&Sources::default(), &detect).unwrap().config.cache.disk_bytes_max
    };
    assert_eq!([15_364, 14_000, 9_001].map(size), [ByteSize::mib(2_048); 3]);
    assert_eq!([1_023, 1_024, 1 << 20].map(size), [0, 256, 4_096].map(ByteSize::mib));
}

#[test]
fn a_file_that_is_none_is_told_by_its_name() {
    let told = faults("log: [unclosed\n", &[], &[]);
    assert!(told[0].starts_with("traceweir.yaml: "), "{told:?}");
    assert!(faults("- a\n- b\n", &[], &[])[0].contains("without keys"));
    let missing = Sources { file: Some("/nonexistent/x.yaml".into()), ..Sources::default() };
    let told = Config::load(&missing, &machine).unwrap_err();
    assert_eq!(told.list()[0].key, "/nonexistent/x.yaml");
}

#[test]
fn an_empty_file_and_an_empty_section_say_nothing() {
    for file in ["", "# nothing\n", "---\n", "log:\n", "log: {}\n"] {
        assert!(load(file, &[], &[]).is_ok(), "{file:?}");
    }
}

#[test]
fn a_key_given_twice_is_no_yaml() {
    assert!(load("log: {level: info}\nlog: {level: warn}\n", &[], &[]).is_err());
}

#[test]
fn text_from_outside_is_read_as_what_the_key_takes() {
    let env = [("TRACEWEIR__CPU__CORES", "1.5"), ("TRACEWEIR__STORE__URL", "12")];
    let loaded = load("", &env, &["memory.bytes_max=134217728"]).unwrap();
    assert_eq!(loaded.config.cpu.cores, 1.5);
    assert_eq!(loaded.config.store.url, "12");
    assert_eq!(loaded.config.memory.bytes_max, ByteSize::mib(128));
}

#[test]
fn what_came_in_by_expansion_is_used_and_never_printed() {
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), "/from/a/file\n").unwrap();
    let file = format!(
        "store: {{url: '${{file:{}}}'}}\nlog: {{level: '${{LEVEL}}'}}\n",
        secret.path().display()
    );
    let loaded = load(&file, &[("LEVEL", "warn")], &[]).unwrap();
    assert_eq!(loaded.config.store.url, "/from/a/file");
    assert_eq!(loaded.config.log.level, log::Level::Warn);
    let yaml = loaded.yaml().unwrap();
    assert!(yaml.contains("***") && !yaml.contains("/from/a/file"), "{yaml}");
    let told = faults("log: {level: '${LEVEL}'}\n", &[("LEVEL", "s3cr3t")], &[]);
    assert_eq!(told.len(), 1);
    assert!(
        told[0].starts_with("log.level: *** (from ") && !told[0].contains("s3cr3t"),
        "{told:?}"
    );
}

#[test]
fn credentials_are_never_printed_however_they_are_given() {
    let file = "bucket: {url: 's3://b/x', access_key_id: hidden-id}\n";
    let env = [("TRACEWEIR__BUCKET__SECRET_ACCESS_KEY", "hidden-key")];
    let loaded = load(file, &env, &["bucket.session_token=12345678"]).unwrap();
    let Bucket { access_key_id, secret_access_key, session_token, .. } = &loaded.config.bucket;
    assert_eq!(access_key_id.reveal(), Some("hidden-id"));
    assert_eq!(secret_access_key.reveal(), Some("hidden-key"));
    assert_eq!(session_token.reveal(), Some("12345678"));
    let rows = loaded.rows().into_iter().map(|(key, value, _)| format!("{key}={value}\n"));
    let printed = loaded.yaml().unwrap() + &rows.collect::<String>();
    let printed = printed + &format!("{:?}", loaded.config);
    assert!(!printed.contains("hidden") && !printed.contains("12345678"), "{printed}");
    let told = faults("bucket: {url: 's3://b/x', account_key: {hidden: 1}}\n", &[], &[]);
    assert!(!told.join("\n").contains("hidden"), "{told:?}");
}

#[test]
fn credentials_have_to_go_together_and_with_the_bucket() {
    let file = "\
bucket:
  url: gs://b/x
  secret_access_key: hidden
  session_token: hidden
  account_key: hidden
  sas_token: hidden
  account: ''
";
    let told = faults(file, &[], &["bucket.access_key_id="]).join("\n");
    for expected in [
        "bucket.secret_access_key: *** is not accepted, expected bucket.access_key_id beside it",
        "bucket.session_token: *** is not accepted, expected bucket.access_key_id and its key",
        "bucket.account_key: *** is not accepted, expected bucket.account beside it",
        "bucket.sas_token: *** is not accepted, expected either it or bucket.account_key",
    ] {
        assert!(told.contains(expected), "{expected}\nnot in {told}");
    }
    let told = faults("bucket: {url: 's3://b/x', account: a}\n", &[], &[]).join("\n");
    assert!(told.contains("bucket.account: set, with s3:// is not accepted"), "{told}");
}

/// A key that is a secret is one of those that are never printed.
#[test]
fn every_secret_is_in_the_table() {
    let mut config = Config::default();
    let secret = || model::Secret::new("x");
    let bucket = &mut config.bucket;
    (bucket.access_key_id, bucket.secret_access_key) = (secret(), secret());
    (bucket.session_token, bucket.account_key, bucket.sas_token) = (secret(), secret(), secret());
    let written = serde_json::to_value(&config).unwrap();
    let leaves = tree::leaves(&written).into_iter();
    let secrets = leaves.filter(|(_, value)| **value == "***").map(|(key, _)| key);
    let table = SECRET.map(str::to_owned);
    assert_eq!(secrets.collect::<BTreeSet<_>>(), BTreeSet::from(table));
}

#[test]
fn expansion_has_defaults_and_escapes_and_tells_what_is_missing() {
    let sources = Sources { env: vec![("A".into(), "1".into())], ..Sources::default() };
    let expand = |text: &str| sources.expand(text);
    assert_eq!(expand("plain $5"), Ok(None));
    assert_eq!(expand("<${A}-${B:-two}>"), Ok(Some("<1-two>".to_owned())));
    assert_eq!(expand("$${A}"), Ok(Some("${A}".to_owned())));
    assert!(expand("${B}").unwrap_err().contains("B is not set"));
    assert!(expand("${A").is_err());
    assert!(expand("${file:/nonexistent}").is_err());
}

#[test]
fn what_is_printed_can_be_read_again() {
    let loaded = load("log: {level: debug}\nstore: {url: /tmp/x}\n", &[], &[]).unwrap();
    let again = load(&loaded.yaml().unwrap(), &[], &[]).unwrap();
    assert_eq!(again.yaml(), loaded.yaml());
}

/// `docs/reference/config.md` has a row for each key, with its default.
#[test]
fn every_key_is_documented_with_its_default() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/config.md");
    let docs = std::fs::read_to_string(path).unwrap();
    let rows: Vec<&str> = docs.lines().filter(|line| line.starts_with("| `")).collect();
    let defaults = Config::defaults();
    let keys = tree::leaves(&defaults);
    for (key, value) in &keys {
        let default = match tree::shown(value) {
            _ if DERIVED.contains(&key.as_str()) => "*budget*".to_owned(),
            text if text.is_empty() => "`\"\"`".to_owned(),
            text => format!("`{text}`"),
        };
        let start = format!("| `{key}` | {default} | ");
        let row = rows.iter().find(|row| row.starts_with(&start));
        assert!(row.is_some(), "docs/reference/config.md lacks a row that starts with\n{start}");
    }
    assert_eq!(rows.len(), keys.len(), "docs/reference/config.md documents what is no key");
}
