// SPDX-License-Identifier: Apache-2.0
// The text form of a graph (.bfir), by recursive descent. '#' starts a comment.
//
//   file     = "bfir" "1" ";" "graph" name ";" { source | weights | tensor | node | profile }
//   source   = "source" string { string } ";"                        the .bfn text, at most once
//   weights  = "weights" string ";"                                  where the weights come from, at most once
//   tensor   = "tensor" name ":" TYPE "[" int { "," int } "]" [ "input" ] [ "output" ] [ quant ]
//              [ "=" ints ] ";"
//   quant    = [ "axis" int ] "scale" floats "zero" ints
//   node     = "node" name ":" OPERATOR "(" [ name { "," name } ] ")" "->" name { attr } ";"
//   attr     = "line" int | "kernel" ints | "stride" ints | "dilation" ints | "pad" ints | "groups" int
//            | "perm" ints | "begin" ints | "step" ints | "count" ints | "factor" ints | "axes" ints
//            | "pads" ints | "value" int | "axis" int | "beta" float | "left_shift" int
//            | ( "left" | "right" ) rescale
//            | "requant" rescale "plus" int "clamp" "[" int "," int "]"
//   rescale  = MODE [ "(" param { "," param } ")" ]
//   param    = ( "mult" | "shift" | "add" ) ints | "factor" floats | "levels" "[" ints { "," ints } "]"
//   profile  = "profile" name "{" { name ":" "w"INT "a"INT ";" } "}"
//   ints     = int | "[" [ int { "," int } ] "]"                      floats likewise
//   name     = word | string
//
// A tensor is declared before the nodes that mention it. After an error the parser goes on behind the
// next ';', so that one run shows many errors. What the parts mean together is the verifier's business.
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ir/names.h"
#include "ir/scan.h"
#include "ir/text.h"

#define MAX_ERRORS 20

struct ints {
  int64_t *items;
  size_t count, capacity;
};

struct floats {
  float *items;
  size_t count, capacity;
};

struct parser {
  struct bf_scanner s;
  struct bf_diags *diags;
  struct bf_graph *graph;
  struct bf_names tensors;
  size_t errors;
};

static struct bf_range here(const struct parser *p) {
  return (struct bf_range){p->s.source, p->s.begin, p->s.end};
}

static bool BF_PRINTF(3, 4) fail(struct parser *p, const char *hint, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  char *text = bf_vformat(fmt, args);
  va_end(args);
  bf_error_at(p->diags, here(p), hint, "%s", text);
  free(text);
  p->errors++;
  return false;
}

// The current token as the user wrote it, for messages; at most 40 bytes.
static char *found(const struct parser *p) {
  if (p->s.token == BF_TOKEN_END) return bf_strdup("the end of the file");
  size_t length = p->s.end - p->s.begin;
  return bf_format("'%.*s'", (int)(length > 40 ? 40 : length), p->s.source->text + p->s.begin);
}

static bool expected(struct parser *p, const char *what) {
  char *text = found(p);
  fail(p, NULL, "expected %s, found %s", what, text);
  free(text);
  return false;
}

static bool accept(struct parser *p, const char *text) {
  if (!bf_scan_is(&p->s, text)) return false;
  bf_scan_next(&p->s);
  return true;
}

static bool expect(struct parser *p, const char *text) {
  if (accept(p, text)) return true;
  char *quoted = bf_format("'%s'", text);
  expected(p, quoted);
  free(quoted);
  return false;
}

// ---- values

// A name, in the graph's arena.
static char *parse_name(struct parser *p) {
  struct bf_arena *arena = &p->graph->arena;
  char *name = NULL;
  if (p->s.token == BF_TOKEN_WORD) {
    name = bf_arena_strndup(arena, p->s.source->text + p->s.begin, p->s.end - p->s.begin);
  } else if (p->s.token == BF_TOKEN_STRING) {
    struct bf_buf text = {0};
    if (bf_scan_string(&p->s, &text)) name = bf_arena_strdup(arena, bf_buf_cstr(&text));
    bf_buf_free(&text);
    if (!name) fail(p, "escapes are \\n, \\\", \\\\ and \\xHH, not \\x00", "a wrong escape in the string");
  } else {
    expected(p, "a name");
  }
  if (name) bf_scan_next(&p->s);
  return name;
}

