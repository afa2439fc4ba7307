//! When a plugin that fails is left alone: a breaker for each tenant, so that what one sends opens none of
//! another's.
//!
//! Five failures within 30 seconds open it: the policy applies without a call. After 1, 2, 4 … 60 seconds one batch
//! tries, and closes it when it succeeds. What closed and opened again for the third time within ten minutes stays
//! open, until somebody changes plugin or configuration.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use model::{Nanos, TenantId};

const FAILURES: usize = 5;
const FAILURES_WITHIN: Nanos = Nanos::from_secs(30);
const WAIT_MAX_SECONDS: u64 = 60;
const OPENED: usize = 3;
const OPENED_WITHIN: Nanos = Nanos::from_secs(600);
/// Tenants whose failures are counted apart; beyond them, failures count for nobody.
const TENANTS_MAX: usize = 10_000;

/// How it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The plugin is called.
    Closed,
    /// It is not.
    Open,
    /// It is not, until somebody changes something.
    Quarantined,
}

impl State {
    /// As pages show it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::Quarantined => "quarantined",
        }
    }
}

#[derive(Debug, Default)]
struct Breaker {
    failures: VecDeque<Nanos>,
    opened: VecDeque<Nanos>,
    /// Until when it is open, while it is.
    until: Option<Nanos>,
    /// A batch tries.
    trying: bool,
    /// How many have tried since it opened, in vain.
    tries: u32,
    quarantined: bool,
}

/// The breakers of one configured plugin.
#[derive(Debug, Default)]
pub(crate) struct Breakers {
    all: Mutex<HashMap<TenantId, Breaker>>,
    /// How many there are: none, and nobody looks further.
    count: AtomicUsize,
}

impl Breakers {
    /// Whether the plugin may be called with a batch of this tenant.
    pub(crate) fn lets(&self, tenant: &TenantId, now: Nanos) -> bool {
        if self.count.load(Ordering::Acquire) == 0 {
            return true;
        }
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(breaker) = all.get_mut(tenant) else { return true };
        match breaker.until {
            _ if breaker.quarantined => false,
            None => true,
            Some(until) if now < until || breaker.trying => false,
            Some(_) => {
                breaker.trying = true;
                true
            }
        }
    }

    /// A batch went well.
    pub(crate) fn succeeded(&self, tenant: &TenantId) {
        if self.count.load(Ordering::Acquire) == 0 {
            return;
        }
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(breaker) = all.get_mut(tenant)
            && breaker.trying
        {
            breaker.trying = false;
            breaker.until = None;
            breaker.tries = 0;
            breaker.failures.clear();
        }
    }

    /// A batch failed. Whether that opened it.
    pub(crate) fn failed(&self, tenant: &TenantId, now: Nanos) -> bool {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if !all.contains_key(tenant) && all.len() >= TENANTS_MAX {
            return false;
        }
        let breaker = all.entry(tenant.clone()).or_default();
        let opens = breaker.fail(now);
        self.count.store(all.len(), Ordering::Release);
        opens
    }

    /// How the worst of them stands, and how many are not closed.
    pub(crate) fn state(&self) -> (State, usize) {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let open = all.values().filter(|breaker| breaker.state() != State::Closed).count();
        let worst = match open {
            0 => State::Closed,
            _ if all.values().any(|breaker| breaker.quarantined) => State::Quarantined,
            _ => State::Open,
        };
        (worst, open)
    }

    /// Tenants that are not served, by name.
    pub(crate) fn open(&self) -> Vec<(TenantId, State)> {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let mut open: Vec<_> = all
            .iter()
            .map(|(tenant, breaker)| (tenant.clone(), breaker.state()))
            .filter(|(_, state)| *state != State::Closed)
            .collect();
        open.sort_by(|one, other| one.0.as_str().cmp(other.0.as_str()));
        open
    }
}

