//! What a plugin answers: edits, or decisions. Written in the one way that `plugin-buffer.md` describes, so that the
//! same plugin gives the same bytes in every language.

mod slots;
mod values;

use self::slots::Slots;
pub(crate) use self::values::Entries;
pub use self::values::{TextId, Values};
use crate::batch::Batch;
use crate::buffer::{Counts, Writer};
use crate::codes::{ANSWER_MAGIC, REPLACE, answer as kind, domain, layout, verdict};
use crate::column::Pairs;
use crate::host::metrics::Metric;
use crate::projection::{Owner, Write};
use crate::value::Value;

/// What a sampler says of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// It goes.
    Drop,
    /// It stays.
    Keep,
    /// It stays with this probability, from 0.0 to 1.0: the host draws, by the trace id.
    Probability(f64),
}

/// What becomes of an attribute whose key is the new name of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clash {
    /// It stays, and the other keeps its name.
    Keep,
    /// It is replaced.
    Replace,
}

/// An answer to one batch.
#[derive(Clone, Debug)]
pub struct Answer {
    counts: Counts,
    links: usize,
    /// What verdicts and reasons are of: rows, or traces.
    of: u8,
    /// Words of the bitmap; empty until something is dropped.
    keep: Vec<u64>,
    reasons: Entries,
    /// Samplers have them, even for no rows.
    verdicts: Option<Vec<u8>>,
    /// Empty until something has a probability.
    probabilities: Vec<f64>,
    renames: Slots<u32, Entries>,
    deletes: Slots<u32, Entries>,
    starts: Slots<u32, Entries>,
    pairs: Slots<u32, Values>,
    /// By place in `writes` and domain.
    sets: Slots<(u32, u8), Values>,
    adds: Slots<u32, Adds>,
    counters: Vec<(u32, u64)>,
}

/// Attributes to add: owner, key, value of each.
#[derive(Clone, Debug)]
struct Adds {
    owners: Vec<u8>,
    keys: Entries,
    values: Values,
}

impl Adds {
    fn new() -> Self {
        Self { owners: Vec::new(), keys: Entries::default(), values: Values::new(0) }
    }
}

impl Answer {
    /// Edits of a processor: until something is said, everything stays as it is.
    #[must_use]
    pub fn edits(batch: &Batch<'_>) -> Self {
        Self::new(batch, domain::SPANS)
    }

    /// Decisions of a head sampler, one for each row: until something is said, it is kept.
    #[must_use]
    pub fn of_rows(batch: &Batch<'_>) -> Self {
        let verdicts = vec![verdict::KEEP; batch.rows()];
        Self { verdicts: Some(verdicts), ..Self::new(batch, domain::SPANS) }
    }

    /// Decisions of a tail sampler, one for each trace: until something is said, it is kept.
    #[must_use]
    pub fn of_traces(batch: &Batch<'_>) -> Self {
        let verdicts = vec![verdict::KEEP; batch.counts().traces as usize];
        Self { verdicts: Some(verdicts), ..Self::new(batch, domain::TRACES) }
    }

    fn new(batch: &Batch<'_>, of: u8) -> Self {
        Self {
            counts: batch.counts(),
            links: batch.links(),
            of,
            keep: Vec::new(),
            reasons: Entries::default(),
            verdicts: None,
            probabilities: Vec::new(),
            renames: Slots::default(),
            deletes: Slots::default(),
            starts: Slots::default(),
            pairs: Slots::default(),
            sets: Slots::default(),
            adds: Slots::default(),
            counters: Vec::new(),
        }
    }

    /// Drops a span, and says why, in one of 32 reasons at most.
    pub fn drop_span(&mut self, row: usize, reason: &str) {
        let rows = self.counts.rows as usize;
        if self.keep.is_empty() {
            self.keep = (0..rows.div_ceil(64)).map(|word| bits(rows - word * 64)).collect();
        }
        if let Some(word) = self.keep.get_mut(row / 64) {
            *word &= !(1 << (row % 64));
        }
        self.reason(row, reason);
    }

    /// Decides on a row or trace, and says why, in one of 32 reasons at most.
    pub fn decide(&mut self, i: usize, verdict: Verdict, reason: &str) {
        let (code, probability) = match verdict {
            Verdict::Drop => (verdict::DROP, 0.0),
            Verdict::Keep => (verdict::KEEP, 0.0),
            Verdict::Probability(probability) => (verdict::PROBABILITY, probability),
        };
        let entries = self.counts.of(self.of).unwrap_or_default();
        let verdicts = self.verdicts.get_or_insert_with(|| vec![verdict::KEEP; entries]);
        if let Some(there) = verdicts.get_mut(i) {
            *there = code;
        }
        if self.probabilities.is_empty() && code == verdict::PROBABILITY {
            self.probabilities.resize(entries, 0.0);
        }
        if let Some(there) = self.probabilities.get_mut(i) {
            *there = probability;
        }
        self.reason(i, reason);
    }

    fn reason(&mut self, i: usize, reason: &str) {
        if !reason.is_empty() {
            self.reasons.put(i, reason.as_bytes());
        }
    }

    /// Gives attributes of `owner` another key, wherever they are.
    pub fn rename(&mut self, owner: Owner, from: &str, to: &str, clash: Clash) {
        let replace = if clash == Clash::Replace { REPLACE } else { 0 };
        let list = self.renames.get_or(owner as u32 | replace, Entries::default);
        list.push(from.as_bytes());
        list.push(to.as_bytes());
    }

