// SPDX-License-Identifier: Apache-2.0
// The graph of a profile. First the width of each tensor, from the outputs back; then a copy of the graph in which numbers, scales
// and requantizations have followed, with a `requantize` where a layer wants fewer bits than its operand keeps for others.
#include "ir/profile.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ir/names.h"
#include "ir/rescale.h"

struct maker {
  const struct bf_graph *from;
  const struct bf_profile *profile;  // NULL: the network as it is written
  struct bf_graph *to;
  struct bf_diags *diags;
  struct bf_names layers;            // -> entries
  const struct bf_profile_entry *otherwise;
  struct bf_names constants;         // of `from`, for own weights -> id
  unsigned *width;                   // by tensor of `from`
  struct bf_tensor **copies;         // by tensor of `from`
  struct bf_tensor *(*narrow)[17];   // by tensor of `from` and width: converted copies
  const struct bf_node *node;        // being copied
};

const struct bf_profile *bf_graph_find_profile(const struct bf_graph *graph, const char *name) {
  for (size_t i = 0; i < graph->nprofiles; i++)
    if (strcmp(graph->profiles[i].name, name) == 0) return &graph->profiles[i];
  return NULL;
}

char *bf_profile_member(struct bf_arena *arena, const char *constant, const char *profile, bool scale) {
  return bf_arena_format(arena, "%s@%s%s", constant, profile, scale ? ".scale" : "");
}

bool bf_op_keeps_type(enum bf_op op) {
  switch (op) {
    case BF_OP_MAXIMUM:
    case BF_OP_MINIMUM:
    case BF_OP_MAX_POOL:
    case BF_OP_AVG_POOL:
    case BF_OP_CLAMP:
    case BF_OP_PAD:
    case BF_OP_RESHAPE:
    case BF_OP_TRANSPOSE:
    case BF_OP_SLICE:
    case BF_OP_SPREAD:
    case BF_OP_CONCAT: return true;
    default: return false;
  }
}

static bool fail(struct maker *m, const char *hint, const char *what, const char *why) {
  bf_error_file(m->diags, NULL, hint, "profile `%s`, layer `%s`: %s%s", m->profile->name, m->node->name, what, why);
  return false;
}

// ---- widths

static const struct bf_profile_entry *entry_of(const struct maker *m, const struct bf_node *node) {
  uint32_t found = bf_names_find(&m->layers, node->name);
  return found != BF_NAME_NONE ? &m->profile->entries[found] : m->otherwise;
}

static bool can_narrow(const struct bf_tensor *t) {
  return (t->type.kind == BF_TYPE_S || t->type.kind == BF_TYPE_U) && t->type.bits <= 16;
}

static unsigned at_most(const struct bf_tensor *t, unsigned bits) {
  return can_narrow(t) && bits < t->type.bits ? bits : t->type.bits;
}

// Bits that a node wants of its operand; `result` are those of its own result.
static unsigned wanted(const struct maker *m, const struct bf_node *node, const struct bf_tensor *operand, unsigned result) {
  const struct bf_profile_entry *entry = entry_of(m, node);
  if (bf_op_keeps_type(node->op)) return at_most(operand, result);
  if (node->op == BF_OP_SOFTMAX || !entry || (node->op == BF_OP_ARGMAX && entry == m->otherwise)) return operand->type.bits;
  return at_most(operand, entry->bits_a);
}

// Results that nothing can be done about: those of the network, and numbers that are no measurements.
static bool fixed(const struct bf_tensor *t) {
  return t->is_input || t->is_output || !can_narrow(t) ||
         (t->producer && (t->producer->op == BF_OP_SOFTMAX || t->producer->op == BF_OP_ARGMAX));
}

static void find_widths(struct maker *m) {
  const struct bf_graph *g = m->from;
  for (size_t i = 0; i < g->ntensors; i++) m->width[i] = fixed(g->tensors[i]) ? g->tensors[i]->type.bits : 0;
  for (size_t n = g->nnodes; n-- > 0;) {
    const struct bf_node *node = g->nodes[n];
    unsigned *own = &m->width[node->output->id];
    if (*own == 0) *own = node->output->type.bits;  // nobody reads it
    for (uint32_t i = 0; i < node->ninputs; i++) {
      const struct bf_tensor *x = node->inputs[i];
      unsigned bits = x->data ? 0 : wanted(m, node, x, *own);
      if (bits > m->width[x->id]) m->width[x->id] = bits;
    }
  }
}

