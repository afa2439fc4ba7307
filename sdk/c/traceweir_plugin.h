// Plugins for Traceweir in C: what they say of themselves, the batches that they are given, the answers that they give.
// Neither libc nor component tooling is needed; C11, with clang or `zig cc`. README.md begins from nothing.
//
// A plugin defines tw_describe, tw_configure and the functions of its world ("What a plugin defines", below), and is
// compiled together with traceweir_plugin.c, which is told the world: -DTW_SPAN_PROCESSOR, -DTW_HEAD_SAMPLER,
// -DTW_TAIL_SAMPLER, -DTW_ROUTER, -DTW_AUTHENTICATOR or -DTW_REFRESHER.
//
// Memory: everything is taken from one arena. What is taken during tw_configure stays for the life of the instance;
// what is taken later is gone when the call ends, and so is the batch. Nothing is freed by hand, and nothing leaks.
#ifndef TRACEWEIR_PLUGIN_H
#define TRACEWEIR_PLUGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "traceweir_codes.h"

// ==== Texts and memory

// Bytes that lie elsewhere: text in UTF-8, without a zero at its end.
typedef struct {
  const char *at;
  size_t len;
} tw_str;

#define TW_STR(literal) ((tw_str){"" literal, sizeof(literal) - 1})

bool tw_equal(tw_str a, tw_str b);
bool tw_starts_with(tw_str text, tw_str prefix);

// Zeroed memory from the arena. Where there is none left the instance ends.
void *tw_alloc(size_t bytes);
// A copy from the arena.
tw_str tw_copy(tw_str text);
// Parts, one after the other, from the arena; the list ends with a text whose `at` is NULL.
tw_str tw_join(const tw_str *parts);
// A number as text.
tw_str tw_decimal(uint64_t number);

// Texts, each numbered once in the order in which they come, and found by their bytes. All zeros are an empty one. It
// keeps what it is given, and copies nothing.
typedef struct {
  tw_str *texts;
  uint32_t *places;
  uint32_t count, capacity, place_count;
} tw_numbering;

uint32_t tw_number(tw_numbering *, tw_str text);
// TW_NONE where it is not known.
uint32_t tw_find(const tw_numbering *, tw_str text);

// Texts by texts. All zeros are an empty one.
typedef struct {
  tw_numbering keys;
  tw_str *values;
  uint32_t capacity;
} tw_map;

void tw_map_put(tw_map *, tw_str key, tw_str value);
bool tw_map_get(const tw_map *, tw_str key, tw_str *value);

// ==== What a plugin says of itself

typedef struct {
  tw_str name, version, description;
  // JSON Schema (2020-12) of the configuration, held against one before the plugin sees it; empty: everything is
  // passed.
  tw_str config_schema;
  // Same input, same output, and nothing remembered from one call for the next.
  bool stateless;
} tw_info;

// What is wrong with a configuration: the JSON path of the value (`$.keys[2]`) and why.
typedef struct {
  tw_str path, message;
} tw_config_error;

// A failure that the plugin has noticed itself: counted, on_failure applies, the instance lives on. Kinds are numbered
// as in the WIT.
typedef struct {
  enum { TW_BAD_INPUT, TW_NOT_READY, TW_INTERNAL } kind;
  tw_str message;
} tw_error;

// Whose attribute it is, numbered as in the WIT.
typedef enum {
  TW_SPAN = TW_OWNER_SPAN,
  TW_RESOURCE = TW_OWNER_RESOURCE,
  TW_SCOPE = TW_OWNER_SCOPE,
  TW_EVENT = TW_OWNER_EVENT,
  TW_LINK = TW_OWNER_LINK,
} tw_owner;

// What is read or written.
typedef struct {
  enum { TW_FIELD_INTRINSIC, TW_FIELD_ATTRIBUTE, TW_FIELD_ATTRIBUTES } what;
  // TW_BATCH_TRACE_ID to TW_BATCH_PEER_ADDRESS.
  uint8_t intrinsic;
  tw_owner owner;
  // The key, or how keys begin.
  tw_str key;
  // Arrays, maps and bytes are passed, too; else only their type is seen.
  bool complex;
} tw_field;

