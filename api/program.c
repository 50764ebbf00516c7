// SPDX-License-Identifier: Apache-2.0
// The public C API: programs, from network files, from binaries, and back to them.
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "backend/compiler.h"
#include "frontend/load.h"
#include "ir/profile.h"

const char *bfimna_version(void) { return BF_VERSION; }

void bfimna_free(void *memory) { free(memory); }

bfimna_status bf_api_done(bfimna_status status, struct bf_diags *diags, char **text) {
  if (text) {
    *text = NULL;
    if (diags->count) {
      struct bf_buf out = {0};
      bf_diags_render(diags, &out);
      *text = bf_strdup(bf_buf_cstr(&out));
      bf_buf_free(&out);
    }
  }
  bf_diags_free(diags);
  return status;
}

bfimna_program *bf_api_wrap(struct ap_program *program, struct bf_diags *diags) {
  bfimna_program *handle = bf_alloc(1, sizeof *handle);
  handle->program = program;
  if (!ap_technology_load(program->tech, &handle->tech, diags)) {
    bfimna_program_free(handle);
    return NULL;
  }
  if (!ap_technology_use_vdd(&handle->tech, program->vdd, NULL, diags)) {
    bfimna_program_free(handle);
    return NULL;
  }
  return handle;
}

void bfimna_program_free(bfimna_program *program) {
  if (!program) return;
  ap_program_free(program->program);
  ap_technology_free(&program->tech);
  free(program);
}

// Index of `word` in a list of names; an unknown word is an error. NULL: 0, the default.
static bool choose(const char *word, const char *const *names, size_t count, const char *what, unsigned *out,
                   struct bf_diags *diags) {
  *out = 0;
  if (!word) return true;
  for (size_t i = 0; i < count; i++) {
    if (strcmp(names[i], word)) continue;
    *out = (unsigned)i;
    return true;
  }
  bf_error_file(diags, NULL, NULL, "unknown %s '%s'", what, word);
  return false;
}

static const char *const mappings[] = {
    [BF_MAPPING_AUTO] = "auto", [BF_MAPPING_MAC] = "mac", [BF_MAPPING_OUTPUT] = "output", [BF_MAPPING_PIXEL] = "pixel"};
static const char *const objectives[] = {
    [BF_OBJECTIVE_CYCLES] = "cycles", [BF_OBJECTIVE_ENERGY] = "energy", [BF_OBJECTIVE_EDP] = "edp"};

// The caller's options, those of an older caller (a smaller struct) completed with defaults, as compiler options.
// The technology in *out is to be freed.
static bool translate(const bfimna_options *given, struct bf_compile_options *out, struct bf_diags *diags) {
  bfimna_options options = {0};
  if (given) memcpy(&options, given, given->size < sizeof options ? given->size : sizeof options);
  memset(out, 0, sizeof *out);
  out->batch = 1;
  out->opt_level = options.optimize ? options.optimize - 1 : 2;
  out->keep_all = options.keep_all != 0;
  unsigned mapping, objective;
  if (!choose(options.mapping, mappings, BF_COUNT(mappings), "mapping", &mapping, diags) ||
      !choose(options.objective, objectives, BF_COUNT(objectives), "objective", &objective, diags))
    return false;
  out->mapping = (enum bf_mapping)mapping;
  out->objective = (enum bf_objective)objective;
  if (out->opt_level > 3) {
    bf_error_file(diags, NULL, NULL, "optimization level %u is above 3", out->opt_level);
    return false;
  }
  const struct bf_source *source;
  if (!ap_machine_load(options.target ? options.target : "bf-imna-lr", &out->machine, &source, diags)) return false;
  if (!ap_technology_load(options.tech ? options.tech : out->machine.technology, &out->tech, diags)) return false;
  return ap_technology_use_vdd(&out->tech, options.vdd, NULL, diags);
}

