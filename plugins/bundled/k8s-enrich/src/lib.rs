//! A processor that adds to each resource what Kubernetes knows of its pod: as the Collector's `k8sattributes`, but the
//! host holds the table, and one call per batch looks up all of its resources.
//!
//! Keys of the table are `pod_ip/10.0.0.1`, `pod_uid/…`, `container_id/…` and `pod_name/NAMESPACE/NAME`; a value is a
//! JSON object of attributes. What a resource says of itself is never overwritten.

mod association;

use std::collections::{BTreeMap, BTreeSet};

use kit::Keys;
use serde::Deserialize;
use traceweir_plugin::{
    Answer, Any, Batch, ConfigError, Field, Info, Owner, Plugin, PluginError, Processor,
    Projection, Read, Write, config, export_processor, host,
};

use self::association::{Association, AssociationConfig};

/// What `configure` takes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// How pods are found, the first that finds one; the usual ways if there are none.
    #[serde(default)]
    pod_association: Vec<AssociationConfig>,
    /// What is added; all that the table has, if it is not there. A `*` at the end is all that begins so.
    #[serde(default)]
    extract: Option<Vec<String>>,
    /// The host's table.
    #[serde(default = "k8s")]
    table: String,
}

fn k8s() -> String {
    "k8s".to_owned()
}

/// An instance.
#[derive(Debug)]
pub struct K8sEnrich {
    associations: Vec<Association>,
    extract: Keys,
    table: String,
    there: Read,
    write: Write,
}

impl Plugin for K8sEnrich {
    fn describe() -> Info {
        Info {
            name: "k8s-enrich".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            description: "adds to resources what Kubernetes knows of their pods".to_owned(),
            config_schema: include_str!("../schema.json").to_owned(),
            stateless: true,
        }
    }

    fn configure(json: &str) -> Result<(Self, Projection), ConfigError> {
        let Config { pod_association, extract, table } = config::parse(json)?;
        let mut projection = Projection::default();
        let associations = if pod_association.is_empty() {
            Association::usual(&mut projection)
        } else {
            let list = pod_association.into_iter().enumerate();
            let association = |(i, config): (usize, AssociationConfig)| {
                config.association(&format!("$.pod_association[{i}].sources"), &mut projection)
            };
            list.map(association).collect::<Result<_, _>>()?
        };
        let extract = extract.unwrap_or_else(|| vec!["*".to_owned()]);
        // What is written begins as all of them do.
        let prefix = common_prefix(&extract);
        let field = Field::attributes(Owner::Resource, prefix);
        let there = projection.read(field.clone());
        let write = projection.write(field);
        Ok((Self { associations, extract: extract.into(), table, there, write }, projection))
    }
}

fn common_prefix(keys: &[String]) -> String {
    let begins = |key: &String| key.strip_suffix('*').unwrap_or(key).to_owned();
    let common = |a: String, b: String| {
        let same = a.chars().zip(b.chars()).take_while(|(a, b)| a == b);
        same.map(|(a, _)| a).collect()
    };
    keys.iter().map(begins).reduce(common).unwrap_or_default()
}

/// What the table says of a pod.
type Attributes = BTreeMap<String, Any>;

impl Processor for K8sEnrich {
    fn process(&mut self, batch: &Batch<'_>) -> Result<Answer, PluginError> {
        let mut answer = Answer::edits(batch);
        let pods = self.pods(batch)?;
        let there = batch.pairs(self.there)?;
        for (resource, pod) in pods.iter().enumerate() {
            let Some(pod) = pod else { continue };
            let own: BTreeSet<&str> =
                there.of(resource).filter_map(|pair| there.keys().get(pair)).collect();
            let new = pod.iter().filter(|(key, _)| self.extract.has(key) && !own.contains(&***key));
            for (key, value) in new {
                if let Some(value) = attribute(value) {
                    let resource = u32::try_from(resource).unwrap_or(u32::MAX);
                    answer.add(self.write, resource, key, value.as_value(&mut Vec::new()));
                }
            }
        }
        Ok(answer)
    }
}

/// A value that an attribute can have; an empty text says nothing.
fn attribute(value: &Any) -> Option<&Any> {
    match value {
        Any::Empty => None,
        Any::Text(text) if text.is_empty() => None,
        value => Some(value),
    }
}

impl K8sEnrich {
    /// What the table says of the pod of each resource.
    fn pods(&self, batch: &Batch<'_>) -> Result<Vec<Option<Attributes>>, PluginError> {
        let mut wanted: Vec<Vec<String>> = vec![Vec::new(); batch.resources()];
        for association in &self.associations {
            association.keys(batch, &mut wanted)?;
        }
        let keys: BTreeSet<&String> = wanted.iter().flatten().collect();
        let keys: Vec<String> = keys.into_iter().cloned().collect();
        if keys.is_empty() {
            return Ok(vec![None; batch.resources()]);
        }
        let found = host::tables::lookup(&self.table, &keys);
        let found: BTreeMap<&String, String> =
            keys.iter().zip(found).filter_map(|(key, value)| Some((key, value?))).collect();
        let pod = |keys: &Vec<String>| {
            let text = keys.iter().find_map(|key| found.get(key))?;
            config::parse(text).ok()
        };
        Ok(wanted.iter().map(pod).collect())
    }
}

