// SPDX-License-Identifier: Apache-2.0
// Files of a sweep: the journal that grows point by point, and the tables and plots at the end.
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ir/names.h"
#include "tools/bfexplore/plot.h"
#include "tools/bfexplore/study.h"
#include "tools/bfexplore/sweep.h"

#define MAX_SERIES 7u  // beyond that colours don't tell them apart

static void key_text(uint64_t key, char out[17]) { snprintf(out, 17, "%016" PRIx64, key); }

// ---- the journal

// An object with all figures, each a number.
static bool has_figures(const json_t *result) {
  static const char *const keys[] = {
#define BFX_FIGURE(key, label) #key,
#include "tools/bfexplore/figures.def"
  };
  bool ok = json_is_object(result);
  for (size_t i = 0; ok && i < BF_COUNT(keys); i++) {
    ok = json_is_number(json_object_get(result, keys[i]));
  }
  return ok;
}

// Gives the points whose keys the journal has their results.
static size_t take_over(struct bfx_points *points, const struct bf_names *known, json_t **lines) {
  size_t count = 0;
  for (size_t i = 0; i < points->count; i++) {
    char key[17];
    struct bfx_point *point = &points->items[i];
    key_text(point->key, key);
    uint32_t line = point->done ? BF_NAME_NONE : bf_names_find(known, key);
    if (line == BF_NAME_NONE) {
      continue;
    }
    json_t *result = json_object_get(lines[line], "result"), *error = json_object_get(lines[line], "error");
    if (has_figures(result)) {
      point->result = json_incref(result);
    } else {
      point->error = bf_strdup(json_string_value(error));
    }
    point->done = true;
    count++;
  }
  return count;
}

// Reads the lines; *good: bytes up to the end of the last whole one. A line that is no result is skipped.
static size_t read_lines(const char *text, size_t length, struct bfx_points *points, size_t *good) {
  struct bf_names known = {0};
  json_t **lines = NULL;
  size_t count = 0, capacity = 0;
  *good = 0;
  for (size_t at = 0; at < length;) {
    const char *end = memchr(text + at, '\n', length - at);
    if (!end) {
      break;
    }
    json_t *line = json_loadb(text + at, (size_t)(end - (text + at)), 0, NULL);
    const char *key = json_string_value(json_object_get(line, "key"));
    at = *good = (size_t)(end - text) + 1;
    bool usable = has_figures(json_object_get(line, "result")) || json_is_string(json_object_get(line, "error"));
    if (!key || !usable || count >= UINT32_MAX - 1 || !bf_names_add(&known, key, (uint32_t)count)) {
      json_decref(line);
      continue;
    }
    BF_PUSH(lines, count, capacity) = line;
  }
  size_t taken = take_over(points, &known, lines);
  for (size_t i = 0; i < count; i++) {
    json_decref(lines[i]);
  }
  free(lines);
  bf_names_free(&known);
  return taken;
}

bool bfx_journal_open(const char *path, bool fresh, struct bfx_points *points, struct bfx_journal *out, size_t *known, struct bf_diags *diags) {
  char *text;
  size_t length, good = 0;
  *known = 0;
  bool torn = fresh;
  out->file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (out->file >= 0 && !fresh) {
    if (!bf_diags_read(diags, path, "--fresh begins anew", &text, &length)) {  // what can't be read is not to be lost
      bfx_journal_close(out);
      return false;
    }
    *known = read_lines(text, length, points, &good);
    torn = good < length;
    free(text);
  }
  // Cut only where need be: another sweep may be writing into the same journal.
  if (out->file < 0 || (torn && ftruncate(out->file, (off_t)good) != 0)) {
    bf_error_file(diags, path, NULL, "%s", strerror(errno));
    bfx_journal_close(out);
    return false;
  }
  return true;
}

