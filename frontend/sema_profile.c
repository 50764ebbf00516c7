// SPDX-License-Identifier: Apache-2.0
// Profiles: bit widths of weights and activations, layer by layer.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/sema.h"
#include "ir/profile.h"

static struct bf_profile *add_profile(struct sema *s, const char *name) {
  struct bf_graph *graph = s->graph;
  struct bf_profile profile = {.name = bf_arena_strdup(&graph->arena, name)};
  BF_PUSH(graph->profiles, graph->nprofiles, graph->profiles_capacity) = profile;
  return &graph->profiles[graph->nprofiles - 1];
}

// `w4` or `a4`.
static bool read_width(struct sema *s, const struct ast_name *word, unsigned bits[2]) {
  const char *text = word->text;
  int which = text[0] == 'w' ? 0 : text[0] == 'a' ? 1 : -1;
  size_t digits = strspn(text + 1, "0123456789");
  if (which < 0 || digits == 0 || digits > 2 || text[1 + digits])
    return sema_error(s, word->loc, "for instance: w4 a8", "`%s` is no width", text);
  unsigned value = (unsigned)strtoul(text + 1, NULL, 10);
  if (value < 1 || value > 16) return sema_error(s, word->loc, NULL, "widths are 1 to 16 bits, not %u", value);
  if (bits[which]) return sema_error(s, word->loc, NULL, "the width is given twice");
  bits[which] = value;
  return true;
}

// An entry that changes nothing is a slip.
static void warn_keeping(struct sema *s, const struct ast_name *layer) {
  for (size_t i = 0; i < s->graph->nnodes && !s->stopped; i++) {
    const struct bf_node *node = s->graph->nodes[i];
    if (!strcmp(node->name, layer->text) && (bf_op_keeps_type(node->op) || node->op == BF_OP_SOFTMAX))
      bf_warning_at(s->diags, bfn_range(s->source, layer->loc),
                    node->op == BF_OP_SOFTMAX ? "softmax is defined for 8 and 16 bits" : "it has the width that the readers of its result want",
                    "the entry has no effect: `%s` does not compute at a width of its own", layer->text);
  }
}

static bool check_layer(struct sema *s, const struct ast_name *layer) {
  if (!strcmp(layer->text, "default") || bf_names_find(&s->layers, layer->text) != BF_NAME_NONE) return true;
  const char **names = bf_alloc(s->graph->nnodes + 1, sizeof *names);
  size_t count = 0;
  for (size_t i = 0; i < s->graph->nnodes; i++) names[count++] = s->graph->nodes[i]->name;
  names[count++] = "default";
  const char *hint = sema_nearest(s, layer->text, names, count);
  free(names);
  return sema_error(s, layer->loc, hint, "there is no layer `%s`", layer->text);
}

static void add_entry(struct sema *s, struct bf_profile *profile, struct bf_names *seen,
                      const struct ast_profile_entry *entry) {
  unsigned bits[2] = {0, 0};
  if (!bf_names_add(seen, entry->layer->text, 0)) {
    sema_error(s, entry->layer->loc, NULL, "profile `%s` has two entries for `%s`", profile->name, entry->layer->text);
    return;
  }
  for (const struct ast_name *word = entry->words; word; word = word->next)
    if (!read_width(s, word, bits)) return;
  if (!bits[0] || !bits[1]) {
    sema_error(s, entry->loc, "for instance: w4 a8", "an entry gives the width of weights and of activations");
    return;
  }
  if (!check_layer(s, entry->layer)) return;
  warn_keeping(s, entry->layer);
  struct bf_profile_entry e = {bf_arena_strdup(&s->graph->arena, entry->layer->text), bits[0], bits[1]};
  BF_PUSH(profile->entries, profile->count, profile->capacity) = e;
}

// ---- weights of the archive that belong to a profile: "w@low", "w@low.scale", "b@low"

static const struct bf_array *find_member(const struct sema *s, const char *name) {
  const struct bf_array *array = s->weights ? bf_archive_find(s->weights, name) : NULL;
  return array ? array : bf_archive_find(&s->loaded, name);
}

static bool read_elements(struct sema *s, struct bfn_loc loc, const char *name, const struct bf_array *array, struct bf_tensor *t) {
  char type[8];
  if (array->elements > SEMA_MAX_CONSTANTS - s->constants)
    return sema_error(s, loc, NULL, "the constants of the network have more than 2^28 elements");
  s->constants += array->elements;
  t->data = bf_arena_alloc(&s->graph->arena, array->elements, sizeof *t->data);
  for (uint64_t i = 0; i < array->elements; i++) {
    t->data[i] = bf_array_int(array, i);
    if (!bf_type_holds(t->type, t->data[i]))
      return sema_error(s, loc, NULL, "member \"%s\": element %" PRIu64 " is %" PRId64 ", outside %s", name, i, t->data[i],
                        bf_type_text(type, t->type));
  }
  return true;
}

