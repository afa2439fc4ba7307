//! A processor that drops the spans of health checks.

use serde::Deserialize;
use traceweir_plugin::{
    Answer, Batch, ConfigError, Field, Info, Owner, Plugin, PluginError, Processor, Projection,
    Read, config, export_processor,
};

/// The configuration.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Those that are asked for by health checks.
    #[serde(default = "healthz")]
    paths: Vec<String>,
}

fn healthz() -> Vec<String> {
    vec!["/healthz".to_owned()]
}

/// What `configure` has made.
pub struct MyPlugin {
    paths: Vec<String>,
    path: Read,
}

impl Plugin for MyPlugin {
    fn describe() -> Info {
        Info {
            name: "my-plugin".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            description: "drops the spans of health checks".to_owned(),
            // A JSON Schema, which the host holds configurations against; empty: it does not.
            config_schema: String::new(),
            // Same batch, same answer: the host may run an instance per thread.
            stateless: true,
        }
    }

    /// Called once, before any batch. It says what is read and written: nothing else is passed.
    fn configure(json: &str) -> Result<(Self, Projection), ConfigError> {
        let Config { paths } = config::parse(json)?;
        if paths.is_empty() {
            return Err(ConfigError::new("$.paths", "must name a path"));
        }
        let mut projection = Projection::default();
        let path = projection.read(Field::attribute(Owner::Span, "url.path"));
        Ok((Self { paths, path }, projection))
    }
}

impl Processor for MyPlugin {
    /// Called for each batch.
    fn process(&mut self, batch: &Batch<'_>) -> Result<Answer, PluginError> {
        let column = batch.column(self.path)?;
        // A path that occurs often is looked up once.
        let checks: Vec<bool> =
            column.values().map(|path| self.paths.iter().any(|check| check == path)).collect();
        let mut answer = Answer::edits(batch);
        for row in 0..batch.rows() {
            if column.index(row).is_some_and(|path| checks.get(path) == Some(&true)) {
                answer.drop_span(row, "health check");
            }
        }
        Ok(answer)
    }
}

export_processor!(MyPlugin);

#[cfg(test)]
mod tests {
    use traceweir_plugin::testing::{Fixture, Resource, Span, process, refusal};

    use super::*;

    #[test]
    fn health_checks_are_dropped() {
        let spans = Resource::new()
            .span(Span::new("probe").with("url.path", "/healthz"))
            .span(Span::new("cart").with("url.path", "/cart"))
            .span(Span::new("job"));
        let after = process::<MyPlugin>("{}", &Fixture::new().resource(spans)).unwrap();
        let names: Vec<&str> = after.spans().map(|span| span.name.as_str()).collect();
        assert_eq!(names, ["cart", "job"]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let refusal = |config| refusal::<MyPlugin>(config).unwrap();
        assert_eq!(refusal(r#"{"path": []}"#), "$.path: unknown");
        assert_eq!(refusal(r#"{"paths": []}"#), "$.paths: must name a path");
    }
}
