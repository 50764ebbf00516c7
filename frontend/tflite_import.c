// SPDX-License-Identifier: Apache-2.0
// The import as a whole: which operators count, in which order text and weights come out.
#include "frontend/tflite.h"

#include <stdlib.h>
#include <string.h>

#include "frontend/tflite_lower.h"

// Marks the operators that reach an output. They stand in the order of execution, so one sweep
// from the end is enough.
static void mark_live(struct bf_tfl_lower *lower) {
  const struct bf_tfl_model *model = lower->model;
  bool *needed = bf_arena_alloc(&lower->arena, model->ntensors + 1, sizeof *needed);
  for (uint32_t i = 0; i < model->outputs.count; i++) needed[bf_fb_vector_i32(&model->outputs, i)] = true;
  for (uint32_t i = model->nops; i-- > 0;) {
    const struct bf_tfl_op *op = &model->ops[i];
    for (uint32_t k = 0; k < op->outputs.count; k++) lower->live[i] |= needed[bf_fb_vector_i32(&op->outputs, k)];
    for (uint32_t k = 0; lower->live[i] && k < op->inputs.count; k++) {
      int32_t index = bf_fb_vector_i32(&op->inputs, k);
      if (index >= 0) needed[index] = true;
    }
  }
}

static void warn(struct bf_tfl_lower *lower) {
  const struct bf_tfl_model *model = lower->model;
  if (model->nsubgraphs > 1)
    bf_warning_file(lower->diags, lower->file, NULL, "the model has %u subgraphs; only the first is imported",
                    model->nsubgraphs);
  uint32_t first = 0, dead = 0;
  for (uint32_t i = model->nops; i-- > 0;)
    if (!lower->live[i]) {
      first = i;
      dead++;
    }
  if (!dead) return;
  const char *label = bf_tfl_op_label(&lower->arena, model, first);
  if (dead == 1)
    bf_warning_file(lower->diags, lower->file, NULL, "operator %u %s reaches no output and is left out", first, label);
  else
    bf_warning_file(lower->diags, lower->file, NULL, "operator %u %s and %u more reach no output and are left out",
                    first, label, dead - 1);
}

// Errors of the model as a whole.
static bool fail(struct bf_tfl_lower *lower, const char *hint, const char *what, uint32_t tensor) {
  const char *name = bf_tfl_printable(&lower->arena, lower->model->tensors[tensor].name);
  bf_error_file(lower->diags, lower->file, hint, "%s \"%s\"", what, name);
  return false;
}

static bool name_inputs(struct bf_tfl_lower *lower) {
  const struct bf_tfl_model *model = lower->model;
  for (uint32_t i = 0; i < model->inputs.count; i++) {
    int32_t index = bf_fb_vector_i32(&model->inputs, i);
    if (lower->value[index]) return fail(lower, NULL, "an input is listed twice:", (uint32_t)index);
    lower->value[index] = bf_tfl_tensor_name(lower, model->tensors[index].name, "x");
  }
  return true;
}

// A float32 input that nothing but QUANTIZE operators read, all to the same quantization, is given as the integers that
// the first of them makes.
static int32_t border_of(struct bf_tfl_lower *lower, int32_t input) {
  const struct bf_tfl_model *model = lower->model;
  struct bf_tfl_value first, other;
  int32_t border = -1;
  for (uint32_t i = 0; i < model->nops; i++) {
    const struct bf_tfl_op *op = &model->ops[i];
    bool reads = false;
    for (uint32_t k = 0; lower->live[i] && k < op->inputs.count; k++)
      reads |= bf_fb_vector_i32(&op->inputs, k) == input;
    if (!reads) continue;
    if (op->code != BF_TFL_OP_QUANTIZE || op->inputs.count != 1 || op->outputs.count != 1) return -1;
    int32_t result = bf_fb_vector_i32(&op->outputs, 0);
    if (border < 0) {
      if (!bf_tfl_view(lower, i, result, &first)) return -1;
      border = result;
    } else if (!bf_tfl_view(lower, i, result, &other) || other.type != first.type || other.scale != first.scale ||
               other.zero != first.zero) {
      return -1;
    }
  }
  return border;
}

