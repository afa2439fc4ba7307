//! A column of values of attributes on its way into a batch: their tags, and by their types words, texts and blobs.

use model::otlp::held::Any;
use traceweir_plugin::codes::tag;

use super::texts::Texts;
use crate::projection::Mode;

/// A column. Its memory is used again for the next batch.
#[derive(Debug, Default)]
pub(crate) struct Values {
    pub(crate) tags: Vec<u8>,
    /// As long as the last entry needs that has one.
    pub(crate) words: Vec<u64>,
    pub(crate) texts: Texts,
    pub(crate) blobs: Texts,
    complex: bool,
}

impl Values {
    /// Begins a column of so many entries, or of as many as come where that is not known.
    pub(crate) fn begin(&mut self, entries: usize, complex: bool, is_unique: bool, seed: u64) {
        self.tags.clear();
        self.tags.resize(entries, tag::ABSENT);
        self.words.clear();
        self.texts.begin(is_unique, seed);
        // Blobs are seldom the same, but nobody asks for them to save memory.
        self.blobs.begin(false, seed);
        self.complex = complex;
    }

    /// Whether an entry has a value.
    #[inline]
    pub(crate) fn has(&self, entry: usize) -> bool {
        self.tags.get(entry).is_some_and(|tag| *tag != tag::ABSENT)
    }

    /// Appends an entry with its value, in a column of which it is not known how many there are. A text is most likely
    /// the one of the entry `like`.
    #[inline]
    pub(crate) fn push(&mut self, value: Any<'_>, encoded: &[u8], mode: &Mode, like: usize) {
        let entry = self.tags.len();
        if let Any::String(text) = value {
            self.tags.push(tag::STRING);
            self.texts.put_as(entry, text, like);
            self.texts.adapt(mode);
        } else {
            self.tags.push(tag::ABSENT);
            self.put(entry, value, encoded, mode);
        }
    }

    /// Gives an entry its value, which is passed as an `AnyValue`, too. Entries come in their order.
    #[inline]
    pub(crate) fn put(&mut self, entry: usize, value: Any<'_>, encoded: &[u8], mode: &Mode) {
        let tag = match value {
            Any::Empty => tag::EMPTY,
            Any::String(text) => {
                self.texts.put(entry, text);
                self.texts.adapt(mode);
                tag::STRING
            }
            Any::Int(value) => self.word(entry, value.cast_unsigned(), tag::INT),
            Any::Double(bits) => self.word(entry, bits, tag::DOUBLE),
            Any::Bool(value) => self.word(entry, value.into(), tag::BOOL),
            Any::Bytes(_) => self.blob(entry, encoded, tag::BYTES),
            Any::Array => self.blob(entry, encoded, tag::ARRAY),
            Any::Map => self.blob(entry, encoded, tag::MAP),
        };
        if let Some(place) = self.tags.get_mut(entry) {
            *place = tag;
        }
    }

    fn word(&mut self, entry: usize, word: u64, tag: u8) -> u8 {
        self.words.resize(entry, 0);
        self.words.push(word);
        tag
    }

    fn blob(&mut self, entry: usize, encoded: &[u8], tag: u8) -> u8 {
        if self.complex {
            self.blobs.put(entry, encoded);
        }
        tag
    }

    /// The number or bool of an entry.
    pub(crate) fn int(&self, entry: usize) -> i64 {
        self.words.get(entry).copied().unwrap_or_default().cast_signed()
    }

    /// How many sections it has.
    pub(crate) fn sections(&self) -> usize {
        let parts = [!self.words.is_empty(), !self.texts.is_empty(), !self.blobs.is_empty()];
        1 + parts.into_iter().map(usize::from).sum::<usize>()
    }

    /// Ends the column.
    pub(crate) fn end(&mut self) {
        let entries = self.tags.len();
        if !self.words.is_empty() {
            self.words.resize(entries, 0);
        }
        if !self.texts.is_empty() {
            self.texts.end_texts(entries);
        }
        if !self.blobs.is_empty() {
            self.blobs.end(entries);
        }
    }
}
