// An authenticator: keys in the header x-api-key, and whose they are.
#include "traceweir_plugin.h"
#include "tw_json.h"

// Tenants by key.
static tw_map keys;
// For so many seconds the host keeps an answer.
#define TTL_SECONDS 300

void tw_describe(tw_info *info) {
  info->name = TW_STR("my-plugin");
  info->version = TW_STR("0.1.0");
  info->description = TW_STR("lets in who shows a key that is known");
  // Same request, same answer: the host may run an instance per thread.
  info->stateless = true;
}

// Once, before any request. It reads no spans.
bool tw_configure(tw_str config, tw_projection *projection, tw_config_error *error) {
  tw_json json;
  tw_str key, name;
  tw_json_begin(&json, config, error);
  tw_json_object(&json);
  while (tw_json_key(&json, &key)) {
    if (tw_equal(key, TW_STR("keys"))) {
      tw_json_object(&json);
      while (tw_json_key(&json, &name)) tw_map_put(&keys, name, tw_json_string(&json));
    } else {
      tw_json_unknown(&json);
    }
  }
  return tw_json_end(&json);
}

// Once for each credential, not for each request.
bool tw_authenticate(const tw_request *request, tw_identity *identity, tw_denied *denied) {
  // What is taken in a call is gone at its end: what is pointed to stays until the answer is read.
  static tw_str tenant;
  for (uint32_t i = 0; i < request->header_count; i++) {
    tw_header header = request->headers[i];
    if (tw_equal(header.name, TW_STR("x-api-key")) && tw_map_get(&keys, header.value, &tenant)) {
      identity->tenants = (tw_list){&tenant, 1};
      identity->permissions = 1 << TW_INGEST | 1 << TW_QUERY;
      identity->ttl_seconds = TTL_SECONDS;
      return true;
    }
  }
  *denied = (tw_denied){401, TW_STR("no key that is known here"), TTL_SECONDS};
  return false;
}
