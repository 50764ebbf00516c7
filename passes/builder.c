// SPDX-License-Identifier: Apache-2.0
// Field IR construction: memories, regions, descriptors, values with intervals.
#include "passes/builder.h"

#include <stdlib.h>
#include <string.h>

#include "passes/digits.h"

bool bf_lower_fail(struct bf_lower *l, const char *hint, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  char *text = bf_vformat(fmt, args);
  va_end(args);
  if (!l->failed) bf_node_error(l->unit, l->node, hint, text);
  free(text);
  l->failed = true;
  return false;
}

void bf_shape4(const struct bf_tensor *tensor, uint32_t shape[4]) {
  for (int i = 0; i < 4; i++) shape[i] = 1;
  for (unsigned i = 0; i < tensor->rank; i++) shape[4 - tensor->rank + i] = (uint32_t)tensor->shape[i];
}

unsigned bf_mem_bits(struct bf_type type) { return type.kind == BF_TYPE_B ? 2 : type.bits; }

void bf_mem_range(const struct bf_tensor *tensor, uint64_t *lo, uint64_t *hi) {
  int64_t min = bf_type_min(tensor->type);
  *lo = 0;
  *hi = (uint64_t)(bf_type_max(tensor->type) - min);
  if (tensor->data) {
    uint64_t top = *hi;
    *hi = 0, *lo = top;
    for (uint64_t i = 0; i < tensor->elements; i++) {
      uint64_t u = (uint64_t)(tensor->data[i] - min);
      if (u < *lo) *lo = u;
      if (u > *hi) *hi = u;
    }
    return;
  }
  const struct bf_node *producer = tensor->producer;
  if (!producer || !(bf_op_info(producer->op)->attrs & BF_ATTR_REQUANT)) return;
  const struct bf_requant *rq = &producer->attrs.requant;
  if (rq->lo < min || rq->hi > bf_type_max(tensor->type) || rq->lo > rq->hi) return;
  *lo = (uint64_t)(rq->lo - min);
  *hi = (uint64_t)(rq->hi - min);
}

static uint32_t add_mem(struct bf_lower *l, struct bf_fmem mem) {
  struct bf_fprogram *p = l->fields;
  mem.elements = 1;
  for (int i = 0; i < 4; i++) mem.elements *= mem.shape[i];
  BF_PUSH(p->mems, p->nmems, p->mems_capacity) = mem;
  return (uint32_t)(p->nmems - 1);
}

uint32_t bf_lower_mem(struct bf_lower *l, const struct bf_tensor *tensor) {
  uint32_t *slot = &l->fields->mem_of[tensor->id];
  if (*slot != BF_NO_INDEX) return *slot;
  struct bf_fmem mem = {.name = bf_strdup(tensor->name), .kind = BF_FMEM_ACTIVATION, .bits = bf_mem_bits(tensor->type),
                        .bias = bf_type_min(tensor->type), .tensor = tensor, .alias = BF_NO_INDEX};
  bf_shape4(tensor, mem.shape);
  if (tensor->data) mem.kind = BF_FMEM_CONST;
  return *slot = add_mem(l, mem);
}

uint32_t bf_lower_const(struct bf_lower *l, const char *name, unsigned bits, int64_t bias, const uint32_t shape[4],
                        uint64_t *data) {
  struct bf_fmem mem = {.name = bf_format("%s.%s", l->node->name, name), .kind = BF_FMEM_CONST, .bits = bits,
                        .bias = bias, .alias = BF_NO_INDEX, .data = data};
  memcpy(mem.shape, shape, sizeof mem.shape);
  return add_mem(l, mem);
}

uint32_t bf_lower_weights(struct bf_lower *l, const struct bf_tensor *weights, unsigned bits, const uint32_t shape[4]) {
  struct bf_fmem mem = {.name = bf_format("%s.weights", l->node->name), .kind = BF_FMEM_CONST, .bits = bits,
                        .alias = BF_NO_INDEX, .weights = weights};
  memcpy(mem.shape, shape, sizeof mem.shape);
  return add_mem(l, mem);
}

