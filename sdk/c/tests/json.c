// tw_json.h: what it reads, what it refuses and where.
#include <errno.h>
#include <math.h>

#include "../tw_json.h"
#include "check.h"

static tw_str text_of(const char *json) { return (tw_str){json, strlen(json)}; }

// Reads {"name": string, "count": int, "big": uint, "ratio": double, "on": bool, "keys": [string], "any": anything}.
static bool read_all(tw_str text, tw_config_error *error) {
  tw_json j;
  tw_str key;
  tw_json_begin(&j, text, error);
  tw_json_object(&j);
  while (tw_json_key(&j, &key)) {
    if (tw_equal(key, TW_STR("name")))
      tw_json_string(&j);
    else if (tw_equal(key, TW_STR("count")))
      tw_json_int(&j);
    else if (tw_equal(key, TW_STR("big")))
      tw_json_uint(&j, UINT64_MAX);
    else if (tw_equal(key, TW_STR("ratio")))
      tw_json_double(&j);
    else if (tw_equal(key, TW_STR("on")))
      tw_json_bool(&j);
    else if (tw_equal(key, TW_STR("any")))
      tw_json_skip(&j);
    else if (tw_equal(key, TW_STR("keys"))) {
      tw_json_array(&j);
      while (tw_json_item(&j)) tw_json_string(&j);
    } else
      tw_json_unknown(&j);
  }
  return tw_json_end(&j);
}

static void values_are_read(void) {
  tw_config_error error;
  tw_json j;
  tw_str key;
  tw_json_begin(&j,
                text_of(" [ \"a\\u00e9\\ud83e\\udd8a\\n\", -2, 18446744073709551615, true, [], {\"x\": [1, {}]}, "
                        "-9223372036854775808 ] "),
                &error);
  tw_json_array(&j);
  tw_json_item(&j);
  tw_str text = tw_json_string(&j);
  CHECK_STR(text, "aé🦊\n");
  tw_json_item(&j);
  CHECK(tw_json_int(&j) == -2, "an int");
  tw_json_item(&j);
  CHECK(tw_json_uint(&j, UINT64_MAX) == UINT64_MAX, "the largest");
  tw_json_item(&j);
  CHECK(tw_json_bool(&j), "true");
  tw_json_item(&j);
  tw_json_array(&j);
  CHECK(!tw_json_item(&j), "an empty array");
  tw_json_item(&j);
  tw_json_object(&j);
  CHECK(tw_json_key(&j, &key) && tw_equal(key, TW_STR("x")), "a key");
  tw_json_skip(&j);
  CHECK(!tw_json_key(&j, &key), "no more keys");
  tw_json_item(&j);
  CHECK(tw_json_int(&j) == INT64_MIN, "the smallest");
  CHECK(!tw_json_item(&j) && tw_json_end(&j), "the end");
}

static void errors_name_the_path(void) {
  static const char *const cases[][2] = {
      {"", "$"},
      {"{", "$"},
      {"[]", "$"},
      {"{} x", "$"},
      {"{\"name\": \"a\",}", "$"},
      {"{\"name\" 1}", "$.name"},
      {"{\"name\": }", "$.name"},
      {"{\"name\": 1}", "$.name"},
      {"{\"name\": \"\\x\"}", "$.name"},
      {"{\"name\": \"\\ud800\"}", "$.name"},
      {"{\"name\": \"\\ud800\\u0041\"}", "$.name"},
      {"{\"name\": \"\\udc00\"}", "$.name"},
      {"{\"name\": \"\\u12\"}", "$.name"},
      {"{\"name\": \"\x01\"}", "$.name"},
      {"{\"name\": \"\xff\"}", "$.name"},
      {"{\"name\": \"\xed\xa0\x80\"}", "$.name"},
      {"{\"name\": \"\xc0\x80\"}", "$.name"},
      {"{\"name\": \"a", "$.name"},
      {"{\"name\": \"a\\", "$.name"},
      {"{\"Name\": \"a\"}", "$.Name"},
      {"{\"count\": 1.0}", "$.count"},
      {"{\"count\": 9223372036854775808}", "$.count"},
      {"{\"count\": -}", "$.count"},
      {"{\"count\": 01}", "$"},
      {"{\"count\": null}", "$.count"},
      {"{\"big\": -1}", "$.big"},
      {"{\"big\": 18446744073709551616}", "$.big"},
      {"{\"ratio\": 1e400}", "$.ratio"},
      {"{\"ratio\": 1.}", "$.ratio"},
      {"{\"ratio\": .5}", "$.ratio"},
      {"{\"ratio\": 1e}", "$.ratio"},
      {"{\"ratio\": \"1\"}", "$.ratio"},
      {"{\"on\": 0}", "$.on"},
      {"{\"on\": tru}", "$.on"},
      {"{\"keys\": [\"a\", \"b\", 3]}", "$.keys[2]"},
      {"{\"keys\": [\"a\" \"b\"]}", "$.keys"},
      {"{\"keys\": {}}", "$.keys"},
      {"{\"any\": [1, {\"a\": [nul]}]}", "$.any[1].a[0]"},
      {"{\"any\": [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}", NULL},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    tw_config_error error = {TW_STR(""), TW_STR("")};
    CHECK(!read_all(text_of(cases[i][0]), &error), "%s is read", cases[i][0]);
    if (cases[i][1] != NULL) {
      CHECK(tw_equal(error.path, text_of(cases[i][1])), "%s: %.*s: %.*s", cases[i][0], (int)error.path.len,
            error.path.at, (int)error.message.len, error.message.at);
    }
    tw_release_memory();
  }
}

