// SPDX-License-Identifier: Apache-2.0
// Contents of the container's sections. The reader beside this file is isa/section_read.c.
#include "isa/container.h"

const char *ap_section_name(enum ap_section section) {
  static const char *const NAMES[] = {
#define AP_SECTION_NAME(id, name) name,
      AP_SECTIONS(AP_SECTION_NAME)
#undef AP_SECTION_NAME
  };
  return NAMES[section];
}

static void put_byte(struct bf_buf *out, uint64_t value) {
  uint8_t byte = (uint8_t)value;
  bf_buf_append(out, &byte, 1);
}

static void put_list(struct bf_buf *out, enum ap_record record, const void *items, uint32_t count) {
  bf_buf_u32(out, count);
  for (uint32_t i = 0; i < count; i++)
    ap_record_write(record, (const char *)items + (size_t)i * ap_record_size(record), out);
}

static void put_numbers(struct bf_buf *out, const uint32_t *items, uint32_t count) {
  bf_buf_u32(out, count);
  for (uint32_t i = 0; i < count; i++)
    bf_buf_u32(out, items[i]);
}

static void put_meta(const struct ap_program *p, struct bf_buf *out) {
  struct bf_buf machine = {0};
  ap_machine_print(&p->machine, &machine);
  bf_buf_u32(out, AP_CONTAINER_VERSION);
  bf_buf_u64(out, bf_hash(machine.data, machine.length));
  bf_buf_free(&machine);
  ap_record_write(AP_RECORD_PROGRAM, p, out);
  put_list(out, AP_RECORD_HOST, p->hosts, p->nhosts);
  put_list(out, AP_RECORD_LAYER, p->layers, p->nlayers);
  put_numbers(out, p->inputs, p->ninputs);
  put_numbers(out, p->outputs, p->noutputs);
}

static void put_micros(const struct ap_program *p, struct bf_buf *out) {
  bf_buf_u32(out, p->nmicros);
  for (uint32_t i = 0; i < p->nmicros; i++) {
    const struct ap_micro *m = &p->micros[i];
    put_byte(out, m->op);
    bf_buf_append(out, m->width, 3);
    bf_buf_u32(out, m->nsteps);
    for (uint32_t s = 0; s < m->nsteps; s++) {
      const struct ap_step *step = &m->steps[s];
      put_byte(out, step->kind);
      put_byte(out, step->nlits);
      bf_buf_u16(out, step->group);
      for (uint32_t l = 0; l < step->nlits; l++) {
        const struct ap_lit *lit = &m->lits[step->first + l];
        put_byte(out, lit->slot);
        put_byte(out, lit->bit);
        put_byte(out, lit->value);
        put_byte(out, lit->kbit);
      }
    }
  }
}

static void put_words(const struct ap_instr *items, uint32_t count, struct bf_buf *out) {
  for (uint32_t i = 0; i < count; i++) {
    uint64_t words[2];
    unsigned n = ap_encode(&items[i], words);
    for (unsigned w = 0; w < n; w++)
      bf_buf_u64(out, words[w]);
  }
}

static void put_tables(const struct ap_program *p, struct bf_buf *out) {
  bf_buf_u32(out, p->ntables);
  for (uint32_t i = 0; i < p->ntables; i++) {
    bf_buf_u32(out, p->tables[i].count);
    put_words(p->tables[i].items, p->tables[i].count, out);
  }
}

// There are millions of steps: they go out in pieces.
static void put_steps(const struct ap_stream *stream, unsigned bytes, struct bf_buf *out) {
  unsigned char piece[4096];
  size_t n = 0;
  for (uint32_t s = 0; s < stream->count; s++) {
    piece[n++] = (unsigned char)stream->steps[s];
    if (bytes == 2)
      piece[n++] = (unsigned char)(stream->steps[s] >> 8);
    if (n < sizeof piece && s + 1 < stream->count)
      continue;
    bf_buf_append(out, piece, n);
    n = 0;
  }
}

static unsigned step_bytes(const struct ap_stream *stream) {
  uint16_t largest = 0;
  for (uint32_t s = 0; s < stream->count; s++)
    largest = stream->steps[s] > largest ? stream->steps[s] : largest;
  return largest < 256 ? 1 : 2;
}