static bool parse_int(struct parser *p, int64_t lo, int64_t hi, int64_t *out) {
  if (p->s.token != BF_TOKEN_NUMBER) return expected(p, "an integer");
  char *end;
  errno = 0;
  long long v = strtoll(p->s.source->text + p->s.begin, &end, 10);
  if (end != p->s.source->text + p->s.end) return expected(p, "an integer");
  if (errno || v < lo || v > hi)
    return fail(p, NULL, "the number must be between %lld and %lld", (long long)lo, (long long)hi);
  *out = v;
  bf_scan_next(&p->s);
  return true;
}

static bool parse_int32(struct parser *p, int32_t lo, int32_t *out) {
  int64_t v;
  if (!parse_int(p, lo, INT32_MAX, &v)) return false;
  *out = (int32_t)v;
  return true;
}

static bool parse_float(struct parser *p, float *out) {
  if (p->s.token != BF_TOKEN_NUMBER) return expected(p, "a number");
  char *end;
  *out = strtof(p->s.source->text + p->s.begin, &end);
  if (end != p->s.source->text + p->s.end) return expected(p, "a number");
  if (!isfinite(*out)) return fail(p, NULL, "the number is too large for a float");
  bf_scan_next(&p->s);
  return true;
}

static bool parse_ints(struct parser *p, int64_t lo, int64_t hi, struct ints *out) {
  int64_t v;
  if (!accept(p, "[")) {
    if (!parse_int(p, lo, hi, &v)) return false;
    BF_PUSH(out->items, out->count, out->capacity) = v;
    return true;
  }
  if (accept(p, "]")) return true;
  do {
    if (!parse_int(p, lo, hi, &v)) return false;
    BF_PUSH(out->items, out->count, out->capacity) = v;
  } while (accept(p, ","));
  return expect(p, "]");
}

static bool parse_floats(struct parser *p, struct floats *out) {
  float v;
  if (!accept(p, "[")) {
    if (!parse_float(p, &v)) return false;
    BF_PUSH(out->items, out->count, out->capacity) = v;
    return true;
  }
  if (accept(p, "]")) return true;
  do {
    if (!parse_float(p, &v)) return false;
    BF_PUSH(out->items, out->count, out->capacity) = v;
  } while (accept(p, ","));
  return expect(p, "]");
}

static int64_t *keep_i64(struct parser *p, const struct ints *v) {
  if (!v->count) return NULL;
  int64_t *out = bf_arena_alloc(&p->graph->arena, v->count, sizeof *out);
  memcpy(out, v->items, v->count * sizeof *out);
  return out;
}

static int32_t *keep_i32(struct parser *p, const struct ints *v) {
  if (!v->count) return NULL;
  int32_t *out = bf_arena_alloc(&p->graph->arena, v->count, sizeof *out);
  for (size_t i = 0; i < v->count; i++) out[i] = (int32_t)v->items[i];
  return out;
}

static float *keep_floats(struct parser *p, const struct floats *v) {
  if (!v->count) return NULL;
  float *out = bf_arena_alloc(&p->graph->arena, v->count, sizeof *out);
  memcpy(out, v->items, v->count * sizeof *out);
  return out;
}

// ---- tensors

static bool parse_quant(struct parser *p, struct bf_quant *quant) {
  int32_t axis = 0;
  bool has_axis = accept(p, "axis");
  if (has_axis && !parse_int32(p, 0, &axis)) return false;
  if (!accept(p, "scale")) return has_axis ? expected(p, "'scale'") : true;
  struct floats scale = {0};
  struct ints zero = {0};
  bool ok = parse_floats(p, &scale) && expect(p, "zero") && parse_ints(p, INT32_MIN, INT32_MAX, &zero);
  if (ok && scale.count != zero.count)
    ok = fail(p, NULL, "%zu scale(s) but %zu zero point(s)", scale.count, zero.count);
  if (ok && scale.count > UINT32_MAX) ok = fail(p, NULL, "too many scales");
  if (ok)
    *quant = (struct bf_quant){(uint32_t)scale.count, axis, keep_floats(p, &scale), keep_i32(p, &zero)};
  free(scale.items);
  free(zero.items);
  return ok;
}

