// SPDX-License-Identifier: Apache-2.0
// The assembler's small steps: errors, tokens, strings, lines, blocks.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "isa/asm.h"

void ap_parser_init(struct ap_parser *p, const struct bf_source *source, struct bf_diags *diags) {
  *p = (struct ap_parser){.source = source, .diags = diags, .program = ap_program_new(), .line_start = true,
                           .last_bad = SIZE_MAX};
  struct ap_frame first = {.text = source->text, .length = source->length, .what = "text"};
  BF_PUSH(p->frames.items, p->frames.count, p->frames.capacity) = first;
  p->program->source.data = bf_arena_strdup(&p->program->arena, "");
  ap_parse_next(p);
}

void ap_parser_free(struct ap_parser *p) {
  for (size_t i = 1; i < p->frames.count; i++)
    free(p->frames.items[i].text);
  free(p->frames.items);
  free(p->macros.items);
  free(p->temps.items);
  free(p->open.items);
  free(p->grid_ranks.items);
  free(p->code_at.items);
  free(p->micro_at.items);
  free(p->table_at.items);
  free(p->pattern_at.items);
  free(p->stream_at.items);
  free(p->profile_at.items);
  for (unsigned i = 0; i < AP_RECORD_COUNT; i++)
    free(p->record_at[i].items);
  ap_symbols_free(&p->symbols);
}

// What led to a text that macros made, innermost first.
static void notes(struct ap_parser *p, struct ap_token where, bool exact) {
  const struct ap_frame *frame = &p->frames.items[where.frame];
  if (where.frame && !exact) {
    size_t begin = where.begin, end = where.begin;
    while (begin && frame->text[begin - 1] != '\n')
      begin--;
    while (end < frame->length && frame->text[end] != '\n')
      end++;
    while (begin < end && (frame->text[begin] == ' ' || frame->text[begin] == '\t'))
      begin++;
    int shown = end - begin < 120 ? (int)(end - begin) : 120;
    ap_parse_note(p, where, "the line reads: %.*s", shown, frame->text + begin);
  }
  // The innermost and the outermost call say most.
  for (unsigned n = 0; where.frame; n++) {
    frame = &p->frames.items[where.frame];
    where = frame->call;
    if (n == 0 || where.frame == 0)
      ap_parse_note(p, where, "in a %s that was expanded from here", frame->what);
  }
}

size_t ap_parse_most_errors(const struct ap_parser *p) { return p->has_version ? AP_ASM_MAX_ERRORS : 1; }

static void error_text(struct ap_parser *p, struct ap_token where, const char *hint, const char *fmt, va_list args) {
  // One error for a line: what follows on it is seldom meant.
  if (p->line_bad)
    return;
  p->line_bad = true;
  p->again = false;
  if (++p->errors > ap_parse_most_errors(p))
    return;
  bool exact;
  struct bf_range place = ap_macro_place(p, where, &exact);
  // What is wrong in one round of a repetition is so in the others.
  if (where.frame && place.begin == p->last_bad) {
    p->errors--;
    p->again = true;
    return;
  }
  p->last_bad = place.begin;
  char *text = bf_vformat(fmt, args);
  bf_error_at(p->diags, place, hint, "%s", text);
  free(text);
  notes(p, where, exact);
}

void ap_parse_error(struct ap_parser *p, struct ap_token where, const char *hint, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  error_text(p, where, hint, fmt, args);
  va_end(args);
}

void ap_parse_unknown(struct ap_parser *p, struct ap_token where, const char *const *names, size_t count,
                      const char *fmt, ...) {
  size_t length;
  const char *text = ap_token_text(p, where, &length);
  char *word = bf_strndup(text, length < 64 ? length : 64);
  const char *near = bf_nearest(word, names, count);
  char *hint = near ? bf_format("did you mean %s?", near) : NULL;
  va_list args;
  va_start(args, fmt);
  error_text(p, where, hint, fmt, args);
  va_end(args);
  free(hint);
  free(word);
}

void ap_parse_note(struct ap_parser *p, struct ap_token where, const char *fmt, ...) {
  if (p->errors > ap_parse_most_errors(p) || p->again)
    return;
  bool exact;
  va_list args;
  va_start(args, fmt);
  char *text = bf_vformat(fmt, args);
  va_end(args);
  bf_note_at(p->diags, ap_macro_place(p, where, &exact), "%s", text);
  free(text);
}

void ap_parse_next(struct ap_parser *p) { ap_macro_next(p); }

const char *ap_token_text(const struct ap_parser *p, struct ap_token token, size_t *length) {
  *length = token.end - token.begin;
  return p->frames.items[token.frame].text + token.begin;
}

const char *ap_parse_text(const struct ap_parser *p, size_t *length) { return ap_token_text(p, p->token, length); }

bool ap_token_is(const struct ap_parser *p, struct ap_token token, const char *word) {
  size_t length;
  const char *text = ap_token_text(p, token, &length);
  return token.kind == AP_TOKEN_WORD && strlen(word) == length && memcmp(text, word, length) == 0;
}

bool ap_parse_word_is(const struct ap_parser *p, const char *word) { return ap_token_is(p, p->token, word); }

bool ap_parse_is(const struct ap_parser *p, char punct) {
  size_t length;
  return p->token.kind == AP_TOKEN_PUNCT && *ap_parse_text(p, &length) == punct;
}

bool ap_parse_accept(struct ap_parser *p, char punct) {
  if (!ap_parse_is(p, punct))
    return false;
  ap_parse_next(p);
  return true;
}

