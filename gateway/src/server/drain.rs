//! The signal to drain: raised once by the application, seen by every port and long task.

use tokio::sync::watch;

/// Raises the signal.
#[derive(Debug)]
pub struct DrainTrigger(watch::Sender<bool>);

/// Sees the signal; clones are cheap.
#[derive(Clone, Debug)]
pub struct Drain(watch::Receiver<bool>);

/// A signal that is not raised yet.
#[must_use]
pub fn channel() -> (DrainTrigger, Drain) {
    let (sender, receiver) = watch::channel(false);
    (DrainTrigger(sender), Drain(receiver))
}

impl DrainTrigger {
    /// Raises the signal, for good.
    pub fn raise(&self) {
        self.0.send_replace(true);
    }
}

impl Drain {
    /// Resolves when the signal is raised (or its trigger is gone).
    ///
    /// # Cancel safety
    /// Nothing is lost when it is dropped.
    pub async fn wait(&mut self) {
        // An error means that the trigger is gone, and nobody will ever raise it.
        drop(self.0.wait_for(|raised| *raised).await);
    }

    /// Whether it is raised.
    #[must_use]
    pub fn is_raised(&self) -> bool {
        *self.0.borrow()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_see_it_and_late_ones_too() {
        let (trigger, mut drain) = channel();
        assert!(!drain.is_raised());
        trigger.raise();
        drain.wait().await;
        drain.clone().wait().await;
        assert!(drain.is_raised());
    }
}
