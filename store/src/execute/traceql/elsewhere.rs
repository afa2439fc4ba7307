//! Which traces stand in more than one place of a view.

use std::cell::{Cell, OnceCell};
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::{Arc, RwLock};

use model::TraceId;

use crate::block::section::index::{self, Entry};
use crate::error::Error;
use crate::execute::Parts;
use crate::shelf::Part;
use crate::shelf::places::{self, Known};

/// Past so many look-ups in the head, all its traces are gathered.
const LOOKUPS_MAX: u32 = 256;

/// Which traces stand in more than one place.
pub(super) struct Elsewhere<'p> {
    parts: &'p Parts<'p>,
    files: OnceCell<Arc<RwLock<Known>>>,
    numbers: OnceCell<HashMap<u32, usize>>,
    asked: Cell<u32>,
    /// The short hashes of the head's traces.
    heads: OnceCell<HashSet<u32>>,
    /// The segments of the head among the parts.
    head_parts: Vec<usize>,
}

impl<'p> Elsewhere<'p> {
    pub(super) fn new(parts: &'p Parts<'p>) -> Self {
        let all = parts.view.parts.iter().enumerate();
        let heads = all.filter(|(_, part)| matches!(part, Part::Head(..)));
        let head_parts = heads.map(|(at, _)| at).collect();
        Self {
            parts,
            files: OnceCell::new(),
            numbers: OnceCell::new(),
            asked: Cell::new(0),
            heads: OnceCell::new(),
            head_parts,
        }
    }

    /// Whether nothing of this part can stand in another place.
    pub(super) fn is_nowhere(&self, own: usize) -> bool {
        self.parts.view.parts.len() < 2 && !self.is_oversized(own)
    }

    /// Whether a trace of a part may have spans in another part, or in another place of this one.
    pub(super) fn may_have(&self, own: usize, id: TraceId) -> Result<bool, Error> {
        if self.is_nowhere(own) {
            return Ok(false);
        }
        let hash = index::short(index::hash(id));
        let is_file = !matches!(self.parts.view.parts.get(own), Some(Part::Head(..)));
        let known = {
            let files = places::read(self.files());
            if is_file { files.may_have_more(hash) } else { files.may_have(hash) }
        };
        let is_there = known.unwrap_or_else(|| self.asks_files(own, id));
        if is_there || self.head_parts.is_empty() {
            return Ok(is_there);
        }
        self.asked.set(self.asked.get().saturating_add(1));
        if is_file && self.asked.get() > LOOKUPS_MAX {
            return Ok(self.heads()?.contains(&hash));
        }
        for at in self.head_parts.iter().filter(|at| **at != own) {
            if self.is_in_head(*at, id)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The segments of the head that have a trace, by their places. None may be held.
    pub(super) fn find_in_head(&self, id: TraceId) -> Result<Vec<usize>, Error> {
        let mut found = Vec::new();
        for at in &self.head_parts {
            if self.is_in_head(*at, id)? {
                found.push(*at);
            }
        }
        Ok(found)
    }

    fn is_in_head(&self, at: usize, id: TraceId) -> Result<bool, Error> {
        let Some(Part::Head(segment, visible)) = self.parts.view.parts.get(at) else {
            return Ok(false);
        };
        let batch = segment.read()?;
        Ok(batch.trace_rows(self.parts.tenant, id).any(|row| row < *visible))
    }

    fn files(&self) -> &RwLock<Known> {
        self.files.get_or_init(|| {
            let parts = self.parts;
            parts.known(&parts.view.parts)
        })
    }

    /// The traces of all segments of the head, none of which may be held.
    fn heads(&self) -> Result<&HashSet<u32>, Error> {
        if let Some(heads) = self.heads.get() {
            return Ok(heads);
        }
        let mut heads = HashSet::new();
        for part in &self.parts.view.parts {
            let Part::Head(segment, _) = part else { continue };
            let batch = segment.read()?;
            let tenant = batch.tenant(self.parts.tenant);
            let ours = batch.traces().iter().filter(|entry| Some(entry.tenant) == tenant);
            heads.extend(ours.map(|entry| index::short(index::hash(entry.id))));
        }
        Ok(self.heads.get_or_init(|| heads))
    }

    /// The places of parts of the view that are files, by their numbers.
    fn numbers(&self) -> &HashMap<u32, usize> {
        self.numbers.get_or_init(|| {
            let files = places::read(self.files());
            let parts = self.parts.view.parts.iter().enumerate();
            parts.filter_map(|(at, part)| Some((files.number(part)?, at))).collect()
        })
    }

    /// Where rows of traces with this id's hash stand in files: the part, the row group and the
    /// rows in it.
    pub(super) fn find(&self, id: TraceId) -> Vec<(usize, u32, Range<u32>)> {
        let mut found = Vec::new();
        let numbers = self.numbers();
        let files = places::read(self.files());
        if let Some(known) = files.find(index::short(index::hash(id))) {
            for (number, entries) in known {
                // What is known may be of files that this view has not.
                let Some(part) = numbers.get(&number) else { continue };
                let Some(reader) = self.parts.reader_at(*part) else { continue };
                let place = |entry: &Entry| reader.place(entry.first_row, u32::from(entry.rows));
                let places = entries.iter().filter_map(place);
                found.extend(places.map(|(group, rows)| (*part, group, rows)));
            }
            found.sort_unstable_by_key(|(part, group, rows)| (*part, *group, rows.start));
            return found;
        }
        drop(files);
        for (at, part) in self.parts.view.parts.iter().enumerate() {
            let Some(reader) = self.parts.reader_at(at) else { continue };
            let places = self.parts.note(part, reader.find(id)).unwrap_or_default();
            found.extend(places.into_iter().map(|(group, rows)| (at, group, rows)));
        }
        found
    }

    fn is_oversized(&self, own: usize) -> bool {
        let reader = self.parts.reader_at(own);
        reader.is_some_and(|reader| reader.directory().header.oversized)
    }

    /// Asks each file.
    fn asks_files(&self, own: usize, id: TraceId) -> bool {
        let parts = self.parts.view.parts.iter().enumerate();
        let mut files = parts.filter(|(_, part)| !matches!(part, Part::Head(..)));
        files.any(|(at, part)| {
            let Some(reader) = self.parts.reader_at(at) else { return false };
            let found = self.parts.note(part, reader.find(id)).map_or(0, |found| found.len());
            found > usize::from(at == own)
        })
    }
}
