// SPDX-License-Identifier: Apache-2.0
// Validator: profiles. Each of them is a program of its own: its layers exist, and each finds its operands in memory as they were
// left by a layer before it, at that width. So a run never sees what a run of another profile has left.
#include <stdlib.h>
#include <string.h>

#include "isa/validate.h"

#define MAX_NAME 64

// What the layers do with tensors that are not constant.
struct use { uint32_t tensor; bool stored; };
struct flow {
  struct ap_check *check;
  struct use *uses;         // of all layers, one layer after the other
  size_t count, capacity;
  size_t *first;            // by layer, and the end
  uint32_t *seen[2];        // by tensor: 1 + layer that was met last, for loads and stores
  uint32_t *stream_seen;
  uint8_t *bits;            // by tensor: width of what its memory holds, 0: nothing of this run
};

static void add_use(struct flow *f, uint32_t layer, uint32_t tensor, bool stored) {
  if (f->check->program->tensors[tensor].storage == AP_STORAGE_CONST || f->seen[stored][tensor] == layer + 1)
    return;
  f->seen[stored][tensor] = layer + 1;
  BF_PUSH(f->uses, f->count, f->capacity) = (struct use){tensor, stored};
}

static void add_instr(struct flow *f, uint32_t layer, const struct ap_instr *instr) {
  const struct ap_program *p = f->check->program;
  if (ap_op_info((unsigned)instr->op)->op_class == AP_CLASS_MOVE)
    add_use(f, layer, p->descs[instr->index].tensor, instr->op == AP_OP_STORE);
  if (instr->op == AP_OP_HOST) {
    add_use(f, layer, p->hosts[instr->index].input, false);
    add_use(f, layer, p->hosts[instr->index].output, true);
  }
  if (instr->op != AP_OP_STEPS || f->stream_seen[instr->index] == layer + 1)
    return;
  f->stream_seen[instr->index] = layer + 1;
  const struct ap_stream *stream = &p->streams[instr->index];
  for (uint32_t i = 0; i < stream->count; i++)
    add_instr(f, layer, &p->tables[stream->table].items[stream->steps[i]]);  // moves and computations: no further streams
}

static void collect(struct flow *f) {
  const struct ap_program *p = f->check->program;
  f->first = bf_alloc((size_t)p->nlayers + 1, sizeof *f->first);
  f->seen[0] = bf_alloc((size_t)p->ntensors + 1, sizeof **f->seen);
  f->seen[1] = bf_alloc((size_t)p->ntensors + 1, sizeof **f->seen);
  f->stream_seen = bf_alloc((size_t)p->nstreams + 1, sizeof *f->stream_seen);
  f->bits = bf_alloc((size_t)p->ntensors + 1, sizeof *f->bits);
  for (uint32_t l = 0; l < p->nlayers; l++) {
    f->first[l] = f->count;
    for (uint32_t i = p->layers[l].first; i < p->layers[l].end; i++)
      add_instr(f, l, &p->code[i]);
  }
  f->first[p->nlayers] = f->count;
}

static void fail(struct flow *f, uint32_t profile, const char *layer, uint32_t tensor, const char *what) {
  const struct ap_program *p = f->check->program;
  ap_check_fail_at(f->check, AP_PLACE_PROFILE, profile, "profile %s: %s%s%s%s %s", p->profiles[profile].name, layer ? "layer " : "",
                   layer ? layer : "", layer ? " " : "", what, p->tensors[tensor].name);
}

// In order of the code: a layer may keep partial sums and read them again.
static void walk_layer(struct flow *f, uint32_t profile, uint32_t layer) {
  const struct ap_program *p = f->check->program;
  for (size_t i = f->first[layer]; i < f->first[layer + 1] && !ap_check_full(f->check); i++) {
    const struct use *u = &f->uses[i];
    uint8_t *bits = &f->bits[ap_tensor_root(p, u->tensor)];
    if (u->stored)
      *bits = p->tensors[u->tensor].bits;
    else if (*bits != p->tensors[u->tensor].bits)
      fail(f, profile, p->layers[layer].name, u->tensor,
           *bits ? "reads at another width than it was written at:" : "reads what no layer before it has written:");
  }
}

