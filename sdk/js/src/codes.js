/**
 * The numbers of the buffers between host and plugin: `docs/reference/plugin-buffer.md` is their one table, a
 * test holds these against it.
 * @module
 */

// The first four bytes of a batch: `TWB1`.
export const BATCH_MAGIC = 0x31425754;

// The first four bytes of an answer: `TWA1`.
export const ANSWER_MAGIC = 0x31415754;

// The version of both.
export const VERSION = 1;

// Bytes of the header.
export const HEADER_BYTES = 32;

// Bytes of a row of the table of sections.
export const ENTRY_BYTES = 16;

// No value, in indices of texts and budgets.
export const NONE = 0xffffffff;

// Of `rename`: an attribute that has the new key is replaced.
export const REPLACE = 256;

// How sections are laid out.
export const LAYOUT_U8 = 1;
export const LAYOUT_U32 = 2;
export const LAYOUT_U64 = 3;
export const LAYOUT_F64 = 4;
export const LAYOUT_BITMAP = 5;
export const LAYOUT_TEXT = 6;
export const LAYOUT_BLOB = 7;
export const LAYOUT_ID16 = 8;
export const LAYOUT_ID8 = 9;
export const LAYOUT_COUNTS = 10;

// What sections have an entry for.
export const DOMAIN_NONE = 0;
export const DOMAIN_SPANS = 1;
export const DOMAIN_RESOURCES = 2;
export const DOMAIN_SCOPES = 3;
export const DOMAIN_EVENTS = 4;
export const DOMAIN_TRACES = 5;
export const DOMAIN_PAIRS = 6;
export const DOMAIN_BUDGETS = 7;
export const DOMAIN_LINKS = 8;

// Of which type the value of an attribute is.
export const TAG_ABSENT = 0;
export const TAG_STRING = 1;
export const TAG_INT = 2;
export const TAG_DOUBLE = 3;
export const TAG_BOOL = 4;
export const TAG_BYTES = 5;
export const TAG_ARRAY = 6;
export const TAG_MAP = 7;
export const TAG_EMPTY = 8;
export const TAG_REMOVE = 255;

// Kinds of the sections of a batch.
export const BATCH_TRACE_ID = 1;
export const BATCH_SPAN_ID = 2;
export const BATCH_PARENT_SPAN_ID = 3;
export const BATCH_TRACE_STATE = 4;
export const BATCH_TRACE_FLAGS = 5;
export const BATCH_NAME = 6;
export const BATCH_KIND = 7;
export const BATCH_START_TIME = 8;
export const BATCH_DURATION = 9;
export const BATCH_STATUS_CODE = 10;
export const BATCH_STATUS_MESSAGE = 11;
export const BATCH_SCOPE_NAME = 12;
export const BATCH_SCOPE_VERSION = 13;
export const BATCH_EVENT_NAME = 14;
export const BATCH_EVENT_TIME = 15;
export const BATCH_EVENT_COUNT = 16;
export const BATCH_LINK_COUNT = 17;
export const BATCH_RESOURCE_INDEX = 18;
export const BATCH_SCOPE_INDEX = 19;
export const BATCH_EVENT_SPAN = 20;
export const BATCH_SPAN_ATTRIBUTE_KEYS = 21;
export const BATCH_PEER_ADDRESS = 22;
export const BATCH_ATTRIBUTE = 32;
export const BATCH_PAIRS_END = 33;
export const BATCH_PAIRS_KEY = 34;
export const BATCH_PAIRS = 35;
export const BATCH_BUDGET_KEY = 40;
export const BATCH_BUDGET_LIMIT = 41;
export const BATCH_BUDGET_USED = 42;
export const BATCH_BUDGET_INDEX = 43;
export const BATCH_TRACE_END_ROW = 48;
export const BATCH_TRACE = 49;
export const BATCH_TRACE_START = 50;
export const BATCH_TRACE_DURATION = 51;
export const BATCH_TRACE_SPANS = 52;
export const BATCH_TRACE_ERRORS = 53;
export const BATCH_TRACE_SERVICES = 54;
export const BATCH_TRACE_ROOT_NAME = 55;
export const BATCH_TRACE_ROOT_SERVICE = 56;
export const BATCH_TRACE_STATE_BITS = 57;

// Kinds of the sections of an answer.
export const ANSWER_KEEP = 1;
export const ANSWER_REASON = 2;
export const ANSWER_VERDICT = 3;
export const ANSWER_PROBABILITY = 4;
export const ANSWER_RENAME = 5;
export const ANSWER_DELETE_KEYS = 6;
export const ANSWER_SET_PAIRS = 7;
export const ANSWER_SET = 8;
export const ANSWER_ADD_OWNER = 9;
export const ANSWER_ADD_KEY = 10;
export const ANSWER_ADD = 11;
export const ANSWER_COUNT = 12;
export const ANSWER_DELETE_STARTS = 13;

// What a sampler says of a row.
export const VERDICT_DROP = 0;
export const VERDICT_KEEP = 1;
export const VERDICT_PROBABILITY = 2;

// Whose attribute it is, in arguments of renames and deletions.
export const OWNER_SPAN = 0;
export const OWNER_RESOURCE = 1;
export const OWNER_SCOPE = 2;
export const OWNER_EVENT = 3;
export const OWNER_LINK = 4;

// Of which kind a span is, as OTLP numbers them.
export const KIND_UNSPECIFIED = 0;
export const KIND_INTERNAL = 1;
export const KIND_SERVER = 2;
export const KIND_CLIENT = 3;
export const KIND_PRODUCER = 4;
export const KIND_CONSUMER = 5;

// How a span ended, as OTLP numbers them.
export const STATUS_UNSET = 0;
export const STATUS_OK = 1;
export const STATUS_ERROR = 2;
