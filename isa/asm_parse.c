// SPDX-License-Identifier: Apache-2.0
// The assembler: directives and records. Text is checked for form here; the finished program goes through the
// same validator as one from a container.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "isa/asm.h"

static bool parse_integer(struct ap_parser *p, const struct ap_field_info *field, uint64_t *out) {
  size_t length;
  const char *text = ap_parse_text(p, &length);
  bool wide = field->kind == AP_KIND_I64, negative = p->token.kind == AP_TOKEN_WORD && text[0] == '-';
  uint64_t limit = (wide ? (uint64_t)INT64_MAX : INT32_MAX) + negative;
  if (negative) {
    p->token.begin++;  // the digits alone
    if (!ap_parse_u64(p, limit, out))
      return false;
    *out = -*out;
    return true;
  }
  return ap_parse_u64(p, limit, out);
}

static bool parse_real(struct ap_parser *p, const struct ap_field_info *field, uint64_t *out) {
  size_t length;
  const char *text = ap_parse_text(p, &length);
  char copy[64], *end = copy;
  double real = 0;
  if (p->token.kind == AP_TOKEN_WORD && length < sizeof copy && strchr("-+0123456789", text[0])) {
    memcpy(copy, text, length);
    copy[length] = 0;
    real = field->kind == AP_KIND_F32 ? (double)strtof(copy, &end) : strtod(copy, &end);
  }
  if (end == copy || *end || !isfinite(real)) {
    ap_parse_error(p, p->token, NULL, "expected a finite number");
    return false;
  }
  float single = (float)real;
  uint32_t low;
  if (field->kind == AP_KIND_F32) {
    memcpy(&low, &single, sizeof low);
    *out = low;
  } else {
    memcpy(out, &real, sizeof *out);
  }
  ap_parse_next(p);
  return true;
}

static bool parse_name(struct ap_parser *p, const struct ap_field_info *field, uint64_t *out) {
  const char *(*name)(unsigned) = field->kind == AP_KIND_STORAGE ? ap_storage_name : ap_host_kind_name;
  for (unsigned i = 0; name(i); i++)
    if (ap_parse_word_is(p, name(i))) {
      *out = i;
      ap_parse_next(p);
      return true;
    }
  ap_parse_error(p, p->token, field->meaning, "unknown value of %s", field->key);
  return false;
}

static bool parse_value(struct ap_parser *p, const struct ap_field_info *field, uint64_t *out) {
  if ((field->kind == AP_KIND_DIM || field->kind == AP_KIND_REF) && ap_parse_word_is(p, "none")) {
    *out = field->kind == AP_KIND_DIM ? UINT8_MAX : UINT32_MAX;
    ap_parse_next(p);
    return true;
  }
  switch (field->kind) {
  case AP_KIND_U8: return ap_parse_u64(p, UINT8_MAX, out);
  case AP_KIND_DIM: return ap_parse_u64(p, UINT8_MAX - 1, out);
  case AP_KIND_U32: return ap_parse_u64(p, UINT32_MAX, out);
  case AP_KIND_REF: return ap_parse_u64(p, UINT32_MAX - 1, out);
  case AP_KIND_U64: return ap_parse_u64(p, UINT64_MAX, out);
  case AP_KIND_BOOL: return ap_parse_u64(p, 1, out);
  case AP_KIND_I32:
  case AP_KIND_I64: return parse_integer(p, field, out);
  case AP_KIND_F32:
  case AP_KIND_F64: return parse_real(p, field, out);
  default: return parse_name(p, field, out);
  }
}

static bool parse_text_value(struct ap_parser *p, const struct ap_field_info *field, void *data) {
  struct bf_buf text = {0};
  struct ap_token where = p->token;
  bool ok = ap_parse_string(p, &text);
  if (ok && text.length && memchr(text.data, 0, text.length)) {
    ap_parse_error(p, where, NULL, "a zero byte in a name");
    ok = false;
  }
  if (ok)
    *(char **)((char *)data + field->offset) =
        bf_arena_strndup(&p->program->arena, text.length ? text.data : "", text.length);
  bf_buf_free(&text);
  return ok;
}

