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

// After the operators, so that the one that uses an unsuitable input is named. Only an input that
// nothing uses is left to be blamed on the first operator.
static void emit_inputs(struct bf_tfl_lower *lower, struct bf_buf *out) {
  const struct bf_tfl_model *model = lower->model;
  for (uint32_t i = 0; i < model->inputs.count; i++) {
    int32_t index = bf_fb_vector_i32(&model->inputs, i);
    const struct bf_tfl_tensor *tensor = &model->tensors[index];
    struct bf_tfl_value value;
    char scale[40];
    if (!bf_tfl_view(lower, 0, index, &value)) continue;
    bf_buf_printf(out, "  input %s: %s[%s] scale %s zero %lld;  # %s\n", lower->value[index], value.type_text,
                  bf_tfl_shape_text(&lower->arena, value.rank, value.shape), bf_float_text(scale, value.scale),
                  (long long)value.zero, bf_tfl_printable(&lower->arena, tensor->name));
  }
}

static bool emit_outputs(struct bf_tfl_lower *lower, struct bf_buf *out) {
  const struct bf_tfl_model *model = lower->model;
  bool *done = bf_arena_alloc(&lower->arena, model->ntensors + 1, sizeof *done);
  for (uint32_t i = 0; i < model->inputs.count; i++) done[bf_fb_vector_i32(&model->inputs, i)] = true;
  for (uint32_t i = 0; i < model->outputs.count; i++) {
    int32_t index = bf_fb_vector_i32(&model->outputs, i);
    if (!lower->value[index]) return fail(lower, NULL, "no operator computes the output", (uint32_t)index);
    if (done[index]) return fail(lower, NULL, "an output is also an input, or is listed twice:", (uint32_t)index);
    done[index] = true;
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
    for (uint32_t k = 0; k < outputs->count; k++) lower->value[bf_fb_vector_i32(outputs, k)] = lower->layer[i];
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
  if (lower->float_products)
    bf_buf_puts(
        out,
        "# tflite(mult …, shift …): on u8, TensorFlow Lite multiplies the scales of input and weights in float32.\n");
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
  lower->constant = bf_arena_alloc(arena, model->ntensors + 1, sizeof *lower->constant);
  lower->turned = bf_arena_alloc(arena, model->ntensors + 1, sizeof *lower->turned);
  mark_live(lower);
  warn(lower);
  bf_tfl_name_layers(lower);
  struct bf_buf inputs = {0};
  if (!name_inputs(lower)) return false;
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
