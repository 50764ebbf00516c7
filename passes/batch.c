// SPDX-License-Identifier: Apache-2.0
// How many images to compute side by side. More fill the rows of layers with few output pixels; memory for activations bounds them.
#include <math.h>
#include <stdlib.h>

#include "passes/builder.h"

#define OTHER_CYCLES 2500  // of a wave of an operator that is no convolution, about

// Bits of the tensors that are alive at the same time, at most. (A tensor is until its last reader is done.)
static double live_bits(const struct bf_graph *graph) {
  size_t *last = bf_alloc(graph->ntensors + 1, sizeof *last);
  for (size_t i = 0; i < graph->ntensors; i++) last[i] = graph->tensors[i]->is_output ? graph->nnodes : 0;
  for (size_t n = 0; n < graph->nnodes; n++)
    for (uint32_t i = 0; i < graph->nodes[n]->ninputs; i++) {
      size_t id = graph->nodes[n]->inputs[i]->id;
      if (last[id] < n) last[id] = n;
    }
  double live = 0, most = 0;
  for (size_t i = 0; i < graph->ntensors; i++) {
    const struct bf_tensor *t = graph->tensors[i];
    if (t->is_input) live += (double)t->elements * bf_mem_bits(t->type);
  }
  for (size_t n = 0; n < graph->nnodes; n++) {
    const struct bf_node *node = graph->nodes[n];
    live += (double)node->output->elements * bf_mem_bits(node->output->type);
    most = fmax(most, live);
    for (uint32_t i = 0; i < node->ninputs; i++) {
      const struct bf_tensor *t = node->inputs[i];
      bool again = false;  // the same operand twice dies once
      for (uint32_t k = 0; k < i; k++) again = again || node->inputs[k] == t;
      if (!t->data && !again && last[t->id] == n) live -= (double)t->elements * bf_mem_bits(t->type);
    }
  }
  free(last);
  return most;
}

// What estimates come to, an image. What the plans leave out of cycles and energy is left out here, too.
struct sums { double cycles, energy; };

static struct sums estimate(const struct bf_unit *unit, uint32_t times) {
  const struct ap_machine *m = unit->machine;
  double cells = (double)m->rows * m->clusters * m->caps_per_cluster;
  struct sums sum = {0, 0};
  for (size_t i = 0; i < unit->graph->nnodes; i++) {
    const struct bf_node *node = unit->graph->nodes[i];
    struct bf_plan plan = {.compute = 0};
    if (node->op == BF_OP_CONV2D || node->op == BF_OP_DENSE) plan = bf_plan_node(unit, node, times).plan;
    else plan.compute = plan.cycles = m->unlimited_caps ? OTHER_CYCLES : OTHER_CYCLES * ceil((double)node->output->elements * times / cells);
    sum.cycles += bf_plan_latency(unit, plan.compute, plan.cycles) / times;
    sum.energy += bf_plan_energy(unit, &plan) / times;
  }
  return sum;
}

// What the objective makes of `times` images: cycles, energy, or the product of plans that weigh both (passes/choose.c), an image.
static double score(struct bf_unit *unit, uint32_t times) {
  unit->joule = bf_plan_joule(unit);
  struct sums sum = estimate(unit, times);
  if (unit->objective != BF_OBJECTIVE_EDP) return unit->objective == BF_OBJECTIVE_ENERGY ? sum.energy : sum.cycles;
  double best = sum.cycles * sum.energy;
  for (int round = 0; round < 2 && sum.energy > 0; round++) {
    unit->joule = sum.cycles / sum.energy;  // of as many images: both grow alike
    sum = estimate(unit, times);
    best = fmin(best, sum.cycles * sum.energy);
  }
  return best;
}

uint32_t bf_plan_batch(const struct bf_unit *unit, uint32_t most) {
  double held = floor((double)unit->machine->map_bits * unit->machine->clusters / fmax(live_bits(unit->graph), 1)), best_score = INFINITY;
  uint32_t best = 1;
  struct bf_unit own = *unit;
  if (held < most) most = held < 1 ? 1 : (uint32_t)held;
  for (uint32_t times = 1, next; times; times = next) {
    double now = score(&own, times);
    if (now < best_score) best_score = now, best = times;
    next = times == most ? 0 : 2 * times < most ? 2 * times : most;
  }
  return best;
}
