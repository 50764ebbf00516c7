// SPDX-License-Identifier: Apache-2.0
// The program and its figures as text.
#include <string.h>

#include "isa/asm.h"
#include "tools/aplut/aplut.h"

void print_title(const struct subject *subject, struct bf_buf *out) {
  if (subject->info == NULL) {
    bf_buf_printf(out, "%s%s%s%s", subject->bit ? "bit:" : "", subject->bit ? subject->bit->name : "", subject->bit ? ": " : "",
                  subject->text);
    return;
  }
  bf_buf_puts(out, subject->info->mnemonic);
  for (unsigned f = 0; f < 3; f++) {
    if (subject->micro.width[f] > 0) {
      bf_buf_printf(out, "%s%c:%u", f > 0 ? ", " : " ", "dab"[f], subject->micro.width[f]);
    }
  }
}

static const char *literal_text(unsigned value) {
  static const char *const TEXT[] = {"0", "1", "k", "\u00afk"};  // ¯k: the complement
  return TEXT[value];
}

static bool has_param(const struct ap_lut_table *table) {
  for (unsigned c = 0; c < table->ncolumns; c++) {
    if (table->column[c].role == AP_LUT_PARAM) {
      return true;
    }
  }
  return false;
}

// "1X0": a key over the compared columns; "¯k k 0" where there are bits of the immediate.
static void print_key(const struct subject *subject, const struct ap_lut_step *step, struct bf_buf *out) {
  const char *between = "";
  for (unsigned c = 0; c < subject->table.ncolumns; c++) {
    const char *text = "X";
    for (unsigned l = 0; l < step->nlits; l++) {
      text = step->lits[l].column == c ? literal_text(step->lits[l].value) : text;
    }
    if (column_compared(&subject->program, c)) {
      bf_buf_printf(out, "%s%s", between, text);
      between = has_param(&subject->table) ? " " : "";
    }
  }
}

static void print_writes(const struct subject *subject, const struct ap_lut_step *step, struct bf_buf *out) {
  for (unsigned l = 0; l < step->nlits; l++) {
    bf_buf_printf(out, "%s%s%s%s", l > 0 ? "," : "", subject->table.column[step->lits[l].column].name,
                  strlen(subject->table.column[step->lits[l].column].name) > 1 ? "=" : "", literal_text(step->lits[l].value));
  }
}

// One pass a line: its keys (joined by '|' where compares accumulate), then what is written.
static void print_passes(const struct subject *subject, struct bf_buf *out) {
  const struct ap_lut_program *p = &subject->program;
  bf_buf_puts(out, "key       ");
  for (unsigned c = 0; c < subject->table.ncolumns; c++) {
    if (column_compared(p, c)) {
      bf_buf_printf(out, " %s", subject->table.column[c].name);
    }
  }
  bool open = false;
  for (unsigned s = 0; s < p->nsteps; s++) {
    const struct ap_lut_step *step = &p->steps[s];
    bool compare = step->kind == AP_STEP_COMPARE || step->kind == AP_STEP_COMPARE_OR;
    if (compare) {
      bf_buf_puts(out, open ? "|" : "\n  ");
      print_key(subject, step, out);
    } else {
      bf_buf_puts(out, open ? "→" : step->kind == AP_STEP_WRITE_ALL ? "\n  all→" : "\n  the same rows→");
      print_writes(subject, step, out);
    }
    open = compare;
  }
  bf_buf_puts(out, p->nsteps == 0 ? "\n  nothing to do\n" : "\n");
}

static void print_optimality(const struct subject *subject, struct bf_buf *out) {
  if (subject->info != NULL) {
    bf_buf_puts(out, "optimal    not examined as a whole; made of the bit steps of aplut --list\n");
    return;
  }
  const struct ap_lut_program *p = &subject->program;
  const char *proof = p->optimal ? "proven: no program costs less" : p->states == 0 ? "not proven (too many rows)" : "not proven (budget)";
  bf_buf_printf(out, "optimal    %s, %llu states seen\n", proof, (unsigned long long)p->states);
  bf_buf_printf(out, "rewriting  %s\n", p->once ? "each row is written at most once" : "some rows pass through intermediate states");
  if (subject->note != NULL) {
    bf_buf_printf(out, "note       %s\n", subject->note);
  }
}

static void print_energy(const struct sheet *sheet, struct bf_buf *out) {
  const struct ap_technology *t = &sheet->array->tech;
  struct constant constants[APLUT_CONSTANTS];
  constants_find(t, constants);
  bf_buf_printf(out, "energy     %.4g fJ a row, expected (%s at %g V, constants: %s; without leakage)\n", sheet->figures.energy_j * 1e15,
                t->name, t->vdd, weakest_standing(constants));
}

static void print_verdict(const struct verdict *v, bool instruction, struct bf_buf *out) {
  if (v->failure != NULL) {
    bf_buf_printf(out, "check      FAILED: %s\n", v->failure);
    return;
  }
  bf_buf_printf(out, "check      passed on %llu cases (%s)\n", (unsigned long long)v->cases,
                v->exhaustive ? "all there are" : "corner and random values");
  if (instruction) {
    bf_buf_printf(out, "           %.4g fJ a row, mean over these cases\n", v->energy_j * 1e15);
  }
}

void print_text(const struct sheet *sheet, struct bf_buf *out) {
  const struct subject *subject = sheet->subject;
  const struct figures *f = &sheet->figures;
  bf_buf_puts(out, "operation  ");
  print_title(subject, out);
  if (subject->info != NULL) {
    bf_buf_printf(out, "\nmeaning    %s", subject->info->semantics);
  }
  bf_buf_puts(out, "\nfeatures   ");
  features_print(sheet->array->features, out);
  bf_buf_printf(out, "\nobjective  %s\n", aplut_objective_names[sheet->settings->objective]);
  if (subject->info != NULL) {
    ap_asm_print_micro(&subject->micro, out);
  } else {
    print_passes(subject, out);
  }
  bf_buf_printf(out, "passes     %llu\ncycles     %llu (%llu compares, %llu writes", (unsigned long long)f->passes,
                (unsigned long long)f->cycles, (unsigned long long)f->compares, (unsigned long long)f->writes);
  if (f->shifts > 0) {
    bf_buf_printf(out, ", %llu shifts at distance 1", (unsigned long long)f->shifts);
  }
  if (f->counts > 0) {
    bf_buf_printf(out, ", %llu counts", (unsigned long long)f->counts);
  }
  bf_buf_puts(out, ")\n");
  print_energy(sheet, out);
  print_optimality(subject, out);
  if (sheet->verdict != NULL) {
    print_verdict(sheet->verdict, subject->info != NULL, out);
  }
}
