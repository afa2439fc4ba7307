// The arena: memory that is taken in a row, and given back all at once when a call ends.
#include "../traceweir_plugin.h"

// Nothing is less aligned than this.
#define ALIGNMENT 16

#ifdef __wasm__

static size_t aligned(size_t bytes) { return (bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1); }

// Where the linker has put nothing.
extern uint8_t __heap_base;

// What is below `kept` stays for good; the memory ends at `limit`.
static uint8_t *top, *kept, *limit;

static void *take(size_t bytes) {
  if (top == NULL) {
    top = kept = (uint8_t *)aligned((size_t)&__heap_base);
    limit = (uint8_t *)(__builtin_wasm_memory_size(0) << 16);
  }
  bytes = aligned(bytes);
  if (bytes > (size_t)(limit - top)) {
    // A few pages more than are missing, as the next one will miss some, too.
    size_t pages = ((bytes - (size_t)(limit - top)) >> 16) + 4;
    if (bytes > SIZE_MAX / 2 || __builtin_wasm_memory_grow(0, pages) == SIZE_MAX) __builtin_trap();
    limit += pages << 16;
  }
  void *memory = top;
  top += bytes;
  return memory;
}

// Makes the memory that was taken last larger, where it lies.
static bool extend(void *memory, size_t from, size_t to) {
  if ((uint8_t *)memory + aligned(from) != top || aligned(to) > (size_t)(limit - (uint8_t *)memory)) return false;
  top = (uint8_t *)memory + aligned(to);
  return true;
}

// What was taken since the instance was made, or since the last call, is taken for good.
static void keep(void) { kept = top; }

static void release(void) { top = kept; }

#else

// In tests each piece is by itself, so that a sanitizer sees where it ends.
#include <stdlib.h>

static struct piece {
  struct piece *next;
  _Alignas(ALIGNMENT) uint8_t bytes[];
} *pieces, *kept_pieces;

static void *take(size_t bytes) {
  struct piece *piece = malloc(sizeof *piece + bytes);
  if (piece == NULL) abort();
  piece->next = pieces;
  pieces = piece;
  return piece->bytes;
}

static bool extend(void *memory, size_t from, size_t to) {
  (void)memory, (void)from, (void)to;
  return false;
}

void tw_keep_memory(void);
void tw_release_memory(void);
void tw_forget_memory(void);

// What exports.c does at the end of tw_configure, and of every other call.
void tw_keep_memory(void) { kept_pieces = pieces; }

void tw_release_memory(void) {
  while (pieces != kept_pieces) {
    struct piece *piece = pieces;
    pieces = piece->next;
    free(piece);
  }
}

// The end of the instance.
void tw_forget_memory(void) {
  kept_pieces = NULL;
  tw_release_memory();
}

#endif

void *tw_alloc(size_t bytes) {
  void *memory = take(bytes);
  __builtin_memset(memory, 0, bytes);
  return memory;
}

// Room for `wanted` elements where there are `*capacity`; what is new is zeroed. The memory may be elsewhere after it.
static void *grown(void *memory, uint32_t *capacity, uint32_t wanted, size_t size) {
  if (wanted <= *capacity) return memory;
  uint32_t room = *capacity * 2 > wanted ? *capacity * 2 : wanted < 8 ? 8 : wanted;
  size_t from = *capacity * size, to = room * size;
  if (memory == NULL || !extend(memory, from, to)) {
    void *old = memory;
    memory = take(to);
    if (from > 0) __builtin_memcpy(memory, old, from);
  }
  __builtin_memset((uint8_t *)memory + from, 0, to - from);
  *capacity = room;
  return memory;
}

#ifdef __wasm__
// What compilers call. Where a library brings its own, that one is taken.
#define LIBRARY __attribute__((weak, no_builtin))

LIBRARY void *memcpy(void *restrict to, const void *restrict from, size_t bytes) {
  for (size_t i = 0; i < bytes; i++) ((uint8_t *)to)[i] = ((const uint8_t *)from)[i];
  return to;
}

LIBRARY void *memset(void *to, int byte, size_t bytes) {
  for (size_t i = 0; i < bytes; i++) ((uint8_t *)to)[i] = (uint8_t)byte;
  return to;
}

LIBRARY int memcmp(const void *a, const void *b, size_t bytes) {
  for (size_t i = 0; i < bytes; i++) {
    int difference = ((const uint8_t *)a)[i] - ((const uint8_t *)b)[i];
    if (difference != 0) return difference;
  }
  return 0;
}
#endif
