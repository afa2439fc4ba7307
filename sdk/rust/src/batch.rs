//! What a plugin is given: typed views over the buffer, held against its rules once.

mod intrinsics;

use crate::buffer::{self, Counts, Section};
use crate::codes::{BATCH_MAGIC, NONE, batch as kind, domain, layout};
use crate::column::{Column, Pairs};
use crate::error::PluginError;
use crate::groups::{Parents, TraceGroups};
use crate::projection::{BudgetAt, Read};
use crate::tables::{Budgets, Traces};
use crate::view::{Numbers, Texts};

/// How many entries a kind has.
#[derive(Clone, Copy, PartialEq)]
enum Entries {
    /// One for each of a domain that the header counts.
    Of(u8),
    /// Those of the domain that the section names.
    Named,
    /// As many as there are.
    Any,
}

/// What is known of the sections of a batch: kind, types, entries. One that is not here is skipped.
#[rustfmt::skip]
const KINDS: &[(u16, &[u8], Entries)] = &[
    (kind::TRACE_ID, &[layout::ID16], Entries::Of(domain::SPANS)),
    (kind::SPAN_ID, &[layout::ID8], Entries::Of(domain::SPANS)),
    (kind::PARENT_SPAN_ID, &[layout::ID8], Entries::Of(domain::SPANS)),
    (kind::TRACE_STATE, &[layout::TEXT], Entries::Of(domain::SPANS)),
    (kind::TRACE_FLAGS, &[layout::U32], Entries::Of(domain::SPANS)),
    (kind::NAME, &[layout::TEXT], Entries::Of(domain::SPANS)),
    (kind::KIND, &[layout::U8], Entries::Of(domain::SPANS)),
    (kind::START_TIME, &[layout::U64], Entries::Of(domain::SPANS)),
    (kind::DURATION, &[layout::U64], Entries::Of(domain::SPANS)),
    (kind::STATUS_CODE, &[layout::U8], Entries::Of(domain::SPANS)),
    (kind::STATUS_MESSAGE, &[layout::TEXT], Entries::Of(domain::SPANS)),
    (kind::SCOPE_NAME, &[layout::TEXT], Entries::Of(domain::SCOPES)),
    (kind::SCOPE_VERSION, &[layout::TEXT], Entries::Of(domain::SCOPES)),
    (kind::EVENT_NAME, &[layout::TEXT], Entries::Of(domain::EVENTS)),
    (kind::EVENT_TIME, &[layout::U64], Entries::Of(domain::EVENTS)),
    (kind::EVENT_COUNT, &[layout::U32], Entries::Of(domain::SPANS)),
    (kind::LINK_COUNT, &[layout::U32], Entries::Of(domain::SPANS)),
    (kind::RESOURCE_INDEX, &[layout::U32], Entries::Of(domain::SPANS)),
    (kind::SCOPE_INDEX, &[layout::U32], Entries::Of(domain::SPANS)),
    (kind::EVENT_SPAN, &[layout::U32], Entries::Of(domain::EVENTS)),
    (kind::SPAN_ATTRIBUTE_KEYS, &[layout::TEXT], Entries::Any),
    (kind::PEER_ADDRESS, &[layout::TEXT], Entries::Of(domain::RESOURCES)),
    (kind::ATTRIBUTE, &[layout::U8, layout::U64, layout::TEXT, layout::BLOB], Entries::Any),
    (kind::PAIRS_END, &[layout::U32], Entries::Named),
    (kind::PAIRS_KEY, &[layout::TEXT], Entries::Any),
    (kind::PAIRS, &[layout::U8, layout::U64, layout::TEXT, layout::BLOB], Entries::Any),
    (kind::BUDGET_KEY, &[layout::TEXT], Entries::Any),
    (kind::BUDGET_LIMIT, &[layout::U64], Entries::Any),
    (kind::BUDGET_USED, &[layout::U64], Entries::Any),
    (kind::BUDGET_INDEX, &[layout::U32], Entries::Named),
    (kind::TRACE_END_ROW, &[layout::U32], Entries::Of(domain::TRACES)),
    (kind::TRACE, &[layout::ID16], Entries::Of(domain::TRACES)),
    (kind::TRACE_START, &[layout::U64], Entries::Of(domain::TRACES)),
    (kind::TRACE_DURATION, &[layout::U64], Entries::Of(domain::TRACES)),
    (kind::TRACE_SPANS, &[layout::U32], Entries::Of(domain::TRACES)),
    (kind::TRACE_ERRORS, &[layout::U32], Entries::Of(domain::TRACES)),
    (kind::TRACE_SERVICES, &[layout::U32], Entries::Of(domain::TRACES)),
    (kind::TRACE_ROOT_NAME, &[layout::TEXT], Entries::Of(domain::TRACES)),
    (kind::TRACE_ROOT_SERVICE, &[layout::TEXT], Entries::Of(domain::TRACES)),
    (kind::TRACE_STATE_BITS, &[layout::U8], Entries::Of(domain::TRACES)),
];

