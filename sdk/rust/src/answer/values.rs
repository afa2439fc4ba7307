//! Columns on their way into an answer.

use crate::buffer::Writer;
use crate::codes::{NONE, layout, tag};
use crate::intern::Interner;
use crate::value::Value;

/// A text that a column has been given: whatever is set to it costs no more look-ups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextId(u32);

/// Texts or blobs, and which of them each entry has.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entries {
    index: Vec<u32>,
    values: Interner,
}

impl Entries {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let value = self.value(bytes);
        self.index.push(value);
    }

    pub(crate) fn put(&mut self, i: usize, bytes: &[u8]) {
        let value = self.value(bytes);
        self.put_value(i, value);
    }

    /// The number of a value, which is often the same as before: reasons are, and keys.
    fn value(&mut self, bytes: &[u8]) -> u32 {
        match self.index.last() {
            Some(last) if *last != NONE && self.values.get(*last) == bytes => *last,
            _ => self.values.intern(bytes),
        }
    }

    fn put_value(&mut self, i: usize, value: u32) {
        if self.index.len() <= i {
            self.index.resize(i + 1, NONE);
        }
        self.index[i] = value;
    }

    fn clear(&mut self, i: usize) {
        if let Some(value) = self.index.get_mut(i) {
            *value = NONE;
        }
    }

    /// Whether no entry has a value.
    pub(crate) fn is_empty(&self) -> bool {
        self.index.iter().all(|value| *value == NONE)
    }

    /// The section of `entries` entries: values in the order in which entries first use them.
    pub(crate) fn encode(&self, entries: usize) -> Vec<u8> {
        let mut renumbered = vec![NONE; self.values.len()];
        let mut used = Vec::with_capacity(self.values.len());
        let mut index = Vec::with_capacity(entries * 4);
        let mut heap_bytes = 0;
        for i in 0..entries.max(self.index.len()) {
            let value = self.index.get(i).copied().unwrap_or(NONE);
            let number = match renumbered.get_mut(value as usize) {
                None => NONE,
                Some(number) => {
                    if *number == NONE {
                        *number = count(used.len());
                        heap_bytes += self.values.get(value).len();
                        used.push(value);
                    }
                    *number
                }
            };
            index.extend_from_slice(&number.to_le_bytes());
        }
        let mut section = Vec::with_capacity(12 + index.len() + used.len() * 4 + heap_bytes);
        section.extend_from_slice(&count(used.len()).to_le_bytes());
        section.extend_from_slice(&count(index.len() / 4).to_le_bytes());
        section.extend_from_slice(&index);
        let mut end = 0;
        section.extend_from_slice(&0_u32.to_le_bytes());
        for value in &used {
            end += self.values.get(*value).len();
            section.extend_from_slice(&count(end).to_le_bytes());
        }
        for value in used {
            section.extend_from_slice(self.values.get(value));
        }
        section
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(NONE)
}

/// A column of an answer: for each entry a new value, a removal, or nothing.
#[derive(Clone, Debug, Default)]
pub struct Values {
    tags: Vec<u8>,
    /// As long as the last entry that has one.
    words: Vec<u64>,
    texts: Entries,
    blobs: Entries,
}

impl Values {
    pub(crate) fn new(entries: usize) -> Self {
        Self { tags: vec![tag::ABSENT; entries], ..Self::default() }
    }

    /// Gives entry `i` a value; [`Value::Absent`] leaves it as it is. An entry that the batch does not have fails the
    /// answer at the host.
    #[expect(single_use_lifetimes, reason = "an anonymous one is no stable Rust here")]
    pub fn put<'v>(&mut self, i: usize, value: impl Into<Value<'v>>) {
        let value = value.into();
        self.tag(i, value.tag());
        if let Some(text) = value.text() {
            self.texts.put(i, text.as_bytes());
        } else if let Some(blob) = value.blob() {
            self.blobs.put(i, blob);
        } else if let Some(word) = value.word() {
            if self.words.len() <= i {
                self.words.resize(i + 1, 0);
            }
            self.words[i] = word;
        }
    }

    /// Removes the attribute of entry `i`; empties a tracestate or a status message.
    pub fn remove(&mut self, i: usize) {
        self.tag(i, tag::REMOVE);
    }

    /// Makes a text known, for [`put_text`](Self::put_text).
    pub fn text(&mut self, text: &str) -> TextId {
        TextId(self.texts.values.intern(text.as_bytes()))
    }

    /// Gives entry `i` a text that [`text`](Self::text) of the same column has made known.
    pub fn put_text(&mut self, i: usize, text: TextId) {
        self.tag(i, tag::STRING);
        self.texts.put_value(i, text.0);
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.tags.len()
    }

    /// Whether every entry stays as it is.
    pub(crate) fn is_empty(&self) -> bool {
        self.tags.iter().all(|tag| *tag == tag::ABSENT)
    }

    /// Sets the type, and forgets a value from before.
    fn tag(&mut self, i: usize, tag: u8) {
        if self.tags.len() <= i {
            self.tags.resize(i + 1, tag::ABSENT);
        }
        if self.tags[i] != tag::ABSENT {
            self.texts.clear(i);
            self.blobs.clear(i);
            if let Some(word) = self.words.get_mut(i) {
                *word = 0;
            }
        }
        self.tags[i] = tag;
    }

    /// Writes its sections.
    pub(crate) fn encode(&self, writer: &mut Writer, kind: u16, domain: u8, argument: u32) {
        let entries = self.tags.len();
        writer.section(kind, layout::U8, domain, argument, &self.tags);
        if self.tags.iter().any(|tag| matches!(*tag, tag::INT | tag::DOUBLE | tag::BOOL)) {
            let mut words = Vec::with_capacity(entries * 8);
            for word in &self.words {
                words.extend_from_slice(&word.to_le_bytes());
            }
            words.resize(entries * 8, 0);
            writer.section(kind, layout::U64, domain, argument, &words);
        }
        if !self.texts.is_empty() {
            writer.section(kind, layout::TEXT, domain, argument, &self.texts.encode(entries));
        }
        if !self.blobs.is_empty() {
            writer.section(kind, layout::BLOB, domain, argument, &self.blobs.encode(entries));
        }
    }
}
