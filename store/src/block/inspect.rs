//! What a block is made of, for `traceweir block inspect`: where its bytes are, column by column
//! and section by section.

use std::collections::BTreeMap;

use serde::Serialize;

use super::page::{ChunkMeta, Encoding};
use super::reader::Reader;
use super::schema::{Leaf, Source, Why};
use super::section::{self, Header, RowGroup, SECTIONS};
use crate::error::Error;

/// A block from the outside.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// What it says about itself.
    pub header: Header,
    /// The length of the file.
    pub bytes: u64,
    /// Bytes of pages, of all columns.
    pub page_bytes: u64,
    /// Bytes of sections.
    pub section_bytes: u64,
    /// Bytes of the directory.
    pub directory_bytes: u64,
    /// Bytes behind the directory: the footer, and what other readers of Parquet need.
    pub footer_bytes: u64,
    /// Its columns, in the order of the schema.
    pub columns: Vec<Column>,
    /// Its sections, added up by kind.
    pub sections: Vec<Section>,
    /// Its row groups.
    pub row_groups: Vec<RowGroup>,
    /// Whose rows it has, if it has several tenants'.
    pub tenants: Vec<Tenant>,
}

/// A column over all row groups.
#[derive(Clone, Debug, Serialize)]
pub struct Column {
    /// Its path in the Parquet schema, dotted.
    pub path: String,
    /// Bytes in the file.
    pub bytes: u64,
    /// Bytes before compression.
    pub raw_bytes: u64,
    /// Values that are there.
    pub values: u64,
    /// Entries without a value.
    pub nulls: u64,
    /// Entries of its dictionaries.
    pub distinct: u64,
    /// How its values are encoded, each once.
    pub encodings: Vec<&'static str>,
    /// Why it is a column; `None` for those that every block has.
    pub why: Option<Why>,
}

/// Sections of one kind.
#[derive(Clone, Debug, Serialize)]
pub struct Section {
    /// Which.
    pub id: section::Id,
    /// What it is for.
    pub doc: &'static str,
    /// How many.
    pub count: u64,
    /// Bytes in the file.
    pub bytes: u64,
    /// Bytes before compression.
    pub raw_bytes: u64,
}

/// A tenant's share.
#[derive(Clone, Debug, Serialize)]
pub struct Tenant {
    /// Whose.
    pub tenant: String,
    /// Its first row.
    pub first_row: u32,
    /// Its rows.
    pub rows: u32,
}

/// Looks at a block. Reads its tables, and no pages.
///
/// # Errors
/// `Corrupt`, `Io`.
pub fn inspect(reader: &Reader) -> Result<Inspection, Error> {
    let (directory, location) = (reader.directory(), reader.location());
    let mut columns = Vec::new();
    for leaf in reader.leaves() {
        columns.push(Column::new(leaf, why(reader, leaf)));
    }
    for row_group in 0..reader.row_groups() {
        let tables = reader.tables(row_group)?;
        columns.iter_mut().zip(&tables.chunks).for_each(|(column, chunk)| column.add(chunk));
    }
    let runs = reader.tenants()?.into_iter();
    let tenants = runs.map(|run| Tenant {
        tenant: run.tenant.as_str().to_owned(),
        first_row: run.first_row,
        rows: run.rows,
    });
    let sections = sections(&directory.sections);
    let bytes = reader.bytes()?;
    let footer_at = location.offset.saturating_add(u64::from(location.len));
    Ok(Inspection {
        header: directory.header.clone(),
        bytes,
        page_bytes: columns.iter().map(|column| column.bytes).sum(),
        section_bytes: sections.iter().map(|section| section.bytes).sum(),
        directory_bytes: u64::from(location.len),
        footer_bytes: bytes.saturating_sub(footer_at),
        columns,
        sections,
        row_groups: directory.row_groups.clone(),
        tenants: tenants.collect(),
    })
}

impl Column {
    fn new(leaf: &Leaf, why: Option<Why>) -> Self {
        Self {
            path: leaf.path.clone(),
            bytes: 0,
            raw_bytes: 0,
            values: 0,
            nulls: 0,
            distinct: 0,
            encodings: Vec::new(),
            why,
        }
    }

    fn add(&mut self, chunk: &ChunkMeta) {
        self.bytes += chunk.bytes;
        self.raw_bytes += chunk.raw_bytes;
        self.values += chunk.values;
        self.nulls += chunk.entries.saturating_sub(chunk.values);
        self.distinct += chunk.dictionary.map_or(0, |page| u64::from(page.values));
        let encoding = name(chunk.encoding);
        // A chunk without values is plain whatever the column is.
        if chunk.values > 0 && !self.encodings.contains(&encoding) {
            self.encodings.push(encoding);
        }
    }
}

/// Why a leaf is a column.
fn why(reader: &Reader, leaf: &Leaf) -> Option<Why> {
    let Source::Attribute(table, place) = leaf.source else { return None };
    let mut of = reader.directory().schema.of(table);
    of.nth(place as usize).map(|(_, why)| *why)
}

/// What Parquet calls an encoding.
const fn name(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Plain => "PLAIN",
        Encoding::Dictionary => "RLE_DICTIONARY",
        Encoding::Delta => "DELTA_BINARY_PACKED",
        Encoding::DeltaLength => "DELTA_LENGTH_BYTE_ARRAY",
    }
}

fn sections(all: &[section::Section]) -> Vec<Section> {
    let mut kinds: BTreeMap<u16, Section> = BTreeMap::new();
    for section in all {
        let doc = SECTIONS.iter().find(|(id, _)| *id == section.id).map_or("", |(_, doc)| doc);
        let empty = Section { id: section.id, doc, count: 0, bytes: 0, raw_bytes: 0 };
        let kind = kinds.entry(section.id as u16).or_insert(empty);
        kind.count += 1;
        kind.bytes += u64::from(section.len);
        kind.raw_bytes += u64::from(section.raw_len);
    }
    kinds.into_values().collect()
}
