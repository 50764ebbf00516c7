// SPDX-License-Identifier: Apache-2.0
// Constants of a model: checked, laid out as the language wants them, declared in the text and put into the archive.
#include <string.h>

#include "frontend/tflite_lower.h"

static const enum bf_dtype no_dtype = BF_DTYPE_COUNT;

static enum bf_dtype dtype_of(int64_t type) {
  switch (type) {
    case BF_TFL_INT4:
    case BF_TFL_INT8: return BF_DTYPE_I8;
    case BF_TFL_UINT8: return BF_DTYPE_U8;
    case BF_TFL_INT16: return BF_DTYPE_I16;
    case BF_TFL_INT32: return BF_DTYPE_I32;
    case BF_TFL_INT64: return BF_DTYPE_I64;
    default: return no_dtype;
  }
}

// Element `i` of a buffer in the file's order of bytes.
static int64_t element(const uint8_t *data, int64_t type, uint64_t i) {
  struct bf_fb_vector at = {.data = data};
  switch (type) {
    case BF_TFL_INT4: {  // two to a byte, the first in the low half
      unsigned nibble = data[i / 2] >> (i % 2 ? 4 : 0) & 15;
      return nibble < 8 ? (int64_t)nibble : (int64_t)nibble - 16;
    }
    case BF_TFL_INT8: return (int8_t)data[i];
    case BF_TFL_UINT8: return data[i];
    case BF_TFL_INT16: return (int16_t)(data[2 * i] | data[2 * i + 1] << 8);
    case BF_TFL_INT32: at.data += 4 * i; return bf_fb_vector_i32(&at, 0);
    default: at.data += 8 * i; return bf_fb_vector_i64(&at, 0);
  }
}

// A constant operand of a layer, its tensor with sound shape and quantization.
struct constant {
  const struct bf_tfl_tensor *tensor;
  int32_t index;
  uint64_t shape[4], elements;
};

// The shape that a constant has in the archive, and where its element `i` goes.
struct layout {
  enum bf_tfl_form form;
  unsigned rank;
  uint64_t shape[4], kernel, inner;
};

static struct layout layout_of(const struct constant *c, enum bf_tfl_form form) {
  struct layout l = {.form = form, .rank = c->tensor->rank};
  memcpy(l.shape, c->shape, sizeof l.shape);
  if (form == BF_TFL_CHANNELS_FIRST) {
    const uint64_t turned[4] = {c->shape[3], c->shape[1], c->shape[2], 1};
    memcpy(l.shape, turned, sizeof turned);
    l.inner = c->shape[3];
  } else if (form == BF_TFL_FLIPPED) {
    l.inner = c->shape[3];
  } else if (form != BF_TFL_PLAIN) {
    unsigned rank = form == BF_TFL_RANK2 ? 2 : 4, more = rank - c->tensor->rank;
    for (unsigned i = 0; i < rank; i++) l.shape[i] = i < more ? 1 : c->shape[i - more];
    l.rank = rank;
  }
  l.kernel = l.inner ? c->shape[1] * c->shape[2] : 1;
  return l;
}

static uint64_t place(const struct layout *l, uint64_t i) {
  if (l->form == BF_TFL_CHANNELS_FIRST) return i % l->inner * l->kernel + i / l->inner;
  if (l->form != BF_TFL_FLIPPED) return i;
  uint64_t row = i / l->inner, filter = row / l->kernel, tap = row % l->kernel;
  return (filter * l->kernel + l->kernel - 1 - tap) * l->inner + i % l->inner;
}

// Adds a constant to the archive.
static bool add_array(struct bf_tfl_lower *lower, uint32_t op, const struct constant *c, const char *name,
                      const struct layout *layout) {
  struct bf_array array = {.dtype = dtype_of(c->tensor->type), .rank = layout->rank, .elements = c->elements};
  const struct bf_tfl_type_info *type = bf_tfl_type_info(c->tensor->type);
  const struct bf_tfl_buffer *buffer = &lower->model->buffers[c->tensor->buffer];
  memcpy(array.shape, layout->shape, layout->rank * sizeof *layout->shape);
  uint64_t bytes = (array.elements * type->bits + 7) / 8;  // bf_tfl_check_shape has bounded the product
  if (buffer->length != bytes) {
    bf_tfl_problem(lower, op, NULL, "tensor \"%s\" needs %llu bytes, its buffer has %llu",
                   bf_tfl_label(lower, (uint32_t)c->index), (unsigned long long)bytes,
                   (unsigned long long)buffer->length);
    return false;
  }
  if (bytes > lower->budget) {
    bf_tfl_problem(lower, op, NULL, "the constants together are many times the size of the file");
    return false;
  }
  lower->budget -= bytes;
  array.data = bf_alloc(array.elements, bf_dtype_size(array.dtype));
  for (uint64_t i = 0; i < array.elements; i++) bf_array_put(&array, place(layout, i), element(buffer->data, c->tensor->type, i));
  bf_archive_add(&lower->weights, name, array);
  return true;
}

