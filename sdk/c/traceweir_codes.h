// The numbers of the buffers between host and plugin. docs/reference/plugin-buffer.md is their one table; a test of the
// repository holds these against it.
#ifndef TRACEWEIR_CODES_H
#define TRACEWEIR_CODES_H

// The first four bytes of a batch: TWB1.
#define TW_BATCH_MAGIC 0x31425754
// The first four bytes of an answer: TWA1.
#define TW_ANSWER_MAGIC 0x31415754
// The version of both.
#define TW_VERSION 1
// Bytes of the header.
#define TW_HEADER_BYTES 32
// Bytes of a row of the table of sections.
#define TW_ENTRY_BYTES 16
// No value, in indices of texts and budgets.
#define TW_NONE 0xffffffff
// Of a rename: an attribute that has the new key is replaced.
#define TW_REPLACE 256

// How sections are laid out.
#define TW_LAYOUT_U8 1
#define TW_LAYOUT_U32 2
#define TW_LAYOUT_U64 3
#define TW_LAYOUT_F64 4
#define TW_LAYOUT_BITMAP 5
#define TW_LAYOUT_TEXT 6
#define TW_LAYOUT_BLOB 7
#define TW_LAYOUT_ID16 8
#define TW_LAYOUT_ID8 9
#define TW_LAYOUT_COUNTS 10

// What sections have an entry for.
#define TW_DOMAIN_NONE 0
#define TW_DOMAIN_SPANS 1
#define TW_DOMAIN_RESOURCES 2
#define TW_DOMAIN_SCOPES 3
#define TW_DOMAIN_EVENTS 4
#define TW_DOMAIN_TRACES 5
#define TW_DOMAIN_PAIRS 6
#define TW_DOMAIN_BUDGETS 7
#define TW_DOMAIN_LINKS 8

// Of which type the value of an attribute is.
#define TW_TAG_ABSENT 0
#define TW_TAG_STRING 1
#define TW_TAG_INT 2
#define TW_TAG_DOUBLE 3
#define TW_TAG_BOOL 4
#define TW_TAG_BYTES 5
#define TW_TAG_ARRAY 6
#define TW_TAG_MAP 7
#define TW_TAG_EMPTY 8
#define TW_TAG_REMOVE 255

// Kinds of the sections of a batch.
#define TW_BATCH_TRACE_ID 1
#define TW_BATCH_SPAN_ID 2
#define TW_BATCH_PARENT_SPAN_ID 3
#define TW_BATCH_TRACE_STATE 4
#define TW_BATCH_TRACE_FLAGS 5
#define TW_BATCH_NAME 6
#define TW_BATCH_KIND 7
#define TW_BATCH_START_TIME 8
#define TW_BATCH_DURATION 9
#define TW_BATCH_STATUS_CODE 10
#define TW_BATCH_STATUS_MESSAGE 11
#define TW_BATCH_SCOPE_NAME 12
#define TW_BATCH_SCOPE_VERSION 13
#define TW_BATCH_EVENT_NAME 14
#define TW_BATCH_EVENT_TIME 15
#define TW_BATCH_EVENT_COUNT 16
#define TW_BATCH_LINK_COUNT 17
#define TW_BATCH_RESOURCE_INDEX 18
#define TW_BATCH_SCOPE_INDEX 19
#define TW_BATCH_EVENT_SPAN 20
#define TW_BATCH_SPAN_ATTRIBUTE_KEYS 21
#define TW_BATCH_PEER_ADDRESS 22
#define TW_BATCH_ATTRIBUTE 32
#define TW_BATCH_PAIRS_END 33
#define TW_BATCH_PAIRS_KEY 34
#define TW_BATCH_PAIRS 35
#define TW_BATCH_BUDGET_KEY 40
#define TW_BATCH_BUDGET_LIMIT 41
#define TW_BATCH_BUDGET_USED 42
#define TW_BATCH_BUDGET_INDEX 43
#define TW_BATCH_TRACE_END_ROW 48
#define TW_BATCH_TRACE 49
#define TW_BATCH_TRACE_START 50
#define TW_BATCH_TRACE_DURATION 51
#define TW_BATCH_TRACE_SPANS 52
#define TW_BATCH_TRACE_ERRORS 53
#define TW_BATCH_TRACE_SERVICES 54
#define TW_BATCH_TRACE_ROOT_NAME 55
#define TW_BATCH_TRACE_ROOT_SERVICE 56
#define TW_BATCH_TRACE_STATE_BITS 57

// Kinds of the sections of an answer.
#define TW_ANSWER_KEEP 1
#define TW_ANSWER_REASON 2
#define TW_ANSWER_VERDICT 3
#define TW_ANSWER_PROBABILITY 4
#define TW_ANSWER_RENAME 5
#define TW_ANSWER_DELETE_KEYS 6
#define TW_ANSWER_SET_PAIRS 7
#define TW_ANSWER_SET 8
#define TW_ANSWER_ADD_OWNER 9
#define TW_ANSWER_ADD_KEY 10
#define TW_ANSWER_ADD 11
#define TW_ANSWER_COUNT 12
#define TW_ANSWER_DELETE_STARTS 13

// What a sampler says of a row.
#define TW_VERDICT_DROP 0
#define TW_VERDICT_KEEP 1
#define TW_VERDICT_PROBABILITY 2

// Of which kind a span is, as OTLP numbers them.
#define TW_KIND_UNSPECIFIED 0
#define TW_KIND_INTERNAL 1
#define TW_KIND_SERVER 2
#define TW_KIND_CLIENT 3
#define TW_KIND_PRODUCER 4
#define TW_KIND_CONSUMER 5

// How a span ended, as OTLP numbers them.
#define TW_STATUS_UNSET 0
#define TW_STATUS_OK 1
#define TW_STATUS_ERROR 2

// Whose attribute it is, in arguments of renames and deletions.
#define TW_OWNER_SPAN 0
#define TW_OWNER_RESOURCE 1
#define TW_OWNER_SCOPE 2
#define TW_OWNER_EVENT 3
#define TW_OWNER_LINK 4

#endif