static bool parse_values(struct ap_parser *p, const struct ap_field_info *field, void *data) {
  if (!ap_parse_expect(p, '='))
    return false;
  if (field->kind == AP_KIND_STR)
    return parse_text_value(p, field, data);
  if (field->count > 1 && !ap_parse_expect(p, '['))
    return false;
  for (unsigned i = 0; i < field->count; i++) {
    uint64_t value;
    if ((i && !ap_parse_expect(p, ',')) || !parse_value(p, field, &value))
      return false;
    ap_field_set(field, data, i, value);
  }
  return field->count == 1 || ap_parse_expect(p, ']');
}

// Field `i` of a directive: those of its record, then those of a second one (the same if there is none).
static const struct ap_field_info *field_of(enum ap_record record, enum ap_record also, unsigned i) {
  unsigned n = 0;
  while (ap_record_field(record, n))
    n++;
  return i < n || also == record ? ap_record_field(record, i) : ap_record_field(also, i - n);
}

// Fields `key=value` in any order, each once and none left out.
static void parse_record(struct ap_parser *p, struct ap_token directive, enum ap_record record, void *data,
                         enum ap_record also) {
  uint64_t given = 0;
  const struct ap_field_info *field;
  while (p->token.kind == AP_TOKEN_WORD && !p->line_bad) {
    unsigned i = 0;
    while ((field = field_of(record, also, i)) && !ap_parse_word_is(p, field->key))
      i++;
    if (!field)
      ap_parse_error(p, p->token, NULL, "unknown field of %s", ap_record_directive(record));
    else if (given >> i & 1)
      ap_parse_error(p, p->token, NULL, "this field is given twice");
    else {
      given |= (uint64_t)1 << i;
      ap_parse_next(p);
      parse_values(p, field, data);
    }
  }
  for (unsigned i = 0; !p->line_bad && (field = field_of(record, also, i)); i++)
    if (!(given >> i & 1))
      ap_parse_error(p, directive, field->meaning, "%s needs %s=", ap_record_directive(record), field->key);
  ap_parse_end_of_line(p);
}

// A new zeroed record at the end of its list.
static void *push(struct ap_parser *p, enum ap_record record) {
  struct ap_list *list = &p->lists[record];
  size_t size = ap_record_size(record);
  list->items = bf_grow(list->items, list->count, &list->capacity, size);
  return memset(list->items + list->count++ * size, 0, size);
}

static void parse_item(struct ap_parser *p, struct ap_token directive, enum ap_record record) {
  if (!ap_parse_number_is(p, p->lists[record].count)) {
    ap_parse_end_of_line(p);
    return;
  }
  parse_record(p, directive, record, push(p, record), record);
}

static void parse_layer(struct ap_parser *p, struct ap_token directive) {
  struct ap_layer layer = {.first = (uint32_t)p->code.count};
  parse_record(p, directive, AP_RECORD_LAYER, &layer, AP_RECORD_LINE);
  ap_parse_code(p, directive);
  layer.end = (uint32_t)p->code.count;
  memcpy(push(p, AP_RECORD_LAYER), &layer, sizeof layer);
}

// The lines up to `.end` are the machine description. It is read as a text with the same line numbers.
static void parse_machine(struct ap_parser *p, struct ap_token directive) {
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
  p->program->consts = bf_arena_alloc(&p->program->arena, list.count, sizeof *list.items);
  if (list.count)
    memcpy(p->program->consts, list.items, list.count * sizeof *list.items);
  p->program->nconsts = list.count;
  free(list.items);
}

