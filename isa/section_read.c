// SPDX-License-Identifier: Apache-2.0
// Reads the contents of the container's sections: structure only. Whether the numbers make sense together is the
// validator's matter. Every count is checked against the bytes that are there before memory is asked for.
#include <stdlib.h>
#include <string.h>

#include "isa/container.h"

static bool fail(struct ap_cursor *c, size_t at, const char *why) {
  if (!c->bad) {
    c->bad = why;
    c->at = at;
  }
  return false;
}

// A count of items that take at least `least` bytes each.
static uint32_t take_count(struct ap_cursor *c, size_t least) {
  size_t at = c->at;
  uint64_t count = ap_cursor_uint(c, 4);
  if (!c->bad && count > (c->length - c->at) / least)
    fail(c, at, "a count is larger than the section");
  return c->bad ? 0 : (uint32_t)count;
}

static void *take_list(struct ap_cursor *c, struct bf_arena *arena, enum ap_record record, uint32_t *count) {
  *count = take_count(c, ap_record_min_bytes(record));
  char *items = bf_arena_alloc(arena, *count, ap_record_size(record));
  for (uint32_t i = 0; i < *count && !c->bad; i++)
    ap_record_read(record, items + (size_t)i * ap_record_size(record), c, arena);
  return items;
}

static uint32_t *take_numbers(struct ap_cursor *c, struct bf_arena *arena, uint32_t *count) {
  *count = take_count(c, 4);
  uint32_t *items = bf_arena_alloc(arena, *count, sizeof *items);
  for (uint32_t i = 0; i < *count; i++)
    items[i] = (uint32_t)ap_cursor_uint(c, 4);
  return items;
}

static void take_meta(struct ap_reader *r, struct ap_cursor *c) {
  struct ap_program *p = r->program;
  uint64_t version = ap_cursor_uint(c, 4);
  if (!c->bad && version != AP_CONTAINER_VERSION) {
    fail(c, 0, "unknown version of the format (this reader knows version 3)");
    return;
  }
  r->machine_hash = ap_cursor_uint(c, 8);
  ap_record_read(AP_RECORD_PROGRAM, p, c, &p->arena);
  p->hosts = take_list(c, &p->arena, AP_RECORD_HOST, &p->nhosts);
  p->layers = take_list(c, &p->arena, AP_RECORD_LAYER, &p->nlayers);
  p->inputs = take_numbers(c, &p->arena, &p->ninputs);
  p->outputs = take_numbers(c, &p->arena, &p->noutputs);
}

static void take_machine(struct ap_reader *r, struct ap_cursor *c) {
  const char *text = (const char *)c->data;
  if (bf_hash(text, c->length) != r->machine_hash) {
    fail(c, 0, "the machine description does not match its hash in .ap.meta");
    return;
  }
  if (c->length && memchr(text, 0, c->length)) {
    fail(c, 0, "the machine description is not a text");
    return;
  }
  char *name = bf_format("%s(.ap.machine)", r->file ? r->file : "");
  const struct bf_source *source = bf_diags_add_source(r->diags, name, c->length ? text : "", c->length);
  free(name);
  if (!ap_machine_parse(source, &r->program->machine, r->diags))
    fail(c, 0, "the machine description is wrong");
  else
    c->at = c->length;
}

static void take_step(struct ap_cursor *c, struct ap_micro *m, struct ap_step *step) {
  step->kind = (uint8_t)ap_cursor_uint(c, 1);
  step->nlits = (uint8_t)ap_cursor_uint(c, 1);
  step->group = (uint16_t)ap_cursor_uint(c, 2);
  step->first = m->nlits;
  for (unsigned i = 0; i < step->nlits && !c->bad; i++) {
    struct ap_lit *lit = &m->lits[m->nlits++];
    lit->slot = (uint8_t)ap_cursor_uint(c, 1);
    lit->bit = (uint8_t)ap_cursor_uint(c, 1);
    lit->value = (uint8_t)ap_cursor_uint(c, 1);
    lit->kbit = (uint8_t)ap_cursor_uint(c, 1);
  }
}

