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
    /// What judging takes.
    pub(super) fn judging(program: &Program) -> Self {
        let mut want = Self::default();
        want.fixed.extend([Id::TraceId, Id::Start, Id::Effective]);
        program.fields.list().iter().for_each(|field| want.field(field));
        if program.structure {
            want.related();
        }
        want
    }

    /// Everything, for what looks at all attributes.
    pub(super) fn everything() -> Self {
        Self { everything: true, ..Self::default() }
    }

    /// And what tells spans of one trace in several places apart.
    pub(super) fn identified(mut self) -> Self {
        self.fixed.extend([Id::SpanId, Id::Kind]);
        self
    }

    /// And what answers show of each span.
    pub(super) fn shown(mut self) -> Self {
        self.fixed.extend([Id::Duration, Id::Name, Id::Status]);
        self.related();
        self
    }

    fn related(&mut self) {
        self.fixed.extend([Id::SpanId, Id::ParentId, Id::ParentDistance, Id::Kind]);
    }

    pub(super) fn field(&mut self, field: &Field) {
        match &field.key {
            Key::Intrinsic(intrinsic) => self.intrinsic(*intrinsic),
            Key::Attribute { scope, name } => match scope {
                Scope::Span | Scope::Unscoped => drop(self.span.insert(name.clone())),
                Scope::Resource => {}
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
            Intrinsic::Duration | Intrinsic::TraceDuration => drop(self.fixed.insert(Id::Duration)),
            Intrinsic::Name => drop(self.fixed.insert(Id::Name)),
            Intrinsic::Status => drop(self.fixed.insert(Id::Status)),
            Intrinsic::StatusMessage => drop(self.fixed.insert(Id::StatusMessage)),
            Intrinsic::Kind => drop(self.fixed.insert(Id::Kind)),
            Intrinsic::SpanId => drop(self.fixed.insert(Id::SpanId)),
            Intrinsic::TraceId => {}
            Intrinsic::RootName | Intrinsic::RootServiceName => {
                self.fixed.insert(Id::Name);
                self.related();
            }
            Intrinsic::EventName => self.fixed.extend([Id::EventTime, Id::EventName]),
            Intrinsic::EventTimeSinceStart => drop(self.fixed.insert(Id::EventTime)),
            Intrinsic::LinkTraceId | Intrinsic::LinkSpanId => {
                self.fixed.extend([Id::LinkTraceId, Id::LinkSpanId]);
            }
            Intrinsic::InstrumentationName | Intrinsic::InstrumentationVersion => {
                self.fixed.insert(Id::Scope);
            }
            Intrinsic::ChildCount
            | Intrinsic::ParentId
            | Intrinsic::Parent
            | Intrinsic::NestedSetLeft
            | Intrinsic::NestedSetRight
            | Intrinsic::NestedSetParent => self.related(),
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
