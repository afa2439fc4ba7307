//! The file system of this machine, to be looked at only: nothing that opens a file here can
//! change it, and a directory that we may not write to (another user's, a snapshot) can be read.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::{Disk, File, RealDisk};

/// Reads, and refuses whatever else.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReadOnlyDisk;

impl Disk for ReadOnlyDisk {
    fn create_dir(&self, _: &Path) -> io::Result<()> {
        Err(refused())
    }

    fn create_new(&self, _: &Path) -> io::Result<Arc<dyn File>> {
        Err(refused())
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(fs::File::open(path)?))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        RealDisk.list(dir)
    }

    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        Err(refused())
    }

    fn rename_new(&self, _: &Path, _: &Path) -> io::Result<()> {
        Err(refused())
    }

    fn link(&self, _: &Path, _: &Path) -> io::Result<()> {
        Err(refused())
    }

    fn remove(&self, _: &Path) -> io::Result<()> {
        Err(refused())
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Err(refused())
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        RealDisk.free_bytes(dir)
    }
}

fn refused() -> io::Error {
    io::Error::new(io::ErrorKind::ReadOnlyFilesystem, "the directory is only looked at")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_looked_at_cannot_be_changed() {
        let home = tempfile::tempdir().unwrap();
        let (path, other) = (home.path().join("file"), home.path().join("other"));
        fs::write(&path, b"content").unwrap();
        let file = ReadOnlyDisk.open(&path).unwrap();
        let mut bytes = [0; 7];
        assert_eq!(file.read_at(&mut bytes, 0).unwrap(), 7);
        assert_eq!(&bytes, b"content");
        assert!(file.write_at(b"!", 0).is_err());
        assert!(file.set_len(0).is_err());
        assert!(ReadOnlyDisk.create_dir(&other).is_err());
        assert!(ReadOnlyDisk.create_new(&other).is_err());
        assert!(ReadOnlyDisk.rename(&path, &other).is_err());
        assert!(ReadOnlyDisk.rename_new(&path, &other).is_err());
        assert!(ReadOnlyDisk.link(&path, &other).is_err());
        assert!(ReadOnlyDisk.remove(&path).is_err());
        assert_eq!(ReadOnlyDisk.list(home.path()).unwrap(), ["file"]);
    }
}
