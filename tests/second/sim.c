// SPDX-License-Identifier: Apache-2.0
// The machine: memory, regions and tiles, loops, streams, loads and stores (docs/isa.md).
#include <stdlib.h>
#include <string.h>

#include "second.h"

uint64_t tensor_elements(const struct tensor *t) {
  uint64_t n = 1;
  for (int k = 0; k < 4; k++) {
    n *= t->shape[k];
    if (n == 0 || n > UINT64_C(1) << 31)
      die("the shape of tensor %s", t->name);
  }
  return n;
}

uint64_t *run_memory(const struct run *run, uint32_t tensor) {
  for (uint32_t hops = 0; hops <= run->b->ntensors; hops++) {
    uint32_t next = run->b->tensors[tensor].alias;
    if (next == NONE)
      return run->memory[tensor];
    tensor = next;
  }
  die("tensors share memory in a circle");
}

struct run *run_new(const struct binary *b, uint64_t compare_cycles, uint64_t write_cycles) {
  struct run *run = zalloc(1, sizeof *run);
  run->b = b;
  run->memory = zalloc(b->ntensors, sizeof *run->memory);
  for (uint32_t i = 0; i < b->ntensors; i++) {
    const struct tensor *t = &b->tensors[i];
    uint64_t n = tensor_elements(t);
    if (t->alias != NONE)
      continue;
    run->memory[i] = zalloc(n, sizeof **run->memory);
    if (t->storage != 1)
      continue;
    if (t->data > b->nconsts || n > b->nconsts - t->data)
      die("tensor %s lies outside the constant pool", t->name);
    memcpy(run->memory[i], b->consts + t->data, n * sizeof *b->consts);
  }
  run->events = zalloc((uint64_t)b->nlayers + 1, sizeof *run->events);
  run->times = zalloc((uint64_t)b->nlayers + 1, sizeof *run->times);
  run->rows = zalloc((uint64_t)b->nlayers + 1, sizeof *run->rows);
  run->cap.compare_cycles = compare_cycles;
  run->cap.write_cycles = write_cycles;
  run->cap.cells = zalloc(b->machine.columns * b->machine.rows, 1);
  run->cap.tag = zalloc(b->machine.rows, 1);
  run->cap.match = zalloc(b->machine.rows, 1);
  return run;
}

static void digits(uint64_t index, const uint32_t count[4], uint32_t out[4]) {
  for (int j = 3; j >= 0; j--) {
    out[j] = (uint32_t)(index % count[j]);
    index /= count[j];
  }
}

// What the rows alone select of coordinate k: the sum over j with row_dim[j] = k.
static void row_part(const struct desc *d, const struct grid *g, uint64_t row, int64_t out[4]) {
  uint32_t r[4];
  digits(row, g->count, r);
  for (int k = 0; k < 4; k++)
    out[k] = 0;
  for (int j = 0; j < 4; j++)
    if (d->row_dim[j] < 4)
      out[d->row_dim[j]] += (int64_t)r[j] * d->row_stride[j];
}

// Element of the tensor, or -1: outside.
static int64_t element(const struct run *run, const struct desc *d, uint64_t row, const uint32_t tap[4]) {
  const struct tensor *t = &run->b->tensors[d->tensor];
  int64_t c[4], at = 0;
  row_part(d, run->grid, row, c);
  for (int k = 0; k < 4; k++) {
    c[k] += d->origin[k] + (int64_t)tap[k] * d->tap_step[k];
    if (c[k] < 0 || c[k] >= t->shape[k])
      return -1;
    at = at * t->shape[k] + c[k];
  }
  return at;
}

static int by_coordinates(const void *a, const void *b) { return memcmp(a, b, 4 * sizeof(int64_t)); }

// Cycles of one bit column at the port.
static uint64_t column_cycles(const struct run *run, const struct desc *d) {
  uint64_t rows = run->cap.rows, distinct = 1, port = run->b->machine.port_bits;
  int64_t(*all)[4] = zalloc(rows, sizeof *all);
  for (uint64_t r = 0; r < rows; r++)
    row_part(d, run->grid, run->row0 + r, all[r]);
  qsort(all, rows, sizeof *all, by_coordinates);
  for (uint64_t r = 1; r < rows; r++)
    distinct += by_coordinates(all[r - 1], all[r]) != 0;
  free(all);
  return distinct <= port ? 1 : (distinct + port - 1) / port;
}

