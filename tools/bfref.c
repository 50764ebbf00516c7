// SPDX-License-Identifier: Apache-2.0
// bfref: the reference evaluator's command line.
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/bf_npy.h"
#include "frontend/load.h"
#include "ir/profile.h"
#include "ir/reference.h"
#include "tools/common/diagnostics.h"

#define TOOL_OPTION_ROWS "tools/bfref/options.def"
#include "tools/common/option_rows.h"

enum status { STATUS_DONE = 0, STATUS_WRONG = 1 };

// "NAME=FILE" or "FILE" of an option that may come several times.
struct binding {
  char *name;  // NULL: not given
  const char *file;
};

struct bindings {
  struct binding *items;
  size_t count, capacity;
};

struct settings {
  const char *network, *layers, *profile, *profiles;
  struct bindings inputs, outputs;
};

// One observed tensor: the values of all runs, one after the other.
struct record {
  const struct bf_tensor *tensor;
  char *path;
  struct bf_array array;
};

struct records {
  struct record *items;
  size_t count, capacity;
};

struct session {
  struct settings settings;
  struct bf_diags diags;
  struct bf_graph *graph;        // of the profile
  struct bf_graph *loaded;       // what it was made from
  struct image {
    struct bf_array array;
    const char *file;
  } *images;                     // by tensor id; of inputs only
  uint64_t runs;
  bool stacked;                  // images have one more dimension in front than the network's input
  const struct bf_tensor *lead;  // the first input: its leading dimension is the batch
  struct records records;
};

static int usage(const char *fmt, const char *what) { return tool_wrong_usage("bfref", fmt, what); }

static void help(void) {
  puts("Usage: bfref [OPTION]... INPUT\n\nRuns the network INPUT (.bfn, .tflite, .onnx or .bfir) on the reference evaluator.\n");
  tool_options_help(rows, NROWS, 26);
  puts("\nSeveral inputs or outputs are given by name, or in the network's order.\n"
       "Exit status: 0 done, 1 the input is wrong, 2 wrong usage.");
}

// ---- command line

static void bind(struct bindings *list, const char *text) {
  const char *equals = strchr(text, '='), *slash = strchr(text, '/');
  struct binding b = {NULL, text};
  if (equals && equals > text && (!slash || equals < slash)) {
    b.name = bf_strndup(text, (size_t)(equals - text));
    b.file = equals + 1;
  }
  BF_PUSH(list->items, list->count, list->capacity) = b;
}

static int take(void *settings, int id, const char *arg) {
  struct settings *s = settings;
  switch (id) {
    case OPTION_INPUT: bind(&s->inputs, arg); return -1;
    case OPTION_OUTPUT: bind(&s->outputs, arg); return -1;
    case OPTION_DUMP: s->layers = arg; return -1;
    case OPTION_PROFILE: s->profile = arg; return -1;
    case OPTION_PROFILES: s->profiles = arg; return -1;
    case OPTION_HELP: help(); return STATUS_DONE;
    default: puts("bfref " BF_VERSION); return STATUS_DONE;
  }
}

// Fills `s`; -1: go on, else the exit status.
static int parse_options(int argc, char **argv, struct settings *s) {
  int status = tool_options_parse(rows, NROWS, argc, argv, usage, take, s);
  if (status >= 0) return status;
  if (optind >= argc) return usage("no network given%s", "");
  if (optind + 1 < argc) return usage("one network at a time; what is '%s'?", argv[optind + 1]);
  if (!s->inputs.count) return usage("--input is missing%s", "");
  if (!s->outputs.count && !s->layers) return usage("--output is missing%s", "");
  s->network = argv[optind];
  return -1;
}

// ---- inputs

static bool is_end(const struct bf_tensor *t, bool inputs) { return inputs ? t->is_input : t->is_output; }

