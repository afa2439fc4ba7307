//! The data directory: one process has it, one format is in it, one writer id names it.
//!
//! `LOCK` is held as long as [`DataDir`] lives, `FORMAT` says which version wrote the directory,
//! `WRITER` is a random number made once. `FORMAT` is made last: a directory without it was
//! never used, and one with other things in it is not ours. `BUCKET` is there where its blocks are
//! in an object store, and names it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracing::info;

use crate::disk::{Disk, File, is_full, parent};
use crate::error::{Error, Kind};

/// The version of the directory's layout that this program reads and writes.
pub const FORMAT: u32 = 1;

/// What an interrupted first start may leave, and what the file system itself puts there.
const OURS: [&str; 5] = ["LOCK", "WRITER", "WRITER.tmp", "FORMAT.tmp", "lost+found"];

/// Names the object store that has the blocks.
const BUCKET: &str = "BUCKET";

/// No file that is read here is longer.
const TEXT_BYTES_MAX: usize = 256;

/// A data directory that this process has to itself.
#[derive(Debug)]
pub struct DataDir {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    writer: u64,
    /// Held, not used: closing the file gives the lock back.
    _lock: Arc<dyn File>,
}

impl DataDir {
    /// Makes the directory if needed, takes its lock, checks its format. `random` is asked once
    /// in the life of a directory, for its writer id.
    ///
    /// # Errors
    /// `Refused` when another process has the directory, a newer version wrote it, or it holds
    /// something else; `Io` when the disk fails.
    pub fn open(
        disk: Arc<dyn Disk>,
        path: &Path,
        random: impl FnOnce() -> io::Result<u64>,
    ) -> Result<Self, Error> {
        disk.create_dir(path).map_err(|fault| Error::io(at("create", path), fault))?;
        let list = || disk.list(path).map_err(|fault| Error::io(at("list", path), fault));
        let has_format = |names: &[String]| names.iter().any(|name| name == "FORMAT");
        let names = list()?;
        if !has_format(&names)
            && let Some(foreign) = names.iter().find(|name| !OURS.contains(&name.as_str()))
        {
            let path = path.display();
            return Err(refuse(format!(
                "{path} is not a data directory of traceweir (it holds {foreign:?} and no FORMAT \
                 file): give an empty or a new directory"
            )));
        }
        let lock = lock(&*disk, path)?;
        // A process that was killed may have named what a power cut takes back. Whoever may not
        // read what is above did not make the directory.
        drop(disk.sync_dir(parent(path)));
        disk.sync_dir(path).map_err(|fault| Error::io(at("sync", path), fault))?;
        // Asked again: whoever had the lock until now may just have made it.
        if has_format(&list()?) {
            check_format(&read_text(&*disk, &path.join("FORMAT"))?, path)?;
            let writer = read_text(&*disk, &path.join("WRITER"))?;
            let writer = u64::from_str_radix(writer.trim(), 16).map_err(|_| {
                refuse(format!("{} holds no writer id: {writer:?}", path.join("WRITER").display()))
            })?;
            return Ok(Self { disk, path: path.to_owned(), writer, _lock: lock });
        }
        let writer = random().map_err(|fault| Error::io("draw a writer id", fault))?;
        write_text(&*disk, path, "WRITER", &format!("{writer:016x}\n"))?;
        write_text(&*disk, path, "FORMAT", &format!("traceweir {FORMAT}\n"))?;
        info!(path = %path.display(), "made a data directory");
        Ok(Self { disk, path: path.to_owned(), writer, _lock: lock })
    }

    /// Whether its blocks are in the object store of this name, or here, as far as is known: `false`
    /// where that is to be noted ([`Self::note_bucket`]). `own` are directories that tell that there
    /// are some here.
    ///
    /// # Errors
    /// `Refused` where they are somewhere else: they would be missing, and nobody would be told.
    pub fn has_blocks_in(&self, bucket: Option<&str>, own: &[&str]) -> Result<bool, Error> {
        let path = self.path.display();
        let names = self.disk.list(&self.path);
        let names = names.map_err(|fault| Error::io(at("list", &self.path), fault))?;
        let has = |name: &str| names.iter().any(|known| known == name);
        let known = match has(BUCKET) {
            true => Some(read_text(&*self.disk, &self.path.join(BUCKET))?.trim().to_owned()),
            false => None,
        };
        match (known, bucket) {
            (None, None) => Ok(true),
            (Some(known), Some(bucket)) if known == bucket => Ok(true),
            (Some(known), Some(bucket)) => Err(refuse(format!(
                "the blocks of {path} are in {known}, not in {bucket}: set bucket.url to the \
                 former, or give another directory"
            ))),
            (Some(known), None) => Err(refuse(format!(
                "the blocks of {path} are in {known}: set bucket.url to that, or give another \
                 directory"
            ))),
            (None, Some(bucket)) => match own.iter().find(|own| has(own)) {
                Some(own) => Err(refuse(format!(
                    "{path} has blocks of its own ({own}/), {bucket} has not: give a new directory"
                ))),
                None => Ok(false),
            },
        }
    }

