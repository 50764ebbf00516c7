// SPDX-License-Identifier: Apache-2.0
// One layer: operands, options and result of a call, gathered by the table of operators; then the
// operator's own rules (sema_ops.c); then shape, output tensor and node.
#include <stdlib.h>
#include <string.h>

#include "frontend/bfn.h"
#include "frontend/sema.h"

static const char *const option_names[OPTION_COUNT] = {
#define BFN_OPTION(id, name) [OPT_##id] = name,
#include "frontend/bfn_options.def"
};

const char *bf_bfn_option_name(size_t index) {
  return index < OPTION_COUNT ? option_names[index] : NULL;
}

const char *bf_bfn_op_name(size_t index) {
  return index < bfn_op_count ? bfn_op_rows[index].name : NULL;
}

bool layer_has(const struct layer *layer, enum option_id option) {
  return layer->options[option].loc.end != 0;
}

static const struct op_row *find_row(const char *name) {
  for (size_t i = 0; i < bfn_op_count; i++)
    if (!strcmp(bfn_op_rows[i].name, name)) return &bfn_op_rows[i];
  return NULL;
}

static bool unknown_op(struct sema *s, const struct ast_expr *call) {
  size_t count = bfn_op_count, i = 0;
  for (const struct ast_block *block = s->file->blocks; block; block = block->next) count++;
  const char **names = bf_alloc(count, sizeof *names);
  for (; i < bfn_op_count; i++) names[i] = bfn_op_rows[i].name;
  for (const struct ast_block *block = s->file->blocks; block; block = block->next) names[i++] = block->name->text;
  const char *hint = sema_nearest(s, call->text, names, count);
  free(names);
  return sema_error(s, call->text_loc, hint, "there is no operator or block `%s`", call->text);
}

// --- arguments ---

static bool take_option(struct layer *layer, const struct ast_arg *arg) {
  struct sema *s = layer->s;
  const char *names[OPTION_COUNT];
  size_t count = 0;
  for (unsigned i = 0; i < OPTION_COUNT; i++) {
    if (!(layer->row->options >> i & 1)) continue;
    names[count++] = option_names[i];
    if (strcmp(option_names[i], arg->name) != 0) continue;
    if (layer_has(layer, i))
      return sema_error(s, arg->loc, NULL, "option `%s` is given twice", arg->name);
    layer->options[i] = sema_eval(s, layer->scope, arg->value);
    return layer->options[i].kind != VALUE_ERROR;
  }
  const char *hint = sema_nearest(s, arg->name, names, count);
  if (!hint && count) {
    struct bf_buf list = {0};
    for (size_t i = 0; i < count; i++) bf_buf_printf(&list, "%s`%s`", i ? ", " : "", names[i]);
    hint = bf_arena_format(&s->arena, "its options: %s", bf_buf_cstr(&list));
    bf_buf_free(&list);
  }
  return sema_error(s, arg->name_loc, hint, "`%s` has no option `%s`", layer->row->name, arg->name);
}

static bool take_operand(struct layer *layer, const struct ast_arg *arg) {
  struct sema *s = layer->s;
  struct value v = sema_eval(s, layer->scope, arg->value);
  if (v.kind == VALUE_WORD) return scope_unknown(s, layer->scope, v.text, v.loc, layer->stmt, layer->row->name);
  if (v.kind == VALUE_CALL)
    return sema_error(s, v.loc, "give the inner call a name of its own: t = …; then use t",
                      "operands are names, not calls");
  if (v.kind != VALUE_TENSOR) return sema_wrong_kind(s, &v, "an operand", "a tensor");
  layer->operand_locs[layer->node.ninputs] = v.loc;
  layer->node.inputs[layer->node.ninputs++] = v.tensor;
  return true;
}

static bool check_operands(struct layer *layer) {
  const struct op_row *row = layer->row;
  struct sema *s = layer->s;
  int count = (int)layer->node.ninputs;
  if (count < row->min || (row->max >= 0 && count > row->max)) {
    if (row->min == row->max)
      return sema_error(s, layer->call->loc, NULL, "`%s` takes %d operand%s, not %d", row->name, row->min,
                        row->min == 1 ? "" : "s", count);
    if (row->max < 0)
      return sema_error(s, layer->call->loc, NULL, "`%s` takes at least %d operand, not %d", row->name, row->min, count);
    return sema_error(s, layer->call->loc, NULL, "`%s` takes %d or %d operands, not %d", row->name, row->min,
                      row->max, count);
  }
  unsigned consts = bf_op_info(row->op)->const_inputs, constants = 0;
  bool either = bf_op_elementwise(row->op);
  for (int i = 0; i < count; i++) {
    const struct bf_tensor *t = layer->node.inputs[i];
    bool wanted = i < 32 && (consts >> i & 1);
    if (wanted && !t->data)
      return sema_error(s, layer->operand_locs[i], NULL, "operand %d of `%s` must be a constant, `%s` is computed",
                        i + 1, row->name, t->name);
    if (!t->data && !sema_activation_type(s, t->type, layer->operand_locs[i])) return false;
    constants += t->data != NULL;
    if (either && constants > 1)
      return sema_error(s, layer->operand_locs[i], NULL, "at most one operand of `%s` may be a constant", row->name);
    if (!wanted && t->data && !either)
      return sema_error(s, layer->operand_locs[i], NULL, "operand %d of `%s` must not be a constant, `%s` is one",
                        i + 1, row->name, t->name);
  }
  return true;
}