// "found …" for messages.
static void describe(const struct ap_parser *p, char out[48]) {
  size_t length;
  const char *text = ap_parse_text(p, &length);
  if (p->token.kind == AP_TOKEN_END)
    strcpy(out, "the end of the file");
  else if (p->token.kind == AP_TOKEN_NEWLINE)
    strcpy(out, "the end of the line");
  else {
    size_t n = length < 40 ? length : 40;
    out[0] = '\'';
    memcpy(out + 1, text, n);
    strcpy(out + 1 + n, "'");
  }
}

bool ap_parse_expected(struct ap_parser *p, const char *what) {
  char found[48];
  describe(p, found);
  ap_parse_error(p, p->token, NULL, "expected %s, found %s", what, found);
  return false;
}

bool ap_parse_expect(struct ap_parser *p, char punct) {
  char what[4] = {'\'', punct, '\'', 0};
  return ap_parse_accept(p, punct) ? true : ap_parse_expected(p, what);
}

bool ap_number_text(const char *text, size_t length, uint64_t limit, uint64_t *out) {
  unsigned base = 10;
  if (length > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'b')) {
    base = text[1] == 'x' ? 16 : 2;
    text += 2;
    length -= 2;
  }
  uint64_t value = 0;
  for (size_t i = 0; i < length; i++) {
    unsigned c = (unsigned char)text[i];
    unsigned digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10
                     : c >= 'A' && c <= 'F' ? c - 'A' + 10 : 99;
    if (digit >= base || !bf_mul_limit(value, base, UINT64_MAX, &value) || digit > UINT64_MAX - value)
      return false;
    value += digit;
  }
  *out = value;
  return length > 0 && value <= limit;
}

bool ap_parse_prefixed(struct ap_parser *p, const char *prefix, uint64_t limit, uint64_t *out) {
  size_t length, n = strlen(prefix);
  const char *text = ap_parse_text(p, &length);
  if (p->token.kind != AP_TOKEN_WORD || length <= n || memcmp(text, prefix, n) != 0 ||
      !ap_number_text(text + n, length - n, limit, out)) {
    char what[64];
    snprintf(what, sizeof what, "%s0..%s%llu", prefix, prefix, (unsigned long long)limit);
    return ap_parse_expected(p, what);
  }
  ap_parse_next(p);
  return true;
}

static int hex(char c) {
  return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool ap_parse_string(struct ap_parser *p, struct bf_buf *out) {
  if (p->token.kind != AP_TOKEN_STRING)
    return ap_parse_expected(p, "a quoted text");
  const char *text = p->frames.items[p->token.frame].text;
  size_t end = p->token.end - 1;
  for (size_t i = p->token.begin + 1; i < end; i++) {
    char c = text[i];
    if (c == '\\') {
      c = text[++i];
      if (c == 'n')
        c = '\n';
      else if (c == 't')
        c = '\t';
      else if (c == 'x' && end - i > 2 && hex(text[i + 1]) >= 0 && hex(text[i + 2]) >= 0) {
        c = (char)(hex(text[i + 1]) * 16 + hex(text[i + 2]));
        i += 2;
      } else if (c != '"' && c != '\\') {
        ap_parse_error(p, (struct ap_token){AP_TOKEN_BAD, p->token.frame, i - 1, i + 1},
                       "known are \\n, \\t, \\\\, \\\" and \\xHH", "unknown escape in a text");
        return false;
      }
    }
    bf_buf_append(out, &c, 1);
  }
  ap_parse_next(p);
  return true;
}

void ap_parse_end_of_line(struct ap_parser *p) {
  if (!p->line_bad && p->token.kind != AP_TOKEN_NEWLINE && p->token.kind != AP_TOKEN_END)
    ap_parse_expected(p, "the end of the line");
  while (p->token.kind != AP_TOKEN_NEWLINE && p->token.kind != AP_TOKEN_END)
    ap_parse_next(p);
  if (p->token.kind == AP_TOKEN_END)
    return;  // a bad last line says enough: what its end leaves open is no second error
  p->line_bad = false;
  ap_parse_next(p);
}

bool ap_parse_block_line(struct ap_parser *p, struct ap_token opening) {
  if (p->errors >= ap_parse_most_errors(p))  // the rest is not looked at, however long macros make it
    return false;
  while (p->token.kind == AP_TOKEN_NEWLINE)
    ap_parse_next(p);
  if (p->token.kind == AP_TOKEN_END) {
    ap_parse_error(p, opening, "each block ends with a line .end", "the block is not closed");
    return false;
  }
  if (!ap_parse_word_is(p, ".end"))
    return true;
  p->raw = false;
  ap_parse_next(p);
  ap_parse_end_of_line(p);
  return false;
}

bool ap_parse_item_name(struct ap_parser *p, enum ap_name_space space, size_t number, struct ap_token *name) {
  size_t length;
  const char *text = ap_parse_text(p, &length);
  struct ap_token where = p->token;
  uint64_t value;
  *name = (struct ap_token){0};
  if (p->token.kind != AP_TOKEN_WORD)
    return ap_parse_expected(p, "a name or a number");
  if (text[0] < '0' || text[0] > '9') {
    struct ap_symbol *symbol = ap_symbol_define(p, space, where);
    if (!symbol)
      return false;
    symbol->value = (ap_int)number;
    *name = where;
    ap_parse_next(p);
    return true;
  }
  if (!ap_parse_u64(p, UINT32_MAX, &value))
    return false;
  if (value == number)
    return true;
  ap_parse_error(p, where, "items of a kind are numbered 0, 1, 2, … in order", "number %llu where %zu comes next",
                 (unsigned long long)value, number);
  return false;
}
