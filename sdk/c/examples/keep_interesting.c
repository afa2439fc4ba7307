// A head sampler: keeps what failed, what was slow, and a share of the rest. All spans that a batch has of a trace
// share their fate.
#include "../traceweir_plugin.h"
#include "../tw_json.h"

static uint64_t slow_nano;
static double ratio;

void tw_describe(tw_info *info) {
  info->name = TW_STR("keep-interesting");
  info->version = TW_STR("0.1.0");
  info->description = TW_STR("keeps traces with errors, slow ones, and a share of the rest");
  info->config_schema = TW_STR(
      "{\"type\": \"object\", \"properties\": {"
      "\"slow_ms\": {\"type\": \"integer\", \"minimum\": 0, \"maximum\": 4294967295}, "
      "\"ratio\": {\"type\": \"number\", \"minimum\": 0, \"maximum\": 1}}, "
      "\"additionalProperties\": false}");
  info->stateless = true;
}

bool tw_configure(tw_str config, tw_projection *projection, tw_config_error *error) {
  uint64_t slow_ms = 500;
  ratio = 0.1;
  tw_json json;
  tw_str key;
  tw_json_begin(&json, config, error);
  tw_json_object(&json);
  while (tw_json_key(&json, &key)) {
    if (tw_equal(key, TW_STR("slow_ms"))) {
      slow_ms = tw_json_uint(&json, UINT32_MAX);
    } else if (tw_equal(key, TW_STR("ratio"))) {
      ratio = tw_json_double(&json);
      if (!(ratio >= 0 && ratio <= 1)) tw_json_wrong(&json, TW_STR("must be from 0 to 1"));
    } else {
      tw_json_unknown(&json);
    }
  }
  slow_nano = slow_ms * 1000000;
  tw_read(projection, tw_intrinsic(TW_BATCH_TRACE_ID));
  tw_read(projection, tw_intrinsic(TW_BATCH_DURATION));
  tw_read(projection, tw_intrinsic(TW_BATCH_STATUS_CODE));
  return tw_json_end(&json);
}

// Why a trace is kept, from the weakest reason to the strongest.
enum why { RATIO, SLOW, FAILED };

tw_answer *tw_sample(const tw_batch *batch, tw_error *error) {
  tw_groups traces = tw_trace_groups(batch);
  tw_u64s durations = tw_durations(batch);
  tw_u8s statuses = tw_status_codes(batch);
  uint8_t *whys = tw_alloc(traces.count);
  for (uint32_t row = 0; row < batch->rows; row++) {
    enum why why = tw_u8_at(statuses, row) == TW_STATUS_ERROR ? FAILED
                   : tw_u64_at(durations, row) >= slow_nano ? SLOW
                                                            : RATIO;
    if (whys[traces.of[row]] < why) whys[traces.of[row]] = (uint8_t)why;
  }
  tw_answer *answer = tw_decisions(batch);
  for (uint32_t row = 0; row < batch->rows; row++) {
    switch (whys[traces.of[row]]) {
      case FAILED: tw_verdict(answer, row, TW_VERDICT_KEEP, 0, TW_STR("error")); break;
      case SLOW: tw_verdict(answer, row, TW_VERDICT_KEEP, 0, TW_STR("slow")); break;
      default: tw_verdict(answer, row, TW_VERDICT_PROBABILITY, ratio, TW_STR("ratio"));
    }
  }
  return answer;
}
