//! The footer of a block: what makes it a Parquet file, and where our own directory stands.
//!
//! Written with the parquet crate, from the same [`ChunkMeta`]s that our reader goes by. Read only
//! where nothing else says where the directory is: for a bare file, and for what was found on the
//! disk at the start. A checksum among the key-values covers the footer itself.

use std::io::{self, Write};
use std::ops::Range;
use std::sync::Arc;

use parquet::basic::{
    Compression, ConvertedType, Encoding as Coded, LogicalType, Repetition, TimeUnit,
    Type as Stored,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::page_index::PageIndexBuilder;
use parquet::file::metadata::{
    ColumnChunkMetaData, FileMetaData, KeyValue, OffsetIndexBuilder, ParquetMetaData,
    ParquetMetaDataBuilder, ParquetMetaDataReader, ParquetMetaDataWriter, RowGroupMetaData,
};
use parquet::file::statistics::Statistics;
use parquet::file::writer::TrackedWrite;
use parquet::schema::types::{SchemaDescriptor, Type};

use super::page::{ChunkMeta, Encoding, Physical};
use super::schema::Logical;
use super::section::{Header, Location, damaged};
use crate::error::{Error, Kind};

#[cfg(test)]
mod tests;

/// What a Parquet file begins and ends with.
pub const MAGIC: &[u8] = b"PAR1";

/// The key under which the directory's place stands: `offset:length:crc32c`, the last in hex.
const DIRECTORY: &str = "traceweir.directory";
/// The key of the footer's checksum: crc32c, in hex, of all bytes from the end of the directory
/// to the end of the file, with these eight digits as zeros.
const CHECKSUM: &str = "traceweir.footer_crc";
const ZEROS: &str = "00000000";

/// The longest footer (with its offset indexes) that is read.
const FOOTER_BYTES_MAX: u64 = 256 << 20;

/// A node of the schema.
#[derive(Clone, Debug)]
pub enum Node {
    /// A column.
    Leaf {
        /// Its name.
        name: String,
        /// Whether every row has a value.
        required: bool,
        /// What it stores.
        physical: Physical,
        /// What that means.
        logical: Logical,
    },
    /// A list of structs; it and its elements are never absent.
    List {
        /// Its name.
        name: String,
        /// The fields of an element.
        fields: Vec<Self>,
    },
}

/// What a footer says.
#[derive(Clone, Debug)]
pub struct Footer {
    /// Where the directory stands.
    pub directory: Location,
    /// Rows of each row group.
    pub row_groups: Vec<u64>,
    /// Columns.
    pub leaves: usize,
    /// Key and value of what is told to everybody.
    pub key_values: Vec<(String, String)>,
}

/// What a block's footer tells whoever looks at its key-values.
#[must_use]
pub fn key_values(header: &Header, directory: Location) -> Vec<(String, String)> {
    let Location { offset, len, crc } = directory;
    let block = serde_json::to_string(header).unwrap_or_default();
    // Last what is looked for from the end, before anything is parsed.
    vec![
        ("traceweir.block".to_owned(), block),
        (DIRECTORY.to_owned(), format!("{offset}:{len}:{crc:08x}")),
        (CHECKSUM.to_owned(), ZEROS.to_owned()),
    ]
}

/// Appends the offset indexes and the footer, which will stand at `offset` of the file.
/// `key_values` end as those of [`key_values`].
///
/// # Errors
/// `Fatal` where the library refuses what we built.
pub fn write(
    nodes: &[Node],
    row_groups: &[(u64, Vec<ChunkMeta>)],
    key_values: &[(String, String)],
    offset: u64,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let metadata = metadata(nodes, row_groups, key_values).map_err(|fault| refused(&fault))?;
    let begin = out.len();
    let write = |out: &mut Vec<u8>| -> Result<(), ParquetError> {
        let mut tracked = TrackedWrite::new(Tail { skip: offset, out });
        advance(&mut tracked, offset)?;
        ParquetMetaDataWriter::new_with_tracked(tracked, &metadata).finish()
    };
    write(out).map_err(|fault| refused(&fault))?;
    let tail = out.get_mut(begin..).unwrap_or_default();
    let at = checksum_at(tail)
        .ok_or_else(|| Error::new(Kind::Fatal, "the footer was written without its checksum"))?;
    let crc = format!("{:08x}", crc32c::crc32c(tail));
    if let Some(digits) = tail.get_mut(at) {
        digits.copy_from_slice(crc.as_bytes());
    }
    Ok(())
}

/// Reads the footer of a file. `read` reads so many bytes at an offset.
///
/// # Errors
/// `Corrupt` when the file is no block or its footer is not what was written.
pub fn read(
    file_len: u64,
    read: impl Fn(u64, usize) -> Result<Vec<u8>, Error>,
) -> Result<Footer, Error> {
    let short = || damaged("it is too short for a block");
    let end = file_len.checked_sub(8).filter(|end| *end >= 4).ok_or_else(short)?;
    if read(0, MAGIC.len())? != MAGIC {
        return Err(damaged("it does not begin as a Parquet file"));
    }
    let last = read(end, 8)?;
    let (len, magic) = last.split_first_chunk::<4>().ok_or_else(short)?;
    let len = u64::from(u32::from_le_bytes(*len));
    if magic != MAGIC || len > FOOTER_BYTES_MAX {
        return Err(damaged("it does not end as a Parquet file"));
    }
    let begin =
        end.checked_sub(len).ok_or_else(|| damaged("the footer is longer than the file"))?;
    let length = usize::try_from(len).map_err(|_| short())?;
    let bytes = read(begin, length)?;
    let told = value_at(&bytes, DIRECTORY)
        .and_then(|at| bytes.get(at))
        .ok_or_else(|| damaged("it is no block: the footer names no directory"))?;
    let directory =
        place(told).ok_or_else(|| damaged("the footer names no place of the directory"))?;
    let tail_at = directory.offset.checked_add(u64::from(directory.len));
    let tail_len = tail_at
        .filter(|at| directory.offset >= MAGIC.len() as u64 && *at <= begin)
        .and_then(|at| file_len.checked_sub(at))
        .filter(|len| *len <= FOOTER_BYTES_MAX)
        .and_then(|len| usize::try_from(len).ok());
    let (Some(tail_at), Some(tail_len)) = (tail_at, tail_len) else {
        return Err(damaged("the directory lies outside of the file"));
    };
    let mut tail = read(tail_at, tail_len)?;
    // Before the library sees it: it parses what is well formed.
    if tail.len() != tail_len || !check(&mut tail) {
        return Err(damaged("checksum mismatch in the footer"));
    }
    let metadata = ParquetMetaDataReader::decode_metadata(&bytes)
        .map_err(|fault| damaged(format!("footer: {fault}")))?;
    Ok(digest(&metadata, directory))
}

/// Whether the bytes behind the directory are what was written; takes their checksum out.
#[must_use]
pub fn check(tail: &mut [u8]) -> bool {
    let Some(digits) = checksum_at(tail).and_then(|at| tail.get_mut(at)) else { return false };
    // Compared as text: a flipped bit can turn a digit into the same one in upper case.
    let told = digits.to_vec();
    digits.copy_from_slice(ZEROS.as_bytes());
    told == format!("{:08x}", crc32c::crc32c(tail)).as_bytes()
}

/// Where the digits of the checksum stand.
fn checksum_at(tail: &[u8]) -> Option<Range<usize>> {
    value_at(tail, CHECKSUM).filter(|at| at.len() == ZEROS.len())
}

/// Where the value of a key stands that is written as [`key_values`] has it: behind the last
/// mention of the key. (Columns and tenants may be named like it; they stand before.)
fn value_at(bytes: &[u8], key: &str) -> Option<Range<usize>> {
    let key = key.as_bytes();
    let at = bytes.windows(key.len()).rposition(|window| window == key)? + key.len();
    // The header of the next field, a string, and its length in one byte.
    let &[0x18, len @ 0..=0x7f] = bytes.get(at..)?.first_chunk()? else { return None };
    Some(at + 2..at + 2 + usize::from(len))
}

/// Reads `offset:length:crc32c`.
fn place(told: &[u8]) -> Option<Location> {
    let mut parts = std::str::from_utf8(told).ok()?.split(':');
    let (offset, len) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    Some(Location { offset, len, crc: u32::from_str_radix(parts.next()?, 16).ok()? })
}

fn digest(metadata: &ParquetMetaData, directory: Location) -> Footer {
    let file = metadata.file_metadata();
    let key_values = file.key_value_metadata().into_iter().flatten();
    let rows = |group: &RowGroupMetaData| u64::try_from(group.num_rows()).unwrap_or(0);
    Footer {
        directory,
        row_groups: metadata.row_groups().iter().map(rows).collect(),
        leaves: file.schema_descr().num_columns(),
        key_values: key_values
            .map(|KeyValue { key, value }| (key.clone(), value.clone().unwrap_or_default()))
            .collect(),
    }
}

fn metadata(
    nodes: &[Node],
    row_groups: &[(u64, Vec<ChunkMeta>)],
    key_values: &[(String, String)],
) -> Result<ParquetMetaData, ParquetError> {
    let fields = nodes.iter().map(|node| node.build().map(Arc::new)).collect::<Result<_, _>>()?;
    let root = Type::group_type_builder("spans").with_fields(fields).build()?;
    let schema = Arc::new(SchemaDescriptor::new(Arc::new(root)));
    let mut index = PageIndexBuilder::new(row_groups.len(), schema.num_columns());
    let mut groups = Vec::with_capacity(row_groups.len());
    let mut all_rows = 0;
    for (number, (rows, chunks)) in row_groups.iter().enumerate() {
        let mut group = RowGroupMetaData::builder(Arc::clone(&schema))
            .set_num_rows(signed(*rows))
            .set_ordinal(i32::try_from(number).unwrap_or(i32::MAX).min(i32::from(i16::MAX)))
            .set_total_byte_size(signed(chunks.iter().map(|chunk| chunk.raw_bytes).sum()));
        if let Some(first) = chunks.first() {
            group = group.set_file_offset(signed(first.offset()));
        }
        for (column, chunk) in chunks.iter().enumerate() {
            let mut offsets = OffsetIndexBuilder::new();
            for page in &chunk.pages {
                offsets.append_row_count(i64::from(page.rows));
                offsets.append_offset_and_size(
                    signed(page.offset),
                    i32::try_from(page.len).unwrap_or(i32::MAX),
                );
            }
            index.put_offset_index(offsets.build(), number, column);
            group = group.add_column_metadata(column_metadata(&schema, column, chunk)?);
        }
        groups.push(group.build()?);
        all_rows += signed(*rows);
    }
    let key_values =
        key_values.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone())).collect();
    let created_by = Some(concat!("traceweir version ", env!("CARGO_PKG_VERSION")).to_owned());
    let file = FileMetaData::new(1, all_rows, created_by, Some(key_values), schema, None);
    Ok(ParquetMetaDataBuilder::new(file)
        .set_row_groups(groups)
        .set_page_index(Some(Arc::new(index.build())))
        .build())
}

