//! A head sampler that keeps a share of all traces, and of the traces of some services another share.
//!
//! It answers probabilities; the host draws by the trace id, so that all processes that see a trace agree, and spans
//! tell by `ot=th:` of their tracestate for how many they stand.

use std::collections::BTreeMap;

use serde::Deserialize;
use traceweir_plugin::{
    Answer, Batch, ConfigError, Field, HeadSampler, Info, Intrinsic, Owner, Plugin, PluginError,
    Projection, Read, Verdict, config, export_head_sampler,
};

/// What `configure` takes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The share that is kept, from 0 to 1.
    ratio: f64,
    /// Shares of services, by their names.
    #[serde(default)]
    services: BTreeMap<String, f64>,
}

/// An instance.
#[derive(Debug)]
pub struct ProbabilisticSampler {
    ratio: f64,
    services: BTreeMap<String, f64>,
    service_name: Read,
}

const REASON: &str = "probabilistic";

impl Plugin for ProbabilisticSampler {
    fn describe() -> Info {
        Info {
            name: "probabilistic-sampler".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            description: "keeps a share of all traces".to_owned(),
            config_schema: include_str!("../schema.json").to_owned(),
            stateless: true,
        }
    }

    fn configure(json: &str) -> Result<(Self, Projection), ConfigError> {
        let Config { ratio, services } = config::parse(json)?;
        check("$.ratio", ratio)?;
        for (service, ratio) in &services {
            check(&format!("$.services.{service}"), *ratio)?;
        }
        let mut projection = Projection::default();
        let mut service_name = Read::from(0);
        // One share for all needs no columns at all.
        if !services.is_empty() {
            service_name = projection.read(Field::attribute(Owner::Resource, "service.name"));
            projection.read(Intrinsic::TraceId);
            projection.read(Intrinsic::ResourceIndex);
        }
        Ok((Self { ratio, services, service_name }, projection))
    }
}

fn check(path: &str, ratio: f64) -> Result<(), ConfigError> {
    if (0.0..=1.0).contains(&ratio) {
        return Ok(());
    }
    Err(ConfigError::new(path, "must be from 0 to 1"))
}

impl HeadSampler for ProbabilisticSampler {
    fn sample(&mut self, batch: &Batch<'_>) -> Result<Answer, PluginError> {
        let mut answer = Answer::of_rows(batch);
        if self.services.is_empty() {
            for row in 0..batch.rows() {
                answer.decide(row, Verdict::Probability(self.ratio), REASON);
            }
            return Ok(answer);
        }
        let ratios = self.ratios(batch)?;
        let resources = batch.resource_indices()?;
        let traces = batch.group_by_trace()?;
        // All rows of a trace share its fate: that of the service that is kept most.
        let shares = traces.fold(0.0_f64, |share, row| {
            let resource = resources.get(row).unwrap_or_default() as usize;
            *share = share.max(ratios.get(resource).copied().unwrap_or(self.ratio));
        });
        for (row, trace) in traces.iter().enumerate() {
            let share = shares.get(trace).copied().unwrap_or(self.ratio);
            answer.decide(row, Verdict::Probability(share), REASON);
        }
        Ok(answer)
    }
}

impl ProbabilisticSampler {
    /// The share of each resource.
    fn ratios(&self, batch: &Batch<'_>) -> Result<Vec<f64>, PluginError> {
        let names = batch.column(self.service_name)?;
        let ratio = |resource| {
            let ratio = names.text(resource).and_then(|name| self.services.get(name));
            ratio.copied().unwrap_or(self.ratio)
        };
        Ok((0..batch.resources()).map(ratio).collect())
    }
}

export_head_sampler!(ProbabilisticSampler);

#[cfg(test)]
mod tests {
    use traceweir_plugin::testing::{Fixture, Resource, Span, refusal, sample};

    use super::*;

    fn service(name: &str) -> Resource {
        Resource::new().with("service.name", name)
    }

    fn shares(config: &str, fixture: &Fixture) -> Vec<f64> {
        let answer = sample::<ProbabilisticSampler>(config, fixture).unwrap();
        let share = |verdict: &Verdict| match verdict {
            Verdict::Probability(share) => *share,
            other => panic!("{other:?}"),
        };
        answer.verdicts.iter().map(share).collect()
    }

    #[test]
    fn every_row_has_the_ratio() {
        let fixture =
            Fixture::new().resource(service("shop").span(Span::new("a")).span(Span::new("b")));
        assert_eq!(shares(r#"{"ratio": 0.25}"#, &fixture), [0.25, 0.25]);
    }

    #[test]
    fn one_ratio_for_all_reads_nothing() {
        let (_, projection) = ProbabilisticSampler::configure(r#"{"ratio": 0.25}"#).unwrap();
        assert!(projection.reads.is_empty());
    }

    #[test]
    fn a_trace_has_the_highest_ratio_of_its_services() {
        let fixture = Fixture::new()
            .resource(service("shop").span(Span::new("a").trace(1)).span(Span::new("b").trace(2)))
            .resource(service("pay").span(Span::new("c").trace(1)))
            .resource(service("noise").span(Span::new("d").trace(2)).span(Span::new("e").trace(3)))
            .resource(Resource::new().span(Span::new("f").trace(4)));
        let config = r#"{"ratio": 0.1, "services": {"pay": 1, "noise": 0.01}}"#;
        assert_eq!(shares(config, &fixture), [1.0, 0.1, 1.0, 0.1, 0.01, 0.1]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let refusal = |config| refusal::<ProbabilisticSampler>(config).unwrap();
        assert_eq!(refusal(r#"{"ratio": 2}"#), "$.ratio: must be from 0 to 1");
        assert_eq!(
            refusal(r#"{"ratio": 1, "services": {"a": -1}}"#),
            "$.services.a: must be from 0 to 1"
        );
        assert_eq!(refusal(r#"{"ratio": 1, "foo": 1}"#), "$.foo: unknown");
        assert_eq!(refusal("{}"), "$.ratio: is missing");
    }
}
