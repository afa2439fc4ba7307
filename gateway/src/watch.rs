//! Files that may change while we run: certificates, tokens, keys, overrides.
//!
//! They are read again and compared, whole: a link that is swapped, a file that is replaced and one that is
//! written in place all look alike so, on every file system. Whoever owns one says what comes of it.

use std::fs::File;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The largest file, if nobody says otherwise.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// How often files are looked at.
pub const LOOK: Duration = Duration::from_secs(5);

/// Something that files tell.
pub trait Reload: Send + Sync {
    /// Takes over what has changed; what cannot be used is told, and what was before stays.
    fn reload(&self);
}

/// Files, and a hash of what they had in them: it may be secret.
#[derive(Debug)]
pub struct Watched {
    paths: Vec<PathBuf>,
    bytes_max: u64,
    hash: Mutex<u64>,
}

impl Watched {
    /// Reads files for the first time; with what they have in them, in their order.
    ///
    /// # Errors
    /// Names the file that cannot be read.
    pub fn open(paths: Vec<PathBuf>) -> Result<(Self, Vec<Vec<u8>>), String> {
        Self::open_up_to(paths, FILE_BYTES_MAX)
    }

    /// The same, of files of so many bytes each.
    ///
    /// # Errors
    /// Names the file that cannot be read, or is larger.
    pub fn open_up_to(paths: Vec<PathBuf>, bytes_max: u64) -> Result<(Self, Vec<Vec<u8>>), String> {
        let contents = read_all(&paths, bytes_max)?;
        Ok((Self { paths, bytes_max, hash: Mutex::new(hash(&contents)) }, contents))
    }

    /// Has [`Self::changed`] tell what they have in them once more: it may be of use later.
    pub fn again(&self) {
        let mut before = self.hash.lock().unwrap_or_else(PoisonError::into_inner);
        *before = !*before;
    }

    /// What they have in them, if that is something else than last time.
    ///
    /// # Errors
    /// Names the file that cannot be read.
    pub fn changed(&self) -> Result<Option<Vec<Vec<u8>>>, String> {
        let now = read_all(&self.paths, self.bytes_max)?;
        let mut before = self.hash.lock().unwrap_or_else(PoisonError::into_inner);
        let hash = hash(&now);
        if *before == hash {
            return Ok(None);
        }
        *before = hash;
        Ok(Some(now))
    }
}

fn hash(contents: &[Vec<u8>]) -> u64 {
    let mut hasher = DefaultHasher::new();
    contents.hash(&mut hasher);
    hasher.finish()
}

fn read_all(paths: &[PathBuf], bytes_max: u64) -> Result<Vec<Vec<u8>>, String> {
    paths.iter().map(|path| read(path, bytes_max)).collect()
}

fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, String> {
    let named = |fault: &dyn std::fmt::Display| format!("{}: {fault}", path.display());
    let file = File::open(path).map_err(|fault| named(&fault))?;
    let mut bytes = Vec::new();
    let read = file.take(bytes_max + 1).read_to_end(&mut bytes);
    read.map_err(|fault| named(&fault))?;
    if bytes.len() as u64 > bytes_max {
        return Err(named(&format!("more than {} MiB", bytes_max >> 20)));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_change_are_seen_however_they_do() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (dir.path().join("one"), dir.path().join("two"));
        std::fs::write(&one, "a").unwrap();
        std::os::unix::fs::symlink(&one, dir.path().join("link")).unwrap();
        let paths = vec![one.clone(), dir.path().join("link")];
        let (watched, contents) = Watched::open(paths).unwrap();
        assert_eq!(contents, [b"a", b"a"]);
        assert_eq!(watched.changed().unwrap(), None);
        std::fs::write(&one, "b").unwrap();
        assert!(watched.changed().unwrap().is_some());
        assert_eq!(watched.changed().unwrap(), None);
        watched.again();
        assert!(watched.changed().unwrap().is_some());
        assert_eq!(watched.changed().unwrap(), None);
        // As Kubernetes swaps secrets.
        std::fs::write(&two, "c").unwrap();
        std::os::unix::fs::symlink(&two, dir.path().join("new")).unwrap();
        std::fs::rename(dir.path().join("new"), dir.path().join("link")).unwrap();
        assert_eq!(watched.changed().unwrap().unwrap(), [b"b", b"c"]);
        std::fs::remove_file(&one).unwrap();
        assert!(watched.changed().unwrap_err().contains("one"));
    }
}
