//! What is being fetched: whoever asks for the same meanwhile waits for it.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::tier::Key;

/// Fetches under way.
#[derive(Debug, Default)]
pub(crate) struct Flights(Mutex<HashMap<Key, Arc<Flight>>>);

/// One of them.
#[derive(Debug, Default)]
pub(crate) struct Flight {
    state: Mutex<State>,
    landed: Condvar,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Under,
    /// With nothing where the fetch failed.
    Over(Option<Bytes>),
}

/// What of many chunks this caller fetches, and what others do.
pub(crate) struct Claim<'f> {
    flights: &'f Flights,
    /// To be fetched and then told with [`Claim::land`]; what is not has failed.
    pub(crate) own: Vec<Key>,
    /// To be waited for, after one's own are fetched.
    pub(crate) others: Vec<(Key, Arc<Flight>)>,
}

impl Flights {
    /// Takes what nobody is fetching.
    pub(crate) fn claim(&self, keys: &[Key]) -> Claim<'_> {
        let mut claim = Claim { flights: self, own: Vec::new(), others: Vec::new() };
        let mut flights = self.held();
        for key in keys {
            if let Some(flight) = flights.get(key) {
                claim.others.push((*key, Arc::clone(flight)));
            } else {
                flights.insert(*key, Arc::default());
                claim.own.push(*key);
            }
        }
        claim
    }

    fn held(&self) -> MutexGuard<'_, HashMap<Key, Arc<Flight>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, key: &Key, bytes: Option<Bytes>) {
        if let Some(flight) = self.held().remove(key) {
            *flight.state.lock().unwrap_or_else(PoisonError::into_inner) = State::Over(bytes);
            flight.landed.notify_all();
        }
    }
}

impl Claim<'_> {
    /// Tells whoever waits; from now on somebody else may fetch it again.
    pub(crate) fn land(&mut self, key: &Key, bytes: Bytes) {
        if let Some(at) = self.own.iter().position(|own| own == key) {
            self.own.swap_remove(at);
            self.flights.end(key, Some(bytes));
        }
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.own.iter().for_each(|key| self.flights.end(key, None));
    }
}

impl Flight {
    /// Waits for it; nothing where it failed.
    pub(crate) fn wait(&self) -> Option<Bytes> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let State::Over(bytes) = &*state {
                return bytes.clone();
            }
            state = self.landed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(chunk: u32) -> Key {
        Key { writer: 1, number: 2, chunk }
    }

    #[test]
    fn one_fetches_and_the_others_wait() {
        let flights = Flights::default();
        let mut first = flights.claim(&[key(0), key(1)]);
        let second = flights.claim(&[key(1), key(2)]);
        assert_eq!((first.own.len(), second.own.as_slice()), (2, &[key(2)][..]));
        let waiting = std::thread::spawn({
            let flight = Arc::clone(&second.others[0].1);
            move || flight.wait()
        });
        first.land(&key(1), Bytes::from_static(b"x"));
        assert_eq!(waiting.join().unwrap().unwrap(), "x");
        // What was not told has failed, and is free for the next one.
        let third = flights.claim(&[key(0)]);
        assert!(third.own.is_empty());
        drop(first);
        assert_eq!(third.others[0].1.wait(), None);
        assert_eq!(flights.claim(&[key(0)]).own, [key(0)]);
    }
}
