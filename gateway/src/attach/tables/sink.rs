//! Where a source puts what it has, and what is seen of that.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use model::metric::Counter;
use model::{Clock, Nanos};
use plugins::{Entries, Full, Tables};
use tracing::{debug, info, warn};

/// How a table could not be refreshed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Its source did not answer, or not with what was asked for.
    Unavailable,
    /// What came is no table.
    Malformed,
    /// What came is larger than a table, or all of them, may be.
    TooLarge,
    /// The plugin that makes it failed.
    Plugin,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Unavailable, Self::Malformed, Self::TooLarge, Self::Plugin];

    /// As metrics show it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::Malformed => "malformed",
            Self::TooLarge => "too_large",
            Self::Plugin => "plugin",
        }
    }
}

/// What went wrong with a refresh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) kind: Kind,
    why: String,
}

impl Fault {
    pub(super) fn new(kind: Kind, why: impl Into<String>) -> Self {
        Self { kind, why: why.into() }
    }

    pub(super) fn unavailable(why: impl Into<String>) -> Self {
        Self::new(Kind::Unavailable, why)
    }

    /// The same, of something larger.
    pub(super) fn within(mut self, what: &str) -> Self {
        self.why.insert_str(0, &format!("{what}: "));
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl From<Full> for Fault {
    fn from(full: Full) -> Self {
        Self::new(Kind::TooLarge, full.to_string())
    }
}

/// What is seen of a table.
#[derive(Debug, Default)]
pub struct State {
    /// Times that its source was asked, and answered.
    pub refreshes: Counter,
    failures: [Counter; Kind::ALL.len()],
    /// When that was last, and one more: 0 is never.
    refreshed: AtomicU64,
    fault: Mutex<Option<String>>,
}

impl State {
    /// Failures, by kind.
    pub fn failures(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Kind::ALL.into_iter().map(Kind::as_str).zip(self.failures.iter().map(Counter::get))
    }

    /// When it was last as its source is.
    #[must_use]
    pub fn refreshed_at(&self) -> Option<Nanos> {
        self.refreshed.load(Ordering::Relaxed).checked_sub(1).map(Nanos)
    }

    /// Why it is not as its source is now.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Where the source of one table puts what it has.
#[derive(Clone, Debug)]
pub(super) struct Sink {
    name: String,
    tables: Arc<Tables>,
    clock: Arc<dyn Clock>,
    state: Arc<State>,
}

impl Sink {
    pub(super) fn new(name: &str, tables: Arc<Tables>, clock: Arc<dyn Clock>) -> Self {
        Self { name: name.to_owned(), tables, clock, state: Arc::default() }
    }

    pub(super) const fn state(&self) -> &Arc<State> {
        &self.state
    }

    /// The time.
    pub(super) fn now(&self) -> Nanos {
        self.clock.monotonic()
    }

    /// The source has this, or something is wrong with what it has; whether it is taken over.
    pub(super) fn put(&self, entries: Result<Entries, Fault>) -> bool {
        let is_good = self.put_part(entries);
        if is_good {
            self.same();
        }
        is_good
    }

    /// The same, of a source that is not whole: why it is not is still to be told.
    pub(super) fn put_part(&self, entries: Result<Entries, Fault>) -> bool {
        let replaced = entries.and_then(|entries| {
            let count = entries.len();
            Ok((self.tables.replace(&self.name, entries)?, count))
        });
        match replaced {
            Ok((is_new, entries)) => {
                if is_new {
                    debug!(table = self.name, entries, "a table has changed");
                }
                true
            }
            Err(fault) => {
                self.failed(&fault);
                false
            }
        }
    }

    /// The source has what it had.
    pub(super) fn same(&self) {
        self.state.refreshes.inc();
        self.state.refreshed.store(self.now().0.saturating_add(1), Ordering::Relaxed);
        let before = self.state.fault.lock().unwrap_or_else(PoisonError::into_inner).take();
        if before.is_some() {
            info!(table = self.name, "a table is refreshed again");
        }
    }

    /// The source cannot be had: what was there before stays.
    pub(super) fn failed(&self, fault: &Fault) {
        if let Some(counter) = self.state.failures.get(fault.kind as usize) {
            counter.inc();
        }
        let words = fault.to_string();
        let mut before = self.state.fault.lock().unwrap_or_else(PoisonError::into_inner);
        if before.as_ref() != Some(&words) {
            warn!(
                table = self.name,
                fault = words,
                "a table is not refreshed; what was before stays"
            );
            *before = Some(words);
        }
    }
}
