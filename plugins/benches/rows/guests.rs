//! The plugins that are measured, with their configurations and their native twins.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use plugins::definition::Definition;
use serde_json::{Value, json};
use traceweir_plugin::testing::Host;
use traceweir_plugin::{Batch, HeadSampler, Processor};

use crate::twins::{self, Twin};

/// Natively, from a batch to an answer.
pub(crate) type Native = Box<dyn FnMut(&[u8]) -> Vec<u8>>;

/// A plugin.
pub(crate) struct Guest {
    pub(crate) plugin: &'static str,
    pub(crate) language: String,
    source: String,
    config: Value,
    native: Option<fn(&str) -> Native>,
    twin: Option<fn() -> Twin>,
}

impl Guest {
    pub(crate) fn title(&self) -> String {
        format!("{} {}", self.plugin, self.language)
    }

    /// As an operator writes it, with all the time that a bad machine may need.
    pub(crate) fn definition(&self) -> Definition {
        let definition = json!({ "source": self.source, "config": self.config, "timeout": "10s", "memory_max": "512MiB" });
        serde_json::from_value(definition).unwrap()
    }

    pub(crate) fn native(&self) -> Option<Native> {
        self.native.map(|native| native(&self.config.to_string()))
    }

    pub(crate) fn twin(&self) -> Option<Twin> {
        self.twin.map(|twin| twin())
    }
}

fn processor<P: Processor + 'static>(config: &str) -> Native {
    let (mut plugin, _) = P::configure(config).unwrap();
    Box::new(move |bytes| plugin.process(&Batch::parse(bytes).unwrap()).unwrap().encode())
}

fn sampler<P: HeadSampler + 'static>(config: &str) -> Native {
    let (mut plugin, _) = P::configure(config).unwrap();
    Box::new(move |bytes| plugin.sample(&Batch::parse(bytes).unwrap()).unwrap().encode())
}

/// Two hundred teams, of which ten occur.
fn teams() -> HashMap<String, String> {
    (0..200).map(|n| (format!("namespace-{n}"), format!("team-{n}"))).collect()
}

/// What k8s-enrich looks up, natively and as a guest.
pub(crate) fn pods() -> HashMap<String, String> {
    let pod = |n: usize| {
        let key = format!("pod_name/namespace-{n}/shop-{n}-7d9f8b6c5-x2x4z");
        (key, format!(r#"{{"k8s.deployment.name":"shop-{n}","k8s.pod.uid":"uid-{n}"}}"#))
    };
    (0..200).map(pod).collect()
}

fn k8s_enrich(config: &str) -> Native {
    let pods = pods();
    let entries = pods.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    Host::default().table("k8s", entries).install();
    processor::<k8s_enrich::K8sEnrich>(config)
}

/// All of them, but for those that were not built.
pub(crate) fn all() -> Vec<Guest> {
    let mut guests = examples();
    guests.extend(elsewhere(&guests));
    let known = |name: &str| plugins::BUNDLED.iter().any(|(known, _)| *known == name);
    guests.extend(bundled().into_iter().filter(|guest| known(guest.plugin)));
    guests
}

type Example = (&'static str, Value, fn(&str) -> Native, fn() -> Twin);

fn examples() -> Vec<Guest> {
    let examples: [Example; 3] = [
        ("tenth", json!({ "one_in": 10 }), processor::<tenth::Tenth>, || twins::tenth(10)),
        ("enrich", json!({ "teams": teams() }), processor::<enrich::Enrich>, || {
            twins::enrich(teams())
        }),
        ("scrub", json!({}), processor::<scrub::Scrub>, twins::scrub),
    ];
    let dir = Path::new(env!("OUT_DIR")).join("bundled/examples");
    let guest = |(plugin, config, native, twin): Example| {
        let source = file(&dir.join(format!("{plugin}.wasm")))?;
        let language = "rust".to_owned();
        Some(Guest { plugin, language, source, config, native: Some(native), twin: Some(twin) })
    };
    examples.into_iter().filter_map(guest).collect()
}

fn file(path: &Path) -> Option<String> {
    path.try_exists().unwrap().then(|| format!("file:{}", path.display()))
}

/// The same plugins in other languages.
fn elsewhere(examples: &[Guest]) -> Vec<Guest> {
    let Some(dir) = std::env::var_os("GUESTS").map(PathBuf::from) else { return Vec::new() };
    let mut names: Vec<String> = std::fs::read_dir(&dir)
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().into_string().ok())
        .collect();
    names.sort();
    let guest = |name: &String| {
        let (language, plugin) = name.strip_suffix(".wasm")?.split_once('-')?;
        let example = examples.iter().find(|example| example.plugin == plugin)?;
        Some(Guest {
            plugin: example.plugin,
            language: language.to_owned(),
            source: file(&dir.join(name))?,
            config: example.config.clone(),
            native: None,
            twin: None,
        })
    };
    names.iter().filter_map(guest).collect()
}

/// A plugin that is part of the program: its name, its configuration, and how it is made natively.
type Bundled = (&'static str, Value, fn(&str) -> Native);

fn bundled() -> Vec<Guest> {
    let all: [Bundled; 10] = [
        (
            "attributes",
            json!({ "actions": [
                { "action": "upsert", "key": "environment", "value": "production" },
                { "action": "hash", "key": "enduser.id" },
                { "action": "delete", "pattern": "^http\\.request\\.header\\." },
            ] }),
            processor::<attributes::Attributes>,
        ),
        (
            "filter",
            json!({ "drop": "{ span.http.route = \"/api/v1/orders/{id}\" && span.http.response.status_code < 500 }" }),
            processor::<filter::Filter>,
        ),
        ("k8s-enrich", json!({}), k8s_enrich),
        ("noise", json!({}), processor::<noise::Noise>),
        (
            "probabilistic-sampler",
            json!({ "ratio": 0.1 }),
            sampler::<probabilistic_sampler::ProbabilisticSampler>,
        ),
        (
            "rate-limiting-sampler",
            json!({ "spans_per_second": 1e9 }),
            sampler::<rate_limiting_sampler::RateLimitingSampler>,
        ),
        ("redact", json!({}), processor::<redact::Redact>),
        (
            "resource",
            json!({ "attributes": [{ "action": "upsert", "key": "environment", "value": "production" }] }),
            processor::<resource::Resource>,
        ),
        ("semconv", json!({ "mode": "old" }), processor::<semconv::Semconv>),
        ("url-template", json!({}), processor::<url_template::UrlTemplate>),
    ];
    let guest = |(plugin, config, native): (&'static str, Value, fn(&str) -> Native)| Guest {
        plugin,
        language: "bundled".to_owned(),
        source: format!("bundled:{plugin}"),
        config,
        native: Some(native),
        twin: None,
    };
    all.into_iter().map(guest).collect()
}