static void walk_profile(struct flow *f, uint32_t profile) {
  const struct ap_program *p = f->check->program;
  memset(f->bits, 0, p->ntensors);
  for (uint32_t i = 0; i < p->ninputs; i++)
    f->bits[p->inputs[i]] = p->tensors[p->inputs[i]].bits;
  for (uint32_t i = 0; i < p->profiles[profile].nlayers && !ap_check_full(f->check); i++)
    walk_layer(f, profile, p->profiles[profile].layers[i]);
  for (uint32_t i = 0; i < p->noutputs && !ap_check_full(f->check); i++)
    if (f->bits[ap_tensor_root(p, p->outputs[i])] != p->tensors[p->outputs[i]].bits)
      fail(f, profile, NULL, p->outputs[i], "no layer writes the output");
}

// ---- lists

static bool is_name(const char *text) {
  size_t length = text ? strlen(text) : 0;
  for (size_t i = 0; i < length && i <= MAX_NAME; i++)
    if (text[i] <= ' ' || text[i] > '~' || text[i] == '@')
      return false;
  return length >= 1 && length <= MAX_NAME;
}

static bool check_list(struct ap_check *check, uint32_t number, uint32_t *seen) {
  const struct ap_program *p = check->program;
  const struct ap_profile *profile = &p->profiles[number];
  size_t before = check->errors;
  if (!is_name(profile->name)) {
    ap_check_fail_at(check, AP_PLACE_PROFILE, number, "profile %u: its name is no word of at most %d letters without @", number,
                     MAX_NAME);
    return false;
  }
  for (uint32_t i = 0; i < number; i++)
    if (strcmp(profile->name, p->profiles[i].name) == 0)
      ap_check_fail_at(check, AP_PLACE_PROFILE, number, "two profiles are called %s", profile->name);
  if (profile->nlayers == 0)
    ap_check_fail_at(check, AP_PLACE_PROFILE, number, "profile %s has no layers", profile->name);
  for (uint32_t i = 0; i < profile->nlayers && check->errors == before; i++) {
    uint32_t layer = profile->layers[i];
    if (layer >= p->nlayers)
      ap_check_fail_at(check, AP_PLACE_PROFILE, number, "profile %s: there is no layer %u", profile->name, layer);
    else if (seen[layer] == number + 1)
      ap_check_fail_at(check, AP_PLACE_PROFILE, number, "profile %s: layer %s comes twice", profile->name, p->layers[layer].name);
    else
      seen[layer] = number + 1;
  }
  return check->errors == before;
}

// Code outside of layers would belong to no profile.
static bool check_cover(struct ap_check *check) {
  const struct ap_program *p = check->program;
  uint32_t next = 0;
  for (uint32_t i = 0; i < p->nlayers && p->layers[i].first == next; i++)
    next = p->layers[i].end;
  if (next + 1 == p->ncode)
    return true;
  ap_check_fail(check, "in a program with profiles all code but the last halt belongs to layers; instruction %u does not", next);
  return false;
}

void ap_check_profiles(struct ap_check *check) {
  const struct ap_program *p = check->program;
  struct flow flow = {.check = check};
  if (p->nprofiles == 0)
    return;
  if (p->nprofiles > AP_MAX_PROFILES) {
    ap_check_fail(check, "the program has more than %u profiles", AP_MAX_PROFILES);
    return;
  }
  uint32_t *seen = bf_alloc((size_t)p->nlayers + 1, sizeof *seen);
  bool good = check_cover(check);
  for (uint32_t i = 0; i < p->nprofiles; i++)
    good = check_list(check, i, seen) && good;
  free(seen);
  if (!good)
    return;
  collect(&flow);
  for (uint32_t i = 0; i < p->nprofiles && !ap_check_full(check); i++)
    walk_profile(&flow, i);
  free(flow.uses);
  free(flow.first);
  free(flow.seen[0]);
  free(flow.seen[1]);
  free(flow.stream_seen);
  free(flow.bits);
}
