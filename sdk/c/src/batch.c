// What a plugin is given: header and table, then what each section must be, then what sections owe each other.
#include "../traceweir_plugin.h"

// A section that is known and was held against the rules; `texts` is of those of texts and blobs, `len` counts entries.
struct tw_section {
  uint16_t kind;
  uint8_t layout, domain;
  uint32_t argument;
  const uint8_t *at;
  uint32_t len;
  tw_texts texts;
};

static uint32_t word(const uint8_t *at) {
  uint32_t number;
  __builtin_memcpy(&number, at, 4);
  return number;
}

static bool bad(tw_error *error, tw_str message) {
  *error = (tw_error){TW_BAD_INPUT, message};
  return false;
}

static bool bad_section(tw_error *error, const struct tw_section *s, tw_str what) {
  return bad(error, tw_join((tw_str[]){TW_STR("section "),
                                       tw_decimal(s->kind),
                                       TW_STR(" of "),
                                       tw_decimal(s->argument),
                                       TW_STR(": "),
                                       what,
                                       {NULL, 0}}));
}

// How many entries a domain has, if the header counts it.
static bool entries_of(const tw_batch *b, uint8_t domain, uint32_t *entries) {
  switch (domain) {
    case TW_DOMAIN_SPANS: *entries = b->rows; return true;
    case TW_DOMAIN_RESOURCES: *entries = b->resources; return true;
    case TW_DOMAIN_SCOPES: *entries = b->scopes; return true;
    case TW_DOMAIN_EVENTS: *entries = b->events; return true;
    case TW_DOMAIN_TRACES: *entries = b->traces; return true;
    default: *entries = 0; return false;
  }
}

// Entries of the domain that the section names, and any number of them.
#define OF_ITS_DOMAIN 254
#define OF_ANY 255
#define OF(layout) (1 << TW_LAYOUT_##layout)
#define VALUES (OF(U8) | OF(U64) | OF(TEXT) | OF(BLOB))