static bool parse_data(struct parser *p, struct bf_tensor *tensor) {
  struct bf_scanner start = p->s;
  struct ints data = {0};
  bool ok = parse_ints(p, INT64_MIN, INT64_MAX, &data);
  if (ok && data.count != tensor->elements) {
    p->s = start;
    ok = fail(p, NULL, "the shape has %llu element(s), here are %zu value(s)",
              (unsigned long long)tensor->elements, data.count);
  }
  if (ok) tensor->data = keep_i64(p, &data);
  free(data.items);
  return ok;
}

static bool parse_shape(struct parser *p, unsigned *rank, uint64_t *shape) {
  if (!expect(p, "[")) return false;
  *rank = 0;
  do {
    int64_t size;
    if (*rank == BF_MAX_RANK) return fail(p, NULL, "a tensor has at most %d dimensions", BF_MAX_RANK);
    if (!parse_int(p, 1, (int64_t)BF_MAX_ELEMENTS, &size)) return false;
    shape[(*rank)++] = (uint64_t)size;
  } while (accept(p, ","));
  return expect(p, "]");
}

static bool parse_type(struct parser *p, struct bf_type *type) {
  if (p->s.token != BF_TOKEN_WORD ||
      !bf_type_parse(p->s.source->text + p->s.begin, p->s.end - p->s.begin, type))
    return expected(p, "an element type (u1 to u48, s1 to s48, b1, t2)");
  bf_scan_next(&p->s);
  return true;
}

static bool parse_tensor(struct parser *p) {
  struct bf_scanner start = p->s;
  struct bf_type type;
  unsigned rank;
  uint64_t shape[BF_MAX_RANK];
  char *name = parse_name(p);
  if (!name || !expect(p, ":") || !parse_type(p, &type) || !parse_shape(p, &rank, shape)) return false;
  struct bf_tensor *tensor = bf_graph_tensor(p->graph, name, type, rank, shape);
  if (!tensor) {
    p->s = start;
    return fail(p, NULL, "tensor '%s' has too many elements", name);
  }
  if (!bf_names_add(&p->tensors, tensor->name, tensor->id)) {
    p->s = start;
    return fail(p, NULL, "there is a tensor '%s' already", name);
  }
  tensor->is_input = accept(p, "input");
  tensor->is_output = accept(p, "output");
  return parse_quant(p, &tensor->quant) && (!accept(p, "=") || parse_data(p, tensor)) && expect(p, ";");
}

// ---- requantization

static bool parse_levels(struct parser *p, struct bf_requant *rq, size_t *count) {
  struct ints all = {0};
  size_t rows = 0, width = 0;
  bool ok = expect(p, "[");
  while (ok) {
    size_t before = all.count;
    if (!bf_scan_is(&p->s, "[")) {
      ok = expected(p, "'[' and the thresholds of a channel");
      break;
    }
    ok = parse_ints(p, INT64_MIN, INT64_MAX, &all);
    if (ok && rows > 0 && all.count - before != width)
      ok = fail(p, NULL, "every channel needs the same number of thresholds (%zu)", width);
    width = all.count - before;
    rows++;
    if (!ok || !accept(p, ",")) break;
  }
  ok = ok && expect(p, "]");
  if (ok) {
    rq->nthresholds = (uint32_t)width;
    rq->thresholds = keep_i64(p, &all);
    *count = rows;
  }
  free(all.items);
  return ok;
}

// One parameter of the mode; *count gets its number of channels.
static bool parse_param(struct parser *p, struct bf_requant *rq, unsigned *field, size_t *count) {
  struct ints v = {0};
  struct floats f = {0};
  bool ok;
  if (accept(p, "mult")) {
    *field = BF_RQ_MULT;
    if ((ok = parse_ints(p, INT64_MIN, INT64_MAX, &v))) rq->mult = keep_i64(p, &v);
  } else if (accept(p, "add")) {
    *field = BF_RQ_ADD;
    if ((ok = parse_ints(p, INT64_MIN, INT64_MAX, &v))) rq->add = keep_i64(p, &v);
  } else if (accept(p, "shift")) {
    *field = BF_RQ_SHIFT;
    if ((ok = parse_ints(p, INT32_MIN, INT32_MAX, &v))) rq->shift = keep_i32(p, &v);
  } else if (accept(p, "factor")) {
    *field = BF_RQ_SCALE;
    if ((ok = parse_floats(p, &f))) rq->fscale = keep_floats(p, &f);
  } else if (accept(p, "levels")) {
    *field = BF_RQ_THRESHOLDS;
    return parse_levels(p, rq, count);
  } else {
    return expected(p, "'mult', 'add', 'shift', 'factor' or 'levels'");
  }
  *count = v.count + f.count;
  free(v.items);
  free(f.items);
  return ok;
}

