// SPDX-License-Identifier: Apache-2.0
// Profiles of a program: ways through its layers, views for reports, and what each adds to the binary.
#include <stdlib.h>
#include <string.h>

#include "isa/container.h"

uint32_t ap_profile_length(const struct ap_program *program, uint32_t profile) {
  return program->nprofiles ? program->profiles[profile].nlayers : program->nlayers;
}

uint32_t ap_profile_layer(const struct ap_program *program, uint32_t profile, uint32_t position) {
  return program->nprofiles ? program->profiles[profile].layers[position] : position;
}

bool ap_profile_find(const struct ap_program *program, const char *name, uint32_t *profile) {
  for (*profile = 0; *profile < program->nprofiles; ++*profile)
    if (strcmp(program->profiles[*profile].name, name) == 0)
      return true;
  return false;
}

void ap_profile_unknown(const struct ap_program *program, const char *name, const char *file, struct bf_diags *diags) {
  const char **names = bf_alloc((size_t)program->nprofiles + 1, sizeof *names);
  struct bf_buf all = {0};
  for (uint32_t i = 0; i < program->nprofiles; i++) {
    names[i] = program->profiles[i].name;
    bf_buf_printf(&all, "%s%s", i ? ", " : "it has: ", names[i]);
  }
  const char *near = bf_nearest(name, names, program->nprofiles);
  char *hint = near ? bf_format("did you mean '%s'?", near) : all.length ? bf_strdup(bf_buf_cstr(&all)) : NULL;
  bf_error_file(diags, file, hint, "the binary has no profile%s '%s'", program->nprofiles ? "" : "s, and so not", name);
  free(hint);
  bf_buf_free(&all);
  free(names);
}

// ---- views

// "conv@low" is the variant that profile "low" brought.
static char *plain_name(const struct ap_program *program, struct bf_arena *arena, const char *name) {
  const char *at = strrchr(name, '@');
  uint32_t profile;
  bool variant = at && at > name && ap_profile_find(program, at + 1, &profile);
  return variant ? bf_arena_strndup(arena, name, (size_t)(at - name)) : bf_arena_strdup(arena, name);
}

struct ap_program *ap_profile_view(const struct ap_program *program, uint32_t profile) {
  struct ap_program *view = bf_alloc(1, sizeof *view);
  *view = *program;
  view->arena = (struct bf_arena){0};
  view->nlayers = ap_profile_length(program, profile);
  view->layers = bf_arena_alloc(&view->arena, (size_t)view->nlayers + 1, sizeof *view->layers);
  for (uint32_t i = 0; i < view->nlayers; i++) {
    view->layers[i] = program->layers[ap_profile_layer(program, profile, i)];
    view->layers[i].name = plain_name(program, &view->arena, view->layers[i].name);
  }
  return view;
}

void ap_profile_view_free(struct ap_program *view) {
  if (!view)
    return;
  bf_arena_free(&view->arena);
  free(view);
}

// ---- sizes: each item counts for the first profile that reaches it

struct sizes {
  const struct ap_program *program;
  uint64_t *bytes;
  bool *layers, *tensors, *grids, *descs, *hosts, *tables, *streams, *micros;
};

static bool first_time(bool *mark) {
  bool first = !*mark;
  *mark = true;
  return first;
}

static uint64_t record_bytes(enum ap_record record, const void *item) {
  struct bf_buf out = {0};
  ap_record_write(record, item, &out);
  uint64_t bytes = out.length;
  bf_buf_free(&out);
  return bytes;
}

// Constants lie in chunks; each element counts with the size of its chunk's.
static uint64_t const_bytes(const struct ap_program *p, uint64_t first, uint64_t count) {
  uint64_t bytes = 0;
  for (uint64_t at = first; at < first + count;) {
    uint64_t begin = at - at % AP_CONST_CHUNK, end = begin + AP_CONST_CHUNK < p->consts.count ? begin + AP_CONST_CHUNK : p->consts.count;
    uint64_t values[AP_CONST_CHUNK], stop = end < first + count ? end : first + count;
    ap_consts_read(&p->consts, begin, end - begin, values);
    bytes += (stop - at) * ap_const_bytes(values, end - begin) + (at == begin);
    at = stop;
  }
  return bytes;
}

static uint64_t tensor_bytes(struct sizes *s, uint32_t tensor) {
  const struct ap_tensor *t = &s->program->tensors[tensor];
  if (!first_time(&s->tensors[tensor]))
    return 0;
  uint64_t bytes = record_bytes(AP_RECORD_TENSOR, t);
  if (t->storage == AP_STORAGE_CONST && t->alias == UINT32_MAX)
    bytes += const_bytes(s->program, t->data, ap_tensor_elements(t));
  return bytes + (t->alias != UINT32_MAX ? tensor_bytes(s, t->alias) : 0);
}

