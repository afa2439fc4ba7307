//! A processor that keeps a share of all traces by their ids, and drops the spans of the others: the filter of
//! `plugins/benches/rows.rs`.

use serde::Deserialize;
use traceweir_plugin::{
    Answer, Batch, ConfigError, Info, Intrinsic, Plugin, PluginError, Processor, Projection,
    config, export_processor,
};

/// What `configure` takes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// One trace in so many is kept.
    one_in: u32,
}

/// An instance.
#[derive(Debug)]
pub struct Tenth {
    /// The least of the last 56 bits of an id that is kept.
    threshold: u64,
}

const ALL: u64 = 1 << 56;

impl Plugin for Tenth {
    fn describe() -> Info {
        Info {
            name: "tenth".to_owned(),
            version: "0.1.0".to_owned(),
            description: "keeps a share of all traces by their ids".to_owned(),
            config_schema: String::new(),
            stateless: true,
        }
    }

    fn configure(json: &str) -> Result<(Self, Projection), ConfigError> {
        let Config { one_in } = config::parse(json)?;
        if one_in == 0 {
            return Err(ConfigError::new("$.one_in", "must be 1 or more"));
        }
        let mut projection = Projection::default();
        projection.read(Intrinsic::TraceId);
        Ok((Self { threshold: ALL - ALL / u64::from(one_in) }, projection))
    }
}

impl Processor for Tenth {
    fn process(&mut self, batch: &Batch<'_>) -> Result<Answer, PluginError> {
        let mut answer = Answer::edits(batch);
        for (row, id) in batch.trace_ids()?.iter().enumerate() {
            let low = id.last_chunk().map_or(0, |low| u64::from_be_bytes(*low));
            if low & (ALL - 1) < self.threshold {
                answer.drop_span(row, "");
            }
        }
        Ok(answer)
    }
}

export_processor!(Tenth);
