// SPDX-License-Identifier: Apache-2.0
// The import as a whole: the model's door, its inputs, its nodes in order, its outputs, the text.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/onnx_lower.h"

#define MAX_NODES 100000
#define CONSTANTS_PER_BYTE 64  // elements made by folding, for each byte of the file
#define CONSTANTS_MORE ((uint64_t)1 << 20)
#define CHANNELS_MORE ((uint64_t)1 << 22)  // of all sources together, beside as many for each byte

static const struct node_row {
  const char *op;
  bf_onx_op *lower;
} rows[] = {
#define BF_ONX_NODE(op, function) {#op, bf_onx_op_##function},
#include "frontend/onnx_nodes.def"
};

static bool not_supported(struct bf_onx_lower *l) {
  static const struct {
    const char *op, *hint;
  } nearest[] = {
#define BF_ONX_NODE(op, function)
#define BF_ONX_NEAREST(op, hint) {#op, hint},
#include "frontend/onnx_nodes.def"
  };
  const char *hint = "docs/onnx.md lists the operators that are";
  for (size_t i = 0; i < BF_COUNT(nearest); i++)
    if (strcmp(nearest[i].op, l->node->op_type) == 0) hint = nearest[i].hint;
  return bf_onx_fail(l, hint, "this operator is not supported");
}

bool bf_onx_lower_node(struct bf_onx_lower *l) {
  const BfOnnx__Node *n = l->node;
  bool done;
  if (!n->op_type || !n->n_output) return bf_onx_fail(l, NULL, "a node without operator or result");
  for (size_t i = 0; i < n->n_attribute; i++)
    if (n->attribute[i]->has_g || n->attribute[i]->n_graphs)
      return bf_onx_fail(l, NULL, "operators with subgraphs are not supported");
  if (!bf_onx_fold(l, &done)) return false;
  if (done) return true;
  size_t i = 0;
  bool failed = false;
  while (i < BF_COUNT(rows) && strcmp(rows[i].op, n->op_type) != 0) i++;
  for (size_t k = 0; k < n->n_input; k++) {
    const struct bf_onx_value *v = bf_onx_input(l, k);
    failed |= v && v->failed;
    if (v && !v->known && !v->failed) return bf_onx_fail(l, NULL, "operand %zu is not computed before it", k);
    // Behind a left out operator there is nothing, unless a layer needs it, which says so itself.
    if (v && v->left_out && (i == BF_COUNT(rows) || rows[i].lower != bf_onx_op_conv)) return bf_onx_op_tail(l);
  }
  if (i == BF_COUNT(rows)) return not_supported(l);
  return !failed && rows[i].lower(l);
}

// ---- the door

static struct bf_onx_value *value_of(struct bf_onx_lower *l, const char *name) {
  void **slot = bf_onx_map_at(l->map, name);
  if (!*slot) {
    struct bf_onx_value *v = bf_arena_alloc(&l->arena, 1, sizeof *v);
    v->name = bf_arena_strdup(&l->arena, name);
    *slot = v;
  }
  return *slot;
}

bool bf_onx_check_names(struct bf_onx_lower *l) {
  const BfOnnx__Graph *g = l->model->graph;
  if (g->n_node > MAX_NODES) return bf_onx_fail(l, NULL, "the model has more than %d nodes", MAX_NODES);
  struct bf_onx_map *made = bf_onx_map_new(&l->arena);
  for (size_t i = 0; i < g->n_node; i++) {
    const BfOnnx__Node *n = g->node[i];
    for (size_t k = 0; k < n->n_input; k++)
      if (*n->input[k]) {
        struct bf_onx_value *v = value_of(l, n->input[k]);
        if (!v->uses++) v->reader = n;
      }
    for (size_t k = 0; k < n->n_output; k++) {
      void **slot = bf_onx_map_at(made, n->output[k]);
      if (*n->output[k] && *slot)
        return bf_onx_fail(l, NULL, "tensor \"%s\" is computed twice", bf_onx_printable(&l->arena, n->output[k]));
      *slot = value_of(l, n->output[k]);
    }
  }
  for (size_t i = 0; i < g->n_output; i++)
    if (g->output[i]->name) value_of(l, g->output[i]->name)->uses++;
  return true;
}

