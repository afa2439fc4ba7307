//! What holds for every bundled plugin: its schema and its README say all that it takes, the example of the README is
//! accepted, and whatever a batch holds is answered or refused.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;
use traceweir_plugin::testing::{Event, Fixture, Layout, Link, Resource, Scope, Span};
use traceweir_plugin::{
    Any, Batch, ConfigError, HeadSampler, Info, Plugin, PluginError, Processor, Projection,
};

/// What a configured plugin answers to a batch.
type Call = Box<dyn FnMut(&[u8]) -> Result<Vec<u8>, PluginError>>;

/// A plugin, without its type.
struct Case {
    info: Info,
    configure: fn(&str) -> Result<Projection, ConfigError>,
    /// Configures it, for batches.
    ready: fn(&str) -> Call,
    /// One that reads much.
    config: &'static str,
}

fn configure<P: Plugin>(config: &str) -> Result<Projection, ConfigError> {
    P::configure(config).map(|(_, projection)| projection)
}

fn processor<P: Processor + 'static>(config: &'static str) -> Case {
    fn ready<P: Processor + 'static>(config: &str) -> Call {
        let (mut plugin, _) = P::configure(config).unwrap();
        Box::new(move |batch| Ok(plugin.process(&Batch::parse(batch)?)?.encode()))
    }
    Case { info: P::describe(), configure: configure::<P>, ready: ready::<P>, config }
}

fn sampler<P: HeadSampler + 'static>(config: &'static str) -> Case {
    fn ready<P: HeadSampler + 'static>(config: &str) -> Call {
        let (mut plugin, _) = P::configure(config).unwrap();
        Box::new(move |batch| Ok(plugin.sample(&Batch::parse(batch)?)?.encode()))
    }
    Case { info: P::describe(), configure: configure::<P>, ready: ready::<P>, config }
}

fn all() -> Vec<Case> {
    vec![
        processor::<attributes::Attributes>(
            r#"{"actions": [
                {"action": "upsert", "key": "copy", "from_attribute": "k"},
                {"action": "hash", "key": "k"},
                {"action": "extract", "key": "url.full", "pattern": "(?P<x>.)"},
                {"action": "convert", "key": "n", "converted_type": "int"},
                {"action": "delete", "pattern": "^http"}],
              "include": {"match_type": "regexp", "services": [""], "attributes": [{"key": "k", "value": "."}]}}"#,
        ),
        processor::<filter::Filter>(
            r#"{"drop": "{ .k = `x` || span.n > 1 || event.e = 1 || link.l = 1 || name =~ `a` }"}"#,
        ),
        processor::<k8s_enrich::K8sEnrich>("{}"),
        processor::<noise::Noise>(r#"{"reasons": ["health", "scrape", "bot", "preflight"]}"#),
        sampler::<probabilistic_sampler::ProbabilisticSampler>(
            r#"{"ratio": 0.5, "services": {"shop": 1}}"#,
        ),
        sampler::<rate_limiting_sampler::RateLimitingSampler>(
            r#"{"spans_per_second": 5, "per": "service.name"}"#,
        ),
        processor::<redact::Redact>(
            r#"{"summary": "debug", "redact_all_types": true, "blocked_values": ["x+"], "blocked_keys": ["gone"]}"#,
        ),
        processor::<resource::Resource>(
            r#"{"attributes": [{"action": "hash", "key": "service.name"}, {"action": "delete", "pattern": "^p"}]}"#,
        ),
        processor::<semconv::Semconv>(r#"{"mode": "both"}"#),
        processor::<url_template::UrlTemplate>("{}"),
    ]
}

/// Where a plugin lies.
fn home(case: &Case) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(&case.info.name)
}

fn readme(case: &Case) -> String {
    fs::read_to_string(home(case).join("README.md")).unwrap()
}

fn schema(case: &Case) -> Json {
    serde_json::from_str(&case.info.config_schema).unwrap()
}

#[test]
fn every_plugin_is_here() {
    let here: Vec<_> = all().into_iter().map(|case| case.info.name).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut there = Vec::new();
    for entry in fs::read_dir(root).unwrap() {
        let entry = entry.unwrap();
        if fs::metadata(entry.path().join("schema.json")).is_ok() {
            there.push(entry.file_name().into_string().unwrap());
        }
    }
    there.sort();
    assert_eq!(here, there);
}

/// Every object says what it may hold, and everything what it is for.
fn check_schema(at: &str, schema: &Json) {
    if let Some(properties) = schema.get("properties").and_then(Json::as_object) {
        let closed = schema.get("additionalProperties");
        assert_eq!(closed, Some(&Json::Bool(false)), "{at} takes what it does not know");
        for (key, property) in properties {
            let at = format!("{at}.{key}");
            assert!(property["description"].is_string(), "{at} has no description");
            check_schema(&at, property);
        }
    }
    for part in ["items", "additionalProperties"] {
        schema.get(part).into_iter().for_each(|items| check_schema(&format!("{at}[]"), items));
    }
    for (name, part) in schema.get("$defs").and_then(Json::as_object).into_iter().flatten() {
        check_schema(&format!("{at}#{name}"), part);
    }
}

