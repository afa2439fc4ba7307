//! A request under edit: its bytes, where everything stands in them, and what plugins have made of it so far.
//!
//! A chain of plugins runs over one draft, each sees what those before it did, and only at the end is a new body
//! written, if anything has changed. Until then an edit is an address: of each attribute it is known where it stands
//! now, in the body or in what was written since. Where that differs from where it stood the new body gets the new one.

mod edit;
mod memory;
mod write;

use bytes::Bytes;
use model::TraceId;
use model::otlp::outline::Stretch;
use model::otlp::{Checked, Open, Outline, Rules, Wants};

use crate::projection::{Owner, Plan};

pub(crate) use edit::{Renaming, Target};
pub(crate) use memory::{Memory, Value, content};
pub use write::{Finished, Written};

/// A request under edit.
#[derive(Clone, Debug)]
pub struct Draft {
    pub(crate) memory: Memory,
    pub(crate) outline: Outline,
    checked: Checked,
    edits: Vec<Edit>,
    /// The place in `edits` and 1, of spans, resources, scopes, events and links; empty until one is edited.
    edit_of: [Vec<u32>; 5],
    /// Where the attributes stand of what is edited.
    slots: Vec<u32>,
    /// Empty until a span is dropped.
    dropped: Vec<bool>,
    gone: Gone,
    /// Attributes that there were not.
    appended: usize,
    /// Bytes of what was written once and stands in several places, without the first of them.
    repeated: usize,
    /// Goes up with each answer that is applied.
    pub(crate) generation: u32,
    /// For what is moved within memory.
    scratch: Vec<u8>,
}

/// What spans had that were dropped.
#[derive(Clone, Debug, Default)]
struct Gone {
    spans: u32,
    bytes: usize,
    heap_bytes: usize,
}

/// What has become of a span, resource, scope, event or link.
#[derive(Clone, Copy, Debug, Default)]
struct Edit {
    /// Where its attributes stand now, in `Draft::slots`: first those that it had, in their order, 0 for one that is
    /// gone; then new ones.
    attributes: Stretch,
    /// Fields of a span where they stand now; 0 where they were.
    words: [u32; 5],
    /// An event or link of the span is edited.
    nested: bool,
}

impl Edit {
    const fn has_status(&self) -> bool {
        self.words[Word::StatusCode as usize] | self.words[Word::StatusMessage as usize] != 0
    }
}

/// Fields of a span that can be edited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    TraceState,
    Name,
    Kind,
    StatusCode,
    StatusMessage,
}

impl Word {
    /// The tag of its field: of the span, or of its status.
    const fn tag(self) -> u8 {
        match self {
            Self::TraceState => 0x1a,
            Self::Name => 0x2a,
            Self::Kind => 0x30,
            Self::StatusCode => 0x18,
            Self::StatusMessage => 0x12,
        }
    }
}

/// Which attribute of a span has a key.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Found {
    /// This one, and no other.
    At(u32),
    /// None.
    Nowhere,
    /// It has to be looked for.
    Unknown,
}

impl Draft {
    /// A request as it was received, with what the look at it has found: `outline` must have what the plans want that
    /// run over it.
    #[must_use]
    pub const fn new(body: Bytes, checked: Checked, outline: Outline) -> Self {
        Self {
            memory: Memory::new(body, outline.odd),
            outline,
            checked,
            edits: Vec::new(),
            edit_of: [const { Vec::new() }; 5],
            slots: Vec::new(),
            dropped: Vec::new(),
            gone: Gone { spans: 0, bytes: 0, heap_bytes: 0 },
            appended: 0,
            repeated: 0,
            generation: 0,
            scratch: Vec::new(),
        }
    }

    /// A request that nobody has looked at yet; nothing where it is malformed.
    #[must_use]
    pub fn of(body: &Bytes, wants: Wants) -> Option<Self> {
        let looked = model::otlp::outline_with(body, &Rules::NONE, &mut Open, wants);
        looked.ok().map(|(checked, outline)| Self::new(body.clone(), checked, outline))
    }

    /// Where everything stood in the request.
    #[must_use]
    pub const fn outline(&self) -> &Outline {
        &self.outline
    }

    /// Spans that are left.
    #[must_use]
    pub fn spans(&self) -> usize {
        self.outline.spans.len() - self.gone.spans as usize
    }

    /// Whether a plugin has changed anything.
    #[must_use]
    pub const fn is_changed(&self) -> bool {
        self.gone.spans > 0 || !self.edits.is_empty()
    }

