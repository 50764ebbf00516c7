// SPDX-License-Identifier: Apache-2.0
// One linear integer program on GLPK: a binary variable for each choice, one choice an item, every budget a row. All rows and the
// objective are scaled to about 1, so that the solver's absolute tolerances are relative ones.
#include "tools/bfexplore/program.h"

#include <glpk.h>
#include <math.h>
#include <stdlib.h>

struct model {
  glp_prob *lp;
  const struct bfx_problem *problem;
  int *first;      // column of an item's first choice
  int columns;     // choices of all items
  int z;           // column of the bounded product, 0 if there is none
  double unit;     // of the objective
  bool *gone;      // columns of choices that no assignment of interest makes
  int *index;      // a row in the making
  double *coefficient;
  int length;
};

struct watch {
  double bound;
  bool known;
};

void bfx_metric_span(const struct bfx_problem *problem, unsigned metric, double span[2]) {
  span[0] = span[1] = problem->base[metric];
  for (size_t i = 0; i < problem->nitems; i++) {
    const struct bfx_item *item = &problem->items[i];
    double low = item->choices[0].value[metric], high = low;
    for (unsigned k = 1; k < item->nchoices; k++) {
      low = fmin(low, item->choices[k].value[metric]);
      high = fmax(high, item->choices[k].value[metric]);
    }
    span[0] += low;
    span[1] += high;
  }
}

static void add_columns(struct model *m) {
  glp_add_cols(m->lp, m->columns + (m->z ? 1 : 0));
  for (int c = 1; c <= m->columns; c++) {
    glp_set_col_kind(m->lp, c, GLP_BV);
    if (m->gone[c]) {
      glp_set_col_bnds(m->lp, c, GLP_FX, 0, 0);
    }
  }
  if (m->z) {
    m->z = m->columns + 1;
    glp_set_col_bnds(m->lp, m->z, GLP_LO, 0, 0);
  }
  m->index = bf_alloc((size_t)m->columns + 2, sizeof *m->index);
  m->coefficient = bf_alloc((size_t)m->columns + 2, sizeof *m->coefficient);
}

static void put(struct model *m, int column, double coefficient) {
  if (coefficient != 0 && !m->gone[column]) {
    m->length++;
    m->index[m->length] = column;
    m->coefficient[m->length] = coefficient;
  }
}

// Ends the row: its sum is at most (GLP_UP), at least (GLP_LO) or exactly (GLP_FX) `bound`.
static void end_row(struct model *m, int kind, double bound) {
  int row = glp_add_rows(m->lp, 1);
  glp_set_row_bnds(m->lp, row, kind, bound, bound);
  glp_set_mat_row(m->lp, row, m->length, m->index, m->coefficient);
  m->length = 0;
}

static void one_choice_each(struct model *m) {
  for (size_t i = 0; i < m->problem->nitems; i++) {
    for (unsigned k = 0; k < m->problem->items[i].nchoices; k++) {
      put(m, m->first[i] + (int)k, 1);
    }
    end_row(m, GLP_FX, 1);
  }
}

// Adds a * cycles + b * energy + ... : the weighted sum of all metrics of every choice.
static void put_weighted(struct model *m, const double weight[BFX_METRICS], double unit) {
  for (size_t i = 0; i < m->problem->nitems; i++) {
    const struct bfx_item *item = &m->problem->items[i];
    for (unsigned k = 0; k < item->nchoices; k++) {
      double sum = 0;
      for (unsigned metric = 0; metric < BFX_METRICS; metric++) {
        sum += weight[metric] != 0 ? weight[metric] * item->choices[k].value[metric] : 0;
      }
      put(m, m->first[i] + (int)k, sum / unit);
    }
  }
}

static double weighted_base(const struct model *m, const double weight[BFX_METRICS]) {
  double sum = 0;
  for (unsigned metric = 0; metric < BFX_METRICS; metric++) {
    sum += weight[metric] != 0 ? weight[metric] * m->problem->base[metric] : 0;
  }
  return sum;
}

// Row: weighted sum `kind` limit, scaled by `unit`.
static void weighted_row(struct model *m, const double weight[BFX_METRICS], int kind, double limit, double unit) {
  unit = unit > 0 ? unit : 1;
  put_weighted(m, weight, unit);
  end_row(m, kind, (limit - weighted_base(m, weight)) / unit);
}

