//! What was computed of immutable files before, by what was asked: a wall of dashboards that asks the
//! same again, a step later, costs one evaluation.
//!
//! Keys are 128-bit hashes of everything that an answer depends on: files never change, so nothing
//! here is ever wrong, only not asked for any more. Bounded by bytes; what was not used for longest
//! goes. Of several that ask for the same at the same time one computes.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::metric::{Counter, Gauge};

use crate::error::Error;
use crate::lru::Lru;

/// The most bytes of answers.
const BYTES_MAX: usize = 24 << 20;
/// What an answer takes besides itself, about.
const ENTRY_BYTES: usize = 160;

/// A hash of everything that an answer depends on.
pub(crate) type Key = u128;

/// Answers about parts of what is stored.
#[derive(Debug)]
pub(crate) struct Answers<T> {
    held: Mutex<Lru<Key, Arc<T>>>,
    /// Who computes what.
    flights: Mutex<HashMap<Key, Arc<Mutex<()>>>>,
    /// Answers that were known.
    pub hits: Counter,
    /// Answers that were not.
    pub misses: Counter,
    /// Bytes held.
    pub bytes: Gauge,
}

impl<T> Default for Answers<T> {
    fn default() -> Self {
        Self {
            held: Mutex::default(),
            flights: Mutex::default(),
            hits: Counter::new(),
            misses: Counter::new(),
            bytes: Gauge::new(),
        }
    }
}

impl<T: fmt::Debug> Answers<T> {
    /// The answer that is known, or that `compute` finds; nothing where that finds none, which is
    /// not kept. `size` tells the heap bytes of an answer.
    ///
    /// # Errors
    /// Those of `compute`.
    pub(crate) fn get_or(
        &self,
        key: Key,
        size: impl Fn(&T) -> usize,
        compute: impl FnOnce() -> Result<Option<T>, Error>,
    ) -> Result<Option<Arc<T>>, Error> {
        if let Some(known) = self.get(key) {
            return Ok(Some(known));
        }
        let flight = Arc::clone(lock(&self.flights).entry(key).or_default());
        // Whoever comes second waits for the first one's answer, or computes it if that failed.
        let turn = lock(&flight);
        let known = self.get(key);
        let found = match known {
            Some(known) => Ok(Some(known)),
            None => {
                self.misses.inc();
                compute().map(|found| found.map(|found| self.put(key, found, &size)))
            }
        };
        drop(turn);
        let mut flights = lock(&self.flights);
        // Two are this one and the map's.
        if Arc::strong_count(&flight) <= 2 {
            flights.remove(&key);
        }
        found
    }

    fn get(&self, key: Key) -> Option<Arc<T>> {
        let found = lock(&self.held).get(key).cloned();
        if found.is_some() {
            self.hits.inc();
        }
        found
    }

    fn put(&self, key: Key, answer: T, size: impl Fn(&T) -> usize) -> Arc<T> {
        let bytes = size(&answer).saturating_add(ENTRY_BYTES);
        let answer = Arc::new(answer);
        let mut held = lock(&self.held);
        held.put(key, Arc::clone(&answer), bytes, BYTES_MAX);
        self.bytes.set(held.size() as u64);
        answer
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn an_answer_is_computed_once_and_what_is_none_is_not_kept() {
        let answers = Answers::<u32>::default();
        let computed = AtomicU32::new(0);
        let ask = |found: Option<u32>| {
            let compute = || {
                computed.fetch_add(1, Ordering::Relaxed);
                Ok(found)
            };
            answers.get_or(7, |_| 0, compute).unwrap().map(|answer| *answer)
        };
        assert_eq!(ask(None), None);
        assert_eq!(ask(Some(5)), Some(5));
        assert_eq!(ask(Some(6)), Some(5));
        assert_eq!(computed.load(Ordering::Relaxed), 2);
        assert_eq!((answers.hits.get(), answers.misses.get()), (1, 2));
        assert!(lock(&answers.flights).is_empty());
    }

    #[test]
    fn of_many_that_ask_at_once_one_computes() {
        let answers = Answers::<u32>::default();
        let computed = AtomicU32::new(0);
        let start = std::sync::Barrier::new(4);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    start.wait();
                    let compute = || Ok(Some(computed.fetch_add(1, Ordering::Relaxed)));
                    assert_eq!(answers.get_or(7, |_| 0, compute).unwrap().as_deref(), Some(&0));
                });
            }
        });
        assert_eq!(computed.load(Ordering::Relaxed), 1);
    }
}
