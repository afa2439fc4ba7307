//! Immutable objects by name, created if absent: where blocks and the manifest are.
//!
//! [`Local`] keeps them on a [`Disk`], each step durable before the next, so that the simulated
//! disk sees all of it. Object stores come behind the same trait, beside a `Local` for what is this
//! process's own ([`Split`]). Callers may block.

pub mod probe;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use model::Nanos;

use crate::disk::{Content, Disk, File, is_full};
use crate::error::{Error, Kind};

/// Objects by name; names are parts with `/` between them.
pub trait Backend: Send + Sync + fmt::Debug {
    /// Makes an object unless the name is taken (`false` then). Durable when it returns. Where the
    /// name is taken by the same bytes, they may be taken for those of an attempt before.
    ///
    /// # Errors
    /// `Unavailable` when there is no space, `Io`; `Fatal` where nobody knows whether it is there, or
    /// will be.
    fn create(&self, name: &str, bytes: &[u8]) -> Result<bool, Error> {
        let mut upload = self.begin(name)?;
        upload.write(bytes)?;
        upload.finish()
    }

    /// Begins an object that is written in order. It is there, durable and whole, when
    /// [`Upload::finish`] returns; dropped before, it never was.
    ///
    /// # Errors
    /// `Unavailable` when there is no space, `Io`.
    fn begin(&self, name: &str) -> Result<Box<dyn Upload>, Error>;

    /// Opens an object.
    ///
    /// # Errors
    /// `Io`, also where it is not there.
    fn open(&self, name: &str) -> Result<Arc<dyn File>, Error>;

    /// Opens an object of which is known how long it is, and when it was written: where asking for
    /// that costs a request, none is made, and where the object is not there, reading says so.
    ///
    /// # Errors
    /// `Io`.
    fn open_known(&self, name: &str, _len: u64, _at: Nanos) -> Result<Arc<dyn File>, Error> {
        self.open(name)
    }

    /// Forgets what is kept of an object of so many bytes: it was not what was written. The next read
    /// asks whoever has it.
    fn forget(&self, _name: &str, _len: u64) {}

    /// How many objects are better read at a time: one where they are on this machine.
    fn reads_at_once(&self, _name: &str) -> usize {
        1
    }

    /// So many bytes that tell where things are may be read before anybody asks for them: none where
    /// that is of no use.
    fn read_ahead_bytes_max(&self, _root: &str) -> u64 {
        0
    }

    /// The names right below `prefix` (no `/` at its end), sorted: of objects and of what has
    /// objects below it. None where there is nothing.
    ///
    /// # Errors
    /// `Io`.
    fn list(&self, prefix: &str) -> Result<Vec<String>, Error>;

