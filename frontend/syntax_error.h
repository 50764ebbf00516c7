// SPDX-License-Identifier: Apache-2.0
// Wording of syntax errors. Internal to the front end.
#ifndef BFN_SYNTAX_ERROR_H
#define BFN_SYNTAX_ERROR_H

#include "frontend/ast.h"

struct bfn_syntax {
  struct bfn_loc loc;     // of the token found
  const char *found;      // its symbol
  const char **names;     // symbols of the tokens expected
  size_t count;
  bool name_expected;     // then the contextual words are not listed one by one
};
void bfn_syntax_error(struct bfn_parse *p, const struct bfn_syntax *error);

// Checks the text as a whole before the scan: its length. False: an error was added.
bool bfn_syntax_admit(struct bfn_parse *p);

struct bfn_loc bfn_span(struct bfn_loc first, struct bfn_loc last);

#endif