// Literals of the `steps` steps that begin at the cursor, which does not move.
static uint32_t count_lits(const struct ap_cursor *cursor, uint32_t steps) {
  struct ap_cursor c = *cursor;
  uint32_t total = 0;
  for (uint32_t i = 0; i < steps && ap_cursor_need(&c, 4); i++) {
    uint32_t lits = c.data[c.at + 1];
    total += lits;
    c.at += 4;
    if (!ap_cursor_need(&c, 4 * (uint64_t)lits))
      break;
    c.at += 4 * (size_t)lits;
  }
  return total;
}

static void take_micros(struct ap_program *p, struct ap_cursor *c) {
  p->nmicros = take_count(c, 8);
  p->micros = bf_arena_alloc(&p->arena, p->nmicros, sizeof *p->micros);
  for (uint32_t i = 0; i < p->nmicros && !c->bad; i++) {
    struct ap_micro *m = &p->micros[i];
    m->op = (enum ap_op)ap_cursor_uint(c, 1);
    for (unsigned k = 0; k < 3; k++)
      m->width[k] = (uint8_t)ap_cursor_uint(c, 1);
    m->nsteps = take_count(c, 4);
    m->steps = bf_arena_alloc(&p->arena, m->nsteps, sizeof *m->steps);
    m->lits = bf_arena_alloc(&p->arena, count_lits(c, m->nsteps), sizeof *m->lits);
    for (uint32_t s = 0; s < m->nsteps && !c->bad; s++)
      take_step(c, m, &m->steps[s]);
  }
}

// Decodes one instruction whose words are at the cursor.
static bool take_instr(struct ap_cursor *c, struct ap_instr *instr) {
  size_t at = c->at;
  uint64_t words[2] = {0, 0};
  unsigned n = c->length - c->at >= 16 ? 2 : 1;
  if (!ap_cursor_need(c, 8))
    return false;
  for (unsigned i = 0; i < 8 * n; i++)
    words[i / 8] |= (uint64_t)c->data[at + i] << 8 * (i % 8);
  const char *why;
  unsigned used = ap_decode(words, n, instr, &why);
  c->at = at + 8 * (size_t)used;
  return used ? true : fail(c, at, why);
}

static void take_tables(struct ap_program *p, struct ap_cursor *c) {
  p->ntables = take_count(c, 4);
  p->tables = bf_arena_alloc(&p->arena, p->ntables, sizeof *p->tables);
  for (uint32_t i = 0; i < p->ntables && !c->bad; i++) {
    struct ap_table *table = &p->tables[i];
    table->count = take_count(c, 8);
    table->items = bf_arena_alloc(&p->arena, table->count, sizeof *table->items);
    for (uint32_t k = 0; k < table->count && !c->bad; k++)
      take_instr(c, &table->items[k]);
  }
}

// Steps of `bytes` bytes, which are there, at once: large programs have a hundred million. Returns the bits that any of them has.
static unsigned take_steps(struct ap_cursor *c, uint16_t *steps, size_t count, unsigned bytes) {
  const uint8_t *from = c->data + c->at;
  unsigned all = 0;
  for (size_t i = 0; i < count && bytes == 1; i++)
    steps[i] = from[i];
  for (size_t i = 0; i < count && bytes == 2; i++) {
    steps[i] = (uint16_t)(from[2 * i] | from[2 * i + 1] << 8);
    all |= steps[i];
  }
  c->at += count * bytes;
  return all;
}

// `steps`: room for the steps.
static void take_stream(struct ap_cursor *c, struct ap_stream *stream, uint16_t *steps) {
  stream->table = (uint32_t)ap_cursor_uint(c, 4);
  uint64_t count = ap_cursor_uint(c, 4);
  size_t at = c->at;
  unsigned bytes = (unsigned)ap_cursor_uint(c, 1);
  if (!c->bad && bytes != 1 && bytes != 2)
    fail(c, at, "the step size of a stream is neither 1 nor 2");
  if (!ap_cursor_need(c, count * bytes))
    return;
  stream->count = (uint32_t)count;
  stream->steps = steps;
  if (take_steps(c, steps, (size_t)count, bytes) < 256 && bytes == 2)
    fail(c, at, "the step size of a stream is larger than needed");
}

