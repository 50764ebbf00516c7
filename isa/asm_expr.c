// SPDX-License-Identifier: Apache-2.0
// Expressions of the assembly text, by precedence climbing. Their numbers are integers between -2^64 and 2^64;
// a result outside is an error, never a wrap.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "isa/asm.h"

#define LIMIT ((ap_int)1 << 64)
#define MAX_DEPTH 64

struct op { char first, second; int level; };
static const struct op OPS[] = {{'|', 0, 1}, {'^', 0, 2}, {'&', 0, 3},   {'<', '<', 4}, {'>', '>', 4},
                                {'+', 0, 5}, {'-', 0, 5}, {'*', 0, 6}, {'/', 0, 6}, {'%', 0, 6}};

static bool parse_level(struct ap_parser *p, int level, unsigned depth, ap_int *out);

// Of the operator at the current token, or NULL. A shift is two characters with nothing between them.
static const struct op *current_op(const struct ap_parser *p) {
  const struct ap_frame *frame = &p->frames.items[p->token.frame];
  for (size_t i = 0; i < BF_COUNT(OPS); i++)
    if (ap_parse_is(p, OPS[i].first) &&
        (!OPS[i].second || (p->token.end < frame->length && frame->text[p->token.end] == OPS[i].second)))
      return &OPS[i];
  return NULL;
}

static ap_int floor_div(ap_int a, ap_int b) {
  ap_int q = a / b;
  return a % b && (a < 0) != (b < 0) ? q - 1 : q;
}

// NULL, or what is wrong.
static const char *apply(char op, ap_int a, ap_int b, ap_int *out) {
  if ((op == '/' || op == '%') && b == 0)
    return "division by zero";
  if ((op == '<' || op == '>') && (b < 0 || b > 64))
    return "shift by a number outside 0..64";
  if ((op == '*' && a && (a > 0 ? a : -a) > LIMIT / (b ? (b > 0 ? b : -b) : 1)))
    return "the number is outside -2^64..2^64";
  switch (op) {
  case '|': *out = a | b; break;
  case '^': *out = a ^ b; break;
  case '&': *out = a & b; break;
  case '<':
    if (a > LIMIT >> b || a < -(LIMIT >> b))
      return "the number is outside -2^64..2^64";
    *out = a * ((ap_int)1 << b);
    break;
  case '>': *out = floor_div(a, (ap_int)1 << b); break;
  case '+': *out = a + b; break;
  case '-': *out = a - b; break;
  case '*': *out = a * b; break;
  case '/': *out = floor_div(a, b); break;
  default: *out = a - floor_div(a, b) * b; break;
  }
  return *out > LIMIT || *out < -LIMIT ? "the number is outside -2^64..2^64" : NULL;
}

// width(field), col(field)
static bool parse_function(struct ap_parser *p, bool width, ap_int *out) {
  struct ap_field field;
  ap_parse_next(p);
  if (!ap_parse_expect(p, '(') || !ap_parse_field(p, &field) || !ap_parse_expect(p, ')'))
    return false;
  *out = width ? field.width : field.col;
  return true;
}

static bool parse_word(struct ap_parser *p, ap_int *out) {
  size_t length;
  const char *text = ap_parse_text(p, &length);
  if (text[0] >= '0' && text[0] <= '9') {
    uint64_t value;
    if (!ap_number_text(text, length, UINT64_MAX, &value))
      return ap_parse_expected(p, "a number below 2^64 (12, 0x1f, 0b101)");
    *out = (ap_int)value;
    ap_parse_next(p);
    return true;
  }
  if (ap_parse_word_is(p, "width") || ap_parse_word_is(p, "col"))
    return parse_function(p, ap_parse_word_is(p, "width"), out);
  const struct ap_symbol *symbol = ap_symbol_find(p, AP_NAME_VALUE, text, length);
  if (!symbol) {
    ap_symbol_unknown(p, AP_NAME_VALUE, p->token);
    return false;
  }
  *out = symbol->value;
  ap_parse_next(p);
  return true;
}

