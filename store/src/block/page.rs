//! Pages of Parquet, both ways: column chunks from values that are known already, and back.
//!
//! [`Encoder::chunk`] turns the levels and values of one column of a row group into pages (data
//! pages of version 1, zstd); [`Decoder`] turns a page back. A reader goes by [`ChunkMeta`] alone,
//! which a section of the block keeps; other readers go by the page headers and the footer, which
//! say the same. Formats: github.com/apache/parquet-format (`README.md`, `Encodings.md`).

mod bits;
mod decode;
mod delta;
mod encode;
mod header;
mod meta;
mod part;
#[cfg(test)]
mod tests;

pub use decode::{Decoded, Decoder, Owned};
pub use encode::Encoder;
pub use meta::{ChunkMeta, PageMeta};

/// The longest body of a page before it is compressed.
const RAW_BYTES_MAX: u32 = 1 << 30;
/// The most entries of a page: more than one request can have of anything.
const ENTRIES_MAX: u32 = 1 << 26;

/// What a column stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Physical {
    /// `BOOLEAN`.
    Boolean,
    /// `INT32`, by bits.
    Int32,
    /// `INT64`, by bits.
    Int64,
    /// `DOUBLE`, by bits.
    Double,
    /// `BYTE_ARRAY`.
    Bytes,
    /// `FIXED_LEN_BYTE_ARRAY` of so many bytes.
    Fixed(u8),
}

/// How the values of a chunk are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Encoding {
    /// As they are.
    Plain = 0,
    /// Codes of a dictionary.
    Dictionary = 8,
    /// Differences, bit-packed (`DELTA_BINARY_PACKED`); integers.
    Delta = 5,
    /// Lengths as differences, then all bytes (`DELTA_LENGTH_BYTE_ARRAY`); byte strings.
    DeltaLength = 6,
    /// All first bytes, then all second ones, and so on (`BYTE_STREAM_SPLIT`); 64-bit numbers. Alike
    /// bytes stand together: durations take 3.0 instead of 3.6 bytes.
    Split = 9,
}

impl Encoding {
    /// The encoding with this number.
    #[must_use]
    pub const fn of(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::Plain,
            8 => Self::Dictionary,
            5 => Self::Delta,
            6 => Self::DeltaLength,
            9 => Self::Split,
            _ => return None,
        })
    }
}

/// Values to write, without the absent ones, in order.
#[derive(Clone, Copy, Debug)]
pub enum Values<'a> {
    /// Of `Boolean`.
    Bools(&'a [bool]),
    /// Of `Int32`.
    Words32(&'a [u32]),
    /// Of `Int64` and `Double`.
    Words(&'a [u64]),
    /// Of `Fixed`, one behind the other.
    Fixed(&'a [u8]),
    /// Of `Bytes`.
    Texts(&'a [&'a [u8]]),
    /// Of any type, as codes of the chunk's dictionary.
    Codes(&'a [u32]),
}

/// Which of the entries of a chunk have a value. Empty where the highest level is 0.
#[derive(Clone, Copy, Debug)]
pub struct Levels<'a> {
    /// Highest repetition level: how many lists the column is in.
    pub max_rep: u8,
    /// Highest definition level: an entry at it has a value.
    pub max_def: u8,
    /// Repetition level of each entry; 0 begins a row.
    pub rep: &'a [u8],
    /// Definition level of each entry.
    pub def: &'a [u8],
}

/// One column of a row group to write.
#[derive(Clone, Copy, Debug)]
pub struct Chunk<'a> {
    /// What it stores.
    pub physical: Physical,
    /// How.
    pub encoding: Encoding,
    /// Which entries have a value.
    pub levels: Levels<'a>,
    /// The values.
    pub values: Values<'a>,
    /// The dictionary's values, where `values` are codes.
    pub dictionary: Option<Values<'a>>,
    /// Rows of the row group.
    pub rows: u32,
    /// Rows of a page, or fewer where they are long; a page ends where a row ends.
    pub page_rows: u32,
}

/// How many of the levels are this one.
pub(in crate::block) fn count_of(levels: &[u8], level: u8) -> usize {
    // Counted in bytes as far as they hold it, so that the compiler counts many at once.
    let counts = levels.chunks(usize::from(u8::MAX)).map(|some| {
        some.iter().fold(0u8, |count, other| count.wrapping_add(u8::from(*other == level)))
    });
    counts.map(usize::from).sum()
}