// ---- tensors

static struct bf_narrowing narrowing(const struct bf_tensor *t, unsigned bits) {
  return bf_narrowing_of(t->type, bf_quant_zero(&t->quant, 0), bits);
}

static struct bf_tensor *add_tensor(struct maker *m, const struct bf_tensor *like, const char *name, unsigned bits) {
  struct bf_narrowing n = narrowing(like, bits);
  struct bf_tensor *t = bf_graph_tensor(m->to, name, n.to, like->rank, like->shape);
  t->quant = like->quant;
  if (n.drop) {
    t->quant = (struct bf_quant){.count = 1, .axis = like->quant.axis};
    t->quant.scale = bf_arena_alloc(&m->to->arena, 1, sizeof(float));
    t->quant.zero = bf_arena_alloc(&m->to->arena, 1, sizeof(int32_t));
    t->quant.scale[0] = ldexpf(bf_quant_scale(&like->quant, 0), (int)n.drop);
    t->quant.zero[0] = (int32_t)n.new_zero;
  }
  return t;
}

// A name that no tensor and no layer of either graph has: "conv1~a4".
static char *new_name(struct maker *m, const char *base, char letter, unsigned bits) {
  char *name = bf_arena_format(&m->to->arena, "%s~%c%u", base, letter, bits);
  for (unsigned i = 2; bf_graph_find_tensor(m->from, name) || bf_graph_find_tensor(m->to, name); i++)
    name = bf_arena_format(&m->to->arena, "%s~%c%u_%u", base, letter, bits, i);
  return name;
}

static struct bf_tensor *copy_tensor(struct maker *m, const struct bf_tensor *t) {
  struct bf_tensor **copy = &m->copies[t->id];
  if (*copy) return *copy;
  *copy = add_tensor(m, t, t->name, t->data ? t->type.bits : m->width[t->id]);
  (*copy)->data = t->data;
  (*copy)->is_input = t->is_input;
  (*copy)->is_output = t->is_output;
  return *copy;
}

// The operand at that width; a conversion stands before the first layer that wants it.
static struct bf_tensor *converted(struct maker *m, const struct bf_tensor *x, unsigned bits) {
  struct bf_tensor *whole = copy_tensor(m, x), **slot = &m->narrow[x->id][bits];
  if (bits == whole->type.bits) return whole;
  if (*slot) return *slot;
  struct bf_narrowing n = bf_narrowing_of(whole->type, bf_quant_zero(&whole->quant, 0), bits);
  *slot = add_tensor(m, whole, new_name(m, x->name, 'a', bits), bits);
  struct bf_node *node = bf_graph_node(m->to, BF_OP_REQUANTIZE, (*slot)->name, &whole, 1, *slot);
  struct bf_requant same = {.mode = BF_REQUANT_NONE, .out_zero = n.zero, .lo = bf_type_min(n.from), .hi = bf_type_max(n.from)};
  struct bf_rescaling how = {.channels = 1, .result = &n};
  bf_rescale_requant(&m->to->arena, &same, &how, &node->attrs.requant);  // always possible: a rounded shift
  node->line = m->node->line;
  return *slot;
}

// A constant that stands for the same numbers as `c` at fewer bits.
static struct bf_tensor *narrow_constant(struct maker *m, const struct bf_tensor *c, unsigned bits) {
  struct bf_narrowing n = narrowing(c, bits);
  if (!n.drop) return copy_tensor(m, c);
  struct bf_tensor *t = add_tensor(m, c, new_name(m, c->name, 'a', bits), bits);
  t->data = bf_arena_alloc(&m->to->arena, c->elements, sizeof *t->data);
  for (uint64_t i = 0; i < c->elements; i++) t->data[i] = bf_narrow_value(&n, c->data[i]);
  return t;
}

// ---- weights

struct weights {
  struct bf_tensor *w, *bias;
  unsigned drop;
  double *ratio;  // by output channel: own scales over those of the network, or NULL
};

