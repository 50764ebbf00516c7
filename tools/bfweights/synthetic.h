// SPDX-License-Identifier: Apache-2.0
// Synthetic weights: what a seed makes of a member that a network wants. Integer arithmetic throughout (scales: one
// division and one square root of IEEE doubles), so every machine makes the same archive.
#ifndef BFWEIGHTS_SYNTHETIC_H
#define BFWEIGHTS_SYNTHETIC_H

#include "frontend/bfn.h"

struct synthetic {
  uint64_t seed;
  unsigned bits;   // weights use at most as many of their type's bits; 0: all
  bool uniform;    // else normal, clipped at 3 sigma
};

// Number `index` of the sequence of SplitMix64 with the seed `key`.
uint64_t synthetic_random(uint64_t key, uint64_t index);

// One standard normal number times 2^16, within ±3 * 2^16: number `index` of the sequence that `key` names.
int32_t synthetic_normal(uint64_t key, uint64_t index);

// Fills `out` as the option `make` of bf_bfn_options says; `settings` is a struct synthetic.
bool synthetic_make(void *settings, const struct bf_bfn_want *want, struct bf_array *out);

// The archive's own member that says what the weights are.
void synthetic_about(const struct synthetic *settings, struct bf_archive *archive);

#endif
