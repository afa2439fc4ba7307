// What a plugin answers, written in the one way that docs/reference/plugin-buffer.md describes, so that the same plugin
// gives the same bytes in every language.
#include "../traceweir_plugin.h"

// Texts or bytes, and which of them each entry has.
struct entries {
  tw_numbering values;
  // The number of the value, plus 1; 0: none.
  uint32_t *index;
  uint32_t len, capacity;
  // Of a column: how many have been given a value, as long as they come in their order, and the first that may come.
  uint32_t given, next;
  // Not in their order; nearly all different, and not looked for any more.
  bool loose, each;
};

// So many entries tell whether a column is a dictionary: with more different values it is none ("One way to write").
#define SAMPLE 128
#define DIFFERENT (SAMPLE / 8 * 7)

// How many texts are looked through before their bytes are: rows often have one of few, from the same place.
#define FEW 8

static uint32_t number_of(struct entries *e, tw_str text) {
  for (uint32_t i = 0; i < e->values.count && i < FEW; i++) {
    if (e->values.texts[i].at == text.at && e->values.texts[i].len == text.len) return i + 1;
  }
  return tw_number(&e->values, text) + 1;
}

static void put_value(struct entries *e, uint32_t i, uint32_t value) {
  if (i >= e->len) {
    e->index = grown(e->index, &e->capacity, i + 1, sizeof *e->index);
    e->len = i + 1;
  }
  e->index[i] = value;
}

static void put_entry(struct entries *e, uint32_t i, tw_str text) { put_value(e, i, number_of(e, text)); }

// Entries come in any order from now on.
static void loosen(struct entries *e) {
  if (e->each) {
    tw_numbering old = e->values;
    e->values = (tw_numbering){0};
    e->each = false;
    for (uint32_t i = 0; i < e->len; i++) {
      if (e->index[i] != 0) e->index[i] = number_of(e, old.texts[e->index[i] - 1]);
    }
  }
  e->loose = true;
}

// Of a column.
static void put_text(struct entries *e, uint32_t i, tw_str text) {
  if (i < e->next) loosen(e);
  if (e->each) {
    tw_numbering *values = &e->values;
    values->texts = grown(values->texts, &values->capacity, values->count + 1, sizeof *values->texts);
    values->texts[values->count++] = text;
    put_value(e, i, values->count);
  } else {
    put_entry(e, i, text);
  }
  e->next = i + 1;
  if (++e->given == SAMPLE && !e->loose) e->each = e->values.count > DIFFERENT;
}

static void clear_entry(struct entries *e, uint32_t i) {
  if (i >= e->len || e->index[i] == 0) return;
  loosen(e);
  e->index[i] = 0;
}

static bool has_entries(const struct entries *e) {
  for (uint32_t i = 0; i < e->len; i++) {
    if (e->index[i] != 0) return true;
  }
  return false;
}

struct tw_values {
  uint8_t *tags;
  // As long as the last entry that has one.
  uint64_t *words;
  uint32_t len, tag_capacity, word_capacity;
  struct entries texts, blobs;
};

// Part of an answer, by its argument and, for sets, its domain: a list of texts, a column, attributes to add.
struct part {
  uint32_t argument;
  uint8_t domain;
  struct entries texts;
  struct tw_values values;
  uint32_t *owners;
  uint32_t owner_capacity;
};

// Parts in the order of argument and domain.
struct parts {
  struct part **all;
  uint32_t count, capacity;
};

struct counted {
  uint32_t id;
  uint64_t by;
};

struct tw_answer {
  uint32_t rows, resources, scopes, events, traces, links;
  // The domain of verdicts and reasons, and its entries.
  uint8_t of;
  uint32_t decided;
  // NULL until something is dropped, or decided, or has a probability.
  uint64_t *keep;
  uint8_t *verdicts;
  double *probabilities;
  struct entries reasons;
  struct parts renames, deletes, starts, pairs, sets, adds;
  struct counted *counts;
  uint32_t count_count, count_capacity;
};

