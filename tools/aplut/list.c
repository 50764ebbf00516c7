// SPDX-License-Identifier: Apache-2.0
// --list: everything that has a program.
#include <jansson.h>
#include <stdlib.h>

#include "tools/aplut/aplut.h"

static const char *const CONDITIONS[AP_RULE_COUNT] = {
#define AP_WIDTH_RULE(id, condition, why) [AP_RULE_##id] = #condition,
#include "isa/width_rules.def"
};

static const char *condition(const struct ap_op_info *info) { return info->rule == AP_RULE_ANY ? "any" : CONDITIONS[info->rule]; }

static char *example(const struct ap_op_info *info) {
  uint8_t width[3];
  struct bf_buf text = {0};
  default_widths(info, width);
  bf_buf_puts(&text, info->mnemonic);
  for (unsigned f = 0; f < info->micro_widths; f++) {
    bf_buf_printf(&text, " %u", width[f]);
  }
  bf_buf_cstr(&text);
  return text.data;
}

static char *needs(const struct ap_op_info *info) {
  struct bf_buf text = {0};
  if (info->needs != 0) {
    features_print(info->needs, &text);
  }
  bf_buf_cstr(&text);
  return text.data;
}

static bool listed(const struct ap_op_info *info) { return info != NULL && info->op_class == AP_CLASS_COMPUTE; }

static void list_text(struct bf_buf *out) {
  bf_buf_puts(out, "Instructions: aplut NAME WIDTHS; widths of d, a, b from 1 to 64\n");
  bf_buf_printf(out, "  %-18s %-20s %-11s %s\n", "example", "widths", "needs", "meaning");
  for (unsigned op = 0; op < AP_OP_LIMIT; op++) {
    const struct ap_op_info *info = ap_op_info(op);
    if (listed(info)) {
      char *command = example(info), *features = needs(info);
      bf_buf_printf(out, "  %-18s %-20s %-11s %s\n", command, condition(info), features, info->semantics);
      free(command);
      free(features);
    }
  }
  bf_buf_puts(out, "Bit steps: aplut bit:NAME\n");
  for (unsigned i = 0; i < AP_BIT_STEP_COUNT; i++) {
    bf_buf_printf(out, "  bit:%-14s %s\n", ap_bit_step_info(i)->name, ap_bit_step_info(i)->table);
  }
}

static void list_json(struct bf_buf *out) {
  json_t *o = json_object(), *instructions = json_array(), *steps = json_array();
  for (unsigned op = 0; op < AP_OP_LIMIT; op++) {
    const struct ap_op_info *info = ap_op_info(op);
    if (listed(info)) {
      char *command = example(info), *features = needs(info);
      json_array_append_new(instructions, json_pack("{ssssssssss}", "name", info->mnemonic, "example", command, "widths",
                                                    condition(info), "needs", features, "meaning", info->semantics));
      free(command);
      free(features);
    }
  }
  for (unsigned i = 0; i < AP_BIT_STEP_COUNT; i++) {
    json_array_append_new(steps, json_pack("{ssss}", "name", ap_bit_step_info(i)->name, "table", ap_bit_step_info(i)->table));
  }
  json_object_set_new(o, "schema", json_integer(1));
  json_object_set_new(o, "instructions", instructions);
  json_object_set_new(o, "bit_steps", steps);
  char *dump = json_dumps(o, JSON_INDENT(2));
  bf_buf_printf(out, "%s\n", dump);
  free(dump);
  json_decref(o);
}

static void list_latex(struct bf_buf *out) {
  bf_buf_puts(out, "% \\usepackage{booktabs,longtable}\n\\begin{longtable}{lp{0.7\\textwidth}}\n\\toprule\nname & meaning \\\\\n\\midrule\n\\endhead\n");
  for (unsigned op = 0; op < AP_OP_LIMIT; op++) {
    const struct ap_op_info *info = ap_op_info(op);
    if (listed(info)) {
      latex_escape(info->mnemonic, out);
      bf_buf_puts(out, " & ");
      latex_escape(info->semantics, out);
      bf_buf_puts(out, " \\\\\n");
    }
  }
  bf_buf_puts(out, "\\midrule\n");
  for (unsigned i = 0; i < AP_BIT_STEP_COUNT; i++) {
    latex_escape(ap_bit_step_info(i)->name, out);
    bf_buf_puts(out, " & \\texttt{");
    latex_escape(ap_bit_step_info(i)->table, out);
    bf_buf_puts(out, "} \\\\\n");
  }
  bf_buf_puts(out, "\\bottomrule\n\\end{longtable}\n");
}

void print_list(enum aplut_format format, struct bf_buf *out) {
  if (format == APLUT_JSON) {
    list_json(out);
  } else if (format == APLUT_LATEX) {
    list_latex(out);
  } else {
    list_text(out);
  }
}
