//! Files that only this process's user can have written: what is read from them is taken for what was once written.
//!
//! A file is whole or not there: it is written under another name, and renamed. A directory of them is bounded; those
//! that were not touched for the longest time go.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use model::Nanos;

/// Parts of files end in this, behind the name of the file.
const PART: &str = "part";

/// How much is kept in a directory, of one kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Files.
    pub(crate) files: usize,
    /// Bytes of all of them.
    pub(crate) bytes: u64,
}

/// Reads a file, whole.
///
/// # Errors
/// It is not there, it is larger than that, or somebody else can have written it.
pub(crate) fn read(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let refused = |what: &str| Err(io::Error::other(format!("{}: {what}", path.display())));
    let own = rustix::process::geteuid().as_raw();
    let is_own = |meta: &fs::Metadata| meta.uid() == own && meta.mode() & 0o022 == 0;
    let dir = path.parent().map(fs::metadata).transpose()?;
    if !dir.as_ref().is_some_and(is_own) {
        return refused("others can write into its directory");
    }
    let file = OpenOptions::new().read(true).custom_flags(no_follow()).open(path)?;
    let meta = file.metadata()?;
    if !is_own(&meta) || !meta.is_file() || meta.len() > bytes_max {
        return refused("not a file of ours");
    }
    let mut bytes = Vec::new();
    file.take(bytes_max).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn no_follow() -> i32 {
    // A plain number of the system's.
    i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or_default()
}

/// Writes a file of these parts in the place of the one by that name; makes the directory where it is not there.
///
/// # Errors
/// The disk's.
pub(crate) fn write(dir: &Path, name: &str, parts: &[&[u8]]) -> io::Result<()> {
    static WRITTEN: AtomicU64 = AtomicU64::new(0);
    let number = WRITTEN.fetch_add(1, Ordering::Relaxed);
    let part = dir.join(format!("{name}.{}.{number}.{PART}", std::process::id()));
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
    parts.iter().try_for_each(|bytes| file.write_all(bytes))?;
    file.sync_all()?;
    fs::rename(part, dir.join(name))
}

/// Notes that a file is of use to somebody: it goes later.
///
/// # Errors
/// The disk's.
pub(crate) fn touch(path: &Path, now: Nanos) -> io::Result<()> {
    File::open(path)?.set_modified(UNIX_EPOCH + Duration::from_nanos(now.0))
}

/// Removes the oldest of too many files with an ending, and parts of them that nobody finished.
///
/// # Errors
/// The disk's.
pub(crate) fn sweep(dir: &Path, ending: &str, bounds: Bounds) -> io::Result<()> {
    let (mut files, within) = (Vec::new(), format!(".{ending}."));
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let (name, path) = (entry.file_name(), entry.path());
        let is = |ext: &str| path.extension().is_some_and(|of| of == ext);
        if is(ending) || (is(PART) && name.to_string_lossy().contains(&within)) {
            let meta = entry.metadata()?;
            files.push((meta.mtime(), meta.mtime_nsec(), meta.len(), path));
        }
    }
    files.sort();
    let (mut count, mut bytes) = (files.len(), files.iter().map(|(.., len, _)| *len).sum::<u64>());
    for (.., len, path) in files {
        if count <= bounds.files && bytes <= bounds.bytes {
            break;
        }
        fs::remove_file(path)?;
        (count, bytes) = (count - 1, bytes.saturating_sub(len));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_touched_for_the_longest_time_goes_and_others_files_stay() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("own");
        let is_there = |name: &str| dir.join(name).try_exists().unwrap();
        for (at, name) in ["a.kept", "b.kept", "c.kept"].into_iter().enumerate() {
            write(&dir, name, &[b"head", &[0; 96]]).unwrap();
            touch(&dir.join(name), Nanos::from_secs(at as u64)).unwrap();
        }
        fs::write(dir.join("d.kept.7.0.part"), b"").unwrap();
        for other in ["e.code", "e.code.7.0.part", "notes"] {
            fs::write(dir.join(other), b"").unwrap();
        }
        sweep(&dir, "kept", Bounds { files: 3, bytes: 1_000 }).unwrap();
        assert!(!is_there("a.kept") && is_there("b.kept") && is_there("d.kept.7.0.part"));
        sweep(&dir, "kept", Bounds { files: 3, bytes: 199 }).unwrap();
        assert!(!is_there("b.kept") && is_there("c.kept"));
        assert!(is_there("e.code") && is_there("e.code.7.0.part") && is_there("notes"));
        write(&dir, "c.kept", &[b"other"]).unwrap();
        assert_eq!(read(&dir.join("c.kept"), 5).unwrap(), b"other");
        assert!(read(&dir.join("c.kept"), 4).is_err());
    }
}
