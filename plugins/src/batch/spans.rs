//! The intrinsic fields of a batch.

use std::net::IpAddr;

use model::otlp::outline::Span;
use traceweir_plugin::codes::{NONE, domain, layout};

use super::sections::Sections;
use super::shape::{Shape, span};
use super::texts::{Texts, put_u32s};
use super::{Batch, domain_of};
use crate::draft::{Draft, Memory, Word};
use crate::projection::{Intrinsic, Owner, Plan};

impl Batch {
    pub(super) fn put_intrinsics(
        &mut self,
        out: &mut Sections<'_>,
        draft: &Draft,
        plan: &Plan,
        peer: Option<IpAddr>,
    ) {
        for field in Intrinsic::ALL.into_iter().filter(|field| plan.reads(*field)) {
            let columns = Columns { shape: &self.shape, draft, out, kind: u16::from(field as u8) };
            match field {
                Intrinsic::TraceState
                | Intrinsic::Name
                | Intrinsic::StatusMessage
                | Intrinsic::ScopeName
                | Intrinsic::ScopeVersion
                | Intrinsic::EventName => {
                    let is_unique = plan.modes[field as usize].is_unique();
                    self.texts.begin(is_unique, self.seed);
                    columns.texts(field, plan, &mut self.texts);
                }
                Intrinsic::SpanAttributeKeys => {
                    self.texts.begin(false, self.seed);
                    columns.keys(&mut self.texts, &mut self.numbers);
                }
                Intrinsic::PeerAddress => {
                    self.texts.begin(false, self.seed);
                    columns.peer(peer, &mut self.texts);
                }
                _ => columns.numbers(field),
            }
        }
    }
}

/// Where a column comes from and goes to.
struct Columns<'a, 'o> {
    shape: &'a Shape,
    draft: &'a Draft,
    out: &'a mut Sections<'o>,
    kind: u16,
}

