//! Space that is kept for sealing, merging and retention, so that a full disk can be made less
//! full. From when it is given up until it can be taken back the log takes no new space: what is
//! freed would be full of requests again before it is of use to anybody.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tracing::warn;

use crate::disk::{Disk, File};
use crate::error::{Error, Kind};

/// At most so much; less on a small disk.
const BYTES_MAX: u64 = 64 << 20;
/// A share of what is free.
const SHARE: u64 = 16;
/// What need not be written takes at most this share of what is free.
const ROOM_SHARE: u64 = 2;

/// A file of zeros that is given up when space is needed, and taken back later.
#[derive(Debug)]
pub(super) struct Reserve {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    file: Arc<dyn File>,
    /// Its bytes now.
    held: AtomicU64,
    /// What is to be taken back.
    wanted: AtomicU64,
    /// Whether it is given up.
    is_out: Arc<AtomicBool>,
}

impl Reserve {
    /// Takes the reserve, if there is space for it.
    pub(super) fn open(disk: &Arc<dyn Disk>, dir: &Path) -> Result<Self, Error> {
        let path = dir.join("RESERVE");
        let fail = |fault| Error::io(format!("open {}", path.display()), fault);
        let file = match disk.create_new(&path) {
            Err(fault) if fault.kind() == io::ErrorKind::AlreadyExists => disk.open(&path),
            made => made,
        }
        .map_err(fail)?;
        let held = AtomicU64::new(file.len().map_err(fail)?);
        let (disk, dir, wanted) = (Arc::clone(disk), dir.to_owned(), AtomicU64::new(0));
        let reserve = Self { disk, dir, file, held, wanted, is_out: Arc::default() };
        reserve.refill();
        Ok(reserve)
    }

    /// Runs a step that needs space; on a full disk once more with the reserve given up.
    pub(super) fn with<T>(&self, step: impl Fn() -> Result<T, Error>) -> Result<T, Error> {
        match step() {
            Err(error) if error.kind() == Kind::Unavailable && self.release() => {
                warn!(%error, "the disk is full, using the reserve to free space");
                step()
            }
            done => done,
        }
    }

    /// Whether it is given up; shared with whoever takes no space then.
    pub(super) fn is_out(&self) -> &Arc<AtomicBool> {
        &self.is_out
    }

    /// Whether there is space for so much that need not be written now.
    pub(super) fn has_room(&self, bytes: u64) -> bool {
        let free = self.disk.free_bytes(&self.dir);
        // Where it cannot be told, whoever writes finds out.
        free.map_or(true, |free| free / ROOM_SHARE >= bytes)
    }

    /// Gives the space up; `false` where there is none to give.
    fn release(&self) -> bool {
        let held = self.held.swap(0, Ordering::AcqRel);
        if held == 0 {
            return false;
        }
        self.wanted.store(held, Ordering::Release);
        self.is_out.store(true, Ordering::Release);
        self.file.set_len(0).is_ok()
    }

    /// Takes back what was given up, or more where there is much space, if it can be had.
    pub(super) fn refill(&self) {
        let held = self.held.load(Ordering::Acquire);
        if held >= BYTES_MAX {
            return;
        }
        let Ok(free) = self.disk.free_bytes(&self.dir) else { return };
        let share = BYTES_MAX.min(free.saturating_add(held) / SHARE);
        let bytes = share.max(self.wanted.load(Ordering::Acquire));
        if bytes > held && self.file.allocate(bytes).is_ok() {
            self.held.store(bytes, Ordering::Release);
            self.is_out.store(false, Ordering::Release);
        }
    }
}
