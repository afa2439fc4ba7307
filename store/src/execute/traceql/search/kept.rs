//! What is found in files is the same every time: it is kept for whoever asks the same again
//! ([`crate::execute::answers`]).
//!
//! Row groups are kept one by one, as if nothing stood elsewhere; which of their traces do is looked
//! up each time, for spans of them may have come since. Those that are brought together are kept as
//! they were, by all the places that they stand in. Only what lies wholly in the range of a query is
//! kept.

use std::collections::HashMap;

use model::TraceId;
use xxhash_rust::xxh3::xxh3_128;

use super::newest::{Found, Newest};
use super::{Run, Scanned};
use crate::error::Error;
use crate::execute::answers::{Answer, Key};
use crate::execute::traceql::gather::{Fragment, Located};
use crate::execute::traceql::scan::is_within;
use crate::execute::traceql::units::Unit;
use crate::execute::traceql::value::Value;

/// What is found in a row group.
struct InUnit {
    /// The newest traces that match, as many as were asked for.
    found: Vec<Found>,
    /// Whether others match that are older.
    is_cut: bool,
    scanned: Scanned,
    /// How many traces and spans were looked at.
    traces: u64,
    spans: u64,
}

/// What is found of traces that were brought together.
struct Joined(Vec<(Found, Vec<usize>)>);

impl Answer for InUnit {
    fn heap_bytes(&self) -> usize {
        let Scanned { several, unmet } = &self.scanned;
        self.found.iter().map(Found::bytes).sum::<usize>()
            + (several.len() + unmet.len()) * size_of::<TraceId>()
    }
}

impl Answer for Joined {
    fn heap_bytes(&self) -> usize {
        let one = |(found, at): &(Found, Vec<usize>)| found.bytes() + size_of_val(at.as_slice());
        self.0.iter().map(one).sum()
    }
}

impl Found {
    /// Bytes held, about.
    fn bytes(&self) -> usize {
        let Self { fragments, sets, .. } = self;
        let attribute = |(label, of): &(String, Value)| {
            size_of::<(String, Value)>() + label.capacity() + of.heap_bytes()
        };
        let set = |set: &super::FoundSet| {
            let attributes = set.attributes.iter().map(attribute).sum::<usize>();
            size_of_val(set) + size_of_val(set.spans.as_slice()) + attributes
        };
        size_of_val(self) + size_of_val(fragments.as_slice()) + sets.iter().map(set).sum::<usize>()
    }
}