static struct part *part_of(struct parts *parts, uint32_t argument, uint8_t domain) {
  uint32_t at = 0;
  for (; at < parts->count; at++) {
    struct part *part = parts->all[at];
    if (part->argument == argument && part->domain == domain) return part;
    if (part->argument > argument || (part->argument == argument && part->domain > domain)) break;
  }
  parts->all = grown(parts->all, &parts->capacity, parts->count + 1, sizeof *parts->all);
  for (uint32_t i = parts->count++; i > at; i--) parts->all[i] = parts->all[i - 1];
  struct part *part = tw_alloc(sizeof *part);
  part->argument = argument;
  part->domain = domain;
  return parts->all[at] = part;
}

tw_answer *tw_edits(const tw_batch *b) {
  tw_answer *a = tw_alloc(sizeof *a);
  a->rows = b->rows;
  a->resources = b->resources;
  a->scopes = b->scopes;
  a->events = b->events;
  a->traces = b->traces;
  a->links = b->links;
  a->of = TW_DOMAIN_SPANS;
  a->decided = b->rows;
  return a;
}

tw_answer *tw_decisions(const tw_batch *b) {
  tw_answer *a = tw_edits(b);
  a->of = decided(b);
  if (a->of == TW_DOMAIN_TRACES) a->decided = b->traces;
  a->verdicts = tw_alloc(a->decided);
  __builtin_memset(a->verdicts, TW_VERDICT_KEEP, a->decided);
  return a;
}

static void put_reason(tw_answer *a, uint32_t i, tw_str reason) {
  if (reason.len == 0) return;
  if (a->reasons.len == 0) {
    a->reasons.index = tw_alloc(a->decided * sizeof *a->reasons.index);
    a->reasons.len = a->reasons.capacity = a->decided;
  }
  put_entry(&a->reasons, i, reason);
}

void tw_drop(tw_answer *a, uint32_t row, tw_str reason) {
  if (row >= a->rows) return;
  if (a->keep == NULL) {
    uint32_t words = (a->rows + 63) / 64;
    a->keep = take(words * sizeof *a->keep);
    __builtin_memset(a->keep, 0xff, words * sizeof *a->keep);
    if (a->rows % 64 != 0) a->keep[words - 1] = ((uint64_t)1 << a->rows % 64) - 1;
  }
  a->keep[row / 64] &= ~((uint64_t)1 << row % 64);
  put_reason(a, row, reason);
}

void tw_verdict(tw_answer *a, uint32_t i, uint8_t verdict, double probability, tw_str reason) {
  if (i >= a->decided || a->verdicts == NULL) return;
  a->verdicts[i] = verdict;
  if (verdict == TW_VERDICT_PROBABILITY && a->probabilities == NULL) {
    a->probabilities = tw_alloc(a->decided * sizeof *a->probabilities);
  }
  if (a->probabilities != NULL) a->probabilities[i] = verdict == TW_VERDICT_PROBABILITY ? probability : 0;
  put_reason(a, i, reason);
}

void tw_rename(tw_answer *a, tw_owner owner, tw_str from, tw_str to, bool replace) {
  struct entries *list = &part_of(&a->renames, (uint32_t)owner | (replace ? TW_REPLACE : 0), TW_DOMAIN_NONE)->texts;
  put_entry(list, list->len, from);
  put_entry(list, list->len, to);
}

void tw_delete_key(tw_answer *a, tw_owner owner, tw_str key) {
  struct entries *list = &part_of(&a->deletes, (uint32_t)owner, TW_DOMAIN_NONE)->texts;
  put_entry(list, list->len, key);
}

void tw_delete_starting(tw_answer *a, tw_owner owner, tw_str start) {
  struct entries *list = &part_of(&a->starts, (uint32_t)owner, TW_DOMAIN_NONE)->texts;
  put_entry(list, list->len, start);
}

static tw_values *sized(tw_values *v, uint32_t len) {
  v->tags = grown(v->tags, &v->tag_capacity, len, 1);
  v->len = len;
  return v;
}

tw_values *tw_set_pairs(tw_answer *a, tw_pairs pairs) {
  return sized(&part_of(&a->pairs, pairs.place, TW_DOMAIN_PAIRS)->values, pairs.len);
}

