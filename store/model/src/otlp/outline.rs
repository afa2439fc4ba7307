//! Where things stand in a request, for those who read and edit it as bytes: noted during the one look that
//! [`outline_with`](super::outline_with) takes at it.
//!
//! Offsets are of whole fields, tag and length included, unless they are said to be of something else; 0 means that
//! there is no such field, as none of those noted can stand there. Of a field that stands twice it is the last one,
//! which counts. Spans that were refused are not in the lists.

mod interest;

use std::ops::Range;

use crate::wire::{Field, Value};

pub use interest::Interest;

use super::tag;

/// What is noted of spans beside where they stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// Attributes of spans; more may be noted.
    pub attributes: Interest,
    /// Each event, with its attributes. How many there are is always known.
    pub events: bool,
    /// Each link, with its attributes. How many there are is always known.
    pub links: bool,
}

impl Wants {
    /// Everything.
    pub const ALL: Self = Self { attributes: Interest::ALL, events: true, links: true };

    /// What either wants.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            attributes: self.attributes.and(other.attributes),
            events: self.events || other.events,
            links: self.links || other.links,
        }
    }

    /// Whether it is all there that the other one wants.
    #[must_use]
    pub fn covers(self, other: Self) -> bool {
        self.attributes.covers(other.attributes)
            && (self.events || !other.events)
            && (self.links || !other.links)
    }
}

/// A part of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stretch {
    /// Place of the first one.
    pub first: u32,
    /// How many.
    pub count: u32,
}

impl Stretch {
    /// The places.
    #[must_use]
    pub const fn range(self) -> Range<usize> {
        let first = self.first as usize;
        first..first + self.count as usize
    }
}

/// A `ResourceSpans`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resource {
    /// Where it begins.
    pub at: u32,
    /// Where it ends.
    pub end: u32,
    /// In how many parts the resource message itself stands: one, if it is not left out.
    pub parts: u32,
    /// Its attributes, in [`Outline::other_attributes`].
    pub attributes: Stretch,
    /// Its scopes, in [`Outline::scopes`].
    pub scopes: Stretch,
}

/// A `ScopeSpans`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Where it begins.
    pub at: u32,
    /// Where it ends.
    pub end: u32,
    /// Its place in [`Outline::resources`].
    pub resource: u32,
    /// In how many parts the scope message itself stands: one, if it is not left out.
    pub parts: u32,
    /// Its name.
    pub name: u32,
    /// Its version.
    pub version: u32,
    /// Its attributes, in [`Outline::other_attributes`].
    pub attributes: Stretch,
    /// Its spans, in [`Outline::spans`].
    pub spans: Stretch,
    /// Those that were refused, in [`Outline::refused`].
    pub refused: Stretch,
}

/// A span that was not refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Where it begins.
    pub at: u32,
    /// Where it ends.
    pub end: u32,
    /// Its place in [`Outline::scopes`].
    pub scope: u32,
    /// The 16 bytes of its trace id.
    pub trace_id: u32,
    /// The 8 bytes of its id.
    pub span_id: u32,
    /// The 8 bytes of its parent's id, if it says so many.
    pub parent_id: u32,
    /// `trace_state`.
    pub trace_state: u32,
    /// `name`.
    pub name: u32,
    /// `kind`.
    pub kind: u32,
    /// `start_time_unix_nano`.
    pub start: u32,
    /// `end_time_unix_nano`.
    pub end_time: u32,
    /// `flags`.
    pub flags: u32,
    /// `status`: of several parts, which are joined, the last.
    pub status: u32,
    /// The code in the status.
    pub status_code: u32,
    /// The message in the status.
    pub status_message: u32,
    /// Its attributes, in [`Outline::attributes`]: those that are wanted, and maybe others; none where none is wanted.
    pub attributes: Stretch,
    /// Its events, in [`Outline::events`]; where they are not wanted only their number counts.
    pub events: Stretch,
    /// Its links, in [`Outline::links`]; where they are not wanted only their number counts.
    pub links: Stretch,
    /// What its row takes on the heap beside its values, at most.
    pub heap_bytes: u32,
}

/// An event of a span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Where it begins.
    pub at: u32,
    /// Where it ends.
    pub end: u32,
    /// `time_unix_nano`.
    pub time: u32,
    /// `name`.
    pub name: u32,
    /// Its attributes, in [`Outline::other_attributes`].
    pub attributes: Stretch,
}

/// A link of a span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Where it begins.
    pub at: u32,
    /// Where it ends.
    pub end: u32,
    /// Its attributes, in [`Outline::other_attributes`].
    pub attributes: Stretch,
}

/// A request's index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outline {
    /// What of it was noted.
    pub wants: Wants,
    /// All `ResourceSpans`.
    pub resources: Vec<Resource>,
    /// All `ScopeSpans`.
    pub scopes: Vec<Scope>,
    /// The spans that were not refused.
    pub spans: Vec<Span>,
    /// Where those stand that were: from, to.
    pub refused: Vec<(u32, u32)>,
    /// What their rows would take on the heap beside their values.
    pub refused_heap_bytes: usize,
    /// Attributes of spans.
    pub attributes: Vec<u32>,
    /// Events.
    pub events: Vec<Event>,
    /// Links.
    pub links: Vec<Link>,
    /// Attributes of resources, scopes, events and links.
    pub other_attributes: Vec<u32>,
    /// Whether some attribute is more than a key and a value in this order (something stands twice, or is unknown), so
    /// that it takes a general reader.
    pub odd: bool,
}

