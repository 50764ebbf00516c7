// SPDX-License-Identifier: Apache-2.0
#include "tools/common/network_costs.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

char *tool_cache_folder(const char *option) {
  const char *named = option ? option : getenv("BFIMNA_CACHE"), *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
  if (named && named[0]) return strcmp(named, "none") ? bf_strdup(named) : NULL;
  if (xdg && xdg[0] == '/') return bf_format("%s/bfimna", xdg);
  return home && home[0] == '/' ? bf_format("%s/.cache/bfimna", home) : NULL;
}

// Seconds since *from, which is set to now.
static double lap(double *from) {
  struct timespec t;
  timespec_get(&t, TIME_UTC);
  double now = (double)t.tv_sec + 1e-9 * (double)t.tv_nsec, passed = now - *from;
  *from = now;
  return passed;
}

struct bf_costs *tool_costs_open(const char *path, const struct bf_load_options *load, const struct bf_compile_options *options,
                                 struct bf_cost_cache *cache, struct tool_costs_story *story, struct bf_diags *diags) {
  struct tool_costs_story own;
  struct bf_digest digest;
  double from = 0;
  story = story ? story : &own;
  *story = (struct tool_costs_story){0};
  lap(&from);
  bool named = cache && bf_load_digest(path, load, &digest);
  story->digest_s = lap(&from);
  struct bf_costs *costs = named ? bf_costs_find(cache, &digest, options) : NULL;
  story->find_s = lap(&from);
  story->found = costs != NULL;
  if (costs) return costs;
  size_t said = diags->count;
  struct bf_graph *graph = bf_load_network(path, load, diags);
  story->load_s = lap(&from);
  if (!graph) return NULL;
  costs = bf_costs_analyse(graph, named && diags->count == said ? &digest : NULL, options, cache, diags);
  story->analyse_s = lap(&from);
  bf_graph_free(graph);
  return costs;
}