tw_values *tw_set(tw_answer *a, uint32_t write, tw_owner per) {
  uint32_t entries[] = {a->rows, a->resources, a->scopes, a->events, a->links};
  return sized(&part_of(&a->sets, write, domains[per])->values, entries[per]);
}

void tw_add(tw_answer *a, uint32_t write, uint32_t owner, tw_str key, tw_value value) {
  struct part *part = part_of(&a->adds, write, TW_DOMAIN_NONE);
  uint32_t i = part->texts.len;
  put_entry(&part->texts, i, key);
  part->owners = grown(part->owners, &part->owner_capacity, i + 1, sizeof *part->owners);
  part->owners[i] = owner;
  tw_put(sized(&part->values, i + 1), i, value);
}

void tw_count(tw_answer *a, uint32_t counter, uint64_t by) {
  for (uint32_t i = 0; i < a->count_count; i++) {
    struct counted *there = &a->counts[i];
    if (there->id != counter) continue;
    there->by += by > UINT64_MAX - there->by ? UINT64_MAX - there->by : by;
    return;
  }
  a->counts = grown(a->counts, &a->count_capacity, a->count_count + 1, sizeof *a->counts);
  a->counts[a->count_count++] = (struct counted){counter, by};
}

// Sets the type, and forgets the value from before.
static bool put_tag(tw_values *v, uint32_t i, uint8_t tag) {
  if (i >= v->len) return false;
  if (v->tags[i] != TW_TAG_ABSENT) {
    clear_entry(&v->texts, i);
    clear_entry(&v->blobs, i);
    if (i < v->word_capacity) v->words[i] = 0;
  }
  v->tags[i] = tag;
  return true;
}

static void put_word(tw_values *v, uint32_t i, uint64_t word) {
  v->words = grown(v->words, &v->word_capacity, i + 1, sizeof *v->words);
  v->words[i] = word;
}

void tw_put(tw_values *v, uint32_t i, tw_value value) {
  if (!put_tag(v, i, value.tag)) return;
  uint64_t bits;
  switch (value.tag) {
    case TW_TAG_STRING: put_text(&v->texts, i, value.text); break;
    case TW_TAG_INT:
    case TW_TAG_BOOL: put_word(v, i, (uint64_t)value.number); break;
    case TW_TAG_DOUBLE:
      __builtin_memcpy(&bits, &value.real, 8);
      put_word(v, i, bits);
      break;
    case TW_TAG_BYTES:
    case TW_TAG_ARRAY:
    case TW_TAG_MAP: put_text(&v->blobs, i, value.text); break;
    default: break;
  }
}

void tw_put_string(tw_values *v, uint32_t i, tw_str text) {
  if (put_tag(v, i, TW_TAG_STRING)) put_text(&v->texts, i, text);
}

void tw_remove(tw_values *v, uint32_t i) { put_tag(v, i, TW_TAG_REMOVE); }

// A buffer that is put together section by section, in the order in which they are to stand.
struct writer {
  struct entry {
    uint16_t kind;
    uint8_t layout, domain;
    uint32_t argument, offset, len;
  } *table;
  uint8_t *body;
  uint32_t count, table_capacity, len, capacity;
};

// Room for so many bytes of the section that was begun last.
static uint8_t *room(struct writer *w, uint32_t bytes) {
  w->body = grown(w->body, &w->capacity, w->len + bytes, 1);
  uint8_t *at = w->body + w->len;
  w->len += bytes;
  if (w->count > 0) w->table[w->count - 1].len += bytes;
  return at;
}

static void write_bytes(struct writer *w, const void *bytes, size_t len) {
  if (len > 0) __builtin_memcpy(room(w, (uint32_t)len), bytes, len);
}

static void write_u32(struct writer *w, uint32_t number) { write_bytes(w, &number, 4); }

