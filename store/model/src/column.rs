//! Columns: values of one attribute key and type, by row.
//!
//! Filled by the walks (`otlp`), read by queries, by the emitter and by what seals blocks. Text is
//! interned per column, so that a predicate runs once per distinct value and not once per row.

mod renumber;

use std::ops::Range;

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64_with_seed;

pub(crate) use renumber::Renumber;

/// Longer values are never looked up in a dictionary: each is stored as its own blob.
pub const BLOB_BYTES_MIN: usize = 1024;

/// A dictionary is given up when this many values were offered and more than half were new:
/// looking up what never repeats costs more than it saves (45 ns a value, measured on order ids).
const DICTIONARY_TRIAL: usize = 2048;

/// Distinct byte strings, numbered from 0 in order of arrival.
///
/// While most values repeat it is a dictionary. Where they do not, it turns *plain*: every value
/// gets a number of its own and equal values may have several.
#[derive(Clone, Debug, Default)]
pub struct Interner {
    table: HashTable<Slot>,
    ends: Vec<u32>,
    bytes: Vec<u8>,
    offered: usize,
    plain: bool,
    keep: bool,
    seed: u64,
    /// What came last often comes again: one comparison instead of a hash.
    last: Option<u32>,
}

#[derive(Clone, Debug)]
struct Slot {
    hash: u32,
    code: u32,
}

impl Interner {
    /// An empty one. The seed keeps senders from choosing values that collide.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// An empty one that stays a dictionary whatever comes: equal values always share a number.
    #[must_use]
    pub fn dictionary(seed: u64) -> Self {
        Self { seed, keep: true, ..Self::default() }
    }

    /// Values as a block has them: `ends` are the ends of each in `bytes`, ascending, the last one
    /// where `bytes` end. It is plain: whatever is interned later gets a number of its own.
    #[must_use]
    pub fn from_values(ends: Vec<u32>, bytes: Vec<u8>) -> Option<Self> {
        let ascending = ends.is_sorted();
        let whole = ends.last().map_or(0, |end| *end as usize) == bytes.len();
        (ascending && whole).then(|| Self { ends, bytes, plain: true, ..Self::default() })
    }

    /// The number of `value`; a new one where it was not seen yet, or where values do not repeat.
    #[inline]
    pub fn intern(&mut self, value: &[u8]) -> u32 {
        if self.is_blob(value) {
            return self.push(value);
        }
        self.offered += 1;
        let hash = self.hash(value);
        let same =
            |slot: &Slot| slot.hash == hash && slice(&self.ends, &self.bytes, slot.code) == value;
        if let Some(slot) = self.table.find(widen(hash), same) {
            return slot.code;
        }
        self.insert(hash, value)
    }

    /// The number of `value`, if it has one; never where values do not repeat.
    #[inline]
    pub fn find(&self, value: &[u8]) -> Option<u32> {
        if self.is_blob(value) {
            return None;
        }
        let hash = self.hash(value);
        let same =
            |slot: &Slot| slot.hash == hash && slice(&self.ends, &self.bytes, slot.code) == value;
        self.table.find(widen(hash), same).map(|slot| slot.code)
    }

    /// The number of text that may be invalid UTF-8, which is then stored with U+FFFD in place
    /// of what is not valid. Valid text is checked once per distinct value.
    #[inline]
    pub fn intern_text(&mut self, value: &[u8]) -> u32 {
        if self.is_blob(value) {
            return self.push_text(value);
        }
        self.offered += 1;
        if let Some(last) = self.last.filter(|last| self.get(*last) == value) {
            return last;
        }
        let code = self.intern_other_text(value);
        self.last = Some(code);
        code
    }

    #[inline]
    fn intern_other_text(&mut self, value: &[u8]) -> u32 {
        let hash = self.hash(value);
        let same =
            |slot: &Slot| slot.hash == hash && slice(&self.ends, &self.bytes, slot.code) == value;
        if let Some(slot) = self.table.find(widen(hash), same) {
            return slot.code;
        }
        if simdutf8::basic::from_utf8(value).is_ok() {
            return self.insert(hash, value);
        }
        let repaired = String::from_utf8_lossy(value).into_owned();
        self.intern(repaired.as_bytes())
    }

    #[inline]
    fn is_blob(&self, value: &[u8]) -> bool {
        self.plain || (value.len() > BLOB_BYTES_MIN && !self.keep)
    }

    fn push_text(&mut self, value: &[u8]) -> u32 {
        if simdutf8::basic::from_utf8(value).is_ok() {
            return self.push(value);
        }
        self.push(String::from_utf8_lossy(value).as_bytes())
    }

    #[inline]
    fn hash(&self, value: &[u8]) -> u32 {
        let hash = xxh3_64_with_seed(value, self.seed);
        narrow(hash ^ hash >> 32)
    }

