// SPDX-License-Identifier: Apache-2.0
// conv2d and dense to field IR: the mapping that the plan names.
#include "passes/conv.h"

struct scheme { void (*lower)(struct bf_lower *l, const struct bf_conv *conv, const struct bf_plan *plan); };
static const char *const mapping_of[BF_MAPPING_COUNT] = {"auto", "mac", "output", "pixel"};

void bf_lower_conv(struct bf_lower *l) {
  static const struct scheme schemes[BF_SCHEME_COUNT] = {
#define BF_SCHEME(id, mapping, name, lowering, ...) {lowering},
#include "passes/schemes.def"
  };
  struct bf_conv conv;
  bf_conv_of(l->node, &conv);
  const struct bf_plan *plan = &l->unit->choices[l->node->id].plan;
  uint64_t taps = (uint64_t)conv.kernel[0] * conv.kernel[1] * conv.in4[3];
  l->unit->joule = plan->joule;
  bf_lower_layer(l, mapping_of[plan->mapping], conv.w->type.bits, conv.x->type.bits);
  if (taps > 65536) {
    bf_lower_fail(l, "use fewer input channels", "%llu taps in a window, at most 65536 are possible", (unsigned long long)taps);
    return;
  }
  schemes[plan->scheme].lower(l, &conv, plan);
}
