//! Which traces stand in more than one place of a view.

use std::cell::{Cell, OnceCell};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, RwLock};

use model::TraceId;

use super::crowd::Crowd;
use crate::block::section::index::{self, Entry};
use crate::error::Error;
use crate::execute::Parts;
use crate::shelf::places::{self, Known};
use crate::shelf::{Owner, Part};

/// Past so many look-ups in the head, all its traces are gathered.
const LOOKUPS_MAX: u32 = 256;

/// Past so many look-ups the index of each file is read, so that no more requests are needed: each
/// takes one of a catalog.
const SPARED_MAX: u32 = 4;
/// Past so many look-ups all traces are put in order: before, each file is asked.
const CROWD_AFTER: u32 = if cfg!(test) { 1 } else { 8 };
/// So many rows of a unit are of a few traces.
const ROWS_FEW: u32 = 64;
/// So many blocks have a needle.
const BLOCKS_FEW: usize = 4;
/// And one of so many seems to: one of 512 by each hash, and there are a few for a text.
const SEEMING: usize = 64;

/// In place of one.
const SEVERAL: usize = usize::MAX;

/// Which traces stand in more than one place.
pub(super) struct Elsewhere<'p> {
    parts: &'p Parts<'p>,
    /// While few are looked up.
    few: OnceCell<Files>,
    all: OnceCell<Files>,
    /// Where there are too many traces for either.
    crowd: OnceCell<Option<Crowd>>,
    looked: Cell<u32>,
    asked: Cell<u32>,
    /// The short hashes of the head's traces, each with its place, or [`SEVERAL`].
    heads: OnceCell<HashMap<u32, usize>>,
    /// The segments of the head among the parts.
    head_parts: Vec<usize>,
}

/// What is known of the files of a view.
struct Files {
    /// Of each of the view's owners, what is known of its files.
    known: Vec<OfOwner>,
    /// The places of those of which nothing is known but by catalogs.
    spared: Vec<usize>,
}

/// What is known of the files of an owner.
struct OfOwner {
    known: Arc<RwLock<Known>>,
    /// The places of parts of the view that are files, by their numbers.
    numbers: HashMap<u32, usize>,
}

impl Files {
    fn new(parts: &Parts<'_>, may_spare: bool) -> Self {
        let all: Vec<usize> = (0..parts.view.parts.len()).collect();
        let (spared, rest) = match may_spare {
            true => parts.spared(&all),
            false => (Vec::new(), all),
        };
        let of = |(owner, known): (&Owner, Arc<RwLock<Known>>)| {
            let numbers = {
                let known = places::read(&known);
                let own = owner.parts.clone();
                let number = |at| Some((known.number(parts.view.parts.get(at)?)?, at));
                own.filter_map(number).collect()
            };
            OfOwner { known, numbers }
        };
        let known = parts.view.owners.iter().zip(parts.known(&rest)).map(of).collect();
        Self { known, spared }
    }

    /// Whether a trace may stand in a file, besides one place of a file of this owner where one is named;
    /// nothing where too many are there to know.
    fn may_have(&self, hash: u32, own: Option<usize>) -> Option<bool> {
        let mut is_there = Some(false);
        for (number, of) in self.known.iter().enumerate() {
            let known = places::read(&of.known);
            let may_have = match own == Some(number) {
                true => known.may_have_more(hash),
                false => known.may_have(hash),
            };
            match may_have {
                Some(true) => return Some(true),
                Some(false) => {}
                None => is_there = None,
            }
        }
        is_there
    }
}

impl<'p> Elsewhere<'p> {
    /// # Errors
    /// `Fatal` when a writer has panicked.
    pub(super) fn new(parts: &'p Parts<'p>) -> Result<Self, Error> {
        let all = parts.view.parts.iter().enumerate();
        let heads = all.filter(|(_, part)| matches!(part, Part::Head(..)));
        let head_parts = heads.map(|(at, _)| at).collect();
        let elsewhere = Self {
            parts,
            few: OnceCell::new(),
            all: OnceCell::new(),
            crowd: OnceCell::new(),
            looked: Cell::new(0),
            asked: Cell::new(0),
            heads: OnceCell::new(),
            head_parts,
        };
        // A segment of several tenants is held while traces of one are looked up: it cannot be asked again.
        if parts.view.is_federated() {
            elsewhere.heads()?;
        }
        Ok(elsewhere)
    }

    /// Tells how many blocks of a bucket may be read: of many there is no needle. Then all indexes are
    /// read right away: the first match would wait for them, while others are brought near.
    pub(super) fn expect_blocks(&self, blocks: usize) {
        let all = self.parts.view.parts.len();
        if blocks > BLOCKS_FEW + all / SEEMING {
            self.looked.set(u32::MAX);
            self.files();
        }
    }