static void put_streams(const struct ap_program *p, struct bf_buf *out) {
  size_t bytes = 4;
  for (uint32_t i = 0; i < p->nstreams; i++)
    bytes += 9 + (size_t)p->streams[i].count * step_bytes(&p->streams[i]);
  bf_buf_reserve(out, bytes);
  bf_buf_u32(out, p->nstreams);
  for (uint32_t i = 0; i < p->nstreams; i++) {
    const struct ap_stream *stream = &p->streams[i];
    unsigned width = step_bytes(stream);
    bf_buf_u32(out, stream->table);
    bf_buf_u32(out, stream->count);
    put_byte(out, width);
    put_steps(stream, width, out);
  }
}

// Each number in the fewest bytes that hold all of its pattern.
static void put_pattern(const struct ap_pattern *pattern, struct bf_buf *out) {
  uint64_t all = pattern->base;
  unsigned bytes = 1;
  for (unsigned i = 0; i < pattern->inputs; i++)
    all |= pattern->add[i];
  while (bytes < 8 && all >> 8 * bytes)
    bytes++;
  put_byte(out, pattern->inputs);
  put_byte(out, pattern->key);
  put_byte(out, bytes);
  for (unsigned i = 0; i <= pattern->inputs; i++)
    for (unsigned b = 0; b < bytes; b++)
      put_byte(out, (i ? pattern->add[i - 1] : pattern->base) >> 8 * b & 0xFF);
}

static void put_patterns(const struct ap_program *p, struct bf_buf *out) {
  bf_buf_u32(out, p->npatterns);
  for (uint32_t i = 0; i < p->npatterns; i++)
    put_pattern(&p->patterns[i], out);
}

static void put_consts(const struct ap_program *p, struct bf_buf *out) {
  bf_buf_u64(out, p->consts.count);
  for (uint64_t first = 0; first < p->consts.count; first += AP_CONST_CHUNK) {
    uint64_t n = p->consts.count - first < AP_CONST_CHUNK ? p->consts.count - first : AP_CONST_CHUNK;
    uint64_t values[AP_CONST_CHUNK];
    ap_consts_read(&p->consts, first, n, values);
    unsigned bytes = ap_const_bytes(values, n);
    put_byte(out, bytes);
    for (uint64_t i = 0; i < n; i++)
      for (unsigned b = 0; b < bytes; b++)
        put_byte(out, values[i] >> 8 * b & 0xFF);
  }
}

static void put_lines(const struct ap_program *p, struct bf_buf *out) {
  bf_buf_u32(out, p->nlayers);
  for (uint32_t i = 0; i < p->nlayers; i++) {
    ap_record_write(AP_RECORD_RANGE, &p->layers[i], out);
    ap_record_write(AP_RECORD_LINE, &p->layers[i], out);
  }
}

static void put_profiles(const struct ap_program *p, struct bf_buf *out) {
  bf_buf_u32(out, p->nprofiles);
  for (uint32_t i = 0; i < p->nprofiles; i++) {
    ap_record_write(AP_RECORD_PROFILE, &p->profiles[i], out);
    put_numbers(out, p->profiles[i].layers, p->profiles[i].nlayers);
  }
}

void ap_section_write(enum ap_section section, const struct ap_program *p, struct bf_buf *out) {
  switch (section) {
  case AP_SECTION_META: put_meta(p, out); break;
  case AP_SECTION_MACHINE: ap_machine_print(&p->machine, out); break;
  case AP_SECTION_TENSORS: put_list(out, AP_RECORD_TENSOR, p->tensors, p->ntensors); break;
  case AP_SECTION_DESC:
    put_list(out, AP_RECORD_GRID, p->grids, p->ngrids);
    put_list(out, AP_RECORD_DESC, p->descs, p->ndescs);
    break;
  case AP_SECTION_MICRO: put_micros(p, out); break;
  case AP_SECTION_TABLES: put_tables(p, out); break;
  case AP_SECTION_STREAMS: put_streams(p, out); break;
  case AP_SECTION_PATTERNS: put_patterns(p, out); break;
  case AP_SECTION_CODE: put_words(p->code, p->ncode, out); break;
  case AP_SECTION_CONST: put_consts(p, out); break;
  case AP_SECTION_LINES: put_lines(p, out); break;
  case AP_SECTION_PROFILES: put_profiles(p, out); break;
  case AP_SECTION_SOURCE: bf_buf_append(out, p->source.data ? p->source.data : "", p->source.length); break;
  case AP_SECTION_COUNT: break;
  }
}
