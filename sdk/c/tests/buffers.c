// Reading of a batch in which everything is, and an answer in which everything is: the files are written by the tests
// of the Go SDK, and so both read and write alike.
#include "check.h"

// Reads everything, in the order in which the file has it.
static void read_everything(tw_projection *p) {
  for (uint8_t field = TW_BATCH_TRACE_ID; field <= TW_BATCH_PEER_ADDRESS; field++) tw_read(p, tw_intrinsic(field));
  for (tw_owner owner = TW_SPAN; owner <= TW_LINK; owner++) {
    tw_field one = tw_attribute(owner, TW_STR("a")), all = tw_attributes(owner, TW_STR("a"));
    one.complex = all.complex = true;
    tw_read(p, one);
    tw_read(p, all);
  }
  tw_budget_by(p, (tw_budget_rule){.name = TW_STR("all"), .limit = 10, .window_ms = 1000});
  tw_budget_by(p, (tw_budget_rule){.name = TW_STR("each"),
                                   .limit = 5,
                                   .window_ms = 1000,
                                   .has_per = true,
                                   .per = tw_attribute(TW_RESOURCE, TW_STR("service.name"))});
}

// The places of an attribute and of all attributes of an owner.
static uint32_t one_of(tw_owner owner) { return 22 + 2 * (uint32_t)owner; }
static uint32_t all_of(tw_owner owner) { return one_of(owner) + 1; }

#define CHECK_TEXTS(texts, ...)                                                                   \
  do {                                                                                            \
    const char *wanted[] = {__VA_ARGS__};                                                         \
    CHECK((texts).len == sizeof wanted / sizeof *wanted, "%u texts", (texts).len);                \
    for (uint32_t i = 0; i < (texts).len; i++) {                                                  \
      tw_str got = tw_text_at(texts, i);                                                          \
      CHECK(tw_equal(got, (tw_str){wanted[i], strlen(wanted[i])}), "%.*s", (int)got.len, got.at); \
    }                                                                                             \
  } while (0)

#define CHECK_NUMBERS(at, numbers, ...)                                                             \
  do {                                                                                              \
    const uint64_t wanted[] = {__VA_ARGS__};                                                        \
    CHECK((numbers).len == sizeof wanted / sizeof *wanted, "%u numbers", (numbers).len);            \
    for (uint32_t i = 0; i < (numbers).len; i++) CHECK(at(numbers, i) == wanted[i], "entry %u", i); \
  } while (0)

static void intrinsic_fields_are_columns(const tw_batch *b) {
  CHECK(b->rows == 3 && b->resources == 2 && b->scopes == 1 && b->events == 3 && b->traces == 0, "counts");
  CHECK(b->links == 2, "links");
  tw_id16s ids = tw_trace_ids(b);
  CHECK(ids.len == 3 && tw_id16_at(ids, 1)[0] == 2 && tw_id16_at(ids, 2)[0] == 1 && tw_id16_at(ids, 3)[0] == 0,
        "trace ids");
  CHECK(tw_id8_at(tw_span_ids(b), 2)[0] == 3 && tw_id8_at(tw_parent_span_ids(b), 1)[0] == 9, "span ids");
  CHECK_TEXTS(tw_trace_states(b), "a=b", "", "");
  CHECK_NUMBERS(tw_u32_at, tw_trace_flags(b), 1, 0, 0);
  CHECK_TEXTS(tw_names(b), "GET /", "GET /", "größe");
  CHECK(tw_names(b).values == 2 && tw_text_index(tw_names(b), 1) == 0, "distinct names");
  CHECK_NUMBERS(tw_u8_at, tw_kinds(b), 2, 3, 1);
  CHECK_NUMBERS(tw_u64_at, tw_start_times(b), 1000, 900, 1010);
  CHECK_NUMBERS(tw_u64_at, tw_durations(b), 50, 20, 90);
  CHECK_NUMBERS(tw_u8_at, tw_status_codes(b), 2, 0, 0);
  CHECK_TEXTS(tw_status_messages(b), "no", "", "");
  CHECK_TEXTS(tw_scope_names(b), "lib");
  CHECK_TEXTS(tw_scope_versions(b), "1");
  CHECK_TEXTS(tw_event_names(b), "e0", "e1", "e2");
  CHECK_NUMBERS(tw_u64_at, tw_event_times(b), 1001, 0, 3);
  CHECK_NUMBERS(tw_u32_at, tw_event_counts(b), 1, 0, 2);
  CHECK_NUMBERS(tw_u32_at, tw_link_counts(b), 2, 0, 0);
  CHECK_NUMBERS(tw_u32_at, tw_resource_indices(b), 0, 1, 0);
  CHECK_NUMBERS(tw_u32_at, tw_scope_indices(b), 0, 0, 0);
  CHECK_NUMBERS(tw_u32_at, tw_event_spans(b), 0, 2, 2);
  CHECK_TEXTS(tw_span_attribute_keys(b), "a", "abc", "b");
  CHECK_TEXTS(tw_peer_addresses(b), "10.0.0.1", "");
  tw_groups traces = tw_trace_groups(b);
  CHECK(traces.count == 2 && traces.of[0] == 0 && traces.of[1] == 1 && traces.of[2] == 0, "groups");
}