bfimna_status bfimna_compile(const char *path, const bfimna_options *options, bfimna_program **program,
                             char **diagnostics) {
  struct bf_diags diags = {.default_file = path};
  if (diagnostics) *diagnostics = NULL;
  if (!program) return BFIMNA_USAGE;
  *program = NULL;
  if (!path || (options && options->size < sizeof options->size)) return BFIMNA_USAGE;

  struct bf_compile_options compile;
  if (translate(options, &compile, &diags)) {
    struct bf_graph *graph = bf_load_network(path, NULL, &diags);
    const char *profile = options && options->size >= sizeof *options ? options->profile : NULL;
    struct bf_graph *narrow = graph && profile ? bf_graph_apply_profile(graph, profile, &diags) : NULL;
    struct ap_program *compiled = narrow            ? bf_compile(narrow, &compile, &diags)
                                  : graph && !profile ? bf_compile_profiles(graph, &compile, &diags)
                                                    : NULL;
    bf_graph_free(narrow);
    bf_graph_free(graph);
    if (compiled) *program = bf_api_wrap(compiled, &diags);
  }
  ap_technology_free(&compile.tech);
  return bf_api_done(*program ? BFIMNA_OK : BFIMNA_ERROR, &diags, diagnostics);
}

bfimna_status bfimna_read(const void *data, size_t length, const char *name, bfimna_program **program,
                          char **diagnostics) {
  if (diagnostics) *diagnostics = NULL;
  if (!program) return BFIMNA_USAGE;
  *program = NULL;
  if (!data) return BFIMNA_USAGE;
  const char *file = name ? name : "(memory)";
  struct bf_diags diags = {.default_file = file};
  struct ap_program *read = ap_program_read(data, length, file, &diags);
  if (read) *program = bf_api_wrap(read, &diags);
  return bf_api_done(*program ? BFIMNA_OK : BFIMNA_ERROR, &diags, diagnostics);
}

bfimna_status bfimna_read_file(const char *path, bfimna_program **program, char **diagnostics) {
  if (diagnostics) *diagnostics = NULL;
  if (!program) return BFIMNA_USAGE;
  *program = NULL;
  if (!path) return BFIMNA_USAGE;
  char *data;
  size_t length;
  struct bf_diags diags = {0};
  if (!bf_diags_read(&diags, path, NULL, &data, &length)) return bf_api_done(BFIMNA_ERROR, &diags, diagnostics);
  bfimna_status status = bfimna_read(data, length, path, program, diagnostics);
  free(data);
  return status;
}

bfimna_status bfimna_write(const bfimna_program *program, void **data, size_t *length, char **diagnostics) {
  if (diagnostics) *diagnostics = NULL;
  if (!data || !length) return BFIMNA_USAGE;
  *data = NULL;
  *length = 0;
  if (!program) return BFIMNA_USAGE;
  struct bf_diags diags = {0};
  struct bf_buf bytes = {0};
  if (!ap_program_write(program->program, &bytes, &diags)) {
    bf_buf_free(&bytes);
    return bf_api_done(BFIMNA_ERROR, &diags, diagnostics);
  }
  *data = bytes.data;
  *length = bytes.length;
  return bf_api_done(BFIMNA_OK, &diags, diagnostics);
}

bfimna_status bfimna_write_file(const bfimna_program *program, const char *path, char **diagnostics) {
  void *data;
  size_t length;
  if (diagnostics) *diagnostics = NULL;
  if (!path) return BFIMNA_USAGE;
  bfimna_status status = bfimna_write(program, &data, &length, diagnostics);
  if (status != BFIMNA_OK) return status;
  struct bf_diags diags = {0};
  if (!bf_diags_write(&diags, path, data, length)) {
    if (diagnostics) free(*diagnostics);
    status = bf_api_done(BFIMNA_ERROR, &diags, diagnostics);
  }
  free(data);
  return status;
}

char *bfimna_assembly(const bfimna_program *program) {
  if (!program) return NULL;
  struct bf_buf text = {0};
  ap_asm_print(program->program, &text);
  bf_buf_cstr(&text);
  return text.data;
}

size_t bfimna_profile_count(const bfimna_program *program) { return program ? program->program->nprofiles : 0; }

const char *bfimna_profile_name(const bfimna_program *program, size_t index) {
  return index < bfimna_profile_count(program) ? program->program->profiles[index].name : NULL;
}

uint64_t bfimna_profile_bytes(const bfimna_program *program, size_t index) {
  if (index >= bfimna_profile_count(program)) return 0;
  uint64_t *bytes = bf_alloc(program->program->nprofiles, sizeof *bytes);
  ap_profile_sizes(program->program, bytes);
  uint64_t found = bytes[index];
  free(bytes);
  return found;
}
