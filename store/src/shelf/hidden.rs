//! Traces that nobody sees: those that were redacted.

use std::collections::HashSet;
use std::sync::Arc;

use model::TraceId;
use xxhash_rust::xxh3::Xxh3;

use crate::manifest::State;

/// Traces that nobody sees.
#[derive(Debug, Default)]
pub struct Hidden {
    ids: HashSet<TraceId>,
    mark: u128,
}

impl Hidden {
    /// Those of a tenant.
    pub(crate) fn of(state: &State) -> Arc<Self> {
        if state.redactions.is_empty() {
            return Arc::default();
        }
        let all = state.redactions.iter().flat_map(|redaction| &redaction.traces);
        let ids: HashSet<TraceId> = all.copied().collect();
        let mut hash = Xxh3::new();
        state.redactions.iter().flat_map(|of| &of.traces).for_each(|id| hash.update(id.as_bytes()));
        Arc::new(Self { ids, mark: hash.digest128() })
    }

    /// Whether a trace is one of them.
    #[must_use]
    pub fn has(&self, id: TraceId) -> bool {
        !self.ids.is_empty() && self.ids.contains(&id)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// What tells these from others: answers that are kept depend on it.
    #[must_use]
    pub fn mark(&self) -> u128 {
        self.mark
    }
}