static void move(struct run *run, const struct instr *in, uint64_t *cycles_of_desc) {
  const struct binary *b = run->b;
  if (in->index >= b->ndescs)
    die("descriptor %u of %u", in->index, b->ndescs);
  const struct desc *d = &b->descs[in->index];
  uint64_t taps = 1, *memory = run_memory(run, d->tensor), rows = run->cap.rows;
  uint32_t tap[4];
  for (int k = 0; k < 4; k++)
    taps *= d->tap_count[k] > 0 && taps <= 65536 ? d->tap_count[k] : 1;
  if (d->grid != run->grid_number || in->tap >= taps || in->f[0].width != d->bits)
    die("a load or store does not fit descriptor %u", in->index);
  digits(in->tap, d->tap_count, tap);
  bool store = in->op == 0x12;
  if (store && b->tensors[d->tensor].storage == 1)
    die("a store into a constant");
  if (store && d->bits != b->tensors[d->tensor].bits)
    die("a store of a part of the bits");
  for (uint64_t r = 0; r < rows; r++) {
    uint8_t *cell = run->cap.cells + (uint64_t)in->f[0].col * rows + r;
    int64_t e = element(run, d, run->row0 + r, tap);
    if (store && e < 0)
      die("a store outside its tensor");
    uint64_t v = store ? 0 : e < 0 ? d->pad_value : memory[e] >> d->bit;
    for (unsigned i = 0; i < d->bits; i++)
      if (store)
        v |= (uint64_t)cell[i * rows] << i;
      else
        cell[i * rows] = v >> i & 1;
    if (store)
      memory[e] = v;
  }
  if (cycles_of_desc[in->index] == 0)
    cycles_of_desc[in->index] = column_cycles(run, d);
  uint64_t cycles = cycles_of_desc[in->index] * d->bits;
  run->cap.events[store ? EV_store : EV_load] += d->bits;
  run->cap.events[store ? EV_store_bits : EV_load_bits] += d->bits * rows;
  if (store) {
    run->tile->stores += cycles;
  } else if (in->op == 0x10) {
    run->tile->plain_loads += cycles;
  } else {
    run->tile->loads_ahead += cycles;
    run->tile->first_ahead = run->ahead ? run->tile->first_ahead : cycles;
    run->ahead = true;
  }
}

static void one(struct run *run, const struct instr *in, uint64_t *cycles_of_desc) {
  if (in->op >= 0x20)
    run_micro(&run->cap, run->b, in);
  else
    move(run, in, cycles_of_desc);
}

static uint32_t block_end(const struct binary *b, uint32_t at, unsigned open, unsigned close) {
  unsigned depth = 0;
  for (uint32_t i = at; i < b->ncode; i++) {
    depth += b->code[i].op == open;
    if (b->code[i].op == close && --depth == 0)
      return i;
  }
  die("a block has no end");
}

static void run_block(struct run *run, uint32_t from, uint32_t end, uint64_t *cycles_of_desc) {
  const struct binary *b = run->b;
  for (uint32_t i = from; i < end; i++) {
    const struct instr *in = &b->code[i];
    if (in->op == 0x05) {
      uint32_t close = block_end(b, i, 0x05, 0x06);
      if (in->index == 0 || close >= end)
        die("a loop is wrong");
      for (uint32_t n = 0; n < in->index; n++)
        run_block(run, i + 1, close, cycles_of_desc);
      i = close;
    } else if (in->op == 0x07) {
      if (in->index >= b->nstreams)
        die("stream %u", in->index);
      const struct stream *s = &b->streams[in->index];
      for (uint32_t k = 0; k < s->count; k++)
        one(run, &b->tables[s->table].items[s->steps[k]], cycles_of_desc);
    } else if (in->op >= 0x10) {
      one(run, in, cycles_of_desc);
    } else {
      die("opcode 0x%02x in a region", in->op);
    }
  }
}

static uint64_t mix(uint64_t h, uint64_t v) { return (h + v) * UINT64_C(0x9e3779b97f4a7c15) ^ h >> 29; }
static uint64_t mix_load(uint64_t h, const struct instr *in) {
  return in->op == 0x10 || in->op == 0x11 ? mix(h, 1 + ((uint64_t)in->index << 16 | in->tap)) : h;
}

// Regions with the same loads in the same loops get the same number (but for accidents of one in 2^64).
static uint64_t loads_of(const struct binary *b, uint32_t from, uint32_t end) {
  uint64_t h = 1;
  for (uint32_t i = from; i < end; i++) {
    const struct instr *in = &b->code[i];
    if (in->op == 0x05 || in->op == 0x06)
      h = mix(h, (uint64_t)in->op << 56 | in->index);
    const struct stream *s = in->op == 0x07 && in->index < b->nstreams ? &b->streams[in->index] : NULL;
    for (uint32_t k = 0; s && k < s->count; k++)
      h = mix_load(h, &b->tables[s->table].items[s->steps[k]]);
    h = mix_load(h, in);
  }
  return h;
}