/// Who is told where things stand. Everything is told before what is in it.
pub(super) trait Notes {
    /// Whether anybody listens.
    const WANTED: bool;
    fn resource_spans(&mut self, _at: usize, _end: usize) {}
    fn scope_spans(&mut self, _at: usize, _end: usize) {}
    /// The resource or scope itself, or a part of it.
    fn common(&mut self, _at: usize) {}
    fn common_field(&mut self, _field: &Field<'_>, _at: usize) {}
    fn common_attribute(&mut self, _at: usize) {}
    /// An id of the span: where it ends.
    fn id(&mut self, _tag: u32, _end: usize, _id: &[u8]) {}
    fn field(&mut self, _tag: u32, _at: usize) {}
    fn status(&mut self, _number: u32, _at: usize) {}
    /// An attribute of the span, and whether it begins with its key, and no other comes behind.
    fn attribute(&mut self, _at: usize, _pair: &[u8], _begins_with_key: bool) {}
    fn event(&mut self, _at: usize, _end: usize) {}
    fn event_field(&mut self, _number: u32, _at: usize) {}
    fn link(&mut self, _at: usize, _end: usize) {}
    fn link_attribute(&mut self, _at: usize) {}
    /// An attribute that is not written as usual.
    fn odd(&mut self) {}
    /// The span as a whole, from and to, when all of it has been told.
    fn span(&mut self, _at: (usize, usize), _heap_bytes: usize, _taken: bool) {}
}

/// Nobody listens.
impl Notes for () {
    const WANTED: bool = false;
}

/// Takes everything down.
pub(super) struct Taker {
    pub(super) outline: Outline,
    /// The span that is being told.
    span: Span,
    wants: Wants,
    /// Whether no attribute of a span is wanted.
    is_blind: bool,
    /// How long the lists were when it began.
    attributes: u32,
    events: u32,
    links: u32,
    other_attributes: u32,
}

/// What a span may have at most to be worth room before it is seen, in bytes; and an attribute.
const SPAN_BYTES: usize = 400;
const ATTRIBUTE_BYTES: usize = 40;
/// How many attributes of a span are named, mostly.
const NAMED_ATTRIBUTES: usize = 2;

impl Taker {
    pub(super) fn new(wants: Wants, body_bytes: usize) -> Self {
        let mut outline = Outline { wants, ..Outline::default() };
        outline.spans.reserve(body_bytes / SPAN_BYTES);
        match wants.attributes {
            Interest::NONE => {}
            Interest::ALL => outline.attributes.reserve(body_bytes / ATTRIBUTE_BYTES),
            _ => outline.attributes.reserve(body_bytes / SPAN_BYTES * NAMED_ATTRIBUTES),
        }
        Self {
            outline,
            span: Span::default(),
            wants,
            is_blind: wants.attributes == Interest::NONE,
            attributes: 0,
            events: 0,
            links: 0,
            other_attributes: 0,
        }
    }

    /// Goes on behind what has been told.
    fn begin_span(&mut self) {
        self.attributes = at32(self.outline.attributes.len());
        self.events = at32(self.outline.events.len());
        self.links = at32(self.outline.links.len());
        self.other_attributes = at32(self.outline.other_attributes.len());
        self.span = Span::default();
    }

    /// An attribute of what was told last of: a resource, scope, event or link.
    fn other_attribute(outline: &mut Vec<u32>, of: &mut Stretch, at: usize) {
        if of.count == 0 {
            of.first = at32(outline.len());
        }
        of.count += 1;
        outline.push(at32(at));
    }
}

/// Bodies are shorter than 4 GiB: `outline_with` takes no others.
#[expect(clippy::cast_possible_truncation, reason = "bodies are shorter than 4 GiB")]
const fn at32(at: usize) -> u32 {
    at as u32
}

impl Notes for Taker {
    const WANTED: bool = true;

    fn resource_spans(&mut self, at: usize, end: usize) {
        let scopes = Stretch { first: at32(self.outline.scopes.len()), count: 0 };
        let (at, end) = (at32(at), at32(end));
        self.outline.resources.push(Resource { at, end, scopes, ..Resource::default() });
    }

    fn scope_spans(&mut self, at: usize, end: usize) {
        let outline = &mut self.outline;
        if let Some(resource) = outline.resources.last_mut() {
            resource.scopes.count += 1;
        }
        let spans = Stretch { first: at32(outline.spans.len()), count: 0 };
        let refused = Stretch { first: at32(outline.refused.len()), count: 0 };
        let resource = at32(outline.resources.len()) - 1;
        let (at, end) = (at32(at), at32(end));
        outline.scopes.push(Scope { at, end, resource, spans, refused, ..Scope::default() });
    }

