// SPDX-License-Identifier: Apache-2.0
// The ONNX importer, operator by operator: small models are imported and evaluated on random inputs, and must give what
// the standard's definitions give. Those are written here once more, in real numbers: every tensor holds what the model
// calls its value. A number that is rounded so near to a tie that float32 would not decide it is NaN from there on.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/bfn.h"
#include "frontend/onnx.h"
#include "frontend/onnx.pb-c.h"
#include "ir/reference.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/onnx_text.h"

#define ROUNDS 8  // sets of inputs of a model
enum { DIMS = 6, VALUES = 64, TYPE_FLOAT = 1, TYPE_U8 = 2, TYPE_S8 = 3 };

struct tensor {
  unsigned rank;
  uint64_t dims[DIMS], n;
  int32_t type;
  double *v;
};

struct eval {
  struct bf_arena arena;
  BfOnnx__Graph *graph;
  const char *names[VALUES];
  struct tensor values[VALUES];
  size_t n;
  const BfOnnx__Node *node;
};

static struct tensor *find(struct eval *e, const char *name) {
  for (size_t i = 0; i < e->n; i++)
    if (strcmp(e->names[i], name) == 0) return &e->values[i];
  return NULL;
}

// Operand i, or NULL.
static struct tensor *operand(struct eval *e, size_t i) {
  return i < e->node->n_input && *e->node->input[i] ? find(e, e->node->input[i]) : NULL;
}

static struct tensor *make(struct eval *e, const char *name, int32_t type, unsigned rank, const uint64_t *dims) {
  struct tensor *t = &e->values[e->n];
  assert_true(e->n < VALUES && rank <= DIMS);
  e->names[e->n++] = name;
  *t = (struct tensor){.rank = rank, .type = type, .n = 1};
  for (unsigned d = 0; d < rank; d++) t->n *= t->dims[d] = dims[d];
  t->v = bf_arena_alloc(&e->arena, t->n + 1, sizeof *t->v);
  return t;
}

static struct tensor *result(struct eval *e, int32_t type, unsigned rank, const uint64_t *dims) {
  return make(e, e->node->output[0], type, rank, dims);
}

static const BfOnnx__Attribute *attribute(const struct eval *e, const char *name) {
  for (size_t i = 0; i < e->node->n_attribute; i++)
    if (strcmp(e->node->attribute[i]->name, name) == 0) return e->node->attribute[i];
  return NULL;
}

static int64_t integer(const struct eval *e, const char *name, size_t i, int64_t otherwise) {
  const BfOnnx__Attribute *a = attribute(e, name);
  return !a ? otherwise : a->n_ints ? (i < a->n_ints ? a->ints[i] : otherwise) : a->has_i ? a->i : otherwise;
}

// ---- quantization

static double bound(int32_t type, bool upper) { return type == TYPE_S8 ? (upper ? 127 : -128) : upper ? 255 : 0; }

static bool is_power_of_two(double v) {
  int e;
  return frexp(v, &e) == 0.5;
}

static double clip(double v, double lo, double hi) { return isnan(v) ? v : fmax(lo, fmin(hi, v)); }

static double codes_of(double x, double scale, const struct tensor *zero) {
  double y = x / scale, distance = fabs(y - floor(y) - 0.5);
  int32_t type = zero ? zero->type : TYPE_U8;
  double z = zero ? zero->v[0] : 0;
  bool decided = distance >= 1e-5 + fabs(y) * 4e-7 || (distance == 0 && is_power_of_two(scale));
  if (!decided && y + z > bound(type, false) - 1 && y + z < bound(type, true) + 1) return NAN;
  return clip(nearbyint(y) + z, bound(type, false), bound(type, true));
}

static void quantize(struct eval *e) {
  struct tensor *x = operand(e, 0), *zero = operand(e, 2);
  struct tensor *y = result(e, zero ? zero->type : TYPE_U8, x->rank, x->dims);
  for (uint64_t i = 0; i < x->n; i++) y->v[i] = codes_of(x->v[i], operand(e, 1)->v[0], zero);
}

static void dequantize(struct eval *e) {
  struct tensor *x = operand(e, 0), *scale = operand(e, 1), *zero = operand(e, 2);
  struct tensor *y = result(e, TYPE_FLOAT, x->rank, x->dims);
  uint64_t inner = 1;
  for (unsigned d = (unsigned)integer(e, "axis", 0, 1) + 1; d < x->rank; d++) inner *= x->dims[d];
  for (uint64_t i = 0; i < x->n; i++) {
    uint64_t k = scale->n > 1 ? i / inner % scale->n : 0;
    y->v[i] = (x->v[i] - (zero ? zero->v[zero->n > 1 ? k : 0] : 0)) * scale->v[k];
  }
}

// The value of operand `at`, whose scale and zero point follow it; scales along `axis`.
static struct tensor *real_operand(struct eval *e, size_t at, unsigned axis) {
  struct tensor *x = operand(e, at), *scale = operand(e, at + 1), *zero = operand(e, at + 2);
  struct tensor *y = make(e, "", TYPE_FLOAT, x->rank, x->dims);
  uint64_t inner = 1;
  for (unsigned d = axis + 1; d < x->rank; d++) inner *= x->dims[d];
  for (uint64_t i = 0; i < x->n; i++) {
    uint64_t k = scale->n > 1 ? i / inner % scale->n : 0;
    y->v[i] = (x->v[i] - zero->v[zero->n > 1 ? k : 0]) * scale->v[k];
  }
  return y;
}