// The tensor a binding means: by name, or the `position`-th of its kind.
static const struct bf_tensor *bound(struct session *s, const struct binding *b, size_t position, bool inputs) {
  const char *kind = inputs ? "input" : "output";
  size_t count = 0;
  for (size_t i = 0; i < s->graph->ntensors; i++) {
    const struct bf_tensor *t = s->graph->tensors[i];
    if (!is_end(t, inputs)) continue;
    if (b->name ? strcmp(t->name, b->name) == 0 : count == position) return t;
    count++;
  }
  if (b->name)
    bf_error_file(&s->diags, s->settings.network, NULL, "the network has no %s '%s'", kind, b->name);
  else
    bf_error_file(&s->diags, s->settings.network, NULL, "%s: the network has only %zu %s(s)", b->file, count, kind);
  return NULL;
}

static void put_shape(struct bf_buf *out, unsigned rank, const uint64_t *shape) {
  bf_buf_puts(out, "[");
  for (unsigned i = 0; i < rank; i++) bf_buf_printf(out, "%s%" PRIu64, i ? ", " : "", shape[i]);
  bf_buf_puts(out, "]");
}

// Number of runs the images make, 0 if their shape is wrong. *stacked: one more dimension in front.
static uint64_t count_runs(const struct bf_array *a, const struct bf_tensor *t, bool *stacked) {
  *stacked = a->rank == t->rank + 1;
  if (*stacked) return memcmp(a->shape + 1, t->shape, t->rank * sizeof *t->shape) == 0 ? a->shape[0] : 0;
  size_t tail = (t->rank - 1) * sizeof *t->shape;
  if (a->rank == t->rank && memcmp(a->shape + 1, t->shape + 1, tail) == 0) {
    if (t->rank == 1) return a->shape[0] == t->shape[0];
    return a->shape[0] % t->shape[0] == 0 ? a->shape[0] / t->shape[0] : 0;
  }
  // One image without its batch dimension.
  return a->rank + 1 == t->rank && t->shape[0] == 1 && memcmp(a->shape, t->shape + 1, tail) == 0;
}

static bool check_image(struct session *s, const char *file, const struct bf_array *a, const struct bf_tensor *t) {
  if (a->dtype != BF_DTYPE_I8 && a->dtype != BF_DTYPE_U8 && a->dtype != BF_DTYPE_I16 && a->dtype != BF_DTYPE_U16 &&
      a->dtype != BF_DTYPE_F32) {
    bf_error_file(&s->diags, file, NULL, "dtype %s: an input is int8, uint8, int16, uint16 or float32",
                  bf_dtype_name(a->dtype));
    return false;
  }
  bool stacked;
  uint64_t runs = count_runs(a, t, &stacked);
  if (!runs) {
    struct bf_buf text = {0};
    bf_buf_puts(&text, "shape ");
    put_shape(&text, a->rank, a->shape);
    bf_buf_printf(&text, " does not fit input '%s' of shape ", t->name);
    put_shape(&text, t->rank, t->shape);
    bf_error_file(&s->diags, file, NULL, "%s", bf_buf_cstr(&text));
    bf_buf_free(&text);
    return false;
  }
  if (s->runs && (runs != s->runs || stacked != s->stacked)) {
    bf_error_file(&s->diags, file, NULL, "%" PRIu64 " image(s), but another input has %" PRIu64, runs, s->runs);
    return false;
  }
  s->runs = runs;
  s->stacked = stacked;
  return true;
}

static bool read_inputs(struct session *s) {
  s->images = bf_alloc(s->graph->ntensors, sizeof *s->images);
  for (size_t i = 0; i < s->settings.inputs.count; i++) {
    const struct binding *b = &s->settings.inputs.items[i];
    const struct bf_tensor *t = bound(s, b, i, true);
    if (!t) return false;
    struct image *image = &s->images[t->id];
    if (image->array.data) {
      bf_error_file(&s->diags, b->file, NULL, "input '%s' is given twice", t->name);
      return false;
    }
    image->file = b->file;
    if (!bf_npy_read(b->file, &image->array, &s->diags) || !check_image(s, b->file, &image->array, t)) return false;
  }
  for (size_t i = 0; i < s->graph->ntensors; i++) {
    const struct bf_tensor *t = s->graph->tensors[i];
    if (t->is_input && !s->lead) s->lead = t;
    if (t->is_input && !s->images[i].array.data) {
      bf_error_file(&s->diags, s->settings.network, NULL, "input '%s' has no --input", t->name);
      return false;
    }
  }
  return true;
}

