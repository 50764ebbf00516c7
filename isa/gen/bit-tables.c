// SPDX-License-Identifier: Apache-2.0
// Build tool, not installed: searches the programs of isa/bit_steps.def and writes them as C. Fails if a known optimum
// is not reached. Usage: bit-tables OUT.c [NAME: only this step, with its times, to standard output]
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "isa/bit_tables.h"

static const struct ap_bit_step_info STEPS[] = {
#define AP_BIT_STEP(id, table, classic, accumulate, source) {#id, table, source, classic, accumulate},
#include "isa/bit_steps.def"
};

static bool parse(const struct ap_bit_step_info *step, struct ap_lut_table *table) {
  struct bf_diags diags = {0};
  struct bf_buf text = {0};
  bool ok = ap_lut_parse(bf_diags_add_source(&diags, step->name, step->table, strlen(step->table)), table, &diags);
  if (!ok) {
    bf_diags_render(&diags, &text);
    fprintf(stderr, "bit step %s: %s", step->name, bf_buf_cstr(&text));
  }
  bf_buf_free(&text);
  bf_diags_free(&diags);
  return ok;
}

static bool search(const struct ap_bit_step_info *step, unsigned variant, struct ap_lut_program *program) {
  struct ap_lut_table table;
  static const struct ap_lut_cost COSTS[] = {AP_BIT_COST_CYCLES, AP_BIT_COST_WRITES};
  struct ap_lut_options options = {.features = variant & 1 ? AP_FEATURE_ACCUMULATE : 0, .cost = COSTS[variant >> 1]};
  const char *why;
  if (!parse(step, &table))
    return false;
  if (ap_lut_search(&table, &options, program, &why) != AP_LUT_FOUND) {
    fprintf(stderr, "bit step %s: %s\n", step->name, why);
    return false;
  }
  why = ap_lut_check(&table, program);
  if (why) {
    fprintf(stderr, "bit step %s: wrong program: %s\n", step->name, why);
    return false;
  }
  unsigned known = variant & 1 ? step->known_accumulate : step->known_classic;
  if (!(variant & 2) && known && program->nsteps > known) {
    fprintf(stderr, "bit step %s: %u cycles, but %u are known to do\n", step->name, program->nsteps, known);
    return false;
  }
  return true;
}

// The letters by which isa/micro_gen.c binds columns; `$k` is k.
static bool write_columns(FILE *out, const struct ap_bit_step_info *step) {
  struct ap_lut_table table;
  if (!parse(step, &table))
    return false;
  fprintf(out, "  \"");
  for (unsigned c = 0; c < table.ncolumns; c++) {
    const char *name = table.column[c].name + (table.column[c].role == AP_LUT_PARAM);
    if (strlen(name) != 1) {
      fprintf(stderr, "bit step %s: the column name %s is not one letter\n", step->name, name);
      return false;
    }
    fputc(*name, out);
  }
  fprintf(out, "\",\n");
  return true;
}

static void write_program(FILE *out, const struct ap_lut_program *p) {
  fprintf(out, "  {.nsteps = %u, .compares = %u, .writes = %u, .optimal = %d, .once = %d, .cost = %.17g, .states = %" PRIu64 ",\n"
               "   .steps = {",
          p->nsteps, p->compares, p->writes, p->optimal, p->once, p->cost, p->states);
  for (unsigned i = 0; i < p->nsteps; i++) {
    fprintf(out, "%s{%u, %u, {", i ? ", " : "", p->steps[i].kind, p->steps[i].nlits);
    for (unsigned j = 0; j < p->steps[i].nlits; j++)
      fprintf(out, "%s{%u, %u}", j ? ", " : "", p->steps[i].lits[j].column, p->steps[i].lits[j].value);
    fprintf(out, "%s}}", p->steps[i].nlits ? "" : "{0, 0}");
  }
  fprintf(out, "%s}},\n", p->nsteps ? "" : "{0, 0, {{0, 0}}}");
}

static int list(const char *name) {
  static const char *const KINDS[] = {"compare", "compare.or", "write", "write.all"};
  for (size_t i = 0; i < BF_COUNT(STEPS); i++) {
    if (strcmp(STEPS[i].name, name) != 0 && strcmp(name, "all") != 0)
      continue;
    for (unsigned v = 0; v < 4; v++) {
      struct ap_lut_program p;
      struct ap_lut_table table;
      clock_t start = clock();
      if (!parse(&STEPS[i], &table) || !search(&STEPS[i], v, &p))
        return 1;
      printf("%-10s %s %s: %2u cycles, %u writes (known %u) %s %s %" PRIu64 " states %.0f ms:", STEPS[i].name,
             v & 1 ? "acc    " : "classic", v & 2 ? "writes" : "cycles", p.nsteps, p.writes,
             v & 1 ? STEPS[i].known_accumulate : STEPS[i].known_classic, p.optimal ? "optimal" : "UNPROVEN",
             p.once ? "once" : "twice", p.states, 1e3 * (double)(clock() - start) / CLOCKS_PER_SEC);
      for (unsigned s = 0; s < p.nsteps; s++) {
        printf(" %s", KINDS[p.steps[s].kind]);
        for (unsigned l = 0; l < p.steps[s].nlits; l++)
          printf("%c%s=%c", l ? ',' : ' ', table.column[p.steps[s].lits[l].column].name, "01KN"[p.steps[s].lits[l].value]);
        printf(";");
      }
      printf("\n");
    }
  }
  return 0;
}

int main(int argc, char **argv) {
  if (argc == 3)
    return list(argv[2]);
  FILE *out = argc == 2 ? fopen(argv[1], "w") : NULL;
  if (!out) {
    fprintf(stderr, "usage: bit-tables OUT.c\n");
    return 2;
  }
  fprintf(out, "// Generated from isa/bit_steps.def.\n#include \"isa/bit_tables.h\"\n\n"
               "const char AP_BIT_COLUMNS[AP_BIT_STEP_COUNT][AP_LUT_MAX_COLUMNS + 1] = {\n");
  bool ok = true;
  for (size_t i = 0; i < BF_COUNT(STEPS); i++)
    ok &= write_columns(out, &STEPS[i]);
  fprintf(out, "};\n\nconst struct ap_lut_program AP_BIT_TABLES[AP_BIT_STEP_COUNT][4] = {\n");
  for (size_t i = 0; i < BF_COUNT(STEPS); i++) {
    fprintf(out, "{ // %s\n", STEPS[i].name);
    for (unsigned v = 0; v < 4; v++) {
      struct ap_lut_program program;
      ok &= search(&STEPS[i], v, &program);
      write_program(out, &program);
    }
    fprintf(out, "},\n");
  }
  fprintf(out, "};\n");
  ok &= fclose(out) == 0;
  if (!ok)
    remove(argv[1]);
  return ok ? 0 : 1;
}
