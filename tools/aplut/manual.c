// SPDX-License-Identifier: Apache-2.0
// --manual: docs/microcode.md, which a test holds against this.
#include <string.h>

#include "tools/aplut/aplut.h"

static const char HEAD[] =
    "# Bit steps and their programs\n"
    "\n"
    "Printed by `aplut --manual`; the source is `isa/bit_steps.def`, the programs are found by the generator when the project is built.\n"
    "\n"
    "A truth table gives what the columns on the left of `=` must hold afterwards. Columns on both sides are rewritten in place, those on the left\n"
    "alone are results that hold 0 before (`r(1)`: 1), those on the right alone keep their values; `$k` is a bit of the immediate. `where` restricts\n"
    "the rows that can occur, and `-` leaves the final value open. In a program, a key has one digit for each column (X: masked) and stands\n"
    "before what is written into the rows that matched; `or` joins the keys of compares that accumulate into the tags, `all` writes into every row.\n"
    "`~k` is the complement of the bit of the immediate.\n"
    "\n"
    "*Optimal* means: the search has seen every state that cheaper programs of compares and writes could reach, and none is right. *Known* is the\n"
    "figure published or found by others; the build fails where it isn't reached.\n";

static const char *value_text(unsigned value) {
  static const char *const TEXT[] = {"0", "1", "k", "~k"};
  return TEXT[value];
}

static void print_key(const struct ap_lut_table *table, const struct ap_lut_step *step, struct bf_buf *out) {
  for (unsigned c = 0; c < table->ncolumns; c++) {
    const char *text = "X";
    for (unsigned l = 0; l < step->nlits; l++) {
      text = step->lits[l].column == c ? value_text(step->lits[l].value) : text;
    }
    if (table->column[c].role != AP_LUT_PARAM) {
      bf_buf_puts(out, text);
    }
  }
}

static void print_program(const struct ap_lut_table *table, const struct ap_lut_program *p, struct bf_buf *out) {
  bool open = false;
  for (unsigned s = 0; s < p->nsteps; s++) {
    const struct ap_lut_step *step = &p->steps[s];
    bool compare = step->kind == AP_STEP_COMPARE || step->kind == AP_STEP_COMPARE_OR;
    if (compare) {
      bf_buf_puts(out, open ? " or " : s > 0 ? "  " : "");
      print_key(table, step, out);
    } else {
      bf_buf_puts(out, open ? "→" : step->kind == AP_STEP_WRITE_ALL ? "  all→" : "  the same rows→");
      for (unsigned l = 0; l < step->nlits; l++) {
        bf_buf_printf(out, "%s%s%s", l > 0 ? "," : "", table->column[step->lits[l].column].name,
                      value_text(step->lits[l].value));
      }
    }
    open = compare;
  }
}

static void print_variant(const struct ap_lut_table *table, const struct ap_lut_program *p, const char *array,
                          unsigned known, struct bf_buf *out) {
  bf_buf_printf(out, "| %s | `", array);
  print_program(table, p, out);
  bf_buf_printf(out, "` | %u | ", p->compares + p->writes);
  if (known > 0) {
    bf_buf_printf(out, "%u", known);
  }
  bf_buf_printf(out, " | %s |\n", p->optimal ? "yes" : "not proven");
}

static void print_step(unsigned step, struct bf_diags *diags, struct bf_buf *out) {
  const struct ap_bit_step_info *info = ap_bit_step_info(step);
  size_t length = strlen(info->table);
  struct ap_lut_table table;
  if (!ap_lut_parse(bf_diags_add_source(diags, info->name, info->table, length), &table, diags)) {
    return;  // the build has parsed it before
  }
  bf_buf_printf(out, "\n## %s\n\n`%s`\n\nColumns of a key:", info->name, info->table);
  for (unsigned c = 0; c < table.ncolumns; c++) {
    if (table.column[c].role != AP_LUT_PARAM) {
      bf_buf_printf(out, " %s", table.column[c].name);
    }
  }
  if (info->known_source[0] != 0) {
    bf_buf_printf(out, ". Known figures: %s", info->known_source);
  }
  bf_buf_puts(out, ".\n\n| array | program | cycles | known | optimal |\n|---|---|---|---|---|\n");
  print_variant(&table, ap_bit_step_program(step, 0, false), "classic", info->known_classic, out);
  print_variant(&table, ap_bit_step_program(step, AP_FEATURE_ACCUMULATE, false), "accumulate", info->known_accumulate, out);
}

void print_manual(struct bf_buf *out) {
  struct bf_diags diags = {0};
  bf_buf_puts(out, HEAD);
  for (unsigned step = 0; step < AP_BIT_STEP_COUNT; step++) {
    print_step(step, &diags, out);
  }
  bf_diags_free(&diags);
}
