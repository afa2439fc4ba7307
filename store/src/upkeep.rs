//! Closing, sealing, merging and the rest of upkeep, step by step: for the threads, for
//! `POST /flush`, and for simulations.

use std::time::Duration;

use model::{Nanos, TenantId, TraceId};
use serde::Serialize;

use crate::block::section::Level;
use crate::error::{Error, Kind};
use crate::head::Turn;
use crate::keep::redact::Redacted;
use crate::keep::{self, Step};
use crate::log::LocalWal;
use crate::manifest::BlockId;
use crate::{Inner, Store};

/// How often, and how far apart, a flush asks the log for a new segment.
const CLOSE_ATTEMPTS: usize = 200;
const CLOSE_WAIT: Duration = Duration::from_millis(10);

/// One of the things that the store's threads do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chore {
    /// Close the open segment of the head.
    Close,
    /// Seal a closed segment that is durable.
    Seal,
    /// Merge L0 files, whatever their age.
    Merge,
    /// Join blocks of the tenant that has most to join.
    Compact,
    /// Write a catalog of the blocks of the tenant that has most in none.
    Catalog,
    /// Bring near what look-ups of traces begin with.
    ReadAhead,
    /// Take redacted traces out of a block.
    TakeOut,
    /// Remove blocks that are too old.
    Expire,
    /// Remove what nobody needs, set aside what is damaged.
    Tidy,
}

/// What a flush did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Flushed {
    /// L0 files that were sealed.
    pub l0_files: u64,
    /// Blocks that were written.
    pub blocks: u64,
    /// Spans that were sealed or merged.
    pub spans: u64,
}

/// What was deleted with a tenant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Deleted {
    /// Blocks.
    pub blocks: u64,
    /// Spans in them and in L0 files; those that are there twice count twice.
    pub spans: u64,
}

impl Store {
    /// Seals what is in the head, and for [`Level::L1`] merges all of L0; returns when it is done.
    /// Blocking, for as long as that takes.
    ///
    /// # Errors
    /// `Unavailable` while replaying or draining, or when there is no space; `Io`.
    pub fn flush(&self, level: Level) -> Result<Flushed, Error> {
        let (inner, wal) = (&self.0, self.ready()?);
        let stats = &inner.keep.stats;
        let before = (
            stats.seals.get(),
            stats.blocks.get(),
            stats.sealed_spans.get(),
            stats.merged_spans.get(),
        );
        inner.close_now(wal)?;
        loop {
            match inner.seal(true)? {
                Step::Worked => {}
                Step::Idle => break,
                Step::Full => {
                    inner.keep.merge(keep::Due::All)?;
                }
            }
        }
        if level == Level::L1 {
            while inner.keep.merge(keep::Due::All)? == Step::Worked {}
        }
        inner.keep.tidy()?;
        let spans = match level {
            Level::L0 => stats.sealed_spans.get() - before.2,
            Level::L1 => stats.merged_spans.get() - before.3,
        };
        Ok(Flushed {
            l0_files: stats.seals.get() - before.0,
            blocks: stats.blocks.get().saturating_sub(before.1),
            spans,
        })
    }

    /// Deletes all that a tenant has: what is acknowledged before is gone when this returns, and stays
    /// so; what comes later is kept. In a bucket the spans that other processes have not merged stay.
    /// Blocking.
    ///
    /// # Errors
    /// As [`Store::flush`].
    pub fn delete_tenant(&self, tenant: &TenantId) -> Result<Deleted, Error> {
        // What is in the head, and in the log, is in files then.
        self.flush(Level::L0)?;
        self.delete_sealed(tenant)
    }

    /// The same without what is in the head: for simulations, which seal by hand.
    ///
    /// # Errors
    /// As [`Store::flush`].
    pub fn delete_sealed(&self, tenant: &TenantId) -> Result<Deleted, Error> {
        let (blocks, spans) = self.0.keep.delete_tenant(tenant)?;
        Ok(Deleted { blocks, spans })
    }

    /// Hides traces of a tenant: nobody sees them when this returns, whatever comes of them within a
    /// day after the last is gone. They are taken out of files behind it: [`Self::redactions`] tells
    /// how far that is. The id of the redaction. Blocking.
    ///
    /// # Errors
    /// `Invalid` where there are none, or more than [`crate::REDACTED_MAX`]; `Unavailable` while replaying, or
    /// while too many are under way; `Io`. `Fatal` where nobody knows whether they are hidden.
    pub fn redact(&self, tenant: &TenantId, traces: Vec<TraceId>) -> Result<BlockId, Error> {
        self.ready()?;
        self.0.keep.redact(tenant, traces)
    }

    /// How far the redactions of all tenants are.
    #[must_use]
    pub fn redactions(&self) -> Vec<Redacted> {
        self.0.keep.redactions()
    }

    /// Takes one step of what the store's threads do: for simulations, which have none.
    ///
    /// # Errors
    /// As [`Store::flush`].
    pub fn step(&self, chore: Chore) -> Result<Step, Error> {
        let (inner, wal) = (&self.0, self.ready()?);
        match chore {
            Chore::Close => inner.close_now(wal).map(|()| Step::Worked),
            Chore::Seal => inner.seal(false),
            Chore::Merge => inner.keep.merge(keep::Due::All),
            Chore::Compact => inner.keep.compact(),
            Chore::Catalog => inner.keep.catalog(),
            Chore::ReadAhead => Ok(inner.keep.read_ahead()),
            Chore::TakeOut => inner.keep.take_out(&inner.head),
            Chore::Expire => inner.keep.expire(),
            Chore::Tidy => inner.keep.tidy().map(|()| Step::Idle),
        }
    }
}

impl Inner {
    /// Closes the open segment of the head; while the log cannot begin a new segment, later.
    pub(crate) fn close(&self, turn: &mut Turn<'_>, wal: &LocalWal) -> Result<(), Error> {
        match turn.close(|| wal.rotate()) {
            Ok(()) => {
                self.keep.wake_seal();
                Ok(())
            }
            Err(error) if error.kind() == Kind::Unavailable => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Closes the open segment if it is old enough, though nothing comes.
    pub(crate) fn close_if_due(&self) -> Result<(), Error> {
        let Some(wal) = self.wal.get() else { return Ok(()) };
        let mut turn = self.head.turn()?;
        if self.is_due(&turn, wal, self.clock.now())? { self.close(&mut turn, wal) } else { Ok(()) }
    }

    /// Whether the open segment of the head is to be closed: for its own sake, or for that of a log
    /// which fills. Then one segment at a time, or a full disk would leave nothing but small ones.
    pub(crate) fn is_due(
        &self,
        turn: &Turn<'_>,
        wal: &LocalWal,
        now: Nanos,
    ) -> Result<bool, Error> {
        Ok(turn.is_due(now)? || wal.is_crowded() && self.head.oldest_closed()?.is_none())
    }

    /// Closes the open segment whatever is in it; waits a moment for the log.
    fn close_now(&self, wal: &LocalWal) -> Result<(), Error> {
        let mut attempts = 0;
        loop {
            match self.head.turn()?.close(|| wal.rotate()) {
                Err(error) if error.kind() == Kind::Unavailable && attempts < CLOSE_ATTEMPTS => {
                    attempts += 1;
                    self.keep.breathe(CLOSE_WAIT);
                }
                closed => return closed,
            }
        }
    }

    pub(crate) fn seal(&self, wait: bool) -> Result<Step, Error> {
        match self.wal.get() {
            Some(wal) => self.keep.seal(&self.head, wal, wait),
            None => Ok(Step::Idle),
        }
    }
}
