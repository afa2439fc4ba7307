//! Space that is kept for sealing, merging and retention, so that a full disk can be made less
//! full.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::warn;

use crate::disk::{Disk, File};
use crate::error::{Error, Kind};

/// At most so much; less on a small disk.
const BYTES_MAX: u64 = 64 << 20;
/// A share of what is free.
const SHARE: u64 = 16;

/// A file of zeros that is given up when space is needed, and taken back later.
#[derive(Debug)]
pub(super) struct Reserve {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    file: Arc<dyn File>,
    /// Its bytes now.
    held: AtomicU64,
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
        let reserve = Self { disk: Arc::clone(disk), dir: dir.to_owned(), file, held };
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

    /// Gives the space up; `false` where there is none to give.
    fn release(&self) -> bool {
        self.held.swap(0, Ordering::AcqRel) > 0 && self.file.set_len(0).is_ok()
    }

    /// Takes space, if there is more than a share of it.
    pub(super) fn refill(&self) {
        let held = self.held.load(Ordering::Acquire);
        if held >= BYTES_MAX {
            return;
        }
        let Ok(free) = self.disk.free_bytes(&self.dir) else { return };
        let bytes = BYTES_MAX.min(free.saturating_add(held) / SHARE);
        if bytes > held && self.file.allocate(bytes).is_ok() {
            self.held.store(bytes, Ordering::Release);
        }
    }
}
