// SPDX-License-Identifier: Apache-2.0
// The program as a LaTeX table (packages booktabs, and longtable for microcode).
#include "tools/aplut/aplut.h"

void latex_escape(const char *text, struct bf_buf *out) {
  for (; *text != 0; text++) {
    switch (*text) {
      case '\\': bf_buf_puts(out, "\\textbackslash{}"); break;
      case '^': bf_buf_puts(out, "\\textasciicircum{}"); break;
      case '~': bf_buf_puts(out, "\\textasciitilde{}"); break;
      case '<': bf_buf_puts(out, "\\textless{}"); break;
      case '>': bf_buf_puts(out, "\\textgreater{}"); break;
      case '|': bf_buf_puts(out, "\\textbar{}"); break;
      case '&': case '%': case '$': case '#': case '_': case '{': case '}': bf_buf_printf(out, "\\%c", *text); break;
      case '\n': case '\t': case '\r': bf_buf_puts(out, " "); break;
      default: bf_buf_append(out, text, 1);
    }
  }
}

static const char *const VALUES[AP_LIT_COUNT] = {"0", "1", "k", "\\bar{k}", "s", "p"};

// --- tables ----------------------------------------------------------------------------------------------

static void key_cells(const struct subject *subject, const struct ap_lut_step *step, struct bf_buf *out) {
  for (unsigned c = 0; c < subject->table.ncolumns; c++) {
    const char *value = "{\\times}";
    for (unsigned l = 0; step != NULL && l < step->nlits; l++) {
      value = step->lits[l].column == c ? VALUES[step->lits[l].value] : value;
    }
    if (column_compared(&subject->program, c)) {
      bf_buf_printf(out, step != NULL ? " & $%s$" : " & ", value);
    }
  }
}

static void write_cell(const struct subject *subject, const struct ap_lut_step *step, struct bf_buf *out) {
  for (unsigned l = 0; l < step->nlits; l++) {
    bf_buf_puts(out, l > 0 ? ", \\textit{" : "\\textit{");
    latex_escape(subject->table.column[step->lits[l].column].name, out);
    bf_buf_printf(out, "} $\\leftarrow %s$", VALUES[step->lits[l].value]);
  }
}

static void table_rows(const struct subject *subject, struct bf_buf *out) {
  const struct ap_lut_program *p = &subject->program;
  unsigned pass = 0;
  bool open = false;  // the line waits for its write
  for (unsigned s = 0; s < p->nsteps; s++) {
    const struct ap_lut_step *step = &p->steps[s];
    bool compare = step->kind == AP_STEP_COMPARE || step->kind == AP_STEP_COMPARE_OR;
    if (compare) {
      bf_buf_puts(out, open ? " & or \\\\\n" : "");
      if (!open) {
        bf_buf_printf(out, "%u", ++pass);
      }
      key_cells(subject, step, out);
    } else {
      if (!open) {
        bf_buf_puts(out, step->kind == AP_STEP_WRITE_ALL ? "all" : "same");
        key_cells(subject, NULL, out);
      }
      bf_buf_puts(out, " & ");
      write_cell(subject, step, out);
      bf_buf_puts(out, " \\\\\n");
    }
    open = compare;
  }
}

static void figures_row(const struct sheet *sheet, unsigned columns, struct bf_buf *out) {
  const struct figures *f = &sheet->figures;
  bf_buf_printf(out, "\\midrule\n\\multicolumn{%u}{l}{%llu cycles (%llu compares, %llu writes), %.4g\\,fJ a row (", columns,
                (unsigned long long)f->cycles, (unsigned long long)f->compares, (unsigned long long)f->writes, f->energy_j * 1e15);
  latex_escape(sheet->array->tech.name, out);
  bf_buf_printf(out, ", %g\\,V)%s} \\\\\n", sheet->array->tech.vdd,
                sheet->subject->info != NULL ? "" : sheet->subject->program.optimal ? ", proven optimal" : ", not proven optimal");
}

static void print_table(const struct sheet *sheet, struct bf_buf *out) {
  const struct subject *subject = sheet->subject;
  unsigned columns = 0;
  for (unsigned c = 0; c < subject->table.ncolumns; c++) {
    columns += column_compared(&subject->program, c);
  }
  bf_buf_puts(out, "% \\usepackage{booktabs}\n\\begin{tabular}{r");
  for (unsigned c = 0; c < columns; c++) {
    bf_buf_puts(out, "c");
  }
  bf_buf_printf(out, "l}\n\\toprule\n\\multicolumn{%u}{l}{\\texttt{", columns + 2);
  struct bf_buf title = {0};
  print_title(subject, &title);
  latex_escape(bf_buf_cstr(&title), out);
  bf_buf_free(&title);
  bf_buf_puts(out, "}} \\\\\n\\midrule\npass");
  for (unsigned c = 0; c < subject->table.ncolumns; c++) {
    if (column_compared(&subject->program, c)) {
      bf_buf_puts(out, " & \\textit{");
      latex_escape(subject->table.column[c].name, out);
      bf_buf_puts(out, "}");
    }
  }
  bf_buf_puts(out, " & write \\\\\n\\midrule\n");
  table_rows(subject, out);
  figures_row(sheet, columns + 2, out);
  bf_buf_puts(out, "\\bottomrule\n\\end{tabular}\n");
}

// --- microcode -------------------------------------------------------------------------------------------

static void micro_literal(const struct ap_lit *lit, struct bf_buf *out) {
  static const char *const SLOTS[AP_SLOT_COUNT] = {"d", "a", "b", "", "p", "\\mathit{sum}"};
  if (lit->slot == AP_SLOT_FLAG) {
    bf_buf_printf(out, "$%c=%s", "CFGH"[lit->bit], VALUES[lit->value]);
  } else {
    bf_buf_printf(out, "$%s_{%u}=%s", SLOTS[lit->slot], lit->bit, VALUES[lit->value]);
  }
  bf_buf_printf(out, lit->value > AP_LIT_1 ? "_{%u}$" : "$", lit->kbit);
}

static void print_micro(const struct sheet *sheet, struct bf_buf *out) {
  const struct ap_micro *m = &sheet->subject->micro;
  struct bf_buf title = {0};
  print_title(sheet->subject, &title);
  bf_buf_puts(out, "% \\usepackage{booktabs,longtable}\n\\begin{longtable}{rlp{0.6\\textwidth}}\n\\toprule\n\\multicolumn{3}{l}{\\texttt{");
  latex_escape(bf_buf_cstr(&title), out);
  bf_buf_puts(out, "}} \\\\\n\\midrule\nstep & kind & columns \\\\\n\\midrule\n\\endhead\n");
  for (uint32_t s = 0; s < m->nsteps; s++) {
    bf_buf_printf(out, "%u & %s & ", s + 1, ap_step_info(m->steps[s].kind)->text);
    for (unsigned l = 0; l < m->steps[s].nlits; l++) {
      bf_buf_puts(out, l > 0 ? ", " : "");
      micro_literal(&m->lits[m->steps[s].first + l], out);
    }
    bf_buf_puts(out, " \\\\\n");
  }
  figures_row(sheet, 3, out);
  bf_buf_puts(out, "\\bottomrule\n\\end{longtable}\n");
  bf_buf_free(&title);
}

void print_latex(const struct sheet *sheet, struct bf_buf *out) {
  if (sheet->subject->info != NULL) {
    print_micro(sheet, out);
  } else {
    print_table(sheet, out);
  }
}
