// SPDX-License-Identifier: Apache-2.0
// Names, attributes, operands, and the list of what went wrong: what every operator of the importer uses.
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/bfn.h"
#include "frontend/onnx_lower.h"

#define LONGEST_NAME 40
#define LONGEST_SOURCE 256

// ---- a map from names to pointers

struct bf_onx_map {
  struct bf_arena *arena;
  struct slot {
    const char *name;
    void *value;
  } * slots;
  size_t count, size;
};

struct bf_onx_map *bf_onx_map_new(struct bf_arena *arena) {
  struct bf_onx_map *map = bf_arena_alloc(arena, 1, sizeof *map);
  map->arena = arena;
  return map;
}

static struct slot *slot_of(const struct bf_onx_map *map, const char *name) {
  size_t i = bf_hash(name, strlen(name)) & (map->size - 1);
  while (map->slots[i].name && strcmp(map->slots[i].name, name) != 0) i = (i + 1) & (map->size - 1);
  return &map->slots[i];
}

void **bf_onx_map_at(struct bf_onx_map *map, const char *name) {
  if (2 * map->count >= map->size) {
    struct bf_onx_map old = *map;
    map->size = old.size ? 2 * old.size : 64;
    map->slots = bf_arena_alloc(map->arena, map->size, sizeof *map->slots);
    for (size_t i = 0; i < old.size; i++)
      if (old.slots[i].name) *slot_of(map, old.slots[i].name) = old.slots[i];
  }
  struct slot *slot = slot_of(map, name);
  if (!slot->name) {
    slot->name = bf_arena_strdup(map->arena, name);
    map->count++;
  }
  return &slot->value;
}

// ---- identifiers

static bool is_operator(const char *name) {
  const char *op;
  for (size_t i = 0; (op = bf_bfn_op_name(i)); i++)
    if (strcmp(op, name) == 0) return true;
  return false;
}

const char *bf_onx_unique(struct bf_onx_lower *l, const char *base) {
  const char *text = base;
  static const char taken;
  if (bf_bfn_reserved(text) || is_operator(text)) text = bf_arena_format(&l->arena, "%s_0", text);
  void **slot = bf_onx_map_at(l->names, text);
  if (!*slot) {
    *slot = (void *)&taken;
    return bf_arena_strdup(&l->arena, text);
  }
  // How often the base was asked for makes the next number a likely one.
  size_t *next = *slot == &taken ? NULL : *slot;
  if (!next) {
    next = bf_arena_alloc(&l->arena, 1, sizeof *next);
    *next = 2;
    *slot = next;
  }
  for (;;) {
    const char *candidate = bf_arena_format(&l->arena, "%s_%zu", text, (*next)++);
    void **other = bf_onx_map_at(l->names, candidate);
    if (*other) continue;
    *other = (void *)&taken;
    return candidate;
  }
}

// Last words of tensor names that say nothing about the layer.
static bool is_empty_word(const char *word) {
  static const char *const words[] = {"weight", "bias",  "w",         "b",     "kernel", "kappa",       "lamda",
                                      "output", "mul",   "add",       "conv",  "matmul", "param0",      "param1",
                                      "out0",   "quant", "quantized", "value", "const",  "initializer", "reshape1"};
  for (size_t i = 0; i < BF_COUNT(words); i++)
    if (strcmp(word, words[i]) == 0) return true;
  return false;
}

// Words that tools put into every name.
static void cut_common_words(char *text) {
  static const char *const words[] = {"ql_replaced_", "integerize_", "pact_", "pass_", "gpu_0_", "onnx_", "features_"};
  for (size_t i = 0; i < BF_COUNT(words); i++) {
    char *at = strstr(text, words[i]);
    size_t n = strlen(words[i]);
    if (at && (at == text || at[-1] == '_')) memmove(at, at + n, strlen(at + n) + 1);
  }
}

const char *bf_onx_identifier(struct bf_onx_lower *l, const char *name) {
  char text[LONGEST_SOURCE + 1];
  size_t length = 0;
  for (const char *from = name; from && *from && length < LONGEST_SOURCE; from++) {
    unsigned char c = (unsigned char)*from;
    bool word = c < 128 && isalnum(c);
    if (!word && (!length || text[length - 1] == '_')) continue;
    text[length++] = word ? (char)tolower(c) : '_';
  }
  text[length] = 0;
  cut_common_words(text);
  length = strlen(text);
  for (bool last_word = true, changed = true; changed; last_word = false) {
    while (length && text[length - 1] == '_') text[--length] = 0;
    char *last = strrchr(text, '_'), *word = last ? last + 1 : text;
    bool number = word[strspn(word, "0123456789")] == 0;
    // A number at the end tells a tensor, before "weight" it tells a layer.
    changed = length && (number ? last_word || !last : is_empty_word(word));
    if (!changed) break;
    if (!last) return NULL;
    length = (size_t)(last - text);
    text[length] = 0;
  }
  if (!length) return NULL;
  const char *begin = length > LONGEST_NAME ? text + (length - LONGEST_NAME) : text;
  while (*begin == '_') begin++;
  return bf_arena_format(&l->arena, "%s%s", isdigit((unsigned char)*begin) ? "t" : "", begin);
}

const char *bf_onx_printable(struct bf_arena *arena, const char *name) {
  char text[100];
  size_t length = 0;
  for (; name && name[length] && length < 96; length++)
    text[length] = name[length] >= 32 && name[length] < 127 && name[length] != '"' ? name[length] : '?';
  if (length == 96) memcpy(text + length - 3, "...", 3);
  return bf_arena_strndup(arena, text, length);
}

// ---- what went wrong

