// SPDX-License-Identifier: Apache-2.0
// Collecting and rendering diagnostics.
#include "base/bf_diag.h"

#include <stdlib.h>
#include <string.h>

const struct bf_source *bf_diags_add_source(struct bf_diags *diags, const char *name,
                                            const char *text, size_t length) {
  struct bf_source *source = bf_alloc(1, sizeof *source);
  source->name = bf_strdup(name);
  source->text = bf_strndup(text, length);
  source->length = length;
  BF_PUSH(diags->sources, diags->nsources, diags->sources_capacity) = source;
  return source;
}

const struct bf_source *bf_diags_add_joined(struct bf_diags *diags, const char *name, const char *text, size_t length,
                                            const char *part_name, const char *part) {
  struct bf_buf all = {0};
  bf_buf_append(&all, text, length);
  if (length && text[length - 1] != '\n') bf_buf_puts(&all, "\n");
  size_t begin = all.length;
  bf_buf_puts(&all, part);
  bf_diags_add_source(diags, name, bf_buf_cstr(&all), all.length);
  bf_buf_free(&all);
  struct bf_source *source = diags->sources[diags->nsources - 1];
  source->part_name = bf_strdup(part_name);
  source->part = begin;
  return source;
}

static void add(struct bf_diags *diags, enum bf_severity severity, struct bf_range range,
                const char *file, const char *hint, const char *fmt, va_list args) {
  struct bf_diag item = {.severity = severity, .range = range};
  if (!range.source && !file) file = diags->default_file;
  if (file) item.file = bf_strdup(file);
  if (hint) item.hint = bf_strdup(hint);
  item.message = bf_vformat(fmt, args);
  if (severity == BF_ERROR) diags->errors++;
  BF_PUSH(diags->items, diags->count, diags->capacity) = item;
}

static const struct bf_range nowhere = {NULL, BF_NO_OFFSET, BF_NO_OFFSET};

void bf_error_at(struct bf_diags *diags, struct bf_range range, const char *hint,
                 const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  add(diags, BF_ERROR, range, NULL, hint, fmt, args);
  va_end(args);
}

void bf_warning_at(struct bf_diags *diags, struct bf_range range, const char *hint,
                   const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  add(diags, BF_WARNING, range, NULL, hint, fmt, args);
  va_end(args);
}

void bf_note_at(struct bf_diags *diags, struct bf_range range, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  add(diags, BF_NOTE, range, NULL, NULL, fmt, args);
  va_end(args);
}

void bf_error_file(struct bf_diags *diags, const char *file, const char *hint,
                   const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  add(diags, BF_ERROR, nowhere, file, hint, fmt, args);
  va_end(args);
}

void bf_warning_file(struct bf_diags *diags, const char *file, const char *hint,
                     const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  add(diags, BF_WARNING, nowhere, file, hint, fmt, args);
  va_end(args);
}

static size_t clip(const struct bf_source *source, size_t offset) {
  return offset < source->length ? offset : source->length;
}

static size_t line_begin(const struct bf_source *source, size_t offset) {
  while (offset > 0 && source->text[offset - 1] != '\n') offset--;
  return offset;
}

static size_t line_end(const struct bf_source *source, size_t offset) {
  while (offset < source->length && source->text[offset] != '\n') offset++;
  return offset;
}

static bool in_part(const struct bf_source *source, size_t offset) {
  return source->part_name && clip(source, offset) >= source->part;
}

const char *bf_source_file(const struct bf_source *source, size_t offset) {
  return in_part(source, offset) ? source->part_name : source->name;
}

void bf_source_position(const struct bf_source *source, size_t offset, unsigned *line,
                        unsigned *column) {
  offset = clip(source, offset);
  *line = 1;
  for (size_t i = in_part(source, offset) ? source->part : 0; i < offset; i++) *line += source->text[i] == '\n';
  *column = (unsigned)(offset - line_begin(source, offset)) + 1;
}

