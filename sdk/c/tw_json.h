// A reader of JSON for configurations: what is asked for is read, in the order of the text, and the first thing that is
// wrong is kept with its path, while everything after it reads as nothing. So a configuration is checked once, at its
// end:
//
//   tw_json json;
//   tw_str key;
//   tw_json_begin(&json, config, error);
//   tw_json_object(&json);
//   while (tw_json_key(&json, &key)) {
//     if (tw_equal(key, TW_STR("slow_ms"))) slow_ms = tw_json_uint(&json, UINT32_MAX);
//     else tw_json_unknown(&json);
//   }
//   return tw_json_end(&json);
#ifndef TRACEWEIR_JSON_H
#define TRACEWEIR_JSON_H

#include "traceweir_plugin.h"

// How deep objects and arrays may lie in each other.
#define TW_JSON_DEPTH 32

typedef struct {
  const char *at, *end;
  bool failed;
  uint32_t depth;
  // The objects and arrays that are open, and which member of each is being read.
  struct tw_json_level {
    bool array;
    uint32_t count;
    tw_str key;
  } levels[TW_JSON_DEPTH];
  tw_config_error *error;
} tw_json;

void tw_json_begin(tw_json *, tw_str text, tw_config_error *);
// Whether all of it was read, and nothing is wrong.
bool tw_json_end(tw_json *);

// Begins an object, or an array.
void tw_json_object(tw_json *);
void tw_json_array(tw_json *);
// The next member, whose value is to be read next; false behind the last.
bool tw_json_key(tw_json *, tw_str *key);
bool tw_json_item(tw_json *);

// The value, which must be of this type.
uint64_t tw_json_uint(tw_json *, uint64_t max);
int64_t tw_json_int(tw_json *);
double tw_json_double(tw_json *);
bool tw_json_bool(tw_json *);
tw_str tw_json_string(tw_json *);

// The value, whatever it is.
void tw_json_skip(tw_json *);
// Says that the member that is being read, or was read last, is wrong; `$.key` of one that there is not.
void tw_json_wrong(tw_json *, tw_str message);
void tw_json_unknown(tw_json *);
// Says that a member is missing in the object around, once it is read: `$.key`.
void tw_json_missing(tw_json *, tw_str key);

#endif
