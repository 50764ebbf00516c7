// SPDX-License-Identifier: Apache-2.0
// The .bfn front end: text and weights to a verified graph. docs/language.md defines the
// language.
#ifndef BFN_H
#define BFN_H

#include "base/bf_diag.h"
#include "base/bf_npy.h"
#include "ir/graph.h"

// The member of an archive that may say in UTF-8 text (a uint8 array) where the weights come from. Its first line goes with
// the network into every report ("synthetic (seed 1)"); further lines are for readers of the archive.
#define BF_BFN_ABOUT "__about__"

// A member that the text wants and that is to be made.
struct bf_bfn_want {
  const char *member;
  bool scales;             // the constant's scales (real numbers), not its values
  uint64_t count;          // how many
  struct bf_type type;     // of the constant
  unsigned rank;           // of the constant
  const uint64_t *shape;
};

struct bf_bfn_options {
  uint32_t batch;  // images a run: multiplies the leading dimension of all inputs; 0 means 1
  // Not NULL: no archive is read, members are made as the text wants them. `make` fills `out`, whose dtype, rank, shape and
  // elements are set (values: the smallest integer type; scales: float32) and whose data is zeros, or returns false: then
  // it's an error of the text. Each member is made once.
  bool (*make)(void *context, const struct bf_bfn_want *want, struct bf_array *out);
  void *make_context;
  const char *profiles;     // text of further profiles, appended to what is loaded; NULL: none (not for bf_bfn_compile)
  const char *profiles_name;  // their file, for diagnostics
  struct bf_archive *made;  // if not NULL: receives the members, in the order of the text (caller frees)
};

// Compiles `source`. Constants come from `weights` (may be NULL: then every constant needs inline
// values); it is only read, and not needed afterwards. `options` may be NULL.
// Returns a graph that passed bf_graph_verify, which the caller frees with bf_graph_free, or NULL
// after adding at least one error to `diags`. Warnings may be added either way.
struct bf_graph *bf_bfn_compile(const struct bf_source *source, const struct bf_archive *weights,
                                const struct bf_bfn_options *options, struct bf_diags *diags);

// The archive that the text names by `weights "…";`, as written (relative to the .bfn file),
// or NULL if it names none. The caller frees it.
char *bf_bfn_weights_name(const struct bf_source *source);

// The path of the archive of the .bfn file at `path` with the text `source`: the name in the text, beside
// the file, or the file's own name with .npz. The caller frees it.
char *bf_bfn_archive_path(const char *path, const struct bf_source *source);

// Reads the file at `path` and, if a constant needs it, the archive beside it: the one that the text
// names, else the .bfn file's own name with .npz. Otherwise as bf_bfn_compile.
struct bf_graph *bf_bfn_load(const char *path, const struct bf_bfn_options *options,
                             struct bf_diags *diags);

// The text with the options' profiles behind it, as a source of that name.
const struct bf_source *bf_bfn_with_profiles(const char *path, const char *text, size_t length, const struct bf_bfn_options *options,
                                             struct bf_diags *diags);

// Tables for tools and tests: names of operators and of their options, in a fixed order; NULL
// beyond the last. Sugar (relu, flatten, …) included.
const char *bf_bfn_op_name(size_t index);
const char *bf_bfn_option_name(size_t index);
// Whether `word` is reserved and can't name a tensor, layer or block.
bool bf_bfn_reserved(const char *word);

#endif
