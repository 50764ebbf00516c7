// SPDX-License-Identifier: Apache-2.0
// Lists of design points, their keys, and their rows.
#include "tools/bfexplore/points.h"

#include <stdlib.h>
#include <string.h>

#include "backend/costs.h"
#include "tools/bfexplore/network.h"
#include "tools/bfexplore/point_setup.h"

const struct bfx_axis_info bfx_axes[BFX_AXES] = {
#define BFX_AXIS(id, name, fallback, help) {name, fallback, help},
#include "tools/bfexplore/axes.def"
};

int bfx_axis_find(const char *name) {
  for (int i = 0; i < BFX_AXES; i++) {
    if (!strcmp(bfx_axes[i].name, name)) {
      return i;
    }
  }
  return -1;
}

const char *bfx_figure_label(const char *key) {
  static const char *const figures[][2] = {
#define BFX_FIGURE(key, label) {#key, label},
#include "tools/bfexplore/figures.def"
  };
  for (size_t i = 0; i < BF_COUNT(figures); i++) {
    if (!strcmp(figures[i][0], key)) {
      return figures[i][1];
    }
  }
  return NULL;
}

struct bfx_point *bfx_points_add(struct bfx_points *points) {
  struct bfx_point point = {0};
  for (int i = 0; i < BFX_AXES; i++) {
    point.axis[i] = bf_strdup(bfx_axes[i].fallback);
  }
  BF_PUSH(points->items, points->count, points->capacity) = point;
  return &points->items[points->count - 1];
}

void bfx_point_set(struct bfx_point *point, enum bfx_axis axis, const char *value) {
  char *copy = bf_strdup(value);
  free(point->axis[axis]);
  point->axis[axis] = copy;
}

void bfx_points_free(struct bfx_points *points) {
  for (size_t i = 0; i < points->count; i++) {
    for (int a = 0; a < BFX_AXES; a++) {
      free(points->items[i].axis[a]);
    }
    json_decref(points->items[i].result);
    free(points->items[i].error);
  }
  free(points->items);
}

static uint64_t mix(uint64_t hash, const void *data, size_t length) {
  return (hash ^ bf_hash(data, length)) * UINT64_C(0x9e3779b97f4a7c15) + (hash >> 29);
}

static uint64_t mix_text(uint64_t hash, const char *text) { return mix(hash, text, strlen(text)); }

// This program: another compiler may make other code.
static uint64_t program_hash(void) {
  char *data;
  size_t length;
  const char *why;
  uint64_t hash = mix_text(1, BF_VERSION);
  if (bf_read_file("/proc/self/exe", &data, &length, &why)) {
    hash = mix(hash, data, length);
    free(data);
  }
  return hash;
}

// A profile that is a file decides by its text.
static uint64_t mix_profile(uint64_t hash, const char *profile) {
  char *data;
  size_t length;
  const char *why;
  hash = mix_text(hash, profile);
  if (strpbrk(profile, "./") && strncmp(profile, "hawq:", 5) != 0 && bf_read_file(profile, &data, &length, &why)) {
    hash = mix(hash, data, length);
    free(data);
  }
  return hash;
}

static uint64_t mix_technology(uint64_t hash, const struct ap_technology *t) {
  struct bf_buf text = {0};
  char number[40];
  const double values[] = {t->vdd, t->compare_match_j, t->compare_mismatch_j, t->write_j, t->write_same_j, t->compare_cycles,
                           t->write_cycles, t->shift_j, t->count_j, t->load_bit_j, t->store_bit_j, t->external_bit_j,
                           t->leakage_w_per_cell, t->cell_area_m2};
  for (size_t i = 0; i < BF_COUNT(values); i++) {
    bf_buf_printf(&text, "%s ", bf_double_text(number, values[i]));
  }
  hash = mix(mix_text(hash, t->name), text.data, text.length);
  bf_buf_free(&text);
  return hash;
}

// Network files are hashed once each.
struct known { const char *name; uint64_t hash; bool ok; };
struct files { struct known *items; size_t count, capacity; };

static bool network_hash(struct files *files, const char *name, uint64_t seed, uint64_t *hash, struct bf_diags *diags) {
  for (size_t i = 0; i < files->count; i++) {
    if (!strcmp(files->items[i].name, name) && files->items[i].ok) {
      *hash = files->items[i].hash;
      return true;
    }
  }
  struct known known = {.name = name};
  known.ok = bfx_network_hash(name, seed, &known.hash, diags);
  BF_PUSH(files->items, files->count, files->capacity) = known;
  *hash = known.hash;
  return known.ok;
}

static bool resolve(struct bfx_point *point, uint64_t program, uint64_t seed, struct files *files, struct bf_diags *diags) {
  struct bf_compile_options options;
  uint64_t network;
  if (!bfx_point_options(point, &options, diags)) {
    return false;
  }
  bool ok = network_hash(files, point->axis[BFX_AXIS_NETWORK], seed, &network, diags);
  struct bf_buf machine = {0};
  ap_machine_print(&options.machine, &machine);
  struct bf_digest code = bf_code_digest(&options);
  point->code = mix(mix(mix_profile(network ^ program, point->axis[BFX_AXIS_PROFILE]), machine.data, machine.length), &code,
                    sizeof code);
  point->key = mix_technology(point->code, &options.tech);
  bf_buf_free(&machine);
  ap_technology_free(&options.tech);
  return ok;
}

void bfx_points_resolve(struct bfx_points *points) {
  struct files files = {0};
  uint64_t program = program_hash();
  for (size_t i = 0; i < points->count; i++) {
    struct bf_diags diags = {0};
    struct bfx_point *point = &points->items[i];
    // What fails here has a key of its values, so that it can be told again.
    for (int a = 0; a < BFX_AXES; a++) {
      point->key = mix_text(point->key, point->axis[a]);
    }
    point->code = point->key;
    if (!resolve(point, program, points->seed, &files, &diags)) {
      point->error = bfx_first_error(&diags);
      point->done = true;
    }
    bf_diags_free(&diags);
  }
  free(files.items);
}

json_t *bfx_point_row(const struct bfx_point *point) {
  json_t *row = json_object();
  for (int i = 0; i < BFX_AXES; i++) {
    if (point->axis[i][0]) {
      json_object_set_new(row, bfx_axes[i].name, json_string(point->axis[i]));
    }
  }
  if (point->result) {
    json_object_update(row, point->result);
  }
  if (point->error) {
    json_object_set_new(row, "error", json_string(point->error));
  }
  return row;
}