static inline tw_field tw_intrinsic(uint8_t intrinsic) {
  return (tw_field){.what = TW_FIELD_INTRINSIC, .intrinsic = intrinsic};
}
static inline tw_field tw_attribute(tw_owner owner, tw_str key) {
  return (tw_field){.what = TW_FIELD_ATTRIBUTE, .owner = owner, .key = key};
}
static inline tw_field tw_attributes(tw_owner owner, tw_str prefix) {
  return (tw_field){.what = TW_FIELD_ATTRIBUTES, .owner = owner, .key = prefix};
}

// So many rows may be kept in a stretch of time; the host counts.
typedef struct {
  tw_str name;
  // Each value of this attribute (of span or resource) has a budget of its own, if has_per; else there is one for all.
  bool has_per;
  tw_field per;
  uint64_t limit;
  // From 100 to 3,600,000.
  uint32_t window_ms;
} tw_budget_rule;

// What the plugin reads and what it may write: nothing else crosses, and one edit of something else fails the whole
// answer.
typedef struct {
  tw_field *reads, *writes;
  uint32_t read_count, write_count;
  struct tw_match_rule {
    tw_str key;
    const tw_str *any_of;
    uint32_t any_of_count;
  } *match_resource;
  uint32_t match_resource_count;
  tw_budget_rule *budgets;
  uint32_t budget_count;
  // Most rows in a batch; 0 leaves it to the host.
  uint32_t max_batch_rows;
} tw_projection;

// Each says at which place the field, or budget, stands: what is there is found by it.
uint32_t tw_read(tw_projection *, tw_field);
uint32_t tw_write(tw_projection *, tw_field);
uint32_t tw_budget_by(tw_projection *, tw_budget_rule);
// Only spans of resources whose attribute is one of these texts are passed.
void tw_match(tw_projection *, tw_str key, const tw_str *any_of, uint32_t count);

// ==== A batch

// Columns lie in the batch. An entry past the end of one, or of one that the projection does not read, is 0 or empty.
typedef struct {
  const uint8_t *at;
  uint32_t len;
} tw_u8s, tw_u32s, tw_u64s, tw_id8s, tw_id16s;

static inline uint8_t tw_u8_at(tw_u8s column, uint32_t i) { return i < column.len ? column.at[i] : 0; }
static inline uint32_t tw_u32_at(tw_u32s column, uint32_t i) {
  uint32_t number = 0;
  if (i < column.len) __builtin_memcpy(&number, column.at + (size_t)i * 4, 4);
  return number;
}
static inline uint64_t tw_u64_at(tw_u64s column, uint32_t i) {
  uint64_t number = 0;
  if (i < column.len) __builtin_memcpy(&number, column.at + (size_t)i * 8, 8);
  return number;
}
// Eight bytes and sixteen.
const uint8_t *tw_id8_at(tw_id8s column, uint32_t i);
const uint8_t *tw_id16_at(tw_id16s column, uint32_t i);

// Texts, or bytes: values that each stand once, and which of them each entry has; or a value for each entry. Work that
// depends on the value alone is done once for each of them.
typedef struct {
  uint32_t len, values;
  // Which value each entry has; without entries: entry i has value i.
  tw_u32s index;
  tw_u32s ends;
  const char *heap;
} tw_texts;

// Which value entry i has; TW_NONE where it has none.
static inline uint32_t tw_text_index(tw_texts texts, uint32_t i) {
  if (i >= texts.len) return TW_NONE;
  return texts.index.len > 0 ? tw_u32_at(texts.index, i) : i;
}
// The value with this number, below `values`.
static inline tw_str tw_text_value(tw_texts texts, uint32_t value) {
  if (value >= texts.values) return (tw_str){"", 0};
  uint32_t start = tw_u32_at(texts.ends, value);
  return (tw_str){texts.heap + start, tw_u32_at(texts.ends, value + 1) - start};
}
// The text of entry i; empty where it has none.
static inline tw_str tw_text_at(tw_texts texts, uint32_t i) { return tw_text_value(texts, tw_text_index(texts, i)); }