static bool parse_params(struct parser *p, struct bf_requant *rq) {
  unsigned seen = 0, wanted = bf_requant_fields(rq->mode);
  if (!wanted) return true;
  if (!expect(p, "(")) return false;
  do {
    struct bf_scanner start = p->s;
    unsigned field = 0;
    size_t count = 0;
    if (!parse_param(p, rq, &field, &count)) return false;
    const char *wrong = !(wanted & field) ? "the mode has no such parameter"
                        : (seen & field)  ? "the parameter is given twice"
                        : (seen && count != rq->count) || count > UINT32_MAX
                            ? "the parameters have different numbers of channels"
                            : NULL;
    if (wrong) {
      p->s = start;
      return fail(p, NULL, "%s", wrong);
    }
    seen |= field;
    rq->count = (uint32_t)count;
  } while (accept(p, ","));
  if (seen != wanted) return fail(p, NULL, "a parameter of the mode is missing");
  return expect(p, ")");
}

static bool parse_rescale(struct parser *p, struct bf_requant *rq) {
  *rq = (struct bf_requant){0};
  for (int mode = 0; mode < BF_REQUANT_COUNT; mode++)
    if (accept(p, bf_requant_mode_name((enum bf_requant_mode)mode))) {
      rq->mode = (enum bf_requant_mode)mode;
      return parse_params(p, rq);
    }
  return expected(p, "a requantization mode");
}

static bool parse_requant(struct parser *p, struct bf_requant *rq) {
  return parse_rescale(p, rq) && expect(p, "plus") && parse_int(p, INT64_MIN, INT64_MAX, &rq->out_zero) &&
         expect(p, "clamp") && expect(p, "[") && parse_int(p, INT64_MIN, INT64_MAX, &rq->lo) &&
         expect(p, ",") && parse_int(p, INT64_MIN, INT64_MAX, &rq->hi) && expect(p, "]");
}

// ---- nodes

static bool parse_fixed_list(struct parser *p, int32_t *out, size_t count) {
  struct bf_scanner start = p->s;
  struct ints v = {0};
  bool ok = parse_ints(p, INT32_MIN, INT32_MAX, &v);
  if (ok && v.count != count) {
    p->s = start;
    ok = fail(p, NULL, "expected %zu numbers, found %zu", count, v.count);
  }
  for (size_t i = 0; ok && i < count; i++) out[i] = (int32_t)v.items[i];
  free(v.items);
  return ok;
}

static bool parse_axes(struct parser *p, uint32_t *axes) {
  struct ints v = {0};
  bool ok = parse_ints(p, 0, 31, &v);
  *axes = 0;
  for (size_t i = 0; ok && i < v.count; i++) *axes |= (uint32_t)1 << v.items[i];
  free(v.items);
  return ok;
}

// One attribute; *group gets its BF_ATTR_* bit (0: every operator has it).
static bool parse_attr(struct parser *p, struct bf_node *node, unsigned *group) {
  struct bf_attrs *a = &node->attrs;
  int64_t v;
  for (size_t i = 0; i < BF_COUNT(bf_attr_lists); i++)
    if (accept(p, bf_attr_lists[i].keyword)) {
      *group = bf_attr_lists[i].group;
      return parse_fixed_list(p, (int32_t *)((char *)a + bf_attr_lists[i].offset), bf_attr_lists[i].count);
    }
  *group = 0;
  if (accept(p, "line")) {
    if (!parse_int(p, 1, UINT32_MAX, &v)) return false;
    node->line = (uint32_t)v;
    return true;
  }
  if (accept(p, "groups")) {
    *group = BF_ATTR_GROUPS;
    if (!parse_int(p, 0, UINT32_MAX, &v)) return false;
    a->groups = (uint32_t)v;
    return true;
  }
  if (accept(p, "pads")) return *group = BF_ATTR_PADS, parse_fixed_list(p, &a->pads[0][0], BF_MAX_RANK * 2);
  if (accept(p, "value")) return *group = BF_ATTR_PADS, parse_int(p, INT64_MIN, INT64_MAX, &a->pad_value);
  if (accept(p, "axes")) return *group = BF_ATTR_AXES, parse_axes(p, &a->axes);
  if (accept(p, "axis")) return *group = BF_ATTR_AXIS, parse_int32(p, INT32_MIN, &a->axis);
  if (accept(p, "beta")) return *group = BF_ATTR_BETA, parse_float(p, &a->beta);
  if (accept(p, "left_shift")) return *group = BF_ATTR_INPUT_REQUANT, parse_int32(p, INT32_MIN, &a->left_shift);
  if (accept(p, "left")) return *group = BF_ATTR_INPUT_REQUANT, parse_rescale(p, &a->in_requant[0]);
  if (accept(p, "right")) return *group = BF_ATTR_INPUT_REQUANT, parse_rescale(p, &a->in_requant[1]);
  if (accept(p, "requant")) return *group = BF_ATTR_REQUANT, parse_requant(p, &a->requant);
  return expected(p, "an attribute or ';'");
}

