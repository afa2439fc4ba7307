//! The intrinsics: what a span has by definition, in one table with spellings and types.

use super::Type;

/// What a span has by definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Intrinsic {
    /// How long the span took.
    Duration,
    /// The span's name.
    Name,
    /// Its status.
    Status,
    /// The message of its status.
    StatusMessage,
    /// Its kind.
    Kind,
    /// How many children it has.
    ChildCount,
    /// Its id: a hex number, compared with or without leading zeros.
    SpanId,
    /// The id of its parent, in the same form.
    ParentId,
    /// The id of its trace, in the same form.
    TraceId,
    /// From the first start to the last end of the trace.
    TraceDuration,
    /// The name of the trace's root span.
    RootName,
    /// The service of the trace's root span.
    RootServiceName,
    /// The name of any of its events.
    EventName,
    /// From the span's start to any of its events.
    EventTimeSinceStart,
    /// The trace that any of its links points to, a hex number.
    LinkTraceId,
    /// The span that any of its links points to, a hex number.
    LinkSpanId,
    /// The name of its instrumentation scope.
    InstrumentationName,
    /// The version of its instrumentation scope.
    InstrumentationVersion,
    /// Its parent: it is only asked whether there is one (`parent = nil`).
    Parent,
    /// Its left number in the nested set of the trace; 1 for the root, 0 if not connected.
    NestedSetLeft,
    /// Its right number in the nested set of the trace.
    NestedSetRight,
    /// The left number of its parent; -1 for the root, 0 if not connected.
    NestedSetParent,
}

/// A row of [`INTRINSICS`].
#[derive(Clone, Copy, Debug)]
pub struct IntrinsicRow {
    /// Which one.
    pub intrinsic: Intrinsic,
    /// How it prints, and how Grafana labels it.
    pub name: &'static str,
    /// How else it may be written.
    pub alias: Option<&'static str>,
    /// The type of its values.
    pub of: Type,
    /// Which words may stand behind `parent.` for it.
    pub of_parent: Option<&'static str>,
}

const fn row(
    intrinsic: Intrinsic,
    name: &'static str,
    alias: Option<&'static str>,
    of: Type,
) -> IntrinsicRow {
    IntrinsicRow { intrinsic, name, alias, of, of_parent: None }
}

/// One that `parent.` may stand before, with the word behind it.
const fn parental(row: IntrinsicRow, word: &'static str) -> IntrinsicRow {
    IntrinsicRow { of_parent: Some(word), ..row }
}

/// Every intrinsic.
pub const INTRINSICS: &[IntrinsicRow] = &[
    parental(
        row(Intrinsic::Duration, "duration", Some("span:duration"), Type::Duration),
        "duration",
    ),
    parental(row(Intrinsic::Name, "name", Some("span:name"), Type::Text), "name"),
    parental(row(Intrinsic::Status, "status", Some("span:status"), Type::Status), "status"),
    parental(
        row(Intrinsic::StatusMessage, "statusMessage", Some("span:statusMessage"), Type::Text),
        "statusMessage",
    ),
    parental(row(Intrinsic::Kind, "kind", Some("span:kind"), Type::Kind), "kind"),
    parental(
        row(Intrinsic::ChildCount, "span:childCount", Some("childCount"), Type::Int),
        "childCount",
    ),
    row(Intrinsic::SpanId, "span:id", None, Type::Text),
    row(Intrinsic::ParentId, "span:parentID", None, Type::Text),
    row(Intrinsic::TraceId, "trace:id", None, Type::Text),
    row(Intrinsic::TraceDuration, "traceDuration", Some("trace:duration"), Type::Duration),
    row(Intrinsic::RootName, "rootName", Some("trace:rootName"), Type::Text),
    row(Intrinsic::RootServiceName, "rootServiceName", Some("trace:rootService"), Type::Text),
    row(Intrinsic::EventName, "event:name", None, Type::Text),
    row(Intrinsic::EventTimeSinceStart, "event:timeSinceStart", None, Type::Duration),
    row(Intrinsic::LinkTraceId, "link:traceID", None, Type::Text),
    row(Intrinsic::LinkSpanId, "link:spanID", None, Type::Text),
    row(Intrinsic::InstrumentationName, "instrumentation:name", None, Type::Text),
    row(Intrinsic::InstrumentationVersion, "instrumentation:version", None, Type::Text),
    row(Intrinsic::Parent, "parent", None, Type::Span),
    row(Intrinsic::NestedSetLeft, "nestedSetLeft", None, Type::Int),
    row(Intrinsic::NestedSetRight, "nestedSetRight", None, Type::Int),
    row(Intrinsic::NestedSetParent, "nestedSetParent", None, Type::Int),
];

impl Intrinsic {
    /// The intrinsic that is written so: `duration`, `span:duration`.
    #[must_use]
    pub fn named(text: &str) -> Option<Self> {
        let is = |row: &&IntrinsicRow| row.name == text || row.alias == Some(text);
        INTRINSICS.iter().find(is).map(|row| row.intrinsic)
    }

    /// The intrinsic that `parent.` may stand before as this word.
    #[must_use]
    pub fn of_parent(word: &str) -> Option<Self> {
        let row = INTRINSICS.iter().find(|row| row.of_parent == Some(word));
        row.map(|row| row.intrinsic)
    }

    /// How it prints, and how Grafana labels it: `duration`, `span:id`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The type of its values.
    #[must_use]
    pub fn of(self) -> Type {
        self.row().of
    }

    fn row(self) -> &'static IntrinsicRow {
        let row = INTRINSICS.iter().find(|row| row.intrinsic == self);
        row.expect("a test looks that every intrinsic has a row")
    }
}
