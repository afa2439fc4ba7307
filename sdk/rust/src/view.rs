//! Typed views over the sections of a buffer: numbers, texts and bytes where they lie, without copies. A view was
//! held against the rules when its buffer was parsed, so reading cannot fail: what is out of reach is `None`.

use std::ops::Range;

use crate::codes::NONE;
use crate::error::PluginError;

/// What sections of numbers are made of.
pub trait Number: Copy {
    /// Its bytes.
    type Bytes: Copy + std::fmt::Debug + 'static;
    /// The entries that lie in `bytes`, whole ones only.
    fn entries(bytes: &[u8]) -> &[Self::Bytes];
    /// Reads one.
    fn read(bytes: Self::Bytes) -> Self;
}

impl Number for u32 {
    type Bytes = [u8; 4];
    fn entries(bytes: &[u8]) -> &[[u8; 4]] {
        bytes.as_chunks().0
    }
    fn read(bytes: [u8; 4]) -> Self {
        Self::from_le_bytes(bytes)
    }
}

impl Number for u64 {
    type Bytes = [u8; 8];
    fn entries(bytes: &[u8]) -> &[[u8; 8]] {
        bytes.as_chunks().0
    }
    fn read(bytes: [u8; 8]) -> Self {
        Self::from_le_bytes(bytes)
    }
}

impl Number for f64 {
    type Bytes = [u8; 8];
    fn entries(bytes: &[u8]) -> &[[u8; 8]] {
        bytes.as_chunks().0
    }
    fn read(bytes: [u8; 8]) -> Self {
        Self::from_le_bytes(bytes)
    }
}

/// A section of numbers, which need not be aligned.
#[derive(Debug)]
pub struct Numbers<'a, T: Number>(&'a [T::Bytes]);

impl<T: Number> Clone for Numbers<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Number> Copy for Numbers<'_, T> {}

impl<T: Number> Default for Numbers<'_, T> {
    fn default() -> Self {
        Self(&[])
    }
}

impl<'a, T: Number> Numbers<'a, T> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(T::entries(bytes))
    }

    /// Those before `entries`, if there are so many.
    pub(crate) fn first(self, entries: usize) -> Option<Self> {
        self.0.get(..entries).map(Self)
    }

    /// How many there are.
    #[must_use]
    pub fn len(self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// Entry `i`, if there is one.
    #[must_use]
    pub fn get(self, i: usize) -> Option<T> {
        self.0.get(i).map(|bytes| T::read(*bytes))
    }

    /// All, in their order.
    pub fn iter(self) -> impl ExactSizeIterator<Item = T> + 'a
    where
        T: 'a,
    {
        self.0.iter().map(|bytes| T::read(*bytes))
    }
}

/// What a dictionary holds: text or bytes.
pub trait Heap {
    /// Takes bytes for it, if they are such.
    fn from_bytes(bytes: &[u8]) -> Option<&Self>;
    /// Whether a value may end at `at`.
    fn ends_at(&self, at: usize) -> bool;
    /// A part of it.
    fn part(&self, range: Range<usize>) -> Option<&Self>;
}

impl Heap for str {
    fn from_bytes(bytes: &[u8]) -> Option<&Self> {
        std::str::from_utf8(bytes).ok()
    }
    fn ends_at(&self, at: usize) -> bool {
        self.is_char_boundary(at)
    }
    fn part(&self, range: Range<usize>) -> Option<&Self> {
        self.get(range)
    }
}

impl Heap for [u8] {
    fn from_bytes(bytes: &[u8]) -> Option<&Self> {
        Some(bytes)
    }
    fn ends_at(&self, at: usize) -> bool {
        at <= self.len()
    }
    fn part(&self, range: Range<usize>) -> Option<&Self> {
        self.get(range)
    }
}