static bool parse_attrs(struct parser *p, struct bf_node *node) {
  const struct bf_op_info *info = bf_op_info(node->op);
  while (!bf_scan_is(&p->s, ";")) {
    struct bf_scanner start = p->s;
    unsigned group;
    if (!parse_attr(p, node, &group)) return false;
    if (group & ~info->attrs) {
      p->s = start;
      return fail(p, NULL, "%s has no such attribute", info->name);
    }
  }
  return expect(p, ";");
}

static bool parse_op(struct parser *p, enum bf_op *op) {
  const char *names[BF_OP_COUNT];
  for (int i = 0; i < BF_OP_COUNT; i++) {
    names[i] = bf_op_info((enum bf_op)i)->name;
    if (accept(p, names[i])) {
      *op = (enum bf_op)i;
      return true;
    }
  }
  if (p->s.token != BF_TOKEN_WORD) return expected(p, "an operator");
  char *word = bf_strndup(p->s.source->text + p->s.begin, p->s.end - p->s.begin);
  const char *near = bf_nearest(word, names, BF_OP_COUNT);
  char *hint = near ? bf_format("did you mean '%s'?", near) : NULL;
  fail(p, hint, "there is no operator '%s'", word);
  free(hint);
  free(word);
  return false;
}

static struct bf_tensor *parse_tensor_name(struct parser *p) {
  struct bf_scanner start = p->s;
  char *name = parse_name(p);
  if (!name) return NULL;
  uint32_t id = bf_names_find(&p->tensors, name);
  if (id != BF_NAME_NONE) return p->graph->tensors[id];
  p->s = start;
  fail(p, NULL, "there is no tensor '%s'", name);
  return NULL;
}

static bool parse_node(struct parser *p) {
  enum bf_op op = BF_OP_COUNT;
  struct {
    struct bf_tensor **items;
    size_t count, capacity;
  } inputs = {0};
  char *name = parse_name(p);
  bool ok = name && expect(p, ":") && parse_op(p, &op) && expect(p, "(");
  if (ok && !accept(p, ")")) {
    do {
      struct bf_tensor *input = parse_tensor_name(p);
      if (!(ok = input != NULL)) break;
      BF_PUSH(inputs.items, inputs.count, inputs.capacity) = input;
    } while (accept(p, ","));
    ok = ok && expect(p, ")");
  }
  ok = ok && expect(p, "->");
  struct bf_scanner at_output = p->s;
  struct bf_tensor *output = ok ? parse_tensor_name(p) : NULL;
  if (output && output->producer) {
    p->s = at_output;
    fail(p, NULL, "tensor '%s' is the output of layer '%s' already", output->name, output->producer->name);
    output = NULL;
  }
  ok = output && inputs.count <= UINT32_MAX &&
       parse_attrs(p, bf_graph_node(p->graph, op, name, inputs.items, (uint32_t)inputs.count, output));
  free(inputs.items);
  return ok;
}

// ---- the file

