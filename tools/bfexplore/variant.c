// SPDX-License-Identifier: Apache-2.0
// Widths of a graph, narrowed: nested quantization. n bits become k: numbers are divided by 2^(n−k), halves up, and clamped;
// their scale is multiplied by 2^(n−k). Sums of products get smaller by the same powers of two, and the requantization makes up for it.
#include "tools/bfexplore/variant.h"

#include <stdlib.h>
#include <string.h>

// An inserted node and the node that it goes before.
struct insert { struct bf_node *node; uint32_t before; };

struct narrowing {
  struct bf_graph *graph;
  struct bf_diags *diags;
  unsigned *uses;          // by tensor: operands that it is
  unsigned *wanted;        // by tensor: width that all its consumers want, 0: they differ or one wants it as it is
  size_t ntensors;         // of the graph as it was
  struct bf_tensor **narrow;  // by tensor × width 1..16: the requantized copy
  struct insert *inserts;
  size_t ninserts, capacity;
};

static int64_t shifted(int64_t v, unsigned by) { return by ? (v + ((int64_t)1 << (by - 1))) >> by : v; }

static int64_t clamped(int64_t v, struct bf_type type) {
  int64_t lo = bf_type_min(type), hi = bf_type_max(type);
  return v < lo ? lo : v > hi ? hi : v;
}

static bool refuse(struct narrowing *v, const struct bf_node *node, const char *why) {
  bf_error_file(v->diags, NULL, NULL, "layer `%s` cannot be narrowed: %s", node->name, why);
  return false;
}

static bool plain(struct bf_type type) { return type.kind == BF_TYPE_U || type.kind == BF_TYPE_S; }

// ---- quantization

static void scale_up(struct bf_graph *graph, struct bf_quant *quant, unsigned by, struct bf_type type) {
  if (quant->count == 0) {
    quant->count = 1;
    quant->scale = bf_arena_alloc(&graph->arena, 1, sizeof *quant->scale);
    quant->zero = bf_arena_alloc(&graph->arena, 1, sizeof *quant->zero);
    quant->scale[0] = 1;
  }
  float *scale = bf_arena_alloc(&graph->arena, quant->count, sizeof *scale);
  int32_t *zero = bf_arena_alloc(&graph->arena, quant->count, sizeof *zero);
  for (uint32_t i = 0; i < quant->count; i++) {
    scale[i] = quant->scale[i] * (float)(1u << by);
    zero[i] = (int32_t)clamped(shifted(quant->zero ? quant->zero[i] : 0, by), type);
  }
  quant->scale = scale;
  quant->zero = zero;
}

// The requantization of a value that is 2^by times what it was (by > 0: smaller sums come in; < 0: a narrower result goes out).
static bool rescale(struct bf_requant *r, int by) {
  for (uint32_t i = 0; i < r->count; i++) {
    switch (r->mode) {
      case BF_REQUANT_TFLITE:
        r->shift[i] += by;
        if (r->shift[i] < -31 || r->shift[i] > 30) return false;
        break;
      case BF_REQUANT_DYADIC:
      case BF_REQUANT_POW2:
        r->shift[i] -= by;
        if (r->shift[i] < 0 || r->shift[i] > 62) return false;
        break;
      case BF_REQUANT_FLOAT_RNE: r->fscale[i] *= by < 0 ? 1 / (float)(1u << -by) : (float)(1u << by); break;
      default: return false;
    }
  }
  return r->count > 0;
}

// The clamp bounds of a narrower result.
static void narrow_bounds(struct bf_requant *r, unsigned by, struct bf_type type, int64_t zero) {
  r->out_zero = r->mode == BF_REQUANT_NONE ? r->out_zero : zero;
  r->lo = clamped(shifted(r->lo, by), type);
  r->hi = clamped(shifted(r->hi, by), type);
}

static void narrow_tensor(struct narrowing *v, struct bf_tensor *t, unsigned bits) {
  unsigned by = t->type.bits - bits;
  t->type.bits = bits;
  scale_up(v->graph, &t->quant, by, t->type);
}

// ---- activations

// Whether `t` can be made narrower where it is produced.
static bool producible(const struct narrowing *v, const struct bf_tensor *t, unsigned bits) {
  const struct bf_node *n = t->producer;
  if (!n || t->is_input || t->is_output || t->id >= v->ntensors || v->wanted[t->id] != bits) {
    return false;
  }
  if (n->op == BF_OP_MAX_POOL || n->op == BF_OP_RESHAPE) {
    return v->uses[n->inputs[0]->id] == 1 && producible(v, n->inputs[0], bits);
  }
  struct bf_requant probe = n->attrs.requant;
  if ((n->op != BF_OP_CONV2D && n->op != BF_OP_DENSE && n->op != BF_OP_ADD) || probe.count == 0) {
    return false;
  }
  return probe.mode == BF_REQUANT_TFLITE || probe.mode == BF_REQUANT_DYADIC || probe.mode == BF_REQUANT_FLOAT_RNE;
}

