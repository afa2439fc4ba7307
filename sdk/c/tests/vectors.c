// Holds the example that it is compiled with against sdk/vectors: vectors FILE...
#include "../tw_json.h"
#include "check.h"

#ifdef SAMPLES
#define CALL tw_sample
#else
#define CALL tw_process
#endif

static tw_str decode_base64(tw_str text) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  uint8_t *at = malloc(text.len + 1), *to = at;
  uint32_t bits = 0;
  for (size_t i = 0; i < text.len && text.at[i] != '='; i++) {
    bits = bits << 6 | (uint32_t)(strchr(digits, text.at[i]) - digits);
    if (i % 4 != 0) *to++ = (uint8_t)(bits >> (6 - i % 4 * 2));
  }
  return (tw_str){(char *)at, (size_t)(to - at)};
}

struct vector {
  tw_str config, batch, answer, error_path;
  bool bad_batch;
};

static bool read_vector(tw_str text, struct vector *v) {
  tw_config_error error = {TW_STR(""), TW_STR("")};
  tw_json j;
  tw_str key;
  *v = (struct vector){0};
  tw_json_begin(&j, text, &error);
  tw_json_object(&j);
  while (tw_json_key(&j, &key)) {
    if (tw_equal(key, TW_STR("config"))) {
      v->config.at = j.at;
      tw_json_skip(&j);
      v->config.len = (size_t)(j.at - v->config.at);
    } else if (tw_equal(key, TW_STR("batch"))) {
      v->batch = tw_json_string(&j);
    } else if (tw_equal(key, TW_STR("answer"))) {
      v->answer = tw_json_string(&j);
    } else if (tw_equal(key, TW_STR("bad_batch"))) {
      v->bad_batch = tw_json_bool(&j);
    } else if (tw_equal(key, TW_STR("config_error"))) {
      tw_json_object(&j);
      while (tw_json_key(&j, &key)) v->error_path = tw_json_string(&j);
    } else {
      tw_json_skip(&j);
    }
  }
  return tw_json_end(&j);
}

// What src/exports.c does.
static bool answer(tw_str data, const tw_projection *projection, tw_str *answer, tw_error *error) {
  tw_batch batch;
  *error = (tw_error){TW_INTERNAL, TW_STR("")};
  if (!tw_batch_read(&batch, data.at, data.len, error) || !tw_batch_require(&batch, projection, error)) return false;
  tw_answer *made = CALL(&batch, error);
  if (made != NULL) *answer = tw_answer_encode(made);
  return made != NULL;
}

static void mutate(tw_str good, const tw_projection *projection) {
  static const uint8_t bytes[] = {0, 1, 2, 7, 127, 255};
  tw_str answered;
  tw_error error;
  for (int i = 0; i < 3000 && good.len > 0; i++) {
    tw_str data = {malloc(good.len), good.len};
    memcpy((char *)data.at, good.at, good.len);
    for (uint32_t edits = 1 + draw(3); edits > 0; edits--)
      ((uint8_t *)data.at)[draw((uint32_t)good.len)] = bytes[draw(sizeof bytes)];
    answer(data, projection, &answered, &error);
    free((char *)data.at);
    tw_release_memory();
  }
}

static void check_vector(const char *name) {
  tw_str text = read_file(name);
  struct vector v;
  CHECK(read_vector(text, &v), "%s", name);
  tw_config_error wrong = {TW_STR(""), TW_STR("")};
  tw_projection projection = {0};
  bool configured = tw_configure(v.config, &projection, &wrong);
  tw_keep_memory();
  tw_str batch = decode_base64(v.batch), wanted = decode_base64(v.answer);
  if (v.error_path.at != NULL) {
    CHECK(!configured && tw_equal(wrong.path, v.error_path), "%s: %.*s", name, (int)wrong.path.len, wrong.path.at);
  } else if (!configured) {
    CHECK(false, "%s: %.*s: %.*s", name, (int)wrong.path.len, wrong.path.at, (int)wrong.message.len, wrong.message.at);
  } else {
    for (int time = 0; time < 2; time++) {
      tw_str got;
      tw_error error;
      if (answer(batch, &projection, &got, &error)) {
        CHECK(!v.bad_batch && tw_equal(got, wanted), "%s: %zu bytes, and not %zu", name, got.len, wanted.len);
      } else {
        CHECK(v.bad_batch && error.kind == TW_BAD_INPUT, "%s: %.*s", name, (int)error.message.len, error.message.at);
      }
      tw_release_memory();
    }
    mutate(batch, &projection);
  }
  tw_forget_memory();
  free((char *)batch.at);
  free((char *)wanted.at);
  free((char *)text.at);
}

int main(int count, char **names) {
  tw_info info = {0};
  tw_describe(&info);
  for (int i = 1; i < count; i++) check_vector(names[i]);
  char what[64];
  snprintf(what, sizeof what, "%d vectors of %.*s", count - 1, (int)info.name.len, info.name.at);
  return done(what);
}
