//! Writes batches as a host does.

use super::fixture::{Attributes, Fixture, Layout, Resource, Scope, Span, find};
use crate::any::Any;
use crate::buffer::{Counts, Writer};
use crate::codes::{BATCH_MAGIC, NONE, batch as kind, domain, layout};
use crate::intern::Interner;
use crate::plugin::InputLevel;
use crate::projection::{Attribute, Field, Intrinsic, Owner, Projection};
use crate::value::Value;

/// A span with the numbers of its resource and its scope.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    pub(super) resource: usize,
    scope: usize,
    pub(super) span: &'a Span,
}

/// The fixture as a batch lays it out.
pub(super) struct Rows<'a> {
    pub(super) resources: Vec<&'a Resource>,
    scopes: Vec<&'a Scope>,
    pub(super) spans: Vec<Row<'a>>,
    layout: Layout,
}

impl Fixture {
    /// A batch for a processor, head sampler or router.
    #[must_use]
    pub fn batch(&self, projection: &Projection) -> Vec<u8> {
        let mut writer = Writer::default();
        let rows = Rows::of(self);
        rows.columns(projection, &mut writer);
        self.budgets(projection, &rows, domain::SPANS, &mut writer);
        writer.finish(BATCH_MAGIC, rows.counts(0))
    }

    /// A batch for a tail sampler, of all traces of the fixture in the order in which they first occur.
    #[must_use]
    pub fn traces(&self, projection: &Projection, level: InputLevel) -> Vec<u8> {
        let mut writer = Writer::default();
        let mut rows = Rows::of(self);
        let ids = rows.gather_traces();
        let counts = match level {
            InputLevel::Summary => Counts { traces: number(ids.len()), ..Counts::default() },
            InputLevel::ProjectedSpans => {
                rows.columns(projection, &mut writer);
                rows.counts(ids.len())
            }
        };
        self.budgets(projection, &rows, domain::TRACES, &mut writer);
        self.trace_table(&rows, &ids, level, &mut writer);
        writer.finish(BATCH_MAGIC, counts)
    }
}

impl<'a> Rows<'a> {
    fn of(fixture: &'a Fixture) -> Self {
        let layout = fixture.layout;
        let mut rows = Self { resources: vec![], scopes: vec![], spans: vec![], layout };
        for resource in &fixture.resources {
            for scope in &resource.scopes {
                let (resource, at) = (rows.resources.len(), rows.scopes.len());
                let spans = scope.spans.iter().map(|span| Row { resource, scope: at, span });
                rows.spans.extend(spans);
                rows.scopes.push(scope);
            }
            rows.resources.push(resource);
        }
        rows
    }

    /// Puts the spans of each trace together, and says which traces there are.
    fn gather_traces(&mut self) -> Vec<[u8; 16]> {
        let mut ids: Vec<[u8; 16]> = Vec::new();
        for row in &self.spans {
            if !ids.contains(&row.span.trace_id) {
                ids.push(row.span.trace_id);
            }
        }
        self.spans.sort_by_key(|row| ids.iter().position(|id| *id == row.span.trace_id));
        ids
    }

    fn counts(&self, traces: usize) -> Counts {
        Counts {
            rows: number(self.spans.len()),
            resources: number(self.resources.len()),
            scopes: number(self.scopes.len()),
            events: number(self.spans.iter().map(|row| row.span.events.len()).sum()),
            traces: number(traces),
        }
    }

    fn columns(&self, projection: &Projection, writer: &mut Writer<'_>) {
        for (place, field) in projection.reads.iter().enumerate() {
            let place = number(place);
            match field {
                Field::Intrinsic(intrinsic) => self.intrinsic(*intrinsic, writer),
                Field::Attribute(attribute) => {
                    let owners = self.owners(attribute.owner);
                    let values: Vec<_> =
                        owners.iter().map(|owner| find(owner, &attribute.key)).collect();
                    let at = (kind::ATTRIBUTE, attribute.owner.domain(), place);
                    self.column(at, &values, attribute.complex, writer);
                }
                Field::Attributes(attribute) => self.pairs(attribute, place, writer),
            }
        }
    }