static void requantize(struct tensor *y, const struct tensor *scale, const struct tensor *zero) {
  for (uint64_t i = 0; i < y->n; i++) y->v[i] = codes_of(y->v[i], scale->v[0], zero);
  y->type = zero->type;
}

// ---- windows

struct window {
  int64_t kernel[2], stride[2], dilation[2], begin[2], end[2];
  uint64_t out[2];
};

static struct window window_of(const struct eval *e, const struct tensor *x, const uint64_t *kernel) {
  struct window w;
  for (size_t d = 0; d < 2; d++) {
    w.kernel[d] = kernel ? (int64_t)kernel[d] : integer(e, "kernel_shape", d, 1);
    w.stride[d] = integer(e, "strides", d, 1);
    w.dilation[d] = integer(e, "dilations", d, 1);
    w.begin[d] = integer(e, "pads", d, 0);
    w.end[d] = integer(e, "pads", d + 2, 0);
    int64_t size = (int64_t)x->dims[2 + d];
    double room = (double)(size + w.begin[d] + w.end[d] - (w.dilation[d] * (w.kernel[d] - 1) + 1));
    double steps = room / (double)w.stride[d];
    w.out[d] = (uint64_t)(integer(e, "ceil_mode", 0, 0) ? ceil(steps) : floor(steps)) + 1;
    // A window that begins in the padding behind the image is none.
    if (integer(e, "ceil_mode", 0, 0) && (int64_t)(w.out[d] - 1) * w.stride[d] >= size + w.begin[d]) w.out[d]--;
  }
  return w;
}

static struct tensor *conv(struct eval *e, const struct tensor *x, const struct tensor *k, const struct tensor *bias) {
  struct window w = window_of(e, x, k->dims + 2);
  const uint64_t dims[4] = {x->dims[0], k->dims[0], w.out[0], w.out[1]}, group = (uint64_t)integer(e, "group", 0, 1);
  struct tensor *y = result(e, TYPE_FLOAT, 4, dims);
  uint64_t height = x->dims[2], width = x->dims[3], depth = k->dims[1], each = k->dims[0] / group;
  for (uint64_t i = 0; i < y->n; i++) {
    uint64_t ox = i % dims[3], oy = i / dims[3] % dims[2], m = i / dims[3] / dims[2] % dims[1],
             n = i / dims[3] / dims[2] / dims[1];
    double sum = bias ? bias->v[m] : 0;
    for (uint64_t t = 0; t < depth * k->dims[2] * k->dims[3]; t++) {
      uint64_t kx = t % k->dims[3], ky = t / k->dims[3] % k->dims[2], c = t / k->dims[3] / k->dims[2];
      int64_t py = (int64_t)oy * w.stride[0] - w.begin[0] + (int64_t)ky * w.dilation[0];
      int64_t px = (int64_t)ox * w.stride[1] - w.begin[1] + (int64_t)kx * w.dilation[1];
      if (py < 0 || px < 0 || py >= (int64_t)height || px >= (int64_t)width) continue;
      uint64_t from = n * x->dims[1] + m / each * depth + c;
      sum += x->v[(from * height + (uint64_t)py) * width + (uint64_t)px] *
             k->v[((m * depth + c) * k->dims[2] + ky) * k->dims[3] + kx];
    }
    y->v[i] = sum;
  }
  return y;
}

static void pool(struct eval *e, bool max, bool global) {
  const struct tensor *x = operand(e, 0);
  struct window w = window_of(e, x, global ? x->dims + 2 : NULL);
  const uint64_t dims[4] = {x->dims[0], x->dims[1], w.out[0], w.out[1]};
  bool counted = integer(e, "count_include_pad", 0, 0) != 0;
  struct tensor *y = result(e, x->type, 4, dims);
  for (uint64_t i = 0; i < y->n; i++) {
    uint64_t ox = i % dims[3], oy = i / dims[3] % dims[2], plane = i / dims[3] / dims[2];
    double sum = 0, most = -INFINITY, count = 0;
    for (int64_t t = 0; t < w.kernel[0] * w.kernel[1]; t++) {
      int64_t at[2] = {(int64_t)oy * w.stride[0] - w.begin[0] + t / w.kernel[1] * w.dilation[0],
                       (int64_t)ox * w.stride[1] - w.begin[1] + t % w.kernel[1] * w.dilation[1]};
      bool image = true, padding = true;
      for (int d = 0; d < 2; d++) {
        int64_t size = (int64_t)x->dims[2 + d];
        image &= at[d] >= 0 && at[d] < size;
        padding &= at[d] < size + w.end[d];
      }
      if (image || (padding && counted)) count++;
      if (!image) continue;
      double v = x->v[(plane * x->dims[2] + (uint64_t)at[0]) * x->dims[3] + (uint64_t)at[1]];
      sum += v;
      if (isnan(v) || v > most) most = v;
      if (isnan(v)) break;
    }
    y->v[i] = isnan(sum) ? sum : max ? most : sum / count;
  }
}

// ---- products