impl Run<'_> {
    /// What is found in a unit, all of whose spans start in the range, as it is known or anew. Traces
    /// that may stand in other places are returned.
    pub(super) fn known(&mut self, unit: Unit) -> Result<Vec<TraceId>, Error> {
        let Some(key) = self.key_of(unit) else {
            return Ok(self.scan(unit, &self.wants.lean)?.several);
        };
        let (elsewhere, answers) = (self.elsewhere, self.parts.answers);
        let may_have = |id: TraceId| elsewhere.may_have(unit.part, id);
        // Where one of the newest has spans elsewhere by now, others may be among them.
        let is_good = |known: &InUnit| {
            let stands_here = |found: &Found| may_have(found.id).is_ok_and(|may_have| !may_have);
            !known.is_cut || known.found.iter().all(stands_here)
        };
        let mut is_known = true;
        let patience = self.limits.patience;
        let in_unit = answers.get_or(
            key,
            || patience.is_over(),
            is_good,
            || {
                is_known = false;
                if self.limits.is_over() {
                    return Ok(None);
                }
                let problems = self.parts.problems();
                let in_unit = self.scan_apart(unit)?;
                // Of what was cut short, or could not be read, what there is counts this time.
                let is_whole = self.limits.ended.is_none() && self.parts.problems() == problems;
                Ok(Some((in_unit, is_whole)))
            },
        )?;
        let Some(in_unit) = in_unit else { return Ok(Vec::new()) };
        let InUnit { found, scanned, traces, spans, .. } = &*in_unit;
        let mut several = scanned.several.clone();
        if is_known {
            self.limits.inspected.units += 1;
            self.limits.inspected.traces += traces;
            self.limits.inspected.spans += spans;
            for id in &scanned.unmet {
                if may_have(*id)? {
                    several.push(*id);
                }
            }
        }
        for found in found.iter().filter(|found| !self.joined.contains(&found.id)) {
            if is_known && may_have(found.id)? {
                several.push(found.id);
            } else {
                let here = |of: &Fragment| Fragment { unit, rows: of.rows.clone() };
                let fragments = found.fragments.iter().map(here).collect();
                self.newest.keep(Found { fragments, ..found.clone() });
            }
        }
        Ok(several)
    }

    /// What is found in a unit, whatever was found before.
    fn scan_apart(&mut self, unit: Unit) -> Result<InUnit, Error> {
        let own = Newest::new(self.request.limit);
        let all = std::mem::replace(&mut self.newest, own);
        let joined = std::mem::take(&mut self.joined);
        let before = self.limits.inspected;
        let scanned = self.scan(unit, &self.wants.lean);
        let mut own = std::mem::replace(&mut self.newest, all);
        self.joined = joined;
        let inspected = self.limits.inspected;
        Ok(InUnit {
            is_cut: own.is_cut,
            found: own.take_after(None),
            scanned: scanned?,
            traces: inspected.traces - before.traces,
            spans: inspected.spans - before.spans,
        })
    }

    /// Judges traces by all the places that they stand in.
    pub(super) fn join_located(&mut self, located: Vec<Located>) -> Result<(), Error> {
        let is_inside = |located: &Located| {
            located.starts().is_some_and(|starts| is_within(&self.request.during, &starts))
        };
        let (fixed, other): (Vec<_>, Vec<_>) = located.into_iter().partition(is_inside);
        let found = self.gather(&other)?;
        found.into_iter().for_each(|found| self.newest.keep(found));
        if fixed.is_empty() {
            return Ok(());
        }
        let mut key = self.asked("joined");
        fixed.iter().for_each(|located| located.put_key(self.parts, &mut key));
        let places: HashMap<TraceId, &[Fragment]> =
            fixed.iter().map(|located| (located.id, located.fragments.as_slice())).collect();
        let huge = self.huge.take();
        let answers = self.parts.answers;
        let patience = self.limits.patience;
        let joined = answers.get_or(
            xxh3_128(&key),
            || patience.is_over(),
            |_| true,
            || {
                if self.limits.is_over() {
                    return Ok(None);
                }
                let problems = self.parts.problems();
                let found = self.gather(&fixed)?;
                let numbered = found.into_iter().map(|found| {
                    let all = places.get(&found.id).copied().unwrap_or_default();
                    let number = |of: &Fragment| all.iter().position(|fragment| fragment == of);
                    let numbers = found.fragments.iter().filter_map(number).collect();
                    (found, numbers)
                });
                let joined = Joined(numbered.collect());
                let is_read = self.parts.problems() == problems;
                let is_whole = self.limits.ended.is_none() && self.huge.is_none() && is_read;
                Ok(Some((joined, is_whole)))
            },
        )?;
        self.huge = huge.or_else(|| self.huge.take());
        let Some(joined) = joined else { return Ok(()) };
        for (found, numbers) in &joined.0 {
            let all = places.get(&found.id).copied().unwrap_or_default();
            let fragments = numbers.iter().filter_map(|at| all.get(*at).cloned()).collect();
            self.newest.keep(Found { fragments, ..found.clone() });
        }
        Ok(())
    }

    /// What an answer about a unit depends on; nothing where it may change.
    fn key_of(&self, unit: Unit) -> Option<Key> {
        let (reader, group) = self.parts.reader_at(unit.part).zip(unit.group)?;
        let mut key = self.asked("unit");
        let owner = self.parts.view.number(unit.part);
        key.extend_from_slice(format!("{:?} {group} {owner}", reader.identity()).as_bytes());
        Some(xxh3_128(&key))
    }

    /// What is asked, without when.
    fn asked(&self, what: &str) -> Vec<u8> {
        let (scope, request) = (self.parts.scope(), self.request);
        format!("{what} {scope} {} {} ", request.limit, request.query).into_bytes()
    }
}