    /// Holds the directory to an object store from now on.
    ///
    /// # Errors
    /// `Io`.
    pub fn note_bucket(&self, bucket: &str) -> Result<(), Error> {
        write_text(&*self.disk, &self.path, BUCKET, &format!("{bucket}\n"))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The disk that it is on.
    #[must_use]
    pub fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// The random number that names this directory for good.
    #[must_use]
    pub fn writer(&self) -> u64 {
        self.writer
    }
}

/// Whether a directory is one of ours that this program reads, without taking it, and its blocks are
/// in this bucket. One of a bucket need not be there: other machines have those of other writers.
///
/// # Errors
/// `Refused` when it is not, telling what was found; `Io`.
pub fn check(disk: &dyn Disk, path: &Path, bucket: Option<&str>) -> Result<(), Error> {
    let names = match disk.list(path) {
        Err(fault) if fault.kind() == io::ErrorKind::NotFound && bucket.is_some() => return Ok(()),
        listed => listed.map_err(|fault| Error::io(at("list", path), fault))?,
    };
    let has = |name: &str| names.iter().any(|known| known == name);
    if has(BUCKET) {
        let known = read_text(disk, &path.join(BUCKET))?;
        let known = known.trim();
        if bucket != Some(known) {
            return Err(refuse(format!(
                "the blocks of {} are in {known}: name that with --config, or with --set \
                 bucket.url={known}",
                path.display()
            )));
        }
    } else if let Some(bucket) = bucket {
        return Err(refuse(format!(
            "the blocks of {} are not in {bucket}: give the directory of a server that has them \
             there, or one that does not exist",
            path.display()
        )));
    }
    if has("FORMAT") {
        return check_format(&read_text(disk, &path.join("FORMAT"))?, path);
    }
    let found = names.first().map_or_else(|| "nothing".to_owned(), |name| format!("{name:?}"));
    Err(refuse(format!(
        "{} is not a data directory of traceweir: it holds {found} and no FORMAT file",
        path.display()
    )))
}

/// Takes the lock, and leaves our process id in it for whoever is refused.
fn lock(disk: &dyn Disk, path: &Path) -> Result<Arc<dyn File>, Error> {
    let name = path.join("LOCK");
    let fail = |fault| Error::io(at("lock", &name), fault);
    let file = match disk.create_new(&name) {
        Err(fault) if fault.kind() == io::ErrorKind::AlreadyExists => disk.open(&name),
        made => made,
    }
    .map_err(fail)?;
    if !file.lock().map_err(fail)? {
        let mut pid = [0; 16];
        let count = file.read_at(&mut pid, 0).unwrap_or(0);
        let text = String::from_utf8_lossy(pid.get(..count).unwrap_or_default()).trim().to_owned();
        let who = match text.parse::<u32>() {
            Ok(pid) => format!("process {pid}"),
            Err(_) => "another process".to_owned(),
        };
        return Err(refuse(format!(
            "{} is in use by {who}: stop that one, or give another directory",
            path.display()
        )));
    }
    // The process id is a courtesy: a full disk must not keep us from starting.
    let pid = format!("{}\n", std::process::id());
    match file.set_len(0).and_then(|()| file.write_at(pid.as_bytes(), 0)) {
        Err(fault) if !is_full(&fault) => Err(fail(fault)),
        _ => Ok(file),
    }
}

/// Refuses what a newer version, or something else, wrote.
fn check_format(text: &str, path: &Path) -> Result<(), Error> {
    let path = path.display();
    let number = text.trim().strip_prefix("traceweir ").and_then(|number| number.parse().ok());
    match number {
        Some(number) if (1..=FORMAT).contains(&number) => Ok(()),
        Some(number) => Err(refuse(format!(
            "{path} was written by a newer traceweir: it has data format {number}, this program \
             reads up to {FORMAT}; start the newer version again, or give another directory"
        ))),
        None => Err(refuse(format!("{path} has a FORMAT file that is not ours: {text:?}"))),
    }
}

fn read_text(disk: &dyn Disk, path: &Path) -> Result<String, Error> {
    let fail = |fault| Error::io(at("read", path), fault);
    let file = disk.open(path).map_err(fail)?;
    let mut bytes = vec![0; TEXT_BYTES_MAX];
    let count = file.read_at(&mut bytes, 0).map_err(fail)?;
    bytes.truncate(count);
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Writes a whole file, or none: under another name first, each step durable.
fn write_text(disk: &dyn Disk, dir: &Path, name: &str, text: &str) -> Result<(), Error> {
    let (path, fresh) = (dir.join(name), dir.join(format!("{name}.tmp")));
    let write = || -> io::Result<()> {
        match disk.remove(&fresh) {
            Err(fault) if fault.kind() != io::ErrorKind::NotFound => return Err(fault),
            _ => {}
        }
        let file = disk.create_new(&fresh)?;
        file.write_at(text.as_bytes(), 0)?;
        file.sync()?;
        disk.rename(&fresh, &path)?;
        disk.sync_dir(parent(&path))
    };
    write().map_err(|fault| Error::io(at("write", &path), fault))
}

fn at(what: &str, path: &Path) -> String {
    format!("{what} {}", path.display())
}

fn refuse(message: String) -> Error {
    Error::new(Kind::Refused, message)
}