// Steps of the streams that begin at the cursor, which does not move.
static size_t count_steps(const struct ap_cursor *cursor, uint32_t streams) {
  struct ap_cursor c = *cursor;
  size_t total = 0;
  for (uint32_t i = 0; i < streams && !c.bad; i++) {
    ap_cursor_uint(&c, 4);
    uint64_t count = ap_cursor_uint(&c, 4), width = ap_cursor_uint(&c, 1), bytes = count * width;
    if (width == 0 || !ap_cursor_need(&c, bytes))  // a width that take_stream refuses must not ask for memory
      break;
    c.at += (size_t)bytes;
    total += (size_t)count;
  }
  return total;
}

static void take_streams(struct ap_program *p, struct ap_cursor *c) {
  p->nstreams = take_count(c, 9);
  p->streams = bf_arena_alloc(&p->arena, p->nstreams, sizeof *p->streams);
  uint16_t *steps = bf_arena_alloc(&p->arena, count_steps(c, p->nstreams), sizeof *steps);
  for (uint32_t i = 0; i < p->nstreams && !c->bad; i++) {
    take_stream(c, &p->streams[i], steps);
    steps += p->streams[i].count;
  }
}

static void take_pattern(struct ap_cursor *c, struct ap_pattern *pattern) {
  size_t at = c->at;
  pattern->inputs = (uint8_t)ap_cursor_uint(c, 1);
  pattern->key = ap_cursor_uint(c, 1);
  unsigned bytes = (unsigned)ap_cursor_uint(c, 1);
  if (!c->bad && (pattern->inputs < 1 || pattern->inputs > AP_MAX_PATTERN_INPUTS))
    fail(c, at, "the inputs of a pattern are not 1 to 8");
  if (!c->bad && (bytes < 1 || bytes > 8))
    fail(c, at, "the number size of a pattern is not 1 to 8");
  if (c->bad)
    return;
  uint64_t all = pattern->base = ap_cursor_uint(c, bytes);
  for (unsigned i = 0; i < pattern->inputs; i++)
    all |= pattern->add[i] = ap_cursor_uint(c, bytes);
  if (bytes > 1 && all >> 8 * (bytes - 1) == 0)
    fail(c, at, "the number size of a pattern is larger than needed");
}

static void take_patterns(struct ap_program *p, struct ap_cursor *c) {
  p->npatterns = take_count(c, 5);
  p->patterns = bf_arena_alloc(&p->arena, p->npatterns, sizeof *p->patterns);
  for (uint32_t i = 0; i < p->npatterns && !c->bad; i++)
    take_pattern(c, &p->patterns[i]);
}

static void take_code(struct ap_program *p, struct ap_cursor *c) {
  if (c->length / 8 > UINT32_MAX) {
    fail(c, 0, "the section is too long");
    return;
  }
  uint32_t capacity = (uint32_t)(c->length / 8);
  p->code = bf_arena_alloc(&p->arena, capacity, sizeof *p->code);
  while (c->at < c->length && !c->bad)
    if (take_instr(c, &p->code[p->ncode]))
      p->ncode++;
}