impl Breaker {
    const fn state(&self) -> State {
        match (self.quarantined, self.until) {
            (true, _) => State::Quarantined,
            (false, Some(_)) => State::Open,
            (false, None) => State::Closed,
        }
    }

    fn fail(&mut self, now: Nanos) -> bool {
        let tried = std::mem::take(&mut self.trying);
        self.failures.push_back(now);
        while self.failures.front().is_some_and(|at| now.minus(*at) > FAILURES_WITHIN) {
            self.failures.pop_front();
        }
        // Batches that were under way when it opened change nothing.
        let is_due = tried || (self.until.is_none() && self.failures.len() >= FAILURES);
        if !is_due {
            self.failures.truncate(FAILURES);
            return false;
        }
        self.failures.clear();
        if tried {
            self.tries = self.tries.saturating_add(1);
        } else {
            self.opened.push_back(now);
        }
        while self.opened.front().is_some_and(|at| now.minus(*at) > OPENED_WITHIN) {
            self.opened.pop_front();
        }
        let wait = 1u64.checked_shl(self.tries).unwrap_or(u64::MAX).min(WAIT_MAX_SECONDS);
        self.until = Some(now.plus(Nanos::from_secs(wait)));
        self.quarantined = self.opened.len() >= OPENED;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(name: &str) -> TenantId {
        TenantId::parse(name).unwrap()
    }

    const fn at(seconds: u64) -> Nanos {
        Nanos::from_secs(1_000 + seconds)
    }

    #[test]
    fn five_failures_open_it_for_that_tenant_alone() {
        let (breakers, shop, other) = (Breakers::default(), tenant("shop"), tenant("other"));
        for second in 0..4 {
            assert!(!breakers.failed(&shop, at(second)));
        }
        assert!(breakers.lets(&shop, at(4)));
        assert!(breakers.failed(&shop, at(4)));
        assert!(!breakers.lets(&shop, at(4)));
        assert!(breakers.lets(&other, at(4)));
        assert_eq!(breakers.state(), (State::Open, 1));
    }

    #[test]
    fn failures_that_are_far_apart_open_nothing() {
        let (breakers, shop) = (Breakers::default(), tenant("shop"));
        for second in 0..20 {
            assert!(!breakers.failed(&shop, at(second * 8)));
        }
    }

    #[test]
    fn one_batch_tries_and_closes_it() {
        let (breakers, shop) = (Breakers::default(), tenant("shop"));
        for _ in 0..5 {
            breakers.failed(&shop, at(0));
        }
        assert!(breakers.lets(&shop, at(1)));
        assert!(!breakers.lets(&shop, at(1)), "one at a time");
        breakers.succeeded(&shop);
        assert!(breakers.lets(&shop, at(1)));
        assert_eq!(breakers.state(), (State::Closed, 0));
    }

    #[test]
    fn each_try_in_vain_makes_it_wait_twice_as_long() {
        let (breakers, shop) = (Breakers::default(), tenant("shop"));
        for _ in 0..5 {
            breakers.failed(&shop, at(0));
        }
        let mut now = 0;
        for wait in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
            assert!(!breakers.lets(&shop, at(now + wait - 1)), "{wait}");
            now += wait;
            assert!(breakers.lets(&shop, at(now)));
            assert!(breakers.failed(&shop, at(now)));
        }
        assert_eq!(breakers.state(), (State::Open, 1));
    }

    #[test]
    fn opened_three_times_it_stays_open() {
        let (breakers, shop) = (Breakers::default(), tenant("shop"));
        for round in 0..3 {
            for _ in 0..5 {
                breakers.failed(&shop, at(round * 10));
            }
            if breakers.lets(&shop, at(round * 10 + 1)) {
                breakers.succeeded(&shop);
            }
        }
        assert!(!breakers.lets(&shop, at(100_000)));
        assert_eq!(breakers.open(), [(shop, State::Quarantined)]);
    }
}
