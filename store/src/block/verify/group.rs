//! One row group: its pages, and whether what is told about its rows is so.

use std::ops::Range;

use model::batch::{Batch, Indexed};
use model::column::{Interner, count};
use model::{Nanos, TenantId, TimeRange};

use super::Check;
use super::terms::Told;
use crate::block::page::{Decoder, Physical};
use crate::block::reader::leaf::Values;
use crate::block::reader::{Reader, Tables, Wanted};
use crate::block::schema::{Id, Leaf, Source};
use crate::block::section::index::{self, Entry};
use crate::block::section::summary::{Summary, Trace};
use crate::error::Error;

/// What the block as a whole must agree with.
pub(super) struct Found {
    /// Where its pages stand.
    pub(super) pages: Vec<(Range<u64>, String)>,
    /// Its traces with the hashes of their ids, as the trace index must have them.
    pub(super) entries: Vec<(u64, Entry)>,
}

/// Checks a row group.
///
/// # Errors
/// Where its tables cannot be read: then nothing of it can.
pub(super) fn check(
    check: &mut Check<'_>,
    reader: &Reader,
    row_group: u32,
    told: &Told,
    decoder: &mut Decoder,
) -> Result<Found, Error> {
    let tables = reader.tables(row_group)?;
    let mut found = Found { pages: Vec::new(), entries: Vec::new() };
    let before = check.problems.len();
    let mut services = None;
    for (place, (leaf, chunk)) in reader.leaves().iter().zip(&tables.chunks).enumerate() {
        for page in chunk.dictionary.iter().chain(&chunk.pages) {
            let range = page.offset..page.offset.saturating_add(u64::from(page.len));
            found.pages.push((range, format!("{} of row group {row_group}", leaf.path)));
        }
        let values = reader.leaf((row_group, &tables), place, decoder);
        let here = format!("row group {row_group}: {}", leaf.path);
        match values {
            Ok(values) => {
                let column = Column { here, leaf, place: count(place), row_group };
                services = column.check(check, &tables, values, told).or(services);
            }
            Err(error) => {
                let kind = error.kind();
                let named = Error::new(kind, format!("{here}: {error}"));
                check.keep::<()>(Err(named));
            }
        }
    }
    let Some(summary) = check.keep(reader.summary(row_group)) else { return Ok(found) };
    for trace in &summary.traces {
        found.entries.extend(entry(reader, row_group, trace));
    }
    // What is damaged is told; comparing what is left of it would only repeat that.
    if check.problems.len() > before {
        return Ok(found);
    }
    let rows = reader.rows_of(row_group);
    let all = 0..rows.end - rows.start;
    let tenant = reader.directory().header.tenant().unwrap_or_else(TenantId::single);
    let batch = reader.read(row_group, all, Wanted::All, &tenant, Indexed::No);
    if let Some(batch) = check.keep(batch) {
        let rows = Rows { row_group, batch: &batch, summary: &summary };
        rows.check_traces(check, reader);
        if services.is_some_and(|services| !rows.has_services(services)) {
            let what = "service names are not those of the resources";
            check.tell(format_args!("row group {row_group}: {what}"));
        }
    }
    Ok(found)
}

/// What the trace index must have of a trace. None where it has more rows than any part of one:
/// then the index has other traces than the rows.
fn entry(reader: &Reader, row_group: u32, trace: &Trace) -> Option<(u64, Entry)> {
    let first_row = reader.rows_of(row_group).start.checked_add(trace.first_row)?;
    let (hash, rows) = (index::hash(trace.id), u16::try_from(trace.rows).ok()?);
    Some((hash, Entry { hash: index::short(hash), first_row, rows }))
}

/// One column.
struct Column<'c> {
    here: String,
    leaf: &'c Leaf,
    place: u32,
    row_group: u32,
}

impl Column<'_> {
    /// Compares values with what is told about them; returns the names of services.
    fn check(
        &self,
        check: &mut Check<'_>,
        tables: &Tables,
        values: Values,
        told: &Told,
    ) -> Option<(Vec<u32>, Interner)> {
        let here = &self.here;
        let chunk = tables.chunks.get(self.place as usize)?;
        let told_bounds = chunk.min_max;
        match self.leaf.physical {
            Physical::Int32 | Physical::Int64 => {
                let bounds = check.keep(bounds(self.leaf, values))?;
                if told_bounds.is_some() && bounds != told_bounds {
                    check.tell(format_args!("{here}: its values are not within what is told"));
                }
                None
            }
            Physical::Bytes if self.leaf.rest && told_key(self.leaf) => {
                let (codes, keys) = check.keep(values.texts())?;
                let mut used = used(&codes, &keys);
                if used.any(|key| !told.leads_to_key(self.row_group, key)) {
                    check.tell(format_args!("{here}: a key that is there is not told"));
                }
                None
            }
            Physical::Bytes => {
                let (codes, texts) = check.keep(values.texts())?;
                let mut used = used(&codes, &texts);
                if told.has(self.place)
                    && used.any(|text| !told.leads(self.place, self.row_group, text))
                {
                    check.tell(format_args!("{here}: a value that is there is not told"));
                }
                drop(used);
                (self.leaf.source == Source::Fixed(Id::Service)).then_some((codes, texts))
            }
            _ => None,
        }
    }
}

