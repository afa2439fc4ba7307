//! Which row groups can hold a value: sorted terms with postings, and filters where values rarely
//! repeat. Also which rows of an L0 file are whose.

use model::TenantId;
use model::wire::put_varint;
use xorf::prelude::bfuse::Descriptor;
use xorf::{BinaryFuse8, Filter as _};
use xxhash_rust::xxh3::xxh3_64;

use super::{Cursor, damaged};
use crate::error::Error;

/// The bytes of a terms section: terms ascending, each with the row groups that hold it, ascending.
#[must_use]
pub fn encode<'a>(terms: impl ExactSizeIterator<Item = (&'a [u8], &'a [u32])>) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(&mut out, terms.len() as u64);
    let mut before: &[u8] = &[];
    for (term, row_groups) in terms {
        let shared = before.iter().zip(term).take_while(|(a, b)| a == b).count();
        let (_, suffix) = term.split_at(shared);
        put_varint(&mut out, shared as u64);
        put_varint(&mut out, suffix.len() as u64);
        out.extend_from_slice(suffix);
        put_varint(&mut out, row_groups.len() as u64);
        let mut last = 0;
        for row_group in row_groups {
            put_varint(&mut out, u64::from(row_group - last));
            last = *row_group;
        }
        before = term;
    }
    out
}

/// Calls `each` with every term and its row groups, in order, while it returns true.
///
/// # Errors
/// `Corrupt` when the bytes are no such section.
pub fn decode(bytes: &[u8], mut each: impl FnMut(&[u8], &[u32]) -> bool) -> Result<(), Error> {
    let mut cursor = Cursor::new(bytes, "terms");
    let (mut term, mut row_groups) = (Vec::new(), Vec::new());
    for _ in 0..cursor.count()? {
        let (shared, suffix) = (cursor.number()?, cursor.number()?);
        if shared as usize > term.len() {
            return Err(cursor.fault());
        }
        term.truncate(shared as usize);
        term.extend_from_slice(cursor.bytes(suffix as usize)?);
        row_groups.clear();
        let mut last = 0u32;
        for _ in 0..cursor.count()? {
            last = last.checked_add(cursor.number()?).ok_or_else(|| cursor.fault())?;
            row_groups.push(last);
        }
        if !each(&term, &row_groups) {
            return Ok(());
        }
    }
    Ok(())
}

/// The hash of a value in filters.
#[must_use]
pub fn hash(value: &[u8]) -> u64 {
    xxh3_64(value)
}

/// The filter of one row group's values (binary fuse, 8 bits: 0.4 % false positives;
/// arxiv.org/abs/2201.01174).
#[derive(Debug)]
pub struct Filter {
    /// The row group.
    pub row_group: u32,
    fuse: BinaryFuse8,
}

impl Filter {
    /// A filter of these hashes, which it sorts; `None` where none can be built (a set made to
    /// resist): whoever reads finds no filter then, and looks.
    #[must_use]
    pub fn build(row_group: u32, hashes: &mut Vec<u64>) -> Option<Self> {
        hashes.sort_unstable();
        hashes.dedup();
        let fuse = BinaryFuse8::try_from(hashes.as_slice()).ok()?;
        Some(Self { row_group, fuse })
    }

    /// Whether the row group may hold a value of this hash.
    #[must_use]
    pub fn may_hold(&self, hash: u64) -> bool {
        self.fuse.contains(&hash)
    }
}

/// The bytes of a filters section.
#[must_use]
pub fn encode_filters(filters: &[Filter]) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(&mut out, filters.len() as u64);
    for Filter { row_group, fuse } in filters {
        let Descriptor { seed, segment_length, segment_length_mask, segment_count_length } =
            &fuse.descriptor;
        put_varint(&mut out, u64::from(*row_group));
        put_varint(&mut out, *seed);
        for number in [segment_length, segment_length_mask, segment_count_length] {
            put_varint(&mut out, u64::from(*number));
        }
        put_varint(&mut out, fuse.fingerprints.len() as u64);
        out.extend_from_slice(&fuse.fingerprints);
    }
    out
}

/// Reads a filters section.
///
/// # Errors
/// `Corrupt` when the bytes are no such section.
pub fn decode_filters(bytes: &[u8]) -> Result<Vec<Filter>, Error> {
    let mut cursor = Cursor::new(bytes, "filters");
    let mut filters = Vec::new();
    for _ in 0..cursor.count()? {
        let row_group = cursor.number()?;
        let seed = cursor.varint()?;
        let segment_length = cursor.number()?;
        let segment_length_mask = cursor.number()?;
        let segment_count_length = cursor.number()?;
        let len = cursor.count()?;
        let fingerprints: Box<[u8]> = cursor.bytes(len)?.into();
        // A look-up reads up to two segments past the last one that a hash can begin in.
        let reach = u64::from(segment_count_length) + 2 * u64::from(segment_length);
        let mask_fits = segment_length.is_power_of_two() && segment_length_mask == segment_length - 1;
        if !mask_fits || reach > fingerprints.len() as u64 {
            return Err(cursor.fault());
        }
        let descriptor =
            Descriptor { seed, segment_length, segment_length_mask, segment_count_length };
        filters.push(Filter { row_group, fuse: BinaryFuse8 { descriptor, fingerprints } });
    }
    Ok(filters)
}

/// A tenant's rows in an L0 file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Whose they are.
    pub tenant: TenantId,
    /// The first.
    pub first_row: u32,
    /// How many.
    pub rows: u32,
    /// When the tenant's first and last request was received, in nanoseconds.
    pub received: (u64, u64),
}

/// The bytes of the tenants section.
#[must_use]
pub fn encode_tenants(runs: &[Run]) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(&mut out, runs.len() as u64);
    for Run { tenant, first_row, rows, received } in runs {
        let name = tenant.as_str().as_bytes();
        put_varint(&mut out, name.len() as u64);
        out.extend_from_slice(name);
        for number in [u64::from(*first_row), u64::from(*rows), received.0, received.1] {
            put_varint(&mut out, number);
        }
    }
    out
}

/// Reads the tenants section.
///
/// # Errors
/// `Corrupt` when the bytes are no such section.
pub fn decode_tenants(bytes: &[u8]) -> Result<Vec<Run>, Error> {
    let mut cursor = Cursor::new(bytes, "tenants");
    let mut runs = Vec::new();
    for _ in 0..cursor.count()? {
        let len = cursor.count()?;
        let name = std::str::from_utf8(cursor.bytes(len)?).unwrap_or_default();
        let tenant = TenantId::parse(name).map_err(|fault| damaged(format!("tenants: {fault}")))?;
        let (first_row, rows) = (cursor.number()?, cursor.number()?);
        let received = (cursor.varint()?, cursor.varint()?);
        runs.push(Run { tenant, first_row, rows, received });
    }
    Ok(runs)
}
