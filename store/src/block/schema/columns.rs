//! The table of fixed columns. A new one is a row here, with the block version that first has it.

use super::super::page::Physical;
use super::Coding::{Adaptive, Delta, Dictionary, Plain, Split};
use super::Presence::{Always, Sparse};
use super::Table::{Event, Link, Span};
use super::{Coding, Column, Id, Logical, Presence, Table};

const fn column(
    id: Id,
    table: Table,
    name: &'static str,
    physical: Physical,
    how: (Logical, Presence, Coding),
    doc: &'static str,
) -> Column {
    let (logical, presence, coding) = how;
    Column { id, table, rest: false, name, physical, logical, presence, coding, since: 1, doc }
}

const fn rest(id: Id, table: Table, name: &'static str, how: (Logical, Presence)) -> Column {
    let (logical, presence) = how;
    let doc = match name.as_bytes() {
        b"key" => "The key of an attribute that has no column of its own.",
        b"text" => "Its value, where that is text.",
        _ => "Its value, where it is anything else: an encoded OTLP `AnyValue`.",
    };
    Column {
        id,
        table,
        rest: true,
        name,
        physical: Physical::Bytes,
        logical,
        presence,
        coding: Adaptive,
        since: 1,
        doc,
    }
}

const NUMBER: Logical = Logical::None;
const TEXT: Logical = Logical::Text;