static void attributes_are_columns_and_pairs(const tw_batch *b) {
  tw_column spans = tw_column_at(b, one_of(TW_SPAN));
  tw_value array = tw_value_at(spans, 0);
  CHECK(array.tag == TW_TAG_ARRAY && array.text.len == 2 && array.text.at[0] == 0x2a, "an array");
  CHECK(tw_value_at(spans, 1).tag == TW_TAG_ABSENT && tw_value_at(spans, 3).tag == TW_TAG_ABSENT, "absent");
  tw_str text;
  CHECK(!tw_string_at(spans, 0, &text) && tw_string_at(spans, 2, &text), "a string");
  CHECK_STR(text, "x");
  CHECK(tw_value_at(tw_column_at(b, one_of(TW_RESOURCE)), 1).number == 5, "an int");
  CHECK(tw_value_at(tw_column_at(b, one_of(TW_SCOPE)), 0).real == 1.5, "a double");
  CHECK(tw_value_at(tw_column_at(b, one_of(TW_EVENT)), 0).number == -1, "of events");
  text = tw_value_at(tw_column_at(b, one_of(TW_LINK)), 1).text;
  CHECK_STR(text, "linked");
  tw_pairs pairs = tw_pairs_at(b, all_of(TW_SPAN));
  CHECK(pairs.len == 3, "pairs");
  CHECK_TEXTS(pairs.keys, "a", "abc", "a");
  tw_range third = tw_pairs_of(pairs, 2);
  CHECK(third.start == 2 && third.end == 3, "of the third span");
  CHECK(tw_value_at(pairs.values, 1).tag == TW_TAG_EMPTY, "empty");
  CHECK(tw_value_at(tw_pairs_at(b, all_of(TW_RESOURCE)).values, 2).number == 1, "a bool");
  tw_budget all = tw_budget_at(b, 0), each = tw_budget_at(b, 1);
  CHECK_NUMBERS(tw_u64_at, all.limits, 10);
  CHECK_NUMBERS(tw_u64_at, all.used, 4);
  CHECK_TEXTS(each.keys, "shop");
  CHECK_NUMBERS(tw_u64_at, each.used, 7);
  CHECK_NUMBERS(tw_u32_at, each.index, 0, TW_NONE, 0);
}

