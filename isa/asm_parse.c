// SPDX-License-Identifier: Apache-2.0
// The assembler: directives and the finished program. Text is checked for form here; the program goes through the
// same validator as one from a container.
#include <stdlib.h>
#include <string.h>

#include "isa/asm.h"
#include "isa/presets.h"

// .machine name: a preset. Files are not read for a text's sake.
static void parse_preset(struct ap_parser *p) {
  struct ap_token where = p->token;
  const char *names[64], *text = p->frames.items[where.frame].text;
  size_t count = 0, length;
  // The names have signs in them; the lexer's words have not.
  while (p->token.kind == AP_TOKEN_WORD || ap_parse_is(p, '-')) {
    where.end = p->token.end;
    ap_parse_next(p);
  }
  (void)ap_token_text(p, where, &length);
  char *name = bf_strndup(text + where.begin, length < 64 ? length : 64);
  bool found = false;
  for (const struct ap_preset *preset = ap_presets; preset->kind && count < BF_COUNT(names); preset++)
    if (strcmp(preset->kind, "machines") == 0) {
      names[count++] = preset->name;
      found |= strcmp(preset->name, name) == 0;
    }
  if (!found)
    ap_parse_unknown(p, where, names, count, "unknown machine");
  else if (!ap_machine_load(name, &p->program->machine, NULL, p->diags))
    p->errors++;
  else
    p->has_machine = true;
  free(name);
  ap_parse_end_of_line(p);
}

// The lines up to `.end` are the machine description. It is read as a text with the same line numbers.
static void parse_machine(struct ap_parser *p, struct ap_token directive) {
  if (p->token.kind == AP_TOKEN_WORD) {
    parse_preset(p);
    return;
  }
  if (directive.frame) {
    ap_parse_error(p, directive, NULL, "a machine block within a macro or repetition");
    ap_parse_end_of_line(p);
    return;
  }
  p->raw = true;
  ap_parse_end_of_line(p);
  const char *text = p->source->text;
  size_t begin = p->token.begin, end = begin;
  struct bf_buf ini = {0};
  // The current token is the first of the next line; the line begins behind the last line end before it.
  while (begin > directive.end && text[begin - 1] != '\n')
    begin--;
  for (size_t i = 0; i < begin; i++)
    if (text[i] == '\n')
      bf_buf_puts(&ini, "\n");
  for (end = begin; end < p->source->length; ) {
    const char *stop = memchr(text + end, '\n', p->source->length - end);
    size_t length = stop ? (size_t)(stop - text) - end : p->source->length - end;
    if (length >= 4 && memcmp(text + end, ".end", 4) == 0)
      break;
    end += length + (stop != NULL);
  }
  bf_buf_append(&ini, text + begin, end - begin);
  p->at = end;
  ap_parse_next(p);
  const struct bf_source *source = bf_diags_add_source(p->diags, p->source->name, bf_buf_cstr(&ini), ini.length);
  bf_buf_free(&ini);
  if (!ap_parse_block_line(p, directive) && !p->line_bad) {
    if (!ap_machine_parse(source, &p->program->machine, p->diags))
      p->errors++;
    else
      p->has_machine = true;
  }
}

static void parse_consts(struct ap_parser *p, struct ap_token directive) {
  struct { uint64_t *items; size_t count, capacity; } list = {0};
  p->raw = true;
  if (p->consts.count)
    ap_parse_error(p, directive, NULL, "values= and a .const block exclude each other");
  ap_parse_end_of_line(p);
  while (ap_parse_block_line(p, directive)) {
    while (p->token.kind == AP_TOKEN_WORD) {
      uint64_t value = 0;
      size_t length;
      const char *text = ap_parse_text(p, &length);
      bool ok = length <= 16;
      for (size_t i = 0; i < length && ok; i++) {
        unsigned c = (unsigned char)text[i];
        unsigned digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;
        ok = digit < 16;
        value = value << 4 | (digit & 15);
      }
      if (!ok) {
        ap_parse_error(p, p->token, NULL, "expected a hexadecimal number of up to 16 digits");
        break;
      }
      BF_PUSH(list.items, list.count, list.capacity) = value;
      ap_parse_next(p);
    }
    ap_parse_end_of_line(p);
  }
  ap_consts_add(&p->program->consts, &p->program->arena, list.items, list.count);
  free(list.items);
}

