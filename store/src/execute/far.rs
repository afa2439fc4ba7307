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
use crate::shelf::catalog::Of;
use crate::shelf::places::{self, Known};
use crate::shelf::{Owner, Part};

impl Parts<'_> {
    /// The rows of a trace in the parts that are far, by their places in the view. All of these are
    /// there, with nothing where the trace is not.
    pub(super) fn far_traces(&self, id: TraceId) -> HashMap<usize, Vec<Batch>> {
        let all = self.view.parts.iter().enumerate();
        let far: Vec<usize> = all.filter(|(_, part)| self.is_far(part)).map(|(at, _)| at).collect();
        if far.is_empty() {
            return HashMap::new();
        }
        let hash = index::short(index::hash(id));
        let (spared, rest) = self.spared(&far);
        // Catalogs are asked while the index of what is in none is read.
        let known = std::thread::scope(|scope| {
            if !spared.is_empty() && !rest.is_empty() {
                let thread = std::thread::Builder::new().name("catalog".to_owned());
                // Without it they are asked afterwards.
                drop(thread.spawn_scoped(scope, || self.asked.prepare(Of::Traces, &[hash])));
            }
            self.known(&rest)
        });
        let asked: Vec<usize> = {
            let known: Vec<_> = known.iter().map(|known| places::read(known)).collect();
            let found: Vec<_> = known.iter().map(|known| known.find(hash)).collect();
            // Of what is not known each is asked.
            let may_have = |at: usize, part: &Part| {
                let owner = self.view.number(at);
                let number = known.get(owner).and_then(|known| known.number(part));
                let found = found.get(owner).and_then(Option::as_ref).zip(number);
                found.is_none_or(|(found, number)| found.iter().any(|(of, _)| *of == number))
            };
            let asked = far.iter().filter(|at| {
                let Some(part) = self.view.parts.get(**at) else { return false };
                match spared.binary_search(at).is_ok() {
                    true => self.may_have_trace(part, hash),
                    false => may_have(**at, part),
                }
            });
            asked.copied().collect()
        };
        let mut rows: HashMap<usize, Vec<Batch>> = far.iter().map(|at| (*at, Vec::new())).collect();
        let read = self.each(&asked, |at| self.trace(at, id));
        rows.extend(asked.iter().copied().zip(read));
        rows
    }

    /// Those of these parts, by their places in the view, ascending, of which a catalog tells what they have
    /// and nothing else is known; and the others.
    pub(super) fn spared(&self, of: &[usize]) -> (Vec<usize>, Vec<usize>) {
        let covered = |part: &Part| {
            let id = Some(part).filter(|part| self.is_far(part)).and_then(block_of);
            id.is_some_and(|id| self.asked.covers(id))
        };
        let mut spared = Vec::new();
        for (owner, places, parts) in self.by_owner(of) {
            let unknown = self.readers.places.unknown(&owner.tenant, &parts).into_iter();
            let unknown = unknown.filter(|at| parts.get(*at).is_some_and(covered));
            spared.extend(unknown.filter_map(|at| places.get(at).copied()));
        }
        let rest = of.iter().copied().filter(|at| spared.binary_search(at).is_err()).collect();
        (spared, rest)
    }

    /// These parts, by their places in the view, ascending, owner by owner.
    fn by_owner<'o>(
        &'o self,
        of: &'o [usize],
    ) -> impl Iterator<Item = (&'o Owner, &'o [usize], Vec<Part>)> {
        self.view.owners.iter().map(|owner| {
            let begin = of.partition_point(|at| *at < owner.parts.start);
            let end = of.partition_point(|at| *at < owner.parts.end);
            let places = of.get(begin..end).unwrap_or_default();
            let parts = places.iter().filter_map(|at| self.view.parts.get(*at).cloned());
            (owner, places, parts.collect())
        })
    }

    /// Whether a part may have a trace with this hash, by catalogs.
    pub(super) fn may_have_trace(&self, part: &Part, hash: u32) -> bool {
        let may_have = block_of(part).is_none_or(|id| self.asked.may_have(Of::Traces, &[hash], id));
        self.readers.catalogs.spared.add(u64::from(!may_have));
        may_have
    }

    /// In which files the traces of these parts stand, by their places in the view, ascending: for each owner
    /// what is known of its files. Those that nobody has asked yet are read.
    pub(super) fn known(&self, of: &[usize]) -> Vec<Arc<RwLock<Known>>> {
        let all: Vec<_> = self.by_owner(of).collect();
        let mut far: Vec<usize> = Vec::new();
        for (owner, places, parts) in &all {
            let news = self.readers.places.news(&owner.tenant, parts).into_iter();
            let news = news.filter(|at| parts.get(*at).is_some_and(|part| self.is_far(part)));
            far.extend(news.filter_map(|at| places.get(at)));
        }
        let mut ahead: HashMap<BlockId, Option<Vec<Entry>>> = HashMap::new();
        if far.len() > 1 {
            let read = self.each(&far, |at| self.entries_at(at));
            let id = |at: &usize| self.view.parts.get(*at).and_then(block_of);
            ahead.extend(far.iter().zip(read).filter_map(|(at, read)| Some((id(at)?, read))));
        }
        let known = all.iter().map(|(owner, _, parts)| {
            self.readers.places.of(&owner.tenant, parts, |part| {
                let read = block_of(part).and_then(|id| ahead.remove(&id));
                read.unwrap_or_else(|| self.entries(owner, part))
            })
        });
        known.collect()
    }

    /// The short hashes of the traces of these files, by their places in the view, those of each ascending.
    pub(super) fn hashes(&self, files: &[usize]) -> Vec<Vec<u32>> {
        self.each(files, |at| {
            let entries = self.entries_at(at).unwrap_or_default();
            let mut hashes: Vec<u32> = entries.into_iter().map(|entry| entry.hash).collect();
            hashes.sort_unstable();
            hashes
        })
    }

    fn entries_at(&self, at: usize) -> Option<Vec<Entry>> {
        self.entries(self.owner(at), self.view.parts.get(at)?)
    }

    /// The index of a file's traces: its owner's.
    fn entries(&self, owner: &Owner, part: &Part) -> Option<Vec<Entry>> {
        let reader = self.reader(part)?;
        let section = self.note(part, reader.section(Id::TraceIndex, 0)).flatten()?;
        let head = self.note(part, index::fanout_len(&section))?;
        let entries = index::entries(section.get(head..).unwrap_or_default());
        let Part::L0(l0) = part else { return Some(entries.collect()) };
        let run = l0.run(&owner.tenant)?;
        let own = run.first_row..run.first_row.saturating_add(run.rows);
        Some(entries.filter(|entry| own.contains(&entry.first_row)).collect())
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

    /// Asks each of these parts, by their places in the view, as many at a time as is good where they are; the
    /// answers in their order.
    fn each<T: Send>(&self, of: &[usize], ask: impl Fn(usize) -> T + Sync) -> Vec<T> {
        let at_once = of.iter().filter_map(|at| self.view.parts.get(*at));
        let at_once = at_once.map(|part| self.at_once(part)).max().unwrap_or(1);
        let (next, answers) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(of.len())));
        let work = || {
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(part) = of.get(at) else { break };
                let answer = ask(*part);
                answers.lock().unwrap_or_else(PoisonError::into_inner).push((at, answer));
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..at_once.min(of.len()) {
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
