// SPDX-License-Identifier: Apache-2.0
// Open addressing with linear probing; the table is never more than half full.
#include "ir/names.h"

#include <stdlib.h>
#include <string.h>

static struct bf_names_slot *find_slot(struct bf_names_slot *slots, size_t capacity,
                                       const char *name) {
  size_t i = (size_t)bf_hash(name, strlen(name)) & (capacity - 1);
  while (slots[i].name && strcmp(slots[i].name, name) != 0) i = (i + 1) & (capacity - 1);
  return &slots[i];
}

uint32_t bf_names_find(const struct bf_names *names, const char *name) {
  if (!names->count) return BF_NAME_NONE;
  const struct bf_names_slot *slot = find_slot(names->slots, names->capacity, name);
  return slot->name ? slot->value : BF_NAME_NONE;
}

static void grow(struct bf_names *names) {
  size_t capacity = names->capacity ? names->capacity * 2 : 64;
  struct bf_names_slot *slots = bf_alloc(capacity, sizeof *slots);
  for (size_t i = 0; i < names->capacity; i++)
    if (names->slots[i].name) *find_slot(slots, capacity, names->slots[i].name) = names->slots[i];
  free(names->slots);
  names->slots = slots;
  names->capacity = capacity;
}

bool bf_names_add(struct bf_names *names, const char *name, uint32_t value) {
  if (names->count * 2 >= names->capacity) grow(names);
  struct bf_names_slot *slot = find_slot(names->slots, names->capacity, name);
  if (slot->name) return false;
  *slot = (struct bf_names_slot){name, value};
  names->count++;
  return true;
}

void bf_names_free(struct bf_names *names) {
  free(names->slots);
  *names = (struct bf_names){0};
}
