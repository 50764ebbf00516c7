// SPDX-License-Identifier: Apache-2.0
// Vectors that take more than one operator: products of matrices, whole networks.
#include <ctype.h>
#include <math.h>
#include <stdio.h>

#include "tests/support/vec_build.h"

// ---- products of matrices

// Products over a batch and a height, either of which one operand may have only once, for all.
struct matmul {
  const struct vec *v;
  struct bf_graph *g;
  uint64_t rows, depth, columns;  // of one product
  uint64_t sizes[3][2];           // batch and height of left, right, result
  int64_t zero;                   // of the right operand
};

// The matrix of operand `which` that product `i` takes.
static uint64_t matrix_of(const struct matmul *m, int which, uint64_t i) {
  uint64_t batch = i / m->sizes[2][1], height = i % m->sizes[2][1];
  return (m->sizes[which][0] == 1 ? 0 : batch) * m->sizes[which][1] + (m->sizes[which][1] == 1 ? 0 : height);
}

// Product number `i`: rows of the left operand, sliced out, through a dense layer.
static struct bf_tensor *one_product(const struct matmul *m, struct bf_tensor *x, const int64_t *right, uint64_t i) {
  struct bf_graph *g = m->g;
  char names[3][24];
  snprintf(names[0], sizeof names[0], "part%u", (unsigned)i);
  snprintf(names[1], sizeof names[1], "right%u", (unsigned)i);
  snprintf(names[2], sizeof names[2], "product%u", (unsigned)i);
  int64_t zero = bf_quant_zero(&x->quant, 0);
  struct bf_tensor *part = vec_new_tensor(g, names[0], x->type, 2, (uint64_t[]){m->rows, m->depth}, zero);
  struct bf_attrs *slice = &bf_graph_node(g, BF_OP_SLICE, names[0], &x, 1, part)->attrs;
  slice->begin[0] = (int32_t)(matrix_of(m, 0, i) * m->rows);
  slice->count[0] = (int32_t)m->rows;
  slice->count[1] = (int32_t)m->depth;
  struct bf_tensor *w = vec_new_constant(g, names[1], x->type, 2, (uint64_t[]){m->columns, m->depth}, m->zero,
                                         right + matrix_of(m, 1, i) * m->columns * m->depth);
  struct bf_tensor *y = vec_new_tensor(g, names[2], x->type, 2, (uint64_t[]){m->rows, m->columns},
                                       vec_int(m->v, "OUTPUT_OFFSET", 0));
  struct bf_requant *rq =
      &bf_graph_node(g, BF_OP_DENSE, names[2], (struct bf_tensor *const[]){part, w}, 2, y)->attrs.requant;
  vec_set_requant(g, m->v, rq, 1);
  if (x->type.bits == 16) rq->mode = BF_REQUANT_TFLITE16;
  return y;
}

// All matrices of the right operand as dense layers want them, [out][in]: turned unless they are recorded so.
static int64_t *right_operand(const struct vec_tensor *t, const struct matmul *m, bool turned) {
  int64_t *out = bf_alloc(t->count, sizeof *out);
  uint64_t size = m->columns * m->depth;
  for (uint64_t i = 0; i < t->count; i++) {
    uint64_t c = i % size / m->depth, d = i % m->depth;
    out[i] = turned ? t->values[i] : t->values[i / size * size + d * m->columns + c];
  }
  return out;
}

