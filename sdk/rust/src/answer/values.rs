//! Columns on their way into an answer.

use crate::buffer::Writer;
use crate::codes::{NONE, layout, tag};
use crate::intern::Interner;
use crate::value::Value;

/// A text that a column has been given: whatever is set to it costs no more look-ups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextId(u32);

/// So many entries tell whether a column is a dictionary: with more than [`DIFFERENT`] values it is none
/// (`docs/reference/plugin-buffer.md`, "One way to write").
const SAMPLE: usize = 128;
const DIFFERENT: usize = SAMPLE / 8 * 7;

/// Texts or blobs, and which of them each entry has.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entries {
    /// Of a column: it may be no dictionary.
    is_column: bool,
    index: Vec<u32>,
    values: Interner,
    order: Order,
    /// How many entries have been given a value, while there is an order.
    given: usize,
}

/// How values lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Order {
    /// Each once, in the order in which entries first use them.
    #[default]
    Used,
    /// One for each entry.
    Plain,
    /// Each once.
    Any,
}

impl Entries {
    fn column() -> Self {
        Self { is_column: true, ..Self::default() }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.put(self.index.len(), bytes);
    }

    pub(crate) fn put(&mut self, i: usize, bytes: &[u8]) {
        if i < self.index.len() {
            self.loosen();
        }
        let value = match self.order {
            Order::Plain => {
                while self.values.len() < i {
                    self.values.push(&[]);
                }
                self.values.push(bytes)
            }
            Order::Used | Order::Any => self.value(bytes),
        };
        self.put_value(i, value);
        self.given += 1;
        let is_due = self.is_column && self.given == SAMPLE && self.order == Order::Used;
        if is_due && self.values.len() > DIFFERENT {
            self.unfold();
        }
    }

    /// The number of a value, which is often the same as before: reasons are, and keys.
    fn value(&mut self, bytes: &[u8]) -> u32 {
        match self.index.last() {
            Some(last) if *last != NONE && self.values.get(*last) == bytes => *last,
            _ => self.values.intern(bytes),
        }
    }

    /// The number of a text that entries will be given; from now on it stays.
    fn known(&mut self, bytes: &[u8]) -> u32 {
        self.loosen();
        self.values.intern(bytes)
    }

    fn put_value(&mut self, i: usize, value: u32) {
        if self.index.len() <= i {
            self.index.resize(i + 1, NONE);
        }
        self.index[i] = value;
    }

    fn clear(&mut self, i: usize) {
        if self.index.get(i).is_some_and(|value| *value != NONE) {
            self.loosen();
            self.index[i] = NONE;
        }
    }

    /// Makes a value for each entry of a dictionary.
    #[cold]
    fn unfold(&mut self) {
        let mut values = Interner::default();
        for (value, number) in self.index.iter_mut().zip(0..) {
            values.push(self.values.get(*value));
            if *value != NONE {
                *value = number;
            }
        }
        self.values = values;
        self.order = Order::Plain;
    }

    /// Entries come in any order from now on.
    fn loosen(&mut self) {
        if self.order == Order::Plain {
            let mut values = Interner::default();
            for value in self.index.iter_mut().filter(|value| **value != NONE) {
                *value = values.intern(self.values.get(*value));
            }
            self.values = values;
        }
        self.order = Order::Any;
    }

    /// Whether no entry has a value.
    pub(crate) fn is_empty(&self) -> bool {
        self.index.iter().all(|value| *value == NONE)
    }

    /// About how many bytes the section of `entries` entries takes.
    pub(crate) fn size(&self, entries: usize) -> usize {
        let numbers = 3 + entries.max(self.index.len()) + self.values.len();
        numbers * 4 + self.values.heap().len()
    }