/// Whether these are the keys of the rest.
fn told_key(leaf: &Leaf) -> bool {
    let keys = [Id::RestKey, Id::EventRestKey, Id::LinkRestKey];
    keys.into_iter().any(|id| leaf.source == Source::Fixed(id))
}

/// The values that rows have, each once.
fn used<'v>(codes: &[u32], values: &'v Interner) -> impl Iterator<Item = &'v [u8]> {
    let mut codes = codes.to_vec();
    codes.sort_unstable();
    codes.dedup();
    codes.into_iter().map(|code| values.get(code))
}

/// The least and the greatest of integers.
fn bounds(leaf: &Leaf, values: Values) -> Result<Option<(i64, i64)>, Error> {
    let ends = |values: &mut dyn Iterator<Item = i64>| {
        let first = values.next()?;
        Some(values.fold((first, first), |(min, max), value| (min.min(value), max.max(value))))
    };
    Ok(match leaf.physical {
        Physical::Int32 => {
            ends(&mut values.words32()?.into_iter().map(|word| i64::from(word.cast_signed())))
        }
        _ => ends(&mut values.words()?.into_iter().map(u64::cast_signed)),
    })
}

/// The rows of a row group and what is told about them.
struct Rows<'r> {
    row_group: u32,
    batch: &'r Batch,
    summary: &'r Summary,
}

impl Rows<'_> {
    fn check_traces(&self, check: &mut Check<'_>, reader: &Reader) {
        let here = self.row_group;
        for trace in &self.summary.traces {
            if let Some(what) = self.differs(trace) {
                check.tell(format_args!("row group {here}: trace {}: {what}", trace.id));
            }
        }
        let Some(group) = reader.directory().row_groups.get(here as usize) else { return };
        if group.traces as usize != self.summary.traces.len() {
            check.tell(format_args!("row group {here}: the directory says other traces"));
        }
        let starts = self.summary.traces.iter().map(|trace| trace.starts);
        let first = starts.clone().map(|starts| starts.start.0).min().unwrap_or(0);
        let last = starts.map(|starts| starts.end.0).max().unwrap_or(0);
        if group.starts != (first, last) {
            check.tell(format_args!("row group {here}: the directory says other starts"));
        }
    }

    /// What the summary of a trace says that its rows do not.
    fn differs(&self, trace: &Trace) -> Option<&'static str> {
        let Self { batch, summary, .. } = self;
        let rows = trace.first_row..trace.first_row + trace.rows;
        let mut starts = TimeRange { start: Nanos(u64::MAX), end: Nanos(0) };
        let (mut start, mut end, mut errors) = (Nanos(u64::MAX), Nanos(0), 0);
        for row in rows {
            if batch.trace_id(row) != trace.id {
                return Some("a row is of another trace");
            }
            let effective = batch.effective_start(row);
            starts.start = starts.start.min(effective);
            starts.end = starts.end.max(effective);
            start = start.min(batch.start(row));
            end = end.max(batch.end(row));
            errors += u32::from(batch.status(row) == 2);
        }
        if (starts, start, end) != (trace.starts, trace.start, trace.end) {
            return Some("its times are other ones");
        }
        if errors != trace.errors {
            return Some("its errors are other ones");
        }
        let (name, service) = match trace.root {
            Some(row) if batch.parent_id(row).is_some() => return Some("its root has a parent"),
            Some(row) => (batch.name(row), batch.service(row)),
            None => ("", ""),
        };
        let told = (summary.texts.text(trace.root_name), summary.texts.text(trace.root_service));
        ((name, service) != told).then_some("its root is named otherwise")
    }

    fn has_services(&self, (codes, names): (Vec<u32>, Interner)) -> bool {
        let rows = 0..count(self.batch.len());
        codes.len() == self.batch.len()
            && rows.zip(codes).all(|(row, code)| names.text(code) == self.batch.service(row))
    }
}
