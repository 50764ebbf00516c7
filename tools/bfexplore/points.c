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

// This program: another compiler may make other code.
static struct bf_digest program_digest(void) {
  struct bf_hasher hasher;
  const char *why;
  bf_hasher_begin(&hasher, 5);
  bf_hasher_text(&hasher, BF_VERSION);
  (void)bf_hasher_file(&hasher, "/proc/self/exe", &why);
  return bf_hasher_end(&hasher);
}

// A profile that is a file decides by its text.
static void add_profile(struct bf_hasher *hasher, const char *profile) {
  const char *why;
  bf_hasher_text(hasher, profile);
  if (strpbrk(profile, "./") && strncmp(profile, "hawq:", 5) != 0) {
    (void)bf_hasher_file(hasher, profile, &why);
  }
}

static void add_technology(struct bf_hasher *hasher, const struct ap_technology *t) {
#define NAME_VALUE(member) 0
#define REAL_VALUE(member) t->member
#define U32_VALUE(member) (double)t->member
  const double values[] = {t->vdd,
#define AP_TECHNOLOGY_KEY(key, KIND, member, min, max) KIND##_VALUE(member),
#include "isa/machine_keys.def"
  };
#undef NAME_VALUE
#undef REAL_VALUE
#undef U32_VALUE
  bf_hasher_text(hasher, t->name);
  bf_hasher_add(hasher, values, sizeof values);
}

// Network files are hashed once each.
struct known { const char *name; struct bf_digest digest; };
struct files { struct known *items; size_t count, capacity; };

static bool network_digest(struct files *files, const char *name, uint64_t seed, struct bf_digest *digest, struct bf_diags *diags) {
  for (size_t i = 0; i < files->count; i++) {
    if (!strcmp(files->items[i].name, name)) {
      *digest = files->items[i].digest;
      return true;
    }
  }
  struct bf_hasher hasher;
  bf_hasher_begin(&hasher, 6);
  if (!bfx_network_hash(name, seed, &hasher, diags)) {
    return false;
  }
  *digest = bf_hasher_end(&hasher);
  BF_PUSH(files->items, files->count, files->capacity) = (struct known){name, *digest};
  return true;
}

static bool resolve(struct bfx_point *point, const struct bf_digest *program, uint64_t seed, struct files *files, struct bf_diags *diags) {
  struct bf_compile_options options;
  struct bf_digest network;
  if (!bfx_point_options(point, &options, diags)) {
    return false;
  }
  bool ok = network_digest(files, point->axis[BFX_AXIS_NETWORK], seed, &network, diags);
  if (ok) {
    struct bf_buf machine = {0};
    struct bf_hasher hasher;
    ap_machine_print(&options.machine, &machine);
    struct bf_digest code = bf_code_digest(&options);
    bf_hasher_begin(&hasher, 7);
    bf_hasher_add(&hasher, program, sizeof *program);
    bf_hasher_add(&hasher, &network, sizeof network);
    bf_hasher_add(&hasher, &code, sizeof code);
    bf_hasher_text(&hasher, bf_buf_cstr(&machine));
    add_profile(&hasher, point->axis[BFX_AXIS_PROFILE]);
    point->code = bf_hasher_end(&hasher).words[0];
    add_technology(&hasher, &options.tech);
    point->key = bf_hasher_end(&hasher).words[0];
    bf_buf_free(&machine);
  }
  ap_technology_free(&options.tech);
  return ok;
}

void bfx_points_resolve(struct bfx_points *points) {
  struct files files = {0};
  struct bf_digest program = program_digest();
  for (size_t i = 0; i < points->count; i++) {
    struct bf_diags diags = {0};
    struct bfx_point *point = &points->items[i];
    struct bf_hasher values;
    // What fails here has a key of its values, so that it can be told again.
    bf_hasher_begin(&values, 8);
    for (int a = 0; a < BFX_AXES; a++) {
      bf_hasher_text(&values, point->axis[a]);
    }
    point->key = bf_hasher_end(&values).words[0];
    point->code = point->key;
    if (!resolve(point, &program, points->seed, &files, &diags)) {
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