    fn insert(&mut self, hash: u32, value: &[u8]) -> u32 {
        let code = self.push(value);
        let rarely_repeats = self.ends.len() * 2 > self.offered;
        if !self.keep && self.ends.len() >= DICTIONARY_TRIAL && rarely_repeats {
            self.plain = true;
            self.table = HashTable::new();
        } else {
            self.table.insert_unique(widen(hash), Slot { hash, code }, |slot| widen(slot.hash));
        }
        code
    }

    fn push(&mut self, value: &[u8]) -> u32 {
        let code = count(self.ends.len());
        self.bytes.extend_from_slice(value);
        self.ends.push(count(self.bytes.len()));
        code
    }

    /// The value with this number.
    #[must_use]
    #[inline]
    pub fn get(&self, code: u32) -> &[u8] {
        slice(&self.ends, &self.bytes, code)
    }

    /// Where the value with this number stands, for [`Interner::at`].
    #[must_use]
    pub(crate) fn place(&self, code: u32) -> Range<u32> {
        let start = code.checked_sub(1).map_or(0, |before| self.ends[before as usize]);
        start..self.ends[code as usize]
    }

    /// The value at a place.
    #[inline]
    pub(crate) fn at(&self, place: &Range<u32>) -> &[u8] {
        &self.bytes[place.start as usize..place.end as usize]
    }

    /// The value with this number as text; only for interners that were filled with text.
    #[must_use]
    pub fn text(&self, code: u32) -> &str {
        std::str::from_utf8(self.get(code)).unwrap_or_default()
    }

    /// All values by their numbers.
    pub fn values(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        (0..count(self.len())).map(|code| self.get(code))
    }

    /// How many numbers are given out.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether no number is given out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Heap bytes held.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.table.capacity() * (size_of::<Slot>() + 1) * 8 / 7
            + self.ends.capacity() * 4
            + self.bytes.capacity()
    }
}

#[inline]
fn slice<'a>(ends: &[u32], bytes: &'a [u8], code: u32) -> &'a [u8] {
    let code = code as usize;
    let start = if code == 0 { 0 } else { ends[code - 1] as usize };
    &bytes[start..ends[code] as usize]
}

/// hashbrown takes the place from the low bits and the tag from the high ones.
#[inline]
fn widen(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the upper half was folded in before")]
const fn narrow(hash: u64) -> u32 {
    hash as u32
}

/// Rows, codes and arena offsets are 32 bits wide: a batch is sealed long before.
///
/// # Panics
/// When a batch outgrows 4 GiB, which its owner rules out: a segment of the head is closed at
/// `head.seal.bytes` ≤ 1 GiB, and what a request adds is bounded before it is taken.
#[inline]
#[must_use]
pub fn count(n: usize) -> u32 {
    u32::try_from(n).expect("a batch is sealed before it outgrows 32 bits")
}

/// What the values of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Type {
    /// An attribute without a value.
    Empty,
    /// Text.
    String,
    /// True or false.
    Bool,
    /// A signed 64-bit integer, by bits.
    Int,
    /// A 64-bit float, by bits.
    Double,
    /// Bytes.
    Bytes,
    /// An array or a map: an encoded OTLP `AnyValue`.
    Any,
    /// Attributes past a cap: encoded OTLP `KeyValue`s, each as a field 1 of its own.
    Overflow,
}

/// The values of one key and type: rows ascending, one value each (a row that repeats a key has
/// several).
#[derive(Debug)]
pub struct Column {
    /// Number of the key among the batch's keys.
    pub key: u32,
    /// What the values are.
    pub kind: Type,
    /// The rows that have a value.
    pub rows: Vec<u32>,
    /// Their values.
    pub values: Values,
}

/// Values by position, as `Column::rows`.
#[derive(Debug)]
pub enum Values {
    /// Numbers of byte strings.
    Codes(Vec<u32>, Interner),
    /// Bits of numbers and bools.
    Words(Vec<u64>),
}

impl Column {
    pub(crate) fn new(key: u32, kind: Type, seed: u64) -> Self {
        let values = match kind {
            Type::Empty | Type::Bool | Type::Int | Type::Double => Values::Words(Vec::new()),
            Type::String | Type::Bytes | Type::Any | Type::Overflow => {
                Values::Codes(Vec::new(), Interner::new(seed))
            }
        };
        Self { key, kind, rows: Vec::new(), values }
    }

