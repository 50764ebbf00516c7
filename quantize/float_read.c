// SPDX-License-Identifier: Apache-2.0
// Reading a float ONNX model: its door, input, nodes in order, output.
#include "quantize/float_read.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct {
  const char *op;
  bf_float_read_op *read;
} rows[] = {
#define BF_FLOAT_ONNX(op, function) {#op, bf_float_read_##function},
#include "quantize/float_onnx.def"
};

struct bf_float_node *bf_float_node_new(struct bf_float_reader *r, enum bf_float_op op, struct bf_float_node *x) {
  struct bf_float_node *n = bf_arena_alloc(&r->net->arena, 1, sizeof *n);
  *n = (struct bf_float_node){.op = op, .index = SIZE_MAX, .stride = {1, 1}, .dilation = {1, 1}, .kernel = {1, 1}, .groups = 1,
                              .step = {1, 1, 1}, .lo = -INFINITY, .hi = INFINITY};
  if (x) {
    n->in[n->nin++] = x;
    n->h = x->h, n->w = x->w, n->c = x->c, n->flat = x->flat;
  }
  return n;
}

// What the importer's helpers (Shape, say) want to know of a computed value.
static void describe(struct bf_onx_value *v, const struct bf_float_node *n) {
  v->known = true;
  v->layout.shape = n->flat ? (struct bf_onx_shape){.rank = 2, .dims = {1, bf_float_elements(n)}}
                            : (struct bf_onx_shape){.rank = 4, .dims = {1, n->c, n->h, n->w}};
}

bool bf_float_define(struct bf_float_reader *r, struct bf_float_node *n) {
  uint64_t elements;
  if (!bf_mul_limit(n->h, n->w, BF_MAX_ELEMENTS, &elements) || !bf_mul_limit(elements, n->c, BF_MAX_ELEMENTS, &elements))
    return bf_onx_fail(&r->l, NULL, "a result of too many elements");
  if (n->index == SIZE_MAX) {
    n->index = r->net->count;
    BF_PUSH(r->net->nodes, r->net->count, r->net->capacity) = n;
  }
  *bf_onx_map_at(r->nodes, r->l.node->output[0]) = n;
  describe(bf_onx_output(&r->l, 0), n);
  return true;
}

struct bf_float_node *bf_float_operand(struct bf_float_reader *r, size_t i) {
  struct bf_onx_lower *l = &r->l;
  struct bf_onx_value *v = bf_onx_input(l, i);
  void **slot = v ? bf_onx_map_at(r->nodes, l->node->input[i]) : NULL;
  if (slot && *slot) return *slot;
  if (v && v->constant) bf_onx_fail(l, NULL, "operand %zu is a constant where a computed value is needed", i);
  else bf_onx_fail(l, NULL, "operand %zu is missing, or not computed before it", i);
  return NULL;
}

static bool not_supported(struct bf_float_reader *r) {
  struct bf_buf hint = {0};
  bf_buf_puts(&hint, "these can be quantized:");
  for (size_t i = 0; i < BF_COUNT(rows); i++) bf_buf_printf(&hint, "%s %s", i ? "," : "", rows[i].op);
  const char *text = bf_arena_strdup(&r->l.arena, bf_buf_cstr(&hint));
  bf_buf_free(&hint);
  return bf_onx_fail(&r->l, text, "this operator cannot be quantized");
}

// Whether an operand could not be computed: that was said already.
static bool read_node(struct bf_float_reader *r) {
  struct bf_onx_lower *l = &r->l;
  const BfOnnx__Node *n = l->node;
  bool done;
  if (!n->op_type || !n->n_output || !*n->output[0]) return bf_onx_fail(l, NULL, "a node without operator or result");
  for (size_t k = 0; k < n->n_input; k++) {
    const struct bf_onx_value *v = bf_onx_input(l, k);
    if (v && v->failed) return false;
  }
  if (!bf_onx_fold(l, &done)) return false;
  if (done) return true;
  for (size_t i = 0; i < BF_COUNT(rows); i++)
    if (strcmp(rows[i].op, n->op_type) == 0) return rows[i].read(r);
  return not_supported(r);
}