// What is known of the sections of a batch: the types that they have, a bit for each, and their entries. A kind that is
// not here is skipped.
static const struct rule {
  uint8_t kind, entries;
  uint16_t layouts;
} rules[] = {
    {TW_BATCH_TRACE_ID, TW_DOMAIN_SPANS, OF(ID16)},
    {TW_BATCH_SPAN_ID, TW_DOMAIN_SPANS, OF(ID8)},
    {TW_BATCH_PARENT_SPAN_ID, TW_DOMAIN_SPANS, OF(ID8)},
    {TW_BATCH_TRACE_STATE, TW_DOMAIN_SPANS, OF(TEXT)},
    {TW_BATCH_TRACE_FLAGS, TW_DOMAIN_SPANS, OF(U32)},
    {TW_BATCH_NAME, TW_DOMAIN_SPANS, OF(TEXT)},
    {TW_BATCH_KIND, TW_DOMAIN_SPANS, OF(U8)},
    {TW_BATCH_START_TIME, TW_DOMAIN_SPANS, OF(U64)},
    {TW_BATCH_DURATION, TW_DOMAIN_SPANS, OF(U64)},
    {TW_BATCH_STATUS_CODE, TW_DOMAIN_SPANS, OF(U8)},
    {TW_BATCH_STATUS_MESSAGE, TW_DOMAIN_SPANS, OF(TEXT)},
    {TW_BATCH_SCOPE_NAME, TW_DOMAIN_SCOPES, OF(TEXT)},
    {TW_BATCH_SCOPE_VERSION, TW_DOMAIN_SCOPES, OF(TEXT)},
    {TW_BATCH_EVENT_NAME, TW_DOMAIN_EVENTS, OF(TEXT)},
    {TW_BATCH_EVENT_TIME, TW_DOMAIN_EVENTS, OF(U64)},
    {TW_BATCH_EVENT_COUNT, TW_DOMAIN_SPANS, OF(U32)},
    {TW_BATCH_LINK_COUNT, TW_DOMAIN_SPANS, OF(U32)},
    {TW_BATCH_RESOURCE_INDEX, TW_DOMAIN_SPANS, OF(U32)},
    {TW_BATCH_SCOPE_INDEX, TW_DOMAIN_SPANS, OF(U32)},
    {TW_BATCH_EVENT_SPAN, TW_DOMAIN_EVENTS, OF(U32)},
    {TW_BATCH_SPAN_ATTRIBUTE_KEYS, OF_ANY, OF(TEXT)},
    {TW_BATCH_PEER_ADDRESS, TW_DOMAIN_RESOURCES, OF(TEXT)},
    {TW_BATCH_ATTRIBUTE, OF_ANY, VALUES},
    {TW_BATCH_PAIRS_END, OF_ITS_DOMAIN, OF(U32)},
    {TW_BATCH_PAIRS_KEY, OF_ANY, OF(TEXT)},
    {TW_BATCH_PAIRS, OF_ANY, VALUES},
    {TW_BATCH_BUDGET_KEY, OF_ANY, OF(TEXT)},
    {TW_BATCH_BUDGET_LIMIT, OF_ANY, OF(U64)},
    {TW_BATCH_BUDGET_USED, OF_ANY, OF(U64)},
    {TW_BATCH_BUDGET_INDEX, OF_ITS_DOMAIN, OF(U32)},
    {TW_BATCH_TRACE_END_ROW, TW_DOMAIN_TRACES, OF(U32)},
    {TW_BATCH_TRACE, TW_DOMAIN_TRACES, OF(ID16)},
    {TW_BATCH_TRACE_START, TW_DOMAIN_TRACES, OF(U64)},
    {TW_BATCH_TRACE_DURATION, TW_DOMAIN_TRACES, OF(U64)},
    {TW_BATCH_TRACE_SPANS, TW_DOMAIN_TRACES, OF(U32)},
    {TW_BATCH_TRACE_ERRORS, TW_DOMAIN_TRACES, OF(U32)},
    {TW_BATCH_TRACE_SERVICES, TW_DOMAIN_TRACES, OF(U32)},
    {TW_BATCH_TRACE_ROOT_NAME, TW_DOMAIN_TRACES, OF(TEXT)},
    {TW_BATCH_TRACE_ROOT_SERVICE, TW_DOMAIN_TRACES, OF(TEXT)},
    {TW_BATCH_TRACE_STATE_BITS, TW_DOMAIN_TRACES, OF(U8)},
};

static uint32_t width(uint8_t layout) {
  switch (layout) {
    case TW_LAYOUT_U32: return 4;
    case TW_LAYOUT_U64:
    case TW_LAYOUT_ID8: return 8;
    case TW_LAYOUT_ID16: return 16;
    default: return 1;
  }
}

static bool read_texts(struct tw_section *s, uint32_t bytes, tw_error *error) {
  if (bytes < 8) return bad_section(error, s, TW_STR("shorter than its texts"));
  tw_texts t = {.values = word(s->at), .index = {s->at + 8, word(s->at + 4)}};
  uint64_t ends_at = 8 + 4 * (uint64_t)t.index.len, heap_at = ends_at + 4 * ((uint64_t)t.values + 1);
  if (heap_at > bytes) return bad_section(error, s, TW_STR("shorter than its texts"));
  t.len = t.index.len > 0 ? t.index.len : t.values;
  t.ends = (tw_u32s){s->at + ends_at, t.values + 1};
  t.heap = (const char *)s->at + heap_at;
  uint32_t last = 0;
  for (uint32_t i = 0; i <= t.values; i++) {
    uint32_t end = tw_u32_at(t.ends, i);
    if (end < last || (i == 0 && end != 0)) return bad_section(error, s, TW_STR("a text ends before it begins"));
    last = end;
  }
  if (last > bytes - heap_at) return bad_section(error, s, TW_STR("shorter than its texts"));
  for (uint32_t i = 0; i < t.index.len; i++) {
    uint32_t value = tw_u32_at(t.index, i);
    if (value >= t.values && value != TW_NONE) return bad_section(error, s, TW_STR("an index leads nowhere"));
  }
  if (s->layout == TW_LAYOUT_TEXT) {
    bool valid = is_utf8(t.heap, last);
    for (uint32_t i = 0; valid && i < t.values; i++) {
      uint32_t end = tw_u32_at(t.ends, i);
      valid = end == last || ((uint8_t)t.heap[end] & 0xc0) != 0x80;
    }
    if (!valid) return bad_section(error, s, TW_STR("a text is not UTF-8"));
  }
  s->texts = t;
  s->len = t.len;
  return true;
}

