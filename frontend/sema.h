// SPDX-License-Identifier: Apache-2.0
// Semantic analysis of .bfn, shared by its files. Internal to the front end.
//
// A function that fails has reported the error, or met a value that somebody else reported
// (VALUE_ERROR): one slip gives one message.
#ifndef BFN_SEMA_H
#define BFN_SEMA_H

#include "base/bf_npy.h"
#include "frontend/ast.h"
#include "frontend/bfn.h"
#include "ir/graph.h"
#include "ir/names.h"

#define SEMA_MAX_DEPTH 32          // blocks within blocks
#define SEMA_MAX_STATEMENTS 100000 // after expansion
#define SEMA_MAX_CONSTANTS ((uint64_t)1 << 28)  // elements of all constants, of 8 bytes in memory: one number can fill many

enum value_kind {
  VALUE_ERROR, VALUE_INT, VALUE_REAL, VALUE_STRING, VALUE_WORD, VALUE_LIST, VALUE_TENSOR, VALUE_CALL
};

struct value {
  enum value_kind kind;
  struct bfn_loc loc;
  int64_t integer;
  double real;               // INT, REAL
  float single;              // INT, REAL: rounded once
  const char *text;          // STRING, WORD
  struct value *items;       // LIST
  size_t count;
  struct bf_tensor *tensor;
  const struct ast_expr *call;  // CALL: `word(arguments)`, to be read in `scope`
  struct scope *scope;
};

struct symbol {
  const char *name;
  struct value value;
  struct bfn_loc loc;
  bool used, quiet;  // quiet: no warning if it is not used (parameters)
};

// A body being analysed: the network's, or one instance of a block. Blocks see no names but their
// own: there is no parent to look names up in.
struct scope {
  struct bf_names index;      // name -> symbols[]
  struct symbol *symbols;
  size_t count, capacity;
  struct bf_names pending;    // names that statements of this body define -> statements[]
  const struct ast_stmt **statements;
  size_t nstatements, statements_capacity;
  struct bf_names renamed;    // outputs of a block -> targets[]: their names in the graph
  const char **targets;
  const char *self;           // name of the instance, NULL for the network
  const struct ast_block *block;
  struct scope *caller;
  unsigned depth;
};

struct sema {
  const struct bf_source *source;
  const struct bf_archive *weights;
  const char *weights_path;   // of an archive read when first needed, or NULL
  const struct bf_bfn_options *options;  // or NULL
  struct bf_archive loaded;   // read or made
  bool loading_failed;
  uint32_t batch;
  struct bf_diags *diags;
  struct bf_arena arena;      // lives as long as the analysis
  const struct ast_file *file;
  struct bf_graph *graph;
  struct bf_names names;      // all tensors of the graph
  struct bf_names layers;
  struct bf_names blocks;     // -> position in the list
  const struct ast_block **block_list;
  size_t statements;
  uint64_t constants;         // elements so far
  bool stopped;               // a limit was hit; say nothing more
};

// --- sema.c ---
// Adds an error; `hint` may be NULL. Always false.
bool sema_error(struct sema *s, struct bfn_loc loc, const char *hint, const char *fmt, ...) BF_PRINTF(4, 5);
void sema_note(struct sema *s, struct bfn_loc loc, const char *fmt, ...) BF_PRINTF(3, 4);
// "did you mean `x`?" in the arena, or NULL.
const char *sema_nearest(struct sema *s, const char *name, const char *const *names, size_t count);
// Analyses the statements of a body in order.
void sema_body(struct sema *s, struct scope *scope, const struct ast_stmt *body);
// "[1, 8, 8, 16]" in the arena.
const char *sema_shape_text(struct sema *s, unsigned rank, const uint64_t *shape);

// --- sema_scope.c ---
void scope_prepare(struct sema *s, struct scope *scope, const struct ast_stmt *body);
void scope_free(struct scope *scope);
struct symbol *scope_find(const struct scope *scope, const char *name);
// Defines a name; a second definition is an error, after which neither says more.
void scope_define(struct sema *s, struct scope *scope, const struct ast_name *name, struct value value,
                  bool quiet);
// Reports a name that nothing defines (yet), seen in the statement `where` (may be NULL).
bool scope_unknown(struct sema *s, struct scope *scope, const char *name, struct bfn_loc loc,
                   const struct ast_stmt *where, const char *what);
// The name in the graph of what a body calls `name` (arena or text of the tree).
const char *scope_full_name(struct sema *s, const struct scope *scope, const char *name);
void scope_warn_unused(struct sema *s, const struct scope *scope);

// --- sema_expr.c ---
struct value sema_eval(struct sema *s, struct scope *scope, const struct ast_expr *expr);
// Whole number in [lo, hi]; `what` names it in messages ("stride").
bool sema_integer(struct sema *s, const struct value *v, int64_t lo, int64_t hi, const char *what, int64_t *out);
bool sema_real(struct sema *s, const struct value *v, const char *what, double *out);
// One number, a list (nested ones are flattened) or a string that names a member of the archive. The result is
// in the arena `into`.
bool sema_integers(struct sema *s, const struct value *v, const char *what, struct bf_arena *into,
                   int64_t **out, uint64_t *count);
