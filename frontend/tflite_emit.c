// SPDX-License-Identifier: Apache-2.0
// What all operators of an import share: obstacles and checked views of tensors.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/tflite_lower.h"

void bf_tfl_problem(struct bf_tfl_lower *lower, uint32_t op, const char *hint, const char *format, ...) {
  int64_t code = lower->model->ops[op].code;
  for (size_t i = 0; i < lower->nproblems; i++)
    if (lower->problems[i].format == format && lower->problems[i].code == code) {
      lower->problems[i].count++;
      return;
    }
  va_list args;
  va_start(args, format);
  char *message = bf_vformat(format, args);
  va_end(args);
  BF_PUSH(lower->problems, lower->nproblems, lower->problems_capacity) = (struct bf_tfl_problem){
      .format = format,
      .code = code,
      .hint = hint,
      .count = 1,
      .message = bf_arena_format(&lower->arena, "operator %u %s: %s", op,
                                 bf_tfl_op_label(&lower->arena, lower->model, op), message),
  };
  free(message);
}

const char *bf_tfl_op_label(struct bf_arena *arena, const struct bf_tfl_model *model, uint32_t op) {
  const struct bf_tfl_op *o = &model->ops[op];
  const char *name = bf_tfl_op_info(o->code).name;
  if (!name) name = bf_arena_format(arena, "of code %lld", (long long)o->code);
  else if (o->code == BF_TFL_OP_CUSTOM)
    name = bf_arena_format(arena, "CUSTOM \"%s\"", bf_tfl_printable(arena, o->custom_code));
  const char *output = "";
  if (o->outputs.count) output = bf_tfl_printable(arena, model->tensors[bf_fb_vector_i32(&o->outputs, 0)].name);
  return bf_arena_format(arena, "%s (output \"%s\")", name, output);
}

const char *bf_tfl_shape_text(struct bf_arena *arena, unsigned rank, const uint64_t *shape) {
  const char *text = "";
  for (unsigned i = 0; i < rank; i++)
    text = bf_arena_format(arena, "%s%s%llu", text, i ? ", " : "", (unsigned long long)shape[i]);
  return text;
}

float bf_tfl_scale(const struct bf_tfl_tensor *tensor, uint32_t i) {
  return tensor->scale.count ? bf_fb_vector_f32(&tensor->scale, i < tensor->scale.count ? i : 0) : 1;
}

bool bf_tfl_absent(const struct bf_tfl_lower *lower, uint32_t op, uint32_t i) {
  const struct bf_fb_vector *inputs = &lower->model->ops[op].inputs;
  return i >= inputs->count || bf_fb_vector_i32(inputs, i) < 0;
}

static const char *name_of(struct bf_tfl_lower *lower, const struct bf_tfl_tensor *tensor) {
  return bf_tfl_printable(&lower->arena, tensor->name);
}

const char *bf_tfl_label(struct bf_tfl_lower *lower, uint32_t index) {
  return name_of(lower, &lower->model->tensors[index]);
}

bool bf_tfl_is_constant(const struct bf_tfl_lower *lower, uint32_t op, uint32_t i) {
  if (bf_tfl_absent(lower, op, i)) return false;
  const struct bf_tfl_tensor *tensor =
      &lower->model->tensors[bf_fb_vector_i32(&lower->model->ops[op].inputs, i)];
  return lower->model->nbuffers && lower->model->buffers[tensor->buffer].data;
}

bool bf_tfl_check_shape(struct bf_tfl_lower *lower, uint32_t op, const struct bf_tfl_tensor *tensor, unsigned least,
                        uint64_t shape[4], uint64_t *elements) {
  const char *name = name_of(lower, tensor);
  if (tensor->dynamic) {
    bf_tfl_problem(lower, op, "convert the model with a fixed input shape", "tensor \"%s\" has a dynamic shape", name);
    return false;
  }
  if (tensor->sparse) {
    bf_tfl_problem(lower, op, "convert the model without sparsity encoding", "tensor \"%s\" is stored sparsely", name);
    return false;
  }
  if (tensor->rank < least || tensor->rank > 4) {
    bf_tfl_problem(lower, op, "tensors of up to 4 dimensions work", "tensor \"%s\" has %u dimensions", name, tensor->rank);
    return false;
  }
  *elements = 1;
  for (uint32_t i = 0; i < tensor->rank; i++) {
    shape[i] = tensor->shape[i] > 0 ? (uint64_t)tensor->shape[i] : 0;
    if (!shape[i]) {
      bf_tfl_problem(lower, op, NULL, "dimension %u of tensor \"%s\" is %d", i, name, tensor->shape[i]);
      return false;
    }
    if (!bf_mul_limit(*elements, shape[i], BF_MAX_ELEMENTS, elements)) {
      bf_tfl_problem(lower, op, NULL, "tensor \"%s\" has more than 2^31 elements", name);
      return false;
    }
  }
  return true;
}

bool bf_tfl_check_scales(struct bf_tfl_lower *lower, uint32_t op, const struct bf_tfl_tensor *tensor) {
  if (tensor->custom_quantization) {
    bf_tfl_problem(lower, op, "scales and zero points work", "tensor \"%s\" has a custom quantization",
                   name_of(lower, tensor));
    return false;
  }
  for (uint32_t i = 0; i < tensor->scale.count; i++) {
    float scale = bf_fb_vector_f32(&tensor->scale, i);
    if (isfinite(scale) && scale > 0) continue;
    bf_tfl_problem(lower, op, NULL, "scale %u of tensor \"%s\" is %g", i, name_of(lower, tensor), scale);
    return false;
  }
  return true;
}