// The constant of a profile in the archive, or NULL: there is none, or an error was given.
static struct bf_tensor *own_constant(struct sema *s, struct bfn_loc loc, const struct bf_profile *profile,
                                      const struct bf_tensor *of, struct bf_type type) {
  const char *name = bf_profile_member(&s->arena, of->name, profile->name, false);
  const struct bf_array *array = find_member(s, name);
  if (!array || bf_graph_find_tensor(s->graph, name)) return NULL;  // two layers may share weights
  if (bf_dtype_is_float(array->dtype) || array->rank != of->rank || memcmp(array->shape, of->shape, of->rank * sizeof *of->shape)) {
    sema_error(s, loc, NULL, "member \"%s\" must hold integers of shape %s, as `%s` does", name,
               sema_shape_text(s, of->rank, of->shape), of->name);
    return NULL;
  }
  struct bf_tensor *t = sema_tensor(s, name, loc, type, of->rank, of->shape);
  return t && read_elements(s, loc, name, array, t) ? t : NULL;
}

static void own_scales(struct sema *s, struct bfn_loc loc, const struct bf_profile *profile, const struct bf_tensor *of,
                       struct bf_tensor *t) {
  const char *name = bf_profile_member(&s->arena, of->name, profile->name, true);
  const struct bf_array *array = find_member(s, name);
  if (!array) return;
  if (!bf_dtype_is_float(array->dtype) || (array->elements != 1 && array->elements != of->shape[0])) {
    sema_error(s, loc, NULL, "member \"%s\" must hold one scale, or one for each output channel", name);
    return;
  }
  t->quant = (struct bf_quant){.count = (uint32_t)array->elements};
  t->quant.scale = bf_arena_alloc(&s->graph->arena, array->elements, sizeof *t->quant.scale);
  t->quant.zero = bf_arena_alloc(&s->graph->arena, array->elements, sizeof *t->quant.zero);
  for (uint64_t i = 0; i < array->elements; i++) t->quant.scale[i] = (float)bf_array_real(array, i);  // the verifier looks at them
}

static const struct bf_profile_entry *entry_of(const struct bf_profile *profile, const char *layer) {
  const struct bf_profile_entry *otherwise = NULL;
  for (size_t i = 0; i < profile->count; i++) {
    if (!strcmp(profile->entries[i].layer, layer)) return &profile->entries[i];
    if (!strcmp(profile->entries[i].layer, "default")) otherwise = &profile->entries[i];
  }
  return otherwise;
}

// What the archive has for this profile joins the graph as constants that only the profile reads.
static void own_weights(struct sema *s, struct bfn_loc loc, const struct bf_profile *profile) {
  for (size_t i = 0; i < s->graph->nnodes; i++) {
    const struct bf_node *node = s->graph->nodes[i];
    const struct bf_profile_entry *entry = entry_of(profile, node->name);
    if (!entry || (node->op != BF_OP_CONV2D && node->op != BF_OP_DENSE)) continue;
    struct bf_type type = {node->inputs[1]->type.kind == BF_TYPE_U ? BF_TYPE_U : BF_TYPE_S, entry->bits_w};
    if (type.kind == BF_TYPE_S && type.bits == 1) type.kind = BF_TYPE_B;
    struct bf_tensor *w = own_constant(s, loc, profile, node->inputs[1], type);
    if (w) own_scales(s, loc, profile, node->inputs[1], w);
    if (node->ninputs > 2) own_constant(s, loc, profile, node->inputs[2], node->inputs[2]->type);
  }
}

void sema_profile(struct sema *s, struct scope *scope, const struct ast_stmt *stmt) {
  (void)scope;
  if (!strcmp(stmt->names->text, BF_PROFILE_BASE)) {
    sema_error(s, stmt->names->loc, "give it another name", "`base` is the network as it is written");
    return;
  }
  for (size_t i = 0; i < s->graph->nprofiles; i++)
    if (!strcmp(s->graph->profiles[i].name, stmt->names->text)) {
      sema_error(s, stmt->names->loc, NULL, "profile `%s` is defined twice", stmt->names->text);
      return;
    }
  struct bf_profile *profile = add_profile(s, stmt->names->text);
  struct bf_names seen = {0};
  for (const struct ast_profile_entry *entry = stmt->entries; entry; entry = entry->next)
    add_entry(s, profile, &seen, entry);
  bf_names_free(&seen);
  if (s->diags->errors == 0) own_weights(s, stmt->names->loc, profile);
}