// Reads a section of a known kind, of so many bytes.
static bool read_section(const tw_batch *b, struct tw_section *s, const struct rule *rule, uint32_t bytes,
                         tw_error *error) {
  if (s->layout > 15 || (rule->layouts >> s->layout & 1) == 0) return bad_section(error, s, TW_STR("another type"));
  if (s->at == NULL) return bad_section(error, s, TW_STR("reaches out of the buffer"));
  uint32_t entries = 0;
  bool counted = entries_of(b, rule->entries == OF_ITS_DOMAIN ? s->domain : rule->entries, &entries);
  if (s->layout == TW_LAYOUT_TEXT || s->layout == TW_LAYOUT_BLOB) {
    if (!read_texts(s, bytes, error)) return false;
  } else {
    s->len = bytes / width(s->layout);
  }
  if (s->len < entries) return bad_section(error, s, TW_STR("too few entries"));
  if (counted) s->len = entries;
  return true;
}

// The section of a kind, argument and layout (0: any), if there is one.
static const struct tw_section *find(const tw_batch *b, uint16_t kind, uint32_t argument, uint8_t layout) {
  for (uint32_t i = 0; i < b->section_count; i++) {
    const struct tw_section *s = &b->sections[i];
    if (s->kind == kind && s->argument == argument && (layout == 0 || s->layout == layout)) return s;
  }
  return NULL;
}

static tw_column column_of(const tw_batch *b, uint16_t kind, uint32_t place, uint32_t entries) {
  const struct tw_section *tags = find(b, kind, place, TW_LAYOUT_U8), *words = find(b, kind, place, TW_LAYOUT_U64);
  const struct tw_section *texts = find(b, kind, place, TW_LAYOUT_TEXT), *blobs = find(b, kind, place, TW_LAYOUT_BLOB);
  tw_column column = {0};
  if (tags != NULL) column.tags = (tw_u8s){tags->at, entries < tags->len ? entries : tags->len};
  if (words != NULL) column.words = (tw_u64s){words->at, words->len};
  if (texts != NULL) column.texts = texts->texts;
  if (blobs != NULL) column.blobs = blobs->texts;
  return column;
}

// Refuses a column with fewer entries, and a tag whose value is not there.
static bool check_column(const tw_batch *b, const struct tw_section *s, uint16_t kind, uint32_t entries,
                         tw_error *error) {
  tw_column column = column_of(b, kind, s->argument, entries);
  bool encoded = find(b, kind, s->argument, TW_LAYOUT_BLOB) != NULL;
  const uint8_t layouts[] = {TW_LAYOUT_U8, TW_LAYOUT_U64, TW_LAYOUT_TEXT, TW_LAYOUT_BLOB};
  const struct tw_section *first = find(b, kind, s->argument, 0);
  for (uint32_t i = 0; i < sizeof layouts; i++) {
    const struct tw_section *part = find(b, kind, s->argument, layouts[i]);
    if (part != NULL && part->domain != first->domain) return bad_section(error, part, TW_STR("another domain"));
  }
  if (column.tags.len < entries) return bad_section(error, s, TW_STR("too few entries"));
  for (uint32_t i = 0; i < entries; i++) {
    bool there = true;
    switch (column.tags.at[i]) {
      case TW_TAG_ABSENT:
      case TW_TAG_EMPTY: break;
      case TW_TAG_STRING: there = tw_text_index(column.texts, i) != TW_NONE; break;
      case TW_TAG_INT:
      case TW_TAG_DOUBLE:
      case TW_TAG_BOOL: there = i < column.words.len; break;
      case TW_TAG_BYTES:
      case TW_TAG_ARRAY:
      case TW_TAG_MAP: there = !encoded || tw_text_index(column.blobs, i) != TW_NONE; break;
      default: return bad_section(error, s, TW_STR("a tag that there is not"));
    }
    if (!there) return bad_section(error, s, TW_STR("no value where a tag says that there is one"));
  }
  return true;
}

