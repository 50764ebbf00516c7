// SPDX-License-Identifier: Apache-2.0
// Rows of a study as a text table, CSV and JSON.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/bfexplore/study.h"

#define MAX_COLUMNS 32

// The value as text by the column's format; "-" where a row has none.
static void cell(const json_t *row, const struct bfx_column *column, char *out, size_t size) {
  const json_t *value = json_object_get(row, column->key);
  if (json_is_string(value)) {
    snprintf(out, size, "%s", json_string_value(value));
  } else if (json_is_integer(value)) {
    snprintf(out, size, "%lld", (long long)json_integer_value(value));
  } else if (json_is_real(value) && column->format[0] == '%' && strcmp(column->format, "%s") && strcmp(column->format, "%d")) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(out, size, column->format, json_real_value(value));
#pragma GCC diagnostic pop
  } else if (json_is_boolean(value)) {
    snprintf(out, size, "%s", json_is_true(value) ? "yes" : "no");
  } else {
    snprintf(out, size, "-");
  }
}

static void print_row(const struct bfx_study *s, const json_t *row, const size_t *width, struct bf_buf *out) {
  char text[128];
  for (size_t c = 0; s->columns[c].key; c++) {
    bool left = !strcmp(s->columns[c].format, "%s");
    if (row) {
      cell(row, &s->columns[c], text, sizeof text);
    } else {
      snprintf(text, sizeof text, "%s", s->columns[c].head);
    }
    bf_buf_printf(out, left ? "%s%-*s" : "%s%*s", c ? "  " : "", (int)width[c], text);
  }
  while (out->length > 0 && out->data[out->length - 1] == ' ') {
    out->data[--out->length] = 0;
  }
  bf_buf_puts(out, "\n");
}

void bfx_study_print_text(const struct bfx_study *s, struct bf_buf *out) {
  size_t width[MAX_COLUMNS] = {0}, i;
  char text[128];
  const json_t *row, *last = NULL;
  for (size_t c = 0; s->columns[c].key && c < MAX_COLUMNS; c++) {
    width[c] = strlen(s->columns[c].head);
    json_array_foreach(s->rows, i, row) {
      cell(row, &s->columns[c], text, sizeof text);
      width[c] = strlen(text) > width[c] ? strlen(text) : width[c];
    }
  }
  print_row(s, NULL, width, out);
  json_array_foreach(s->rows, i, row) {
    const json_t *group = s->group ? json_object_get(row, s->group) : NULL;
    if (i > 0 && group && !json_equal(group, last)) {
      bf_buf_puts(out, "\n");
    }
    print_row(s, row, width, out);
    last = group;
  }
  if (s->notes.length) {
    bf_buf_puts(out, "\n");
    bf_buf_append(out, s->notes.data, s->notes.length);
  }
}

static void csv_text(const char *text, struct bf_buf *out) {
  if (!strpbrk(text, ",\"\r\n")) {
    bf_buf_puts(out, text);
    return;
  }
  bf_buf_puts(out, "\"");
  for (; *text; text++) {
    bf_buf_append(out, text, 1);
    if (*text == '"') {
      bf_buf_puts(out, "\"");
    }
  }
  bf_buf_puts(out, "\"");
}

static void csv_value(const json_t *value, struct bf_buf *out) {
  char text[40];
  if (json_is_string(value)) {
    csv_text(json_string_value(value), out);
  } else if (json_is_integer(value)) {
    bf_buf_printf(out, "%lld", (long long)json_integer_value(value));
  } else if (json_is_real(value)) {
    bf_buf_puts(out, bf_double_text(text, json_real_value(value)));
  } else if (json_is_boolean(value)) {
    bf_buf_puts(out, json_is_true(value) ? "1" : "0");
  }
}

void bfx_rows_csv(json_t *rows, struct bf_buf *out) {
  json_t *keys = json_object(), *row;
  const char *key;
  json_t *value;
  size_t i;
  json_array_foreach(rows, i, row) {
    json_object_update_missing(keys, row);
  }
  bool first = true;
  json_object_foreach(keys, key, value) {
    bf_buf_printf(out, "%s%s", first ? "" : ",", key);
    first = false;
  }
  bf_buf_puts(out, "\n");
  json_array_foreach(rows, i, row) {
    first = true;
    json_object_foreach(keys, key, value) {
      bf_buf_puts(out, first ? "" : ",");
      csv_value(json_object_get(row, key), out);
      first = false;
    }
    bf_buf_puts(out, "\n");
  }
  json_decref(keys);
}

void bfx_study_print_csv(const struct bfx_study *s, struct bf_buf *out) { bfx_rows_csv(s->rows, out); }

void bfx_study_print_json(const struct bfx_study *s, struct bf_buf *out) {
  json_t *notes = json_array();
  for (const char *at = s->notes.length ? s->notes.data : ""; *at; at += strcspn(at, "\n"), at += *at == '\n') {
    json_array_append_new(notes, json_stringn(at, strcspn(at, "\n")));
  }
  json_t *root = json_pack("{s:i, s:s, s:s, s:O, s:o}", "schema", 1, "study", s->name, "target", s->target, "rows", s->rows, "notes", notes);
  char *text = json_dumps(root, JSON_INDENT(1));
  bf_buf_printf(out, "%s\n", text ? text : "null");
  free(text);
  json_decref(root);
}
