//! Traces of a shop that does not exist: the one generator of the `demo` command, of the benches
//! and of the tests.
//!
//! A seed gives the same bytes everywhere. Traces are planned ([`plan`]), encoded as OTLP
//! ([`span`]) and gathered per pod and per collector into requests ([`batch`]), while the ground
//! truth of what queries must find is written down from the plan ([`truth`]).

mod batch;
mod catalog;
pub mod client;
mod exception;
mod plan;
mod random;
mod resource;
mod span;
pub mod stream;
pub mod truth;
pub mod ugly;
mod value;

#[cfg(test)]
mod tests;

use model::Nanos;

use batch::{Batcher, Rules};
use catalog::Form;
use catalog::operations::OPERATIONS;
use plan::{Planner, Side, Trace};
use random::Random;
use resource::Fleet;
use span::Encoder;
use truth::{Recorder, Truth, part};

/// An OTLP `ExportTraceServiceRequest`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The message, as protobuf.
    pub body: Vec<u8>,
    /// How many spans it holds.
    pub spans: usize,
    /// The tenant to send it for, where the set has many.
    pub tenant: Option<String>,
}

/// What a set is made of.
#[derive(Clone, Debug)]
pub struct Config {
    /// The same seed gives the same set.
    pub seed: u64,
    /// How many spans, at least; the last trace is whole.
    pub spans: u64,
    /// Spans of a request.
    pub batch: usize,
    /// When the first trace starts.
    pub start: Nanos,
    /// Over which time the traces start.
    pub window: Nanos,
}

impl Default for Config {
    /// 2,000,000 spans of ten minutes, in requests of 800.
    fn default() -> Self {
        Self {
            seed: 1,
            spans: 2_000_000,
            batch: 800,
            start: Nanos(0),
            window: Nanos::from_secs(600),
        }
    }
}

/// The average number of spans of a trace, as planned by the catalogue's chances.
pub const SPANS_PER_TRACE: u64 = 25;

/// How long a pod holds its spans back (an SDK's default), and how many of them at most.
const HELD_FOR: Nanos = Nanos::from_secs(5);
const HELD_MAX: usize = 512;

/// What a trace was about; see [`Shop::trace`].
#[derive(Clone, Copy, Debug)]
pub struct Made {
    /// Its id.
    pub id: model::TraceId,
    /// How many spans it has.
    pub spans: usize,
    /// Whether something failed in it.
    pub failed: bool,
}

/// The shop: makes traces on demand and gathers them into requests.
#[derive(Debug)]
pub struct Shop {
    random: Random,
    fleet: Fleet,
    planner: Planner,
    encoder: Encoder,
    batcher: Batcher,
    trace: Trace,
    encoded: Vec<u8>,
}

impl Shop {
    /// A shop whose requests hold `batch` spans (at least one).
    #[must_use]
    pub fn new(seed: u64, batch: usize) -> Self {
        let fleet = Fleet::new(part(seed, 1));
        let rules = Rules { batch: batch.max(1), held_max: HELD_MAX, held_for: HELD_FOR.0 };
        Self {
            random: Random::new(part(seed, 2)),
            planner: Planner::new(),
            encoder: Encoder::new(seed),
            batcher: Batcher::new(rules, &fleet),
            fleet,
            trace: Trace::default(),
            encoded: Vec::new(),
        }
    }

    /// Makes a trace that starts at `start`; its spans wait in the pods' buffers.
    pub fn trace(&mut self, start: Nanos) -> Made {
        let Self { random, fleet, planner, encoder, batcher, trace, encoded } = self;
        planner.plan(random, fleet, start.0, trace);
        encoder.begin(random, trace);
        for span in &trace.spans {
            encoded.clear();
            encoder.span(encoded, random, trace, span, fleet);
            batcher.add(fleet, span.pod, scope(span.op, span.side), span.end, encoded);
        }
        encoder.finish(trace);
        batcher.sweep(fleet, start.0);
        let failed = trace.spans.iter().any(|span| span.outcome == plan::Outcome::Failed);
        Made { id: model::TraceId::from_array(trace.id), spans: trace.spans.len(), failed }
    }

    /// The next full request.
    pub fn pop(&mut self) -> Option<Request> {
        self.batcher.pop()
    }

    /// Sends what the pods and collectors hold, full or not.
    pub fn drain(&mut self) {
        self.batcher.drain(&self.fleet);
    }
}

/// Which instrumentation reports the span: of servers and clients, of databases and queues, or
/// the service's own.
fn scope(op: usize, side: Side) -> usize {
    match (OPERATIONS[op].form, side) {
        (Form::Http { .. } | Form::Rpc { .. }, _) => 0,
        (_, Side::Internal) => 2,
        _ => 1,
    }
}

/// The nice set: an iterator over its requests, and then its truth.
#[derive(Debug)]
pub struct Nice {
    shop: Shop,
    config: Config,
    recorder: Recorder,
    traces: u64,
    made: u64,
    spans: u64,
    drained: bool,
}

impl Nice {
    /// Begins a set.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let traces = (config.spans / SPANS_PER_TRACE).max(1);
        Self {
            shop: Shop::new(config.seed, config.batch),
            recorder: Recorder::new(config.seed, traces),
            config,
            traces,
            made: 0,
            spans: 0,
            drained: false,
        }
    }

    /// What is true of the requests so far; of the whole set once there are no more.
    #[must_use]
    pub fn truth(self) -> Truth {
        self.recorder.finish(self.config.seed)
    }

    /// When the `n`-th trace starts: evenly over the window.
    fn start(&self) -> Nanos {
        let offset =
            u128::from(self.config.window.0) * u128::from(self.made) / u128::from(self.traces);
        self.config.start.plus(Nanos(u64::try_from(offset).unwrap_or(u64::MAX)))
    }
}

impl Iterator for Nice {
    type Item = Request;

    fn next(&mut self) -> Option<Request> {
        loop {
            if let Some(request) = self.shop.pop() {
                self.recorder.request(request.body.len());
                return Some(request);
            }
            if self.drained {
                return None;
            }
            if self.spans < self.config.spans {
                let made = self.shop.trace(self.start());
                self.recorder.trace(&self.shop.trace, &self.shop.fleet);
                self.spans += made.spans as u64;
                self.made += 1;
            } else {
                self.shop.drain();
                self.drained = true;
            }
        }
    }
}
