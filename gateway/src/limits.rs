//! Admission: what is in flight holds permits, so memory has a bound however many connect.
//!
//! A request first takes a place (refused at once when there is none), then the bytes that it is
//! about to buffer (waiting for a bounded time), and keeps both from the first byte of its body
//! until its answer. Receivers are the only callers; the answers come from `receiver::reply`.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::metric::{Counter, Gauge};
use model::{ByteSize, Faults, Nanos, Wait};
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

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
    /// Requests in flight, those that wait for bytes included. Default 2048.
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
    /// What there is too much of: `requests` or `bytes`.
    pub what: &'static str,
    /// How much there may be.
    pub limit: u64,
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "too many {} in flight, limit {}", self.what, self.limit)
    }
}

/// Semaphores count in units of this many bytes, so that any budget fits in their numbers.
const UNIT: usize = 1 << 10;

/// What rounding up may cost one request.
const SLACK_BYTES: u64 = 16 << 10;

/// The budgets that all receivers share.
#[derive(Debug)]
pub struct Admission {
    places: Arc<Semaphore>,
    units: Arc<Semaphore>,
    units_max: u32,
    config: Config,
    stats: Arc<Stats>,
}

impl Admission {
    /// Budgets as configured.
    #[must_use]
    pub fn new(config: Config) -> Self {
        // The largest body twice must fit whatever was rounded up, or it would be told for ever to
        // come back.
        let least = config.body_bytes_max.0.saturating_mul(2).saturating_add(SLACK_BYTES);
        let units = config.in_flight_bytes_max.0.max(least) / UNIT as u64;
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        Self {
            places: Arc::new(Semaphore::new(config.requests_max as usize)),
            units: Arc::new(Semaphore::new(units as usize)),
            units_max: units,
            config,
            stats: Arc::default(),
        }
    }

    /// The admission's counters.
    #[must_use]
    pub fn stats(&self) -> &Arc<Stats> {
        &self.stats
    }

    /// The configured limits.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Takes a place for one request.
    ///
    /// # Errors
    /// `Full` when all places are taken.
    pub fn enter(&self) -> Result<Held, Full> {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            self.stats.refused.inc();
            return Err(Full { what: "requests", limit: u64::from(self.config.requests_max) });
        };
        self.stats.requests.add(1);
        Ok(Held {
            _place: place,
            units: Arc::clone(&self.units),
            bytes: None,
            stats: Arc::clone(&self.stats),
            units_max: self.units_max,
            wait: self.config.wait.0,
        })
    }
}

/// What one request holds; everything is given back when it is dropped.
#[derive(Debug)]
pub struct Held {
    _place: OwnedSemaphorePermit,
    units: Arc<Semaphore>,
    bytes: Option<OwnedSemaphorePermit>,
    stats: Arc<Stats>,
    units_max: u32,
    wait: Duration,
}

impl Held {
    /// Takes `bytes` more, waiting for them as long as the configuration allows. First come, first
    /// served.
    ///
    /// # Errors
    /// `Full` when the time is over.
    ///
    /// # Cancel safety
    /// Dropped, it has taken nothing.
    pub async fn grow(&mut self, bytes: usize) -> Result<(), Full> {
        let units = to_units(bytes);
        if let Ok(permit) = Arc::clone(&self.units).try_acquire_many_owned(units) {
            self.keep(permit);
            return Ok(());
        }
        let more = Arc::clone(&self.units).acquire_many_owned(units);
        match clock::timeout(self.wait, more).await {
            Some(Ok(permit)) => {
                self.keep(permit);
                Ok(())
            }
            Some(Err(_)) | None => Err(self.full()),
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
        let held = self.bytes.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let free = (self.units_max as usize).saturating_sub(held).saturating_mul(UNIT);
        let bytes = bytes.min(free);
        self.grow(bytes).await?;
        Ok(bytes)
    }

    /// Takes `bytes` more if they are there now.
    ///
    /// # Errors
    /// `Full` when they are not.
    pub fn try_grow(&mut self, bytes: usize) -> Result<(), Full> {
        match Arc::clone(&self.units).try_acquire_many_owned(to_units(bytes)) {
            Ok(permit) => {
                self.keep(permit);
                Ok(())
            }
            Err(_) => Err(self.full()),
        }
    }

    fn keep(&mut self, permit: OwnedSemaphorePermit) {
        self.stats.bytes.add((permit.num_permits() * UNIT) as u64);
        match &mut self.bytes {
            Some(held) => held.merge(permit),
            None => self.bytes = Some(permit),
        }
    }

    fn full(&self) -> Full {
        self.stats.refused.inc();
        Full { what: "bytes", limit: u64::from(self.units_max) * UNIT as u64 }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.stats.requests.sub(1);
        let units = self.bytes.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        self.stats.bytes.sub((units * UNIT) as u64);
    }
}

/// Rounded up.
fn to_units(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX)
}