static bool read_input(struct bf_float_reader *r) {
  struct bf_onx_lower *l = &r->l;
  const BfOnnx__Graph *g = l->model->graph;
  struct bf_onx_shape shape;
  for (size_t i = 0; i < g->n_input; i++) {
    const char *name = g->input[i]->name ? g->input[i]->name : "";
    struct bf_onx_value *v = *bf_onx_map_at(l->map, name);
    if (!v || v->constant) continue;  // read by nobody, or an initializer
    if (r->net->count) return bf_onx_fail(l, NULL, "the model has more than one input");
    if (!bf_onx_input_shape(l, g->input[i], &shape)) return false;
    if ((shape.rank != 4 && shape.rank != 2) || shape.dims[0] != 1)
      return bf_onx_fail(l, "export it with one image, [1, channels, height, width] or [1, features]",
                         "input \"%s\" is no batch of one image or of one list of features", bf_onx_printable(&l->arena, name));
    struct bf_float_node *n = bf_float_node_new(r, BF_FLOAT_INPUT, NULL);
    n->flat = shape.rank == 2;
    n->h = n->flat ? 1 : shape.dims[2];
    n->w = n->flat ? 1 : shape.dims[3];
    n->c = shape.dims[1];
    n->index = r->net->count;
    BF_PUSH(r->net->nodes, r->net->count, r->net->capacity) = n;
    const char *text = bf_onx_identifier(l, name);
    n->name = bf_arena_strdup(&r->net->arena, bf_onx_unique(l, text ? text : "x"));
    r->net->model_input = bf_arena_strdup(&r->net->arena, name);
    *bf_onx_map_at(r->nodes, name) = n;
    describe(v, n);
  }
  return r->net->count || bf_onx_fail(l, NULL, "the model has no input that anything reads");
}

static bool read_output(struct bf_float_reader *r) {
  struct bf_onx_lower *l = &r->l;
  const BfOnnx__Graph *g = l->model->graph;
  if (g->n_output != 1 || !g->output[0]->name) return bf_onx_fail(l, NULL, "the model has %zu outputs, one works", g->n_output);
  r->net->output = *bf_onx_map_at(r->nodes, g->output[0]->name);
  if (!r->net->output || r->net->output->op == BF_FLOAT_INPUT)
    return bf_onx_fail(l, NULL, "output \"%s\" is not computed", bf_onx_printable(&l->arena, g->output[0]->name));
  return true;
}

// Names for what has no weights; the network's own name.
static void give_names(struct bf_float_reader *r) {
  static const char *const words[BF_FLOAT_OPS] = {[BF_FLOAT_ADD] = "add",           [BF_FLOAT_AVERAGE] = "mean",
                                                  [BF_FLOAT_AFFINE] = "affine",     [BF_FLOAT_MAX_POOL] = "pool",
                                                  [BF_FLOAT_CLIP] = "clip",         [BF_FLOAT_PAD] = "padded",
                                                  [BF_FLOAT_SLICE] = "part",        [BF_FLOAT_FLATTEN] = "flat",
                                                  [BF_FLOAT_UNFLATTEN] = "image"};
  const BfOnnx__Graph *g = r->l.model->graph;
  const char *name = g->name ? bf_onx_identifier(&r->l, g->name) : NULL;
  r->net->name = bf_arena_strdup(&r->net->arena, name ? name : "model");
  for (size_t i = 0; i < r->net->count; i++) {
    struct bf_float_node *n = r->net->nodes[i];
    const char *word = words[n->op] ? words[n->op] : "layer";
    if (!n->name) n->name = bf_arena_strdup(&r->net->arena, bf_onx_unique(&r->l, word));
  }
}

