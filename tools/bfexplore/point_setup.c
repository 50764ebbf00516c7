// SPDX-License-Identifier: Apache-2.0
#include "tools/bfexplore/point_setup.h"

#include <stdlib.h>
#include <string.h>

#include "tools/common/options.h"

static const bool is_machine_key[BFX_AXES] = {
#define BFX_AXIS(id, ...)
#define BFX_MACHINE_AXIS(id, name, help) [BFX_AXIS_##id] = true,
#include "tools/bfexplore/axes.def"
};
static const char *const mappings[BF_MAPPING_COUNT] = {"auto", "mac", "output", "pixel"};
static const char *const objectives[BF_OBJECTIVE_COUNT] = {"cycles", "energy", "edp"};

char *bfx_first_error(const struct bf_diags *diags) {
  for (size_t i = 0; i < diags->count; i++) {
    const struct bf_diag *d = &diags->items[i];
    if (d->severity != BF_ERROR) {
      continue;
    }
    if (!d->range.source) {
      return d->file ? bf_format("%s: %s", d->file, d->message) : bf_strdup(d->message);
    }
    unsigned line, column;
    bf_source_position(d->range.source, d->range.begin, &line, &column);
    return bf_format("%s:%u:%u: %s", bf_source_file(d->range.source, d->range.begin), line, column, d->message);
  }
  return bf_strdup("failed without a diagnostic");
}

void bfx_errors_take(struct bf_diags *to, const struct bf_diags *from) {
  for (size_t i = 0; i < from->count && !to->errors; i++) {
    if (from->items[i].severity == BF_ERROR) {
      bf_error_file(to, from->items[i].file, from->items[i].hint, "%s", from->items[i].message);
    }
  }
}

bool bfx_machine_options(const char *target, const char *tech, double vdd, struct bf_compile_options *out, struct bf_diags *diags) {
  *out = (struct bf_compile_options){.opt_level = 2, .batch = 1};
  if (!ap_machine_load(target, &out->machine, NULL, diags) ||
      !ap_technology_load(tech ? tech : out->machine.technology, &out->tech, diags)) {
    return false;
  }
  if (!ap_technology_use_vdd(&out->tech, vdd, "--vdd", diags)) {
    ap_technology_free(&out->tech);
    return false;
  }
  return true;
}

static bool choose(const char *text, enum bfx_axis axis, const char *const *names, unsigned count, unsigned *out, struct bf_diags *diags) {
  int pick = tool_choose(names, count, text);
  if (pick < 0) {
    bf_error_file(diags, NULL, NULL, "%s: there is no `%s`", bfx_axes[axis].name, text);
  }
  *out = (unsigned)pick;
  return pick >= 0;
}

static bool number(const char *text, enum bfx_axis axis, unsigned least, unsigned most, unsigned *out, struct bf_diags *diags) {
  uint64_t value = 0;
  bool ok = tool_whole(text, least, most, &value);
  if (!ok) {
    bf_error_file(diags, NULL, NULL, "%s: a number from %u to %u is expected, not `%s`", bfx_axes[axis].name, least, most, text);
  }
  *out = (unsigned)value;
  return ok;
}

// The machine's canonical text with the keys that the point gives, read again: ranges are checked where they always are.
static bool override(const struct bfx_point *point, struct ap_machine *machine, struct bf_diags *diags) {
  struct bf_buf text = {0}, changed = {0};
  bool any = false;
  ap_machine_print(machine, &text);
  for (const char *line = bf_buf_cstr(&text); *line; line += strcspn(line, "\n"), line += *line == '\n') {
    size_t length = strcspn(line, "\n"), key = strcspn(line, " \n");
    int axis = 0;
    while (axis < BFX_AXES && !(is_machine_key[axis] && point->axis[axis][0] && strlen(bfx_axes[axis].name) == key &&
                                !strncmp(bfx_axes[axis].name, line, key))) {
      axis++;
    }
    if (axis < BFX_AXES && strpbrk(point->axis[axis], "\r\n")) {
      bf_error_file(diags, NULL, NULL, "%s: a value is one line", bfx_axes[axis].name);
    } else if (axis < BFX_AXES) {
      bf_buf_printf(&changed, "%s = %s\n", bfx_axes[axis].name, point->axis[axis]);
      any = true;
    } else {
      bf_buf_append(&changed, line, length);
      bf_buf_puts(&changed, "\n");
    }
  }
  bool ok = !diags->errors;
  if (ok && any) {
    const struct bf_source *source = bf_diags_add_source(diags, "point", changed.data, changed.length);
    ok = ap_machine_parse(source, machine, diags);
  }
  bf_buf_free(&text);
  bf_buf_free(&changed);
  return ok;
}

static bool technology(const struct bfx_point *point, struct bf_compile_options *out, struct bf_diags *diags) {
  const char *name = point->axis[BFX_AXIS_TECH], *vdd = point->axis[BFX_AXIS_VDD];
  char *end;
  if (!ap_technology_load(*name ? name : out->machine.technology, &out->tech, diags)) {
    return false;
  }
  double volts = *vdd ? strtod(vdd, &end) : 0;
  bool ok = !*vdd || (strchr("0123456789", *vdd) && !*end && volts > 0);
  if (!ok) {
    bf_error_file(diags, NULL, NULL, "vdd: a voltage is expected, not `%s`", vdd);
  }
  ok = ok && ap_technology_use_vdd(&out->tech, volts, "vdd", diags);
  if (!ok) {
    ap_technology_free(&out->tech);
  }
  return ok;
}

bool bfx_point_options(const struct bfx_point *point, struct bf_compile_options *out, struct bf_diags *diags) {
  const struct bf_source *source;
  unsigned mapping, objective, batch;
  *out = (struct bf_compile_options){0};
  bool ok = choose(point->axis[BFX_AXIS_MAPPING], BFX_AXIS_MAPPING, mappings, BF_MAPPING_COUNT, &mapping, diags) &&
            choose(point->axis[BFX_AXIS_OBJECTIVE], BFX_AXIS_OBJECTIVE, objectives, BF_OBJECTIVE_COUNT, &objective, diags) &&
            number(point->axis[BFX_AXIS_OPT], BFX_AXIS_OPT, 0, 3, &out->opt_level, diags) &&
            number(point->axis[BFX_AXIS_BATCH], BFX_AXIS_BATCH, 1, 65536, &batch, diags) &&
            ap_machine_load(point->axis[BFX_AXIS_TARGET], &out->machine, &source, diags) && override(point, &out->machine, diags);
  if (!ok) {
    return false;
  }
  out->mapping = (enum bf_mapping)mapping;
  out->objective = (enum bf_objective)objective;
  out->batch = batch;
  return technology(point, out, diags);
}
