// SPDX-License-Identifier: Apache-2.0
// Summaries of layers as bytes: a mark with the version, a checksum, numbers of 7 bits a byte (least significant first; the top bit says that
// more follow). What changes little from region to region is stored as the difference from the region before.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/bf_hash.h"
#include "isa/packed.h"
#include "isa/summary.h"
#include "isa/validate.h"

static const char mark[8] = {'b', 'f', 'l', 'a', 'y', 'e', 'r', 1};  // the last: version of the form
#define HEAD (sizeof mark + 16)

// --- writing ---------------------------------------------------------------------------------------------------

static void put_grid(struct bf_buf *out, const struct ap_grid *g) {
  for (int j = 0; j < 4; j++) ap_put(out, g->count[j]);
  ap_put(out, g->tile_rows);
}

static void put_class(struct bf_buf *out, const struct ap_move_class *c) {
  ap_put(out, c->grid);
  ap_put(out, c->bits);
  for (int j = 0; j < 4; j++) {
    ap_put(out, c->row_dim[j]);
    ap_put_signed(out, c->row_stride[j]);
  }
}

static void put_moves(struct bf_buf *out, const struct ap_layer_summary *l, const struct ap_moves *m) {
  ap_put(out, m->grid);
  ap_put(out, m->count);
  ap_put(out, m->prefetch == UINT32_MAX ? 0 : (uint64_t)m->prefetch + 1);
  for (uint32_t i = m->first; i < m->first + m->count; i++) {
    ap_put(out, l->items[i].class);
    ap_put(out, l->items[i].loads);
    ap_put(out, l->items[i].prefetches);
    ap_put(out, l->items[i].stores);
  }
}

static void put_steps(struct bf_buf *out, const struct ap_layer_steps *s) {
  const uint64_t numbers[] = {s->compare, s->write, s->shift, s->count, s->shift_rows, s->count_rows, s->cells_rows, s->cells_tiles};
  for (size_t i = 0; i < BF_COUNT(numbers); i++) ap_put(out, numbers[i]);
  ap_put_real(out, s->matches);
  ap_put_real(out, s->written);
  ap_put_real(out, s->changed);
}

static void put_regions(struct bf_buf *out, const struct ap_layer_summary *l) {
  struct ap_region_summary last = {0};
  struct ap_runs runs[AP_MICROCODES] = {{0}};
  for (uint32_t i = 0; i < l->nregions; i++) {
    const struct ap_region_summary *r = &l->regions[i];
    ap_put(out, ap_fold((int64_t)r->moves - last.moves) << 1 | r->ends_epoch);
    ap_put_signed(out, (int64_t)r->load - last.load);
    for (unsigned c = 0; c < l->microcodes; c++) {
      const struct ap_runs *now = &l->runs[c][i];
      ap_put_signed(out, (int64_t)(now->compares - runs[c].compares));
      ap_put_signed(out, (int64_t)(now->writes - runs[c].writes));
      ap_put_signed(out, (int64_t)(now->others - runs[c].others));
      runs[c] = *now;
    }
    last = *r;
  }
}

static void put_body(struct bf_buf *out, const struct ap_layer_summary *l) {
  ap_put_text(out, l->op);
  ap_put_text(out, l->mapping);
  ap_put(out, l->bits_w);
  ap_put(out, l->bits_a);
  ap_put(out, l->macs);
  ap_put(out, l->columns_used);
  ap_put(out, l->descs);
  ap_put(out, l->hosts);
  ap_put(out, l->ends_before);
  ap_put(out, l->microcodes);
  ap_put(out, l->ngrids);
  for (uint32_t i = 0; i < l->ngrids; i++) put_grid(out, &l->grids[i]);
  ap_put(out, l->nclasses);
  for (uint32_t i = 0; i < l->nclasses; i++) put_class(out, &l->classes[i]);
  ap_put(out, l->nmoves);
  ap_put(out, l->nitems);
  for (uint32_t i = 0; i < l->nmoves; i++) put_moves(out, l, &l->moves[i]);
  ap_put(out, l->nregions);
  put_regions(out, l);
  for (unsigned c = 0; c < l->microcodes; c++) put_steps(out, &l->steps[c]);
}

