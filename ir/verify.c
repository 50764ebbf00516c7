// SPDX-License-Identifier: Apache-2.0
// The verifier. What passes it may be evaluated, compiled and printed without further checks.
#include "ir/profile.h"
#include "ir/verify.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ir/names.h"
#include "ir/text.h"

bool bf_verify_fail(struct bf_verifier *v, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  char *text = bf_vformat(fmt, args);
  va_end(args);
  if (!v->node)
    bf_error_file(v->diags, NULL, NULL, "%s", text);
  else if (v->node->line)
    bf_error_file(v->diags, NULL, NULL, "layer '%s' (line %" PRIu32 "): %s", v->node->name, v->node->line, text);
  else
    bf_error_file(v->diags, NULL, NULL, "layer '%s': %s", v->node->name, text);
  free(text);
  return false;
}

// ---- tensors

static bool check_type(struct bf_verifier *v, const struct bf_tensor *t) {
  unsigned bits = t->type.bits;
  bool ok = false;
  switch (t->type.kind) {
    case BF_TYPE_U:
    case BF_TYPE_S: ok = bits >= 1 && bits <= 48; break;
    case BF_TYPE_B: ok = bits == 1; break;
    case BF_TYPE_T: ok = bits == 2; break;
  }
  return ok || bf_verify_fail(v, "tensor '%s' has no valid element type", t->name);
}

static bool check_extent(struct bf_verifier *v, const struct bf_tensor *t) {
  uint64_t elements = 1;
  bool ok = t->rank >= 1 && t->rank <= BF_MAX_RANK;
  for (unsigned i = 0; ok && i < t->rank; i++)
    ok = t->shape[i] > 0 && bf_mul_limit(elements, t->shape[i], BF_MAX_ELEMENTS, &elements);
  if (ok && elements == t->elements) return true;
  return bf_verify_fail(v, "tensor '%s' has no valid shape", t->name);
}

static bool check_quant(struct bf_verifier *v, const struct bf_tensor *t) {
  const struct bf_quant *q = &t->quant;
  if (q->count == 0) return true;
  if (q->axis < 0 || (unsigned)q->axis >= t->rank)
    return bf_verify_fail(v, "tensor '%s': quantization axis %d is outside its dimensions", t->name, q->axis);
  if (q->count != 1 && q->count != t->shape[q->axis])
    return bf_verify_fail(v, "tensor '%s' has %" PRIu32 " scales for %" PRIu64 " indices of axis %d", t->name,
                          q->count, t->shape[q->axis], q->axis);
  if (q->count != 1 && !t->data)
    return bf_verify_fail(v, "tensor '%s': only constants may have a scale per channel", t->name);
  if (!q->scale) return bf_verify_fail(v, "tensor '%s' has a quantization without scales", t->name);
  for (uint32_t i = 0; i < q->count; i++) {
    if (!isfinite(q->scale[i]) || q->scale[i] <= 0)
      return bf_verify_fail(v, "tensor '%s': scale %g is not a positive number", t->name, (double)q->scale[i]);
    int64_t zero = bf_quant_zero(q, i);
    if (zero < bf_type_min(t->type) || zero > bf_type_max(t->type))
      return bf_verify_fail(v, "tensor '%s': zero point %" PRId64 " is outside its type", t->name, zero);
    if (zero && (t->type.kind == BF_TYPE_B || t->type.kind == BF_TYPE_T))
      return bf_verify_fail(v, "tensor '%s': b1 and t2 have zero point 0", t->name);
  }
  return true;
}

// All elements at once; without branches, as networks have millions.
static bool all_held(const struct bf_tensor *t) {
  int64_t lo = bf_type_min(t->type), hi = bf_type_max(t->type);
  uint64_t wrong = 0;
  for (uint64_t i = 0; i < t->elements; i++) wrong |= (uint64_t)(t->data[i] < lo) | (uint64_t)(t->data[i] > hi);
  return !wrong && t->type.kind != BF_TYPE_B;  // b1 has no 0
}

static bool check_values(struct bf_verifier *v, const struct bf_tensor *t) {
  if (!t->data || all_held(t)) return true;
  for (uint64_t i = 0; i < t->elements; i++)
    if (!bf_type_holds(t->type, t->data[i])) {
      char type[8];
      return bf_verify_fail(v, "constant '%s': element %" PRIu64 " is %" PRId64 ", outside %s", t->name, i,
                            t->data[i], bf_type_text(type, t->type));
    }
  return true;
}

static bool check_role(struct bf_verifier *v, const struct bf_tensor *t) {
  if (t->data) {
    if (t->is_input) return bf_verify_fail(v, "constant '%s' cannot be an input", t->name);
    if (t->is_output) return bf_verify_fail(v, "constant '%s' cannot be an output", t->name);
    return true;
  }
  // Sums may leave the network with all their bits, but nothing computes with so many.
  if (t->type.bits > 16 && !(t->is_output && t->producer))
    return bf_verify_fail(v, "tensor '%s': activations are u1 to u16, s1 to s16, b1 or t2, only outputs are wider", t->name);
  if (t->is_input && t->is_output) return bf_verify_fail(v, "input '%s' cannot be an output as well", t->name);
  if (!t->is_input && !t->producer) return bf_verify_fail(v, "tensor '%s' is never computed", t->name);
  return true;
}