static void add_scales(struct bf_tfl_lower *lower, const struct bf_tfl_tensor *tensor, const char *name) {
  struct bf_array array = {
      .dtype = BF_DTYPE_F32, .rank = 1, .shape = {tensor->scale.count}, .elements = tensor->scale.count};
  float *data = bf_alloc(array.elements, sizeof *data);
  for (uint32_t i = 0; i < tensor->scale.count; i++) data[i] = bf_tfl_scale(tensor, i);
  array.data = data;
  bf_archive_add(&lower->weights, name, array);
}

static void print_quantization(struct bf_tfl_lower *lower, const struct bf_tfl_tensor *tensor, const char *name) {
  struct bf_buf *out = &lower->constants;
  char text[40];
  if (tensor->scale.count > 1) {
    const char *scales = bf_tfl_unique(lower, bf_arena_format(&lower->arena, "%s_scale", name));
    add_scales(lower, tensor, scales);
    bf_buf_printf(out, " scale \"%s\"", scales);
  } else {
    bf_buf_printf(out, " scale %s", bf_float_text(text, bf_tfl_scale(tensor, 0)));
  }
  if (tensor->zero_point.count && bf_fb_vector_i64(&tensor->zero_point, 0))
    bf_buf_printf(out, " zero %lld", (long long)bf_fb_vector_i64(&tensor->zero_point, 0));
}

// Prints the declaration of a constant and adds it to the archive, unless it is there in this form already. Gives its
// name, or NULL after a problem.
static const char *declare(struct bf_tfl_lower *lower, uint32_t op, const struct constant *c, enum bf_tfl_form form,
                           const char *suffix, bool quantized) {
  struct bf_tfl_declared *declared = &lower->constant[c->index];
  struct layout layout = layout_of(c, form);
  if (declared->name && declared->form == form) return declared->name;
  const char *name = bf_tfl_unique(lower, bf_arena_format(&lower->arena, "%s_%s", lower->layer[op], suffix));
  if (!add_array(lower, op, c, name, &layout)) return NULL;
  bf_buf_printf(&lower->constants, "  const %s: %s[%s]", name, bf_tfl_type_info(c->tensor->type)->text,
                bf_tfl_shape_text(&lower->arena, layout.rank, layout.shape));
  // A bias has the scale that its input and weights imply.
  if (quantized) print_quantization(lower, c->tensor, name);
  bf_buf_printf(&lower->constants, ";  # %s\n", bf_tfl_label(lower, (uint32_t)c->index));
  *declared = (struct bf_tfl_declared){name, form};
  return name;
}

static bool constant_operand(struct bf_tfl_lower *lower, uint32_t op, uint32_t i, unsigned least,
                             struct constant *out) {
  int64_t zero;
  if (bf_tfl_absent(lower, op, i)) {
    bf_tfl_problem(lower, op, NULL, "operand %u is missing", i);
    return false;
  }
  out->index = bf_fb_vector_i32(&lower->model->ops[op].inputs, i);
  out->tensor = &lower->model->tensors[out->index];
  const char *name = bf_tfl_label(lower, (uint32_t)out->index);
  if (!bf_tfl_is_constant(lower, op, i)) {
    bf_tfl_problem(lower, op, "constants work here", "operand %u, tensor \"%s\", has no data in the file", i, name);
    return false;
  }
  if (dtype_of(out->tensor->type) == no_dtype) {
    const struct bf_tfl_type_info *type = bf_tfl_type_info(out->tensor->type);
    bf_tfl_problem(lower, op, "INT8, UINT8 and INT16 work: convert the model to full integer quantization",
                   "tensor \"%s\" is of type %s", name, type ? type->name : "unknown");
    return false;
  }
  return bf_tfl_check_shape(lower, op, out->tensor, least, out->shape, &out->elements) &&
         bf_tfl_check_scales(lower, op, out->tensor) &&
         (out->tensor->type == BF_TFL_INT64 || bf_tfl_check_zero(lower, op, out->tensor, &zero));
}