    /// Tells that the traces of so many rows will be looked up.
    pub(super) fn expect(&self, rows: u32) {
        if rows > ROWS_FEW {
            self.looked.set(u32::MAX);
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
        self.looked.set(self.looked.get().saturating_add(1));
        let files = self.files();
        let is_spared = files.spared.binary_search(&own).is_ok();
        let of = (is_file && !is_spared).then(|| self.parts.view.number(own));
        let known = files.may_have(hash, of);
        let mut is_there = match (known, self.crowd(known.is_none())) {
            (Some(known), _) => known || is_spared && self.is_oversized(own),
            (None, Some(crowd)) if is_file => crowd.may_have_more(hash),
            (None, Some(crowd)) => crowd.may_have(hash),
            (None, None) => self.asks_files(own, id),
        };
        if known.is_some() && !is_there {
            let mut others = files.spared.iter().filter(|at| **at != own);
            is_there = others.any(|at| self.may_be_spared(*at, hash));
        }
        if is_there || self.head_parts.is_empty() {
            return Ok(is_there);
        }
        self.asked.set(self.asked.get().saturating_add(1));
        if self.parts.view.is_federated() || is_file && self.asked.get() > LOOKUPS_MAX {
            return Ok(self.heads()?.get(&hash).is_some_and(|at| *at != own));
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
            let is_hidden = self.parts.owner(*at).hidden.has(id);
            if !is_hidden && self.is_in_head(*at, id)? {
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
        let tenant = &self.parts.owner(at).tenant;
        Ok(batch.trace_rows(tenant, id).any(|row| row < *visible))
    }

    fn files(&self) -> &Files {
        if self.looked.get() <= SPARED_MAX && self.all.get().is_none() {
            return self.few.get_or_init(|| Files::new(self.parts, true));
        }
        self.all.get_or_init(|| Files::new(self.parts, false))
    }

    /// Whether a part that is spared may have a trace with this hash.
    fn may_be_spared(&self, at: usize, hash: u32) -> bool {
        let part = self.parts.view.parts.get(at);
        part.is_some_and(|part| self.parts.may_have_trace(part, hash))
    }

    /// The traces of all segments of the head, none of which may be held.
    fn heads(&self) -> Result<&HashMap<u32, usize>, Error> {
        if let Some(heads) = self.heads.get() {
            return Ok(heads);
        }
        let mut heads = HashMap::new();
        for at in &self.head_parts {
            let Some(Part::Head(segment, _)) = self.parts.view.parts.get(*at) else { continue };
            let batch = segment.read()?;
            let tenant = batch.tenant(&self.parts.owner(*at).tenant);
            for entry in batch.traces().iter().filter(|entry| Some(entry.tenant) == tenant) {
                let place = heads.entry(index::short(index::hash(entry.id))).or_insert(*at);
                if *place != *at {
                    *place = SEVERAL;
                }
            }
        }
        Ok(self.heads.get_or_init(|| heads))
    }

    /// Where rows of traces with this id's hash stand in files: the part, the row group and the
    /// rows in it.
    pub(super) fn find(&self, id: TraceId) -> Vec<(usize, u32, Range<u32>)> {
        let mut found = Vec::new();
        let hash = index::short(index::hash(id));
        let files = self.files();
        let is_known = files.known.iter().all(|of| {
            let known = places::read(&of.known);
            let Some(entries) = known.find(hash) else { return false };
            for (number, entries) in entries {
                // What is known may be of files that this view has not.
                let Some(part) = of.numbers.get(&number) else { continue };
                let Some(reader) = self.parts.reader_at(*part) else { continue };
                let place = |entry: &Entry| reader.place(entry.first_row, u32::from(entry.rows));
                let places = entries.iter().filter_map(place);
                found.extend(places.map(|(group, rows)| (*part, group, rows)));
            }
            true
        });
        if is_known {
            for at in files.spared.iter().filter(|at| self.may_be_spared(**at, hash)) {
                self.find_in(*at, id, &mut found);
            }
            found.sort_unstable_by_key(|(part, group, rows)| (*part, *group, rows.start));
            // Somebody else may have come to know a file meanwhile.
            found.dedup();
            return found;
        }
        found.clear();
        match self.crowd(true) {
            Some(crowd) => crowd.having(hash).for_each(|at| self.find_in(at, id, &mut found)),
            None => self.who_may_have(hash).for_each(|at| self.find_in(at, id, &mut found)),
        }
        found
    }

    /// All traces of all files, where many are looked up and that is wanted.
    fn crowd(&self, is_wanted: bool) -> Option<&Crowd> {
        if !is_wanted || self.looked.get() <= CROWD_AFTER {
            return None;
        }
        self.crowd.get_or_init(|| Crowd::new(self.parts)).as_ref()
    }

    /// The places of the files that may have a trace, by catalogs.
    fn who_may_have(&self, hash: u32) -> impl Iterator<Item = usize> {
        let parts = self.parts.view.parts.iter().enumerate();
        let files = parts.filter(|(_, part)| !matches!(part, Part::Head(..)));
        files.map(|(at, _)| at).filter(move |at| self.may_be_spared(*at, hash))
    }

    /// The same in one part, by its own index.
    fn find_in(&self, at: usize, id: TraceId, found: &mut Vec<(usize, u32, Range<u32>)>) {
        let Some((part, reader)) = self.parts.view.parts.get(at).zip(self.parts.reader_at(at))
        else {
            return;
        };
        let places = self.parts.note(part, reader.find(id)).unwrap_or_default();
        found.extend(places.into_iter().map(|(group, rows)| (at, group, rows)));
    }

    fn is_oversized(&self, own: usize) -> bool {
        let reader = self.parts.reader_at(own);
        reader.is_some_and(|reader| reader.directory().header.oversized)
    }

    /// Asks each file.
    fn asks_files(&self, own: usize, id: TraceId) -> bool {
        let hash = index::short(index::hash(id));
        self.who_may_have(hash).any(|at| {
            let Some((part, reader)) = self.parts.view.parts.get(at).zip(self.parts.reader_at(at))
            else {
                return false;
            };
            let found = self.parts.note(part, reader.find(id)).map_or(0, |found| found.len());
            found > usize::from(at == own)
        })
    }
}
