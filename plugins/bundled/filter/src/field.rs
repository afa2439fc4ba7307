//! What a condition reads of spans, and where it stands in a batch.

use traceql::ast::{self, Intrinsic as Ql, Key, Scope, Static, Status, Whose};
use traceweir_plugin::{
    Batch, Column, Field, Intrinsic, Numbers, Owner, PluginError, Projection, Read, Texts, Value,
};

use crate::truth::Truth;
use crate::value::{Test, of_value, one_of};

/// A field, by what it is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Of the owner: an attribute.
    Attribute(Owner, Read),
    /// Of the span, and where it has none, of its resource.
    Either(Read, Read),
    Duration,
    Name,
    Status,
    StatusMessage,
    Kind,
    SpanId,
    ParentId,
    TraceId,
    EventName,
    EventTimeSinceStart,
    ScopeName,
    ScopeVersion,
    /// Whether there is a parent.
    Parent,
}

impl Source {
    /// The source of a field, and what it needs in the projection.
    ///
    /// # Errors
    ///
    /// Why a batch has no such thing.
    pub(crate) fn new(field: &ast::Field, projection: &mut Projection) -> Result<Self, String> {
        if field.whose == Whose::Parent {
            return Err("parent.… is of another span, which a batch need not have".to_owned());
        }
        let intrinsic = match &field.key {
            Key::Attribute { scope, name } => return Ok(attribute(*scope, name, projection)),
            Key::Intrinsic(intrinsic) => *intrinsic,
        };
        let (source, reads): (_, &[Intrinsic]) = match intrinsic {
            Ql::Duration => (Self::Duration, &[Intrinsic::Duration]),
            Ql::Name => (Self::Name, &[Intrinsic::Name]),
            Ql::Status => (Self::Status, &[Intrinsic::StatusCode]),
            Ql::StatusMessage => (Self::StatusMessage, &[Intrinsic::StatusMessage]),
            Ql::Kind => (Self::Kind, &[Intrinsic::Kind]),
            Ql::SpanId => (Self::SpanId, &[Intrinsic::SpanId]),
            Ql::ParentId => (Self::ParentId, &[Intrinsic::ParentSpanId]),
            Ql::TraceId => (Self::TraceId, &[Intrinsic::TraceId]),
            Ql::Parent => (Self::Parent, &[Intrinsic::ParentSpanId]),
            Ql::EventName => (Self::EventName, &[Intrinsic::EventName, Intrinsic::EventCount]),
            Ql::EventTimeSinceStart => (
                Self::EventTimeSinceStart,
                &[Intrinsic::EventTime, Intrinsic::StartTime, Intrinsic::EventCount],
            ),
            Ql::InstrumentationName => {
                (Self::ScopeName, &[Intrinsic::ScopeName, Intrinsic::ScopeIndex])
            }
            Ql::InstrumentationVersion => {
                (Self::ScopeVersion, &[Intrinsic::ScopeVersion, Intrinsic::ScopeIndex])
            }
            Ql::ChildCount
            | Ql::TraceDuration
            | Ql::RootName
            | Ql::RootServiceName
            | Ql::NestedSetLeft
            | Ql::NestedSetRight
            | Ql::NestedSetParent => {
                let name = intrinsic.name();
                return Err(format!("{name} is of the whole trace, which a batch need not have"));
            }
            Ql::LinkTraceId | Ql::LinkSpanId => {
                return Err(format!("{} is not passed to plugins", intrinsic.name()));
            }
        };
        for intrinsic in reads {
            projection.read(*intrinsic);
        }
        Ok(source)
    }

    /// Whether its texts are ids.
    pub(crate) fn is_id(self) -> bool {
        matches!(self, Self::SpanId | Self::ParentId | Self::TraceId)
    }

