//! An answer as one reads it.

use std::collections::BTreeMap;

use crate::answer::{Clash, Verdict};
use crate::any::Any;
use crate::buffer::{self, Counts, Section};
use crate::codes::{ANSWER_MAGIC, REPLACE, answer as kind, layout, tag, verdict};
use crate::column::Column;
use crate::error::PluginError;
use crate::projection::Owner;
use crate::view::{Numbers, Texts};

/// What an answer says of one entry of a column.
#[derive(Clone, Debug, PartialEq)]
pub enum Edit {
    /// It stays as it is.
    Stay,
    /// It goes.
    Remove,
    /// It becomes this.
    Set(Any),
}

/// An attribute that is added.
#[derive(Clone, Debug, PartialEq)]
pub struct Addition {
    /// The place in `writes`, which says whose attribute it is.
    pub write: u32,
    /// Which span, resource, scope, event or link.
    pub owner: u32,
    /// The key.
    pub key: String,
    /// The value.
    pub value: Any,
}

/// All that an answer says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decoded {
    /// Of which batch.
    pub counts: Counts,
    /// Whether each row stays; empty where all do.
    pub keep: Vec<bool>,
    /// Why; empty where nothing is said.
    pub reasons: Vec<Option<String>>,
    /// Decisions, of a sampler.
    pub verdicts: Vec<Verdict>,
    /// Whose attribute, its key, its new key.
    pub renames: Vec<(Owner, String, String, Clash)>,
    /// Whose attribute, its key.
    pub deletes: Vec<(Owner, String)>,
    /// Attributes that go everywhere, by what their keys begin with.
    pub starts: Vec<(Owner, String)>,
    /// New values of pairs, by place in `reads`.
    pub pairs: BTreeMap<u32, Vec<Edit>>,
    /// New values, by place in `writes` and for whom each entry is.
    pub sets: BTreeMap<(u32, Owner), Vec<Edit>>,
    /// New attributes.
    pub adds: Vec<Addition>,
    /// Counters, and by how much they rise.
    pub counters: Vec<(u32, u64)>,
}

/// Columns whose sections are not all read yet, by kind, argument and domain.
type Columns<'a> = BTreeMap<(u16, u32, u8), Column<'a>>;

impl Decoded {
    /// Reads an answer.
    ///
    /// # Errors
    ///
    /// Bad input, when it is malformed; what it says is held against a batch by [`apply`](super::apply).
    pub fn parse(bytes: &[u8]) -> Result<Self, PluginError> {
        let (counts, sections) = buffer::parse(bytes, ANSWER_MAGIC)?;
        let mut decoded = Self { counts, ..Self::default() };
        let mut columns = Columns::new();
        let mut probabilities = Numbers::<f64>::default();
        let mut codes: &[u8] = &[];
        let mut owners = BTreeMap::new();
        let mut keys = BTreeMap::new();
        for section in sections {
            let data = section.bytes()?;
            let argument = section.argument;
            match (section.kind, section.layout) {
                (kind::KEEP, layout::BITMAP) => decoded.keep(data),
                (kind::REASON, layout::TEXT) => {
                    let texts = Texts::parse(data)?;
                    let reasons = (0..texts.len()).map(|i| texts.get(i).map(str::to_owned));
                    decoded.reasons = reasons.collect();
                }
                (kind::VERDICT, layout::U8) => codes = data,
                (kind::PROBABILITY, layout::F64) => probabilities = Numbers::new(data),
                (kind::RENAME, layout::TEXT) => decoded.renames(&section, Texts::parse(data)?)?,
                (kind::DELETE_KEYS, layout::TEXT) => {
                    let owner = owner(&section, argument)?;
                    let keys = all(Texts::parse(data)?);
                    decoded.deletes.extend(keys.map(|key| (owner, key)));
                }
                (kind::SET_PAIRS | kind::SET | kind::ADD, _) => {
                    let at = (section.kind, argument, section.domain);
                    columns.entry(at).or_default().take(&section)?;
                }
                (kind::ADD_OWNER, layout::U32) => {
                    owners.insert(argument, Numbers::<u32>::new(data));
                }
                (kind::ADD_KEY, layout::TEXT) => {
                    keys.insert(argument, Texts::parse(data)?);
                }
                (kind::DELETE_STARTS, layout::TEXT) => {
                    let owner = owner(&section, argument)?;
                    let starts = all(Texts::parse(data)?);
                    decoded.starts.extend(starts.map(|start| (owner, start)));
                }
                (kind::COUNT, layout::COUNTS) => decoded.counts(data),
                _ => return Err(section.bad("no section of an answer")),
            }
        }
        decoded.verdicts = verdicts(codes, probabilities)?;
        for ((kind, argument, of), mut column) in columns {
            column.finish_answer(None)?;
            let edits = edits(&column)?;
            match kind {
                kind::SET_PAIRS => {
                    decoded.pairs.insert(argument, edits);
                }
                kind::SET => {
                    decoded.sets.insert((argument, per(of)?), edits);
                }
                _ => decoded.adds(argument, &owners, &keys, edits)?,
            }
        }
        Ok(decoded)
    }

