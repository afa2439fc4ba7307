// A processor: masks what follows `token=` in `url.full`, and removes `http.request.header.*`.
#include "../traceweir_plugin.h"
#include "../tw_json.h"

#define HEADERS TW_STR("http.request.header.")
#define NAME "token="
#define NAME_LEN (sizeof NAME - 1)
#define MASK "***"
#define MASK_LEN (sizeof MASK - 1)

static uint32_t url_read, url_write;

void tw_describe(tw_info *info) {
  info->name = TW_STR("scrub");
  info->version = TW_STR("0.1.0");
  info->description = TW_STR("masks tokens in URLs and removes headers");
  info->stateless = true;
}

bool tw_configure(tw_str config, tw_projection *projection, tw_config_error *error) {
  tw_json json;
  tw_str key;
  tw_json_begin(&json, config, error);
  tw_json_object(&json);
  while (tw_json_key(&json, &key)) tw_json_unknown(&json);
  url_read = tw_read(projection, tw_attribute(TW_SPAN, TW_STR("url.full")));
  url_write = tw_write(projection, tw_attribute(TW_SPAN, TW_STR("url.full")));
  tw_write(projection, tw_attributes(TW_SPAN, HEADERS));
  return tw_json_end(&json);
}

// Where the next name of a token ends; 0 where there is none. Looks at the last byte of where it could be first, which
// says how far it is to where it could be next (Horspool).
static size_t after_name(tw_str text, size_t from) {
  for (size_t end = from + NAME_LEN; end <= text.len;) {
    switch (text.at[end - 1]) {
      case '=':
        if (__builtin_memcmp(text.at + end - NAME_LEN, NAME, NAME_LEN) == 0) return end;
        end += NAME_LEN;
        break;
      case 'n': end += 1; break;
      case 'e': end += 2; break;
      case 'k': end += 3; break;
      case 'o': end += 4; break;
      case 't': end += 5; break;
      default: end += NAME_LEN;
    }
  }
  return 0;
}

static bool ends_token(char c) { return c == '&' || c == '#' || c == ' '; }

static char *append(char *to, const char *at, size_t len) {
  __builtin_memcpy(to, at, len);
  return to + len;
}

// The text with a mask in the place of each token, put where `*room` is, which moves on. The `at` of a text that stays
// as it is is NULL.
static tw_str masked(tw_str text, char **room) {
  char *to = *room;
  size_t from = 0, end;
  while ((end = after_name(text, from)) != 0) {
    to = append(to, text.at + from, end - from);
    to = append(to, MASK, MASK_LEN);
    for (from = end; from < text.len && !ends_token(text.at[from]);) from++;
  }
  if (to == *room) return (tw_str){NULL, 0};
  to = append(to, text.at + from, text.len - from);
  tw_str made = {*room, (size_t)(to - *room)};
  // What is masked already.
  if (tw_equal(made, text)) return (tw_str){NULL, 0};
  *room = to;
  return made;
}

// Once for each of the texts, as many rows may have the same.
static tw_str *all_masked(tw_texts texts) {
  tw_str *all = tw_alloc(texts.values * sizeof *all);
  // No text grows by more than a mask for each name.
  size_t bytes = tw_u32_at(texts.ends, texts.values);
  char *room = tw_alloc(bytes + bytes / NAME_LEN * MASK_LEN);
  for (uint32_t value = 0; value < texts.values; value++) all[value] = masked(tw_text_value(texts, value), &room);
  return all;
}

tw_answer *tw_process(const tw_batch *batch, tw_error *error) {
  tw_answer *answer = tw_edits(batch);
  tw_delete_starting(answer, TW_SPAN, HEADERS);
  tw_column urls = tw_column_at(batch, url_read);
  tw_str *all = all_masked(urls.texts);
  tw_values *values = tw_set(answer, url_write, TW_SPAN);
  for (uint32_t row = 0; row < batch->rows; row++) {
    if (tw_u8_at(urls.tags, row) != TW_TAG_STRING) continue;
    tw_str url = all[tw_text_index(urls.texts, row)];
    if (url.at != NULL) tw_put_string(values, row, url);
  }
  return answer;
}
