//! Merging: spans of a tenant out of several files become blocks.
//!
//! Traces that arrived in pieces are put together, in the order of their starts, one row group of
//! the block at a time: of each file only the slices are held that this one needs.
//!
//! Files are L0 files, whose spans arrive ([`Merge::arrive`]): traces whose block was cut before,
//! and spans much older than their arrival, go to small blocks of their own, one for each hour, so
//! that they widen no other block. Or they are blocks that become fewer ([`Merge::compact`]).

mod gathered;
mod input;
mod sources;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use model::column::count;
use model::{Nanos, TenantId, TraceId};

use crate::backend::{Backend, Upload};
use crate::block::order::{Ordered, Orderer, PART_ROWS};
use crate::block::schema::{Attribute, Schema, Source, Why, type_code, type_of};
use crate::block::section::{Header, Level, Sort};
use crate::block::writer::promote::{Candidates, Share};
use crate::block::writer::{Options, Writer};
use crate::error::Error;
use crate::l0;
use crate::manifest::{BlockId, BlockMeta, Change, Promoted, Removal};
use crate::shelf::{Blocks, Readers, block_name};
pub(crate) use gathered::{Gathered, choose, gather, portions, turns};
pub(crate) use input::Input;
use input::Slice;
use sources::Sources;

/// Rows of a row group of a block.
const GROUP_ROWS: u32 = 200_000;
/// How much earlier than the first arrival a trace may start and still be among the others.
const OLD_AFTER: Nanos = Nanos::from_secs(15 * 60);
/// Blocks of late spans are of an hour each.
const HOUR: u64 = 3_600 * 1_000_000_000;
/// The latest so many blocks are asked whether they have a trace.
const ASKED_MAX: usize = 64;

/// What a merge works with.
pub(crate) struct Merge<'m> {
    pub(crate) tenant: &'m TenantId,
    pub(crate) inputs: &'m [Input],
    /// What the tenant has in the inputs, where that was gathered.
    pub(crate) gathered: Option<&'m Gathered>,
    pub(crate) blocks: &'m Blocks,
    pub(crate) backend: &'m dyn Backend,
    pub(crate) readers: &'m Readers,
    pub(crate) stats: &'m l0::Stats,
    pub(crate) writer: u64,
    pub(crate) now: Nanos,
    /// The number of the next block.
    pub(crate) next_block: &'m AtomicU64,
    /// Spans of a block: more make several.
    pub(crate) spans_max: u64,
    /// Heap bytes of rows that are held at a time.
    pub(crate) bytes_max: usize,
    /// Attributes that were asked for.
    pub(crate) queried: Vec<Attribute>,
    /// Whether blocks are put into catalogs.
    pub(crate) has_catalogs: bool,
    /// Asked before each row group: an error ends the merge.
    pub(crate) go_on: &'m dyn Fn() -> Result<(), Error>,
}

/// A piece of a trace: rows that follow each other in one slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Piece {
    id: TraceId,
    slice: u32,
    first_row: u32,
    rows: u32,
    start: u64,
}

/// What a tenant has in the inputs.
#[derive(Debug, Default)]
struct Pieces {
    /// In the order of arrival.
    slices: Vec<Slice>,
    /// Sorted by trace and arrival.
    pieces: Vec<Piece>,
}

/// A trace: its pieces in the order of arrival.
#[derive(Clone, Copy, Debug)]
struct Trace {
    start: u64,
    id: TraceId,
    first: u32,
    pieces: u32,
    rows: u64,
}

/// A block on its way.
struct Output {
    block: Writer<Box<dyn Upload>>,
    name: String,
    rows: u64,
}