bool bfx_journal_add(struct bfx_journal *journal, const struct bfx_point *point) {
  char key[17];
  key_text(point->key, key);
  json_t *line = json_object(), *axes = json_object();
  for (int i = 0; i < BFX_AXES; i++) {
    if (point->axis[i][0]) {
      json_object_set_new(axes, bfx_axes[i].name, json_string(point->axis[i]));
    }
  }
  json_object_set_new(line, "key", json_string(key));
  json_object_set_new(line, "point", axes);
  if (point->result) {
    json_object_set(line, "result", point->result);
  } else {
    json_object_set_new(line, "error", json_string(point->error));
  }
  char *printed = json_dumps(line, JSON_COMPACT), *text = bf_format("%s\n", printed ? printed : "");
  size_t length = strlen(text);
  bool ok = write(journal->file, text, length) == (ssize_t)length;
  free(text);
  free(printed);
  json_decref(line);
  return ok;
}

void bfx_journal_close(struct bfx_journal *journal) {
  if (journal->file >= 0) {
    close(journal->file);
  }
  journal->file = -1;
}

// ---- results

// Index of the series for the point; all share one if there are too many.
static size_t series_of(struct bfx_plot *plot, const char *name) {
  for (size_t i = 0; i < plot->nseries; i++) {
    if (!strcmp(plot->series[i].name, name)) {
      return i;
    }
  }
  if (plot->nseries < MAX_SERIES) {
    return bfx_plot_series(plot, name, BFX_POINTS);
  }
  return plot->nseries == MAX_SERIES ? bfx_plot_series(plot, "other", BFX_POINTS) : MAX_SERIES;
}

// One panel: the points of one network.
static void fill_plot(const struct bfx_sweep *s, const char *network, size_t pair, struct bfx_plot *plot) {
  int axis = bfx_axis_find(s->series);
  *plot = (struct bfx_plot){.title = network, .x_label = bfx_figure_label(s->plots[pair].x), .y_label = bfx_figure_label(s->plots[pair].y),
                            .x_log = true, .y_log = true};
  for (size_t i = 0; i < s->points.count; i++) {
    const struct bfx_point *p = &s->points.items[i];
    if (p->result && !strcmp(p->axis[BFX_AXIS_NETWORK], network)) {
      const char *name = p->axis[axis][0] ? p->axis[axis] : "(default)";
      bfx_plot_point(plot, series_of(plot, name), json_number_value(json_object_get(p->result, s->plots[pair].x)),
                     json_number_value(json_object_get(p->result, s->plots[pair].y)), NULL);
    }
  }
  bfx_plot_front(plot, "Pareto front");
}

static void draw(const struct bfx_sweep *s, struct bf_buf *out) {
  struct bfx_plot plots[16] = {{0}};
  size_t count = 0;
  for (size_t i = 0; i < s->points.count; i++) {
    const char *network = s->points.items[i].axis[BFX_AXIS_NETWORK];
    bool seen = false;
    for (size_t k = 0; k < count; k++) {
      seen |= !strcmp(plots[k].title, network);
    }
    for (size_t pair = 0; !seen && pair < s->nplots && count < BF_COUNT(plots); pair++) {
      fill_plot(s, network, pair, &plots[count++]);
    }
  }
  bfx_plot_svg(plots, count, out);
  for (size_t k = 0; k < count; k++) {
    bfx_plot_free(&plots[k]);
  }
}

static bool put_file(const char *folder, const char *name, struct bf_buf *text, struct bf_diags *diags) {
  char *path = bf_format("%s/%s", folder, name);
  bool ok = bf_diags_write(diags, path, text->data, text->length);
  free(path);
  bf_buf_free(text);
  return ok;
}

bool bfx_sweep_write(const struct bfx_sweep *s, const char *folder, struct bf_diags *diags) {
  struct bf_buf text = {0};
  json_t *rows = json_array();
  for (size_t i = 0; i < s->points.count; i++) {
    json_array_append_new(rows, bfx_point_row(&s->points.items[i]));
  }
  bfx_rows_csv(rows, &text);
  bool ok = put_file(folder, "results.csv", &text, diags);
  json_t *root = json_pack("{s:i, s:s, s:O}", "schema", 1, "study", "sweep", "rows", rows);
  char *printed = json_dumps(root, JSON_INDENT(1));
  bf_buf_printf(&text, "%s\n", printed ? printed : "null");
  free(printed);
  json_decref(root);
  json_decref(rows);
  ok = put_file(folder, "results.json", &text, diags) && ok;
  draw(s, &text);
  return put_file(folder, "pareto.svg", &text, diags) && ok;
}