export_processor!(K8sEnrich);

#[cfg(test)]
mod tests {
    use traceweir_plugin::testing::{Fixture, Host, Resource, Span, process, refusal};

    use super::*;

    fn host() {
        Host::default()
            .table(
                "k8s",
                [
                    ("pod_ip/10.0.0.1", r#"{"k8s.pod.name": "shop-1", "k8s.node.name": "n1", "k8s.pod.labels.app": "shop"}"#),
                    ("pod_uid/u-2", r#"{"k8s.pod.name": "pay-1", "k8s.pod.restarts": 3, "k8s.node.name": ""}"#),
                    ("pod_name/web/cart-1", r#"{"k8s.pod.uid": "u-3"}"#),
                    ("container_id/c-4", "no JSON"),
                ],
            )
            .install();
    }

    fn after(config: &str, resource: Resource) -> Vec<(String, Any)> {
        host();
        let fixture = Fixture::new().resource(resource.span(Span::new("span")));
        process::<K8sEnrich>(config, &fixture).unwrap().resources[0].attributes.clone()
    }

    fn list<const N: usize>(pairs: [(&str, Any); N]) -> Vec<(String, Any)> {
        pairs.map(|(key, value)| (key.to_owned(), value)).to_vec()
    }

    #[test]
    fn a_pod_is_found_by_the_address_that_it_sends_from() {
        let wanted = list([
            ("k8s.node.name", "n1".into()),
            ("k8s.pod.labels.app", "shop".into()),
            ("k8s.pod.name", "shop-1".into()),
        ]);
        assert_eq!(after("{}", Resource::new().peer("10.0.0.1")), wanted);
        assert_eq!(after("{}", Resource::new().peer("10.0.0.9")), []);
    }

    #[test]
    fn what_the_resource_says_of_itself_stays_and_comes_first() {
        let resource =
            Resource::new().with("k8s.pod.uid", "u-2").with("k8s.pod.name", "own").peer("10.0.0.1");
        let wanted = list([
            ("k8s.pod.uid", "u-2".into()),
            ("k8s.pod.name", "own".into()),
            ("k8s.pod.restarts", 3_i64.into()),
        ]);
        assert_eq!(after("{}", resource), wanted);
    }

    #[test]
    fn a_name_is_looked_up_with_its_namespace() {
        let resource = || Resource::new().with("k8s.pod.name", "cart-1");
        let found = after("{}", resource().with("k8s.namespace.name", "web"));
        assert_eq!(found.last(), Some(&("k8s.pod.uid".to_owned(), "u-3".into())));
        assert_eq!(after("{}", resource()).len(), 1);
    }

    #[test]
    fn only_what_is_extracted_is_added() {
        let config = r#"{"extract": ["k8s.pod.labels.*", "k8s.pod.name"]}"#;
        let wanted =
            list([("k8s.pod.labels.app", "shop".into()), ("k8s.pod.name", "shop-1".into())]);
        assert_eq!(after(config, Resource::new().peer("10.0.0.1")), wanted);
        let (_, projection) = K8sEnrich::configure(config).unwrap();
        assert_eq!(projection.writes, [Field::attributes(Owner::Resource, "k8s.pod.")]);
    }

    #[test]
    fn associations_are_tried_one_after_the_other() {
        let config = r#"{"pod_association": [
            {"sources": [{"from": "resource_attribute", "name": "container.id"}]},
            {"sources": [{"from": "connection"}]}
        ]}"#;
        let resource = Resource::new().with("container.id", "c-9").peer("10.0.0.1");
        assert_eq!(after(config, resource).len(), 4);
        let resource = Resource::new().with("container.id", "c-4").peer("10.0.0.1");
        assert_eq!(after(config, resource).len(), 1, "what is no JSON adds nothing");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let refusal = |config: &str| refusal::<K8sEnrich>(config).unwrap();
        let association = |sources: &str| {
            refusal(&format!(r#"{{"pod_association": [{{"sources": [{sources}]}}]}}"#))
        };
        assert!(
            association(r#"{"from": "resource_attribute", "name": "color"}"#)
                .starts_with("$.pod_association[0].sources: must be")
        );
        assert!(association("").starts_with("$.pod_association[0].sources: must be"));
        assert!(
            association(r#"{"from": "there"}"#)
                .starts_with("$.pod_association[0].sources[0].from: unknown variant")
        );
        assert_eq!(refusal(r#"{"auth_type": "none"}"#), "$.auth_type: unknown");
    }
}