static void what_is_missing_is_told_by_its_object(void) {
  tw_config_error error = {TW_STR(""), TW_STR("")};
  tw_json j;
  tw_str key;
  tw_json_begin(&j, text_of("{\"any\": {\"a\": 1}, \"on\": 2}"), &error);
  tw_json_object(&j);
  tw_json_key(&j, &key);
  tw_json_object(&j);
  while (tw_json_key(&j, &key)) tw_json_skip(&j);
  tw_json_missing(&j, TW_STR("b"));
  CHECK_STR(error.path, "$.any.b");
  CHECK(!tw_json_key(&j, &key) && !tw_json_end(&j), "nothing is read after it");
  tw_release_memory();
}

static double read_double(const char *json, bool *good) {
  tw_config_error error;
  tw_json j;
  tw_json_begin(&j, text_of(json), &error);
  double value = tw_json_double(&j);
  *good = tw_json_end(&j);
  return value;
}

static void check_double(const char *json) {
  bool good;
  double got = read_double(json, &good), wanted = strtod(json, NULL);
  if (isinf(wanted))
    CHECK(!good, "%s is read", json);
  else
    CHECK(good && memcmp(&got, &wanted, sizeof got) == 0, "%s: %.17g, and not %.17g", json, got, wanted);
}

// strtod of the C library rounds correctly.
static void doubles_are_the_nearest(void) {
  static const char *const hard[] = {
      "0",
      "-0",
      "0.1",
      "1",
      "0.3",
      "1e0",
      "123456789012345678901234567890",
      "9007199254740993",
      "9007199254740993.0000000001",
      "9007199254740992.5",
      "2.2250738585072011e-308",
      "2.2250738585072014e-308",
      "4.9e-324",
      "2.4703282292062327e-324",
      "2.4703282292062328e-324",
      "1e-330",
      "1e-400",
      "0e999999999999",
      "1.7976931348623157e308",
      "1.7976931348623159e308",
      "1e309",
      "1e999999999999",
      "1E+2",
      "1e-1",
      "0.000000000000000000000000000000000000000000000000000000000000000001e66",
      "8.41e21",
      "9.5367431640625e-7",
      "6929495644600919.5",
      "3.3e-320",
  };
  for (size_t i = 0; i < sizeof hard / sizeof *hard; i++) check_double(hard[i]);
  for (int i = 0; i < 20000; i++) {
    char json[64];
    if (i % 2 == 0) {
      uint64_t bits = (uint64_t)draw(1u << 31) << 33 | (uint64_t)draw(1u << 31) << 2 | draw(4);
      double value;
      memcpy(&value, &bits, 8);
      if (isnan(value) || isinf(value)) continue;
      snprintf(json, sizeof json, "%.*e", (int)draw(25), value);
    } else {
      snprintf(json, sizeof json, "%u.%u%ue%d", draw(1000), draw(1u << 30), draw(1u << 30), (int)draw(700) - 350);
    }
    check_double(json);
    tw_release_memory();
  }
  // As many digits and as small a number as there may be, and one digit more.
  static char digits[900] = "0.";
  memset(digits + 2, '7', 800);
  strcpy(digits + 802, "e-344");
  check_double(digits);
  strcpy(digits + 802, "e308");
  check_double(digits);
  bool good;
  strcpy(digits + 802, "7");
  read_double(digits, &good);
  CHECK(!good, "801 digits are read");
}

static void strange_bytes_are_refused_or_read(void) {
  tw_str good = text_of(
      "{\"name\": \"\\u00e9\\ud83e\\udd8a\", \"count\": -12, \"big\": 7, \"ratio\": 1.5e-7, \"on\": false, "
      "\"keys\": [\"x\", \"\"], \"any\": [{\"a\": [null, true, 0.1]}, \"b\"]}");
  tw_config_error error;
  CHECK(read_all(good, &error), "%.*s: %.*s", (int)error.path.len, error.path.at, (int)error.message.len,
        error.message.at);
  static const char bytes[] = "\"\\{}[],:u09ed-+.tn\x80\xff\x01";
  for (int i = 0; i < 200000; i++) {
    size_t len = good.len - draw(2) * draw((uint32_t)good.len);
    char *text = malloc(len > 0 ? len : 1);
    memcpy(text, good.at, len);
    for (uint32_t edits = 1 + draw(3); edits > 0 && len > 0; edits--)
      text[draw((uint32_t)len)] = bytes[draw(sizeof bytes - 1)];
    read_all((tw_str){text, len}, &error);
    free(text);
    tw_release_memory();
  }
}

int main(void) {
  values_are_read();
  errors_name_the_path();
  doubles_are_the_nearest();
  what_is_missing_is_told_by_its_object();
  strange_bytes_are_refused_or_read();
  tw_forget_memory();
  return done("json");
}