static void begin_section(struct writer *w, uint16_t kind, uint8_t layout, uint8_t domain, uint32_t argument) {
  uint32_t gap = -w->len & 7;
  room(w, gap);
  if (w->count > 0) w->table[w->count - 1].len -= gap;
  w->table = grown(w->table, &w->table_capacity, w->count + 1, sizeof *w->table);
  w->table[w->count++] = (struct entry){kind, layout, domain, argument, w->len, 0};
}

// Writes a section of so many entries: a value for each.
static void write_each(struct writer *w, const struct entries *e, uint32_t len) {
  const uint32_t head[] = {len, 0, 0};
  write_bytes(w, head, sizeof head);
  uint32_t end = 0, *ends = take(len * sizeof *ends);
  for (uint32_t i = 0; i < len; i++) {
    uint32_t value = i < e->len ? e->index[i] : 0;
    if (value != 0) end += (uint32_t)e->values.texts[value - 1].len;
    ends[i] = end;
  }
  write_bytes(w, ends, len * sizeof *ends);
  uint8_t *heap = room(w, end);
  for (uint32_t i = 0; i < len; i++) {
    uint32_t value = i < e->len ? e->index[i] : 0;
    if (value == 0) continue;
    tw_str text = e->values.texts[value - 1];
    if (text.len > 0) __builtin_memcpy(heap, text.at, text.len);
    heap += text.len;
  }
}

// Writes a section of so many entries: values in the order in which entries first have them; of a column, where nearly
// all are different, each by itself.
static void write_entries(struct writer *w, const struct entries *e, uint32_t len, bool column) {
  if (e->each) {
    write_each(w, e, len);
    return;
  }
  uint32_t given = 0;
  uint32_t *numbers = tw_alloc(e->values.count * sizeof *numbers), count = 0;
  tw_str *order = take(e->values.count * sizeof *order);
  uint32_t *index = take(len * sizeof *index);
  for (uint32_t i = 0; i < len; i++) {
    uint32_t value = i < e->len ? e->index[i] : 0;
    if (value == 0) {
      index[i] = TW_NONE;
      continue;
    }
    if (numbers[value - 1] == 0) {
      order[count++] = e->values.texts[value - 1];
      numbers[value - 1] = count;
    }
    index[i] = numbers[value - 1] - 1;
    if (++given == SAMPLE && column && count > DIFFERENT) {
      write_each(w, e, len);
      return;
    }
  }
  write_u32(w, count);
  write_u32(w, len);
  write_bytes(w, index, len * sizeof *index);
  uint32_t end = 0;
  write_u32(w, end);
  for (uint32_t i = 0; i < count; i++) write_u32(w, end += (uint32_t)order[i].len);
  for (uint32_t i = 0; i < count; i++) write_bytes(w, order[i].at, order[i].len);
}

static void write_values(struct writer *w, const tw_values *v, uint16_t kind, uint8_t domain, uint32_t argument) {
  bool said = false, numeric = false;
  for (uint32_t i = 0; i < v->len; i++) {
    uint8_t tag = v->tags[i];
    said |= tag != TW_TAG_ABSENT;
    numeric |= tag == TW_TAG_INT || tag == TW_TAG_DOUBLE || tag == TW_TAG_BOOL;
  }
  if (!said) return;
  begin_section(w, kind, TW_LAYOUT_U8, domain, argument);
  write_bytes(w, v->tags, v->len);
  if (numeric) {
    begin_section(w, kind, TW_LAYOUT_U64, domain, argument);
    uint32_t there = v->word_capacity < v->len ? v->word_capacity : v->len;
    write_bytes(w, v->words, there * sizeof *v->words);
    __builtin_memset(room(w, (v->len - there) * 8), 0, (v->len - there) * 8);
  }
  if (has_entries(&v->texts)) {
    begin_section(w, kind, TW_LAYOUT_TEXT, domain, argument);
    write_entries(w, &v->texts, v->len, true);
  }
  if (has_entries(&v->blobs)) {
    begin_section(w, kind, TW_LAYOUT_BLOB, domain, argument);
    write_entries(w, &v->blobs, v->len, true);
  }
}

