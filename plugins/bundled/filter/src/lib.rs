//! A processor that drops or keeps spans by a condition, which is written as a filter of a query: `{ … }` of TraceQL.
//!
//! The condition is compiled once to tests of columns; a test of a text is made once for each text of a batch. What
//! asks for more than the span itself (other spans of the trace, aggregates) is refused by its name, as a batch need
//! not have the whole trace.

mod compile;
mod field;
mod truth;
mod value;

use serde::Deserialize;
use traceweir_plugin::{
    Answer, Batch, ConfigError, Info, Plugin, PluginError, Processor, Projection, config,
    export_processor,
};

use self::compile::Condition;
use self::truth::Truth;

/// What `configure` takes: one of both.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    /// Spans for which it is true are dropped.
    drop: Option<String>,
    /// Spans for which it is not true are dropped.
    keep: Option<String>,
}

/// An instance.
#[derive(Debug)]
pub struct Filter {
    condition: Condition,
    /// What the condition is of the spans that are dropped.
    drops: bool,
}

impl Plugin for Filter {
    fn describe() -> Info {
        Info {
            name: "filter".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            description: "drops or keeps spans by a condition in TraceQL".to_owned(),
            config_schema: include_str!("../schema.json").to_owned(),
            stateless: true,
        }
    }

    fn configure(json: &str) -> Result<(Self, Projection), ConfigError> {
        let (path, text, drops) = match config::parse(json)? {
            Config { drop: Some(text), keep: None } => ("$.drop", text, true),
            Config { drop: None, keep: Some(text) } => ("$.keep", text, false),
            _ => return Err(ConfigError::new("$", "must have either drop or keep")),
        };
        let mut projection = Projection::default();
        let condition =
            Condition::new(&text, &mut projection).map_err(|why| ConfigError::new(path, why))?;
        Ok((Self { condition, drops }, projection))
    }
}

impl Processor for Filter {
    fn process(&mut self, batch: &Batch<'_>) -> Result<Answer, PluginError> {
        let truths = self.condition.truths(batch)?;
        let mut answer = Answer::edits(batch);
        for (row, truth) in truths.into_iter().enumerate() {
            if (truth == Truth::Yes) == self.drops {
                answer.drop_span(row, "filter");
            }
        }
        Ok(answer)
    }
}

export_processor!(Filter);

#[cfg(test)]
mod tests;
