//! A processor that tells each span the team of its resource's namespace: the lookup of `plugins/benches/rows.rs`.

use std::collections::HashMap;

use serde::Deserialize;
use traceweir_plugin::{
    Answer, Batch, ConfigError, Field, Info, Owner, Plugin, PluginError, Processor, Projection,
    Read, Write, config, export_processor,
};

/// What `configure` takes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Teams, by their namespaces.
    teams: HashMap<String, String>,
}

/// An instance.
#[derive(Debug)]
pub struct Enrich {
    teams: HashMap<String, String>,
    namespace: Read,
    team: Write,
}

impl Plugin for Enrich {
    fn describe() -> Info {
        Info {
            name: "enrich".to_owned(),
            version: "0.1.0".to_owned(),
            description: "tells spans the team of their namespace".to_owned(),
            config_schema: String::new(),
            stateless: true,
        }
    }

    fn configure(json: &str) -> Result<(Self, Projection), ConfigError> {
        let Config { teams } = config::parse(json)?;
        let mut projection = Projection::default();
        let namespace = projection.read(Field::attribute(Owner::Resource, "k8s.namespace.name"));
        let team = projection.write(Field::attribute(Owner::Span, "team"));
        Ok((Self { teams, namespace, team }, projection))
    }
}

impl Processor for Enrich {
    fn process(&mut self, batch: &Batch<'_>) -> Result<Answer, PluginError> {
        let namespaces = batch.column(self.namespace)?;
        let mut answer = Answer::edits(batch);
        // Each resource says it for all its spans.
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

export_processor!(Enrich);
