//! A reader that is not ours reads what we wrote, and a footer that is not what we wrote is
//! refused.

use std::collections::BTreeMap;

use bytes::Bytes;
use parquet::basic::Encoding as Coded;
use parquet::column::reader::ColumnReader;
use parquet::data_type::{ByteArray, FixedLenByteArray};
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};
use parquet::file::serialized_reader::ReadOptionsBuilder;
use parquet::record::Field;
use proptest::prelude::*;

use super::*;
use crate::block::page::{Chunk, Encoder, Levels, Values};
use crate::block::section::{Level, Sort};

/// Values of a column that are there.
#[derive(Clone, Debug, PartialEq)]
enum Data {
    Bools(Vec<bool>),
    Words32(Vec<u32>),
    Words(Vec<u64>),
    Fixed(Vec<u8>),
    Texts(Vec<Vec<u8>>),
}

/// A column of a row group.
#[derive(Clone, Debug)]
struct Column {
    physical: Physical,
    encoding: Encoding,
    max: (u8, u8),
    rep: Vec<u8>,
    def: Vec<u8>,
    data: Data,
}

/// Numbers without an order, the same each time.
struct Draw(u64);

impl Draw {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (self.0 >> 33) % below
    }

    fn data(&mut self, physical: Physical, encoding: Encoding, len: usize) -> Data {
        // Few distinct values for a dictionary.
        let spread = if encoding == Encoding::Dictionary { 40 } else { 1 << 20 };
        let number = |draw: &mut Self| draw.next(spread).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        match physical {
            Physical::Boolean => Data::Bools((0..len).map(|_| self.next(2) == 1).collect()),
            Physical::Int32 => Data::Words32(
                (0..len).map(|_| u32::try_from(number(self) >> 32).unwrap()).collect(),
            ),
            Physical::Int64 => Data::Words((0..len).map(|_| number(self)).collect()),
            Physical::Double => {
                let double = |word: u64| f64::from(u32::try_from(word >> 32).unwrap()) / 7.0;
                Data::Words((0..len).map(|_| double(number(self)).to_bits()).collect())
            }
            Physical::Fixed(width) => {
                let width = usize::from(width);
                let value = |draw: &mut Self| number(draw).to_le_bytes().repeat(2);
                Data::Fixed((0..len).flat_map(|_| value(self).into_iter().take(width)).collect())
            }
            Physical::Bytes => {
                Data::Texts((0..len).map(|_| number(self).to_string().into_bytes()).collect())
            }
        }
    }
}

fn leaf(name: &str, required: bool, physical: Physical, logical: Logical) -> Node {
    Node::Leaf { name: name.to_owned(), required, physical, logical }
}

fn text(name: &str, required: bool) -> Node {
    leaf(name, required, Physical::Bytes, Logical::Text)
}

fn list(name: &str, fields: Vec<Node>) -> Node {
    Node::List { name: name.to_owned(), fields }
}

