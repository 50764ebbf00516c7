// SPDX-License-Identifier: Apache-2.0
// Tables: compare x with aligned ranges, write y into the rows that match. A compare with the upper bits of x matches 2^k
// neighbouring values at once; a write is one cycle, however wide y is.
#include "isa/isa.h"
#include "passes/builder.h"
#include "passes/cover.h"

static void append_ranges(struct bf_lower *l, const struct bf_cover *cover, struct bf_slice x, struct bf_slice y) {
  for (unsigned i = 0; i < cover->count; i++) {
    const struct bf_cover_range *r = &cover->ranges[i];
    struct bf_slice upper = {x.field, (uint16_t)(x.offset + r->shift), (uint16_t)(x.width - r->shift)};
    bf_fop_append(l->region, (struct bf_fop){.kind = r->joins ? BF_FOP_COMPOR : BF_FOP_COMPARE, .a = upper, .imm = r->key});
    if (i + 1 == cover->count || !cover->ranges[i + 1].joins)
      bf_fop_append(l->region, (struct bf_fop){.kind = BF_FOP_WRITE, .d = y, .imm = r->y});
  }
}

void bf_lower_table(struct bf_lower *l) {
  const struct bf_node *node = l->node;
  const struct bf_tensor *x = node->inputs[0], *t = node->inputs[1], *out = node->output;
  uint32_t rows[4];
  uint64_t y[1u << BF_COVER_BITS] = {0}, lo, hi;
  bf_shape4(out, rows);
  bf_mem_range(x, &lo, &hi);
  for (uint64_t i = lo; i <= hi; i++) y[i] = (uint64_t)(t->data[i] - bf_type_min(out->type));
  struct bf_cover cover;
  unsigned bits = x->type.bits;
  bf_cover_plan(&cover, bits, y, (unsigned)lo, (unsigned)hi, l->unit->machine->features & AP_FEATURE_ACCUMULATE);
  bf_lower_layer(l, "elementwise", 0, bits);
  bf_lower_region(l, rows);
  struct bf_val vx = bf_build_load(l, bf_lower_desc(l, bf_elementwise_desc(bf_lower_mem(l, x))), 0, lo, hi, "x");
  uint32_t to = bf_lower_desc(l, bf_elementwise_desc(bf_lower_mem(l, out)));
  struct bf_val vy = bf_build_const(l, cover.preset, 0, "y");
  struct bf_slice sy = bf_val_low(l, &vy, bf_mem_bits(out->type));
  append_ranges(l, &cover, bf_val_low(l, &vx, bits), sy);
  bf_build_store(l, sy, to, 0);
  bf_lower_end_region(l, false);
}
