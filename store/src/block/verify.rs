//! Whether a block is what was written, and whether its parts agree: `traceweir block verify`.
//!
//! Every byte is of the first magic, a page, a section, the directory or the footer, and each of
//! these is compared with its checksum, so that any flipped bit is found. Then what the block says
//! twice (counts, times, summaries, the trace index, terms and filters) is compared with its rows.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use serde::Serialize;

use super::cache::Cache;
use super::footer::{Footer, MAGIC};
use super::page::Decoder;
use super::reader::{Reader, read_footer};
use super::section::index::{self, ENTRY_BYTES, Entry, Fanout, fanout_len};
use super::section::terms::decode_tenants;
use super::section::{Id, Level};
use crate::disk::File;
use crate::error::{Error, Kind};

mod group;
mod terms;

use terms::Told;

/// What is wrong with a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem(pub String);

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads the whole of a block and tells what is wrong with it: nothing, if it is what was written.
/// `name` is what problems call it. Holds one row group at a time.
#[must_use]
pub fn verify(file: &Arc<dyn File>, name: &str) -> Vec<Problem> {
    match open(file, name) {
        Ok((reader, footer, len)) => {
            let mut check = Check { name, problems: Vec::new(), unread: None };
            check.block(&reader, &footer, len);
            check.problems
        }
        Err(error) => vec![Problem(error.to_string())],
    }
}

/// Whether a block is what was written, read from its begin to its end.
///
/// # Errors
/// What kept it from being read: then nobody knows.
pub fn is_sound(file: &Arc<dyn File>, name: &str) -> Result<bool, Error> {
    let mut check = Check { name, problems: Vec::new(), unread: None };
    match open(file, name) {
        Ok((reader, footer, len)) => check.block(&reader, &footer, len),
        Err(error) => {
            check.keep::<()>(Err(error));
        }
    }
    match check.unread {
        Some(error) => Err(error),
        None => Ok(check.problems.is_empty()),
    }
}

fn open(file: &Arc<dyn File>, name: &str) -> Result<(Reader, Footer, u64), Error> {
    // Magic and checksum of the footer are compared here, that of the directory below.
    let footer = read_footer(&**file, name)?;
    let len = file.len().map_err(|fault| Error::io(format!("read {name}"), fault))?;
    // Each row group is read once: nothing is worth keeping.
    let cache = Arc::new(Cache::new(0));
    let reader = Reader::open(Arc::clone(file), footer.directory, name.to_owned(), cache)?;
    Ok((reader, footer, len))
}

/// What was found so far.
struct Check<'c> {
    name: &'c str,
    problems: Vec<Problem>,
    /// The first thing that could not be read: nobody knows whether it is damaged.
    unread: Option<Error>,
}

