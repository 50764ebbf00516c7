// SPDX-License-Identifier: Apache-2.0
// Directives that stand for one record: fields `key=value` in any order.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "isa/asm.h"

static bool parse_signed(struct ap_parser *p, ap_int low, ap_int high, uint64_t *out) {
  ap_int value;
  if (!ap_parse_range(p, low, high, &value))
    return false;
  *out = (uint64_t)value;
  return true;
}

static bool parse_real(struct ap_parser *p, const struct ap_field_info *field, uint64_t *out) {
  struct ap_token where = p->token;
  char copy[64], *end = copy;
  double real = 0;
  size_t length;
  copy[0] = '-';
  size_t sign = ap_parse_accept(p, '-') ? 1 : 0;
  const char *text = ap_parse_text(p, &length);
  if (p->token.kind == AP_TOKEN_WORD && length + 2 < sizeof copy && text[0] >= '0' && text[0] <= '9') {
    memcpy(copy + sign, text, length);
    copy[sign + length] = 0;
    real = field->kind == AP_KIND_F32 ? (double)strtof(copy, &end) : strtod(copy, &end);
  }
  if (end == copy || *end || !isfinite(real)) {
    ap_parse_error(p, where, NULL, "expected a finite number");
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

static bool parse_choice(struct ap_parser *p, const struct ap_field_info *field, uint64_t *out) {
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
  case AP_KIND_REF: return ap_parse_item(p, AP_NAME_TENSOR, UINT32_MAX - 1, out);
  case AP_KIND_TENSOR: return ap_parse_item(p, AP_NAME_TENSOR, UINT32_MAX, out);
  case AP_KIND_GRID: return ap_parse_item(p, AP_NAME_GRID, UINT32_MAX, out);
  case AP_KIND_U64: return ap_parse_u64(p, UINT64_MAX, out);
  case AP_KIND_BOOL: return ap_parse_u64(p, 1, out);
  case AP_KIND_I32: return parse_signed(p, INT32_MIN, INT32_MAX, out);
  case AP_KIND_I64: return parse_signed(p, INT64_MIN, INT64_MAX, out);
  case AP_KIND_F32:
  case AP_KIND_F64: return parse_real(p, field, out);
  default: return parse_choice(p, field, out);
  }
}

static void set_text(struct ap_parser *p, const struct ap_field_info *field, void *data, const char *text, size_t length) {
  *(char **)((char *)data + field->offset) = bf_arena_strndup(&p->program->arena, text, length);
}

// A quoted text, or a word without quotes.
static bool parse_text_value(struct ap_parser *p, const struct ap_field_info *field, void *data) {
  struct bf_buf text = {0};
  struct ap_token where = p->token;
  size_t length;
  const char *word = ap_parse_text(p, &length);
  bool ok = true;
  if (where.kind == AP_TOKEN_WORD) {
    bf_buf_append(&text, word, length);
    ap_parse_next(p);
  } else {
    ok = ap_parse_string(p, &text);
  }
  if (ok && text.length && memchr(text.data, 0, text.length)) {
    ap_parse_error(p, where, NULL, "a zero byte in a name");
    ok = false;
  }
  if (ok)
    set_text(p, field, data, text.length ? text.data : "", text.length);
  bf_buf_free(&text);
  return ok;
}

// What stands for the leading elements of a list that is shorter than the field.
static uint64_t neutral(enum ap_kind kind) { return kind == AP_KIND_DIM ? UINT8_MAX : kind == AP_KIND_U32; }

// [v, v, …] with up to as many elements as the field has, the last ones first; or one value alone.
static bool parse_list(struct ap_parser *p, const struct ap_field_info *field, void *data, uint8_t *count) {
  uint64_t values[8];
  unsigned n = 0;
  bool list = ap_parse_accept(p, '[');
  do {
    if (n == field->count) {
      ap_parse_error(p, p->token, field->meaning, "%s has at most %u elements", field->key, field->count);
      return false;
    }
    if (!parse_value(p, field, &values[n++]))
      return false;
  } while (list && ap_parse_accept(p, ','));
  for (unsigned i = 0; i < field->count; i++)
    ap_field_set(field, data, i, i + n < field->count ? neutral(field->kind) : values[i + n - field->count]);
  *count = (uint8_t)n;
  return !list || ap_parse_expect(p, ']');
}

static bool parse_field_value(struct ap_parser *p, const struct ap_field_info *field, void *data, uint8_t *count) {
  uint64_t value;
  *count = 1;
  if (!ap_parse_expect(p, '='))
    return false;
  if (field->kind == AP_KIND_STR)
    return parse_text_value(p, field, data);
  if (field->count > 1)
    return parse_list(p, field, data, count);
  if (!parse_value(p, field, &value))
    return false;
  ap_field_set(field, data, 0, value);
  return true;
}

// values=[1, -2, …] of a constant tensor.
static void parse_constant(struct ap_parser *p, struct ap_filled *filled) {
  filled->has_values = true;
  ap_parse_next(p);
  if (!ap_parse_expect(p, '=') || !ap_parse_expect(p, '['))
    return;
  do {
    ap_int value;
    if (!ap_parse_expr(p, &value))
      return;
    BF_PUSH(filled->values.items, filled->values.count, filled->values.capacity) = value;
  } while (ap_parse_accept(p, ','));
  ap_parse_expect(p, ']');
}

// Field `i` of a directive: those of its record, then those of a second one (the same if there is none).
static const struct ap_field_info *field_of(enum ap_record record, enum ap_record also, unsigned i) {
  unsigned n = 0;
  while (ap_record_field(record, n))
    n++;
  return i < n || also == record ? ap_record_field(record, i) : ap_record_field(also, i - n);
}

bool ap_filled_has(const struct ap_filled *filled, enum ap_record record, const char *key) {
  return ap_filled_count(filled, record, key) > 0;
}

unsigned ap_filled_count(const struct ap_filled *filled, enum ap_record record, const char *key) {
  const struct ap_field_info *field;
  for (unsigned i = 0; (field = ap_record_field(record, i)); i++)
    if (strcmp(field->key, key) == 0)
      return filled->given >> i & 1 ? filled->counts[i] : 0;
  return 0;
}

static void unknown_key(struct ap_parser *p, enum ap_record record, enum ap_record also) {
  const char *names[17];
  size_t count = 0;
  const struct ap_field_info *field;
  for (unsigned i = 0; (field = field_of(record, also, i)) && count < 16; i++)
    names[count++] = field->key;
  if (record == AP_RECORD_TENSOR)
    names[count++] = "values";
  ap_parse_unknown(p, p->token, names, count, "unknown field of %s", ap_record_directive(record));
}

static void parse_fields(struct ap_parser *p, enum ap_record record, void *data, enum ap_record also,
                         struct ap_filled *filled) {
  const struct ap_field_info *field;
  while (p->token.kind == AP_TOKEN_WORD && !p->line_bad) {
    unsigned i = 0;
    while ((field = field_of(record, also, i)) && !ap_parse_word_is(p, field->key))
      i++;
    if (!field && record == AP_RECORD_TENSOR && !filled->has_values && ap_parse_word_is(p, "values"))
      parse_constant(p, filled);
    else if (!field)
      unknown_key(p, record, also);
    else if (filled->given >> i & 1)
      ap_parse_error(p, p->token, NULL, "this field is given twice");
    else {
      filled->given |= (uint64_t)1 << i;
      ap_parse_next(p);
      parse_field_value(p, field, data, &filled->counts[i]);
    }
  }
}

// The table's default for a field that the text left out.
static void set_fallback(struct ap_parser *p, const struct ap_field_info *field, void *data) {
  const char *text = field->fallback;
  if (field->kind == AP_KIND_STR) {
    set_text(p, field, data, text, strlen(text));
    return;
  }
  float single = strtof(text, NULL);
  uint32_t low;
  uint64_t bits = strtoull(text, NULL, 10);
  memcpy(&low, &single, sizeof low);
  if (field->kind == AP_KIND_F32)
    bits = low;
  else if (strcmp(text, "none") == 0)
    bits = field->kind == AP_KIND_DIM ? UINT8_MAX : UINT32_MAX;
  for (unsigned i = 0; field->kind == AP_KIND_HOSTKIND && ap_host_kind_name(i); i++)
    if (strcmp(text, ap_host_kind_name(i)) == 0)
      bits = i;
  for (unsigned i = 0; i < field->count; i++)
    ap_field_set(field, data, i, bits);
}

// The fields of a directive, then what they leave out.
static void parse_record(struct ap_parser *p, enum ap_record record, void *data, enum ap_record also,
                         struct ap_filled *filled) {
  const struct ap_field_info *field;
  parse_fields(p, record, data, also, filled);
  for (unsigned i = 0; !p->line_bad && (field = field_of(record, also, i)); i++) {
    if (filled->given >> i & 1)
      continue;
    if (!*field->fallback)
      ap_parse_error(p, filled->directive, field->meaning, "%s needs %s=", ap_record_directive(record), field->key);
    else if (*field->fallback != '*')
      set_fallback(p, field, data);
  }
  if (!p->line_bad)
    ap_record_complete(p, record, data, filled);
  free(filled->values.items);
}

// A new zeroed record at the end of its list.
static void *push(struct ap_parser *p, enum ap_record record) {
  struct ap_list *list = &p->lists[record];
  size_t size = ap_record_size(record);
  list->items = bf_grow(list->items, list->count, &list->capacity, size);
  return memset(list->items + list->count++ * size, 0, size);
}

static void parse_item(struct ap_parser *p, struct ap_token directive, enum ap_record record, enum ap_name_space space) {
  struct ap_filled filled = {.directive = directive};
  bool ok = ap_parse_item_name(p, space, p->lists[record].count, &filled.name);
  void *data = push(p, record);
  BF_PUSH(p->record_at[record].items, p->record_at[record].count, p->record_at[record].capacity) = directive;
  if (record == AP_RECORD_GRID)
    BF_PUSH(p->grid_ranks.items, p->grid_ranks.count, p->grid_ranks.capacity) = 4;
  if (ok)
    parse_record(p, record, data, record, &filled);
  ap_parse_end_of_line(p);
}

static void parse_network(struct ap_parser *p, struct ap_token directive) {
  struct ap_filled filled = {.directive = directive};
  if (p->has_network)
    ap_parse_error(p, directive, NULL, "this directive stands here a second time");
  p->has_network = true;
  parse_record(p, AP_RECORD_PROGRAM, p->program, AP_RECORD_PROGRAM, &filled);
  p->has_tech = ap_filled_has(&filled, AP_RECORD_PROGRAM, "tech");
  p->has_vdd = ap_filled_has(&filled, AP_RECORD_PROGRAM, "vdd");
  ap_parse_end_of_line(p);
}

// Does `=` stand behind the current token?
static bool key_follows(const struct ap_parser *p) {
  size_t at = p->at;
  const struct ap_frame *frame = &p->frames.items[p->frame];
  struct ap_token next = ap_lex(frame->text, frame->length, &at);
  return next.kind == AP_TOKEN_PUNCT && frame->text[next.begin] == '=';
}

void ap_parse_layer(struct ap_parser *p, struct ap_token directive) {
  struct ap_layer layer = {.first = (uint32_t)p->code.count};
  struct ap_filled filled = {.directive = directive};
  const struct ap_field_info *name = ap_record_field(AP_RECORD_LAYER, 0);
  ap_main_end(p);
  if (p->token.kind == AP_TOKEN_WORD && !key_follows(p)) {
    filled.given = 1;
    parse_text_value(p, name, &layer);
  }
  parse_record(p, AP_RECORD_LAYER, &layer, AP_RECORD_LINE, &filled);
  ap_parse_end_of_line(p);
  ap_parse_code(p, directive);
  layer.end = (uint32_t)p->code.count;
  ap_layer_complete(p, &layer, !ap_filled_has(&filled, AP_RECORD_LAYER, "columns_used"),
                    !ap_filled_has(&filled, AP_RECORD_LAYER, "output"));
  memcpy(push(p, AP_RECORD_LAYER), &layer, sizeof layer);
}

void ap_main_begin(struct ap_parser *p) {
  const struct ap_field_info *field;
  if (p->in_main)
    return;
  p->in_main = true;
  struct ap_layer *layer = push(p, AP_RECORD_LAYER);
  for (unsigned i = 0; (field = ap_record_field(AP_RECORD_LAYER, i)); i++)
    if (*field->fallback && *field->fallback != '*')
      set_fallback(p, field, layer);
  layer->name = p->mains ? bf_arena_format(&p->program->arena, "main%u", p->mains + 1)
                         : bf_arena_strdup(&p->program->arena, "main");
  layer->first = (uint32_t)p->code.count;
  p->mains++;
}

void ap_main_end(struct ap_parser *p) {
  struct ap_list *list = &p->lists[AP_RECORD_LAYER];
  if (!p->in_main)
    return;
  struct ap_layer *layer = (struct ap_layer *)(void *)list->items + list->count - 1;
  layer->end = (uint32_t)p->code.count;
  ap_layer_complete(p, layer, true, true);
  p->in_main = false;
}

bool ap_parse_record_directive(struct ap_parser *p, struct ap_token directive) {
  static const struct { enum ap_record record; enum ap_name_space space; } ITEMS[] = {
      {AP_RECORD_TENSOR, AP_NAME_TENSOR}, {AP_RECORD_GRID, AP_NAME_GRID}, {AP_RECORD_DESC, AP_NAME_DESC},
      {AP_RECORD_HOST, AP_NAME_HOST}};
  for (size_t i = 0; i < BF_COUNT(ITEMS); i++)
    if (ap_token_is(p, directive, ap_record_directive(ITEMS[i].record))) {
      parse_item(p, directive, ITEMS[i].record, ITEMS[i].space);
      return true;
    }
  if (ap_token_is(p, directive, ap_record_directive(AP_RECORD_PROGRAM)))
    parse_network(p, directive);
  else if (ap_token_is(p, directive, ap_record_directive(AP_RECORD_LAYER)))
    ap_parse_layer(p, directive);
  else
    return false;
  return true;
}