static bool add_constant(struct bf_onx_lower *l, const char *name, const struct bf_onx_const *c) {
  struct bf_onx_value *v = value_of(l, name);
  if (v->known) return bf_onx_fail(l, NULL, "tensor \"%s\" is given twice", bf_onx_printable(&l->arena, name));
  struct bf_onx_const *copy = bf_arena_alloc(&l->arena, 1, sizeof *copy);
  *copy = *c;
  copy->name = v->name;
  v->constant = copy;
  v->known = true;
  return true;
}

bool bf_onx_read_constants(struct bf_onx_lower *l) {
  const BfOnnx__Graph *g = l->model->graph;
  struct bf_onx_const c;
  const char *why;
  if (g->n_sparse_initializer) return bf_onx_fail(l, NULL, "sparse initializers are not supported");
  for (size_t i = 0; i < l->options->nbindings; i++) {
    const struct bf_onnx_binding *b = &l->options->bindings[i];
    if (!bf_onx_read_tensor(l, b->data, b->length, &c, &why))
      return bf_onx_fail(l, NULL, "the tensor for \"%s\" cannot be read: %s", bf_onx_printable(&l->arena, b->name),
                         why);
    if (!add_constant(l, b->name, &c)) return false;
  }
  for (size_t i = 0; i < g->n_initializer; i++) {
    const char *name = g->initializer[i]->name ? g->initializer[i]->name : "";
    if (!bf_onx_decode(l, g->initializer[i], &c, &why))
      return bf_onx_fail(l, NULL, "initializer \"%s\" cannot be read: %s", bf_onx_printable(&l->arena, name), why);
    if (!add_constant(l, name, &c)) return false;
  }
  return true;
}

static bool known_op(const char *op, const char *const *list) {
  for (; *list; list++)
    if (strcmp(op, *list) == 0) return true;
  return false;
}

// Whether the model counts in integers without saying so: no quantizers, all weights whole.
static bool is_integer_graph(struct bf_onx_lower *l) {
  static const char *const quantizers[] = {"Quant",          "BipolarQuant",     "MultiThreshold",
                                           "QuantizeLinear", "DequantizeLinear", NULL};
  static const char *const layers[] = {"Conv", "Gemm", "MatMul", NULL};
  const BfOnnx__Graph *g = l->model->graph;
  bool any = false;
  for (size_t i = 0; i < g->n_node; i++)
    l->has_quantizers |= g->node[i]->op_type && known_op(g->node[i]->op_type, quantizers);
  for (size_t i = 0; i < g->n_node; i++) {
    const BfOnnx__Node *n = g->node[i];
    if (!n->op_type || l->has_quantizers) return false;
    if (!known_op(n->op_type, layers) || n->n_input < 2) continue;
    const struct bf_onx_value *w = value_of(l, n->input[1]);
    if (!w->constant || !w->constant->real) return false;
    for (uint64_t k = 0; k < w->constant->count; k++)
      if (w->constant->real[k] != floor(w->constant->real[k])) return false;
    any = true;
  }
  return any;
}

// ---- inputs

// "UINT8", "INT2", "BIPOLAR", … of FINN's annotations.
static bool annotated_type(struct bf_onx_lower *l, const char *name, struct bf_type *out) {
  const BfOnnx__Graph *g = l->model->graph;
  for (size_t i = 0; i < g->n_quantization_annotation; i++) {
    const BfOnnx__Annotation *a = g->quantization_annotation[i];
    if (!a->tensor_name || strcmp(a->tensor_name, name) != 0) continue;
    for (size_t k = 0; k < a->n_quant_parameter_tensor_names; k++) {
      const BfOnnx__Entry *e = a->quant_parameter_tensor_names[k];
      if (!e->key || !e->value || strcmp(e->key, "finn_datatype") != 0) continue;
      bool is_signed = strncmp(e->value, "INT", 3) == 0;
      const char *digits = e->value + (is_signed ? 3 : 4);
      if (strcmp(e->value, "BIPOLAR") == 0) *out = (struct bf_type){BF_TYPE_B, 1};
      else if (strcmp(e->value, "TERNARY") == 0) *out = (struct bf_type){BF_TYPE_T, 2};
      else if (is_signed || strncmp(e->value, "UINT", 4) == 0)
        *out = (struct bf_type){is_signed ? BF_TYPE_S : BF_TYPE_U, (unsigned)strtoul(digits, NULL, 10)};
      else return false;
      return out->bits >= 1 && out->bits <= 16;
    }
  }
  return false;
}

