// SPDX-License-Identifier: Apache-2.0
// JSON input: read whole, checked at the door, diagnostics with places.
#ifndef BFX_JSON_FILE_H
#define BFX_JSON_FILE_H

#include <jansson.h>

#include "base/bf_diag.h"

#define BFX_MAX_JSON_BYTES ((size_t)16 << 20)

struct bfx_json {
  json_t *root;  // an object; bfx_json_free
  const struct bf_source *source;
};

// False: an error was added.
bool bfx_json_read(const char *path, struct bfx_json *out, struct bf_diags *diags);
void bfx_json_free(struct bfx_json *file);

// Where the text of the file has the string "name" first; the file's beginning if it has it nowhere (or `name` is NULL).
struct bf_range bfx_json_place(const struct bfx_json *file, const char *name);
// A number from 0 to `largest`. False: an error was added at `name`, which calls the number `what`.
bool bfx_json_number(const struct bfx_json *file, const json_t *value, const char *name, const char *what, double largest,
                     double *out, struct bf_diags *diags);
// The object's member, which must be of the kind; NULL and an error if it isn't there or of another kind.
json_t *bfx_json_member(const struct bfx_json *file, const json_t *object, const char *key, json_type kind, struct bf_diags *diags);
// Widths are written "1" to "16". 0 and an error if the text is no width.
unsigned bfx_json_bits(const struct bfx_json *file, const char *text, const char *name, struct bf_diags *diags);

#endif