impl Merge<'_> {
    /// Writes blocks of what L0 files have, each durable; the caller commits what is returned, or
    /// removes them.
    pub(crate) fn arrive(&self) -> Result<Change, Error> {
        let all = input::pieces(self.inputs, self.gathered, self.tenant, self.bytes_max)?;
        let mut traces = self.shown(traces(&all.pieces));
        let first_received = self.received().0;
        let old_before = Nanos(first_received).minus(OLD_AFTER).0;
        traces.sort_unstable_by_key(|trace| (trace.start, trace.id));
        let old = traces.partition_point(|trace| trace.start < old_before);
        let mut late: Vec<Trace> = traces.drain(..old).collect();
        let schema = self.candidates()?.choose();
        let consumed = self.inputs.iter().filter_map(|input| match input {
            Input::L0(l0) => Some(l0.id),
            Input::Block(..) => None,
        });
        let promoted = self.newly_promoted(&schema);
        let mut change = Change { consumed: consumed.collect(), promoted, ..Change::default() };
        let write = |traces: &[Trace], sort, change: &mut Change, late: Option<&mut Vec<Trace>>| {
            self.blocks_of(traces, &all, (sort, &schema), change, late)
                .inspect_err(|_| self.discard(&change.added))
        };
        write(&traces, Sort::Normal, &mut change, Some(&mut late))?;
        late.sort_unstable_by_key(|trace| (trace.start, trace.id));
        for hour in late.chunk_by(|a, b| a.start / HOUR == b.start / HOUR) {
            write(hour, Sort::Straggler, &mut change, None)?;
            self.stats.stragglers.inc();
        }
        Ok(change)
    }

    /// Writes blocks of what these blocks have, each durable; the caller commits what is returned,
    /// or removes them.
    pub(crate) fn compact(&self, sort: Sort) -> Result<Change, Error> {
        let all = input::pieces(self.inputs, None, self.tenant, self.bytes_max)?;
        let mut traces = self.shown(traces(&all.pieces));
        traces.sort_unstable_by_key(|trace| (trace.start, trace.id));
        let schema = self.candidates()?.choose();
        let removed = self.replaced().into_iter().map(|id| (id, Removal::Compacted)).collect();
        let promoted = self.newly_promoted(&schema);
        let mut change = Change { removed, promoted, ..Change::default() };
        self.blocks_of(&traces, &all, (sort, &schema), &mut change, None)
            .inspect_err(|_| self.discard(&change.added))?;
        Ok(change)
    }

    /// Those that are not redacted.
    fn shown(&self, mut traces: Vec<Trace>) -> Vec<Trace> {
        let hidden = &self.blocks.hidden;
        if !hidden.is_empty() {
            let rows = |traces: &[Trace]| traces.iter().map(|trace| trace.rows).sum::<u64>();
            let before = rows(&traces);
            traces.retain(|trace| !hidden.has(trace.id));
            self.stats.redacted_spans.add(before - rows(&traces));
        }
        traces
    }

    /// The blocks that are compacted.
    fn replaced(&self) -> Vec<BlockId> {
        let blocks = self.inputs.iter().filter_map(|input| match input {
            Input::L0(_) => None,
            Input::Block(block, _) => Some(block.meta.id),
        });
        blocks.collect()
    }

    /// When the first and the last request was received that the inputs have spans of.
    fn received(&self) -> (u64, u64) {
        let all = || self.inputs.iter().filter_map(|input| input.received(self.tenant));
        let first = all().map(|(first, _)| first).min();
        (first.unwrap_or(0), all().map(|(_, last)| last).max().unwrap_or(0))
    }

    /// Removes blocks that were written for nothing.
    pub(crate) fn discard(&self, blocks: &[BlockMeta]) {
        for block in blocks {
            let name = block_name(self.tenant, &block.id.to_string());
            if let Err(error) = self.backend.remove(&name) {
                tracing::warn!(name, %error, "cannot remove a block that was not committed");
            }
        }
    }

    /// Writes blocks of these traces. Where there is a place for late ones, those that stand in a
    /// block already are put there instead.
    fn blocks_of(
        &self,
        traces: &[Trace],
        Pieces { slices, pieces }: &Pieces,
        (sort, schema): (Sort, &Schema),
        change: &mut Change,
        mut late: Option<&mut Vec<Trace>>,
    ) -> Result<(), Error> {
        let (inputs, gathered) = (self.inputs, self.gathered);
        let mut sources = Sources::new(inputs, slices, gathered, self.tenant, self.bytes_max);
        let (mut ordered, mut orderer) = (Ordered::default(), Orderer::default());
        let ends = self.blocks.list.iter().map(|block| block.meta.starts.1);
        let newest = ends.max().unwrap_or(0);
        let mut output: Option<Output> = None;
        let mut rest = traces;
        while !rest.is_empty() {
            let taken = sources.plan(rest, |trace| {
                pieces.get(trace.first as usize..(trace.first + trace.pieces) as usize)
            });
            let (group, after) = rest.split_at(taken.max(1));
            rest = after;
            // A huge trace takes several turns by itself.
            let mut turns = Turns::of(group, pieces);
            while let Some(turn) = turns.next() {
                (self.go_on)()?;
                sources.load(&turn)?;
                ordered.rows.clear();
                ordered.parent_distance.clear();
                ordered.traces.clear();
                let batches = sources.batches();
                for (trace, part, places) in sources.places(&turn)? {
                    let before = (ordered.rows.len(), ordered.traces.len());
                    let counted = (ordered.duplicates, ordered.conflicts);
                    orderer.trace(&batches, &places, &mut ordered);
                    if let (Some(part), Some(last)) = (part, ordered.traces.last_mut()) {
                        (last.part, last.oversized, last.is_open) = (part, true, true);
                    }
                    let is_open = ordered.traces.last().is_some_and(|last| last.is_open);
                    // Whole traces that begin after all blocks end cannot stand in one.
                    let may_stand = is_open || trace.start <= newest;
                    if let Some(late) = &mut late
                        && part.is_none()
                        && may_stand
                        && self.stands_elsewhere(trace.id)
                    {
                        ordered.rows.truncate(before.0);
                        ordered.parent_distance.truncate(before.0);
                        ordered.traces.truncate(before.1);
                        (ordered.duplicates, ordered.conflicts) = counted;
                        late.push(trace);
                    }
                }
                if ordered.traces.is_empty() {
                    continue;
                }
                let into = match &mut output {
                    Some(output) => output,
                    None => output.insert(self.begin(sort, schema)?),
                };
                into.block.row_group(&batches, &ordered, 0..ordered.traces.len())?;
                into.rows += ordered.rows.len() as u64;
            }
            self.stats.duplicates.add(std::mem::take(&mut ordered.duplicates));
            self.stats.conflicts.add(std::mem::take(&mut ordered.conflicts));
            if output.as_ref().is_some_and(|output| output.rows >= self.spans_max)
                && let Some(done) = output.take()
            {
                change.added.push(self.finish(done)?);
            }
        }
        if let Some(done) = output {
            change.added.push(self.finish(done)?);
        }
        Ok(())
    }

    fn begin(&self, sort: Sort, schema: &Schema) -> Result<Output, Error> {
        let number = self.next_block.fetch_add(1, Ordering::Relaxed);
        let name = block_name(self.tenant, &BlockId { writer: self.writer, number }.to_string());
        let blocks = self.inputs.iter().filter_map(|input| match input {
            Input::L0(_) => None,
            Input::Block(block, _) => Some(&block.meta),
        });
        let consumed = self.inputs.iter().filter_map(|input| match input {
            Input::L0(l0) => Some((l0.id.writer, l0.id.number)),
            Input::Block(..) => None,
        });
        let header = Header {
            level: Level::L1,
            sort,
            tenant: Some(self.tenant.as_str().to_owned()),
            writer: self.writer,
            number,
            // Retention goes by when spans were uploaded first, not by when they were moved.
            created_at: blocks.clone().map(|meta| meta.created_at).max().unwrap_or(self.now.0),
            sequence: self.blocks.state.sequence + 1,
            consumed: consumed.collect(),
            replaced: self.replaced().iter().map(|id| (id.writer, id.number)).collect(),
            compactions: blocks.map(|meta| meta.compactions + 1).max().unwrap_or(0),
            rows: 0,
            traces: 0,
            starts: (0, 0),
            received: self.received(),
            oversized: false,
        };
        let upload = self.backend.begin(&name)?;
        let options = Options { texts: self.has_catalogs, ..Options::L1 };
        let block = Writer::new(upload, header, schema.clone(), options)?;
        Ok(Output { block, name, rows: 0 })
    }

    fn finish(&self, output: Output) -> Result<BlockMeta, Error> {
        let (upload, written) = output.block.finish()?;
        let finished = upload.finish().inspect_err(|_| {
            // The fault may have come behind the name. What stays is an orphan at the next start.
            drop(self.backend.remove(&output.name));
        });
        if !finished? {
            let message = format!("{} is there already", output.name);
            return Err(Error::new(crate::error::Kind::Io, message));
        }
        let stats = self.stats;
        let is_compacted = !written.header.replaced.is_empty();
        let spans = if is_compacted { &stats.compacted_spans } else { &stats.merged_spans };
        spans.add(written.header.rows);
        Ok(BlockMeta::of(&written))
    }

    /// Whether a block of the tenant has this trace already.
    fn stands_elsewhere(&self, id: TraceId) -> bool {
        let has = |block: &Arc<crate::shelf::Block>| {
            // A damaged block is told by whoever reads it.
            let reader = self.readers.open(block).ok();
            reader.and_then(|reader| reader.find(id).ok()).is_some_and(|found| !found.is_empty())
        };
        self.blocks.list.iter().rev().take(ASKED_MAX).any(has)
    }

    /// The attributes that the blocks may have columns of.
    fn candidates(&self) -> Result<Candidates, Error> {
        let mut candidates = Candidates::default();
        match self.gathered {
            Some(gathered) => {
                gathered.batches.values().for_each(|batch| candidates.add_batch(batch));
            }
            None => self.candidates_of_files(&mut candidates)?,
        }
        for Promoted { table, key, kind } in &self.blocks.state.promoted {
            let table = crate::block::schema::TABLES.get(usize::from(*table)).copied();
            if let (Some(table), Some(kind)) = (table, type_of(*kind)) {
                candidates.prefer(Attribute { table, key: key.clone(), kind }, Why::Sticky);
            }
        }
        for attribute in &self.queried {
            candidates.prefer(attribute.clone(), Why::Queried);
        }
        Ok(candidates)
    }

    /// All attributes that have a column in the files, whose ever they are.
    fn candidates_of_files(&self, candidates: &mut Candidates) -> Result<(), Error> {
        for input in self.inputs {
            let reader = input.reader();
            let attributes = &reader.directory().schema;
            for group in 0..reader.row_groups() {
                if input.rows(self.tenant, group).is_empty() {
                    continue;
                }
                let tables = reader.tables(group)?;
                for (leaf, chunk) in reader.leaves().iter().zip(&tables.chunks) {
                    let Source::Attribute(table, place) = leaf.source else { continue };
                    if chunk.values == 0 {
                        continue;
                    }
                    if let Some((attribute, _)) = attributes.of(table).nth(place as usize) {
                        let share = Share { values: chunk.values, bytes: chunk.raw_bytes };
                        candidates.add(attribute.clone(), share);
                    }
                }
            }
        }
        Ok(())
    }

    fn newly_promoted(&self, schema: &Schema) -> Vec<Promoted> {
        let chosen = schema.attributes.iter().filter(|(_, why)| *why != Why::Pinned);
        let promoted = chosen.map(|(Attribute { table, key, kind }, _)| Promoted {
            table: *table as u8,
            key: key.clone(),
            kind: type_code(*kind),
        });
        promoted.filter(|promoted| !self.blocks.state.promoted.contains(promoted)).collect()
    }
}

