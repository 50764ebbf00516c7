// SPDX-License-Identifier: Apache-2.0
// The specification of a sweep: grids and lists of points, in JSON.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/bfexplore/json_file.h"
#include "tools/bfexplore/sweep.h"

#define MAX_VALUES 10000u  // of one axis

// Values of each axis of one grid.
struct grid { struct { char **items; size_t count, capacity; } axis[BFX_AXES]; };

struct reader {
  const struct bfx_json *file;
  struct bfx_sweep *sweep;
  struct bf_diags *diags;
};

static bool wrong(struct reader *r, const char *place, const char *hint, const char *fmt, const char *what) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
  bf_error_at(r->diags, bfx_json_place(r->file, place), hint, fmt, what);
#pragma GCC diagnostic pop
  return false;
}

static void add(struct grid *grid, int axis, const char *text) {
  BF_PUSH(grid->axis[axis].items, grid->axis[axis].count, grid->axis[axis].capacity) = bf_strdup(text);
}

static bool add_scalar(struct reader *r, struct grid *grid, int axis, const json_t *value) {
  char text[40];
  if (json_is_string(value)) {
    add(grid, axis, json_string_value(value));
  } else if (json_is_integer(value)) {
    snprintf(text, sizeof text, "%lld", (long long)json_integer_value(value));
    add(grid, axis, text);
  } else if (json_is_real(value)) {
    add(grid, axis, bf_double_text(text, json_real_value(value)));
  } else if (json_is_boolean(value) && (axis == BFX_AXIS_MULTICAST || axis == BFX_AXIS_UNLIMITED)) {
    add(grid, axis, json_is_true(value) ? "yes" : "no");
  } else {
    return wrong(r, bfx_axes[axis].name, "a text, a number, a list of them, or {\"from\": 0.5, \"to\": 1, \"step\": 0.1}",
                 "%s: this is no value", bfx_axes[axis].name);
  }
  return true;
}

static bool add_range(struct reader *r, struct grid *grid, int axis, json_t *value) {
  const json_t *ends[3] = {json_object_get(value, "from"), json_object_get(value, "to"), json_object_get(value, "step")};
  if (!json_is_number(ends[0]) || !json_is_number(ends[1]) || !json_is_number(ends[2]) || json_object_size(value) != 3) {
    return wrong(r, bfx_axes[axis].name, "{\"from\": 0.5, \"to\": 1, \"step\": 0.1}", "%s: a range has three numbers, from, to and step",
                 bfx_axes[axis].name);
  }
  double from = json_number_value(ends[0]), to = json_number_value(ends[1]), step = json_number_value(ends[2]);
  double count = step > 0 ? floor((to - from) / step * (1 + 1e-12) + 1e-9) : -1;
  if (!(count >= 0 && count < MAX_VALUES)) {
    return wrong(r, bfx_axes[axis].name, "{\"from\": 0.5, \"to\": 1, \"step\": 0.1}", "%s: this range has no or too many values",
                 bfx_axes[axis].name);
  }
  for (double i = 0; i <= count; i++) {
    char text[40];
    snprintf(text, sizeof text, "%.10g", from + i * step);
    add(grid, axis, text);
  }
  return true;
}

static bool read_axis(struct reader *r, struct grid *grid, const char *name, json_t *value) {
  int axis = bfx_axis_find(name);
  if (axis < 0) {
    const char *names[BFX_AXES];
    for (int i = 0; i < BFX_AXES; i++) {
      names[i] = bfx_axes[i].name;
    }
    const char *near = bf_nearest(name, names, BFX_AXES);
    char *hint = near ? bf_format("did you mean %s?", near) : NULL;
    wrong(r, name, hint, "there is no axis \"%s\"", name);
    free(hint);
    return false;
  }
  if (json_is_object(value)) {
    return add_range(r, grid, axis, value);
  }
  if (!json_is_array(value)) {
    return add_scalar(r, grid, axis, value);
  }
  size_t i;
  json_t *item;
  if (json_array_size(value) == 0 || json_array_size(value) > MAX_VALUES) {
    return wrong(r, name, NULL, "%s: the list has no or too many values", name);
  }
  json_array_foreach(value, i, item) {
    if (!add_scalar(r, grid, axis, item)) {
      return false;
    }
  }
  return true;
}

// All combinations, the last axis fastest.
static bool expand(struct reader *r, const struct grid *grid) {
  size_t index[BFX_AXES] = {0};
  uint64_t all = r->sweep->points.count, product = 1;
  for (int a = 0; a < BFX_AXES; a++) {
    if (!bf_mul_limit(product, grid->axis[a].count ? grid->axis[a].count : 1, BFX_MAX_POINTS, &product)) {
      product = BFX_MAX_POINTS + 1;
      break;
    }
  }
  if (all + product > BFX_MAX_POINTS) {
    return wrong(r, "grid", "divide the sweep", "these are more points than a sweep may have%s", "");
  }
  if (!grid->axis[BFX_AXIS_NETWORK].count) {
    return wrong(r, NULL, "\"network\": \"resnet18\"", "a grid or point has no network%s", "");
  }
  for (uint64_t n = 0; n < product; n++) {
    struct bfx_point *point = bfx_points_add(&r->sweep->points);
    for (int a = 0; a < BFX_AXES; a++) {
      if (grid->axis[a].count) {
        bfx_point_set(point, (enum bfx_axis)a, grid->axis[a].items[index[a]]);
      }
    }
    for (int a = BFX_AXES - 1; a >= 0 && ++index[a] >= grid->axis[a].count; a--) {
      index[a] = 0;
    }
  }
  return true;
}