// A real number as TensorFlow Lite quantizes it: in float, rounded half away from zero, clamped.
static bool quantize(float real, const struct bf_tensor *t, int64_t *out) {
  if (isnan(real)) return false;
  float q = roundf(real / bf_quant_scale(&t->quant, 0)) + (float)bf_quant_zero(&t->quant, 0);
  int64_t lo = bf_type_min(t->type), hi = bf_type_max(t->type);
  *out = q <= (float)lo ? lo : q >= (float)hi ? hi : (int64_t)q;
  return true;
}

// Element `at` of the image as an element of the input; false and a diagnostic if it is none.
static bool image_value(struct session *s, const struct image *image, const struct bf_tensor *t, uint64_t at,
                        int64_t *out) {
  if (bf_dtype_is_float(image->array.dtype)) {
    if (quantize((float)bf_array_real(&image->array, at), t, out)) return true;
    bf_error_file(&s->diags, image->file, NULL, "element %" PRIu64 " is not a number", at);
    return false;
  }
  char type[8];
  *out = bf_array_int(&image->array, at);
  if (*out >= bf_type_min(t->type) && *out <= bf_type_max(t->type)) return true;
  bf_error_file(&s->diags, image->file, NULL, "element %" PRIu64 " (%s) is %" PRId64 ", outside %s, the type of input '%s'",
                at, bf_dtype_name(image->array.dtype), *out, bf_type_text(type, t->type), t->name);
  return false;
}

static bool set_input(struct session *s, struct bf_ref_run *run, const struct bf_tensor *t, uint64_t index) {
  int64_t *values = bf_alloc(t->elements, sizeof *values);
  bool ok = true;
  for (uint64_t i = 0; ok && i < t->elements; i++)
    ok = image_value(s, &s->images[t->id], t, index * t->elements + i, &values[i]);
  ok = ok && bf_ref_set_input(run, t, values);
  free(values);
  return ok;
}

// ---- records

static enum bf_dtype dtype_of(struct bf_type type) {
  if (type.kind == BF_TYPE_U) return type.bits <= 8 ? BF_DTYPE_U8 : BF_DTYPE_U16;
  return type.bits <= 8 ? BF_DTYPE_I8 : BF_DTYPE_I16;
}

// Adds a tensor to observe; takes `path`.
static bool observe(struct session *s, const struct bf_tensor *t, char *path) {
  struct record r = {.tensor = t, .path = path, .array = {.dtype = dtype_of(t->type)}};
  BF_PUSH(s->records.items, s->records.count, s->records.capacity) = r;
  struct bf_array *a = &s->records.items[s->records.count - 1].array;
  if (!bf_mul_limit(s->runs, t->elements, BF_MAX_ELEMENTS, &a->elements)) {
    bf_error_file(&s->diags, path, NULL, "too many images for one array");
    return false;
  }
  // Images lie along the batch dimension where the tensor has it, else along one of their own.
  bool along = !s->stacked && t->shape[0] == s->lead->shape[0];
  if (!along && (s->runs > 1 || s->stacked)) a->shape[a->rank++] = s->runs;
  for (unsigned i = 0; i < t->rank; i++) a->shape[a->rank++] = t->shape[i] * (along && i == 0 ? s->runs : 1);
  a->data = bf_alloc(a->elements, bf_dtype_size(a->dtype));
  return true;
}

static bool path_taken(const struct session *s, const char *path) {
  for (size_t i = 0; i < s->records.count; i++)
    if (strcmp(s->records.items[i].path, path) == 0) return true;
  return false;
}

// DIR/LAYER.npy with nothing in the name that a file system could mind, and no two alike.
static char *layer_path(const struct session *s, const char *layer) {
  char *name = bf_strndup(layer, strnlen(layer, 180));
  for (char *p = name; *p; p++)
    if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') || *p == '-' ||
          (*p == '.' && p > name)))
      *p = '_';
  char *path = bf_format("%s/%s.npy", s->settings.layers, name);
  for (unsigned i = 2; path_taken(s, path); i++) {
    free(path);
    path = bf_format("%s/%s_%u.npy", s->settings.layers, name, i);
  }
  free(name);
  return path;
}

