//! What the callers of the log and its two threads have in common: the queue, the room, the state.
//!
//! One lock guards all of it, and is never held over I/O.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use model::{Clock, Nanos, TenantId};
use tracing::error;

use crate::disk::Disk;
use crate::error::{Error, Kind};
use crate::log::config::{Config, Durability};
use crate::log::pack::Packed;
use crate::log::prepare;
use crate::log::record::Format;
use crate::log::replay::Replayed;
use crate::log::room::{Place, Room};
use crate::log::segment::Segment;
use crate::log::stats::Stats;
use crate::log::{OnDone, Outcome};

/// What the threads of the log have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: PathBuf,
    pub(crate) writer: u64,
    pub(crate) config: Config,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) stats: Arc<Stats>,
    pub(crate) saves_space: Arc<AtomicBool>,
    state: Mutex<State>,
    /// The writer waits here.
    pub(crate) work: Condvar,
    /// The preparer waits here.
    pub(crate) chores: Condvar,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) room: Room,
    pub(crate) queue: VecDeque<Item>,
    pub(crate) queue_bytes: u64,
    pub(crate) phase: Phase,
    pub(crate) failed: Option<Arc<Error>>,
    on_failed: Option<OnFailed>,
    pub(crate) writer: WriterState,
    /// The segment that the writer has not finished.
    pub(crate) writing: Option<u64>,
    /// Segments that hold records, by number, with the lengths of their files.
    pub(crate) files: BTreeMap<u64, u64>,
    /// Segments below this may go.
    pub(crate) trim_below: u64,
    /// Files of segments that nobody needs: to be used again, or removed.
    pub(crate) spares: Vec<Spare>,
    pub(crate) next_number: u64,
    /// The length of segments that are made.
    pub(crate) segment_len: u64,
    /// A larger record than any ready segment takes was asked for.
    pub(crate) record_wanted: u64,
    pub(crate) chores_due: bool,
    /// Why no segment can be made, while that is so.
    pub(crate) full: Option<String>,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("room", &self.room).finish_non_exhaustive()
    }
}

pub(crate) type OnFailed = Box<dyn FnOnce(Arc<Error>) + Send>;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Phase {
    #[default]
    Open,
    /// Takes nothing new, finishes what has room reserved.
    Closing,
    /// The owner is gone: finishes what is queued.
    Abandoned,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum WriterState {
    #[default]
    Busy,
    /// Waits for a first record.
    Idle,
    /// Has records, and waits for more of them.
    Gathering,
    Gone,
}

/// A file that may become another segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spare {
    pub(crate) number: u64,
    pub(crate) len: u64,
}

/// What the writer does next.
pub(crate) enum Item {
    Record(Box<Queued>),
    /// Finish the current segment.
    Seal,
}

pub(crate) struct Queued {
    /// `None` where nothing is written.
    pub(crate) place: Option<Place>,
    pub(crate) bytes: u64,
    pub(crate) tenant: TenantId,
    pub(crate) received_at: Nanos,
    pub(crate) format: Format,
    pub(crate) edits: Vec<u8>,
    pub(crate) packed: Packed,
    pub(crate) done: Done,
}

/// Calls back exactly once, whatever happens to the record.
pub(crate) struct Done(Option<OnDone>);

impl Done {
    pub(crate) fn new(on_done: OnDone) -> Self {
        Self(Some(on_done))
    }

    pub(crate) fn call(mut self, outcome: Outcome) {
        if let Some(done) = self.0.take() {
            done(outcome);
        }
    }
}

impl Drop for Done {
    fn drop(&mut self) {
        if let Some(done) = self.0.take() {
            done(Err(Arc::new(Error::new(Kind::Fatal, "the wal stopped before this was written"))));
        }
    }
}

