// SPDX-License-Identifier: Apache-2.0
// Design points: networks on machines at widths, in technologies, at voltages. Points with the same code are priced from one compilation.
#ifndef BFX_POINTS_H
#define BFX_POINTS_H

#include <jansson.h>

#include "base/bf_diag.h"

enum bfx_axis {
#define BFX_AXIS(id, ...) BFX_AXIS_##id,
#include "tools/bfexplore/axes.def"
  BFX_AXES
};
extern const struct bfx_axis_info { const char *name, *fallback, *help; } bfx_axes[BFX_AXES];
int bfx_axis_find(const char *name);  // -1: there is none

struct bfx_point {
  char *axis[BFX_AXES];  // values; owned
  uint64_t key;          // of everything that decides the result: values, files, this program (bfx_points_resolve)
  uint64_t code;         // of everything that decides the code
  json_t *result;        // an object of figures; NULL: not done, or failed
  char *error;           // why it failed, in one line; NULL: it did not
  bool done;
};

struct bfx_points {
  struct bfx_point *items;
  size_t count, capacity;
  uint64_t seed;         // of synthetic weights
  unsigned jobs;         // 0: one for each processor
  // Called for each point that is done, one at a time, from any thread; may be NULL.
  void (*finished)(void *context, const struct bfx_point *point);
  // Called now and then by the thread that called bfx_points_run; false ends it after the points in work. May be NULL.
  bool (*watch)(void *context);
  void *context;
};

// What plots call the figure of a row; NULL: there is no such figure.
const char *bfx_figure_label(const char *key);

// A point with all axes at their defaults.
struct bfx_point *bfx_points_add(struct bfx_points *points);
void bfx_point_set(struct bfx_point *point, enum bfx_axis axis, const char *value);
void bfx_points_free(struct bfx_points *points);

// Sets the keys. A point whose machine, technology, network or values can't be had is done with an error.
void bfx_points_resolve(struct bfx_points *points);
// Does all points that are not done. Those that fail have an error; the others go on.
void bfx_points_run(struct bfx_points *points);
// All axes that have a value and the result's figures, in one object (a new reference); with "error" where it failed.
json_t *bfx_point_row(const struct bfx_point *point);

#endif