static bool check_attribute(tw_batch *b, const struct tw_section *s, tw_error *error) {
  // Once for each column, and whichever of its sections is first: its domain is that of all.
  if (find(b, s->kind, s->argument, 0) != s) return true;
  uint32_t entries;
  if (!entries_of(b, s->domain, &entries)) {
    const struct tw_section *tags = find(b, s->kind, s->argument, TW_LAYOUT_U8);
    entries = tags == NULL ? 0 : tags->len;
  }
  if (s->domain == TW_DOMAIN_LINKS && entries > b->links) b->links = entries;
  return check_column(b, s, TW_BATCH_ATTRIBUTE, entries, error);
}

static bool check_pairs(tw_batch *b, const struct tw_section *s, tw_error *error) {
  tw_u32s ends = {s->at, s->len};
  uint32_t last = 0;
  for (uint32_t owner = 0; owner < ends.len; owner++) {
    uint32_t end = tw_u32_at(ends, owner);
    if (end < last) return bad_section(error, s, TW_STR("pairs end before they begin"));
    last = end;
  }
  const struct tw_section *keys = find(b, TW_BATCH_PAIRS_KEY, s->argument, TW_LAYOUT_TEXT);
  if ((keys == NULL ? 0 : keys->len) < last) return bad_section(error, s, TW_STR("too few keys"));
  for (uint32_t pair = 0; pair < last; pair++) {
    if (tw_text_index(keys->texts, pair) == TW_NONE) return bad_section(error, s, TW_STR("a pair has no key"));
  }
  if (s->domain == TW_DOMAIN_LINKS && ends.len > b->links) b->links = ends.len;
  return check_column(b, s, TW_BATCH_PAIRS, last, error);
}

// Refuses an index of something that is not there; TW_NONE may be one of nothing.
static bool check_below(const struct tw_section *s, uint32_t count, bool or_none, tw_error *error) {
  for (uint32_t i = 0; i < s->len; i++) {
    uint32_t at = tw_u32_at((tw_u32s){s->at, s->len}, i);
    if (at >= count && !(or_none && at == TW_NONE)) return bad_section(error, s, TW_STR("an index leads nowhere"));
  }
  return true;
}

static bool check_ends(const tw_batch *b, const struct tw_section *s, tw_error *error) {
  uint32_t last = 0;
  for (uint32_t i = 0; i < s->len; i++) {
    uint32_t end = tw_u32_at((tw_u32s){s->at, s->len}, i);
    if (end < last || end > b->rows)
      return bad_section(error, s, TW_STR("a trace ends before it begins, or past the last row"));
    last = end;
  }
  return true;
}

static bool check_budget(const tw_batch *b, const struct tw_section *s, tw_error *error) {
  const struct tw_section *keys = find(b, TW_BATCH_BUDGET_KEY, s->argument, 0);
  const struct tw_section *limits = find(b, TW_BATCH_BUDGET_LIMIT, s->argument, 0);
  const struct tw_section *used = find(b, TW_BATCH_BUDGET_USED, s->argument, 0);
  if (keys == NULL || limits == NULL || used == NULL || limits->len < keys->len || used->len < keys->len) {
    return bad_section(error, s, TW_STR("a budget that is not whole"));
  }
  return check_below(s, keys->len, true, error);
}

// Holds sections against each other.
static bool check_section(tw_batch *b, const struct tw_section *s, tw_error *error) {
  switch (s->kind) {
    case TW_BATCH_ATTRIBUTE: return check_attribute(b, s, error);
    case TW_BATCH_PAIRS_END: return check_pairs(b, s, error);
    case TW_BATCH_RESOURCE_INDEX: return check_below(s, b->resources, false, error);
    case TW_BATCH_SCOPE_INDEX: return check_below(s, b->scopes, false, error);
    case TW_BATCH_EVENT_SPAN: return check_below(s, b->rows, false, error);
    case TW_BATCH_TRACE_END_ROW: return check_ends(b, s, error);
    case TW_BATCH_BUDGET_INDEX: return check_budget(b, s, error);
    default: return true;
  }
}