// The first node that reads the tensor, through Pad and quantizers.
static const BfOnnx__Node *reader_of(struct bf_onx_lower *l, const char *name, const char *op) {
  const BfOnnx__Graph *g = l->model->graph;
  for (size_t i = 0; i < g->n_node; i++)
    for (size_t k = 0; k < g->node[i]->n_input; k++)
      if (g->node[i]->op_type && strcmp(g->node[i]->input[k], name) == 0 && strcmp(g->node[i]->op_type, op) == 0)
        return g->node[i];
  return NULL;
}

static bool has_images(const struct bf_onx_lower *l) {
  const BfOnnx__Graph *g = l->model->graph;
  for (size_t i = 0; i < g->n_node; i++)
    if (g->node[i]->op_type && (strstr(g->node[i]->op_type, "Conv") || strstr(g->node[i]->op_type, "Pool")))
      return true;
  return false;
}

// Channels come last in the text if there is anything that works on images, unless the model has them last itself.
static bool wants_image(struct bf_onx_lower *l, const char *name, unsigned rank) {
  const BfOnnx__Node *t = reader_of(l, name, "Transpose");
  int64_t perm[4];
  if (rank != 3 && rank != 4) return false;
  if (t && bf_onx_ints(t, "perm", rank, perm) && perm[1] == (int64_t)rank - 1) return false;
  return rank == 4 || has_images(l);
}

bool bf_onx_input_shape(struct bf_onx_lower *l, const BfOnnx__ValueInfo *info, struct bf_onx_shape *shape) {
  const BfOnnx__TensorType *t = info->type ? info->type->tensor_type : NULL;
  uint64_t elements = 1;
  const char *name = bf_onx_printable(&l->arena, info->name);
  if (!t || !t->shape || t->shape->n_dim > 4)
    return bf_onx_fail(l, "tensors of 0 to 4 dimensions work", "input \"%s\" has no shape, or more than 4 dimensions",
                       name);
  *shape = (struct bf_onx_shape){.rank = (unsigned)t->shape->n_dim};
  for (unsigned d = 0; d < shape->rank; d++) {
    const BfOnnx__Dimension *dim = t->shape->dim[d];
    int64_t size = dim->has_dim_value ? dim->dim_value : 0;
    if (d == 0 && size <= 0) size = 1;  // a batch left open
    if (size <= 0 || !bf_mul_limit(elements, (uint64_t)size, BF_MAX_ELEMENTS, &elements))
      return bf_onx_fail(l, "export the model with the sizes of its input",
                         "dimension %u of input \"%s\" is open or too large", d, name);
    shape->dims[d] = (uint64_t)size;
  }
  return true;
}

static bool set_input_type(struct bf_onx_lower *l, struct bf_onx_value *v, struct bf_onx_text *text,
                           const BfOnnx__ValueInfo *info) {
  unsigned bits;
  bool is_signed;
  struct bf_type annotated;
  int32_t type = info->type->tensor_type->elem_type;
  text->undecided = true;
  if (bf_onx_int_type(type, &bits, &is_signed)) {
    if (bits > 16)
      return bf_onx_fail(l, "inputs of up to 16 bits work", "input \"%s\" has %u bits",
                         bf_onx_printable(&l->arena, v->name), bits);
    text->retaggable = v->uses == 1;
    v->integer_type = type;
    v->coded = true;
    v->code_scale = 1;
    return bf_onx_decide_input(l, text, (struct bf_type){is_signed ? BF_TYPE_S : BF_TYPE_U, bits}, 1, 0);
  }
  if (annotated_type(l, v->name, &annotated)) return bf_onx_decide_input(l, text, annotated, 1, 0);
  const BfOnnx__Node *conv = reader_of(l, v->name, "Conv");
  // Ternary networks say so at the convolutions.
  if (l->integer_graph && !l->options->input_type.bits && conv && bf_onx_int(conv, "weight_bits", 8) == 2)
    return bf_onx_decide_input(l, text, (struct bf_type){BF_TYPE_S, 2}, 1, 0);
  return true;
}