static uint64_t micro_bytes(struct sizes *s, const struct ap_instr *instr) {
  const struct ap_micro *m = ap_program_micro(s->program, instr);
  if (!m || !first_time(&s->micros[m - s->program->micros]))
    return 0;
  uint64_t lits = 0;
  for (uint32_t i = 0; i < m->nsteps; i++)
    lits += m->steps[i].nlits;
  return 8 + 4 * (uint64_t)m->nsteps + 4 * lits;
}

static uint64_t grid_bytes(struct sizes *s, uint32_t grid) {
  return first_time(&s->grids[grid]) ? record_bytes(AP_RECORD_GRID, &s->program->grids[grid]) : 0;
}

static uint64_t instr_bytes(struct sizes *s, const struct ap_instr *instr);

static uint64_t stream_bytes(struct sizes *s, uint32_t stream) {
  const struct ap_stream *stm = &s->program->streams[stream];
  const struct ap_table *table = &s->program->tables[stm->table];
  if (!first_time(&s->streams[stream]))
    return 0;
  uint16_t largest = 0;
  for (uint32_t i = 0; i < stm->count; i++)
    largest = stm->steps[i] > largest ? stm->steps[i] : largest;
  uint64_t bytes = 9 + (uint64_t)stm->count * (largest < 256 ? 1 : 2);
  if (first_time(&s->tables[stm->table])) {
    bytes += 4;
    for (uint32_t i = 0; i < table->count; i++)
      bytes += instr_bytes(s, &table->items[i]);
  }
  return bytes;
}

static uint64_t host_bytes(struct sizes *s, uint32_t host) {
  const struct ap_host *h = &s->program->hosts[host];
  if (!first_time(&s->hosts[host]))
    return 0;
  return record_bytes(AP_RECORD_HOST, h) + tensor_bytes(s, h->input) + tensor_bytes(s, h->output);
}

static uint64_t instr_bytes(struct sizes *s, const struct ap_instr *instr) {
  uint64_t words[2], bytes = 8 * (uint64_t)ap_encode(instr, words);
  switch (ap_op_info((unsigned)instr->op)->op_class) {
  case AP_CLASS_MOVE:
    if (first_time(&s->descs[instr->index])) {
      const struct ap_desc *desc = &s->program->descs[instr->index];
      bytes += record_bytes(AP_RECORD_DESC, desc) + tensor_bytes(s, desc->tensor) + grid_bytes(s, desc->grid);
    }
    return bytes;
  case AP_CLASS_COMPUTE: return bytes + micro_bytes(s, instr);
  default:
    return bytes + (instr->op == AP_OP_STEPS  ? stream_bytes(s, instr->index)
                    : instr->op == AP_OP_GRID ? grid_bytes(s, instr->index)
                    : instr->op == AP_OP_HOST ? host_bytes(s, instr->index)
                                              : 0);
  }
}

static uint64_t layer_bytes(struct sizes *s, uint32_t layer) {
  const struct ap_layer *l = &s->program->layers[layer];
  if (!first_time(&s->layers[layer]))
    return 0;
  uint64_t bytes = record_bytes(AP_RECORD_LAYER, l) + record_bytes(AP_RECORD_RANGE, l) + record_bytes(AP_RECORD_LINE, l);
  bytes += tensor_bytes(s, l->output);
  for (uint32_t i = l->first; i < l->end; i++)
    bytes += instr_bytes(s, &s->program->code[i]);
  return bytes;
}

// What is in the file whoever runs it.
static uint64_t common_bytes(const struct ap_program *p) {
  uint64_t bytes = 0;
  for (unsigned section = 0; section < AP_SECTION_COUNT; section++) {
    struct bf_buf out = {0};
    ap_section_write((enum ap_section)section, p, &out);
    bytes += out.length;
    bf_buf_free(&out);
  }
  return bytes;
}

void ap_profile_sizes(const struct ap_program *program, uint64_t *bytes) {
  const struct ap_program *p = program;
  size_t n = (size_t)p->nlayers + p->ntensors + p->ngrids + p->ndescs + p->nhosts + p->ntables + p->nstreams + p->nmicros;
  bool *marks = bf_alloc(n + 1, sizeof *marks), *at = marks;
  struct sizes s = {.program = p, .bytes = bytes};
  s.layers = at, at += p->nlayers;
  s.tensors = at, at += p->ntensors;
  s.grids = at, at += p->ngrids;
  s.descs = at, at += p->ndescs;
  s.hosts = at, at += p->nhosts;
  s.tables = at, at += p->ntables;
  s.streams = at, at += p->nstreams;
  s.micros = at;
  uint64_t further = 0;
  for (uint32_t i = 0; i < p->nprofiles; i++) {
    bytes[i] = record_bytes(AP_RECORD_PROFILE, &p->profiles[i]) + 4 + 4 * (uint64_t)p->profiles[i].nlayers;
    for (uint32_t l = 0; l < p->profiles[i].nlayers; l++)
      bytes[i] += layer_bytes(&s, p->profiles[i].layers[l]);
    further += i ? bytes[i] : 0;
  }
  if (p->nprofiles)
    bytes[0] = common_bytes(p) - further;
  free(marks);
}
