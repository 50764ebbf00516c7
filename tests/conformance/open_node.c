// SPDX-License-Identifier: Apache-2.0
// Tests of single ONNX operators: inputs and outputs of each data set as TensorProto files. Scales, zero points, weights and other
// operands are inputs of these models too; they are bound as constants, and if a model cannot take that, only lists and scalars are, or
// scalars alone.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/conformance/conformance.h"
#include "tests/conformance/tensor_proto.h"

#define MOST_TENSORS 16

struct data_set {
  struct cf_bytes inputs[MOST_TENSORS], outputs[MOST_TENSORS];
  struct cf_proto in[MOST_TENSORS], out[MOST_TENSORS];
  size_t ninputs, noutputs;
  bool good;
};

static size_t read_tensors(const char *folder, const char *what, struct cf_bytes *bytes, struct cf_proto *protos, bool *good) {
  size_t n = 0;
  for (; n < MOST_TENSORS; n++) {
    bytes[n] = cf_read(bf_format("%s/%s_%zu.pb", folder, what, n));
    if (!bytes[n].data) break;
    *good = cf_proto_parse(bytes[n].data, bytes[n].length, &protos[n]) && *good;
  }
  return n;
}

static void read_set(const char *folder, struct data_set *set) {
  *set = (struct data_set){.good = true};
  set->ninputs = read_tensors(folder, "input", set->inputs, set->in, &set->good);
  set->noutputs = read_tensors(folder, "output", set->outputs, set->out, &set->good);
}

static void free_set(struct data_set *set) {
  for (size_t i = 0; i < set->ninputs; i++) {
    free(set->inputs[i].data);
    cf_proto_free(&set->in[i]);
  }
  for (size_t i = 0; i < set->noutputs; i++) {
    free(set->outputs[i].data);
    cf_proto_free(&set->out[i]);
  }
}

// 64-bit integers are shapes and axes, 32-bit ones sums.
static bool quantized(const struct cf_proto *p) { return p->type >= CF_PROTO_UINT8 && p->type <= CF_PROTO_INT32; }

static bool any_quantized(const struct data_set *set) {
  bool any = false;
  for (size_t i = 0; i < set->ninputs; i++) any = any || quantized(&set->in[i]);
  for (size_t i = 0; i < set->noutputs; i++) any = any || quantized(&set->out[i]);
  return any;
}

// Binds all inputs but the first ones: `free_rank` 0: the first alone stays free; else all of at least that rank.
static bool import_with(const char *path, const struct data_set *set, unsigned free_rank, struct cf_subject *out) {
  struct bf_onnx_binding bindings[MOST_TENSORS];
  struct bf_onnx_options options = {.bindings = bindings};
  for (size_t i = 1; i < set->ninputs; i++)
    if (!free_rank || set->in[i].rank < free_rank)
      bindings[options.nbindings++] =
          (struct bf_onnx_binding){set->in[i].name, set->inputs[i].data, set->inputs[i].length};
  return cf_import_onnx(path, options, out);
}

static const struct cf_proto *proto_named(const struct cf_proto *list, size_t count, const char *name) {
  for (size_t i = 0; i < count; i++)
    if (strcmp(list[i].name, name) == 0) return &list[i];
  return NULL;
}

// Whether a recording has the size of the tensor.
static bool fits(const struct bf_tensor *tensor, const struct cf_proto *p) {
  return tensor && p && tensor->elements == p->elements;
}

// An input of integers is taken as it is where the graph has the same type.
static bool same_type(const struct bf_tensor *tensor, const struct cf_proto *p) {
  if (p->type < CF_PROTO_UINT8 || p->type > CF_PROTO_INT16 || tensor->type.bits != 8 * p->width) return false;
  bool is_signed = p->type == CF_PROTO_INT8 || p->type == CF_PROTO_INT16;
  return tensor->type.kind == (is_signed ? BF_TYPE_S : BF_TYPE_U);
}

static bool adopt(const struct data_set *set, struct cf_subject *out) {
  const struct bf_onnx_interface *ports = &out->interface;
  out->samples = 1;
  for (size_t i = 0; i < ports->ninputs; i++) {
    const struct bf_tensor *t = cf_port_tensor(out, true, i);
    const struct cf_proto *p = proto_named(set->in, set->ninputs, ports->inputs[i].name);
    if (!fits(t, p)) return cf_refuse(out, false, bf_format("no recording fits input %s", ports->inputs[i].name));
    cf_port_values(&ports->inputs[i], t, same_type(t, p) ? CF_ELEMENTS : CF_INPUT, p->values, cf_add_input(out, t));
  }
  for (size_t i = 0; i < ports->noutputs; i++) {
    const struct bf_tensor *t = cf_port_tensor(out, false, i);
    const struct cf_proto *p = proto_named(set->out, set->noutputs, ports->outputs[i].name);
    if (!fits(t, p)) return cf_refuse(out, false, bf_format("no recording fits output %s", ports->outputs[i].name));
    struct cf_recording *r = cf_record(out, p->name, t, false, 0, 1, t->elements, p->width);
    cf_port_values(&ports->outputs[i], t, CF_OUTPUT, p->values, r->values);
  }
  return true;
}

// The reason that stands is the first one: what follows is another reading of the same model.
static bool import_any(const char *path, const struct data_set *set, struct cf_subject *out) {
  if (import_with(path, set, 0, out)) return true;
  char *why = out->why;
  out->why = NULL;
  bool good = import_with(path, set, 2, out) || import_with(path, set, 1, out);
  if (good) free(why);
  else cf_refuse(out, false, why);
  return good;
}

bool cf_open_node(const struct cf_options *options, const struct cf_case *c, const char *path, struct cf_subject *out) {
  struct data_set set;
  char *folder = bf_format("%.*s/test_data_set_0", (int)(strrchr(path, '/') - path), path);
  read_set(folder, &set);
  bool good = true;
  if (!set.good || !set.noutputs) good = cf_refuse(out, true, bf_strdup("the recording has element types that are not numbers of 8 to 64 bits, or none"));
  else if (!any_quantized(&set)) good = cf_refuse(out, true, bf_strdup("float: operands and results are float32"));
  else good = import_any(path, &set, out);
  good = good && adopt(&set, out);
  free_set(&set);
  free(folder);
  return good;
}
