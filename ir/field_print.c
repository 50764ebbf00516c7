// SPDX-License-Identifier: Apache-2.0
// Field IR as text.
#include <inttypes.h>

#include "ir/field.h"

static void print_slice(const struct bf_region *region, const struct bf_slice *slice, struct bf_buf *out) {
  const struct bf_field *field = &region->fields[slice->field];
  bf_buf_printf(out, " %%%s", field->name);
  if (slice->offset || slice->width != field->width)
    bf_buf_printf(out, "[%u:%u]", slice->offset, slice->offset + slice->width);
}

static void print_op(const struct bf_fprogram *program, const struct bf_region *region, const struct bf_fop *op,
                     struct bf_buf *out) {
  const struct bf_fop_info *info = bf_fop_info(op->kind);
  bf_buf_printf(out, "    %s%s", op->in_stream ? "~ " : "", info->name);
  const char *separator = "";
  for (const char *o = info->operands; *o; o++, separator = ",") {
    if (op->kind == BF_FOP_PATTERN && *o == 'b' && !op->b.width) continue;
    bf_buf_puts(out, separator);
    print_slice(region, *o == 'd' ? &op->d : *o == 'a' ? &op->a : &op->b, out);
  }
  if (info->has_imm && op->kind == BF_FOP_MACK) bf_buf_printf(out, ", #%" PRId64, (int64_t)op->imm);
  else if (info->has_imm) bf_buf_printf(out, ", #%" PRIu64, op->imm);
  if (info->has_desc)
    bf_buf_printf(out, ", @%s.desc%u[%u]", program->mems[program->descs[op->desc].mem].name, op->desc, op->tap);
  if (op->kind == BF_FOP_PATTERN) {
    const struct bf_pattern *p = &region->patterns[op->pattern];
    bf_buf_printf(out, ", key %u: %#" PRIx64 " +", p->key, p->base);
    for (unsigned i = 0; i < p->inputs; i++) bf_buf_printf(out, " %#" PRIx64, p->add[i]);
  }
  bf_buf_puts(out, "\n");
}

static void print_region(const struct bf_fprogram *program, size_t index, struct bf_buf *out) {
  const struct bf_region *region = &program->regions[index];
  const struct bf_fgrid *grid = &program->grids[region->grid];
  bf_buf_printf(out, "  region %zu rows (%u, %u, %u, %u) tile %u {\n", program->dropped + index, grid->count[0], grid->count[1],
                grid->count[2], grid->count[3], grid->tile_rows);
  for (size_t i = 0; i < region->nfields; i++) {
    const struct bf_field *field = &region->fields[i];
    bf_buf_printf(out, "    field %%%s: u%u", field->name, field->width);
    if (field->col >= 0) bf_buf_printf(out, " at c%d", field->col);
    bf_buf_puts(out, "\n");
  }
  for (size_t i = 0; i < region->nops; i++) print_op(program, region, &region->ops[i], out);
  bf_buf_printf(out, "  }%s\n", region->barrier_after ? " barrier" : "");
}

void bf_fprogram_print(const struct bf_fprogram *program, struct bf_buf *out) {
  for (size_t l = program->first_layer; l < program->nlayers; l++) {
    const struct bf_flayer *layer = &program->layers[l];
    bf_buf_printf(out, "layer %s = %s mapping %s {\n", layer->node->name, bf_op_info(layer->node->op)->name, layer->mapping);
    for (size_t r = 0; r < layer->nregions; r++) print_region(program, layer->first_region + r, out);
    bf_buf_puts(out, "}\n");
  }
}