fn column_metadata(
    schema: &Arc<SchemaDescriptor>,
    column: usize,
    chunk: &ChunkMeta,
) -> Result<ColumnChunkMetaData, ParquetError> {
    let descriptor = schema.column(column);
    let encoding = match chunk.encoding {
        Encoding::Plain => Coded::PLAIN,
        Encoding::Dictionary => Coded::RLE_DICTIONARY,
        Encoding::Delta => Coded::DELTA_BINARY_PACKED,
        Encoding::DeltaLength => Coded::DELTA_LENGTH_BYTE_ARRAY,
        Encoding::Split => Coded::BYTE_STREAM_SPLIT,
    };
    let mut encodings = vec![Coded::RLE, encoding];
    if chunk.dictionary.is_some() {
        encodings.push(Coded::PLAIN);
    }
    let nulls = Some(chunk.entries - chunk.values);
    let statistics = match (descriptor.physical_type(), chunk.min_max) {
        (Stored::INT64, Some((min, max))) => {
            Statistics::int64(Some(min), Some(max), None, nulls, false)
        }
        (Stored::INT32, Some((min, max))) => {
            let (min, max) = (i32::try_from(min).ok(), i32::try_from(max).ok());
            Statistics::int32(min, max, None, nulls, false)
        }
        (Stored::INT64, None) => Statistics::int64(None, None, None, nulls, false),
        (Stored::INT32, None) => Statistics::int32(None, None, None, nulls, false),
        (Stored::BOOLEAN, _) => Statistics::boolean(None, None, None, nulls, false),
        (Stored::DOUBLE, _) => Statistics::double(None, None, None, nulls, false),
        (Stored::FIXED_LEN_BYTE_ARRAY, _) => {
            Statistics::fixed_len_byte_array(None, None, None, nulls, false)
        }
        _ => Statistics::byte_array(None, None, None, nulls, false),
    };
    let first = chunk.pages.first().map_or(0, |page| page.offset);
    ColumnChunkMetaData::builder(descriptor)
        .set_compression(Compression::ZSTD(Default::default()))
        .set_encodings(encodings)
        .set_num_values(signed(chunk.entries))
        .set_total_compressed_size(signed(chunk.bytes))
        .set_total_uncompressed_size(signed(chunk.raw_bytes))
        .set_data_page_offset(signed(first))
        .set_dictionary_page_offset(chunk.dictionary.as_ref().map(|page| signed(page.offset)))
        .set_statistics(statistics)
        .build()
}

