// SPDX-License-Identifier: Apache-2.0
// --top: the class of each image, with names and true classes if they are given.
#include <stdlib.h>
#include <string.h>

#include "tools/aprun/aprun.h"

struct lines { char *text; char **items; size_t count, capacity; };

// The lines of a text file. False and an error if it cannot be read.
static bool read_lines(const char *path, struct lines *out, struct bf_diags *diags) {
  size_t length;
  const char *why;
  if (!bf_read_file(path, &out->text, &length, &why)) {
    bf_error_file(diags, path, NULL, "cannot read: %s", why);
    return false;
  }
  for (char *at = out->text; *at != 0;) {
    size_t line = strcspn(at, "\r\n");
    bool last = at[line] == 0;
    at[line] = 0;
    if (line > 0) {
      BF_PUSH(out->items, out->count, out->capacity) = at;
    }
    at += line + !last;
  }
  return true;
}

static void free_lines(struct lines *lines) {
  free(lines->text);
  free(lines->items);
}

// True classes from a .npy of integers or from lines of numbers.
static bool read_labels(const char *path, int64_t **out, uint64_t *count, struct bf_diags *diags) {
  size_t length = strlen(path);
  if (length > 4 && strcmp(path + length - 4, ".npy") == 0) {
    struct bf_array array = {0};
    if (!bf_npy_read(path, &array, diags)) {
      return false;
    }
    *count = array.elements;
    *out = bf_alloc(array.elements + 1, sizeof **out);
    for (uint64_t i = 0; i < array.elements; i++) {
      (*out)[i] = bf_dtype_is_float(array.dtype) ? (int64_t)-1 : bf_array_int(&array, i);
    }
    bf_array_free(&array);
    return true;
  }
  struct lines lines = {0};
  bool good = read_lines(path, &lines, diags);
  *count = lines.count;
  *out = bf_alloc(lines.count + 1, sizeof **out);
  for (size_t i = 0; i < lines.count && good; i++) {
    char *end;
    (*out)[i] = strtoll(lines.items[i], &end, 10);
    if (*end != 0) {
      bf_error_file(diags, path, NULL, "'%.40s' is no class number", lines.items[i]);
      good = false;
    }
  }
  free_lines(&lines);
  return good;
}

static void print_class(const struct lines *names, int64_t number, struct bf_buf *out) {
  if (number >= 0 && (uint64_t)number < names->count) {
    bf_buf_printf(out, "%s (%lld)", names->items[number], (long long)number);
  } else {
    bf_buf_printf(out, "class %lld", (long long)number);
  }
}

bool print_classes(const struct settings *s, const struct ap_session *session, struct bf_buf *out,
                   struct bf_diags *diags) {
  const struct ap_images *values = &session->values[session->program->outputs[0]];
  struct lines names = {0};
  int64_t *labels = NULL;
  uint64_t nlabels = 0, right = 0, judged = 0;
  bool good = (s->classes == NULL || read_lines(s->classes, &names, diags)) &&
              (s->labels == NULL || read_labels(s->labels, &labels, &nlabels, diags));
  for (uint64_t i = 0; good && i < values->images; i++) {
    const int64_t *q = values->q + i * values->elements;
    int64_t best = 0;
    for (uint64_t e = 1; e < values->elements; e++) {
      best = q[e] > q[best] ? (int64_t)e : best;
    }
    bf_buf_printf(out, "image %llu: predicted ", (unsigned long long)i);
    print_class(&names, best, out);
    if (i < nlabels) {
      bf_buf_puts(out, ", true ");
      print_class(&names, labels[i], out);
      bf_buf_puts(out, labels[i] == best ? "" : "  (wrong)");
      right += labels[i] == best;
      judged++;
    }
    bf_buf_puts(out, "\n");
  }
  if (good && judged > 0) {
    bf_buf_printf(out, "%llu of %llu right\n", (unsigned long long)right, (unsigned long long)judged);
  }
  free_lines(&names);
  free(labels);
  return good;
}
