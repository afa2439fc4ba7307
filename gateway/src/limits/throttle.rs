//! What anybody can cause is logged so often and no more.

use std::sync::{Mutex, PoisonError};

use model::Nanos;

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
    fn a_throttle_counts_in_each_while() {
        let throttle = Throttle::new(3, Nanos::SECOND);
        assert_eq!(throttle.take(Nanos(0), 2), 2);
        assert_eq!(throttle.take(Nanos(5), 2), 1);
        assert_eq!(throttle.take(Nanos(9), 2), 0);
        assert_eq!(throttle.take(Nanos::SECOND, 9), 3);
    }
}
