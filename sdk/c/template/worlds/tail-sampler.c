// A tail sampler that keeps traces with errors, those that take long, and a share of the rest.
#include "traceweir_plugin.h"
#include "tw_json.h"

// From how many nanoseconds on a trace takes long.
static uint64_t slow_nano;
// The share that is kept of all other traces.
static double ratio;

void tw_describe(tw_info *info) {
  info->name = TW_STR("my-plugin");
  info->version = TW_STR("0.1.0");
  info->description = TW_STR("keeps traces with errors, slow ones, and a share of the rest");
  // Same traces, same decisions: replicas and replays agree.
  info->stateless = true;
}

// Once, before any batch. The table of traces says enough: no column of their spans is read.
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
  return tw_json_end(&json);
}

tw_input_level tw_wanted_level(void) { return TW_SUMMARY; }

// When nothing more is expected of some traces.
tw_answer *tw_decide(const tw_batch *batch, tw_error *error) {
  tw_answer *answer = tw_decisions(batch);
  tw_traces traces = tw_trace_table(batch);
  for (uint32_t trace = 0; trace < traces.len; trace++) {
    if (tw_u32_at(traces.errors, trace) > 0) {
      tw_verdict(answer, trace, TW_VERDICT_KEEP, 0, TW_STR("error"));
    } else if (tw_u64_at(traces.durations, trace) >= slow_nano) {
      tw_verdict(answer, trace, TW_VERDICT_KEEP, 0, TW_STR("slow"));
    } else {
      // The host draws, by the id of the trace.
      tw_verdict(answer, trace, TW_VERDICT_PROBABILITY, ratio, TW_STR("ratio"));
    }
  }
  return answer;
}
