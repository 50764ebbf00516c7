// SPDX-License-Identifier: Apache-2.0
// The validator: entry, and the rules of everything that is not code.
#include "isa/validate.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool fail(struct ap_check *check) { return ++check->errors <= AP_MAX_ERRORS; }

void ap_check_fail(struct ap_check *check, const char *fmt, ...) {
  if (!fail(check))
    return;
  va_list args;
  va_start(args, fmt);
  char *text = bf_vformat(fmt, args);
  va_end(args);
  bf_error_file(check->diags, NULL, NULL, "invalid program: %s", text);
  free(text);
}

void ap_check_fail_at(struct ap_check *check, enum ap_place place, uint32_t number, const char *fmt, ...) {
  const struct ap_program *p = check->program;
  if (!fail(check))
    return;
  va_list args;
  va_start(args, fmt);
  char *text = bf_vformat(fmt, args);
  va_end(args);
  if (p->place_error)
    p->place_error(p->place_error_context, place, number, text);
  else
    bf_error_file(check->diags, NULL, NULL, "invalid program: %s", text);
  free(text);
}

bool ap_check_full(const struct ap_check *check) { return check->errors >= AP_MAX_ERRORS; }

static bool is_name(const char *text) { return text && *text; }

// What ap_technology_load would take for the path of a file: a binary may not make its reader open one.
static bool is_path(const char *name) {
  size_t length = strlen(name);
  return strchr(name, '/') || (length >= 4 && strcmp(name + length - 4, ".ini") == 0);
}

// Reports print it: one line, and nothing that a terminal would obey.
static bool is_line(const char *text) {
  size_t length = 0;
  for (; text && text[length]; length++)
    if (text[length] < ' ' || text[length] > '~' || length >= AP_MAX_WEIGHTS_TEXT)
      return false;
  return true;
}

static void check_header(struct ap_check *check) {
  const struct ap_program *p = check->program;
  const struct ap_machine *m = &p->machine;
  if (!is_name(p->network))
    ap_check_fail(check, "the network has no name");
  if (!is_name(p->tech))
    ap_check_fail(check, "no technology is named");
  else if (is_path(p->tech))
    ap_check_fail(check, "the technology is named by a path, not by its name");
  if (!is_line(p->weights))
    ap_check_fail(check, "the origin of the weights is no line of printable ASCII of at most %d letters", AP_MAX_WEIGHTS_TEXT);
  if (p->batch < 1)
    ap_check_fail(check, "the batch is 0");
  if (!isfinite(p->vdd) || p->vdd <= 0)
    ap_check_fail(check, "the supply voltage is not a positive number");
  if (m->columns < 16 || m->columns > AP_MAX_COLUMNS || m->rows < 1 || m->rows > 65536)
    ap_check_fail(check, "the machine has %u rows and %u columns (allowed: 1..65536 and 16..%u)", m->rows, m->columns,
                  AP_MAX_COLUMNS);
  if (m->clusters < 1 || m->clusters > 65536 || m->caps_per_cluster < 1 || m->caps_per_cluster > 65536)
    ap_check_fail(check, "the machine has %u clusters of %u CAPs (allowed: 1..65536 each)", m->clusters,
                  m->caps_per_cluster);
  if (m->port_bits < 1)
    ap_check_fail(check, "the machine's port is 0 bits wide");
}

// A type of the language: s1..s64, u1..u64, b1, t2.
static bool is_type(const char *text) {
  if (!text || !strchr("subt", text[0]) || text[0] == 0)
    return false;
  unsigned bits = 0;
  for (const char *c = text + 1; *c; c++) {
    if (*c < '0' || *c > '9' || (c == text + 1 && *c == '0') || c - text > 2)
      return false;
    bits = bits * 10 + (unsigned)(*c - '0');
  }
  if (text[0] == 'b')
    return bits == 1;
  return text[0] == 't' ? bits == 2 : bits >= 1 && bits <= 64;
}

static const char *check_tensor(const struct ap_program *p, const struct ap_tensor *t) {
  if (!is_name(t->name))
    return "it has no name";
  if ((unsigned)t->storage > AP_STORAGE_TEMP)
    return "its storage class is unknown";
  if (t->bits < 1 || t->bits > 64)
    return "its bits are outside 1..64";
  if (t->rank < 1 || t->rank > 4)
    return "its rank is outside 1..4";
  uint64_t elements = 1;
  for (unsigned k = 0; k < 4; k++) {
    if (t->shape[k] < 1 || !bf_mul_limit(elements, t->shape[k], BF_MAX_ELEMENTS, &elements))
      return "its shape has a zero or too many elements";
    if (k + t->rank < 4 && t->shape[k] != 1)
      return "its shape has more dimensions than its rank";
  }
  if (!isfinite(t->scale) || t->scale <= 0)
    return "its scale is not a positive number";
  if (t->alias != UINT32_MAX && t->alias >= p->ntensors)
    return "it shares the memory of a tensor that does not exist";
  return NULL;
}

