//! Files of a bucket, many asked at a time: each request takes as long as reading megabytes from a disk.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use model::TraceId;
use model::batch::Batch;

use super::Parts;
use crate::block::section::Id;
use crate::block::section::index::{self, Entry};
use crate::manifest::BlockId;
use crate::shelf::Part;
use crate::shelf::catalog::Of;
use crate::shelf::places::{self, Known};

impl Parts<'_> {
    /// The rows of a trace in the parts that are far, by their places in the view. All of these are
    /// there, with nothing where the trace is not.
    pub(super) fn far_traces(&self, id: TraceId) -> HashMap<usize, Vec<Batch>> {
        let all = self.view.parts.iter().enumerate();
        let far: Vec<(usize, &Part)> = all.filter(|(_, part)| self.is_far(part)).collect();
        if far.is_empty() {
            return HashMap::new();
        }
        let hash = index::short(index::hash(id));
        let parts: Vec<Part> = far.iter().map(|(_, part)| Part::clone(part)).collect();
        let (spared, rest) = self.spared(&parts);
        // Catalogs are asked while the index of what is in none is read.
        let known = std::thread::scope(|scope| {
            if !spared.is_empty() && !rest.is_empty() {
                let thread = std::thread::Builder::new().name("catalog".to_owned());
                // Without it they are asked afterwards.
                drop(thread.spawn_scoped(scope, || self.asked.prepare(Of::Traces, &[hash])));
            }
            self.known(&rest)
        });
        let asked: Vec<(usize, &Part)> = {
            let known = places::read(&known);
            let found = known.find(hash);
            // Of what is not known each is asked.
            let may_have = |part: &Part| {
                let number = known.number(part);
                let found = found.as_ref().zip(number);
                found.is_none_or(|(found, number)| found.iter().any(|(of, _)| *of == number))
            };
            let asked = far.iter().enumerate().filter(|(at, (_, part))| {
                if spared.binary_search(at).is_ok() {
                    self.may_have_trace(part, hash)
                } else {
                    may_have(part)
                }
            });
            asked.map(|(_, part)| *part).collect()
        };
        let mut rows: HashMap<usize, Vec<Batch>> =
            far.iter().map(|(at, _)| (*at, Vec::new())).collect();
        let these: Vec<&Part> = asked.iter().map(|(_, part)| *part).collect();
        let read = self.each(&these, |part| self.trace(part, id));
        rows.extend(asked.iter().map(|(at, _)| *at).zip(read));
        rows
    }

    /// Those of these parts, by their places in order, of which a catalog tells what they have and nothing else
    /// is known; and the others.
    pub(super) fn spared(&self, parts: &[Part]) -> (Vec<usize>, Vec<Part>) {
        let covered = |at: &usize| {
            let id = parts.get(*at).filter(|part| self.is_far(part)).and_then(block_of);
            id.is_some_and(|id| self.asked.covers(id))
        };
        let mut spared = self.readers.places.unknown(self.tenant, parts);
        spared.retain(covered);
        let of =
            |(at, part): (usize, &Part)| spared.binary_search(&at).is_err().then(|| part.clone());
        let rest = parts.iter().enumerate().filter_map(of).collect();
        (spared, rest)
    }

    /// Whether a part may have a trace with this hash, by catalogs.
    pub(super) fn may_have_trace(&self, part: &Part, hash: u32) -> bool {
        let may_have = block_of(part).is_none_or(|id| self.asked.may_have(Of::Traces, &[hash], id));
        self.readers.catalogs.spared.add(u64::from(!may_have));
        may_have
    }

    /// In which files the traces of these parts stand; those that nobody has asked yet are read.
    pub(super) fn known(&self, parts: &[Part]) -> Arc<RwLock<Known>> {
        let news = self.readers.places.news(self.tenant, parts);
        let news = news.iter().filter_map(|at| parts.get(*at));
        let far: Vec<&Part> = news.filter(|part| self.is_far(part)).collect();
        let mut ahead: HashMap<BlockId, Option<Vec<Entry>>> = HashMap::new();
        if far.len() > 1 {
            let read = self.each(&far, |part| self.entries(part));
            ahead.extend(far.iter().filter_map(|part| block_of(part)).zip(read));
        }
        self.readers.places.of(self.tenant, parts, |part| {
            let read = block_of(part).and_then(|id| ahead.remove(&id));
            read.unwrap_or_else(|| self.entries(part))
        })
    }

    /// The short hashes of the traces of these files, those of each ascending.
    pub(super) fn hashes(&self, files: &[&Part]) -> Vec<Vec<u32>> {
        self.each(files, |part| {
            let entries = self.entries(part).unwrap_or_default();
            let mut hashes: Vec<u32> = entries.into_iter().map(|entry| entry.hash).collect();
            hashes.sort_unstable();
            hashes
        })
    }

    /// The index of a file's traces.
    fn entries(&self, part: &Part) -> Option<Vec<Entry>> {
        let reader = self.reader(part)?;
        let section = self.note(part, reader.section(Id::TraceIndex, 0)).flatten()?;
        let head = self.note(part, index::fanout_len(&section))?;
        Some(index::entries(section.get(head..).unwrap_or_default()).collect())
    }

    fn is_far(&self, part: &Part) -> bool {
        self.at_once(part) > 1
    }

    /// How many parts like this one are better read at a time.
    fn at_once(&self, part: &Part) -> usize {
        match part {
            Part::Block(block) => self.readers.at_once(block),
            _ => 1,
        }
    }

    /// Asks each part, as many at a time as is good where they are; the answers in their order.
    fn each<T: Send>(&self, parts: &[&Part], ask: impl Fn(&Part) -> T + Sync) -> Vec<T> {
        let at_once = parts.iter().map(|part| self.at_once(part)).max().unwrap_or(1);
        let (next, answers) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(parts.len())));
        let work = || {
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(part) = parts.get(at) else { break };
                let answer = ask(part);
                answers.lock().unwrap_or_else(PoisonError::into_inner).push((at, answer));
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..at_once.min(parts.len()) {
                let thread = std::thread::Builder::new().name("far".to_owned());
                // Without it there is more to wait for, and nothing else.
                if thread.spawn_scoped(scope, work).is_err() {
                    break;
                }
            }
            work();
        });
        let mut answers = answers.into_inner().unwrap_or_else(PoisonError::into_inner);
        answers.sort_unstable_by_key(|(at, _)| *at);
        answers.into_iter().map(|(_, answer)| answer).collect()
    }
}

fn block_of(part: &Part) -> Option<BlockId> {
    match part {
        Part::Block(block) => Some(block.meta.id),
        _ => None,
    }
}