static const struct bf_tensor *own_constant(const struct maker *m, const struct bf_tensor *of) {
  if (!m->profile) return NULL;
  char *name = bf_profile_member(&m->to->arena, of->name, m->profile->name, false);
  uint32_t id = bf_names_find(&m->constants, name);
  return id != BF_NAME_NONE ? m->from->tensors[id] : NULL;
}

// The highest bits of the weights, rounded; the scales grow as the numbers shrink.
static bool nested_weights(struct maker *m, const struct bf_tensor *w, unsigned bits, struct weights *out) {
  out->drop = w->type.bits - bits;
  struct bf_narrowing n = bf_narrowing_of(w->type, 0, bits);
  struct bf_tensor *t = bf_graph_tensor(m->to, new_name(m, w->name, 'w', bits), n.to, w->rank, w->shape);
  t->quant = (struct bf_quant){.count = w->quant.count ? w->quant.count : 1, .axis = w->quant.axis};
  t->quant.scale = bf_arena_alloc(&m->to->arena, t->quant.count, sizeof(float));
  t->quant.zero = bf_arena_alloc(&m->to->arena, t->quant.count, sizeof(int32_t));
  for (uint32_t i = 0; i < t->quant.count; i++) {
    int64_t zero = bf_quant_zero(&w->quant, i);
    if (zero % ((int64_t)1 << out->drop))
      return fail(m, "give weights of their own (`w@profile`), or weights with zero point 0",
                  "the zero point of the weights is no number of the narrower type", "");
    t->quant.scale[i] = ldexpf(bf_quant_scale(&w->quant, i), (int)out->drop);
    t->quant.zero[i] = (int32_t)(zero >> out->drop);
  }
  t->data = bf_arena_alloc(&m->to->arena, w->elements, sizeof *t->data);
  for (uint64_t i = 0; i < w->elements; i++) t->data[i] = bf_narrow_value(&n, w->data[i]);
  out->w = t;
  return true;
}

static bool own_weights(struct maker *m, const struct bf_tensor *w, const struct bf_tensor *own, struct weights *out) {
  uint64_t channels = w->shape[0];
  if (own->rank != w->rank || memcmp(own->shape, w->shape, w->rank * sizeof *w->shape))
    return fail(m, NULL, "its own weights have another shape than those of the network", "");
  out->w = copy_tensor(m, own);
  out->drop = own->type.bits < w->type.bits ? w->type.bits - own->type.bits : 0;
  if (own->quant.count == 0) {  // no scales of their own: those of nested weights
    out->w = bf_graph_tensor(m->to, new_name(m, own->name, 'w', own->type.bits), own->type, own->rank, own->shape);
    out->w->data = own->data;
    return true;
  }
  out->ratio = bf_arena_alloc(&m->to->arena, channels, sizeof *out->ratio);
  for (uint64_t c = 0; c < channels; c++)
    out->ratio[c] = (double)bf_quant_scale(&own->quant, c) / (double)bf_quant_scale(&w->quant, c);
  out->drop = 0;
  return true;
}

// A bias counts in units of input scale times weight scale.
static void follow_bias(struct maker *m, const struct bf_tensor *b, unsigned drop, struct weights *out) {
  const struct bf_tensor *own = own_constant(m, b);
  if (own) {
    out->bias = copy_tensor(m, own);
    return;
  }
  if (drop == 0 && !out->ratio) {
    out->bias = copy_tensor(m, b);
    return;
  }
  struct bf_tensor *t = bf_graph_tensor(m->to, new_name(m, b->name, 'b', drop), b->type, b->rank, b->shape);
  t->data = bf_arena_alloc(&m->to->arena, b->elements, sizeof *t->data);
  for (uint64_t i = 0; i < b->elements; i++)
    t->data[i] = out->ratio ? (int64_t)floor(ldexp((double)b->data[i] / out->ratio[i], -(int)drop) + 0.5)
                            : bf_round_half_up(b->data[i], drop);
  out->bias = t;
}

static bool follow_weights(struct maker *m, const struct bf_node *node, unsigned drop, struct weights *out) {
  const struct bf_tensor *w = node->inputs[1], *own = own_constant(m, w);
  const struct bf_profile_entry *entry = entry_of(m, node);
  unsigned bits = entry ? at_most(w, entry->bits_w) : w->type.bits;
  if (own) {
    if (!own_weights(m, w, own, out)) return false;
  } else if (bits < w->type.bits) {
    if (!nested_weights(m, w, bits, out)) return false;
  } else {
    out->w = copy_tensor(m, w);
  }
  if (node->ninputs > 2) follow_bias(m, node->inputs[2], drop + out->drop, out);
  return true;
}

