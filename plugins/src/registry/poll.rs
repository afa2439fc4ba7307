//! When sources on a network are asked again: now and then where what is there may change, soon where nobody has answered,
//! then less and less often.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use model::{Clock, Nanos};

use crate::definition::Definitions;
use crate::host::Chance;

/// After the first time that nobody answers; twice as long each time.
const FAILED_WAIT: Nanos = Nanos::from_secs(5);
/// The longest wait while nobody answers, unless polls are rarer.
const FAILED_WAIT_MAX: Nanos = Nanos::from_secs(300);

/// When each plugin is asked for again, by name.
#[derive(Debug, Default)]
pub(super) struct Polls {
    next: Mutex<BTreeMap<String, Poll>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Poll {
    at: Nanos,
    failures: u32,
}

impl Polls {
    /// Whether it is time.
    pub(super) fn is_due(&self, name: &str, now: Nanos) -> bool {
        let next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        next.get(name).is_none_or(|poll| poll.at <= now)
    }

    /// It is time for all of them.
    pub(super) fn all_now(&self) {
        self.next.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Forgets those that are not defined any more.
    pub(super) fn keep(&self, definitions: &Definitions) {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        next.retain(|name, _| definitions.contains_key(name));
    }

    /// Somebody was asked: when it is time again.
    pub(super) fn asked(
        &self,
        name: &str,
        has_answered: bool,
        every: Duration,
        (clock, chance): (&dyn Clock, &Chance),
    ) {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let poll = next.entry(name.to_owned()).or_default();
        poll.failures = if has_answered { 0 } else { poll.failures.saturating_add(1) };
        let every = Nanos(u64::try_from(every.as_nanos()).unwrap_or(u64::MAX));
        let wait = match poll.failures.checked_sub(1) {
            None => every,
            Some(before) => {
                let wait = FAILED_WAIT.0.saturating_mul(1 << before.min(16));
                Nanos(wait.min(FAILED_WAIT_MAX.0.max(every.0)))
            }
        };
        poll.at = clock.monotonic().plus(spread(wait, chance));
    }
}

/// From 90 to 110 % of it: registries are not asked by all gateways at a time.
fn spread(wait: Nanos, chance: &Chance) -> Nanos {
    let mut byte = [0];
    chance(&mut byte);
    let [byte] = byte;
    Nanos(wait.0 / 100 * (90 + u64::from(byte) * 20 / 255))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[derive(Debug, Default)]
    struct Hand(AtomicU64);

    impl Clock for Hand {
        fn now(&self) -> Nanos {
            self.monotonic()
        }
        fn monotonic(&self) -> Nanos {
            Nanos(self.0.load(Ordering::Relaxed))
        }
    }

    fn wait(polls: &Polls, has_answered: bool, every: u64) -> u64 {
        let clock = Hand::default();
        let chance: Chance = Arc::new(|bytes| bytes.fill(0));
        polls.asked("a", has_answered, Duration::from_secs(every), (&clock, &chance));
        let due = (0..).find(|second| polls.is_due("a", Nanos::from_secs(*second)));
        due.unwrap()
    }

    #[test]
    fn who_does_not_answer_is_asked_less_and_less_often() {
        let polls = Polls::default();
        assert!(polls.is_due("a", Nanos(0)), "nobody was asked yet");
        assert_eq!(wait(&polls, true, 60), 54);
        let waits: Vec<u64> = (0..8).map(|_| wait(&polls, false, 60)).collect();
        assert_eq!(waits, [5, 9, 18, 36, 72, 144, 270, 270]);
        assert_eq!(wait(&polls, true, 60), 54);
        assert_eq!(wait(&polls, false, 3_600), 5);
        polls.all_now();
        assert!(polls.is_due("a", Nanos(0)));
    }

    #[test]
    fn waits_differ_by_a_tenth() {
        let of = |byte: u8| {
            spread(Nanos(1_000), &(Arc::new(move |to: &mut [u8]| to.fill(byte)) as Chance)).0
        };
        assert_eq!([of(0), of(128), of(255)], [900, 1_000, 1_100]);
    }
}
