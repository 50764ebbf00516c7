// SPDX-License-Identifier: Apache-2.0
// The command `hawq`: the 18 published problems (two networks, three costs, three budgets) solved and compared.
#include "tools/bfexplore/hawq.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/bfexplore/explore.h"
#include "tools/bfexplore/network.h"

static const struct { const char *name; unsigned metric; } costs[] = {
    {"modelsize", BFX_SIZE}, {"bops", BFX_BOPS}, {"latency", BFX_CYCLES}};
static const struct { const char *text; double alpha; } levels[] = {{"0.75", 0.75}, {"0.5", 0.5}, {"0.25", 0.25}};

struct table {
  const char *folder;
  bool json;
  json_t *rows;
  struct bf_buf text;
  unsigned better, equal, worse;
};

// Limit of HAWQ-V3: `alpha` of the way from all convolutions at 4 bits to all at 8.
static double limit_of(const struct bfx_hawq_net *net, unsigned metric, double alpha) {
  double low = 0, high = 0;
  for (size_t i = 0; i < net->nitems; i++) {
    low += net->items[i].choices[0].value[metric];
    high += net->items[i].choices[1].value[metric];
  }
  return low + alpha * (high - low);
}

static char *bit_string(const struct bfx_hawq_net *net, const unsigned *choice) {
  char *text = bf_alloc(net->count + 1, 1);
  for (size_t i = 0; i < net->count; i++) {
    text[i] = choice[net->layers[i].item] ? '8' : '4';
  }
  return text;
}

static void add_row(struct table *t, const struct bfx_hawq_net *net, const char *budget, const struct bfx_problem *problem,
                    const struct bfx_solution *found, const unsigned *published) {
  double value[BFX_MEASURES];
  bfx_evaluate(problem, published, value);
  const struct bfx_limit *limit = &problem->limits[0];
  double theirs = value[BFX_SENSITIVITY], ours = found->choice ? found->value[BFX_SENSITIVITY] : 0;
  double slack = BFX_TOLERANCE * theirs;
  bool fits = bfx_within(problem, value), have = found->choice != NULL;
  const char *verdict = !have || (fits && ours > theirs + slack) ? "WORSE" : ours < theirs - slack ? "better" : "equal";
  *(*verdict == 'W' ? &t->worse : *verdict == 'b' ? &t->better : &t->equal) += 1;
  char *bits = have ? bit_string(net, found->choice) : bf_strdup("");
  const char *proof = found->outcome == BFX_OPTIMAL ? "proven" : "not proven";
  bf_buf_printf(&t->text, "%-9s %-15s %11.6f %11.6f  %-6s %7.3f %%  %6.3f s  %-10s  %s\n", net->name, budget, theirs, ours, verdict,
                have ? 100 * found->value[limit->measure] / limit->value : 0.0, found->seconds, proof, bits);
  json_array_append_new(t->rows, json_pack("{s:s, s:s, s:f, s:b, s:f, s:s, s:f, s:f, s:f, s:b, s:s}", "network", net->name, "budget",
                                           budget, "published", theirs, "published_fits", fits, "found", ours, "verdict", verdict,
                                           "limit", limit->value, "used", found->value[limit->measure], "seconds", found->seconds,
                                           "optimal", found->outcome == BFX_OPTIMAL, "bits", bits));
  free(bits);
}

static bool solve_one(struct table *t, const struct bfx_hawq_net *net, const struct bf_source *csv, size_t cost, size_t level,
                      struct bf_diags *diags) {
  struct bfx_limit limit = {costs[cost].metric, limit_of(net, costs[cost].metric, levels[level].alpha)};
  struct bfx_problem problem = {.items = net->items, .nitems = net->nitems, .objective = BFX_SENSITIVITY,
                                .limits = &limit, .nlimits = 1, .seconds = 10};
  char *name = bf_format("%s_%s", costs[cost].name, levels[level].text);
  unsigned *published = bf_alloc(net->nitems, sizeof *published);
  bool ok = bfx_hawq_published(net, csv, name, published, diags);
  if (ok) {
    struct bfx_solution found;
    bfx_solve(&problem, &found);
    add_row(t, net, name, &problem, &found, published);
    bfx_solution_free(&found);
  }
  free(published);
  free(name);
  return ok;
}

static const struct bf_source *read_csv(const char *folder, const char *net, struct bf_diags *diags) {
  char *file = bf_format("%s_bits.csv", net);
  const struct bf_source *csv = bfx_hawq_table(folder, file, diags);
  free(file);
  return csv;
}

static bool solve_net(struct table *t, const struct bfx_json *file, const char *name, struct bf_diags *diags) {
  struct bfx_hawq_net net;
  const struct bf_source *csv = NULL;
  bool ok = bfx_hawq_read(file, name, &net, diags) && (csv = read_csv(t->folder, name, diags)) != NULL;
  for (size_t cost = 0; ok && cost < BF_COUNT(costs); cost++) {
    for (size_t level = 0; ok && level < BF_COUNT(levels); level++) {
      ok = solve_one(t, &net, csv, cost, level, diags);
    }
  }
  bfx_hawq_free(&net);
  return ok;
}

