//! How long a plugin takes, step by step, beside what the same request takes without it.

use bytes::Bytes;
use model::Nanos;
use model::otlp::{Open, Rules, check_with};
use serde::Serialize;

use super::Subject;
use super::request::Request;
use super::run::{by_rows, takes_batches};
use crate::batch::{Around, Batch};
use crate::chain::ROWS_MAX;
use crate::configured::Configured;
use crate::draft::Draft;
use crate::error::{Error, Kind};
use crate::projection::Role;
use crate::route;
use crate::step;

/// Rounds before it counts: caches are warm then, and the plugin has the memory that it wants.
const WARM: usize = 3;

/// A step on the way of a request through a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// It is looked through, and where everything stands is noted.
    Read,
    /// What the plugin reads is put into a buffer.
    Project,
    /// The plugin is called, and its answer copied out.
    Call,
    /// The answer is held against the batch, and applied.
    Apply,
    /// The request is written anew, where something has changed.
    Write,
}

impl Step {
    /// All of them, in their order.
    pub const ALL: [Self; 5] = [Self::Read, Self::Project, Self::Call, Self::Apply, Self::Write];

    /// As it is told.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Project => "project",
            Self::Call => "call",
            Self::Apply => "apply",
            Self::Write => "write",
        }
    }
}

/// Medians of all rounds, in nanoseconds per span.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cost {
    /// Spans of a round.
    pub spans: usize,
    /// Rounds.
    pub rounds: usize,
    /// Each step.
    pub steps: [(Step, f64); 5],
    /// All steps together.
    pub in_all: f64,
    /// The same request without a plugin: it is looked through, and stays as it is.
    pub without: f64,
    /// What the plugin adds.
    pub adds: f64,
    /// Spans that one thread passes in a second.
    pub spans_per_second: f64,
    /// Bytes of batches, per span.
    pub bytes_in: f64,
    /// Bytes of answers, per span.
    pub bytes_out: f64,
    /// Bytes of memory that the plugin's instance has at the end.
    pub memory_bytes: u64,
}

impl Subject {
    /// Runs a plugin over a request again and again. `cpu` tells what time this thread has worked for.
    ///
    /// # Errors
    /// Where a call fails; else as [`Self::run`].
    pub fn cost(
        &self,
        configured: &Configured,
        (request, rounds): (&Request, usize),
        cpu: &dyn Fn() -> Nanos,
    ) -> Result<Cost, Error> {
        takes_batches(configured)?;
        let spans = request.spans();
        if spans == 0 || rounds == 0 {
            return Err(Error::new(Kind::Config, "there are no spans to run over"));
        }
        let mut laps: Vec<Lap> = Vec::with_capacity(rounds);
        let mut batch = Batch::default();
        for round in 0..rounds + WARM {
            let lap = self.lap(configured, (request.body(), &mut batch), cpu)?;
            if round >= WARM {
                laps.push(lap);
            }
        }
        let per_span = |of: &dyn Fn(&Lap) -> u64| median(laps.iter().map(of)) / float(spans as u64);
        let of_step =
            |step: Step| per_span(&|lap| lap.steps.get(step as usize).map_or(0, |of| of.0));
        let in_all = per_span(&|lap| lap.steps.iter().map(|of| of.0).sum());
        let without = per_span(&|lap| lap.without.0);
        let last = laps.last().cloned().unwrap_or_default();
        Ok(Cost {
            spans,
            rounds,
            steps: Step::ALL.map(|step| (step, of_step(step))),
            in_all,
            without,
            adds: in_all - without,
            spans_per_second: if in_all > 0.0 { 1e9 / in_all } else { 0.0 },
            bytes_in: float(last.bytes_in) / float(spans as u64),
            bytes_out: float(last.bytes_out) / float(spans as u64),
            memory_bytes: configured.stats().memory_bytes.get(),
        })
    }

    fn lap(
        &self,
        configured: &Configured,
        (body, batch): (&Bytes, &mut Batch),
        cpu: &dyn Fn() -> Nanos,
    ) -> Result<Lap, Error> {
        let plan = configured.plan();
        let malformed = || Error::new(Kind::Host, "the request cannot be read");
        let mut watch = Watch { lap: Lap::default(), last: cpu(), cpu };
        check_with(body, &Rules::NONE, &mut Open).map_err(|_| malformed())?;
        watch.lap.without = watch.took();
        let mut draft = Draft::of(body, plan.wants()).ok_or_else(malformed)?;
        let mut rows = Vec::new();
        draft.select(plan, &mut rows);
        watch.note(Step::Read);
        let failed = |failed: crate::instance::Failed| {
            let what = format!("a call failed: {}", failed.message);
            Error::new(Kind::Failed(failed.failure), what)
        };
        if plan.role == Role::Router {
            for rows in route::by_resources(&draft, &rows) {
                batch.project(&draft, plan, &rows, &Around::NOTHING);
                watch.note(Step::Project);
                let answered = route::answered(configured, &self.tenant, batch).map_err(failed)?;
                watch.note(Step::Call);
                watch.lap.bytes_in += batch.bytes().len() as u64;
                watch.lap.bytes_out += answered.bytes as u64;
            }
            return Ok(watch.lap);
        }
        let rows_max = match plan.role {
            // No trace is in two calls, and to find out which are is not the plugin's doing.
            Role::TailSampler(_) => rows.len(),
            _ => plan.rows_max(ROWS_MAX) as usize,
        };
        for range in by_rows(rows.len(), rows_max.max(1)) {
            batch.project(&draft, plan, rows.get(range).unwrap_or_default(), &Around::NOTHING);
            watch.note(Step::Project);
            let called = step::call(configured, &self.tenant, batch).map_err(failed)?;
            watch.note(Step::Call);
            watch.lap.bytes_in += batch.bytes().len() as u64;
            watch.lap.bytes_out += called.answer.bytes.len() as u64;
            let edits = step::edits(configured, &called, &draft, batch).map_err(failed)?;
            draft.apply(plan, batch, &edits);
            watch.note(Step::Apply);
        }
        drop(draft.finish(Vec::with_capacity));
        watch.note(Step::Write);
        Ok(watch.lap)
    }
}

/// One round.
#[derive(Clone, Debug, Default)]
struct Lap {
    steps: [Nanos; 5],
    without: Nanos,
    bytes_in: u64,
    bytes_out: u64,
}

/// Tells steps apart.
struct Watch<'a> {
    lap: Lap,
    last: Nanos,
    cpu: &'a dyn Fn() -> Nanos,
}

impl Watch<'_> {
    fn took(&mut self) -> Nanos {
        let now = (self.cpu)();
        now.minus(std::mem::replace(&mut self.last, now))
    }

    fn note(&mut self, step: Step) {
        let took = self.took();
        if let Some(of) = self.lap.steps.get_mut(step as usize) {
            *of = of.plus(took);
        }
    }
}

fn median(of: impl Iterator<Item = u64>) -> f64 {
    let mut all: Vec<u64> = of.collect();
    all.sort_unstable();
    let middle = |at: usize| all.get(at).copied().map_or(0.0, float);
    match all.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => middle(odd / 2),
        even => f64::midpoint(middle(even / 2 - 1), middle(even / 2)),
    }
}

#[expect(clippy::cast_precision_loss, reason = "times and sizes of a round are far below 2^53")]
const fn float(number: u64) -> f64 {
    number as f64
}