// ---- layers

static bool rescale(struct maker *m, const struct bf_requant *from, const struct bf_rescaling *how, struct bf_requant *to) {
  const char *why = bf_rescale_requant(&m->to->arena, from, how, to);
  if (!why) return true;
  char *what = bf_format("requantization %s cannot follow: ", bf_requant_mode_name(from->mode));
  fail(m, "give weights of their own without scales, or leave the layer at its width", what, why);
  free(what);
  return false;
}

// The table of a function at fewer bits: read at the numbers that the new ones stand for.
static struct bf_tensor *narrow_table(struct maker *m, const struct bf_node *node, unsigned in_bits) {
  const struct bf_tensor *x = node->inputs[0], *t = node->inputs[1], *y = node->output;
  struct bf_narrowing in = narrowing(x, in_bits), out = narrowing(y, m->width[y->id]);
  if (!in.drop && !out.drop) return copy_tensor(m, t);
  int64_t lo = bf_type_min(in.to);
  uint64_t count = (uint64_t)(bf_type_max(in.to) - lo) + 1;
  struct bf_tensor *table = bf_graph_tensor(m->to, new_name(m, t->name, 'a', in_bits), out.to, 1, &count);
  table->data = bf_arena_alloc(&m->to->arena, count, sizeof *table->data);
  for (uint64_t i = 0; i < count; i++) {
    int64_t at = bf_widen_value(&in, lo + (int64_t)i) - bf_type_min(in.from);
    table->data[i] = bf_narrow_value(&out, t->data[at]);
  }
  return table;
}

// The attributes of the new node; `drops`: bits that its operands have lost.
static bool follow_attrs(struct maker *m, struct bf_node *to, const unsigned *drops, const double *ratio, unsigned weights) {
  const struct bf_node *node = m->node;
  const struct bf_attrs *a = &node->attrs;
  struct bf_narrowing result = narrowing(node->output, m->width[node->output->id]);
  struct bf_rescaling how = {.ratio = ratio, .channels = node->output->shape[node->output->rank - 1], .result = &result};
  unsigned groups = bf_op_info(node->op)->attrs;
  to->attrs = *a;
  if (groups & BF_ATTR_PADS) to->attrs.pad_value = bf_narrow_value(&result, a->pad_value);
  if (bf_op_keeps_type(node->op)) {
    if (groups & BF_ATTR_REQUANT) {
      to->attrs.requant.lo = bf_narrow_bound(&result, a->requant.lo);
      to->attrs.requant.hi = bf_narrow_bound(&result, a->requant.hi);
    }
    return true;
  }
  if (groups & BF_ATTR_INPUT_REQUANT) {
    for (int i = 0; i < 2; i++) {
      struct bf_rescaling operand = {.grow = (int)drops[i], .channels = how.channels};
      if (!rescale(m, &a->in_requant[i], &operand, &to->attrs.in_requant[i])) return false;
    }
  } else {
    how.grow = (int)(drops[0] + (node->op == BF_OP_MUL ? drops[1] : weights));
  }
  return !(groups & BF_ATTR_REQUANT) || rescale(m, &a->requant, &how, &to->attrs.requant);
}