    /// Writes the section of `entries` entries.
    pub(crate) fn put_section(&self, entries: usize, out: &mut Vec<u8>) {
        let entries = entries.max(self.index.len());
        let values = &self.values;
        match self.order {
            Order::Used => {
                put_u32s(out, &[count(values.len()), count(entries)]);
                put_u32s(out, &self.index);
                out.resize(out.len() + (entries - self.index.len()) * 4, 0xff);
                put_u32s(out, &[0]);
                put_u32s(out, values.ends());
                out.extend_from_slice(values.heap());
            }
            Order::Plain => {
                put_u32s(out, &[count(entries), 0, 0]);
                put_u32s(out, values.ends());
                let rest = entries - values.len();
                put_u32s(out, &vec![count(values.heap().len()); rest]);
                out.extend_from_slice(values.heap());
            }
            Order::Any => self.put_loose(entries, out),
        }
    }

    /// Writes the section where values lie in any order, and some may be of no entry.
    fn put_loose(&self, entries: usize, out: &mut Vec<u8>) {
        let mut renumbered = vec![NONE; self.values.len()];
        let mut used = Vec::with_capacity(self.values.len());
        let mut index = vec![NONE; entries];
        let mut given = 0;
        for (number, value) in index.iter_mut().zip(&self.index) {
            let Some(known) = renumbered.get_mut(*value as usize) else { continue };
            if *known == NONE {
                *known = count(used.len());
                used.push(*value);
            }
            *number = *known;
            given += 1;
            if self.is_column && given == SAMPLE && used.len() > DIFFERENT {
                self.put_each(entries, out);
                return;
            }
        }
        put_u32s(out, &[count(used.len()), count(entries)]);
        put_u32s(out, &index);
        self.put_ends(&used, out);
    }

    /// Writes one value for each entry.
    fn put_each(&self, entries: usize, out: &mut Vec<u8>) {
        let mut index = self.index.clone();
        index.resize(entries, NONE);
        put_u32s(out, &[count(entries), 0]);
        self.put_ends(&index, out);
    }

    /// Writes where these values end, and them.
    fn put_ends(&self, values: &[u32], out: &mut Vec<u8>) {
        let mut end = 0;
        put_u32s(out, &[0]);
        for value in values {
            end += self.values.get(*value).len();
            put_u32s(out, &[count(end)]);
        }
        for value in values {
            out.extend_from_slice(self.values.get(*value));
        }
    }
}