// Some converters leave a quantized_dimension that the shape does not have; the scales are per output
// channel all the same, and the reference kernels take them so.
static void check_dimension(struct bf_tfl_lower *lower, const struct constant *c, unsigned axis) {
  if (c->tensor->scale.count <= 1 || c->tensor->quantized_dimension == (int32_t)axis) return;
  if (!lower->odd_dimensions++) lower->odd_dimension = bf_tfl_label(lower, (uint32_t)c->index);
}

bool bf_tfl_declare_weights(struct bf_tfl_lower *lower, uint32_t op, uint32_t i, unsigned rank, enum bf_tfl_form form,
                            struct bf_tfl_weights *out) {
  struct constant c;
  unsigned axis = form == BF_TFL_CHANNELS_FIRST ? 3 : 0;
  if (!constant_operand(lower, op, i, 1, &c)) return false;
  const char *name = bf_tfl_label(lower, (uint32_t)c.index);
  if (c.tensor->rank != rank || (axis == 3 && c.shape[0] != 1)) {
    bf_tfl_problem(lower, op, NULL, "weights \"%s\" of shape [%s]", name,
                   bf_tfl_shape_text(&lower->arena, c.tensor->rank, c.shape));
    return false;
  }
  if (c.tensor->type == BF_TFL_INT32 || c.tensor->type == BF_TFL_INT64) {
    bf_tfl_problem(lower, op, "weights of 4, 8 and 16 bits work", "weights \"%s\" of type %s", name,
                   bf_tfl_type_info(c.tensor->type)->name);
    return false;
  }
  out->tensor = c.tensor;
  memcpy(out->shape, c.shape, sizeof c.shape);
  out->channels = (uint32_t)c.shape[axis];
  out->per_channel = c.tensor->scale.count > 1;
  if (c.tensor->scale.count != 1 && c.tensor->scale.count != out->channels) {
    bf_tfl_problem(lower, op, NULL, "weights \"%s\" have %u scales for %u channels", name, c.tensor->scale.count,
                   out->channels);
    return false;
  }
  check_dimension(lower, &c, axis);
  out->text = declare(lower, op, &c, form, "w", true);
  return out->text != NULL;
}

// The language's accumulators have 48 bits, as the reference kernels' argument for 16-bit activations has.
static bool check_bias_range(struct bf_tfl_lower *lower, uint32_t op, const struct constant *c) {
  const struct bf_tfl_buffer *buffer = &lower->model->buffers[c->tensor->buffer];
  const int64_t limit = (int64_t)1 << 47;
  if (c->tensor->type != BF_TFL_INT64 || buffer->length != 8 * c->elements) return true;  // add_array has the other error
  for (uint64_t i = 0; i < c->elements; i++) {
    int64_t v = element(buffer->data, BF_TFL_INT64, i);
    if (v >= -limit && v < limit) continue;
    bf_tfl_problem(lower, op, "biases of up to 48 bits work", "element %llu of bias \"%s\" is %lld",
                   (unsigned long long)i, bf_tfl_label(lower, (uint32_t)c->index), (long long)v);
    return false;
  }
  return true;
}

bool bf_tfl_declare_bias(struct bf_tfl_lower *lower, uint32_t op, uint32_t i, uint32_t channels, const char **text) {
  struct constant c;
  if (!constant_operand(lower, op, i, 1, &c)) return false;
  int64_t type = c.tensor->type;
  if ((type != BF_TFL_INT16 && type != BF_TFL_INT32 && type != BF_TFL_INT64) || c.tensor->rank != 1 ||
      c.shape[0] != channels) {
    bf_tfl_problem(lower, op, NULL, "bias \"%s\" of type %s and shape [%s] for %u channels",
                   bf_tfl_label(lower, (uint32_t)c.index), bf_tfl_type_info(type)->name,
                   bf_tfl_shape_text(&lower->arena, c.tensor->rank, c.shape), channels);
    return false;
  }
  check_dimension(lower, &c, 0);
  if (!check_bias_range(lower, op, &c)) return false;
  *text = declare(lower, op, &c, BF_TFL_PLAIN, "b", false);
  return *text != NULL;
}

