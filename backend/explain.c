// SPDX-License-Identifier: Apache-2.0
#include "backend/explain.h"

#include <stdlib.h>

#include "passes/bound.h"

static const char *const scheme_names[] = {
#define BF_SCHEME(id, mapping, name, ...) name,
#include "passes/schemes.def"
};

static void explain_choice(struct ap_report_plan *out, const struct bf_unit *unit, const struct bf_choice *choice, const struct bf_bound *bound) {
  struct bf_buf text = {0};
  bf_plan_print(&choice->plan, &text);
  out->plan = bf_strdup(bf_buf_cstr(&text));
  bf_buf_free(&text);
  out->cycles = choice->plan.cycles;
  out->energy_j = bf_plan_energy(unit, &choice->plan);
  out->scheme_bound = bf_bound_scheme(bound, choice->plan.scheme);
  struct ap_report_rejected *rejected = bf_alloc(choice->nothers + 1, sizeof *rejected);
  for (unsigned i = 0; i < choice->nothers; i++)
    rejected[i] = (struct ap_report_rejected){scheme_names[choice->others[i].scheme], choice->others[i].cycles,
                                              bf_plan_energy(unit, &choice->others[i])};
  out->rejected = rejected;
  out->nrejected = choice->nothers;
}

void bf_explain(const struct bf_graph *graph, const struct bf_compile_options *options, const struct bf_choice *choices, struct bf_explanation *out) {
  struct bf_unit unit = {.graph = graph, .machine = &options->machine, .tech = &options->tech, .opt_level = options->opt_level,
                               .mapping = options->mapping, .objective = options->objective, .movement_off = options->movement_off};
  unit.joule = bf_plan_joule(&unit);
  *out = (struct bf_explanation){bf_alloc(graph->nnodes + 1, sizeof *out->plans), graph->nnodes};
  for (size_t i = 0; i < graph->nnodes; i++) {
    const struct bf_node *node = graph->nodes[i];
    struct bf_bound bound = bf_bound_of(&unit, node);
    out->plans[i].bound = bound.cycles;
    if (node->op != BF_OP_CONV2D && node->op != BF_OP_DENSE) continue;
    struct bf_choice choice = choices ? choices[node->id] : bf_plan_node(&unit, node, 1);
    explain_choice(&out->plans[i], &unit, &choice, &bound);
  }
}

void bf_explanation_free(struct bf_explanation *explanation) {
  for (size_t i = 0; i < explanation->count; i++) {
    free((char *)explanation->plans[i].plan);
    free((struct ap_report_rejected *)explanation->plans[i].rejected);
  }
  free(explanation->plans);
  *explanation = (struct bf_explanation){0};
}