static bool read_grid(struct reader *r, json_t *object) {
  struct grid grid = {0};
  const char *name;
  json_t *value;
  bool ok = json_is_object(object) || wrong(r, NULL, NULL, "an object with axes is expected%s", "");
  if (ok) {
    json_object_foreach(object, name, value) {
      ok = ok && read_axis(r, &grid, name, value);
    }
  }
  ok = ok && expand(r, &grid);
  for (int a = 0; a < BFX_AXES; a++) {
    for (size_t i = 0; i < grid.axis[a].count; i++) {
      free(grid.axis[a].items[i]);
    }
    free(grid.axis[a].items);
  }
  return ok;
}

static bool read_grids(struct reader *r, const char *key) {
  json_t *value = json_object_get(r->file->root, key), *item;
  size_t i;
  bool ok = true;
  if (json_is_array(value)) {
    json_array_foreach(value, i, item) {
      ok = ok && read_grid(r, item);
    }
    return ok;
  }
  return !value || read_grid(r, value);
}

static bool bad_plots(struct reader *r) {
  return wrong(r, "plots", "[[\"time_s\", \"energy_j\"]]", "\"plots\" is a list of 1 to 4 pairs of figures%s", "");
}

static bool read_plots(struct reader *r) {
  json_t *list = json_object_get(r->file->root, "plots"), *pair, *series = json_object_get(r->file->root, "series");
  struct bfx_sweep *s = r->sweep;
  size_t i;
  if (series && (!json_is_string(series) || bfx_axis_find(json_string_value(series)) < 0)) {
    return wrong(r, "series", NULL, "\"series\" names an axis%s", "");
  }
  s->series = bf_strdup(series ? json_string_value(series) : "profile");
  json_t *standard = json_pack("[[s,s],[s,s]]", "time_s", "energy_j", "area_mm2", "time_s");
  bool ok = !list || json_array_size(list) > 0 || bad_plots(r);
  json_array_foreach(list ? list : standard, i, pair) {
    const char *x = json_string_value(json_array_get(pair, 0)), *y = json_string_value(json_array_get(pair, 1));
    if (!x || !y || json_array_size(pair) != 2 || i >= BFX_MAX_SWEEP_PLOTS) {
      ok = bad_plots(r);
      break;
    }
    if (!bfx_figure_label(x) || !bfx_figure_label(y)) {
      ok = wrong(r, "plots", "for instance time_s, energy_j, edp_js, area_mm2, gops_per_w: a column of results.csv", "there is no figure \"%s\"",
                 bfx_figure_label(x) ? y : x);
      break;
    }
    s->plots[i].x = bf_strdup(x);
    s->plots[i].y = bf_strdup(y);
    s->nplots++;
  }
  json_decref(standard);
  return ok;
}

static bool read_root(struct reader *r) {
  static const char *const keys[] = {"comment", "seed", "grid", "list", "plots", "series"};
  const char *key;
  json_t *value;
  json_object_foreach(r->file->root, key, value) {
    bool known = false;
    for (size_t i = 0; i < BF_COUNT(keys); i++) {
      known |= !strcmp(keys[i], key);
    }
    if (!known) {
      return wrong(r, key, "comment, seed, grid, list, plots, series", "there is nothing called \"%s\"", key);
    }
  }
  json_t *seed = json_object_get(r->file->root, "seed");
  if (seed && (!json_is_integer(seed) || json_integer_value(seed) < 0)) {
    return wrong(r, "seed", NULL, "\"seed\" is a whole number%s", "");
  }
  r->sweep->points.seed = seed ? (uint64_t)json_integer_value(seed) : 1;
  if (!read_grids(r, "grid") || !read_grids(r, "list") || !read_plots(r)) {
    return false;
  }
  return r->sweep->points.count > 0 || wrong(r, NULL, "\"grid\": {\"network\": \"resnet18\", \"vdd\": [0.5, 1]}", "there are no points%s", "");
}

bool bfx_sweep_read(const char *path, struct bfx_sweep *out, struct bf_diags *diags) {
  struct bfx_json file;
  *out = (struct bfx_sweep){0};
  struct reader r = {&file, out, diags};
  bool ok = bfx_json_read(path, &file, diags) && read_root(&r);
  bfx_json_free(&file);
  return ok;
}

void bfx_sweep_free(struct bfx_sweep *sweep) {
  bfx_points_free(&sweep->points);
  free(sweep->series);
  for (size_t i = 0; i < sweep->nplots; i++) {
    free(sweep->plots[i].x);
    free(sweep->plots[i].y);
  }
}