impl<'a> Columns<'a, '_> {
    /// Ids, numbers, and the numbers of other things.
    fn numbers(self, field: Intrinsic) {
        let shape = self.shape;
        match field {
            Intrinsic::TraceId => self.ids::<16>(layout::ID16, |span| span.trace_id),
            Intrinsic::SpanId => self.ids::<8>(layout::ID8, |span| span.span_id),
            Intrinsic::ParentSpanId => self.ids::<8>(layout::ID8, |span| span.parent_id),
            Intrinsic::Kind => self.bytes(Word::Kind),
            Intrinsic::StatusCode => self.bytes(Word::StatusCode),
            Intrinsic::StartTime => self.times(|memory, span| memory.number(span.start)),
            Intrinsic::Duration => self.times(|memory, span| {
                memory.number(span.end_time).saturating_sub(memory.number(span.start))
            }),
            Intrinsic::TraceFlags => self.counts(|memory, span| {
                u32::try_from(memory.number(span.flags)).unwrap_or_default()
            }),
            Intrinsic::EventCount => self.counts(|_, span| span.events.count),
            Intrinsic::LinkCount => self.counts(|_, span| span.links.count),
            Intrinsic::ResourceIndex => self.places(&shape.resource_of),
            Intrinsic::ScopeIndex => self.places(&shape.scope_of),
            Intrinsic::EventSpan => self.event_spans(),
            _ => self.event_times(),
        }
    }

    fn spans(&self) -> impl ExactSizeIterator<Item = &'a Span> + use<'a> {
        let draft = self.draft;
        self.shape.rows.iter().map(|row| span(draft, *row))
    }

    fn ids<const N: usize>(self, layout: u8, at: impl Fn(&Span) -> u32) {
        let (spans, memory) = (self.spans(), &self.draft.memory);
        self.out.section((self.kind, layout, domain::SPANS, 0), |out| {
            out.reserve(N * spans.len());
            spans.for_each(|span| out.extend_from_slice(&memory.array::<N>(at(span))));
        });
    }

    fn times(self, time: impl Fn(&Memory, &Span) -> u64) {
        let (spans, memory) = (self.spans(), &self.draft.memory);
        self.out.section((self.kind, layout::U64, domain::SPANS, 0), |out| {
            out.reserve(8 * spans.len());
            spans.for_each(|span| out.extend_from_slice(&time(memory, span).to_le_bytes()));
        });
    }

    fn counts(self, count: impl Fn(&Memory, &Span) -> u32) {
        let (spans, memory) = (self.spans(), &self.draft.memory);
        self.out.section((self.kind, layout::U32, domain::SPANS, 0), |out| {
            out.reserve(4 * spans.len());
            spans.for_each(|span| out.extend_from_slice(&count(memory, span).to_le_bytes()));
        });
    }

    fn places(self, places: &[u32]) {
        let head = (self.kind, layout::U32, domain::SPANS, 0);
        self.out.section(head, |out| put_u32s(out, places));
    }

    /// A small number; what is none that OTLP knows is 0.
    fn bytes(self, word: Word) {
        let (draft, rows) = (self.draft, &self.shape.rows);
        let number = |row: &u32| draft.memory.number(draft.word(*row, word));
        self.out.section((self.kind, layout::U8, domain::SPANS, 0), |out| {
            out.extend(rows.iter().map(|row| u8::try_from(number(row)).unwrap_or_default()));
        });
    }

    fn event_spans(self) {
        let shape = self.shape;
        let rows = (0..shape.count(Owner::Event)).map(|event| shape.row_of(Owner::Event, event));
        self.out.section((self.kind, layout::U32, domain::EVENTS, 0), |out| {
            rows.for_each(|row| out.extend_from_slice(&row.to_le_bytes()));
        });
    }

    fn event_times(self) {
        let (shape, draft) = (self.shape, self.draft);
        let events = (0..shape.count(Owner::Event)).map(|event| shape.place(Owner::Event, event));
        self.out.section((self.kind, layout::U64, domain::EVENTS, 0), |out| {
            for event in events {
                let at = draft.outline.events.get(event as usize).map_or(0, |event| event.time);
                out.extend_from_slice(&draft.memory.number(at).to_le_bytes());
            }
        });
    }

    fn texts(self, field: Intrinsic, plan: &Plan, texts: &mut Texts) {
        let (draft, outline) = (self.draft, &self.draft.outline);
        match field {
            Intrinsic::TraceState => {
                self.column(field, plan, Owner::Span, texts, |row| {
                    draft.word(row, Word::TraceState)
                });
            }
            Intrinsic::Name => {
                self.column(field, plan, Owner::Span, texts, |row| draft.word(row, Word::Name));
            }
            Intrinsic::StatusMessage => {
                let at = |row| draft.word(row, Word::StatusMessage);
                self.column(field, plan, Owner::Span, texts, at);
            }
            Intrinsic::ScopeName => self.column(field, plan, Owner::Scope, texts, |scope| {
                outline.scopes.get(scope as usize).map_or(0, |scope| scope.name)
            }),
            Intrinsic::ScopeVersion => self.column(field, plan, Owner::Scope, texts, |scope| {
                outline.scopes.get(scope as usize).map_or(0, |scope| scope.version)
            }),
            _ => self.column(field, plan, Owner::Event, texts, |event| {
                outline.events.get(event as usize).map_or(0, |event| event.name)
            }),
        }
    }

    fn column(
        self,
        field: Intrinsic,
        plan: &Plan,
        owner: Owner,
        texts: &mut Texts,
        at: impl Fn(u32) -> u32,
    ) {
        let mode = &plan.modes[field as usize];
        for entry in 0..self.shape.count(owner) {
            let text = self.draft.memory.text(at(self.shape.place(owner, entry)));
            if !text.is_empty() {
                texts.put(entry, text);
                texts.adapt(mode);
            }
        }
        texts.end_texts(self.shape.count(owner));
        self.out.texts((self.kind, domain_of(owner), 0), texts);
    }

    /// The keys of all spans. In most places a span has the same key as the span before.
    fn keys(self, texts: &mut Texts, before: &mut Vec<u32>) {
        let memory = &self.draft.memory;
        before.clear();
        for row in &self.shape.rows {
            for (slot, at) in self.draft.attributes(Owner::Span, *row).iter().enumerate() {
                if *at == 0 {
                    continue;
                }
                let key = memory.key(memory.field(*at));
                match before.get_mut(slot) {
                    Some(value) if *value != NONE && texts.value(*value) == key => {}
                    Some(value) => *value = texts.intern(key),
                    None => {
                        before.resize(slot, NONE);
                        before.push(texts.intern(key));
                    }
                }
            }
        }
        texts.end_list();
        self.out.texts((self.kind, domain::NONE, 0), texts);
    }

    fn peer(self, peer: Option<IpAddr>, texts: &mut Texts) {
        let resources = self.shape.count(Owner::Resource);
        if let Some(peer) = peer {
            let peer = peer.to_string();
            (0..resources).for_each(|entry| texts.put(entry, peer.as_bytes()));
        }
        texts.end_texts(resources);
        self.out.texts((self.kind, domain::RESOURCES, 0), texts);
    }
}
