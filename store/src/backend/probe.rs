//! Whether a backend does what is expected of one: tried, on objects of its own, before anything is
//! trusted to it.
//!
//! Each step is told as it was taken, so that whoever reads along sees where it stopped. All names are
//! below one directory that nobody else has; what was made is removed, also behind a step that failed.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::{Backend, Local};
use crate::disk::Disk;
use crate::error::{Error, Kind};

/// Where probes put what they make: a name that nothing else has, also not beside a data directory.
pub const ROOT: &str = "traceweir-probe";

/// Writers that want the same name.
const RACERS: u8 = 16;
/// A text that is looked for again, so long that a part of it is not all.
const SMALL: &[u8] = b"written by `traceweir config check --probe`, and to be removed by it";
/// What has it, and what the others are called.
const SMALL_NAME: &str = "small";
const RACE_NAME: &str = "race";
const LARGE_NAME: &str = "large";
/// More than any backend sends in one request.
const LARGE_BYTES: usize = 9 << 20;

/// What is tried, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// An object is made.
    Write,
    /// It is read whole.
    Read,
    /// A part of it is read.
    Range,
    /// It is listed as soon as it is there.
    List,
    /// Of several that make one name at a time, one does.
    Race,
    /// An object that is too large for one request is made, and read.
    Large,
    /// All of it is removed.
    Remove,
    /// It is not listed any more.
    Gone,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Write => "write an object",
            Self::Read => "read it",
            Self::Range => "read a part of it",
            Self::List => "list it",
            Self::Race => "race for one name",
            Self::Large => "write a large object, in parts",
            Self::Remove => "remove all of it",
            Self::Gone => "list nothing any more",
        })
    }
}

/// Hears of each step when it was taken.
pub type Say<'s> = &'s mut dyn FnMut(Step, &Result<(), Error>);

/// Tries a backend below `{ROOT}/{id}`; tells each step and what came of it, and at the end whether
/// all is well. `id` is a number that nobody had before.
pub fn run(backend: &dyn Backend, id: u64, say: Say<'_>) -> bool {
    let probe = Probe { backend, dir: format!("{ROOT}/{id:016x}") };
    let mut is_well = true;
    let mut take = |step, came: Result<(), Error>| {
        say(step, &came);
        is_well &= came.is_ok();
        came.is_ok()
    };
    if !take(Step::Write, probe.write()) {
        // The answer may have been lost on its way, and the object be there.
        drop(backend.remove(&probe.name(SMALL_NAME)));
        return false;
    }
    take(Step::Read, probe.read());
    take(Step::Range, probe.range());
    take(Step::List, probe.list());
    take(Step::Race, probe.race());
    take(Step::Large, probe.large());
    if take(Step::Remove, probe.remove()) {
        take(Step::Gone, probe.gone());
    }
    is_well
}

/// The same in a directory, or where it is not there yet, in the one that it would be made in.
///
/// # Errors
/// `Io` where no directory above it is there.
pub fn run_in(disk: Arc<dyn Disk>, dir: &Path, id: u64, say: Say<'_>) -> Result<bool, Error> {
    let above =
        dir.ancestors().map(|dir| if dir.as_os_str().is_empty() { Path::new(".") } else { dir });
    let there = above.into_iter().find(|dir| dir.is_dir());
    let there =
        there.ok_or_else(|| wrong(format!("no directory above {} is there", dir.display())))?;
    let is_well = run(&Local::new(disk, there), id, say);
    let root = there.join(ROOT);
    // One that is not empty has what could not be removed, or is another probe's.
    drop(std::fs::remove_dir(root.join(format!("{id:016x}"))));
    drop(std::fs::remove_dir(root));
    Ok(is_well)
}

struct Probe<'p> {
    backend: &'p dyn Backend,
    dir: String,
}

fn wrong(what: impl Into<String>) -> Error {
    Error::new(Kind::Io, what)
}

