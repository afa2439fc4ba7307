// JSON as RFC 8259 has it, in one pass.
#include "../tw_json.h"

static tw_str path_of(const tw_json *j) {
  tw_str path = TW_STR("$");
  for (uint32_t i = 0; i < j->depth; i++) {
    const struct tw_json_level *level = &j->levels[i];
    if (level->count == 0) continue;
    if (level->array) {
      path = tw_join((tw_str[]){path, TW_STR("["), tw_decimal(level->count - 1), TW_STR("]"), {NULL, 0}});
    } else {
      path = tw_join((tw_str[]){path, TW_STR("."), level->key, {NULL, 0}});
    }
  }
  return path;
}

static void wrong_at(tw_json *j, tw_str path, tw_str message) {
  if (j->failed) return;
  j->failed = true;
  *j->error = (tw_config_error){path, message};
}

void tw_json_wrong(tw_json *j, tw_str message) { wrong_at(j, path_of(j), message); }

void tw_json_unknown(tw_json *j) { tw_json_wrong(j, TW_STR("unknown")); }

void tw_json_missing(tw_json *j, tw_str key) {
  wrong_at(j, tw_join((tw_str[]){path_of(j), TW_STR("."), key, {NULL, 0}}), TW_STR("is missing"));
}

void tw_json_begin(tw_json *j, tw_str text, tw_config_error *error) {
  *j = (tw_json){.at = text.at, .end = text.at + text.len, .error = error};
}

static void skip_space(tw_json *j) {
  while (j->at < j->end && (*j->at == ' ' || *j->at == '\t' || *j->at == '\r' || *j->at == '\n')) j->at++;
}

// What comes next, or 0 where nothing does.
static char next(tw_json *j) {
  skip_space(j);
  return j->failed || j->at == j->end ? 0 : *j->at;
}

static bool take_char(tw_json *j, char wanted) {
  if (next(j) != wanted) return false;
  j->at++;
  return true;
}

static bool take_word(tw_json *j, tw_str wanted) {
  if (next(j) == 0 || !tw_starts_with((tw_str){j->at, (size_t)(j->end - j->at)}, wanted)) return false;
  j->at += wanted.len;
  return true;
}

