// SPDX-License-Identifier: Apache-2.0
// Tokens of the graph text (.bfir).
#ifndef BF_IR_SCAN_H
#define BF_IR_SCAN_H

#include "base/bf_diag.h"

enum bf_token {
  BF_TOKEN_END,
  BF_TOKEN_WORD,    // a letter or '_', then letters, digits, '_'
  BF_TOKEN_STRING,  // "…", with \n \" \\ \xHH
  BF_TOKEN_NUMBER,  // [-]digits[.digits][e[+-]digits]
  BF_TOKEN_ARROW,   // ->
  BF_TOKEN_MARK,    // one of : ; , ( ) [ ] { } =
  BF_TOKEN_BAD      // anything else
};

struct bf_scanner {
  const struct bf_source *source;
  size_t at;              // where the next token is looked for
  enum bf_token token;    // the current token
  size_t begin, end;      // its bytes
};

// Starts at the first token.
void bf_scan_start(struct bf_scanner *scanner, const struct bf_source *source);
void bf_scan_next(struct bf_scanner *scanner);
// Is the current token this word or mark?
bool bf_scan_is(const struct bf_scanner *scanner, const char *text);
// Appends the characters a string token means; false if an escape is wrong or gives NUL.
bool bf_scan_string(const struct bf_scanner *scanner, struct bf_buf *out);

#endif
