//! A head sampler that keeps so many spans in a second, for all together or for each service.
//!
//! The host counts what is kept; the sampler answers the probability with which a batch fits into what is left. So
//! it remembers nothing, and gives the same answer whenever it is asked again.

use serde::Deserialize;
use traceweir_plugin::{
    Answer, Attribute, Batch, Budget, BudgetAt, Budgets, ConfigError, HeadSampler, Info, Intrinsic,
    Owner, Plugin, PluginError, Projection, Verdict, config, export_head_sampler,
};

/// What `configure` takes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// How many spans are kept in a second, on average over the window.
    spans_per_second: f64,
    /// The resource attribute whose values have a limit each; none: one for all.
    #[serde(default)]
    per: Option<String>,
    /// The window in which spans are counted.
    #[serde(default = "one")]
    window_seconds: f64,
}

fn one() -> f64 {
    1.0
}

/// Windows that the host can count in, in seconds.
const WINDOW_SECONDS: std::ops::RangeInclusive<f64> = 0.1..=3600.0;
/// More spans than any gateway takes in a second.
const SPANS_PER_SECOND_MAX: f64 = 1e9;

/// An instance.
#[derive(Debug)]
pub struct RateLimitingSampler {
    budget: BudgetAt,
}

impl Plugin for RateLimitingSampler {
    fn describe() -> Info {
        Info {
            name: "rate-limiting-sampler".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            description: "keeps so many spans in a second".to_owned(),
            config_schema: include_str!("../schema.json").to_owned(),
            stateless: true,
        }
    }

    fn configure(json: &str) -> Result<(Self, Projection), ConfigError> {
        let Config { spans_per_second, per, window_seconds } = config::parse(json)?;
        if !(0.0..=SPANS_PER_SECOND_MAX).contains(&spans_per_second) {
            return Err(ConfigError::new("$.spans_per_second", "must be from 0 to 1000000000"));
        }
        if !WINDOW_SECONDS.contains(&window_seconds) {
            return Err(ConfigError::new("$.window_seconds", "must be from 0.1 to 3600"));
        }
        if per.as_ref().is_some_and(|key| key.is_empty() || key.len() > 512) {
            return Err(ConfigError::new("$.per", "must have 1 to 512 bytes"));
        }
        let mut projection = Projection::default();
        projection.read(Intrinsic::TraceId);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "neither is negative, and both are small enough"
        )]
        let budget = projection.budget(Budget {
            name: "spans".to_owned(),
            per: per.map(|key| Attribute::new(Owner::Resource, key)),
            limit: (spans_per_second * window_seconds).round() as u64,
            window_ms: (window_seconds * 1000.0).round() as u32,
        });
        Ok((Self { budget }, projection))
    }
}

impl HeadSampler for RateLimitingSampler {
    fn sample(&mut self, batch: &Batch<'_>) -> Result<Answer, PluginError> {
        let budgets = batch.budget(self.budget)?;
        let shares = shares(&budgets, batch.rows());
        let traces = batch.group_by_trace()?;
        // All rows of a trace share its fate: that of the budget of which least is left.
        let fates = traces.fold(None, |fate: &mut Option<f64>, row| {
            let share = budgets.of(row).and_then(|budget| shares.get(budget)).copied();
            *fate = match (*fate, share) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
        });
        let mut answer = Answer::of_rows(batch);
        for (row, trace) in traces.iter().enumerate() {
            match fates.get(trace).copied().flatten() {
                Some(share) => answer.decide(row, Verdict::Probability(share), "rate"),
                None => answer.decide(row, Verdict::Keep, "no limit"),
            }
        }
        Ok(answer)
    }
}

/// The share of its rows for which each budget has room.
fn shares(budgets: &Budgets<'_>, rows: usize) -> Vec<f64> {
    let mut wanted = vec![0_u64; budgets.keys().len()];
    for budget in (0..rows).filter_map(|row| budgets.of(row)) {
        if let Some(wanted) = wanted.get_mut(budget) {
            *wanted += 1;
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "counts of spans, far below 2^53")]
    let share = |(budget, wanted)| (budgets.left(budget) as f64 / wanted as f64).min(1.0);
    // Who wants nothing is not asked: 0 / 0 is nobody's share.
    wanted
        .into_iter()
        .enumerate()
        .map(share)
        .map(|share| if share.is_nan() { 1.0 } else { share })
        .collect()
}

export_head_sampler!(RateLimitingSampler);

#[cfg(test)]
mod tests {
    use traceweir_plugin::testing::{Fixture, Resource, Span, refusal, sample};

    use super::*;

    fn service(name: &str, traces: std::ops::Range<u64>) -> Resource {
        let resource = Resource::new().with("service.name", name);
        traces.map(|trace| Span::new("span").trace(trace)).fold(resource, Resource::span)
    }

    fn verdicts(config: &str, fixture: &Fixture) -> Vec<Verdict> {
        sample::<RateLimitingSampler>(config, fixture).unwrap().verdicts
    }

    use Verdict::Probability;

    #[test]
    fn a_batch_has_the_share_that_is_left() {
        let fixture = Fixture::new().resource(service("shop", 0..10));
        let config = r#"{"spans_per_second": 100}"#;
        assert_eq!(verdicts(config, &fixture), vec![Probability(1.0); 10]);
        assert_eq!(verdicts(config, &fixture.clone().used(0, "", 95)), vec![Probability(0.5); 10]);
        assert_eq!(verdicts(config, &fixture.used(0, "", 200)), vec![Probability(0.0); 10]);
    }

    #[test]
    fn each_service_has_a_limit_of_its_own() {
        let fixture = Fixture::new()
            .resource(service("shop", 0..4))
            .resource(service("pay", 10..12))
            .resource(Resource::new().span(Span::new("nobody's").trace(20)))
            .used(0, "shop", 8);
        let config = r#"{"spans_per_second": 10, "per": "service.name"}"#;
        let verdicts = verdicts(config, &fixture);
        assert_eq!(verdicts[..4], [Probability(0.5); 4]);
        assert_eq!(verdicts[4..6], [Probability(1.0); 2]);
        assert_eq!(verdicts[6], Verdict::Keep);
    }

    #[test]
    fn a_trace_has_the_smallest_share_of_its_services() {
        let fixture = Fixture::new()
            .resource(service("shop", 1..2))
            .resource(service("pay", 1..3))
            .used(0, "pay", 9);
        let config = r#"{"spans_per_second": 10, "per": "service.name"}"#;
        assert_eq!(verdicts(config, &fixture), [Probability(0.5); 3]);
    }

    #[test]
    fn the_host_counts_in_the_window() {
        let config = r#"{"spans_per_second": 0.5, "window_seconds": 60}"#;
        let (_, projection) = RateLimitingSampler::configure(config).unwrap();
        let budget = &projection.budgets[0];
        assert_eq!((budget.limit, budget.window_ms), (30, 60_000));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let refusal = |config| refusal::<RateLimitingSampler>(config).unwrap();
        assert_eq!(
            refusal(r#"{"spans_per_second": -1}"#),
            "$.spans_per_second: must be from 0 to 1000000000"
        );
        assert_eq!(
            refusal(r#"{"spans_per_second": 1, "per": ""}"#),
            "$.per: must have 1 to 512 bytes"
        );
        assert_eq!(
            refusal(r#"{"spans_per_second": 1, "window_seconds": 0}"#),
            "$.window_seconds: must be from 0.1 to 3600"
        );
    }
}
