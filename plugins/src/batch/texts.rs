//! A column of texts on its way into a batch: a dictionary whose values each stand once, or, where nearly all are
//! different, one text after the other.

use traceweir_plugin::codes::NONE;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::projection::Mode;

/// A column. Its memory is used again for the next batch.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    is_unique: bool,
    /// Which value each entry has; as long as the entries that are known so far.
    index: Vec<u32>,
    /// Where each value ends.
    ends: Vec<u32>,
    heap: Vec<u8>,
    /// Values and 1, by hash; the length is a power of two, and at most half of it is in use.
    table: Vec<u32>,
    hashes: Vec<u32>,
    /// How many entries with a text there have been.
    offered: usize,
    seed: u64,
}

/// So many values of a dictionary are written before it is asked whether it is one.
const SAMPLE: usize = 128;

impl Texts {
    /// Begins a column.
    pub(crate) fn begin(&mut self, is_unique: bool, seed: u64) {
        self.is_unique = is_unique;
        self.seed = seed;
        self.offered = 0;
        self.index.clear();
        self.ends.clear();
        self.heap.clear();
        self.hashes.clear();
        self.table.clear();
    }

    /// Whether no entry has a text.
    pub(crate) const fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Gives an entry its text; entries come in their order, and those that do not come have none.
    #[inline]
    pub(crate) fn put(&mut self, entry: usize, text: &[u8]) {
        if self.is_unique {
            self.put_unique(entry, text);
        } else {
            self.put_known(entry, text);
        }
    }

    /// As [`put`](Self::put) where the text is most likely the one of an entry before.
    #[inline]
    pub(crate) fn put_as(&mut self, entry: usize, text: &[u8], like: usize) {
        if self.is_unique {
            self.put_unique(entry, text);
        } else if let Some(value) = self.index.get(like).copied()
            && value != NONE
            && same(self.value(value), text)
        {
            self.put_value(entry, value);
        } else {
            let value = self.intern_other(text);
            self.put_value(entry, value);
        }
    }

    #[inline]
    fn put_unique(&mut self, entry: usize, text: &[u8]) {
        if self.ends.len() < entry {
            self.ends.resize(entry, at32(self.heap.len()));
        }
        self.heap.extend_from_slice(text);
        self.ends.push(at32(self.heap.len()));
    }

    fn put_known(&mut self, entry: usize, text: &[u8]) {
        let value = self.intern(text);
        self.put_value(entry, value);
    }

    #[inline]
    fn put_value(&mut self, entry: usize, value: u32) {
        if self.index.len() < entry {
            self.index.resize(entry, NONE);
        }
        self.index.push(value);
        self.offered += 1;
    }

    /// The number of a value of the dictionary, which it may be new to.
    #[inline]
    pub(crate) fn intern(&mut self, text: &[u8]) -> u32 {
        // What came last often comes again.
        if let Some(last) = self.index.last().copied()
            && last != NONE
            && same(self.value(last), text)
        {
            return last;
        }
        self.intern_other(text)
    }

    fn intern_other(&mut self, text: &[u8]) -> u32 {
        if self.ends.len() * 2 >= self.table.len() {
            self.grow();
        }
        let hash = xxh3_64_with_seed(text, self.seed);
        let hash = narrow(hash ^ hash >> 32);
        let mask = self.table.len() - 1;
        let mut at = hash as usize & mask;
        while let Some(value @ 1..) = self.table.get(at).copied() {
            let value = value - 1;
            if self.hashes.get(value as usize) == Some(&hash) && same(self.value(value), text) {
                return value;
            }
            at = (at + 1) & mask;
        }
        let value = at32(self.ends.len());
        if let Some(place) = self.table.get_mut(at) {
            *place = value + 1;
        }
        self.hashes.push(hash);
        self.heap.extend_from_slice(text);
        self.ends.push(at32(self.heap.len()));
        value
    }

    #[cold]
    fn grow(&mut self) {
        let length = (self.table.len() * 4).max(64);
        self.table.clear();
        self.table.resize(length, 0);
        for (value, hash) in (1..).zip(&self.hashes) {
            let mut at = *hash as usize & (length - 1);
            while self.table.get(at).is_some_and(|value| *value != 0) {
                at = (at + 1) & (length - 1);
            }
            if let Some(place) = self.table.get_mut(at) {
                *place = value;
            }
        }
    }

    /// A value of the dictionary.
    #[inline]
    pub(crate) fn value(&self, value: u32) -> &[u8] {
        let value = value as usize;
        let start = match value.checked_sub(1) {
            None => 0,
            Some(before) => self.ends.get(before).copied().unwrap_or(0),
        };
        let end = self.ends.get(value).copied().unwrap_or(0);
        self.heap.get(start as usize..end as usize).unwrap_or_default()
    }

    /// How many values there are.
    pub(crate) const fn values(&self) -> usize {
        self.ends.len()
    }