static void write_decisions(struct writer *w, const tw_answer *a) {
  if (a->keep != NULL) {
    begin_section(w, TW_ANSWER_KEEP, TW_LAYOUT_BITMAP, TW_DOMAIN_SPANS, 0);
    write_bytes(w, a->keep, (a->rows + 63) / 64 * sizeof *a->keep);
  }
  if (has_entries(&a->reasons)) {
    begin_section(w, TW_ANSWER_REASON, TW_LAYOUT_TEXT, a->of, 0);
    write_entries(w, &a->reasons, a->decided, false);
  }
  if (a->verdicts == NULL) return;
  begin_section(w, TW_ANSWER_VERDICT, TW_LAYOUT_U8, a->of, 0);
  write_bytes(w, a->verdicts, a->decided);
  bool drawn = false;
  for (uint32_t i = 0; i < a->decided; i++) drawn |= a->verdicts[i] == TW_VERDICT_PROBABILITY;
  if (!drawn) return;
  begin_section(w, TW_ANSWER_PROBABILITY, TW_LAYOUT_F64, a->of, 0);
  write_bytes(w, a->probabilities, a->decided * sizeof *a->probabilities);
}

static void write_lists(struct writer *w, const struct parts *parts, uint16_t kind) {
  for (uint32_t i = 0; i < parts->count; i++) {
    begin_section(w, kind, TW_LAYOUT_TEXT, TW_DOMAIN_NONE, parts->all[i]->argument);
    write_entries(w, &parts->all[i]->texts, parts->all[i]->texts.len, false);
  }
}

static void write_columns(struct writer *w, const struct parts *parts, uint16_t kind) {
  for (uint32_t i = 0; i < parts->count; i++) {
    write_values(w, &parts->all[i]->values, kind, parts->all[i]->domain, parts->all[i]->argument);
  }
}

static void write_counts(struct writer *w, const tw_answer *a) {
  bool begun = false;
  for (uint32_t i = 0; i < a->count_count; i++) {
    if (a->counts[i].by == 0) continue;
    if (!begun) begin_section(w, TW_ANSWER_COUNT, TW_LAYOUT_COUNTS, TW_DOMAIN_NONE, 0);
    begun = true;
    write_u32(w, a->counts[i].id);
    write_u32(w, 0);
    write_bytes(w, &a->counts[i].by, 8);
  }
}

tw_str tw_answer_encode(tw_answer *a) {
  struct writer w = {0};
  write_decisions(&w, a);
  write_lists(&w, &a->renames, TW_ANSWER_RENAME);
  write_lists(&w, &a->deletes, TW_ANSWER_DELETE_KEYS);
  write_columns(&w, &a->pairs, TW_ANSWER_SET_PAIRS);
  write_columns(&w, &a->sets, TW_ANSWER_SET);
  for (uint32_t i = 0; i < a->adds.count; i++) {
    begin_section(&w, TW_ANSWER_ADD_OWNER, TW_LAYOUT_U32, TW_DOMAIN_NONE, a->adds.all[i]->argument);
    write_bytes(&w, a->adds.all[i]->owners, a->adds.all[i]->texts.len * sizeof(uint32_t));
  }
  write_lists(&w, &a->adds, TW_ANSWER_ADD_KEY);
  write_columns(&w, &a->adds, TW_ANSWER_ADD);
  write_counts(&w, a);
  write_lists(&w, &a->starts, TW_ANSWER_DELETE_STARTS);

  uint32_t start = TW_HEADER_BYTES + w.count * TW_ENTRY_BYTES;
  uint32_t header[] = {TW_ANSWER_MAGIC, TW_VERSION, a->rows, a->resources, a->scopes, a->events, a->traces, w.count};
  uint8_t *buffer = take(start + w.len);
  __builtin_memcpy(buffer, header, sizeof header);
  for (uint32_t i = 0; i < w.count; i++) {
    w.table[i].offset += start;
    __builtin_memcpy(buffer + TW_HEADER_BYTES + i * TW_ENTRY_BYTES, &w.table[i], TW_ENTRY_BYTES);
  }
  if (w.len > 0) __builtin_memcpy(buffer + start, w.body, w.len);
  return (tw_str){(const char *)buffer, start + w.len};
}
