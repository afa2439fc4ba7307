//! Whether files are what was written: every byte of them is read.

use serde_json::json;
use store::bare::Standing;
use store::block::reader::Reader;
use store::block::section::VERSION;
use store::block::verify::{Problem, verify as check};
use store::{Error, Kind};

use super::{Exit, Look, Target, complain, print};

/// Verifies some files, or all with the manifest.
pub(super) fn verify(look: &Look<'_>, wanted: &[String]) -> Result<Exit, Error> {
    let mut report = Report { as_json: look.args.json, ..Report::default() };
    if wanted.is_empty() {
        all(look, &mut report)?;
    }
    for file in wanted {
        report.file(look.find(file)?);
    }
    Ok(report.exit())
}

fn all(look: &Look<'_>, report: &mut Report) -> Result<(), Error> {
    let bare = look.open()?;
    let found = look.list(&bare)?;
    for damage in found.damage {
        report.is_damaged = true;
        report.tell(None, &[damage.what]);
    }
    for listed in found.files {
        let (name, fault) = (listed.name, listed.header.err());
        match bare.file(&name)? {
            Some(file) => report.file(Target { file, name, fault }),
            None if listed.standing == Standing::Missing => {
                let what = fault.map_or_else(|| name.clone(), |fault| fault.to_string());
                report.damaged(&name, &[what]);
            }
            // Merged or too old: the server removed it while others were read.
            None => report.tell(Some(&name), &[]),
        }
    }
    Ok(())
}

/// What was said so far.
#[derive(Default)]
struct Report {
    as_json: bool,
    files: u64,
    damaged: u64,
    newer: u64,
    /// Whether something beside the files is damaged.
    is_damaged: bool,
    is_unwritten: bool,
}

impl Report {
    fn file(&mut self, target: Target) {
        let reader = target.reader();
        let newer = match (&target.fault, &reader) {
            (Some(fault), _) | (None, Err(fault)) if fault.kind() == Kind::Refused => {
                Some(fault.to_string())
            }
            (_, Ok(reader)) => newer_section(reader),
            _ => None,
        };
        if let Some(newer) = newer {
            self.files += 1;
            self.newer += 1;
            return self.tell(Some(&target.name), &[newer]);
        }
        let problems = check(&target.file, &target.name);
        let mut told: Vec<String> = problems.into_iter().map(|Problem(what)| what).collect();
        if told.is_empty() {
            // What its name or the manifest says, and it does not know.
            told.extend(target.fault.map(|fault| fault.to_string()));
        }
        if told.is_empty() {
            self.files += 1;
            self.tell(Some(&target.name), &[]);
        } else {
            self.damaged(&target.name, &told);
        }
    }

    fn damaged(&mut self, name: &str, problems: &[String]) {
        self.files += 1;
        self.damaged += 1;
        self.tell(Some(name), problems);
    }

    fn tell(&mut self, name: Option<&str>, problems: &[String]) {
        let text = match (name, problems) {
            _ if self.as_json => format!("{}\n", json!({ "file": name, "problems": problems })),
            (Some(name), []) => format!("{name}: ok\n"),
            _ => return problems.iter().for_each(|problem| complain(problem)),
        };
        self.is_unwritten |= print(&text) != Exit::Done;
    }

    fn exit(&self) -> Exit {
        if self.damaged > 0 {
            complain(&format!("{} of {} files are damaged", self.damaged, self.files));
        }
        if self.damaged > 0 || self.is_damaged || self.is_unwritten {
            Exit::Failed
        } else if self.newer > 0 {
            Exit::Refused
        } else {
            Exit::Done
        }
    }
}

/// A section that a newer version wrote, in a file whose directory this one reads.
fn newer_section(reader: &Reader) -> Option<String> {
    let newer = reader.directory().sections.iter().find(|section| section.version > VERSION)?;
    let (name, id, version) = (reader.name(), newer.id, newer.version);
    Some(format!("{name}: section {id:?} needs version {version}"))
}
