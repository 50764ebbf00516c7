// SPDX-License-Identifier: Apache-2.0
// A whole AP program in memory: what the compiler makes, the assembler prints and parses, the
// container stores, the validator proves safe and the engines run. Plain data; one arena owns it.
#ifndef AP_PROGRAM_H
#define AP_PROGRAM_H

#include "isa/isa.h"
#include "isa/consts.h"
#include "isa/machine.h"
#include "isa/micro.h"

// A tensor in memory (MAPs). Elements are stored as unsigned numbers u = q - type_min of `bits` bits
// (offset binary; constants and partial sums: u as the compiler chose).
enum ap_storage { AP_STORAGE_ACTIVATION, AP_STORAGE_CONST, AP_STORAGE_TEMP };
struct ap_tensor {
  char *name;
  enum ap_storage storage;
  uint8_t bits;        // 1..64
  int64_t bias;        // q = u + bias (bias = type_min)
  char *type;          // "s8", … as in the language, for display and .npy dtypes
  uint32_t shape[4];   // NHWC, padded with leading 1s
  uint8_t rank;        // rank as written (shape's last `rank` entries)
  float scale;         // for border quantization; per-tensor only, 1 if none
  int32_t zero;
  uint32_t alias;      // UINT32_MAX, or the tensor whose memory this one shares (reshape)
  uint64_t data;       // CONST: offset in elements of the program's const pool
};

// In a program with profiles, a tensor may share the memory of one with as many elements of more bits, of which it has the lowest: so
// it lies in memory in the same way at whatever width a profile has it. Who reads it finds it as wide as it was written.

// Row space of a region: rows = product of count[]; row index r is decomposed with count[3] fastest.
struct ap_grid {
  uint32_t count[4];
  uint32_t tile_rows;  // rows per tile; tiles = ceil(rows / tile_rows)
};

// Data movement between a tensor and a field. For row (r0..r3) and tap (t0..t3; t3 fastest, tap index
// decomposed by tap_count) coordinate k of the tensor is
//   origin[k] + sum over j with row_dim[j] == k of r_j * row_stride[j] + t_k * tap_step[k]
// A coordinate outside [0, shape[k]) means padding: loads give pad_value; stores must prove it absent.
struct ap_desc {
  uint32_t grid;        // the grid it is used in
  uint32_t tensor;
  uint8_t bits;         // a load moves bits [bit, bit + bits) of the element, a store all
  uint8_t row_dim[4];   // 0..3, or 255: this row dimension does not select (broadcast)
  int32_t row_stride[4];
  int32_t origin[4];
  uint32_t tap_count[4];
  int32_t tap_step[4];
  uint64_t pad_value;   // `bits` bits
  uint8_t bit;
};

// Numbers of a pattern instruction, residues modulo 2^W(d): in rows whose field b holds `key` the sum of base and add[i] over the
// set bits i of field a. add[inputs] and above are 0.
struct ap_pattern {
  uint8_t inputs;  // = W(a)
  uint64_t key;    // below 2^W(b); 0 without b
  uint64_t base, add[AP_MAX_PATTERN_INPUTS];
};
// base + the sum of add[i] over the set bits i of `set`, modulo 2^64.
uint64_t ap_pattern_sum(const struct ap_pattern *pattern, unsigned set);

// A table of instructions (MOVE and COMPUTE only) and the streams of indices into it.
struct ap_table { struct ap_instr *items; uint32_t count; };
struct ap_stream { uint32_t table; uint16_t *steps; uint32_t count; };

enum ap_host_kind { AP_HOST_SOFTMAX, AP_HOST_KIND_COUNT };
struct ap_host {
  uint32_t kind;
  uint32_t input, output;  // tensors
  float in_scale, beta;
};

struct ap_layer {
  char *name;
  char *op;            // graph op name
  char *mapping;       // "pixel", "output", "elementwise", "host", "alias"
  uint32_t line;       // in the .bfn source
  uint32_t first, end; // instructions [first, end) of code
  uint8_t bits_w, bits_a;
  uint64_t macs;
  uint32_t columns_used;
  uint32_t output;     // tensor
};

// One way through the code: its layers, executed in this order. A program without profiles executes all of its code.
struct ap_profile {
  char *name;          // unique
  uint32_t *layers; uint32_t nlayers;
};

struct ap_blob { char *data; size_t length; };

// What an error of the validator is about.
enum ap_place { AP_PLACE_INSTR, AP_PLACE_TENSOR, AP_PLACE_GRID, AP_PLACE_DESC, AP_PLACE_HOST, AP_PLACE_MICRO, AP_PLACE_TABLE, AP_PLACE_STREAM,
                AP_PLACE_PROFILE, AP_PLACE_PATTERN };

#define AP_MAX_WEIGHTS_TEXT 200  // letters of ap_program.weights

