//! What a request came to, for the metrics.

use std::sync::Arc;

use model::{Clock, Nanos};
use store::Accepted;

use super::decode::Coding;
use super::ingest::Intake;
use super::reply::Fault;
use super::stats::{Outcome, Protocol, Stats};
use crate::limits::Source;

/// Counts a request exactly once, also when its client goes away half-way.
pub(super) struct Tally {
    stats: Arc<Stats>,
    clock: Arc<dyn Clock>,
    started: Nanos,
    pub(super) protocol: Protocol,
    pub(super) coding: Coding,
    source: Option<Source>,
    done: bool,
}

impl Tally {
    pub(super) fn start(intake: &Intake, protocol: Protocol) -> Self {
        intake.stats.in_flight.add(1);
        Self {
            stats: Arc::clone(&intake.stats),
            clock: Arc::clone(&intake.clock),
            started: intake.clock.monotonic(),
            protocol,
            coding: Coding::Identity,
            source: None,
            done: false,
        }
    }

    pub(super) fn read(&self, bytes: u64) {
        self.stats.wire_bytes.add(bytes);
    }

    /// Whose request it turned out to be.
    pub(super) fn of(&mut self, source: &Source) {
        self.source = Some(source.clone());
    }

    pub(super) fn end(mut self, result: &Result<Accepted, Fault>) {
        self.done = true;
        let outcome = match result {
            Ok(accepted) if accepted.refused == 0 => Outcome::Ok,
            Ok(_) => Outcome::Partial,
            Err(fault) => fault.outcome(),
        };
        self.stats.count(self.protocol, self.coding, outcome);
        if let Ok(accepted) = result {
            self.stats.count_spans(accepted);
            self.stats.ack.record(self.clock.monotonic().minus(self.started).0);
        }
        let Some(Source { account, cluster }) = &self.source else { return };
        match result {
            Ok(_) => cluster.usage.requests.inc(),
            Err(fault) => {
                if let Some(reason) = fault.reason() {
                    account.refuse(reason);
                }
            }
        }
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        self.stats.in_flight.sub(1);
        if !self.done {
            self.stats.count(self.protocol, self.coding, Outcome::Gone);
        }
    }
}
