// A refresher: makes the table teams of the lines that a server says, such as shop=checkout.
#include "traceweir_plugin.h"
#include "tw_json.h"

// What is asked; the definition of the plugin has to allow its host.
static tw_str url;
static uint32_t interval_seconds;

void tw_describe(tw_info *info) {
  info->name = TW_STR("my-plugin");
  info->version = TW_STR("0.1.0");
  info->description = TW_STR("makes a table of what a server says");
  info->stateless = true;
}

// Once. It reads no spans.
bool tw_configure(tw_str config, tw_projection *projection, tw_config_error *error) {
  interval_seconds = 60;
  tw_json json;
  tw_str key;
  tw_json_begin(&json, config, error);
  tw_json_object(&json);
  while (tw_json_key(&json, &key)) {
    if (tw_equal(key, TW_STR("url"))) {
      url = tw_json_string(&json);
    } else if (tw_equal(key, TW_STR("interval_seconds"))) {
      interval_seconds = (uint32_t)tw_json_uint(&json, 604800);
    } else {
      tw_json_unknown(&json);
    }
  }
  return tw_json_end(&json);
}

uint32_t tw_interval_seconds(void) { return interval_seconds; }

// The part of a text before a byte, which goes from it together with that; all of it where there is none.
static tw_str cut(tw_str *text, char at) {
  tw_str part = {text->at, 0};
  while (part.len < text->len && part.at[part.len] != at) part.len++;
  size_t gone = part.len < text->len ? part.len + 1 : part.len;
  *text = (tw_str){text->at + gone, text->len - gone};
  return part;
}

// Now and then; what it makes replaces the tables that it names. Where it fails they stay.
bool tw_refresh(tw_tables *tables, tw_str *reason) {
  static const tw_header accept = {{"accept", 6}, {"text/plain", 10}};
  tw_fetch_request request = {TW_STR("GET"), url, &accept, 1, {"", 0}, 10000};
  tw_fetch_response response;
  if (!tw_fetch(&request, &response, reason)) return false;
  if (response.status != 200) {
    const tw_str words[] = {url, TW_STR(" answers "), tw_decimal(response.status), {NULL, 0}};
    *reason = tw_join(words);
    return false;
  }
  uint32_t lines = 1, count = 0;
  for (size_t i = 0; i < response.body.len; i++) lines += response.body.at[i] == '\n';
  tw_header *entries = tw_alloc(lines * sizeof(tw_header));
  while (response.body.len > 0) {
    tw_str value = cut(&response.body, '\n');
    tw_str name = cut(&value, '=');
    if (name.len > 0 && value.len > 0) entries[count++] = (tw_header){name, value};
  }
  tw_table *table = tw_alloc(sizeof(tw_table));
  *table = (tw_table){TW_STR("teams"), entries, count};
  *tables = (tw_tables){table, 1};
  return true;
}