// a [.., n, depth] times b [depth, m]; the name of the result is the node's.
static struct tensor *product(struct eval *e, const struct tensor *a, const struct tensor *b, bool transposed) {
  uint64_t dims[DIMS], depth = b->dims[transposed], m = b->dims[!transposed];
  memcpy(dims, a->dims, sizeof dims);
  dims[a->rank - 1] = m;
  struct tensor *y = result(e, TYPE_FLOAT, a->rank, dims);
  for (uint64_t i = 0; i < y->n; i++)
    for (uint64_t k = 0; k < depth; k++)
      y->v[i] += a->v[i / m * depth + k] * b->v[transposed ? i % m * depth + k : k * m + i % m];
  return y;
}

static void gemm(struct eval *e) {
  const struct tensor *bias = operand(e, 2);
  struct tensor *y = product(e, operand(e, 0), operand(e, 1), integer(e, "transB", 0, 0) != 0);
  for (uint64_t i = 0; bias && i < y->n; i++) y->v[i] += bias->v[i % bias->n];
}

// Operand `at` less the zero point that operand `zero` may give.
static struct tensor *less_zero(struct eval *e, size_t at, size_t zero) {
  struct tensor *x = operand(e, at), *z = operand(e, zero), *y = make(e, "", 6, x->rank, x->dims);
  for (uint64_t i = 0; i < x->n; i++) y->v[i] = x->v[i] - (z ? z->v[0] : 0);
  return y;
}

// ---- elementwise and movement

// Index of element i of a tensor of shape `y` in x, which is repeated.
static uint64_t repeated(const struct tensor *x, const struct tensor *y, uint64_t i) {
  uint64_t at = 0, stride = 1;
  for (unsigned d = 0; d < y->rank; d++) {
    uint64_t k = i % y->dims[y->rank - 1 - d];
    i /= y->dims[y->rank - 1 - d];
    if (d >= x->rank) continue;
    uint64_t size = x->dims[x->rank - 1 - d];
    at += (size == 1 ? 0 : k) * stride;
    stride *= size;
  }
  return at;
}

static double calculate(const char *op, double a, double b) {
  if (isnan(a) || isnan(b)) return NAN;
  switch (op[0]) {
    case 'A': return a + b;
    case 'S': return a - b;
    case 'D': return a / b;
    default: return strcmp(op, "Mul") == 0 ? a * b : strcmp(op, "Max") == 0 ? fmax(a, b) : fmin(a, b);
  }
}

static void arithmetic(struct eval *e) {
  const struct tensor *a = operand(e, 0), *b = operand(e, 1);
  uint64_t dims[DIMS];
  unsigned rank = a->rank > b->rank ? a->rank : b->rank;
  for (unsigned d = 0; d < rank; d++) {
    uint64_t x = d + a->rank < rank ? 1 : a->dims[d + a->rank - rank],
             y = d + b->rank < rank ? 1 : b->dims[d + b->rank - rank];
    dims[d] = x > y ? x : y;
  }
  struct tensor *y = result(e, a->type, rank, dims);
  for (uint64_t i = 0; i < y->n; i++)
    y->v[i] = calculate(e->node->op_type, a->v[repeated(a, y, i)], b->v[repeated(b, y, i)]);
}

static void unary(struct eval *e) {
  const struct tensor *x = operand(e, 0), *lo = operand(e, 1), *hi = operand(e, 2);
  struct tensor *y = result(e, x->type, x->rank, x->dims);
  const char *op = e->node->op_type;
  for (uint64_t i = 0; i < x->n; i++)
    y->v[i] = strcmp(op, "Relu") == 0    ? clip(x->v[i], 0, INFINITY)
              : strcmp(op, "Floor") == 0 ? floor(x->v[i])
              : strcmp(op, "Clip") == 0  ? clip(x->v[i], lo ? lo->v[0] : -INFINITY, hi ? hi->v[0] : INFINITY)
                                         : x->v[i];
}

static void reshape(struct eval *e) {
  const struct tensor *x = operand(e, 0), *shape = operand(e, 1);
  uint64_t dims[DIMS] = {1, 1}, known = 1;
  unsigned rank = shape ? (unsigned)shape->n : 2;
  for (unsigned d = 0; d < rank; d++) {
    double want = shape ? shape->v[d] : d ? -1 : (double)x->dims[0];
    dims[d] = want == 0 ? x->dims[d] : want > 0 ? (uint64_t)want : 0;
    if (dims[d]) known *= dims[d];
  }
  for (unsigned d = 0; d < rank; d++)
    if (!dims[d]) dims[d] = x->n / known;
  memcpy(result(e, x->type, rank, dims)->v, x->v, x->n * sizeof *x->v);
}

static void transpose(struct eval *e) {
  const struct tensor *x = operand(e, 0);
  uint64_t dims[DIMS], stride[DIMS], s = 1;
  for (unsigned d = x->rank; d-- > 0; s *= x->dims[d]) stride[d] = s;
  for (unsigned d = 0; d < x->rank; d++) dims[d] = x->dims[integer(e, "perm", d, 0)];
  struct tensor *y = result(e, x->type, x->rank, dims);
  for (uint64_t i = 0; i < y->n; i++) {
    uint64_t rest = i, at = 0;
    for (unsigned d = y->rank; d-- > 0; rest /= dims[d]) at += rest % dims[d] * stride[integer(e, "perm", d, 0)];
    y->v[i] = x->v[at];
  }
}