static void take_const_chunk(struct ap_program *p, struct ap_cursor *c, uint64_t count) {
  uint64_t items[AP_CONST_CHUNK];
  size_t at = c->at;
  unsigned bytes = (unsigned)ap_cursor_uint(c, 1);
  if (!c->bad && bytes != 1 && bytes != 2 && bytes != 4 && bytes != 8)
    fail(c, at, "the element size of constants is not 1, 2, 4 or 8");
  if (!ap_cursor_need(c, count * bytes))
    return;
  const uint8_t *from = c->data + c->at;
  uint64_t all = 0;
  for (uint64_t i = 0; i < count; i++, from += bytes) {
    items[i] = 0;
    for (unsigned b = 0; b < bytes; b++)
      items[i] |= (uint64_t)from[b] << 8 * b;
    all |= items[i];
  }
  c->at += (size_t)(count * bytes);
  if (bytes > 1 && all >> (bytes == 2 ? 8 : bytes == 4 ? 16 : 32) == 0)
    fail(c, at, "the element size of constants is larger than needed");
  ap_consts_add(&p->consts, &p->arena, items, count);
}

static void take_consts(struct ap_program *p, struct ap_cursor *c) {
  uint64_t count = ap_cursor_uint(c, 8);
  if (!c->bad && count > c->length - c->at) {
    fail(c, 0, "a count is larger than the section");
    return;
  }
  for (uint64_t first = 0; first < count && !c->bad; first += AP_CONST_CHUNK)
    take_const_chunk(p, c, count - first < AP_CONST_CHUNK ? count - first : AP_CONST_CHUNK);
}

static void take_lines(struct ap_program *p, struct ap_cursor *c) {
  if (take_count(c, ap_record_min_bytes(AP_RECORD_RANGE)) != p->nlayers)
    fail(c, 0, "the line table does not have one entry for each layer");
  for (uint32_t i = 0; i < p->nlayers && !c->bad; i++) {
    ap_record_read(AP_RECORD_RANGE, &p->layers[i], c, &p->arena);
    ap_record_read(AP_RECORD_LINE, &p->layers[i], c, &p->arena);
  }
}

static void take_profiles(struct ap_program *p, struct ap_cursor *c) {
  p->nprofiles = take_count(c, ap_record_min_bytes(AP_RECORD_PROFILE) + 4);
  p->profiles = bf_arena_alloc(&p->arena, p->nprofiles, sizeof *p->profiles);
  for (uint32_t i = 0; i < p->nprofiles && !c->bad; i++) {
    ap_record_read(AP_RECORD_PROFILE, &p->profiles[i], c, &p->arena);
    p->profiles[i].layers = take_numbers(c, &p->arena, &p->profiles[i].nlayers);
  }
}

static void take_source(struct ap_program *p, struct ap_cursor *c) {
  p->source.length = c->length;
  p->source.data = bf_arena_strndup(&p->arena, c->length ? (const char *)c->data : "", c->length);
  c->at = c->length;
}

bool ap_section_read(enum ap_section section, struct ap_reader *r, struct ap_cursor *c) {
  struct ap_program *p = r->program;
  switch (section) {
  case AP_SECTION_META: take_meta(r, c); break;
  case AP_SECTION_MACHINE: take_machine(r, c); break;
  case AP_SECTION_TENSORS: p->tensors = take_list(c, &p->arena, AP_RECORD_TENSOR, &p->ntensors); break;
  case AP_SECTION_DESC:
    p->grids = take_list(c, &p->arena, AP_RECORD_GRID, &p->ngrids);
    p->descs = take_list(c, &p->arena, AP_RECORD_DESC, &p->ndescs);
    break;
  case AP_SECTION_MICRO: take_micros(p, c); break;
  case AP_SECTION_TABLES: take_tables(p, c); break;
  case AP_SECTION_STREAMS: take_streams(p, c); break;
  case AP_SECTION_PATTERNS: take_patterns(p, c); break;
  case AP_SECTION_CODE: take_code(p, c); break;
  case AP_SECTION_CONST: take_consts(p, c); break;
  case AP_SECTION_LINES: take_lines(p, c); break;
  case AP_SECTION_PROFILES: take_profiles(p, c); break;
  case AP_SECTION_SOURCE: take_source(p, c); break;
  case AP_SECTION_COUNT: break;
  }
  if (!c->bad && c->at != c->length)
    fail(c, c->at, "bytes follow the end of the contents");
  return !c->bad;
}