/// Every type and encoding, of columns that are always there and of those that are not, and lists
/// in lists.
fn schema() -> (Vec<Node>, Vec<Encoding>) {
    let other = vec![
        text("key", true),
        text("text", false),
        leaf("value", false, Physical::Bytes, Logical::None),
    ];
    let events = vec![
        leaf("time", true, Physical::Int64, Logical::Time),
        text("name", true),
        leaf("attempt", false, Physical::Int64, Logical::None),
        list("other_attributes", other),
    ];
    let flat = [
        (leaf("trace_id", true, Physical::Fixed(16), Logical::None), Encoding::Plain),
        (leaf("span_id", true, Physical::Fixed(8), Logical::None), Encoding::Plain),
        (leaf("parent_id", false, Physical::Fixed(8), Logical::None), Encoding::Dictionary),
        (leaf("start", true, Physical::Int64, Logical::Time), Encoding::Delta),
        (leaf("duration", true, Physical::Int64, Logical::None), Encoding::Plain),
        (leaf("kind", true, Physical::Int32, Logical::None), Encoding::Dictionary),
        (leaf("distance", true, Physical::Int32, Logical::None), Encoding::Plain),
        (leaf("http.status", false, Physical::Int32, Logical::None), Encoding::Delta),
        (leaf("bytes", false, Physical::Int64, Logical::None), Encoding::Dictionary),
        (leaf("cached", false, Physical::Boolean, Logical::None), Encoding::Plain),
        (leaf("ratio", false, Physical::Double, Logical::None), Encoding::Plain),
        (leaf("share", false, Physical::Double, Logical::None), Encoding::Dictionary),
        (text("service.name", true), Encoding::Dictionary),
        (text("url.path", false), Encoding::DeltaLength),
        (text("db.query.text", true), Encoding::DeltaLength),
        (text("user.id", false), Encoding::Plain),
        // Named like what the footer is looked through for.
        (text(CHECKSUM, false), Encoding::Dictionary),
        (text(DIRECTORY, false), Encoding::Dictionary),
    ];
    let (mut nodes, mut encodings): (Vec<_>, Vec<_>) = flat.into_iter().unzip();
    nodes.push(list("events", events));
    encodings.extend([
        Encoding::Delta,
        Encoding::Dictionary,
        Encoding::Plain,
        Encoding::Dictionary,
        Encoding::DeltaLength,
        Encoding::Plain,
    ]);
    (nodes, encodings)
}

/// The columns of a row group: rows have up to three events, those up to three attributes.
fn columns(nodes: &[Node], encodings: &[Encoding], rows: usize, draw: &mut Draw) -> Vec<Column> {
    let lists: Vec<Vec<u64>> = (0..rows)
        .map(|_| {
            let events = draw.next(4).saturating_sub(1);
            (0..events).map(|_| draw.next(4)).collect()
        })
        .collect();
    let mut encodings = encodings.iter().copied();
    let mut columns = Vec::new();
    for node in nodes {
        add(node, 0, &lists, &mut encodings, draw, &mut columns);
    }
    columns
}

fn add(
    node: &Node,
    depth: u8,
    lists: &[Vec<u64>],
    encodings: &mut impl Iterator<Item = Encoding>,
    draw: &mut Draw,
    columns: &mut Vec<Column>,
) {
    let (name, required, physical) = match node {
        Node::List { fields, .. } => {
            return fields
                .iter()
                .for_each(|field| add(field, depth + 1, lists, encodings, draw, columns));
        }
        Node::Leaf { name, required, physical, .. } => (name, *required, *physical),
    };
    // Entries as (repetition level, definition level of the list they are in).
    let entries: Vec<(u8, u8)> = match depth {
        0 => lists.iter().map(|_| (0, 0)).collect(),
        1 => lists.iter().flat_map(|events| nested(events.len())).collect(),
        _ => lists
            .iter()
            .flat_map(|events| match events.as_slice() {
                [] => vec![(0, 0)],
                events => (0u8..)
                    .zip(events)
                    .flat_map(|(event, attributes)| {
                        let first = event.min(1);
                        let entries = nested(usize::try_from(*attributes).unwrap());
                        entries.into_iter().map(move |(rep, def)| match rep {
                            0 => (first, def + 1),
                            _ => (2, def + 1),
                        })
                    })
                    .collect(),
            })
            .collect(),
    };
    let max_def = depth + u8::from(!required);
    let is_absent = name.starts_with("traceweir.");
    let def: Vec<u8> = entries
        .iter()
        .map(|(_, def)| {
            let is_there = required || (!is_absent && draw.next(3) > 0);
            if *def == depth && is_there { max_def } else { *def }
        })
        .collect();
    let values = def.iter().map(|level| usize::from(*level == max_def)).sum();
    let encoding = encodings.next().unwrap();
    columns.push(Column {
        physical,
        encoding,
        max: (depth, max_def),
        rep: if depth == 0 { Vec::new() } else { entries.iter().map(|(rep, _)| *rep).collect() },
        def: if max_def == 0 { Vec::new() } else { def },
        data: draw.data(physical, encoding, values),
    });
}

/// Entries of a list of so many.
fn nested(len: usize) -> Vec<(u8, u8)> {
    match len {
        0 => vec![(0, 0)],
        _ => (0..len).map(|at| (u8::from(at > 0), 1)).collect(),
    }
}