    /// Whether rows ascend below `rows`, and each has a value that is there.
    pub(crate) fn is_sound(&self, rows: usize, keys: usize) -> bool {
        let sorted = self.rows.is_sorted() && (self.key as usize) < keys;
        let within = self.rows.last().is_none_or(|last| (*last as usize) < rows);
        let words = matches!(self.kind, Type::Empty | Type::Bool | Type::Int | Type::Double);
        sorted
            && within
            && match &self.values {
                Values::Codes(codes, values) => {
                    let known = codes.iter().all(|code| (*code as usize) < values.len());
                    !words && known && codes.len() == self.rows.len()
                }
                Values::Words(bits) => words && bits.len() == self.rows.len(),
            }
    }

    /// Takes back the last value if it is the row's.
    pub(crate) fn pop(&mut self, row: u32) {
        if self.rows.pop_if(|last| *last == row).is_some() {
            match &mut self.values {
                Values::Codes(codes, _) => drop(codes.pop()),
                Values::Words(words) => drop(words.pop()),
            }
        }
    }

    /// The positions of a row's values.
    #[must_use]
    pub fn positions(&self, row: u32) -> Range<usize> {
        let start = self.rows.partition_point(|r| *r < row);
        let length = self.rows[start..].iter().take_while(|r| **r == row).count();
        start..start + length
    }

    /// Heap bytes held.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.rows.capacity() * 4
            + match &self.values {
                Values::Codes(codes, dictionary) => codes.capacity() * 4 + dictionary.heap_bytes(),
                Values::Words(words) => words.capacity() * 8,
            }
    }
}

/// Where the rows of a range stand among ascending ones.
pub(crate) fn within(ascending: &[u32], rows: &Range<u32>) -> Range<usize> {
    let start = ascending.partition_point(|row| *row < rows.start);
    start..start + ascending[start..].partition_point(|row| *row < rows.end)
}

/// Values that few rows have; absent means zero.
#[derive(Debug, Default)]
pub struct Sparse {
    rows: Vec<u32>,
    values: Vec<u32>,
}

impl Sparse {
    /// Notes the value of a row that is larger than all rows before; zero is not stored.
    #[inline]
    pub fn put(&mut self, row: u32, value: u32) {
        if value != 0 {
            self.rows.push(row);
            self.values.push(value);
        }
    }

    /// The value of a row.
    #[must_use]
    pub fn get(&self, row: u32) -> u32 {
        self.rows.binary_search(&row).map_or(0, |position| self.values[position])
    }

    /// The rows that have a value, ascending, with their values.
    pub fn iter(&self) -> impl Iterator<Item = (u32, u32)> {
        self.rows.iter().copied().zip(self.values.iter().copied())
    }

    /// The values of these rows, rows counted from the first of them, each made another.
    pub(crate) fn cut(&self, rows: &Range<u32>, mut other: impl FnMut(u32) -> u32) -> Self {
        let range = within(&self.rows, rows);
        let mut cut = Self::default();
        for (row, value) in self.rows[range.clone()].iter().zip(&self.values[range]) {
            cut.put(row - rows.start, other(*value));
        }
        cut
    }

    pub(crate) fn is_within(&self, rows: usize) -> bool {
        self.rows.is_sorted() && self.rows.last().is_none_or(|last| (*last as usize) < rows)
    }

    /// Whether every value is the number of one of `values`.
    pub(crate) fn numbers(&self, values: &Interner) -> bool {
        self.values.iter().all(|code| (*code as usize) < values.len())
    }

    pub(crate) fn pop(&mut self, row: u32) {
        if self.rows.pop_if(|last| *last == row).is_some() {
            self.values.pop();
        }
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        (self.rows.capacity() + self.values.capacity()) * 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_share_a_number_while_they_repeat() {
        let mut interner = Interner::new(7);
        let a = interner.intern(b"a");
        let b = interner.intern(b"b");
        assert_ne!(a, b);
        assert_eq!(interner.intern(b"a"), a);
        assert_eq!((interner.get(a), interner.text(b)), (&b"a"[..], "b"));
    }

    #[test]
    fn values_that_never_repeat_turn_it_plain_and_stay_readable() {
        let mut interner = Interner::new(7);
        let codes: Vec<u32> = (0..10_000u32).map(|n| interner.intern(&n.to_le_bytes())).collect();
        assert!(interner.plain);
        assert_ne!(interner.intern(&5u32.to_le_bytes()), codes[5]);
        for (n, code) in (0..10_000u32).zip(codes) {
            assert_eq!(interner.get(code), n.to_le_bytes());
        }
    }

    #[test]
    fn long_values_are_blobs_and_invalid_text_is_repaired() {
        let mut interner = Interner::new(7);
        let long = vec![b'x'; BLOB_BYTES_MIN + 1];
        assert_ne!(interner.intern_text(&long), interner.intern_text(&long));
        let bad = interner.intern_text(b"a\xffb");
        assert_eq!(interner.text(bad), "a\u{fffd}b");
    }
}