// The value of an attribute, by its TW_TAG_...: `text` is a string, or the OTLP AnyValue of bytes, an array or a map;
// `number` is an int or a bool.
typedef struct {
  uint8_t tag;
  int64_t number;
  double real;
  tw_str text;
} tw_value;

static inline tw_value tw_string(tw_str text) { return (tw_value){.tag = TW_TAG_STRING, .text = text}; }
static inline tw_value tw_int(int64_t number) { return (tw_value){.tag = TW_TAG_INT, .number = number}; }
static inline tw_value tw_double(double real) { return (tw_value){.tag = TW_TAG_DOUBLE, .real = real}; }
static inline tw_value tw_bool(bool is) { return (tw_value){.tag = TW_TAG_BOOL, .number = is}; }
static inline tw_value tw_encoded(uint8_t tag, tw_str any_value) { return (tw_value){.tag = tag, .text = any_value}; }
static inline tw_value tw_empty(void) { return (tw_value){.tag = TW_TAG_EMPTY}; }

// One attribute: the value that each owner has.
typedef struct {
  tw_u8s tags;
  tw_u64s words;
  tw_texts texts, blobs;
} tw_column;

tw_value tw_value_at(tw_column, uint32_t i);
// Whether owner i has a string, and which.
static inline bool tw_string_at(tw_column column, uint32_t i, tw_str *text) {
  if (tw_u8_at(column.tags, i) != TW_TAG_STRING) return false;
  *text = tw_text_at(column.texts, i);
  return true;
}

// All attributes whose key begins so: key and value, owner after owner.
typedef struct {
  uint32_t place, len;
  tw_u32s ends;
  tw_texts keys;
  tw_column values;
} tw_pairs;

typedef struct {
  uint32_t start, end;
} tw_range;

// The pairs of an owner: from start to before end.
tw_range tw_pairs_of(tw_pairs, uint32_t owner);

// What may be kept in the window and what was, by the values of the budget's attribute.
typedef struct {
  tw_texts keys;
  tw_u64s limits, used;
  // Which key a row (or trace) counts for; TW_NONE: none.
  tw_u32s index;
} tw_budget;

// The traces that a tail sampler decides on.
typedef struct {
  uint32_t len;
  tw_u32s ends;
  tw_id16s ids;
  tw_u64s starts, durations;
  tw_u32s spans, errors, services;
  tw_texts root_names, root_services;
  // 1: complete; 2: late.
  tw_u8s states;
} tw_traces;

// The rows of a trace; none at level summary.
tw_range tw_trace_rows(tw_traces, uint32_t trace);

typedef struct {
  uint32_t rows, resources, scopes, events, traces;
  // Of all spans, if something of links is read.
  uint32_t links;
  struct tw_section *sections;
  uint32_t section_count;
} tw_batch;

// Reads a buffer and holds it against the rules of docs/reference/plugin-buffer.md, so that nothing after it can fail.
// The exports call it; tests do.
bool tw_batch_read(tw_batch *, const void *at, size_t len, tw_error *);
// Refuses a batch that lacks what the projection reads.
bool tw_batch_require(const tw_batch *, const tw_projection *, tw_error *);