/// Spreads consecutive numbers evenly over 0..1 (multiples of the golden ratio): what would make
/// many clients come back in step gets this instead of chance.
#[must_use]
pub fn spread(number: u64) -> f64 {
    let turned = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    f64::from(u32::try_from(turned >> 32).unwrap_or(u32::MAX)) / 4_294_967_296.0
}

/// Lets at most so many events through in a while: for logs that anyone can cause.
#[derive(Debug)]
pub struct Throttle {
    most: u32,
    per: Nanos,
    /// The while that is being counted, and how many went through in it.
    window: Mutex<(u64, u32)>,
}

impl Throttle {
    /// Lets `most` events through in each `per`, which is not zero.
    #[must_use]
    pub const fn new(most: u32, per: Nanos) -> Self {
        Self { most, per, window: Mutex::new((0, 0)) }
    }

    /// How many of `wanted` events may go through at this moment of the monotonic clock.
    pub fn take(&self, now: Nanos, wanted: u32) -> u32 {
        let number = now.0 / self.per.0.max(1);
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        if window.0 != number {
            *window = (number, 0);
        }
        let granted = wanted.min(self.most.saturating_sub(window.1));
        window.1 += granted;
        granted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_numbers_keep_apart() {
        let mut numbers: Vec<f64> = (0..100).map(spread).collect();
        assert!(numbers.iter().all(|number| (0.0..1.0).contains(number)));
        numbers.sort_by(f64::total_cmp);
        assert!(numbers.windows(2).all(|pair| pair[1] - pair[0] > 0.005));
    }

    #[test]
    fn a_throttle_counts_in_each_while() {
        let throttle = Throttle::new(3, Nanos::SECOND);
        assert_eq!(throttle.take(Nanos(0), 2), 2);
        assert_eq!(throttle.take(Nanos(5), 2), 1);
        assert_eq!(throttle.take(Nanos(9), 2), 0);
        assert_eq!(throttle.take(Nanos::SECOND, 9), 3);
    }

    fn small() -> Admission {
        Admission::new(Config {
            body_bytes_max: ByteSize(1 << 10),
            in_flight_bytes_max: ByteSize(32 << 10),
            requests_max: 2,
            wait: Wait::millis(20),
        })
    }

    #[test]
    fn places_are_refused_at_once_and_given_back() {
        let admission = small();
        let first = admission.enter().unwrap();
        let _second = admission.enter().unwrap();
        assert_eq!(admission.enter().unwrap_err(), Full { what: "requests", limit: 2 });
        drop(first);
        assert!(admission.enter().is_ok());
    }

    #[tokio::test]
    async fn bytes_are_waited_for_and_given_back() {
        let admission = small();
        let mut first = admission.enter().unwrap();
        let mut second = admission.enter().unwrap();
        first.grow(31 << 10).await.unwrap();
        first.grow(10).await.unwrap();
        assert_eq!(admission.stats().bytes.get(), 32 << 10);
        assert!(second.try_grow(1).is_err());
        assert_eq!(first.grow_at_most(usize::MAX).await, Ok(0));
        assert_eq!(second.grow(1).await.unwrap_err().what, "bytes");
        let (got, ()) = tokio::join!(second.grow(1), async { drop(first) });
        got.unwrap();
        drop(second);
        let stats = admission.stats();
        assert_eq!((stats.bytes.get(), stats.requests.get(), stats.refused.get()), (0, 0, 2));
    }

    #[test]
    fn a_budget_below_two_bodies_is_a_fault() {
        let mut faults = Faults::default();
        let config = Config { in_flight_bytes_max: ByteSize::mib(20), ..Config::default() };
        config.check("receiver.limits", &mut faults);
        assert_eq!(faults.list().len(), 1);
        assert_eq!(faults.list()[0].key, "receiver.limits.in_flight_bytes_max");
        let mut none = Faults::default();
        Config::default().check("receiver.limits", &mut none);
        assert!(none.is_empty());
    }
}
