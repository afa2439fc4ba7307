//! A clock that a test moves by hand.

use std::sync::atomic::{AtomicU64, Ordering};

use model::{Clock, Nanos};

/// Stands still until it is told to move. Both of its clocks move together.
#[derive(Debug)]
pub struct TestClock {
    start: Nanos,
    passed: AtomicU64,
}

impl TestClock {
    /// A clock whose wall time is `start`.
    #[must_use]
    pub fn at(start: Nanos) -> Self {
        Self { start, passed: AtomicU64::new(0) }
    }

    /// Lets time pass.
    pub fn advance(&self, length: Nanos) {
        self.passed.fetch_add(length.0, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Nanos {
        self.start.plus(self.monotonic())
    }

    fn monotonic(&self) -> Nanos {
        Nanos(self.passed.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_passes_only_by_hand() {
        let clock = TestClock::at(Nanos::from_secs(100));
        assert_eq!((clock.now(), clock.monotonic()), (Nanos::from_secs(100), Nanos(0)));
        clock.advance(Nanos(7));
        assert_eq!(clock.now(), Nanos(100_000_000_007));
        assert_eq!(clock.monotonic(), Nanos(7));
    }
}
