//! Redaction: traces that nobody sees from the moment that the manifest says so, and that are taken
//! out of blocks behind it.
//!
//! Merging and compaction leave them out, so what is in the head and in L0 files goes by itself; blocks
//! that have them are written anew. Spans that come later, here or from another process, are hidden for
//! a day more.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use model::{Nanos, TenantId, TraceId};
use serde::Serialize;
use tracing::info;

use super::{Keep, Step, lock};
use crate::block::reader::Reader;
use crate::block::section::index;
use crate::compaction::Choice;
use crate::error::{Error, Kind};
use crate::head::Head;
use crate::manifest::{BlockId, Change, Redaction, Removal};
use crate::shelf::catalog::{Asked, Of};
use crate::shelf::{Block, Blocks};

/// Most traces of one redaction.
pub const TRACES_MAX: usize = 10_000;
/// Most redactions of a tenant at a time.
const REDACTIONS_MAX: usize = 100;
/// How long what comes later is hidden, after nothing is left.
const HIDDEN_FOR: Nanos = Nanos::from_secs(86_400);
/// How often it is begun anew while other processes change what the tenant has.
const ATTEMPTS: usize = 8;
/// Of so many traces catalogs are asked; of more each block is.
const ASKED_MAX: usize = 64;

/// How far a redaction is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Redacted {
    /// Whose traces they are.
    pub tenant: String,
    /// Its id.
    pub id: String,
    /// Since when they are hidden, in nanoseconds.
    pub at: u64,
    /// How many there are.
    pub traces: usize,
    /// Blocks that may still have some of them.
    pub blocks_left: usize,
    /// Blocks that had some, are written anew, and are not deleted yet: they are in use, or
    /// `bucket.grace` is not over. Of all redactions of the tenant, and whatever else was replaced.
    pub objects_left: usize,
    /// Since when nothing that this process has is left of them, in nanoseconds.
    pub done_at: Option<u64>,
}

/// A redaction, and a block that has none of its traces.
pub(super) type Checked = HashSet<(BlockId, BlockId)>;

impl Keep {
    /// Hides traces of a tenant: nobody sees them when this returns. Its id.
    pub(crate) fn redact(
        &self,
        tenant: &TenantId,
        mut traces: Vec<TraceId>,
    ) -> Result<BlockId, Error> {
        traces.sort_unstable();
        traces.dedup();
        if traces.is_empty() || traces.len() > TRACES_MAX {
            let count = traces.len();
            let what = format!("{count} traces: from 1 to {TRACES_MAX} are redacted at a time");
            return Err(Error::new(Kind::Invalid, what));
        }
        // Whoever compacts makes way.
        self.urgent.fetch_add(1, Ordering::AcqRel);
        let _one = lock(&self.merging);
        self.urgent.fetch_sub(1, Ordering::AcqRel);
        for _ in 0..ATTEMPTS {
            let contents = self.shelf.contents();
            let blocks = contents.tenants.get(tenant).cloned().unwrap_or_default();
            drop(contents);
            if blocks.state.redactions.len() >= REDACTIONS_MAX {
                let what = format!("{tenant} has {REDACTIONS_MAX} redactions: wait until some end");
                return Err(Error::new(Kind::Unavailable, what));
            }
            let number = self.next_block.fetch_add(1, Ordering::Relaxed);
            let id = BlockId { writer: self.writer, number };
            let at = self.clock.now().0;
            let redaction = Redaction { id, at, traces: traces.clone(), done_at: None };
            let change = Change { redacted: Some(redaction), ..Change::default() };
            let state = self.commit(tenant, &blocks, &change)?;
            let is_there = state.has_redaction(id);
            drop(blocks);
            self.show(vec![(tenant.clone(), state)]);
            if is_there {
                self.wake_merge();
                info!(%tenant, redaction = %id, traces = traces.len(), "traces are hidden");
                return Ok(id);
            }
        }
        let what = format!("{tenant} is changed by others all the time, nothing is hidden");
        Err(Error::new(Kind::Unavailable, what))
    }

    /// How far the redactions of all tenants are.
    pub(crate) fn redactions(&self) -> Vec<Redacted> {
        let contents = self.shelf.contents();
        let checked = lock(&self.checked);
        let mut all = Vec::new();
        for (tenant, blocks) in &contents.tenants {
            for Redaction { id, at, traces, done_at } in
                blocks.state.redactions.iter().map(|of| &**of)
            {
                let is_left = |block: &&Arc<Block>| !checked.contains(&(*id, block.meta.id));
                let left = blocks.list.iter().filter(is_left).count();
                all.push(Redacted {
                    tenant: tenant.as_str().to_owned(),
                    id: id.to_string(),
                    at: *at,
                    traces: traces.len(),
                    blocks_left: if done_at.is_some() { 0 } else { left },
                    objects_left: blocks.state.markers.iter().filter(|of| !of.is_orphan).count(),
                    done_at: *done_at,
                });
            }
        }
        all.sort_by(|a, b| (&a.tenant, a.at, &a.id).cmp(&(&b.tenant, b.at, &b.id)));
        all
    }

