//! What a file is made of: columns with bytes each, sections, what was promoted and why.

use std::collections::BTreeMap;

use serde_json::json;
use store::Error;
use store::block::page::Encoding;
use store::block::reader::Reader;
use store::block::schema::{Schema, Source, Why};
use store::block::section::SECTIONS;

use crate::cli::table::{Table, ratio, time};

/// One column over all row groups.
#[derive(Debug, Default)]
struct Column {
    bytes: u64,
    raw_bytes: u64,
    values: u64,
    absent: u64,
    encodings: Vec<&'static str>,
    why: Option<Why>,
}

/// Bytes of a section by its number: how many there are of it, in the file, before compression.
type Sections = BTreeMap<u16, (u64, u64, u64)>;

/// Where the bytes of a file are. What is neither is the four of the first magic.
#[derive(Debug)]
struct Bytes {
    file: u64,
    columns: u64,
    sections: u64,
    directory: u64,
    footer: u64,
}

/// Tells what a file of so many bytes is made of.
pub(super) fn inspect(reader: &Reader, bytes: u64, as_json: bool) -> Result<String, Error> {
    let directory = reader.directory();
    let mut columns: Vec<Column> = reader.leaves().iter().map(|_| Column::default()).collect();
    for (column, leaf) in columns.iter_mut().zip(reader.leaves()) {
        column.why = why(&directory.schema, &leaf.source);
    }
    for row_group in 0..reader.row_groups() {
        let tables = reader.tables(row_group)?;
        for (column, chunk) in columns.iter_mut().zip(&tables.chunks) {
            column.bytes += chunk.bytes;
            column.raw_bytes += chunk.raw_bytes;
            column.values += chunk.values;
            column.absent += chunk.entries - chunk.values;
            let encoding = name(chunk.encoding);
            if chunk.values > 0 && !column.encodings.contains(&encoding) {
                column.encodings.push(encoding);
            }
        }
    }
    let mut sections = Sections::new();
    for section in &directory.sections {
        let sum = sections.entry(section.id as u16).or_default();
        sum.0 += 1;
        sum.1 += u64::from(section.len);
        sum.2 += u64::from(section.raw_len);
    }
    let place = reader.location();
    let bytes = Bytes {
        file: bytes,
        columns: columns.iter().map(|column| column.bytes).sum(),
        sections: sections.values().map(|(_, bytes, _)| bytes).sum(),
        directory: place.len.into(),
        footer: bytes.saturating_sub(place.offset.saturating_add(place.len.into())),
    };
    let tell = if as_json { to_json } else { to_text };
    Ok(tell(reader, &columns, &sections, &bytes))
}

fn why(schema: &Schema, source: &Source) -> Option<Why> {
    let Source::Attribute(table, place) = source else { return None };
    schema.of(*table).nth(*place as usize).map(|(_, why)| *why)
}

const fn name(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Plain => "plain",
        Encoding::Dictionary => "dictionary",
        Encoding::Delta => "delta",
        Encoding::DeltaLength => "delta length",
        Encoding::Split => "byte planes",
    }
}

const fn reason(why: Why) -> &'static str {
    match why {
        Why::Pinned => "pinned",
        Why::Bytes => "bytes",
        Why::Sticky => "sticky",
        Why::Queried => "queried",
    }
}

fn to_text(reader: &Reader, columns: &[Column], sections: &Sections, bytes: &Bytes) -> String {
    let header = &reader.directory().header;
    let mut out = Table::new(&["file", reader.name()]);
    let mut fact = |name: &str, value: String| out.row(vec![name.to_owned(), value]);
    fact("level", super::level(header).to_owned());
    fact("tenant", header.tenant.clone().unwrap_or_else(|| "several".to_owned()));
    fact("writer, number", format!("{:016x}, {}", header.writer, header.number));
    fact("spans, traces", format!("{}, {}", header.rows, header.traces));
    fact("bytes", format!("{}, {} a span", bytes.file, ratio(bytes.file, header.rows)));
    let Bytes { columns: pages, sections: indexes, directory, footer, .. } = bytes;
    let parts =
        format!("columns {pages}, sections {indexes}, directory {directory}, footer {footer}");
    fact("of these", parts);
    fact("starts", format!("{} to {}", time(header.starts.0), time(header.starts.1)));
    fact("received", format!("{} to {}", time(header.received.0), time(header.received.1)));
    fact("created", time(header.created_at));
    fact("row groups", reader.row_groups().to_string());
    let consumed: Vec<_> = header.consumed.iter().map(|(_, number)| number.to_string()).collect();
    fact("made of L0", if consumed.is_empty() { "-".to_owned() } else { consumed.join(" ") });
    let mut table =
        Table::new(&["COLUMN", "BYTES", "B/SPAN", "RAW", "VALUES", "ABSENT", "ENCODING", "WHY"]);
    let mut order: Vec<usize> = (0..columns.len()).collect();
    order.sort_by_key(|at| std::cmp::Reverse(columns.get(*at).map_or(0, |column| column.bytes)));
    for at in order {
        let (Some(column), Some(leaf)) = (columns.get(at), reader.leaves().get(at)) else {
            continue;
        };
        table.row(vec![
            leaf.path.clone(),
            column.bytes.to_string(),
            ratio(column.bytes, header.rows),
            column.raw_bytes.to_string(),
            column.values.to_string(),
            column.absent.to_string(),
            column.encodings.join(", "),
            column.why.map_or("", reason).to_owned(),
        ]);
    }
    let mut parts = Table::new(&["SECTION", "COUNT", "BYTES", "RAW", "HOLDS"]);
    for (id, doc) in SECTIONS {
        let (count, bytes, raw) = sections.get(&(*id as u16)).copied().unwrap_or_default();
        let cells = [format!("{id:?}"), count.to_string(), bytes.to_string(), raw.to_string()];
        parts.row(cells.into_iter().chain([(*doc).to_owned()]).collect());
    }
    format!("{}\n{}\n{}", out.text(), table.text(), parts.text())
}

fn to_json(reader: &Reader, columns: &[Column], sections: &Sections, bytes: &Bytes) -> String {
    let columns: Vec<_> = columns
        .iter()
        .zip(reader.leaves())
        .map(|(column, leaf)| {
            json!({ "path": leaf.path, "bytes": column.bytes, "raw_bytes": column.raw_bytes,
                "values": column.values, "absent": column.absent, "encodings": column.encodings,
                "why": column.why.map(reason) })
        })
        .collect();
    let sections: Vec<_> = SECTIONS
        .iter()
        .filter_map(|(id, _)| {
            let (count, bytes, raw) = sections.get(&(*id as u16))?;
            Some(json!({ "section": id, "count": count, "bytes": bytes, "raw_bytes": raw }))
        })
        .collect();
    let header = serde_json::to_value(&reader.directory().header).unwrap_or_default();
    let whole = json!({ "file": reader.name(), "header": header,
        "bytes": { "file": bytes.file, "columns": bytes.columns, "sections": bytes.sections,
            "directory": bytes.directory, "footer": bytes.footer },
        "columns": columns,
        "sections": sections, "row_groups": reader.directory().row_groups });
    format!("{whole}\n")
}
