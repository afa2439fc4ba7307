// Texts: comparing, joining, numbering.
#include "../traceweir_plugin.h"

bool tw_equal(tw_str a, tw_str b) {
  return a.len == b.len && (a.at == b.at || a.len == 0 || __builtin_memcmp(a.at, b.at, a.len) == 0);
}

bool tw_starts_with(tw_str text, tw_str prefix) {
  return text.len >= prefix.len && tw_equal((tw_str){text.at, prefix.len}, prefix);
}

tw_str tw_copy(tw_str text) { return tw_join((tw_str[]){text, {NULL, 0}}); }

tw_str tw_join(const tw_str *parts) {
  size_t len = 0;
  for (const tw_str *part = parts; part->at != NULL; part++) len += part->len;
  char *at = take(len);
  tw_str text = {at, len};
  for (; parts->at != NULL; parts++) {
    if (parts->len > 0) __builtin_memcpy(at, parts->at, parts->len);
    at += parts->len;
  }
  return text;
}

tw_str tw_decimal(uint64_t number) {
  char *end = (char *)take(20) + 20, *at = end;
  do {
    *--at = (char)('0' + number % 10);
    number /= 10;
  } while (number > 0);
  return (tw_str){at, (size_t)(end - at)};
}

// Spreads what it is multiplied with over the upper bits.
#define ODD 0x9e3779b97f4a7c15

static uint64_t hash_of(tw_str text) {
  uint64_t hash = text.len;
  size_t at = 0;
  for (; text.len - at >= 8; at += 8) {
    uint64_t word;
    __builtin_memcpy(&word, text.at + at, 8);
    hash = ((hash << 29 | hash >> 35) ^ word) * ODD;
  }
  uint64_t last = 0;
  // Byte by byte: a copy whose length varies is a call in Wasm.
  for (; at < text.len; at++) last = last << 8 | (uint8_t)text.at[at];
  hash = ((hash << 29 | hash >> 35) ^ last) * ODD;
  return hash ^ hash >> 32;
}

// Where a text stands in the table of places, or where it would. Each place has a number plus 1; at most half are
// taken.
static uint32_t *place_of(const tw_numbering *n, tw_str text) {
  uint32_t at = (uint32_t)hash_of(text) & (n->place_count - 1);
  while (n->places[at] != 0 && !tw_equal(n->texts[n->places[at] - 1], text)) at = (at + 1) & (n->place_count - 1);
  return &n->places[at];
}

uint32_t tw_number(tw_numbering *n, tw_str text) {
  if (n->count * 2 >= n->place_count) {
    n->place_count = n->place_count < 16 ? 16 : n->place_count * 2;
    n->places = tw_alloc(n->place_count * sizeof *n->places);
    for (uint32_t i = 0; i < n->count; i++) *place_of(n, n->texts[i]) = i + 1;
  }
  uint32_t *place = place_of(n, text);
  if (*place == 0) {
    n->texts = grown(n->texts, &n->capacity, n->count + 1, sizeof *n->texts);
    n->texts[n->count++] = text;
    *place = n->count;
  }
  return *place - 1;
}

uint32_t tw_find(const tw_numbering *n, tw_str text) {
  if (n->count == 0) return TW_NONE;
  uint32_t place = *place_of(n, text);
  return place == 0 ? TW_NONE : place - 1;
}

void tw_map_put(tw_map *map, tw_str key, tw_str value) {
  uint32_t at = tw_number(&map->keys, key);
  map->values = grown(map->values, &map->capacity, at + 1, sizeof *map->values);
  map->values[at] = value;
}

bool tw_map_get(const tw_map *map, tw_str key, tw_str *value) {
  uint32_t at = tw_find(&map->keys, key);
  if (at == TW_NONE) return false;
  *value = map->values[at];
  return true;
}

// Whether all of it is UTF-8, without surrogates and overlong forms.
static bool is_utf8(const char *text, size_t len) {
  const uint8_t *at = (const uint8_t *)text, *end = at + len;
  while (at < end) {
    if (end - at >= 8) {
      uint64_t word;
      __builtin_memcpy(&word, at, 8);
      if ((word & 0x8080808080808080) == 0) {
        at += 8;
        continue;
      }
    }
    uint8_t first = *at++;
    if (first < 0x80) continue;
    // How many bytes follow, and what the first of them may be.
    int more = first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
    uint8_t low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    uint8_t high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (first < 0xc2 || first > 0xf4 || end - at < more || *at < low || *at > high) return false;
    for (int i = 1; i < more; i++) {
      if ((at[i] & 0xc0) != 0x80) return false;
    }
    at += more;
  }
  return true;
}