    /// Takes redacted traces out of one block, if there is one that has some; else ends redactions of
    /// which nothing is left.
    pub(crate) fn take_out(&self, head: &Head) -> Result<Step, Error> {
        let _one = lock(&self.merging);
        let contents = self.shelf.contents();
        let has_some =
            |(_, blocks): &(&TenantId, &Arc<Blocks>)| !blocks.state.redactions.is_empty();
        let all: Vec<(TenantId, Arc<Blocks>)> = contents
            .tenants
            .iter()
            .filter(has_some)
            .map(|(tenant, blocks)| (tenant.clone(), Arc::clone(blocks)))
            .collect();
        drop(contents);
        let live = all.iter().flat_map(|(_, blocks)| &blocks.list).map(|block| block.meta.id);
        let live: HashSet<BlockId> = live.collect();
        lock(&self.checked).retain(|(_, block)| live.contains(block));
        let now = self.clock.now();
        for (tenant, blocks) in all {
            if self.resting(now).contains_key(&tenant) {
                continue;
            }
            match self.take_out_of(&tenant, blocks, head) {
                Ok(Step::Worked) => {
                    self.clean()?;
                    return Ok(Step::Worked);
                }
                Ok(_) => {}
                Err(_) if self.may_compact().is_err() => return Ok(Step::Idle),
                Err(error) => {
                    // Others come first for a while.
                    lock(&self.resting).insert(tenant, now);
                    return Err(error);
                }
            }
        }
        Ok(Step::Idle)
    }

    fn take_out_of(
        &self,
        tenant: &TenantId,
        blocks: Arc<Blocks>,
        head: &Head,
    ) -> Result<Step, Error> {
        let catalogs = blocks.state.catalogs.iter().map(|catalog| (tenant, catalog));
        let asked = Asked::new(&self.readers, catalogs.collect());
        for block in &blocks.list {
            let id = block.meta.id;
            let is_new = |of: &&Arc<Redaction>| !lock(&self.checked).contains(&(of.id, id));
            let news: Vec<&Arc<Redaction>> =
                blocks.state.redactions.iter().filter(is_new).collect();
            if news.is_empty() {
                continue;
            }
            let traces: Vec<TraceId> = news.iter().flat_map(|of| &of.traces).copied().collect();
            let hashes: Vec<u32> = traces.iter().map(|id| index::short(index::hash(*id))).collect();
            let may_have = traces.len() > ASKED_MAX || asked.may_have(Of::Traces, &hashes, id);
            let has_some = may_have && {
                let reader = match self.readers.open(block) {
                    Err(error) if error.kind() == Kind::Corrupt => {
                        self.blame(tenant, &[id], &error);
                        return Err(error);
                    }
                    opened => opened?,
                };
                let rows = |group: u32| {
                    let rows = reader.rows_of(group);
                    0..rows.end - rows.start
                };
                has_any(&reader, rows, &traces)?
            };
            if has_some {
                let choice = Choice { blocks: vec![id], sort: block.meta.sort };
                self.compact_blocks(tenant, &blocks, &choice, Removal::Redacted)?;
                return Ok(Step::Worked);
            }
            lock(&self.checked).extend(news.iter().map(|of| (of.id, id)));
        }
        let now = self.clock.now();
        let (mut done, mut over) = (Vec::new(), Vec::new());
        for redaction in &blocks.state.redactions {
            match redaction.done_at {
                None if !self.is_on_its_way(tenant, &redaction.traces, head)? => {
                    done.push(redaction.id);
                }
                Some(at) if now.minus(Nanos(at)) >= HIDDEN_FOR => over.push(redaction.id),
                _ => {}
            }
        }
        if done.is_empty() && over.is_empty() {
            return Ok(Step::Idle);
        }
        for id in &done {
            info!(%tenant, redaction = %id, "no block has any of the redacted traces");
        }
        let change = Change {
            deleted: self.deleted(&blocks.state, now),
            redactions_done: done,
            redactions_over: over,
            ..Change::default()
        };
        let state = self.commit(tenant, &blocks, &change)?;
        drop(blocks);
        self.show(vec![(tenant.clone(), state)]);
        Ok(Step::Worked)
    }

    /// Whether the head or an L0 file has some of these traces: merging leaves them out.
    fn is_on_its_way(
        &self,
        tenant: &TenantId,
        traces: &[TraceId],
        head: &Head,
    ) -> Result<bool, Error> {
        for (segment, visible) in head.view()?.parts {
            let batch = segment.read()?;
            let has = |id: &TraceId| batch.trace_rows(tenant, *id).any(|row| row < visible);
            if traces.iter().any(has) {
                return Ok(true);
            }
        }
        for l0 in &self.shelf.contents().l0 {
            if l0.run(tenant).is_some()
                && has_any(&l0.reader, |group| l0.rows(tenant, group), traces)?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Whether some of these traces stand in the rows of a file that are the tenant's.
fn has_any(
    reader: &Reader,
    rows_of: impl Fn(u32) -> Range<u32>,
    traces: &[TraceId],
) -> Result<bool, Error> {
    for id in traces {
        for (group, rows) in reader.find(*id)? {
            let own = rows_of(group);
            // The hash of an id may be another's.
            let is_it = || -> Result<bool, Error> {
                let summary = reader.summary(group)?;
                let at = |of: &&crate::block::section::summary::Trace| of.first_row == rows.start;
                Ok(summary.traces.iter().find(at).is_some_and(|of| of.id == *id))
            };
            if own.start <= rows.start && rows.end <= own.end && is_it()? {
                return Ok(true);
            }
        }
    }
    Ok(false)
}