impl Node {
    fn build(&self) -> Result<Type, ParquetError> {
        match self {
            Self::Leaf { name, required, physical, logical } => {
                let (stored, length) = match physical {
                    Physical::Boolean => (Stored::BOOLEAN, 0),
                    Physical::Int32 => (Stored::INT32, 0),
                    Physical::Int64 => (Stored::INT64, 0),
                    Physical::Double => (Stored::DOUBLE, 0),
                    Physical::Bytes => (Stored::BYTE_ARRAY, 0),
                    Physical::Fixed(length) => (Stored::FIXED_LEN_BYTE_ARRAY, i32::from(*length)),
                };
                let (meaning, converted) = match logical {
                    Logical::None => (None, ConvertedType::NONE),
                    Logical::Text => (Some(LogicalType::String), ConvertedType::UTF8),
                    Logical::Time => {
                        let nanos = LogicalType::timestamp(true, TimeUnit::NANOS);
                        (Some(nanos), ConvertedType::NONE)
                    }
                };
                let repetition =
                    if *required { Repetition::REQUIRED } else { Repetition::OPTIONAL };
                Type::primitive_type_builder(name, stored)
                    .with_repetition(repetition)
                    .with_length(length)
                    .with_converted_type(converted)
                    .with_logical_type(meaning)
                    .build()
            }
            Self::List { name, fields } => {
                let fields: Vec<_> = fields
                    .iter()
                    .map(|node| node.build().map(Arc::new))
                    .collect::<Result<_, _>>()?;
                let element = Type::group_type_builder("element")
                    .with_repetition(Repetition::REQUIRED)
                    .with_fields(fields)
                    .build()?;
                let list = Type::group_type_builder("list")
                    .with_repetition(Repetition::REPEATED)
                    .with_fields(vec![Arc::new(element)])
                    .build()?;
                Type::group_type_builder(name)
                    .with_repetition(Repetition::REQUIRED)
                    .with_converted_type(ConvertedType::LIST)
                    .with_logical_type(Some(LogicalType::List))
                    .with_fields(vec![Arc::new(list)])
                    .build()
            }
        }
    }
}

/// Keeps what is written behind the first `skip` bytes: the library counts offsets from the first
/// byte that it writes.
struct Tail<'o> {
    skip: u64,
    out: &'o mut Vec<u8>,
}

impl Write for Tail<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let skipped = self.skip.min(bytes.len() as u64);
        self.skip -= skipped;
        let skipped = usize::try_from(skipped).unwrap_or(bytes.len());
        self.out.extend_from_slice(bytes.get(skipped..).unwrap_or_default());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Lets the library count up to `offset`.
fn advance(tracked: &mut TrackedWrite<Tail<'_>>, offset: u64) -> Result<(), ParquetError> {
    static ZEROS: [u8; 1 << 16] = [0; 1 << 16];
    let mut left = offset;
    while left > 0 {
        let take = usize::try_from(left).unwrap_or(usize::MAX).min(ZEROS.len());
        tracked.write_all(ZEROS.get(..take).unwrap_or_default())?;
        left -= take as u64;
    }
    Ok(())
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn refused(fault: &ParquetError) -> Error {
    Error::new(Kind::Fatal, format!("write a footer: {fault}"))
}
