//! Plans a trace: which operations run, where, when, and which of them fail.
//!
//! A trace is planned as a flat list of spans in the order in which they start from their parents
//! (a parent stands before its children), and encoded from there.

use super::catalog::operations::OPERATIONS;
use super::catalog::{Form, Operation, Order, ROOTS, SERVICES};
use super::random::{Lognormal, Random};
use super::resource::{CLUSTERS_COUNT, Fleet};

/// No parent.
pub(super) const ROOT: usize = usize::MAX;

/// Which end of a call a span describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Internal,
    Server,
    Client,
    Producer,
    Consumer,
}

/// How a span ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Fine,
    /// An exception was caught and recorded; the span went well.
    Caught,
    /// The failure began here.
    Failed,
    /// A call failed, and so did this.
    Passed,
}

/// One span of a planned trace.
#[derive(Clone, Debug)]
pub(super) struct Planned {
    /// Index into [`OPERATIONS`].
    pub(super) op: usize,
    pub(super) side: Side,
    /// Index of the pod that reports it.
    pub(super) pod: usize,
    /// Index of the pod at the other end, or its own.
    pub(super) peer: usize,
    /// Index of the parent in the trace, or [`ROOT`].
    pub(super) parent: usize,
    pub(super) id: [u8; 8],
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) outcome: Outcome,
    /// The HTTP status, where the operation is one of HTTP and there was a response.
    pub(super) code: u16,
}

/// A planned trace. The buffers are used again for the next one.
#[derive(Debug, Default)]
pub(super) struct Trace {
    pub(super) id: [u8; 16],
    pub(super) spans: Vec<Planned>,
    /// Which of the shop's users it is for.
    pub(super) user: u64,
    cluster: usize,
}

/// Rates of what goes wrong, in cases per million.
const TRACES_FAILING: u64 = 58_000;
const FAILURES_PASSED_ON: u64 = 970_000;
const TRACES_RECOVERING: u64 = 42_000;
const SPANS_CATCHING: u64 = 39_000;
const WORK_STALLED: u64 = 650;

/// How many users the shop has.
const USERS: u64 = 1_000_000;

/// The operations with their names resolved, and the chances that a plan draws from.
#[derive(Debug)]
pub(super) struct Planner {
    calls: Vec<Vec<usize>>,
    services: Vec<usize>,
    roots: Vec<usize>,
    work: Lognormal,
}

impl Planner {
    pub(super) fn new() -> Self {
        let calls = |op: &Operation| op.calls.iter().map(|c| find(c.service, c.name)).collect();
        let service = |op: &Operation| {
            SERVICES.iter().position(|service| service.name == op.service).unwrap_or(UNTRACED)
        };
        Self {
            calls: OPERATIONS.iter().map(calls).collect(),
            services: OPERATIONS.iter().map(service).collect(),
            roots: ROOTS.iter().map(|(service, name, _)| find(service, name)).collect(),
            work: Lognormal::new(0.65),
        }
    }

    /// Plans one trace that starts at `start` (nanoseconds).
    pub(super) fn plan(&self, random: &mut Random, fleet: &Fleet, start: u64, trace: &mut Trace) {
        trace.id = random.bytes();
        trace.spans.clear();
        trace.user = random.below(USERS);
        trace.cluster = below(random, CLUSTERS_COUNT);
        let root = self.draw_root(random);
        Plan { planner: self, random, fleet, trace }.place(root, ROOT, 0, start);
        if random.chance(TRACES_FAILING) {
            fail(random, trace, FAILURES_PASSED_ON, can_fail);
        }
        if random.chance(TRACES_RECOVERING) {
            fail(random, trace, 0, can_be_done_without);
        }
    }

    fn draw_root(&self, random: &mut Random) -> usize {
        let mut draw = random.below(ROOTS.iter().map(|(_, _, share)| share).sum());
        for (op, (_, _, share)) in self.roots.iter().zip(&ROOTS) {
            if draw < *share {
                return *op;
            }
            draw -= share;
        }
        self.roots[0]
    }
}

