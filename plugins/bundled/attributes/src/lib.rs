//! A processor that inserts, changes and removes attributes of spans, as the Collector's `attributes` does; its
//! configuration is taken as it is.

use kit::actions::{ActionConfig, Actions};
use kit::matching::{MatchConfig, Selection};
use serde::Deserialize;
use traceweir_plugin::{
    Answer, Batch, ConfigError, Info, Owner, Plugin, PluginError, Processor, Projection, config,
    export_processor,
};

/// What `configure` takes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    actions: Vec<ActionConfig>,
    include: Option<MatchConfig>,
    exclude: Option<MatchConfig>,
}

/// An instance.
#[derive(Debug)]
pub struct Attributes {
    selection: Selection,
    actions: Actions,
}

impl Plugin for Attributes {
    fn describe() -> Info {
        Info {
            name: "attributes".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            description: "inserts, changes and removes attributes of spans".to_owned(),
            config_schema: include_str!("../schema.json").to_owned(),
            stateless: true,
        }
    }

    fn configure(json: &str) -> Result<(Self, Projection), ConfigError> {
        let Config { actions, include, exclude } = config::parse(json)?;
        let mut projection = Projection::default();
        let selection = Selection::new(include, exclude, &mut projection)?;
        let all = selection.is_all();
        let actions = Actions::new("$.actions", actions, Owner::Span, all, &mut projection)?;
        Ok((Self { selection, actions }, projection))
    }
}

impl Processor for Attributes {
    fn process(&mut self, batch: &Batch<'_>) -> Result<Answer, PluginError> {
        let mut answer = Answer::edits(batch);
        let rows = self.selection.rows(batch)?;
        self.actions.run(batch, rows.as_deref(), &mut answer)?;
        Ok(answer)
    }
}

export_processor!(Attributes);

#[cfg(test)]
mod tests;