bool bf_tfl_check_zero(struct bf_tfl_lower *lower, uint32_t op, const struct bf_tfl_tensor *tensor, int64_t *zero) {
  const struct bf_fb_vector *list = &tensor->zero_point;
  *zero = list->count ? bf_fb_vector_i64(list, 0) : 0;
  for (uint32_t i = 1; i < list->count; i++)
    if (bf_fb_vector_i64(list, i) != *zero) {
      bf_tfl_problem(lower, op, "one zero point for the whole tensor works",
                     "tensor \"%s\" has a zero point per channel", name_of(lower, tensor));
      return false;
    }
  unsigned bits = bf_tfl_type_info(tensor->type)->bits;
  int64_t lo = tensor->type == BF_TFL_UINT8 ? 0 : -((int64_t)1 << (bits - 1));
  if (*zero >= lo && *zero < lo + ((int64_t)1 << bits)) return true;
  bf_tfl_problem(lower, op, NULL, "zero point %lld of tensor \"%s\" is outside its type", (long long)*zero,
                 name_of(lower, tensor));
  return false;
}

bool bf_tfl_view(struct bf_tfl_lower *lower, uint32_t op, int32_t index, struct bf_tfl_value *out) {
  const struct bf_tfl_tensor *tensor = &lower->model->tensors[index];
  const struct bf_tfl_type_info *type = bf_tfl_type_info(tensor->type);
  uint64_t shape[4];
  if (tensor->type != BF_TFL_INT8 && tensor->type != BF_TFL_UINT8 && tensor->type != BF_TFL_INT16) {
    bf_tfl_problem(lower, op, "INT8, UINT8 and INT16 work: convert the model to full integer quantization",
                   "tensor \"%s\" is of type %s", name_of(lower, tensor), type ? type->name : "unknown");
    return false;
  }
  *out = (struct bf_tfl_value){.index = (uint32_t)index,
                               .text = lower->value[index],
                               .type = tensor->type,
                               .type_text = type->text,
                               .file_rank = tensor->rank};
  if (!bf_tfl_check_shape(lower, op, tensor, 1, shape, &out->elements) || !bf_tfl_check_scales(lower, op, tensor) ||
      !bf_tfl_check_zero(lower, op, tensor, &out->zero))
    return false;
  if (tensor->scale.count != 1) {
    bf_tfl_problem(lower, op, "one scale for the whole tensor works", "tensor \"%s\" has %u scales",
                   name_of(lower, tensor), tensor->scale.count);
    return false;
  }
  out->scale = bf_tfl_scale(tensor, 0);
  unsigned batch = tensor->rank > 1;
  if (batch && shape[0] != 1) {
    bf_tfl_problem(lower, op, "convert the model with batch size 1", "tensor \"%s\" has a batch of %llu",
                   name_of(lower, tensor), (unsigned long long)shape[0]);
    return false;
  }
  // The language takes shapes of one and three dimensions to lack the batch; [1, a, b] stands for itself.
  if (tensor->rank == 3) batch = 0;
  out->rank = tensor->rank - batch;
  memcpy(out->shape, shape + batch, out->rank * sizeof *shape);
  return true;
}

bool bf_tfl_operand(struct bf_tfl_lower *lower, uint32_t op, uint32_t i, struct bf_tfl_value *out) {
  if (bf_tfl_absent(lower, op, i)) {
    bf_tfl_problem(lower, op, NULL, "operand %u is missing", i);
    return false;
  }
  int32_t index = bf_fb_vector_i32(&lower->model->ops[op].inputs, i);
  const struct bf_tfl_tensor *tensor = &lower->model->tensors[index];
  lower->read[index] = true;
  if (!bf_tfl_view(lower, op, index, out)) return false;
  if (!out->text && bf_tfl_is_constant(lower, op, i))
    bf_tfl_problem(lower, op, "constants work as weights, biases and one operand of ADD, SUB and MUL",
                   "tensor \"%s\" is a constant where a computed one is needed", name_of(lower, tensor));
  else if (!out->text)
    bf_tfl_problem(lower, op, NULL, "tensor \"%s\" is used before anything computes it", name_of(lower, tensor));
  return out->text != NULL;
}

bool bf_tfl_result(struct bf_tfl_lower *lower, uint32_t op, struct bf_tfl_value *out) {
  const struct bf_fb_vector *outputs = &lower->model->ops[op].outputs;
  if (outputs->count != 1) {
    bf_tfl_problem(lower, op, NULL, "%u results instead of 1", outputs->count);
    return false;
  }
  return bf_tfl_view(lower, op, bf_fb_vector_i32(outputs, 0), out);
}

bool bf_tfl_unary(struct bf_tfl_lower *lower, uint32_t op, struct bf_tfl_value *in, struct bf_tfl_value *out) {
  return bf_tfl_operand(lower, op, 0, in) && bf_tfl_result(lower, op, out);
}

unsigned bf_tfl_inside(const struct bf_tfl_value *value, uint64_t shape[4]) {
  shape[0] = 1;
  memcpy(shape + 1, value->shape, value->rank * sizeof *shape);
  return value->rank + 1;
}

int bf_tfl_axis(const struct bf_tfl_value *value, int64_t axis) {
  if (axis < 0) axis += value->file_rank;
  if (axis < 0 || axis >= value->file_rank) return -1;
  return (int)axis + (int)(value->rank + 1 - value->file_rank);
}
