//! Memory for what is in flight: a bound for all, and fair among accounts.
//!
//! A request first takes a place (refused at once where there is none), then the bytes that it is about to
//! buffer (waiting for a bounded time), and keeps both until its answer. Whoever holds the least is
//! next, so one account that floods waits for itself; and no account gets more places than twice those that
//! are left, so that there always are some for the others.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::metric::{Counter, Gauge};
use model::{ByteSize, Faults, Wait};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::AccountId;
use crate::clock;

/// How much may be in flight.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The largest body, decompressed. Default 16MiB. Larger ones are refused for good.
    pub body_bytes_max: ByteSize,
    /// Bytes of all bodies in flight: as received, decompressed and transcoded together. Default
    /// 64MiB; at least twice `body_bytes_max`, or a large compressed body could never be admitted.
    pub in_flight_bytes_max: ByteSize,
    /// Requests in flight, those that wait for bytes included. Default 2048, of which one tenant
    /// gets two thirds at most.
    pub requests_max: u32,
    /// How long a request waits for bytes before it is told to come back. Default 1s.
    pub wait: Wait,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            body_bytes_max: ByteSize::mib(16),
            in_flight_bytes_max: ByteSize::mib(64),
            requests_max: 2048,
            wait: Wait::secs(1),
        }
    }
}

impl Config {
    /// Notes every value that is not accepted; `key` is the dotted key of this section.
    pub fn check(&self, key: &str, faults: &mut Faults) {
        let body = self.body_bytes_max;
        let body_range = ByteSize(1024)..=ByteSize(1 << 30);
        faults.check_range(&format!("{key}.body_bytes_max"), body, body_range);
        let least = ByteSize(body.0.saturating_mul(2));
        let range = least..=ByteSize(1 << 40);
        faults.check_range(&format!("{key}.in_flight_bytes_max"), self.in_flight_bytes_max, range);
        faults.check_range(&format!("{key}.requests_max"), self.requests_max, 1..=1_000_000);
        let waits = Wait::millis(0)..=Wait::secs(30);
        faults.check_range(&format!("{key}.wait"), self.wait, waits);
    }
}

/// What the metrics page shows of the admission.
#[derive(Debug, Default)]
pub struct Stats {
    /// Requests that hold a place.
    pub requests: Gauge,
    /// Bytes that are held.
    pub bytes: Gauge,
    /// Requests that were turned away because there was no place or no bytes in time.
    pub refused: Counter,
}

/// What is taken. Tells the caller to answer UNAVAILABLE with a retry hint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full {
    /// What there is too much of: `requests`, `requests of one tenant` or `bytes`.
    pub what: &'static str,
    /// How much there may be.
    pub limit: u64,
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "too many {} in flight, limit {}", self.what, self.limit)
    }
}

/// Bytes are counted in units of so many.
const UNIT: usize = 1 << 10;

/// What rounding up may cost one request.
const SLACK_BYTES: u64 = 16 << 10;

/// An account gets no more places than so many times those that are left.
const PLACES_OF_FREE: u32 = 2;

/// What is left, and who holds and waits.
#[derive(Debug)]
struct Free {
    places: u32,
    units: u32,
    holders: HashMap<AccountId, Holder>,
    /// Those that wait, of all.
    waiting: usize,
    next: u64,
    /// Whether what is asked for is in memory already, as answers are.
    is_made: bool,
}

/// What an account holds.
#[derive(Debug, Default)]
struct Holder {
    places: u32,
    units: u32,
    waiting: VecDeque<Waiter>,
}

#[derive(Debug)]
struct Waiter {
    number: u64,
    units: u32,
    granted: oneshot::Sender<()>,
}

impl Free {
    /// Whether an account that holds so many may have as many more. What nobody reads is held for as long as
    /// its connection lasts: of what is made, an account leaves some to the others, as it does of places.
    const fn may_have(&self, own: u32, units: u32) -> bool {
        let left = self.units.saturating_sub(units);
        !self.is_made
            || own == 0
            || own.saturating_add(units) <= left.saturating_mul(PLACES_OF_FREE)
    }

