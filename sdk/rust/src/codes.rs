//! The numbers of the buffers between host and plugin: `docs/reference/plugin-buffer.md` is their one table, a
//! test holds these (and those of the other SDKs) against it.

/// The first four bytes of a batch: `TWB1`.
pub const BATCH_MAGIC: u32 = 0x3142_5754;
/// The first four bytes of an answer: `TWA1`.
pub const ANSWER_MAGIC: u32 = 0x3141_5754;
/// The version of both.
pub const VERSION: u16 = 1;
/// Bytes of the header.
pub const HEADER_BYTES: usize = 32;
/// Bytes of a row of the table of sections.
pub const ENTRY_BYTES: usize = 16;
/// No value, in indices of texts and budgets.
pub const NONE: u32 = u32::MAX;
/// Of `rename`: an attribute that has the new key is replaced.
pub const REPLACE: u32 = 256;

/// How sections are laid out.
pub mod layout {
    /// One byte an entry.
    pub const U8: u8 = 1;
    /// Four bytes an entry.
    pub const U32: u8 = 2;
    /// Eight bytes an entry.
    pub const U64: u8 = 3;
    /// Eight bytes an entry, IEEE 754.
    pub const F64: u8 = 4;
    /// One bit an entry.
    pub const BITMAP: u8 = 5;
    /// Texts.
    pub const TEXT: u8 = 6;
    /// Bytes, laid out as texts.
    pub const BLOB: u8 = 7;
    /// Sixteen bytes an entry.
    pub const ID16: u8 = 8;
    /// Eight bytes an entry, no number.
    pub const ID8: u8 = 9;
    /// u32 id, u32 zero, u64 value.
    pub const COUNTS: u8 = 10;
}

/// What sections have an entry for.
pub mod domain {
    /// A list by itself.
    pub const NONE: u8 = 0;
    /// The rows.
    pub const SPANS: u8 = 1;
    /// Resources.
    pub const RESOURCES: u8 = 2;
    /// Scopes.
    pub const SCOPES: u8 = 3;
    /// Events.
    pub const EVENTS: u8 = 4;
    /// Traces of a tail sampler.
    pub const TRACES: u8 = 5;
    /// Key and value.
    pub const PAIRS: u8 = 6;
    /// Values that have a budget.
    pub const BUDGETS: u8 = 7;
    /// Links.
    pub const LINKS: u8 = 8;
}

/// Of which type the value of an attribute is.
pub mod tag {
    /// None there; or, in an answer, as it is.
    pub const ABSENT: u8 = 0;
    /// In texts.
    pub const STRING: u8 = 1;
    /// In words.
    pub const INT: u8 = 2;
    /// In words, by its bits.
    pub const DOUBLE: u8 = 3;
    /// In words.
    pub const BOOL: u8 = 4;
    /// In blobs.
    pub const BYTES: u8 = 5;
    /// In blobs.
    pub const ARRAY: u8 = 6;
    /// In blobs.
    pub const MAP: u8 = 7;
    /// An attribute without a value.
    pub const EMPTY: u8 = 8;
    /// Remove it; in answers only.
    pub const REMOVE: u8 = 255;
}