    fn keep(&mut self, data: &[u8]) {
        let words = Numbers::<u64>::new(data);
        let bit = |row: usize| words.get(row / 64).is_some_and(|word| word >> (row % 64) & 1 == 1);
        self.keep = (0..self.counts.rows as usize).map(bit).collect();
    }

    fn renames(&mut self, section: &Section<'_>, keys: Texts<'_>) -> Result<(), PluginError> {
        let owner = owner(section, section.argument & !REPLACE)?;
        let replace = section.argument & REPLACE != 0;
        let clash = if replace { Clash::Replace } else { Clash::Keep };
        let keys: Vec<String> = all(keys).collect();
        let (pairs, []) = keys.as_chunks::<2>() else {
            return Err(section.bad("a rename without a new key"));
        };
        let renames = pairs.iter().cloned().map(|[from, to]| (owner, from, to, clash));
        self.renames.extend(renames);
        Ok(())
    }

    fn adds(
        &mut self,
        write: u32,
        owners: &BTreeMap<u32, Numbers<'_, u32>>,
        keys: &BTreeMap<u32, Texts<'_>>,
        values: Vec<Edit>,
    ) -> Result<(), PluginError> {
        for (i, value) in values.into_iter().enumerate() {
            let owner = owners.get(&write).and_then(|owners| owners.get(i));
            let key = keys.get(&write).and_then(|keys| keys.get(i)).map(str::to_owned);
            let (Some(owner), Some(key), Edit::Set(value)) = (owner, key, value) else {
                return Err(PluginError::bad_input("an addition without owner, key or value"));
            };
            self.adds.push(Addition { write, owner, key, value });
        }
        Ok(())
    }

    fn counts(&mut self, data: &[u8]) {
        for entry in data.as_chunks::<16>().0 {
            let word = |at| Numbers::<u64>::new(entry).get(at).unwrap_or_default();
            let id = u32::try_from(word(0)).unwrap_or(u32::MAX);
            self.counters.push((id, word(1)));
        }
    }

    /// The reason of a row or trace.
    #[must_use]
    pub fn reason(&self, i: usize) -> Option<&str> {
        self.reasons.get(i)?.as_deref()
    }

    /// Whether a row stays.
    #[must_use]
    pub fn keeps(&self, row: usize) -> bool {
        self.keep.get(row).copied().unwrap_or(true)
    }
}

fn all(texts: Texts<'_>) -> impl Iterator<Item = String> {
    (0..texts.len()).map(move |i| texts.get(i).unwrap_or_default().to_owned())
}

fn owner(section: &Section<'_>, number: u32) -> Result<Owner, PluginError> {
    let owner = Owner::ALL.get(number as usize).copied();
    owner.ok_or_else(|| section.bad("an owner that there is not"))
}

fn per(of: u8) -> Result<Owner, PluginError> {
    let owner = Owner::ALL.into_iter().find(|owner| owner.domain() == of);
    owner.ok_or_else(|| PluginError::bad_input("a set of another domain"))
}

fn verdicts(codes: &[u8], probabilities: Numbers<'_, f64>) -> Result<Vec<Verdict>, PluginError> {
    let verdict = |(i, code): (usize, &u8)| match *code {
        verdict::DROP => Some(Verdict::Drop),
        verdict::KEEP => Some(Verdict::Keep),
        verdict::PROBABILITY => probabilities
            .get(i)
            .filter(|probability| (0.0..=1.0).contains(probability))
            .map(Verdict::Probability),
        _ => None,
    };
    let verdicts: Option<_> = codes.iter().enumerate().map(verdict).collect();
    verdicts.ok_or_else(|| PluginError::bad_input("a verdict that there is not"))
}

fn edits(column: &Column<'_>) -> Result<Vec<Edit>, PluginError> {
    let edit = |i| match column.tags().get(i) {
        Some(&tag::REMOVE) => Ok(Edit::Remove),
        _ => Ok(Any::from_value(column.value(i))?.map_or(Edit::Stay, Edit::Set)),
    };
    (0..column.len()).map(edit).collect()
}
