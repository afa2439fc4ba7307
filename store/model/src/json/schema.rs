//! The messages of an OTLP trace request: one table that both directions of the JSON walk read.
//!
//! Field numbers are opentelemetry-proto 1.x's (`trace/v1`, `common/v1`, `resource/v1`). A field
//! that is not here is skipped on the way in and left out on the way out.

/// One message type: its fields, by ascending number.
#[derive(Debug)]
pub(super) struct Message {
    /// By ascending number, which is the canonical order of the bytes.
    pub(super) fields: &'static [Field],
    /// Whether at most one of the fields is set (`AnyValue`): the last one wins, and its zero
    /// value counts.
    pub(super) oneof: bool,
    /// Whether the message counts as a level of nesting (`AnyValue`).
    pub(super) nests: bool,
}

/// One field of a message.
#[derive(Debug)]
pub(super) struct Field {
    /// The number on the wire.
    pub(super) number: u32,
    /// The name in JSON.
    pub(super) camel: &'static str,
    /// The name in the schema, which JSON readers accept as well.
    pub(super) snake: &'static str,
    /// What the field carries.
    pub(super) kind: Kind,
    /// Whether it is a list (of messages: OTLP traces have no other lists).
    pub(super) repeated: bool,
}

/// What a field carries.
#[derive(Debug)]
pub(super) enum Kind {
    /// UTF-8.
    Text,
    /// Bytes, base64 in JSON.
    Bytes,
    /// A trace or span id of so many bytes: hex in OTLP/JSON, base64 in Tempo's.
    Id(usize),
    Bool,
    Int64,
    Uint32,
    Fixed32,
    Fixed64,
    Double,
    /// The names by number.
    Enum(&'static [&'static str]),
    Message(&'static Message),
}

const fn one(number: u32, camel: &'static str, snake: &'static str, kind: Kind) -> Field {
    Field { number, camel, snake, kind, repeated: false }
}

const fn many(
    number: u32,
    camel: &'static str,
    snake: &'static str,
    item: &'static Message,
) -> Field {
    Field { number, camel, snake, kind: Kind::Message(item), repeated: true }
}

const fn plain(fields: &'static [Field]) -> Message {
    Message { fields, oneof: false, nests: false }
}

/// `ExportTraceServiceRequest`, `TracesData` and `tempopb.Trace`, which are one on the wire.
pub(super) static REQUEST: Message =
    plain(&[many(1, "resourceSpans", "resource_spans", &RESOURCE_SPANS)]);

static RESOURCE_SPANS: Message = plain(&[
    one(1, "resource", "resource", Kind::Message(&RESOURCE)),
    many(2, "scopeSpans", "scope_spans", &SCOPE_SPANS),
    one(3, "schemaUrl", "schema_url", Kind::Text),
]);

static RESOURCE: Message = plain(&[
    many(1, "attributes", "attributes", &KEY_VALUE),
    one(2, "droppedAttributesCount", "dropped_attributes_count", Kind::Uint32),
]);

static SCOPE_SPANS: Message = plain(&[
    one(1, "scope", "scope", Kind::Message(&SCOPE)),
    many(2, "spans", "spans", &SPAN),
    one(3, "schemaUrl", "schema_url", Kind::Text),
]);

static SCOPE: Message = plain(&[
    one(1, "name", "name", Kind::Text),
    one(2, "version", "version", Kind::Text),
    many(3, "attributes", "attributes", &KEY_VALUE),
    one(4, "droppedAttributesCount", "dropped_attributes_count", Kind::Uint32),
]);

static SPAN: Message = plain(&[
    one(1, "traceId", "trace_id", Kind::Id(16)),
    one(2, "spanId", "span_id", Kind::Id(8)),
    one(3, "traceState", "trace_state", Kind::Text),
    one(4, "parentSpanId", "parent_span_id", Kind::Id(8)),
    one(5, "name", "name", Kind::Text),
    one(6, "kind", "kind", Kind::Enum(&SPAN_KINDS)),
    one(7, "startTimeUnixNano", "start_time_unix_nano", Kind::Fixed64),
    one(8, "endTimeUnixNano", "end_time_unix_nano", Kind::Fixed64),
    many(9, "attributes", "attributes", &KEY_VALUE),
    one(10, "droppedAttributesCount", "dropped_attributes_count", Kind::Uint32),
    many(11, "events", "events", &EVENT),
    one(12, "droppedEventsCount", "dropped_events_count", Kind::Uint32),
    many(13, "links", "links", &LINK),
    one(14, "droppedLinksCount", "dropped_links_count", Kind::Uint32),
    one(15, "status", "status", Kind::Message(&STATUS)),
    one(16, "flags", "flags", Kind::Fixed32),
]);

