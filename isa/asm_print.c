// SPDX-License-Identifier: Apache-2.0
// Prints a program as assembly text that carries all of it.
#include "isa/asm.h"

#include <string.h>

static uint64_t key_bits(uint64_t key, unsigned at, unsigned width) {
  return at >= 64 || width < 1 || width > 64 ? 0 : key >> at & UINT64_MAX >> (64 - width);
}

void ap_asm_print_instr(const struct ap_instr *instr, struct bf_buf *out) {
  const struct ap_op_info *info = ap_op_info((unsigned)instr->op);
  const struct ap_format_info *format = ap_format_info(info->format);
  bf_buf_puts(out, info->mnemonic);
  const char *separator = " ";
  unsigned at = 0;  // first bit of a field's key
  for (unsigned i = 0; i < format->fields; i++) {
    unsigned width = instr->f[i].width;
    if (i >= format->least && width == 0)
      break;
    bf_buf_printf(out, "%sc%u:%u", separator, instr->f[i].col, width);
    if (info->format == AP_FORMAT_KEY)
      bf_buf_printf(out, "=%llu", (unsigned long long)key_bits(instr->imm, at, width));
    at += width;
    separator = ", ";
  }
  if (format->has_tap)
    bf_buf_printf(out, "%sdesc%u[%u]", separator, instr->index, instr->tap);
  else if (format->has_index)
    bf_buf_printf(out, "%s#%u", separator, instr->index);
  if (format->has_imm && info->format != AP_FORMAT_KEY)
    bf_buf_printf(out, "%s#%llu", separator, (unsigned long long)instr->imm);
}

static void print_literal(const struct ap_lit *lit, struct bf_buf *out) {
  static const char *const SLOTS[AP_SLOT_COUNT] = {[AP_SLOT_D] = "d", [AP_SLOT_A] = "a", [AP_SLOT_B] = "b",
                                                   [AP_SLOT_PARTNER] = "p", [AP_SLOT_SUM] = "sum"};
  if (lit->slot == AP_SLOT_FLAG)
    bf_buf_printf(out, " flag%u", lit->bit);
  else
    bf_buf_printf(out, " %s[%u]", SLOTS[lit->slot], lit->bit);
  switch ((enum ap_lit_value)lit->value) {
  case AP_LIT_K: bf_buf_printf(out, "=k%u", lit->kbit); break;
  case AP_LIT_NOT_K: bf_buf_printf(out, "=~k%u", lit->kbit); break;
  case AP_LIT_S: bf_buf_printf(out, "=s%u", lit->kbit); break;
  case AP_LIT_P: bf_buf_printf(out, "=p%u", lit->kbit); break;
  default:
    if (lit->slot != AP_SLOT_SUM)  // counts what is tagged: no value
      bf_buf_puts(out, lit->value == AP_LIT_1 ? "=1" : "=0");
  }
}

void ap_asm_print_step(const struct ap_micro *micro, const struct ap_step *step, struct bf_buf *out) {
  bf_buf_printf(out, "%u: %s", step->group, ap_step_info(step->kind)->text);
  for (uint32_t i = 0; i < step->nlits; i++)
    print_literal(&micro->lits[step->first + i], out);
}

void ap_asm_print_micro(const struct ap_micro *micro, struct bf_buf *out) {
  static const char SLOTS[] = "dab";
  bf_buf_printf(out, ".micro %s", ap_op_info((unsigned)micro->op)->mnemonic);
  for (unsigned i = 0; i < 3; i++)
    if (micro->width[i])
      bf_buf_printf(out, " %c:%u", SLOTS[i], micro->width[i]);
  bf_buf_puts(out, "\n");
  for (uint32_t s = 0; s < micro->nsteps; s++) {
    bf_buf_puts(out, "  ");
    ap_asm_print_step(micro, &micro->steps[s], out);
    bf_buf_puts(out, "\n");
  }
  bf_buf_puts(out, ".end\n");
}

// Leading blanks and control characters of the source line are dropped.
void ap_asm_print_line(const struct ap_program *program, uint32_t line, struct bf_buf *out) {
  const char *at = program->source.data, *end = at ? at + program->source.length : NULL;
  if (line == 0 || !at)
    return;
  for (uint32_t n = 1; n < line && at; n++) {
    at = memchr(at, '\n', (size_t)(end - at));
    if (at)
      at++;
  }
  if (!at || at == end)
    return;
  const char *stop = memchr(at, '\n', (size_t)(end - at));
  if (!stop)
    stop = end;
  while (at < stop && (*at == ' ' || *at == '\t'))
    at++;
  bf_buf_printf(out, "; line %u: ", line);
  for (; at < stop; at++)
    bf_buf_append(out, (unsigned char)*at < 32 ? " " : at, 1);
  bf_buf_puts(out, "\n");
}

static void print_records(enum ap_record record, const void *items, uint32_t count, struct bf_buf *out) {
  for (uint32_t i = 0; i < count; i++) {
    bf_buf_printf(out, "%s %u", ap_record_directive(record), i);
    ap_record_print(record, (const char *)items + (size_t)i * ap_record_size(record), out);
    bf_buf_puts(out, "\n");
  }
}

static void print_indented(const struct ap_instr *instr, unsigned depth, struct bf_buf *out) {
  for (unsigned i = 0; i <= depth; i++)
    bf_buf_puts(out, "  ");
  ap_asm_print_instr(instr, out);
  bf_buf_puts(out, "\n");
}