/// Every fixed column, in the order of the schema.
pub const COLUMNS: &[Column] = &[
    column(
        Id::TraceId,
        Span,
        "trace_id",
        Physical::Fixed(16),
        (NUMBER, Always, Dictionary),
        "The trace; all spans of a trace (or of one part of a huge one) stand together.",
    ),
    column(Id::SpanId, Span, "span_id", Physical::Fixed(8), (NUMBER, Always, Plain), "The span."),
    column(
        Id::ParentDistance,
        Span,
        "parent_distance",
        Physical::Int32,
        (NUMBER, Always, Dictionary),
        "How many rows before this one its parent stands; 0 where the parent is not in this trace's rows.",
    ),
    column(
        Id::ParentId,
        Span,
        "parent_span_id",
        Physical::Fixed(8),
        (NUMBER, Sparse, Plain),
        "The parent, where it is named and parent_distance is 0.",
    ),
    column(
        Id::Start,
        Span,
        "start_time_unix_nano",
        Physical::Int64,
        (Logical::Time, Always, Split),
        "The span's own start.",
    ),
    column(
        Id::Duration,
        Span,
        "duration_nano",
        Physical::Int64,
        (NUMBER, Always, Split),
        "Own end less own start, in nanoseconds; wraps where the end is before the start.",
    ),
    column(
        Id::Effective,
        Span,
        "effective_start_unix_nano",
        Physical::Int64,
        (Logical::Time, Sparse, Delta),
        "What order, pruning and retention go by, where it is not the own start: a start that is far from the arrival is held to it.",
    ),
    column(Id::Name, Span, "name", Physical::Bytes, (TEXT, Always, Adaptive), "The span's name."),
    column(
        Id::Service,
        Span,
        "service_name",
        Physical::Bytes,
        (TEXT, Always, Dictionary),
        "`service.name` of the resource; empty where it has none.",
    ),
    column(
        Id::Kind,
        Span,
        "kind",
        Physical::Int32,
        (NUMBER, Always, Dictionary),
        "OTLP span kind: 0 unspecified, 1 internal, 2 server, 3 client, 4 producer, 5 consumer.",
    ),
    column(
        Id::Status,
        Span,
        "status_code",
        Physical::Int32,
        (NUMBER, Always, Dictionary),
        "OTLP status code: 0 unset, 1 ok, 2 error.",
    ),
    column(
        Id::StatusMessage,
        Span,
        "status_message",
        Physical::Bytes,
        (TEXT, Sparse, Adaptive),
        "The message of the status.",
    ),
    column(
        Id::TraceState,
        Span,
        "trace_state",
        Physical::Bytes,
        (TEXT, Sparse, Adaptive),
        "W3C trace state.",
    ),
    column(
        Id::Flags,
        Span,
        "flags",
        Physical::Int32,
        (NUMBER, Always, Dictionary),
        "OTLP flags: W3C trace flags in the low byte.",
    ),
    column(
        Id::DroppedAttributes,
        Span,
        "dropped_attributes_count",
        Physical::Int32,
        (NUMBER, Sparse, Delta),
        "Attributes that the sender dropped.",
    ),
    column(
        Id::DroppedEvents,
        Span,
        "dropped_events_count",
        Physical::Int32,
        (NUMBER, Sparse, Delta),
        "Events that the sender dropped.",
    ),
    column(
        Id::DroppedLinks,
        Span,
        "dropped_links_count",
        Physical::Int32,
        (NUMBER, Sparse, Delta),
        "Links that the sender dropped.",
    ),
    column(
        Id::Resource,
        Span,
        "resource_id",
        Physical::Int32,
        (NUMBER, Always, Dictionary),
        "Number of the resource in the row group's resource table.",
    ),
    column(
        Id::Scope,
        Span,
        "scope_id",
        Physical::Int32,
        (NUMBER, Always, Dictionary),
        "Number of the scope in the row group's scope table.",
    ),
    column(
        Id::Shape,
        Span,
        "attribute_shape",
        Physical::Int32,
        (NUMBER, Always, Dictionary),
        "Which attributes the span has and in which order: a path in the row group's shape table.",
    ),
    column(
        Id::Weight,
        Span,
        "weight",
        Physical::Double,
        (NUMBER, Sparse, Plain),
        "How many spans this one stands for; absent means 1.",
    ),
    rest(Id::RestKey, Span, "key", (TEXT, Always)),
    rest(Id::RestText, Span, "text", (TEXT, Sparse)),
    rest(Id::RestValue, Span, "value", (NUMBER, Sparse)),
    column(
        Id::EventTime,
        Event,
        "time_unix_nano",
        Physical::Int64,
        (Logical::Time, Always, Delta),
        "When it happened.",
    ),
    column(
        Id::EventName,
        Event,
        "name",
        Physical::Bytes,
        (TEXT, Always, Adaptive),
        "The event's name.",
    ),
    column(
        Id::EventDropped,
        Event,
        "dropped_attributes_count",
        Physical::Int32,
        (NUMBER, Sparse, Delta),
        "Attributes that the sender dropped.",
    ),
    column(
        Id::EventShape,
        Event,
        "attribute_shape",
        Physical::Int32,
        (NUMBER, Always, Dictionary),
        "Which attributes the event has and in which order.",
    ),
    rest(Id::EventRestKey, Event, "key", (TEXT, Always)),
    rest(Id::EventRestText, Event, "text", (TEXT, Sparse)),
    rest(Id::EventRestValue, Event, "value", (NUMBER, Sparse)),
    column(
        Id::LinkTraceId,
        Link,
        "trace_id",
        Physical::Fixed(16),
        (NUMBER, Always, Plain),
        "The trace that is linked to; zeros where none is named.",
    ),
    column(
        Id::LinkSpanId,
        Link,
        "span_id",
        Physical::Fixed(8),
        (NUMBER, Always, Plain),
        "The span that is linked to; zeros where none is named.",
    ),
    column(
        Id::LinkTraceState,
        Link,
        "trace_state",
        Physical::Bytes,
        (TEXT, Sparse, Adaptive),
        "W3C trace state.",
    ),
    column(Id::LinkFlags, Link, "flags", Physical::Int32, (NUMBER, Sparse, Delta), "OTLP flags."),
    column(
        Id::LinkDropped,
        Link,
        "dropped_attributes_count",
        Physical::Int32,
        (NUMBER, Sparse, Delta),
        "Attributes that the sender dropped.",
    ),
    column(
        Id::LinkShape,
        Link,
        "attribute_shape",
        Physical::Int32,
        (NUMBER, Always, Dictionary),
        "Which attributes the link has and in which order.",
    ),
    rest(Id::LinkRestKey, Link, "key", (TEXT, Always)),
    rest(Id::LinkRestText, Link, "text", (TEXT, Sparse)),
    rest(Id::LinkRestValue, Link, "value", (NUMBER, Sparse)),
];