    /// Whether so many units more may wait. What is made takes its memory while it waits, too: as much as
    /// there is in all, and one for each account.
    fn may_wait(&self, account: AccountId, units: u32, units_max: u32) -> bool {
        let waits = |holder: &Holder| !holder.waiting.is_empty();
        if !self.is_made || !self.holders.get(&account).is_some_and(waits) {
            return true;
        }
        let all = self.holders.values().flat_map(|holder| &holder.waiting);
        let waiting: u64 = all.map(|waiter| u64::from(waiter.units)).sum();
        waiting.saturating_add(u64::from(units)) <= u64::from(units_max)
    }

    fn own(&self, account: AccountId) -> u32 {
        self.holders.get(&account).map_or(0, |holder| holder.units)
    }

    fn take(&mut self, account: AccountId, units: u32) {
        self.units = self.units.saturating_sub(units);
        self.holders.entry(account).or_default().units += units;
    }

    fn give(&mut self, account: AccountId, units: u32) {
        self.units += units;
        if let Some(holder) = self.holders.get_mut(&account) {
            holder.units = holder.units.saturating_sub(units);
        }
        self.grant();
    }

    /// Serves whoever holds the least, as long as there is enough. A large request is not passed by smaller
    /// ones of the same or of a larger holder.
    fn grant(&mut self) {
        while self.waiting > 0 {
            let may = |holder: &Holder| {
                let wanted = holder.waiting.front().map(|waiter| waiter.units);
                wanted.is_some_and(|units| self.may_have(holder.units, units))
            };
            let waits = self.holders.iter().filter(|(_, holder)| may(holder));
            let next = waits.min_by_key(|(account, holder)| (holder.units, **account));
            let Some((&account, _)) = next else { return };
            let Some(holder) = self.holders.get_mut(&account) else { return };
            let wanted = holder.waiting.front().map_or(0, |waiter| waiter.units);
            if wanted > self.units {
                return;
            }
            let Some(waiter) = holder.waiting.pop_front() else { return };
            self.waiting -= 1;
            self.take(account, wanted);
            // One that has just gone away gives it back itself.
            waiter.granted.send(()).unwrap_or_default();
        }
    }

    /// Forgets one that waits; not there where it has been served.
    fn leave(&mut self, account: AccountId, number: u64) -> bool {
        let Some(holder) = self.holders.get_mut(&account) else { return false };
        let before = holder.waiting.len();
        holder.waiting.retain(|waiter| waiter.number != number);
        let left = before - holder.waiting.len();
        self.waiting -= left;
        left > 0
    }
}

#[derive(Debug)]
struct Shared {
    free: Mutex<Free>,
    units_max: u32,
    config: Config,
    stats: Arc<Stats>,
}

impl Shared {
    /// What it guards is whole after every statement.
    fn free(&self) -> MutexGuard<'_, Free> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The budgets that all requests of a kind share.
#[derive(Debug)]
pub struct Admission {
    shared: Arc<Shared>,
}

impl Admission {
    /// Budgets as configured.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self::with(config, false)
    }

    /// The same for what is in memory before it asks for its bytes: little of it waits, and no account gets
    /// all of them.
    #[must_use]
    pub fn of_made(config: Config) -> Self {
        Self::with(config, true)
    }

    fn with(config: Config, is_made: bool) -> Self {
        // The largest body twice must fit whatever was rounded up, or it would be told for ever to
        // come back.
        let least = config.body_bytes_max.0.saturating_mul(2).saturating_add(SLACK_BYTES);
        let units = config.in_flight_bytes_max.0.max(least) / UNIT as u64;
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        let free = Free {
            places: config.requests_max,
            units,
            holders: HashMap::new(),
            waiting: 0,
            next: 0,
            is_made,
        };
        let shared =
            Shared { free: Mutex::new(free), units_max: units, config, stats: Arc::default() };
        Self { shared: Arc::new(shared) }
    }

    /// The admission's counters.
    #[must_use]
    pub fn stats(&self) -> &Arc<Stats> {
        &self.shared.stats
    }

    /// The configured limits.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.shared.config
    }

    /// Takes a place for one request of an account.
    ///
    /// # Errors
    /// `Full` when all places are taken, or too many of them by this account.
    pub fn enter(&self, account: AccountId) -> Result<Held, Full> {
        let shared = &self.shared;
        let mut free = shared.free();
        let limit = shared.config.requests_max;
        let own = free.holders.get(&account).map_or(0, |holder| holder.places);
        let left = free.places;
        let refusal = match (left, own >= left.saturating_mul(PLACES_OF_FREE)) {
            (0, _) => Some(Full { what: "requests", limit: u64::from(limit) }),
            (_, true) => Some(Full { what: "requests of one tenant", limit: u64::from(own) }),
            _ => None,
        };
        if let Some(full) = refusal {
            drop(free);
            shared.stats.refused.inc();
            return Err(full);
        }
        free.places -= 1;
        free.holders.entry(account).or_default().places += 1;
        drop(free);
        shared.stats.requests.add(1);
        Ok(Held { shared: Arc::clone(shared), account, units: 0 })
    }
}

