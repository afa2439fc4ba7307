// A processor: tells each span the team of its resource's namespace.
#include "../traceweir_plugin.h"
#include "../tw_json.h"

static tw_map teams;
static uint32_t namespace_read, team_write;

void tw_describe(tw_info *info) {
  info->name = TW_STR("enrich");
  info->version = TW_STR("0.1.0");
  info->description = TW_STR("tells spans the team of their namespace");
  info->stateless = true;
}

bool tw_configure(tw_str config, tw_projection *projection, tw_config_error *error) {
  bool has_teams = false;
  teams = (tw_map){0};
  tw_json json;
  tw_str key, namespace;
  tw_json_begin(&json, config, error);
  tw_json_object(&json);
  while (tw_json_key(&json, &key)) {
    if (tw_equal(key, TW_STR("teams"))) {
      has_teams = true;
      tw_json_object(&json);
      while (tw_json_key(&json, &namespace)) tw_map_put(&teams, namespace, tw_json_string(&json));
    } else {
      tw_json_unknown(&json);
    }
  }
  if (!has_teams) tw_json_missing(&json, TW_STR("teams"));
  namespace_read = tw_read(projection, tw_attribute(TW_RESOURCE, TW_STR("k8s.namespace.name")));
  team_write = tw_write(projection, tw_attribute(TW_SPAN, TW_STR("team")));
  return tw_json_end(&json);
}

tw_answer *tw_process(const tw_batch *batch, tw_error *error) {
  tw_answer *answer = tw_edits(batch);
  tw_column namespaces = tw_column_at(batch, namespace_read);
  // Each resource says it for all its spans.
  tw_values *values = tw_set(answer, team_write, TW_RESOURCE);
  tw_str namespace, team;
  for (uint32_t resource = 0; resource < batch->resources; resource++) {
    if (tw_string_at(namespaces, resource, &namespace) && tw_map_get(&teams, namespace, &team)) {
      tw_put_string(values, resource, team);
    }
  }
  return answer;
}
