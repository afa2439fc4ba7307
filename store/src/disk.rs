//! The file system as the store needs it: a seam, so that a simulated disk can forget what was
//! not synced. [`RealDisk`] is the machine's own; `tests` has the simulated one.
//!
//! A file's content is durable after [`File::sync`]; its name is durable after [`Disk::sync_dir`]
//! of the directory that holds it. Nothing else is.

use std::fmt;
use std::fs;
use std::io::{self, Read as _};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use rustix::fs::FallocateFlags;
use rustix::io::Errno;

mod content;
pub mod data_dir;
pub mod read_only;

pub use content::Content;

/// Directories and the names in them.
///
/// # Errors
/// Every method passes on what the system said; [`is_full`] tells a full disk from the rest.
#[expect(clippy::missing_errors_doc, reason = "the trait says it once for all methods")]
pub trait Disk: Send + Sync + fmt::Debug {
    /// Makes a directory and those above it; one that is there already is fine. The names of new
    /// ones are durable when this returns.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;
    /// Makes an empty file; one that is there already is an error.
    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn File>>;
    /// Opens a file that is there, to read and to write.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>>;
    /// The names in a directory, sorted.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Gives a file another name, replacing what has it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Gives a file another name, unless that one is taken (`AlreadyExists`). Where the power goes
    /// off in between, the file may have both names.
    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Gives a file a second name, unless that one is taken (`AlreadyExists`); `Unsupported` where
    /// files have one name only.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a directory durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Bytes that can still be allocated on the disk of this directory.
    fn free_bytes(&self, dir: &Path) -> io::Result<u64>;
}

/// One open file.
///
/// # Errors
/// Every method passes on what the system said; [`is_full`] tells a full disk from the rest.
#[expect(clippy::missing_errors_doc, reason = "the trait says it once for all methods")]
#[expect(clippy::len_without_is_empty, reason = "the length of a file is I/O, not a collection")]
pub trait File: Send + Sync + fmt::Debug {
    /// The length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Reads from `offset` on until `buffer` is full or the file ends; tells how much it was.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Ranges that are not further from each other are better read as one. On a disk of this
    /// machine a call costs as much as copying a page of its cache or two.
    fn gap_bytes(&self) -> u64 {
        8 << 10
    }
    /// The same, of bytes that are this.
    fn read_as(&self, _content: Content, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.read_at(buffer, offset)
    }
    /// Reads several ranges, as far as the file goes: at a time where that is quicker.
    fn read_ranges(&self, ranges: &[Range<u64>]) -> io::Result<Vec<Bytes>> {
        ranges.iter().map(|range| read_range(self, range)).collect()
    }
    /// Brings ranges that will be read next as near as they can be, at a time: nothing to do on a
    /// disk of this machine. What goes wrong shows when they are read. With a directory comes what stands
    /// before it on the chance that it is needed: the last range is the directory itself.
    fn prefetch(&self, _content: Content, _ranges: &[Range<u64>]) {}
    /// So many bytes may be prefetched before they are read; none where that is of no use.
    fn prefetch_bytes_max(&self) -> u64 {
        0
    }
    /// Writes all of `bytes` at `offset`.
    fn write_at(&self, _bytes: &[u8], _offset: u64) -> io::Result<()> {
        Err(only_read())
    }
    /// Grows the file to `len` bytes with its blocks reserved: later writes below that cannot
    /// meet a full disk.
    fn allocate(&self, _len: u64) -> io::Result<()> {
        Err(only_read())
    }
    /// Cuts or extends the file to `len` bytes.
    fn set_len(&self, _len: u64) -> io::Result<()> {
        Err(only_read())
    }
    /// Makes the content and the length durable.
    fn sync(&self) -> io::Result<()> {
        Err(only_read())
    }
    /// Takes the lock of the file for as long as it is open; `false` where another process has it.
    fn lock(&self) -> io::Result<bool> {
        Err(only_read())
    }
}

/// Objects, and whatever else is never changed, need say no more about writing.
fn only_read() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "it is only read")
}

