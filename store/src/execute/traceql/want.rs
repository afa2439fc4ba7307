//! Which columns of a file an evaluation reads.

use std::collections::HashSet;

use traceql::ast::{Field, Intrinsic, Key, Scope};

use super::program::Program;
use crate::block::schema::{Id, Leaf, Schema, Source, Table};

/// The columns of fields, and of what else is needed of each span.
#[derive(Debug, Default)]
pub(super) struct Want {
    fixed: HashSet<Id>,
    span: HashSet<String>,
    event: HashSet<String>,
    link: HashSet<String>,
    everything: bool,
}

impl Want {
    /// What judging takes of traces that stand in one place.
    pub(super) fn judging(program: &Program) -> Self {
        let mut want = Self::default();
        program.fields.list().iter().for_each(|field| want.field(field));
        if program.structure {
            want.placed();
        }
        want
    }

    /// And when spans start.
    pub(super) fn timed(mut self) -> Self {
        self.fixed.extend([Id::Start, Id::Effective]);
        self
    }

    /// Everything, for what looks at all attributes.
    pub(super) fn everything() -> Self {
        Self { everything: true, ..Self::default() }
    }

    /// And what tells spans of one trace in several places apart, and who is whose parent.
    pub(super) fn joined(mut self) -> Self {
        self.fixed.extend([Id::SpanId, Id::Kind, Id::ParentId, Id::ParentDistance]);
        self.timed()
    }

    /// And what examples of spans name.
    pub(super) fn named(mut self) -> Self {
        self.fixed.insert(Id::SpanId);
        self.timed()
    }

    /// And what answers show of each span, and of its trace besides its summary.
    pub(super) fn shown(mut self) -> Self {
        self.fixed.extend([Id::SpanId, Id::Kind, Id::Duration, Id::Name, Id::Status, Id::Resource]);
        self.timed()
    }

    /// Where each parent stands.
    fn placed(&mut self) {
        self.fixed.extend([Id::ParentId, Id::ParentDistance]);
    }

    pub(super) fn field(&mut self, field: &Field) {
        match &field.key {
            Key::Intrinsic(intrinsic) => self.intrinsic(*intrinsic),
            Key::Attribute { scope, name } => match scope {
                Scope::Span => drop(self.span.insert(name.clone())),
                Scope::Unscoped => {
                    self.span.insert(name.clone());
                    self.fixed.insert(Id::Resource);
                }
                Scope::Resource => drop(self.fixed.insert(Id::Resource)),
                Scope::Event => {
                    self.fixed.insert(Id::EventTime);
                    self.event.insert(name.clone());
                }
                Scope::Link => {
                    self.fixed.insert(Id::LinkTraceId);
                    self.link.insert(name.clone());
                }
                Scope::Instrumentation => drop(self.fixed.insert(Id::Scope)),
            },
        }
    }

    fn intrinsic(&mut self, intrinsic: Intrinsic) {
        match intrinsic {
            Intrinsic::Duration => drop(self.fixed.insert(Id::Duration)),
            Intrinsic::TraceDuration => self.fixed.extend([Id::Start, Id::Duration]),
            Intrinsic::Name => drop(self.fixed.insert(Id::Name)),
            Intrinsic::Status => drop(self.fixed.insert(Id::Status)),
            Intrinsic::StatusMessage => drop(self.fixed.insert(Id::StatusMessage)),
            Intrinsic::Kind => drop(self.fixed.insert(Id::Kind)),
            Intrinsic::SpanId => drop(self.fixed.insert(Id::SpanId)),
            Intrinsic::TraceId => drop(self.fixed.insert(Id::TraceId)),
            Intrinsic::RootName | Intrinsic::RootServiceName => {
                self.fixed.extend([Id::Name, Id::Resource, Id::SpanId, Id::Kind]);
                self.placed();
                self.fixed.extend([Id::Start, Id::Effective]);
            }
            Intrinsic::EventName => self.fixed.extend([Id::EventTime, Id::EventName]),
            Intrinsic::EventTimeSinceStart => self.fixed.extend([Id::EventTime, Id::Start]),
            Intrinsic::LinkTraceId | Intrinsic::LinkSpanId => {
                self.fixed.extend([Id::LinkTraceId, Id::LinkSpanId]);
            }
            Intrinsic::InstrumentationName | Intrinsic::InstrumentationVersion => {
                self.fixed.insert(Id::Scope);
            }
            Intrinsic::ParentId => {
                self.placed();
                self.fixed.insert(Id::SpanId);
            }
            Intrinsic::ChildCount
            | Intrinsic::Parent
            | Intrinsic::NestedSetLeft
            | Intrinsic::NestedSetRight
            | Intrinsic::NestedSetParent => self.placed(),
        }
    }

    pub(super) fn has(&self, leaf: &Leaf, schema: &Schema) -> bool {
        if self.everything {
            return leaf.source != Source::Fixed(Id::Service);
        }
        match leaf.source {
            Source::Fixed(_) if leaf.rest => !self.keys(leaf.table).is_empty(),
            Source::Fixed(id) => self.fixed.contains(&id),
            Source::Attribute(table, place) => {
                let attribute = schema.of(table).nth(place as usize);
                attribute.is_some_and(|(attribute, _)| self.keys(table).contains(&attribute.key))
            }
        }
    }

    fn keys(&self, table: Table) -> &HashSet<String> {
        match table {
            Table::Span => &self.span,
            Table::Event => &self.event,
            Table::Link => &self.link,
        }
    }
}