/// Distinct values in order, and a code for each value.
fn dictionary<T: Clone + Ord>(values: &[T]) -> (Vec<T>, Vec<u32>) {
    let mut distinct: BTreeMap<T, u32> = values.iter().map(|value| (value.clone(), 0)).collect();
    distinct.values_mut().zip(0..).for_each(|(slot, code)| *slot = code);
    let codes = values.iter().map(|value| distinct[value]).collect();
    (distinct.into_keys().collect(), codes)
}

fn put(out: &mut Vec<u8>, column: &Column, rows: usize) -> ChunkMeta {
    let Column { physical, encoding, max, rep, def, data } = column;
    let is_coded = *encoding == Encoding::Dictionary;
    let mut encoder = Encoder::new(3, 3).unwrap();
    let mut write = |values: Values<'_>, dictionary: Option<Values<'_>>| {
        let levels = Levels { max_rep: max.0, max_def: max.1, rep, def };
        let rows = u32::try_from(rows).unwrap();
        let (physical, encoding) = (*physical, *encoding);
        let page_rows = 128;
        let chunk = Chunk { physical, encoding, levels, values, dictionary, rows, page_rows };
        encoder.chunk(out, 0, &chunk).unwrap()
    };
    match data {
        Data::Bools(values) => write(Values::Bools(values), None),
        Data::Words32(values) if is_coded => {
            let (distinct, codes) = dictionary(values);
            write(Values::Codes(&codes), Some(Values::Words32(&distinct)))
        }
        Data::Words32(values) => write(Values::Words32(values), None),
        Data::Words(values) if is_coded => {
            let (distinct, codes) = dictionary(values);
            write(Values::Codes(&codes), Some(Values::Words(&distinct)))
        }
        Data::Words(values) => write(Values::Words(values), None),
        Data::Fixed(bytes) if is_coded => {
            let (distinct, codes) = dictionary(bytes.as_chunks::<8>().0);
            write(Values::Codes(&codes), Some(Values::Fixed(&distinct.concat())))
        }
        Data::Fixed(bytes) => write(Values::Fixed(bytes), None),
        Data::Texts(texts) => {
            let texts: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
            if is_coded {
                let (distinct, codes) = dictionary(&texts);
                write(Values::Codes(&codes), Some(Values::Texts(&distinct)))
            } else {
                write(Values::Texts(&texts), None)
            }
        }
    }
}

fn header() -> Header {
    Header {
        level: Level::L1,
        sort: Sort::Normal,
        // Named like the key of the directory.
        tenant: Some(DIRECTORY.to_owned()),
        writer: 1,
        number: 2,
        created_at: 3,
        sequence: 4,
        consumed: Vec::new(),
        replaced: Vec::new(),
        compactions: 0,
        rows: 5,
        traces: 6,
        starts: (7, 8),
        received: (9, 10),
        oversized: false,
    }
}

/// A file of these row groups, and where its tail begins.
fn file(nodes: &[Node], groups: &[(usize, Vec<Column>)]) -> (Vec<u8>, usize) {
    let mut out = MAGIC.to_vec();
    let written: Vec<(u64, Vec<ChunkMeta>)> = groups
        .iter()
        .map(|(rows, columns)| {
            let chunks = columns.iter().map(|column| put(&mut out, column, *rows)).collect();
            (u64::try_from(*rows).unwrap(), chunks)
        })
        .collect();
    let directory = b"sections, and the directory of them";
    let location = Location {
        offset: out.len() as u64,
        len: u32::try_from(directory.len()).unwrap(),
        crc: crc32c::crc32c(directory),
    };
    out.extend_from_slice(directory);
    let tail = out.len();
    write(nodes, &written, &key_values(&header(), location), tail as u64, &mut out).unwrap();
    (out, tail)
}

fn open(bytes: &[u8]) -> Result<Footer, Error> {
    read(bytes.len() as u64, |offset, len| {
        let from = usize::try_from(offset).unwrap();
        Ok(bytes[from..from + len].to_vec())
    })
}

