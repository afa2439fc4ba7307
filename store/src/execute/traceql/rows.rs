//! Sets of rows, a bit each, and conditions that are true, false or neither.

use model::column::count;

/// Rows of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rows {
    words: Vec<u64>,
    len: u32,
}

impl Rows {
    pub(super) fn none(len: u32) -> Self {
        Self { words: vec![0; (len as usize).div_ceil(64)], len }
    }

    pub(super) fn all(len: u32) -> Self {
        let mut rows = Self { words: vec![u64::MAX; (len as usize).div_ceil(64)], len };
        rows.trim();
        rows
    }

    /// The rows for which a test is true.
    pub(super) fn of(len: u32, mut test: impl FnMut(u32) -> bool) -> Self {
        let mut rows = Self::none(len);
        for (at, word) in rows.words.iter_mut().enumerate() {
            let first = count(at * 64);
            for bit in 0..64.min(len - first) {
                *word |= u64::from(test(first + bit)) << bit;
            }
        }
        rows
    }

    /// The rows of a set for which a test is true.
    pub(super) fn filter(&self, mut test: impl FnMut(u32) -> bool) -> Self {
        let mut rows = Self::none(self.len);
        for (at, (word, left)) in rows.words.iter_mut().zip(&self.words).enumerate() {
            let first = count(at * 64);
            if *left == u64::MAX {
                // No branch for each where all are asked for.
                for bit in 0..64 {
                    *word |= u64::from(test(first + bit)) << bit;
                }
                continue;
            }
            let mut left = *left;
            while left != 0 {
                let bit = left.trailing_zeros();
                left &= left - 1;
                *word |= u64::from(test(first + bit)) << bit;
            }
        }
        rows
    }

    /// The rows of a set whose value in a column passes a test. It is called for others, too, so that
    /// nothing has to be guessed.
    #[inline]
    pub(super) fn filter_by<T: Copy>(&self, column: &[T], test: impl Fn(T) -> bool) -> Self {
        let mut rows = Self::none(self.len);
        let words = rows.words.iter_mut().zip(&self.words).zip(column.chunks(64));
        for ((word, within), values) in words.filter(|((_, within), _)| **within != 0) {
            *word = bits(values.iter().map(|value| test(*value))) & within;
        }
        rows
    }

    /// The same of two columns.
    #[inline]
    pub(super) fn filter_by_both<T: Copy>(
        &self,
        columns: (&[T], &[T]),
        test: impl Fn(T, T) -> bool,
    ) -> Self {
        let mut rows = Self::none(self.len);
        let chunks = columns.0.chunks(64).zip(columns.1.chunks(64));
        let words = rows.words.iter_mut().zip(&self.words).zip(chunks);
        for ((word, within), (a, b)) in words.filter(|((_, within), _)| **within != 0) {
            *word = bits(a.iter().zip(b).map(|(a, b)| test(*a, *b))) & within;
        }
        rows
    }

    fn trim(&mut self) {
        let over = self.len % 64;
        if let (Some(last), true) = (self.words.last_mut(), over > 0) {
            *last &= (1 << over) - 1;
        }
    }

    pub(super) fn len(&self) -> u32 {
        self.len
    }

    #[inline]
    pub(super) fn set(&mut self, row: u32) {
        if let Some(word) = self.words.get_mut(row as usize / 64) {
            *word |= 1 << (row % 64);
        }
    }

    #[inline]
    pub(super) fn contains(&self, row: u32) -> bool {
        self.words.get(row as usize / 64).is_some_and(|word| word >> (row % 64) & 1 == 1)
    }

