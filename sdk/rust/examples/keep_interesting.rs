//! A head sampler: keeps what failed, what was slow, and a share of the rest. All spans that a batch has of a trace
//! share their fate.

use serde::Deserialize;
use traceweir_plugin::{
    Answer, Batch, ConfigError, HeadSampler, Info, Intrinsic, Plugin, PluginError, Projection,
    Verdict, config, export_head_sampler,
};

/// What `configure` takes.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    /// From how many milliseconds on a span is slow.
    slow_ms: u32,
    /// The share that is kept of all other traces.
    ratio: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self { slow_ms: 500, ratio: 0.1 }
    }
}

/// An instance.
#[derive(Debug)]
pub struct KeepInteresting {
    slow_nano: u64,
    ratio: f64,
}

/// Why a trace is kept, from the weakest reason to the strongest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Why {
    Ratio,
    Slow,
    Error,
}

const ERROR: u8 = 2;

impl Plugin for KeepInteresting {
    fn describe() -> Info {
        Info {
            name: "keep-interesting".to_owned(),
            version: "0.1.0".to_owned(),
            description: "keeps traces with errors, slow ones, and a share of the rest".to_owned(),
            config_schema: r#"{
                "type": "object",
                "properties": {
                    "slow_ms": { "type": "integer", "minimum": 0, "maximum": 4294967295 },
                    "ratio": { "type": "number", "minimum": 0, "maximum": 1 }
                }
            }"#
            .to_owned(),
            stateless: true,
        }
    }

    fn configure(json: &str) -> Result<(Self, Projection), ConfigError> {
        let Config { slow_ms, ratio } = config::parse(json)?;
        if !(0.0..=1.0).contains(&ratio) {
            return Err(ConfigError::new("$.ratio", "must be from 0 to 1"));
        }
        let mut projection = Projection::default();
        projection.read(Intrinsic::TraceId);
        projection.read(Intrinsic::Duration);
        projection.read(Intrinsic::StatusCode);
        Ok((Self { slow_nano: u64::from(slow_ms) * 1_000_000, ratio }, projection))
    }
}

impl HeadSampler for KeepInteresting {
    fn sample(&mut self, batch: &Batch<'_>) -> Result<Answer, PluginError> {
        let durations = batch.durations()?;
        let statuses = batch.status_codes()?;
        let traces = batch.group_by_trace()?;
        let whys = traces.fold(Why::Ratio, |why, row| {
            let slow = durations.get(row).is_some_and(|duration| duration >= self.slow_nano);
            *why = (*why).max(match statuses.get(row) {
                Some(&ERROR) => Why::Error,
                _ if slow => Why::Slow,
                _ => Why::Ratio,
            });
        });
        let mut answer = Answer::of_rows(batch);
        for (row, trace) in traces.iter().enumerate() {
            match whys.get(trace) {
                Some(Why::Error) => answer.decide(row, Verdict::Keep, "error"),
                Some(Why::Slow) => answer.decide(row, Verdict::Keep, "slow"),
                _ => answer.decide(row, Verdict::Probability(self.ratio), "ratio"),
            }
        }
        Ok(answer)
    }
}

export_head_sampler!(KeepInteresting);
