// SPDX-License-Identifier: Apache-2.0
#include "ir/scan.h"

#include <string.h>

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool is_word_start(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

// The byte at `at`, NUL at the end (a NUL inside the text is a bad token like any other).
static char peek(const struct bf_scanner *s, size_t at) {
  return at < s->source->length ? s->source->text[at] : '\0';
}

static void skip_space(struct bf_scanner *s) {
  for (;;) {
    char c = peek(s, s->at);
    if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
      s->at++;
    } else if (c == '#') {
      while (s->at < s->source->length && s->source->text[s->at] != '\n') s->at++;
    } else {
      return;
    }
  }
}

static void scan_digits(struct bf_scanner *s) {
  while (is_digit(peek(s, s->at))) s->at++;
}

static void scan_number(struct bf_scanner *s) {
  s->token = BF_TOKEN_NUMBER;
  if (peek(s, s->at) == '-') s->at++;
  scan_digits(s);
  if (peek(s, s->at) == '.') {
    s->at++;
    scan_digits(s);
  }
  char e = peek(s, s->at);
  if (e != 'e' && e != 'E') return;
  size_t digits = s->at + 1;
  if (peek(s, digits) == '+' || peek(s, digits) == '-') digits++;
  if (!is_digit(peek(s, digits))) return;
  s->at = digits;
  scan_digits(s);
}

static void scan_string(struct bf_scanner *s) {
  for (s->at++; s->at < s->source->length; s->at++) {
    char c = s->source->text[s->at];
    if (c == '\n') break;
    if (c == '\\') {
      s->at++;
    } else if (c == '"') {
      s->at++;
      s->token = BF_TOKEN_STRING;
      return;
    }
  }
  if (s->at > s->source->length) s->at = s->source->length;
  s->token = BF_TOKEN_BAD;
}

void bf_scan_next(struct bf_scanner *s) {
  skip_space(s);
  s->begin = s->at;
  char c = peek(s, s->at), next = peek(s, s->at + 1);
  if (s->at >= s->source->length) {
    s->token = BF_TOKEN_END;
  } else if (is_word_start(c)) {
    s->token = BF_TOKEN_WORD;
    while (is_word_start(peek(s, s->at)) || is_digit(peek(s, s->at))) s->at++;
  } else if (is_digit(c) || (c == '-' && is_digit(next))) {
    scan_number(s);
  } else if (c == '"') {
    scan_string(s);
  } else if (c == '-' && next == '>') {
    s->token = BF_TOKEN_ARROW;
    s->at += 2;
  } else {
    s->token = c && strchr(":;,()[]{}=", c) ? BF_TOKEN_MARK : BF_TOKEN_BAD;
    s->at++;
  }
  s->end = s->at;
}

void bf_scan_start(struct bf_scanner *s, const struct bf_source *source) {
  *s = (struct bf_scanner){.source = source};
  bf_scan_next(s);
}

bool bf_scan_is(const struct bf_scanner *s, const char *text) {
  size_t length = strlen(text);
  return s->token != BF_TOKEN_END && s->token != BF_TOKEN_STRING && s->end - s->begin == length &&
         memcmp(s->source->text + s->begin, text, length) == 0;
}

static int hex(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool bf_scan_string(const struct bf_scanner *s, struct bf_buf *out) {
  const char *p = s->source->text + s->begin + 1, *end = s->source->text + s->end - 1;
  while (p < end) {
    char c = *p++;
    if (c == '\\') {
      if (p >= end) return false;
      c = *p++;
      if (c == 'n') {
        c = '\n';
      } else if (c == 'x') {
        if (end - p < 2 || hex(p[0]) < 0 || hex(p[1]) < 0) return false;
        c = (char)(hex(p[0]) * 16 + hex(p[1]));
        p += 2;
      } else if (c != '"' && c != '\\') {
        return false;
      }
    }
    if (!c) return false;
    bf_buf_append(out, &c, 1);
  }
  return true;
}
