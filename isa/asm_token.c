// SPDX-License-Identifier: Apache-2.0
// The assembler's small steps: tokens, numbers, strings, lines, blocks.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "isa/asm.h"

void ap_parse_error(struct ap_parser *p, struct ap_token where, const char *hint, const char *fmt, ...) {
  // One error for a line: what follows on it is seldom meant.
  if (p->line_bad)
    return;
  p->line_bad = true;
  if (++p->errors > AP_ASM_MAX_ERRORS)
    return;
  va_list args;
  va_start(args, fmt);
  char *text = bf_vformat(fmt, args);
  va_end(args);
  bf_error_at(p->diags, (struct bf_range){p->source, where.begin, where.end}, hint, "%s", text);
  free(text);
}

void ap_parse_next(struct ap_parser *p) { p->token = ap_lex(p->source, &p->at); }

const char *ap_parse_text(const struct ap_parser *p, size_t *length) {
  *length = p->token.end - p->token.begin;
  return p->source->text + p->token.begin;
}

bool ap_parse_is(const struct ap_parser *p, char punct) {
  return p->token.kind == AP_TOKEN_PUNCT && p->source->text[p->token.begin] == punct;
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

static bool expected(struct ap_parser *p, const char *what) {
  char found[48];
  describe(p, found);
  ap_parse_error(p, p->token, NULL, "expected %s, found %s", what, found);
  return false;
}

bool ap_parse_expect(struct ap_parser *p, char punct) {
  char what[4] = {'\'', punct, '\'', 0};
  return ap_parse_accept(p, punct) ? true : expected(p, what);
}

bool ap_parse_word_is(const struct ap_parser *p, const char *word) {
  size_t length;
  const char *text = ap_parse_text(p, &length);
  return p->token.kind == AP_TOKEN_WORD && strlen(word) == length && memcmp(text, word, length) == 0;
}

// Digits of base 10 or, after 0x, of base 16.
static bool digits(const char *text, size_t length, uint64_t limit, uint64_t *out) {
  unsigned base = 10;
  if (length > 2 && text[0] == '0' && text[1] == 'x') {
    base = 16;
    text += 2;
    length -= 2;
  }
  uint64_t value = 0;
  for (size_t i = 0; i < length; i++) {
    unsigned c = (unsigned char)text[i];
    unsigned digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : 99;
    if (digit >= base || !bf_mul_limit(value, base, UINT64_MAX, &value) || digit > UINT64_MAX - value)
      return false;
    value += digit;
  }
  *out = value;
  return length > 0 && value <= limit;
}

bool ap_parse_u64(struct ap_parser *p, uint64_t limit, uint64_t *out) {
  size_t length;
  const char *text = ap_parse_text(p, &length);
  if (p->token.kind != AP_TOKEN_WORD || !digits(text, length, limit, out)) {
    char what[48];
    snprintf(what, sizeof what, "a number up to %llu", (unsigned long long)limit);
    return expected(p, what);
  }
  ap_parse_next(p);
  return true;
}

bool ap_parse_prefixed(struct ap_parser *p, const char *prefix, uint64_t limit, uint64_t *out) {
  size_t length, n = strlen(prefix);
  const char *text = ap_parse_text(p, &length);
  if (p->token.kind != AP_TOKEN_WORD || length <= n || memcmp(text, prefix, n) != 0 ||
      !digits(text + n, length - n, limit, out)) {
    char what[64];
    snprintf(what, sizeof what, "%s0..%s%llu", prefix, prefix, (unsigned long long)limit);
    return expected(p, what);
  }
  ap_parse_next(p);
  return true;
}

static int hex(char c) {
  return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool ap_parse_string(struct ap_parser *p, struct bf_buf *out) {
  if (p->token.kind != AP_TOKEN_STRING)
    return expected(p, "a quoted text");
  const char *text = p->source->text;
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
        ap_parse_error(p, (struct ap_token){AP_TOKEN_BAD, i - 1, i + 1}, "known are \\n, \\t, \\\\, \\\" and \\xHH",
                       "unknown escape in a text");
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
    expected(p, "the end of the line");
  while (p->token.kind != AP_TOKEN_NEWLINE && p->token.kind != AP_TOKEN_END)
    ap_parse_next(p);
  if (p->token.kind == AP_TOKEN_END)
    return;  // a bad last line says enough: what its end leaves open is no second error
  ap_parse_next(p);
  p->line_bad = false;
}

bool ap_parse_block_line(struct ap_parser *p, struct ap_token opening) {
  while (p->token.kind == AP_TOKEN_NEWLINE)
    ap_parse_next(p);
  if (p->token.kind == AP_TOKEN_END) {
    ap_parse_error(p, opening, "each block ends with a line .end", "the block is not closed");
    return false;
  }
  if (!ap_parse_word_is(p, ".end"))
    return true;
  ap_parse_next(p);
  ap_parse_end_of_line(p);
  return false;
}

bool ap_parse_number_is(struct ap_parser *p, size_t wanted) {
  struct ap_token where = p->token;
  uint64_t number;
  if (!ap_parse_u64(p, UINT32_MAX, &number))
    return false;
  if (number == wanted)
    return true;
  ap_parse_error(p, where, "items of a kind are numbered 0, 1, 2, … in order", "number %llu where %zu comes next",
                 (unsigned long long)number, wanted);
  return false;
}
