// SPDX-License-Identifier: Apache-2.0
// Field IR: table, construction, destruction, verifier.
#include "ir/field.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct bf_fop_info infos[] = {
#define BF_FOP(id, name, operands, imm, desc, text) [BF_FOP_##id] = {name, operands, imm, desc, text},
#include "ir/field_ops.def"
};

const struct bf_fop_info *bf_fop_info(enum bf_fop_kind kind) {
  return (unsigned)kind < BF_FOP_COUNT ? &infos[kind] : NULL;
}

struct bf_fprogram *bf_fprogram_new(size_t ntensors) {
  struct bf_fprogram *program = bf_alloc(1, sizeof *program);
  program->mem_of = bf_alloc(ntensors + 1, sizeof *program->mem_of);
  for (size_t i = 0; i <= ntensors; i++) program->mem_of[i] = BF_NO_INDEX;
  return program;
}

static void region_free(struct bf_region *region) {
  for (size_t i = 0; i < region->nfields; i++) free(region->fields[i].name);
  free(region->fields);
  free(region->ops);
  free(region->facts);
  free(region->patterns);
}

void bf_fprogram_drop_regions(struct bf_fprogram *program, bool whole) {
  for (size_t i = 0; i < program->nregions; i++) region_free(&program->regions[i]);
  program->dropped += program->nregions;
  program->nregions = program->nops = 0;
  for (; program->first_layer < program->nlayers; program->first_layer++) {
    struct bf_flayer *layer = &program->layers[program->first_layer];
    layer->first_region = layer->nregions = 0;
    if (!whole && program->first_layer + 1 == program->nlayers) break;
  }
}

void bf_fmem_elements(const struct bf_fmem *mem, uint64_t first, uint64_t count, uint64_t *out) {
  const struct bf_tensor *from = mem->tensor ? mem->tensor : mem->weights;
  uint64_t mask = mem->bits < 64 ? ((uint64_t)1 << mem->bits) - 1 : UINT64_MAX;
  uint64_t run = mem->shape[0] ? mem->elements / mem->shape[0] : 0;  // elements of one index of dimension 0
  if (mem->data) {
    memcpy(out, mem->data + first, count * sizeof *out);
    return;
  }
  for (uint64_t i = first; i < first + count; i++) {
    int64_t zero = mem->tensor ? mem->bias : bf_quant_zero(&from->quant, from->quant.count > 1 ? i / run : 0);
    out[i - first] = (uint64_t)(from->data[i] - zero) & mask;
  }
}

void bf_fprogram_free(struct bf_fprogram *program) {
  if (!program) return;
  for (size_t i = 0; i < program->nmems; i++) {
    free(program->mems[i].name);
    free(program->mems[i].data);
  }
  for (size_t i = 0; i < program->nregions; i++) region_free(&program->regions[i]);
  free(program->mems);
  free(program->grids);
  free(program->descs);
  free(program->regions);
  free(program->layers);
  free(program->mem_of);
  free(program);
}

uint32_t bf_field_new(struct bf_region *region, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  struct bf_field field = {.name = bf_vformat(fmt, args), .col = -1};
  va_end(args);
  BF_PUSH(region->fields, region->nfields, region->fields_capacity) = field;
  return (uint32_t)(region->nfields - 1);
}

struct bf_fop *bf_fop_append(struct bf_region *region, struct bf_fop op) {
  BF_PUSH(region->ops, region->nops, region->ops_capacity) = op;
  return &region->ops[region->nops - 1];
}

static const struct bf_slice *operand(const struct bf_fop *op, char letter) {
  return letter == 'd' ? &op->d : letter == 'a' ? &op->a : &op->b;
}

// What is wrong with one op, or NULL.
static const char *op_problem(const struct bf_fprogram *program, const struct bf_region *region,
                              const struct bf_fop *op, bool *written) {
  const struct bf_fop_info *info = bf_fop_info(op->kind);
  if (!info) return "unknown operator";
  for (const char *o = info->operands; *o; o++) {
    const struct bf_slice *s = operand(op, *o);
    if (op->kind == BF_FOP_PATTERN && *o == 'b' && !s->width) continue;
    if (!s->width || s->width > 64) return "operand missing or wider than 64 bits";
    if (s->field >= region->nfields) return "operand names no field";
    if (s->offset + s->width > region->fields[s->field].width) return "slice leaves its field";
    bool defines = *o == 'd' && (op->kind == BF_FOP_LOAD || op->kind == BF_FOP_LOADP || op->kind == BF_FOP_SETK ||
                                 op->kind == BF_FOP_COPY || op->kind == BF_FOP_NOT || op->kind == BF_FOP_MUL || op->kind == BF_FOP_MULS ||
                                 op->kind == BF_FOP_GTK || op->kind == BF_FOP_GT || op->kind == BF_FOP_PATTERN);
    if (!defines && !written[s->field]) return "field is read before it is written";
  }
  if (strchr(info->operands, 'd')) written[op->d.field] = true;
  if (info->has_desc) {
    if (op->desc >= program->ndescs) return "descriptor out of range";
    const struct bf_fdesc *desc = &program->descs[op->desc];
    uint64_t taps = 1;
    for (int k = 0; k < 4; k++) taps *= desc->tap_count[k];
    if (op->tap >= taps) return "tap out of range";
    unsigned width = op->kind == BF_FOP_STORE ? op->a.width : op->d.width;
    if (width != bf_fdesc_bits(desc, &program->mems[desc->mem])) return "field width differs from the element width";
    if (desc->grid != region->grid) return "descriptor of another grid";
  }
  if (op->kind == BF_FOP_PATTERN && (op->pattern >= region->npatterns || region->patterns[op->pattern].inputs != op->a.width))
    return "pattern out of range, or of another number of inputs";
  bool tagged = op > region->ops && (op[-1].kind == BF_FOP_COMPARE || op[-1].kind == BF_FOP_COMPOR || op[-1].kind == BF_FOP_WRITE);
  if ((op->kind == BF_FOP_COMPOR || op->kind == BF_FOP_WRITE) && !tagged) return "no compare stands before it";
  if ((op->kind == BF_FOP_ADD || op->kind == BF_FOP_SUB || op->kind == BF_FOP_ADDPAIR || op->kind == BF_FOP_ADDS || op->kind == BF_FOP_COPY) &&
      op->d.width < op->a.width)
    return "destination narrower than the operand";
  return NULL;
}

bool bf_fprogram_verify(const struct bf_fprogram *program, struct bf_diags *diags) {
  size_t before = diags->errors;
  for (size_t l = program->first_layer; l < program->nlayers; l++) {
    const struct bf_flayer *layer = &program->layers[l];
    for (size_t r = layer->first_region; r < layer->first_region + layer->nregions; r++) {
      const struct bf_region *region = &program->regions[r];
      bool *written = bf_alloc(region->nfields + 1, sizeof *written);
      for (size_t i = 0; i < region->nops; i++) {
        const char *why = op_problem(program, region, &region->ops[i], written);
        if (!why) continue;
        bf_error_file(diags, NULL, NULL, "field IR: layer %s, region %zu, op %zu: %s", layer->node->name, program->dropped + r, i, why);
        break;
      }
      free(written);
    }
  }
  return diags->errors == before;
}
