// SPDX-License-Identifier: Apache-2.0
// The program and its figures as JSON (docs/aplut.md).
#include <jansson.h>
#include <stdlib.h>

#include "tools/aplut/aplut.h"

static json_t *integer(uint64_t v) { return json_integer((json_int_t)v); }
static json_t *text(const char *s) {
  json_t *value = json_string(s);
  return value != NULL ? value : json_string("?");  // an expression may be no UTF-8
}

static json_t *features_json(unsigned features) {
  json_t *list = json_array();
  const char *name;
  unsigned bit;
  for (unsigned i = 0; (name = ap_feature_name(i, &bit)) != NULL; i++) {
    if (features & bit) {
      json_array_append_new(list, json_string(name));
    }
  }
  return list;
}

static json_t *technology_json(const struct ap_technology *tech) {
  struct constant constants[APLUT_CONSTANTS];
  constants_find(tech, constants);
  json_t *o = json_object(), *all = json_object();
  for (unsigned i = 0; i < APLUT_CONSTANTS; i++) {
    json_t *one = json_object();
    json_object_set_new(one, "value", json_real(constants[i].value));
    json_object_set_new(one, "standing", text(constants[i].standing));
    json_object_set_new(all, constants[i].key, one);
  }
  json_object_set_new(o, "name", text(tech->name));
  json_object_set_new(o, "vdd", json_real(tech->vdd));
  json_object_set_new(o, "compare_cycles", integer(tech->compare_cycles));
  json_object_set_new(o, "write_cycles", integer(tech->write_cycles));
  json_object_set_new(o, "constants", all);
  return o;
}

static const char *const VALUES[AP_LIT_COUNT] = {"0", "1", "k", "~k", "s", "p"};

static json_t *table_steps(const struct subject *subject) {
  json_t *steps = json_array();
  for (unsigned s = 0; s < subject->program.nsteps; s++) {
    const struct ap_lut_step *step = &subject->program.steps[s];
    json_t *o = json_object(), *literals = json_object();
    for (unsigned l = 0; l < step->nlits; l++) {
      json_object_set_new(literals, subject->table.column[step->lits[l].column].name, json_string(VALUES[step->lits[l].value]));
    }
    json_object_set_new(o, "kind", json_string(ap_step_info(step->kind)->text));
    json_object_set_new(o, "literals", literals);
    json_array_append_new(steps, o);
  }
  return steps;
}

static json_t *micro_steps(const struct ap_micro *micro) {
  static const char *const SLOTS[AP_SLOT_COUNT] = {"d", "a", "b", "flag", "p", "sum"};
  json_t *steps = json_array();
  for (uint32_t s = 0; s < micro->nsteps; s++) {
    const struct ap_step *step = &micro->steps[s];
    json_t *o = json_object(), *literals = json_object();
    for (unsigned l = 0; l < step->nlits; l++) {
      const struct ap_lit *lit = &micro->lits[step->first + l];
      char *column = bf_format("%s[%u]", SLOTS[lit->slot], lit->bit);
      char *value = lit->value <= AP_LIT_1 ? bf_strdup(VALUES[lit->value]) : bf_format("%s%u", VALUES[lit->value], lit->kbit);
      json_object_set_new(literals, column, json_string(value));
      free(column);
      free(value);
    }
    json_object_set_new(o, "group", integer(step->group));
    json_object_set_new(o, "kind", json_string(ap_step_info(step->kind)->text));
    json_object_set_new(o, "literals", literals);
    json_array_append_new(steps, o);
  }
  return steps;
}

static json_t *columns_json(const struct ap_lut_table *table) {
  static const char *const ROLES[] = {"input", "inout", "output", "param"};
  json_t *columns = json_array();
  for (unsigned c = 0; c < table->ncolumns; c++) {
    json_t *o = json_object();
    json_object_set_new(o, "name", text(table->column[c].name));
    json_object_set_new(o, "role", json_string(ROLES[table->column[c].role]));
    json_array_append_new(columns, o);
  }
  return columns;
}

static void add_subject(json_t *o, const struct subject *subject) {
  struct bf_buf title = {0};
  print_title(subject, &title);
  json_object_set_new(o, "operation", text(bf_buf_cstr(&title)));
  bf_buf_free(&title);
  json_object_set_new(o, "kind", json_string(subject->info ? "instruction" : subject->bit ? "bit step" : "table"));
  if (subject->info != NULL) {
    json_object_set_new(o, "meaning", text(subject->info->semantics));
    json_object_set_new(o, "steps", micro_steps(&subject->micro));
    json_object_set_new(o, "optimal", json_null());
    json_object_set_new(o, "once", json_null());
    json_object_set_new(o, "note", json_null());
    return;
  }
  const struct ap_lut_program *p = &subject->program;
  json_object_set_new(o, "table", text(subject->text));
  json_object_set_new(o, "columns", columns_json(&subject->table));
  json_object_set_new(o, "rows", integer(subject->table.nrows));
  json_object_set_new(o, "steps", table_steps(subject));
  json_object_set_new(o, "optimal", json_boolean(p->optimal));
  json_object_set_new(o, "once", json_boolean(p->once));
  json_object_set_new(o, "note", subject->note != NULL ? text(subject->note) : json_null());
  json_object_set_new(o, "states", integer(p->states));
}

static json_t *verdict_json(const struct verdict *v) {
  json_t *o = json_object();
  json_object_set_new(o, "passed", json_boolean(v->failure == NULL));
  json_object_set_new(o, "cases", integer(v->cases));
  json_object_set_new(o, "exhaustive", json_boolean(v->exhaustive));
  json_object_set_new(o, "failure", v->failure != NULL ? text(v->failure) : json_null());
  return o;
}

void print_json(const struct sheet *sheet, struct bf_buf *out) {
  const struct figures *f = &sheet->figures;
  struct constant constants[APLUT_CONSTANTS];
  constants_find(&sheet->array->tech, constants);
  json_t *o = json_object();
  json_object_set_new(o, "schema", json_integer(1));
  add_subject(o, sheet->subject);
  json_object_set_new(o, "features", features_json(sheet->array->features));
  json_object_set_new(o, "objective", json_string(aplut_objective_names[sheet->settings->objective]));
  json_object_set_new(o, "technology", technology_json(&sheet->array->tech));
  json_object_set_new(o, "passes", integer(f->passes));
  json_object_set_new(o, "compares", integer(f->compares));
  json_object_set_new(o, "writes", integer(f->writes));
  json_object_set_new(o, "shifts", integer(f->shifts));
  json_object_set_new(o, "counts", integer(f->counts));
  json_object_set_new(o, "cycles", integer(f->cycles));
  json_object_set_new(o, "energy_j_per_row", json_real(f->energy_j));
  json_object_set_new(o, "energy_standing", text(weakest_standing(constants)));
  json_object_set_new(o, "check", sheet->verdict != NULL ? verdict_json(sheet->verdict) : json_null());
  char *dump = json_dumps(o, JSON_INDENT(2));
  bf_buf_printf(out, "%s\n", dump);
  free(dump);
  json_decref(o);
}