/// One section, by its type.
#[derive(Clone, Copy, Debug)]
enum Data<'a> {
    U8(&'a [u8]),
    U32(Numbers<'a, u32>),
    U64(Numbers<'a, u64>),
    Id16(&'a [[u8; 16]]),
    Id8(&'a [[u8; 8]]),
    Text(Texts<'a>),
}

/// A batch: columns of spans, resources, scopes and events, of which a plugin sees those that it reads.
///
/// Reading is without copies, and what is asked for by a row that is not there is `None` or absent. A column that
/// is not there at all is an error, which a plugin passes on: the host sends whatever was in `reads`.
#[derive(Debug)]
pub struct Batch<'a> {
    counts: Counts,
    links: usize,
    sections: Vec<(u16, u32, Data<'a>)>,
    /// Place in `reads`, domain, column.
    columns: Vec<(u32, u8, Column<'a>)>,
    /// The domain of whose they are, and they.
    pairs: Vec<(u8, Pairs<'a>)>,
}

impl<'a> Batch<'a> {
    /// Reads a batch.
    ///
    /// # Errors
    ///
    /// Bad input, when the buffer breaks a rule of `plugin-buffer.md`.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, PluginError> {
        let (counts, sections) = buffer::parse(bytes, BATCH_MAGIC)?;
        let mut parts = Parts::default();
        for section in sections {
            if let Some((_, layouts, entries)) = KINDS.iter().find(|row| row.0 == section.kind) {
                if !layouts.contains(&section.layout) {
                    return Err(section.bad("another type"));
                }
                parts.take(&counts, &section, *entries)?;
            }
        }
        parts.finish(counts)
    }

    /// How many of what there are.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// How many spans there are.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.counts.rows as usize
    }

    /// How many resources there are.
    #[must_use]
    pub fn resources(&self) -> usize {
        self.counts.resources as usize
    }

    /// How many links there are, if anything of links is read.
    #[must_use]
    pub fn links(&self) -> usize {
        self.links
    }

    /// The column of an attribute, by its place in `reads`.
    ///
    /// # Errors
    ///
    /// Bad input, where the batch has none.
    pub fn column(&self, read: impl Into<Read>) -> Result<Column<'a>, PluginError> {
        let read = read.into();
        let column = self.columns.iter().find(|(at, ..)| *at == read.place);
        let (_, domain, column) = column.ok_or_else(|| missing("column", read.place))?;
        is_of(read, *domain, "column").map(|()| *column)
    }

    /// All attributes whose key begins so, by the field's place in `reads`.
    ///
    /// # Errors
    ///
    /// Bad input, where the batch has none.
    pub fn pairs(&self, read: impl Into<Read>) -> Result<Pairs<'a>, PluginError> {
        let read = read.into();
        let pairs = self.pairs.iter().find(|(_, pairs)| pairs.place == read.place);
        let (domain, pairs) = pairs.ok_or_else(|| missing("table of pairs", read.place))?;
        is_of(read, *domain, "table of pairs").map(|()| *pairs)
    }

    /// A budget, by its place in `budgets`.
    ///
    /// # Errors
    ///
    /// Bad input, where the batch has none.
    pub fn budget(&self, budget: impl Into<BudgetAt>) -> Result<Budgets<'a>, PluginError> {
        let BudgetAt(place) = budget.into();
        let keys = self.texts(kind::BUDGET_KEY, place)?;
        let limits = self.u64s(kind::BUDGET_LIMIT, place)?;
        let used = self.u64s(kind::BUDGET_USED, place)?;
        Budgets::new(keys, limits, used, self.u32s(kind::BUDGET_INDEX, place)?)
    }

    /// Which rows are of the same trace.
    ///
    /// # Errors
    ///
    /// Bad input, where the batch has no trace ids.
    pub fn group_by_trace(&self) -> Result<TraceGroups, PluginError> {
        Ok(TraceGroups::new(self.trace_ids()?))
    }

    /// Which row has the parent of each row.
    ///
    /// # Errors
    ///
    /// Bad input, where the batch has no trace ids, span ids or ids of parents.
    pub fn parents(&self) -> Result<Parents, PluginError> {
        Ok(Parents::new(self.trace_ids()?, self.span_ids()?, self.parent_span_ids()?))
    }

    /// The table of traces that a tail sampler decides on.
    ///
    /// # Errors
    ///
    /// Bad input, where the batch has none.
    pub fn traces(&self) -> Result<Traces<'a>, PluginError> {
        Ok(Traces {
            ends: self.u32s(kind::TRACE_END_ROW, 0)?,
            ids: self.id16s(kind::TRACE, 0)?,
            starts: self.u64s(kind::TRACE_START, 0)?,
            durations: self.u64s(kind::TRACE_DURATION, 0)?,
            spans: self.u32s(kind::TRACE_SPANS, 0)?,
            errors: self.u32s(kind::TRACE_ERRORS, 0)?,
            services: self.u32s(kind::TRACE_SERVICES, 0)?,
            root_names: self.texts(kind::TRACE_ROOT_NAME, 0)?,
            root_services: self.texts(kind::TRACE_ROOT_SERVICE, 0)?,
            states: self.u8s(kind::TRACE_STATE_BITS, 0)?,
        })
    }

    fn data(&self, kind: u16, argument: u32) -> Result<Data<'a>, PluginError> {
        let section = self.sections.iter().find(|row| row.0 == kind && row.1 == argument);
        section.map(|row| row.2).ok_or_else(|| missing("section", kind.into()))
    }

    fn u8s(&self, kind: u16, argument: u32) -> Result<&'a [u8], PluginError> {
        let Data::U8(data) = self.data(kind, argument)? else { return Err(another(kind)) };
        Ok(data)
    }

    fn u32s(&self, kind: u16, argument: u32) -> Result<Numbers<'a, u32>, PluginError> {
        let Data::U32(data) = self.data(kind, argument)? else { return Err(another(kind)) };
        Ok(data)
    }

    fn u64s(&self, kind: u16, argument: u32) -> Result<Numbers<'a, u64>, PluginError> {
        let Data::U64(data) = self.data(kind, argument)? else { return Err(another(kind)) };
        Ok(data)
    }

    fn texts(&self, kind: u16, argument: u32) -> Result<Texts<'a>, PluginError> {
        let Data::Text(data) = self.data(kind, argument)? else { return Err(another(kind)) };
        Ok(data)
    }

    fn id16s(&self, kind: u16, argument: u32) -> Result<&'a [[u8; 16]], PluginError> {
        let Data::Id16(data) = self.data(kind, argument)? else { return Err(another(kind)) };
        Ok(data)
    }

    fn id8s(&self, kind: u16, argument: u32) -> Result<&'a [[u8; 8]], PluginError> {
        let Data::Id8(data) = self.data(kind, argument)? else { return Err(another(kind)) };
        Ok(data)
    }
}