static EVENT: Message = plain(&[
    one(1, "timeUnixNano", "time_unix_nano", Kind::Fixed64),
    one(2, "name", "name", Kind::Text),
    many(3, "attributes", "attributes", &KEY_VALUE),
    one(4, "droppedAttributesCount", "dropped_attributes_count", Kind::Uint32),
]);

static LINK: Message = plain(&[
    one(1, "traceId", "trace_id", Kind::Id(16)),
    one(2, "spanId", "span_id", Kind::Id(8)),
    one(3, "traceState", "trace_state", Kind::Text),
    many(4, "attributes", "attributes", &KEY_VALUE),
    one(5, "droppedAttributesCount", "dropped_attributes_count", Kind::Uint32),
    one(6, "flags", "flags", Kind::Fixed32),
]);

static STATUS: Message = plain(&[
    one(2, "message", "message", Kind::Text),
    one(3, "code", "code", Kind::Enum(&STATUS_CODES)),
]);

/// `KeyValue`, the one message that is also encoded by itself.
pub(super) static KEY_VALUE: Message =
    plain(&[one(1, "key", "key", Kind::Text), one(2, "value", "value", Kind::Message(&ANY_VALUE))]);

static ANY_VALUE: Message = Message {
    fields: &[
        one(1, "stringValue", "string_value", Kind::Text),
        one(2, "boolValue", "bool_value", Kind::Bool),
        one(3, "intValue", "int_value", Kind::Int64),
        one(4, "doubleValue", "double_value", Kind::Double),
        one(5, "arrayValue", "array_value", Kind::Message(&ARRAY_VALUE)),
        one(6, "kvlistValue", "kvlist_value", Kind::Message(&KEY_VALUE_LIST)),
        one(7, "bytesValue", "bytes_value", Kind::Bytes),
    ],
    oneof: true,
    nests: true,
};

static ARRAY_VALUE: Message = plain(&[many(1, "values", "values", &ANY_VALUE)]);

static KEY_VALUE_LIST: Message = plain(&[many(1, "values", "values", &KEY_VALUE)]);

/// The names of OTLP's kinds of spans, by number.
pub static SPAN_KINDS: [&str; 6] = [
    "SPAN_KIND_UNSPECIFIED",
    "SPAN_KIND_INTERNAL",
    "SPAN_KIND_SERVER",
    "SPAN_KIND_CLIENT",
    "SPAN_KIND_PRODUCER",
    "SPAN_KIND_CONSUMER",
];

/// The names of OTLP's status codes, by number.
pub static STATUS_CODES: [&str; 3] = ["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"];

impl Message {
    /// The place of the field that JSON calls `key`. Looks from `hint` on first: keys mostly
    /// come in the order of the schema, which makes this one comparison.
    #[inline]
    pub(super) fn find(&self, key: &[u8], hint: usize) -> Option<usize> {
        let named = |field: &Field| field.camel.as_bytes() == key || field.snake.as_bytes() == key;
        let (before, after) = self.fields.split_at_checked(hint).unwrap_or((self.fields, &[]));
        match after.iter().position(named) {
            Some(place) => Some(before.len() + place),
            None => before.iter().position(named),
        }
    }

    /// The place of the field with a number of the wire.
    #[inline]
    pub(super) fn place(&self, number: u32) -> Option<usize> {
        // Most tables have no gaps.
        let guess = usize::try_from(number).ok()?.checked_sub(1)?;
        if self.fields.get(guess).is_some_and(|field| field.number == number) {
            return Some(guess);
        }
        self.fields.iter().position(|field| field.number == number)
    }
}