static void concat(struct eval *e) {
  const struct tensor *a = operand(e, 0);
  uint64_t dims[DIMS], inner = 1, done = 0;
  unsigned axis = (unsigned)integer(e, "axis", 0, 0);
  memcpy(dims, a->dims, sizeof dims);
  for (size_t i = 1; i < e->node->n_input; i++) dims[axis] += operand(e, i)->dims[axis];
  for (unsigned d = axis + 1; d < a->rank; d++) inner *= dims[d];
  struct tensor *y = result(e, a->type, a->rank, dims);
  for (size_t i = 0; i < e->node->n_input; i++) {
    const struct tensor *x = operand(e, i);
    uint64_t block = x->dims[axis] * inner;
    for (uint64_t k = 0; k < x->n; k++) y->v[k / block * dims[axis] * inner + done + k % block] = x->v[k];
    done += block;
  }
}

// Averages over the last two of four dimensions, or over the axes of the attribute or the second operand.
static void reduce_mean(struct eval *e) {
  const struct tensor *x = operand(e, 0), *axes = operand(e, 1);
  const BfOnnx__Attribute *a = attribute(e, "axes");
  bool gone[DIMS] = {false}, keep = integer(e, "keepdims", 0, 1) != 0;
  for (size_t i = 0; i < (axes ? axes->n : a->n_ints); i++) {
    int64_t d = axes ? (int64_t)axes->v[i] : a->ints[i];
    gone[d < 0 ? d + (int64_t)x->rank : d] = true;
  }
  uint64_t dims[DIMS], left = 1;
  unsigned rank = 0;
  for (unsigned d = 0; d < x->rank; d++) {
    if (!gone[d]) left *= x->dims[d];
    if (!gone[d] || keep) dims[rank++] = gone[d] ? 1 : x->dims[d];
  }
  struct tensor *y = result(e, x->type, rank, dims);
  for (uint64_t i = 0; i < x->n; i++) {
    uint64_t rest = i, at = 0, stride = 1;
    for (unsigned d = x->rank; d-- > 0; rest /= x->dims[d])
      if (!gone[d]) at += rest % x->dims[d] * stride, stride *= x->dims[d];
    y->v[at] += x->v[i] / (double)(x->n / left);
  }
}

static void qlinear_add(struct eval *e) {
  const struct tensor *a = real_operand(e, 0, 0), *b = real_operand(e, 3, 0);
  struct tensor *y = result(e, TYPE_FLOAT, a->rank, a->dims);
  for (uint64_t i = 0; i < y->n; i++) y->v[i] = a->v[i] + b->v[repeated(b, y, i)];
  requantize(y, operand(e, 6), operand(e, 7));
}

static void qlinear_conv(struct eval *e) {
  const struct tensor *x = real_operand(e, 0, 0), *w = real_operand(e, 3, 0), *b = operand(e, 8), *ws = operand(e, 4);
  struct tensor *bias = b ? make(e, "", TYPE_FLOAT, 1, b->dims) : NULL;
  for (uint64_t i = 0; b && i < b->n; i++) bias->v[i] = b->v[i] * operand(e, 1)->v[0] * ws->v[ws->n > 1 ? i : 0];
  requantize(conv(e, x, w, bias), operand(e, 6), operand(e, 7));
}

static void step(struct eval *e) {
  const char *op = e->node->op_type;
  if (strcmp(op, "QuantizeLinear") == 0) quantize(e);
  else if (strcmp(op, "DequantizeLinear") == 0) dequantize(e);
  else if (strcmp(op, "Conv") == 0) conv(e, operand(e, 0), operand(e, 1), operand(e, 2));
  else if (strcmp(op, "ConvInteger") == 0) conv(e, less_zero(e, 0, 2), less_zero(e, 1, 3), NULL);
  else if (strcmp(op, "QLinearConv") == 0) qlinear_conv(e);
  else if (strcmp(op, "Gemm") == 0) gemm(e);
  else if (strcmp(op, "MatMul") == 0) product(e, operand(e, 0), operand(e, 1), false);
  else if (strcmp(op, "MatMulInteger") == 0) product(e, less_zero(e, 0, 2), less_zero(e, 1, 3), false);
  else if (strcmp(op, "QLinearMatMul") == 0)
    requantize(product(e, real_operand(e, 0, 0), real_operand(e, 3, 1), false), operand(e, 6), operand(e, 7));
  else if (strcmp(op, "QLinearAdd") == 0) qlinear_add(e);
  else if (strstr(op, "Pool")) pool(e, strstr(op, "Max") != NULL, strncmp(op, "Global", 6) == 0);
  else if (strcmp(op, "ReduceMean") == 0) reduce_mean(e);
  else if (strcmp(op, "Concat") == 0) concat(e);
  else if (strcmp(op, "Transpose") == 0) transpose(e);
  else if (strcmp(op, "Reshape") == 0 || strcmp(op, "Flatten") == 0) reshape(e);
  else if (strcmp(op, "Relu") == 0 || strcmp(op, "Clip") == 0 || strcmp(op, "Floor") == 0 || strcmp(op, "Cast") == 0)
    unary(e);
  else arithmetic(e);
}

