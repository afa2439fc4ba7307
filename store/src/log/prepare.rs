//! The thread that keeps segments ready ahead of the writer, and takes old ones away.
//!
//! An old file is used again where one is needed: its blocks are written, so its syncs carry no
//! metadata. A full disk is a state, looked at again a few times per second until it passes.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tracing::{info, warn};

use crate::disk::is_full;
use crate::log::config::Durability;
use crate::log::record::Seal;
use crate::log::segment::{self, Segment, len_for};
use crate::log::shared::{Item, Phase, Shared, Spare, State};

/// Segments that wait behind the current one: the next, and the spare that is never promised.
pub(crate) const READY: usize = 2;
/// How soon a full disk is looked at again.
const RETRY: Duration = Duration::from_millis(250);

#[derive(Debug)]
pub(crate) struct Preparer {
    shared: Arc<Shared>,
}

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Worked,
    Idle,
    /// Something is to be done and cannot be done now.
    Stuck,
    Finished,
}

enum Chore {
    Create { number: u64, len: u64 },
    Recycle { number: u64, spare: Spare },
    Remove(Spare),
    Full(String),
    None,
}

impl Preparer {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Works until the log is closed or failed.
    pub(crate) fn run(&mut self) {
        loop {
            let step = self.step();
            let mut state = self.shared.lock();
            state = match step {
                Step::Worked => state,
                Step::Finished => return,
                Step::Idle => self
                    .shared
                    .chores
                    .wait_while(state, |state| !state.chores_due)
                    .unwrap_or_else(PoisonError::into_inner),
                Step::Stuck => {
                    self.shared
                        .chores
                        .wait_timeout_while(state, RETRY, |state| !state.chores_due)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
            };
            state.chores_due = false;
        }
    }

    /// Does one thing.
    pub(crate) fn step(&mut self) -> Step {
        let mut state = self.shared.lock();
        if state.phase != Phase::Open || state.failed.is_some() {
            return Step::Finished;
        }
        if self.shared.config.durability == Durability::Memory {
            return Step::Idle;
        }
        let saves_space = self.shared.saves_space.load(Ordering::Acquire);
        let chore = choose(&mut state, self.shared.config.bytes_max.0, saves_space);
        drop(state);
        match chore {
            Chore::Create { number, len } => self.create(number, len),
            Chore::Recycle { number, spare } => self.recycle(number, spare),
            Chore::Remove(spare) => self.remove(spare),
            Chore::Full(why) => self.full(why),
            Chore::None => Step::Idle,
        }
    }

    fn create(&self, number: u64, len: u64) -> Step {
        let Shared { disk, dir, .. } = &*self.shared;
        match segment::create(&**disk, dir, self.seal(number), len) {
            Ok(segment) => self.add(segment),
            Err(fault) if is_full(&fault) => {
                let spare = self.shared.lock().spares.pop();
                match spare {
                    // Too short to be used again, and its space is needed.
                    Some(spare) => self.remove(spare),
                    None => self.full(format!("no space left on the disk of {}", dir.display())),
                }
            }
            Err(fault) => self.stuck("prepare", number, &fault),
        }
    }

    fn recycle(&self, number: u64, spare: Spare) -> Step {
        let Shared { disk, dir, .. } = &*self.shared;
        let old = segment::path(dir, spare.number);
        match segment::recycle(&**disk, dir, &old, self.seal(number), spare.len) {
            Ok(segment) => self.add(segment),
            Err(fault) => {
                self.keep(spare, &fault);
                self.stuck("recycle", spare.number, &fault)
            }
        }
    }

    fn remove(&self, spare: Spare) -> Step {
        let Shared { disk, dir, .. } = &*self.shared;
        let removed = segment::remove_if_there(&**disk, &segment::path(dir, spare.number));
        match removed.and_then(|()| disk.sync_dir(dir)) {
            Ok(()) => {
                self.shared.count_files(&self.shared.lock());
                Step::Worked
            }
            Err(fault) => {
                self.keep(spare, &fault);
                self.stuck("remove", spare.number, &fault)
            }
        }
    }

    /// Puts a file back that is still there: its records must not come back at the next start.
    fn keep(&self, spare: Spare, fault: &std::io::Error) {
        if fault.kind() != std::io::ErrorKind::NotFound {
            self.shared.lock().spares.push(spare);
        }
    }

    fn add(&self, segment: Segment) -> Step {
        let mut state = self.shared.lock();
        state.next_number = segment.number + 1;
        state.room.add(segment);
        self.shared.count_files(&state);
        if state.full.take().is_some() {
            self.shared.stats.full.set(0);
            info!("the wal has room again");
        }
        Step::Worked
    }

    fn full(&self, why: String) -> Step {
        let mut state = self.shared.lock();
        self.shared.stats.full.set(1);
        if state.full.as_ref() != Some(&why) {
            warn!(
                why,
                "no room for another wal segment, requests are refused when the last is used up"
            );
            state.full = Some(why);
        }
        Step::Stuck
    }

    fn stuck(&self, what: &'static str, number: u64, fault: &std::io::Error) -> Step {
        self.shared.stats.chores_failed.inc();
        warn!(segment = number, %fault, "cannot {what} a wal segment, trying again");
        Step::Stuck
    }

    fn seal(&self, segment: u64) -> Seal {
        Seal { writer: self.shared.writer, segment }
    }
}

/// What is most urgent.
fn choose(state: &mut State, bytes_max: u64, saves_space: bool) -> Chore {
    give_up_old(state);
    let wanted = state.record_wanted;
    let len = state.segment_len.max(len_for(wanted));
    let ready = state.room.ready_for(wanted);
    if ready >= READY || saves_space && ready > 0 {
        return match state.spares.pop() {
            Some(spare) => Chore::Remove(spare),
            None if ready >= READY => Chore::None,
            None => Chore::Full("the disk is full, space goes to seal and merge".to_owned()),
        };
    }
    let number = state.next_number;
    // A file of another length is used again where it is long enough for what is asked.
    let fits = |spare: &Spare| spare.len >= len_for(wanted) && spare.len >= state.segment_len / 2;
    if let Some(at) = state.spares.iter().position(fits) {
        return Chore::Recycle { number, spare: state.spares.swap_remove(at) };
    }
    if state.disk_bytes().saturating_add(len) > bytes_max {
        return match state.spares.pop() {
            Some(spare) => Chore::Remove(spare),
            None => Chore::Full("wal.bytes_max is reached".to_owned()),
        };
    }
    Chore::Create { number, len }
}

/// Moves segments that may go to the spares, oldest first, as far as the writer is through.
fn give_up_old(state: &mut State) {
    let queued = state.queue.iter().find_map(|item| match item {
        Item::Record(record) => record.place.as_ref().map(|place| place.segment.number),
        Item::Seal => None,
    });
    let below = [state.writing, queued, state.room.active()]
        .into_iter()
        .flatten()
        .fold(state.trim_below, u64::min);
    while let Some(entry) = state.files.first_entry().filter(|entry| *entry.key() < below) {
        let (number, len) = entry.remove_entry();
        state.spares.push(Spare { number, len });
    }
}