#[test]
fn every_schema_is_closed_and_described() {
    for case in all() {
        let schema = schema(&case);
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert_eq!(schema["type"], "object");
        check_schema(&case.info.name, &schema);
    }
}

#[test]
fn every_readme_says_what_a_plugin_takes_and_costs() {
    for case in all() {
        let (name, readme) = (&case.info.name, readme(&case));
        assert!(readme.starts_with(&format!("# {name}\n")), "{name}");
        assert!(readme.contains("\n## What it costs\n"), "{name}");
        assert!(readme.contains("| key | if it is not there | |\n"), "{name}");
        for key in schema(&case)["properties"].as_object().unwrap().keys() {
            assert!(readme.contains(&format!("`{key}`")), "{name}: {key}");
        }
    }
}

#[test]
fn the_example_of_every_readme_is_accepted() {
    for case in all() {
        let (name, readme) = (&case.info.name, readme(&case));
        let example = readme.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next());
        let example: Json = serde_saphyr::from_str(example.unwrap()).unwrap();
        let plugins = example["plugins"].as_object().unwrap();
        let plugin = plugins.values().next().unwrap();
        assert_eq!(plugin["source"], format!("bundled:{name}"));
        let configured = (case.configure)(&plugin["config"].to_string());
        assert!(configured.is_ok(), "{name}: {configured:?}");
    }
}

#[test]
fn what_is_unknown_is_refused_by_its_path() {
    for case in all() {
        let refusal = |config: &str| (case.configure)(config).unwrap_err();
        let error =
            refusal(&case.config.replacen('{', r#"{"nonsense": 1, "#, 1).replace(", }", "}"));
        assert_eq!(error.to_string(), "$.nonsense: unknown", "{}", case.info.name);
        assert_eq!(refusal("[]").path, "$");
        assert_eq!(refusal("").path, "$");
    }
}

/// Spans whose attributes are of every type but the one that is expected, and some that are as expected.
fn odd() -> Fixture {
    let keys = [
        "k",
        "n",
        "url.full",
        "url.path",
        "http.target",
        "http.status_code",
        "http.method",
        "service.name",
        "user_agent.original",
        "rpc.service",
        "db.system",
        "net.peer.port",
        "deployment.environment",
        "k8s.pod.uid",
        "gone",
    ];
    let values = || {
        let map =
            Any::Map(vec![("x".to_owned(), Any::Bytes(vec![0xff])), (String::new(), Any::Empty)]);
        [
            Any::Empty,
            Any::Int(i64::MIN),
            Any::Double(f64::NAN),
            Any::Bool(true),
            Any::Bytes(vec![0, 0xff]),
            Any::Array(vec![map.clone(), "x".into()]),
            map,
            "".into(),
            "ä\u{0}x".into(),
            "/healthz".into(),
        ]
    };
    let mut resources = Vec::new();
    for (i, value) in values().into_iter().enumerate() {
        let number = u64::try_from(i).unwrap();
        let with = |span: Span, key: &&str| span.with(key, value.clone());
        let span = keys.iter().fold(Span::new("").trace(number / 3).id(number, number), with);
        // The same key twice.
        let twice = Span::new("GET /a/1 ?").kind(9).with("k", value.clone()).with("k", "other");
        let event = keys.iter().fold(Event::new("e"), |event, key| event.with(key, value.clone()));
        let link = Link::new().with("l", value.clone());
        let scope = Scope::new("s").with("k", value.clone());
        let resource = keys.iter().fold(Resource::new(), |of, key| of.with(key, value.clone()));
        resources.push(resource.scope(scope.span(span.event(event).link(link)).span(twice)));
    }
    resources.into_iter().fold(Fixture::new(), Fixture::resource)
}

#[test]
fn odd_batches_are_answered() {
    let nobody = Fixture::new();
    let no_spans =
        Fixture::new().resource(Resource::new()).resource(Resource::new().scope(Scope::new("s")));
    let bare = Fixture::of(Span::new(""));
    for case in all() {
        for fixture in
            [nobody.clone(), no_spans.clone(), bare.clone(), odd(), odd().layout(Layout::Each)]
        {
            let batch = fixture.batch(&(case.configure)(case.config).unwrap());
            let mut call = (case.ready)(case.config);
            let answer = call(&batch);
            assert!(answer.is_ok(), "{}: {answer:?}", case.info.name);
            assert_eq!(answer, call(&batch), "{} remembers something", case.info.name);
        }
    }
}

#[test]
fn a_batch_without_the_columns_is_refused() {
    for case in all() {
        let batch = odd().batch(&Projection::default());
        let answer = (case.ready)(case.config)(&batch);
        assert!(matches!(answer, Err(PluginError::BadInput(_))), "{}: {answer:?}", case.info.name);
    }
}

#[test]
fn a_broken_batch_is_answered_or_refused() {
    for case in all() {
        let batch = odd().batch(&(case.configure)(case.config).unwrap());
        let mut call = (case.ready)(case.config);
        // Header and table, and of the sections some bytes.
        let (head, body) = (0..256, (256..batch.len()).step_by(batch.len() / 256 + 1));
        for at in head.chain(body) {
            for byte in [0, 1, 0xff] {
                let mut broken = batch.clone();
                broken[at] = byte;
                // It comes back at all.
                let _: Result<_, _> = call(&broken);
            }
        }
    }
}