static void add_constant(struct eval *e, const BfOnnx__Tensor *c) {
  uint64_t dims[DIMS];
  for (size_t d = 0; d < c->n_dims; d++) dims[d] = (uint64_t)c->dims[d];
  struct tensor *t = make(e, c->name, c->data_type, (unsigned)c->n_dims, dims);
  size_t bytes = c->data_type == 1 || c->data_type == 6 ? 4 : c->data_type == 7 ? 8 : 1;
  for (uint64_t i = 0; i < t->n; i++) {
    const uint8_t *at = c->raw_data.data + i * bytes;
    float real;
    int32_t word;
    int64_t whole;
    if (c->data_type == 1) memcpy(&real, at, sizeof real), t->v[i] = (double)real;
    else if (bytes == 4) memcpy(&word, at, sizeof word), t->v[i] = word;
    else if (bytes == 8) memcpy(&whole, at, sizeof whole), t->v[i] = (double)whole;
    else t->v[i] = c->data_type == TYPE_S8 ? (int8_t)*at : *at;
  }
}

static void add_input(struct eval *e, const BfOnnx__ValueInfo *info, uint64_t *random) {
  const BfOnnx__TensorType *type = info->type->tensor_type;
  uint64_t dims[DIMS];
  for (size_t d = 0; d < type->shape->n_dim; d++) dims[d] = (uint64_t)type->shape->dim[d]->dim_value;
  struct tensor *t = make(e, info->name, type->elem_type, (unsigned)type->shape->n_dim, dims);
  for (uint64_t i = 0; i < t->n; i++) {
    uint64_t r = fuzz_random(random);
    t->v[i] = t->type == TYPE_U8   ? (double)(r >> 8 & 255)
              : t->type == TYPE_S8 ? (double)(r >> 8 & 255) - 128
                                   : (double)(r >> 8 & 0xffffff) / 0x1p21 - 4;
  }
}

// ---- the importer's side

struct net {
  struct bf_graph *graph;
  struct bf_onnx_interface ports;
};

// The messages, which the caller frees, if it is refused.
static char *import_net(const struct bf_buf *bytes, struct net *net) {
  struct bf_diags diags = {0};
  struct bf_buf text = {0}, rendered = {0};
  struct bf_archive weights = {0};
  const struct bf_onnx_options options = {.interface = &net->ports};
  *net = (struct net){0};
  if (bf_onnx_import(bytes->data, bytes->length, "model.onnx", &options, &text, &weights, &diags)) {
    const struct bf_source *source = bf_diags_add_source(&diags, "model", bf_buf_cstr(&text), text.length);
    net->graph = bf_bfn_compile(source, &weights, NULL, &diags);
  }
  bf_diags_render(&diags, &rendered);
  char *messages = net->graph ? NULL : bf_strdup(bf_buf_cstr(&rendered));
  bf_buf_free(&rendered);
  bf_buf_free(&text);
  bf_archive_free(&weights);
  bf_diags_free(&diags);
  return messages;
}

// Index in the model of element i of the text.
static uint64_t model_index(const struct bf_onnx_port *port, uint64_t i) {
  uint64_t stride[BF_ONNX_MAX_RANK], s = 1, at = 0;
  for (unsigned p = port->nparts; p-- > 0; s *= port->parts[p]) stride[p] = s;
  for (unsigned k = port->nparts; k-- > 0; i /= port->parts[port->order[k]])
    at += i % port->parts[port->order[k]] * stride[port->order[k]];
  return at;
}

static void set_inputs(struct bf_ref_run *run, const struct net *net, struct eval *e) {
  for (size_t i = 0; i < net->ports.ninputs; i++) {
    const struct bf_onnx_port *port = &net->ports.inputs[i];
    const struct bf_tensor *t = bf_graph_find_tensor(net->graph, port->text);
    int64_t *q = bf_alloc(t->elements, sizeof *q);
    for (uint64_t k = 0; k < t->elements; k++) {
      double v = find(e, port->name)->v[model_index(port, k)];
      v = nearbyint((v - port->offset) / port->scale) + bf_quant_zero(&t->quant, 0);
      q[k] = (int64_t)clip(v, (double)bf_type_min(t->type), (double)bf_type_max(t->type));
    }
    assert_true(bf_ref_set_input(run, t, q));
    free(q);
  }
}

struct tally {
  uint64_t elements, undecided, wrong;
};

static void compare(const struct bf_ref_run *run, const struct net *net, struct eval *e, struct tally *tally) {
  for (size_t i = 0; i < net->ports.noutputs; i++) {
    const struct bf_onnx_port *port = &net->ports.outputs[i];
    const struct bf_tensor *t = bf_graph_find_tensor(net->graph, port->text);
    const struct tensor *want = find(e, port->name);
    assert_int_equal(t->elements, want->n);
    for (uint64_t k = 0; k < t->elements; k++) {
      int64_t q = run->values[t->id][k] - bf_quant_zero(&t->quant, 0);
      double got = port->scale * (double)q + port->offset, expected = want->v[model_index(port, k)];
      tally->elements++;
      if (isnan(expected)) tally->undecided++;
      else if (fabs(got - expected) > 0.01 * port->scale + 1e-6 * fabs(expected)) {
        if (!tally->wrong++)
          printf("  %s[%llu]: %.9g instead of %.9g (scale %g)\n", port->name, (unsigned long long)model_index(port, k),
                 got, expected, port->scale);
      }
    }
  }
}