static const char *severity_name(enum bf_severity severity) {
  return severity == BF_ERROR ? "error" : severity == BF_WARNING ? "warning" : "note";
}

// Longest piece of a line that is quoted; longer lines are cut around the range.
enum { QUOTE_WIDTH = 120, QUOTE_BEFORE = 40 };

// One byte of quoted text: control bytes (a terminal's escape, say) show as '?'.
static char quotable(char c) {
  if (c == '\t') return ' ';
  return (unsigned char)c < 0x20 || c == 0x7f ? '?' : c;
}

// The source line and, below, a caret with a tilde under each further byte.
static void render_quote(struct bf_buf *out, const struct bf_range *range, unsigned line) {
  const struct bf_source *source = range->source;
  size_t at = clip(source, range->begin), stop = clip(source, range->end);
  size_t begin = line_begin(source, at), end = line_end(source, at);
  const char *before = "", *after = "";
  if (end > begin && source->text[end - 1] == '\r') end--;
  if (at > end) at = end;
  if (end - begin > QUOTE_WIDTH) {
    if (at - begin > QUOTE_BEFORE) {
      begin = at - QUOTE_BEFORE;
      before = "...";
    }
    if (end - begin > QUOTE_WIDTH) {
      end = begin + QUOTE_WIDTH;
      after = "...";
    }
  }
  if (stop > end) stop = end;
  bf_buf_printf(out, "%5u | %s", line, before);
  for (size_t i = begin; i < end; i++) bf_buf_append(out, &(char){quotable(source->text[i])}, 1);
  bf_buf_printf(out, "%s\n      | %*s", after, (int)strlen(before), "");
  // Bytes that continue a UTF-8 character take no column of their own.
  for (size_t i = begin; i < at; i++)
    if (((unsigned char)source->text[i] & 0xc0) != 0x80) bf_buf_puts(out, " ");
  bf_buf_puts(out, "^");
  for (size_t i = at + 1; i < stop; i++)
    if (((unsigned char)source->text[i] & 0xc0) != 0x80) bf_buf_puts(out, "~");
  bf_buf_puts(out, "\n");
}

static void render_one(const struct bf_diag *diag, struct bf_buf *out) {
  const char *severity = severity_name(diag->severity);
  if (diag->range.source) {
    unsigned line, column;
    bf_source_position(diag->range.source, diag->range.begin, &line, &column);
    bf_buf_printf(out, "%s:%u:%u: %s: %s\n", bf_source_file(diag->range.source, diag->range.begin), line, column, severity,
                  diag->message);
    render_quote(out, &diag->range, line);
  } else {
    if (diag->file) bf_buf_printf(out, "%s: ", diag->file);
    bf_buf_printf(out, "%s: %s", severity, diag->message);
    // A range of zeros is one nobody filled in.
    if (diag->range.begin != BF_NO_OFFSET && (diag->range.begin || diag->range.end))
      bf_buf_printf(out, " (at byte %zu)", diag->range.begin);
    bf_buf_puts(out, "\n");
  }
  if (diag->hint) bf_buf_printf(out, "hint: %s\n", diag->hint);
}

void bf_diags_render(const struct bf_diags *diags, struct bf_buf *out) {
  for (size_t i = 0; i < diags->count; i++) render_one(&diags->items[i], out);
}

void bf_diags_free(struct bf_diags *diags) {
  for (size_t i = 0; i < diags->count; i++) {
    free((char *)diags->items[i].file);
    free(diags->items[i].message);
    free(diags->items[i].hint);
  }
  for (size_t i = 0; i < diags->nsources; i++) {
    free(diags->sources[i]->name);
    free(diags->sources[i]->part_name);
    free(diags->sources[i]->text);
    free(diags->sources[i]);
  }
  free(diags->items);
  free(diags->sources);
  *diags = (struct bf_diags){.default_file = diags->default_file};
}
