//! Runs plugins on fixtures.

use super::apply::apply;
use super::decoded::Decoded;
use super::fixture::Fixture;
use crate::batch::Batch;
use crate::error::ConfigError;
use crate::plugin::{HeadSampler, Plugin, Processor, TailSampler};

/// What a run may fail with: a configuration that is refused, an error of the plugin, or an answer that a host would
/// refuse.
pub type Failure = Box<dyn std::error::Error>;

/// Has a processor work on the spans, and gives them as it leaves them.
///
/// # Errors
///
/// When the configuration, the batch or the answer is refused.
pub fn process<P: Processor>(config: &str, fixture: &Fixture) -> Result<Fixture, Failure> {
    let (mut plugin, projection) = P::configure(config)?;
    let batch = fixture.batch(&projection);
    let answer = plugin.process(&Batch::parse(&batch)?)?;
    let answer = Decoded::parse(&answer.encode())?;
    Ok(apply(fixture, &projection, &answer)?)
}

/// Has a processor work on the spans, and gives its answer.
///
/// # Errors
///
/// When the configuration, the batch or the answer is refused.
pub fn answer<P: Processor>(config: &str, fixture: &Fixture) -> Result<Decoded, Failure> {
    let (mut plugin, projection) = P::configure(config)?;
    let batch = fixture.batch(&projection);
    let answer = Decoded::parse(&plugin.process(&Batch::parse(&batch)?)?.encode())?;
    apply(fixture, &projection, &answer)?;
    Ok(answer)
}

/// Has a head sampler decide on the spans.
///
/// # Errors
///
/// When the configuration or the batch is refused, or rows of one trace have different verdicts.
pub fn sample<P: HeadSampler>(config: &str, fixture: &Fixture) -> Result<Decoded, Failure> {
    let (mut plugin, projection) = P::configure(config)?;
    let batch = fixture.batch(&projection);
    let answer = plugin.sample(&Batch::parse(&batch)?)?;
    let answer = Decoded::parse(&answer.encode())?;
    let rows: Vec<_> = fixture.spans().zip(&answer.verdicts).collect();
    for (span, verdict) in &rows {
        let same = |other: &&(&super::fixture::Span, _)| other.0.trace_id == span.trace_id;
        if rows.iter().filter(same).any(|other| other.1 != *verdict) {
            return Err("rows of one trace have different verdicts".into());
        }
    }
    Ok(answer)
}

/// Has a tail sampler decide on the traces of the fixture, in the order in which they first occur.
///
/// # Errors
///
/// When the configuration or the batch is refused.
pub fn decide<P: TailSampler>(config: &str, fixture: &Fixture) -> Result<Decoded, Failure> {
    let (mut plugin, projection) = P::configure(config)?;
    let batch = fixture.traces(&projection, plugin.level());
    let answer = plugin.decide(&Batch::parse(&batch)?)?;
    Ok(Decoded::parse(&answer.encode())?)
}

/// Why a configuration is refused, as `path: words`; `None` where it is accepted.
#[must_use]
pub fn refusal<P: Plugin>(config: &str) -> Option<String> {
    P::configure(config).err().map(|error: ConfigError| error.to_string())
}