bool tw_batch_read(tw_batch *b, const void *buffer, size_t len, tw_error *error) {
  const uint8_t *at = buffer;
  if (len < TW_HEADER_BYTES) return bad(error, TW_STR("the buffer is shorter than a header"));
  if (word(at) != TW_BATCH_MAGIC) return bad(error, TW_STR("the buffer has another magic"));
  if ((word(at + 4) & 0xffff) != TW_VERSION) return bad(error, TW_STR("the buffer has another version"));
  *b = (tw_batch){
      .rows = word(at + 8),
      .resources = word(at + 12),
      .scopes = word(at + 16),
      .events = word(at + 20),
      .traces = word(at + 24),
  };
  uint32_t count = word(at + 28);
  if (count > (len - TW_HEADER_BYTES) / TW_ENTRY_BYTES)
    return bad(error, TW_STR("the table of sections reaches out of the buffer"));
  b->sections = tw_alloc(count * sizeof *b->sections);
  for (const uint8_t *row = at + TW_HEADER_BYTES; count > 0; count--, row += TW_ENTRY_BYTES) {
    uint16_t kind = (uint16_t)(row[0] | row[1] << 8);
    const struct rule *rule = NULL;
    for (size_t i = 0; i < sizeof rules / sizeof *rules && rule == NULL; i++) {
      if (rules[i].kind == kind) rule = &rules[i];
    }
    if (rule == NULL) continue;
    struct tw_section *s = &b->sections[b->section_count];
    *s = (struct tw_section){.kind = kind, .layout = row[2], .domain = row[3], .argument = word(row + 4)};
    uint32_t offset = word(row + 8), bytes = word(row + 12);
    if ((uint64_t)offset + bytes <= len) s->at = at + offset;
    if (!read_section(b, s, rule, bytes, error)) return false;
    b->section_count++;
  }
  for (uint32_t i = 0; i < b->section_count; i++) {
    if (!check_section(b, &b->sections[i], error)) return false;
  }
  return true;
}

static const uint8_t domains[] = {TW_DOMAIN_SPANS, TW_DOMAIN_RESOURCES, TW_DOMAIN_SCOPES, TW_DOMAIN_EVENTS,
                                  TW_DOMAIN_LINKS};

// What is decided on: traces, if there is a table of them.
static uint8_t decided(const tw_batch *b) {
  return find(b, TW_BATCH_TRACE, 0, 0) == NULL ? TW_DOMAIN_SPANS : TW_DOMAIN_TRACES;
}

static bool has_field(const tw_batch *b, const tw_field *field, uint32_t place) {
  if (field->what == TW_FIELD_INTRINSIC) return find(b, field->intrinsic, 0, 0) != NULL;
  uint16_t kind = field->what == TW_FIELD_ATTRIBUTE ? TW_BATCH_ATTRIBUTE : TW_BATCH_PAIRS_END;
  const struct tw_section *s = find(b, kind, place, 0);
  return s != NULL && s->domain == domains[field->owner];
}

static bool require_budgets(const tw_batch *b, const tw_projection *p, tw_error *error) {
  for (uint32_t place = 0; place < p->budget_count; place++) {
    const struct tw_section *index = find(b, TW_BATCH_BUDGET_INDEX, place, 0);
    if (index == NULL || index->domain != decided(b)) {
      return bad(error, tw_join((tw_str[]){TW_STR("the batch lacks budget "), tw_decimal(place), {NULL, 0}}));
    }
  }
  return true;
}

bool tw_batch_require(const tw_batch *b, const tw_projection *p, tw_error *error) {
  for (uint32_t place = 0; place < p->read_count; place++) {
    if (!has_field(b, &p->reads[place], place)) {
      return bad(error,
                 tw_join((tw_str[]){TW_STR("the batch lacks what is to be read at "), tw_decimal(place), {NULL, 0}}));
    }
  }
  return require_budgets(b, p, error);
}

static tw_u8s section_of(const tw_batch *b, uint16_t kind, uint32_t argument) {
  const struct tw_section *s = find(b, kind, argument, 0);
  return s == NULL ? (tw_u8s){0} : (tw_u8s){s->at, s->len};
}

static tw_texts texts_of(const tw_batch *b, uint16_t kind, uint32_t argument) {
  const struct tw_section *s = find(b, kind, argument, 0);
  return s == NULL ? (tw_texts){0} : s->texts;
}