/// Kinds of the sections of a batch.
pub mod batch {
    /// Ids of traces.
    pub const TRACE_ID: u16 = 1;
    /// Ids of spans.
    pub const SPAN_ID: u16 = 2;
    /// Ids of parents.
    pub const PARENT_SPAN_ID: u16 = 3;
    /// W3C tracestate.
    pub const TRACE_STATE: u16 = 4;
    /// Flags.
    pub const TRACE_FLAGS: u16 = 5;
    /// Names of spans.
    pub const NAME: u16 = 6;
    /// Kinds of spans.
    pub const KIND: u16 = 7;
    /// Starts.
    pub const START_TIME: u16 = 8;
    /// Durations.
    pub const DURATION: u16 = 9;
    /// Codes of statuses.
    pub const STATUS_CODE: u16 = 10;
    /// Messages of statuses.
    pub const STATUS_MESSAGE: u16 = 11;
    /// Names of scopes.
    pub const SCOPE_NAME: u16 = 12;
    /// Versions of scopes.
    pub const SCOPE_VERSION: u16 = 13;
    /// Names of events.
    pub const EVENT_NAME: u16 = 14;
    /// Times of events.
    pub const EVENT_TIME: u16 = 15;
    /// How many events a span has.
    pub const EVENT_COUNT: u16 = 16;
    /// How many links a span has.
    pub const LINK_COUNT: u16 = 17;
    /// The resource of each span.
    pub const RESOURCE_INDEX: u16 = 18;
    /// The scope of each span.
    pub const SCOPE_INDEX: u16 = 19;
    /// The span of each event.
    pub const EVENT_SPAN: u16 = 20;
    /// The keys of all span attributes.
    pub const SPAN_ATTRIBUTE_KEYS: u16 = 21;
    /// Addresses of whoever sent the resources.
    pub const PEER_ADDRESS: u16 = 22;
    /// A column of values.
    pub const ATTRIBUTE: u16 = 32;
    /// Where the pairs of each owner end.
    pub const PAIRS_END: u16 = 33;
    /// The keys of pairs.
    pub const PAIRS_KEY: u16 = 34;
    /// The values of pairs.
    pub const PAIRS: u16 = 35;
    /// Values that have a budget.
    pub const BUDGET_KEY: u16 = 40;
    /// Rows that may be kept.
    pub const BUDGET_LIMIT: u16 = 41;
    /// Rows that were kept.
    pub const BUDGET_USED: u16 = 42;
    /// What each row counts for.
    pub const BUDGET_INDEX: u16 = 43;
    /// Where the rows of each trace end.
    pub const TRACE_END_ROW: u16 = 48;
    /// Ids of the traces.
    pub const TRACE: u16 = 49;
    /// Starts of the traces.
    pub const TRACE_START: u16 = 50;
    /// How long the traces took.
    pub const TRACE_DURATION: u16 = 51;
    /// Spans of the traces.
    pub const TRACE_SPANS: u16 = 52;
    /// Spans with an error.
    pub const TRACE_ERRORS: u16 = 53;
    /// Services of the traces.
    pub const TRACE_SERVICES: u16 = 54;
    /// Names of the roots.
    pub const TRACE_ROOT_NAME: u16 = 55;
    /// Services of the roots.
    pub const TRACE_ROOT_SERVICE: u16 = 56;
    /// 1: complete; 2: late.
    pub const TRACE_STATE_BITS: u16 = 57;
}

/// Kinds of the sections of an answer.
pub mod answer {
    /// Which spans stay.
    pub const KEEP: u16 = 1;
    /// Why.
    pub const REASON: u16 = 2;
    /// 0 drop, 1 keep, 2 with a probability.
    pub const VERDICT: u16 = 3;
    /// The probability.
    pub const PROBABILITY: u16 = 4;
    /// New names of attributes.
    pub const RENAME: u16 = 5;
    /// Attributes that go everywhere.
    pub const DELETE_KEYS: u16 = 6;
    /// New values of pairs.
    pub const SET_PAIRS: u16 = 7;
    /// New values.
    pub const SET: u16 = 8;
    /// Who gets attributes.
    pub const ADD_OWNER: u16 = 9;
    /// Their keys.
    pub const ADD_KEY: u16 = 10;
    /// Their values.
    pub const ADD: u16 = 11;
    /// Raises counters.
    pub const COUNT: u16 = 12;
    /// Attributes that go everywhere, by what their keys begin with.
    pub const DELETE_STARTS: u16 = 13;
}

/// What a sampler says of a row.
pub mod verdict {
    /// It goes.
    pub const DROP: u8 = 0;
    /// It stays.
    pub const KEEP: u8 = 1;
    /// It stays with the probability.
    pub const PROBABILITY: u8 = 2;
}
