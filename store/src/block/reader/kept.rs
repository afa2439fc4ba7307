//! A column of a row group as the cache keeps it: decoded, in as few bytes as its codes take.

use std::sync::Arc;

use super::leaf::Values;
use crate::block::page::Owned;

/// See the module.
#[derive(Debug)]
pub(in crate::block) struct Kept {
    /// Without its values.
    frame: Values,
    values: Small,
}

#[derive(Debug)]
enum Small {
    Codes8(Vec<u8>),
    Codes16(Vec<u16>),
    Words8(Vec<u8>),
    Words16(Vec<u16>),
    Other(Owned),
}

impl Kept {
    /// Keeps what was read.
    pub(in crate::block) fn new(values: &Values) -> Self {
        let small = match values.owned() {
            Owned::Codes(codes) => match (narrow(codes), narrow(codes)) {
                (Some(codes), _) => Small::Codes8(codes),
                (None, Some(codes)) => Small::Codes16(codes),
                (None, None) => Small::Other(Owned::Codes(shrunk(codes))),
            },
            Owned::Words32(words) => match (narrow(words), narrow(words)) {
                (Some(words), _) => Small::Words8(words),
                (None, Some(words)) => Small::Words16(words),
                (None, None) => Small::Other(Owned::Words32(shrunk(words))),
            },
            other => Small::Other(other.clone()),
        };
        Self { frame: values.without_values(), values: small }
    }

    /// What was read.
    pub(in crate::block) fn values(&self) -> Values {
        let owned = match &self.values {
            Small::Codes8(codes) => Owned::Codes(wide(codes)),
            Small::Codes16(codes) => Owned::Codes(wide(codes)),
            Small::Words8(words) => Owned::Words32(wide(words)),
            Small::Words16(words) => Owned::Words32(wide(words)),
            Small::Other(values) => values.clone(),
        };
        self.frame.with_values(owned)
    }

    /// Heap bytes held.
    pub(in crate::block) fn heap_bytes(&self) -> usize {
        let values = match &self.values {
            Small::Codes8(values) | Small::Words8(values) => values.capacity(),
            Small::Codes16(values) | Small::Words16(values) => values.capacity() * 2,
            Small::Other(values) => values.heap_bytes(),
        };
        let dictionary = self.frame.dictionary().map_or(0, |all: &Arc<Owned>| all.heap_bytes());
        values + dictionary + self.frame.rep.capacity() + self.frame.def.capacity()
    }
}

/// The same numbers in fewer bytes, where they fit.
fn narrow<T: TryFrom<u32>>(numbers: &[u32]) -> Option<Vec<T>> {
    let max = numbers.iter().copied().max().unwrap_or(0);
    T::try_from(max).ok()?;
    numbers.iter().map(|number| T::try_from(*number).ok()).collect()
}

fn wide<T: Copy + Into<u32>>(numbers: &[T]) -> Vec<u32> {
    numbers.iter().map(|number| (*number).into()).collect()
}

fn shrunk(numbers: &[u32]) -> Vec<u32> {
    numbers.to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_kept_in_as_few_bytes_as_they_take() {
        assert_eq!(narrow::<u8>(&[0, 255]), Some(vec![0, 255]));
        assert_eq!(narrow::<u8>(&[0, 256]), None);
        assert_eq!(narrow::<u16>(&[65_535]), Some(vec![65_535]));
        assert_eq!(narrow::<u16>(&[65_536]), None);
        assert_eq!(wide(&[7u8, 255]), [7, 255]);
    }
}
