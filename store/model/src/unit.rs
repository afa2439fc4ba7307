//! Sizes and waits as people write them (`64MiB`, `10s`), and the faults of a configuration.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A number of bytes, written with its unit: `512`, `64KiB`, `16MiB`, `2GiB`, `10MB`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

/// Longest first, so that `MiB` is not read as `B`.
const UNITS: [(&str, u64); 10] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("B", 1),
];

impl ByteSize {
    /// `n` mebibytes.
    #[must_use]
    pub const fn mib(n: u64) -> Self {
        Self(n << 20)
    }

    /// Reads a number with a unit; no unit means bytes.
    ///
    /// # Errors
    /// Names the text and the forms that are understood.
    pub fn parse(text: &str) -> Result<Self, String> {
        let refuse = || format!("{text:?} is no size, write one as 512, 64KiB, 16MiB or 2GiB");
        let trimmed = text.trim();
        let (number, scale) = UNITS
            .iter()
            .find_map(|(unit, scale)| Some((trimmed.strip_suffix(unit)?, *scale)))
            .unwrap_or((trimmed, 1));
        let number: u64 = number.trim().parse().map_err(|_| refuse())?;
        number.checked_mul(scale).map(Self).ok_or_else(refuse)
    }

    /// The size as a length in memory, saturating.
    #[must_use]
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |(_, scale): &&(&str, u64)| self.0 >= *scale && self.0.is_multiple_of(*scale);
        match UNITS.iter().take(4).rev().find(whole) {
            Some((unit, scale)) => write!(f, "{}{unit}", self.0 / scale),
            None => write!(f, "{}B", self.0),
        }
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl de::Visitor<'_> for Text {
            type Value = ByteSize;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size such as 64MiB")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<ByteSize, E> {
                ByteSize::parse(text).map_err(E::custom)
            }
            fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<ByteSize, E> {
                Ok(ByteSize(bytes))
            }
        }
        deserializer.deserialize_any(Text)
    }
}

/// A length of time, written with its unit: `2ms`, `30s`, `1h 30m`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wait(pub Duration);

impl Wait {
    /// `n` milliseconds.
    #[must_use]
    pub const fn millis(n: u64) -> Self {
        Self(Duration::from_millis(n))
    }

    /// `n` seconds.
    #[must_use]
    pub const fn secs(n: u64) -> Self {
        Self(Duration::from_secs(n))
    }

    /// The length in nanoseconds, saturating.
    #[must_use]
    pub fn nanos(self) -> crate::Nanos {
        crate::Nanos(u64::try_from(self.0.as_nanos()).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

impl Serialize for Wait {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Wait {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_duration(&text).map(Self).map_err(|fault| {
            de::Error::custom(format!(
                "{text:?} is no duration, write one as 2ms, 30s or 1h: {fault}"
            ))
        })
    }
}

/// Everything that is wrong with a configuration, collected so that it is told at once.
#[derive(Debug, Default)]
pub struct Faults(Vec<Fault>);

/// One wrong value.
#[derive(Debug, PartialEq, Eq)]
pub struct Fault {
    /// The dotted key, such as `wal.commit.wait`.
    pub key: String,
    /// What was found there.
    pub found: String,
    /// What is accepted.
    pub accepted: String,
}

impl Faults {
    /// Notes a wrong value.
    pub fn push(&mut self, key: &str, found: impl fmt::Display, accepted: impl Into<String>) {
        let (found, accepted) = (found.to_string(), accepted.into());
        self.0.push(Fault { key: key.to_owned(), found, accepted });
    }

    /// Notes a value that is outside of `range` (both ends included).
    pub fn check_range<T: PartialOrd + fmt::Display>(
        &mut self,
        key: &str,
        found: T,
        range: std::ops::RangeInclusive<T>,
    ) {
        if !range.contains(&found) {
            self.push(key, found, format!("{} to {}", range.start(), range.end()));
        }
    }

    /// All of them, in the order in which they were found.
    #[must_use]
    pub fn list(&self) -> &[Fault] {
        &self.0
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} is not accepted, expected {}", self.key, self.found, self.accepted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_and_print_with_units() {
        for (text, bytes) in
            [("512", 512), ("64KiB", 65_536), ("2GiB", 2 << 30), ("10 MB", 10_000_000)]
        {
            assert_eq!(ByteSize::parse(text), Ok(ByteSize(bytes)), "{text}");
        }
        assert_eq!(ByteSize::mib(16).to_string(), "16MiB");
        assert_eq!(ByteSize(1000).to_string(), "1000B");
        assert!(ByteSize::parse("12 parsecs").is_err());
        assert!(ByteSize::parse("99999999999TiB").is_err());
    }
}