fn small_file() -> (Vec<u8>, usize) {
    let nodes = [leaf("start", true, Physical::Int64, Logical::Time), text("name", false)];
    let columns = columns(&nodes, &[Encoding::Delta, Encoding::Dictionary], 9, &mut Draw(3));
    file(&nodes, &[(9, columns)])
}

/// The levels and values of a column, as the library reads them.
fn read_column(group: &dyn RowGroupReader, at: usize) -> (Vec<i16>, Vec<i16>, Data) {
    let (mut rep, mut def) = (Vec::new(), Vec::new());
    macro_rules! values {
        ($reader:expr) => {{
            let mut values = Vec::new();
            let all = usize::MAX;
            $reader.read_records(all, Some(&mut def), Some(&mut rep), &mut values).unwrap();
            values
        }};
    }
    let bits = |values: Vec<f64>| values.into_iter().map(f64::to_bits).collect();
    let data = match group.get_column_reader(at).unwrap() {
        ColumnReader::BoolColumnReader(mut reader) => Data::Bools(values!(reader)),
        ColumnReader::Int32ColumnReader(mut reader) => {
            Data::Words32(values!(reader).into_iter().map(i32::cast_unsigned).collect())
        }
        ColumnReader::Int64ColumnReader(mut reader) => {
            Data::Words(values!(reader).into_iter().map(i64::cast_unsigned).collect())
        }
        ColumnReader::DoubleColumnReader(mut reader) => Data::Words(bits(values!(reader))),
        ColumnReader::ByteArrayColumnReader(mut reader) => {
            let values: Vec<ByteArray> = values!(reader);
            Data::Texts(values.iter().map(|value| value.data().to_vec()).collect())
        }
        ColumnReader::FixedLenByteArrayColumnReader(mut reader) => {
            let values: Vec<FixedLenByteArray> = values!(reader);
            Data::Fixed(values.iter().flat_map(|value| value.data().to_vec()).collect())
        }
        _ => panic!("no column is of another type"),
    };
    (rep, def, data)
}

fn check_chunk(group: &RowGroupMetaData, at: usize, column: &Column, rows: usize) {
    let chunk = group.column(at);
    let entries =
        column.def.len().max(column.rep.len()).max(if column.max.1 == 0 { rows } else { 0 });
    assert_eq!(chunk.num_values(), i64::try_from(entries).unwrap());
    let values = match &column.data {
        Data::Bools(values) => values.len(),
        Data::Words32(values) => values.len(),
        Data::Words(values) => values.len(),
        Data::Fixed(bytes) => match column.physical {
            Physical::Fixed(width) => bytes.len() / usize::from(width),
            _ => panic!("only fixed ones"),
        },
        Data::Texts(values) => values.len(),
    };
    let statistics = chunk.statistics().unwrap();
    assert_eq!(statistics.null_count_opt(), Some((entries - values) as u64));
    match (&column.data, statistics) {
        (Data::Words(words), Statistics::Int64(found)) => {
            let words = || words.iter().map(|word| word.cast_signed());
            assert_eq!(found.min_opt().copied(), words().min());
            assert_eq!(found.max_opt().copied(), words().max());
        }
        (Data::Words32(words), Statistics::Int32(found)) => {
            let words = || words.iter().map(|word| word.cast_signed());
            assert_eq!(found.min_opt().copied(), words().min());
            assert_eq!(found.max_opt().copied(), words().max());
        }
        _ => assert!(statistics.min_bytes_opt().is_none()),
    }
    // What is in a dictionary is never also written otherwise: readers may filter by it.
    let coded = chunk.encodings().any(|encoding| encoding == Coded::RLE_DICTIONARY);
    assert_eq!(coded, column.encoding == Encoding::Dictionary && values > 0);
}