/// Texts or blobs: values that each stand once, and which of them each entry has; or a value for each entry. Work
/// that depends on the value alone is done once for each of [`values`](Self::values), and found for an entry by
/// [`index`](Self::index).
#[derive(Debug)]
pub struct Dictionary<'a, T: Heap + ?Sized> {
    index: Option<Numbers<'a, u32>>,
    ends: Numbers<'a, u32>,
    heap: &'a T,
}

/// A section of texts.
pub type Texts<'a> = Dictionary<'a, str>;
/// A section of bytes.
pub type Blobs<'a> = Dictionary<'a, [u8]>;

impl<T: Heap + ?Sized> Clone for Dictionary<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Heap + ?Sized> Copy for Dictionary<'_, T> {}

impl<'a, T: Heap + ?Sized> Default for Dictionary<'a, T>
where
    &'a T: Default,
{
    fn default() -> Self {
        Self { index: None, ends: Numbers::default(), heap: <&T>::default() }
    }
}

impl<'a, T: Heap + ?Sized> Dictionary<'a, T> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, PluginError> {
        let short = || PluginError::bad_input("a section of texts is shorter than it says");
        let (head, rest) = split(bytes, 2).ok_or_else(short)?;
        let (values, indices) = head.get(0).zip(head.get(1)).ok_or_else(short)?;
        let (index, rest) = split(rest, indices).ok_or_else(short)?;
        let count = values.checked_add(1).ok_or_else(short)?;
        let (ends, heap) = split(rest, count).ok_or_else(short)?;
        let last = ends.iter().try_fold(0, |last, end| (last <= end).then_some(end));
        let last = last.filter(|_| ends.get(0) == Some(0));
        let last = last.ok_or_else(|| PluginError::bad_input("texts end before they begin"))?;
        let heap = heap.get(..last as usize).ok_or_else(short)?;
        let heap = T::from_bytes(heap)
            .filter(|heap| ends.iter().all(|end| heap.ends_at(end as usize)))
            .ok_or_else(|| PluginError::bad_input("a text is not UTF-8"))?;
        Ok(Self { index: (indices > 0).then_some(index), ends, heap })
    }

    /// Refuses too few entries, and an index that leads nowhere.
    pub(crate) fn check(self, entries: usize) -> Result<(), PluginError> {
        if self.len() < entries {
            return Err(PluginError::bad_input("a section of texts has too few entries"));
        }
        let values = self.value_count();
        match self.index {
            Some(index) if !index.iter().all(|at| at == NONE || (at as usize) < values) => {
                Err(PluginError::bad_input("an index of texts leads nowhere"))
            }
            _ => Ok(()),
        }
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(self) -> usize {
        self.index.map_or_else(|| self.value_count(), Numbers::len)
    }

    /// Whether there are no entries.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The value of entry `i`, if it has one.
    #[must_use]
    pub fn get(self, i: usize) -> Option<&'a T> {
        self.value(self.index(i)?)
    }

    /// Which of the values entry `i` has.
    #[must_use]
    pub fn index(self, i: usize) -> Option<usize> {
        let value = match self.index {
            Some(index) => index.get(i)? as usize,
            None => i,
        };
        (value < self.value_count()).then_some(value)
    }

    /// How many values there are: each stands once in a dictionary; else every entry has its own.
    #[must_use]
    pub fn value_count(self) -> usize {
        self.ends.len().saturating_sub(1)
    }

    /// The value with this number.
    #[must_use]
    pub fn value(self, value: usize) -> Option<&'a T> {
        let end = self.ends.get(value.checked_add(1)?)? as usize;
        self.heap.part(self.ends.get(value)? as usize..end)
    }

    /// All values, in their order.
    pub fn values(self) -> impl Iterator<Item = &'a T> {
        (0..self.value_count()).filter_map(move |value| self.value(value))
    }
}

/// `count` numbers, and what comes behind them.
fn split(bytes: &[u8], count: u32) -> Option<(Numbers<'_, u32>, &[u8])> {
    let length = usize::try_from(count).ok()?.checked_mul(4)?;
    let (numbers, rest) = bytes.split_at_checked(length)?;
    Some((Numbers::new(numbers), rest))
}