static void metric_row(struct model *m, unsigned metric, int kind, double limit) {
  double weight[BFX_METRICS] = {0}, span[2];
  weight[metric] = 1;
  bfx_metric_span(m->problem, metric, span);
  double room = limit - m->problem->base[metric];
  weighted_row(m, weight, kind, limit, kind == GLP_UP && room > 0 ? fmin(room, span[1]) : span[1]);
}

// Drops the choices that lead over the limit even where all other items take their least. What is left is at most about as large as the
// limit, which keeps rows well scaled when the values lie orders of magnitude apart.
static void drop(struct model *m, unsigned metric, double limit) {
  double span[2];
  bfx_metric_span(m->problem, metric, span);
  for (size_t i = 0; i < m->problem->nitems; i++) {
    const struct bfx_item *item = &m->problem->items[i];
    double least = INFINITY;
    for (unsigned k = 0; k < item->nchoices; k++) {
      least = fmin(least, item->choices[k].value[metric]);
    }
    for (unsigned k = 0; k < item->nchoices; k++) {
      m->gone[m->first[i] + (int)k] |= (item->choices[k].value[metric] - least) + span[0] > limit * (1 + 1e-6);
    }
  }
}

static void drop_all(struct model *m, const struct bfx_part *part) {
  const struct bfx_problem *p = m->problem;
  for (size_t i = 0; i < p->nitems; i++) {
    m->first[i] = m->columns + 1;
    m->columns += (int)p->items[i].nchoices;
  }
  m->gone = bf_alloc((size_t)m->columns + 2, sizeof *m->gone);
  for (size_t i = 0; i < p->nlimits; i++) {
    if (p->limits[i].measure != BFX_EDP) {
      drop(m, p->limits[i].measure, p->limits[i].value);
    }
  }
  if (p->objective != BFX_EDP) {
    drop(m, p->objective, part->ceiling);
  }
}

// energy * cycles <= L with cycles in [a, b]. The region under the hyperbola is the smaller one: its hull over the interval is bounded by
// the chord from (a, L/a) to (b, L/b), that is a b energy + L cycles <= L (a + b). Divided by L (a + b):
static void chord_row(struct model *m, const struct bfx_part *part, double limit) {
  double weight[BFX_METRICS] = {0}, a = part->low, b = part->high;
  weight[BFX_ENERGY] = a / limit * (b / (a + b));
  weight[BFX_CYCLES] = 1 / (a + b);
  weighted_row(m, weight, GLP_UP, 1, 1);
}

// z >= p energy + q cycles - p q with (p, q) = (low, energy[0]) and (high, energy[1]): McCormick's bounds of the product, exact at
// the ends of the interval. z is in units of the largest product.
static void product_rows(struct model *m, const struct bfx_part *part) {
  const double cycles[2] = {part->low, part->high};
  for (int i = 0; i < 2; i++) {
    double weight[BFX_METRICS] = {0};
    weight[BFX_ENERGY] = cycles[i] / m->unit;
    weight[BFX_CYCLES] = part->energy[i] / m->unit;
    put_weighted(m, weight, 1);
    put(m, m->z, -1);
    end_row(m, GLP_UP, cycles[i] * (part->energy[i] / m->unit) - weighted_base(m, weight));
  }
}

static void cut_rows(struct model *m, const struct bfx_cuts *cuts) {
  for (size_t c = 0; c < cuts->count; c++) {
    for (size_t i = 0; i < m->problem->nitems; i++) {
      put(m, m->first[i] + (int)cuts->items[c][i], 1);
    }
    end_row(m, GLP_UP, (double)m->problem->nitems - 1);
  }
}

static void set_objective(struct model *m, const struct bfx_part *part) {
  const struct bfx_problem *p = m->problem;
  glp_set_obj_dir(m->lp, GLP_MIN);
  if (p->objective == BFX_EDP) {
    product_rows(m, part);
    glp_set_obj_coef(m->lp, m->z, 1);
    return;
  }
  for (size_t i = 0; i < p->nitems; i++) {
    for (unsigned k = 0; k < p->items[i].nchoices; k++) {
      int column = m->first[i] + (int)k;
      glp_set_obj_coef(m->lp, column, m->gone[column] ? 0 : p->items[i].choices[k].value[p->objective] / m->unit);
    }
  }
  glp_set_obj_coef(m->lp, 0, p->base[p->objective] / m->unit);
}