// Aliases end at a tensor of its own memory with as many elements of at least as many bits. Each tensor is walked over once: seen[i] is the
// number of the walk that met it.
static void check_aliases(struct ap_check *check) {
  const struct ap_program *p = check->program;
  uint32_t *seen = bf_alloc(p->ntensors, sizeof *seen);
  for (uint32_t i = 0; i < p->ntensors && !ap_check_full(check); i++) {
    uint32_t at = i;
    while (!seen[at] && p->tensors[at].alias != UINT32_MAX) {
      const struct ap_tensor *t = &p->tensors[at], *to = &p->tensors[t->alias];
      seen[at] = i + 1;
      // Where no profiles keep the widths apart, all see the same bits.
      bool same = p->nprofiles == 0 || t->storage == AP_STORAGE_CONST ? t->bits == to->bits : t->bits <= to->bits;
      if (ap_tensor_elements(t) != ap_tensor_elements(to) || !same)
        ap_check_fail_at(check, AP_PLACE_TENSOR, at,
                         "tensor %u (%s) shares memory with tensor %u, but their elements or bits differ", at, t->name,
                         t->alias);
      if ((t->storage == AP_STORAGE_CONST) != (to->storage == AP_STORAGE_CONST))
        ap_check_fail_at(check, AP_PLACE_TENSOR, at, "tensor %u (%s) and tensor %u share memory, but only one is constant", at,
                         t->name, t->alias);
      at = t->alias;
    }
    if (seen[at] == i + 1 && p->tensors[at].alias != UINT32_MAX)
      ap_check_fail_at(check, AP_PLACE_TENSOR, i, "tensor %u (%s): its aliases run in a circle", i, p->tensors[i].name);
    seen[at] = i + 1;
  }
  free(seen);
}

// Constants lie in the pool one after the other, in the order of the tensors, and fill it.
static void check_consts(struct ap_check *check) {
  const struct ap_program *p = check->program;
  uint64_t next = 0;
  for (uint32_t i = 0; i < p->ntensors && !ap_check_full(check); i++) {
    const struct ap_tensor *t = &p->tensors[i];
    if (t->storage != AP_STORAGE_CONST || t->alias != UINT32_MAX)
      continue;
    uint64_t elements = ap_tensor_elements(t);
    if (t->data != next || elements > p->consts.count - next) {
      ap_check_fail_at(check, AP_PLACE_TENSOR, i, "constant tensor %u (%s) is not at its place in the constant pool", i,
                       t->name);
      return;
    }
    next += elements;
    for (uint64_t e = t->data; e < next && t->bits < 64; e++)
      if (ap_consts_at(&p->consts, e) >> t->bits) {
        ap_check_fail_at(check, AP_PLACE_TENSOR, i, "constant %llu of tensor %u (%s) has more than %u bits",
                      (unsigned long long)(e - t->data), i, t->name, t->bits);
        break;
      }
  }
  if (next != p->consts.count)
    ap_check_fail(check, "the constant pool has %llu elements, the constant tensors %llu",
                  (unsigned long long)p->consts.count, (unsigned long long)next);
}

static void check_border(struct ap_check *check, const uint32_t *list, uint32_t count, bool input) {
  const struct ap_program *p = check->program;
  const char *what = input ? "input" : "output";
  bool *seen = bf_alloc(p->ntensors, sizeof *seen);
  for (uint32_t i = 0; i < count && !ap_check_full(check); i++) {
    if (list[i] >= p->ntensors) {
      ap_check_fail(check, "%s %u is tensor %u, which does not exist", what, i, list[i]);
      continue;
    }
    const struct ap_tensor *t = &p->tensors[list[i]];
    if (seen[list[i]])
      ap_check_fail(check, "tensor %s is an %s twice", t->name, what);
    seen[list[i]] = true;
    if (!is_type(t->type))
      ap_check_fail(check, "%s %s has no type of the language", what, t->name);
    if (input && (t->storage != AP_STORAGE_ACTIVATION || t->alias != UINT32_MAX))
      ap_check_fail(check, "input %s is not an activation with memory of its own", t->name);
  }
  free(seen);
}