// The left operand with all its matrices below each other, turned if they are recorded so.
static struct bf_tensor *left_operand(struct vec_graph *out, const struct matmul *m, const struct vec_tensor *t, bool turned) {
  uint64_t n = m->sizes[0][0] * m->sizes[0][1];
  int64_t zero = -vec_int(m->v, "LHS_OFFSET", 0);
  if (!turned) return vec_new_input(out, "x", t, 2, (uint64_t[]){n * m->rows, m->depth}, zero);
  struct bf_tensor *x = vec_new_input(out, "x", t, 3, (uint64_t[]){n, m->depth, m->rows}, zero);
  if (!x) return NULL;
  struct bf_tensor *side = vec_new_tensor(m->g, "side", x->type, 3, (uint64_t[]){n, m->rows, m->depth}, zero);
  memcpy(bf_graph_node(m->g, BF_OP_TRANSPOSE, "side", &x, 1, side)->attrs.perm, (int32_t[]){0, 2, 1}, 3 * sizeof(int32_t));
  struct bf_tensor *flat = vec_new_tensor(m->g, "flat", x->type, 2, (uint64_t[]){n * m->rows, m->depth}, zero);
  bf_graph_node(m->g, BF_OP_RESHAPE, "flat", &side, 1, flat);
  return flat;
}

static bool read_sizes(const struct vec *v, struct matmul *m) {
  static const char *const names[3] = {"LHS", "RHS", "OUTPUT"};
  for (int i = 0; i < 3; i++) {
    char key[24];
    snprintf(key, sizeof key, "%s_BATCH", names[i]);
    m->sizes[i][0] = (uint64_t)vec_int(v, key, 1);
    snprintf(key, sizeof key, "%s_HEIGHT", names[i]);
    m->sizes[i][1] = (uint64_t)vec_int(v, key, 1);
  }
  for (int k = 0; k < 2; k++)
    for (int i = 0; i < 2; i++)
      if (m->sizes[i][k] != 1 && m->sizes[i][k] != m->sizes[2][k]) return false;
  return m->sizes[2][0] * m->sizes[2][1] <= 64;
}

bool vec_build_matmul(const struct vec *v, struct vec_graph *out) {
  const struct vec_tensor *left = vec_tensor(v, "lhs_input_tensor"), *right = vec_tensor(v, "rhs_input_tensor");
  bool left_turned = vec_int(v, "ADJ_X", 0), right_turned = vec_int(v, "ADJ_Y", 0);
  struct matmul m = {.v = v, .g = out->graph, .zero = -vec_int(v, "RHS_OFFSET", 0)};
  m.rows = (uint64_t)vec_int(v, left_turned ? "LHS_COLS" : "LHS_ROWS", 0);
  m.depth = (uint64_t)vec_int(v, left_turned ? "LHS_ROWS" : "LHS_COLS", 0);
  m.columns = (uint64_t)vec_int(v, right_turned ? "RHS_ROWS" : "RHS_COLS", 0);
  if (!left || !right || !read_sizes(v, &m) || right->count != m.sizes[1][0] * m.sizes[1][1] * m.columns * m.depth) return false;
  struct bf_tensor *x = left_operand(out, &m, left, left_turned);
  if (!x) return false;
  int64_t *weights = right_operand(right, &m, right_turned);
  struct bf_tensor *products[64];
  uint64_t count = m.sizes[2][0] * m.sizes[2][1];
  for (uint64_t i = 0; i < count; i++) products[i] = one_product(&m, x, weights, i);
  free(weights);
  struct bf_tensor *y = vec_new_tensor(out->graph, "y", x->type, 2, (uint64_t[]){count * m.rows, m.columns},
                                       vec_int(v, "OUTPUT_OFFSET", 0));
  bf_graph_node(out->graph, BF_OP_CONCAT, "y", products, (uint32_t)count, y)->attrs.axis = 0;
  return true;
}

// ---- a network

