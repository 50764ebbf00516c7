// SPDX-License-Identifier: Apache-2.0
// Points in work: a piece of work is all points that share code, which is made once.
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "passes/paper.h"
#include "tools/bfexplore/network.h"
#include "tools/bfexplore/point_setup.h"
#include "tools/bfexplore/pool.h"
#include "tools/bfexplore/price.h"
#include "tools/bfexplore/variant.h"

struct running {
  struct bfx_points *points;
  size_t *order;      // indices of open points, those with equal code beside each other
  size_t *first;      // of each group in `order`; one more at the end
  size_t ngroups;
  pthread_mutex_t lock;
};

// The code of a group, and the graph that it is of.
struct made {
  struct bf_diags diags;
  struct bfx_variant variant;
  struct bfx_code *code;
  double bits_w, bits_a;  // means over multiply-accumulates
};

static void put(json_t *row, const char *key, double value) { json_object_set_new(row, key, json_real(value)); }

static void finish(struct running *r, struct bfx_point *point, json_t *result, char *error) {
  pthread_mutex_lock(&r->lock);
  point->result = result;
  point->error = error;
  point->done = true;
  if (r->points->finished) {
    r->points->finished(r->points->context, point);
  }
  pthread_mutex_unlock(&r->lock);
}

static void mean_bits(struct made *m) {
  double macs = 0;
  const struct bf_graph *g = m->variant.graph;
  for (size_t i = 0; i < g->nnodes; i++) {
    double own = (double)bf_node_macs(g->nodes[i]);
    if (own > 0) {
      m->bits_a += own * g->nodes[i]->inputs[0]->type.bits;
      m->bits_w += own * g->nodes[i]->inputs[1]->type.bits;
      macs += own;
    }
  }
  m->bits_w /= macs > 0 ? macs : 1;
  m->bits_a /= macs > 0 ? macs : 1;
}

static bool make(struct running *r, const struct bfx_point *point, struct made *m) {
  struct bf_compile_options options;
  struct bf_profile profile = {0};
  const char *network = point->axis[BFX_AXIS_NETWORK];
  if (!bfx_point_options(point, &options, &m->diags)) {
    return false;
  }
  struct bf_graph *base = bfx_network_load(network, options.batch, r->points->seed, &m->diags);
  bool ok = base && bfx_profile_read(point->axis[BFX_AXIS_PROFILE], network, base, &profile, &m->diags);
  ok = bfx_variant_make(&m->variant, base, &profile, &m->diags) && ok;
  if (ok) {
    mean_bits(m);
    m->code = bfx_code_new(m->variant.graph, &options, NULL, &m->diags);
  }
  bfx_profile_free(&profile);
  ap_technology_free(&options.tech);
  return ok && m->code;
}

// NULL: the technology gets other code.
static json_t *figures(const struct made *m, const struct bf_compile_options *options) {
  struct bfx_price price;
  if (!bfx_code_price(m->code, &options->tech, &price)) {
    return NULL;
  }
  json_t *row = json_object();
  struct ap_paper_cost paper = bf_paper_graph(m->variant.graph, &options->machine, options->tech.vdd, NULL);
  const struct ap_figures *f = &price.figures;
  put(row, "bits_w_avg", m->bits_w);
  put(row, "bits_a_avg", m->bits_a);
  json_object_set_new(row, "cycles", json_integer((json_int_t)price.total.time.cycles));
  json_object_set_new(row, "stall_cycles", json_integer((json_int_t)price.total.time.stall));
  put(row, "time_s", f->time_s);
  put(row, "energy_j", price.total.energy_j);
  put(row, "edp_js", f->edp_js);
  put(row, "area_mm2", f->area_mm2);
  put(row, "gops", f->gops);
  put(row, "gops_per_w", f->gops_per_w);
  put(row, "gops_per_mm2", f->area_mm2 > 0 ? f->gops / f->area_mm2 : 0);
  put(row, "paper_cycles", paper.cycles);
  put(row, "paper_energy_j", paper.energy_j);
  bfx_price_free(&price);
  return row;
}

static void price_point(struct running *r, const struct made *m, struct bfx_point *point) {
  struct bf_diags diags = {0};
  struct bf_compile_options options;
  if (bfx_point_options(point, &options, &diags)) {
    json_t *row = figures(m, &options);
    finish(r, point, row, row ? NULL : bf_strdup("internal: points of one code differ in what decides it"));
    ap_technology_free(&options.tech);
  } else {
    finish(r, point, NULL, bfx_first_error(&diags));
  }
  bf_diags_free(&diags);
}

static void work(void *context, size_t group) {
  struct running *r = context;
  struct made m = {.diags = {0}};
  bool ok = make(r, &r->points->items[r->order[r->first[group]]], &m);
  for (size_t i = r->first[group]; i < r->first[group + 1]; i++) {
    struct bfx_point *point = &r->points->items[r->order[i]];
    if (ok) {
      price_point(r, &m, point);
    } else {
      finish(r, point, NULL, bfx_first_error(&m.diags));
    }
  }
  bfx_code_free(m.code);
  bfx_variant_free(&m.variant);
  bf_diags_free(&m.diags);
}

struct sorted { uint64_t code; size_t index; };

static int by_code(const void *a, const void *b) {
  const struct sorted *x = a, *y = b;
  return x->code != y->code ? (x->code < y->code ? -1 : 1) : x->index < y->index ? -1 : x->index > y->index;
}

static void group(struct running *r) {
  size_t count = 0;
  struct sorted *sorted = bf_alloc(r->points->count + 1, sizeof *sorted);
  for (size_t i = 0; i < r->points->count; i++) {
    if (!r->points->items[i].done) {
      sorted[count++] = (struct sorted){r->points->items[i].code, i};
    }
  }
  qsort(sorted, count, sizeof *sorted, by_code);
  for (size_t i = 0; i < count; i++) {
    r->order[i] = sorted[i].index;
    if (i == 0 || sorted[i].code != sorted[i - 1].code) {
      r->first[r->ngroups++] = i;
    }
  }
  r->first[r->ngroups] = count;
  free(sorted);
}

static bool watch(void *context) {
  const struct running *r = context;
  return !r->points->watch || r->points->watch(r->points->context);
}

void bfx_points_run(struct bfx_points *points) {
  struct running r = {.points = points, .lock = PTHREAD_MUTEX_INITIALIZER};
  r.order = bf_alloc(points->count + 1, sizeof *r.order);
  r.first = bf_alloc(points->count + 2, sizeof *r.first);
  group(&r);
  bfx_pool_run(r.ngroups, points->jobs, work, watch, &r);
  free(r.order);
  free(r.first);
}
