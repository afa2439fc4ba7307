//! Pages back into levels and values.

use std::fmt;

use zstd::bulk::Decompressor;

use super::bits::{hybrid, width};
use super::{Encoding, PageMeta, Physical, delta};
use crate::block::section::damaged;
use crate::error::Error;

/// The longest body that is decompressed.
const RAW_BYTES_MAX: u32 = 1 << 30;

/// Values that were read.
#[derive(Clone, Debug, PartialEq)]
pub enum Owned {
    /// Of `Boolean`.
    Bools(Vec<bool>),
    /// Of `Int32`.
    Words32(Vec<u32>),
    /// Of `Int64` and `Double`.
    Words(Vec<u64>),
    /// Of `Fixed`, one behind the other.
    Fixed(Vec<u8>),
    /// Of `Bytes`.
    Texts {
        /// Where each ends in `bytes`.
        ends: Vec<u32>,
        /// All of them.
        bytes: Vec<u8>,
    },
    /// Codes of the chunk's dictionary. Nobody has compared them with its length yet.
    Codes(Vec<u32>),
}

/// What was read of a chunk: pages one behind the other.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// Repetition levels; empty where the highest is 0.
    pub rep: Vec<u8>,
    /// Definition levels; empty where the highest is 0.
    pub def: Vec<u8>,
    /// The values that are there.
    pub values: Owned,
}

impl Decoded {
    /// Nothing yet.
    #[must_use]
    pub fn new(physical: Physical, encoding: Encoding) -> Self {
        let values = match (encoding, physical) {
            (Encoding::Dictionary, _) => Owned::Codes(Vec::new()),
            (_, physical) => empty(physical),
        };
        Self { rep: Vec::new(), def: Vec::new(), values }
    }
}

fn empty(physical: Physical) -> Owned {
    match physical {
        Physical::Boolean => Owned::Bools(Vec::new()),
        Physical::Int32 => Owned::Words32(Vec::new()),
        Physical::Int64 | Physical::Double => Owned::Words(Vec::new()),
        Physical::Fixed(_) => Owned::Fixed(Vec::new()),
        Physical::Bytes => Owned::Texts { ends: Vec::new(), bytes: Vec::new() },
    }
}

/// Reads pages; the buffer and the decompressor are used again.
pub struct Decoder {
    decompressor: Decompressor<'static>,
    raw: Vec<u8>,
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Decoder")
    }
}

impl Decoder {
    /// A decoder.
    ///
    /// # Errors
    /// `Io` where the library cannot be set up.
    pub fn new() -> Result<Self, Error> {
        let decompressor =
            Decompressor::new().map_err(|fault| Error::io("make a decompressor", fault))?;
        Ok(Self { decompressor, raw: Vec::new() })
    }

    /// Reads a dictionary page: `bytes` are its header and body.
    ///
    /// # Errors
    /// `Corrupt` when the bytes are not what was written.
    pub fn dictionary(
        &mut self,
        physical: Physical,
        page: &PageMeta,
        bytes: &[u8],
    ) -> Result<Owned, Error> {
        self.open(page, bytes)?;
        let mut values = empty(physical);
        plain(&self.raw, physical, page.values as usize, &mut values)?;
        Ok(values)
    }

    /// Reads a data page and appends it. `max` are the highest repetition and definition level.
    ///
    /// # Errors
    /// `Corrupt` when the bytes are not what was written; `into` may hold a part then.
    pub fn page(
        &mut self,
        physical: Physical,
        encoding: Encoding,
        max: (u8, u8),
        page: &PageMeta,
        bytes: &[u8],
        into: &mut Decoded,
    ) -> Result<(), Error> {
        self.open(page, bytes)?;
        let entries = page.entries as usize;
        let mut rest = self.raw.as_slice();
        let (max_rep, max_def) = max;
        levels(&mut rest, max_rep, entries, &mut into.rep)?;
        let before = into.def.len();
        levels(&mut rest, max_def, entries, &mut into.def)?;
        let present = match max_def {
            0 => entries,
            _ => into.def.iter().skip(before).filter(|level| **level == max_def).count(),
        };
        if present != page.values as usize {
            return Err(damaged("a page has another number of values than it should"));
        }
        values(rest, physical, encoding, present, &mut into.values)
    }

    /// Checks a page's bytes and decompresses its body.
    fn open(&mut self, page: &PageMeta, bytes: &[u8]) -> Result<(), Error> {
        if bytes.len() != page.len as usize || crc32c::crc32c(bytes) != page.crc {
            return Err(damaged("checksum mismatch in a page"));
        }
        let body = bytes.get(page.header_len as usize..).unwrap_or_default();
        if page.raw_len > RAW_BYTES_MAX {
            return Err(damaged("a page is longer than any can be"));
        }
        let raw_len = page.raw_len as usize;
        self.raw.clear();
        self.raw.reserve(raw_len);
        let done = self.decompressor.decompress_to_buffer(body, &mut self.raw);
        match done {
            Ok(len) if len == raw_len => Ok(()),
            _ => Err(damaged("a page cannot be decompressed")),
        }
    }
}