static void parse_source(struct ap_parser *p, struct ap_token directive) {
  struct bf_buf text = {0};
  p->raw = true;
  ap_parse_end_of_line(p);
  while (ap_parse_block_line(p, directive)) {
    ap_parse_string(p, &text);
    ap_parse_end_of_line(p);
  }
  p->program->source.length = text.length;
  p->program->source.data = bf_arena_strndup(&p->program->arena, bf_buf_cstr(&text), text.length);
  bf_buf_free(&text);
}

static void parse_border(struct ap_parser *p, bool input) {
  uint64_t tensor;
  if (ap_parse_item(p, AP_NAME_TENSOR, UINT32_MAX, &tensor)) {
    if (input)
      BF_PUSH(p->inputs.items, p->inputs.count, p->inputs.capacity) = (uint32_t)tensor;
    else
      BF_PUSH(p->outputs.items, p->outputs.count, p->outputs.capacity) = (uint32_t)tensor;
  }
  ap_parse_end_of_line(p);
}

static void parse_version(struct ap_parser *p) {
  struct ap_token where = p->token;
  uint64_t version;
  if (ap_parse_u64(p, UINT32_MAX, &version) && version != 1)
    ap_parse_error(p, where, "this assembler knows version 1", "unknown version of the assembly text");
  p->has_version = true;
  ap_parse_end_of_line(p);
}

// False, with an error, if a directive that stands once was there before.
static bool once(struct ap_parser *p, struct ap_token directive, bool *seen) {
  if (*seen)
    ap_parse_error(p, directive, NULL, "this directive stands here a second time");
  else
    return *seen = true;
  return false;
}

static const char *const DIRECTIVES[] = {
    ".aps", ".network", ".machine", ".tensor", ".grid", ".desc", ".host", ".input", ".output", ".layer", ".code", ".profile",
    ".table", ".stream", ".pattern", ".micro", ".const", ".source", ".equ", ".field", ".temp", ".macro", ".endm", ".repeat", ".endr", ".end"};

static void parse_equ(struct ap_parser *p) {
  struct ap_token name = p->token;
  ap_int value;
  ap_parse_next(p);
  ap_parse_accept(p, ',');
  if (ap_parse_expr(p, &value)) {
    struct ap_symbol *symbol = ap_symbol_define(p, AP_NAME_VALUE, name);
    if (symbol)
      symbol->value = value;
  }
  ap_parse_end_of_line(p);
}

bool ap_parse_definition(struct ap_parser *p) {
  struct ap_token directive = p->token;
  bool equ = ap_parse_word_is(p, ".equ"), temp = ap_parse_word_is(p, ".temp");
  if (!equ && !temp && !ap_token_is(p, directive, ".field"))
    return false;
  ap_parse_next(p);
  if (equ)
    parse_equ(p);
  else
    ap_parse_field_directive(p, temp);
  return true;
}

static void parse_code_block(struct ap_parser *p, struct ap_token directive) {
  ap_main_end(p);
  ap_parse_end_of_line(p);
  ap_parse_code(p, directive);
}

// Directives that stand for a block or a line of their own.
static bool parse_block(struct ap_parser *p, struct ap_token directive) {
  if (ap_token_is(p, directive, ".aps"))
    parse_version(p);
  else if (ap_token_is(p, directive, ".machine") && once(p, directive, &p->seen_machine))
    parse_machine(p, directive);
  else if (ap_token_is(p, directive, ".code"))
    parse_code_block(p, directive);
  else if (ap_token_is(p, directive, ".profile"))
    ap_parse_profile(p, directive);
  else if (ap_token_is(p, directive, ".table"))
    ap_parse_table(p, directive);
  else if (ap_token_is(p, directive, ".stream"))
    ap_parse_stream(p, directive);
  else if (ap_token_is(p, directive, ".pattern"))
    ap_parse_pattern(p, directive);
  else if (ap_token_is(p, directive, ".micro"))
    ap_parse_micro(p, directive);
  else if (ap_token_is(p, directive, ".const") && once(p, directive, &p->has_const))
    parse_consts(p, directive);
  else if (ap_token_is(p, directive, ".source") && once(p, directive, &p->has_source))
    parse_source(p, directive);
  else if (ap_token_is(p, directive, ".input") || ap_token_is(p, directive, ".output"))
    parse_border(p, ap_token_is(p, directive, ".input"));
  else
    return false;
  return true;
}

