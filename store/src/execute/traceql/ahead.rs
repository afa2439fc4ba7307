//! Reads ahead what is in a bucket. An evaluation goes from block to block, newest first, and each read
//! that it waits for takes as long as a request; so threads go before it that open the blocks to come,
//! ask what narrows, and bring near what will be read. They find nothing and note nothing: what they
//! could not read, the evaluation meets by itself.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use model::{Nanos, TimeRange};

use super::prune::Prune;
use super::scan::is_within;
use super::want::Want;
use crate::block::reader::{Reader, Wanted};
use crate::execute::Parts;
use crate::shelf::{Block, Part};

/// So many blocks are read before the evaluation has come to any: it may end with the first.
const FIRST: usize = 8;
/// With each that it comes to, so many more.
const GROWTH: usize = 4;

/// See the module.
pub(super) struct Ahead<'p> {
    parts: &'p Parts<'p>,
    during: TimeRange,
    prune: &'p Prune,
    near: Near<'p>,
    /// Newest first, each with its place in the view.
    blocks: Vec<(usize, &'p Block)>,
    threads: usize,
    state: Mutex<State>,
    moved: Condvar,
}

/// What is brought near of a row group.
#[derive(Clone, Copy)]
pub(super) struct Near<'p> {
    /// The columns of those that lie wholly in the range, and of others.
    pub(super) wants: [&'p Want; 2],
    /// Asks for what is told of one without its columns; `false` where they are needed after all.
    pub(super) told: Option<&'p Told<'p>>,
}

/// Asks a row group of a part, by its place; `false` where it does not tell.
pub(super) type Told<'t> = dyn Fn(usize, &Reader, u32) -> bool + Sync + 't;

#[derive(Debug, Default)]
struct State {
    /// The next block that nobody has taken.
    next: usize,
    /// How many the evaluation has come to.
    reached: usize,
    /// Bytes of columns that were brought near of each.
    near: Vec<u64>,
    is_over: bool,
}

/// Evaluates with what is in a bucket read ahead; where nothing is, without ado.
pub(super) fn ahead<T>(
    parts: &Parts<'_>,
    during: TimeRange,
    prune: &Prune,
    near: Near<'_>,
    evaluate: impl FnOnce(&Ahead<'_>) -> T,
) -> T {
    let ahead = Ahead::new(parts, during, prune, near);
    std::thread::scope(|scope| {
        for _ in 0..ahead.threads {
            let thread = std::thread::Builder::new().name("ahead".to_owned());
            // Without it there is more to wait for, and nothing else.
            if thread.spawn_scoped(scope, || ahead.work()).is_err() {
                break;
            }
        }
        let _end = End(&ahead);
        evaluate(&ahead)
    })
}

/// Ends the threads, whatever the evaluation comes to.
struct End<'a>(&'a Ahead<'a>);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.state().is_over = true;
        self.0.moved.notify_all();
    }
}

impl<'p> Ahead<'p> {
    fn new(parts: &'p Parts<'p>, during: TimeRange, prune: &'p Prune, near: Near<'p>) -> Self {
        let mut threads = 0;
        let mut blocks: Vec<(usize, &Block)> = Vec::new();
        for (at, part) in parts.view.parts.iter().enumerate() {
            let Part::Block(block) = part else { continue };
            let at_once = parts.readers.at_once(block);
            let is_asked = at_once > 1 && block.meta.starts().overlaps(&during);
            if is_asked && prune.may_match_part(parts, part) {
                threads = at_once;
                blocks.push((at, block));
            }
        }
        // As the queue of units has them; the sort keeps the order of equals.
        blocks.sort_by_key(|(_, block)| std::cmp::Reverse(block.meta.starts().end));
        // Of one alone the evaluation reads all it needs at a time by itself, about.
        let threads = if blocks.len() > 1 { threads.min(blocks.len()) } else { 0 };
        let state = State { near: vec![0; blocks.len()], ..State::default() };
        let (state, moved) = (Mutex::new(state), Condvar::new());
        Self { parts, during, prune, near, blocks, threads, state, moved }
    }

    /// How many blocks of a bucket may be read.
    pub(super) fn blocks(&self) -> usize {
        self.blocks.len()
    }

    /// Tells that the evaluation has come to the next of the blocks.
    pub(super) fn reach(&self, part: &Part) {
        if self.threads > 0 && matches!(part, Part::Block(_)) {
            self.state().reached += 1;
            self.moved.notify_all();
        }
    }

    fn work(&self) {
        while let Some((at, (part, block))) = self.take() {
            let Ok(reader) = self.parts.readers.open(block) else { continue };
            for (number, group) in (0..).zip(&reader.directory().row_groups) {
                let starts = TimeRange { start: Nanos(group.starts.0), end: Nanos(group.starts.1) };
                if !starts.overlaps(&self.during)
                    || !self.prune.may_match(self.parts, part, &reader, number)
                {
                    continue;
                }
                if self.near.told.is_some_and(|told| told(part, &reader, number)) {
                    continue;
                }
                let [lean, timed] = self.near.wants;
                let want = if is_within(&self.during, &starts) { lean } else { timed };
                let is_wanted = |leaf: &_, schema: &_| want.has(leaf, schema);
                let bytes_max = reader.near_bytes_max();
                let may_take = |bytes| self.may_take(at, bytes, bytes_max);
                if reader.near(number, Wanted::Some(&is_wanted), may_take).is_err() {
                    break;
                }
            }
        }
    }

    /// The next block, once the evaluation is near enough.
    fn take(&self) -> Option<(usize, (usize, &'p Block))> {
        let mut state = self.state();
        loop {
            let at = state.next;
            let block = *self.blocks.get(at).filter(|_| !state.is_over)?;
            let far = FIRST + GROWTH * state.reached;
            if at < far.min(state.reached + self.threads) {
                state.next += 1;
                return Some((at, block));
            }
            state = self.moved.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits until so many bytes more may be brought near: what is pushed out before it was read is read
    /// twice. `false` where nobody needs them any more.
    fn may_take(&self, at: usize, bytes: u64, bytes_max: u64) -> bool {
        let mut state = self.state();
        loop {
            let State { reached, near, is_over, .. } = &mut *state;
            // The one that it has come to last is still being read.
            let done = reached.saturating_sub(1);
            if *is_over || at < done {
                return false;
            }
            let all: u64 = near.iter().skip(done).sum();
            if at <= done || all + bytes <= bytes_max {
                if let Some(own) = near.get_mut(at) {
                    *own += bytes;
                }
                return true;
            }
            state = self.moved.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
