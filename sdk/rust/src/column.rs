//! Columns of attributes and tables of pairs.

use std::ops::Range;

use crate::buffer::Section;
use crate::codes::{layout, tag};
use crate::error::PluginError;
use crate::value::Value;
use crate::view::{Blobs, Numbers, Texts};

/// One attribute: the value that each of its owners has.
#[derive(Clone, Copy, Debug, Default)]
pub struct Column<'a> {
    tags: &'a [u8],
    words: Numbers<'a, u64>,
    texts: Option<Texts<'a>>,
    blobs: Option<Blobs<'a>>,
}

impl<'a> Column<'a> {
    /// Takes one of its up to four sections.
    pub(crate) fn take(&mut self, section: &Section<'a>) -> Result<(), PluginError> {
        let bytes = section.bytes()?;
        match section.layout {
            layout::U8 => self.tags = bytes,
            layout::U64 => self.words = Numbers::new(bytes),
            layout::TEXT => self.texts = Some(Texts::parse(bytes)?),
            layout::BLOB => self.blobs = Some(Blobs::parse(bytes)?),
            _ => return Err(section.bad("another type")),
        }
        Ok(())
    }

    /// Takes `entries` of it (all that there are for `None`), each with what its tag says.
    pub(crate) fn finish(&mut self, entries: Option<usize>) -> Result<(), PluginError> {
        if self.tags.contains(&tag::REMOVE) {
            return Err(PluginError::bad_input("a column of a batch removes"));
        }
        self.finish_answer(entries)
    }

    /// The same of an answer, which may remove.
    pub(crate) fn finish_answer(&mut self, entries: Option<usize>) -> Result<(), PluginError> {
        let entries = entries.unwrap_or(self.tags.len());
        let few = || PluginError::bad_input("a column has too few entries");
        self.tags = self.tags.get(..entries).ok_or_else(few)?;
        let there = |i: usize, tag: u8| match tag {
            tag::ABSENT | tag::EMPTY | tag::REMOVE => true,
            tag::STRING => self.texts.is_some_and(|texts| texts.index(i).is_some()),
            tag::INT | tag::DOUBLE | tag::BOOL => i < self.words.len(),
            tag::BYTES | tag::ARRAY | tag::MAP => {
                self.blobs.is_none_or(|blobs| blobs.index(i).is_some())
            }
            _ => false,
        };
        if self.tags.iter().enumerate().all(|(i, tag)| there(i, *tag)) {
            return Ok(());
        }
        Err(PluginError::bad_input("a column has no value where its tag says that it has"))
    }

    /// How many owners there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tags.len()
    }

    /// Whether there is nobody who could have it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tags.is_empty()
    }

    /// The type of each, by its number in `codes::tag`.
    #[must_use]
    pub fn tags(&self) -> &'a [u8] {
        self.tags
    }

    /// The value of owner `i`.
    #[must_use]
    pub fn value(&self, i: usize) -> Value<'a> {
        let word = || self.words.get(i).unwrap_or_default();
        let blob = || self.blobs.and_then(|blobs| blobs.get(i)).unwrap_or_default();
        match self.tags.get(i).copied().unwrap_or_default() {
            tag::STRING => self.text(i).map_or(Value::Absent, Value::Text),
            tag::INT => Value::Int(word().cast_signed()),
            tag::DOUBLE => Value::Double(f64::from_bits(word())),
            tag::BOOL => Value::Bool(word() != 0),
            tag::BYTES => Value::Bytes(blob()),
            tag::ARRAY => Value::Array(blob()),
            tag::MAP => Value::Map(blob()),
            tag::EMPTY => Value::Empty,
            _ => Value::Absent,
        }
    }

    /// All values.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Value<'a>> {
        let column = *self;
        (0..column.len()).map(move |i| column.value(i))
    }

    /// The text of owner `i`, if it has one.
    #[must_use]
    pub fn text(&self, i: usize) -> Option<&'a str> {
        self.texts?.value(self.index(i)?)
    }

    /// Which of [`values`](Self::values) owner `i` has, if its value is a text.
    #[must_use]
    pub fn index(&self, i: usize) -> Option<usize> {
        if *self.tags.get(i)? == tag::STRING { self.texts?.index(i) } else { None }
    }

    /// The texts that occur: what depends on the text alone is worked out once for each of these.
    pub fn values(&self) -> impl Iterator<Item = &'a str> {
        self.texts().values()
    }

    /// The section of texts; no entries where no value is a text.
    #[must_use]
    pub fn texts(&self) -> Texts<'a> {
        self.texts.unwrap_or_default()
    }

    /// Bytes, arrays and maps, where there are some and they were asked for.
    #[must_use]
    pub fn blobs(&self) -> Blobs<'a> {
        self.blobs.unwrap_or_default()
    }

    /// Which of [`blobs`](Self::blobs) owner `i` has, if its value is an array, a map or bytes.
    #[must_use]
    pub fn blob_index(&self, i: usize) -> Option<usize> {
        self.value(i).blob().and(self.blobs?.index(i))
    }
}

/// Every attribute whose key begins so: a list of key and value, owner after owner.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pairs<'a> {
    pub(crate) place: u32,
    ends: Numbers<'a, u32>,
    keys: Texts<'a>,
    values: Column<'a>,
}

impl<'a> Pairs<'a> {
    /// Puts the sections together.
    pub(crate) fn new(
        place: u32,
        ends: Numbers<'a, u32>,
        keys: Texts<'a>,
        mut values: Column<'a>,
    ) -> Result<Self, PluginError> {
        let last = ends.iter().try_fold(0, |last, end| (last <= end).then_some(end));
        let pairs = last.ok_or_else(|| PluginError::bad_input("pairs end before they begin"))?;
        let pairs = pairs as usize;
        keys.check(pairs)?;
        values.finish(Some(pairs))?;
        if (0..pairs).any(|pair| keys.index(pair).is_none()) {
            return Err(PluginError::bad_input("a pair has no key"));
        }
        Ok(Self { place, ends, keys, values })
    }

    /// How many pairs there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// How many owners there are.
    #[must_use]
    pub fn owners(&self) -> usize {
        self.ends.len()
    }

    /// The pairs of an owner.
    #[must_use]
    pub fn of(&self, owner: usize) -> Range<usize> {
        let start = match owner.checked_sub(1) {
            Some(before) => self.ends.get(before).unwrap_or_default(),
            None => 0,
        };
        start as usize..self.ends.get(owner).unwrap_or(start) as usize
    }

    /// The key of each pair; [`Texts::values`] are those that occur.
    #[must_use]
    pub fn keys(&self) -> Texts<'a> {
        self.keys
    }

    /// The value of each pair.
    #[must_use]
    pub fn values(&self) -> Column<'a> {
        self.values
    }

    /// Key and value of pair `pair`.
    #[must_use]
    pub fn get(&self, pair: usize) -> Option<(&'a str, Value<'a>)> {
        Some((self.keys.get(pair)?, self.values.value(pair)))
    }
}
