//! What was computed of immutable files before, by what was asked: a wall of dashboards that asks the
//! same again, a step later, costs one evaluation.
//!
//! Keys are 128-bit hashes of everything that an answer depends on, its kind among it: files never
//! change, so nothing here is ever wrong, only not asked for any more. Bounded by bytes; what was not
//! used for longest goes. Of several that ask for the same at the same time one computes.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
    flights: Mutex<HashMap<Key, Arc<Mutex<()>>>>,
    /// Answers that were known.
    pub hits: Counter,
    /// Answers that were not.
    pub misses: Counter,
    /// Bytes held.
    pub bytes: Gauge,
}

impl Answers {
    /// The answer that is known, or that `compute` finds; nothing where that finds none, which is
    /// not kept. One that is known and not (or no more) good is computed again.
    ///
    /// # Errors
    /// Those of `compute`.
    pub(crate) fn get_or<T: Answer>(
        &self,
        key: Key,
        is_good: impl Fn(&T) -> bool,
        compute: impl FnOnce() -> Result<Option<T>, Error>,
    ) -> Result<Option<Arc<T>>, Error> {
        let known = || self.known::<T>(key).filter(|known| is_good(known));
        if let Some(known) = known() {
            self.hits.inc();
            return Ok(Some(known));
        }
        // Whoever comes second waits for the first one's answer, or computes it if that failed.
        self.alone(key, || {
            if let Some(known) = known() {
                self.hits.inc();
                return Ok(Some(known));
            }
            self.misses.inc();
            Ok(compute()?.map(|found| {
                let found = Arc::new(found);
                self.put(key, &found);
                found
            }))
        })
    }

    /// Does something that nobody else does for the same key meanwhile.
    pub(crate) fn alone<R>(&self, key: Key, act: impl FnOnce() -> R) -> R {
        let flight = Arc::clone(lock(&self.flights).entry(key).or_default());
        let turn = lock(&flight);
        let done = act();
        drop(turn);
        let mut flights = lock(&self.flights);
        // Two are this one and the map's.
        if Arc::strong_count(&flight) <= 2 {
            flights.remove(&key);
        }
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

    /// Keeps an answer.
    pub(crate) fn put<T: Answer>(&self, key: Key, answer: &Arc<T>) {
        let bytes = answer.heap_bytes().saturating_add(size_of::<T>() + ENTRY_BYTES);
        if bytes > ANSWER_BYTES_MAX {
            return;
        }
        let mut held = lock(&self.held);
        held.put(key, Arc::<T>::clone(answer), bytes, BYTES_MAX);
        self.bytes.set(held.size() as u64);
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
    fn an_answer_is_computed_once_and_what_is_none_is_not_kept() {
        let answers = Answers::default();
        let computed = AtomicU32::new(0);
        let ask = |found: Option<u32>, least: u32| {
            let compute = || {
                computed.fetch_add(1, Ordering::Relaxed);
                Ok(found)
            };
            answers.get_or(7, |known| *known >= least, compute).unwrap().map(|answer| *answer)
        };
        assert_eq!(ask(None, 0), None);
        assert_eq!(ask(Some(5), 0), Some(5));
        assert_eq!(ask(Some(6), 0), Some(5));
        assert_eq!(computed.load(Ordering::Relaxed), 2);
        assert_eq!((answers.hits.get(), answers.misses.get()), (1, 2));
        // What is no more good goes.
        assert_eq!(ask(Some(7), 6), Some(7));
        assert_eq!(ask(Some(8), 0), Some(7));
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
                    let compute = || Ok(Some(computed.fetch_add(1, Ordering::Relaxed)));
                    assert_eq!(answers.get_or(7, |_| true, compute).unwrap().as_deref(), Some(&0));
                });
            }
        });
        assert_eq!(computed.load(Ordering::Relaxed), 1);
    }
}