/// Stands for the service of an operation whose other end sends no spans.
const UNTRACED: usize = usize::MAX;

/// The index of an operation; the catalogue's test follows every name.
pub(super) fn find(service: &str, name: &str) -> usize {
    OPERATIONS
        .iter()
        .position(|op| op.service == service && op.name == name)
        .expect("every call of the catalogue names an operation")
}

fn below(random: &mut Random, bound: usize) -> usize {
    usize::try_from(random.below(bound as u64)).unwrap_or_default()
}

/// A trace while it is planned.
struct Plan<'a> {
    planner: &'a Planner,
    random: &'a mut Random,
    fleet: &'a Fleet,
    trace: &'a mut Trace,
}

impl Plan<'_> {
    /// Places an operation that is called by `parent`, a span of `pod`; returns when it ended.
    fn place(&mut self, op: usize, parent: usize, pod: usize, at: u64) -> u64 {
        match OPERATIONS[op].form {
            Form::Http { .. } | Form::Rpc { .. } => self.remote(op, parent, pod, at),
            Form::Sql { .. } => self.query(op, parent, pod, at),
            Form::Cache { .. } => {
                let span = self.push(op, Side::Client, parent, (pod, pod), at);
                let end = at + self.micros(OPERATIONS[op].micros);
                self.end(span, end)
            }
            Form::Publish { .. } => self.publish(op, parent, pod, at),
            Form::Consume { .. } => {
                let pod = self.pod_of(op);
                let span = self.push(op, Side::Consumer, parent, (pod, pod), at);
                self.work(op, span, pod, at)
            }
            Form::Internal { .. } => {
                let pod = if parent == ROOT { self.pod_of(op) } else { pod };
                let span = self.push(op, Side::Internal, parent, (pod, pod), at);
                self.work(op, span, pod, at)
            }
        }
    }

    /// A client span of the caller, unless the call comes from outside, and a server span.
    fn remote(&mut self, op: usize, parent: usize, pod: usize, at: u64) -> u64 {
        let callee = self.pod_of(op);
        let code = self.code(op);
        if parent == ROOT {
            let server = self.push(op, Side::Server, ROOT, (callee, callee), at);
            self.trace.spans[server].code = code;
            return self.work(op, server, callee, at);
        }
        let client = self.push(op, Side::Client, parent, (pod, callee), at);
        self.trace.spans[client].code = code;
        let arrival = at + self.micros(250);
        let server = self.push(op, Side::Server, client, (callee, pod), arrival);
        self.trace.spans[server].code = code;
        let end = self.work(op, server, callee, arrival) + self.micros(200);
        self.end(client, end)
    }

    /// A client span of the caller, and for some databases a server span below it.
    fn query(&mut self, op: usize, parent: usize, pod: usize, at: u64) -> u64 {
        let database = self.pod_of(op);
        let client = self.push(op, Side::Client, parent, (pod, database), at);
        let took = self.micros(OPERATIONS[op].micros);
        if self.random.chance(330_000) {
            let server = self.push(op, Side::Server, client, (database, pod), at + took / 8);
            self.end(server, at + took / 8 * 7);
        }
        self.end(client, at + took)
    }

    /// A producer span; the consumers run later, and nobody waits for them.
    fn publish(&mut self, op: usize, parent: usize, pod: usize, at: u64) -> u64 {
        let producer = self.push(op, Side::Producer, parent, (pod, pod), at);
        let end = at + self.micros(OPERATIONS[op].micros);
        let planner = self.planner;
        for (call, callee) in OPERATIONS[op].calls.iter().zip(&planner.calls[op]) {
            if self.random.below(100) < call.per_cent {
                let delivery = end + self.micros(9_000);
                self.place(*callee, producer, pod, delivery);
            }
        }
        self.end(producer, end)
    }

    /// The operation's own work and its calls; returns when it ended.
    fn work(&mut self, op: usize, span: usize, pod: usize, start: u64) -> u64 {
        let mut own = self.micros(OPERATIONS[op].micros);
        if self.random.chance(WORK_STALLED) {
            own += self.micros(1_500_000);
        }
        let mut now = start + own / 2;
        let mut before = now;
        let planner = self.planner;
        for (call, callee) in OPERATIONS[op].calls.iter().zip(&planner.calls[op]) {
            if self.random.below(100) >= call.per_cent {
                continue;
            }
            for _ in 0..self.random.between(call.times.0, call.times.1) {
                let at = match call.order {
                    Order::After => now,
                    Order::Beside => before,
                };
                now = now.max(self.place(*callee, span, pod, at));
                before = at;
            }
        }
        self.end(span, now + own - own / 2)
    }

    fn push(
        &mut self,
        op: usize,
        side: Side,
        parent: usize,
        (pod, peer): (usize, usize),
        start: u64,
    ) -> usize {
        let outcome =
            if self.random.chance(SPANS_CATCHING) { Outcome::Caught } else { Outcome::Fine };
        // An id of zeros is none, and one draw in 2^64 would give it.
        let id = (self.random.next() | 1).to_be_bytes();
        let span = Planned { op, side, pod, peer, parent, id, start, end: start, outcome, code: 0 };
        self.trace.spans.push(span);
        self.trace.spans.len() - 1
    }

    fn end(&mut self, span: usize, end: u64) -> u64 {
        self.trace.spans[span].end = end;
        end
    }

    /// A length of time around so many microseconds, in nanoseconds.
    fn micros(&mut self, median: u64) -> u64 {
        self.planner.work.spread(self.random, median * 1_000)
    }

    fn pod_of(&mut self, op: usize) -> usize {
        self.fleet.pick(self.random, self.trace.cluster, self.planner.services[op])
    }

    /// The status of a response, where nothing fails.
    fn code(&mut self, op: usize) -> u16 {
        match OPERATIONS[op].form {
            Form::Http { .. } => match self.random.below(1000) {
                0..12 => 404,
                12..30 => 304,
                30..33 => 429,
                _ => 200,
            },
            _ => 0,
        }
    }
}