impl Check<'_> {
    fn tell(&mut self, what: impl fmt::Display) {
        self.problems.push(Problem(format!("{}: {what}", self.name)));
    }

    /// Keeps an error, which says where it is from.
    fn keep<T>(&mut self, result: Result<T, Error>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                let text = error.to_string();
                let text = text
                    .strip_prefix(self.name)
                    .map_or(&*text, |rest| rest.strip_prefix(": ").unwrap_or(rest));
                self.tell(text);
                if error.kind() != Kind::Corrupt {
                    self.unread.get_or_insert(error);
                }
                None
            }
        }
    }

    fn block(&mut self, reader: &Reader, footer: &Footer, len: u64) {
        self.sections(reader);
        let told = Told::read(reader);
        let told = self.keep(told).unwrap_or_default();
        let mut spans = vec![(0..MAGIC.len() as u64, "the magic".to_owned())];
        let mut entries = Vec::new();
        let Some(mut decoder) = self.keep(Decoder::new()) else { return };
        for row_group in 0..reader.row_groups() {
            let found = group::check(self, reader, row_group, &told, &mut decoder);
            let Some(found) = self.keep(found) else { continue };
            spans.extend(found.pages);
            entries.extend(found.entries);
        }
        self.sums(reader, footer);
        self.coverage(reader, spans, len);
        self.trace_index(reader, entries);
        self.tenants(reader);
    }

    /// Reads every section; its checksum is compared on the way.
    fn sections(&mut self, reader: &Reader) {
        let sections = &reader.directory().sections;
        for (at, section) in sections.iter().enumerate() {
            let (id, part) = (section.id, section.part);
            let mut before = sections.iter().take(at);
            if before.any(|other| (other.id, other.part) == (id, part)) {
                self.tell(format_args!("section {id:?} of {part} stands there twice"));
            }
            self.keep(reader.section(id, part));
        }
    }

    /// What directory, header and footer say about their row groups.
    fn sums(&mut self, reader: &Reader, footer: &Footer) {
        let directory = reader.directory();
        let (header, groups) = (&directory.header, &directory.row_groups);
        let rows: Vec<u64> = groups.iter().map(|group| u64::from(group.rows)).collect();
        if footer.row_groups != rows {
            self.tell("footer and directory have other row groups");
        }
        if footer.leaves != reader.leaves().len() {
            self.tell("footer and directory have other columns");
        }
        if header.rows != rows.iter().sum::<u64>() {
            self.tell(format_args!("the header says {} rows", header.rows));
        }
        let traces = groups.iter().map(|group| u64::from(group.traces)).sum::<u64>();
        if header.traces != traces {
            self.tell(format_args!("the header says {} traces", header.traces));
        }
        let first = groups.iter().map(|group| group.starts.0).min().unwrap_or(0);
        let last = groups.iter().map(|group| group.starts.1).max().unwrap_or(0);
        if header.starts != (first, last) {
            self.tell("the header says another range of starts");
        }
    }

    /// Whether every byte of the file belongs to exactly one thing.
    fn coverage(&mut self, reader: &Reader, mut spans: Vec<(Range<u64>, String)>, len: u64) {
        for section in &reader.directory().sections {
            let end = section.offset.saturating_add(u64::from(section.len));
            let what = format!("section {:?} of {}", section.id, section.part);
            spans.push((section.offset..end, what));
        }
        let location = reader.location();
        let end = location.offset.saturating_add(u64::from(location.len));
        spans.push((location.offset..end, "the directory".to_owned()));
        spans.push((end..len, "the footer".to_owned()));
        spans.sort_by_key(|(range, _)| (range.start, range.end));
        let mut covered = 0;
        for (Range { start, end }, what) in spans {
            if start > covered {
                self.tell(format_args!("bytes {covered} to {start} belong to nothing"));
            } else if start < covered {
                self.tell(format_args!("{what} stands where something else ends at {covered}"));
            }
            covered = end.max(covered);
        }
        if covered != len {
            self.tell(format_args!("it ends at {covered} and not at {len}"));
        }
    }

    /// Whether the trace index has the traces of the rows and no others, each where it is looked
    /// for.
    fn trace_index(&mut self, reader: &Reader, mut expected: Vec<(u64, Entry)>) {
        let bytes = match reader.section(Id::TraceIndex, 0) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return self.tell("it has no trace index"),
            // Told with the sections.
            Err(_) => return,
        };
        let head =
            fanout_len(&bytes).map(|len| bytes.split_at_checked(len).unwrap_or((&bytes, &[])));
        let Some((head, rest)) = self.keep(head) else { return };
        // Blocks of before there were any have none.
        if let Ok(Some(sums)) = reader.section(Id::TraceSums, 0)
            && index::sums(&bytes).is_ok_and(|expected| expected != sums)
        {
            return self.tell("the trace index has other checksums");
        }
        let Some(fanout) = self.keep(Fanout::decode(head)) else { return };
        expected.sort_unstable();
        let same = index::entries(rest).eq(expected.iter().map(|(_, entry)| *entry));
        if rest.len() % ENTRY_BYTES != 0 || !same {
            return self.tell("the trace index has other traces than the rows");
        }
        for (at, (hash, _)) in expected.iter().enumerate() {
            let place = head.len() + at * ENTRY_BYTES;
            if !fanout.place(fanout.bucket(*hash)).contains(&place) {
                return self.tell("the trace index has an entry where none looks for it");
            }
        }
    }

    /// Whether every row is one tenant's.
    fn tenants(&mut self, reader: &Reader) {
        let header = &reader.directory().header;
        let runs = match reader.section(Id::Tenants, 0) {
            Ok(Some(bytes)) => decode_tenants(&bytes),
            Ok(None) => Ok(Vec::new()),
            Err(_) => return,
        };
        let Some(runs) = self.keep(runs) else { return };
        let mut row = 0;
        for run in &runs {
            if u64::from(run.first_row) != row {
                self.tell(format_args!("rows of tenant {} begin elsewhere", run.tenant.as_str()));
            }
            row = u64::from(run.first_row) + u64::from(run.rows);
        }
        match header.level {
            Level::L0 if row != header.rows => {
                self.tell(format_args!("rows from {row} on are no tenant's"));
            }
            Level::L1 if header.tenant().is_none() => self.tell("it is no tenant's"),
            _ => {}
        }
    }
}
