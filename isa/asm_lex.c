// SPDX-License-Identifier: Apache-2.0
#include "isa/asm.h"

static bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
         c == '-' || c == '+';
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
  struct ap_token token = {AP_TOKEN_STRING, at, at + 1};
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

struct ap_token ap_lex(const struct bf_source *source, size_t *at) {
  const char *text = source->text;
  size_t end = source->length, begin = skip_blanks(text, *at, end);
  struct ap_token token = {AP_TOKEN_PUNCT, begin, begin + 1};
  if (begin >= end) {
    token = (struct ap_token){AP_TOKEN_END, end, end};
  } else if (text[begin] == '\n') {
    token.kind = AP_TOKEN_NEWLINE;
  } else if (text[begin] == '"') {
    token = lex_string(text, begin, end);
  } else if (is_word(text[begin])) {
    token.kind = AP_TOKEN_WORD;
    while (token.end < end && is_word(text[token.end]))
      token.end++;
  } else if (text[begin] < 33 || text[begin] > 126) {
    token.kind = AP_TOKEN_BAD;
  }
  *at = token.end;
  return token;
}
