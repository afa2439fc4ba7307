//! What was computed of immutable files before, by what was asked: a wall of dashboards that asks the
//! same again, a step later, costs one evaluation.
//!
//! Keys are 128-bit hashes of everything that an answer depends on, its kind among it: files never
//! change, so nothing here is ever wrong, only not asked for any more. Bounded by bytes; what was not
//! used for longest goes. Of several that ask for the same at the same time one computes.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::metric::{Counter, Gauge};

use crate::error::Error;
use crate::lru::Lru;

/// The most bytes of answers.
const BYTES_MAX: usize = 24 << 20;
/// The most bytes of one: a larger one would be in the way of many others.
const ANSWER_BYTES_MAX: usize = BYTES_MAX / 8;
/// What an answer takes besides itself, about.
const ENTRY_BYTES: usize = 160;

/// A hash of everything that an answer depends on.
pub(crate) type Key = u128;

/// An answer about a part of what is stored.
pub(crate) trait Answer: Any + Send + Sync {
    /// Heap bytes held.
    fn heap_bytes(&self) -> usize;
}

/// Answers about parts of what is stored.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    held: Mutex<Lru<Key, Arc<dyn Any + Send + Sync>>>,
    /// Who computes what.
    flights: Mutex<HashMap<Key, Arc<Flight>>>,
    /// Answers that were known.
    pub hits: Counter,
    /// Answers that were not.
    pub misses: Counter,
    /// Bytes held.
    pub bytes: Gauge,
}

/// Something that one computes and others may wait for.
#[derive(Debug, Default)]
struct Flight {
    state: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    is_busy: bool,
    /// Whether there was nothing to keep: nobody gains by waiting for the next one.
    is_vain: bool,
}

/// Between two looks at whether there is still somebody to wait for.
const PATIENCE: Duration = Duration::from_millis(10);

impl Flight {
    /// Waits for the turn; `false` where there is nothing to wait for, or no time.
    fn board(&self, is_over: impl Fn() -> bool) -> bool {
        let mut state = lock(&self.state);
        while state.is_busy {
            if state.is_vain || is_over() {
                return false;
            }
            let waited = self.changed.wait_timeout(state, PATIENCE);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.is_busy = true;
        true
    }
}

/// A turn, which ends with this: also where what is computed panics.
struct Turn<'a> {
    answers: &'a Answers,
    key: Key,
    flight: Option<Arc<Flight>>,
    is_ours: bool,
    is_vain: bool,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let Some(flight) = self.flight.take() else { return };
        if self.is_ours {
            let mut state = lock(&flight.state);
            state.is_busy = false;
            state.is_vain |= self.is_vain;
            flight.changed.notify_all();
        }
        let mut flights = lock(&self.answers.flights);
        drop(flight);
        // The map's own is the last one.
        if flights.get(&self.key).is_some_and(|flight| Arc::strong_count(flight) == 1) {
            flights.remove(&self.key);
        }
    }
}

impl Answers {
    /// The answer that is known, or that `compute` finds; it is kept where that says that it is the
    /// whole. One that is known and not (or no more) good is computed again. `is_over` tells whether
    /// to wait for others no longer.
    ///
    /// # Errors
    /// Those of `compute`.
    pub(crate) fn get_or<T: Answer>(
        &self,
        key: Key,
        is_over: impl Fn() -> bool,
        is_good: impl Fn(&T) -> bool,
        compute: impl FnOnce() -> Result<Option<(T, bool)>, Error>,
    ) -> Result<Option<Arc<T>>, Error> {
        let known = || self.known::<T>(key).filter(|known| is_good(known));
        if let Some(known) = known() {
            self.hits.inc();
            return Ok(Some(known));
        }
        // Whoever comes second waits for the first one's answer, or computes it if that failed.
        self.alone(key, is_over, |is_kept| {
            if let Some(known) = known() {
                self.hits.inc();
                return Ok(Some(known));
            }
            self.misses.inc();
            let found = compute()?.map(|(found, is_whole)| (Arc::new(found), is_whole));
            *is_kept =
                found.as_ref().is_some_and(|(found, is_whole)| *is_whole && self.put(key, found));
            Ok(found.map(|(found, _)| found))
        })
    }

    /// Does something that nobody else does for the same key meanwhile, unless the wait for whoever
    /// does is over first. `act` says whether something of it is kept, which is worth a wait.
    pub(crate) fn alone<R>(
        &self,
        key: Key,
        is_over: impl Fn() -> bool,
        act: impl FnOnce(&mut bool) -> R,
    ) -> R {
        let flight = Arc::clone(lock(&self.flights).entry(key).or_default());
        let is_ours = flight.board(is_over);
        let flight = Some(flight);
        let mut turn = Turn { answers: self, key, flight, is_ours, is_vain: false };
        let mut is_kept = true;
        let done = act(&mut is_kept);
        turn.is_vain = !is_kept;
        done
    }

