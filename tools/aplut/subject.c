// SPDX-License-Identifier: Apache-2.0
// From the command line to a program: array, instruction, bit step or table.
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tools/aplut/aplut.h"

// --- the array -------------------------------------------------------------------------------------------

void features_print(unsigned features, struct bf_buf *out) {
  const char *name, *between = "";
  bf_buf_puts(out, features == 0 ? "classic" : "");
  unsigned bit;
  for (unsigned i = 0; (name = ap_feature_name(i, &bit)) != NULL; i++) {
    if (features & bit) {
      bf_buf_printf(out, "%s%s", between, name);
      between = ",";
    }
  }
}

static bool features_parse(const char *text, unsigned *out, struct bf_diags *diags) {
  const struct bf_source *source = bf_diags_add_source(diags, "--features", text, strlen(text));
  *out = 0;
  for (size_t at = 0;;) {
    size_t length = strcspn(text + at, ",");
    const char *name;
    unsigned bit, found = 0;
    bool known = length == strlen("classic") && memcmp(text + at, "classic", length) == 0;
    for (unsigned i = 0; (name = ap_feature_name(i, &bit)) != NULL; i++) {
      found |= strlen(name) == length && memcmp(name, text + at, length) == 0 ? bit : 0;
    }
    if (!known && found == 0) {
      struct bf_buf all = {0};
      features_print(~0u, &all);
      bf_error_at(diags, (struct bf_range){source, at, at + length}, NULL, "unknown feature; there are classic,%s", bf_buf_cstr(&all));
      bf_buf_free(&all);
      return false;
    }
    *out |= found;
    at += length;
    if (text[at++] == 0) {
      return true;
    }
  }
}

bool array_load(const struct settings *s, struct array *out, struct bf_diags *diags) {
  struct ap_machine machine = {.features = AP_FEATURE_WIDE_WRITE, .technology = "sram16"};
  *out = (struct array){0};
  if (s->target != NULL && !ap_machine_load(s->target, &machine, NULL, diags)) {
    return false;
  }
  out->features = machine.features;
  if (s->features != NULL && !features_parse(s->features, &out->features, diags)) {
    return false;
  }
  if (!ap_technology_load(s->tech != NULL ? s->tech : machine.technology, &out->tech, diags)) {
    return false;
  }
  return ap_technology_use_vdd(&out->tech, s->vdd, "--vdd", diags);
}

// --- instructions ----------------------------------------------------------------------------------------

void default_widths(const struct ap_op_info *info, uint8_t width[3]) {
  static const uint8_t BY_RULE[AP_RULE_COUNT][3] = {
      [AP_RULE_ANY] = {8, 8, 8}, [AP_RULE_A1] = {8, 1, 0},  [AP_RULE_GE] = {8, 8, 0},  [AP_RULE_EQ] = {8, 8, 0},
      [AP_RULE_LT] = {8, 12, 0}, [AP_RULE_IF] = {8, 8, 1},  [AP_RULE_EQ3] = {8, 8, 8}, [AP_RULE_GE3] = {8, 8, 8},
      [AP_RULE_SUM] = {16, 8, 8}, [AP_RULE_D1] = {1, 8, 0}, [AP_RULE_D1E] = {1, 8, 8}, [AP_RULE_RAW] = {1, 2, 3},
      [AP_RULE_PAT] = {16, 4, 2}};
  memset(width, 0, 3);
  memcpy(width, BY_RULE[info->rule], info->micro_widths);
}

static void unknown_operation(const struct settings *s, struct bf_diags *diags) {
  const char *names[AP_OP_LIMIT];
  size_t count = 0;
  for (unsigned op = 0; op < AP_OP_LIMIT; op++) {
    const struct ap_op_info *info = ap_op_info(op);
    if (info != NULL && info->op_class == AP_CLASS_COMPUTE) {
      names[count++] = info->mnemonic;
    }
  }
  const char *near = bf_nearest(s->operation, names, count);
  char *hint = near != NULL ? bf_format("did you mean '%s'?", near) : NULL;
  bf_error_file(diags, NULL, hint != NULL ? hint : "aplut --list shows all operations; a table contains '='",
                "unknown operation '%s'", s->operation);
  free(hint);
}

static bool take_widths(const struct settings *s, const struct ap_op_info *info, uint8_t width[3], struct bf_diags *diags) {
  default_widths(info, width);
  unsigned least = ap_format_info(info->format)->least;
  bool fewer = s->nwidths >= least && s->nwidths >= 1 && s->nwidths <= info->micro_widths;
  if (s->nwidths == 0) {
    return true;
  }
  if (s->nwidths != info->micro_widths && !fewer) {
    bf_error_file(diags, NULL, NULL, "%s wants %u widths (%s), not %u", info->mnemonic, info->micro_widths,
                  ap_format_info(info->format)->pattern, s->nwidths);
    return false;
  }
  memset(width, 0, 3);
  for (unsigned i = 0; i < s->nwidths; i++) {
    char *end;
    unsigned long value = strtoul(s->widths[i], &end, 10);
    if (s->widths[i][0] < '0' || s->widths[i][0] > '9' || *end != 0 || value < 1 || value > AP_MAX_WIDTH) {
      bf_error_file(diags, NULL, NULL, "a width is a number from 1 to %d, not '%s'", AP_MAX_WIDTH, s->widths[i]);
      return false;
    }
    width[i] = (uint8_t)value;
  }
  return true;
}

static double objective_value(enum aplut_objective objective, const struct figures *f) {
  return objective == APLUT_CYCLES ? (double)f->cycles : objective == APLUT_WRITES ? (double)f->writes : f->energy_j;
}