    /// Removes attributes of `owner` by their key, wherever they are.
    pub fn delete_key(&mut self, owner: Owner, key: &str) {
        self.deletes.get_or(owner as u32, Entries::default).push(key.as_bytes());
    }

    /// Removes the attributes of all owners whose keys begin so: `writes` must have them, and they need not be read.
    pub fn delete_starting(&mut self, owner: Owner, start: &str) {
        self.starts.get_or(owner as u32, Entries::default).push(start.as_bytes());
    }

    /// New values of pairs that were read: an entry for each pair.
    pub fn set_pairs(&mut self, pairs: &Pairs<'_>) -> &mut Values {
        self.pairs.get_or(pairs.place, || Values::new(pairs.len()))
    }

    /// New values of a field, by its place in `writes`: an entry for each `per`. That is the owner of the field;
    /// or, for attributes of spans, the resource.
    pub fn set(&mut self, write: impl Into<Write>, per: Owner) -> &mut Values {
        let domain = per.domain();
        let entries = self.counts.of(domain).unwrap_or(self.links);
        let Write(place) = write.into();
        self.sets.get_or((place, domain), || Values::new(entries))
    }

    /// Gives one span, resource, scope, event or link (whose the field at `write` says) an attribute.
    #[expect(single_use_lifetimes, reason = "an anonymous one is no stable Rust here")]
    pub fn add<'v>(
        &mut self,
        write: impl Into<Write>,
        owner: u32,
        key: &str,
        value: impl Into<Value<'v>>,
    ) {
        let adds = self.adds.get_or(write.into().0, Adds::new);
        adds.owners.extend_from_slice(&owner.to_le_bytes());
        adds.keys.push(key.as_bytes());
        adds.values.put(adds.values.len(), value);
    }

    /// Raises a counter.
    pub fn count(&mut self, metric: Metric, by: u64) {
        let Metric(id) = metric;
        match self.counters.iter_mut().find(|(there, _)| *there == id) {
            Some((_, value)) => *value = value.saturating_add(by),
            None => self.counters.push((id, by)),
        }
    }

    /// The buffer.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        self.encode_decisions(&mut writer);
        self.encode_edits(&mut writer);
        let counters = self.counters.iter().filter(|(_, value)| *value > 0);
        let counters = bytes_of(counters.flat_map(|(id, value)| [u64::from(*id), *value]));
        if !counters.is_empty() {
            writer.section(kind::COUNT, layout::COUNTS, domain::NONE, 0, counters);
        }
        for (owner, list) in self.starts.iter() {
            writer.entries((kind::DELETE_STARTS, layout::TEXT, domain::NONE, *owner), list, 0);
        }
        writer.finish(ANSWER_MAGIC, self.counts)
    }

    fn encode_decisions<'a>(&'a self, writer: &mut Writer<'a>) {
        let entries = self.counts.of(self.of).unwrap_or_default();
        if !self.keep.is_empty() {
            let words = bytes_of(self.keep.iter().copied());
            writer.section(kind::KEEP, layout::BITMAP, domain::SPANS, 0, words);
        }
        if !self.reasons.is_empty() {
            writer.entries((kind::REASON, layout::TEXT, self.of, 0), &self.reasons, entries);
        }
        let Some(verdicts) = &self.verdicts else { return };
        writer.section(kind::VERDICT, layout::U8, self.of, 0, verdicts.as_slice());
        if verdicts.contains(&verdict::PROBABILITY) {
            let bytes = bytes_of(self.probabilities.iter().map(|value| value.to_bits()));
            writer.section(kind::PROBABILITY, layout::F64, self.of, 0, bytes);
        }
    }

    fn encode_edits<'a>(&'a self, writer: &mut Writer<'a>) {
        for (owner, list) in self.renames.iter() {
            writer.entries((kind::RENAME, layout::TEXT, domain::NONE, *owner), list, 0);
        }
        for (owner, list) in self.deletes.iter() {
            writer.entries((kind::DELETE_KEYS, layout::TEXT, domain::NONE, *owner), list, 0);
        }
        for (place, values) in self.pairs.iter().filter(|(_, values)| !values.is_empty()) {
            values.encode(writer, kind::SET_PAIRS, domain::PAIRS, *place);
        }
        for ((place, domain), values) in self.sets.iter().filter(|(_, values)| !values.is_empty()) {
            values.encode(writer, kind::SET, *domain, *place);
        }
        // All owners, then all keys, then all values: sections stand in the order of their kinds.
        for (place, adds) in self.adds.iter() {
            let owners = adds.owners.as_slice();
            writer.section(kind::ADD_OWNER, layout::U32, domain::NONE, *place, owners);
        }
        for (place, adds) in self.adds.iter() {
            writer.entries((kind::ADD_KEY, layout::TEXT, domain::NONE, *place), &adds.keys, 0);
        }
        for (place, adds) in self.adds.iter() {
            adds.values.encode(writer, kind::ADD, domain::NONE, *place);
        }
    }
}

/// Words as they stand in a section. Byte by byte, as an iterator of bytes is collected, takes five times as long.
fn bytes_of(words: impl Iterator<Item = u64>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(words.size_hint().0 * 8);
    for word in words {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    bytes
}

/// The lowest `count` bits of a word.
fn bits(count: usize) -> u64 {
    if count >= 64 { u64::MAX } else { (1 << count) - 1 }
}