    /// Puts into `rows` the spans that a plugin is passed, in their order: those that are left, of resources that match.
    pub fn select(&self, plan: &Plan, rows: &mut Vec<u32>) {
        rows.clear();
        rows.reserve(self.spans());
        for (place, resource) in (0..).zip(&self.outline.resources) {
            let text = |key: &[u8]| self.text(Owner::Resource, place, key);
            if !plan.matches_all() && !plan.matches(text) {
                continue;
            }
            for scope in self.outline.scopes.get(resource.scopes.range()).unwrap_or_default() {
                let Stretch { first, count } = scope.spans;
                if self.dropped.is_empty() {
                    rows.extend(first..first + count);
                } else {
                    rows.extend((first..first + count).filter(|span| !self.is_dropped(*span)));
                }
            }
        }
    }

    pub(crate) fn is_dropped(&self, span: u32) -> bool {
        self.dropped.get(span as usize).copied().unwrap_or(false)
    }

    pub(crate) fn drop_span(&mut self, span: u32) {
        if self.dropped.is_empty() {
            self.dropped.resize(self.outline.spans.len(), false);
        }
        let of = self.outline.spans.get(span as usize);
        if let (Some(dropped @ false), Some(of)) = (self.dropped.get_mut(span as usize), of) {
            *dropped = true;
            self.gone.spans += 1;
            self.gone.bytes += (of.end - of.at) as usize;
            self.gone.heap_bytes += of.heap_bytes as usize;
        }
    }

    /// The trace of a span.
    pub(crate) fn trace_id(&self, span: u32) -> TraceId {
        let at = self.outline.spans.get(span as usize).map_or(0, |span| span.trace_id);
        TraceId::from_array(self.memory.array(at))
    }

    /// The first text that an attribute by this key has.
    pub(crate) fn text(&self, owner: Owner, place: u32, key: &[u8]) -> Option<&[u8]> {
        let is_it = |at: &&u32| **at != 0 && self.memory.key(self.memory.field(**at)) == key;
        let at = self.attributes(owner, place).iter().find(is_it)?;
        match self.memory.value(self.memory.field(*at)) {
            model::otlp::held::Any::String(text) => Some(text),
            _ => None,
        }
    }

    fn edit_of(&self, owner: Owner, place: u32) -> Option<&Edit> {
        let edit = *self.edit_of[owner as usize].get(place as usize)?;
        self.edits.get((edit as usize).checked_sub(1)?)
    }

    /// Where the attributes stand as they are now; 0 for one that is gone.
    #[inline]
    pub(crate) fn attributes(&self, owner: Owner, place: u32) -> &[u32] {
        match self.edit_of(owner, place) {
            None => original(&self.outline, owner, place),
            Some(edit) => self.slots.get(edit.attributes.range()).unwrap_or_default(),
        }
    }

    /// Where a field of a span stands now; 0 where there is none.
    #[inline]
    pub(crate) fn word(&self, span: u32, word: Word) -> u32 {
        if let Some(edit) = self.edit_of(Owner::Span, span)
            && edit.words[word as usize] != 0
        {
            return edit.words[word as usize];
        }
        let Some(span) = self.outline.spans.get(span as usize) else { return 0 };
        match word {
            Word::TraceState => span.trace_state,
            Word::Name => span.name,
            Word::Kind => span.kind,
            Word::StatusCode => span.status_code,
            Word::StatusMessage => span.status_message,
        }
    }
}

/// Where the attributes of something stood at first.
#[inline]
fn original(outline: &Outline, owner: Owner, place: u32) -> &[u32] {
    let place = place as usize;
    let (list, of) = match owner {
        Owner::Span => (&outline.attributes, outline.spans.get(place).map(|of| of.attributes)),
        Owner::Resource => {
            (&outline.other_attributes, outline.resources.get(place).map(|of| of.attributes))
        }
        Owner::Scope => {
            (&outline.other_attributes, outline.scopes.get(place).map(|of| of.attributes))
        }
        Owner::Event => {
            (&outline.other_attributes, outline.events.get(place).map(|of| of.attributes))
        }
        Owner::Link => {
            (&outline.other_attributes, outline.links.get(place).map(|of| of.attributes))
        }
    };
    of.and_then(|of| list.get(of.range())).unwrap_or_default()
}

/// How many there are of something.
const fn count(outline: &Outline, owner: Owner) -> usize {
    match owner {
        Owner::Span => outline.spans.len(),
        Owner::Resource => outline.resources.len(),
        Owner::Scope => outline.scopes.len(),
        Owner::Event => outline.events.len(),
        Owner::Link => outline.links.len(),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "addresses have 32 bits: `Memory` is held to it"
)]
const fn at32(at: usize) -> u32 {
    at as u32
}
