//! Which attributes of spans somebody wants to know of, by their keys.
//!
//! It is asked of every attribute of every span, so it takes a few instructions, and says yes to some that nobody has
//! asked for. Whoever reads on has less to look through: most plugins name a few of the twenty that a span has.

/// Keys, and what keys begin with. It has what was added to it, and may have more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interest {
    /// A bit for each length of a key, modulo 64, which most are told apart by.
    lengths: u64,
    /// A bit for each key.
    keys: u64,
    starts: [Start; STARTS_MAX],
    /// How many of them are in use.
    count: usize,
}

/// So many different beginnings; where there are more every key has one.
const STARTS_MAX: usize = 4;

/// The first bytes of keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Start {
    bytes: u128,
    /// Those that count.
    mask: u128,
}

impl Start {
    const EVERY: Self = Self { bytes: 0, mask: 0 };

    /// Whether a key that begins as the other one says begins as this one says.
    const fn has(self, other: Self) -> bool {
        self.mask & other.mask == self.mask && (self.bytes ^ other.bytes) & self.mask == 0
    }
}

/// The bit of a key, by its length and its last byte: keys begin alike more often than they end alike.
#[inline(always)]
const fn bit(length: usize, last: u8) -> u64 {
    1 << ((length + 11 * last as usize) & 63)
}

impl Interest {
    /// In nothing.
    pub const NONE: Self =
        Self { lengths: 0, keys: 0, starts: [Start::EVERY; STARTS_MAX], count: 0 };
    /// In every attribute.
    pub const ALL: Self = Self { count: 1, ..Self::NONE };

    /// With attributes by this key, too.
    #[must_use]
    pub fn with_key(mut self, key: &[u8]) -> Self {
        let Some(last) = key.last() else { return Self::ALL };
        self.lengths |= 1 << (key.len() & 63);
        self.keys |= bit(key.len(), *last);
        self
    }

    /// With attributes whose keys begin so, too.
    #[must_use]
    pub fn with_start(self, start: &[u8]) -> Self {
        let mut bytes = [0; 16];
        bytes.iter_mut().zip(start).for_each(|(to, from)| *to = *from);
        let unused = u32::try_from(16 - start.len().min(16)).unwrap_or(0);
        let mask = u128::MAX.checked_shr(8 * unused).unwrap_or(0);
        self.with(Start { bytes: u128::from_le_bytes(bytes), mask })
    }

    fn with(mut self, start: Start) -> Self {
        if self.starts().iter().any(|known| known.has(start)) {
            return self;
        }
        let Some(free) = self.starts.get_mut(self.count) else { return Self::ALL };
        *free = start;
        self.count += 1;
        self
    }

    fn starts(&self) -> &[Start] {
        self.starts.get(..self.count).unwrap_or_default()
    }

    /// What either has.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let (lengths, keys) = (self.lengths | other.lengths, self.keys | other.keys);
        other.starts().iter().fold(Self { lengths, keys, ..self }, |all, start| all.with(*start))
    }

    /// Whether it has all that the other one has.
    #[must_use]
    pub fn covers(self, other: Self) -> bool {
        let has = |start: &Start| self.starts().iter().any(|own| own.has(*start));
        let has_keys =
            self.lengths & other.lengths == other.lengths && self.keys & other.keys == other.keys;
        has(&Start::EVERY) || has_keys && other.starts().iter().all(has)
    }

    /// Whether it has an attribute, which is known to begin with its key.
    #[inline(always)]
    pub(super) fn has(&self, pair: &[u8]) -> bool {
        let [_, length @ 0..0x80, key @ ..] = pair else { return true };
        if self.lengths >> (length & 63) & 1 != 0 {
            let length = usize::from(*length);
            let is_key = |last: &u8| self.keys & bit(length, *last) != 0;
            if pair.get(1 + length).is_none_or(is_key) {
                return true;
            }
        }
        self.count != 0 && self.has_start(key)
    }

    /// Whether a key begins as it should, which the value follows. Short ones are not looked at closely.
    #[inline]
    fn has_start(&self, key: &[u8]) -> bool {
        let Some(bytes) = key.first_chunk() else { return true };
        let bytes = u128::from_le_bytes(*bytes);
        self.starts().iter().any(|start| (bytes ^ start.bytes) & start.mask == 0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::put_bytes;

    fn pair(key: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        put_bytes(&mut out, 1, key);
        // Not too short to be looked at closely.
        put_bytes(&mut out, 2, b"\x0a\x10 some text, quoted");
        out
    }

    fn of(keys: &[String], starts: &[String]) -> Interest {
        let all = keys.iter().fold(Interest::NONE, |all, key| all.with_key(key.as_bytes()));
        starts.iter().fold(all, |all, start| all.with_start(start.as_bytes()))
    }

    proptest! {
        #[test]
        fn it_has_what_was_added(
            keys in prop::collection::vec("[a-c]{1,3}|k{120,140}", 0..6),
            starts in prop::collection::vec("[a-b]{0,2}|[a-b]{14,18}", 0..7),
            more in prop::collection::vec("[a-b]{1,2}", 0..6),
            rest in "[a-c]{0,20}",
        ) {
            let (one, other) = (of(&keys, &starts), of(&more, &more));
            let both = one.and(other);
            prop_assert!(both.covers(one) && both.covers(other) && one.covers(one));
            for key in &keys {
                prop_assert!(one.has(&pair(key.as_bytes())) && both.has(&pair(key.as_bytes())));
            }
            for start in starts.iter().chain(&more) {
                let key = format!("{start}{rest}");
                prop_assert!(both.has(&pair(key.as_bytes())), "{key}");
            }
            prop_assert!(Interest::ALL.has(&pair(rest.as_bytes())));
            prop_assert!(Interest::ALL.covers(both));
        }
    }

    #[test]
    fn it_has_little_more() {
        let interest = Interest::NONE.with_key(b"url.full").with_start(b"http.request.header.");
        for key in ["http.request.header.cookie", "http.request.header.", "url.full"] {
            assert!(interest.has(&pair(key.as_bytes())), "{key}");
        }
        for key in ["http.request.method", "http.route", "server.address", "thread.id", "url.path"]
        {
            assert!(!interest.has(&pair(key.as_bytes())), "{key}");
            assert!(!Interest::NONE.has(&pair(key.as_bytes())));
        }
        assert!(!Interest::NONE.covers(interest) && !interest.covers(Interest::ALL));
        assert!(interest.covers(Interest::NONE.with_start(b"http.request.header.a")));
    }
}
