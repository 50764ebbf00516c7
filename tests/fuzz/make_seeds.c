// SPDX-License-Identifier: Apache-2.0
// Writes the seeds that are too large to keep, made by the libraries themselves: make_seeds FOLDER fills
// FOLDER/bfir, /aps, /apbin, /tflite, /onnx, /npy, /npz, and libFuzzer dictionaries FOLDER/NAME.dict of the formats'
// words.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "backend/compiler.h"
#include "base/bf_npy.h"
#include "frontend/bfn.h"
#include "frontend/onnx.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/onnx_mutate.h"
#include "tests/fuzz/onnx_seeds.h"
#include "tests/fuzz/onnx_text.h"
#include "tests/support/random_graph.h"
#include "tests/support/tflite_builder.h"
#include "tests/unit/random_program.h"
#include "tests/unit/tiny_program.h"

static void save(const char *folder, const char *kind, const char *name, struct bf_buf *bytes) {
  const char *why;
  char *parent = bf_format("%s/%s", folder, kind), *path = bf_format("%s/%s", parent, name);
  mkdir(parent, 0777);
  FUZZ_CHECK(bf_write_file(path, bytes->data, bytes->length, &why), "%s: %s", path, why);
  free(parent);
  free(path);
  bf_buf_free(bytes);
}

static void save_program(const char *folder, const char *name, const struct ap_program *p) {
  struct bf_diags diags = {0};
  struct bf_buf bytes = {0}, text = {0};
  bool ok = ap_program_write(p, &bytes, &diags);
  fuzz_diags_end(&diags, ok);
  ap_asm_print(p, &text);
  save(folder, "apbin", name, &bytes);
  save(folder, "aps", name, &text);
}

static void save_graph(const char *folder, struct rng *rng, int kind, const char *machine) {
  struct bf_graph *graph = random_graph(rng, (enum random_kind)kind);
  char *name = bf_format("graph%d-%s", kind, machine);
  struct bf_buf text = {0};
  bf_graph_print(graph, &text);
  save(folder, "bfir", name, &text);

  struct bf_diags diags = {0};
  struct bf_compile_options o = {.opt_level = 2, .batch = 1};
  const struct bf_source *source;
  bool ok = ap_machine_load(machine, &o.machine, &source, &diags) &&
            ap_technology_load(o.machine.technology, &o.tech, &diags);
  o.machine.rows = 64;
  struct ap_program *p = ok ? bf_compile(graph, &o, &diags) : NULL;
  fuzz_diags_end(&diags, p != NULL);
  save_program(folder, name, p);
  ap_program_free(p);
  ap_technology_free(&o.tech);
  bf_graph_free(graph);
  free(name);
}

static void save_arrays(const char *folder) {
  static const uint64_t SHAPE[] = {2, 1, 3};
  struct bf_archive archive = {0};
  for (int d = 0; d < BF_DTYPE_COUNT; d++) {
    struct bf_array array = {.dtype = (enum bf_dtype)d, .rank = (unsigned)d % 4, .elements = 1};
    for (unsigned i = 0; i < array.rank; i++) array.elements *= array.shape[i] = SHAPE[i];
    array.data = bf_alloc(array.elements, bf_dtype_size(array.dtype));
    memset(array.data, 0x3e, array.elements * bf_dtype_size(array.dtype));
    struct bf_buf bytes = {0};
    bf_npy_print(&array, &bytes);
    save(folder, "npy", bf_dtype_name(array.dtype), &bytes);
    bf_archive_add(&archive, bf_dtype_name(array.dtype), array);
    if (d != 0 && d != 2 && d != BF_DTYPE_COUNT - 1) continue;
    FUZZ_CHECK(bf_npz_print(&archive, &bytes), "no archive");
    save(folder, "npz", bf_dtype_name(array.dtype), &bytes);
  }
  bf_archive_free(&archive);
}

#define SHAPED(n, ...) .rank = (n), .shape = {__VA_ARGS__}
#define SAVE_MODEL(name, t, o, ...) \
  do { \
    const struct build_model m = {.tensors = t, .ntensors = BF_COUNT(t), .ops = o, .nops = BF_COUNT(o), __VA_ARGS__}; \
    struct bf_buf bytes = build_tflite(&m); \
    save(folder, "tflite", name, &bytes); \
  } while (0)
enum { INT32 = 2, INT8 = 9 };  // element types of the schema