impl Shared {
    pub(crate) fn new(replayed: Replayed, clock: Arc<dyn Clock>) -> Self {
        let Replayed { disk, dir, writer, config, stats, saves_space, .. } = replayed;
        let Replayed { files, spares, next_number, segment_len, .. } = replayed;
        let state = State { files, spares, next_number, segment_len, ..State::default() };
        let state = Mutex::new(state);
        let (work, chores) = (Condvar::new(), Condvar::new());
        let shared =
            Self { disk, dir, writer, config, clock, stats, saves_space, state, work, chores };
        shared.count_files(&shared.lock());
        shared
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn check_failed(&self, state: &State) -> Result<(), Error> {
        match &state.failed {
            Some(failed) => Err(Error::new(Kind::Fatal, failed.to_string())),
            None => Ok(()),
        }
    }

    pub(crate) fn reserve(&self, bytes: u64) -> Result<(), Error> {
        let mut state = self.lock();
        self.check_failed(&state)?;
        if state.phase != Phase::Open {
            return Err(Error::new(Kind::Unavailable, "the wal is closing"));
        }
        let waiting = state.queue_bytes + state.room.promised();
        if waiting > 0 && waiting + bytes > self.config.queue_bytes_max.0 {
            let message = "too many requests are on their way to the wal (wal.queue_bytes_max)";
            return Err(Error::new(Kind::Unavailable, message));
        }
        if self.config.durability == Durability::Memory {
            state.room.hold(bytes);
            return Ok(());
        }
        if state.room.promise(bytes) {
            return Ok(());
        }
        state.record_wanted = state.record_wanted.max(bytes);
        Err(self.no_room(&mut state))
    }

    /// Why there is no room now; has more made, unless that was found to be impossible.
    pub(crate) fn no_room(&self, state: &mut State) -> Error {
        match &state.full {
            Some(why) => Error::new(Kind::Unavailable, format!("the wal is full: {why}")),
            None => {
                self.wake_preparer(state);
                Error::new(Kind::Unavailable, "the wal is preparing a segment")
            }
        }
    }

    /// Has the preparer follow what `room` just did.
    pub(crate) fn settle(&self, state: &mut State) {
        let skipped = state.room.take_skipped();
        let spare = |Segment { number, len, .. }| Spare { number, len };
        state.spares.extend(skipped.into_iter().map(spare));
        if state.room.ready() < prepare::READY || !state.spares.is_empty() {
            if state.full.is_none() {
                self.wake_preparer(state);
            }
            self.count_files(state);
        }
    }

    pub(crate) fn wake_preparer(&self, state: &mut State) {
        if !state.chores_due {
            state.chores_due = true;
            self.chores.notify_all();
        }
    }

    pub(crate) fn wake_writer(&self, state: &State) {
        let due = match state.writer {
            WriterState::Idle => true,
            WriterState::Gathering => state.queue_bytes >= self.config.commit.bytes.0,
            WriterState::Busy | WriterState::Gone => false,
        };
        if due {
            self.work.notify_one();
        }
    }

    pub(crate) fn count_files(&self, state: &State) {
        self.stats.segments.set(state.files.len() as u64);
        self.stats.disk_bytes.set(state.disk_bytes());
    }

    /// Has `hook` called when the log fails, or now where it has.
    pub(crate) fn on_failed(&self, hook: OnFailed) {
        let mut state = self.lock();
        match state.failed.clone() {
            Some(failed) => {
                drop(state);
                hook(failed);
            }
            None => state.on_failed = Some(hook),
        }
    }

    /// Stops the log for good: nothing is acknowledged any more. Returns what was queued, to be
    /// told; the first failure stays.
    pub(crate) fn fail(&self, error: Error) -> (Arc<Error>, VecDeque<Item>) {
        let mut state = self.lock();
        let queued = std::mem::take(&mut state.queue);
        state.queue_bytes = 0;
        self.stats.queue_bytes.set(0);
        self.stats.queue_records.set(0);
        if let Some(failed) = &state.failed {
            return (Arc::clone(failed), queued);
        }
        error!(%error, "the wal failed, nothing is acknowledged any more");
        let failed = Arc::new(error.with_kind(Kind::Fatal));
        state.failed = Some(Arc::clone(&failed));
        self.stats.failed.set(1);
        let hook = state.on_failed.take();
        self.wake_preparer(&mut state);
        drop(state);
        if let Some(hook) = hook {
            hook(Arc::clone(&failed));
        }
        (failed, queued)
    }
}

impl State {
    pub(crate) fn disk_bytes(&self) -> u64 {
        let spares = self.spares.iter().map(|spare| spare.len).sum::<u64>();
        self.files.values().sum::<u64>() + spares + self.room.ready_bytes()
    }
}
