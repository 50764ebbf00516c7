// SPDX-License-Identifier: Apache-2.0
// Code, instruction tables with a hash index, and the microcode a program needs.
#include <stdlib.h>
#include <string.h>

#include "backend/emit.h"
#include "isa/summary.h"

void *bf_emit_keep(struct bf_emitter *e, const void *items, size_t count, size_t size) {
  if (!count) return NULL;
  void *copy = bf_arena_alloc(&e->program->arena, count, size);
  memcpy(copy, items, count * size);
  return copy;
}

void bf_emit_code(struct bf_emitter *e, struct ap_instr instr) { BF_PUSH(e->code, e->ncode, e->code_capacity) = instr; }

static uint64_t field_key(struct ap_field f) { return (uint64_t)f.col | (uint64_t)f.width << 16; }

static struct bf_entry_key key_of_entry(const struct ap_instr *instr) {
  return (struct bf_entry_key){{(uint64_t)instr->op | field_key(instr->f[0]) << 8 | field_key(instr->f[1]) << 32,
                                field_key(instr->f[2]) | (uint64_t)instr->index << 32, instr->imm ^ instr->tap}};
}

static uint64_t hash_key(const struct bf_entry_key *key) {
  uint64_t h = 0;
  for (int i = 0; i < 3; i++) {  // odd multipliers carry upwards only: bring the upper half down each time
    h = (h ^ key->words[i]) * 0x9E3779B97F4A7C15u;
    h ^= h >> 32;
  }
  return h;
}

static void rehash(struct bf_emitter *e, size_t size) {
  free(e->index);
  e->index = bf_alloc(size, sizeof *e->index);
  e->index_size = size;
  for (size_t i = 0; i < e->nitems; i++) {
    size_t at = hash_key(&e->keys[i]) & (size - 1);
    while (e->index[at]) at = (at + 1) & (size - 1);
    e->index[at] = (uint32_t)i + 1;
  }
}

#define MAX_ITEMS 65536u  // a step has 16 bits

static bool same_key(const struct bf_entry_key *a, const struct bf_entry_key *b) {
  return !((a->words[0] ^ b->words[0]) | (a->words[1] ^ b->words[1]) | (a->words[2] ^ b->words[2]));
}

uint32_t bf_emit_table_entry(struct bf_emitter *e, const struct ap_instr *instr) {
  struct bf_entry_key key = key_of_entry(instr);
  if (2 * (e->nitems + 1) > e->index_size) rehash(e, e->index_size ? 2 * e->index_size : 256);
  size_t at = hash_key(&key) & (e->index_size - 1);
  for (; e->index[at]; at = (at + 1) & (e->index_size - 1))
    if (same_key(&e->keys[e->index[at] - 1], &key)) return e->index[at] - 1;
  if (e->nitems == MAX_ITEMS) return BF_TABLE_FULL;
  e->index[at] = (uint32_t)e->nitems + 1;
  BF_PUSH(e->items, e->nitems, e->items_capacity) = *instr;
  BF_PUSH(e->keys, e->nkeys, e->keys_capacity) = key;
  return (uint32_t)(e->nitems - 1);
}

void bf_emit_close_table(struct bf_emitter *e) {
  if (!e->nitems) return;
  struct ap_table table = {bf_emit_keep(e, e->items, e->nitems, sizeof *e->items), (uint32_t)e->nitems};
  BF_PUSH(e->tables, e->ntables, e->tables_capacity) = table;
  e->nitems = e->nkeys = 0;
  free(e->index);
  e->index = NULL;
  e->index_size = 0;
}

// --- microcode -------------------------------------------------------------------------------------------------

struct keys { uint32_t *items; size_t count, capacity; };

static void collect(struct keys *keys, const struct ap_instr *items, size_t count) {
  for (size_t i = 0; i < count; i++) {
    uint32_t key = ap_micro_key(&items[i]);
    if (key && (!keys->count || keys->items[keys->count - 1] != key)) BF_PUSH(keys->items, keys->count, keys->capacity) = key;
  }
}

static int compare_keys(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

static bool generate(struct bf_emitter *e, uint32_t key, unsigned features, struct ap_micro *out) {
  const uint8_t width[3] = {(uint8_t)(key >> 16), (uint8_t)(key >> 8), (uint8_t)key};
  struct ap_micro micro;
  if (!ap_micro_generate((enum ap_op)(key >> 24), width, features, &micro)) return false;
  *out = micro;
  out->steps = bf_emit_keep(e, micro.steps, micro.nsteps, sizeof *micro.steps);
  out->lits = bf_emit_keep(e, micro.lits, micro.nlits, sizeof *micro.lits);
  ap_micro_free(&micro);
  return true;
}

bool bf_emit_micros(struct bf_emitter *e, unsigned features, struct bf_diags *diags) {
  struct keys keys = {0};
  collect(&keys, e->code, e->ncode);
  for (size_t i = 0; i < e->ntables; i++) collect(&keys, e->tables[i].items, e->tables[i].count);
  if (keys.count) qsort(keys.items, keys.count, sizeof *keys.items, compare_keys);
  e->program->micros = bf_arena_alloc(&e->program->arena, keys.count + 1, sizeof *e->program->micros);
  bool ok = true;
  for (size_t i = 0; i < keys.count && ok; i++) {
    if (i && keys.items[i] == keys.items[i - 1]) continue;
    ok = generate(e, keys.items[i], features, &e->program->micros[e->program->nmicros]);
    if (ok) e->program->nmicros++;
    else bf_error_file(diags, NULL, NULL, "internal: no microcode for %s at widths %u, %u, %u",
                       ap_op_info(keys.items[i] >> 24)->mnemonic, keys.items[i] >> 16 & 255, keys.items[i] >> 8 & 255,
                       keys.items[i] & 255);
  }
  free(keys.items);
  return ok;
}
