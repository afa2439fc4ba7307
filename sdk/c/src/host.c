// What the host offers, by the canonical ABI: a string or list is passed as address and length; what is returned and is
// no number lies where the last argument says, and what that points to is taken from the arena by cabi_realloc.
#include "../traceweir_plugin.h"

#define IMPORT(module, function) \
  __attribute__((import_module("traceweir:plugin/" module "@0.1.0"), import_name(function)))

IMPORT("log", "write") void import_log(uint32_t level, const char *at, size_t len);

void tw_log(tw_level level, tw_str message) { import_log(level, message.at, message.len); }

IMPORT("metrics", "counter")
uint32_t import_counter(const char *name, size_t name_len, const char *help, size_t help_len);
IMPORT("metrics", "histogram")
uint32_t import_histogram(const char *name, size_t name_len, const char *help, size_t help_len, const double *bounds,
                          size_t bound_count);
IMPORT("metrics", "add") void import_add(uint32_t id, uint64_t delta);
IMPORT("metrics", "observe") void import_observe(uint32_t id, double value);

uint32_t tw_counter(tw_str name, tw_str help) { return import_counter(name.at, name.len, help.at, help.len); }
uint32_t tw_histogram(tw_str name, tw_str help, const double *bounds, uint32_t count) {
  return import_histogram(name.at, name.len, help.at, help.len, bounds, count);
}
void tw_raise(uint32_t counter, uint64_t delta) { import_add(counter, delta); }
void tw_observe(uint32_t histogram, double value) { import_observe(histogram, value); }

// An option<string>, or option<list<u8>>, as it lies in memory.
struct option {
  uint8_t some;
  tw_str text;
};

struct list {
  void *at;
  uint32_t count;
};

IMPORT("tables", "lookup")
void import_lookup(const char *table, size_t table_len, const tw_str *keys, size_t count, struct list *result);
IMPORT("tables", "generation") uint64_t import_generation(const char *table, size_t len);

tw_str *tw_lookup(tw_str table, const tw_str *keys, uint32_t count) {
  struct list result;
  import_lookup(table.at, table.len, keys, count, &result);
  tw_str *values = tw_alloc(count * sizeof *values);
  const struct option *found = result.at;
  for (uint32_t i = 0; i < count && i < result.count; i++) {
    if (found[i].some) values[i] = found[i].text;
  }
  return values;
}

uint64_t tw_generation(tw_str table) { return import_generation(table.at, table.len); }

IMPORT("clock", "now-unix-nano") uint64_t import_now(void);

uint64_t tw_now_unix_nano(void) { return import_now(); }

IMPORT("cache", "get") void import_cache_get(const char *key, size_t len, struct option *result);
IMPORT("cache", "set")
void import_cache_set(const char *key, size_t key_len, const char *value, size_t value_len, uint32_t ttl_seconds);

bool tw_cache_get(tw_str key, tw_str *value) {
  struct option result;
  import_cache_get(key.at, key.len, &result);
  if (result.some) *value = result.text;
  return result.some != 0;
}

void tw_cache_set(tw_str key, tw_str value, uint32_t ttl_seconds) {
  import_cache_set(key.at, key.len, value.at, value.len, ttl_seconds);
}

IMPORT("random", "fill") void import_fill(uint32_t bytes, struct list *result);

const uint8_t *tw_random(uint32_t bytes) {
  struct list result;
  import_fill(bytes, &result);
  return result.at;
}

// result<response, fetch-error>, as it lies in memory.
struct fetched {
  uint8_t failed;
  union {
    struct {
      uint16_t status;
      struct list headers;
      tw_str body;
    } response;
    struct {
      uint8_t why;
      tw_str network;
    } error;
  };
};

IMPORT("fetch", "send")
void import_send(const char *method, size_t method_len, const char *url, size_t url_len, const tw_header *headers,
                 size_t header_count, const char *body, size_t body_len, uint32_t timeout_ms, struct fetched *result);

bool tw_fetch(const tw_fetch_request *request, tw_fetch_response *response, tw_str *reason) {
  static const tw_str reasons[] = {TW_STR("not allowed"), TW_STR("timeout"), TW_STR("too large")};
  struct fetched result;
  import_send(request->method.at, request->method.len, request->url.at, request->url.len, request->headers,
              request->header_count, request->body.at, request->body.len, request->timeout_ms, &result);
  if (result.failed) {
    *reason = result.error.why < 3 ? reasons[result.error.why] : result.error.network;
    return false;
  }
  *response = (tw_fetch_response){
      .status = result.response.status,
      .headers = result.response.headers.at,
      .header_count = result.response.headers.count,
      .body = result.response.body,
  };
  return true;
}