static struct tally check(const char *name, const char *text) {
  struct bf_buf bytes = {0};
  struct net net;
  struct tally tally = {0};
  onnx_from_text(text, &bytes);
  BfOnnx__Model *model = bf_onnx__model__unpack(NULL, bytes.length, (const uint8_t *)bytes.data);
  assert_non_null(model);
  char *messages = import_net(&bytes, &net);
  if (messages) {
    printf("%s: refused: %s\n", name, messages);
    tally.wrong++;
    free(messages);
  }
  uint64_t random = 7;
  for (int k = 0; net.graph && k < ROUNDS; k++) {
    struct eval e = {.graph = model->graph};
    struct bf_ref_run *run = bf_ref_new(net.graph);
    struct bf_diags diags = {0};
    for (size_t i = 0; i < e.graph->n_initializer; i++) add_constant(&e, e.graph->initializer[i]);
    for (size_t i = 0; i < e.graph->n_input; i++) add_input(&e, e.graph->input[i], &random);
    for (size_t i = 0; i < e.graph->n_node; i++) e.node = e.graph->node[i], step(&e);
    set_inputs(run, &net, &e);
    assert_true(bf_ref_run(run, &diags));
    compare(run, &net, &e, &tally);
    bf_ref_free(run);
    bf_diags_free(&diags);
    bf_arena_free(&e.arena);
  }
  printf("%s: %llu elements, %llu wrong, %llu undecided\n", name, (unsigned long long)tally.elements,
         (unsigned long long)tally.wrong, (unsigned long long)tally.undecided);
  bf_graph_free(net.graph);
  bf_onnx_interface_free(&net.ports);
  bf_onnx__model__free_unpacked(model, NULL);
  bf_buf_free(&bytes);
  return tally;
}

// ---- the models

// x: quantized to 8 bits; xd its value. y: what becomes of r.
#define HEAD(dims)                            \
  "input x f " dims                           \
  "\nconst xs f - 0.031\nconst xz u8 - 121\n" \
  "node QuantizeLinear x,xs,xz xq\nnode DequantizeLinear xq,xs,xz xd\n"
#define HEAD2(dims)                           \
  "input v f " dims                           \
  "\nconst vs f - 0.0173\nconst vz u8 - 57\n" \
  "node QuantizeLinear v,vs,vz vq\nnode DequantizeLinear vq,vs,vz vd\n"
#define TAIL(scale)     \
  "const ys f - " scale \
  "\nconst yz u8 - 131\nnode QuantizeLinear r,ys,yz yq\nnode DequantizeLinear yq,ys,yz y\noutput y\n"
// Powers of two: ties are exact.
#define EXACT(dims)                                                              \
  "input x s8 " dims                                                             \
  "\nconst xs f - 0.125\nconst xz s8 - 3\nconst ys f - 0.25\nconst yz s8 - -7\n" \
  "node DequantizeLinear x,xs,xz xd\n"
#define EXACT_TAIL "node QuantizeLinear r,ys,yz y\noutput y\n"