    fn intrinsic(&self, intrinsic: Intrinsic, writer: &mut Writer<'_>) {
        let spans = || self.spans.iter().map(|row| row.span);
        let events = || spans().flat_map(|span| &span.events);
        let (layout, domain, data) = match intrinsic {
            Intrinsic::TraceId => {
                (layout::ID16, domain::SPANS, spans().flat_map(|span| span.trace_id).collect())
            }
            Intrinsic::SpanId => {
                (layout::ID8, domain::SPANS, spans().flat_map(|span| span.span_id).collect())
            }
            Intrinsic::ParentSpanId => {
                (layout::ID8, domain::SPANS, spans().flat_map(|span| span.parent_span_id).collect())
            }
            Intrinsic::TraceState => self.texts(domain::SPANS, spans().map(|of| &of.trace_state)),
            Intrinsic::TraceFlags => {
                (layout::U32, domain::SPANS, u32s(spans().map(|span| span.trace_flags)))
            }
            Intrinsic::Name => self.texts(domain::SPANS, spans().map(|span| &span.name)),
            Intrinsic::Kind => (layout::U8, domain::SPANS, spans().map(|span| span.kind).collect()),
            Intrinsic::StartTime => {
                (layout::U64, domain::SPANS, u64s(spans().map(|span| span.start_unix_nano)))
            }
            Intrinsic::Duration => {
                (layout::U64, domain::SPANS, u64s(spans().map(|span| span.duration_nano)))
            }
            Intrinsic::StatusCode => {
                (layout::U8, domain::SPANS, spans().map(|span| span.status_code).collect())
            }
            Intrinsic::StatusMessage => {
                self.texts(domain::SPANS, spans().map(|span| &span.status_message))
            }
            Intrinsic::ScopeName => {
                self.texts(domain::SCOPES, self.scopes.iter().map(|scope| &scope.name))
            }
            Intrinsic::ScopeVersion => {
                self.texts(domain::SCOPES, self.scopes.iter().map(|scope| &scope.version))
            }
            Intrinsic::EventName => self.texts(domain::EVENTS, events().map(|event| &event.name)),
            Intrinsic::EventTime => {
                (layout::U64, domain::EVENTS, u64s(events().map(|event| event.time_unix_nano)))
            }
            Intrinsic::EventCount => {
                (layout::U32, domain::SPANS, u32s(spans().map(|span| number(span.events.len()))))
            }
            Intrinsic::LinkCount => {
                (layout::U32, domain::SPANS, u32s(spans().map(|span| number(span.links.len()))))
            }
            Intrinsic::ResourceIndex => (
                layout::U32,
                domain::SPANS,
                u32s(self.spans.iter().map(|row| number(row.resource))),
            ),
            Intrinsic::ScopeIndex => {
                (layout::U32, domain::SPANS, u32s(self.spans.iter().map(|row| number(row.scope))))
            }
            Intrinsic::EventSpan => {
                let spans = self.spans.iter().enumerate();
                let places = spans.flat_map(|(at, row)| row.span.events.iter().map(move |_| at));
                (layout::U32, domain::EVENTS, u32s(places.map(number)))
            }
            Intrinsic::SpanAttributeKeys => {
                let mut keys: Vec<&String> = Vec::new();
                for (key, _) in spans().flat_map(|span| &span.attributes) {
                    if !keys.contains(&key) {
                        keys.push(key);
                    }
                }
                self.texts(domain::NONE, keys.into_iter())
            }
            Intrinsic::PeerAddress => {
                self.texts(domain::RESOURCES, self.resources.iter().map(|of| &of.peer_address))
            }
        };
        writer.section(u16::from(intrinsic as u8), layout, domain, 0, data);
    }

    fn texts(&self, domain: u8, texts: impl Iterator<Item = &'a String>) -> (u8, u8, Vec<u8>) {
        let texts: Vec<_> = texts.map(|text| Some(text.as_bytes())).collect();
        (layout::TEXT, domain, dictionary(&texts, self.layout))
    }