static bool read_graph(struct bf_float_reader *r) {
  struct bf_onx_lower *l = &r->l;
  const BfOnnx__Graph *g = l->model->graph;
  if (!g) return bf_onx_fail(l, NULL, "this is no ONNX model: it has no graph");
  if (!bf_onx_check_names(l) || !bf_onx_read_constants(l) || !read_input(r)) return false;
  for (l->index = 0; l->index < g->n_node && !l->exhausted; l->index++) {
    l->node = g->node[l->index];
    if (read_node(r)) continue;
    for (size_t k = 0; k < l->node->n_output; k++)
      if (*l->node->output[k]) bf_onx_output(l, k)->failed = true;
  }
  l->node = NULL;
  if (l->nproblems || !read_output(r)) return false;
  if (!bf_float_fuse(r)) return false;
  give_names(r);
  return true;
}

struct bf_float_net *bf_float_net_read(const void *data, size_t length, const char *file, struct bf_diags *diags) {
  static const struct bf_onnx_options none;
  struct bf_float_reader r = {.l = {.file = file, .diags = diags, .options = &none}};
  struct bf_onx_lower *l = &r.l;
  if (!(l->model = bf_onx_unpack(data, length, file, diags))) return NULL;
  r.net = bf_alloc(1, sizeof *r.net);
  l->map = bf_onx_map_new(&l->arena);
  l->names = bf_onx_map_new(&l->arena);
  r.nodes = bf_onx_map_new(&l->arena);
  l->budget = 64 * (uint64_t)length + ((uint64_t)1 << 20);  // elements made by folding, as in the importer
  bool ok = read_graph(&r);
  ok = bf_onx_report(l) && ok;
  bf_onx_free_model(l->model);
  free(l->problems);
  free(l->left_out);
  bf_arena_free(&l->arena);
  if (ok) return r.net;
  bf_float_net_free(r.net);
  return NULL;
}

// ---- images

static bool has_shape(const struct bf_array *a, unsigned rank, const uint64_t *shape) {
  if (a->rank == rank) return memcmp(a->shape, shape, rank * sizeof *shape) == 0;
  return false;
}

static void report_shape(const struct bf_float_node *x, const struct bf_array *a, const char *file, struct bf_diags *diags) {
  struct bf_buf text = {0};
  for (unsigned i = 0; i < a->rank; i++) bf_buf_printf(&text, "%s%llu", i ? ", " : "", (unsigned long long)a->shape[i]);
  if (x->flat)
    bf_error_file(diags, file, NULL, "the array has shape [%s], but the model wants [images, %llu]", bf_buf_cstr(&text),
                  (unsigned long long)x->c);
  else
    bf_error_file(diags, file, NULL, "the array has shape [%s], but the model wants [images, %llu, %llu, %llu] or, channels last, [images, %llu, %llu, %llu]",
                  bf_buf_cstr(&text), (unsigned long long)x->c, (unsigned long long)x->h, (unsigned long long)x->w,
                  (unsigned long long)x->h, (unsigned long long)x->w, (unsigned long long)x->c);
  bf_buf_free(&text);
}

bool bf_float_images(const struct bf_float_net *net, const struct bf_array *a, const char *file, float **out, uint64_t *images,
                     struct bf_diags *diags) {
  const struct bf_float_node *x = net->nodes[0];
  uint64_t n = a->rank ? a->shape[0] : 0, pixels = x->h * x->w, elements = pixels * x->c;
  const uint64_t model[4] = {n, x->c, x->h, x->w}, last[4] = {n, x->h, x->w, x->c}, flat[2] = {n, x->c};
  bool planes = !x->flat && has_shape(a, 4, model), ok = planes || (x->flat ? has_shape(a, 2, flat) : has_shape(a, 4, last));
  if (!ok) {
    report_shape(x, a, file, diags);
    return false;
  }
  if (!n) {
    bf_error_file(diags, file, NULL, "the array holds no image");
    return false;
  }
  float *data = bf_alloc(a->elements, sizeof *data);
  for (uint64_t i = 0; i < a->elements; i++) {
    uint64_t image = i / elements, at = i % elements, to = planes ? at % pixels * x->c + at / pixels : at;
    float v = (float)bf_array_real(a, i);
    if (!isfinite(v)) {
      bf_error_file(diags, file, NULL, "element %llu is not a finite number", (unsigned long long)i);
      free(data);
      return false;
    }
    data[image * elements + to] = v;
  }
  *out = data;
  *images = n;
  return true;
}