static void find_borders(struct bf_tfl_lower *lower) {
  const struct bf_tfl_model *model = lower->model;
  lower->border = bf_arena_alloc(&lower->arena, model->ntensors + 1, sizeof *lower->border);
  for (uint32_t i = 0; i < model->ntensors; i++) lower->border[i] = -1;
  for (uint32_t i = 0; i < model->inputs.count; i++) {
    int32_t index = bf_fb_vector_i32(&model->inputs, i);
    if (model->tensors[index].type == BF_TFL_FLOAT32) lower->border[index] = border_of(lower, index);
  }
}

// What no layer reads (the shape that a TRANSPOSE_CONV is to give, for instance, which is known anyway) is left out, if
// the language could not have it.
static bool is_left_out(const struct bf_tfl_lower *lower, int32_t index) {
  int64_t type = lower->model->tensors[index].type;
  return !lower->read[index] && type != BF_TFL_INT8 && type != BF_TFL_UINT8 && type != BF_TFL_INT16;
}

// After the operators, so that the one that uses an unsuitable input is named. Only an input that
// nothing uses is left to be blamed on the first operator.
static void emit_inputs(struct bf_tfl_lower *lower, struct bf_buf *out) {
  const struct bf_tfl_model *model = lower->model;
  for (uint32_t i = 0; i < model->inputs.count; i++) {
    int32_t index = bf_fb_vector_i32(&model->inputs, i);
    const struct bf_tfl_tensor *tensor = &model->tensors[index];
    struct bf_tfl_value value;
    char scale[40];
    if (lower->border[index] < 0 && is_left_out(lower, index)) continue;
    if (!bf_tfl_view(lower, 0, lower->border[index] >= 0 ? lower->border[index] : index, &value)) continue;
    bf_buf_printf(out, "  input %s: %s[%s] scale %s zero %lld;  # %s\n", lower->value[index], value.type_text,
                  bf_tfl_shape_text(&lower->arena, value.rank, value.shape), bf_float_text(scale, value.scale),
                  (long long)value.zero, bf_tfl_printable(&lower->arena, tensor->name));
  }
}

static bool emit_outputs(struct bf_tfl_lower *lower, struct bf_buf *out) {
  const struct bf_tfl_model *model = lower->model;
  // By name: a DEQUANTIZE at the end gives its operand another tensor, but not another name.
  struct bf_tfl_names done = {.size = 16};
  while (done.size < 2 * ((size_t)model->inputs.count + model->outputs.count)) done.size *= 2;
  done.slots = bf_arena_alloc(&lower->arena, done.size, sizeof *done.slots);
  for (uint32_t i = 0; i < model->inputs.count; i++)
    bf_tfl_mark(&done, lower->value[bf_fb_vector_i32(&model->inputs, i)]);
  for (uint32_t i = 0; i < model->outputs.count; i++) {
    int32_t index = bf_fb_vector_i32(&model->outputs, i);
    if (!lower->value[index]) return fail(lower, NULL, "no operator computes the output", (uint32_t)index);
    if (!bf_tfl_mark(&done, lower->value[index]))
      return fail(lower, NULL, "an output is also an input, or is listed twice:", (uint32_t)index);
    bf_buf_printf(out, "  output %s;  # %s\n", lower->value[index],
                  bf_tfl_printable(&lower->arena, model->tensors[index].name));
  }
  return true;
}

static void lower_ops(struct bf_tfl_lower *lower) {
  const struct bf_tfl_model *model = lower->model;
  for (uint32_t i = 0; i < model->nops; i++) {
    const struct bf_fb_vector *outputs = &model->ops[i].outputs;
    if (!lower->live[i]) continue;
    for (uint32_t k = 0; k < outputs->count; k++)
      if (lower->value[bf_fb_vector_i32(outputs, k)])
        bf_tfl_problem(lower, i, NULL, "its result is already computed by another operator, or an input");
    bf_tfl_lower_op(lower, i);
    // Defined even after a problem, so that its users are not blamed for it.
    for (uint32_t k = 0; k < outputs->count; k++) {
      const char **value = &lower->value[bf_fb_vector_i32(outputs, k)];
      if (!*value) *value = lower->layer[i];
    }
  }
}

