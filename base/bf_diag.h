// SPDX-License-Identifier: Apache-2.0
// Diagnostics: messages with a position, collected by the libraries and
// rendered by whoever asked. The libraries themselves never print.
#ifndef BF_DIAG_H
#define BF_DIAG_H

#include "base/bf_base.h"

// A text file whose lines diagnostics quote. Owned by the bf_diags.
struct bf_source {
  char *name;     // as shown to the user
  char *text;     // NUL-terminated copy
  size_t length;
  char *part_name;  // of the file that the text is from, from byte `part` on; NULL: all of it is of one file
  size_t part;
};

// A byte range of a source. source == NULL: no position in a text; `offset`
// may then be a byte offset of a binary file (or BF_NO_OFFSET).
#define BF_NO_OFFSET UINT64_MAX
struct bf_range {
  const struct bf_source *source;
  size_t begin, end;
};

enum bf_severity { BF_ERROR, BF_WARNING, BF_NOTE };

struct bf_diag {
  enum bf_severity severity;
  struct bf_range range;
  const char *file;  // for diagnostics without a source text, or NULL
  char *message;
  char *hint;        // NULL or a way out, shown on a line of its own
};

struct bf_diags {
  struct bf_diag *items;
  size_t count, capacity;
  size_t errors;             // number of BF_ERROR items
  struct bf_source **sources;
  size_t nsources, sources_capacity;
  const char *default_file;  // file of diagnostics without a range; not owned; may be NULL
};

// Adds a source (name and text are copied); lives as long as `diags`.
const struct bf_source *bf_diags_add_source(struct bf_diags *diags, const char *name,
                                            const char *text, size_t length);
// The same of two texts, one behind the other, of files that keep their names and lines. A line feed ends the first, if it has none.
const struct bf_source *bf_diags_add_joined(struct bf_diags *diags, const char *name, const char *text, size_t length,
                                            const char *part_name, const char *part);
// Adds one error with a range; `hint` (may be NULL) is copied.
void bf_error_at(struct bf_diags *diags, struct bf_range range, const char *hint,
                 const char *fmt, ...) BF_PRINTF(4, 5);
void bf_warning_at(struct bf_diags *diags, struct bf_range range, const char *hint,
                   const char *fmt, ...) BF_PRINTF(4, 5);
void bf_note_at(struct bf_diags *diags, struct bf_range range, const char *fmt, ...) BF_PRINTF(3, 4);
// Adds one error about a whole file (`file` is copied; NULL: default_file).
void bf_error_file(struct bf_diags *diags, const char *file, const char *hint,
                   const char *fmt, ...) BF_PRINTF(4, 5);
void bf_warning_file(struct bf_diags *diags, const char *file, const char *hint,
                     const char *fmt, ...) BF_PRINTF(4, 5);

// Whole files, as bf_read_file and bf_write_file have them, with an error about the file if that fails; `hint` may be NULL.
bool bf_diags_read(struct bf_diags *diags, const char *path, const char *hint, char **data, size_t *length);
bool bf_diags_write(struct bf_diags *diags, const char *path, const void *data, size_t length);
// A text file as a source, or NULL and an error.
const struct bf_source *bf_diags_read_source(struct bf_diags *diags, const char *path, const char *hint);

// The file of an offset of a source.
const char *bf_source_file(const struct bf_source *source, size_t offset);
// Line and column in that file (from 1, columns in bytes) of an offset of a source.
void bf_source_position(const struct bf_source *source, size_t offset, unsigned *line, unsigned *column);

// Renders all diagnostics: "file:line:column: error: …", the source line, a caret under
// the range, "hint: …". Appends to `out`.
void bf_diags_render(const struct bf_diags *diags, struct bf_buf *out);
void bf_diags_free(struct bf_diags *diags);

#endif