    /// Where it stands in a batch.
    pub(crate) fn access<'a>(self, batch: &Batch<'a>) -> Result<Access<'a>, PluginError> {
        Ok(match self {
            Self::Attribute(owner, read) => {
                Access::Column(batch.column(read)?, Rows::new(batch, owner)?)
            }
            Self::Either(span, resource) => Access::Either(
                batch.column(span)?,
                batch.column(resource)?,
                Rows::new(batch, Owner::Resource)?,
            ),
            Self::Duration => Access::Nanos(batch.durations()?),
            Self::Name => Access::Texts(batch.names()?, Rows::Own),
            Self::StatusMessage => Access::Texts(batch.status_messages()?, Rows::Own),
            Self::EventName => Access::Texts(batch.event_names()?, Rows::new(batch, Owner::Event)?),
            Self::ScopeName => Access::Texts(batch.scope_names()?, Rows::new(batch, Owner::Scope)?),
            Self::ScopeVersion => {
                Access::Texts(batch.scope_versions()?, Rows::new(batch, Owner::Scope)?)
            }
            Self::Status => Access::Status(batch.status_codes()?),
            Self::Kind => Access::Kind(batch.kinds()?),
            Self::SpanId => Access::Id8(batch.span_ids()?),
            Self::ParentId => Access::Id8(batch.parent_span_ids()?),
            Self::TraceId => Access::Id16(batch.trace_ids()?),
            Self::Parent => Access::Parent(batch.parent_span_ids()?),
            Self::EventTimeSinceStart => Access::SinceStart(
                batch.event_times()?,
                batch.start_times()?,
                Rows::new(batch, Owner::Event)?,
            ),
        })
    }
}

fn attribute(scope: Scope, name: &str, projection: &mut Projection) -> Source {
    let mut read = |owner| projection.read(Field::attribute(owner, name).complex());
    let (source, index) = match scope {
        Scope::Unscoped => (
            Source::Either(read(Owner::Span), read(Owner::Resource)),
            Some(Intrinsic::ResourceIndex),
        ),
        Scope::Span => (Source::Attribute(Owner::Span, read(Owner::Span)), None),
        Scope::Resource => (
            Source::Attribute(Owner::Resource, read(Owner::Resource)),
            Some(Intrinsic::ResourceIndex),
        ),
        Scope::Instrumentation => {
            (Source::Attribute(Owner::Scope, read(Owner::Scope)), Some(Intrinsic::ScopeIndex))
        }
        Scope::Event => {
            (Source::Attribute(Owner::Event, read(Owner::Event)), Some(Intrinsic::EventCount))
        }
        Scope::Link => {
            (Source::Attribute(Owner::Link, read(Owner::Link)), Some(Intrinsic::LinkCount))
        }
    };
    if let Some(index) = index {
        projection.read(index);
    }
    source
}

/// Which entries of a column a row has.
#[derive(Debug)]
pub(crate) enum Rows<'a> {
    /// Its own.
    Own,
    /// That of its resource or scope.
    Of(Numbers<'a, u32>),
    /// Those of its events or links: where they end.
    Several(Vec<usize>),
}

impl<'a> Rows<'a> {
    fn new(batch: &Batch<'a>, owner: Owner) -> Result<Self, PluginError> {
        // Whoever has counted too many would have us look for them, one by one.
        let ends = |counts: Numbers<'_, u32>, most: usize| {
            let ends = counts.iter().scan(0, |end: &mut usize, count| {
                *end = end.saturating_add(count as usize);
                Some(*end)
            });
            let ends: Vec<usize> = ends.collect();
            if ends.last().is_some_and(|end| *end > most) {
                let why = "spans have more events or links than there are";
                return Err(PluginError::bad_input(why));
            }
            Ok(Self::Several(ends))
        };
        Ok(match owner {
            Owner::Span => Self::Own,
            Owner::Resource => Self::Of(batch.resource_indices()?),
            Owner::Scope => Self::Of(batch.scope_indices()?),
            Owner::Event => ends(batch.event_counts()?, batch.counts().events as usize)?,
            Owner::Link => ends(batch.link_counts()?, batch.links())?,
        })
    }

    fn entries(&self, row: usize) -> std::ops::Range<usize> {
        match self {
            Self::Own => row..row + 1,
            Self::Of(index) => {
                let at = index.get(row).map_or(usize::MAX - 1, |at| at as usize);
                at..at + 1
            }
            Self::Several(ends) => {
                let end = |row: usize| ends.get(row).copied().unwrap_or_default();
                row.checked_sub(1).map_or(0, end)..end(row)
            }
        }
    }
}