static bool define_input(struct bf_onx_lower *l, const BfOnnx__ValueInfo *info) {
  struct bf_onx_layout layout;
  struct bf_onx_shape shape;
  struct bf_onx_value *v = value_of(l, info->name ? info->name : "");
  if (v->known) return true;  // an initializer
  if (!bf_onx_input_shape(l, info, &shape)) return false;
  struct bf_onx_text *text = bf_arena_alloc(&l->arena, 1, sizeof *text);
  if (wants_image(l, v->name, shape.rank)) {
    bf_onx_layout_image(&layout, &shape);
    bf_onx_layout_text(&layout, &text->rank, text->shape);
  } else {
    bf_onx_layout_plain(&layout, &shape);
    text->rank = shape.rank > 2 ? 4 : 2;
    for (unsigned d = 0; d < 4; d++) text->shape[d] = 1;
    for (unsigned d = 0; d < shape.rank; d++) text->shape[d + text->rank - shape.rank] = shape.dims[d];
    if (shape.rank == 3)
      memcpy(text->shape, (const uint64_t[]){shape.dims[0], 1, shape.dims[1], shape.dims[2]}, sizeof text->shape);
  }
  const char *name = bf_onx_identifier(l, v->name);
  text->name = bf_onx_unique(l, name ? name : "x");
  text->scale = 1;
  text->model_name = v->name;
  if (!set_input_type(l, v, text, info)) return false;
  v->layout = layout;
  v->source = bf_onx_text_source(l, text, &layout);
  v->known = true;
  // The first step reads the scale when it is known.
  bf_onx_push(l, v, (struct bf_onx_step){.kind = STEP_MUL, .n = 1, .v = &text->scale});
  return true;
}

// ---- outputs

static void add_port(struct bf_onx_lower *l, struct bf_onnx_port **list, size_t *n, const struct bf_onx_value *v,
                     const char *model_name) {
  struct bf_onnx_port port = {
      .name = bf_strdup(model_name), .text = bf_strdup(v->source->in[0]->name), .rank = v->layout.shape.rank};
  double scale, offset;
  memcpy(port.dims, v->layout.shape.dims, sizeof port.dims);
  port.nparts = v->layout.nparts;
  memcpy(port.parts, v->layout.part, sizeof port.parts);
  memcpy(port.order, v->layout.order, sizeof port.order);
  struct bf_onx_value plain = *v;
  if (v->coded) plain = *bf_onx_plain(l, v);
  if (!bf_onx_affine(plain.steps, plain.nsteps, &scale, &offset)) scale = 1, offset = 0;
  port.scale = scale;
  port.offset = offset;
  *list = bf_realloc(*list, *n + 1, sizeof **list);
  (*list)[(*n)++] = port;
}

// A layer that copies: an output may not be an input.
static void copy_output(struct bf_onx_lower *l, struct bf_onx_value *v) {
  struct bf_onx_text *t = v->source->in[0];
  struct bf_onx_source *s = bf_onx_text_source(l, t, &v->layout);
  struct bf_onx_requant rq = {.mode = BF_REQUANT_AFFINE_FLOOR,
                              .n = 1,
                              .mult = (int64_t[]){1},
                              .add = (int64_t[]){t->zero},
                              .lo = bf_type_min(t->type),
                              .hi = bf_type_max(t->type)};
  s->hint = "copy";
  v->source = bf_onx_text_source(l, bf_onx_print_layer(l, s, t->type, t->scale, t->zero, &rq), &v->layout);
}

// The elements of an output stand in the model's order, channels last in images.
static bool arrange_output(struct bf_onx_lower *l, struct bf_onx_value *v) {
  struct bf_onx_layout want;
  unsigned rank = v->layout.shape.rank, text_rank;
  uint64_t shape[4];
  if (rank > 4) return true;  // described by its port
  bool image = rank == 4 || (rank == 3 && has_images(l));
  if (rank == 3 && !image) return true;
  if (image) bf_onx_layout_image(&want, &v->layout.shape);
  else bf_onx_layout_plain(&want, &v->layout.shape);
  bf_onx_layout_text(&want, &text_rank, shape);
  return bf_onx_arrange(l, v, &want, text_rank, shape);
}