/// One range of a file, as far as the file goes.
fn read_range<F: File + ?Sized>(file: &F, range: &Range<u64>) -> io::Result<Bytes> {
    let len = usize::try_from(range.end.saturating_sub(range.start)).map_err(io::Error::other)?;
    let mut bytes = vec![0; len];
    let read = file.read_at(&mut bytes, range.start)?;
    bytes.truncate(read);
    Ok(bytes.into())
}

/// Whether this error means a full disk (or quota), which passes when space returns.
#[must_use]
pub fn is_full(fault: &io::Error) -> bool {
    matches!(fault.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// The file system of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl RealDisk {
    /// A random number of the operating system, for ids that must never meet.
    ///
    /// # Errors
    /// Where `/dev/urandom` cannot be read.
    pub fn random(self) -> io::Result<u64> {
        let mut bytes = [0; 8];
        fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }
}

impl Disk for RealDisk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        if dir.as_os_str().is_empty() || dir.is_dir() {
            return Ok(());
        }
        let above = parent(dir);
        self.create_dir(above)?;
        match fs::create_dir(dir) {
            Err(fault) if fault.kind() != io::ErrorKind::AlreadyExists => Err(fault),
            _ => self.sync_dir(above),
        }
    }

    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let file = fs::OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
        Ok(Arc::new(file))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(fs::OpenOptions::new().read(true).write(true).open(path)?))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort_unstable();
        Ok(names)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        match fs::hard_link(from, to) {
            Ok(()) => fs::remove_file(from),
            Err(fault) if fault.kind() == io::ErrorKind::AlreadyExists => Err(fault),
            // A file system without links may still rename without replacing.
            Err(_) => {
                let (here, flags) = (rustix::fs::CWD, rustix::fs::RenameFlags::NOREPLACE);
                Ok(rustix::fs::renameat_with(here, from, here, to, flags)?)
            }
        }
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        match fs::hard_link(from, to).map_err(|fault| (Errno::from_io_error(&fault), fault)) {
            // What file systems say that have no links.
            Err((Some(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS), _)) => {
                Err(io::ErrorKind::Unsupported.into())
            }
            linked => linked.map_err(|(_, fault)| fault),
        }
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
        fs::File::open(dir)?.sync_all()
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(dir)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

impl File for fs::File {
    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, mut buffer: &mut [u8], mut offset: u64) -> io::Result<usize> {
        let mut total = 0;
        while !buffer.is_empty() {
            match std::os::unix::fs::FileExt::read_at(self, buffer, offset) {
                Ok(0) => break,
                Ok(count) => {
                    total += count;
                    offset += count as u64;
                    buffer = buffer.get_mut(count..).unwrap_or_default();
                }
                Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
                Err(fault) => return Err(fault),
            }
        }
        Ok(total)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        if len == 0 {
            return Ok(());
        }
        match rustix::fs::fallocate(self, FallocateFlags::empty(), 0, len) {
            // A file system without it (NFS, some overlays): zeros take the room as well.
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => write_zeros(self, len),
            done => Ok(done?),
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        Self::set_len(self, len)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn lock(&self) -> io::Result<bool> {
        match self.try_lock() {
            Ok(()) => Ok(true),
            Err(fs::TryLockError::WouldBlock) => Ok(false),
            Err(fs::TryLockError::Error(fault)) => Err(fault),
        }
    }
}

/// The directory that holds this path; `.` for a bare name.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(above) if !above.as_os_str().is_empty() => above,
        Some(_) => Path::new("."),
        None => path,
    }
}

/// Fills the file from its end up to `len` with zeros.
fn write_zeros(file: &fs::File, len: u64) -> io::Result<()> {
    static ZEROS: [u8; 1 << 16] = [0; 1 << 16];
    let mut offset = file.metadata()?.len();
    while offset < len {
        let count = usize::try_from(len - offset).unwrap_or(usize::MAX).min(ZEROS.len());
        file.write_all_at(ZEROS.get(..count).unwrap_or_default(), offset)?;
        offset += count as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
