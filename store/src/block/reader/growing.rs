//! Texts of several columns gathered into one interner.

use model::column::{Interner, count};

use crate::block::section::damaged;
use crate::error::Error;

/// An interner that grows without looking anything up.
pub(super) struct Growing {
    ends: Vec<u32>,
    bytes: Vec<u8>,
    too_long: bool,
}

impl From<Interner> for Growing {
    fn from(interner: Interner) -> Self {
        let mut growing = Self { ends: Vec::new(), bytes: Vec::new(), too_long: false };
        growing.append(&interner);
        growing
    }
}

impl Growing {
    pub(super) fn push(&mut self, value: &[u8]) -> u32 {
        let code = count(self.ends.len());
        self.bytes.extend_from_slice(value);
        let end = u32::try_from(self.bytes.len());
        self.too_long |= end.is_err();
        self.ends.push(end.unwrap_or(u32::MAX));
        code
    }

    /// Appends all values; the number of the first.
    pub(super) fn append(&mut self, values: &Interner) -> u32 {
        let base = count(self.ends.len());
        for value in values.values() {
            self.push(value);
        }
        base
    }

    pub(super) fn done(self) -> Result<Interner, Error> {
        let Self { ends, bytes, too_long } = self;
        let built = if too_long { None } else { Interner::from_values(ends, bytes) };
        built.ok_or_else(|| damaged("texts of more than 4 GiB"))
    }
}