static bool produce(struct narrowing *v, struct bf_tensor *t, unsigned bits) {
  struct bf_node *n = t->producer;
  unsigned by = t->type.bits - bits;
  if (n->op == BF_OP_MAX_POOL || n->op == BF_OP_RESHAPE) {
    if (!produce(v, n->inputs[0], bits)) return false;
    t->type = n->inputs[0]->type;
    t->quant = n->inputs[0]->quant;
    if (n->op == BF_OP_MAX_POOL) narrow_bounds(&n->attrs.requant, by, t->type, n->attrs.requant.out_zero);
    return true;
  }
  narrow_tensor(v, t, bits);
  narrow_bounds(&n->attrs.requant, by, t->type, bf_quant_zero(&t->quant, 0));
  return rescale(&n->attrs.requant, -(int)by) || refuse(v, n, "its requantization has no room for another power of two");
}

// A requantized copy of `t`, made once for a width.
static struct bf_tensor *copy(struct narrowing *v, struct bf_tensor *t, unsigned bits, const struct bf_node *before) {
  struct bf_tensor **slot = &v->narrow[(size_t)t->id * 17 + bits];
  if (*slot) {
    return *slot;
  }
  struct bf_graph *g = v->graph;
  unsigned by = t->type.bits - bits;
  char *name = bf_format("%s.to%u", t->name, bits);
  struct bf_tensor *y = bf_graph_tensor(g, name, (struct bf_type){t->type.kind, bits}, t->rank, t->shape);
  y->quant = t->quant;
  scale_up(g, &y->quant, by, y->type);
  struct bf_node *n = bf_graph_node(g, BF_OP_REQUANTIZE, name, &t, 1, y);
  free(name);
  n->line = before->line;
  struct bf_requant *r = &n->attrs.requant;
  *r = (struct bf_requant){.mode = BF_REQUANT_DYADIC, .count = 1, .out_zero = bf_quant_zero(&y->quant, 0), .lo = bf_type_min(y->type),
                           .hi = bf_type_max(y->type)};
  r->mult = bf_arena_alloc(&g->arena, 1, sizeof *r->mult);
  r->shift = bf_arena_alloc(&g->arena, 1, sizeof *r->shift);
  r->mult[0] = 1;
  r->shift[0] = (int32_t)by;
  struct insert insert = {n, before->id};
  BF_PUSH(v->inserts, v->ninserts, v->capacity) = insert;
  return *slot = y;
}

// Gives `node` an input of `bits`; *by: how many bits narrower it is than the layer's own.
static bool narrow_input(struct narrowing *v, struct bf_node *node, unsigned own, unsigned bits, unsigned *by) {
  struct bf_tensor *x = node->inputs[0];
  *by = 0;
  if (!plain(x->type) || bits >= own) {
    return true;
  }
  *by = own - bits;
  if (x->type.bits == bits) {
    return true;  // another consumer has seen to it
  }
  if (producible(v, x, bits)) {
    return produce(v, x, bits);
  }
  node->inputs[0] = copy(v, x, bits, node);
  return true;
}

// ---- weights

static bool narrow_weights(struct narrowing *v, struct bf_node *node, unsigned bits, unsigned *by) {
  struct bf_tensor *w = node->inputs[1];
  *by = 0;
  if (!plain(w->type) || bits >= w->type.bits) {
    return true;
  }
  if (v->uses[w->id] > 1) {
    return refuse(v, node, "another layer has the same weights");
  }
  *by = w->type.bits - bits;
  narrow_tensor(v, w, bits);
  for (uint64_t i = 0; i < w->elements; i++) {
    w->data[i] = clamped(shifted(w->data[i], *by), w->type);
  }
  return true;
}

static bool narrow_layer(struct narrowing *v, struct bf_node *node, unsigned own, const struct bf_profile_entry *entry) {
  unsigned by_w, by_a;
  if (!narrow_weights(v, node, entry->bits_w, &by_w) || !narrow_input(v, node, own, entry->bits_a, &by_a)) {
    return false;
  }
  unsigned by = by_w + by_a;
  if (by == 0) {
    return true;
  }
  if (node->ninputs > 2) {
    struct bf_tensor *b = node->inputs[2];
    if (v->uses[b->id] > 1) return refuse(v, node, "another layer has the same bias");
    for (uint64_t i = 0; i < b->elements; i++) b->data[i] = shifted(b->data[i], by);
    scale_up(v->graph, &b->quant, by, b->type);
  }
  return rescale(&node->attrs.requant, (int)by) || refuse(v, node, "its requantization takes no further power of two");
}

