// What the tests of the C SDK have in common. They run natively, with the sanitizers of the compiler.
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../traceweir_plugin.h"

// Of src/memory.c: the ends of tw_configure, of another call, of the instance.
void tw_keep_memory(void);
void tw_release_memory(void);
void tw_forget_memory(void);

static int failures;

#define CHECK(condition, ...)                                \
  do {                                                       \
    if (!(condition)) {                                      \
      failures++;                                            \
      printf("%s:%d: %s: ", __FILE__, __LINE__, #condition); \
      printf(__VA_ARGS__);                                   \
      printf("\n");                                          \
    }                                                        \
  } while (0)

#define CHECK_STR(got, wanted) CHECK(tw_equal(got, TW_STR(wanted)), "%.*s", (int)(got).len, (got).at)

// A file in memory of its own, as long as it is: a sanitizer sees a read past its end.
static inline tw_str read_file(const char *name) {
  FILE *file = fopen(name, "rb");
  if (file == NULL) {
    printf("%s is not there\n", name);
    exit(2);
  }
  fseek(file, 0, SEEK_END);
  size_t len = (size_t)ftell(file);
  rewind(file);
  char *at = malloc(len > 0 ? len : 1);
  if (fread(at, 1, len, file) != len) exit(2);
  fclose(file);
  return (tw_str){at, len};
}

// Numbers that look random and are the same in every run.
static inline uint32_t draw(uint32_t below) {
  static uint64_t state = 1;
  state = state * 6364136223846793005 + 1442695040888963407;
  return (uint32_t)(state >> 33) % below;
}

static inline int done(const char *what) {
  printf("%s: %d failures\n", what, failures);
  return failures > 0;
}

#endif
