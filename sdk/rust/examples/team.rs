//! A processor: tells which team a resource belongs to, by its Kubernetes namespace.

use std::collections::BTreeMap;

use serde::Deserialize;
use traceweir_plugin::{
    Answer, Batch, ConfigError, Field, Info, Owner, Plugin, PluginError, Processor, Projection,
    Read, Write, config, export_processor,
};

/// What `configure` takes.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    /// The resource attribute that gets the team.
    key: String,
    /// Teams, by their namespaces.
    teams: BTreeMap<String, String>,
}

impl Default for Config {
    fn default() -> Self {
        Self { key: "team".to_owned(), teams: BTreeMap::new() }
    }
}

/// An instance.
#[derive(Debug)]
pub struct Team {
    teams: BTreeMap<String, String>,
    namespace: Read,
    team: Write,
}

impl Plugin for Team {
    fn describe() -> Info {
        Info {
            name: "team".to_owned(),
            version: "0.1.0".to_owned(),
            description: "tells which team a resource belongs to, by its namespace".to_owned(),
            config_schema: r#"{
                "type": "object",
                "properties": {
                    "key": { "type": "string", "minLength": 1, "maxLength": 512 },
                    "teams": { "type": "object", "additionalProperties": { "type": "string" } }
                }
            }"#
            .to_owned(),
            stateless: true,
        }
    }

    fn configure(json: &str) -> Result<(Self, Projection), ConfigError> {
        let Config { key, teams } = config::parse(json)?;
        if key.is_empty() || key.len() > 512 {
            return Err(ConfigError::new("$.key", "must have 1 to 512 bytes"));
        }
        let mut projection = Projection::default();
        let namespace = projection.read(Field::attribute(Owner::Resource, "k8s.namespace.name"));
        let team = projection.write(Field::attribute(Owner::Resource, key));
        Ok((Self { teams, namespace, team }, projection))
    }
}

impl Processor for Team {
    fn process(&mut self, batch: &Batch<'_>) -> Result<Answer, PluginError> {
        let namespaces = batch.column(self.namespace)?;
        let mut answer = Answer::edits(batch);
        let teams = answer.set(self.team, Owner::Resource);
        for resource in 0..batch.resources() {
            let namespace = namespaces.text(resource);
            if let Some(team) = namespace.and_then(|namespace| self.teams.get(namespace)) {
                teams.put(resource, team.as_str());
            }
        }
        Ok(answer)
    }
}

export_processor!(Team);
