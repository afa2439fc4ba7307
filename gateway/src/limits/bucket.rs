//! A rate and a burst, of bytes or of spans: a token bucket that lets a batch through whole, however large,
//! and has those behind it wait until it is paid for.
//!
//! governor decides (GCRA); its state is kept here, so that it can take debt, and give back. A bucket is
//! divided into [`CELLS`] cells, whatever its size: a request is let in while one of them is free.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::clock::Clock as _;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos as Arrival;
use governor::state::StateStore;
use governor::state::direct::NotKeyed;
use governor::{Quota, RateLimiter};
use model::Clock;

use crate::overrides::values::Rate;

/// Parts of a bucket. governor counts whole nanoseconds for each cell: by the byte it would be wrong by a
/// third at 400 MB/s.
const CELLS: NonZeroU32 = NonZeroU32::new(1024).unwrap();

/// The longest that anything takes, about thirty years: sums of it stay within their numbers.
const NANOS_MAX: u128 = 1_000_000_000_000_000_000;

/// The monotonic clock, as governor reads it.
#[derive(Debug)]
struct Ticks(Arc<dyn Clock>);

impl governor::clock::Clock for Ticks {
    type Instant = Duration;

    fn now(&self) -> Duration {
        Duration::from_nanos(self.0.monotonic().0)
    }
}

/// When the bucket is full again, in nanoseconds since it was made; 0 before anything was taken.
#[derive(Clone, Debug, Default)]
struct Full(Arc<AtomicU64>);

impl Full {
    /// Moves it, at least once each time that somebody else was faster.
    fn change<T, E>(&self, decide: impl Fn(u64) -> Result<(T, u64), E>) -> Result<T, E> {
        let mut before = self.0.load(Ordering::Acquire);
        loop {
            let (outcome, next) = decide(before)?;
            let next = next.max(1);
            match self.0.compare_exchange_weak(before, next, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Ok(outcome),
                Err(other) => before = other,
            }
        }
    }

    fn set(&self, next: impl Fn(u64) -> u64) {
        let never: Result<(), std::convert::Infallible> =
            self.change(|before| Ok(((), next(before))));
        let Ok(()) = never;
    }
}

impl StateStore for Full {
    type Key = NotKeyed;

    fn measure_and_replace<T, F, E>(&self, _: &NotKeyed, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Arrival>) -> Result<(T, Arrival), E>,
    {
        self.change(|before| {
            let known = (before != 0).then(|| Arrival::new(before));
            decide(known).map(|(outcome, next)| (outcome, next.as_u64()))
        })
    }
}

/// How long so many units take, in nanoseconds.
fn nanos(rate: Rate, units: u64) -> u64 {
    let nanos = u128::from(units) * 1_000_000_000 / u128::from(rate.per_second.max(1));
    u64::try_from(nanos.min(NANOS_MAX)).unwrap_or(u64::MAX)
}

/// A bucket.
#[derive(Debug)]
pub struct Bucket {
    rate: Rate,
    limiter: RateLimiter<NotKeyed, Full, Ticks, NoOpMiddleware<Duration>>,
    full: Full,
    begun: Duration,
    /// What one cell takes, in nanoseconds.
    cell: u64,
}

impl Bucket {
    /// A bucket that is full.
    #[must_use]
    pub fn new(rate: Rate, clock: &Arc<dyn Clock>) -> Self {
        let cell = (nanos(rate, rate.burst) / u64::from(CELLS.get())).max(1);
        let quota = Quota::with_period(Duration::from_nanos(cell));
        // Not zero, so there is one.
        let quota = quota.unwrap_or_else(|| Quota::per_second(CELLS)).allow_burst(CELLS);
        let (ticks, full) = (Ticks(Arc::clone(clock)), Full::default());
        let begun = ticks.now();
        let limiter = RateLimiter::new(quota, full.clone(), ticks);
        Self { rate, limiter, full, begun, cell }
    }

    /// Its rate and burst.
    #[must_use]
    pub const fn rate(&self) -> Rate {
        self.rate
    }

    /// Takes so many units, also more than there are.
    ///
    /// # Errors
    /// Where there are none left: how long it takes until there are. Nothing is taken then.
    pub fn admit(&self, units: u64) -> Result<(), Duration> {
        let until = self.limiter.check();
        until.map_err(|until| until.wait_time_from(self.limiter.clock().now()))?;
        // One cell is taken already.
        let (wanted, cell) = (nanos(self.rate, units), self.cell);
        self.full.set(|full| full.saturating_add(wanted).saturating_sub(cell));
        Ok(())
    }