static bool broadcast_constant(struct bf_tfl_lower *lower, uint32_t op, uint32_t i, unsigned rank,
                               struct bf_tfl_value *out) {
  struct constant c;
  enum bf_tfl_form form = rank == 2 ? BF_TFL_RANK2 : BF_TFL_RANK4;
  if (!constant_operand(lower, op, i, 0, &c)) return false;
  const char *name = bf_tfl_label(lower, (uint32_t)c.index);
  if (c.tensor->rank > rank || c.tensor->scale.count != 1 || bf_tfl_type_info(c.tensor->type)->bits > 16) {
    bf_tfl_problem(lower, op, "constants of 8 and 16 bits with one scale work",
                   "constant \"%s\" of type %s and shape [%s] with %u scales", name,
                   bf_tfl_type_info(c.tensor->type)->name,
                   bf_tfl_shape_text(&lower->arena, c.tensor->rank, c.shape), c.tensor->scale.count);
    return false;
  }
  struct layout layout = layout_of(&c, form);
  *out = (struct bf_tfl_value){.index = (uint32_t)c.index,
                               .type = c.tensor->type,
                               .type_text = bf_tfl_type_info(c.tensor->type)->text,
                               .rank = rank - 1,
                               .file_rank = c.tensor->rank,
                               .elements = c.elements,
                               .scale = bf_tfl_scale(c.tensor, 0)};
  memcpy(out->shape, layout.shape, rank * sizeof *layout.shape);
  bf_tfl_check_zero(lower, op, c.tensor, &out->zero);  // constant_operand has checked it
  out->text = declare(lower, op, &c, form, "c", true);
  return out->text != NULL;
}

bool bf_tfl_broadcast_operand(struct bf_tfl_lower *lower, uint32_t op, uint32_t i, unsigned rank,
                              struct bf_tfl_value *out) {
  uint64_t shape[4], wide[4];
  if (bf_tfl_is_constant(lower, op, i) && !lower->value[bf_fb_vector_i32(&lower->model->ops[op].inputs, i)])
    return broadcast_constant(lower, op, i, rank, out);
  if (!bf_tfl_operand(lower, op, i, out)) return false;
  unsigned own = bf_tfl_inside(out, shape);
  if (own < rank) {  // right-aligned, as TensorFlow broadcasts
    for (unsigned k = 0; k < 4; k++) wide[k] = k < 4 - own ? 1 : shape[k - (4 - own)];
    const char *name = bf_tfl_helper(lower, op, i ? "in1" : "in0");
    bf_tfl_reshape(lower, name, out->text, 3, wide + 1);
    out->text = name;
    memcpy(shape, wide, sizeof wide);
  }
  memcpy(out->shape, shape, sizeof shape);
  return true;
}

bool bf_tfl_constant_ints(struct bf_tfl_lower *lower, uint32_t op, uint32_t i, uint64_t limit, uint64_t *count,
                          int64_t *out) {
  struct constant c;
  if (!constant_operand(lower, op, i, 0, &c)) return false;
  const struct bf_tfl_buffer *buffer = &lower->model->buffers[c.tensor->buffer];
  if (c.tensor->type == BF_TFL_INT4 || c.elements > limit ||
      buffer->length != c.elements * bf_tfl_type_info(c.tensor->type)->bits / 8) {
    bf_tfl_problem(lower, op, NULL, "operand %u is not a list of at most %llu integers", i, (unsigned long long)limit);
    return false;
  }
  for (uint64_t k = 0; k < c.elements; k++) out[k] = element(buffer->data, c.tensor->type, k);
  *count = c.elements;
  return true;
}

const char *bf_tfl_declare_table(struct bf_tfl_lower *lower, uint32_t op, const struct bf_tfl_value *out,
                                 const int64_t values[256]) {
  struct bf_array array = {.dtype = dtype_of(out->type), .rank = 1, .shape = {256}, .elements = 256};
  const char *name = bf_tfl_unique(lower, bf_arena_format(&lower->arena, "%s_t", lower->layer[op]));
  array.data = bf_alloc(256, bf_dtype_size(array.dtype));
  for (uint64_t i = 0; i < 256; i++) bf_array_put(&array, i, values[i]);
  bf_archive_add(&lower->weights, name, array);
  bf_buf_printf(&lower->constants, "  const %s: %s[256];\n", name, out->type_text);
  return name;
}