// The keys and tensors of layer `prefix` ("CONV_2D_1"), as a vector of one operator has them. Tensors are borrowed.
static struct vec *layer_of(const struct vec *v, const char *prefix, unsigned number) {
  struct vec *out = bf_alloc(1, sizeof *out);
  size_t length = strlen(prefix), digits = 0;
  for (size_t i = 0; i < v->ncfg; i++) {
    if (strncmp(v->cfg[i].key, prefix, length) != 0 || v->cfg[i].key[length] != '_') continue;
    struct vec_cfg *cfg = &out->cfg[out->ncfg++];
    snprintf(cfg->key, sizeof cfg->key, "%s", v->cfg[i].key + length + 1);
    memcpy(cfg->value, v->cfg[i].value, sizeof cfg->value);
  }
  char start[80];
  snprintf(start, sizeof start, "layer_%u_%.*s", number, (int)(strrchr(prefix, '_') - prefix), prefix);
  for (char *p = start; *p; p++) *p = (char)tolower((unsigned char)*p);
  digits = strlen(start);
  for (size_t i = 0; i < v->ntensors; i++) {
    if (strncmp(v->tensors[i].name, start, digits) != 0 || v->tensors[i].name[digits] != '_') continue;
    struct vec_tensor *t = &out->tensors[out->ntensors++];
    const char *name = v->tensors[i].name + digits + 1;
    *t = v->tensors[i];
    memset(t->name, 0, sizeof t->name);
    memcpy(t->name, strcmp(name, "bias") == 0 ? "biases" : name, strlen(strcmp(name, "bias") == 0 ? "biases" : name));
  }
  return out;
}

// The prefix of layer `number` among the keys, or false.
static bool find_layer(const struct vec *v, unsigned number, char prefix[48]) {
  static const char *const kinds[] = {"CONV_2D", "DEPTHWISE_CONV_2D", "AVERAGE_POOL_2D", "FULLY_CONNECTED", "SOFTMAX"};
  for (size_t k = 0; k < BF_COUNT(kinds); k++) {
    snprintf(prefix, 48, "%s_%u", kinds[k], number);
    size_t length = strlen(prefix);
    for (size_t i = 0; i < v->ncfg; i++)
      if (strncmp(v->cfg[i].key, prefix, length) == 0 && v->cfg[i].key[length] == '_') return true;
  }
  return false;
}

static struct bf_tensor *add_dense(struct bf_graph *g, const struct vec *layer, struct bf_tensor *x, const char *name) {
  char flat_name[64];
  snprintf(flat_name, sizeof flat_name, "%s_flat", name);
  struct bf_tensor *flat = vec_new_tensor(g, flat_name, x->type, 2, (uint64_t[]){1, x->elements}, bf_quant_zero(&x->quant, 0));
  bf_graph_node(g, BF_OP_RESHAPE, flat_name, &x, 1, flat);
  return vec_add_dense(g, layer, flat, name);
}

static struct bf_tensor *add_layer(struct bf_graph *g, const struct vec *layer, const char *name, struct bf_tensor *x) {
  if (strncmp(name, "SOFTMAX", 7) == 0) {
    int64_t mult = vec_int(layer, "MULT", 0), shift = vec_int(layer, "SHIFT", 0);
    return vec_add_softmax(g, x, (float)(ldexp((double)mult, (int)shift - 31) / 0x1p26), name);
  }
  if (strncmp(name, "FULLY", 5) == 0) return add_dense(g, layer, x, name);
  if (strncmp(name, "AVERAGE", 7) == 0) return vec_add_pool(g, layer, BF_OP_AVG_POOL, x, name);
  return vec_add_conv(g, layer, strncmp(name, "DEPTHWISE", 9) == 0, x, name);
}

bool vec_build_chain(const struct vec *v, struct vec_graph *out) {
  const struct vec_tensor *t = vec_tensor(v, "input");
  struct bf_tensor *x = NULL;
  for (unsigned number = 0; number < 100; number++) {
    char prefix[48];
    if (!t || !find_layer(v, number, prefix)) continue;
    struct vec *layer = layer_of(v, prefix, number);
    uint64_t shape[] = {1, (uint64_t)vec_int(layer, "INPUT_H", 0), (uint64_t)vec_int(layer, "INPUT_W", 0),
                        (uint64_t)vec_int(layer, "IN_CH", 0)};
    if (!x) x = vec_new_input(out, "x", t, 4, shape, -vec_int(layer, "INPUT_OFFSET", 0));
    x = x ? add_layer(out->graph, layer, prefix, x) : NULL;
    free(layer);
    if (!x) return false;
  }
  return x != NULL;
}
