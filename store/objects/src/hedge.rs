//! A read that takes longer than reads do is sent a second time, and the first answer counts.
//!
//! Object stores answer most reads within tens of milliseconds and some within seconds; a query that
//! makes a hundred reads meets one of those more often than not. "Longer" is the 95th percentile of
//! what was seen last, by size, so that at most one in twenty is late by definition; a budget holds the
//! second requests to a share of the first also while all of them are late.

use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout};

/// No read is late before: the first byte from a store of the same region takes about as long, so a
/// second request would be there no sooner.
const LATE_MIN: Duration = Duration::from_millis(20);
/// Reads of up to so many bytes are like each other; larger ones are their own.
const CLASSES: [u64; 4] = [64 << 10, 1 << 20, 8 << 20, u64::MAX];
/// Reads that are remembered of each size.
const SEEN_MAX: usize = 128;
/// Before so many were seen nobody knows what is late.
const SEEN_MIN: usize = 32;
/// Second requests that may follow each other at once.
const BURST_MAX: u64 = 10;
/// What a second request costs; each first one earns the percents that are allowed.
const COST: u64 = 100;

/// What is known of reads, and what may be spent on late ones.
#[derive(Debug)]
pub(super) struct Hedge {
    percent_max: u64,
    earned: AtomicU64,
    seen: [Mutex<Seen>; CLASSES.len()],
}

/// How long the last reads took.
#[derive(Debug, Default)]
struct Seen {
    last: Vec<Duration>,
    next: usize,
    late: Option<Duration>,
}

/// Which of two requests answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Won {
    First,
    Second,
}

impl Hedge {
    /// At most so many second requests for a hundred first ones; none with 0.
    pub(super) fn new(percent_max: u8) -> Self {
        Self {
            percent_max: percent_max.into(),
            earned: AtomicU64::new(0),
            seen: Default::default(),
        }
    }

    /// Waits for a request of so many bytes, and remembers how long it took. Where it is late, `second`
    /// is asked for another one, once; it may have none.
    ///
    /// # Errors
    /// Those of the request: of the one that answers last, where both fail.
    ///
    /// # Cancel safety
    /// Both requests are dropped.
    pub(super) async fn first<T, E, Second: Future<Output = Result<T, E>>>(
        &self,
        bytes: u64,
        first: impl Future<Output = Result<T, E>>,
        second: impl FnOnce() -> Option<Second>,
    ) -> Result<(T, Won), E> {
        self.earn();
        let begun = Instant::now();
        let answer = match self.late(bytes) {
            Some(late) => self.race(late, first, second).await,
            None => first.await.map(|answer| (answer, Won::First)),
        };
        if answer.is_ok() {
            self.see(bytes, begun.elapsed());
        }
        answer
    }

    async fn race<T, E, Second: Future<Output = Result<T, E>>>(
        &self,
        late: Duration,
        first: impl Future<Output = Result<T, E>>,
        second: impl FnOnce() -> Option<Second>,
    ) -> Result<(T, Won), E> {
        let mut first = pin!(first);
        if let Ok(answer) = timeout(late, &mut first).await {
            return answer.map(|answer| (answer, Won::First));
        }
        let second = if self.spend() { second() } else { None };
        let Some(second) = second else {
            return first.await.map(|answer| (answer, Won::First));
        };
        let mut second = pin!(second);
        // Whoever fails leaves it to the other.
        tokio::select! {
            biased;
            answer = &mut first => match answer {
                Ok(answer) => Ok((answer, Won::First)),
                Err(_) => second.await.map(|answer| (answer, Won::Second)),
            },
            answer = &mut second => match answer {
                Ok(answer) => Ok((answer, Won::Second)),
                Err(_) => first.await.map(|answer| (answer, Won::First)),
            },
        }
    }