/// A field in a batch.
#[derive(Debug)]
pub(crate) enum Access<'a> {
    Column(Column<'a>, Rows<'a>),
    Either(Column<'a>, Column<'a>, Rows<'a>),
    Texts(Texts<'a>, Rows<'a>),
    Nanos(Numbers<'a, u64>),
    Status(&'a [u8]),
    Kind(&'a [u8]),
    Id8(&'a [[u8; 8]]),
    Id16(&'a [[u8; 16]]),
    Parent(&'a [[u8; 8]]),
    SinceStart(Numbers<'a, u64>, Numbers<'a, u64>, Rows<'a>),
}

impl Access<'_> {
    /// Appends the values that a row has.
    pub(crate) fn values(&self, row: usize, out: &mut Vec<Static>) {
        match self {
            Self::Column(column, rows) => {
                for entry in rows.entries(row) {
                    of_value(column.value(entry), out);
                }
            }
            Self::Either(span, resource, rows) => {
                let own = span.tags().get(row).is_some_and(|tag| *tag != 0);
                let (column, entries) =
                    if own { (span, row..row + 1) } else { (resource, rows.entries(row)) };
                for entry in entries {
                    of_value(column.value(entry), out);
                }
            }
            Self::Texts(texts, rows) => {
                let texts = rows.entries(row).filter_map(|entry| texts.get(entry));
                out.extend(texts.map(|text| Static::Text(text.to_owned())));
            }
            Self::Nanos(numbers) => out.extend(numbers.get(row).map(duration)),
            Self::Status(codes) => {
                let status = codes.get(row).and_then(|code| Status::ALL.get(usize::from(*code)));
                out.extend(status.copied().map(Static::Status));
            }
            Self::Kind(kinds) => {
                let kind = kinds.get(row).and_then(|kind| ast::Kind::ALL.get(usize::from(*kind)));
                out.extend(kind.copied().map(Static::Kind));
            }
            Self::Id8(ids) => out.extend(ids.get(row).map(|id| hex(id))),
            Self::Id16(ids) => out.extend(ids.get(row).map(|id| hex(id))),
            Self::Parent(ids) => {
                let is_there = ids.get(row).is_some_and(|id| *id != [0; 8]);
                out.extend(is_there.then_some(Static::Bool(true)));
            }
            Self::SinceStart(times, starts, rows) => {
                let start = starts.get(row).unwrap_or_default();
                let times = rows.entries(row).filter_map(|event| times.get(event));
                out.extend(times.map(|time| duration(time.saturating_sub(start))));
            }
        }
    }

    /// Whether each row meets a test. Of texts each is looked at once.
    pub(crate) fn meet(&self, test: &Test, rows: usize) -> Vec<Truth> {
        match self {
            Self::Column(column, of) => {
                let entries = Entries::new(*column, test);
                let truth = |row| test.meet(of.entries(row).map(|entry| entries.met(entry)));
                (0..rows).map(|row| truth(row).into()).collect()
            }
            Self::Either(span, resource, of) => {
                let (own, other) = (Entries::new(*span, test), Entries::new(*resource, test));
                let truth = |row: usize| match span.tags().get(row) {
                    Some(0) | None => test.meet(of.entries(row).map(|entry| other.met(entry))),
                    Some(_) => test.meet([own.met(row)]),
                };
                (0..rows).map(|row| truth(row).into()).collect()
            }
            Self::Texts(texts, of) => {
                let met: Vec<_> = texts.values().map(|text| test.meets_text(text)).collect();
                let met = |entry| texts.index(entry).and_then(|text| *met.get(text)?);
                let truth = |row| test.meet(of.entries(row).map(met));
                (0..rows).map(|row| truth(row).into()).collect()
            }
            _ => {
                let mut values = Vec::new();
                let mut truth = |row| {
                    values.clear();
                    self.values(row, &mut values);
                    test.meet(values.iter().map(|value| test.meets(value)))
                };
                (0..rows).map(|row| truth(row).into()).collect()
            }
        }
    }
}

/// What a test says of the entries of a column.
struct Entries<'a, 't> {
    column: Column<'a>,
    texts: Vec<Option<bool>>,
    test: &'t Test,
}

impl<'a, 't> Entries<'a, 't> {
    fn new(column: Column<'a>, test: &'t Test) -> Self {
        let texts = column.values().map(|text| test.meets_text(text)).collect();
        Self { column, texts, test }
    }

    /// What is not negated; of an array whether any element meets it.
    fn met(&self, entry: usize) -> Option<bool> {
        if let Some(text) = self.column.index(entry) {
            return *self.texts.get(text)?;
        }
        let value = self.column.value(entry);
        let Value::Array(_) = value else { return self.test.meets(&one_of(value)?) };
        let mut values = Vec::new();
        of_value(value, &mut values);
        let met = values.iter().filter_map(|value| self.test.meets(value));
        met.reduce(|a, b| a || b)
    }
}

fn duration(nanos: u64) -> Static {
    Static::Duration(i64::try_from(nanos).unwrap_or(i64::MAX))
}

fn hex(id: &[u8]) -> Static {
    let digit = |four: u8| char::from_digit(four.into(), 16).unwrap_or_default();
    Static::Text(id.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect())
}