    /// Takes so many units of something that was let in already.
    pub fn charge(&self, units: u64) {
        if units == 0 {
            return;
        }
        let now = self.now();
        self.full.set(|full| full.max(now).saturating_add(nanos(self.rate, units)));
    }

    /// Gives back what was taken for something that came to nothing.
    pub fn refund(&self, units: u64) {
        self.full.set(|full| full.saturating_sub(nanos(self.rate, units)));
    }

    /// How many units there are; less than zero while there is debt.
    #[must_use]
    pub fn balance(&self) -> i64 {
        let taken = self.full.0.load(Ordering::Acquire).saturating_sub(self.now());
        let units = u128::from(taken) * u128::from(self.rate.per_second) / 1_000_000_000;
        let whole = |units: u128| i64::try_from(units).unwrap_or(i64::MAX);
        whole(u128::from(self.rate.burst)).saturating_sub(whole(units))
    }

    fn now(&self) -> u64 {
        let since = self.limiter.clock().now().saturating_sub(self.begun);
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use model::Nanos;
    use proptest::prelude::*;

    use super::*;
    use crate::limits::tests::Hand;

    fn bucket(per_second: u64, burst: u64) -> (Bucket, Arc<Hand>) {
        let hand = Arc::new(Hand::default());
        let clock: Arc<dyn Clock> = Arc::<Hand>::clone(&hand);
        (Bucket::new(Rate { per_second, burst }, &clock), hand)
    }

    #[test]
    fn a_batch_over_the_burst_goes_into_debt_and_is_waited_for() {
        let (bucket, hand) = bucket(1_000, 2_000);
        assert_eq!(bucket.balance(), 2_000);
        assert_eq!(bucket.admit(5_000), Ok(()));
        assert_eq!(bucket.balance(), -3_000);
        let wait = bucket.admit(1).unwrap_err();
        // Three seconds of debt, and one cell of the burst, which takes two seconds to fill.
        let cell = Duration::from_secs(2) / 1024;
        assert!(
            wait.abs_diff(Duration::from_secs(3) + cell) < Duration::from_micros(5),
            "{wait:?}"
        );
        hand.pass(Nanos(u64::try_from(wait.as_nanos()).unwrap() - 5_000));
        assert!(bucket.admit(1).is_err());
        hand.pass(Nanos(10_000));
        assert_eq!(bucket.admit(1), Ok(()));
    }

    #[test]
    fn however_large_a_batch_is_all_of_it_is_paid_for() {
        let (bucket, hand) = bucket(10, 20);
        assert_eq!(bucket.admit(50_000), Ok(()));
        hand.pass(Nanos::from_secs(4_995));
        assert!(bucket.admit(1).is_err());
        hand.pass(Nanos::from_secs(4));
        assert_eq!(bucket.admit(u64::MAX), Ok(()));
        bucket.charge(u64::MAX);
        let wait = bucket.admit(1).unwrap_err();
        assert!(wait > Duration::from_secs(900_000_000), "{wait:?}");
    }

    #[test]
    fn what_is_charged_later_and_what_is_given_back_count() {
        let (bucket, hand) = bucket(1_000, 1_000);
        hand.pass(Nanos::from_secs(60));
        bucket.charge(3_000);
        assert_eq!(bucket.balance(), -2_000);
        bucket.refund(2_500);
        assert_eq!(bucket.balance(), 500);
        assert_eq!(bucket.admit(0), Ok(()));
        assert_eq!(bucket.balance(), 500);
        // More than was taken is not more than there is room for.
        bucket.refund(1 << 40);
        assert_eq!(bucket.balance(), 1_000);
    }

    proptest! {
        /// Whatever comes, and however large the numbers are: over a minute as much goes through as the rate
        /// says, and the burst and one batch more.
        #[test]
        fn the_rate_holds(
            per_second in 1_u64..2_000_000_000,
            seconds_of_burst in 1_u64..5,
            parts in 1_u64..50,
            pause in 1_000_000_u64..50_000_000,
        ) {
            let burst = per_second * seconds_of_burst;
            let (bucket, hand) = bucket(per_second, burst);
            let batch = (burst / parts).max(1);
            let (mut taken, mut at) = (0_u64, 0);
            while at < 60 * Nanos::SECOND.0 {
                while bucket.admit(batch).is_ok() {
                    taken += batch;
                }
                hand.pass(Nanos(pause));
                at += pause;
            }
            let least = per_second * 60;
            let most = least + burst + 2 * batch + per_second / 10;
            prop_assert!((least..=most).contains(&taken), "{taken} of {least} to {most}");
        }
    }
}
