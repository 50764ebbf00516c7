// SPDX-License-Identifier: Apache-2.0
#include "tools/common/network_costs.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ir/profile.h"

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

void tool_network_open(struct tool_network *n) {
  double from = 0;
  lap(&from);
  n->story = (struct tool_costs_story){.found = true};
  n->said = n->diags->count;
  n->named = n->cache && bf_load_digest(n->path, n->load, &n->digest);
  n->story.digest_s = lap(&from);
}

void tool_network_close(struct tool_network *n) {
  bf_graph_free(n->graph);
  n->graph = NULL;
}

// The name of a profile of the network.
static struct bf_digest name_of(const struct tool_network *n, const char *profile) {
  struct bf_hasher hasher;
  bf_hasher_begin(&hasher, 4);
  bf_hasher_number(&hasher, n->digest.words[0]);
  bf_hasher_number(&hasher, n->digest.words[1]);
  bf_hasher_text(&hasher, profile);
  return bf_hasher_end(&hasher);
}

static struct bf_costs *analyse(struct tool_network *n, const char *profile, const struct bf_digest *name) {
  double from = 0;
  lap(&from);
  if (!n->graph) n->graph = bf_load_network(n->path, n->load, n->diags);
  n->story.load_s += lap(&from);
  struct bf_graph *narrow = n->graph && profile ? bf_graph_apply_profile(n->graph, profile, n->diags) : NULL;
  const struct bf_graph *graph = profile ? narrow : n->graph;
  bool silent = n->named && n->diags->count == n->said;
  struct bf_costs *costs = graph ? bf_costs_analyse(graph, silent ? name : NULL, n->options, n->cache, n->diags) : NULL;
  bf_graph_free(narrow);
  n->story.analyse_s += lap(&from);
  return costs;
}

struct bf_costs *tool_network_costs(struct tool_network *n, const char *profile) {
  double from = 0;
  lap(&from);
  struct bf_digest own = n->digest;
  if (n->named && profile) own = name_of(n, profile);
  struct bf_costs *costs = n->named ? bf_costs_find(n->cache, &own, n->options) : NULL;
  n->story.find_s += lap(&from);
  n->story.found = n->story.found && costs;
  return costs ? costs : analyse(n, profile, &own);
}

struct bf_costs *tool_costs_open(const char *path, const struct bf_load_options *load, const struct bf_compile_options *options,
                                 struct bf_cost_cache *cache, struct tool_costs_story *story, struct bf_diags *diags) {
  struct tool_network network = {.path = path, .load = load, .options = options, .cache = cache, .diags = diags};
  tool_network_open(&network);
  struct bf_costs *costs = tool_network_costs(&network, NULL);
  if (story) *story = network.story;
  tool_network_close(&network);
  return costs;
}
