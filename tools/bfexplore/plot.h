// SPDX-License-Identifier: Apache-2.0
// Plots as SVG: lines, labelled points, bars, Pareto fronts. The same plot gives the same bytes on every machine.
#ifndef BFX_PLOT_H
#define BFX_PLOT_H

#include "base/bf_base.h"

enum bfx_mark { BFX_LINE, BFX_POINTS, BFX_BARS };

struct bfx_plot_point { double x, y; char *label; };  // label: beside the point, may be NULL
struct bfx_series {
  char *name;                     // in the legend
  enum bfx_mark mark;
  struct bfx_plot_point *points;  // owned
  size_t count, capacity;
};
// A panel with axes. All zero, with `title` and labels set, is an empty one; bfx_plot_free.
struct bfx_plot {
  const char *title, *x_label, *y_label;  // with units; not owned
  bool x_log, y_log;              // only positive values are drawn then
  struct bfx_series *series;      // owned
  size_t nseries, series_capacity;
  char **categories;              // of bars: point x = index of its category; owned
  size_t ncategories, categories_capacity;
};

// Index of a new series. The name is copied.
size_t bfx_plot_series(struct bfx_plot *plot, const char *name, enum bfx_mark mark);
// Adds a point; what is not finite (or not positive on a logarithmic axis) is left out. `label` is copied, may be NULL.
void bfx_plot_point(struct bfx_plot *plot, size_t series, double x, double y, const char *label);
// Index of the category of that name, added if it is new.
size_t bfx_plot_category(struct bfx_plot *plot, const char *name);
// Adds the Pareto front (least x and y) of all points of all series but bars, as a line.
void bfx_plot_front(struct bfx_plot *plot, const char *name);
void bfx_plot_free(struct bfx_plot *plot);

// One SVG document with the panels, two beside each other.
void bfx_plot_svg(const struct bfx_plot *plots, size_t count, struct bf_buf *out);

#endif