static void print_code(const struct ap_program *p, uint32_t first, uint32_t end, struct bf_buf *out) {
  unsigned depth = 0;
  for (uint32_t i = first; i < end; i++) {
    enum ap_op op = p->code[i].op;
    if ((op == AP_OP_ENDGRID || op == AP_OP_ENDLOOP) && depth)
      depth--;
    print_indented(&p->code[i], depth, out);
    if (op == AP_OP_GRID || op == AP_OP_LOOP)
      depth++;
  }
  bf_buf_puts(out, ".end\n");
}

static void print_profiles(const struct ap_program *p, struct bf_buf *out) {
  for (uint32_t i = 0; i < p->nprofiles; i++) {
    bf_buf_puts(out, i ? "" : "\n");
    bf_buf_puts(out, ap_record_directive(AP_RECORD_PROFILE));
    ap_record_print(AP_RECORD_PROFILE, &p->profiles[i], out);
    bf_buf_puts(out, " layers=[");
    for (uint32_t k = 0; k < p->profiles[i].nlayers; k++)
      bf_buf_printf(out, "%s%u", k ? ", " : "", p->profiles[i].layers[k]);
    bf_buf_puts(out, "]\n");
  }
}

static void print_layers(const struct ap_program *p, struct bf_buf *out) {
  uint32_t at = 0;
  for (uint32_t i = 0; i <= p->nlayers; i++) {
    const struct ap_layer *layer = i < p->nlayers ? &p->layers[i] : NULL;
    uint32_t first = layer ? layer->first : p->ncode;
    if (at < first) {
      bf_buf_puts(out, "\n.code\n");
      print_code(p, at, first, out);
    }
    if (!layer)
      break;
    bf_buf_puts(out, "\n");
    ap_asm_print_line(p, layer->line, out);
    bf_buf_puts(out, ap_record_directive(AP_RECORD_LAYER));
    ap_record_print(AP_RECORD_LAYER, layer, out);
    ap_record_print(AP_RECORD_LINE, layer, out);
    bf_buf_puts(out, "\n");
    print_code(p, first, layer->end, out);
    at = layer->end;
  }
}

static void print_tables(const struct ap_program *p, struct bf_buf *out) {
  for (uint32_t i = 0; i < p->ntables; i++) {
    bf_buf_printf(out, "\n.table %u\n", i);
    for (uint32_t k = 0; k < p->tables[i].count; k++)
      print_indented(&p->tables[i].items[k], 0, out);
    bf_buf_puts(out, ".end\n");
  }
}

static void print_streams(const struct ap_program *p, struct bf_buf *out) {
  for (uint32_t i = 0; i < p->nstreams; i++) {
    const struct ap_stream *stream = &p->streams[i];
    bf_buf_printf(out, "\n.stream %u table=%u\n", i, stream->table);
    for (uint32_t s = 0; s < stream->count; s++)
      bf_buf_printf(out, "%s%u%s", s % 24 ? " " : "  ", stream->steps[s],
                    s % 24 == 23 || s + 1 == stream->count ? "\n" : "");
    bf_buf_puts(out, ".end\n");
  }
}

static void print_consts(const struct ap_program *p, struct bf_buf *out) {
  bf_buf_puts(out, "\n; numbers of the constant tensors, hexadecimal\n.const\n");
  for (uint64_t i = 0; i < p->consts.count; i++)
    bf_buf_printf(out, "%s%llx%s", i % 24 ? " " : "  ", (unsigned long long)ap_consts_at(&p->consts, i),
                  i % 24 == 23 || i + 1 == p->consts.count ? "\n" : "");
  bf_buf_puts(out, ".end\n");
}

static void print_source(const struct ap_program *p, struct bf_buf *out) {
  bf_buf_puts(out, "\n.source\n");
  size_t at = 0;
  while (at < p->source.length) {
    const char *line = p->source.data + at, *stop = memchr(line, '\n', p->source.length - at);
    size_t length = stop ? (size_t)(stop - line) + 1 : p->source.length - at;
    bf_buf_puts(out, "  ");
    ap_print_string(line, length, out);
    bf_buf_puts(out, "\n");
    at += length;
  }
  bf_buf_puts(out, ".end\n");
}

void ap_asm_print(const struct ap_program *p, struct bf_buf *out) {
  bf_buf_puts(out, "; AP program, see docs/assembly.md\n.aps 1\n.network");
  ap_record_print(AP_RECORD_PROGRAM, p, out);
  bf_buf_puts(out, "\n\n.machine\n");
  ap_machine_print(&p->machine, out);
  bf_buf_puts(out, ".end\n\n");
  print_records(AP_RECORD_TENSOR, p->tensors, p->ntensors, out);
  print_records(AP_RECORD_GRID, p->grids, p->ngrids, out);
  print_records(AP_RECORD_DESC, p->descs, p->ndescs, out);
  print_records(AP_RECORD_HOST, p->hosts, p->nhosts, out);
  for (uint32_t i = 0; i < p->ninputs; i++)
    bf_buf_printf(out, ".input %u\n", p->inputs[i]);
  for (uint32_t i = 0; i < p->noutputs; i++)
    bf_buf_printf(out, ".output %u\n", p->outputs[i]);
  print_layers(p, out);
  print_profiles(p, out);
  print_tables(p, out);
  print_streams(p, out);
  ap_asm_print_patterns(p, out);
  for (uint32_t i = 0; i < p->nmicros; i++) {
    bf_buf_puts(out, "\n");
    ap_asm_print_micro(&p->micros[i], out);
  }
  print_consts(p, out);
  print_source(p, out);
}