impl Probe<'_> {
    fn name(&self, of: &str) -> String {
        format!("{}/{of}", self.dir)
    }

    fn write(&self) -> Result<(), Error> {
        match self.backend.create(&self.name(SMALL_NAME), SMALL)? {
            true => Ok(()),
            false => Err(wrong("a name that was never used is said to be taken")),
        }
    }

    fn read(&self) -> Result<(), Error> {
        match self.backend.read(&self.name(SMALL_NAME), SMALL.len() as u64)? == SMALL {
            true => Ok(()),
            false => Err(wrong("what is read is not what was written")),
        }
    }

    fn range(&self) -> Result<(), Error> {
        let name = self.name(SMALL_NAME);
        let (from, mut part) = (11, vec![0; 9]);
        let file = self.backend.open(&name)?;
        let count = file.read_at(&mut part, from as u64);
        let count = count.map_err(|fault| Error::io(format!("read a part of {name}"), fault))?;
        match count == part.len() && SMALL.get(from..from + count) == Some(&part) {
            true => Ok(()),
            false => Err(wrong("a part that is read is not what was written there")),
        }
    }

    fn list(&self) -> Result<(), Error> {
        match self.backend.list(&self.dir)?.as_slice() {
            [one] if one == SMALL_NAME => Ok(()),
            [] => Err(wrong(
                "an object that was just written is not listed: lists have to tell what is there now",
            )),
            other => Err(wrong(format!("other names are listed than were written: {other:?}"))),
        }
    }

    /// The manifest rests on this: of several entries with one number one is kept, and everybody
    /// knows which.
    fn race(&self) -> Result<(), Error> {
        let name = self.name(RACE_NAME);
        let create = |racer: u8| self.backend.create(&name, &[racer]);
        let came: Vec<Result<bool, Error>> = std::thread::scope(|scope| {
            let racers: Vec<_> = (0..RACERS).map(|n| scope.spawn(move || create(n))).collect();
            let lost = || Err(wrong("a racer of the probe panicked"));
            racers.into_iter().map(|racer| racer.join().unwrap_or_else(|_| lost())).collect()
        });
        let mut won = Vec::new();
        for (racer, came) in (0..RACERS).zip(came) {
            if came? {
                won.push(racer);
            }
        }
        let unsafe_store = "the store does not keep a condition that a name be free \
                            (If-None-Match: *), so two processes could overwrite what the other has \
                            acknowledged: it cannot be used";
        let [winner] = won.as_slice() else {
            return Err(wrong(format!(
                "of {RACERS} that made the same name {} were told that they did: {unsafe_store}",
                won.len()
            )));
        };
        match self.backend.read(&name, 1)?.as_slice() == [*winner] {
            true => Ok(()),
            false => Err(wrong(format!(
                "who was told that it made a name is not who did: {unsafe_store}"
            ))),
        }
    }

    fn large(&self) -> Result<(), Error> {
        let name = self.name(LARGE_NAME);
        let bytes: Vec<u8> = (0..=250u8).cycle().take(LARGE_BYTES).collect();
        let mut upload = self.backend.begin(&name)?;
        upload.write(&bytes)?;
        if !upload.finish()? {
            return Err(wrong("a name that was never used is said to be taken"));
        }
        match self.backend.read(&name, LARGE_BYTES as u64)? == bytes {
            true => Ok(()),
            false => Err(wrong("what is read of a large object is not what was written")),
        }
    }

    /// Removes all, whatever is there; tells the first failure.
    fn remove(&self) -> Result<(), Error> {
        let mut outcome = Ok(());
        for of in [SMALL_NAME, RACE_NAME, LARGE_NAME] {
            let removed = self.backend.remove(&self.name(of));
            outcome = outcome.and(removed);
        }
        outcome
    }

    fn gone(&self) -> Result<(), Error> {
        match self.backend.list(&self.dir)?.as_slice() {
            [] => Ok(()),
            left => Err(wrong(format!("what was removed is still listed: {left:?}"))),
        }
    }
}

#[cfg(test)]
mod tests;