void ap_packed_seal(struct bf_buf *out, const char mark_[8], const struct bf_buf *body) {
  struct bf_hasher hasher;
  bf_hasher_begin(&hasher, 0);
  bf_hasher_add(&hasher, body->data, body->length);
  struct bf_digest sum = bf_hasher_end(&hasher);
  bf_buf_append(out, mark_, 8);
  bf_buf_u64(out, sum.words[0]);
  bf_buf_u64(out, sum.words[1]);
  bf_buf_append(out, body->data, body->length);
}

void ap_layer_summary_write(const struct ap_layer_summary *layer, struct bf_buf *out) {
  struct bf_buf body = {0};
  put_body(&body, layer);
  ap_packed_seal(out, mark, &body);
  bf_buf_free(&body);
}

// --- reading ---------------------------------------------------------------------------------------------------

static uint64_t little(const unsigned char *p) {
  uint64_t v = 0;
  for (unsigned i = 0; i < 8; i++) v |= (uint64_t)p[i] << 8 * i;
  return v;
}

bool ap_packed_open(struct ap_packed *in, const char mark_[8], const void *data, size_t length) {
  const unsigned char *bytes = data;
  if (length < HEAD || memcmp(bytes, mark_, 8) != 0) return false;
  *in = (struct ap_packed){bytes + HEAD, bytes + length, false};
  struct bf_hasher hasher;
  bf_hasher_begin(&hasher, 0);
  bf_hasher_add(&hasher, in->at, (size_t)(in->end - in->at));
  struct bf_digest sum = bf_hasher_end(&hasher);
  return sum.words[0] == little(bytes + 8) && sum.words[1] == little(bytes + 16);
}

static void get_grid(struct ap_packed *in, struct ap_grid *g) {
  for (int j = 0; j < 4; j++) g->count[j] = (uint32_t)ap_get(in, INT32_MAX);
  g->tile_rows = (uint32_t)ap_get(in, UINT32_MAX);
}

static void get_class(struct ap_packed *in, struct ap_move_class *c) {
  c->grid = (uint32_t)ap_get(in, UINT32_MAX);
  c->bits = (uint8_t)ap_get(in, UINT8_MAX);
  for (int j = 0; j < 4; j++) {
    int64_t stride;
    c->row_dim[j] = (uint8_t)ap_get(in, UINT8_MAX);
    stride = ap_get_signed(in);
    in->wrong |= stride < -(1 << 28) || stride > 1 << 28;  // four of them times 2^31 stay within 62 bits
    c->row_stride[j] = in->wrong ? 0 : (int32_t)stride;
  }
}

static void get_moves(struct ap_packed *in, struct ap_layer_summary *l) {
  uint32_t used = 0;
  for (uint32_t i = 0; i < l->nmoves && !in->wrong; i++) {
    struct ap_moves *m = &l->moves[i];
    m->grid = (uint32_t)ap_get(in, UINT32_MAX);
    m->first = used;
    m->count = (uint32_t)ap_get(in, l->nitems - used);
    uint64_t prefetch = ap_get(in, l->nclasses);
    m->prefetch = prefetch ? (uint32_t)(prefetch - 1) : UINT32_MAX;
    for (uint32_t k = 0; k < m->count && !in->wrong; k++) {
      struct ap_move *move = &l->items[used++];
      move->class = (uint32_t)ap_get(in, UINT32_MAX);
      move->loads = ap_get(in, UINT64_MAX);
      move->prefetches = ap_get(in, UINT64_MAX);
      move->stores = ap_get(in, UINT64_MAX);
    }
  }
  in->wrong |= used != l->nitems;
}