// The published assignments under a latency budget as profiles, with the names of the paper. First and last layer have 8 bits.
static bool print_profiles(const struct bfx_hawq_net *net, const struct bf_source *csv, struct bf_buf *out, struct bf_diags *diags) {
  static const struct { const char *profile, *column; } shown[] = {
      {"INT8", "uniform8"}, {"high", "latency_0.75"}, {"medium", "latency_0.5"}, {"low", "latency_0.25"}, {"INT4", "uniform4"}};
  unsigned *choice = bf_alloc(net->nitems, sizeof *choice);
  bool ok = true;
  bf_buf_printf(out, "# HAWQ-V3, %s: published bits under a latency budget\n", net->name);
  for (size_t i = 0; ok && i < BF_COUNT(shown); i++) {
    ok = bfx_hawq_published(net, csv, shown[i].column, choice, diags);
    bf_buf_printf(out, "profile %s {\n", shown[i].profile);
    for (size_t k = 0; ok && k < net->count; k++) {
      unsigned bits = choice[net->layers[k].item] ? 8 : 4;
      bf_buf_printf(out, "  %s: w%u a%u;\n", net->layers[k].name, bits, bits);
    }
    bf_buf_puts(out, "  default: w8 a8;\n}\n");
  }
  free(choice);
  return ok;
}

static int run_profiles(const struct table *t, const char *name) {
  struct bf_diags diags = {0};
  struct bf_buf out = {0};
  struct bfx_json file;
  struct bfx_hawq_net net = {0};
  const struct bf_source *csv;
  char *path = bf_format("%s/ilp_inputs.json", t->folder);
  bool ok = bfx_json_read(path, &file, &diags) && bfx_hawq_read(&file, name, &net, &diags) &&
            (csv = read_csv(t->folder, name, &diags)) != NULL;
  ok = ok && print_profiles(&net, csv, &out, &diags);
  bfx_hawq_free(&net);
  bfx_json_free(&file);
  free(path);
  return bfx_end(&diags, &out);
}

static void print(const struct table *t, struct bf_buf *out) {
  if (t->json) {
    json_t *root = json_pack("{s:i, s:i, s:i, s:i, s:O}", "schema", 1, "better", (int)t->better, "equal", (int)t->equal, "worse",
                             (int)t->worse, "rows", t->rows);
    char *text = json_dumps(root, JSON_INDENT(1));
    bf_buf_printf(out, "%s\n", text);
    free(text);
    json_decref(root);
    return;
  }
  bf_buf_printf(out, "%-9s %-15s %11s %11s  %-6s %9s  %8s  %-10s  %s\n%s", "network", "budget", "published", "found", "", "of budget",
                "time", "optimality", "bits", bf_buf_cstr((struct bf_buf *)&t->text));
  bf_buf_printf(out, "%u equal, %u better, %u worse than published\n", t->equal, t->better, t->worse);
}

static int run(struct table *t) {
  struct bf_diags diags = {0};
  struct bf_buf out = {0};
  struct bfx_json file;
  char *path = bf_format("%s/ilp_inputs.json", t->folder);
  t->rows = json_array();
  bool ok = bfx_json_read(path, &file, &diags) && solve_net(t, &file, "resnet18", &diags) && solve_net(t, &file, "resnet50", &diags);
  bfx_json_free(&file);
  free(path);
  if (ok) {
    print(t, &out);
  }
  json_decref(t->rows);
  bf_buf_free(&t->text);
  int status = bfx_end(&diags, &out);
  if (!status && t->worse) {
    fprintf(stderr, "bfexplore: error: %u of the published assignments are better than what was found\n", t->worse);
    return 1;
  }
  return status;
}

int command_hawq(int argc, char **argv) {
  struct table t = {0};
  const char *profiles = NULL;
  for (int i = 1; i < argc; i++) {
    if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
      puts("Usage: bfexplore hawq [--report=text|json] DIR\n"
           "       bfexplore hawq --profiles=resnet18|resnet50 DIR\n\n"
           "Solves the 18 problems of HAWQ-V3 (DIR: ilp_inputs.json, resnet18_bits.csv, resnet50_bits.csv) and prints the published\n"
           "penalty beside the one found. Status 1 if one is worse. With --profiles: prints the published assignments under a latency\n"
           "budget (INT8, high, medium, low, INT4) as profile sections for bfimnac --profiles=FILE.");
      return 0;
    }
    if (!strncmp(argv[i], "--profiles=", 11)) {
      profiles = argv[i] + 11;
    } else if (!strncmp(argv[i], "--report=", 9)) {
      t.json = !strcmp(argv[i] + 9, "json");
      if (!t.json && strcmp(argv[i] + 9, "text") != 0) {
        return bfx_usage("--report wants text or json, not '%s'", argv[i] + 9);
      }
    } else if (*argv[i] == '-') {
      return bfx_usage("unknown option '%s'", argv[i]);
    } else if (t.folder) {
      return bfx_usage("one folder at a time; what is '%s'?", argv[i]);
    } else {
      t.folder = argv[i];
    }
  }
  if (!t.folder) {
    return bfx_usage("hawq: no folder given%s", "");
  }
  return profiles ? run_profiles(&t, profiles) : run(&t);
}
