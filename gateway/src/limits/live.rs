//! The live traces of a tenant: how many there are, and how large each has become.
//!
//! A trace is live until no span of it has come for [`LIVE`] (up to twice that: traces are kept in two
//! generations, and go with the older one). Only tenants with such a limit have this counted.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use model::otlp::{Gate, Reason};
use model::{Nanos, TraceId};

use crate::overrides::values::LiveLimits;

/// How long a trace is live without a span.
pub const LIVE: Nanos = Nanos::from_secs(15);

/// The most traces that are counted of a tenant, 40 bytes each: where there are more, the older generation
/// goes before its time.
const TRACES_MAX: usize = 1 << 20;

/// The traces of a tenant with their bytes.
#[derive(Debug, Default)]
pub struct Live {
    traces: Mutex<Traces>,
}

#[derive(Debug, Default)]
struct Traces {
    young: HashMap<TraceId, u64>,
    old: HashMap<TraceId, u64>,
    turned_at: Nanos,
}

impl Traces {
    fn turn(&mut self, now: Nanos) {
        let age = now.minus(self.turned_at);
        if age < LIVE && self.young.len() < TRACES_MAX {
            return;
        }
        self.old = std::mem::take(&mut self.young);
        if age.0 >= 2 * LIVE.0 {
            self.old.clear();
        }
        self.turned_at = now;
    }

    /// The bytes of a trace among the young ones; nothing where it is not live.
    fn find(&mut self, trace: TraceId) -> Option<&mut u64> {
        if let Some(bytes) = self.old.remove(&trace) {
            self.young.insert(trace, bytes);
        }
        self.young.get_mut(&trace)
    }

    fn len(&self) -> u64 {
        (self.young.len() + self.old.len()) as u64
    }
}

impl Live {
    /// How many live traces there are.
    #[must_use]
    pub fn len(&self, now: Nanos) -> u64 {
        let mut traces = self.lock();
        traces.turn(now);
        traces.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self, now: Nanos) -> bool {
        self.len(now) == 0
    }

    /// Lets the spans of one request through as the limits say. Others of the tenant wait meanwhile.
    #[must_use]
    pub fn gate(&self, limits: LiveLimits, now: Nanos) -> LiveGate<'_> {
        let traces = (!limits.is_none()).then(|| {
            let mut traces = self.lock();
            traces.turn(now);
            traces
        });
        LiveGate { traces, limits, taken: Vec::new() }
    }

    /// Takes back what a request has added that came to nothing.
    pub fn undo(&self, taken: &[(TraceId, u64)]) {
        if taken.is_empty() {
            return;
        }
        let mut traces = self.lock();
        for (trace, bytes) in taken {
            if let Some(live) = traces.find(*trace) {
                *live = live.saturating_sub(*bytes);
                if *live == 0 {
                    traces.young.remove(trace);
                }
            }
        }
    }

    /// What it guards is whole after every statement.
    fn lock(&self) -> MutexGuard<'_, Traces> {
        self.traces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The spans of one request.
#[derive(Debug)]
pub struct LiveGate<'a> {
    /// Nothing where there is no limit.
    traces: Option<MutexGuard<'a, Traces>>,
    limits: LiveLimits,
    taken: Vec<(TraceId, u64)>,
}

impl LiveGate<'_> {
    /// What was added, for [`Live::undo`].
    #[must_use]
    pub fn into_taken(self) -> Vec<(TraceId, u64)> {
        self.taken
    }
}

impl Gate for LiveGate<'_> {
    fn refuses(&mut self, trace: TraceId, bytes: usize) -> Option<Reason> {
        let traces = self.traces.as_mut()?;
        let LiveLimits { traces_max, trace_bytes_max } = self.limits;
        let (bytes, live) = (bytes as u64, traces.len());
        let known = traces.find(trace);
        if known.is_none() && traces_max > 0 && live >= traces_max {
            return Some(Reason::LiveTraces { limit: traces_max });
        }
        let before = known.as_deref().copied().unwrap_or(0);
        if trace_bytes_max > 0 && before.saturating_add(bytes) > trace_bytes_max {
            return Some(Reason::TraceBytes { limit: trace_bytes_max });
        }
        match known {
            Some(known) => *known = before.saturating_add(bytes),
            None => drop(traces.young.insert(trace, bytes)),
        }
        match self.taken.last_mut() {
            Some((last, taken)) if *last == trace => *taken += bytes,
            _ => self.taken.push((trace, bytes)),
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> TraceId {
        TraceId::from_array([number; 16])
    }

    const LIMITS: LiveLimits = LiveLimits { traces_max: 2, trace_bytes_max: 100 };

    #[test]
    fn new_traces_are_refused_and_those_there_are_go_on() {
        let live = Live::default();
        let mut gate = live.gate(LIMITS, Nanos(0));
        assert_eq!(gate.refuses(id(1), 10), None);
        assert_eq!(gate.refuses(id(2), 10), None);
        assert_eq!(gate.refuses(id(3), 10), Some(Reason::LiveTraces { limit: 2 }));
        assert_eq!(gate.refuses(id(1), 90), None);
        assert_eq!(gate.refuses(id(1), 1), Some(Reason::TraceBytes { limit: 100 }));
        drop(gate);
        // A trace with spans goes on to be live, the other does not.
        let mut gate = live.gate(LIMITS, Nanos::from_secs(20));
        assert_eq!(gate.refuses(id(2), 1), None);
        drop(gate);
        let mut gate = live.gate(LIMITS, Nanos::from_secs(36));
        assert_eq!(gate.refuses(id(3), 10), None);
        assert_eq!(gate.refuses(id(4), 10), Some(Reason::LiveTraces { limit: 2 }));
        drop(gate);
        assert_eq!(live.len(Nanos::from_secs(300)), 0);
    }

    #[test]
    fn what_came_to_nothing_is_taken_back() {
        let live = Live::default();
        let mut gate = live.gate(LIMITS, Nanos(0));
        for _ in 0..3 {
            assert_eq!(gate.refuses(id(1), 30), None);
        }
        let taken = gate.into_taken();
        assert_eq!(taken, [(id(1), 90)]);
        live.undo(&taken);
        assert!(live.is_empty(Nanos(0)));
        assert_eq!(live.gate(LIMITS, Nanos(0)).refuses(id(1), 100), None);
    }

    #[test]
    fn nothing_is_counted_without_limits() {
        let live = Live::default();
        let mut gate = live.gate(LiveLimits::default(), Nanos(0));
        assert_eq!(gate.refuses(id(1), usize::MAX), None);
        assert!(gate.into_taken().is_empty() && live.is_empty(Nanos(0)));
    }
}
