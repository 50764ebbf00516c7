// SPDX-License-Identifier: Apache-2.0
// The assembler's blocks of code: instructions, tables, streams.
#include <stdlib.h>
#include <string.h>

#include "isa/asm.h"

// [label:]… — their values are the number of the next instruction.
static struct ap_token parse_labels(struct ap_parser *p) {
  struct ap_token last = {0};
  for (;;) {
    const struct ap_frame *frame = &p->frames.items[p->frame];
    size_t at = p->at;
    struct ap_token name = p->token, next = ap_lex(frame->text, frame->length, &at);
    if (name.kind != AP_TOKEN_WORD || next.kind != AP_TOKEN_PUNCT || frame->text[next.begin] != ':')
      return last;
    struct ap_symbol *symbol = ap_symbol_define(p, AP_NAME_VALUE, name);
    if (!symbol)
      return last;
    symbol->value = (ap_int)p->code.count;
    last = name;
    ap_parse_next(p);
    p->line_start = true;  // a macro may follow
    ap_parse_next(p);
    while (p->token.kind == AP_TOKEN_NEWLINE)
      ap_parse_next(p);
  }
}

static bool same_text(const struct ap_parser *p, struct ap_token a, struct ap_token b) {
  size_t n, m;
  const char *x = ap_token_text(p, a, &n), *y = ap_token_text(p, b, &m);
  return n == m && memcmp(x, y, n) == 0;
}

// endloop or endgrid: it closes what was opened last; a name behind it must be its label.
static void close_open(struct ap_parser *p, struct ap_token where, enum ap_op op, struct ap_token label) {
  static const char *const NAMES[2] = {"loop", "grid"};
  bool grid = op == AP_OP_ENDGRID;
  struct ap_open *open = p->open.count ? &p->open.items[p->open.count - 1] : NULL;
  if (!open) {
    ap_parse_error(p, where, NULL, "no %s is open here", NAMES[grid]);
    return;
  }
  p->open.count--;
  bool other = (open->op == AP_OP_GRID) != grid;
  if (!other && (label.kind != AP_TOKEN_WORD || (open->label.kind == AP_TOKEN_WORD && same_text(p, open->label, label))))
    return;
  bool first = !p->line_bad;
  if (other)
    ap_parse_error(p, where, NULL, "what is open here is a %s", NAMES[!grid]);
  else
    ap_parse_error(p, label, NULL, "this is not the label of the %s that ends here", NAMES[grid]);
  if (first)
    ap_parse_note(p, open->where, "it was opened here");
}

// What opens and closes.
static void track(struct ap_parser *p, struct ap_token where, enum ap_op op, struct ap_token opened) {
  struct ap_token label = {0};
  if (op == AP_OP_LOOP || op == AP_OP_GRID) {
    struct ap_open open = {op, opened, where};
    BF_PUSH(p->open.items, p->open.count, p->open.capacity) = open;
  } else if (op == AP_OP_ENDLOOP || op == AP_OP_ENDGRID) {
    if (p->token.kind == AP_TOKEN_WORD) {
      label = p->token;
      ap_parse_next(p);
    }
    close_open(p, where, op, label);
    if (op == AP_OP_ENDGRID)
      ap_temps_end(p, true, 0);
  }
}

void ap_parse_code_line(struct ap_parser *p) {
  struct ap_token opened = parse_labels(p), where = p->token;
  struct ap_instr instr;
  size_t length;
  // A label may stand before a directive, or be the last thing of a block.
  if (!p->line_bad && opened.kind == AP_TOKEN_WORD && (where.kind != AP_TOKEN_WORD || *ap_token_text(p, where, &length) == '.'))
    return;
  if (!p->line_bad) {
    ap_parse_operation(p, &instr, &where);
    track(p, where, instr.op, opened);
    BF_PUSH(p->code.items, p->code.count, p->code.capacity) = instr;
    BF_PUSH(p->code_at.items, p->code_at.count, p->code_at.capacity) = where;
  }
  ap_parse_end_of_line(p);
}

void ap_parse_code(struct ap_parser *p, struct ap_token opening) {
  while (ap_parse_block_line(p, opening))
    if (!ap_parse_definition(p))
      ap_parse_code_line(p);
}

void ap_parse_table(struct ap_parser *p, struct ap_token opening) {
  struct ap_token name;
  ap_parse_item_name(p, AP_NAME_TABLE, p->tables.count, &name);
  ap_parse_end_of_line(p);
  struct { struct ap_instr *items; size_t count, capacity; } list = {0};
  while (ap_parse_block_line(p, opening)) {
    struct ap_instr instr;
    if (ap_parse_definition(p))
      continue;
    ap_parse_instr(p, &instr);
    BF_PUSH(list.items, list.count, list.capacity) = instr;
  }
  struct ap_table table = {ap_parse_keep(p, list.items, list.count, sizeof *list.items), (uint32_t)list.count};
  BF_PUSH(p->tables.items, p->tables.count, p->tables.capacity) = table;
  BF_PUSH(p->table_at.items, p->table_at.count, p->table_at.capacity) = opening;
}

// Indices, separated by blanks or commas.
static void parse_indices(struct ap_parser *p, struct ap_stream *stream, struct ap_token opening) {
  struct { uint16_t *items; size_t count, capacity; } list = {0};
  uint64_t value;
  while (ap_parse_block_line(p, opening)) {
    while ((p->token.kind == AP_TOKEN_WORD || ap_parse_is(p, '(')) && ap_parse_u64(p, UINT16_MAX, &value)) {
      BF_PUSH(list.items, list.count, list.capacity) = (uint16_t)value;
      ap_parse_accept(p, ',');
    }
    ap_parse_end_of_line(p);
  }
  stream->steps = ap_parse_keep(p, list.items, list.count, sizeof *list.items);
  stream->count = (uint32_t)list.count;
}

void ap_parse_stream(struct ap_parser *p, struct ap_token opening) {
  struct ap_token name;
  uint64_t value = 0;
  if (ap_parse_item_name(p, AP_NAME_STREAM, p->streams.count, &name)) {
    if (!ap_parse_word_is(p, "table"))
      ap_parse_error(p, p->token, "a stream begins like this: .stream 0 table=3", "expected table=");
    else
      ap_parse_next(p);
    if (!p->line_bad && ap_parse_expect(p, '='))
      ap_parse_item(p, AP_NAME_TABLE, UINT32_MAX, &value);
  }
  ap_parse_end_of_line(p);
  struct ap_stream stream = {.table = (uint32_t)value};
  parse_indices(p, &stream, opening);
  BF_PUSH(p->streams.items, p->streams.count, p->streams.capacity) = stream;
  BF_PUSH(p->stream_at.items, p->stream_at.count, p->stream_at.capacity) = opening;
}
