// What a plugin reads and what it may write, as it is put together.
#include "../traceweir_plugin.h"

static bool same_field(const tw_field *a, const tw_field *b) {
  return a->what == b->what && a->intrinsic == b->intrinsic && a->owner == b->owner && a->complex == b->complex &&
         tw_equal(a->key, b->key);
}

// Lists grow by one: they are short, and made once.
static void *longer(const void *list, uint32_t count, size_t size) {
  void *memory = tw_alloc((count + 1) * size);
  if (count > 0) __builtin_memcpy(memory, list, count * size);
  return memory;
}

// Where a field stands, which is put there first if it is nowhere.
static uint32_t place_of_field(tw_field **list, uint32_t *count, const tw_field *field) {
  uint32_t place = 0;
  while (place < *count && !same_field(&(*list)[place], field)) place++;
  if (place == *count) {
    *list = longer(*list, *count, sizeof **list);
    (*list)[(*count)++] = *field;
  }
  return place;
}

uint32_t tw_read(tw_projection *p, tw_field field) { return place_of_field(&p->reads, &p->read_count, &field); }

uint32_t tw_write(tw_projection *p, tw_field field) { return place_of_field(&p->writes, &p->write_count, &field); }

uint32_t tw_budget_by(tw_projection *p, tw_budget_rule rule) {
  p->budgets = longer(p->budgets, p->budget_count, sizeof *p->budgets);
  p->budgets[p->budget_count] = rule;
  return p->budget_count++;
}

void tw_match(tw_projection *p, tw_str key, const tw_str *any_of, uint32_t count) {
  p->match_resource = longer(p->match_resource, p->match_resource_count, sizeof *p->match_resource);
  p->match_resource[p->match_resource_count++] =
      (struct tw_match_rule){key, longer(any_of, count, sizeof *any_of), count};
}
