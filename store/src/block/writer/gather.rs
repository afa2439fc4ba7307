//! Values of one column from several batches, in the order of the block.
//!
//! A value is known by a number: its place among the values of all sources. Numbers are put in
//! order first, then looked up; texts are borrowed from the dictionaries that they stand in.

use std::collections::HashMap;

/// No row, no number.
pub(super) const NONE: u32 = u32::MAX;

/// Which rows of a table have a value, and which.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    /// (row of the table in the block) << 32 | number.
    pairs: Vec<u64>,
}

impl Numbers {
    #[inline]
    pub(super) fn push(&mut self, row: u32, number: u32) {
        self.pairs.push(u64::from(row) << 32 | u64::from(number));
    }

    pub(super) fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Puts them in the order of their rows. A table row has one value at most.
    pub(super) fn sort(&mut self, rows: usize) {
        if self.pairs.is_sorted() {
            return;
        }
        // Sparse ones are sorted; scattering dense ones costs less than comparing them.
        if self.pairs.len() < rows / 8 {
            return self.pairs.sort_unstable();
        }
        let mut slots = vec![NONE; rows];
        for pair in &self.pairs {
            let (row, number) = split(*pair);
            if let Some(slot) = slots.get_mut(row as usize) {
                *slot = number;
            }
        }
        self.pairs.clear();
        for (row, number) in slots.into_iter().enumerate() {
            if number != NONE {
                self.push(model::column::count(row), number);
            }
        }
    }

    /// Puts few of them in the order of their rows; any number may stand for a value here.
    pub(super) fn sort_few(&mut self) {
        self.pairs.sort_unstable();
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = u32> {
        self.pairs.iter().map(|pair| split(*pair).0)
    }

    pub(super) fn numbers(&self) -> impl Iterator<Item = u32> {
        self.pairs.iter().map(|pair| split(*pair).1)
    }
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "takes the halves apart")]
const fn split(pair: u64) -> (u32, u32) {
    ((pair >> 32) as u32, pair as u32)
}

/// Byte strings as they go into pages.
#[derive(Debug)]
pub(super) enum Texts<'a> {
    /// Sorted distinct values, and a code for each.
    Dictionary(Vec<&'a [u8]>, Vec<u32>),
    /// One after the other.
    Plain(Vec<&'a [u8]>),
}

/// A dictionary of at most so many values is one whatever the values.
const SMALL: usize = 64;

/// Encodes texts given as numbers into `space`: a dictionary, unless (where that is allowed) more
/// than a third of them are distinct.
pub(super) fn texts<'a>(
    numbers: impl ExactSizeIterator<Item = u32> + Clone,
    space: &[&'a [u8]],
    may_be_plain: bool,
) -> Texts<'a> {
    let mut codes_of = vec![NONE; space.len()];
    let mut used = Vec::new();
    for number in numbers.clone() {
        let code = &mut codes_of[number as usize];
        if *code == NONE {
            *code = 0;
            used.push(number);
        }
    }
    if may_be_plain && used.len() > SMALL && used.len() * 3 > numbers.len() {
        return Texts::Plain(numbers.map(|number| space[number as usize]).collect());
    }
    used.sort_unstable_by(|a, b| space[*a as usize].cmp(space[*b as usize]));
    let mut dictionary: Vec<&[u8]> = Vec::with_capacity(used.len());
    for number in used {
        let text = space[number as usize];
        // Two sources may have the same text.
        if dictionary.last() != Some(&text) {
            dictionary.push(text);
        }
        codes_of[number as usize] = model::column::count(dictionary.len() - 1);
    }
    let codes = numbers.map(|number| codes_of[number as usize]).collect();
    Texts::Dictionary(dictionary, codes)
}

/// A dictionary of words: distinct values ascending, and a code for each value; `None` where too
/// many are distinct.
pub(super) fn words(values: &[u64]) -> Option<(Vec<u64>, Vec<u32>)> {
    const DISTINCT_MAX: usize = 4_096;
    let mut numbers: HashMap<u64, u32, xxhash_rust::xxh3::Xxh3DefaultBuilder> = HashMap::default();
    let mut codes = Vec::with_capacity(values.len());
    let mut last = None;
    for value in values {
        // Runs are common, and a comparison is cheaper than a hash.
        let code = match last {
            Some((seen, code)) if seen == *value => code,
            _ => {
                let next = model::column::count(numbers.len());
                *numbers.entry(*value).or_insert(next)
            }
        };
        if numbers.len() > DISTINCT_MAX
            || (numbers.len() > SMALL && numbers.len() * 3 > values.len())
        {
            return None;
        }
        last = Some((*value, code));
        codes.push(code);
    }
    let mut order: Vec<(u64, u32)> = numbers.into_iter().collect();
    order.sort_unstable();
    let mut place = vec![0; order.len()];
    for (at, (_, code)) in order.iter().enumerate() {
        place[*code as usize] = model::column::count(at);
    }
    codes.iter_mut().for_each(|code| *code = place[*code as usize]);
    Some((order.into_iter().map(|(value, _)| value).collect(), codes))
}

/// A dictionary of small numbers: distinct values ascending, and a code for each; `None` where a
/// number is too large for a table.
pub(super) fn small(values: &[u32]) -> Option<(Vec<u32>, Vec<u32>)> {
    const MAX: u32 = 1 << 20;
    let max = values.iter().copied().max().unwrap_or(0);
    if max >= MAX {
        return None;
    }
    let mut codes_of = vec![NONE; max as usize + 1];
    values.iter().for_each(|value| codes_of[*value as usize] = 0);
    let mut distinct = Vec::new();
    for (value, code) in codes_of.iter_mut().enumerate().filter(|(_, code)| **code != NONE) {
        *code = model::column::count(distinct.len());
        distinct.push(model::column::count(value));
    }
    let codes = values.iter().map(|value| codes_of[*value as usize]).collect();
    Some((distinct, codes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_in_the_order_of_their_rows_however_many_there_are() {
        for rows in [10, 1_000] {
            let mut numbers = Numbers::default();
            for (row, number) in [(5, 50), (2, 20), (9, 90)] {
                numbers.push(row, number);
            }
            numbers.sort(rows);
            assert_eq!(numbers.rows().collect::<Vec<_>>(), [2, 5, 9]);
            assert_eq!(numbers.numbers().collect::<Vec<_>>(), [20, 50, 90]);
        }
    }

    #[test]
    fn equal_texts_of_two_sources_share_a_code() {
        let space: [&[u8]; 4] = [b"b", b"a", b"a", b"c"];
        let Texts::Dictionary(dictionary, codes) = texts([0, 1, 2, 0].into_iter(), &space, true)
        else {
            panic!("few values make a dictionary")
        };
        assert_eq!(dictionary, [b"a", b"b"]);
        assert_eq!(codes, [1, 0, 0, 1]);
    }

    #[test]
    fn words_and_small_numbers_are_coded_in_order() {
        assert_eq!(words(&[7, 7, 3, 9, 3]), Some((vec![3, 7, 9], vec![1, 1, 0, 2, 0])));
        let distinct: Vec<u64> = (0..1_000).collect();
        assert_eq!(words(&distinct), None);
        assert_eq!(small(&[4, 0, 4]), Some((vec![0, 4], vec![1, 0, 1])));
        assert_eq!(small(&[u32::MAX]), None);
    }
}
