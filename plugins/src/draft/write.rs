//! The new body of a request that was edited: runs of what nobody touched are copied as they are, and between them
//! stands what is new. What was dropped or refused is left out, and whatever has no spans left because of that.

use std::iter::Peekable;
use std::slice::Iter;

use bytes::Bytes;
use model::otlp::outline::{Scope, Span};
use model::otlp::{ATTRIBUTE_HEAP_BYTES, Checked};
use model::wire::{Reader, varint_len};

use super::{Draft, Edit, Word, at32, content, original};
use crate::projection::Owner;

/// What has become of a request.
#[derive(Debug)]
pub struct Finished {
    /// Its body.
    pub body: Written,
    /// What is known of it.
    pub checked: Checked,
}

/// A body.
#[derive(Debug)]
pub enum Written {
    /// The one that was received: nothing has changed.
    Same(Bytes),
    /// A new one.
    New(Vec<u8>),
}

impl Written {
    /// As bytes.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        match self {
            Self::Same(body) => body,
            Self::New(body) => body.into(),
        }
    }
}

impl Draft {
    /// Ends the edits. Where something has changed the new body is written into the buffer that `buffer` gives for so
    /// many bytes.
    #[must_use]
    pub fn finish(self, buffer: impl FnOnce(usize) -> Vec<u8>) -> Finished {
        if !self.is_changed() {
            return Finished { body: Written::Same(self.memory.body), checked: self.checked };
        }
        let body = self.memory.body.len();
        let new = self.memory.written() + self.repeated;
        let mut out = buffer(body - self.gone.bytes + new);
        out.clear();
        let mut writer = Writer { draft: &self, out, cursor: 0, patches: Vec::new() };
        writer.request();
        let out = writer.out;
        let spans = at32(self.spans());
        let heap_bytes = (self.checked.heap_bytes - body.saturating_mul(2))
            .saturating_sub(self.outline.refused_heap_bytes + self.gone.heap_bytes)
            .saturating_add(self.appended * ATTRIBUTE_HEAP_BYTES);
        let checked = self.checked.rewritten(spans, out.len(), heap_bytes);
        Finished { body: Written::New(out), checked }
    }

    fn is_edited(&self, owner: Owner, place: u32) -> bool {
        self.edit_of(owner, place).is_some()
    }

    /// Whether nothing in a scope has changed.
    fn is_untouched(&self, place: u32, scope: &Scope) -> bool {
        let edits = &self.edit_of[Owner::Span as usize];
        scope.refused.count == 0
            && !self.is_edited(Owner::Scope, place)
            && edits.get(scope.spans.range()).is_none_or(|of| of.iter().all(|edit| *edit == 0))
            && self.dropped.get(scope.spans.range()).is_none_or(|of| of.iter().all(|gone| !gone))
    }

    /// Whether a scope had spans and has none left.
    fn is_emptied(&self, scope: &Scope) -> bool {
        let dropped = self.dropped.get(scope.spans.range());
        let all_dropped = dropped.is_some_and(|of| of.iter().all(|gone| *gone));
        (scope.spans.count == 0 || all_dropped) && scope.spans.count + scope.refused.count > 0
    }
}

/// A body on its way.
struct Writer<'a> {
    draft: &'a Draft,
    out: Vec<u8>,
    /// How much of the old body is dealt with.
    cursor: u32,
    /// Of the span that is written.
    patches: Vec<Patch>,
}

/// A message whose content is being written.
struct Open {
    /// Where its length stands, and in how many bytes.
    at: usize,
    width: usize,
}

/// What stands somewhere else than it did.
#[derive(Clone, Copy)]
struct Patch {
    /// Where it stood.
    at: u32,
    now: Now,
}

#[derive(Clone, Copy)]
enum Now {
    Field(u32),
    Status,
    Nested(Owner, u32),
}