static bool name_taken(const struct bf_fprogram *p, const char *name) {
  for (size_t i = 0; i < p->nmems; i++)
    if (!strcmp(p->mems[i].name, name)) return true;
  return false;
}

// A layer may have several memories of one purpose: sums, sums2, …
static char *temp_name(struct bf_lower *l, const char *name) {
  char *full = bf_format("%s.%s", l->node->name, name);
  for (unsigned i = 2; name_taken(l->fields, full); i++) {
    free(full);
    full = bf_format("%s.%s%u", l->node->name, name, i);
  }
  return full;
}

uint32_t bf_lower_temp(struct bf_lower *l, const char *name, unsigned bits, const uint32_t shape[4]) {
  struct bf_fmem mem = {.name = temp_name(l, name), .kind = BF_FMEM_TEMP, .bits = bits,
                        .alias = BF_NO_INDEX};
  memcpy(mem.shape, shape, sizeof mem.shape);
  return add_mem(l, mem);
}

void bf_lower_layer(struct bf_lower *l, const char *mapping, unsigned bits_w, unsigned bits_a) {
  struct bf_fprogram *p = l->fields;
  struct bf_flayer layer = {.node = l->node, .mapping = mapping, .first_region = p->nregions, .bits_w = bits_w,
                            .bits_a = bits_a};
  BF_PUSH(p->layers, p->nlayers, p->layers_capacity) = layer;
  l->last_grid = BF_NO_INDEX;
}

// Regions go on to the next passes when they hold this many operations together.
#define ENOUGH_OPS 16384

static void hand_on(struct bf_lower *l) {
  struct bf_unit *unit = l->unit;
  if (l->fields->nops < ENOUGH_OPS || !unit->part || l->failed) return;
  if (!unit->part(unit, false)) l->failed = true;
}

#define MOST_MORE 4096  // tiles
#define EVEN_PART 10    // one more tile for so many, at most, if that takes further waves

void bf_lower_region(struct bf_lower *l, const uint32_t rows[4]) { bf_lower_region_tiles(l, rows, l->unit->machine->rows); }

