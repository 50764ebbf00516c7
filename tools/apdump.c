// SPDX-License-Identifier: Apache-2.0
// apdump: shows what a binary contains.
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "isa/asm.h"
#include "isa/container.h"
#include "tools/common/diagnostics.h"

enum { DONE = 0, WRONG_INPUT = 1, USAGE = 2 };

static const char HELP[] =
    "usage: apdump FILE.apbin [-d] [--micro] [--headers] [--source]\n"
    "Shows an AP binary. Without an option: --headers.\n"
    "  -d, --disassemble  the code, layer by layer, with the line of each layer and its step streams\n"
    "      --micro        the microcode of each instruction and width; with -d: the passes under each instruction\n"
    "      --headers      network, machine, tensors, layers, sizes\n"
    "      --source       the network's source text; with -d: between the layers\n"
    "      --help         this text\n"
    "      --version      the version\n";

struct wanted { bool code, micro, headers, source; };

// Code with its passes may be long: what is ready goes out now and then. Errors show at the end, in the stream's state.
static void pass_on(struct bf_buf *out) {
  if (out->length > 1u << 20) {
    fwrite(out->data, 1, out->length, stdout);
    out->length = 0;
  }
}

static void dump_profiles(const struct ap_program *p, struct bf_buf *out) {
  uint64_t *bytes = bf_alloc((size_t)p->nprofiles + 1, sizeof *bytes);
  ap_profile_sizes(p, bytes);
  bf_buf_puts(out, p->nprofiles ? "profiles:\n" : "");
  for (uint32_t i = 0; i < p->nprofiles; i++) {
    bf_buf_printf(out, "  %s: adds %llu bytes; layers", p->profiles[i].name, (unsigned long long)bytes[i]);
    for (uint32_t k = 0; k < p->profiles[i].nlayers; k++)
      bf_buf_printf(out, " %u", p->profiles[i].layers[k]);
    bf_buf_puts(out, "\n");
  }
  free(bytes);
}

static void dump_headers(const struct ap_program *p, struct bf_buf *out) {
  bf_buf_puts(out, "network:");
  ap_record_print(AP_RECORD_PROGRAM, p, out);
  bf_buf_puts(out, "\nmachine:\n");
  ap_machine_print(&p->machine, out);
  bf_buf_puts(out, "sections:\n");
  for (enum ap_section s = 0; s < AP_SECTION_COUNT; s++) {
    struct bf_buf bytes = {0};
    ap_section_write(s, p, &bytes);
    bf_buf_printf(out, "  %-12s %10zu bytes\n", ap_section_name(s), bytes.length);
    bf_buf_free(&bytes);
  }
  bf_buf_printf(out, "instructions: %u, tables: %u, streams: %u, patterns: %u, microcode programs: %u, constants: %llu\n",
                p->ncode, p->ntables, p->nstreams, p->npatterns, p->nmicros, (unsigned long long)p->consts.count);
  for (uint32_t i = 0; i < p->ninputs; i++)
    bf_buf_printf(out, "input %s\n", p->tensors[p->inputs[i]].name);
  for (uint32_t i = 0; i < p->noutputs; i++)
    bf_buf_printf(out, "output %s\n", p->tensors[p->outputs[i]].name);
  bf_buf_puts(out, "tensors:\n");
  for (uint32_t i = 0; i < p->ntensors; i++) {
    bf_buf_printf(out, "  %u", i);
    ap_record_print(AP_RECORD_TENSOR, &p->tensors[i], out);
    bf_buf_puts(out, "\n");
  }
  bf_buf_puts(out, "layers:\n");
  for (uint32_t i = 0; i < p->nlayers; i++) {
    bf_buf_puts(out, " ");
    ap_record_print(AP_RECORD_LAYER, &p->layers[i], out);
    bf_buf_printf(out, " line=%u code=%u..%u\n", p->layers[i].line, p->layers[i].first, p->layers[i].end);
  }
  dump_profiles(p, out);
}

// What a descriptor reaches, beside a load or store.
static void dump_move(const struct ap_program *p, const struct ap_instr *instr, struct bf_buf *out) {
  const struct ap_op_info *info = ap_op_info((unsigned)instr->op);
  if (info->op_class != AP_CLASS_MOVE)
    return;
  const struct ap_tensor *tensor = &p->tensors[p->descs[instr->index].tensor];
  bf_buf_printf(out, "  ; %s %s", instr->op == AP_OP_STORE ? "to" : "from", tensor->name);
}

// What the literals of an instruction stand for: its immediate, or the key of its pattern and the sum of the latest compare.
struct passes { const struct ap_instr *instr; const struct ap_pattern *pattern; uint64_t imm, sum; };