struct ap_program {
  struct bf_arena arena;
  char *network;
  uint32_t batch;
  struct ap_machine machine;
  char *tech;           // technology the code was selected for
  double vdd;
  bool keep_all;
  char *weights;        // where the weights come from: printable ASCII for reports, NULL or empty if nothing is said
  struct ap_tensor *tensors; uint32_t ntensors;
  struct ap_grid *grids; uint32_t ngrids;
  struct ap_desc *descs; uint32_t ndescs;
  struct ap_table *tables; uint32_t ntables;
  struct ap_stream *streams; uint32_t nstreams;
  struct ap_pattern *patterns; uint32_t npatterns;
  struct ap_host *hosts; uint32_t nhosts;
  struct ap_micro *micros; uint32_t nmicros;   // sorted by (op, widths), unique
  struct ap_layer *layers; uint32_t nlayers;   // cover code without overlap, in order
  struct ap_profile *profiles; uint32_t nprofiles;  // none, or all ways through the code; the first is the default
  struct ap_instr *code; uint32_t ncode;
  struct ap_consts consts;                     // u values of CONST tensors, concatenated
  uint32_t *inputs; uint32_t ninputs;
  uint32_t *outputs; uint32_t noutputs;
  struct ap_blob source;                       // the .bfn text; may be empty
  // Set by the assembler while its program is validated: takes the errors about item `number` of a list in place of
  // the diagnostics, to say where it stands in the text. Else NULL.
  void (*place_error)(void *context, enum ap_place place, uint32_t number, const char *text);
  void *place_error_context;
};

struct ap_program *ap_program_new(void);
void ap_program_free(struct ap_program *program);

// The microcode program for an instruction, or NULL.
const struct ap_micro *ap_program_micro(const struct ap_program *program, const struct ap_instr *instr);

// What ap_micro_generate should know of an array in a technology: the machine's features, and AP_PREFER_FEW_WRITES where a write
// takes more cycles or, changing a cell, more energy than ten searched cells.
unsigned ap_generator_features(const struct ap_machine *machine, const struct ap_technology *tech);

// Profiles. A program without any has one way, number 0: all layers. `profile` is always in range.
uint32_t ap_profile_length(const struct ap_program *program, uint32_t profile);
uint32_t ap_profile_layer(const struct ap_program *program, uint32_t profile, uint32_t position);  // its number in the program
bool ap_profile_find(const struct ap_program *program, const char *name, uint32_t *profile);
// An error that names the profiles there are.
void ap_profile_unknown(const struct ap_program *program, const char *name, const char *file, struct bf_diags *diags);
// The program as one profile has it, for reports: `layers` are those of the profile, "conv@low" is called "conv" again. It shares all
// else with `program`, and may be looked at but not executed.
struct ap_program *ap_profile_view(const struct ap_program *program, uint32_t profile);
void ap_profile_view_free(struct ap_program *view);
// Bytes of the binary that each profile adds to those before it: code, tables, streams, descriptors, tensors, constants, microcode and
// names that it is the first to use (program->nprofiles numbers). What no profile uses counts for the first.
void ap_profile_sizes(const struct ap_program *program, uint64_t *bytes);

// Geometry shared by compiler, timing and engines.
uint64_t ap_grid_rows(const struct ap_grid *grid);
uint32_t ap_grid_tiles(const struct ap_grid *grid);
uint64_t ap_tensor_elements(const struct ap_tensor *tensor);
uint32_t ap_tensor_root(const struct ap_program *program, uint32_t tensor);  // follows alias
// Element index for row r and tap, or -1 for padding.
int64_t ap_desc_element(const struct ap_program *program, const struct ap_desc *desc, uint64_t row, uint32_t tap);
// Number of distinct row coordinates that rows [row0, row0+n) select (broadcast dimensions count once;
// padding is not taken off): the distinct bits of one loaded bit column.
uint64_t ap_desc_distinct(const struct ap_program *program, const struct ap_desc *desc, uint64_t row0, uint64_t rows);
// The same of one tile of a grid whose rows select as a descriptor's.
uint64_t ap_tile_distinct(const struct ap_grid *grid, const uint8_t row_dim[4], const int32_t row_stride[4], uint32_t tile);

// The validator: proves every column, descriptor, tap, stream, loop, grid, host, tensor and const reference in
// range, regions and loops well nested, microcode present and checked for each instruction, stores in range and not into
// constants, layers ordered, so that engines need no checks. False: errors were added.
bool ap_program_validate(const struct ap_program *program, struct bf_diags *diags);

// Container (docs/apbin.md): ELF64 through libelf, in memory. Deterministic.
bool ap_program_write(const struct ap_program *program, struct bf_buf *out, struct bf_diags *diags);
// Reads and validates. NULL and errors if anything is wrong.
struct ap_program *ap_program_read(const void *data, size_t length, const char *file, struct bf_diags *diags);
// The same of a file.
struct ap_program *ap_program_load(const char *path, struct bf_diags *diags);

// Assembly text that carries everything: ap_asm_parse(ap_asm_print(p)) writes the same bytes.
void ap_asm_print(const struct ap_program *program, struct bf_buf *out);
struct ap_program *ap_asm_parse(const struct bf_source *source, struct bf_diags *diags);
// One instruction as text, without a line end ("add c20:18, c4:8").
void ap_asm_print_instr(const struct ap_instr *instr, struct bf_buf *out);

#endif
