// SPDX-License-Identifier: Apache-2.0
// libbfimna: compile a quantized network for an associative processor, run it bit-exactly, and ask what it costs.
//
// Rules that hold for every function:
//  - No global state: different programs may be used from different threads; one program may be run from several
//    threads at a time. The library never prints and never exits.
//  - Functions that can fail return a bfimna_status. If `diagnostics` is not NULL, *diagnostics becomes NULL or a text
//    of rendered messages ("file:line:column: error: …", with the source line and a caret), warnings on success
//    included; the caller frees it with bfimna_free. On failure the other out-parameters are set to NULL (or 0).
//  - Handles are opaque; free them with their own _free function (NULL is allowed).
//  - All strings are UTF-8, NUL-terminated.
#ifndef BFIMNA_H
#define BFIMNA_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BFIMNA_VERSION_MAJOR 0
#define BFIMNA_VERSION_MINOR 1
#define BFIMNA_VERSION_PATCH 0

// The version of the library that is linked: "0.1.0".
const char *bfimna_version(void);

typedef enum bfimna_status {
  BFIMNA_OK = 0,
  BFIMNA_ERROR = 1,  // the input is wrong; the diagnostics say where
  BFIMNA_USAGE = 2,  // an argument of the call is wrong (NULL, index out of range)
} bfimna_status;

// Frees texts and byte blocks that the library handed out.
void bfimna_free(void *memory);

// ---- Programs -------------------------------------------------------------------------------------------------------

typedef struct bfimna_program bfimna_program;

// What to compile for. Zero or NULL in a member means the default; begin with
// bfimna_options o = {.size = sizeof o}; so that later versions can add members.
typedef struct bfimna_options {
  size_t size;
  const char *target;     // machine: preset ("bf-imna-lr", "edge", …) or .ini file
  const char *tech;       // technology: preset ("sram16", …) or .ini file; default: the machine's
  double vdd;             // supply voltage; default: the technology's nominal one
  const char *mapping;    // "auto", "mac", "output", "pixel"
  const char *objective;  // "cycles", "energy", "edp"
  unsigned optimize;      // 0: default (2); 1 to 4: -O0 to -O3
  int keep_all;           // keep every layer's tensor observable
  const char *profile;    // compile this profile alone; default: the network and all of its profiles in one program
} bfimna_options;

// Compiles a network file (.bfn, .tflite, .onnx, .bfir). `options` may be NULL.
bfimna_status bfimna_compile(const char *path, const bfimna_options *options, bfimna_program **program,
                             char **diagnostics);

// Reads and validates a binary (.apbin) from a file or from memory (`name` is for diagnostics only).
bfimna_status bfimna_read_file(const char *path, bfimna_program **program, char **diagnostics);
bfimna_status bfimna_read(const void *data, size_t length, const char *name, bfimna_program **program,
                          char **diagnostics);

// Writes the binary, to a file (whole or not at all) or to memory (*data is freed with bfimna_free).
bfimna_status bfimna_write_file(const bfimna_program *program, const char *path, char **diagnostics);
bfimna_status bfimna_write(const bfimna_program *program, void **data, size_t *length, char **diagnostics);

// The assembly text of the whole program; free it with bfimna_free. NULL only if program is NULL.
char *bfimna_assembly(const bfimna_program *program);

void bfimna_program_free(bfimna_program *program);

// ---- Profiles: the same network at other bit widths, in one program ---------------------------------------------------

// Number of profiles; 0: the program has one form only. Number 0 is "base", the network as it is written.
size_t bfimna_profile_count(const bfimna_program *program);
// The name lives as long as the program. NULL: no such profile.
const char *bfimna_profile_name(const bfimna_program *program, size_t index);
// Bytes of the binary that a profile adds to those before it (0: no such profile).
uint64_t bfimna_profile_bytes(const bfimna_program *program, size_t index);

// ---- Tensors at the border ------------------------------------------------------------------------------------------

typedef struct bfimna_tensor {
  const char *name;   // these two live as long as the program
  const char *type;   // "s8", "u4", …
  unsigned rank;      // 1 to 4
  uint32_t shape[4];  // the first `rank` entries, NHWC without the batch dimension
  uint64_t elements;
  float scale;        // real = scale × (q - zero)
  int32_t zero;
} bfimna_tensor;

size_t bfimna_input_count(const bfimna_program *program);
size_t bfimna_output_count(const bfimna_program *program);
bfimna_status bfimna_input(const bfimna_program *program, size_t index, bfimna_tensor *tensor);
bfimna_status bfimna_output(const bfimna_program *program, size_t index, bfimna_tensor *tensor);

// ---- Running --------------------------------------------------------------------------------------------------------

typedef struct bfimna_result bfimna_result;

// Executes the program on one image. inputs[i] points to bfimna_input(i).elements quantized values in C order; a value outside
// the input's type is an error. `tech` (may be NULL) prices the events by another technology than the one compiled for.
bfimna_status bfimna_run(const bfimna_program *program, const int64_t *const *inputs, const char *tech,
                         bfimna_result **result, char **diagnostics);

// How to run. Zero or NULL in a member means the default; begin with bfimna_run_options o = {.size = sizeof o};
typedef struct bfimna_run_options {
  size_t size;
  const char *tech;    // prices the events by another technology than the one compiled for
  const char *engine;  // "jit" (native code; default where the library has it) or "interp" (the reference interpreter)
  const char *count;   // "exact" (default: energy from the counts of the execution) or "static" (from expected ones; faster)
  unsigned threads;    // default: one for each processor. Results do not depend on it
  const char *profile; // default: the first one
} bfimna_run_options;

// The same with options (may be NULL).
bfimna_status bfimna_run_with(const bfimna_program *program, const int64_t *const *inputs, const bfimna_run_options *options,
                              bfimna_result **result, char **diagnostics);

// A program that is loaded to be run many times: constants are in place, native code is compiled once. Of one session one run at
// a time. The program must outlive it. `options->profile` is the profile that runs without another word.
typedef struct bfimna_session bfimna_session;
bfimna_status bfimna_session_new(const bfimna_program *program, const bfimna_run_options *options, bfimna_session **session,
                                 char **diagnostics);
// One image. `profile` (NULL: that of the session) may be another one each time: nothing is loaded or compiled again.
bfimna_status bfimna_session_run(bfimna_session *session, const char *profile, const int64_t *const *inputs,
                                 bfimna_result **result, char **diagnostics);
void bfimna_session_free(bfimna_session *session);

// Quantized values of output `index`, bfimna_output(index).elements of them; owned by the result. NULL: no such output.
const int64_t *bfimna_result_output(const bfimna_result *result, size_t index);
// Cycles of the whole run, and energy in joules.
uint64_t bfimna_result_cycles(const bfimna_result *result);
double bfimna_result_energy(const bfimna_result *result);
// The reports of aprun, as a text table or as JSON; owned by the result.
const char *bfimna_result_text(const bfimna_result *result);
const char *bfimna_result_json(const bfimna_result *result);
void bfimna_result_free(bfimna_result *result);

// The compiler's own account of a program (of its first profile), without running it, in the same JSON. Free it with bfimna_free.
bfimna_status bfimna_static_json(const bfimna_program *program, char **json, char **diagnostics);

#ifdef __cplusplus
}
#endif
#endif