    /// The answer that is known.
    pub(crate) fn get<T: Answer>(&self, key: Key) -> Option<Arc<T>> {
        let known = self.known(key);
        let of = if known.is_some() { &self.hits } else { &self.misses };
        of.inc();
        known
    }

    /// The same for whoever has asked before, which does not count.
    pub(crate) fn known<T: Answer>(&self, key: Key) -> Option<Arc<T>> {
        let known = lock(&self.held).get(key).cloned()?;
        known.downcast().ok()
    }

    /// Keeps an answer, unless it is too large.
    pub(crate) fn put<T: Answer>(&self, key: Key, answer: &Arc<T>) -> bool {
        let bytes = answer.heap_bytes().saturating_add(size_of::<T>() + ENTRY_BYTES);
        if bytes > ANSWER_BYTES_MAX {
            return false;
        }
        let mut held = lock(&self.held);
        held.put(key, Arc::<T>::clone(answer), bytes, BYTES_MAX);
        self.bytes.set(held.size() as u64);
        true
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    impl Answer for u32 {
        fn heap_bytes(&self) -> usize {
            0
        }
    }

    #[test]
    fn an_answer_is_computed_once_and_what_is_not_the_whole_is_not_kept() {
        let answers = Answers::default();
        let computed = AtomicU32::new(0);
        let ask_for = |found: Option<(u32, bool)>, least: u32| {
            let compute = || {
                computed.fetch_add(1, Ordering::Relaxed);
                Ok(found)
            };
            answers
                .get_or(7, || false, |known| *known >= least, compute)
                .unwrap()
                .map(|answer| *answer)
        };
        let ask = |found: u32, least| ask_for(Some((found, true)), least);
        assert_eq!(ask_for(None, 0), None);
        assert_eq!(ask_for(Some((4, false)), 0), Some(4));
        assert_eq!(ask(5, 0), Some(5));
        assert_eq!(ask(6, 0), Some(5));
        assert_eq!(computed.load(Ordering::Relaxed), 3);
        assert_eq!((answers.hits.get(), answers.misses.get()), (1, 3));
        // What is no more good goes.
        assert_eq!(ask(7, 6), Some(7));
        assert_eq!(ask(8, 0), Some(7));
        assert!(lock(&answers.flights).is_empty());
    }

    #[test]
    fn of_many_that_ask_at_once_one_computes() {
        let answers = Answers::default();
        let computed = AtomicU32::new(0);
        let start = std::sync::Barrier::new(4);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    start.wait();
                    let compute = || Ok(Some((computed.fetch_add(1, Ordering::Relaxed), true)));
                    let answer = answers.get_or(7, || false, |_| true, compute);
                    assert_eq!(answer.unwrap().as_deref(), Some(&0));
                });
            }
        });
        assert_eq!(computed.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn whoever_cannot_wait_any_longer_does_it_alone_and_a_panic_ends_a_turn() {
        let answers = Answers::default();
        let panicked = std::thread::scope(|scope| {
            let turn = scope.spawn(|| answers.alone(7, || false, |_| panic!("in its turn")));
            turn.join().is_err()
        });
        assert!(panicked && lock(&answers.flights).is_empty());
        let looks = AtomicU32::new(0);
        let is_over = || looks.fetch_add(1, Ordering::Relaxed) > 1;
        answers.alone(
            7,
            || false,
            |_| {
                let found = answers.get_or(7, is_over, |_: &u32| true, || Ok(Some((1, true))));
                assert_eq!(found.unwrap().as_deref(), Some(&1));
            },
        );
        assert_eq!(looks.load(Ordering::Relaxed), 3);
        assert!(lock(&answers.flights).is_empty());
    }

    #[test]
    fn nobody_waits_in_turn_for_what_is_not_kept() {
        let answers = Answers::default();
        let looks = [AtomicU32::new(0), AtomicU32::new(0)];
        let both = std::sync::Barrier::new(2);
        std::thread::scope(|scope| {
            answers.alone(
                7,
                || false,
                |is_kept| {
                    for looks in &looks {
                        let (answers, both) = (&answers, &both);
                        // It would give up in the end, and be found out.
                        let is_over = || looks.fetch_add(1, Ordering::SeqCst) > 500;
                        scope.spawn(move || answers.alone(7, is_over, |_| both.wait()));
                    }
                    while looks.iter().any(|looks| looks.load(Ordering::SeqCst) == 0) {
                        std::thread::yield_now();
                    }
                    *is_kept = false;
                },
            );
        });
        assert!(looks.iter().all(|looks| looks.load(Ordering::SeqCst) < 500));
        assert!(lock(&answers.flights).is_empty());
    }
}