impl Writer<'_> {
    /// Copies what is left of the old body up to here.
    #[inline]
    fn flush(&mut self, to: u32) {
        if to == self.cursor {
            return;
        }
        let body = &self.draft.memory.body;
        let run = body.get(self.cursor as usize..to as usize).unwrap_or_default();
        self.out.extend_from_slice(run);
        self.cursor = to;
    }

    /// Leaves a part of the old body out.
    fn cut(&mut self, from: u32, to: u32) {
        self.flush(from);
        self.cursor = to;
    }

    /// Begins a message that was one before: with the tag that it had, and room for a length as long as it was.
    fn open(&mut self, at: u32) -> Open {
        self.flush(at);
        let bytes = self.draft.memory.from(at);
        let head = content(bytes).1;
        let tag = bytes.iter().take(head).take_while(|byte| **byte >= 0x80).count() + 1;
        let head = bytes.get(..head).unwrap_or_default();
        self.out.extend_from_slice(head);
        self.cursor = at + at32(head.len());
        let width = head.len().saturating_sub(tag);
        Open { at: self.out.len() - width, width }
    }

    /// Begins a message that there was not.
    fn open_new(&mut self, tag: u8) -> Open {
        self.out.extend_from_slice(&[tag, 0]);
        Open { at: self.out.len() - 1, width: 1 }
    }

    /// Ends a message. Its content moves only where its length takes more or fewer bytes than before.
    fn close(&mut self, Open { at, width }: Open) {
        let from = at + width;
        let length = self.out.len() - from;
        let needed = varint_len(length as u64);
        if needed > width {
            self.out.resize(from + length + needed - width, 0);
        }
        if needed != width {
            self.out.copy_within(from..from + length, at + needed);
            self.out.truncate(at + needed + length);
        }
        let mut bytes = [0; 10];
        let mut value = length;
        for byte in bytes.iter_mut().take(needed) {
            *byte = value.to_le_bytes()[0] | 0x80;
            value >>= 7;
        }
        if let Some(place) = self.out.get_mut(at..at + needed) {
            place.copy_from_slice(bytes.get(..needed).unwrap_or_default());
            if let Some(last) = place.last_mut() {
                *last &= 0x7f;
            }
        }
    }

    fn request(&mut self) {
        let draft = self.draft;
        for (place, resource) in (0..).zip(&draft.outline.resources) {
            let scopes = || {
                let scopes = draft.outline.scopes.get(resource.scopes.range());
                (resource.scopes.first..).zip(scopes.unwrap_or_default())
            };
            let untouched = !draft.is_edited(Owner::Resource, place)
                && scopes().all(|(place, scope)| draft.is_untouched(place, scope));
            if untouched {
                continue;
            }
            let had = |scope: &Scope| scope.spans.count + scope.refused.count > 0;
            let emptied = scopes().any(|(_, scope)| had(scope))
                && scopes().all(|(_, scope)| !had(scope) || draft.is_emptied(scope));
            if emptied {
                self.cut(resource.at, resource.end);
            } else {
                self.resource(place);
            }
        }
        self.flush(at32(draft.memory.body.len()));
    }

    fn resource(&mut self, place: u32) {
        let draft = self.draft;
        let Some(resource) = draft.outline.resources.get(place as usize) else { return };
        let open = self.open(resource.at);
        let cuts = self.common(Owner::Resource, place, resource.end);
        let mut cuts = cuts.iter().peekable();
        let scopes = draft.outline.scopes.get(resource.scopes.range()).unwrap_or_default();
        for (number, scope) in (resource.scopes.first..).zip(scopes) {
            self.cut_before(&mut cuts, scope.at);
            if draft.is_emptied(scope) {
                self.cut(scope.at, scope.end);
            } else if !draft.is_untouched(number, scope) {
                self.scope(number, scope);
            }
        }
        self.cut_before(&mut cuts, resource.end);
        self.flush(resource.end);
        self.close(open);
    }

    fn scope(&mut self, place: u32, scope: &Scope) {
        let draft = self.draft;
        let open = self.open(scope.at);
        let mut cuts = self.common(Owner::Scope, place, scope.end);
        cuts.extend(draft.outline.refused.get(scope.refused.range()).unwrap_or_default());
        cuts.sort_unstable();
        let mut cuts = cuts.iter().peekable();
        let spans = draft.outline.spans.get(scope.spans.range()).unwrap_or_default();
        for (number, span) in (scope.spans.first..).zip(spans) {
            self.cut_before(&mut cuts, span.at);
            if draft.is_dropped(number) {
                self.cut(span.at, span.end);
            } else if let Some(edit) = draft.edit_of(Owner::Span, number) {
                self.span(number, edit);
            }
        }
        self.cut_before(&mut cuts, scope.end);
        self.flush(scope.end);
        self.close(open);
    }

    /// Leaves out what is to be left out before here.
    fn cut_before(&mut self, cuts: &mut Peekable<Iter<'_, (u32, u32)>>, before: u32) {
        while let Some((at, end)) = cuts.next_if(|(at, _)| *at < before) {
            self.cut(*at, *end);
        }
    }

    /// Writes a resource or scope that is edited, at the start of the message that it is in, which ends there. Tells
    /// where it stood: of several parts, which protobuf joins, it becomes one.
    fn common(&mut self, owner: Owner, place: u32, end: u32) -> Vec<(u32, u32)> {
        let draft = self.draft;
        let Some(edit) = draft.edit_of(owner, place) else { return Vec::new() };
        let from = self.cursor;
        let parts = self.parts(end);
        let slots = original(&draft.outline, owner, place);
        let (open, mut slot) = (self.open_new(0x0a), 0);
        for (at, end) in &parts {
            self.cursor = at + at32(content(draft.memory.from(*at)).1);
            slot = self.attributes(slots, slot, edit, *end);
            self.flush(*end);
        }
        self.appended(slots.len(), edit);
        self.close(open);
        self.cursor = from;
        parts
    }

    /// Where a resource or scope stands in what is left of the message that it is in.
    fn parts(&self, end: u32) -> Vec<(u32, u32)> {
        let from = self.cursor as usize;
        let rest = self.draft.memory.body.get(from..end as usize).unwrap_or_default();
        let (mut parts, mut at) = (Vec::new(), self.cursor);
        let mut reader = Reader::nested(rest, from);
        while let Ok(Some(field)) = reader.next() {
            let end = at32(reader.offset());
            if field.number == 1 {
                parts.push((at, end));
            }
            at = end;
        }
        parts
    }

    fn span(&mut self, place: u32, edit: &Edit) {
        let draft = self.draft;
        let Some(span) = draft.outline.spans.get(place as usize) else { return };
        let slots = original(&draft.outline, Owner::Span, place);
        let open = self.open(span.at);
        if edit.nested || edit.words != [0; 5] {
            self.patch(span, edit, slots);
        } else {
            self.attributes(slots, 0, edit, span.end);
        }
        self.flush(span.end);
        self.new_words(span, edit);
        self.appended(slots.len(), edit);
        self.close(open);
    }

    /// Puts the attributes that stand elsewhere now into their places, from a slot on and up to an end; tells the slot
    /// behind them.
    fn attributes(&mut self, slots: &[u32], from: usize, edit: &Edit, end: u32) -> usize {
        let draft = self.draft;
        let now = draft.slots.get(edit.attributes.range()).unwrap_or_default();
        let pairs = slots.iter().zip(now).enumerate().skip(from);
        for (slot, (was, is)) in pairs {
            if *was >= end {
                return slot;
            }
            if was != is {
                self.put(*was, *is);
            }
        }
        slots.len()
    }

    /// Puts the field at one address in the place of another; 0 is none.
    fn put(&mut self, was: u32, is: u32) {
        self.flush(was);
        self.cursor = was + at32(self.draft.memory.whole(was).len());
        self.put_new(is);
    }

    fn put_new(&mut self, is: u32) {
        if is != 0 {
            self.out.extend_from_slice(self.draft.memory.whole(is));
        }
    }

    /// Attributes that there were not.
    fn appended(&mut self, known: usize, edit: &Edit) {
        let draft = self.draft;
        let now = draft.slots.get(edit.attributes.range()).unwrap_or_default();
        now.iter().skip(known).for_each(|at| self.put_new(*at));
    }
}