// Columns of spans.
tw_id16s tw_trace_ids(const tw_batch *);
tw_id8s tw_span_ids(const tw_batch *);
tw_id8s tw_parent_span_ids(const tw_batch *);
tw_texts tw_trace_states(const tw_batch *);
tw_u32s tw_trace_flags(const tw_batch *);
tw_texts tw_names(const tw_batch *);
tw_u8s tw_kinds(const tw_batch *);
tw_u64s tw_start_times(const tw_batch *);
tw_u64s tw_durations(const tw_batch *);
tw_u8s tw_status_codes(const tw_batch *);
tw_texts tw_status_messages(const tw_batch *);
tw_u32s tw_event_counts(const tw_batch *);
tw_u32s tw_link_counts(const tw_batch *);
tw_u32s tw_resource_indices(const tw_batch *);
tw_u32s tw_scope_indices(const tw_batch *);
// Columns of scopes, of events, of resources; the keys of all span attributes.
tw_texts tw_scope_names(const tw_batch *);
tw_texts tw_scope_versions(const tw_batch *);
tw_texts tw_event_names(const tw_batch *);
tw_u64s tw_event_times(const tw_batch *);
tw_u32s tw_event_spans(const tw_batch *);
tw_texts tw_peer_addresses(const tw_batch *);
tw_texts tw_span_attribute_keys(const tw_batch *);

// What is read at a place that tw_read or tw_budget_by has returned.
tw_column tw_column_at(const tw_batch *, uint32_t read);
tw_pairs tw_pairs_at(const tw_batch *, uint32_t read);
tw_budget tw_budget_at(const tw_batch *, uint32_t budget);
tw_traces tw_trace_table(const tw_batch *);

// Which trace each row is of, numbered from 0 in the order of their first rows. Reads the trace ids.
typedef struct {
  const uint32_t *of;
  uint32_t count;
} tw_groups;

tw_groups tw_trace_groups(const tw_batch *);

// ==== An answer

// Texts that it is given are not copied: they lie in the batch, in the arena, or are literals.
typedef struct tw_answer tw_answer;
// A column of it: for each entry a new value, a removal, or nothing.
typedef struct tw_values tw_values;

// The answer of a processor: until something is said, everything stays as it is.
tw_answer *tw_edits(const tw_batch *);
// The answer of a sampler, on rows or, for a tail sampler, on traces: until something is said, they are kept.
tw_answer *tw_decisions(const tw_batch *);

// Reasons are counted, 32 different ones at most; an empty one is none.
void tw_drop(tw_answer *, uint32_t row, tw_str reason);
// verdict is a TW_VERDICT_...; the probability, 0.0 to 1.0, counts with TW_VERDICT_PROBABILITY alone.
void tw_verdict(tw_answer *, uint32_t i, uint8_t verdict, double probability, tw_str reason);
// Another key for attributes of an owner, wherever they are. Where the new key is there already it is replaced, or
// nothing is renamed.
void tw_rename(tw_answer *, tw_owner, tw_str from, tw_str to, bool replace);
void tw_delete_key(tw_answer *, tw_owner, tw_str key);
// All whose keys begin so: `writes` must have them, and they need not be read.
void tw_delete_starting(tw_answer *, tw_owner, tw_str start);
// New values of pairs that were read: an entry for each.
tw_values *tw_set_pairs(tw_answer *, tw_pairs);
// New values of a field, by its place in the writes: an entry for each `per`. That is the owner of the field; or, for
// attributes of spans, TW_RESOURCE.
tw_values *tw_set(tw_answer *, uint32_t write, tw_owner per);
// Gives one span, resource, scope, event or link (whose, says the field) an attribute.
void tw_add(tw_answer *, uint32_t write, uint32_t owner, tw_str key, tw_value);
// Raises a counter, without a call to the host.
void tw_count(tw_answer *, uint32_t counter, uint64_t by);

// A value that is absent leaves the entry as it is. An entry that there is not is not written.
void tw_put(tw_values *, uint32_t i, tw_value);
void tw_put_string(tw_values *, uint32_t i, tw_str text);
// Removes the attribute; empties a tracestate or a status message.
void tw_remove(tw_values *, uint32_t i);

// The buffer, in the arena. The exports call it; tests do.
tw_str tw_answer_encode(tw_answer *);

// ==== The host

typedef enum { TW_DEBUG, TW_INFO, TW_WARN, TW_ERROR } tw_level;