static void everything_is_answered(const tw_batch *b, tw_str wanted) {
  tw_answer *a = tw_edits(b);
  tw_count(a, 5, 1);
  tw_count(a, 2, UINT64_MAX);
  tw_count(a, 2, 1);
  tw_count(a, 5, 2);
  tw_count(a, 7, 0);
  tw_add(a, 3, 1, TW_STR("k"), tw_string(TW_STR("v")));
  tw_add(a, 1, 0, TW_STR("n"), tw_int(-1));
  tw_add(a, 3, 2, TW_STR("k"), tw_bool(true));
  tw_put_string(tw_set(a, 2, TW_RESOURCE), 1, TW_STR("b"));
  tw_put(tw_set(a, 2, TW_SPAN), 2, tw_double(0.5));
  tw_remove(tw_set(a, 0, TW_LINK), 1);
  tw_put(tw_set_pairs(a, tw_pairs_at(b, all_of(TW_SPAN))), 0, tw_encoded(TW_TAG_MAP, TW_STR("m")));
  tw_delete_key(a, TW_RESOURCE, TW_STR("x"));
  tw_delete_starting(a, TW_SPAN, TW_STR("x."));
  tw_delete_key(a, TW_SPAN, TW_STR("y"));
  tw_delete_key(a, TW_SPAN, TW_STR("z"));
  tw_delete_key(a, TW_SPAN, TW_STR("y"));
  tw_rename(a, TW_SPAN, TW_STR("a"), TW_STR("b"), true);
  tw_rename(a, TW_SPAN, TW_STR("b"), TW_STR("c"), false);
  tw_rename(a, TW_SPAN, TW_STR("c"), TW_STR("b"), false);
  tw_drop(a, 2, TW_STR("late"));
  tw_drop(a, 0, TW_STR("early"));
  // What says nothing, and what is on entries that there are not.
  tw_put(tw_set(a, 9, TW_SPAN), 0, (tw_value){0});
  tw_put(tw_set(a, 9, TW_SPAN), 3, tw_int(1));
  tw_drop(a, 3, TW_STR("nobody"));
  tw_verdict(a, 0, TW_VERDICT_DROP, 0, TW_STR("a processor has no verdicts"));
  tw_str got = tw_answer_encode(a);
  CHECK(tw_equal(got, wanted), "%zu bytes, and not %zu", got.len, wanted.len);
}

// The last word on an entry counts.
static void values_may_be_changed(const tw_batch *b) {
  tw_answer *often = tw_edits(b), *once = tw_edits(b);
  tw_values *values = tw_set(often, 0, TW_SPAN);
  tw_put_string(values, 0, TW_STR("gone"));
  tw_put(values, 0, tw_int(7));
  tw_put(values, 1, tw_int(7));
  tw_put_string(values, 1, TW_STR("late"));
  tw_put(values, 2, tw_encoded(TW_TAG_BYTES, TW_STR("gone")));
  tw_remove(values, 2);
  values = tw_set(once, 0, TW_SPAN);
  tw_remove(values, 2);
  tw_put_string(values, 1, TW_STR("late"));
  tw_put(values, 0, tw_int(7));
  CHECK(tw_equal(tw_answer_encode(often), tw_answer_encode(once)), "an answer that was changed");
  tw_answer *decisions = tw_decisions(b), *plain = tw_decisions(b);
  tw_verdict(decisions, 0, TW_VERDICT_PROBABILITY, 0.5, TW_STR("drawn"));
  tw_verdict(decisions, 0, TW_VERDICT_KEEP, 0.5, TW_STR("kept"));
  tw_verdict(plain, 0, TW_VERDICT_KEEP, 0, TW_STR("kept"));
  CHECK(tw_equal(tw_answer_encode(decisions), tw_answer_encode(plain)), "a verdict that was changed");
}

static void texts_are_found(void) {
  tw_numbering numbers = {0};
  tw_map map = {0};
  CHECK(tw_find(&numbers, TW_STR("")) == TW_NONE, "nothing is known");
  for (uint32_t i = 0; i < 3000; i++) {
    tw_str text = tw_join((tw_str[]){TW_STR("value "), tw_decimal(i % 1000), {NULL, 0}});
    CHECK(tw_number(&numbers, text) == i % 1000, "number %u", i);
    tw_map_put(&map, text, tw_decimal(i));
  }
  tw_str value;
  CHECK(tw_find(&numbers, TW_STR("value 999")) == 999 && tw_find(&numbers, TW_STR("value 1000")) == TW_NONE, "find");
  CHECK(tw_map_get(&map, TW_STR("value 7"), &value) && tw_equal(value, TW_STR("2007")), "the last value");
  CHECK(!tw_map_get(&map, TW_STR("value"), &value), "no value");
}