static void get_regions(struct ap_packed *in, struct ap_layer_summary *l) {
  struct ap_runs runs[AP_MICROCODES] = {{0}};
  uint64_t moves = 0, load = 0;
  for (uint32_t i = 0; i < l->nregions && !in->wrong; i++) {
    uint64_t first = ap_get(in, UINT64_MAX);
    moves += (uint64_t)ap_unfold(first >> 1);
    load += (uint64_t)ap_get_signed(in);
    in->wrong |= moves > UINT32_MAX || load > UINT32_MAX;
    l->regions[i] = (struct ap_region_summary){(uint32_t)moves, (uint32_t)load, first & 1};
    for (unsigned c = 0; c < l->microcodes; c++) {
      runs[c].compares += (uint64_t)ap_get_signed(in);
      runs[c].writes += (uint64_t)ap_get_signed(in);
      runs[c].others += (uint64_t)ap_get_signed(in);
      l->runs[c][i] = runs[c];
    }
  }
}

static double get_count(struct ap_packed *in) {
  double value = ap_get_real(in);
  in->wrong |= !(value >= 0 && value < 0x1p62);
  return in->wrong ? 0 : value;
}

static void get_steps(struct ap_packed *in, struct ap_layer_steps *s) {
  uint64_t *const numbers[] = {&s->compare, &s->write, &s->shift, &s->count, &s->shift_rows, &s->count_rows, &s->cells_rows, &s->cells_tiles};
  for (size_t i = 0; i < BF_COUNT(numbers); i++) *numbers[i] = ap_get(in, UINT64_MAX);
  s->matches = get_count(in);
  s->written = get_count(in);
  s->changed = get_count(in);
}

// An array whose length stands next; each element has at least `least` bytes.
#define GET_LIST(in, l, items, count, least)                      \
  ((l)->count = ap_get_count((in), (least)),                      \
   (l)->items = bf_arena_alloc(&(l)->arena, (size_t)(l)->count + 1, sizeof *(l)->items))

static void get_body(struct ap_packed *in, struct ap_layer_summary *l) {
  l->op = ap_get_text(in, &l->arena);
  l->mapping = ap_get_text(in, &l->arena);
  l->bits_w = (uint8_t)ap_get(in, UINT8_MAX);
  l->bits_a = (uint8_t)ap_get(in, UINT8_MAX);
  l->macs = ap_get(in, UINT64_MAX);
  l->columns_used = (uint32_t)ap_get(in, UINT32_MAX);
  l->descs = (uint32_t)ap_get(in, UINT32_MAX);
  l->hosts = (uint32_t)ap_get(in, UINT32_MAX);
  l->ends_before = ap_get(in, 1);
  l->microcodes = (unsigned)ap_get(in, AP_MICROCODES);
  GET_LIST(in, l, grids, ngrids, 5);
  for (uint32_t i = 0; i < l->ngrids; i++) get_grid(in, &l->grids[i]);
  GET_LIST(in, l, classes, nclasses, 10);
  for (uint32_t i = 0; i < l->nclasses; i++) get_class(in, &l->classes[i]);
  GET_LIST(in, l, moves, nmoves, 3);
  GET_LIST(in, l, items, nitems, 4);
  get_moves(in, l);
  GET_LIST(in, l, regions, nregions, 2);
  for (unsigned c = 0; c < l->microcodes; c++) l->runs[c] = bf_arena_alloc(&l->arena, (size_t)l->nregions + 1, sizeof *l->runs[c]);
  get_regions(in, l);
  for (unsigned c = 0; c < l->microcodes; c++) get_steps(in, &l->steps[c]);
  in->wrong |= in->at != in->end;
}

struct ap_layer_summary *ap_layer_summary_read(const void *data, size_t length) {
  struct ap_packed in;
  if (!ap_packed_open(&in, mark, data, length)) return NULL;
  struct ap_layer_summary *layer = ap_layer_summary_new();
  get_body(&in, layer);
  if (!in.wrong && ap_layer_summary_settle(layer, AP_MAX_TILES)) return layer;
  ap_layer_summary_drop(layer);
  return NULL;
}
