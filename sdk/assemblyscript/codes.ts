// The numbers of the buffers between host and plugin. docs/reference/plugin-buffer.md is their one table; a test of the
// repository holds these against it.

// The first four bytes of a batch: TWB1.
export const BATCH_MAGIC: u32 = 0x31425754;
// The first four bytes of an answer: TWA1.
export const ANSWER_MAGIC: u32 = 0x31415754;
// The version of both.
export const VERSION: u32 = 1;
// Bytes of the header.
export const HEADER_BYTES: u32 = 32;
// Bytes of a row of the table of sections.
export const ENTRY_BYTES: u32 = 16;
// No value, in indices of texts and budgets.
export const NONE: u32 = 0xffffffff;
// Of a rename: an attribute that has the new key is replaced.
export const REPLACE: u32 = 256;

// How sections are laid out.
export const LAYOUT_U8: u8 = 1;
export const LAYOUT_U32: u8 = 2;
export const LAYOUT_U64: u8 = 3;
export const LAYOUT_F64: u8 = 4;
export const LAYOUT_BITMAP: u8 = 5;
export const LAYOUT_TEXT: u8 = 6;
export const LAYOUT_BLOB: u8 = 7;
export const LAYOUT_ID16: u8 = 8;
export const LAYOUT_ID8: u8 = 9;
export const LAYOUT_COUNTS: u8 = 10;

// What sections have an entry for.
export const DOMAIN_NONE: u8 = 0;
export const DOMAIN_SPANS: u8 = 1;
export const DOMAIN_RESOURCES: u8 = 2;
export const DOMAIN_SCOPES: u8 = 3;
export const DOMAIN_EVENTS: u8 = 4;
export const DOMAIN_TRACES: u8 = 5;
export const DOMAIN_PAIRS: u8 = 6;
export const DOMAIN_BUDGETS: u8 = 7;
export const DOMAIN_LINKS: u8 = 8;

// Of which type the value of an attribute is.
export const TAG_ABSENT: u8 = 0;
export const TAG_STRING: u8 = 1;
export const TAG_INT: u8 = 2;
export const TAG_DOUBLE: u8 = 3;
export const TAG_BOOL: u8 = 4;
export const TAG_BYTES: u8 = 5;
export const TAG_ARRAY: u8 = 6;
export const TAG_MAP: u8 = 7;
export const TAG_EMPTY: u8 = 8;
export const TAG_REMOVE: u8 = 255;

// Kinds of the sections of a batch.
export const BATCH_TRACE_ID: u16 = 1;
export const BATCH_SPAN_ID: u16 = 2;
export const BATCH_PARENT_SPAN_ID: u16 = 3;
export const BATCH_TRACE_STATE: u16 = 4;
export const BATCH_TRACE_FLAGS: u16 = 5;
export const BATCH_NAME: u16 = 6;
export const BATCH_KIND: u16 = 7;
export const BATCH_START_TIME: u16 = 8;
export const BATCH_DURATION: u16 = 9;
export const BATCH_STATUS_CODE: u16 = 10;
export const BATCH_STATUS_MESSAGE: u16 = 11;
export const BATCH_SCOPE_NAME: u16 = 12;
export const BATCH_SCOPE_VERSION: u16 = 13;
export const BATCH_EVENT_NAME: u16 = 14;
export const BATCH_EVENT_TIME: u16 = 15;
export const BATCH_EVENT_COUNT: u16 = 16;
export const BATCH_LINK_COUNT: u16 = 17;
export const BATCH_RESOURCE_INDEX: u16 = 18;
export const BATCH_SCOPE_INDEX: u16 = 19;
export const BATCH_EVENT_SPAN: u16 = 20;
export const BATCH_SPAN_ATTRIBUTE_KEYS: u16 = 21;
export const BATCH_PEER_ADDRESS: u16 = 22;
export const BATCH_ATTRIBUTE: u16 = 32;
export const BATCH_PAIRS_END: u16 = 33;
export const BATCH_PAIRS_KEY: u16 = 34;
export const BATCH_PAIRS: u16 = 35;
export const BATCH_BUDGET_KEY: u16 = 40;
export const BATCH_BUDGET_LIMIT: u16 = 41;
export const BATCH_BUDGET_USED: u16 = 42;
export const BATCH_BUDGET_INDEX: u16 = 43;
export const BATCH_TRACE_END_ROW: u16 = 48;
export const BATCH_TRACE: u16 = 49;
export const BATCH_TRACE_START: u16 = 50;
export const BATCH_TRACE_DURATION: u16 = 51;
export const BATCH_TRACE_SPANS: u16 = 52;
export const BATCH_TRACE_ERRORS: u16 = 53;
export const BATCH_TRACE_SERVICES: u16 = 54;
export const BATCH_TRACE_ROOT_NAME: u16 = 55;
export const BATCH_TRACE_ROOT_SERVICE: u16 = 56;
export const BATCH_TRACE_STATE_BITS: u16 = 57;

// Kinds of the sections of an answer.
export const ANSWER_KEEP: u16 = 1;
export const ANSWER_REASON: u16 = 2;
export const ANSWER_VERDICT: u16 = 3;
export const ANSWER_PROBABILITY: u16 = 4;
export const ANSWER_RENAME: u16 = 5;
export const ANSWER_DELETE_KEYS: u16 = 6;
export const ANSWER_SET_PAIRS: u16 = 7;
export const ANSWER_SET: u16 = 8;
export const ANSWER_ADD_OWNER: u16 = 9;
export const ANSWER_ADD_KEY: u16 = 10;
export const ANSWER_ADD: u16 = 11;
export const ANSWER_COUNT: u16 = 12;
export const ANSWER_DELETE_STARTS: u16 = 13;

// What a sampler says of a row.
export const VERDICT_DROP: u8 = 0;
export const VERDICT_KEEP: u8 = 1;
export const VERDICT_PROBABILITY: u8 = 2;

// Of which kind a span is, as OTLP numbers them.
export const KIND_UNSPECIFIED: u8 = 0;
export const KIND_INTERNAL: u8 = 1;
export const KIND_SERVER: u8 = 2;
export const KIND_CLIENT: u8 = 3;
export const KIND_PRODUCER: u8 = 4;
export const KIND_CONSUMER: u8 = 5;

// How a span ended, as OTLP numbers them.
export const STATUS_UNSET: u8 = 0;
export const STATUS_OK: u8 = 1;
export const STATUS_ERROR: u8 = 2;

// Whose attribute it is, in arguments of renames and deletions.
export const OWNER_SPAN: u8 = 0;
export const OWNER_RESOURCE: u8 = 1;
export const OWNER_SCOPE: u8 = 2;
export const OWNER_EVENT: u8 = 3;
export const OWNER_LINK: u8 = 4;