/// The traces that the pieces (sorted) make.
fn traces(pieces: &[Piece]) -> Vec<Trace> {
    let mut first = 0;
    pieces
        .chunk_by(|a, b| a.id == b.id)
        .filter_map(|of| {
            let trace = Trace {
                start: of.iter().map(|piece| piece.start).min()?,
                id: of.first()?.id,
                first: count(first),
                pieces: count(of.len()),
                rows: of.iter().map(|piece| u64::from(piece.rows)).sum(),
            };
            first += of.len();
            Some(trace)
        })
        .collect()
}

/// What is put in order at once: traces, or a part of a huge one, with the pieces of each.
type Turn<'p> = Vec<(Trace, Option<u32>, &'p [Piece])>;

/// Cuts traces into turns: the parts of a huge one are turns of their own.
struct Turns<'p> {
    turns: std::vec::IntoIter<Turn<'p>>,
}

impl<'p> Turns<'p> {
    fn of(traces: &[Trace], pieces: &'p [Piece]) -> Self {
        let (mut turns, mut small) = (Vec::new(), Turn::new());
        for trace in traces {
            let range = trace.first as usize..(trace.first + trace.pieces) as usize;
            let of = pieces.get(range).unwrap_or_default();
            if trace.rows <= PART_ROWS as u64 {
                small.push((*trace, None, of));
                continue;
            }
            let (mut rest, mut part) = (of, 0);
            while !rest.is_empty() {
                let mut rows = 0;
                let fits = |piece: &&Piece| {
                    rows += piece.rows as usize;
                    rows <= PART_ROWS
                };
                let (now, after) = rest.split_at(rest.iter().take_while(fits).count().max(1));
                turns.push(vec![(*trace, Some(part), now)]);
                (rest, part) = (after, part + 1);
            }
        }
        turns.push(small);
        turns.retain(|turn| !turn.is_empty());
        Self { turns: turns.into_iter() }
    }

    fn next(&mut self) -> Option<Turn<'p>> {
        self.turns.next()
    }
}
