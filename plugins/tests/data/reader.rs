//! A plain, slow reader of batches: every section becomes a list of entries.

use std::collections::BTreeMap;

use traceweir_plugin::codes::{BATCH_MAGIC, NONE, VERSION, layout, tag};

/// What a batch says.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Seen {
    /// Spans, resources, scopes, events, traces.
    pub(crate) counts: [u32; 5],
    /// Columns by kind and argument.
    pub(crate) columns: BTreeMap<(u16, u32), Column>,
}

/// A column, with its domain.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Column {
    pub(crate) domain: u8,
    pub(crate) entries: Entries,
}

/// The entries of a column.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Entries {
    Numbers(Vec<u64>),
    Ids(Vec<Vec<u8>>),
    /// Empty where there is none.
    Texts(Vec<String>),
    Values(Vec<Shown>),
}

/// A value: its tag, and its word, text or blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    Absent,
    Text(String),
    Word(u8, u64),
    Blob(u8, Option<Vec<u8>>),
    Empty,
}

struct Section<'a> {
    kind: u16,
    layout: u8,
    domain: u8,
    argument: u32,
    bytes: &'a [u8],
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn sections(batch: &[u8]) -> Vec<Section<'_>> {
    assert_eq!(u32_at(batch, 0), BATCH_MAGIC);
    assert_eq!(u32_at(batch, 4), u32::from(VERSION));
    let count = u32_at(batch, 28) as usize;
    let mut end = 32 + 16 * count;
    let rows = batch[32..end].chunks(16);
    let mut found = Vec::new();
    for row in rows {
        let (at, length) = (u32_at(row, 8) as usize, u32_at(row, 12) as usize);
        assert!(at % 8 == 0 && at >= end, "sections stand in their order at multiples of 8");
        assert!(batch[end..at].iter().all(|byte| *byte == 0), "zeros between sections");
        end = at + length;
        found.push(Section {
            kind: u16::from_le_bytes([row[0], row[1]]),
            layout: row[2],
            domain: row[3],
            argument: u32_at(row, 4),
            bytes: &batch[at..end],
        });
    }
    assert_eq!(end, batch.len());
    found
}

/// The bytes of each entry; none where it has no value.
pub(crate) fn blobs(bytes: &[u8]) -> Vec<Option<Vec<u8>>> {
    let (values, indices) = (u32_at(bytes, 0) as usize, u32_at(bytes, 4) as usize);
    let ends = 8 + 4 * indices;
    let heap = ends + 4 * (values + 1);
    let end = |value: usize| heap + u32_at(bytes, ends + 4 * value) as usize;
    assert_eq!(end(0), heap);
    assert_eq!(end(values), bytes.len());
    let all: Vec<Vec<u8>> = (0..values).map(|n| bytes[end(n)..end(n + 1)].to_vec()).collect();
    if indices == 0 {
        return all.into_iter().map(Some).collect();
    }
    let mut distinct = all.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), all.len(), "values of a dictionary stand once");
    let index = (0..indices).map(|n| u32_at(bytes, 8 + 4 * n));
    index.map(|value| (value != NONE).then(|| all[value as usize].clone())).collect()
}

fn texts(bytes: &[u8]) -> Vec<String> {
    let text = |blob: Option<Vec<u8>>| String::from_utf8(blob.unwrap_or_default()).unwrap();
    blobs(bytes).into_iter().map(text).collect()
}

/// Reads a batch.
pub(crate) fn read(batch: &[u8]) -> Seen {
    let counts = std::array::from_fn(|n| u32_at(batch, 8 + 4 * n));
    let mut columns = BTreeMap::new();
    let all = sections(batch);
    for column in all.chunk_by(|a, b| (a.kind, a.argument) == (b.kind, b.argument)) {
        let first = &column[0];
        let entries = match (first.kind, first.layout) {
            (32 | 35, layout::U8) => Entries::Values(values(column)),
            (_, layout::U8) => {
                Entries::Numbers(first.bytes.iter().map(|n| u64::from(*n)).collect())
            }
            (_, layout::U32) => {
                Entries::Numbers(first.bytes.chunks(4).map(|n| u32_at(n, 0).into()).collect())
            }
            (_, layout::U64) => Entries::Numbers(words(first.bytes)),
            (_, layout::ID16) => Entries::Ids(first.bytes.chunks(16).map(<[u8]>::to_vec).collect()),
            (_, layout::ID8) => Entries::Ids(first.bytes.chunks(8).map(<[u8]>::to_vec).collect()),
            (_, layout::TEXT) => Entries::Texts(texts(first.bytes)),
            other => panic!("{other:?}"),
        };
        let domain = first.domain;
        let before = columns.insert((first.kind, first.argument), Column { domain, entries });
        assert!(before.is_none(), "a column stands once");
    }
    Seen { counts, columns }
}

fn words(bytes: &[u8]) -> Vec<u64> {
    bytes.chunks(8).map(|word| u64::from_le_bytes(word.try_into().unwrap())).collect()
}

fn values(column: &[Section<'_>]) -> Vec<Shown> {
    let of = |layout: u8| column.iter().find(|section| section.layout == layout);
    let all_words = of(layout::U64).map(|section| words(section.bytes));
    let all_texts = of(layout::TEXT).map(|section| blobs(section.bytes));
    let all_blobs = of(layout::BLOB).map(|section| blobs(section.bytes));
    let shown = |(n, value): (usize, &u8)| match *value {
        tag::ABSENT => Shown::Absent,
        tag::STRING => {
            let text = all_texts.as_ref().unwrap()[n].clone().expect("a string has a text");
            Shown::Text(String::from_utf8(text).unwrap())
        }
        tag::INT | tag::DOUBLE | tag::BOOL => Shown::Word(*value, all_words.as_ref().unwrap()[n]),
        tag::BYTES | tag::ARRAY | tag::MAP => {
            Shown::Blob(*value, all_blobs.as_ref().and_then(|blobs| blobs[n].clone()))
        }
        tag::EMPTY => Shown::Empty,
        other => panic!("tag {other}"),
    };
    column[0].bytes.iter().enumerate().map(shown).collect()
}