static void parse_source(struct ap_parser *p, struct ap_token directive) {
  struct bf_buf text = {0};
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
  if (ap_parse_u64(p, UINT32_MAX, &tensor)) {
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

static void unknown_directive(struct ap_parser *p, struct ap_token directive) {
  static const char *const NAMES[] = {".aps", ".network", ".machine", ".tensor", ".grid", ".desc", ".host", ".input",
                                      ".output", ".layer", ".code", ".table", ".stream", ".micro", ".const", ".source"};
  size_t length = directive.end - directive.begin;
  char *word = bf_strndup(p->source->text + directive.begin, length < 64 ? length : 64);
  const char *near = bf_nearest(word, NAMES, BF_COUNT(NAMES));
  char *hint = near ? bf_format("did you mean %s?", near) : NULL;
  ap_parse_error(p, directive, hint, "expected a directive");
  ap_parse_end_of_line(p);
  free(hint);
  free(word);
}

static bool is_directive(const struct ap_parser *p, struct ap_token token, const char *name) {
  return token.kind == AP_TOKEN_WORD && token.end - token.begin == strlen(name) &&
         memcmp(p->source->text + token.begin, name, strlen(name)) == 0;
}

static void parse_code_block(struct ap_parser *p, struct ap_token directive) {
  ap_parse_end_of_line(p);
  ap_parse_code(p, directive);
}

static void parse_directive(struct ap_parser *p) {
  static const enum ap_record ITEMS[] = {AP_RECORD_TENSOR, AP_RECORD_GRID, AP_RECORD_DESC, AP_RECORD_HOST};
  struct ap_token directive = p->token;
  ap_parse_next(p);
  for (size_t i = 0; i < BF_COUNT(ITEMS); i++)
    if (is_directive(p, directive, ap_record_directive(ITEMS[i]))) {
      parse_item(p, directive, ITEMS[i]);
      return;
    }
  if (is_directive(p, directive, ".aps"))
    parse_version(p);
  else if (is_directive(p, directive, ".network") && once(p, directive, &p->seen[AP_RECORD_PROGRAM]))
    parse_record(p, directive, AP_RECORD_PROGRAM, p->program, AP_RECORD_PROGRAM);
  else if (is_directive(p, directive, ".machine") && once(p, directive, &p->seen_machine))
    parse_machine(p, directive);
  else if (is_directive(p, directive, ".layer"))
    parse_layer(p, directive);
  else if (is_directive(p, directive, ".code"))
    parse_code_block(p, directive);
  else if (is_directive(p, directive, ".table"))
    ap_parse_table(p, directive);
  else if (is_directive(p, directive, ".stream"))
    ap_parse_stream(p, directive);
  else if (is_directive(p, directive, ".micro"))
    ap_parse_micro(p, directive);
  else if (is_directive(p, directive, ".const") && once(p, directive, &p->has_const))
    parse_consts(p, directive);
  else if (is_directive(p, directive, ".source") && once(p, directive, &p->has_source))
    parse_source(p, directive);
  else if (is_directive(p, directive, ".input") || is_directive(p, directive, ".output"))
    parse_border(p, is_directive(p, directive, ".input"));
  else
    unknown_directive(p, directive);
}

static void *take(struct ap_parser *p, void *items, size_t count, size_t size, uint32_t *number) {
  void *copy = bf_arena_alloc(&p->program->arena, count, size);
  if (count)
    memcpy(copy, items, count * size);
  free(items);
  *number = (uint32_t)count;
  return copy;
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
  to->micros = take(p, p->micros.items, p->micros.count, sizeof *to->micros, &to->nmicros);
  to->inputs = take(p, p->inputs.items, p->inputs.count, sizeof *to->inputs, &to->ninputs);
  to->outputs = take(p, p->outputs.items, p->outputs.count, sizeof *to->outputs, &to->noutputs);
}

static void check_complete(struct ap_parser *p) {
  struct ap_token start = {AP_TOKEN_END, 0, 0};
  p->line_bad = false;
  if (p->errors)
    return;
  if (!p->has_version)
    ap_parse_error(p, start, "the first line of an assembly text is .aps 1", "no .aps directive");
  else if (!p->seen[AP_RECORD_PROGRAM])
    ap_parse_error(p, start, NULL, "no .network directive");
  else if (!p->has_machine)
    ap_parse_error(p, start, NULL, "no .machine block");
}

struct ap_program *ap_asm_parse(const struct bf_source *source, struct bf_diags *diags) {
  struct ap_parser parser = {.source = source, .diags = diags, .program = ap_program_new()}, *p = &parser;
  p->program->source.data = bf_arena_strdup(&p->program->arena, "");
  ap_parse_next(p);
  while (p->token.kind != AP_TOKEN_END && p->errors < AP_ASM_MAX_ERRORS) {
    if (p->token.kind == AP_TOKEN_NEWLINE)
      ap_parse_next(p);
    else
      parse_directive(p);
  }
  check_complete(p);
  finish(p);
  bool ok = p->errors == 0;
  if (ok) {
    const char *old = diags->default_file;
    diags->default_file = source->name;
    ok = ap_program_validate(p->program, diags);
    diags->default_file = old;
  }
  if (ok)
    return p->program;
  ap_program_free(p->program);
  return NULL;
}