static bool define_output(struct bf_onx_lower *l, const char *name, struct bf_onx_map *inputs, struct bf_buf *list) {
  struct bf_onx_value *v = value_of(l, name), *base = v->left_out ? v->base : v;
  if (!base->known) return bf_onx_fail(l, NULL, "output \"%s\" is never computed", bf_onx_printable(&l->arena, name));
  if (base->constant) return bf_onx_fail(l, NULL, "output \"%s\" is a constant", bf_onx_printable(&l->arena, name));
  if (!bf_onx_settle_output(l, base) || !bf_onx_pad(l, base)) return false;
  // Sums of more than 16 bits are in the model's order as they are: nothing may read them.
  if (base->source->in[0]->type.bits <= 16 && !arrange_output(l, base)) return false;
  const char *text = base->source->in[0]->name;
  if (*bf_onx_map_at(inputs, text)) {
    copy_output(l, base);
    text = base->source->in[0]->name;
  }
  if (l->options->interface) add_port(l, &l->options->interface->outputs, &l->options->interface->noutputs, base, name);
  void **seen = bf_onx_map_at(inputs, bf_arena_format(&l->arena, "output %s", text));
  if (!*seen) bf_buf_printf(list, "%s%s", list->length ? ", " : "", text);
  *seen = v;
  return true;
}

static void print_input(struct bf_onx_lower *l, const struct bf_onx_value *v) {
  const struct bf_onx_text *t = v->source->in[0];
  char type[8], scale[40];
  bf_buf_printf(&l->head, "  input %s: %s[%s]", t->name, bf_type_text(type, t->type),
                bf_onx_shape_text(&l->arena, t->rank, t->shape));
  bf_onx_number(scale, t->scale);
  if (t->scale != 1) bf_buf_printf(&l->head, " scale %s", scale);
  if (t->zero) bf_buf_printf(&l->head, " zero %lld", (long long)t->zero);
  bf_buf_printf(&l->head, ";  # %s\n", bf_onx_printable(&l->arena, v->name));
}

// ---- all of it

// Further nodes may count on it that the elements of their operands can be counted.
static bool check_results(struct bf_onx_lower *l) {
  for (size_t k = 0; k < l->node->n_output; k++) {
    const struct bf_onx_value *v = *l->node->output[k] ? bf_onx_output(l, k) : NULL;
    uint64_t elements = 1;
    if (!v || !v->known || v->constant || v->left_out) continue;
    for (unsigned d = 0; d < v->layout.shape.rank; d++)
      if (!bf_mul_limit(elements, v->layout.shape.dims[d], BF_MAX_ELEMENTS, &elements))
        return bf_onx_fail(l, NULL, "a result of too many elements");
  }
  return true;
}

// One obstacle makes others: what depends on it is not worth a word, nor what reads the same, which may be half done.
static void give_up(struct bf_onx_lower *l) {
  for (size_t k = 0; k < l->node->n_input + l->node->n_output; k++) {
    bool input = k < l->node->n_input;
    const char *name = input ? l->node->input[k] : l->node->output[k - l->node->n_input];
    struct bf_onx_value *v = *name ? *bf_onx_map_at(l->map, name) : NULL;
    if (!v || (input && v->constant)) continue;
    *v = (struct bf_onx_value){.name = v->name, .uses = v->uses, .reader = v->reader, .failed = true};
  }
}

static void lower_next(struct bf_onx_lower *l) {
  unsigned failures = l->failures;
  bool ok = bf_onx_lower_node(l) && check_results(l);
  for (size_t k = 0; ok && k < l->node->n_output; k++)
    if (*l->node->output[k]) bf_onx_share(l, bf_onx_output(l, k));
  if (!ok || l->failures != failures) give_up(l);
}