/// What one request holds; everything is given back when it is dropped.
#[derive(Debug)]
pub struct Held {
    shared: Arc<Shared>,
    account: AccountId,
    units: u32,
}

/// Gives back what a request that went away while it waited has got, or its place among those that wait.
struct Leaving<'a> {
    shared: &'a Shared,
    account: AccountId,
    number: u64,
    units: u32,
    done: bool,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let mut free = self.shared.free();
        if free.leave(self.account, self.number) {
            // What it kept from others may fit them.
            free.grant();
        } else {
            free.give(self.account, self.units);
        }
    }
}

impl Held {
    /// Takes `bytes` more, waiting for them as long as the configuration allows.
    ///
    /// # Errors
    /// `Full` when the time is over.
    ///
    /// # Cancel safety
    /// Dropped, it has taken nothing.
    pub async fn grow(&mut self, bytes: usize) -> Result<(), Full> {
        let wait = self.shared.config.wait.0;
        let (units, account) = (to_units(bytes), self.account);
        let shared = Arc::clone(&self.shared);
        let (mut leaving, granted) = {
            let mut free = shared.free();
            let fits = units <= free.units && free.may_have(free.own(account), units);
            if free.waiting == 0 && fits {
                free.take(account, units);
                drop(free);
                self.keep(units);
                return Ok(());
            }
            if !free.may_wait(account, units, shared.units_max) {
                drop(free);
                return Err(self.full());
            }
            let (sender, granted) = oneshot::channel();
            let number = free.next;
            free.next += 1;
            free.waiting += 1;
            let waiter = Waiter { number, units, granted: sender };
            free.holders.entry(account).or_default().waiting.push_back(waiter);
            let leaving = Leaving { shared: &shared, account, number, units, done: false };
            free.grant();
            (leaving, granted)
        };
        match clock::timeout(wait, granted).await {
            Some(Ok(())) => {
                leaving.done = true;
                self.keep(units);
                Ok(())
            }
            Some(Err(_)) | None => {
                drop(leaving);
                Err(self.full())
            }
        }
    }

    /// As [`Held::grow`] for a guess: takes less where all of the budget would not be enough.
    /// Returns how much it took.
    ///
    /// # Errors
    /// `Full` when the time is over.
    ///
    /// # Cancel safety
    /// Dropped, it has taken nothing.
    pub async fn grow_at_most(&mut self, bytes: usize) -> Result<usize, Full> {
        let left = self.shared.units_max.saturating_sub(self.units) as usize;
        let bytes = bytes.min(left.saturating_mul(UNIT));
        self.grow(bytes).await?;
        Ok(bytes)
    }

    /// Takes `bytes` more if they are there now.
    ///
    /// # Errors
    /// `Full` when they are not.
    pub fn try_grow(&mut self, bytes: usize) -> Result<(), Full> {
        let units = to_units(bytes);
        let mut free = self.shared.free();
        if units > free.units {
            drop(free);
            return Err(self.full());
        }
        free.take(self.account, units);
        drop(free);
        self.keep(units);
        Ok(())
    }

    fn keep(&mut self, units: u32) {
        self.units += units;
        self.shared.stats.bytes.add(u64::from(units) * UNIT as u64);
    }

    fn full(&self) -> Full {
        self.shared.stats.refused.inc();
        Full { what: "bytes", limit: u64::from(self.shared.units_max) * UNIT as u64 }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.shared.stats.requests.sub(1);
        self.shared.stats.bytes.sub(u64::from(self.units) * UNIT as u64);
        let mut free = self.shared.free();
        free.places += 1;
        let account = self.account;
        free.give(account, self.units);
        if let Some(holder) = free.holders.get_mut(&account) {
            holder.places = holder.places.saturating_sub(1);
            if holder.places == 0 && holder.units == 0 && holder.waiting.is_empty() {
                free.holders.remove(&account);
            }
        }
    }
}

/// Rounded up.
fn to_units(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