// One literal on the columns of an instruction: "c20=1".
static void dump_literal(const struct passes *passes, const struct ap_lit *lit, struct bf_buf *out) {
  const struct ap_instr *instr = passes->instr;
  unsigned slot = lit->slot == AP_SLOT_PARTNER ? AP_SLOT_A : lit->slot;
  unsigned column = slot <= AP_SLOT_B ? instr->f[slot].col + lit->bit : lit->bit;
  bool bit = lit->value == AP_LIT_1;
  if (lit->slot == AP_SLOT_SUM) {
    bf_buf_printf(out, " sum += tags * 2^%u", lit->bit);
    return;
  }
  if (lit->value == AP_LIT_K || lit->value == AP_LIT_NOT_K)
    bit = (passes->imm >> lit->kbit & 1) == (lit->value == AP_LIT_K);
  if (lit->value == AP_LIT_P)
    bit = passes->sum >> lit->kbit & 1;
  bf_buf_printf(out, lit->slot == AP_SLOT_PARTNER ? " partner.c%u=" : " c%u=", column);
  if (lit->value == AP_LIT_S)
    bf_buf_printf(out, "sum[%u]", lit->kbit);
  else
    bf_buf_puts(out, bit ? "1" : "0");
}

// Bits of field a that a compare wants to be 1.
static unsigned searched_inputs(const struct passes *passes, const struct ap_lit *lits, unsigned count) {
  unsigned set = 0;
  for (unsigned i = 0; i < count; i++) {
    bool key = passes->imm >> lits[i].kbit & 1;
    bool one = lits[i].value == AP_LIT_1 || (lits[i].value == AP_LIT_K && key) || (lits[i].value == AP_LIT_NOT_K && !key);
    set |= lits[i].slot == AP_SLOT_A && one ? 1u << lits[i].bit : 0;
  }
  return set;
}

// The passes of an instruction, on its columns and with its immediate or pattern.
static void dump_passes(const struct ap_program *p, const struct ap_instr *instr, unsigned depth, struct bf_buf *out) {
  const struct ap_micro *micro = ap_program_micro(p, instr);
  struct passes passes = {.instr = instr, .imm = instr->imm};
  if (instr->op == AP_OP_PATTERN) {
    passes.pattern = &p->patterns[instr->index];
    passes.imm = passes.pattern->key;
    passes.sum = passes.pattern->base;
  }
  for (uint32_t s = 0; micro && s < micro->nsteps; s++) {
    const struct ap_step *step = &micro->steps[s];
    const struct ap_step_info *info = ap_step_info(step->kind);
    bf_buf_printf(out, "%8s", "");
    for (unsigned i = 0; i <= depth; i++)
      bf_buf_puts(out, "  ");
    bf_buf_printf(out, "%u: %s", step->group, info->text);
    if (passes.pattern && info->literals == AP_LITERALS_KEY)
      passes.sum = ap_pattern_sum(passes.pattern, searched_inputs(&passes, &micro->lits[step->first], step->nlits));
    for (uint32_t i = 0; i < step->nlits; i++)
      dump_literal(&passes, &micro->lits[step->first + i], out);
    if (info->event == AP_EVENT_SHIFT || (info->needs & AP_FEATURE_TWO_D))
      bf_buf_printf(out, " by %llu", (unsigned long long)instr->imm);
    bf_buf_puts(out, "\n");
  }
}

static void dump_instr(const struct ap_program *p, const struct ap_instr *instr, unsigned depth, struct bf_buf *out) {
  for (unsigned i = 0; i < depth; i++)
    bf_buf_puts(out, "  ");
  ap_asm_print_instr(instr, out);
  dump_move(p, instr, out);
  bf_buf_puts(out, "\n");
}

// A step stream as the instructions it selects.
static void dump_stream(const struct ap_program *p, uint32_t index, unsigned depth, bool passes, struct bf_buf *out) {
  const struct ap_stream *stream = &p->streams[index];
  for (uint32_t s = 0; s < stream->count; s++) {
    const struct ap_instr *instr = &p->tables[stream->table].items[stream->steps[s]];
    bf_buf_printf(out, "%8s", "");
    dump_instr(p, instr, depth, out);
    if (passes)
      dump_passes(p, instr, depth, out);
    pass_on(out);
  }
}

static void dump_code(const struct ap_program *p, uint32_t first, uint32_t end, bool passes, uint64_t *offset,
                      struct bf_buf *out) {
  unsigned depth = 1;
  for (uint32_t i = first; i < end; i++) {
    const struct ap_instr *instr = &p->code[i];
    if ((instr->op == AP_OP_ENDGRID || instr->op == AP_OP_ENDLOOP) && depth > 1)
      depth--;
    bf_buf_printf(out, "%8llx", (unsigned long long)*offset);
    *offset += 8 * (uint64_t)ap_format_info(ap_op_info((unsigned)instr->op)->format)->words;
    if (instr->op == AP_OP_STEPS) {
      for (unsigned k = 0; k < depth; k++)
        bf_buf_puts(out, "  ");
      bf_buf_printf(out, "steps #%u  ; %u steps of table %u\n", instr->index, p->streams[instr->index].count,
                    p->streams[instr->index].table);
      dump_stream(p, instr->index, depth + 1, passes, out);
    } else {
      dump_instr(p, instr, depth, out);
      if (passes)
        dump_passes(p, instr, depth, out);
    }
    if (instr->op == AP_OP_GRID || instr->op == AP_OP_LOOP)
      depth++;
  }
}