/// Reads the levels of a page: their length, then runs.
fn levels(rest: &mut &[u8], max: u8, entries: usize, out: &mut Vec<u8>) -> Result<(), Error> {
    if max == 0 {
        return Ok(());
    }
    let fault = || damaged("levels end early");
    let (len, after) = rest.split_first_chunk::<4>().ok_or_else(fault)?;
    let len = u32::from_le_bytes(*len) as usize;
    let (runs, after) = after.split_at_checked(len).ok_or_else(fault)?;
    *rest = after;
    // Widths of levels are at most two bits.
    hybrid(runs, width(u32::from(max)), entries, |level| level.to_le_bytes()[0], out)?;
    Ok(())
}

fn values(
    bytes: &[u8],
    physical: Physical,
    encoding: Encoding,
    count: usize,
    out: &mut Owned,
) -> Result<(), Error> {
    let fault = || damaged("values end early or are of another kind");
    match (encoding, out) {
        (Encoding::Dictionary, Owned::Codes(codes)) => {
            let (bits, runs) = bytes.split_first().ok_or_else(fault)?;
            if *bits > 32 {
                return Err(fault());
            }
            hybrid(runs, *bits, count, |code| code, codes)?;
        }
        (Encoding::Delta, Owned::Words(words)) => {
            delta::read(bytes, count, |word| words.push(word))?;
        }
        (Encoding::Delta, Owned::Words32(words)) => {
            delta::read(bytes, count, |word| words.push(low(word)))?;
        }
        (Encoding::DeltaLength, Owned::Texts { ends, bytes: all }) => {
            let mut end = all.len() as u64;
            let mut fits = true;
            let taken = delta::read(bytes, count, |len| {
                end = end.saturating_add(len);
                fits &= u32::try_from(end).is_ok();
                ends.push(u32::try_from(end).unwrap_or(u32::MAX));
            })?;
            let text = bytes.get(taken..).unwrap_or_default();
            if !fits || end - all.len() as u64 != text.len() as u64 {
                return Err(fault());
            }
            all.extend_from_slice(text);
        }
        (Encoding::Plain, out) => plain(bytes, physical, count, out)?,
        _ => return Err(fault()),
    }
    Ok(())
}

fn plain(bytes: &[u8], physical: Physical, count: usize, out: &mut Owned) -> Result<(), Error> {
    let fault = || damaged("plain values end early or are of another kind");
    match (physical, out) {
        (Physical::Boolean, Owned::Bools(bools)) => {
            if bytes.len() != count.div_ceil(8) {
                return Err(fault());
            }
            let bits = bytes.iter().flat_map(|byte| (0..8).map(move |at| byte >> at & 1 == 1));
            bools.extend(bits.take(count));
        }
        (Physical::Int32, Owned::Words32(words)) => {
            let (whole, rest) = bytes.as_chunks::<4>();
            if whole.len() != count || !rest.is_empty() {
                return Err(fault());
            }
            words.extend(whole.iter().map(|word| u32::from_le_bytes(*word)));
        }
        (Physical::Int64 | Physical::Double, Owned::Words(words)) => {
            let (whole, rest) = bytes.as_chunks::<8>();
            if whole.len() != count || !rest.is_empty() {
                return Err(fault());
            }
            words.extend(whole.iter().map(|word| u64::from_le_bytes(*word)));
        }
        (Physical::Fixed(width), Owned::Fixed(all)) => {
            if bytes.len() != count.saturating_mul(usize::from(width)) {
                return Err(fault());
            }
            all.extend_from_slice(bytes);
        }
        (Physical::Bytes, Owned::Texts { ends, bytes: all }) => {
            let mut rest = bytes;
            for _ in 0..count {
                let (len, after) = rest.split_first_chunk::<4>().ok_or_else(fault)?;
                let len = u32::from_le_bytes(*len) as usize;
                let (text, after) = after.split_at_checked(len).ok_or_else(fault)?;
                rest = after;
                all.extend_from_slice(text);
                ends.push(u32::try_from(all.len()).map_err(|_| fault())?);
            }
            if !rest.is_empty() {
                return Err(fault());
            }
        }
        _ => return Err(fault()),
    }
    Ok(())
}

#[expect(clippy::cast_possible_truncation, reason = "differences of 32 bits wrap")]
const fn low(word: u64) -> u32 {
    word as u32
}