static void build(struct model *m, const struct bfx_part *part, const struct bfx_cuts *cuts) {
  const struct bfx_problem *p = m->problem;
  double span[2];
  if (p->objective == BFX_EDP) {
    m->unit = part->high * part->energy[1];
  } else {
    bfx_metric_span(p, p->objective, span);
    m->unit = span[1];
  }
  m->unit = fmin(m->unit, part->ceiling);
  m->unit = m->unit > 0 ? m->unit : 1;
  m->z = p->objective == BFX_EDP;
  drop_all(m, part);
  add_columns(m);
  one_choice_each(m);
  for (size_t i = 0; i < p->nlimits; i++) {
    if (p->limits[i].measure != BFX_EDP) {
      metric_row(m, p->limits[i].measure, GLP_UP, p->limits[i].value * (1 + BFX_TOLERANCE));
    } else {
      chord_row(m, part, p->limits[i].value * (1 + BFX_TOLERANCE));
    }
  }
  if (part->product) {
    metric_row(m, BFX_CYCLES, GLP_LO, part->low);
    metric_row(m, BFX_CYCLES, GLP_UP, part->high);
  }
  cut_rows(m, cuts);
  set_objective(m, part);
}

// GLPK asks here at every node of its tree; the best open bound is kept in case the time runs out.
static void observe(glp_tree *tree, void *info) {
  struct watch *watch = info;
  int node = glp_ios_best_node(tree);
  if (node) {
    watch->bound = glp_ios_node_bound(tree, node);
    watch->known = true;
  }
}

static void read_choice(const struct model *m, unsigned *choice) {
  for (size_t i = 0; i < m->problem->nitems; i++) {
    choice[i] = 0;
    for (unsigned k = 1; k < m->problem->items[i].nchoices; k++) {
      if (glp_mip_col_val(m->lp, m->first[i] + (int)k) > glp_mip_col_val(m->lp, m->first[i] + (int)choice[i])) {
        choice[i] = k;
      }
    }
  }
}

static struct bfx_result run(struct model *m, double seconds, unsigned *choice) {
  struct watch watch = {0};
  glp_iocp options;
  glp_init_iocp(&options);
  options.msg_lev = GLP_MSG_OFF;
  options.presolve = GLP_ON;
  options.cov_cuts = GLP_ON;
  options.mir_cuts = GLP_ON;
  options.tol_int = 1e-7;
  options.tol_obj = BFX_PRECISION / 10;
  options.cb_func = observe;
  options.cb_info = &watch;
  if (seconds < 1e6) {
    options.tm_lim = seconds > 0.001 ? (int)(seconds * 1000) : 1;
  }
  int end = glp_intopt(m->lp, &options);
  int status = glp_mip_status(m->lp);
  struct bfx_result r = {.complete = end == 0 || end == GLP_ENOPFS || end == GLP_ENODFS};
  r.feasible = end != GLP_ENOPFS && end != GLP_ENODFS && (status == GLP_OPT || status == GLP_FEAS);
  if (r.feasible) {
    read_choice(m, choice);
  }
  r.bound = r.complete && r.feasible ? glp_mip_obj_val(m->lp) * m->unit : watch.known ? watch.bound * m->unit : 0;
  return r;
}

struct bfx_result bfx_program_solve(const struct bfx_problem *problem, const struct bfx_part *part,
                                    const struct bfx_cuts *cuts, double seconds, unsigned *choice) {
  struct model m = {.problem = problem};
  glp_term_out(GLP_OFF);
  m.lp = glp_create_prob();
  m.first = bf_alloc(problem->nitems, sizeof *m.first);
  build(&m, part, cuts);
  struct bfx_result r = run(&m, seconds, choice);
  glp_delete_prob(m.lp);
  free(m.first);
  free(m.gone);
  free(m.index);
  free(m.coefficient);
  return r;
}