// All worlds.
void tw_log(tw_level, tw_str message);

// All worlds but that of refreshers. Metrics are made in tw_configure, 64 at most.
uint32_t tw_counter(tw_str name, tw_str help);
uint32_t tw_histogram(tw_str name, tw_str help, const double *bounds, uint32_t count);
void tw_raise(uint32_t counter, uint64_t delta);
void tw_observe(uint32_t histogram, double value);
// The values of keys, in their order, in the arena; the `at` of one that the table does not have is NULL. One call per
// batch, not one per span.
tw_str *tw_lookup(tw_str table, const tw_str *keys, uint32_t count);
// Goes up when the table changes; 0 where there is none.
uint64_t tw_generation(tw_str table);

// Processors, authenticators and refreshers: nanoseconds since 1970.
uint64_t tw_now_unix_nano(void);

// Processors and authenticators.
bool tw_cache_get(tw_str key, tw_str *value);
void tw_cache_set(tw_str key, tw_str value, uint32_t ttl_seconds);

// Processors: so many random bytes, 64 KiB at most, in the arena.
const uint8_t *tw_random(uint32_t bytes);

typedef struct {
  tw_str name, value;
} tw_header;

typedef struct {
  tw_str method, url;
  const tw_header *headers;
  uint32_t header_count;
  tw_str body;
  uint32_t timeout_ms;
} tw_fetch_request;

typedef struct {
  uint16_t status;
  const tw_header *headers;
  uint32_t header_count;
  tw_str body;
} tw_fetch_response;

// Refreshers: false where nothing came back, with the reason.
bool tw_fetch(const tw_fetch_request *, tw_fetch_response *, tw_str *reason);

// ==== What a plugin defines

// Of the host only tw_log may be called.
void tw_describe(tw_info *);
// Once, before anything else. False: the error says what is wrong.
bool tw_configure(tw_str config, tw_projection *, tw_config_error *);

// Of a processor, a head sampler, a tail sampler. NULL: the error says why.
tw_answer *tw_process(const tw_batch *, tw_error *);
tw_answer *tw_sample(const tw_batch *, tw_error *);
tw_answer *tw_decide(const tw_batch *, tw_error *);
// Of a tail sampler: what it is given, numbered as in the WIT. Asked after tw_configure.
typedef enum { TW_SUMMARY, TW_PROJECTED_SPANS } tw_input_level;
tw_input_level tw_wanted_level(void);

// Of a router: the tenants that it may name, and for each resource, in their order, a place among them or TW_STAY.
#define TW_STAY 0xffff
typedef struct {
  const tw_str *texts;
  uint32_t count;
} tw_list;
tw_list tw_routes(void);
bool tw_route(const tw_batch *, uint16_t *places, tw_error *);

// Of an authenticator.
typedef struct {
  tw_str method, path, peer_ip;
  const tw_header *headers;
  uint32_t header_count;
  bool has_certificate;
  tw_str subject;
  tw_list names;
} tw_request;
typedef enum { TW_INGEST, TW_QUERY, TW_ADMIN } tw_permission;
typedef struct {
  tw_list tenants;
  // A bit, 1 << TW_INGEST and so on, for each.
  uint8_t permissions;
  tw_str rate_class, cluster;
  uint32_t ttl_seconds;
} tw_identity;
typedef struct {
  // 401 or 403.
  uint16_t status;
  tw_str message;
  uint32_t ttl_seconds;
} tw_denied;
bool tw_authenticate(const tw_request *, tw_identity *, tw_denied *);

// Of a refresher.
typedef struct {
  tw_str name;
  const tw_header *entries;
  uint32_t entry_count;
} tw_table;
typedef struct {
  const tw_table *tables;
  uint32_t count;
} tw_tables;
uint32_t tw_interval_seconds(void);
// False: the tables stay as they are, and the reason is logged.
bool tw_refresh(tw_tables *, tw_str *reason);

#endif