/// Makes a span fail, and with it those that called it, each with the given chance.
fn fail(random: &mut Random, trace: &mut Trace, passed_on: u64, fit: fn(&Planned) -> bool) {
    if !trace.spans.iter().any(fit) {
        return;
    }
    let mut at = below(random, trace.spans.len());
    // What fails is somebody's work; a client of another service only sees it.
    while !fit(&trace.spans[at]) {
        at = at.wrapping_add(1) % trace.spans.len();
    }
    let mut code = random.pick(&[500, 500, 500, 502, 503, 504]);
    if random.chance(20_000) {
        // A connection that was refused has no status.
        trace.spans[at].code = 0;
    }
    let mut outcome = Outcome::Failed;
    loop {
        let span = &mut trace.spans[at];
        span.outcome = outcome;
        if span.code != 0 {
            span.code = code;
        }
        let (server, parent) = (span.side == Side::Server, span.parent);
        if parent == ROOT || trace.spans[parent].side == Side::Producer {
            return;
        }
        // A client always sees the failure of its server; a caller may have an answer to it.
        if !server && !random.chance(passed_on) {
            return;
        }
        if !server {
            code = 500;
        }
        outcome = Outcome::Passed;
        at = parent;
    }
}

fn can_fail(span: &Planned) -> bool {
    match span.side {
        Side::Server | Side::Internal | Side::Consumer => true,
        Side::Client => {
            matches!(OPERATIONS[span.op].form, Form::Sql { .. } | Form::Cache { .. })
        }
        Side::Producer => false,
    }
}

/// Whether those who call it may have an answer to its failure: caches and services inside.
fn can_be_done_without(span: &Planned) -> bool {
    can_fail(span) && !matches!(OPERATIONS[span.op].form, Form::Http { .. })
}