#[test]
fn another_reader_reads_every_type_and_encoding() {
    let (nodes, encodings) = schema();
    let mut draw = Draw(1);
    let groups: Vec<(usize, Vec<Column>)> = [700, 1, 300]
        .into_iter()
        .map(|rows| (rows, columns(&nodes, &encodings, rows, &mut draw)))
        .collect();
    let (bytes, _) = file(&nodes, &groups);

    let options = ReadOptionsBuilder::new().with_page_index().build();
    let reader = SerializedFileReader::new_with_options(Bytes::from(bytes), options).unwrap();
    let metadata = reader.metadata();
    assert_eq!(metadata.num_row_groups(), groups.len());
    for (number, (rows, columns)) in groups.iter().enumerate() {
        let group = reader.get_row_group(number).unwrap();
        assert_eq!(group.num_columns(), columns.len());
        for (at, column) in columns.iter().enumerate() {
            let path = group.metadata().column(at).column_path().string();
            let levels = |levels: &[u8]| levels.iter().copied().map(i16::from).collect::<Vec<_>>();
            let found = read_column(&*group, at);
            assert_eq!(
                found,
                (levels(&column.rep), levels(&column.def), column.data.clone()),
                "{path}"
            );
            check_chunk(group.metadata(), at, column, *rows);
            let index = metadata.page_index_for_row_group(number);
            let pages = index.offset_index(at).unwrap().page_locations().clone();
            let is_cut = *rows > 128 && found.2 != Data::Texts(Vec::new());
            assert_eq!(pages.len(), if is_cut { rows.div_ceil(128) } else { 1 }, "{path}");
        }
    }
    // Rows are put together from their levels.
    let rows: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 1_001);
    let Some((_, Field::ListInternal(events))) = rows[700].get_column_iter().last() else {
        panic!("a list of events")
    };
    let begins = groups[1].1.last().unwrap();
    let expected = begins.rep.iter().zip(&begins.def).filter(|(rep, def)| **rep < 2 && **def > 0);
    assert_eq!(events.len(), expected.count());
}

#[test]
fn a_footer_is_found_from_the_end_whatever_is_named_like_its_keys() {
    let (nodes, encodings) = schema();
    let columns = columns(&nodes, &encodings, 20, &mut Draw(2));
    let leaves = columns.len();
    let (bytes, tail) = file(&nodes, &[(20, columns)]);
    let footer = open(&bytes).unwrap();
    assert_eq!(footer.row_groups, [20]);
    assert_eq!(footer.leaves, leaves);
    let directory = footer.directory;
    assert_eq!(directory.offset + u64::from(directory.len), tail as u64);
    let block = serde_json::to_string(&header()).unwrap();
    assert!(footer.key_values.contains(&("traceweir.block".to_owned(), block)));
}

#[test]
fn any_flipped_bit_of_a_footer_is_found() {
    let (bytes, tail) = small_file();
    open(&bytes).unwrap();
    let is_refused = |bytes: &[u8]| open(bytes).is_err_and(|error| error.kind() == Kind::Corrupt);
    for at in (0..MAGIC.len()).chain(tail..bytes.len()) {
        for bit in 0..8 {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1 << bit;
            assert!(is_refused(&bytes), "bit {bit} of byte {at}");
        }
    }
    for len in 0..bytes.len() {
        assert!(is_refused(&bytes[..len]), "cut to {len}");
    }
}

#[test]
fn another_parquet_file_is_no_block() {
    let nodes = [leaf("start", true, Physical::Int64, Logical::Time)];
    let mut out = MAGIC.to_vec();
    let key_values = [(CHECKSUM.to_owned(), ZEROS.to_owned())];
    write(&nodes, &[], &key_values, 4, &mut out).unwrap();
    let error = open(&out).unwrap_err();
    assert_eq!(error.to_string(), "it is no block: the footer names no directory");
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(noise: Vec<u8>, at: prop::sample::Index, is_framed: bool) {
        let mut bytes = noise.clone();
        if is_framed {
            // A footer's length that may fit, between the magic bytes.
            let len = u32::try_from(at.index(noise.len() + 1)).unwrap();
            bytes = [MAGIC, &noise, &len.to_le_bytes(), MAGIC].concat();
        }
        prop_assert!(open(&bytes).is_err());
        let (mut bytes, tail) = small_file();
        let at = tail + at.index(bytes.len() - tail);
        bytes.splice(at.., noise);
        prop_assert!(open(&bytes).is_err());
    }
}