static bool take_arguments(struct layer *layer) {
  size_t count = 0;
  bool ok = true;
  for (const struct ast_arg *arg = layer->call->args; arg; arg = arg->next) count++;
  layer->node.inputs = bf_arena_alloc(&layer->s->arena, count, sizeof *layer->node.inputs);
  layer->operand_locs = bf_arena_alloc(&layer->s->arena, count, sizeof *layer->operand_locs);
  for (const struct ast_arg *arg = layer->call->args; arg; arg = arg->next)
    ok &= arg->name ? take_option(layer, arg) : take_operand(layer, arg);
  return ok && check_operands(layer);
}

// --- result ---

static bool take_result(struct layer *layer) {
  static const unsigned quantized = 1u << CLAUSE_SCALE | 1u << CLAUSE_ZERO;
  struct sema *s = layer->s;
  const struct ast_stmt *stmt = layer->stmt;
  enum result_rule rule = layer->row->result;
  if (!stmt->type) {
    if (rule != R_REQUANTIZES) return true;
    return sema_error(s, layer->call->loc, "for instance: -> s8 scale 0.05 zero 0",
                      "`%s` needs the type of its result", layer->row->name);
  }
  unsigned allowed = rule == R_REQUANTIZES ? quantized | 1u << CLAUSE_REQUANTIZE : quantized;
  const char *where = bf_arena_format(&s->arena, "after `%s`", layer->row->name);
  layer->typed = true;
  if (!sema_only_clauses(s, stmt->clauses, allowed, where) ||
      !sema_type(s, layer->scope, stmt->type, &layer->type) ||
      (rule != R_REQUANTIZES && !sema_activation_type(s, layer->type, stmt->type->loc)))
    return false;
  if (stmt->type->has_shape)
    return sema_error(s, stmt->type->loc, "the shape follows from the operands", "a result has no shape here");
  return sema_quant(s, layer->scope, stmt->clauses, layer->type, 0, NULL, &layer->quant);
}

// Operators that move or choose elements keep their meaning; a result that says otherwise is wrong.
static bool keep_quant(struct layer *layer) {
  const struct bf_tensor *x = layer->node.inputs[0];
  if (layer->typed) {
    bool scaled = layer->quant.count > 0;
    if (!bf_type_equal(layer->type, x->type) ||
        (scaled && (bf_quant_scale(&layer->quant, 0) != bf_quant_scale(&x->quant, 0) ||
                    bf_quant_zero(&layer->quant, 0) != bf_quant_zero(&x->quant, 0))))
      return sema_error(layer->s, layer->stmt->type->loc, "`requantize` changes type and scale",
                        "`%s` keeps the type and quantization of its input `%s`", layer->row->name, x->name);
  }
  layer->type = x->type;
  layer->quant = x->quant;
  return true;
}

static struct bf_tensor *make_output(struct layer *layer) {
  struct sema *s = layer->s;
  struct bfn_loc loc = layer->call->loc;
  uint64_t shape[BF_MAX_RANK];
  unsigned rank;
  const char *name = scope_full_name(s, layer->scope, layer->stmt->names->text);
  if (layer->reshape_rank) {
    rank = layer->reshape_rank;
    memcpy(shape, layer->reshape, sizeof shape);
  } else if (!bf_infer_shape(&layer->node, &rank, shape, s->diags, bfn_range(s->source, loc))) {
    return NULL;
  }
  struct bf_tensor *out = sema_tensor(s, name, layer->stmt->names->loc, layer->type, rank, shape);
  if (!out) return NULL;
  out->quant = layer->quant;
  struct bf_node *node = bf_graph_node(s->graph, layer->row->op, name, layer->node.inputs, layer->node.ninputs, out);
  node->attrs = layer->node.attrs;
  node->line = layer->stmt->loc.line;
  bf_names_add(&s->layers, node->name, node->id);
  return out;
}

static struct bf_tensor *build(struct sema *s, struct scope *scope, const struct ast_stmt *stmt,
                               const struct op_row *row) {
  struct layer layer = {.s = s, .scope = scope, .stmt = stmt, .call = stmt->value, .row = row};
  layer.node.op = row->op;
  layer.node.name = stmt->names->text;
  layer.node.attrs.groups = 1;
  layer.node.attrs.beta = 1;
  for (int i = 0; i < 2; i++)
    layer.node.attrs.kernel[i] = layer.node.attrs.stride[i] = layer.node.attrs.dilation[i] = layer.node.attrs.factor[i] = 1;
  for (int i = 0; i < BF_MAX_RANK; i++) layer.node.attrs.step[i] = 1;
  bool ok = take_arguments(&layer);
  ok &= take_result(&layer);
  if (!ok || (row->result == R_KEEPS && !keep_quant(&layer)) || !row->build(&layer)) return NULL;
  return make_output(&layer);
}

void sema_layer(struct sema *s, struct scope *scope, const struct ast_stmt *stmt) {
  const struct op_row *row = find_row(stmt->value->text);
  struct value v = {.loc = stmt->names->loc};
  if (!row && sema_block_call(s, scope, stmt)) return;
  if (!row) {
    unknown_op(s, stmt->value);
  } else if (stmt->names->next) {
    sema_error(s, stmt->names->next->loc, NULL, "`%s` has one result", row->name);
  } else if (!scope_find(scope, stmt->names->text)) {
    v.tensor = build(s, scope, stmt, row);
  }
  v.kind = v.tensor ? VALUE_TENSOR : VALUE_ERROR;
  for (const struct ast_name *name = stmt->names; name; name = name->next) scope_define(s, scope, name, v, false);
}