static void save_convolution(const char *folder) {
  static const int8_t weights[2 * 3 * 3 * 1] = {1, -2, 3, 4, -5, 6, 7, 8, -9, 10, 11, 12, -13, 14, 15, 0, 127, -128};
  static const int32_t bias[2] = {-100, 3000}, shape[2] = {1, 18};
  static const int8_t dense[3 * 18] = {3, 1, -4, 1, 5, 9, 2, 6};
  const struct build_tensor t[] = {{"in", INT8, SHAPED(4, 1, 5, 5, 1), .scale = 0.5f, .zero = -1},
                                   {"w", INT8, SHAPED(4, 2, 3, 3, 1), .scale = 0.01f, .data = weights, .bytes = sizeof weights},
                                   {"b", INT32, SHAPED(1, 2), .scale = 0.005f, .data = bias, .bytes = sizeof bias},
                                   {"conv", INT8, SHAPED(4, 1, 3, 3, 2), .scale = 0.3f, .zero = 5},
                                   {"shape", INT32, SHAPED(1, 2), .data = shape, .bytes = sizeof shape},
                                   {"flat", INT8, SHAPED(2, 1, 18), .scale = 0.3f, .zero = 5},
                                   {"fw", INT8, SHAPED(2, 3, 18), .scale = 0.02f, .data = dense, .bytes = sizeof dense},
                                   {"out", INT8, SHAPED(2, 1, 3), .scale = 0.4f},
                                   {"prob", INT8, SHAPED(2, 1, 3), .scale = 1 / 256.0f, .zero = -128}};
  const struct build_op o[] = {
      {3, .ninputs = 3, .inputs = {0, 1, 2}, .output = 3, .options_type = 1, .noptions = 4,
       .options = {{0, 1, 1}, {1, 4, 1}, {2, 4, 1}, {3, 1, 1}}},
      {22, .ninputs = 2, .inputs = {3, 4}, .output = 5},
      {9, .ninputs = 3, .inputs = {5, 6, -1}, .output = 7, .options_type = 8},
      {25, .ninputs = 1, .inputs = {7}, .output = 8, .options_type = 9, .noptions = 1, .options = {{0, 4, 0, 1.0f}}}};
  SAVE_MODEL("convolution", t, o, .ninputs = 1, .inputs = {0}, .output = 8);
}

static void save_others(const char *folder) {
  static const int32_t pads[] = {0, 0, 1, 0, 0, 1, 0, 0};
  static const int8_t weights[3 * 3 * 2] = {1, -1, 2, 3, -4, 5};
  const struct build_tensor t[] = {{"a", INT8, SHAPED(4, 1, 4, 4, 1), .scale = 0.5f, .zero = 3},
                                   {"b", INT8, SHAPED(4, 1, 4, 4, 1), .scale = 0.5f, .zero = 3},
                                   {"cat", INT8, SHAPED(4, 1, 4, 4, 2), .scale = 0.5f, .zero = 3},
                                   {"pool", INT8, SHAPED(4, 1, 2, 2, 2), .scale = 0.5f, .zero = 3},
                                   {"pads", INT32, SHAPED(2, 4, 2), .data = pads, .bytes = sizeof pads},
                                   {"padded", INT8, SHAPED(4, 1, 3, 3, 2), .scale = 0.5f, .zero = 3},
                                   {"sum", INT8, SHAPED(4, 1, 3, 3, 2), .scale = 0.9f, .zero = -2},
                                   {"w", INT8, SHAPED(4, 1, 3, 3, 2), .scale = 0.1f, .data = weights, .bytes = sizeof weights},
                                   {"deep", INT8, SHAPED(4, 1, 3, 3, 2), .scale = 1.5f},
                                   {"out", INT8, SHAPED(4, 1, 3, 3, 2), .scale = 1.0f}};
  const struct build_op o[] = {
      {2, .ninputs = 2, .inputs = {0, 1}, .output = 2, .options_type = 10, .noptions = 1, .options = {{0, 4, 3}}},
      {17, .ninputs = 1, .inputs = {2}, .output = 3, .options_type = 5, .noptions = 5,
       .options = {{0, 1, 1}, {1, 4, 2}, {2, 4, 2}, {3, 4, 2}, {4, 4, 2}}},
      {34, .ninputs = 2, .inputs = {3, 4}, .output = 5},
      {0, .ninputs = 2, .inputs = {5, 5}, .output = 6, .options_type = 11},
      {4, .ninputs = 2, .inputs = {6, 7}, .output = 8, .options_type = 2, .noptions = 5,
       .options = {{0, 1, 0}, {1, 4, 1}, {2, 4, 1}, {3, 4, 1}, {4, 1, 0}}},
      {114, .ninputs = 1, .inputs = {8}, .output = 9}};
  SAVE_MODEL("others", t, o, .ninputs = 2, .inputs = {0, 1}, .output = 9);
}

