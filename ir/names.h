// SPDX-License-Identifier: Apache-2.0
// A set of names with an index each: near-constant time however many names a hostile input has.
#ifndef BF_NAMES_H
#define BF_NAMES_H

#include "base/bf_base.h"

#define BF_NAME_NONE UINT32_MAX

// All zero is an empty set. The names are not copied: they must outlive the set.
struct bf_names {
  struct bf_names_slot {
    const char *name;  // NULL: free
    uint32_t value;
  } *slots;
  size_t count, capacity;
};

// The value of `name`, or BF_NAME_NONE.
uint32_t bf_names_find(const struct bf_names *names, const char *name);
// Adds a name; false (and no change) if it is there already.
bool bf_names_add(struct bf_names *names, const char *name, uint32_t value);
void bf_names_free(struct bf_names *names);

#endif
