// SPDX-License-Identifier: Apache-2.0
#include "tools/bfexplore/variant.h"

#include <string.h>

#include "ir/profile.h"

static bool check_names(const struct bf_graph *graph, const struct bf_profile *profile, struct bf_diags *diags) {
  for (size_t e = 0; e < profile->count; e++) {
    bool found = !strcmp(profile->entries[e].layer, "default");
    for (size_t i = 0; !found && i < graph->nnodes; i++) {
      found = !strcmp(graph->nodes[i]->name, profile->entries[e].layer);
    }
    if (!found) {
      bf_error_file(diags, NULL, NULL, "profile `%s`: %s has no layer `%s`", profile->name, graph->name, profile->entries[e].layer);
      return false;
    }
  }
  return true;
}

bool bfx_variant_make(struct bfx_variant *out, struct bf_graph *base, const struct bf_profile *profile, struct bf_diags *diags) {
  *out = (struct bfx_variant){.base = base};
  if (base && profile->count == 0) {
    *out = (struct bfx_variant){.graph = base};
  } else if (base && check_names(base, profile, diags)) {
    out->graph = bf_graph_narrow(base, profile, diags);
  }
  return out->graph != NULL;
}

void bfx_variant_free(struct bfx_variant *variant) {
  bf_graph_free(variant->graph);
  bf_graph_free(variant->base);
  *variant = (struct bfx_variant){0};
}