static bool lower_graph(struct bf_onx_lower *l, struct bf_buf *outputs) {
  const BfOnnx__Graph *g = l->model->graph;
  struct bf_onx_map *inputs = bf_onx_map_new(&l->arena);
  size_t count = 0;
  struct bf_onx_value **given = bf_arena_alloc(&l->arena, g->n_input + 1, sizeof *given);
  if (!bf_onx_check_names(l) || !bf_onx_read_constants(l)) return false;
  l->integer_graph = is_integer_graph(l);
  for (size_t i = 0; i < g->n_input; i++) {
    if (!define_input(l, g->input[i])) return false;
    struct bf_onx_value *v = value_of(l, g->input[i]->name ? g->input[i]->name : "");
    if (!v->source || *bf_onx_map_at(inputs, v->source->in[0]->name)) continue;
    *bf_onx_map_at(inputs, v->source->in[0]->name) = v;
    given[count] = bf_arena_alloc(&l->arena, 1, sizeof **given);
    *given[count++] = *v;
  }
  for (l->index = 0; l->index < g->n_node && !l->exhausted; l->index++) {
    l->node = g->node[l->index];
    lower_next(l);
  }
  if (l->nproblems) return false;
  l->node = NULL;
  if (!g->n_output) return bf_onx_fail(l, NULL, "the model has no output");
  for (size_t i = 0; i < g->n_output; i++)
    if (!define_output(l, g->output[i]->name ? g->output[i]->name : "", inputs, outputs)) return false;
  for (size_t i = 0; i < count; i++) {
    struct bf_onx_text *t = given[i]->source->in[0];
    if (t->undecided) bf_onx_decide_input(l, t, (struct bf_type){BF_TYPE_U, 8}, 1, 0);
    print_input(l, given[i]);
    if (l->options->interface) {
      struct bf_onx_value *v = given[i];
      // Its scale and zero point are known only now; codes are what they are.
      v->nsteps = 0;
      bf_onx_push_scalar(l, v, STEP_MUL, v->coded ? 1 : t->scale);
      bf_onx_push_scalar(l, v, STEP_ADD, v->coded ? (double)t->zero : 0);
      v->coded = false;
      add_port(l, &l->options->interface->inputs, &l->options->interface->ninputs, v, v->name);
    }
  }
  return true;
}

static void finish(struct bf_onx_lower *l, const char *outputs, struct bf_buf *text, struct bf_archive *weights) {
  const char *name = l->model->graph->name ? bf_onx_identifier(l, l->model->graph->name) : NULL;
  bf_buf_printf(text, "bfn 1;\n\nnetwork %s {\n", bf_onx_unique(l, name ? name : "model"));
  bf_buf_append(text, l->head.data, l->head.length);
  bf_buf_puts(text, "\n");
  bf_buf_append(text, l->constants.data, l->constants.length);
  bf_buf_puts(text, "\n");
  bf_buf_append(text, l->layers.data, l->layers.length);
  bf_buf_printf(text, "\n  output %s;\n}\n", outputs);
  for (size_t i = 0; i < l->weights.count; i++) {
    bf_archive_add(weights, l->weights.items[i].name, l->weights.items[i].array);
    l->weights.items[i].array.data = NULL;  // handed over
  }
}

void bf_onnx_interface_free(struct bf_onnx_interface *interface) {
  for (int k = 0; k < 2; k++) {
    struct bf_onnx_port *list = k ? interface->outputs : interface->inputs;
    for (size_t i = 0; i < (k ? interface->noutputs : interface->ninputs); i++) {
      free(list[i].name);
      free(list[i].text);
    }
    free(list);
  }
  *interface = (struct bf_onnx_interface){0};
}

bool bf_onnx_import(const void *data, size_t length, const char *file, const struct bf_onnx_options *options,
                    struct bf_buf *bfn_text, struct bf_archive *weights, struct bf_diags *diags) {
  static const struct bf_onnx_options none;
  struct bf_onx_lower l = {.file = file, .diags = diags, .options = options ? options : &none};
  struct bf_buf outputs = {0};
  if (l.options->interface) *l.options->interface = (struct bf_onnx_interface){0};
  if (!(l.model = bf_onx_unpack(data, length, file, diags))) return false;
  l.map = bf_onx_map_new(&l.arena);
  l.names = bf_onx_map_new(&l.arena);
  l.budget = CONSTANTS_PER_BYTE * (uint64_t)length + CONSTANTS_MORE;
  l.channels_left = CONSTANTS_PER_BYTE * (uint64_t)length + CHANNELS_MORE;
  bool ok = l.model->graph || bf_onx_fail(&l, NULL, "this is no ONNX model: it has no graph");
  ok = ok && lower_graph(&l, &outputs);
  ok = bf_onx_report(&l) && ok;
  if (ok) finish(&l, bf_buf_cstr(&outputs), bfn_text, weights);
  else if (l.options->interface) bf_onnx_interface_free(l.options->interface);
  bf_onx_free_model(l.model);
  bf_buf_free(&outputs);
  bf_buf_free(&l.head);
  bf_buf_free(&l.constants);
  bf_buf_free(&l.layers);
  bf_archive_free(&l.weights);
  free(l.problems);
  free(l.left_out);
  bf_arena_free(&l.arena);
  return ok;
}