// "w4": the letter, then the number, in one word.
static bool parse_bits(struct parser *p, char letter, unsigned *bits) {
  const char *text = p->s.source->text + p->s.begin;
  size_t length = p->s.end - p->s.begin;
  unsigned v = 0;
  bool ok = p->s.token == BF_TOKEN_WORD && text[0] == letter && length >= 2 && length <= 3;
  for (size_t i = 1; ok && i < length; i++) {
    ok = text[i] >= '0' && text[i] <= '9';
    v = v * 10 + (unsigned)(text[i] - '0');
  }
  if (!ok) return expected(p, letter == 'w' ? "'w' and a bit width" : "'a' and a bit width");
  *bits = v;
  bf_scan_next(&p->s);
  return true;
}

static bool parse_profile(struct parser *p) {
  struct bf_graph *graph = p->graph;
  char *name = parse_name(p);
  if (!name || !expect(p, "{")) return false;
  BF_PUSH(graph->profiles, graph->nprofiles, graph->profiles_capacity) = (struct bf_profile){.name = name};
  struct bf_profile *profile = &graph->profiles[graph->nprofiles - 1];
  while (!accept(p, "}")) {
    struct bf_profile_entry entry = {0};
    if (!(entry.layer = parse_name(p)) || !expect(p, ":") || !parse_bits(p, 'w', &entry.bits_w) ||
        !parse_bits(p, 'a', &entry.bits_a) || !expect(p, ";"))
      return false;
    BF_PUSH(profile->entries, profile->count, profile->capacity) = entry;
  }
  return true;
}

static bool parse_source(struct parser *p) {
  if (p->graph->source) return fail(p, NULL, "the source is given twice");
  if (p->s.token != BF_TOKEN_STRING) return expected(p, "a string");
  struct bf_buf text = {0};
  bool ok = true;
  while (ok && p->s.token == BF_TOKEN_STRING) {
    ok = bf_scan_string(&p->s, &text) || fail(p, NULL, "a wrong escape in the string");
    bf_scan_next(&p->s);
  }
  if (ok) p->graph->source = bf_arena_strdup(&p->graph->arena, bf_buf_cstr(&text));
  bf_buf_free(&text);
  return ok && expect(p, ";");
}

static bool parse_weights(struct parser *p) {
  if (p->graph->weights) return fail(p, NULL, "the origin of the weights is given twice");
  if (p->s.token != BF_TOKEN_STRING) return expected(p, "a string");
  struct bf_buf text = {0};
  bool ok = bf_scan_string(&p->s, &text);
  for (size_t i = 0; ok && i < text.length; i++) ok = text.data[i] >= ' ' && text.data[i] <= '~';
  if (ok) p->graph->weights = bf_arena_strdup(&p->graph->arena, bf_buf_cstr(&text));
  bf_buf_free(&text);
  if (!ok) return fail(p, NULL, "the origin of the weights is a line of printable ASCII");
  bf_scan_next(&p->s);
  return expect(p, ";");
}

static bool parse_statement(struct parser *p) {
  if (accept(p, "tensor")) return parse_tensor(p);
  if (accept(p, "node")) return parse_node(p);
  if (accept(p, "profile")) return parse_profile(p);
  if (accept(p, "source")) return parse_source(p);
  if (accept(p, "weights")) return parse_weights(p);
  return expected(p, "'tensor', 'node', 'profile', 'source' or 'weights'");
}

static bool parse_head(struct parser *p) {
  if (!expect(p, "bfir")) return false;
  if (!bf_scan_is(&p->s, "1")) return fail(p, NULL, "this program reads version 1 of the graph text");
  bf_scan_next(&p->s);
  if (!expect(p, ";") || !expect(p, "graph")) return false;
  char *name = parse_name(p);
  if (!name || !expect(p, ";")) return false;
  p->graph->name = name;
  return true;
}

static void skip_statement(struct parser *p) {
  while (p->s.token != BF_TOKEN_END && !bf_scan_is(&p->s, ";")) bf_scan_next(&p->s);
  if (p->s.token != BF_TOKEN_END) bf_scan_next(&p->s);
}

struct bf_graph *bf_graph_parse(const struct bf_source *source, struct bf_diags *diags) {
  struct parser p = {.diags = diags, .graph = bf_graph_new("")};
  bf_scan_start(&p.s, source);
  if (parse_head(&p))
    while (p.s.token != BF_TOKEN_END && p.errors < MAX_ERRORS)
      if (!parse_statement(&p)) skip_statement(&p);
  bf_names_free(&p.tensors);
  if (!p.errors) return p.graph;
  bf_graph_free(p.graph);
  return NULL;
}
