// SPDX-License-Identifier: Apache-2.0
// --optima: every known optimum beside what is generated.
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "tools/aplut/aplut.h"

enum { FIRST_M = 3, LAST_M = 16, SHOWN_M = 8 };  // widths that are measured, and the one whose whole value is shown
enum measure { PER_BIT, WHOLE, PER_PRODUCT };
struct polynomial { int q, l, c; };
struct linear { int factor, constant; };

static const struct optimum {
  const char *name;
  enum ap_op op;
  enum measure measure;
  struct linear width[3];
  bool wide;
  struct polynomial known[2];  // without and with accumulating compares
  unsigned bit;
  const char *source;
} OPTIMA[] = {
#define AP_OPTIMUM(name, op, measure, widths, wide, classic, accumulate, bit, source) \
  {name, AP_OP_##op, measure, widths, wide, {classic, accumulate}, bit, source},
#include "tools/aplut/optima.def"
};

static const struct optimum_table { const char *name, *table; unsigned known[2]; const char *source; } TABLES[] = {
#define AP_OPTIMUM_TABLE(name, table, classic, accumulate, source) {name, table, {classic, accumulate}, source},
#include "tools/aplut/optima.def"
};

// One line of the list.
struct line {
  const char *name, *source;
  unsigned features;
  long known, measured;  // at SHOWN_M, or where it is worst if it is missed
  char formula[40];      // of the known value; "" if it is constant
  const char *measure;
  bool proven, missed;
};

static long cycles_at(const struct optimum *o, unsigned features, int m, int d_more, int a_more, int b_more, bool clears) {
  uint8_t width[3];
  uint64_t all_rows = 0, cycles;
  const int more[3] = {d_more, a_more, b_more};
  for (unsigned f = 0; f < 3; f++) {
    width[f] = (uint8_t)(o->width[f].factor * m + o->width[f].constant + more[f]);
  }
  cycles = instr_cycles(o->op, width, features, &all_rows);
  return (long)(clears ? cycles : cycles - all_rows);
}

static long measure_at(const struct optimum *o, unsigned features, int m) {
  switch (o->measure) {
    case PER_BIT: return cycles_at(o, features, m + 1, 0, 0, 0, true) - cycles_at(o, features, m, 0, 0, 0, true);
    case WHOLE: return cycles_at(o, features, m, 0, 0, 0, false);
    default:  // both operands of width m and m + 1, the multiplicand the wider one
      return cycles_at(o, features, m, 3, 2, 1, true) - cycles_at(o, features, m, 2, 1, 1, true) -
             cycles_at(o, features, m, 2, 2, 0, true) + cycles_at(o, features, m, 1, 1, 0, true);
  }
}

static void print_formula(const struct polynomial *p, struct line *line) {
  struct bf_buf text = {0};
  const int factors[3] = {p->q, p->l, p->c};
  static const char *const POWERS[3] = {"M^2", "M", ""};
  for (unsigned i = 0; i < 3 && (p->q != 0 || p->l != 0); i++) {
    if (factors[i] != 0) {
      bf_buf_printf(&text, factors[i] < 0 ? " - %d%s" : text.length > 0 ? " + %d%s" : "%d%s", abs(factors[i]), POWERS[i]);
    }
  }
  strncpy(line->formula, bf_buf_cstr(&text), sizeof line->formula - 1);
  bf_buf_free(&text);
}

static struct line measure_instruction(const struct optimum *o, bool accumulate) {
  static const char *const MEASURES[] = {"a bit", "whole, M = 8", "a product bit"};
  const struct polynomial *p = &o->known[accumulate];
  struct line line = {.name = o->name, .source = o->source, .measure = MEASURES[o->measure]};
  line.features = ap_op_info((unsigned)o->op)->needs | (accumulate ? AP_FEATURE_ACCUMULATE : 0) | (o->wide ? AP_FEATURE_WIDE_WRITE : 0);
  for (int m = FIRST_M; m <= LAST_M && !line.missed; m++) {
    long known = (long)p->q * m * m + (long)p->l * m + p->c, measured = measure_at(o, line.features, m);
    line.missed = measured > known || measured <= 0;
    if (line.missed || m == SHOWN_M) {
      line.known = known;
      line.measured = measured;
    }
  }
  if (o->bit < AP_BIT_STEP_COUNT) {
    const struct ap_lut_program *step = ap_bit_step_program((enum ap_bit_step)o->bit, line.features, false);
    line.proven = step != NULL && step->optimal && (long)step->nsteps == line.measured;
  }
  print_formula(p, &line);
  return line;
}

static struct line measure_bit_step(unsigned step, bool accumulate) {
  const struct ap_bit_step_info *info = ap_bit_step_info(step);
  struct line line = {.name = info->name, .source = info->known_source, .measure = "bit step"};
  line.features = AP_FEATURE_WIDE_WRITE | (accumulate ? AP_FEATURE_ACCUMULATE : 0);
  const struct ap_lut_program *program = ap_bit_step_program((enum ap_bit_step)step, line.features, false);
  line.known = accumulate ? info->known_accumulate : info->known_classic;
  line.measured = program != NULL ? (long)program->nsteps : 0;
  line.proven = program != NULL && program->optimal;
  line.missed = program == NULL || line.measured > line.known;
  return line;
}

static struct line measure_table(const struct optimum_table *o, bool accumulate) {
  struct line line = {.name = o->name, .source = o->source, .measure = "table", .known = o->known[accumulate], .missed = true};
  line.features = AP_FEATURE_WIDE_WRITE | (accumulate ? AP_FEATURE_ACCUMULATE : 0);
  struct ap_lut_options options = {.features = line.features, .cost = {.compare = 1, .write = 1}};
  struct ap_lut_table table;
  struct ap_lut_program program;
  struct bf_diags diags = {0};
  const char *why;
  const struct bf_source *source = bf_diags_add_source(&diags, "expression", o->table, strlen(o->table));
  if (ap_lut_parse(source, &table, &diags) && ap_lut_search(&table, &options, &program, &why) == AP_LUT_FOUND) {
    line.measured = program.nsteps;
    line.proven = program.optimal;
    line.missed = line.measured > line.known;
  }
  bf_diags_free(&diags);
  return line;
}

struct lines { struct line *items; size_t count, capacity; bool missed; };

static void add_line(struct lines *all, const struct line *line) {
  BF_PUSH(all->items, all->count, all->capacity) = *line;
  all->missed |= line->missed;
}

static void add_bit_steps_and_tables(struct lines *all) {
  for (unsigned i = 0; i < 2 * (AP_BIT_STEP_COUNT + BF_COUNT(TABLES)); i++) {
    unsigned accumulate = i % 2, step = i / 2;
    bool is_step = step < AP_BIT_STEP_COUNT;
    const struct ap_bit_step_info *info = ap_bit_step_info(step);
    const struct optimum_table *table = is_step ? NULL : &TABLES[step - AP_BIT_STEP_COUNT];
    unsigned known = !is_step ? table->known[accumulate] : accumulate ? info->known_accumulate : info->known_classic;
    if (known != 0) {
      struct line line = is_step ? measure_bit_step(step, accumulate) : measure_table(table, accumulate);
      add_line(all, &line);
    }
  }
}

static struct lines measure_all(void) {
  struct lines all = {0};
  for (size_t i = 0; i < BF_COUNT(OPTIMA); i++) {
    for (unsigned accumulate = 0; accumulate < 2; accumulate++) {
      const struct polynomial *p = &OPTIMA[i].known[accumulate];
      if (p->q != 0 || p->l != 0 || p->c != 0) {
        struct line line = measure_instruction(&OPTIMA[i], accumulate);
        add_line(&all, &line);
      }
    }
  }
  add_bit_steps_and_tables(&all);
  return all;
}

static const char *status(const struct line *line) {
  return line->missed ? "MISSED" : line->measured < line->known ? "better" : "met";
}
static const char *array_name(const struct line *line) { return line->features & AP_FEATURE_ACCUMULATE ? "accumulate" : "classic"; }

static void print_text_lines(const struct lines *all, struct bf_buf *out) {
  size_t missed = 0;
  bf_buf_printf(out, "%-28s %-11s %-13s %7s %9s  %-7s %-7s %s\n", "operation", "array", "measure", "known", "measured", "", "proven",
                "source of the known optimum");
  for (size_t i = 0; i < all->count; i++) {
    const struct line *line = &all->items[i];
    missed += line->missed;
    bf_buf_printf(out, "%-28s %-11s %-13s %7ld %9ld  %-7s %-7s %s%s%s\n", line->name, array_name(line), line->measure, line->known,
                  line->measured, status(line), line->proven ? "proven" : "-", line->formula, line->formula[0] ? "; " : "", line->source);
  }
  bf_buf_printf(out, "%zu known optima, %zu missed\n", all->count, missed);
}

static void print_json_lines(const struct lines *all, struct bf_buf *out) {
  json_t *o = json_object(), *list = json_array();
  for (size_t i = 0; i < all->count; i++) {
    const struct line *line = &all->items[i];
    json_t *one = json_object();
    json_object_set_new(one, "operation", json_string(line->name));
    json_object_set_new(one, "array", json_string(array_name(line)));
    json_object_set_new(one, "measure", json_string(line->measure));
    json_object_set_new(one, "known", json_integer(line->known));
    json_object_set_new(one, "formula", line->formula[0] ? json_string(line->formula) : json_null());
    json_object_set_new(one, "measured", json_integer(line->measured));
    json_object_set_new(one, "proven", json_boolean(line->proven));
    json_object_set_new(one, "missed", json_boolean(line->missed));
    json_object_set_new(one, "source", json_string(line->source));
    json_array_append_new(list, one);
  }
  json_object_set_new(o, "schema", json_integer(1));
  json_object_set_new(o, "missed", json_boolean(all->missed));
  json_object_set_new(o, "optima", list);
  char *dump = json_dumps(o, JSON_INDENT(2));
  bf_buf_printf(out, "%s\n", dump);
  free(dump);
  json_decref(o);
}

static void print_latex_lines(const struct lines *all, struct bf_buf *out) {
  bf_buf_puts(out, "% \\usepackage{booktabs,longtable}\n\\begin{longtable}{lllrrl}\n\\toprule\n"
                   "operation & array & measure & known & measured & \\\\\n\\midrule\n\\endhead\n");
  for (size_t i = 0; i < all->count; i++) {
    const struct line *line = &all->items[i];
    latex_escape(line->name, out);
    bf_buf_printf(out, " & %s & %s & %s%s%s%ld & %ld & %s \\\\\n", array_name(line), line->measure, line->formula[0] ? "$" : "",
                  line->formula, line->formula[0] ? "$ = " : "", line->known, line->measured,
                  line->missed ? "missed" : line->proven ? "proven" : "");
  }
  bf_buf_puts(out, "\\bottomrule\n\\end{longtable}\n");
}

bool print_optima(enum aplut_format format, struct bf_buf *out) {
  struct lines all = measure_all();
  if (format == APLUT_JSON) {
    print_json_lines(&all, out);
  } else if (format == APLUT_LATEX) {
    print_latex_lines(&all, out);
  } else {
    print_text_lines(&all, out);
  }
  free(all.items);
  return !all.missed;
}
