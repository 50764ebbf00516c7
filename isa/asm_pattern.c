// SPDX-License-Identifier: Apache-2.0
// Numbers of pattern instructions in the assembly text: .pattern name [width=W] [key=K] [base=B] add=[…]
#include <string.h>

#include "isa/asm.h"

// What a directive gives, as written; negative numbers become residues when the width is known.
struct given {
  bool has_width, has_key, has_base, has_add;
  uint64_t width, key;
  ap_int base, add[AP_MAX_PATTERN_INPUTS];
  unsigned inputs;
};

static bool parse_number(struct ap_parser *p, ap_int *out) {
  return ap_parse_range(p, INT64_MIN, UINT64_MAX, out);
}

static bool parse_adds(struct ap_parser *p, struct given *given) {
  if (!ap_parse_expect(p, '['))
    return false;
  do {
    if (given->inputs == AP_MAX_PATTERN_INPUTS) {
      ap_parse_error(p, p->token, NULL, "more than %u numbers", AP_MAX_PATTERN_INPUTS);
      return false;
    }
    if (!parse_number(p, &given->add[given->inputs++]))
      return false;
  } while (ap_parse_accept(p, ','));
  return ap_parse_expect(p, ']');
}

static bool parse_value(struct ap_parser *p, unsigned key, struct given *given) {
  switch (key) {
  case 0: return ap_parse_u64(p, AP_MAX_WIDTH, &given->width);
  case 1: return ap_parse_u64(p, ((uint64_t)1 << AP_MAX_PATTERN_KEY) - 1, &given->key);
  case 2: return parse_number(p, &given->base);
  default: return parse_adds(p, given);
  }
}

static bool parse_keys(struct ap_parser *p, struct given *given) {
  static const char *const KEYS[] = {"width", "key", "base", "add"};
  bool *seen[] = {&given->has_width, &given->has_key, &given->has_base, &given->has_add};
  while (p->token.kind == AP_TOKEN_WORD) {
    unsigned i = 0;
    while (i < BF_COUNT(KEYS) && !ap_parse_word_is(p, KEYS[i]))
      i++;
    if (i == BF_COUNT(KEYS)) {
      ap_parse_unknown(p, p->token, KEYS, BF_COUNT(KEYS), "unknown field of .pattern");
      return false;
    }
    if (*seen[i]) {
      ap_parse_error(p, p->token, NULL, "this field is given twice");
      return false;
    }
    *seen[i] = true;
    ap_parse_next(p);
    if (!ap_parse_expect(p, '=') || !parse_value(p, i, given))
      return false;
  }
  return true;
}

// The residue of a number modulo 2^width.
static bool residue(struct ap_parser *p, struct ap_token where, const struct given *given, ap_int number, uint64_t *out) {
  unsigned width = given->has_width ? (unsigned)given->width : 64;
  ap_int least = given->has_width ? -((ap_int)1 << (width - 1)) : 0;
  if (number < least || number >= (ap_int)1 << width) {
    ap_parse_error(p, where, "numbers of a field of W columns are -2^(W-1)..2^W-1; width=W says how many it has",
                   given->has_width ? "a number of this pattern does not fit its width" : "a negative number without width=");
    return false;
  }
  *out = (uint64_t)number & UINT64_MAX >> (64 - width);
  return true;
}

static bool complete(struct ap_parser *p, struct ap_token where, const struct given *given, struct ap_pattern *pattern) {
  if (!given->has_add) {
    ap_parse_error(p, where, "add=[…] has a number for each bit of field a", ".pattern needs add=");
    return false;
  }
  if (given->has_width && given->width < 1) {
    ap_parse_error(p, where, NULL, "a field is 1 to 64 columns wide");
    return false;
  }
  pattern->inputs = (uint8_t)given->inputs;
  pattern->key = given->key;
  bool fits = residue(p, where, given, given->base, &pattern->base);
  for (unsigned i = 0; i < given->inputs && fits; i++)
    fits = residue(p, where, given, given->add[i], &pattern->add[i]);
  return fits;
}

void ap_parse_pattern(struct ap_parser *p, struct ap_token directive) {
  struct ap_token name;
  struct ap_pattern pattern = {0};
  struct given given = {0};
  if (ap_parse_item_name(p, AP_NAME_PATTERN, p->patterns.count, &name) && parse_keys(p, &given) && !p->line_bad)
    complete(p, directive, &given, &pattern);
  BF_PUSH(p->patterns.items, p->patterns.count, p->patterns.capacity) = pattern;
  BF_PUSH(p->pattern_at.items, p->pattern_at.count, p->pattern_at.capacity) = directive;
  ap_parse_end_of_line(p);
}

void ap_asm_print_patterns(const struct ap_program *program, struct bf_buf *out) {
  if (program->npatterns)
    bf_buf_puts(out, "\n");
  for (uint32_t i = 0; i < program->npatterns; i++) {
    const struct ap_pattern *pattern = &program->patterns[i];
    bf_buf_printf(out, ".pattern %u key=%llu base=%llu add=[", i, (unsigned long long)pattern->key,
                  (unsigned long long)pattern->base);
    for (unsigned k = 0; k < pattern->inputs; k++)
      bf_buf_printf(out, "%s%llu", k ? ", " : "", (unsigned long long)pattern->add[k]);
    bf_buf_puts(out, "]\n");
  }
}
