// A processor that drops the spans of health checks.
#include "traceweir_plugin.h"
#include "tw_json.h"

// Paths that are asked for by health checks.
static tw_numbering paths;
// Where the batch has the attribute.
static uint32_t path_read;

void tw_describe(tw_info *info) {
  info->name = TW_STR("my-plugin");
  info->version = TW_STR("0.1.0");
  info->description = TW_STR("drops the spans of health checks");
  // Same batch, same answer: the host may run an instance per thread.
  info->stateless = true;
}

// Once, before any batch. It says what is read and written: nothing else is passed.
bool tw_configure(tw_str config, tw_projection *projection, tw_config_error *error) {
  tw_json json;
  tw_str key;
  tw_json_begin(&json, config, error);
  tw_json_object(&json);
  while (tw_json_key(&json, &key)) {
    if (tw_equal(key, TW_STR("paths"))) {
      tw_json_array(&json);
      while (tw_json_item(&json)) tw_number(&paths, tw_json_string(&json));
    } else {
      tw_json_unknown(&json);
    }
  }
  if (paths.count == 0) tw_number(&paths, TW_STR("/healthz"));
  path_read = tw_read(projection, tw_attribute(TW_SPAN, TW_STR("url.path")));
  return tw_json_end(&json);
}

// For each batch.
tw_answer *tw_process(const tw_batch *batch, tw_error *error) {
  tw_answer *answer = tw_edits(batch);
  tw_column column = tw_column_at(batch, path_read);
  tw_str path;
  for (uint32_t row = 0; row < batch->rows; row++) {
    if (tw_string_at(column, row, &path) && tw_find(&paths, path) != TW_NONE) {
      tw_drop(answer, row, TW_STR("health check"));
    }
  }
  return answer;
}