struct bf_onx_problem {
  const char *kind;  // the format, or the operator left out
  char *op, *message;
  const char *hint;
  unsigned count;
};

// "Conv (node 3, output \"47\")"
static const char *node_label(struct bf_onx_lower *l) {
  const BfOnnx__Node *n = l->node;
  const char *output = n->n_output ? n->output[0] : "";
  return bf_arena_format(&l->arena, "node %zu %s (output \"%s\")", l->index, bf_onx_printable(&l->arena, n->op_type),
                         bf_onx_printable(&l->arena, output));
}

static struct bf_onx_problem *same_problem(struct bf_onx_problem *list, size_t n, const char *kind, const char *op) {
  for (size_t i = 0; i < n; i++)
    if (strcmp(list[i].kind, kind) == 0 && strcmp(list[i].op, op) == 0) return &list[i];
  return NULL;
}

bool bf_onx_fail(struct bf_onx_lower *l, const char *hint, const char *format, ...) {
  const char *op = l->node && l->node->op_type ? l->node->op_type : "";
  struct bf_onx_problem *old = same_problem(l->problems, l->nproblems, format, op);
  l->failures++;
  if (old) {
    old->count++;
    return false;
  }
  va_list args;
  va_start(args, format);
  char *text = bf_vformat(format, args);
  va_end(args);
  const char *label = l->node ? bf_arena_format(&l->arena, "%s: ", node_label(l)) : "";
  struct bf_onx_problem problem = {.kind = format,
                                   .op = bf_arena_strdup(&l->arena, op),
                                   .hint = hint,
                                   .count = 1,
                                   .message = bf_arena_format(&l->arena, "%s%s", label, text)};
  free(text);
  BF_PUSH(l->problems, l->nproblems, l->problems_capacity) = problem;
  return false;
}

void bf_onx_leave_out(struct bf_onx_lower *l, const char *why) {
  struct bf_onx_problem *old = same_problem(l->left_out, l->nleft_out, why, l->node->op_type);
  if (old) {
    old->count++;
    return;
  }
  struct bf_onx_problem item = {.kind = why,
                                .op = bf_arena_strdup(&l->arena, l->node->op_type),
                                .count = 1,
                                .message = bf_arena_format(&l->arena, "%s is left out: %s", node_label(l), why)};
  BF_PUSH(l->left_out, l->nleft_out, l->left_out_capacity) = item;
}

bool bf_onx_report(struct bf_onx_lower *l) {
  for (size_t i = 0; i < l->nleft_out + l->nproblems; i++) {
    bool error = i >= l->nleft_out;
    struct bf_onx_problem *p = error ? &l->problems[i - l->nleft_out] : &l->left_out[i];
    const char *more = p->count > 1 ? bf_arena_format(&l->arena, " (and %u more)", p->count - 1) : "";
    if (error) bf_error_file(l->diags, l->file, p->hint, "%s%s", p->message, more);
    else bf_warning_file(l->diags, l->file, p->hint, "%s%s", p->message, more);
  }
  return l->nproblems == 0;
}

// ---- attributes and operands

const BfOnnx__Attribute *bf_onx_attribute(const BfOnnx__Node *node, const char *name) {
  for (size_t i = 0; i < node->n_attribute; i++)
    if (node->attribute[i]->name && strcmp(node->attribute[i]->name, name) == 0) return node->attribute[i];
  return NULL;
}

int64_t bf_onx_int(const BfOnnx__Node *node, const char *name, int64_t otherwise) {
  const BfOnnx__Attribute *a = bf_onx_attribute(node, name);
  return a && a->has_i ? a->i : otherwise;
}

double bf_onx_float(const BfOnnx__Node *node, const char *name, double otherwise) {
  const BfOnnx__Attribute *a = bf_onx_attribute(node, name);
  return a && a->has_f ? (double)a->f : otherwise;
}

bool bf_onx_string_is(const BfOnnx__Node *node, const char *name, const char *text) {
  const BfOnnx__Attribute *a = bf_onx_attribute(node, name);
  return a && a->has_s && a->s.len == strlen(text) && memcmp(a->s.data, text, a->s.len) == 0;
}

bool bf_onx_ints(const BfOnnx__Node *node, const char *name, size_t count, int64_t *out) {
  const BfOnnx__Attribute *a = bf_onx_attribute(node, name);
  if (!a || a->n_ints != count) return false;
  memcpy(out, a->ints, count * sizeof *out);
  return true;
}

struct bf_onx_value *bf_onx_input(struct bf_onx_lower *l, size_t i) {
  if (i >= l->node->n_input || !*l->node->input[i]) return NULL;
  return *bf_onx_map_at(l->map, l->node->input[i]);
}

struct bf_onx_value *bf_onx_output(struct bf_onx_lower *l, size_t i) {
  return *bf_onx_map_at(l->map, l->node->output[i]);
}

struct bf_onx_value *bf_onx_computed(struct bf_onx_lower *l, size_t i) {
  struct bf_onx_value *v = bf_onx_input(l, i);
  if (!v || !v->known) bf_onx_fail(l, NULL, "operand %zu is missing", i);
  else if (v->constant) bf_onx_fail(l, NULL, "operand %zu is a constant where a computed value is needed", i);
  else if (v->left_out)
    bf_onx_fail(l, "the model can end before it", "its operand comes from %s, which is not supported", v->left_out);
  else return v;
  return NULL;
}

const struct bf_onx_const *bf_onx_constant(struct bf_onx_lower *l, size_t i) {
  struct bf_onx_value *v = bf_onx_input(l, i);
  if (v && v->constant) return v->constant;
  bf_onx_fail(l, "give it as an initializer", "operand %zu is not a constant", i);
  return NULL;
}
