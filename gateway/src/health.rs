//! Where the process is in its life: one word that the probes, the receivers and the metrics
//! share. `app` moves it on, everybody else reads.

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};

/// Where the process is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// The ports are bound, the log is being read: alive, not ready.
    Replaying,
    /// Takes spans and answers queries.
    Ready,
    /// Told to stop: finishes what is under way.
    Draining,
    /// The disk failed; the process is about to end.
    Failed,
}

const PHASES: [Phase; 4] = [Phase::Replaying, Phase::Ready, Phase::Draining, Phase::Failed];

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Replaying => "replaying",
            Self::Ready => "ready",
            Self::Draining => "draining",
            Self::Failed => "failed",
        })
    }
}

/// The phase, shared.
#[derive(Debug)]
pub struct Health(AtomicU8);

impl Default for Health {
    fn default() -> Self {
        Self(AtomicU8::new(Phase::Replaying as u8))
    }
}

impl Health {
    /// Where the process is now.
    #[must_use]
    pub fn phase(&self) -> Phase {
        let phase = usize::from(self.0.load(Ordering::Acquire));
        PHASES.get(phase).copied().unwrap_or(Phase::Failed)
    }

    /// Moves on; never back.
    pub fn advance(&self, phase: Phase) {
        self.0.fetch_max(phase as u8, Ordering::AcqRel);
    }

    /// Whether requests are welcome (`/ready`).
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.phase() == Phase::Ready
    }

    /// Whether the process is of use, now or later (`/live`).
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.phase() != Phase::Failed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn life_goes_on_and_never_back() {
        let health = Health::default();
        assert!(health.is_live() && !health.is_ready());
        health.advance(Phase::Ready);
        assert!(health.is_ready());
        health.advance(Phase::Draining);
        health.advance(Phase::Ready);
        assert_eq!((health.phase(), health.is_live()), (Phase::Draining, true));
        health.advance(Phase::Failed);
        assert!(!health.is_live());
    }
}
