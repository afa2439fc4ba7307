//! What a probe says of backends that do what they should, and of those that do not.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use super::*;
use crate::backend::Upload;
use crate::disk::{File, RealDisk};

/// What is wrong with a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    Denies,
    Overwrites,
    ListsNothing,
    ListsForEver,
    KeepsAll,
    TakesNoLarge,
}

/// Objects in memory.
#[derive(Debug)]
struct Odd {
    fault: Fault,
    objects: Mutex<BTreeMap<String, Vec<u8>>>,
}

impl Odd {
    fn new(fault: Fault) -> Self {
        Self { fault, objects: Mutex::default() }
    }

    fn objects(&self) -> MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
        self.objects.lock().unwrap()
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<bool, Error> {
        let mut objects = self.objects();
        if self.fault == Fault::Denies {
            return Err(wrong("may not write"));
        }
        let is_taken = objects.contains_key(name) && self.fault != Fault::Overwrites;
        if !is_taken {
            objects.insert(name.to_owned(), bytes.to_vec());
        }
        Ok(!is_taken)
    }
}

impl Backend for Odd {
    fn create(&self, name: &str, bytes: &[u8]) -> Result<bool, Error> {
        self.put(name, bytes)
    }

    fn begin(&self, _: &str) -> Result<Box<dyn Upload>, Error> {
        if self.fault == Fault::TakesNoLarge {
            return Err(wrong("no parts"));
        }
        // It is not read back through this one.
        Err(wrong("not in these tests"))
    }

    fn open(&self, name: &str) -> Result<Arc<dyn File>, Error> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("object");
        let bytes = self.objects().get(name).cloned().ok_or_else(|| wrong("not there"))?;
        std::fs::write(&path, bytes).unwrap();
        Ok(Arc::new(std::fs::File::open(path).unwrap()))
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let prefix = format!("{prefix}/");
        let objects = self.objects();
        let names = objects.keys().filter_map(|name| name.strip_prefix(&prefix));
        Ok(match self.fault {
            Fault::ListsNothing => Vec::new(),
            Fault::ListsForEver => vec![SMALL_NAME.to_owned()],
            _ => names.map(str::to_owned).collect(),
        })
    }

    fn remove(&self, name: &str) -> Result<(), Error> {
        if self.fault == Fault::KeepsAll {
            return Err(wrong("may not remove"));
        }
        self.objects().remove(name);
        Ok(())
    }

    fn set_aside(&self, _: &str, _: &str) -> Result<(), Error> {
        Err(wrong("not asked for"))
    }

    fn settle(&self, _: &str) -> Result<(), Error> {
        Ok(())
    }
}

/// The steps that failed, each with why.
fn failed(backend: &dyn Backend) -> Vec<(Step, String)> {
    let mut failed = Vec::new();
    let is_well = run(backend, 7, &mut |step, came| {
        failed.extend(came.as_ref().err().map(|error| (step, error.to_string())));
    });
    assert_eq!(is_well, failed.is_empty());
    failed
}

/// The same without the large object, which [`Odd`] never takes.
fn odd(fault: Fault) -> (Vec<(Step, String)>, Odd) {
    let backend = Odd::new(fault);
    let mut failed = failed(&backend);
    failed.retain(|(step, _)| *step != Step::Large || fault == Fault::TakesNoLarge);
    (failed, backend)
}

#[test]
fn a_directory_is_well_and_nothing_stays_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(RealDisk);
    for below in ["", "not/there/yet"] {
        let mut steps = Vec::new();
        let mut say = |step, came: &Result<(), Error>| steps.push((step, came.is_ok()));
        let is_well = run_in(Arc::clone(&disk) as _, &dir.path().join(below), 7, &mut say);
        assert!(is_well.unwrap(), "{steps:?}");
        assert_eq!(steps.len(), 8, "{steps:?}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}

#[test]
fn each_step_tells_what_is_wrong() {
    assert_eq!(odd(Fault::None).0, []);
    let tells = |fault, step, word: &str| {
        let (failed, _) = odd(fault);
        assert_eq!(failed.first().map(|(step, _)| *step), Some(step), "{fault:?}: {failed:?}");
        assert!(failed.iter().any(|(_, why)| why.contains(word)), "{fault:?}: {failed:?}");
    };
    tells(Fault::Denies, Step::Write, "may not write");
    tells(Fault::Overwrites, Step::Race, "it cannot be used");
    tells(Fault::ListsNothing, Step::List, "not listed");
    tells(Fault::ListsForEver, Step::Gone, "still listed");
    tells(Fault::KeepsAll, Step::Remove, "may not remove");
    tells(Fault::TakesNoLarge, Step::Large, "no parts");
}

#[test]
fn what_was_written_is_removed_also_behind_a_step_that_failed() {
    for fault in [Fault::Overwrites, Fault::ListsNothing, Fault::TakesNoLarge] {
        assert!(odd(fault).1.objects().is_empty(), "{fault:?}");
    }
}
