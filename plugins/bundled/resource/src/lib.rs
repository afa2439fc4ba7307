//! A processor that inserts, changes and removes attributes of resources, as the Collector's `resource` does; its
//! configuration is taken as it is.

use kit::actions::{ActionConfig, Actions};
use serde::Deserialize;
use traceweir_plugin::{
    Answer, Batch, ConfigError, Info, Owner, Plugin, PluginError, Processor, Projection, config,
    export_processor,
};

/// What `configure` takes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    attributes: Vec<ActionConfig>,
}

/// An instance.
#[derive(Debug)]
pub struct Resource {
    actions: Actions,
}

impl Plugin for Resource {
    fn describe() -> Info {
        Info {
            name: "resource".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            description: "inserts, changes and removes attributes of resources".to_owned(),
            config_schema: include_str!("../schema.json").to_owned(),
            stateless: true,
        }
    }

    fn configure(json: &str) -> Result<(Self, Projection), ConfigError> {
        let Config { attributes } = config::parse(json)?;
        let mut projection = Projection::default();
        let path = "$.attributes";
        let actions = Actions::new(path, attributes, Owner::Resource, true, &mut projection)?;
        Ok((Self { actions }, projection))
    }
}

impl Processor for Resource {
    fn process(&mut self, batch: &Batch<'_>) -> Result<Answer, PluginError> {
        let mut answer = Answer::edits(batch);
        self.actions.run(batch, None, &mut answer)?;
        Ok(answer)
    }
}

export_processor!(Resource);

#[cfg(test)]
mod tests {
    use traceweir_plugin::Any;
    use traceweir_plugin::testing::{self, Fixture, Span, process, refusal};

    use super::*;

    fn after(config: &str, resource: testing::Resource) -> testing::Resource {
        let fixture =
            Fixture::new().resource(resource.span(Span::new("span").with("zone", "span")));
        let after = process::<Resource>(config, &fixture).unwrap();
        let spans: Vec<_> = after.spans().collect();
        assert_eq!(spans, fixture.spans().collect::<Vec<_>>(), "spans stay as they are");
        after.resources.into_iter().next().unwrap()
    }

    #[test]
    fn actions_are_done_one_after_the_other() {
        let config = r#"{"attributes": [
            {"action": "upsert", "key": "cluster", "value": "eu-1"},
            {"action": "insert", "key": "zone", "from_attribute": "cluster"},
            {"action": "delete", "pattern": "^process\\."},
            {"action": "rename", "key": "service.version", "from_attribute": "version"}
        ]}"#;
        let resource = testing::Resource::new()
            .with("process.pid", 7_i64)
            .with("process.command", "shop")
            .with("version", "1.2");
        let wanted = testing::Resource::new()
            .with("cluster", "eu-1")
            .with("zone", "eu-1")
            .with("service.version", "1.2");
        assert_eq!(after(config, resource).attributes, wanted.attributes);
    }

    #[test]
    fn insert_leaves_what_is_there() {
        let config = r#"{"attributes": [{"action": "insert", "key": "zone", "value": "b"}]}"#;
        let resource = testing::Resource::new().with("zone", "a");
        assert_eq!(after(config, resource).get("zone"), Some(&Any::from("a")));
    }

    #[test]
    fn a_value_may_be_the_address_that_it_came_from() {
        let config = r#"{"attributes": [{"action": "upsert", "key": "peer", "from_context": "client.address"}]}"#;
        let resource = testing::Resource::new().with("peer", "old").peer("10.0.0.1");
        assert_eq!(after(config, resource).get("peer"), Some(&Any::from("10.0.0.1")));
        let resource = testing::Resource::new().with("peer", "old");
        assert_eq!(after(config, resource).get("peer"), Some(&Any::from("old")), "unknown");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let refusal = |config| refusal::<Resource>(config).unwrap();
        assert_eq!(refusal(r#"{"attributes": []}"#), "$.attributes: must have an action");
        assert_eq!(
            refusal(r#"{"attributes": [{"action": "insert", "key": "a"}]}"#),
            "$.attributes[0].value: is missing"
        );
        assert_eq!(
            refusal(r#"{"attributes": [{"action": "insert", "kay": "a"}]}"#),
            "$.attributes[0].kay: unknown"
        );
    }
}
