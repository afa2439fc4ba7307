// What a plugin exports, by the canonical ABI: a result that is no number is a record in memory, whose address is
// returned, and which the host has read when it calls the post-return of the function.
#include "../traceweir_plugin.h"

#define EXPORT(name) __attribute__((export_name("traceweir:plugin/" name)))
#define POST_RETURN(name) __attribute__((export_name("cabi_post_traceweir:plugin/" name)))

// The structs below are the records and variants of the WIT: on wasm32 C lays them out as the canonical ABI does.
_Static_assert(sizeof(void *) == 4 && sizeof(tw_str) == 8, "for wasm32");

struct result_list {
  const void *at;
  size_t count;
};

__attribute__((export_name("cabi_realloc"))) void *cabi_realloc(void *old, size_t from, size_t alignment, size_t to) {
  (void)alignment;
  void *memory = take(to);
  if (from > 0) __builtin_memcpy(memory, old, from < to ? from : to);
  return memory;
}

// A call has ended: its memory is free for the next one.
static void end_call(void) { release(); }

struct plugin_info {
  tw_str name, version, description, config_schema;
  bool stateless;
};

EXPORT("lifecycle@0.1.0#describe") const struct plugin_info *export_describe(void) {
  tw_info info = {.name = TW_STR("")};
  tw_describe(&info);
  struct plugin_info *result = tw_alloc(sizeof *result);
  *result = (struct plugin_info){info.name, info.version, info.description, info.config_schema, info.stateless};
  return result;
}

POST_RETURN("lifecycle@0.1.0#describe") void post_describe(const void *result) {
  (void)result;
  end_call();
}

struct attribute {
  uint8_t owner;
  tw_str key;
  bool complex;
};

struct field {
  uint8_t what;
  union {
    uint8_t intrinsic;
    struct attribute attribute;
  };
};

struct budget {
  tw_str name;
  uint8_t has_per;
  struct attribute per;
  uint64_t limit;
  uint32_t window_ms;
};

struct configured {
  uint8_t failed;
  union {
    struct {
      struct result_list reads, writes, match_resource, budgets;
      uint32_t max_batch_rows;
    } projection;
    tw_config_error error;
  };
};

// Of the instance: every batch is held against it.
static tw_projection projection;

static struct result_list fields(const tw_field *from, uint32_t count) {
  struct field *to = tw_alloc(count * sizeof *to);
  for (uint32_t i = 0; i < count; i++) {
    to[i].what = (uint8_t)from[i].what;
    if (from[i].what == TW_FIELD_INTRINSIC) {
      to[i].intrinsic = from[i].intrinsic - 1;
    } else {
      to[i].attribute = (struct attribute){(uint8_t)from[i].owner, from[i].key, from[i].complex};
    }
  }
  return (struct result_list){to, count};
}

static struct result_list budgets(void) {
  struct budget *to = tw_alloc(projection.budget_count * sizeof *to);
  for (uint32_t i = 0; i < projection.budget_count; i++) {
    const tw_budget_rule *from = &projection.budgets[i];
    to[i] = (struct budget){
        .name = from->name, .has_per = from->has_per, .limit = from->limit, .window_ms = from->window_ms};
    if (from->has_per) to[i].per = (struct attribute){(uint8_t)from->per.owner, from->per.key, from->per.complex};
  }
  return (struct result_list){to, projection.budget_count};
}

EXPORT("lifecycle@0.1.0#configure") const struct configured *export_configure(const char *config, size_t len) {
  struct configured *result = tw_alloc(sizeof *result);
  tw_config_error error = {TW_STR("$"), TW_STR("")};
  projection = (tw_projection){0};
  if (!tw_configure((tw_str){config, len}, &projection, &error)) {
    result->failed = true;
    result->error = error;
    return result;
  }
  result->projection.reads = fields(projection.reads, projection.read_count);
  result->projection.writes = fields(projection.writes, projection.write_count);
  result->projection.match_resource = (struct result_list){projection.match_resource, projection.match_resource_count};
  result->projection.budgets = budgets();
  result->projection.max_batch_rows = projection.max_batch_rows;
  return result;
}