bool sema_floats(struct sema *s, const struct value *v, const char *what, struct bf_arena *into,
                 float **out, uint64_t *count);
// Reports a value of the wrong kind.
bool sema_wrong_kind(struct sema *s, const struct value *v, const char *what, const char *wanted);

// --- sema_const.c ---
// A member of the archive, or NULL after an error at `loc`.
const struct bf_array *sema_member(struct sema *s, const char *name, struct bfn_loc loc, const char *what);
// Makes a member where the options ask for that and it isn't there yet; what is not made will be missed by sema_member.
void sema_make_member(struct sema *s, const struct bf_bfn_want *want);
bool sema_type(struct sema *s, struct scope *scope, const struct ast_type *type, struct bf_type *out);
// Scale, zero and axis of a tensor of this type; rank 0: axis is not allowed, one scale only.
bool sema_quant(struct sema *s, struct scope *scope, const struct ast_clauses *clauses, struct bf_type type,
                unsigned rank, const uint64_t *shape, struct bf_quant *out);
// Clauses that have no meaning here: one error each.
bool sema_only_clauses(struct sema *s, const struct ast_clauses *clauses, unsigned allowed, const char *where);
void sema_input(struct sema *s, struct scope *scope, const struct ast_stmt *stmt);
void sema_const(struct sema *s, struct scope *scope, const struct ast_stmt *stmt);
// Activations have 1 to 16 bits.
bool sema_activation_type(struct sema *s, struct bf_type type, struct bfn_loc loc);
// Adds the batch to a shape as written; false with an error if it is no shape of a tensor.
bool sema_extents(struct sema *s, struct bfn_loc loc, unsigned rank, const uint64_t *shape);
bool sema_batch_shape(struct sema *s, struct bfn_loc loc, unsigned *rank, uint64_t *shape);
// A new tensor of the graph with the shape checked and the name taken; NULL after an error.
struct bf_tensor *sema_tensor(struct sema *s, const char *full_name, struct bfn_loc loc, struct bf_type type,
                              unsigned rank, const uint64_t *shape);

// --- sema_layer.c ---
enum option_id {
#define BFN_OPTION(id, name) OPT_##id,
#include "frontend/bfn_options.def"
  OPTION_COUNT
};
enum result_rule { R_REQUANTIZES, R_TYPED, R_KEEPS };

struct layer {
  struct sema *s;
  struct scope *scope;
  const struct ast_stmt *stmt;
  const struct ast_expr *call;
  const struct op_row *row;
  struct bfn_loc *operand_locs;
  struct value options[OPTION_COUNT];  // .loc.end == 0: not given
  struct bf_node node;              // op, inputs and attrs as they are worked out
  bool typed;                       // a type stands after `->`
  struct bf_type type;
  struct bf_quant quant;
  unsigned reshape_rank;            // RESHAPE: the target
  uint64_t reshape[BF_MAX_RANK];
};

struct op_row {
  const char *name;
  enum bf_op op;
  int min, max;
  unsigned options;
  enum result_rule result;
  bool (*build)(struct layer *layer);
};
extern const struct op_row bfn_op_rows[];
extern const size_t bfn_op_count;

void sema_layer(struct sema *s, struct scope *scope, const struct ast_stmt *stmt);
bool layer_has(const struct layer *layer, enum option_id option);

// --- sema_ops.c, sema_elementwise.c, sema_move.c ---
#define BFN_OP(word, ...) bool bfn_build_##word(struct layer *layer);
#include "frontend/bfn_ops.def"
// `option 3` or `option [y, x]`, at least `lo`; leaves `out` alone if it is not given.
bool layer_pair(struct layer *layer, enum option_id option, const char *name, int64_t lo, int32_t out[2]);
// `axis` as written, from the end if negative; `standard` if it is not given.
bool layer_axis(struct layer *layer, int64_t standard, int *out);
bool layer_need_rank(struct layer *layer, unsigned operand, unsigned rank, const char *what);

// --- sema_requant.c ---
// Requantization of the result: the clause if there is one, else TensorFlow Lite's. `real` holds the exact
// factors in double (count 1 or channels), `single` the same in float32 arithmetic.
struct factors {
  uint64_t count;
  uint64_t mean_of;  // the sum is of this many elements and the result their mean; 0 or 1: it isn't
  const double *real;
  const float *single;
};
bool layer_requant(struct layer *layer, const struct factors *factors, uint64_t channels,
                   enum bf_requant_mode standard);
// Requantization of an operand by an explicit option (in0, in1).
bool layer_in_requant(struct layer *layer, const struct value *v, uint64_t channels, struct bf_requant *out);
// Clamp bounds from the option `activation`, on the quantization `quant` of `type`.
bool layer_activation(struct layer *layer, struct bf_type type, const struct bf_quant *quant);
void layer_bounds(const struct bf_quant *quant, struct bf_type type, double lo, double hi,
                  struct bf_requant *out);

// --- sema_block.c ---
void sema_collect_blocks(struct sema *s);
// The layers of a call of a block; false if `callee` names none.
bool sema_block_call(struct sema *s, struct scope *scope, const struct ast_stmt *stmt);

// --- sema_profile.c ---
void sema_profile(struct sema *s, struct scope *scope, const struct ast_stmt *stmt);

#endif