static volatile uint64_t seen;

static void see(tw_str text) {
  for (size_t i = 0; i < text.len; i++) seen += (uint8_t)text.at[i];
}

static void see_texts(tw_texts texts) {
  for (uint32_t i = 0; i < texts.len; i++) see(tw_text_at(texts, i));
}

static void see_column(tw_column column) {
  for (uint32_t i = 0; i < column.tags.len; i++) see(tw_value_at(column, i).text);
}

// Touches every byte that a plugin could.
static void see_all(const tw_batch *b) {
  see_texts(tw_names(b));
  see_texts(tw_event_names(b));
  see_texts(tw_span_attribute_keys(b));
  for (tw_owner owner = TW_SPAN; owner <= TW_LINK; owner++) {
    see_column(tw_column_at(b, one_of(owner)));
    tw_pairs pairs = tw_pairs_at(b, all_of(owner));
    see_texts(pairs.keys);
    see_column(pairs.values);
    for (uint32_t i = 0; i < pairs.ends.len; i++) seen += tw_pairs_of(pairs, i).end;
  }
  for (uint32_t row = 0; row < b->rows; row++) {
    see(tw_text_at(tw_peer_addresses(b), tw_u32_at(tw_resource_indices(b), row)));
    see(tw_text_at(tw_budget_at(b, 1).keys, tw_u32_at(tw_budget_at(b, 1).index, row)));
  }
  tw_trace_groups(b);
}

static void strange_bytes_are_refused_or_read(tw_str good, const tw_projection *projection) {
  static const uint8_t bytes[] = {0, 1, 2, 3, 8, 127, 254, 255};
  int readable = 0;
  for (int i = 0; i < 100000; i++) {
    size_t len = good.len - draw(4) / 3 * draw((uint32_t)good.len);
    uint8_t *data = malloc(len > 0 ? len : 1);
    memcpy(data, good.at, len);
    for (uint32_t edits = 1 + draw(3); edits > 0 && len > 0; edits--)
      data[draw((uint32_t)len)] = bytes[draw(sizeof bytes)];
    tw_batch batch;
    tw_error error;
    if (tw_batch_read(&batch, data, len, &error) && tw_batch_require(&batch, projection, &error)) {
      see_all(&batch);
      readable++;
    }
    free(data);
    tw_release_memory();
  }
  CHECK(readable > 0, "nothing was readable: the test tests nothing");
}

int main(int count, char **arguments) {
  if (count != 2) return 2;
  char name[4096];
  snprintf(name, sizeof name, "%s/everything.batch", arguments[1]);
  tw_str good = read_file(name);
  snprintf(name, sizeof name, "%s/everything.answer", arguments[1]);
  tw_str answer = read_file(name);
  tw_projection projection = {0};
  read_everything(&projection);
  tw_keep_memory();
  // From an address that nothing is aligned to.
  char *shifted = malloc(good.len + 1);
  memcpy(shifted + 1, good.at, good.len);
  tw_batch batch;
  tw_error error;
  bool read = tw_batch_read(&batch, shifted + 1, good.len, &error) && tw_batch_require(&batch, &projection, &error);
  CHECK(read, "%.*s", (int)error.message.len, error.message.at);
  if (read) {
    intrinsic_fields_are_columns(&batch);
    attributes_are_columns_and_pairs(&batch);
    everything_is_answered(&batch, answer);
    values_may_be_changed(&batch);
  }
  texts_are_found();
  tw_release_memory();
  strange_bytes_are_refused_or_read(good, &projection);
  tw_forget_memory();
  free(shifted);
  free((char *)good.at);
  free((char *)answer.at);
  return done("buffers");
}
