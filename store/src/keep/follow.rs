//! What other processes on the same bucket have changed: looked for now and then, and taken over.
//!
//! Each process answers from its own head and L0 files, and from all blocks.

use std::collections::BTreeSet;

use model::Nanos;
use tracing::warn;

use super::{Keep, lock};
use crate::error::Error;
use crate::manifest::BlockId;

/// How often blocks that no entry names are looked for.
const ORPHANS_EVERY: Nanos = Nanos::from_secs(3_600);

/// When something was done last, by the clock that only goes on.
#[derive(Debug)]
pub(super) struct Done {
    followed: Nanos,
    orphans: Nanos,
    /// Blocks and catalogs that were read ahead; none before it was looked for any.
    pub(super) ahead: Option<BTreeSet<BlockId>>,
}

impl Done {
    pub(super) fn at(now: Nanos) -> Self {
        Self { followed: now, orphans: now, ahead: None }
    }
}

impl Keep {
    /// Takes over what other processes have changed, if it is time to look, and where there may be
    /// others.
    pub(crate) fn follow_if_due(&self) -> Result<(), Error> {
        let Some(poll) = self.poll else { return Ok(()) };
        let now = self.clock.monotonic();
        let (is_due, are_orphans_due, is_first) = {
            let done = lock(&self.done);
            let is_due = now.minus(done.followed) >= poll;
            (is_due, now.minus(done.orphans) >= ORPHANS_EVERY, done.ahead.is_none())
        };
        let one = lock(&self.merging);
        if is_due {
            self.follow()?;
            lock(&self.done).followed = now;
        }
        if are_orphans_due {
            self.mark_orphans()?;
            lock(&self.done).orphans = now;
        }
        drop(one);
        if is_due || is_first {
            self.read_ahead();
        }
        Ok(())
    }

    /// For whoever has the lock of merging.
    fn follow(&self) -> Result<(), Error> {
        let listed = self.manifest.list()?;
        let contents = self.shelf.contents();
        let mut states = Vec::new();
        for (tenant, sequences) in listed {
            let known = contents.tenants.get(&tenant).map_or(0, |blocks| blocks.state.sequence);
            if sequences.iter().all(|sequence| *sequence <= known) {
                continue;
            }
            let loaded = self.manifest.load_listed(&tenant, &sequences)?;
            if let Some(damaged) = loaded.damaged.first() {
                // The next start repairs it; until then what is known goes on to count.
                let (entry, why) = (&damaged.name, &damaged.why);
                warn!(%tenant, entry, why, "an entry of the manifest is damaged");
                continue;
            }
            states.push((tenant, loaded.state));
        }
        drop(contents);
        self.stats.followed.add(states.len() as u64);
        self.show(states);
        Ok(())
    }
}