POST_RETURN("lifecycle@0.1.0#configure") void post_configure(const void *result) {
  (void)result;
  keep();
}

// result<list<u8>, plugin-error>
struct answered {
  uint8_t failed;
  union {
    tw_str buffer;
    struct {
      uint8_t kind;
      tw_str message;
    } error;
  };
};

static const struct answered *failure(const tw_error *error) {
  struct answered *result = tw_alloc(sizeof *result);
  result->failed = true;
  result->error.kind = (uint8_t)error->kind;
  result->error.message = error->message;
  return result;
}

static const struct answered *success(tw_str buffer) {
  struct answered *result = tw_alloc(sizeof *result);
  result->buffer = buffer;
  return result;
}

#if defined(TW_SPAN_PROCESSOR) || defined(TW_HEAD_SAMPLER) || defined(TW_TAIL_SAMPLER)
static const struct answered *answer_of(tw_answer *(*call)(const tw_batch *, tw_error *), const tw_batch *batch) {
  tw_error error = {TW_INTERNAL, TW_STR("")};
  tw_answer *answer = call(batch, &error);
  return answer == NULL ? failure(&error) : success(tw_answer_encode(answer));
}
#endif

#if defined(TW_SPAN_PROCESSOR) || defined(TW_HEAD_SAMPLER)
static const struct answered *answer_rows(tw_answer *(*call)(const tw_batch *, tw_error *), const void *at,
                                          size_t len) {
  tw_error error;
  tw_batch batch;
  if (!tw_batch_read(&batch, at, len, &error) || !tw_batch_require(&batch, &projection, &error)) return failure(&error);
  return answer_of(call, &batch);
}
#endif

#if defined(TW_SPAN_PROCESSOR)

EXPORT("span-processor@0.1.0#process") const struct answered *export_process(const void *batch, size_t len) {
  return answer_rows(tw_process, batch, len);
}

POST_RETURN("span-processor@0.1.0#process") void post_process(const void *result) {
  (void)result;
  end_call();
}

#elif defined(TW_HEAD_SAMPLER)

EXPORT("head-sampler@0.1.0#sample") const struct answered *export_sample(const void *batch, size_t len) {
  return answer_rows(tw_sample, batch, len);
}

POST_RETURN("head-sampler@0.1.0#sample") void post_sample(const void *result) {
  (void)result;
  end_call();
}

#elif defined(TW_TAIL_SAMPLER)

EXPORT("tail-sampler@0.1.0#level") uint32_t export_level(void) { return tw_wanted_level(); }

// At level summary the batch has the table of traces and no columns.
static bool require_traces(const tw_batch *batch, tw_error *error) {
  for (uint16_t kind = TW_BATCH_TRACE_END_ROW; kind <= TW_BATCH_TRACE_STATE_BITS; kind++) {
    if (find(batch, kind, 0, 0) == NULL) return bad(error, TW_STR("the batch lacks a part of the table of traces"));
  }
  if (tw_wanted_level() == TW_SUMMARY) return require_budgets(batch, &projection, error);
  return tw_batch_require(batch, &projection, error);
}

EXPORT("tail-sampler@0.1.0#decide") const struct answered *export_decide(const void *traces, size_t len) {
  tw_error error;
  tw_batch batch;
  if (!tw_batch_read(&batch, traces, len, &error) || !require_traces(&batch, &error)) return failure(&error);
  return answer_of(tw_decide, &batch);
}

POST_RETURN("tail-sampler@0.1.0#decide") void post_decide(const void *result) {
  (void)result;
  end_call();
}

#elif defined(TW_ROUTER)

EXPORT("router@0.1.0#routes") const tw_list *export_routes(void) {
  tw_list *result = tw_alloc(sizeof *result);
  *result = tw_routes();
  return result;
}

