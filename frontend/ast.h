// SPDX-License-Identifier: Apache-2.0
// The syntax tree of a .bfn text. All nodes live in one arena; all lists are singly linked
// through `next`, in order of the text. Internal to the front end.
#ifndef BFN_AST_H
#define BFN_AST_H

#include "base/bf_diag.h"

// A byte range of the source, and the line it begins on.
struct bfn_loc {
  size_t begin, end;
  unsigned line;
};

enum ast_expr_kind {
  AST_INT, AST_REAL, AST_STRING, AST_NAME, AST_LIST, AST_CALL, AST_NEG, AST_ADD, AST_SUB, AST_MUL, AST_DIV
};

// Deepest nesting of an expression; keeps every later recursion bounded.
#define AST_MAX_DEPTH 200

struct ast_expr {
  enum ast_expr_kind kind;
  struct bfn_loc loc;
  unsigned depth;
  struct ast_expr *next;         // in a list
  int64_t integer;               // AST_INT
  double real;                   // AST_INT, AST_REAL
  float single;                  // the literal rounded once, to float32
  char *text;                    // AST_STRING (unquoted), AST_NAME, AST_CALL (callee)
  struct bfn_loc text_loc;       // AST_CALL: the callee
  struct ast_expr *left, *right; // operators; AST_NEG: left; AST_LIST: left is the first item
  struct ast_arg *args;          // AST_CALL
};

struct ast_name {
  char *text;
  struct bfn_loc loc;
  struct ast_expr *value;  // block parameters: the default, or NULL
  struct ast_name *next;
};

// One argument of a call: positional (name == NULL) or `name value`.
struct ast_arg {
  char *name;
  struct bfn_loc loc, name_loc;
  struct ast_expr *value;
  struct ast_arg *next;
};

// `s8[3, 3]`: shape is NULL and has_shape false if there are no brackets.
struct ast_type {
  struct ast_name *name;
  bool has_shape;
  struct ast_expr *shape;
  struct bfn_loc loc;
};

// The clauses after a type: scale, zero, axis, from, requantize.
enum ast_clause { CLAUSE_SCALE, CLAUSE_ZERO, CLAUSE_AXIS, CLAUSE_FROM, CLAUSE_REQUANTIZE, CLAUSE_COUNT };
struct ast_clauses {
  struct ast_expr *value[CLAUSE_COUNT];  // NULL: not given
  struct bfn_loc loc[CLAUSE_COUNT];      // keyword and value
};

enum ast_stmt_kind { AST_WEIGHTS, AST_INPUT, AST_CONST, AST_LAYER, AST_OUTPUT, AST_PROFILE };

struct ast_profile_entry {
  struct ast_name *layer, *words;
  struct bfn_loc loc;
  struct ast_profile_entry *next;
};

struct ast_stmt {
  enum ast_stmt_kind kind;
  struct bfn_loc loc;
  struct ast_name *names;       // what is defined; OUTPUT: what is named
  struct ast_type *type;        // INPUT, CONST; LAYER: after `->`, or NULL
  struct ast_clauses *clauses;  // with type
  struct ast_expr *value;       // CONST: after `=`, or NULL; WEIGHTS: the string; LAYER: the call
  struct ast_profile_entry *entries;
  struct ast_stmt *next;
};

struct ast_block {
  struct ast_name *name, *params, *outputs;
  struct ast_stmt *body;
  struct ast_block *next;
};

struct ast_file {
  struct ast_expr *version;
  struct ast_block *blocks;
  struct ast_name *network;  // NULL if there is none
  struct ast_stmt *body;
  struct ast_stmt *profiles;  // beside the network
};

// A list under construction is a ring held by its last node, so that appending takes constant
// time: BFN_JOIN appends `node` to `ring` (NULL: empty), BFN_HEAD opens the ring into a list.
#define BFN_JOIN(ring, node)              \
  ({                                      \
    __typeof__(node) node_ = (node);      \
    __typeof__(node) ring_ = (ring);      \
    node_->next = ring_ ? ring_->next : node_; \
    if (ring_) ring_->next = node_;       \
    node_;                                \
  })
#define BFN_HEAD(ring)                    \
  ({                                      \
    __typeof__(ring) ring_ = (ring), head_ = ring_ ? ring_->next : NULL; \
    if (ring_) ring_->next = NULL;        \
    head_;                                \
  })

// State of one parse, shared by scanner and parser.
struct bfn_parse {
  const struct bf_source *source;
  struct bf_diags *diags;
  struct bf_arena *arena;
  struct ast_file *file;
  size_t offset;              // of the scanner
  unsigned line;
  bool space;                 // white space before the token being scanned
  int last_token;             // the token before, and its place
  struct bfn_loc last_loc;
  size_t errors;
};

struct bf_range bfn_range(const struct bf_source *source, struct bfn_loc loc);
struct ast_expr *ast_expr(struct bfn_parse *p, enum ast_expr_kind kind, struct bfn_loc loc);
// A number from its text, with an error if it does not fit.
struct ast_expr *ast_number(struct bfn_parse *p, const char *text, bool real, struct bfn_loc loc);
struct ast_expr *ast_text(struct bfn_parse *p, enum ast_expr_kind kind, char *text, struct bfn_loc loc);
struct ast_expr *ast_binary(struct bfn_parse *p, enum ast_expr_kind kind, struct ast_expr *left,
                            struct ast_expr *right, struct bfn_loc loc);
struct ast_expr *ast_list(struct bfn_parse *p, struct ast_expr *items, struct bfn_loc loc);
struct ast_expr *ast_call(struct bfn_parse *p, struct ast_name *callee, struct ast_arg *args,
                          struct bfn_loc loc);
struct ast_name *ast_name(struct bfn_parse *p, char *text, struct bfn_loc loc);
struct ast_arg *ast_arg(struct bfn_parse *p, struct ast_name *name, struct ast_expr *value,
                        struct bfn_loc loc);
struct ast_stmt *ast_stmt(struct bfn_parse *p, enum ast_stmt_kind kind, struct bfn_loc loc);
void ast_add_clause(struct bfn_parse *p, struct ast_clauses *clauses, enum ast_clause which,
                    struct ast_expr *value, struct bfn_loc loc);
void ast_add_network(struct bfn_parse *p, struct ast_name *name, struct ast_stmt *body);

// Parses the whole text. The tree lives in `arena`; NULL after errors were added.
struct ast_file *bfn_parse_text(const struct bf_source *source, struct bf_arena *arena,
                                struct bf_diags *diags);

#endif