    /// The names of all objects below `prefix` (no `/` at its end), two parts deep, without the
    /// prefix, sorted.
    ///
    /// # Errors
    /// `Io`.
    fn list_tree(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let mut names = Vec::new();
        for dir in self.list(prefix)? {
            let of = self.list(&format!("{prefix}/{dir}"))?;
            names.extend(of.into_iter().map(|name| format!("{dir}/{name}")));
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Whether an object is there: asked of the object itself, as lists may be late.
    ///
    /// # Errors
    /// `Io`.
    fn has(&self, name: &str) -> Result<bool, Error> {
        match self.open(name) {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// When an object was written, by the clock of whoever keeps it; `None` where it is not there,
    /// or nobody knows.
    ///
    /// # Errors
    /// `Io`.
    fn written_at(&self, _name: &str) -> Result<Option<Nanos>, Error> {
        Ok(None)
    }

    /// Removes an object; one that is gone already is fine.
    ///
    /// # Errors
    /// `Io`.
    fn remove(&self, name: &str) -> Result<(), Error>;

    /// Gives an object another name: what is damaged is set aside so. At each moment it has the
    /// one, the other, or both; what has the other name already is taken for the same.
    ///
    /// # Errors
    /// `Io`.
    fn set_aside(&self, name: &str, to: &str) -> Result<(), Error>;

    /// Removes what a crash left unfinished right below a prefix; tells how many. Where nobody ever
    /// sees what is unfinished, there is nothing to do.
    ///
    /// # Errors
    /// `Io`.
    fn sweep(&self, _prefix: &str) -> Result<u64, Error> {
        Ok(0)
    }

    /// Makes durable which objects are right below `prefix`: a process that was killed, or a fault,
    /// may have left names that are there to be seen and gone after a power cut.
    ///
    /// # Errors
    /// `Io`.
    fn settle(&self, prefix: &str) -> Result<(), Error>;

    /// Reads a whole object of at most `max` bytes.
    ///
    /// # Errors
    /// `Io`; `Corrupt` where it is longer.
    fn read(&self, name: &str, max: u64) -> Result<Vec<u8>, Error> {
        let fail = |fault| Error::io(format!("read {name}"), fault);
        let file = self.open(name)?;
        let len = file.len().map_err(fail)?;
        let length = usize::try_from(len).ok().filter(|_| len <= max);
        let length = length.ok_or_else(|| {
            Error::new(Kind::Corrupt, format!("{name} is longer than {max} bytes"))
        })?;
        let mut bytes = vec![0; length];
        let count = file.read_at(&mut bytes, 0).map_err(fail)?;
        bytes.truncate(count);
        Ok(bytes)
    }
}

/// An object on its way.
pub trait Upload: Send {
    /// Appends bytes.
    ///
    /// # Errors
    /// `Unavailable` when there is no space, `Io`.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Error>;

    /// The same, of bytes that are this.
    ///
    /// # Errors
    /// As [`Upload::write`].
    fn write_as(&mut self, _content: Content, bytes: &[u8]) -> Result<(), Error> {
        self.write(bytes)
    }

    /// Makes the object be there; `false` where the name was taken meanwhile.
    ///
    /// # Errors
    /// `Unavailable` when there is no space, `Io`.
    fn finish(self: Box<Self>) -> Result<bool, Error>;
}

/// An object store that has blocks and manifest, which other processes may have as well.
#[derive(Clone, Debug)]
pub struct Shared {
    /// Its URL, without secrets: a data directory goes with one.
    pub url: String,
    /// How often it is looked at for what other processes have changed.
    pub poll: Nanos,
    /// How long blocks stay that are in use no more: queries of other processes may read them.
    pub grace: Nanos,
    /// What is in it.
    pub backend: Arc<dyn Backend>,
}

/// What is this process's own on a local disk, what all share in an object store.
#[derive(Debug)]
pub struct Split {
    local: Arc<dyn Backend>,
    shared: Arc<dyn Backend>,
    /// What names of shared objects begin with, up to the first `/`.
    roots: &'static [&'static str],
    /// What both sides have, each its own.
    both: &'static str,
}

impl Split {
    /// Names below these roots are in `shared`, all others in `local`. What is set aside (to names
    /// below `both`) stays on its side.
    #[must_use]
    pub fn new(
        local: Arc<dyn Backend>,
        shared: Arc<dyn Backend>,
        roots: &'static [&'static str],
        both: &'static str,
    ) -> Self {
        Self { local, shared, roots, both }
    }

    fn of(&self, name: &str) -> &dyn Backend {
        let root = name.split('/').next().unwrap_or(name);
        if self.roots.contains(&root) { &*self.shared } else { &*self.local }
    }
}

impl Backend for Split {
    fn begin(&self, name: &str) -> Result<Box<dyn Upload>, Error> {
        self.of(name).begin(name)
    }

    fn create(&self, name: &str, bytes: &[u8]) -> Result<bool, Error> {
        self.of(name).create(name, bytes)
    }

    fn open(&self, name: &str) -> Result<Arc<dyn File>, Error> {
        self.of(name).open(name)
    }

    fn open_known(&self, name: &str, len: u64, at: Nanos) -> Result<Arc<dyn File>, Error> {
        self.of(name).open_known(name, len, at)
    }

    fn forget(&self, name: &str, len: u64) {
        self.of(name).forget(name, len);
    }

    fn reads_at_once(&self, name: &str) -> usize {
        self.of(name).reads_at_once(name)
    }

    fn read_ahead_bytes_max(&self, root: &str) -> u64 {
        self.of(root).read_ahead_bytes_max(root)
    }

    fn read(&self, name: &str, max: u64) -> Result<Vec<u8>, Error> {
        self.of(name).read(name, max)
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>, Error> {
        if prefix != self.both {
            return self.of(prefix).list(prefix);
        }
        let mut all = self.local.list(prefix)?;
        all.extend(self.shared.list(prefix)?);
        all.sort_unstable();
        Ok(all)
    }

    fn list_tree(&self, prefix: &str) -> Result<Vec<String>, Error> {
        self.of(prefix).list_tree(prefix)
    }

    fn has(&self, name: &str) -> Result<bool, Error> {
        self.of(name).has(name)
    }

    fn written_at(&self, name: &str) -> Result<Option<Nanos>, Error> {
        self.of(name).written_at(name)
    }

    fn remove(&self, name: &str) -> Result<(), Error> {
        self.of(name).remove(name)
    }

    fn set_aside(&self, name: &str, to: &str) -> Result<(), Error> {
        self.of(name).set_aside(name, to)
    }

    fn sweep(&self, prefix: &str) -> Result<u64, Error> {
        self.of(prefix).sweep(prefix)
    }

    fn settle(&self, prefix: &str) -> Result<(), Error> {
        self.of(prefix).settle(prefix)
    }
}

/// Objects as files below a directory.
#[derive(Clone, Debug)]
pub struct Local {
    disk: Arc<dyn Disk>,
    root: PathBuf,
    /// Numbers unfinished objects: several of one name may be under way.
    next: Arc<AtomicU64>,
}

/// What an unfinished object is called.
const UNFINISHED: &str = ".tmp";
/// So much is gathered before it is written.
const BUFFER_BYTES: usize = 1 << 20;

impl Local {
    /// Objects below `root`, which is there.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>, root: &Path) -> Self {
        Self { disk, root: root.to_owned(), next: Arc::default() }
    }

    fn path(&self, name: &str) -> Result<PathBuf, Error> {
        let odd = |part: &str| part.is_empty() || part == "." || part == "..";
        if name.split('/').any(odd) || name.contains('\0') {
            return Err(Error::new(Kind::Invalid, format!("{name:?} is no name of an object")));
        }
        Ok(self.root.join(name))
    }

    /// Makes the names in a directory durable; one that is not there has none.
    fn sync(&self, dir: &Path) -> Result<(), Error> {
        match self.disk.sync_dir(dir) {
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => Ok(()),
            synced => synced.map_err(|fault| failed("sync", dir, fault)),
        }
    }

    fn names(&self, dir: &Path) -> Result<Vec<String>, Error> {
        match self.disk.list(dir) {
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            listed => listed.map_err(|fault| failed("list", dir, fault)),
        }
    }
}

impl Backend for Local {
    fn begin(&self, name: &str) -> Result<Box<dyn Upload>, Error> {
        let path = self.path(name)?;
        let dir = crate::disk::parent(&path).to_owned();
        self.disk.create_dir(&dir).map_err(|fault| failed("create", &dir, fault))?;
        let (file, fresh) = loop {
            let fresh = unfinished(&path, self.next.fetch_add(1, Ordering::Relaxed));
            match self.disk.create_new(&fresh) {
                // Another process's, or left by one.
                Err(fault) if fault.kind() == io::ErrorKind::AlreadyExists => {}
                made => break (made.map_err(|fault| failed("create", &fresh, fault))?, fresh),
            }
        };
        let disk = Arc::clone(&self.disk);
        let upload =
            LocalUpload { disk, file, path, fresh, buffer: Vec::new(), offset: 0, done: false };
        Ok(Box::new(upload))
    }

    fn open(&self, name: &str) -> Result<Arc<dyn File>, Error> {
        let path = self.path(name)?;
        self.disk.open(&path).map_err(|fault| failed("open", &path, fault))
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let mut names = self.names(&self.path(prefix)?)?;
        names.retain(|name| !name.ends_with(UNFINISHED));
        Ok(names)
    }

    fn sweep(&self, prefix: &str) -> Result<u64, Error> {
        let dir = self.path(prefix)?;
        let mut swept = 0;
        for name in self.names(&dir)? {
            if name.ends_with(UNFINISHED) {
                let path = dir.join(&name);
                self.disk.remove(&path).map_err(|fault| failed("remove", &path, fault))?;
                swept += 1;
            }
        }
        if swept > 0 {
            self.sync(&dir)?;
        }
        Ok(swept)
    }

    fn remove(&self, name: &str) -> Result<(), Error> {
        let path = self.path(name)?;
        match self.disk.remove(&path) {
            // An attempt before may have got so far, and not further.
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => {}
            removed => removed.map_err(|fault| failed("remove", &path, fault))?,
        }
        self.sync(crate::disk::parent(&path))
    }

    fn set_aside(&self, name: &str, to: &str) -> Result<(), Error> {
        let (from, to) = (self.path(name)?, self.path(to)?);
        let dirs = [crate::disk::parent(&to), crate::disk::parent(&from)];
        self.disk.create_dir(dirs[0]).map_err(|fault| failed("create", dirs[0], fault))?;
        match self.disk.link(&from, &to) {
            // As good where a rename from one directory to another is all or nothing.
            Err(fault) if fault.kind() == io::ErrorKind::Unsupported => {
                self.disk.rename(&from, &to).map_err(|fault| failed("set aside", &from, fault))?;
                return dirs.into_iter().try_for_each(|dir| self.sync(dir));
            }
            Err(fault) if fault.kind() == io::ErrorKind::AlreadyExists => {}
            // Gone from there: an attempt before got so far.
            Err(fault)
                if fault.kind() == io::ErrorKind::NotFound && self.disk.open(&to).is_ok() => {}
            linked => linked.map_err(|fault| failed("set aside", &from, fault))?,
        }
        self.sync(dirs[0])?;
        self.remove(name)
    }

    fn settle(&self, prefix: &str) -> Result<(), Error> {
        self.sync(&self.path(prefix)?)
    }
}

struct LocalUpload {
    disk: Arc<dyn Disk>,
    file: Arc<dyn File>,
    path: PathBuf,
    fresh: PathBuf,
    buffer: Vec<u8>,
    offset: u64,
    done: bool,
}

impl LocalUpload {
    fn flush(&mut self) -> Result<(), Error> {
        let written = self.file.write_at(&self.buffer, self.offset);
        written.map_err(|fault| failed("write", &self.fresh, fault))?;
        self.offset += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

impl Upload for LocalUpload {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BUFFER_BYTES { self.flush() } else { Ok(()) }
    }

    fn finish(mut self: Box<Self>) -> Result<bool, Error> {
        if !self.buffer.is_empty() {
            self.flush()?;
        }
        self.file.sync().map_err(|fault| failed("sync", &self.fresh, fault))?;
        let dir = crate::disk::parent(&self.path);
        match self.disk.rename_new(&self.fresh, &self.path) {
            Err(fault) if fault.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
            renamed => renamed.map_err(|fault| failed("name", &self.path, fault))?,
        }
        self.done = true;
        self.disk.sync_dir(dir).map_err(|fault| failed("sync", dir, fault))?;
        Ok(true)
    }
}

impl Drop for LocalUpload {
    fn drop(&mut self) {
        if !self.done {
            // What stays is swept at the next start.
            drop(self.disk.remove(&self.fresh));
        }
    }
}

fn unfinished(path: &Path, number: u64) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}{UNFINISHED}"));
    name.into()
}

/// A full disk passes; anything else is told.
fn failed(what: &str, path: &Path, fault: io::Error) -> Error {
    let kind = if is_full(&fault) { Kind::Unavailable } else { Kind::Io };
    Error::io(format!("{what} {}", path.display()), fault).with_kind(kind)
}
