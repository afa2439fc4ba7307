//! Numbers bytes in the order in which they are first seen, for the dictionaries of an answer. One list of all bytes and
//! a table of numbers: nothing is allocated per value.

/// An empty place of the table.
const FREE: u32 = u32::MAX;

/// Bytes, each once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interner {
    /// Numbers of values, found by their hash; its length is a power of two, at most half of it taken.
    table: Vec<u32>,
    /// Of each value, the part that a table uses.
    hashes: Vec<u32>,
    ends: Vec<u32>,
    heap: Vec<u8>,
}

impl Interner {
    /// How many values there are.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Where each value ends in the heap.
    pub(crate) fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// All values, one after the other.
    pub(crate) fn heap(&self) -> &[u8] {
        &self.heap
    }

    /// The value with this number; nothing for one that is none.
    pub(crate) fn get(&self, value: u32) -> &[u8] {
        let value = value as usize;
        let start = value.checked_sub(1).and_then(|before| self.ends.get(before)).copied();
        let end = self.ends.get(value).copied().unwrap_or_default();
        self.heap.get(start.unwrap_or_default() as usize..end as usize).unwrap_or_default()
    }

    /// The number of `bytes`.
    pub(crate) fn intern(&mut self, bytes: &[u8]) -> u32 {
        if self.ends.len() * 2 >= self.table.len() {
            self.grow();
        }
        let hash = hash(bytes);
        let mask = self.table.len() - 1;
        let mut at = hash as usize & mask;
        while self.table[at] != FREE {
            let value = self.table[at];
            if self.hashes.get(value as usize) == Some(&hash) && self.get(value) == bytes {
                return value;
            }
            at = (at + 1) & mask;
        }
        self.table[at] = u32::try_from(self.ends.len()).unwrap_or(FREE);
        self.hashes.push(hash);
        self.push(bytes)
    }

    /// Appends a value without looking whether it is there: from then on nothing can be looked for.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> u32 {
        let value = u32::try_from(self.ends.len()).unwrap_or(FREE);
        self.heap.extend_from_slice(bytes);
        self.ends.push(u32::try_from(self.heap.len()).unwrap_or(u32::MAX));
        value
    }

    #[cold]
    fn grow(&mut self) {
        let places = (self.table.len() * 4).max(16);
        self.table.clear();
        self.table.resize(places, FREE);
        for (value, hash) in (0..).zip(&self.hashes) {
            let mut at = *hash as usize & (places - 1);
            while self.table[at] != FREE {
                at = (at + 1) & (places - 1);
            }
            self.table[at] = value;
        }
    }
}

/// Multiplies and rotates, eight bytes at a time. Whoever chooses keys to collide pays with the time limit of the
/// call, not with the host's.
fn hash(bytes: &[u8]) -> u32 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |hash: u64, word: u64| (hash.rotate_left(29) ^ word).wrapping_mul(ODD);
    let (words, rest) = bytes.as_chunks::<8>();
    let mut hash =
        words.iter().fold(bytes.len() as u64, |hash, word| mix(hash, u64::from_le_bytes(*word)));
    let mut last = [0; 8];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    hash = mix(hash, u64::from_le_bytes(last));
    #[expect(clippy::cast_possible_truncation, reason = "the bits that a table uses")]
    let hash = (hash ^ (hash >> 32)) as u32;
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_numbered_in_the_order_in_which_they_come() {
        let mut interner = Interner::default();
        let words: Vec<String> = (0..1000).map(|i| format!("value {}", i % 300)).collect();
        let numbers: Vec<u32> = words.iter().map(|word| interner.intern(word.as_bytes())).collect();
        assert!(numbers.iter().enumerate().all(|(i, number)| *number as usize == i % 300));
        assert_eq!(interner.len(), 300);
        assert_eq!(interner.get(299), b"value 299");
    }
}
