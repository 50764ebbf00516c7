// SPDX-License-Identifier: Apache-2.0
#include "isa/asm.h"

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_' || c == '.';
}

static size_t skip_blanks(const char *text, size_t at, size_t end) {
  while (at < end && (text[at] == ' ' || text[at] == '\t' || text[at] == '\r'))
    at++;
  if (at < end && text[at] == ';')
    while (at < end && text[at] != '\n')
      at++;
  return at;
}

// A string ends on its own line; what its escapes mean is ap_parse_string's matter.
static struct ap_token lex_string(const char *text, size_t at, size_t end) {
  struct ap_token token = {AP_TOKEN_STRING, 0, at, at + 1};
  while (token.end < end && text[token.end] != '"' && text[token.end] != '\n') {
    if (text[token.end] == '\\' && token.end + 1 < end && text[token.end + 1] != '\n')
      token.end++;
    token.end++;
  }
  if (token.end < end && text[token.end] == '"')
    token.end++;
  else
    token.kind = AP_TOKEN_BAD;
  return token;
}

// A word; the sign of a decimal exponent belongs to its number.
static size_t lex_word(const char *text, size_t at, size_t end) {
  bool decimal = is_digit(text[at]);
  for (; at < end; at++) {
    char c = text[at];
    if (decimal && (c == 'e' || c == 'E') && at + 2 < end && (text[at + 1] == '-' || text[at + 1] == '+') &&
        is_digit(text[at + 2])) {
      at++;
      decimal = false;
    } else if (!is_word(c)) {
      break;
    } else if (!is_digit(c) && c != '.') {
      decimal = false;
    }
  }
  return at;
}

struct ap_token ap_lex(const char *text, size_t length, size_t *at) {
  size_t begin = skip_blanks(text, *at, length);
  struct ap_token token = {AP_TOKEN_PUNCT, 0, begin, begin + 1};
  if (begin >= length) {
    token = (struct ap_token){AP_TOKEN_END, 0, length, length};
  } else if (text[begin] == '\n') {
    token.kind = AP_TOKEN_NEWLINE;
  } else if (text[begin] == '"') {
    token = lex_string(text, begin, length);
  } else if (is_word(text[begin])) {
    token.kind = AP_TOKEN_WORD;
    token.end = lex_word(text, begin, length);
  } else if (text[begin] < 33 || text[begin] > 126) {
    token.kind = AP_TOKEN_BAD;
  }
  *at = token.end;
  return token;
}