fn put_u32s(out: &mut Vec<u8>, numbers: &[u32]) {
    let from = out.len();
    out.resize(from + numbers.len() * 4, 0);
    for (place, number) in out[from..].as_chunks_mut::<4>().0.iter_mut().zip(numbers) {
        *place = number.to_le_bytes();
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(NONE)
}

/// A column of an answer: for each entry a new value, a removal, or nothing.
#[derive(Clone, Debug)]
pub struct Values {
    tags: Vec<u8>,
    /// As long as the last entry that has one.
    words: Vec<u64>,
    texts: Entries,
    blobs: Entries,
}

impl Values {
    pub(crate) fn new(entries: usize) -> Self {
        let (texts, blobs) = (Entries::column(), Entries::column());
        Self { tags: vec![tag::ABSENT; entries], words: Vec::new(), texts, blobs }
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
        TextId(self.texts.known(text.as_bytes()))
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
    pub(crate) fn encode<'a>(
        &'a self,
        writer: &mut Writer<'a>,
        kind: u16,
        domain: u8,
        argument: u32,
    ) {
        let entries = self.tags.len();
        writer.section(kind, layout::U8, domain, argument, self.tags.as_slice());
        if self.tags.iter().any(|tag| matches!(*tag, tag::INT | tag::DOUBLE | tag::BOOL)) {
            let mut words = Vec::with_capacity(entries * 8);
            for word in &self.words {
                words.extend_from_slice(&word.to_le_bytes());
            }
            words.resize(entries * 8, 0);
            writer.section(kind, layout::U64, domain, argument, words);
        }
        if !self.texts.is_empty() {
            writer.entries((kind, layout::TEXT, domain, argument), &self.texts, entries);
        }
        if !self.blobs.is_empty() {
            writer.entries((kind, layout::BLOB, domain, argument), &self.blobs, entries);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::view::Texts;

    /// The same by the words of the contract: a section of so many entries.
    fn plain(given: &[Option<String>], is_column: bool) -> Vec<u8> {
        let first = || given.iter().flatten().take(SAMPLE);
        let mut different: Vec<&String> = first().collect();
        different.sort_unstable();
        different.dedup();
        let is_each = is_column && first().count() == SAMPLE && different.len() > DIFFERENT;
        let (mut values, mut index) = (Vec::new(), Vec::new());
        for text in given {
            match text {
                _ if is_each => values.push(text.clone().unwrap_or_default()),
                None => index.push(NONE),
                Some(text) => {
                    let known = values.iter().position(|known| known == text);
                    index.push(count(known.unwrap_or(values.len())));
                    if known.is_none() {
                        values.push(text.clone());
                    }
                }
            }
        }
        let mut ends = vec![0];
        values.iter().for_each(|value| ends.push(ends[ends.len() - 1] + count(value.len())));
        let mut out = Vec::new();
        put_u32s(&mut out, &[count(values.len()), count(index.len())]);
        put_u32s(&mut out, &index);
        put_u32s(&mut out, &ends);
        values.iter().for_each(|value| out.extend_from_slice(value.as_bytes()));
        out
    }

    /// What is done to the entries of a column.
    #[derive(Clone, Debug)]
    enum Deed {
        Put(usize, u32),
        Known(usize, u32),
        Clear(usize),
    }

    fn deeds() -> impl Strategy<Value = Vec<Deed>> {
        let some = prop_oneof![
            8 => (0..200_usize, 0..200_u32).prop_map(|(i, text)| Deed::Put(i, text)),
            1 => (0..200_usize, 0..200_u32).prop_map(|(i, text)| Deed::Known(i, text)),
            1 => (0..200_usize).prop_map(Deed::Clear),
        ];
        // In their order, nearly all or few of them different; then whatever comes.
        let order = (0..200_usize, prop_oneof![Just(1000), 100..130_u32, 1..9_u32]);
        let in_order = order.prop_map(|(many, different)| {
            let entries = (0..many).zip(0..).filter(|(i, _)| i % 11 != 5);
            entries.map(|(i, text)| Deed::Put(i, text % different)).collect::<Vec<_>>()
        });
        (in_order, prop_oneof![Just(Vec::new()), prop::collection::vec(some, 0..20)])
            .prop_map(|(first, then)| [first, then].concat())
    }

    proptest! {
        #[test]
        fn sections_are_written_in_one_way(deeds in deeds(), is_column in any::<bool>()) {
            let mut entries = if is_column { Entries::column() } else { Entries::default() };
            let mut given: Vec<Option<String>> = vec![None; 210];
            for deed in deeds {
                match deed {
                    Deed::Put(i, text) => {
                        let text = format!("text {text}");
                        entries.clear(i);
                        entries.put(i, text.as_bytes());
                        given[i] = Some(text);
                    }
                    Deed::Known(i, text) => {
                        let text = format!("text {text}");
                        let known = entries.known(text.as_bytes());
                        entries.put_value(i, known);
                        given[i] = Some(text);
                    }
                    Deed::Clear(i) => {
                        entries.clear(i);
                        given[i] = None;
                    }
                }
            }
            let mut out = vec![1; 4];
            entries.put_section(given.len(), &mut out);
            let section = out.split_off(4);
            prop_assert_eq!(&section, &plain(&given, is_column));
            prop_assert!(section.len() <= entries.size(given.len()) || !is_column);
            let read = Texts::parse(&section).unwrap();
            for (i, text) in given.iter().enumerate() {
                prop_assert_eq!(read.get(i).unwrap_or_default(), text.as_deref().unwrap_or_default());
            }
        }
    }
}