static const struct {
  const char *name, *text;
} models[] = {
    {"Add", HEAD("1,3,8,8") HEAD2("1,3,8,8") "node Add xd,vd r\n" TAIL("0.0411")},
    {"Add of powers of two", EXACT("1,4,4,4") "node Add xd,xd r\n" EXACT_TAIL},
    {"Add, clipped", HEAD("1,3,8,8") HEAD2("1,3,8,8") "node Add xd,vd r\n" TAIL("0.011371")},
    {"Add, repeated", HEAD("1,3,8,8") HEAD2("1,3,1,1") "node Add xd,vd r\n" TAIL("0.0411")},
    {"Add of unlike scales",
     HEAD("1,3,8,8") "input w f 1,3,8,8\nconst ws f - 0.000713\nconst wz s8 - -5\n"
                     "node QuantizeLinear w,ws,wz wq\nnode DequantizeLinear wq,ws,wz wd\nnode Add xd,wd r\n" TAIL(
                         "0.0313")},
    {"Add of a constant", HEAD("1,3,8,8") "const c f 3,1,1 0.37,-1.2,2.1\nnode Add xd,c r\n" TAIL("0.0411")},
    {"Sub", HEAD("1,3,8,8") HEAD2("1,3,8,8") "node Sub xd,vd r\n" TAIL("0.0411")},
    {"Sub, relu", HEAD("1,3,8,8") HEAD2("1,3,8,8") "node Sub xd,vd s\nnode Relu s r\n" TAIL("0.0217")},
    {"Mul", HEAD("1,3,8,8") HEAD2("1,3,8,8") "node Mul xd,vd r\n" TAIL("0.0987")},
    {"Mul, repeated", HEAD("1,3,8,8") HEAD2("1,3,1,1") "node Mul xd,vd r\n" TAIL("0.0987")},
    {"Mul by a constant", HEAD("1,3,8,8") "const c f 3,1,1 0.37,1.2,2.1\nnode Mul xd,c r\n" TAIL("0.0411")},
    {"Conv", HEAD("1,3,7,7") "const w s8 4,3,3,3 ~100\nconst ws f 4 0.011,0.02,0.007,0.013\nconst wz s8 4 0\n"
                             "node DequantizeLinear w,ws,wz wd axis=0\n"
                             "node Conv xd,wd r kernel_shape=3,3 pads=1,0,1,2 strides=2,1\n" TAIL("0.211")},
    {"Conv, bias",
     HEAD("1,4,7,7") "const w s8 4,2,3,3 ~100\nconst ws f - 0.011\nconst wz s8 - 0\n"
                     "const b s32 4 700,-900,1200,33\nconst bs f - 0.000341\nconst bz s32 - 0\n"
                     "node DequantizeLinear w,ws,wz wd\nnode DequantizeLinear b,bs,bz bd\n"
                     "node Conv xd,wd,bd s kernel_shape=3,3 dilations=2,2 group=2\nnode Relu s r\n" TAIL("0.121")},
    {"Gemm", HEAD("2,24") "const w s8 5,24 ~100\nconst ws f 5 0.011,0.02,0.007,0.013,0.005\nconst wz s8 5 0\n"
                          "const b s32 5 700,-900,1200,33,5\nconst bs f 5 0.000341,0.00062,0.000217,0.000403,0.000155\n"
                          "node DequantizeLinear w,ws,wz wd axis=0\nnode DequantizeLinear b,bs bd axis=0\n"
                          "node Gemm xd,wd,bd r transB=1\n" TAIL("0.171")},
    {"MatMul", HEAD("2,24") "const w s8 24,5 ~100\nconst ws f - 0.011\nconst wz s8 - 4\n"
                            "node DequantizeLinear w,ws,wz wd\nnode MatMul xd,wd r\n" TAIL("0.171")},
    {"Relu", HEAD("1,3,8,8") "node Relu xd r\n" TAIL("0.0411")},
    {"Floor of more than the codes", HEAD("1,3,8,8") "const c f - 23.7\nnode Mul xd,c m\nnode Floor m y\noutput y\n"},
    {"Clip", HEAD("1,3,8,8") "const lo f - -0.7\nconst hi f - 1.9\nnode Clip xd,lo,hi r\n" TAIL("0.021137")},
    {"MaxPool", HEAD("1,3,8,8") "node MaxPool xd r kernel_shape=3,3 strides=2,2 pads=1,1,1,1\n" TAIL("0.0411")},
    {"MaxPool, ceil", HEAD("1,3,8,8") "node MaxPool xd r kernel_shape=3,3 strides=2,2 ceil_mode=1\n" TAIL("0.0411")},
    {"AveragePool", HEAD("1,3,8,8") "node AveragePool xd r kernel_shape=2,3 strides=2,1\n" TAIL("0.021137")},
    {"AveragePool of powers of two",
     EXACT("1,2,8,8") "node AveragePool xd r kernel_shape=2,2 strides=2,2\n" EXACT_TAIL},
    {"AveragePool, padding counts",
     HEAD("1,3,8,8") "node AveragePool xd r kernel_shape=3,3 strides=2,2 pads=1,1,1,1 count_include_pad=1\n" TAIL(
         "0.0211")},
    {"AveragePool, ceil that changes nothing",
     HEAD("1,3,8,8") "node AveragePool xd r kernel_shape=2,2 strides=2,2 ceil_mode=1\n" TAIL("0.021137")},
    {"GlobalAveragePool", HEAD("1,5,7,9") "node GlobalAveragePool xd r\n" TAIL("0.011371")},
    {"ReduceMean", HEAD("1,5,7,9") "node ReduceMean xd r axes=2,3 keepdims=1\n" TAIL("0.011371")},
    {"ReduceMean, operand",
     HEAD("2,5,4,4") "const a s64 2 -1,-2\nnode ReduceMean xd,a r keepdims=0\n" TAIL("0.011371")},
    {"ReduceMean, rows", HEAD("1,5,4,6") "node ReduceMean xd r axes=2, keepdims=1\n" TAIL("0.011371")},
    {"Concat", HEAD("1,3,5,5") HEAD2("1,2,5,5") "node Concat xd,vd r axis=1\n" TAIL("0.0411")},
    {"Concat of equals", HEAD("1,3,5,5") "node MaxPool xd m kernel_shape=3,3 pads=1,1,1,1\n"
                                         "node QuantizeLinear m,xs,xz mq\nnode DequantizeLinear mq,xs,xz md\nnode "
                                         "Concat xd,md r axis=1\n" TAIL("0.0411")},
    {"Reshape", HEAD("1,3,4,4") "const shape s64 2 0,-1\nnode Reshape xd,shape f\n"
                                "const w s8 48,3 ~100\nconst ws f - 0.011\nnode DequantizeLinear w,ws wd\nnode MatMul "
                                "f,wd r\n" TAIL("0.271")},
    {"Transpose", HEAD("1,3,4,5") "node Transpose xd r perm=0,2,3,1\n" TAIL("0.0411")},
    {"QLinearConv",
     "input x u8 1,3,7,7\nconst xs f - 0.031\nconst xz u8 - 121\nconst w s8 4,3,3,3 ~100\n"
     "const ws f 4 0.011,0.02,0.007,0.013\nconst wz s8 4 0\nconst ys f - 0.27\nconst yz u8 - 117\n"
     "const b s32 4 700,-900,1200,33\n"
     "node QLinearConv x,xs,xz,w,ws,wz,ys,yz,b y kernel_shape=3,3 pads=1,1,1,1 strides=2,2\noutput y\n"},
    {"QLinearMatMul",
     "input x u8 2,24\nconst xs f - 0.031\nconst xz u8 - 121\nconst w s8 24,5 ~100\n"
     "const ws f - 0.011\nconst wz s8 - 3\nconst ys f - 0.27\nconst yz s8 - 17\n"
     "node QLinearMatMul x,xs,xz,w,ws,wz,ys,yz y\noutput y\n"},
    {"QLinearAdd",
     "input x u8 1,3,8,8\ninput v u8 1,3,8,8\nconst xs f - 0.031\nconst xz u8 - 121\n"
     "const vs f - 0.0173\nconst vz u8 - 57\nconst ys f - 0.0411\nconst yz u8 - 100\n"
     "node QLinearAdd x,xs,xz,v,vs,vz,ys,yz y\noutput y\n"},
    {"ConvInteger",
     "input x u8 1,2,6,6\nconst w s8 3,2,3,3 ~20\nconst xz u8 - 3\nconst wz s8 - -2\n"
     "const mul f 1,3,1,1 37,41,29\nconst add f 1,3,1,1 -900,128,5000\nconst div f - 256\nconst lo f - 0\n"
     "const hi f - 255\nnode ConvInteger x,w,xz,wz c kernel_shape=3,3 pads=1,1,1,1\nnode Cast c f to=1\n"
     "node Mul f,mul m\nnode Add m,add a\nnode Div a,div d\nnode Floor d e\nnode Clip e,lo,hi y\noutput y\n"},
    {"MatMulInteger", "input x u8 2,24\nconst w s8 24,5 ~20\nconst xz u8 - 3\nnode MatMulInteger x,w,xz y\noutput y\n"},
};