static bool copy_node(struct maker *m, const struct bf_node *node) {
  struct bf_tensor **inputs = bf_arena_alloc(&m->to->arena, node->ninputs ? node->ninputs : 1, sizeof *inputs);
  unsigned drops[2] = {0, 0}, result = m->width[node->output->id];
  struct weights weights = {0};
  m->node = node;
  for (uint32_t i = 0; i < node->ninputs; i++) {
    const struct bf_tensor *x = node->inputs[i];
    unsigned bits = x->data ? x->type.bits : wanted(m, node, x, result);
    if (x->data) {
      inputs[i] = bf_op_keeps_type(node->op) ? narrow_constant(m, x, at_most(x, result)) : NULL;
      continue;
    }
    inputs[i] = converted(m, x, bits);
    if (i < 2) drops[i] = x->type.bits - bits;
  }
  if (node->op == BF_OP_CONV2D || node->op == BF_OP_DENSE) {
    if (!follow_weights(m, node, drops[0], &weights)) return false;
    inputs[1] = weights.w;
    if (node->ninputs > 2) inputs[2] = weights.bias;
  } else if (node->op == BF_OP_TABLE) {
    inputs[1] = narrow_table(m, node, node->inputs[0]->type.bits - drops[0]);
  }
  for (uint32_t i = 0; i < node->ninputs; i++)
    if (!inputs[i]) inputs[i] = copy_tensor(m, node->inputs[i]);
  struct bf_node *to = bf_graph_node(m->to, node->op, node->name, inputs, node->ninputs, copy_tensor(m, node->output));
  to->line = node->line;
  return follow_attrs(m, to, drops, weights.ratio, weights.drop);
}

static void index_names(struct maker *m) {
  for (size_t i = 0; m->profile && i < m->profile->count; i++) {
    if (strcmp(m->profile->entries[i].layer, "default") == 0) m->otherwise = &m->profile->entries[i];
    else bf_names_add(&m->layers, m->profile->entries[i].layer, (uint32_t)i);
  }
  for (size_t i = 0; m->profile && i < m->from->ntensors; i++)
    if (m->from->tensors[i]->data) bf_names_add(&m->constants, m->from->tensors[i]->name, (uint32_t)i);
}

static struct bf_graph *unknown(const struct bf_graph *graph, const char *name, struct bf_diags *diags) {
  const char **names = bf_alloc(graph->nprofiles + 1, sizeof *names);
  for (size_t i = 0; i < graph->nprofiles; i++) names[i] = graph->profiles[i].name;
  names[graph->nprofiles] = BF_PROFILE_BASE;
  const char *near = bf_nearest(name, names, graph->nprofiles + 1);
  struct bf_buf all = {0};
  for (size_t i = 0; i < graph->nprofiles && i < 12; i++) bf_buf_printf(&all, ", %s", graph->profiles[i].name);
  char *hint = near ? bf_format("did you mean '%s'?", near) : bf_format("it has: %s%s%s", BF_PROFILE_BASE, bf_buf_cstr(&all), graph->nprofiles > 12 ? ", …" : "");
  bf_buf_free(&all);
  bf_error_file(diags, NULL, hint, "the network has no profile '%s'", name);
  free(hint);
  free(names);
  return NULL;
}

static bool make(struct maker *m) {
  const struct bf_graph *g = m->from;
  m->to = bf_graph_new(g->name);
  m->to->source = g->source;
  m->to->weights = g->weights;
  index_names(m);
  find_widths(m);
  for (size_t i = 0; i < g->ntensors; i++)  // inputs and outputs keep their order
    if (g->tensors[i]->is_input || g->tensors[i]->is_output) copy_tensor(m, g->tensors[i]);
  for (size_t i = 0; i < g->nnodes; i++)
    if (!copy_node(m, g->nodes[i])) return false;
  return bf_graph_verify(m->to, m->diags);
}

struct bf_graph *bf_graph_narrow(const struct bf_graph *graph, const struct bf_profile *profile, struct bf_diags *diags) {
  struct maker m = {.from = graph, .profile = profile, .diags = diags};
  m.width = bf_alloc(graph->ntensors + 1, sizeof *m.width);
  m.copies = bf_alloc(graph->ntensors + 1, sizeof *m.copies);
  m.narrow = bf_alloc(graph->ntensors + 1, sizeof *m.narrow);
  bool ok = make(&m);
  bf_names_free(&m.layers);
  bf_names_free(&m.constants);
  free(m.width);
  free(m.copies);
  free(m.narrow);
  if (!ok) bf_graph_free(m.to);
  return ok ? m.to : NULL;
}

struct bf_graph *bf_graph_apply_profile(const struct bf_graph *graph, const char *name, struct bf_diags *diags) {
  const struct bf_profile *profile = bf_graph_find_profile(graph, name);
  if (!profile && strcmp(name, BF_PROFILE_BASE) != 0) return unknown(graph, name, diags);
  return bf_graph_narrow(graph, profile, diags);
}