tw_id16s tw_trace_ids(const tw_batch *b) { return section_of(b, TW_BATCH_TRACE_ID, 0); }
tw_id8s tw_span_ids(const tw_batch *b) { return section_of(b, TW_BATCH_SPAN_ID, 0); }
tw_id8s tw_parent_span_ids(const tw_batch *b) { return section_of(b, TW_BATCH_PARENT_SPAN_ID, 0); }
tw_texts tw_trace_states(const tw_batch *b) { return texts_of(b, TW_BATCH_TRACE_STATE, 0); }
tw_u32s tw_trace_flags(const tw_batch *b) { return section_of(b, TW_BATCH_TRACE_FLAGS, 0); }
tw_texts tw_names(const tw_batch *b) { return texts_of(b, TW_BATCH_NAME, 0); }
tw_u8s tw_kinds(const tw_batch *b) { return section_of(b, TW_BATCH_KIND, 0); }
tw_u64s tw_start_times(const tw_batch *b) { return section_of(b, TW_BATCH_START_TIME, 0); }
tw_u64s tw_durations(const tw_batch *b) { return section_of(b, TW_BATCH_DURATION, 0); }
tw_u8s tw_status_codes(const tw_batch *b) { return section_of(b, TW_BATCH_STATUS_CODE, 0); }
tw_texts tw_status_messages(const tw_batch *b) { return texts_of(b, TW_BATCH_STATUS_MESSAGE, 0); }
tw_texts tw_scope_names(const tw_batch *b) { return texts_of(b, TW_BATCH_SCOPE_NAME, 0); }
tw_texts tw_scope_versions(const tw_batch *b) { return texts_of(b, TW_BATCH_SCOPE_VERSION, 0); }
tw_texts tw_event_names(const tw_batch *b) { return texts_of(b, TW_BATCH_EVENT_NAME, 0); }
tw_u64s tw_event_times(const tw_batch *b) { return section_of(b, TW_BATCH_EVENT_TIME, 0); }
tw_u32s tw_event_counts(const tw_batch *b) { return section_of(b, TW_BATCH_EVENT_COUNT, 0); }
tw_u32s tw_link_counts(const tw_batch *b) { return section_of(b, TW_BATCH_LINK_COUNT, 0); }
tw_u32s tw_resource_indices(const tw_batch *b) { return section_of(b, TW_BATCH_RESOURCE_INDEX, 0); }
tw_u32s tw_scope_indices(const tw_batch *b) { return section_of(b, TW_BATCH_SCOPE_INDEX, 0); }
tw_u32s tw_event_spans(const tw_batch *b) { return section_of(b, TW_BATCH_EVENT_SPAN, 0); }
tw_texts tw_span_attribute_keys(const tw_batch *b) { return texts_of(b, TW_BATCH_SPAN_ATTRIBUTE_KEYS, 0); }
tw_texts tw_peer_addresses(const tw_batch *b) { return texts_of(b, TW_BATCH_PEER_ADDRESS, 0); }

static const uint8_t zeros[16];

const uint8_t *tw_id8_at(tw_id8s ids, uint32_t i) { return i < ids.len ? ids.at + (size_t)i * 8 : zeros; }
const uint8_t *tw_id16_at(tw_id16s ids, uint32_t i) { return i < ids.len ? ids.at + (size_t)i * 16 : zeros; }

tw_value tw_value_at(tw_column column, uint32_t i) {
  tw_value value = {.tag = tw_u8_at(column.tags, i)};
  uint64_t bits = tw_u64_at(column.words, i);
  switch (value.tag) {
    case TW_TAG_STRING: value.text = tw_text_at(column.texts, i); break;
    case TW_TAG_DOUBLE: __builtin_memcpy(&value.real, &bits, 8); break;
    case TW_TAG_INT:
    case TW_TAG_BOOL: value.number = (int64_t)bits; break;
    default: value.text = tw_text_at(column.blobs, i);
  }
  return value;
}