static void test_operators(void **state) {
  uint64_t bad = 0;
  for (size_t i = 0; i < BF_COUNT(models); i++) {
    struct tally t = check(models[i].name, models[i].text);
    if (t.wrong || t.undecided * 100 >= t.elements) bad++;
  }
  assert_int_equal(bad, 0);
}

// ---- what is refused

// The message must have each of the `n` texts, and `errors` errors.
static void check_refused(const char *text, int errors, const char *const *says, size_t n) {
  struct bf_buf bytes = {0};
  struct net net;
  int found = 0;
  onnx_from_text(text, &bytes);
  char *messages = import_net(&bytes, &net);
  assert_non_null(messages);
  for (const char *at = messages; (at = strstr(at, "error: ")); at++) found++;
  for (size_t i = 0; i < n; i++)
    if (!strstr(messages, says[i])) fail_msg("no \"%s\" in:\n%s", says[i], messages);
  if (found != errors) fail_msg("%d errors instead of %d:\n%s", found, errors, messages);
  free(messages);
  bf_buf_free(&bytes);
}

static void test_averages_refused(void **state) {
  static const char *const border[] = {"AveragePool (output \"r\")", "sticks out", "ceil_mode 0"};
  static const char *const padding[] = {"does not count its padding", "count_include_pad 1"};
  check_refused(HEAD("1,3,8,8") "node AveragePool xd r kernel_shape=3,3 strides=2,2 ceil_mode=1\n" TAIL("0.02"), 1,
                border, 3);
  check_refused(HEAD("1,3,8,8")
                "node AveragePool xd r kernel_shape=3,3 strides=2,2 ceil_mode=1 pads=1,1,1,1 count_include_pad=1\n" TAIL("0.02"),
                1, border, 3);
  check_refused(HEAD("1,3,8,8") "node AveragePool xd r kernel_shape=3,3 pads=1,1,1,1\n" TAIL("0.02"), 1, padding, 2);
  check_refused(HEAD("1,3,8,8") "node Pad xd p pads=0,0,1,1,0,0,1,1\n"
                "node AveragePool p r kernel_shape=3,3 pads=1,1,1,1\n" TAIL("0.02"), 1, padding, 2);
}

// One error for each kind of obstacle, the first node of the kind, and how many more; nothing about what depends on it.
static void test_kinds(void **state) {
  static const char *const says[] = {"node 2 ReduceMax (output \"a\")",
                                     "GlobalMaxPool",
                                     "(and 1 more)",
                                     "node 5 Gelu (output \"d\")",
                                     "Sigmoid",
                                     "node 8 Einsum",
                                     "MatMul"};
  check_refused(HEAD("1,3,8,8") HEAD2("1,3,8,8") "node Split vd s,t axis=1\noutput s\n", 1,
                (const char *const[]){"node 4 Split", "Slice"}, 2);
  check_refused(HEAD("1,3,8,8") "node ReduceMax xd a axes=2,3\nnode Relu a b\nnode ReduceMax b c axes=1,\n"
                "node Gelu xd d\nnode Conv d,c e\nnode Flatten e f\nnode Einsum f,f r\n" TAIL("0.1"), 3, says, BF_COUNT(says));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_operators), cmocka_unit_test(test_averages_refused),
                                     cmocka_unit_test(test_kinds)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
