//! A tail sampler that keeps traces with errors, those that take long, and a share of the rest.

use serde::Deserialize;
use traceweir_plugin::{
    Answer, Batch, ConfigError, Info, InputLevel, Plugin, PluginError, Projection, TailSampler,
    Verdict, config, export_tail_sampler,
};

/// The configuration.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    /// From how many milliseconds on a trace takes long.
    slow_ms: u32,
    /// The share that is kept of all other traces.
    ratio: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self { slow_ms: 500, ratio: 0.1 }
    }
}

/// What `configure` has made.
pub struct MyPlugin {
    slow_nano: u64,
    ratio: f64,
}

impl Plugin for MyPlugin {
    fn describe() -> Info {
        Info {
            name: "my-plugin".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            description: "keeps traces with errors, slow ones, and a share of the rest".to_owned(),
            // A JSON Schema, which the host holds configurations against; empty: it does not.
            config_schema: String::new(),
            // Same traces, same decisions: replicas and replays agree.
            stateless: true,
        }
    }

    /// Called once, before any batch.
    fn configure(json: &str) -> Result<(Self, Projection), ConfigError> {
        let Config { slow_ms, ratio } = config::parse(json)?;
        if !(0.0..=1.0).contains(&ratio) {
            return Err(ConfigError::new("$.ratio", "must be from 0 to 1"));
        }
        // The table of traces says enough: no column of their spans is read.
        Ok((Self { slow_nano: u64::from(slow_ms) * 1_000_000, ratio }, Projection::default()))
    }
}

impl TailSampler for MyPlugin {
    fn level(&self) -> InputLevel {
        InputLevel::Summary
    }

    /// Called when nothing more is expected of some traces.
    fn decide(&mut self, batch: &Batch<'_>) -> Result<Answer, PluginError> {
        let traces = batch.traces()?;
        let mut answer = Answer::of_traces(batch);
        for trace in 0..traces.len() {
            if traces.errors.get(trace).is_some_and(|errors| errors > 0) {
                answer.decide(trace, Verdict::Keep, "error");
            } else if traces.durations.get(trace).is_some_and(|of| of >= self.slow_nano) {
                answer.decide(trace, Verdict::Keep, "slow");
            } else {
                // The host draws, by the id of the trace.
                answer.decide(trace, Verdict::Probability(self.ratio), "ratio");
            }
        }
        Ok(answer)
    }
}

export_tail_sampler!(MyPlugin);

#[cfg(test)]
mod tests {
    use traceweir_plugin::testing::{Fixture, Resource, Span, decide, refusal};

    use super::*;

    #[test]
    fn errors_and_slow_traces_are_kept() {
        let spans = Resource::new()
            .span(Span::new("cart").trace(1).ms(10))
            .span(Span::new("pay").trace(2).ms(10).error("no answer"))
            .span(Span::new("report").trace(3).ms(600));
        let decided = decide::<MyPlugin>("{}", &Fixture::new().resource(spans)).unwrap();
        let reasons: Vec<_> = (0..3).map(|trace| decided.reason(trace)).collect();
        assert_eq!(reasons, [Some("ratio"), Some("error"), Some("slow")]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let refusal = |config| refusal::<MyPlugin>(config).unwrap();
        assert_eq!(refusal(r#"{"ratio": 2}"#), "$.ratio: must be from 0 to 1");
    }
}