tw_column tw_column_at(const tw_batch *b, uint32_t read) {
  const struct tw_section *s = find(b, TW_BATCH_ATTRIBUTE, read, 0);
  uint32_t entries;
  if (s == NULL || !entries_of(b, s->domain, &entries)) entries = UINT32_MAX;
  return column_of(b, TW_BATCH_ATTRIBUTE, read, entries);
}

tw_pairs tw_pairs_at(const tw_batch *b, uint32_t read) {
  tw_pairs pairs = {.place = read, .ends = section_of(b, TW_BATCH_PAIRS_END, read)};
  pairs.len = pairs.ends.len == 0 ? 0 : tw_u32_at(pairs.ends, pairs.ends.len - 1);
  pairs.keys = texts_of(b, TW_BATCH_PAIRS_KEY, read);
  pairs.values = column_of(b, TW_BATCH_PAIRS, read, pairs.len);
  return pairs;
}

static tw_range range_of(tw_u32s ends, uint32_t i) {
  return (tw_range){i == 0 ? 0 : tw_u32_at(ends, i - 1), tw_u32_at(ends, i)};
}

tw_range tw_pairs_of(tw_pairs pairs, uint32_t owner) { return range_of(pairs.ends, owner); }

tw_range tw_trace_rows(tw_traces traces, uint32_t trace) { return range_of(traces.ends, trace); }

tw_budget tw_budget_at(const tw_batch *b, uint32_t budget) {
  return (tw_budget){
      .keys = texts_of(b, TW_BATCH_BUDGET_KEY, budget),
      .limits = section_of(b, TW_BATCH_BUDGET_LIMIT, budget),
      .used = section_of(b, TW_BATCH_BUDGET_USED, budget),
      .index = section_of(b, TW_BATCH_BUDGET_INDEX, budget),
  };
}

tw_traces tw_trace_table(const tw_batch *b) {
  return (tw_traces){
      .len = b->traces,
      .ends = section_of(b, TW_BATCH_TRACE_END_ROW, 0),
      .ids = section_of(b, TW_BATCH_TRACE, 0),
      .starts = section_of(b, TW_BATCH_TRACE_START, 0),
      .durations = section_of(b, TW_BATCH_TRACE_DURATION, 0),
      .spans = section_of(b, TW_BATCH_TRACE_SPANS, 0),
      .errors = section_of(b, TW_BATCH_TRACE_ERRORS, 0),
      .services = section_of(b, TW_BATCH_TRACE_SERVICES, 0),
      .root_names = texts_of(b, TW_BATCH_TRACE_ROOT_NAME, 0),
      .root_services = texts_of(b, TW_BATCH_TRACE_ROOT_SERVICE, 0),
      .states = section_of(b, TW_BATCH_TRACE_STATE_BITS, 0),
  };
}

// An id as two words, which are compared without a call.
struct id {
  uint64_t high, low;
};

static struct id id_at(tw_id16s ids, uint32_t row) {
  struct id id;
  __builtin_memcpy(&id, ids.at + (size_t)row * 16, 16);
  return id;
}

static bool same_id(struct id a, struct id b) { return a.high == b.high && a.low == b.low; }

tw_groups tw_trace_groups(const tw_batch *b) {
  tw_id16s ids = tw_trace_ids(b);
  uint32_t *of = tw_alloc(ids.len * sizeof *of), count = 0, place_count = 16;
  while (place_count < 2 * ids.len) place_count *= 2;
  // Each place has the first row of a trace, plus 1; at most half are taken.
  uint32_t *places = tw_alloc(place_count * sizeof *places);
  for (uint32_t row = 0; row < ids.len; row++) {
    struct id id = id_at(ids, row);
    // Spans of a trace often stand together.
    if (row > 0 && same_id(id, id_at(ids, row - 1))) {
      of[row] = of[row - 1];
      continue;
    }
    uint64_t hash = (id.high * ODD ^ id.low) * ODD;
    uint32_t at = (uint32_t)(hash ^ hash >> 32) & (place_count - 1);
    while (places[at] != 0 && !same_id(id, id_at(ids, places[at] - 1))) at = (at + 1) & (place_count - 1);
    if (places[at] == 0) {
      places[at] = row + 1;
      of[row] = count++;
    } else {
      of[row] = of[places[at] - 1];
    }
  }
  return (tw_groups){of, count};
}
