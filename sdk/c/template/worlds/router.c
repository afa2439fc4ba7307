// A router: whose spans they are is told by the namespace of their resource.
#include "traceweir_plugin.h"
#include "tw_json.h"

// Tenants by namespace, and each of them once.
static tw_map tenants;
static tw_numbering routes;
// Where the batch has the namespace.
static uint32_t namespace_read;

void tw_describe(tw_info *info) {
  info->name = TW_STR("my-plugin");
  info->version = TW_STR("0.1.0");
  info->description = TW_STR("says whose spans they are, by their namespace");
  // Same batch, same answer: the host may run an instance per thread.
  info->stateless = true;
}

// Once, before any batch. It says what is read: nothing else is passed.
bool tw_configure(tw_str config, tw_projection *projection, tw_config_error *error) {
  tw_json json;
  tw_str key, name;
  tw_json_begin(&json, config, error);
  tw_json_object(&json);
  while (tw_json_key(&json, &key)) {
    if (tw_equal(key, TW_STR("tenants"))) {
      tw_json_object(&json);
      while (tw_json_key(&json, &name)) {
        tw_str tenant = tw_json_string(&json);
        tw_map_put(&tenants, name, tenant);
        tw_number(&routes, tenant);
      }
    } else {
      tw_json_unknown(&json);
    }
  }
  namespace_read = tw_read(projection, tw_attribute(TW_RESOURCE, TW_STR("k8s.namespace.name")));
  return tw_json_end(&json);
}

tw_list tw_routes(void) { return (tw_list){routes.texts, routes.count}; }

// For each batch: where each resource goes.
bool tw_route(const tw_batch *batch, uint16_t *places, tw_error *error) {
  tw_column namespaces = tw_column_at(batch, namespace_read);
  tw_str name, tenant;
  for (uint32_t resource = 0; resource < batch->resources; resource++) {
    bool is_known = tw_string_at(namespaces, resource, &name) && tw_map_get(&tenants, name, &tenant);
    places[resource] = is_known ? (uint16_t)tw_find(&routes, tenant) : TW_STAY;
  }
  return true;
}