/// Spans of which more than attributes is edited.
impl Writer<'_> {
    /// Puts everything into its place that stands elsewhere now.
    fn patch(&mut self, span: &Span, edit: &Edit, slots: &[u32]) {
        let draft = self.draft;
        let mut patches = std::mem::take(&mut self.patches);
        patches.clear();
        let now = draft.slots.get(edit.attributes.range()).unwrap_or_default();
        let moved = slots.iter().zip(now).filter(|(was, is)| was != is);
        patches.extend(moved.map(|(was, is)| Patch { at: *was, now: Now::Field(*is) }));
        for (word, was) in
            [(Word::TraceState, span.trace_state), (Word::Name, span.name), (Word::Kind, span.kind)]
        {
            let is = edit.words[word as usize];
            if was != 0 && is != 0 {
                patches.push(Patch { at: was, now: Now::Field(is) });
            }
        }
        if edit.has_status() && span.status != 0 {
            patches.push(Patch { at: span.status, now: Now::Status });
        }
        if edit.nested {
            let events = (span.events.first..)
                .zip(draft.outline.events.get(span.events.range()).unwrap_or_default());
            patches.extend(
                events
                    .map(|(place, of)| Patch { at: of.at, now: Now::Nested(Owner::Event, place) }),
            );
            let links = (span.links.first..)
                .zip(draft.outline.links.get(span.links.range()).unwrap_or_default());
            patches.extend(
                links.map(|(place, of)| Patch { at: of.at, now: Now::Nested(Owner::Link, place) }),
            );
        }
        patches.sort_unstable_by_key(|patch| patch.at);
        for Patch { at, now } in &patches {
            match *now {
                Now::Field(is) => self.put(*at, is),
                Now::Status => {
                    self.flush(*at);
                    self.cursor = at + at32(draft.memory.whole(*at).len());
                    self.status(span, edit);
                }
                Now::Nested(owner, place) => self.nested(owner, place, *at),
            }
        }
        self.patches = patches;
    }

    /// Fields that the span did not have.
    fn new_words(&mut self, span: &Span, edit: &Edit) {
        for (word, was) in
            [(Word::TraceState, span.trace_state), (Word::Name, span.name), (Word::Kind, span.kind)]
        {
            if was == 0 {
                self.put_new(edit.words[word as usize]);
            }
        }
        if edit.has_status() && span.status == 0 {
            self.status(span, edit);
        }
    }

    /// The status with code and message as they are now. Of several parts, which protobuf joins, it is the last one:
    /// what it says counts.
    fn status(&mut self, span: &Span, edit: &Edit) {
        let draft = self.draft;
        let open = self.open_new(0x7a);
        let status = if span.status == 0 { &[] } else { draft.memory.field(span.status) };
        let (mut reader, mut from) = (Reader::new(status), 0);
        while let Ok(Some(field)) = reader.next() {
            if !matches!(field.number, 2 | 3) {
                self.out.extend_from_slice(status.get(from..reader.offset()).unwrap_or_default());
            }
            from = reader.offset();
        }
        for (word, was) in
            [(Word::StatusMessage, span.status_message), (Word::StatusCode, span.status_code)]
        {
            let is = edit.words[word as usize];
            let at = if is == 0 { was } else { is };
            self.put_new(at);
        }
        self.close(open);
    }

    /// An event or link, if it is edited.
    fn nested(&mut self, owner: Owner, place: u32, at: u32) {
        let draft = self.draft;
        let Some(edit) = draft.edit_of(owner, place) else { return };
        let slots = original(&draft.outline, owner, place);
        let end = at + at32(draft.memory.whole(at).len());
        let open = self.open(at);
        self.attributes(slots, 0, edit, end);
        self.flush(end);
        self.appended(slots.len(), edit);
        self.close(open);
    }
}
