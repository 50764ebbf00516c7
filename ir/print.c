// SPDX-License-Identifier: Apache-2.0
// The text form of a graph (.bfir); the grammar stands in ir/parse.c.
#include <inttypes.h>
#include <string.h>

#include "ir/text.h"

#define PER_LINE 24  // constant values on one line

static bool is_plain(const char *name) {
  if (!*name || (*name >= '0' && *name <= '9')) return false;
  for (const char *p = name; *p; p++)
    if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') || *p == '_'))
      return false;
  return true;
}

static void put_string(struct bf_buf *out, const char *text, size_t length) {
  bf_buf_puts(out, "\"");
  for (size_t i = 0; i < length; i++) {
    unsigned char c = (unsigned char)text[i];
    if (c == '\n')
      bf_buf_puts(out, "\\n");
    else if (c == '"' || c == '\\')
      bf_buf_printf(out, "\\%c", c);
    else if (c < 32 || c == 127)
      bf_buf_printf(out, "\\x%02x", c);
    else
      bf_buf_append(out, &text[i], 1);
  }
  bf_buf_puts(out, "\"");
}

static void put_name(struct bf_buf *out, const char *name) {
  if (is_plain(name))
    bf_buf_puts(out, name);
  else
    put_string(out, name, strlen(name));
}

// "keyword 5" for one value, "keyword [5, 6]" for several.
static void put_i64s(struct bf_buf *out, const char *keyword, const int64_t *v, uint32_t count) {
  bf_buf_printf(out, "%s ", keyword);
  if (count != 1) bf_buf_puts(out, "[");
  for (uint32_t i = 0; i < count; i++) bf_buf_printf(out, "%s%" PRId64, i ? ", " : "", v[i]);
  if (count != 1) bf_buf_puts(out, "]");
}

static void put_i32s(struct bf_buf *out, const char *keyword, const int32_t *v, uint32_t count, bool list) {
  bf_buf_printf(out, "%s %s", keyword, list ? "[" : "");
  for (uint32_t i = 0; i < count; i++) bf_buf_printf(out, "%s%" PRId32, i ? ", " : "", v ? v[i] : 0);
  if (list) bf_buf_puts(out, "]");
}

static void put_floats(struct bf_buf *out, const char *keyword, const float *v, uint32_t count) {
  char text[40];
  bf_buf_printf(out, "%s ", keyword);
  if (count != 1) bf_buf_puts(out, "[");
  for (uint32_t i = 0; i < count; i++) bf_buf_printf(out, "%s%s", i ? ", " : "", bf_float_text(text, v[i]));
  if (count != 1) bf_buf_puts(out, "]");
}

static void put_thresholds(struct bf_buf *out, const struct bf_requant *rq) {
  bf_buf_puts(out, "levels [");
  for (uint32_t c = 0; c < rq->count; c++) {
    bf_buf_puts(out, c ? ", [" : "[");
    for (uint32_t i = 0; i < rq->nthresholds; i++)
      bf_buf_printf(out, "%s%" PRId64, i ? ", " : "", rq->thresholds[(size_t)c * rq->nthresholds + i]);
    bf_buf_puts(out, "]");
  }
  bf_buf_puts(out, "]");
}

static void put_requant(struct bf_buf *out, const char *keyword, const struct bf_requant *rq, bool outer) {
  const char *mode = bf_requant_mode_name(rq->mode);
  bf_buf_printf(out, "\n  %s %s", keyword, mode ? mode : "?");
  unsigned fields = bf_requant_fields(rq->mode);
  const char *comma = "";
  if (fields) bf_buf_puts(out, "(");
  if (fields & BF_RQ_MULT) put_i64s(out, "mult", rq->mult, rq->count), comma = ", ";
  if (fields & BF_RQ_ADD) bf_buf_puts(out, comma), put_i64s(out, "add", rq->add, rq->count), comma = ", ";
  if (fields & BF_RQ_SHIFT) bf_buf_puts(out, comma), put_i32s(out, "shift", rq->shift, rq->count, rq->count != 1);
  if (fields & BF_RQ_SCALE) put_floats(out, "factor", rq->fscale, rq->count);
  if (fields & BF_RQ_THRESHOLDS) put_thresholds(out, rq);
  if (fields) bf_buf_puts(out, ")");
  if (outer) bf_buf_printf(out, " plus %" PRId64 " clamp [%" PRId64 ", %" PRId64 "]", rq->out_zero, rq->lo, rq->hi);
}

static void put_data(struct bf_buf *out, const struct bf_tensor *t) {
  bf_buf_puts(out, " = [");
  for (uint64_t i = 0; i < t->elements; i++) {
    if (i % PER_LINE == 0 && t->elements > PER_LINE) bf_buf_puts(out, "\n  ");
    bf_buf_printf(out, "%" PRId64 "%s", t->data[i], i + 1 == t->elements ? "" : i % PER_LINE == PER_LINE - 1 ? "," : ", ");
  }
  bf_buf_puts(out, "]");
}