// Tells the problems found; false if there are any.
static bool report(struct bf_tfl_lower *lower) {
  for (size_t i = 0; i < lower->nproblems; i++) {
    const struct bf_tfl_problem *p = &lower->problems[i];
    if (p->count > 1)
      bf_error_file(lower->diags, lower->file, p->hint, "%s (and %u more like it)", p->message, p->count - 1);
    else bf_error_file(lower->diags, lower->file, p->hint, "%s", p->message);
  }
  if (!lower->nproblems && lower->odd_dimensions)
    bf_warning_file(lower->diags, lower->file, NULL,
                    "tensor \"%s\"%s a quantized_dimension that is not its output channels; "
                    "its scales are taken per output channel",
                    lower->odd_dimension, lower->odd_dimensions > 1 ? " and others have" : " has");
  return !lower->nproblems;
}

static void emit_header(struct bf_tfl_lower *lower, struct bf_buf *out) {
  const struct bf_tfl_model *model = lower->model;
  if (model->description.count)
    bf_buf_printf(out, "# From a TensorFlow Lite model (\"%s\").\n",
                  bf_tfl_printable(&lower->arena, model->description));
  else bf_buf_puts(out, "# From a TensorFlow Lite model.\n");
  if (lower->given_multipliers)
    bf_buf_puts(out, "# tflite(mult …, shift …): where TensorFlow Lite computes a ratio of scales in float32.\n");
  bf_buf_printf(out, "bfn 1;\n\nnetwork %s {\n", bf_tfl_tensor_name(lower, model->name, "main"));
}

static bool build(struct bf_tfl_lower *lower, struct bf_buf *text) {
  const struct bf_tfl_model *model = lower->model;
  struct bf_arena *arena = &lower->arena;
  if (!model->nops || !model->outputs.count) {
    bf_error_file(lower->diags, lower->file, NULL, "the model has no %s", model->nops ? "outputs" : "operators");
    return false;
  }
  lower->live = bf_arena_alloc(arena, model->nops, sizeof *lower->live);
  lower->layer = bf_arena_alloc(arena, model->nops, sizeof *lower->layer);
  lower->value = bf_arena_alloc(arena, model->ntensors + 1, sizeof *lower->value);
  lower->read = bf_arena_alloc(arena, model->ntensors + 1, sizeof *lower->read);
  lower->constant = bf_arena_alloc(arena, model->ntensors + 1, sizeof *lower->constant);
  mark_live(lower);
  warn(lower);
  bf_tfl_name_layers(lower);
  struct bf_buf inputs = {0};
  if (!name_inputs(lower)) return false;
  find_borders(lower);
  lower_ops(lower);
  emit_inputs(lower, &inputs);
  bool ok = report(lower);
  if (ok) {
    emit_header(lower, text);
    bf_buf_append(text, inputs.data, inputs.length);
  }
  bf_buf_free(&inputs);
  if (!ok) return false;
  if (lower->constants.length) {
    bf_buf_puts(text, "\n");
    bf_buf_append(text, lower->constants.data, lower->constants.length);
  }
  bf_buf_puts(text, "\n");
  bf_buf_append(text, lower->layers.data, lower->layers.length);
  bf_buf_puts(text, "\n");
  if (!emit_outputs(lower, text)) return false;
  bf_buf_puts(text, "}\n");
  return true;
}

bool bf_tflite_import(const void *data, size_t length, const char *file, struct bf_buf *bfn_text,
                      struct bf_archive *weights, struct bf_diags *diags) {
  struct bf_tfl_model model;
  struct bf_buf text = {0};
  bool ok = bf_tfl_read(data, length, file, &model, diags);
  if (ok) {
    // Constants may exceed the file a little: four-bit ones are unpacked, and tensors may share buffers.
    struct bf_tfl_lower lower = {
        .model = &model, .file = file, .diags = diags, .budget = 16 * (uint64_t)length + 65536};
    ok = build(&lower, &text);
    if (ok) {
      bf_buf_append(bfn_text, text.data, text.length);
      for (size_t i = 0; i < lower.weights.count; i++) {
        bf_archive_add(weights, lower.weights.items[i].name, lower.weights.items[i].array);
        lower.weights.items[i].array = (struct bf_array){0};
      }
    }
    bf_archive_free(&lower.weights);
    bf_buf_free(&lower.constants);
    bf_buf_free(&lower.layers);
    free(lower.problems);
    bf_arena_free(&lower.arena);
  }
  bf_buf_free(&text);
  bf_tfl_model_free(&model);
  return ok;
}