const char *ap_host_softmax_check(const struct ap_program *program, const struct ap_host *host) {
  const struct ap_tensor *in = &program->tensors[host->input], *out = &program->tensors[host->output];
  bool words = in->bits == 16 && out->bits == 16;
  if (!words && (in->bits > 8 || (out->bits != 8 && out->bits != 16)))
    return "softmax wants an input of at most 8 bits and an output of 8 or 16, or 16 for both";
  if (ap_tensor_elements(in) != ap_tensor_elements(out) || in->shape[3] != out->shape[3] || in->shape[3] > 4096)
    return "softmax wants equal shapes and at most 4096 classes";
  double step = (double)host->beta * (double)host->in_scale;
  if (words)  // the kernel's tables reach from -10 to 0
    return step > 0 && step <= 1 ? NULL : "softmax has an input scale or beta out of range";
  double real = step * (double)(1 << (31 - AP_SOFTMAX_DIFF_BITS));
  if (!(real >= 1) || !isfinite(real))  // the kernel's multiplier is at least 1
    return "softmax has an input scale or beta out of range";
  return NULL;
}

static void check_hosts(struct ap_check *check) {
  const struct ap_program *p = check->program;
  for (uint32_t i = 0; i < p->nhosts && !ap_check_full(check); i++) {
    const struct ap_host *h = &p->hosts[i];
    if (h->kind >= AP_HOST_KIND_COUNT || h->input >= p->ntensors || h->output >= p->ntensors) {
      ap_check_fail_at(check, AP_PLACE_HOST, i, "host op %u has an unknown kind or tensor", i);
      continue;
    }
    const struct ap_tensor *in = &p->tensors[h->input], *out = &p->tensors[h->output];
    if (out->storage == AP_STORAGE_CONST)
      ap_check_fail_at(check, AP_PLACE_HOST, i, "host op %u writes the constant %s", i, out->name);
    if (ap_tensor_elements(in) != ap_tensor_elements(out) || in->shape[3] != out->shape[3])
      ap_check_fail_at(check, AP_PLACE_HOST, i, "host op %u: the shapes of %s and %s differ", i, in->name, out->name);
    if (!isfinite(h->in_scale) || h->in_scale <= 0 || !isfinite(h->beta))
      ap_check_fail_at(check, AP_PLACE_HOST, i, "host op %u: its scale is not a positive number", i);
    const char *why = ap_host_softmax_check(p, h);
    if (why)
      ap_check_fail_at(check, AP_PLACE_HOST, i, "host op %u: %s", i, why);
  }
}

static int compare_names(const void *x, const void *y) { return strcmp(*(char *const *)x, *(char *const *)y); }

static void check_unique(struct ap_check *check, const char *what, const char **names, uint32_t count) {
  qsort(names, count, sizeof *names, compare_names);
  for (uint32_t i = 1; i < count; i++)
    if (strcmp(names[i - 1], names[i]) == 0) {
      ap_check_fail(check, "two %s are called %s", what, names[i]);
      return;
    }
}

static void check_names(struct ap_check *check) {
  const struct ap_program *p = check->program;
  const char **names = bf_alloc((size_t)p->ntensors + p->nlayers, sizeof *names);
  for (uint32_t i = 0; i < p->ntensors; i++)
    names[i] = p->tensors[i].name;
  check_unique(check, "tensors", names, p->ntensors);
  uint32_t count = 0;
  for (uint32_t i = 0; i < p->nlayers; i++) {
    if (is_name(p->layers[i].name))
      names[count++] = p->layers[i].name;
    else
      ap_check_fail(check, "layer %u has no name", i);
  }
  check_unique(check, "layers", names, count);
  free(names);
}

void ap_check_structure(struct ap_check *check) {
  const struct ap_program *p = check->program;
  check_header(check);
  for (uint32_t i = 0; i < p->ntensors && !ap_check_full(check); i++) {
    const char *why = check_tensor(p, &p->tensors[i]);
    if (why)
      ap_check_fail_at(check, AP_PLACE_TENSOR, i, "tensor %u (%s): %s", i, p->tensors[i].name ? p->tensors[i].name : "",
                       why);
  }
  if (check->errors)
    return;
  check_aliases(check);
  check_consts(check);
  check_border(check, p->inputs, p->ninputs, true);
  check_border(check, p->outputs, p->noutputs, false);
  check_hosts(check);
  check_names(check);
}

bool ap_program_validate(const struct ap_program *program, struct bf_diags *diags) {
  static void (*const PARTS[])(struct ap_check *) = {ap_check_structure, ap_check_descriptors, ap_check_micros,
                                                     ap_check_patterns, ap_check_tables, ap_check_code, ap_check_profiles};
  struct ap_check check = {.program = program, .diags = diags};
  check.table_grid = bf_alloc(program->ntables, sizeof *check.table_grid);
  for (size_t i = 0; i < BF_COUNT(PARTS) && check.errors == 0; i++)
    PARTS[i](&check);
  free(check.table_grid);
  return check.errors == 0;
}
