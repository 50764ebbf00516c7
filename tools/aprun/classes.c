// SPDX-License-Identifier: Apache-2.0
// --top: the class of each image, with names and true classes if they are given.
#include <stdlib.h>
#include <string.h>

#include "tools/aprun/aprun.h"

// The lines of a text file. False and an error if it cannot be read.
static bool read_lines(const char *path, struct class_lines *out, struct bf_diags *diags) {
  size_t length;
  if (!bf_diags_read(diags, path, NULL, &out->text, &length)) {
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

static void free_lines(struct class_lines *lines) {
  free(lines->text);
  free(lines->items);
}

static bool read_label_lines(const char *path, int64_t **out, uint64_t *count, struct bf_diags *diags) {
  struct class_lines lines = {0};
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

// True classes from a .npy of integers or from lines of numbers.
static bool read_labels(const char *path, int64_t **out, uint64_t *count, struct bf_diags *diags) {
  size_t length = strlen(path);
  struct bf_array array = {0};
  if (length <= 4 || strcmp(path + length - 4, ".npy") != 0) {
    return read_label_lines(path, out, count, diags);
  }
  if (!bf_npy_read(path, &array, diags)) {
    return false;
  }
  bool whole = !bf_dtype_is_float(array.dtype);
  *count = array.elements;
  *out = bf_alloc(array.elements + 1, sizeof **out);
  for (uint64_t i = 0; whole && i < array.elements; i++) {
    (*out)[i] = bf_array_int(&array, i);
  }
  bf_array_free(&array);
  if (!whole) {
    bf_error_file(diags, path, NULL, "class numbers are integers");
  }
  return whole;
}

static bool check_labels(const struct classes *c, const char *path, uint64_t count, uint64_t images, uint64_t nclasses,
                         struct bf_diags *diags) {
  if (count < images) {
    bf_error_file(diags, path, "give the true class of each image", "%llu label%s for %llu images", (unsigned long long)count,
                  count == 1 ? "" : "s", (unsigned long long)images);
    return false;
  }
  for (uint64_t i = 0; i < images; i++) {
    if (c->labels[i] < 0 || (uint64_t)c->labels[i] >= nclasses) {
      bf_error_file(diags, path, NULL, "the label of image %llu is %lld; the first output has classes 0 to %llu", (unsigned long long)i,
                    (long long)c->labels[i], (unsigned long long)(nclasses - 1));
      return false;
    }
  }
  return true;
}

bool classes_read(struct classes *c, const struct settings *s, const struct ap_program *p, uint64_t images, struct bf_diags *diags) {
  uint64_t count;
  if (s->classes != NULL && !read_lines(s->classes, &c->names, diags)) {
    return false;
  }
  if (s->labels == NULL || p->noutputs == 0) {
    return true;
  }
  const struct ap_tensor *output = &p->tensors[p->outputs[0]];
  return read_labels(s->labels, &c->labels, &count, diags) &&
         check_labels(c, s->labels, count, images, ap_tensor_elements(output) / p->batch, diags);
}

void classes_free(struct classes *c) {
  free_lines(&c->names);
  free(c->labels);
}

static void print_class(const struct class_lines *names, int64_t number, struct bf_buf *out) {
  if (number >= 0 && (uint64_t)number < names->count) {
    bf_buf_printf(out, "%s (%lld)", names->items[number], (long long)number);
  } else {
    bf_buf_printf(out, "class %lld", (long long)number);
  }
}

void print_classes(const struct classes *c, const struct ap_session *session, struct bf_buf *out) {
  const struct ap_images *values = &session->values[session->program->outputs[0]];
  uint64_t right = 0;
  for (uint64_t i = 0; i < values->images; i++) {
    const int64_t *q = values->q + i * values->elements;
    int64_t best = 0;
    for (uint64_t e = 1; e < values->elements; e++) {
      best = q[e] > q[best] ? (int64_t)e : best;
    }
    bf_buf_printf(out, "image %llu: predicted ", (unsigned long long)i);
    print_class(&c->names, best, out);
    if (c->labels != NULL) {
      bf_buf_puts(out, ", true ");
      print_class(&c->names, c->labels[i], out);
      bf_buf_puts(out, c->labels[i] == best ? "" : "  (wrong)");
      right += c->labels[i] == best;
    }
    bf_buf_puts(out, "\n");
  }
  if (c->labels != NULL && values->images > 0) {
    bf_buf_printf(out, "%llu of %llu right\n", (unsigned long long)right, (unsigned long long)values->images);
  }
}