static bool parse_primary(struct ap_parser *p, unsigned depth, ap_int *out) {
  if (depth > MAX_DEPTH) {
    ap_parse_error(p, p->token, NULL, "the expression nests too deeply");
    return false;
  }
  if (ap_parse_accept(p, '('))
    return parse_level(p, 1, depth + 1, out) && ap_parse_expect(p, ')');
  if (ap_parse_accept(p, '-')) {
    if (!parse_primary(p, depth + 1, out))
      return false;
    *out = -*out;
    return true;
  }
  if (ap_parse_accept(p, '~')) {
    struct ap_token where = p->token;
    if (!parse_primary(p, depth + 1, out))
      return false;
    *out = -*out - 1;
    if (*out < -LIMIT)
      ap_parse_error(p, where, NULL, "the number is outside -2^64..2^64");
    return !p->line_bad;
  }
  return p->token.kind == AP_TOKEN_WORD ? parse_word(p, out) : ap_parse_expected(p, "a number");
}

static bool parse_level(struct ap_parser *p, int level, unsigned depth, ap_int *out) {
  if (!parse_primary(p, depth, out))
    return false;
  for (const struct op *op; (op = current_op(p)) && op->level >= level;) {
    struct ap_token where = p->token;
    ap_int right;
    ap_parse_next(p);
    if (op->second)
      ap_parse_next(p);
    if (!parse_level(p, op->level + 1, depth + 1, &right))
      return false;
    const char *why = apply(op->first, *out, right, out);
    if (why) {
      ap_parse_error(p, where, NULL, "%s", why);
      return false;
    }
  }
  return true;
}

bool ap_parse_expr(struct ap_parser *p, ap_int *out) { return parse_level(p, 1, 0, out); }

static void int_text(ap_int value, char out[32]) {
  ap_int size = value < 0 ? -value : value;
  if (size > UINT64_MAX)
    snprintf(out, 32, "%s2^64", value < 0 ? "-" : "");
  else
    snprintf(out, 32, "%s%llu", value < 0 ? "-" : "", (unsigned long long)size);
}

bool ap_parse_range(struct ap_parser *p, ap_int low, ap_int high, ap_int *out) {
  char from[32], to[32], got[32];
  struct ap_token where = p->token;
  int_text(low, from);
  int_text(high, to);
  if (p->token.kind != AP_TOKEN_WORD && !ap_parse_is(p, '(') && !ap_parse_is(p, '-') && !ap_parse_is(p, '~')) {
    char *what = bf_format("a number from %s to %s", from, to);
    ap_parse_expected(p, what);
    free(what);
    return false;
  }
  if (!ap_parse_expr(p, out))
    return false;
  if (*out >= low && *out <= high)
    return true;
  // All of the expression; the current token is the one behind it.
  if (p->token.frame == where.frame && p->token.begin > where.begin) {
    const char *text = p->frames.items[where.frame].text;
    where.end = p->token.begin;
    while (where.end > where.begin + 1 && (text[where.end - 1] == ' ' || text[where.end - 1] == '\t'))
      where.end--;
  }
  int_text(*out, got);
  ap_parse_error(p, where, NULL, "%s is outside %s..%s", got, from, to);
  return false;
}

bool ap_parse_u64(struct ap_parser *p, uint64_t limit, uint64_t *out) {
  ap_int value;
  if (!ap_parse_range(p, 0, (ap_int)limit, &value))
    return false;
  *out = (uint64_t)value;
  return true;
}

bool ap_parse_bits(struct ap_parser *p, unsigned bits, uint64_t *out) {
  ap_int value;
  if (bits < 1 || bits > 64)
    bits = 64;
  if (!ap_parse_range(p, -((ap_int)1 << (bits - 1)), ((ap_int)1 << bits) - 1, &value))
    return false;
  *out = (uint64_t)value & UINT64_MAX >> (64 - bits);
  return true;
}

bool ap_parse_item(struct ap_parser *p, enum ap_name_space space, uint64_t limit, uint64_t *out) {
  size_t length;
  const char *text = ap_parse_text(p, &length);
  if (space == AP_NAME_VALUE || p->token.kind != AP_TOKEN_WORD || (text[0] >= '0' && text[0] <= '9'))
    return ap_parse_u64(p, limit, out);
  const struct ap_symbol *symbol = ap_symbol_find(p, space, text, length);
  if (!symbol && ap_symbol_find(p, AP_NAME_VALUE, text, length))
    return ap_parse_u64(p, limit, out);
  if (!symbol) {
    ap_symbol_unknown(p, space, p->token);
    return false;
  }
  *out = (uint64_t)symbol->value;
  ap_parse_next(p);
  return true;
}
