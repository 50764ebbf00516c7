// SPDX-License-Identifier: Apache-2.0
// Profiles: bit widths of weights and activations, layer by layer.
#include <stdlib.h>
#include <string.h>

#include "frontend/sema.h"

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
  struct bf_profile_entry e = {bf_arena_strdup(&s->graph->arena, entry->layer->text), bits[0], bits[1]};
  BF_PUSH(profile->entries, profile->count, profile->capacity) = e;
}

void sema_profile(struct sema *s, struct scope *scope, const struct ast_stmt *stmt) {
  (void)scope;
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
}