static struct tile *new_tile(struct run *run) {
  if (run->ntiles == run->tile_room) {
    run->tile_room = run->tile_room > 0 ? 2 * run->tile_room : 64;
    run->tiles = realloc(run->tiles, run->tile_room * sizeof *run->tiles);
    if (!run->tiles)
      die("out of memory");
  }
  memset(&run->tiles[run->ntiles], 0, sizeof *run->tiles);
  return &run->tiles[run->ntiles++];
}

static void run_region(struct run *run, uint32_t from, uint32_t end) {
  const struct binary *b = run->b;
  if (b->code[from].index >= b->ngrids)
    die("grid %u", b->code[from].index);
  run->grid_number = b->code[from].index;
  run->grid = &b->grids[run->grid_number];
  uint64_t rows = 1, loads = loads_of(b, from, end), *cycles_of_desc = zalloc(b->ndescs, sizeof *cycles_of_desc);
  for (int k = 0; k < 4; k++) {
    rows *= run->grid->count[k];
    if (rows == 0 || rows > UINT64_C(1) << 40)
      die("the size of grid %u", run->grid_number);
  }
  if (run->grid->tile_rows == 0 || run->grid->tile_rows > b->machine.rows)
    die("tiles of %u rows", run->grid->tile_rows);
  if (run->ntiles == 0)
    run->epoch_layer = run->layer;
  for (run->row0 = 0; run->row0 < rows; run->row0 += run->grid->tile_rows) {
    struct cell_array *cap = &run->cap;
    uint64_t left = rows - run->row0;
    cap->rows = left < run->grid->tile_rows ? (uint32_t)left : run->grid->tile_rows;
    cap->searched = b->machine.row_gating ? cap->rows : (uint32_t)b->machine.rows;
    cap->events = run->events[run->layer];
    cap->compute = 0;
    memset(cap->cells, 0, b->machine.columns * cap->rows);
    memset(cap->tag, 0, cap->rows);
    memset(cycles_of_desc, 0, b->ndescs * sizeof *cycles_of_desc);
    run->tile = new_tile(run);
    run->tile->region = loads;
    run->tile->number = run->row0 / run->grid->tile_rows;
    run->ahead = false;
    run_block(run, from + 1, end, cycles_of_desc);
    run->tile->compute = cap->compute;
  }
  run->rows[run->layer] += rows;
  free(cycles_of_desc);
}

static void end_epoch(struct run *run) {
  time_epoch(run->b, run->tiles, run->ntiles, &run->times[run->epoch_layer]);
  run->ntiles = 0;
}

static uint64_t bits_of(const struct binary *b, const uint32_t *list, uint32_t count) {
  uint64_t bits = 0;
  for (uint32_t i = 0; i < count; i++)
    bits += tensor_elements(&b->tensors[list[i]]) * b->tensors[list[i]].bits;
  return bits;
}

// Code from `from` to `end`, which is in no region; true if it was the end of the program.
static bool run_code(struct run *run, uint32_t from, uint32_t end) {
  const struct binary *b = run->b;
  for (uint32_t i = from; i < end; i++) {
    while (b->nprofiles == 0 && run->layer < b->nlayers && i >= b->layers[run->layer].end)
      run->layer++;
    const struct instr *in = &b->code[i];
    if (in->op == 0x03) {
      uint32_t close = block_end(b, i, 0x03, 0x04);
      run_region(run, i, close);
      i = close;
    } else if (in->op == 0x08) {
      if (in->index >= b->nhosts)
        die("host op %u", in->index);
      run->events[run->layer][EV_host]++;
      run->skipped_hosts++;
    } else if (in->op == 0x02 || in->op == 0x01) {
      end_epoch(run);
      if (in->op == 0x01)
        return true;
    } else {
      die("opcode 0x%02x outside of regions", in->op);
    }
  }
  return false;
}

void run_program(struct run *run, uint32_t profile) {
  const struct binary *b = run->b;
  const struct profile *p = b->nprofiles > 0 ? &b->profiles[profile] : NULL;
  if (b->nlayers > 0) {
    run->events[p ? p->layers[0] : 0][EV_external] += bits_of(b, b->inputs, b->ninputs);
    run->events[p ? p->layers[p->nlayers - 1] : b->nlayers - 1][EV_external] += bits_of(b, b->outputs, b->noutputs);
  }
  run->layer = 0;
  if (!p && !run_code(run, 0, b->ncode))
    die("the code has no halt");
  for (uint32_t i = 0; p && i < p->nlayers; i++) {
    run->layer = p->layers[i];
    if (run_code(run, b->layers[run->layer].first, b->layers[run->layer].end))
      die("a halt within layer %s", b->layers[run->layer].name);
  }
  if (p)
    end_epoch(run);
}
