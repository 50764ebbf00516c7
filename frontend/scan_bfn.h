// SPDX-License-Identifier: Apache-2.0
// Between scanner and parser of .bfn. Include frontend/parser.tab.h before. Internal.
#ifndef BFN_SCAN_H
#define BFN_SCAN_H

#include "frontend/ast.h"

// The token of a keyword, or 0.
int bfn_keyword(const char *word, size_t length);
// Whether it can't be a name anywhere (contextual words, such as `scale`, can).
bool bfn_keyword_reserved(int token);

// Reports bytes that belong to no token.
void bfn_bad_bytes(struct bfn_parse *p, struct bfn_loc loc);

// The generated scanner, and the layer over it that remembers the token before.
int bfn_yylex(union bfn_value_token *value, struct bfn_loc *loc, void *scanner);
bool bfn_scan_begin(struct bfn_parse *p, void **scanner);
void bfn_scan_end(void *scanner);
int bfn_next_token(union bfn_value_token *value, struct bfn_loc *loc, struct bfn_parse *p, void *scanner);

#endif