// A seed that the importer or the front end refuses would cover little.
static void check_onnx(const char *name, const struct bf_buf *bytes, unsigned bits) {
  struct bf_diags diags = {0};
  const struct bf_onnx_options options = {.assume_w = bits, .assume_a = bits};
  struct bf_buf text = {0};
  struct bf_archive weights = {0};
  bool ok = bf_onnx_import(bytes->data, bytes->length, name, &options, &text, &weights, &diags);
  if (!ok) fuzz_diags_show(&diags);
  FUZZ_CHECK(ok, "seed %s is refused", name);
  const struct bf_source *source = bf_diags_add_source(&diags, name, bf_buf_cstr(&text), text.length);
  struct bf_graph *graph = bf_bfn_compile(source, &weights, NULL, &diags);
  if (!graph) fuzz_diags_show(&diags);
  FUZZ_CHECK(graph, "seed %s does not compile", name);
  bf_graph_free(graph);
  bf_buf_free(&text);
  bf_archive_free(&weights);
  bf_diags_free(&diags);
}

static void save_onnx(const char *folder) {
  const char *text, *name;
  bool assumed;
  for (size_t i = 0; (text = onnx_seed(i, &name, &assumed)); i++) {
    struct bf_buf bytes = {0};
    onnx_from_text(text, &bytes);
    FUZZ_CHECK(bytes.length < 4096, "seed %s has %zu bytes", name, bytes.length);
    if (!assumed) check_onnx(name, &bytes, 0);
    check_onnx(name, &bytes, 8);
    save(folder, "onnx", name, &bytes);
  }
}

static void word(struct bf_buf *dict, const char *text) {
  bf_buf_printf(dict, "\"%s\"\n", text);
}

static void save_dictionaries(const char *folder) {
  static const char *const DIRECTIVES[] = {".end", ".code", ".table", ".stream", ".pattern", ".micro", ".tensor", ".grid", ".desc",
                                           ".layer", ".machine", ".const", ".source", ".column", ".macro", ".endm"};
  static const char *const TYPES[] = {"s8", "u4", "s16", "s32", "u1", "b1", "t2", "s48"};
  struct bf_buf bfn = {0}, bfir = {0}, aps = {0}, onnx = {0};
  const char *name;
  for (size_t i = 0; (name = bf_bfn_op_name(i)); i++) word(&bfn, name), word(&bfir, name);
  for (size_t i = 0; (name = bf_bfn_option_name(i)); i++) word(&bfn, name), word(&bfir, name);
  for (unsigned i = 0; i < BF_REQUANT_COUNT; i++) {
    word(&bfn, bf_requant_mode_name((enum bf_requant_mode)i));
    word(&bfir, bf_requant_mode_name((enum bf_requant_mode)i));
  }
  for (size_t i = 0; i < BF_COUNT(TYPES); i++) word(&bfn, TYPES[i]), word(&bfir, TYPES[i]);
  for (unsigned i = 0; i < AP_OP_LIMIT; i++)
    if (ap_op_info(i)) word(&aps, ap_op_info(i)->mnemonic);
  for (size_t i = 0; i < BF_COUNT(DIRECTIVES); i++) word(&aps, DIRECTIVES[i]);
  for (size_t i = 0; (name = onnx_word(i)); i++) word(&onnx, name);
  save(folder, ".", "onnx.dict", &onnx);
  save(folder, ".", "bfn.dict", &bfn);
  save(folder, ".", "bfir.dict", &bfir);
  save(folder, ".", "aps.dict", &aps);
}

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  const char *folder = argv[1];
  struct rng rng = {7};
  mkdir(folder, 0777);
  struct ap_program *tiny = tiny_program();
  save_program(folder, "tiny", tiny);
  ap_program_free(tiny);
  for (int i = 0; i < 4; i++) {  // every instruction, patterns among them
    struct ap_program *code = random_program(&rng);
    char *name = bf_format("code%d", i);
    save_program(folder, name, code);
    ap_program_free(code);
    free(name);
  }
  for (int kind = 0; kind < RANDOM_KINDS; kind++) {
    save_graph(folder, &rng, kind, "edge");
    save_graph(folder, &rng, kind, "rtm-256");
  }
  save_arrays(folder);
  save_convolution(folder);
  save_others(folder);
  save_onnx(folder);
  save_dictionaries(folder);
  return 0;
}