/// The domain of attributes is their owner's.
fn is_of(read: Read, domain: u8, what: &str) -> Result<(), PluginError> {
    if read.domain.is_none_or(|owner| owner == domain) {
        return Ok(());
    }
    Err(PluginError::BadInput(format!("{what} {} is of another domain", read.place)))
}

fn missing(what: &str, which: u32) -> PluginError {
    PluginError::BadInput(format!("the batch has no {what} {which}"))
}

fn another(kind: u16) -> PluginError {
    PluginError::BadInput(format!("section {kind} has another type"))
}

/// A batch whose sections are not all taken yet.
#[derive(Default)]
struct Parts<'a> {
    sections: Vec<(u16, u32, Data<'a>)>,
    /// Kind, place in `reads`, domain.
    columns: Vec<(u16, u32, u8, Column<'a>)>,
    /// Place in `reads`, domain, where the pairs of each owner end.
    ends: Vec<(u32, u8, Numbers<'a, u32>)>,
}

impl<'a> Parts<'a> {
    /// Takes a section whose kind is known and whose type is right.
    fn take(
        &mut self,
        counts: &Counts,
        section: &Section<'a>,
        entries: Entries,
    ) -> Result<(), PluginError> {
        if matches!(section.kind, kind::ATTRIBUTE | kind::PAIRS) {
            return self.column(section)?.take(section);
        }
        let data = data(section)?;
        let wanted = match entries {
            Entries::Of(domain) => counts.of(domain),
            Entries::Named => counts.of(section.domain),
            Entries::Any => None,
        };
        let data = data.first(wanted, section)?;
        if let (kind::PAIRS_END, Data::U32(ends)) = (section.kind, data) {
            self.ends.push((section.argument, section.domain, ends));
        }
        self.sections.push((section.kind, section.argument, data));
        Ok(())
    }

    fn column(&mut self, section: &Section<'_>) -> Result<&mut Column<'a>, PluginError> {
        let Section { kind, argument, domain, .. } = *section;
        let at = self.columns.iter().position(|row| (row.0, row.1) == (kind, argument));
        let at = at.unwrap_or_else(|| {
            self.columns.push((kind, argument, domain, Column::default()));
            self.columns.len() - 1
        });
        let (.., of, column) = &mut self.columns[at];
        if *of == domain { Ok(column) } else { Err(section.bad("another domain")) }
    }

    /// Holds sections against each other.
    fn finish(self, counts: Counts) -> Result<Batch<'a>, PluginError> {
        let mut batch = Batch {
            counts,
            links: 0,
            sections: self.sections,
            columns: Vec::with_capacity(self.columns.len()),
            pairs: Vec::with_capacity(self.ends.len()),
        };
        for (of, place, domain, mut column) in self.columns.iter().copied() {
            if of == kind::ATTRIBUTE {
                column.finish(counts.of(domain))?;
                batch.columns.push((place, domain, column));
                batch.links = batch.links.max(links(domain, column.len()));
            }
        }
        for (place, domain, ends) in self.ends {
            let values = self.columns.iter().find(|row| (row.0, row.1) == (kind::PAIRS, place));
            let values = values.map(|row| row.3).unwrap_or_default();
            let keys = batch.texts(kind::PAIRS_KEY, place).unwrap_or_default();
            batch.pairs.push((domain, Pairs::new(place, ends, keys, values)?));
            batch.links = batch.links.max(links(domain, ends.len()));
        }
        batch.check_places()?;
        Ok(batch)
    }
}

/// How many links a section tells of.
fn links(domain: u8, entries: usize) -> usize {
    if domain == domain::LINKS { entries } else { 0 }
}

impl Batch<'_> {
    /// Refuses an index of something that is not there.
    fn check_places(&self) -> Result<(), PluginError> {
        let Counts { rows, resources, scopes, .. } = self.counts;
        for (kind, argument, data) in &self.sections {
            let Data::U32(places) = data else { continue };
            let mut places = places.iter();
            let good = match *kind {
                kind::RESOURCE_INDEX => places.all(|at| at < resources),
                kind::SCOPE_INDEX => places.all(|at| at < scopes),
                kind::EVENT_SPAN => places.all(|at| at < rows),
                kind::TRACE_END_ROW => places.is_sorted() && self.ends_at_most(*kind, rows),
                kind::BUDGET_INDEX => {
                    let budgets = self.texts(kind::BUDGET_KEY, *argument)?.len();
                    places.all(|at| at == NONE || (at as usize) < budgets)
                }
                _ => true,
            };
            if !good {
                return Err(PluginError::BadInput(format!("section {kind} leads nowhere")));
            }
        }
        Ok(())
    }

    fn ends_at_most(&self, kind: u16, limit: u32) -> bool {
        self.u32s(kind, 0).is_ok_and(|ends| ends.iter().all(|end| end <= limit))
    }
}

/// Reads a section as its type says.
fn data<'a>(section: &Section<'a>) -> Result<Data<'a>, PluginError> {
    let bytes = section.bytes()?;
    Ok(match section.layout {
        layout::U8 => Data::U8(bytes),
        layout::U32 => Data::U32(Numbers::new(bytes)),
        layout::U64 => Data::U64(Numbers::new(bytes)),
        layout::ID16 => Data::Id16(bytes.as_chunks().0),
        layout::ID8 => Data::Id8(bytes.as_chunks().0),
        layout::TEXT => Data::Text(Texts::parse(bytes)?),
        _ => return Err(section.bad("another type")),
    })
}

impl Data<'_> {
    /// Its first `entries`, or all.
    fn first(self, entries: Option<usize>, section: &Section<'_>) -> Result<Self, PluginError> {
        let Some(entries) = entries else {
            if let Data::Text(texts) = self {
                texts.check(0)?;
            }
            return Ok(self);
        };
        let few = || section.bad("too few entries");
        Ok(match self {
            Self::U8(data) => Self::U8(data.get(..entries).ok_or_else(few)?),
            Self::U32(data) => Self::U32(data.first(entries).ok_or_else(few)?),
            Self::U64(data) => Self::U64(data.first(entries).ok_or_else(few)?),
            Self::Id16(data) => Self::Id16(data.get(..entries).ok_or_else(few)?),
            Self::Id8(data) => Self::Id8(data.get(..entries).ok_or_else(few)?),
            Self::Text(data) => {
                data.check(entries)?;
                Self::Text(data)
            }
        })
    }
}
