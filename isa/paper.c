// SPDX-License-Identifier: Apache-2.0
#include "isa/paper.h"

#include <math.h>

// Cycles of one fold, and of these the cycles in passes over the rows, which burn energy.
struct fold { double cycles, passes; };

double ap_paper_matmul_cycles(unsigned bits_w, unsigned bits_a, uint64_t terms) {
  double levels = log2((double)(terms > 0 ? terms : 1));
  return 2.0 * (bits_w + bits_a) + 8.0 * bits_w * bits_a + 9 * levels;
}

static struct fold one_fold(const struct ap_paper_layer *layer) {
  double w = layer->bits_w, a = layer->bits_a, pairs = layer->terms > 1 ? (double)layer->terms - 1 : 0;
  switch (layer->kind) {
    case AP_PAPER_MATMUL:
      return (struct fold){ap_paper_matmul_cycles(layer->bits_w, layer->bits_a, layer->terms), 8 * w * a + 4 * (w + a)};
    case AP_PAPER_ADD: return (struct fold){11 * a + 1, 8 * a};
    case AP_PAPER_MAX_POOL:
    case AP_PAPER_AVG_POOL: return (struct fold){8 * a * pairs + 3 * a, 8 * a * pairs};
    default: return (struct fold){0, 0};
  }
}

static uint64_t folds_of(const struct ap_machine *machine, uint64_t rows) {
  uint64_t all = (uint64_t)machine->clusters * machine->caps_per_cluster * machine->rows;
  return rows == 0 ? 0 : machine->unlimited_caps ? 1 : (rows - 1) / all + 1;
}

struct ap_paper_cost ap_paper_cost(const struct ap_paper_layer *layer, const struct ap_machine *machine, double vdd) {
  struct fold fold = one_fold(layer);
  struct ap_paper_cost cost = {.folds = layer->kind == AP_PAPER_NONE ? 0 : folds_of(machine, layer->rows)};
  double row_cycles = (double)layer->rows * fold.passes;
  cost.cycles = (double)cost.folds * fold.cycles;
  if (layer->relu) {
    double relu = 4.0 * layer->bits_a + 1;
    cost.cycles += (double)folds_of(machine, layer->outputs) * relu;
    row_cycles += (double)layer->outputs * relu;
  }
  cost.energy_j = AP_PAPER_ROW_CYCLE_J * row_cycles * vdd * vdd;
  return cost;
}