static void parse_statement(struct ap_parser *p) {
  struct ap_token first = p->token;
  size_t length;
  const char *text = ap_parse_text(p, &length);
  if (first.kind == AP_TOKEN_WORD && *text != '.') {
    ap_main_begin(p);
    ap_parse_code_line(p);
    return;
  }
  if (ap_parse_definition(p))
    return;
  ap_parse_next(p);
  if (ap_parse_record_directive(p, first) || parse_block(p, first))
    return;
  if (ap_token_is(p, first, ".end") || ap_token_is(p, first, ".endm") || ap_token_is(p, first, ".endr"))
    ap_parse_error(p, first, NULL, "nothing is open here that this could end");
  else if (first.kind == AP_TOKEN_WORD)
    ap_parse_unknown(p, first, DIRECTIVES, BF_COUNT(DIRECTIVES), "expected a directive or an instruction");
  else
    ap_parse_error(p, first, NULL, "expected a directive or an instruction");
  ap_parse_end_of_line(p);
}

void *ap_parse_keep(struct ap_parser *p, void *items, size_t count, size_t size) {
  void *copy = bf_arena_alloc(&p->program->arena, count, size);
  if (count)
    memcpy(copy, items, count * size);
  free(items);
  return copy;
}

static void *take(struct ap_parser *p, void *items, size_t count, size_t size, uint32_t *number) {
  *number = (uint32_t)count;
  return ap_parse_keep(p, items, count, size);
}

static void *take_list(struct ap_parser *p, enum ap_record record, uint32_t *number) {
  struct ap_list *list = &p->lists[record];
  return take(p, list->items, list->count, ap_record_size(record), number);
}

// Hands the grown lists to the program. Counts fit 32 bits: an item takes two bytes of text at least and a text
// is below 2^31 bytes.
static void finish(struct ap_parser *p) {
  struct ap_program *to = p->program;
  to->tensors = take_list(p, AP_RECORD_TENSOR, &to->ntensors);
  to->grids = take_list(p, AP_RECORD_GRID, &to->ngrids);
  to->descs = take_list(p, AP_RECORD_DESC, &to->ndescs);
  to->hosts = take_list(p, AP_RECORD_HOST, &to->nhosts);
  to->layers = take_list(p, AP_RECORD_LAYER, &to->nlayers);
  to->code = take(p, p->code.items, p->code.count, sizeof *to->code, &to->ncode);
  to->tables = take(p, p->tables.items, p->tables.count, sizeof *to->tables, &to->ntables);
  to->streams = take(p, p->streams.items, p->streams.count, sizeof *to->streams, &to->nstreams);
  to->patterns = take(p, p->patterns.items, p->patterns.count, sizeof *to->patterns, &to->npatterns);
  to->micros = take(p, p->micros.items, p->micros.count, sizeof *to->micros, &to->nmicros);
  to->profiles = take(p, p->profiles.items, p->profiles.count, sizeof *to->profiles, &to->nprofiles);
  to->inputs = take(p, p->inputs.items, p->inputs.count, sizeof *to->inputs, &to->ninputs);
  to->outputs = take(p, p->outputs.items, p->outputs.count, sizeof *to->outputs, &to->noutputs);
  if (!p->has_const)
    ap_consts_add(&to->consts, &to->arena, p->consts.items, p->consts.count);
  free(p->consts.items);
}