static void put_tensor(struct bf_buf *out, const struct bf_tensor *t) {
  char type[8];
  bf_buf_puts(out, "tensor ");
  put_name(out, t->name);
  bf_buf_printf(out, ": %s[", bf_type_text(type, t->type));
  for (unsigned i = 0; i < t->rank; i++) bf_buf_printf(out, "%s%" PRIu64, i ? ", " : "", t->shape[i]);
  bf_buf_puts(out, "]");
  if (t->is_input) bf_buf_puts(out, " input");
  if (t->is_output) bf_buf_puts(out, " output");
  if (t->quant.count) {
    if (t->quant.axis) bf_buf_printf(out, " axis %d", t->quant.axis);
    bf_buf_puts(out, " ");
    put_floats(out, "scale", t->quant.scale, t->quant.count);
    bf_buf_puts(out, " ");
    put_i32s(out, "zero", t->quant.zero, t->quant.count, t->quant.count != 1);
  }
  if (t->data) put_data(out, t);
  bf_buf_puts(out, ";\n");
}

static void put_attrs(struct bf_buf *out, const struct bf_node *node, unsigned groups) {
  const struct bf_attrs *a = &node->attrs;
  char text[40];
  for (size_t i = 0; i < BF_COUNT(bf_attr_lists); i++) {
    const struct bf_attr_list *list = &bf_attr_lists[i];
    if (!(groups & list->group)) continue;
    bf_buf_puts(out, " ");
    put_i32s(out, list->keyword, (const int32_t *)((const char *)a + list->offset), list->count, true);
  }
  if (groups & BF_ATTR_GROUPS) bf_buf_printf(out, " groups %" PRIu32, a->groups);
  if (groups & BF_ATTR_PADS) {
    bf_buf_puts(out, " ");
    put_i32s(out, "pads", &a->pads[0][0], BF_MAX_RANK * 2, true);
    bf_buf_printf(out, " value %" PRId64, a->pad_value);
  }
  if (groups & BF_ATTR_AXES) {
    const char *comma = "";
    bf_buf_puts(out, " axes [");
    for (int i = 0; i < 32; i++)
      if (a->axes >> i & 1) bf_buf_printf(out, "%s%d", comma, i), comma = ", ";
    bf_buf_puts(out, "]");
  }
  if (groups & BF_ATTR_AXIS) bf_buf_printf(out, " axis %d", a->axis);
  if (groups & BF_ATTR_BETA) bf_buf_printf(out, " beta %s", bf_float_text(text, a->beta));
  if (groups & BF_ATTR_INPUT_REQUANT) {
    bf_buf_printf(out, " left_shift %" PRId32, a->left_shift);
    put_requant(out, "left", &a->in_requant[0], false);
    put_requant(out, "right", &a->in_requant[1], false);
  }
  if (groups & BF_ATTR_REQUANT) put_requant(out, "requant", &a->requant, true);
}

static void put_node(struct bf_buf *out, const struct bf_node *node) {
  const struct bf_op_info *info = bf_op_info(node->op);
  bf_buf_puts(out, "node ");
  put_name(out, node->name);
  bf_buf_printf(out, ": %s(", info ? info->name : "?");
  for (uint32_t i = 0; i < node->ninputs; i++) {
    if (i) bf_buf_puts(out, ", ");
    put_name(out, node->inputs[i]->name);
  }
  bf_buf_puts(out, ") -> ");
  put_name(out, node->output->name);
  if (node->line) bf_buf_printf(out, " line %" PRIu32, node->line);
  if (info) put_attrs(out, node, info->attrs);
  bf_buf_puts(out, ";\n");
}

static void put_profile(struct bf_buf *out, const struct bf_profile *profile) {
  bf_buf_puts(out, "profile ");
  put_name(out, profile->name);
  bf_buf_puts(out, " {");
  for (size_t i = 0; i < profile->count; i++) {
    bf_buf_puts(out, "\n  ");
    put_name(out, profile->entries[i].layer);
    bf_buf_printf(out, ": w%u a%u;", profile->entries[i].bits_w, profile->entries[i].bits_a);
  }
  bf_buf_puts(out, "\n}\n");
}

// The source as one string a line.
static void put_source(struct bf_buf *out, const char *source) {
  bf_buf_puts(out, "source");
  do {
    const char *end = strchr(source, '\n');
    size_t length = end ? (size_t)(end - source) + 1 : strlen(source);
    bf_buf_puts(out, "\n  ");
    put_string(out, source, length);
    source += length;
  } while (*source);
  bf_buf_puts(out, ";\n");
}

void bf_graph_print(const struct bf_graph *graph, struct bf_buf *out) {
  bf_buf_puts(out, "bfir 1;\ngraph ");
  put_name(out, graph->name);
  bf_buf_puts(out, ";\n");
  if (graph->source) put_source(out, graph->source);
  if (graph->weights) {
    bf_buf_puts(out, "weights ");
    put_string(out, graph->weights, strlen(graph->weights));
    bf_buf_puts(out, ";\n");
  }
  for (size_t i = 0; i < graph->ntensors; i++) put_tensor(out, graph->tensors[i]);
  for (size_t i = 0; i < graph->nnodes; i++) put_node(out, graph->nodes[i]);
  for (size_t i = 0; i < graph->nprofiles; i++) put_profile(out, &graph->profiles[i]);
}
