// SPDX-License-Identifier: Apache-2.0
// apdump: shows what a binary contains.
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "isa/asm.h"
#include "isa/container.h"

enum { DONE = 0, WRONG_INPUT = 1, USAGE = 2 };

static const char HELP[] =
    "usage: apdump FILE.apbin [-d] [--micro] [--headers] [--source]\n"
    "Shows an AP binary. Without an option: --headers.\n"
    "  -d, --disassemble  the code, layer by layer, with its source lines and step streams\n"
    "      --micro        the microcode of each instruction and width\n"
    "      --headers      network, machine, tensors, layers, sizes\n"
    "      --source       the network's source text\n"
    "      --help         this text\n"
    "      --version      the version\n";

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
  bf_buf_printf(out, "instructions: %u, tables: %u, streams: %u, microcode programs: %u, constants: %llu\n", p->ncode,
                p->ntables, p->nstreams, p->nmicros, (unsigned long long)p->nconsts);
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
}

// What a descriptor reaches, beside a load or store.
static void dump_move(const struct ap_program *p, const struct ap_instr *instr, struct bf_buf *out) {
  const struct ap_op_info *info = ap_op_info((unsigned)instr->op);
  if (info->op_class != AP_CLASS_MOVE)
    return;
  const struct ap_tensor *tensor = &p->tensors[p->descs[instr->index].tensor];
  bf_buf_printf(out, "  ; %s %s", instr->op == AP_OP_STORE ? "to" : "from", tensor->name);
}

static void dump_instr(const struct ap_program *p, const struct ap_instr *instr, unsigned depth, struct bf_buf *out) {
  for (unsigned i = 0; i < depth; i++)
    bf_buf_puts(out, "  ");
  ap_asm_print_instr(instr, out);
  dump_move(p, instr, out);
  bf_buf_puts(out, "\n");
}

// A step stream as the instructions it selects.
static void dump_stream(const struct ap_program *p, uint32_t index, unsigned depth, struct bf_buf *out) {
  const struct ap_stream *stream = &p->streams[index];
  for (uint32_t s = 0; s < stream->count; s++) {
    bf_buf_printf(out, "%8s", "");
    dump_instr(p, &p->tables[stream->table].items[stream->steps[s]], depth, out);
  }
}

static void dump_code(const struct ap_program *p, uint32_t first, uint32_t end, uint64_t *offset, struct bf_buf *out) {
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
      dump_stream(p, instr->index, depth + 1, out);
    } else {
      dump_instr(p, instr, depth, out);
    }
    if (instr->op == AP_OP_GRID || instr->op == AP_OP_LOOP)
      depth++;
  }
}

static void dump_layers(const struct ap_program *p, struct bf_buf *out) {
  uint64_t offset = 0;
  uint32_t at = 0;
  for (uint32_t i = 0; i < p->nlayers; i++) {
    const struct ap_layer *layer = &p->layers[i];
    dump_code(p, at, layer->first, &offset, out);
    bf_buf_printf(out, "\n%s: %s, mapping %s, %u columns\n", layer->name, layer->op, layer->mapping,
                  layer->columns_used);
    ap_asm_print_line(p, layer->line, out);
    dump_code(p, layer->first, layer->end, &offset, out);
    at = layer->end;
  }
  dump_code(p, at, p->ncode, &offset, out);
}

struct wanted { bool code, micro, headers, source; };

static void dump(const struct ap_program *p, const struct wanted *wanted, struct bf_buf *out) {
  if (wanted->headers)
    dump_headers(p, out);
  if (wanted->code)
    dump_layers(p, out);
  for (uint32_t i = 0; i < p->nmicros && wanted->micro; i++)
    ap_asm_print_micro(&p->micros[i], out);
  if (wanted->source)
    bf_buf_append(out, p->source.data, p->source.length);
}

static bool show(const char *input, const struct wanted *wanted, struct bf_diags *diags) {
  char *data = NULL;
  size_t length;
  const char *why;
  if (!bf_read_file(input, &data, &length, &why)) {
    bf_error_file(diags, input, NULL, "cannot be read: %s", why);
    return false;
  }
  struct ap_program *program = ap_program_read(data, length, input, diags);
  free(data);
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
  struct bf_buf text = {0};
  bf_diags_render(&diags, &text);
  fputs(bf_buf_cstr(&text), stderr);
  bf_buf_free(&text);
  bf_diags_free(&diags);
  return ok ? DONE : WRONG_INPUT;
}