// The better of the two programs that the generator offers.
static bool best_program(const struct settings *s, const struct array *array, enum ap_op op, const uint8_t width[3],
                         struct ap_micro *out) {
  struct ap_micro other;
  if (!ap_micro_generate(op, width, array->features, out)) {
    return false;
  }
  if (!ap_micro_generate(op, width, array->features | AP_PREFER_FEW_WRITES, &other)) {
    return true;
  }
  struct figures a = micro_figures(out, array), b = micro_figures(&other, array);
  if (objective_value(s->objective, &b) < objective_value(s->objective, &a)) {
    ap_micro_free(out);
    *out = other;
  } else {
    ap_micro_free(&other);
  }
  return true;
}

static bool find_instruction(const struct settings *s, const struct array *array, struct subject *out, struct bf_diags *diags) {
  enum ap_op op = ap_op_find(s->operation, strlen(s->operation));
  const struct ap_op_info *info = ap_op_info((unsigned)op);
  if (info == NULL) {
    unknown_operation(s, diags);
    return false;
  }
  if (info->op_class != AP_CLASS_COMPUTE) {
    bf_error_file(diags, NULL, NULL, "%s has no program: it is no compute instruction", info->mnemonic);
    return false;
  }
  uint8_t width[3];
  if (!take_widths(s, info, width, diags)) {
    return false;
  }
  const char *why = ap_widths_check(info, width);
  if (why != NULL) {
    bf_error_file(diags, NULL, info->semantics, "%s: %s", info->mnemonic, why);
    return false;
  }
  unsigned lacking = info->needs & ~array->features;
  if (lacking != 0) {
    struct bf_buf names = {0}, all = {0};
    features_print(lacking, &names);
    features_print(array->features | lacking, &all);
    char *hint = bf_format("--features=%s", bf_buf_cstr(&all));
    bf_error_file(diags, NULL, hint, "%s needs an array with %s", info->mnemonic, bf_buf_cstr(&names));
    bf_buf_free(&names);
    bf_buf_free(&all);
    free(hint);
    return false;
  }
  if (!best_program(s, array, op, width, &out->micro)) {
    bf_error_file(diags, NULL, NULL, "%s: no program is generated for these widths", info->mnemonic);
    return false;
  }
  out->info = info;
  return true;
}

// --- tables ----------------------------------------------------------------------------------------------

struct ap_lut_options search_options(const struct settings *s, const struct array *array) {
  const struct ap_technology *t = &array->tech;
  struct ap_lut_options o = {.features = array->features, .max_states = s->states};
  switch (s->objective) {
    case APLUT_CYCLES: o.cost.compare = t->compare_cycles, o.cost.write = t->write_cycles; break;
    case APLUT_WRITES: o.cost.compare = 1.0 / 1024, o.cost.write = 1; break;  // compares break ties
    case APLUT_ENERGY:                                                          // in femtojoules
      o.cost.match_cell = t->compare_match_j * 1e15;
      o.cost.mismatch_cell = t->compare_mismatch_j * 1e15;
      o.cost.change_cell = t->write_j * 1e15;
      o.cost.same_cell = t->write_same_j * 1e15;
      break;
  }
  return o;
}

enum ap_bit_step bit_step_find(const char *name) {
  unsigned step = 0;
  while (step < AP_BIT_STEP_COUNT && strcasecmp(ap_bit_step_info(step)->name, name) != 0) {
    step++;
  }
  return (enum ap_bit_step)step;
}

static bool find_bit_step(const struct settings *s, struct subject *out, struct bf_diags *diags) {
  const char *name = s->operation + strlen("bit:"), *names[AP_BIT_STEP_COUNT];
  char *upper = bf_strdup(name);
  for (char *c = upper; *c != 0; c++) {
    *c = (char)(*c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c);
  }
  out->bit = ap_bit_step_info(bit_step_find(name));
  for (unsigned i = 0; i < AP_BIT_STEP_COUNT; i++) {
    names[i] = ap_bit_step_info(i)->name;
  }
  if (out->bit == NULL) {
    const char *near = bf_nearest(upper, names, AP_BIT_STEP_COUNT);
    char *hint = near != NULL ? bf_format("did you mean 'bit:%s'?", near) : NULL;
    bf_error_file(diags, NULL, hint != NULL ? hint : "aplut --list shows all bit steps", "unknown bit step '%s'", name);
    free(hint);
  }
  free(upper);
  return out->bit != NULL;
}

static bool find_table(const struct settings *s, const struct array *array, struct subject *out, struct bf_diags *diags) {
  out->text = out->bit != NULL ? out->bit->table : s->operation;
  out->source = bf_diags_add_source(diags, "expression", out->text, strlen(out->text));
  if (!ap_lut_parse(out->source, &out->table, diags)) {
    return false;
  }
  struct ap_lut_options options = search_options(s, array);
  const char *why = NULL;
  enum ap_lut_result result = ap_lut_search(&out->table, &options, &out->program, &why);
  out->note = why;
  if (result == AP_LUT_FOUND) {
    return true;
  }
  bf_error_at(diags, (struct bf_range){out->source, 0, out->source->length},
              result == AP_LUT_BUDGET ? "--states=N sets the number of states that may be looked at" : NULL,
              "%s", why != NULL ? why : "no program found");
  return false;
}

bool subject_find(const struct settings *s, const struct array *array, struct subject *out, struct bf_diags *diags) {
  *out = (struct subject){0};
  bool bit = strncmp(s->operation, "bit:", 4) == 0;
  if (bit && !find_bit_step(s, out, diags)) {
    return false;
  }
  return bit || strchr(s->operation, '=') != NULL ? find_table(s, array, out, diags) : find_instruction(s, array, out, diags);
}

void subject_free(struct subject *subject) { ap_micro_free(&subject->micro); }