    fn common(&mut self, _: usize) {
        let Outline { resources, scopes, .. } = &mut self.outline;
        match (resources.last_mut(), scopes.last_mut()) {
            (Some(resource), _) if resource.scopes.count == 0 => resource.parts += 1,
            (_, Some(scope)) => scope.parts += 1,
            _ => {}
        }
    }

    fn common_field(&mut self, field: &Field<'_>, at: usize) {
        let Outline { resources, scopes, .. } = &mut self.outline;
        let of_scope = resources.last().is_some_and(|resource| resource.scopes.count > 0);
        match (scopes.last_mut(), field.number, field.value) {
            (Some(scope), 1, Value::Bytes(_)) if of_scope => scope.name = at32(at),
            (Some(scope), 2, Value::Bytes(_)) if of_scope => scope.version = at32(at),
            _ => {}
        }
    }

    fn common_attribute(&mut self, at: usize) {
        let Outline { resources, scopes, other_attributes, .. } = &mut self.outline;
        let of = match (resources.last_mut(), scopes.last_mut()) {
            (Some(resource), _) if resource.scopes.count == 0 => &mut resource.attributes,
            (_, Some(scope)) => &mut scope.attributes,
            _ => return,
        };
        Self::other_attribute(other_attributes, of, at);
        self.other_attributes = at32(other_attributes.len());
    }

    #[inline(always)]
    fn id(&mut self, tag: u32, end: usize, id: &[u8]) {
        let at = at32(end - id.len());
        match tag {
            tag::TRACE_ID => self.span.trace_id = at,
            tag::SPAN_ID => self.span.span_id = at,
            _ => self.span.parent_id = if id.is_empty() { 0 } else { at },
        }
    }

    #[inline(always)]
    fn field(&mut self, tag: u32, at: usize) {
        let span = &mut self.span;
        let field = match tag {
            tag::TRACE_STATE => &mut span.trace_state,
            tag::NAME => &mut span.name,
            tag::KIND => &mut span.kind,
            tag::START => &mut span.start,
            tag::END => &mut span.end_time,
            tag::FLAGS => &mut span.flags,
            _ => &mut span.status,
        };
        *field = at32(at);
    }

    #[inline]
    fn status(&mut self, number: u32, at: usize) {
        match number {
            2 => self.span.status_message = at32(at),
            _ => self.span.status_code = at32(at),
        }
    }

    #[inline(always)]
    fn attribute(&mut self, at: usize, pair: &[u8], begins_with_key: bool) {
        if !self.is_blind && (!begins_with_key || self.wants.attributes.has(pair)) {
            self.outline.attributes.push(at32(at));
        }
    }

    fn event(&mut self, at: usize, end: usize) {
        self.span.events.count += 1;
        if self.wants.events {
            let (at, end) = (at32(at), at32(end));
            self.outline.events.push(Event { at, end, ..Event::default() });
        }
    }

    fn event_field(&mut self, number: u32, at: usize) {
        let Outline { events, other_attributes, .. } = &mut self.outline;
        let Some(event) = events.last_mut().filter(|_| self.wants.events) else { return };
        match number {
            1 => event.time = at32(at),
            2 => event.name = at32(at),
            3 => Self::other_attribute(other_attributes, &mut event.attributes, at),
            _ => {}
        }
    }

    fn link(&mut self, at: usize, end: usize) {
        self.span.links.count += 1;
        if self.wants.links {
            let (at, end) = (at32(at), at32(end));
            self.outline.links.push(Link { at, end, ..Link::default() });
        }
    }

    fn link_attribute(&mut self, at: usize) {
        let Outline { links, other_attributes, .. } = &mut self.outline;
        let Some(link) = links.last_mut().filter(|_| self.wants.links) else { return };
        Self::other_attribute(other_attributes, &mut link.attributes, at);
    }

    fn odd(&mut self) {
        self.outline.odd = true;
    }

    fn span(&mut self, (at, end): (usize, usize), heap_bytes: usize, taken: bool) {
        let outline = &mut self.outline;
        let Some(scope) = outline.scopes.last_mut() else { return };
        let (at, end) = (at32(at), at32(end));
        if taken {
            scope.spans.count += 1;
            let from = |first: u32, list: usize| Stretch { first, count: at32(list) - first };
            let span = &mut self.span;
            span.attributes = from(self.attributes, outline.attributes.len());
            span.events.first = self.events;
            span.links.first = self.links;
            (span.at, span.end, span.scope) = (at, end, at32(outline.scopes.len()) - 1);
            span.heap_bytes = u32::try_from(heap_bytes).unwrap_or(u32::MAX);
            outline.spans.push(*span);
        } else {
            scope.refused.count += 1;
            outline.refused_heap_bytes += heap_bytes;
            outline.refused.push((at, end));
            outline.attributes.truncate(self.attributes as usize);
            outline.events.truncate(self.events as usize);
            outline.links.truncate(self.links as usize);
            outline.other_attributes.truncate(self.other_attributes as usize);
        }
        self.begin_span();
    }
}

#[cfg(test)]
mod tests;
