// SPDX-License-Identifier: Apache-2.0
// The conformance program: recorded outputs of other people's software against the reference evaluator and against
// compiled AP binaries. A case is opened into a subject: a graph, inputs for a number of samples, and recordings of
// some of its tensors; then each engine is judged on it.
#ifndef CF_CONFORMANCE_H
#define CF_CONFORMANCE_H

#include <pthread.h>

#include "frontend/onnx.h"
#include "ir/graph.h"

enum cf_engine { CF_REFERENCE, CF_INTERP, CF_JIT, CF_ENGINES };
extern const char *const cf_engine_names[CF_ENGINES];

enum cf_kind {
#define CF_KIND(id, ...) CF_KIND_##id,
#include "tests/conformance/kinds.def"
  CF_KINDS
};
enum cf_verdict {
#define CF_VERDICT(id, ...) CF_##id,
#include "tests/conformance/verdicts.def"
  CF_VERDICTS
};
extern const char *const cf_verdict_words[CF_VERDICTS], *const cf_verdict_headings[CF_VERDICTS];

struct cf_options {
  const char *data, *filter, *markdown;
  bool engines[CF_ENGINES], layers;
  bool count_exact; // the JIT counts every pass
  double time;      // seconds for everything; 0: no limit
  uint64_t samples; // of a case at most; 0: no limit
  double weights;   // millions of constants of a network that is compiled, at most
  unsigned jobs;
};

// Values recorded of one tensor for samples [first, first + count).
struct cf_recording {
  char *label;
  const struct bf_tensor *tensor;  // NULL: not known yet which tensor of the graph it is (a layer found by its values)
  bool layer;                      // false: an output
  uint64_t first, count, elements;
  unsigned width;                  // bytes of a recorded element
  int64_t *values;                 // count * elements
};

struct cf_input {
  const struct bf_tensor *tensor;
  int64_t *values;  // samples * elements
};

struct cf_subject {
  struct bf_graph *graph;
  uint64_t samples;
  struct cf_input *inputs;
  size_t ninputs, inputs_capacity;
  struct cf_recording *recordings;
  size_t nrecordings, recordings_capacity;
  char *note;  // NULL or what a reader of the result must know ("weights and activations assumed to have 8 bits")
  char *why;   // of a case that could not be opened
  bool scope;  // then: it is out of scope rather than unsupported
  bool matched;  // recordings of layers have their tensors
  struct bf_onnx_interface interface;
};

struct cf_layer_result {
  char *label;
  uint64_t bytes, equal;
};

struct cf_result {
  enum cf_verdict verdict;
  char *why;
  uint64_t samples, all_samples, bytes, equal;  // of the outputs
  uint64_t layer_bytes, layer_equal;
  struct cf_layer_result *layers;
  size_t nlayers, layers_capacity;
  uint64_t host_layers;
  double seconds;
};

struct cf_case {
  enum cf_kind kind;
  char *path;      // relative to the data folder
  char *source;    // its first two folders
  uint64_t weight; // bytes of the model: what comes first in a run
  uint64_t macs;   // of one sample, once opened
  char *note;
  struct cf_result results[CF_ENGINES];
};

struct cf_cases {
  struct cf_case *items;
  size_t count, capacity;
  int64_t newest;  // modification time of the newest file, seconds since 1970
  size_t files;
};

// walk.c: finds the cases below `data`, sorted by weight. A folder that cannot be read has none.
void cf_walk(const struct cf_options *options, struct cf_cases *out);
void cf_cases_free(struct cf_cases *cases);
// Sorted names of a folder; free with cf_names_free.
struct cf_names {
  char **items;
  size_t count, capacity;
};
struct cf_names cf_list(const char *folder);
void cf_names_free(struct cf_names *names);
bool cf_ends_with(const char *text, const char *end);
bool cf_starts_with(const char *text, const char *start);

// subject.c
// Opens a case. False: subject->why is set. Free with cf_subject_free either way.
bool cf_open(const struct cf_options *options, const struct cf_case *c, struct cf_subject *out);
void cf_subject_free(struct cf_subject *subject);
// Takes ownership of `why`; always false.
bool cf_refuse(struct cf_subject *subject, bool scope, char *why);
// The first error of `diags` as the reason; always false.
bool cf_refuse_diags(struct cf_subject *subject, const struct bf_diags *diags);
// Adds a recording and gives its room for values. `tensor` may be NULL.
struct cf_recording *cf_record(struct cf_subject *subject, const char *label, const struct bf_tensor *tensor, bool layer,
                               uint64_t first, uint64_t count, uint64_t elements, unsigned width);
// Adds an input and gives its room for values of all samples.
int64_t *cf_add_input(struct cf_subject *subject, const struct bf_tensor *tensor);
// Input or output number `n` of the graph, or NULL.
const struct bf_tensor *cf_border(const struct bf_graph *graph, bool input, size_t n);
// Little-endian integers of `width` bytes.
void cf_unpack(const char *data, uint64_t count, unsigned width, bool is_signed, int64_t *out);
struct cf_bytes {
  char *data;  // NULL: no such file
  size_t length;
};
// Frees `path`.
struct cf_bytes cf_read(char *path);

// The openers, one a kind. `path` is the whole path of the case's file.
#define CF_KIND(id, opener, ...) \
  bool opener(const struct cf_options *options, const struct cf_case *c, const char *path, struct cf_subject *out);
#include "tests/conformance/kinds.def"

// onnx_import.c: imports and compiles the text; on failure the reason is set. `options` as bf_onnx_import takes them, but
// that its interface is the subject's.
bool cf_import_onnx(const char *path, struct bf_onnx_options options, struct cf_subject *out);
// The graph's tensor behind input or output `n` of the model.
const struct bf_tensor *cf_port_tensor(const struct cf_subject *subject, bool input, size_t n);
// Values of one sample in the model's order, to elements in the graph's. A real number that stands between two elements of an
// output becomes INT64_MIN, which equals none; those of an input are rounded and kept within the type.
enum cf_values { CF_INPUT, CF_OUTPUT, CF_ELEMENTS };  // the last: integers that are the elements themselves
void cf_port_values(const struct bf_onnx_port *port, const struct bf_tensor *tensor, enum cf_values what,
                    const double *values, int64_t *out);

// match.c: gives recordings of layers that begin at sample `sample` their tensors: the one with the most equal values, the first
// unused one of several; `values` as in struct bf_ref_run, of that sample.
void cf_match_layers(struct cf_subject *subject, uint64_t sample, int64_t *const *values);

// judge.c: runs an engine over the samples within `budget` seconds (one sample at least) and compares.
void cf_judge(const struct cf_options *options, struct cf_subject *subject, enum cf_engine engine, double budget,
              struct cf_result *result);
double cf_now(void);  // seconds of a steady clock

// schedule.c: judges all cases. The results are in the cases.
void cf_run(const struct cf_options *options, struct cf_cases *cases);

// report.c
void cf_report_case(const struct cf_options *options, const struct cf_case *c);
void cf_report_table(const struct cf_options *options, const struct cf_cases *cases, struct bf_buf *out);
// markdown.c. False: an error was printed.
bool cf_write_markdown(const struct cf_options *options, const struct cf_cases *cases);
// The reasons of a verdict among the cases of a source, numbers and names in them left out, most frequent first:
// "12 × reason" a line, each with `prefix` before it.
void cf_print_reasons(const struct cf_cases *cases, const char *source, enum cf_verdict verdict, const char *prefix,
                      struct bf_buf *out);
uint64_t cf_count(const struct cf_cases *cases, const char *source, int engine, int verdict);

#endif