static void check_complete(struct ap_parser *p) {
  struct ap_token start = {.kind = AP_TOKEN_END};
  p->line_bad = false;
  if (p->errors)
    return;
  if (!p->has_version)
    ap_parse_error(p, start, "the first line of an assembly text is .aps 1", "no .aps directive");
  else if (!p->has_machine)
    ap_parse_error(p, start, "like .machine edge", "no .machine directive");
  else if (p->open.count) {
    struct ap_open *open = &p->open.items[p->open.count - 1];
    ap_parse_error(p, open->where, open->op == AP_OP_GRID ? "it ends with endgrid" : "it ends with endloop",
                   "this is not closed");
  } else {
    ap_network_complete(p);
    if (p->vdd_unknown)
      ap_parse_error(p, start, "vdd= in .network says it", "the supply voltage of an unknown technology");
  }
}

static struct ap_token nth_place(const struct ap_places *places, uint32_t number) {
  return number < places->count ? places->items[number] : (struct ap_token){.kind = AP_TOKEN_END};
}

// Programs are sorted: they are found by their keys. One that the text does not have is our own, and right.
static struct ap_token micro_place(const struct ap_parser *p, uint32_t number) {
  const struct ap_micro *micro = &p->program->micros[number];
  for (size_t i = 0; i < p->micro_at.count; i++)
    if (p->micro_at.items[i].op == micro->op && memcmp(p->micro_at.items[i].width, micro->width, 3) == 0)
      return p->micro_at.items[i].where;
  return (struct ap_token){.kind = AP_TOKEN_END};
}

static struct ap_token place_of(const struct ap_parser *p, enum ap_place place, uint32_t number) {
  switch (place) {
    case AP_PLACE_TENSOR: return nth_place(&p->record_at[AP_RECORD_TENSOR], number);
    case AP_PLACE_GRID: return nth_place(&p->record_at[AP_RECORD_GRID], number);
    case AP_PLACE_DESC: return nth_place(&p->record_at[AP_RECORD_DESC], number);
    case AP_PLACE_HOST: return nth_place(&p->record_at[AP_RECORD_HOST], number);
    case AP_PLACE_TABLE: return nth_place(&p->table_at, number);
    case AP_PLACE_STREAM: return nth_place(&p->stream_at, number);
    case AP_PLACE_PATTERN: return nth_place(&p->pattern_at, number);
    case AP_PLACE_PROFILE: return nth_place(&p->profile_at, number);
    case AP_PLACE_MICRO: return micro_place(p, number);
    default: return p->code_at.items[number];
  }
}

// The validator's errors about an item get the line that it came from.
static void place_error(void *context, enum ap_place place, uint32_t number, const char *text) {
  struct ap_parser *p = context;
  p->line_bad = false;
  ap_parse_error(p, place_of(p, place, number), NULL, "%s", text);
}

static bool validate(struct ap_parser *p) {
  struct bf_diags *diags = p->diags;
  const char *old = diags->default_file;
  diags->default_file = p->source->name;
  p->program->place_error = place_error;
  p->program->place_error_context = p;
  bool ok = ap_program_validate(p->program, diags);
  p->program->place_error = NULL;
  p->program->place_error_context = NULL;
  diags->default_file = old;
  return ok;
}

// A binary gives one error, not twenty.
static bool is_text(const struct bf_source *source, struct bf_diags *diags) {
  size_t looked = source->length < 4096 ? source->length : 4096;
  if (!looked || !memchr(source->text, 0, looked))
    return true;
  bool ours = looked > 4 && memcmp(source->text, "\177ELF", 4) == 0;
  bf_error_file(diags, source->name, ours ? "apdump -d shows the code of an AP binary" : NULL,
                "this is a binary file, not assembly text");
  return false;
}

struct ap_program *ap_asm_parse(const struct bf_source *source, struct bf_diags *diags) {
  struct ap_parser parser, *p = &parser;
  if (!is_text(source, diags))
    return NULL;
  ap_parser_init(p, source, diags);
  while (p->token.kind != AP_TOKEN_END && p->errors < ap_parse_most_errors(p)) {
    if (p->token.kind == AP_TOKEN_NEWLINE)
      ap_parse_next(p);
    else
      parse_statement(p);
  }
  ap_main_end(p);
  check_complete(p);
  finish(p);
  if (!p->errors)
    ap_micros_complete(p);
  bool ok = p->errors == 0 && validate(p);
  struct ap_program *program = p->program;
  ap_parser_free(p);
  if (ok)
    return program;
  ap_program_free(program);
  return NULL;
}