    /// The attributes of each owner.
    fn owners(&self, owner: Owner) -> Vec<&'a Attributes> {
        let spans = self.spans.iter().map(|row| row.span);
        match owner {
            Owner::Span => spans.map(|span| &span.attributes).collect(),
            Owner::Resource => self.resources.iter().map(|of| &of.attributes).collect(),
            Owner::Scope => self.scopes.iter().map(|scope| &scope.attributes).collect(),
            Owner::Event => spans.flat_map(|of| &of.events).map(|of| &of.attributes).collect(),
            Owner::Link => spans.flat_map(|of| &of.links).map(|of| &of.attributes).collect(),
        }
    }

    fn pairs(&self, attribute: &Attribute, place: u32, writer: &mut Writer<'_>) {
        let (mut ends, mut keys, mut values) = (vec![], vec![], vec![]);
        for owner in self.owners(attribute.owner) {
            for (key, value) in owner.iter().filter(|(key, _)| key.starts_with(&attribute.key)) {
                keys.push(Some(key.as_bytes()));
                values.push(Some(value));
            }
            ends.push(number(keys.len()));
        }
        let domain = attribute.owner.domain();
        writer.section(kind::PAIRS_END, layout::U32, domain, place, u32s(ends));
        let keys = dictionary(&keys, self.layout);
        writer.section(kind::PAIRS_KEY, layout::TEXT, domain::PAIRS, place, keys);
        let at = (kind::PAIRS, domain::PAIRS, place);
        self.column(at, &values, attribute.complex, writer);
    }

    /// Writes a column: `at` is its kind, domain and argument.
    fn column(
        &self,
        at: (u16, u8, u32),
        values: &[Option<&Any>],
        complex: bool,
        writer: &mut Writer<'_>,
    ) {
        let mut blobs = vec![Vec::new(); values.len()];
        let values: Vec<Value<'_>> = values
            .iter()
            .zip(&mut blobs)
            .map(|(value, blob)| value.map_or(Value::Absent, |value| value.as_value(blob)))
            .collect();
        let (kind, domain, place) = at;
        let tags: Vec<u8> = values.iter().map(|value| value.tag()).collect();
        writer.section(kind, layout::U8, domain, place, tags);
        if values.iter().any(|value| value.word().is_some()) {
            let words = u64s(values.iter().map(|value| value.word().unwrap_or_default()));
            writer.section(kind, layout::U64, domain, place, words);
        }
        let texts: Vec<_> = values.iter().map(|value| value.text().map(str::as_bytes)).collect();
        if texts.iter().any(Option::is_some) {
            let texts = dictionary(&texts, self.layout);
            writer.section(kind, layout::TEXT, domain, place, texts);
        }
        let blobs: Vec<_> = values.iter().map(|value| value.blob()).collect();
        if complex && blobs.iter().any(Option::is_some) {
            let blobs = dictionary(&blobs, self.layout);
            writer.section(kind, layout::BLOB, domain, place, blobs);
        }
    }
}

pub(super) fn number(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(NONE)
}

pub(super) fn u32s(numbers: impl IntoIterator<Item = u32>) -> Vec<u8> {
    numbers.into_iter().flat_map(u32::to_le_bytes).collect()
}

pub(super) fn u64s(numbers: impl IntoIterator<Item = u64>) -> Vec<u8> {
    numbers.into_iter().flat_map(u64::to_le_bytes).collect()
}

/// A section of texts or blobs.
pub(super) fn dictionary(values: &[Option<&[u8]>], layout: Layout) -> Vec<u8> {
    if layout == Layout::Dictionary {
        let mut known = Interner::default();
        let index: Vec<u32> =
            values.iter().map(|value| value.map_or(NONE, |value| known.intern(value))).collect();
        let head = [number(known.len()), number(index.len())];
        let ends = std::iter::once(0).chain(known.ends().iter().copied());
        let mut section = u32s(head.into_iter().chain(index).chain(ends));
        section.extend_from_slice(known.heap());
        return section;
    }
    let values = || values.iter().copied().map(Option::unwrap_or_default);
    let ends = values().scan(0, |end, value| {
        *end += value.len();
        Some(number(*end))
    });
    let head = [number(values().count()), 0, 0];
    let mut section = u32s(head.into_iter().chain(ends));
    section.extend(values().flatten());
    section
}