static void check_tensors(struct bf_verifier *v) {
  struct bf_names names = {0};
  size_t inputs = 0, outputs = 0;
  for (size_t i = 0; i < v->graph->ntensors; i++) {
    const struct bf_tensor *t = v->graph->tensors[i];
    if (t->id != i) bf_verify_fail(v, "tensor '%s' has a wrong number", t->name);
    if (!t->name[0]) bf_verify_fail(v, "a tensor has no name");
    if (!bf_names_add(&names, t->name, (uint32_t)i)) bf_verify_fail(v, "two tensors are named '%s'", t->name);
    if (check_type(v, t) && check_extent(v, t) && check_quant(v, t) && check_values(v, t)) check_role(v, t);
    inputs += t->is_input;
    outputs += t->is_output;
  }
  bf_names_free(&names);
  if (!inputs) bf_verify_fail(v, "the graph has no input");
  if (!outputs) bf_verify_fail(v, "the graph has no output");
}

// ---- nodes: what comes before what

// The tensors a node touches: known to the graph, computed before, produced once.
static bool check_order(struct bf_verifier *v, const struct bf_node *node, bool *ready) {
  for (uint32_t i = 0; i < node->ninputs; i++) {
    const struct bf_tensor *t = node->inputs[i];
    if (!t || t->id >= v->graph->ntensors || v->graph->tensors[t->id] != t)
      return bf_verify_fail(v, "operand %" PRIu32 " is no tensor of this graph", i);
    if (!ready[t->id]) return bf_verify_fail(v, "operand '%s' is used before it is computed", t->name);
  }
  const struct bf_tensor *out = node->output;
  if (!out || out->id >= v->graph->ntensors || v->graph->tensors[out->id] != out)
    return bf_verify_fail(v, "the output is no tensor of this graph");
  if (ready[out->id])
    return bf_verify_fail(v, "the output '%s' is an input, a constant or computed already", out->name);
  if (out->producer != node) return bf_verify_fail(v, "the output '%s' names another producer", out->name);
  ready[out->id] = true;
  return true;
}

static bool check_operands(struct bf_verifier *v, const struct bf_node *node) {
  const struct bf_op_info *info = bf_op_info(node->op);
  unsigned consts = info ? info->const_inputs : 0, constants = 0;
  bool either = bf_op_elementwise(node->op);
  for (uint32_t i = 0; i < node->ninputs; i++) {
    bool wanted = i < 32 && (consts >> i & 1), constant = node->inputs[i]->data != NULL;
    if (wanted && !constant)
      return bf_verify_fail(v, "operand '%s' must be a constant", node->inputs[i]->name);
    constants += constant;
    if (!constant && node->inputs[i]->type.bits > 16)
      return bf_verify_fail(v, "operand '%s' has more than 16 bits", node->inputs[i]->name);
    if (!wanted && constant && !either)
      return bf_verify_fail(v, "operand '%s' must not be a constant", node->inputs[i]->name);
    if (either && constants > 1) return bf_verify_fail(v, "at most one of the operands may be a constant");
  }
  return true;
}

static bool check_shape(struct bf_verifier *v, const struct bf_node *node) {
  unsigned rank;
  uint64_t shape[BF_MAX_RANK];
  struct bf_range nowhere = {NULL, 0, 0};
  if (!bf_infer_shape(node, &rank, shape, v->diags, nowhere)) return false;
  const struct bf_tensor *out = node->output;
  if (rank == out->rank && memcmp(shape, out->shape, rank * sizeof *shape) == 0) return true;
  struct bf_buf text = {0};
  for (unsigned i = 0; i < rank; i++) bf_buf_printf(&text, "%s%" PRIu64, i ? ", " : "", shape[i]);
  bf_verify_fail(v, "the output '%s' must have shape [%s]", out->name, bf_buf_cstr(&text));
  bf_buf_free(&text);
  return false;
}

static void check_nodes(struct bf_verifier *v) {
  const struct bf_graph *graph = v->graph;
  struct bf_names names = {0};
  bool *ready = bf_alloc(graph->ntensors ? graph->ntensors : 1, sizeof *ready);
  for (size_t i = 0; i < graph->ntensors; i++) ready[i] = graph->tensors[i]->data || graph->tensors[i]->is_input;
  for (size_t i = 0; i < graph->nnodes; i++) {
    const struct bf_node *node = v->node = graph->nodes[i];
    if (node->id != i) bf_verify_fail(v, "the layer has a wrong number");
    if (!node->name[0]) bf_verify_fail(v, "the layer has no name");
    if (!bf_names_add(&names, node->name, (uint32_t)i)) bf_verify_fail(v, "two layers have this name");
    if (!check_order(v, node, ready) || v->diags->errors != v->before) continue;  // later checks rely on all of that
    if (check_operands(v, node) && check_shape(v, node)) bf_verify_meaning(v, node);
  }
  v->node = NULL;
  free(ready);
  bf_names_free(&names);
}

static void check_profiles(struct bf_verifier *v) {
  for (size_t i = 0; i < v->graph->nprofiles; i++) {
    const struct bf_profile *profile = &v->graph->profiles[i];
    if (strcmp(profile->name, BF_PROFILE_BASE) == 0)
      bf_verify_fail(v, "a profile is named '%s', which is the network as it is written", profile->name);
    for (size_t k = 0; k < i; k++)
      if (strcmp(profile->name, v->graph->profiles[k].name) == 0)
        bf_verify_fail(v, "two profiles are named '%s'", profile->name);
    for (size_t k = 0; k < profile->count; k++) {
      const struct bf_profile_entry *e = &profile->entries[k];
      if (e->bits_w < 1 || e->bits_w > 16 || e->bits_a < 1 || e->bits_a > 16)
        bf_verify_fail(v, "profile '%s', layer '%s': widths are 1 to 16 bits", profile->name, e->layer);
    }
  }
}

bool bf_graph_verify(const struct bf_graph *graph, struct bf_diags *diags) {
  size_t before = diags->errors;
  struct bf_verifier v = {.graph = graph, .diags = diags, .before = before};
  check_tensors(&v);
  check_nodes(&v);
  check_profiles(&v);
  return diags->errors == before;
}
