// SPDX-License-Identifier: Apache-2.0
// Plots: what is to be drawn. The drawing itself: plot_svg.c.
#include "tools/bfexplore/plot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

size_t bfx_plot_series(struct bfx_plot *plot, const char *name, enum bfx_mark mark) {
  struct bfx_series series = {.name = bf_strdup(name), .mark = mark};
  BF_PUSH(plot->series, plot->nseries, plot->series_capacity) = series;
  return plot->nseries - 1;
}

void bfx_plot_point(struct bfx_plot *plot, size_t series, double x, double y, const char *label) {
  struct bfx_series *s = &plot->series[series];
  if (!isfinite(x) || !isfinite(y) || (plot->x_log && x <= 0) || (plot->y_log && y <= 0)) {
    return;
  }
  struct bfx_plot_point point = {x, y, label ? bf_strdup(label) : NULL};
  BF_PUSH(s->points, s->count, s->capacity) = point;
}

size_t bfx_plot_category(struct bfx_plot *plot, const char *name) {
  for (size_t i = 0; i < plot->ncategories; i++) {
    if (!strcmp(plot->categories[i], name)) {
      return i;
    }
  }
  BF_PUSH(plot->categories, plot->ncategories, plot->categories_capacity) = bf_strdup(name);
  return plot->ncategories - 1;
}

static int by_x(const void *a, const void *b) {
  const struct bfx_plot_point *p = a, *q = b;
  return p->x != q->x ? (p->x < q->x ? -1 : 1) : p->y != q->y ? (p->y < q->y ? -1 : 1) : 0;
}

void bfx_plot_front(struct bfx_plot *plot, const char *name) {
  struct bfx_plot_point *all = NULL;
  size_t count = 0, capacity = 0;
  for (size_t s = 0; s < plot->nseries; s++) {
    for (size_t i = 0; plot->series[s].mark != BFX_BARS && i < plot->series[s].count; i++) {
      BF_PUSH(all, count, capacity) = plot->series[s].points[i];
    }
  }
  if (count > 0) {
    qsort(all, count, sizeof *all, by_x);
  }
  size_t front = bfx_plot_series(plot, name, BFX_LINE);
  double least = INFINITY;
  for (size_t i = 0; i < count; i++) {
    if (all[i].y < least) {
      least = all[i].y;
      bfx_plot_point(plot, front, all[i].x, all[i].y, NULL);
    }
  }
  free(all);
}

void bfx_plot_free(struct bfx_plot *plot) {
  for (size_t s = 0; s < plot->nseries; s++) {
    for (size_t i = 0; i < plot->series[s].count; i++) {
      free(plot->series[s].points[i].label);
    }
    free(plot->series[s].points);
    free(plot->series[s].name);
  }
  for (size_t i = 0; i < plot->ncategories; i++) {
    free(plot->categories[i]);
  }
  free(plot->series);
  free(plot->categories);
  memset(plot, 0, sizeof *plot);
}
