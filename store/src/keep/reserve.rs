//! Space that is kept for sealing and merging, so that a full disk can be made less full.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::disk::{Disk, File};
use crate::error::Error;

/// At most so much; less on a small disk.
const BYTES_MAX: u64 = 64 << 20;
/// A share of what is free at the start.
const SHARE: u64 = 16;

/// A file of zeros that is given up when space is needed, and taken back later.
#[derive(Debug)]
pub(super) struct Reserve {
    file: Arc<dyn File>,
    bytes: u64,
    held: AtomicBool,
}

impl Reserve {
    /// Takes the reserve, if there is space for it.
    pub(super) fn open(disk: &dyn Disk, dir: &Path) -> Result<Self, Error> {
        let path: PathBuf = dir.join("RESERVE");
        let fail = |fault| Error::io(format!("open {}", path.display()), fault);
        let file = match disk.create_new(&path) {
            Err(fault) if fault.kind() == io::ErrorKind::AlreadyExists => disk.open(&path),
            made => made,
        }
        .map_err(fail)?;
        let there = file.len().map_err(fail)?;
        let free = disk.free_bytes(dir).map_err(fail)?.saturating_add(there);
        let bytes = BYTES_MAX.min(free / SHARE);
        let reserve = Self { file, bytes, held: AtomicBool::new(there >= bytes) };
        reserve.refill();
        Ok(reserve)
    }

    /// Gives the space up; `false` where it was given up already.
    pub(super) fn release(&self) -> bool {
        self.held.swap(false, Ordering::AcqRel) && self.file.set_len(0).is_ok()
    }

    /// Takes the space back, if it is there.
    pub(super) fn refill(&self) {
        if !self.held.load(Ordering::Acquire) && self.file.allocate(self.bytes).is_ok() {
            self.held.store(true, Ordering::Release);
        }
    }
}