// ---- the whole

static bool is_layer(const struct bf_node *n) {
  return (n->op == BF_OP_CONV2D || n->op == BF_OP_DENSE) && n->ninputs > 1 && n->inputs[1]->data;
}

// Consumers of every tensor, seen through pools and reshapes backwards: what they all want.
static void look(struct narrowing *v, const struct bf_profile *profile) {
  const struct bf_graph *g = v->graph;
  for (size_t i = g->nnodes; i-- > 0;) {
    const struct bf_node *n = g->nodes[i];
    for (uint32_t k = 0; k < n->ninputs; k++) {
      const struct bf_tensor *x = n->inputs[k];
      unsigned want = 0;
      if (k == 0 && is_layer(n)) {
        const struct bf_profile_entry *entry = bfx_profile_entry(profile, n->name);
        want = entry ? entry->bits_a : 0;
      } else if (n->op == BF_OP_MAX_POOL || n->op == BF_OP_RESHAPE) {
        want = v->wanted[n->output->id];
      }
      v->wanted[x->id] = v->uses[x->id] == 0 || v->wanted[x->id] == want ? want : 0;
      v->uses[x->id]++;
    }
  }
}

// Puts the inserted nodes in their places.
static void order(struct narrowing *v) {
  struct bf_graph *g = v->graph;
  size_t count = g->nnodes, old = count - v->ninserts, at = 0;
  struct bf_node **nodes = bf_alloc(count, sizeof *nodes);
  for (size_t i = 0; i < old; i++) {
    for (size_t k = 0; k < v->ninserts; k++) {
      if (v->inserts[k].before == i) nodes[at++] = v->inserts[k].node;
    }
    nodes[at++] = g->nodes[i];
  }
  for (size_t i = 0; i < count; i++) {
    g->nodes[i] = nodes[i];
    nodes[i]->id = (uint32_t)i;
  }
  free(nodes);
}

static bool check_names(const struct narrowing *v, const struct bf_profile *profile) {
  for (size_t e = 0; e < profile->count; e++) {
    bool found = !strcmp(profile->entries[e].layer, "default");
    for (size_t i = 0; !found && i < v->graph->nnodes; i++) {
      found = !strcmp(v->graph->nodes[i]->name, profile->entries[e].layer);
    }
    if (!found) {
      bf_error_file(v->diags, NULL, NULL, "profile `%s`: %s has no layer `%s`", profile->name, v->graph->name, profile->entries[e].layer);
      return false;
    }
  }
  return true;
}

static bool apply(struct bf_graph *graph, const struct bf_profile *profile, struct bf_diags *diags) {
  struct narrowing v = {.graph = graph, .diags = diags, .ntensors = graph->ntensors};
  size_t nodes = graph->nnodes;
  v.uses = bf_alloc(v.ntensors + 1, sizeof *v.uses);
  v.wanted = bf_alloc(v.ntensors + 1, sizeof *v.wanted);
  v.narrow = bf_alloc((v.ntensors + 1) * 17, sizeof *v.narrow);
  unsigned *own = bf_alloc(nodes + 1, sizeof *own);
  look(&v, profile);
  for (size_t i = 0; i < nodes; i++) {
    own[i] = graph->nodes[i]->inputs[0]->type.bits;
  }
  bool ok = check_names(&v, profile);
  for (size_t i = 0; ok && i < nodes; i++) {
    struct bf_node *n = graph->nodes[i];
    const struct bf_profile_entry *entry = is_layer(n) ? bfx_profile_entry(profile, n->name) : NULL;
    ok = !entry || narrow_layer(&v, n, own[i], entry);
  }
  order(&v);
  free(own);
  free(v.uses);
  free(v.wanted);
  free(v.narrow);
  free(v.inserts);
  return ok && bf_graph_verify(graph, diags);
}

bool bfx_variant_make(struct bfx_variant *out, struct bf_graph *base, const struct bf_profile *profile, struct bf_diags *diags) {
  *out = (struct bfx_variant){.graph = base};
  return base && (profile->count == 0 || apply(base, profile, diags));
}

void bfx_variant_free(struct bfx_variant *variant) {
  bf_graph_free(variant->graph);
  bf_graph_free(variant->base);
  *variant = (struct bfx_variant){0};
}
