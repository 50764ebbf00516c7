// SPDX-License-Identifier: Apache-2.0
// The sets of rows that compares can tag at a state: keys (cubes of the columns) and, if compares accumulate, their unions, each
// with its cheapest way.
#include <stdlib.h>

#include "isa/lut_internal.h"

static void index_init(struct lut_index *index, uint32_t most) {
  uint32_t size = 1;
  while (size < 2 * most)
    size *= 2;
  index->slot = bf_alloc(size, sizeof *index->slot);
  index->mask = size - 1;
}

static uint32_t hash_rows(uint64_t rows) {
  rows *= 0x9E3779B97F4A7C15u;
  return (uint32_t)(rows >> 32);
}

void lut_sets_init(struct lut_sets *s) {
  *s = (struct lut_sets){0};
  s->cubes = bf_alloc(LUT_MAX_CUBES, sizeof *s->cubes);
  s->sets = bf_alloc(LUT_MAX_SETS, sizeof *s->sets);
  s->queue = bf_alloc(LUT_MAX_SETS, sizeof *s->queue);
  index_init(&s->cube_index, LUT_MAX_CUBES);
  index_init(&s->set_index, LUT_MAX_SETS);
}

void lut_sets_free(struct lut_sets *s) {
  free(s->cubes);
  free(s->sets);
  free(s->queue);
  free(s->cube_index.slot);
  free(s->set_index.slot);
}

// The slot of a set of rows: holds 1 + its number, or 0. The slots of the last state are cleared by number, not all of them.
static uint32_t *cube_slot(struct lut_sets *s, uint64_t rows) {
  uint32_t i = hash_rows(rows) & s->cube_index.mask;
  while (s->cube_index.slot[i] && s->cubes[s->cube_index.slot[i] - 1].rows != rows)
    i = (i + 1) & s->cube_index.mask;
  return &s->cube_index.slot[i];
}

static uint32_t *set_slot(struct lut_sets *s, uint64_t rows) {
  uint32_t i = hash_rows(rows) & s->set_index.mask;
  while (s->set_index.slot[i] && s->sets[s->set_index.slot[i] - 1].rows != rows)
    i = (i + 1) & s->set_index.mask;
  return &s->set_index.slot[i];
}

static void clear(struct lut_sets *s) {
  // In reverse order, so that each search for a slot still passes over the ones taken before it.
  while (s->ncubes)
    s->ncubes--, *cube_slot(s, s->cubes[s->ncubes].rows) = 0;
  while (s->nsets)
    s->nsets--, *set_slot(s, s->sets[s->nsets].rows) = 0;
}

static void add_cube(struct lut_sets *s, uint64_t rows, uint32_t code, uint32_t nlits) {
  uint32_t *slot = cube_slot(s, rows);
  if (*slot) {
    struct lut_cube *old = &s->cubes[*slot - 1];
    if (nlits < old->nlits)
      old->code = code, old->nlits = nlits;
    return;
  }
  if (s->ncubes == LUT_MAX_CUBES) {
    s->overflow = true;
    return;
  }
  s->cubes[s->ncubes] = (struct lut_cube){rows, code, nlits, 0};
  *slot = ++s->ncubes;
}

// Column by column, every key found so far is tried with each further literal; of keys that tag the same rows the
// one of fewest literals stays.
static void find_cubes(struct lut_sets *s, const struct lut_space *space, const uint64_t *state) {
  add_cube(s, space->all, 0, 0);
  for (unsigned k = 0; k < space->nkeys; k++) {
    unsigned column = space->key[k];
    uint32_t before = s->ncubes;
    for (unsigned v = AP_LIT_0; v <= (space->has_param ? AP_LIT_NOT_K : AP_LIT_1); v++) {
      uint64_t literal = lut_rows(space, state, column, v);
      for (uint32_t i = 0; i < before; i++) {
        uint64_t rows = s->cubes[i].rows & literal;
        if (rows && rows != s->cubes[i].rows)
          add_cube(s, rows, s->cubes[i].code | (v + 1) << (LUT_CODE_BITS * column), s->cubes[i].nlits + 1);
      }
    }
  }
  for (uint32_t i = 0; i < s->ncubes; i++)
    s->cubes[i].cost = lut_compare_cost(space, s->cubes[i].rows, s->cubes[i].nlits);
}

static void add_set(struct lut_sets *s, struct lut_set set, double limit, uint32_t *tail) {
  if (set.cost > limit)
    return;
  uint32_t *slot = set_slot(s, set.rows), number;
  if (*slot) {
    number = *slot - 1;
    if (set.cost >= s->sets[number].cost)
      return;
    set.queued = s->sets[number].queued;
  } else {
    if (s->nsets == LUT_MAX_SETS) {
      s->overflow = true;
      return;
    }
    number = s->nsets++;
    *slot = s->nsets;
  }
  s->sets[number] = set;
  if (!set.queued) {
    s->sets[number].queued = true;
    s->queue[(*tail)++ % LUT_MAX_SETS] = number;
  }
}

void lut_sets_find(struct lut_sets *s, const struct lut_space *space, const uint64_t *state, double limit) {
  uint32_t head = 0, tail = 0;
  uint64_t tags = state[space->nplanes];
  clear(s);
  find_cubes(s, space, state);
  for (uint32_t c = 1; c < s->ncubes; c++)  // 0 is the key that tags all
    add_set(s, (struct lut_set){s->cubes[c].rows, s->cubes[c].cost, LUT_FRESH, c, false}, limit, &tail);
  if (!space->accumulate)
    return;
  for (uint32_t c = 1; tags && c < s->ncubes; c++)
    if (s->cubes[c].rows & ~tags)
      add_set(s, (struct lut_set){s->cubes[c].rows | tags, s->cubes[c].cost, LUT_CARRIED, c, false}, limit, &tail);
  while (head != tail) {
    uint32_t from = s->queue[head++ % LUT_MAX_SETS];
    s->sets[from].queued = false;
    s->work += s->ncubes;
    for (uint32_t c = 1; c < s->ncubes; c++) {
      struct lut_set set = {s->sets[from].rows | s->cubes[c].rows, s->sets[from].cost + s->cubes[c].cost, from, c, false};
      if (set.rows != s->sets[from].rows)
        add_set(s, set, limit, &tail);
    }
  }
}
