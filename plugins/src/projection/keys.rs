//! Which of many keys an attribute has: asked of every attribute of every span, so that most are told apart by their
//! length alone.

use xxhash_rust::xxh3::xxh3_64;

/// Keys, and beginnings of keys, each with a number.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    /// A bit for each length, modulo 64, that a key has.
    lengths: u64,
    /// The keys, by their hash where there are more than a few.
    exact: Vec<(Box<[u8]>, u32)>,
    /// Places in `exact` and 1, by hash; empty where there are few.
    table: Vec<u32>,
    starts: Vec<Start>,
}

/// The beginning of a key.
#[derive(Debug)]
struct Start {
    bytes: Box<[u8]>,
    /// The first eight bytes, and which of them count.
    word: u64,
    mask: u64,
    number: u32,
}

impl Start {
    /// Whether a key whose first word is right begins so. Nothing is compared with nothing: a slice that is empty may
    /// point anywhere, and on processors with AVX-512 a comparison there takes 70 ns.
    #[inline]
    fn goes_on(&self, key: &[u8]) -> bool {
        let length = self.bytes.len();
        length <= key.len() && (length <= 8 || key.get(8..length) == self.bytes.get(8..))
    }
}

/// Up to so many keys are compared one by one.
const FEW: usize = 6;

impl Keys {
    /// Adds a key. Of a key that is added twice both numbers are told.
    pub(crate) fn insert(&mut self, key: &[u8], number: u32) {
        self.lengths |= length_bit(key);
        self.exact.push((key.into(), number));
    }

    /// Adds what keys begin with.
    pub(crate) fn insert_start(&mut self, bytes: &[u8], number: u32) {
        let (word, mask) = (word_of(bytes), mask_of(bytes.len()));
        self.starts.push(Start { bytes: bytes.into(), word, mask, number });
    }

    /// Makes many keys as quick to find as few. To be called when all have been added.
    pub(crate) fn seal(&mut self) {
        if self.exact.len() <= FEW {
            return;
        }
        self.table = vec![0; (self.exact.len() * 2).next_power_of_two()];
        for (place, (key, _)) in (1..).zip(&self.exact) {
            let mut at = self.first_place(key);
            while self.table.get(at).is_some_and(|place| *place != 0) {
                at = (at + 1) & (self.table.len() - 1);
            }
            if let Some(free) = self.table.get_mut(at) {
                *free = place;
            }
        }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.starts.is_empty()
    }

    /// Whether some start was added.
    pub(crate) const fn has_starts(&self) -> bool {
        !self.starts.is_empty()
    }

    /// Tells the number of each key that this one is.
    #[inline]
    pub(crate) fn each(&self, key: &[u8], mut told: impl FnMut(u32)) {
        if self.lengths & length_bit(key) == 0 {
            return;
        }
        if self.table.is_empty() {
            for (known, number) in &self.exact {
                if **known == *key {
                    told(*number);
                }
            }
            return;
        }
        let mut at = self.first_place(key);
        while let Some(place @ 1..) = self.table.get(at).copied() {
            if let Some((known, number)) = self.exact.get(place as usize - 1)
                && **known == *key
            {
                told(*number);
            }
            at = (at + 1) & (self.table.len() - 1);
        }
    }

    /// Tells the number of each start that the key begins with.
    #[inline]
    pub(crate) fn each_start(&self, key: &[u8], mut told: impl FnMut(u32)) {
        if self.starts.is_empty() {
            return;
        }
        let word = word_of(key);
        for start in &self.starts {
            if (word ^ start.word) & start.mask == 0 && start.goes_on(key) {
                told(start.number);
            }
        }
    }

    /// Whether it is one of the keys, or begins as one of the starts.
    #[inline]
    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        let mut found = false;
        self.each(key, |_| found = true);
        self.each_start(key, |_| found = true);
        found
    }

    /// Where the search for a key begins, in a table whose length is a power of two.
    #[expect(clippy::cast_possible_truncation, reason = "the table is shorter than 2^32")]
    fn first_place(&self, key: &[u8]) -> usize {
        xxh3_64(key) as usize & (self.table.len() - 1)
    }
}

const fn length_bit(key: &[u8]) -> u64 {
    1 << (key.len() & 63)
}

/// The first eight bytes, with zeros behind a shorter text.
#[inline]
fn word_of(bytes: &[u8]) -> u64 {
    match bytes.first_chunk() {
        Some(chunk) => u64::from_le_bytes(*chunk),
        None => bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    }
}

/// The bits of a word that a text of so many bytes fills.
const fn mask_of(length: usize) -> u64 {
    if length >= 8 { u64::MAX } else { (1 << (8 * length)) - 1 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn keys_and_starts_are_found(
            keys in prop::collection::vec("[a-c]{0,3}|k{60,70}", 0..20),
            starts in prop::collection::vec("[a-c]{0,3}|[a-b]{7,10}", 0..6),
            asked in "[a-c]{0,4}|k{60,70}|[a-b]{7,12}",
        ) {
            let mut found = Keys::default();
            (0..).zip(&keys).for_each(|(number, key)| found.insert(key.as_bytes(), number));
            (0..).zip(&starts).for_each(|(number, key)| found.insert_start(key.as_bytes(), number));
            found.seal();
            let (mut exact, mut begins) = (Vec::new(), Vec::new());
            found.each(asked.as_bytes(), |number| exact.push(number));
            found.each_start(asked.as_bytes(), |number| begins.push(number));
            exact.sort_unstable();
            let of = |list: &[String], holds: &dyn Fn(&str) -> bool| -> Vec<u32> {
                (0..).zip(list).filter(|(_, key)| holds(key)).map(|(number, _)| number).collect()
            };
            prop_assert_eq!(exact, of(&keys, &|key| key == asked));
            prop_assert_eq!(begins, of(&starts, &|key| asked.starts_with(key)));
            let has = keys.contains(&asked) || starts.iter().any(|start| asked.starts_with(start));
            prop_assert_eq!(found.contains(asked.as_bytes()), has);
        }
    }
}
