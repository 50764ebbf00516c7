// SPDX-License-Identifier: Apache-2.0
// How the lowering functions print a layer, and the conditions that many of them share.
#include <math.h>
#include <string.h>

#include "frontend/tflite_lower.h"
#include "ir/graph.h"

const struct bf_tfl_options *bf_tfl_options(const struct bf_tfl_lower *lower, uint32_t op) {
  return &lower->model->ops[op].options;
}

void bf_tfl_begin(struct bf_tfl_lower *lower, const char *name, const char *callee, const char *operands) {
  bf_buf_printf(&lower->layers, "  %s = %s(%s", name, callee, operands);
}

void bf_tfl_end_same(struct bf_tfl_lower *lower, const struct bf_tfl_value *out) {
  bf_buf_printf(&lower->layers, ");  # %s\n", bf_tfl_label(lower, out->index));
}

void bf_tfl_end(struct bf_tfl_lower *lower, const struct bf_tfl_value *out, const char *requantize) {
  char scale[40];
  bf_buf_printf(&lower->layers, ")\n      -> %s scale %s zero %lld%s;  # %s\n", out->type_text,
                bf_float_text(scale, out->scale), (long long)out->zero, requantize, bf_tfl_label(lower, out->index));
}

bool bf_tfl_activation(struct bf_tfl_lower *lower, uint32_t op) {
  int32_t code = bf_tfl_options(lower, op)->activation;
  const struct bf_tfl_act_info *info = bf_tfl_act_info(code);
  if (!info || !info->text) {
    bf_tfl_problem(lower, op, "NONE, RELU, RELU6 and RELU_N1_TO_1 work", "fused activation %s",
                   info ? info->name : "of unknown code");
    return false;
  }
  if (code) bf_buf_printf(&lower->layers, ", activation %s", info->text);
  return true;
}

void bf_tfl_pair(struct bf_tfl_lower *lower, const char *name, int64_t y, int64_t x) {
  if (y == x) bf_buf_printf(&lower->layers, ", %s %lld", name, (long long)y);
  else bf_buf_printf(&lower->layers, ", %s [%lld, %lld]", name, (long long)y, (long long)x);
}

const char *bf_tfl_helper(struct bf_tfl_lower *lower, uint32_t op, const char *suffix) {
  return bf_tfl_unique(lower, bf_arena_format(&lower->arena, "%s_%s", lower->layer[op], suffix));
}

void bf_tfl_reshape(struct bf_tfl_lower *lower, const char *name, const char *from, unsigned rank,
                    const uint64_t *shape) {
  if (rank == 1) bf_buf_printf(&lower->layers, "  %s = flatten(%s);\n", name, from);
  else
    bf_buf_printf(&lower->layers, "  %s = reshape(%s, shape [%s]);\n", name, from,
                  bf_tfl_shape_text(&lower->arena, rank, shape));
}

bool bf_tfl_same_shape(const struct bf_tfl_value *a, const struct bf_tfl_value *b) {
  return a->rank == b->rank && memcmp(a->shape, b->shape, a->rank * sizeof *a->shape) == 0;
}

bool bf_tfl_same_quantization(const struct bf_tfl_value *a, const struct bf_tfl_value *b) {
  return a->type == b->type && a->scale == b->scale && a->zero == b->zero;
}

bool bf_tfl_require_shape(struct bf_tfl_lower *lower, uint32_t op, const struct bf_tfl_value *a,
                          const struct bf_tfl_value *b) {
  if (bf_tfl_same_shape(a, b)) return true;
  bf_tfl_problem(lower, op, NULL, "operand and result have different shapes");
  return false;
}

bool bf_tfl_require_same(struct bf_tfl_lower *lower, uint32_t op, const struct bf_tfl_value *a,
                         const struct bf_tfl_value *b) {
  if (bf_tfl_same_quantization(a, b)) return true;
  bf_tfl_problem(lower, op, "a QUANTIZE operator before it works",
                 "operand and result differ in type, scale or zero point");
  return false;
}

const char *bf_tfl_multiplier_clause(struct bf_tfl_lower *lower, uint32_t op, double real) {
  int64_t mult;
  int32_t shift;
  bf_quantize_multiplier(real, &mult, &shift);
  if (!isfinite(real) || shift > 30) {
    bf_tfl_problem(lower, op, NULL, "scales whose ratio %g is out of range", real);
    return NULL;
  }
  lower->given_multipliers = true;
  return bf_arena_format(&lower->arena, " requantize tflite(mult %lld, shift %d)", (long long)mult, shift);
}