static bool choose_records(struct session *s) {
  for (size_t i = 0; i < s->settings.outputs.count; i++) {
    const struct binding *b = &s->settings.outputs.items[i];
    const struct bf_tensor *t = bound(s, b, i, false);
    if (!t || !observe(s, t, bf_strdup(b->file))) return false;
  }
  for (size_t i = 0; s->settings.layers && i < s->graph->nnodes; i++)
    if (!observe(s, s->graph->nodes[i]->output, layer_path(s, s->graph->nodes[i]->name))) return false;
  return true;
}

static void keep(struct record *r, const int64_t *values, uint64_t index) {
  size_t size = bf_dtype_size(r->array.dtype);
  char *at = (char *)r->array.data + index * r->tensor->elements * size;
  for (uint64_t i = 0; i < r->tensor->elements; i++, at += size) {
    if (size == 1)
      *at = (char)values[i];
    else
      memcpy(at, &(uint16_t){(uint16_t)values[i]}, sizeof(uint16_t));
  }
}

static bool evaluate(struct session *s) {
  struct bf_ref_run *run = bf_ref_new(s->graph);
  bool ok = true;
  for (uint64_t index = 0; ok && index < s->runs; index++) {
    for (size_t i = 0; ok && i < s->graph->ntensors; i++)
      if (s->graph->tensors[i]->is_input) ok = set_input(s, run, s->graph->tensors[i], index);
    ok = ok && bf_ref_run(run, &s->diags);
    for (size_t i = 0; ok && i < s->records.count; i++) {
      struct record *r = &s->records.items[i];
      keep(r, run->values[r->tensor->id], index);
    }
  }
  bf_ref_free(run);
  return ok;
}

static bool write_records(struct session *s) {
  if (s->settings.layers && mkdir(s->settings.layers, 0777) != 0 && errno != EEXIST) {
    bf_error_file(&s->diags, s->settings.layers, NULL, "cannot make the folder: %s", strerror(errno));
    return false;
  }
  // Outputs come first in the list: if one cannot be written, no layer is.
  for (size_t i = 0; i < s->records.count; i++)
    if (!bf_npy_write(s->records.items[i].path, &s->records.items[i].array, &s->diags)) return false;
  return true;
}

// ---- the whole

static bool work(struct session *s) {
  s->diags.default_file = s->settings.network;
  struct bf_load_options load = {.profiles = s->settings.profiles};
  s->loaded = bf_load_network(s->settings.network, &load, &s->diags);
  const char *profile = s->settings.profile ? s->settings.profile : BF_PROFILE_BASE;
  s->graph = s->loaded ? bf_graph_apply_profile(s->loaded, profile, &s->diags) : NULL;
  return s->graph && read_inputs(s) && choose_records(s) && evaluate(s) && write_records(s);
}

static void free_bindings(struct bindings *list) {
  for (size_t i = 0; i < list->count; i++) free(list->items[i].name);
  free(list->items);
}

static void finish(struct session *s) {
  tool_print_diagnostics(&s->diags);
  for (size_t i = 0; i < s->records.count; i++) {
    free(s->records.items[i].path);
    bf_array_free(&s->records.items[i].array);
  }
  free(s->records.items);
  for (size_t i = 0; s->images && i < s->graph->ntensors; i++) bf_array_free(&s->images[i].array);
  free(s->images);
  bf_graph_free(s->graph);
  bf_graph_free(s->loaded);
  free_bindings(&s->settings.inputs);
  free_bindings(&s->settings.outputs);
  bf_diags_free(&s->diags);
}

int main(int argc, char **argv) {
  struct session s = {0};
  int status = parse_options(argc, argv, &s.settings);
  if (status < 0) status = work(&s) ? STATUS_DONE : STATUS_WRONG;
  finish(&s);
  return status;
}