static uint64_t gcd(uint64_t a, uint64_t b) {
  while (b) {
    uint64_t rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}

uint64_t bf_loads_at_port(const struct ap_machine *machine, uint64_t period) { return period / gcd(period, machine->clusters); }

uint64_t bf_even_tiles(const struct ap_machine *machine, uint64_t rows, uint64_t regions) {
  uint64_t tiles = (rows + machine->rows - 1) / machine->rows, caps = (uint64_t)machine->clusters * machine->caps_per_cluster, best = tiles;
  if (!machine->multicast || machine->unlimited_caps || tiles < 2) return tiles;
  uint64_t waves = (regions * tiles + caps - 1) / caps, most = (tiles + machine->clusters - 1) / machine->clusters * machine->clusters;
  if (most > tiles + MOST_MORE) most = tiles + MOST_MORE;
  for (uint64_t even = tiles; even <= most && even <= rows; even++) {
    uint64_t tile_rows = (rows + even - 1) / even;
    if ((rows + tile_rows - 1) / tile_rows != even) continue;
    bool same_waves = (regions * even + caps - 1) / caps == waves;
    if (!same_waves && EVEN_PART * (even - tiles) > tiles) break;
    if (bf_loads_at_port(machine, even) < bf_loads_at_port(machine, best)) best = even;
  }
  return best;
}

void bf_lower_region_shared(struct bf_lower *l, const uint32_t rows[4], uint64_t regions) {
  uint64_t total = 1;
  for (int i = 0; i < 4; i++) total *= rows[i];
  uint64_t tiles = bf_even_tiles(l->unit->machine, total, regions);
  bf_lower_region_tiles(l, rows, tiles > 1 ? (uint32_t)((total + tiles - 1) / tiles) : l->unit->machine->rows);
}

void bf_lower_region_tiles(struct bf_lower *l, const uint32_t rows[4], uint32_t tile_rows) {
  struct bf_fprogram *p = l->fields;
  hand_on(l);
  struct bf_fgrid grid = {.tile_rows = tile_rows};
  memcpy(grid.count, rows, sizeof grid.count);
  uint64_t total = 1;
  for (int i = 0; i < 4; i++) total *= rows[i];
  if (total < grid.tile_rows) grid.tile_rows = (uint32_t)total;
  // Regions of a layer over the same rows share their grid, so that their loads can be shared as well.
  if (l->last_grid == BF_NO_INDEX || memcmp(&p->grids[l->last_grid], &grid, sizeof grid)) {
    BF_PUSH(p->grids, p->ngrids, p->grids_capacity) = grid;
    l->last_grid = (uint32_t)(p->ngrids - 1);
  }
  struct bf_region region = {.grid = l->last_grid};
  BF_PUSH(p->regions, p->nregions, p->regions_capacity) = region;
  l->region = &p->regions[p->nregions - 1];
  p->layers[p->nlayers - 1].nregions++;
}

void bf_lower_end_region(struct bf_lower *l, bool barrier) {
  struct bf_region *region = l->region;
  region->barrier_after = barrier;
  l->fields->nops += region->nops;
  for (size_t i = 0; i < region->nfields; i++)
    if (region->fields[i].width > 64)
      bf_lower_fail(l, "use a requantization with a shorter multiplier", "field %s needs %u bits, at most 64 are possible",
                    region->fields[i].name, region->fields[i].width);
  if (region->nfields > BF_MAX_REGION_FIELDS)
    bf_lower_fail(l, "use fewer channels", "%zu fields are needed, at most %u are possible", region->nfields, BF_MAX_REGION_FIELDS);
  // Width 0 of a destination stands for the whole field, known only now.
  for (size_t i = 0; i < region->nops; i++) {
    struct bf_fop *op = &region->ops[i];
    if (!op->d.width && (op->kind == BF_FOP_SETK || op->kind == BF_FOP_COPY))
      op->d.width = region->fields[op->d.field].width & 127;
  }
}

uint32_t bf_lower_desc(struct bf_lower *l, struct bf_fdesc desc) {
  struct bf_fprogram *p = l->fields;
  desc.grid = l->last_grid;
  for (int i = 0; i < 4; i++)
    if (!desc.tap_count[i]) desc.tap_count[i] = 1;
  // Equal descriptors of a layer are one: loads through them are the same loads.
  for (size_t i = p->ndescs; i-- > 0 && p->descs[i].grid == desc.grid;)
    if (!memcmp(&p->descs[i], &desc, sizeof desc)) return (uint32_t)i;
  BF_PUSH(p->descs, p->ndescs, p->descs_capacity) = desc;
  return (uint32_t)(p->ndescs - 1);
}

struct bf_fdesc bf_elementwise_desc(uint32_t mem) {
  struct bf_fdesc desc;
  memset(&desc, 0, sizeof desc);
  desc.mem = mem;
  for (int i = 0; i < 4; i++) {
    desc.row_dim[i] = (uint8_t)i;
    desc.row_stride[i] = 1;
    desc.tap_count[i] = 1;
  }
  return desc;
}

struct bf_fdesc bf_pixel_desc(uint32_t mem, uint32_t channels) {
  struct bf_fdesc desc = bf_elementwise_desc(mem);
  desc.row_dim[3] = 255;
  desc.row_stride[3] = 0;
  desc.tap_count[3] = channels;
  desc.tap_step[3] = 1;
  return desc;
}

static void grow(struct bf_lower *l, uint32_t field, unsigned offset, uint64_t hi) {
  struct bf_field *f = &l->region->fields[field];
  unsigned width = offset + bf_bits(hi);
  if (width > f->width) f->width = (uint16_t)width;
}

struct bf_slice bf_val_slice(const struct bf_val *v) {
  return (struct bf_slice){v->field, v->offset & 127, bf_bits(v->hi)};
}

struct bf_slice bf_val_low(struct bf_lower *l, struct bf_val *v, unsigned width) {
  uint64_t all = width >= 64 ? UINT64_MAX : ((uint64_t)1 << width) - 1;
  grow(l, v->field, v->offset, all);
  return (struct bf_slice){v->field, v->offset & 127, width & 127};
}

struct bf_val bf_build_load(struct bf_lower *l, uint32_t desc, uint32_t tap, uint64_t lo, uint64_t hi, const char *name) {
  uint32_t field = bf_field_new(l->region, "%s", name);
  const struct bf_fdesc *from = &l->fields->descs[desc];
  unsigned bits = bf_fdesc_bits(from, &l->fields->mems[from->mem]);
  l->region->fields[field].width = (uint16_t)bits;
  struct bf_fop op = {.kind = BF_FOP_LOAD, .d = {field, 0, bits}, .desc = desc, .tap = tap};
  bf_fop_append(l->region, op);
  return (struct bf_val){.field = field, .lo = lo, .hi = hi};
}

struct bf_val bf_build_const(struct bf_lower *l, uint64_t content, int64_t bias, const char *name) {
  struct bf_val v = {.field = bf_field_new(l->region, "%s", name), .lo = content, .hi = content, .bias = bias};
  grow(l, v.field, 0, content);
  bf_fop_append(l->region, (struct bf_fop){.kind = BF_FOP_SETK, .d = {v.field, 0, 0}, .imm = content});
  return v;
}

struct bf_val bf_build_widen(struct bf_lower *l, struct bf_val v, const char *name) {
  struct bf_val w = v;
  w.field = bf_field_new(l->region, "%s", name);
  w.offset = 0;
  grow(l, w.field, 0, v.hi);
  bf_fop_append(l->region, (struct bf_fop){.kind = BF_FOP_COPY, .d = {w.field, 0, 0}, .a = bf_val_slice(&v)});
  return w;
}

// The slice of d that an operation ending with contents up to `hi` may touch.
static struct bf_slice touched(struct bf_lower *l, const struct bf_val *d, uint64_t hi) {
  grow(l, d->field, d->offset, hi);
  return (struct bf_slice){d->field, d->offset & 127, bf_bits(hi)};
}

void bf_build_add(struct bf_lower *l, struct bf_val *d, const struct bf_val *a) {
  uint64_t hi = d->hi + a->hi;
  struct bf_fop op = {.kind = BF_FOP_ADD, .d = touched(l, d, hi), .a = bf_val_slice(a)};
  bf_fop_append(l->region, op);
  d->lo += a->lo;
  d->hi = hi;
  d->bias += a->bias;
}

// (a - A)(b - B) = ab - Ab - Ba + AB for contents a, b with biases A, B.
struct bf_val bf_build_mul(struct bf_lower *l, const struct bf_val *a, const struct bf_val *b) {
  struct bf_slice sa = bf_val_slice(a), sb = bf_val_slice(b);
  struct bf_val p = {.field = bf_field_new(l->region, "product"), .lo = a->lo * b->lo, .hi = a->hi * b->hi};
  bf_fop_append(l->region, (struct bf_fop){.kind = BF_FOP_MUL, .d = bf_val_low(l, &p, sa.width + sb.width), .a = sa, .b = sb});
  if (!a->bias && !b->bias) return p;
  int64_t start = (a->bias > 0 ? a->bias * (int64_t)b->hi : 0) + (b->bias > 0 ? b->bias * (int64_t)a->hi : 0);
  struct bf_val sum = bf_build_const(l, (uint64_t)start, 0, "centred");
  bf_build_mack(l, &sum, b, -a->bias, false);
  bf_build_mack(l, &sum, a, -b->bias, false);
  bf_build_add(l, &sum, &p);
  sum.bias = start - a->bias * b->bias;
  // The terms depend on each other: the corners of the true product are closer.
  int64_t ca[2] = {(int64_t)a->lo - a->bias, (int64_t)a->hi - a->bias}, cb[2] = {(int64_t)b->lo - b->bias, (int64_t)b->hi - b->bias};
  int64_t lo = INT64_MAX, hi = INT64_MIN;
  for (int i = 0; i < 4; i++) {
    int64_t corner = ca[i & 1] * cb[i >> 1];
    if (corner < lo) lo = corner;
    if (corner > hi) hi = corner;
  }
  sum.lo = (uint64_t)(lo + sum.bias);
  sum.hi = (uint64_t)(hi + sum.bias);
  return sum;
}

// There are millions of these: growing is the rare case.
static void push_op(struct bf_region *region, const struct bf_fop *op) {
  if (region->nops == region->ops_capacity) region->ops = bf_grow(region->ops, region->nops, &region->ops_capacity, sizeof *op);
  region->ops[region->nops++] = *op;
}

static uint32_t push_facts(struct bf_region *region, uint64_t d_hi, uint64_t a_hi) {
  if (region->nfacts == region->facts_capacity)
    region->facts = bf_grow(region->facts, region->nfacts, &region->facts_capacity, sizeof *region->facts);
  region->facts[region->nfacts] = (struct bf_mack_facts){d_hi, a_hi};
  return (uint32_t)region->nfacts++;
}

void bf_build_mack(struct bf_lower *l, struct bf_val *d, const struct bf_val *a, int64_t k, bool in_stream) {
  if (!k) return;
  struct bf_digit_masks digits = bf_digit_masks_of(k, l->unit->opt_level > 0);
  unsigned __int128 peak = (unsigned __int128)digits.positive * a->hi + d->hi;
  if (peak >> 63) {
    bf_lower_fail(l, "use a requantization with a shorter multiplier", "an intermediate product needs more than 63 bits");
    return;
  }
  struct bf_fop op = {.kind = BF_FOP_MACK, .in_stream = in_stream, .d = touched(l, d, (uint64_t)peak),
                      .a = bf_val_slice(a), .imm = (uint64_t)k, .facts = push_facts(l->region, d->hi, a->hi)};
  push_op(l->region, &op);
  __int128 low = (__int128)d->lo + (__int128)k * (k > 0 ? a->lo : a->hi);
  __int128 high = (__int128)d->hi + (__int128)k * (k > 0 ? a->hi : a->lo);
  if (low < 0) bf_lower_fail(l, NULL, "internal: an accumulator may become negative");
  d->lo = (uint64_t)low;
  d->hi = (uint64_t)high;
}

void bf_build_addk(struct bf_lower *l, struct bf_val *d, uint64_t k) {
  if (!k) return;
  bf_fop_append(l->region, (struct bf_fop){.kind = BF_FOP_ADDK, .d = touched(l, d, d->hi + k), .imm = k});
  d->lo += k;
  d->hi += k;
}

struct bf_val bf_build_gtk(struct bf_lower *l, const struct bf_val *a, uint64_t k, const char *name) {
  struct bf_val f = {.field = bf_field_new(l->region, "%s", name), .lo = 0, .hi = 1};
  grow(l, f.field, 0, 1);
  bf_fop_append(l->region, (struct bf_fop){.kind = BF_FOP_GTK, .d = bf_val_slice(&f), .a = bf_val_slice(a), .imm = k});
  return f;
}

struct bf_val bf_build_not(struct bf_lower *l, const struct bf_val *flag) {
  struct bf_val f = {.field = bf_field_new(l->region, "not"), .lo = 0, .hi = 1};
  grow(l, f.field, 0, 1);
  bf_fop_append(l->region, (struct bf_fop){.kind = BF_FOP_NOT, .d = bf_val_slice(&f), .a = bf_val_slice(flag)});
  return f;
}

void bf_build_store(struct bf_lower *l, struct bf_slice a, uint32_t desc, uint32_t tap) {
  bf_fop_append(l->region, (struct bf_fop){.kind = BF_FOP_STORE, .a = a, .desc = desc, .tap = tap});
}