    /// The text of an entry; empty where there is none.
    pub(crate) fn get(&self, entry: usize) -> &[u8] {
        if self.is_unique {
            return self.value(at32(entry));
        }
        match self.index.get(entry) {
            Some(value) if *value != NONE => self.value(*value),
            _ => &[],
        }
    }

    /// Whether a dictionary that has been filled up to an entry is none: its values are nearly unique. Then it goes on
    /// as one text after the other, and the next batches begin so.
    #[inline]
    pub(crate) fn adapt(&mut self, mode: &Mode) {
        if self.offered == SAMPLE && !self.is_unique && self.ends.len() > SAMPLE / 8 * 7 {
            mode.set_unique();
            self.unfold();
        }
    }

    #[cold]
    fn unfold(&mut self) {
        let mut unique = Self { is_unique: true, ..Self::default() };
        for entry in 0..self.index.len() {
            unique.put_unique(entry, self.get(entry));
        }
        self.is_unique = true;
        self.index.clear();
        self.ends = unique.ends;
        self.heap = unique.heap;
    }

    /// Ends a column of so many texts; what is not UTF-8 keeps its valid parts.
    pub(crate) fn end_texts(&mut self, entries: usize) {
        if !self.are_utf8() {
            self.repair();
        }
        self.end(entries);
    }

    /// Ends a column of so many entries that are bytes.
    pub(crate) fn end(&mut self, entries: usize) {
        if self.is_unique {
            self.ends.resize(entries, at32(self.heap.len()));
        } else {
            self.index.resize(entries, NONE);
        }
    }

    /// Ends a list of values that are no entries of anything.
    pub(crate) fn end_list(&mut self) {
        if !self.are_utf8() {
            self.repair();
        }
        self.index.clear();
    }

    /// Whether every value is: all of them together are, and none ends within a character.
    fn are_utf8(&self) -> bool {
        let whole = |end: &u32| self.heap.get(*end as usize).is_none_or(|byte| byte & 0xc0 != 0x80);
        self.heap.is_ascii()
            || simdutf8::basic::from_utf8(&self.heap).is_ok() && self.ends.iter().all(whole)
    }

    #[cold]
    fn repair(&mut self) {
        let mut right = Self { is_unique: self.is_unique, seed: self.seed, ..Self::default() };
        if self.is_unique {
            for value in 0..at32(self.ends.len()) {
                right.put(value as usize, String::from_utf8_lossy(self.value(value)).as_bytes());
            }
        } else {
            // Two that are different may become one.
            let value = |value| right.intern(String::from_utf8_lossy(self.value(value)).as_bytes());
            let values: Vec<u32> = (0..at32(self.ends.len())).map(value).collect();
            let number = |old: &u32| values.get(*old as usize).copied().unwrap_or(NONE);
            right.index = self.index.iter().map(number).collect();
        }
        *self = right;
    }

    /// Bytes of its section.
    pub(crate) fn section_bytes(&self) -> usize {
        12 + 4 * (self.index.len() + self.ends.len()) + self.heap.len()
    }

    /// Writes its section.
    pub(crate) fn put_section(&self, out: &mut Vec<u8>) {
        out.reserve(self.section_bytes());
        out.extend_from_slice(&at32(self.ends.len()).to_le_bytes());
        out.extend_from_slice(&at32(self.index.len()).to_le_bytes());
        put_u32s(out, &self.index);
        out.extend_from_slice(&0u32.to_le_bytes());
        put_u32s(out, &self.ends);
        out.extend_from_slice(&self.heap);
    }
}

/// Whether texts are the same, which most are not that are compared: told by their first bytes without a call. Nor is
/// there one for those that are empty, which may point anywhere: with AVX-512 that takes 70 ns.
#[inline]
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    let first = |text: &[u8]| text.first_chunk::<8>().copied();
    a.len() == b.len() && (a.is_empty() || first(a) == first(b) && a == b)
}

/// Appends numbers, little endian.
pub(crate) fn put_u32s(out: &mut Vec<u8>, numbers: &[u32]) {
    let from = out.len();
    out.resize(from + 4 * numbers.len(), 0);
    let places = out.get_mut(from..).unwrap_or_default();
    for (place, number) in places.chunks_exact_mut(4).zip(numbers) {
        place.copy_from_slice(&number.to_le_bytes());
    }
}

/// Appends numbers, little endian.
pub(crate) fn put_u64s(out: &mut Vec<u8>, numbers: &[u64]) {
    let from = out.len();
    out.resize(from + 8 * numbers.len(), 0);
    let places = out.get_mut(from..).unwrap_or_default();
    for (place, number) in places.chunks_exact_mut(8).zip(numbers) {
        place.copy_from_slice(&number.to_le_bytes());
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a batch is shorter than 4 GiB, as its request"
)]
pub(crate) const fn at32(at: usize) -> u32 {
    at as u32
}

#[expect(clippy::cast_possible_truncation, reason = "that is its purpose")]
const fn narrow(hash: u64) -> u32 {
    hash as u32
}