// Lines (after, upto] of the source text, numbered.
static void dump_source_lines(const struct ap_program *p, uint32_t after, uint32_t upto, struct bf_buf *out) {
  const char *at = p->source.data, *end = at ? at + p->source.length : NULL;
  for (uint32_t n = 1; at && at < end && n <= upto; n++) {
    const char *stop = memchr(at, '\n', (size_t)(end - at));
    size_t length = (size_t)((stop ? stop : end) - at);
    if (n > after) {
      bf_buf_printf(out, "; %4u | ", n);
      bf_buf_append(out, at, length);
      bf_buf_puts(out, "\n");
    }
    at = stop ? stop + 1 : NULL;
  }
}

static void dump_layers(const struct ap_program *p, const struct wanted *wanted, struct bf_buf *out) {
  uint64_t offset = 0;
  uint32_t at = 0, shown = 0;  // next instruction; last source line printed
  for (uint32_t i = 0; i < p->nlayers; i++) {
    const struct ap_layer *layer = &p->layers[i];
    dump_code(p, at, layer->first, wanted->micro, &offset, out);
    bf_buf_puts(out, "\n");
    if (wanted->source && layer->line > shown) {
      dump_source_lines(p, shown, layer->line, out);
      shown = layer->line;
    }
    bf_buf_printf(out, "%s: %s, mapping %s, %u columns\n", layer->name, layer->op, layer->mapping, layer->columns_used);
    if (!wanted->source)
      ap_asm_print_line(p, layer->line, out);
    dump_code(p, layer->first, layer->end, wanted->micro, &offset, out);
    at = layer->end;
  }
  dump_code(p, at, p->ncode, wanted->micro, &offset, out);
  if (wanted->source)
    dump_source_lines(p, shown, UINT32_MAX, out);
}

static void dump(const struct ap_program *p, const struct wanted *wanted, struct bf_buf *out) {
  if (wanted->headers)
    dump_headers(p, out);
  if (wanted->code)
    dump_layers(p, wanted, out);
  for (uint32_t i = 0; i < p->nmicros && wanted->micro && !wanted->code; i++)
    ap_asm_print_micro(&p->micros[i], out);
  if (wanted->source && !wanted->code)
    bf_buf_append(out, p->source.data, p->source.length);
}

static bool show(const char *input, const struct wanted *wanted, struct bf_diags *diags) {
  struct ap_program *program = ap_program_load(input, diags);
  if (!program)
    return false;
  struct bf_buf out = {0};
  dump(program, wanted, &out);
  bool ok = fwrite(out.data ? out.data : "", 1, out.length, stdout) == out.length && fflush(stdout) == 0;
  if (!ok)
    bf_error_file(diags, "standard output", NULL, "cannot be written");
  bf_buf_free(&out);
  ap_program_free(program);
  return ok;
}

int main(int argc, char **argv) {
  static const struct option OPTIONS[] = {{"disassemble", no_argument, NULL, 'd'}, {"micro", no_argument, NULL, 'm'},
                                          {"headers", no_argument, NULL, 'H'},     {"source", no_argument, NULL, 's'},
                                          {"help", no_argument, NULL, 'h'},        {"version", no_argument, NULL, 'V'},
                                          {0}};
  struct wanted wanted = {0};
  for (int c; (c = getopt_long(argc, argv, "d", OPTIONS, NULL)) != -1;) {
    switch (c) {
    case 'd': wanted.code = true; break;
    case 'm': wanted.micro = true; break;
    case 'H': wanted.headers = true; break;
    case 's': wanted.source = true; break;
    case 'h': fputs(HELP, stdout); return DONE;
    case 'V': puts("apdump " BF_VERSION); return DONE;
    default: fputs(HELP, stderr); return USAGE;
    }
  }
  if (argc - optind != 1) {
    fprintf(stderr, "apdump: one input is needed\n%s", HELP);
    return USAGE;
  }
  if (!wanted.code && !wanted.micro && !wanted.source)
    wanted.headers = true;
  struct bf_diags diags = {0};
  bool ok = show(argv[optind], &wanted, &diags);
  tool_print_diagnostics(&diags);
  bf_diags_free(&diags);
  return ok ? DONE : WRONG_INPUT;
}
