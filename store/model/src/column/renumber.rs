//! The part of an interner that some rows use.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::{Interner, count};

/// New numbers, from 0, for those values of an interner that are asked for, and only they.
#[derive(Debug)]
pub(crate) struct Renumber<'a> {
    from: &'a Interner,
    numbers: HashMap<u32, u32, BuildHasherDefault<Fold>>,
    used: Vec<u32>,
}

impl<'a> Renumber<'a> {
    pub(crate) fn new(from: &'a Interner) -> Self {
        Self { from, numbers: HashMap::default(), used: Vec::new() }
    }

    /// The new number of a value.
    pub(crate) fn number(&mut self, code: u32) -> u32 {
        let next = count(self.used.len());
        let number = *self.numbers.entry(code).or_insert(next);
        if number == next {
            self.used.push(code);
        }
        number
    }

    /// The new number of each.
    pub(crate) fn all(&mut self, codes: &[u32]) -> Vec<u32> {
        codes.iter().map(|code| self.number(*code)).collect()
    }

    /// The old numbers, by the new ones.
    pub(crate) fn used(&self) -> &[u32] {
        &self.used
    }

    /// The values by their new numbers.
    pub(crate) fn done(self) -> Interner {
        let mut values = Interner { plain: true, ..Interner::default() };
        for code in &self.used {
            values.push(self.from.get(*code));
        }
        values
    }
}

/// Hashes codes, which no sender chooses.
#[derive(Debug, Default)]
struct Fold(u64);

impl Hasher for Fold {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u32((*byte).into()));
    }

    fn write_u32(&mut self, code: u32) {
        let word = (self.0 ^ u64::from(code)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = word ^ word >> 32;
    }
}
