// A processor: keeps a share of all traces by their ids, and drops the spans of the others.
#include "../traceweir_plugin.h"
#include "../tw_json.h"

// What the last 56 bits of an id, which are random, are below.
#define ALL ((uint64_t)1 << 56)

// The least of them that is kept.
static uint64_t threshold;

void tw_describe(tw_info *info) {
  info->name = TW_STR("tenth");
  info->version = TW_STR("0.1.0");
  info->description = TW_STR("keeps a share of all traces by their ids");
  info->stateless = true;
}

bool tw_configure(tw_str config, tw_projection *projection, tw_config_error *error) {
  uint64_t one_in = 0;
  tw_json json;
  tw_str key;
  tw_json_begin(&json, config, error);
  tw_json_object(&json);
  while (tw_json_key(&json, &key)) {
    if (tw_equal(key, TW_STR("one_in"))) {
      one_in = tw_json_uint(&json, UINT32_MAX);
      if (one_in == 0) tw_json_wrong(&json, TW_STR("must be 1 or more"));
    } else {
      tw_json_unknown(&json);
    }
  }
  if (one_in == 0) tw_json_missing(&json, TW_STR("one_in"));
  if (!tw_json_end(&json)) return false;
  threshold = ALL - ALL / one_in;
  tw_read(projection, tw_intrinsic(TW_BATCH_TRACE_ID));
  return true;
}

tw_answer *tw_process(const tw_batch *batch, tw_error *error) {
  tw_answer *answer = tw_edits(batch);
  tw_id16s ids = tw_trace_ids(batch);
  for (uint32_t row = 0; row < batch->rows; row++) {
    uint64_t low;
    __builtin_memcpy(&low, tw_id16_at(ids, row) + 8, 8);
    // Ids are big endian.
    if ((__builtin_bswap64(low) & (ALL - 1)) < threshold) tw_drop(answer, row, TW_STR(""));
  }
  return answer;
}