bool tw_json_end(tw_json *j) {
  if (next(j) != 0) tw_json_wrong(j, TW_STR("there is more after its end"));
  return !j->failed;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static tw_str type_of(tw_json *j) {
  char c = next(j);
  if (c == '{') return TW_STR("an object");
  if (c == '[') return TW_STR("an array");
  if (c == '"') return TW_STR("a string");
  if (c == 't' || c == 'f') return TW_STR("true or false");
  if (c == 'n') return TW_STR("null");
  if (c == '-' || is_digit(c)) return TW_STR("a number");
  return TW_STR("not JSON");
}

static void unexpected(tw_json *j, tw_str wanted) {
  tw_json_wrong(j, tw_join((tw_str[]){TW_STR("is "), type_of(j), TW_STR(", and must be "), wanted, {NULL, 0}}));
}

static void open_level(tw_json *j, bool array) {
  if (!take_char(j, array ? '[' : '{')) {
    unexpected(j, array ? TW_STR("an array") : TW_STR("an object"));
  } else if (j->depth == TW_JSON_DEPTH) {
    tw_json_wrong(j, TW_STR("lies too deep"));
  } else {
    j->levels[j->depth++] = (struct tw_json_level){.array = array};
  }
}

void tw_json_object(tw_json *j) { open_level(j, false); }
void tw_json_array(tw_json *j) { open_level(j, true); }

// Goes on to the next member of the innermost object or array; false behind the last.
static bool next_member(tw_json *j) {
  if (j->failed || j->depth == 0) return false;
  struct tw_json_level *level = &j->levels[j->depth - 1];
  uint32_t before = level->count;
  level->count = 0;  // Until the next member is there, it is the object itself that is wrong.
  if (take_char(j, level->array ? ']' : '}')) {
    j->depth--;
    return false;
  }
  if (before > 0 && !take_char(j, ',')) {
    tw_json_wrong(j, TW_STR("is not JSON: a comma is missing"));
    return false;
  }
  if (level->array) level->count = before + 1;
  return true;
}

bool tw_json_item(tw_json *j) { return next_member(j); }

bool tw_json_key(tw_json *j, tw_str *key) {
  if (!next_member(j)) return false;
  if (next(j) != '"') {
    tw_json_wrong(j, TW_STR("is not JSON: a key is missing"));
    return false;
  }
  *key = tw_json_string(j);
  struct tw_json_level *level = &j->levels[j->depth - 1];
  if (j->failed) return false;
  level->key = *key;
  level->count = 1;
  if (!take_char(j, ':')) tw_json_wrong(j, TW_STR("is not JSON: a colon is missing"));
  return !j->failed;
}

static int hex_digit(char c) {
  if (is_digit(c)) return c - '0';
  c |= 0x20;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// The code unit behind `\u`; -1 where there is none.
static int32_t take_unit(tw_json *j) {
  if (j->end - j->at < 4) return -1;
  int32_t unit = 0;
  for (int i = 0; i < 4; i++) {
    int digit = hex_digit(*j->at++);
    if (digit < 0) return -1;
    unit = unit << 4 | digit;
  }
  return unit;
}

// The character behind a backslash; -1 where there is none.
static int32_t take_escape(tw_json *j) {
  if (j->at == j->end) return -1;
  switch (*j->at++) {
    case '"': return '"';
    case '\\': return '\\';
    case '/': return '/';
    case 'b': return '\b';
    case 'f': return '\f';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'u': break;
    default: return -1;
  }
  int32_t first = take_unit(j);
  if (first < 0xd800 || first > 0xdfff) return first;
  if (first > 0xdbff || j->end - j->at < 2 || j->at[0] != '\\' || j->at[1] != 'u') return -1;
  j->at += 2;
  int32_t second = take_unit(j);
  if (second < 0xdc00 || second > 0xdfff) return -1;
  return 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
}

static char *put_char(char *to, int32_t c) {
  if (c < 0x80) {
    *to++ = (char)c;
  } else if (c < 0x800) {
    *to++ = (char)(0xc0 | c >> 6);
    *to++ = (char)(0x80 | (c & 0x3f));
  } else if (c < 0x10000) {
    *to++ = (char)(0xe0 | c >> 12);
    *to++ = (char)(0x80 | (c >> 6 & 0x3f));
    *to++ = (char)(0x80 | (c & 0x3f));
  } else {
    *to++ = (char)(0xf0 | c >> 18);
    *to++ = (char)(0x80 | (c >> 12 & 0x3f));
    *to++ = (char)(0x80 | (c >> 6 & 0x3f));
    *to++ = (char)(0x80 | (c & 0x3f));
  }
  return to;
}

tw_str tw_json_string(tw_json *j) {
  if (!take_char(j, '"')) {
    unexpected(j, TW_STR("a string"));
    return (tw_str){"", 0};
  }
  const char *start = j->at;
  while (j->at < j->end && *j->at != '"') j->at += *j->at == '\\' && j->end - j->at > 1 ? 2 : 1;
  const char *end = j->at;
  // No escape is shorter than what it stands for.
  char *text = take((size_t)(end - start)), *to = text;
  for (j->at = start; j->at < end;) {
    int32_t c = (uint8_t)*j->at++;
    bool escaped = c == '\\';
    if (escaped) c = take_escape(j);
    if (c < 0 || (!escaped && c < ' ') || j->at > end) {
      tw_json_wrong(j, TW_STR("is not JSON: a character that must be escaped, or an escape that there is not"));
      return (tw_str){"", 0};
    }
    if (escaped)
      to = put_char(to, c);
    else
      *to++ = (char)c;
  }
  tw_str read = {text, (size_t)(to - text)};
  if (!is_utf8(read.at, read.len)) tw_json_wrong(j, TW_STR("is not UTF-8"));
  if (!take_char(j, '"')) tw_json_wrong(j, TW_STR("is not JSON: a string that does not end"));
  return read;
}

static const char *skip_digits(const char *at, const char *end) {
  while (at < end && is_digit(*at)) at++;
  return at;
}

// The text of a number; empty where there is none.
static tw_str take_number(tw_json *j) {
  char first = next(j);
  if (first != '-' && !is_digit(first)) {
    unexpected(j, TW_STR("a number"));
    return (tw_str){"", 0};
  }
  const char *at = j->at + (first == '-'), *digits = at, *end = j->end;
  at = at < end && *at == '0' ? at + 1 : skip_digits(at, end);
  bool good = at > digits;
  if (good && at < end && *at == '.') {
    digits = at + 1;
    at = skip_digits(digits, end);
    good = at > digits;
  }
  if (good && at < end && (*at == 'e' || *at == 'E')) {
    digits = at + 1;
    if (digits < end && (*digits == '+' || *digits == '-')) digits++;
    at = skip_digits(digits, end);
    good = at > digits;
  }
  if (!good) {
    tw_json_wrong(j, TW_STR("is not JSON: a number that does not end"));
    return (tw_str){"", 0};
  }
  tw_str number = {j->at, (size_t)(at - j->at)};
  j->at = at;
  return number;
}

uint64_t tw_json_uint(tw_json *j, uint64_t max) {
  tw_str text = take_number(j);
  uint64_t number = 0;
  for (size_t i = 0; i < text.len; i++) {
    uint64_t digit = (uint64_t)(text.at[i] - '0');
    if (!is_digit(text.at[i]) || number > (UINT64_MAX - digit) / 10 || number * 10 + digit > max) {
      tw_json_wrong(j, tw_join((tw_str[]){text, TW_STR(" is no whole number, or negative or too large"), {NULL, 0}}));
      return 0;
    }
    number = number * 10 + digit;
  }
  return number;
}

int64_t tw_json_int(tw_json *j) {
  bool negative = next(j) == '-' && j->end - j->at > 1 && is_digit(j->at[1]);
  if (negative) j->at++;
  uint64_t number = tw_json_uint(j, (uint64_t)INT64_MAX + negative);
  return (int64_t)(negative ? -number : number);
}

bool tw_json_bool(tw_json *j) {
  if (take_word(j, TW_STR("true"))) return true;
  if (!take_word(j, TW_STR("false"))) unexpected(j, TW_STR("true or false"));
  return false;
}

void tw_json_skip(tw_json *j) {
  tw_str key;
  switch (next(j)) {
    case '{':
      for (tw_json_object(j); tw_json_key(j, &key);) tw_json_skip(j);
      break;
    case '[':
      for (tw_json_array(j); tw_json_item(j);) tw_json_skip(j);
      break;
    case '"': tw_json_string(j); break;
    case 't':
    case 'f': tw_json_bool(j); break;
    case 'n':
      if (!take_word(j, TW_STR("null"))) unexpected(j, TW_STR("a value"));
      break;
    default: take_number(j);
  }
}

// A natural number of any size that the digits of a configuration reach, in words of 32 bits, the lowest first.
// 800 digits and 345 zeros behind them are 3,804 bits; with the point 345 places before them, and room to divide,
// 6,656.
#define WORDS 256
#define DIGITS_MAX 800
#define EXPONENT_MAX 345

struct natural {
  uint32_t words[WORDS];
  int count;
};

static void multiply(struct natural *n, uint32_t by, uint32_t plus) {
  uint64_t carry = plus;
  for (int i = 0; i < n->count; i++) {
    carry += (uint64_t)n->words[i] * by;
    n->words[i] = (uint32_t)carry;
    carry >>= 32;
  }
  if (carry != 0) n->words[n->count++] = (uint32_t)carry;
}

// Divides, and says whether there is a rest.
static bool divide(struct natural *n, uint32_t by) {
  uint64_t rest = 0;
  for (int i = n->count - 1; i >= 0; i--) {
    rest = rest << 32 | n->words[i];
    n->words[i] = (uint32_t)(rest / by);
    rest %= by;
  }
  while (n->count > 0 && n->words[n->count - 1] == 0) n->count--;
  return rest != 0;
}

static bool bit(const struct natural *n, int at) {
  return at >= 0 && at < 32 * n->count && (n->words[at / 32] >> at % 32 & 1) != 0;
}

// The double that is nearest to n / 2^shift, the even one of two; `more`: n is a little larger than it says.
static double nearest(const struct natural *n, int shift, bool more) {
  if (n->count == 0) return 0;
  int top = 32 * n->count - __builtin_clz(n->words[n->count - 1]);
  // The value of the lowest bit that stays: 52 below the highest, or what the smallest doubles have.
  int exponent = top - 53 - shift < -1074 ? -1074 : top - 53 - shift, lowest = exponent + shift;
  uint64_t mantissa = 0;
  for (int at = top - 1; at >= lowest; at--) mantissa = mantissa << 1 | bit(n, at);
  for (int at = lowest - 2; at >= 0 && !more; at--) more = bit(n, at);
  if (bit(n, lowest - 1) && (more || (mantissa & 1) != 0)) mantissa++;
  if (mantissa >> 53 != 0) {
    mantissa >>= 1;
    exponent++;
  }
  if (exponent > 971) return __builtin_inf();
  uint64_t bits = mantissa >> 52 == 0 ? mantissa : (uint64_t)(exponent + 1075) << 52 | (mantissa & 0xfffffffffffff);
  double value;
  __builtin_memcpy(&value, &bits, 8);
  return value;
}

double tw_json_double(tw_json *j) {
  tw_str text = take_number(j);
  struct natural n = {.count = 0};
  int64_t exponent = 0;
  uint32_t digits = 0;
  bool point = false;
  size_t i = text.len > 0 && text.at[0] == '-';
  for (; i < text.len && (text.at[i] | 0x20) != 'e'; i++) {
    if (text.at[i] == '.') {
      point = true;
      continue;
    }
    if (digits > 0 || text.at[i] != '0') digits++;
    if (digits > DIGITS_MAX) {
      tw_json_wrong(j, TW_STR("has too many digits"));
      return 0;
    }
    multiply(&n, 10, (uint32_t)(text.at[i] - '0'));
    exponent -= point;
  }
  if (i < text.len) {
    bool negative = text.at[++i] == '-';
    int64_t written = 0;
    for (i += negative || text.at[i] == '+'; i < text.len; i++) {
      if (written < 100000) written = written * 10 + (text.at[i] - '0');
    }
    exponent += negative ? -written : written;
  }
  double value = 0;
  if (n.count > 0 && exponent > EXPONENT_MAX) {
    value = __builtin_inf();
  } else if (n.count > 0 && exponent + (int64_t)digits > -EXPONENT_MAX) {
    bool more = false;
    int shift = 0;
    for (; exponent > 0; exponent--) multiply(&n, 10, 0);
    if (exponent < 0) {
      // So far to the left that enough bits are left when it is divided.
      int words = (int)((-exponent * 10 / 3) / 32) + 5;
      for (int at = n.count - 1; at >= 0; at--) n.words[at + words] = n.words[at];
      for (int at = 0; at < words; at++) n.words[at] = 0;
      n.count += words;
      shift = 32 * words;
      for (; exponent <= -9; exponent += 9) more |= divide(&n, 1000000000);
      for (; exponent < 0; exponent++) more |= divide(&n, 10);
    }
    value = nearest(&n, shift, more);
  }
  if (value == __builtin_inf()) {
    tw_json_wrong(j, tw_join((tw_str[]){text, TW_STR(" is too large"), {NULL, 0}}));
    return 0;
  }
  return text.len > 0 && text.at[0] == '-' ? -value : value;
}