    fn seen(&self, bytes: u64) -> Option<MutexGuard<'_, Seen>> {
        let class = CLASSES.iter().position(|most| bytes <= *most)?;
        Some(self.seen.get(class)?.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// After how long a read of so many bytes is late, where that is known.
    fn late(&self, bytes: u64) -> Option<Duration> {
        self.seen(bytes)?.late
    }

    fn see(&self, bytes: u64, took: Duration) {
        if let Some(mut seen) = self.seen(bytes) {
            seen.add(took);
        }
    }

    fn earn(&self) {
        let more = |earned: u64| (earned + self.percent_max).min(BURST_MAX * COST);
        self.earned.update(Ordering::Relaxed, Ordering::Relaxed, more);
    }

    fn spend(&self) -> bool {
        let less = |earned: u64| earned.checked_sub(COST);
        self.earned.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }
}

impl Seen {
    fn add(&mut self, took: Duration) {
        match self.last.get_mut(self.next) {
            Some(oldest) => *oldest = took,
            None => self.last.push(took),
        }
        self.next = (self.next + 1) % SEEN_MAX;
        // Now and then is enough: it moves slowly.
        if self.last.len() >= SEEN_MIN && self.next.is_multiple_of(SEEN_MIN / 2) {
            let mut sorted = self.last.clone();
            sorted.sort_unstable();
            let at = sorted.len() * 95 / 100;
            self.late = sorted.get(at).map(|late| (*late).max(LATE_MIN));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::sync::Notify;

    use super::*;

    type Answer = Result<&'static str, &'static str>;

    /// One that has seen reads of these milliseconds, and may send second requests.
    fn after(millis: impl Iterator<Item = u64>) -> Hedge {
        let hedge = Hedge::new(5);
        millis.for_each(|millis| hedge.see(1, Duration::from_millis(millis)));
        (0..20).for_each(|_| hedge.earn());
        hedge
    }

    #[test]
    fn late_is_what_one_in_twenty_takes_and_by_size() {
        let hedge = after((0..31).map(|_| 500));
        assert_eq!(hedge.late(1), None, "too few were seen");
        let hedge = after(1..=128);
        assert_eq!(hedge.late(64 << 10), Some(Duration::from_millis(122)));
        assert_eq!(hedge.late((64 << 10) + 1), None);
        let hedge = after((0..64).map(|_| 1));
        assert_eq!(hedge.late(1), Some(LATE_MIN));
        // What is old is forgotten.
        (0..SEEN_MAX).for_each(|_| hedge.see(1, Duration::from_millis(90)));
        assert_eq!(hedge.late(1), Some(Duration::from_millis(90)));
    }

    #[test]
    fn second_requests_are_a_share_of_the_first_and_saved_up_to_a_bound() {
        let hedge = Hedge::new(5);
        assert!(!hedge.spend());
        let sent = (0..1_000).filter(|_| {
            hedge.earn();
            hedge.spend()
        });
        assert_eq!(sent.count(), 50);
        (0..10_000).for_each(|_| hedge.earn());
        assert_eq!((0..100).filter(|_| hedge.spend()).count(), 10);
        let none = Hedge::new(0);
        (0..10_000).for_each(|_| none.earn());
        assert!(!none.spend());
    }

    /// An answer that is not there at once, or never.
    async fn slow(answer: Option<Answer>) -> Answer {
        tokio::task::yield_now().await;
        match answer {
            Some(answer) => answer,
            None => pending().await,
        }
    }

    #[tokio::test]
    async fn the_first_answer_counts() {
        for (first, second, answer) in [
            (None, Some(Ok("b")), Ok(("b", Won::Second))),
            (Some(Ok("a")), None, Ok(("a", Won::First))),
            (Some(Err("a")), Some(Ok("b")), Ok(("b", Won::Second))),
            (Some(Err("a")), Some(Err("b")), Err("b")),
        ] {
            let (hedge, is_sent) = (after(1..=128), Notify::new());
            let first = async {
                is_sent.notified().await;
                slow(first).await
            };
            let second = || {
                is_sent.notify_one();
                Some(slow(second))
            };
            let raced = hedge.race(Duration::ZERO, first, second).await;
            assert_eq!(raced, answer);
            assert!(!hedge.spend(), "the second one was not paid for");
        }
    }

    #[tokio::test]
    async fn without_a_budget_or_a_place_the_first_is_waited_for() {
        let poor = Hedge::new(0);
        let first = || slow(Some(Ok("a")));
        let raced = poor.race(Duration::ZERO, first(), || Some(slow(None))).await;
        assert_eq!(raced, Ok(("a", Won::First)));
        let rich = after(1..=128);
        let none = || None::<std::future::Pending<Answer>>;
        assert_eq!(rich.race(Duration::ZERO, first(), none).await, Ok(("a", Won::First)));
    }
}