    pub(super) fn and(mut self, other: &Self) -> Self {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word &= other);
        self
    }

    pub(super) fn or(mut self, other: &Self) -> Self {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word |= other);
        self
    }

    /// Without the rows of another set.
    pub(super) fn minus(mut self, other: &Self) -> Self {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word &= !other);
        self
    }

    pub(super) fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// How many rows there are in it.
    pub(super) fn count(&self) -> u32 {
        self.words.iter().map(|word| word.count_ones()).sum()
    }

    /// The first row from `row` on.
    pub(super) fn next_from(&self, row: u32) -> Option<u32> {
        let mut at = row as usize / 64;
        let mut word = self.words.get(at)? & (u64::MAX << (row % 64));
        while word == 0 {
            at += 1;
            word = *self.words.get(at)?;
        }
        Some(count(at * 64) + word.trailing_zeros())
    }

    /// The last row before `end`.
    pub(super) fn last_before(&self, end: u32) -> Option<u32> {
        let end = end.min(self.len);
        let mut at = end as usize / 64;
        let over = end % 64;
        let mut word = self.words.get(at).map_or(0, |word| word & ((1 << over) - 1));
        while word == 0 {
            at = at.checked_sub(1)?;
            word = *self.words.get(at)?;
        }
        Some(count(at * 64) + 63 - word.leading_zeros())
    }

    /// The rows of a range, ascending.
    pub(super) fn within(&self, range: std::ops::Range<u32>) -> impl Iterator<Item = u32> {
        let mut at = range.start;
        std::iter::from_fn(move || {
            let row = self.next_from(at).filter(|row| *row < range.end)?;
            at = row + 1;
            Some(row)
        })
    }

    /// Takes out the rows of a range.
    pub(super) fn clear(&mut self, range: std::ops::Range<u32>) {
        for row in range {
            if let Some(word) = self.words.get_mut(row as usize / 64) {
                *word &= !(1 << (row % 64));
            }
        }
    }

    /// Ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = u32> {
        self.words.iter().enumerate().flat_map(|(at, word)| {
            let base = count(at * 64);
            let mut left = *word;
            std::iter::from_fn(move || {
                (left != 0).then(|| {
                    let bit = left.trailing_zeros();
                    left &= left - 1;
                    base + bit
                })
            })
        })
    }
}

/// A word of what is true, the first lowest.
#[inline]
fn bits(are: impl Iterator<Item = bool>) -> u64 {
    // First bytes, which a processor makes of several values at once.
    let mut bytes = [[0u8; 8]; 8];
    bytes.as_flattened_mut().iter_mut().zip(are).for_each(|(byte, is)| *byte = u8::from(is));
    // Byte `n` of a product is moved to bit `56 + n`, and nothing else gets that far.
    let bits = |bytes: [u8; 8]| u64::from_le_bytes(bytes).wrapping_mul(0x0102_0408_1020_4080) >> 56;
    bytes.into_iter().rev().fold(0, |word, bytes| word << 8 | bits(bytes))
}

/// For which rows something is true, and for which it is false. For others it is neither: a field
/// is missing, or of a type that does not fit. (The logic is Kleene's.)
#[derive(Clone, Debug)]
pub(super) struct Truth {
    pub(super) yes: Rows,
    pub(super) no: Rows,
}

impl Truth {
    pub(super) fn always(value: bool, len: u32) -> Self {
        let (all, none) = (Rows::all(len), Rows::none(len));
        if value { Self { yes: all, no: none } } else { Self { yes: none, no: all } }
    }

    pub(super) fn never(len: u32) -> Self {
        Self { yes: Rows::none(len), no: Rows::none(len) }
    }

    /// True for some rows, false for all others.
    pub(super) fn exact(yes: Rows) -> Self {
        let no = Rows::all(yes.len()).minus(&yes);
        Self { yes, no }
    }

    /// The same, for some rows only.
    pub(super) fn within(self, rows: &Rows) -> Self {
        Self { yes: self.yes.and(rows), no: self.no.and(rows) }
    }

    pub(super) fn not(self) -> Self {
        Self { yes: self.no, no: self.yes }
    }

    pub(super) fn and(self, other: &Self) -> Self {
        Self { yes: self.yes.and(&other.yes), no: self.no.or(&other.no) }
    }

    pub(super) fn or(self, other: &Self) -> Self {
        Self { yes: self.yes.or(&other.yes), no: self.no.and(&other.no) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_found_across_words() {
        let rows = Rows::of(200, |row| [0, 63, 64, 130, 199].contains(&row));
        let ahead = |from| rows.next_from(from);
        assert_eq!(
            [ahead(0), ahead(1), ahead(64), ahead(65)],
            [Some(0), Some(63), Some(64), Some(130)]
        );
        assert_eq!([ahead(199), ahead(200), ahead(999)], [Some(199), None, None]);
        let before = |end| rows.last_before(end);
        assert_eq!([before(999), before(199), before(130)], [Some(199), Some(130), Some(64)]);
        assert_eq!(
            [before(64), before(63), before(1), before(0)],
            [Some(63), Some(0), Some(0), None]
        );
        assert_eq!(rows.within(1..131).collect::<Vec<_>>(), [63, 64, 130]);
        let odd = rows.filter(|row| row % 2 == 1);
        assert_eq!(odd.iter().collect::<Vec<_>>(), [63, 199]);
        let column: Vec<u32> = (0..200).collect();
        let above = rows.filter_by(&column, |value| value > 63);
        assert_eq!(above.iter().collect::<Vec<_>>(), [64, 130, 199]);
        let even = rows.filter_by_both((&column, &column), |a, b| (a + b) % 4 == 0);
        assert_eq!(even.iter().collect::<Vec<_>>(), [0, 64, 130]);
    }
}
