// SPDX-License-Identifier: Apache-2.0
#include "tools/bfexplore/json_file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/bfexplore/solve.h"

bool bfx_json_read(const char *path, struct bfx_json *out, struct bf_diags *diags) {
  char *text;
  size_t length;
  memset(out, 0, sizeof *out);
  if (!bf_diags_read(diags, path, NULL, &text, &length)) {
    return false;
  }
  if (length > BFX_MAX_JSON_BYTES) {
    bf_error_file(diags, path, NULL, "%zu bytes are more than a file of this kind may have (%zu)", length, BFX_MAX_JSON_BYTES);
    free(text);
    return false;
  }
  out->source = bf_diags_add_source(diags, path, text, length);
  json_error_t error;
  out->root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
  free(text);
  if (!out->root) {
    size_t at = error.position > 0 ? (size_t)error.position - 1 : 0;
    at = at < length ? at : length;
    bf_error_at(diags, (struct bf_range){out->source, at, at + (at < length)}, NULL, "%s", error.text);
    return false;
  }
  if (!json_is_object(out->root)) {
    bf_error_at(diags, (struct bf_range){out->source, 0, 1}, NULL, "an object { … } is expected");
    return false;
  }
  return true;
}

void bfx_json_free(struct bfx_json *file) { json_decref(file->root); }

struct bf_range bfx_json_place(const struct bfx_json *file, const char *name) {
  struct bf_range range = {file->source, 0, file->source->length > 0};
  size_t length = name ? strlen(name) : 0;
  for (const char *at = file->source->text; name && (at = strstr(at, name)) != NULL; at++) {
    if (at > file->source->text && at[-1] == '"' && at[length] == '"') {
      range.begin = (size_t)(at - file->source->text) - 1;
      range.end = range.begin + length + 2;
      break;
    }
    if (length == 0) {
      break;
    }
  }
  return range;
}

bool bfx_json_number(const struct bfx_json *file, const json_t *value, const char *name, const char *what, double largest,
                     double *out, struct bf_diags *diags) {
  if (!json_is_number(value)) {
    bf_error_at(diags, bfx_json_place(file, name), NULL, "%s: %s must be a number", name, what);
    return false;
  }
  *out = json_number_value(value);
  if (!(*out >= 0 && *out <= largest)) {
    bf_error_at(diags, bfx_json_place(file, name), NULL, "%s: %s must lie between 0 and %g, not %g", name, what, largest, *out);
    return false;
  }
  return true;
}

json_t *bfx_json_member(const struct bfx_json *file, const json_t *object, const char *key, json_type kind, struct bf_diags *diags) {
  static const char *const kinds[] = {"an object", "an array", "a string", "an integer", "a number", "true", "false", "null"};
  json_t *value = json_object_get(object, key);
  if (!value) {
    bf_error_at(diags, bfx_json_place(file, NULL), NULL, "there is no member \"%s\"", key);
    return NULL;
  }
  if (json_typeof(value) != kind) {
    bf_error_at(diags, bfx_json_place(file, key), NULL, "\"%s\" must be %s", key, kinds[kind]);
    return NULL;
  }
  return value;
}

unsigned bfx_json_bits(const struct bfx_json *file, const char *text, const char *name, struct bf_diags *diags) {
  char *end;
  unsigned long bits = strspn(text, "0123456789") == strlen(text) && strlen(text) <= 2 ? strtoul(text, &end, 10) : 0;
  if (bits < 1 || bits > BFX_MAX_BITS) {
    bf_error_at(diags, bfx_json_place(file, name), NULL, "%s: \"%s\" is no width; widths are \"1\" to \"16\"", name, text);
    return 0;
  }
  return (unsigned)bits;
}