POST_RETURN("router@0.1.0#routes") void post_routes(const void *result) {
  (void)result;
  end_call();
}

EXPORT("router@0.1.0#route") const struct answered *export_route(const void *at, size_t len) {
  tw_error error = {TW_INTERNAL, TW_STR("")};
  tw_batch batch;
  if (!tw_batch_read(&batch, at, len, &error) || !tw_batch_require(&batch, &projection, &error)) return failure(&error);
  uint16_t *places = take(batch.resources * sizeof *places);
  for (uint32_t i = 0; i < batch.resources; i++) places[i] = TW_STAY;
  if (!tw_route(&batch, places, &error)) return failure(&error);
  return success((tw_str){(const char *)places, batch.resources * sizeof *places});
}

POST_RETURN("router@0.1.0#route") void post_route(const void *result) {
  (void)result;
  end_call();
}

#elif defined(TW_AUTHENTICATOR)

// result<identity, denied>
struct authenticated {
  uint8_t failed;
  union {
    struct {
      tw_list tenants;
      struct result_list permissions;
      tw_str rate_class, cluster;
      uint32_t ttl_seconds;
    } identity;
    tw_denied denied;
  };
};

EXPORT("authenticator@0.1.0#authenticate")
const struct authenticated *export_authenticate(const char *method, size_t method_len, const char *path,
                                                size_t path_len, const char *peer, size_t peer_len,
                                                const tw_header *headers, size_t header_count, uint32_t has_certificate,
                                                const char *subject, size_t subject_len, const tw_str *names,
                                                size_t name_count) {
  tw_request request = {{method, method_len}, {path, path_len},     {peer, peer_len},       headers,
                        header_count,         has_certificate != 0, {subject, subject_len}, {names, name_count}};
  tw_identity identity = {0};
  tw_denied denied = {401, TW_STR(""), 0};
  struct authenticated *result = tw_alloc(sizeof *result);
  if (!tw_authenticate(&request, &identity, &denied)) {
    result->failed = true;
    result->denied = denied;
    return result;
  }
  uint8_t *permissions = take(3);
  size_t count = 0;
  for (uint8_t permission = TW_INGEST; permission <= TW_ADMIN; permission++) {
    if (identity.permissions >> permission & 1) permissions[count++] = permission;
  }
  result->identity.tenants = identity.tenants;
  result->identity.permissions = (struct result_list){permissions, count};
  result->identity.rate_class = identity.rate_class;
  result->identity.cluster = identity.cluster;
  result->identity.ttl_seconds = identity.ttl_seconds;
  return result;
}

POST_RETURN("authenticator@0.1.0#authenticate") void post_authenticate(const void *result) {
  (void)result;
  end_call();
}

#elif defined(TW_REFRESHER)

EXPORT("refresher@0.1.0#interval-seconds") uint32_t export_interval_seconds(void) { return tw_interval_seconds(); }

// result<list<table-data>, string>
struct refreshed {
  uint8_t failed;
  union {
    tw_tables tables;
    tw_str reason;
  };
};

EXPORT("refresher@0.1.0#refresh") const struct refreshed *export_refresh(void) {
  struct refreshed *result = tw_alloc(sizeof *result);
  tw_tables tables = {0};
  tw_str reason = TW_STR("");
  result->failed = !tw_refresh(&tables, &reason);
  if (result->failed) {
    result->reason = reason;
  } else {
    result->tables = tables;
  }
  return result;
}

POST_RETURN("refresher@0.1.0#refresh") void post_refresh(const void *result) {
  (void)result;
  end_call();
}

#else
#error \
    "say which world it is: -DTW_SPAN_PROCESSOR, -DTW_HEAD_SAMPLER, -DTW_TAIL_SAMPLER, -DTW_ROUTER, -DTW_AUTHENTICATOR or -DTW_REFRESHER"
#endif
