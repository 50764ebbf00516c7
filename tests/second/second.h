// SPDX-License-Identifier: Apache-2.0
// A second implementation of the binary format and of the machine, written from docs/apbin.md, docs/isa.md and
// docs/cost-model.md alone. It includes no header of the project: where it and the project differ, a document or one
// of the two is wrong. Made for tests: slow, and any error ends the program with a message and status 1.
#ifndef SECOND_H
#define SECOND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define NONE UINT32_MAX

// Ends the program.
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));
void *zalloc(uint64_t count, size_t size);  // zeroed; never NULL

struct bytes {
  uint8_t *data;
  size_t length;
};
struct bytes read_file(const char *path);

struct field { unsigned col, width; };  // width 0: absent
struct instr {
  unsigned op, nfields;
  struct field f[3];  // d, a, b
  uint32_t index;     // or the descriptor, or the pattern
  unsigned tap;
  uint64_t imm;
};

struct tensor {
  char *name, *type;
  uint32_t storage, shape[4], alias;
  unsigned bits, rank;
  int64_t bias;
  float scale;
  int32_t zero;
  uint64_t data;
};
struct grid { uint32_t count[4], tile_rows; };
struct desc {
  uint32_t grid, tensor;
  unsigned bits, bit, row_dim[4];
  int32_t row_stride[4], origin[4];
  uint32_t tap_count[4];
  int32_t tap_step[4];
  uint64_t pad_value;
};
struct lit { uint8_t slot, bit, value, kbit; };
struct step {
  uint8_t kind, nlits;
  uint16_t group;
  struct lit *lits;
};
struct micro {
  uint8_t op, width[3];
  uint32_t nsteps;
  struct step *steps;
};
struct table { uint32_t count; struct instr *items; };
struct pattern { unsigned inputs; uint64_t key, base, add[8]; };
struct stream { uint32_t table, count; uint16_t *steps; };
struct host { uint32_t kind, input, output; float in_scale, beta; };
struct layer {
  char *name, *op, *mapping;
  unsigned bits_w, bits_a;
  uint64_t macs;
  uint32_t columns_used, output, first, end, line;
};
struct profile { char *name; uint32_t nlayers, *layers; };
struct machine {
  uint64_t clusters, caps_per_cluster, rows, columns, port_bits;
  bool multicast, unlimited, row_gating;
  bool accumulate, two_d, tag_shift, popcount, wide_write;
};

struct binary {
  uint64_t hash;
  char *network, *tech, *weights;
  uint32_t batch;
  double vdd;
  bool keep_all;
  struct bytes file, machine_text, source;  // texts lie in the file
  struct machine machine;
  uint32_t nhosts, nlayers, ninputs, noutputs, ntensors, ngrids, ndescs, nmicros, ntables, nstreams, npatterns, ncode, nprofiles;
  uint32_t *inputs, *outputs;
  struct host *hosts;
  struct layer *layers;
  struct tensor *tensors;
  struct grid *grids;
  struct desc *descs;
  struct micro *micros;
  struct table *tables;
  struct stream *streams;
  struct pattern *patterns;
  struct instr *code;
  struct profile *profiles;
  uint64_t nconsts, *consts;
};

// reader.c, elf.c
enum { SECTIONS = 13 };
enum section { META, MACHINE, TENSORS, DESC, MICRO, TABLES, STREAMS, PATTERNS, CODE, CONST, LINES, PROFILES, SOURCE };
void elf_sections(struct bytes file, struct bytes out[SECTIONS]);
struct binary *binary_read(const char *path);
void machine_parse(struct bytes text, struct machine *out);
// Value of `key` in an .ini text, copied into `out`; false if it has none.
bool ini_find(struct bytes text, const char *key, char *out, size_t size);

// dump.c
void dump(const struct binary *b, FILE *out);

// npy.c: integer arrays, C order
struct array {
  unsigned rank;
  uint64_t shape[8], count;
  int64_t *values;
};
struct array npy_read(const char *path);
void npy_write(const char *path, const struct array *array, int64_t low, int64_t high);

// sim.c, steps.c, timing.c
#define EVENT(name) EV_##name,
enum event {
#include "events.def"
  EVENTS
};
#undef EVENT
struct cell_array {  // a CAP: cells[column * rows + row], one byte each
  uint32_t rows, columns, searched;
  uint8_t *cells, *tag, *match;
  uint64_t *events;  // of the present layer
  uint64_t compute;  // cycles of the present tile
  uint64_t compare_cycles, write_cycles;
};
void run_micro(struct cell_array *cap, const struct binary *b, const struct instr *instr);

struct tile {  // what the timing model knows of one
  uint64_t region, number;   // instruction of its grid; number of the tile in its region
  uint64_t compute, plain_loads, loads_ahead, first_ahead, stores;
};
struct time { uint64_t cycles, compute, stall, tiles, waves; };
void time_epoch(const struct binary *b, const struct tile *tiles, uint64_t count, struct time *out);

struct run {
  const struct binary *b;
  uint64_t **memory;         // by tensor; only those without alias own it
  uint64_t (*events)[EVENTS];  // by layer
  struct time *times;        // by layer
  uint64_t *rows;            // by layer
  uint64_t skipped_hosts;
  struct cell_array cap;
  struct tile *tiles;        // of the open epoch
  uint64_t ntiles, tile_room;
  uint32_t epoch_layer;
  // of the present tile
  const struct grid *grid;
  uint32_t grid_number;
  uint64_t row0;
  uint32_t layer;
  struct tile *tile;
  bool ahead;  // a load.p has been seen
};
struct run *run_new(const struct binary *b, uint64_t compare_cycles, uint64_t write_cycles);
uint64_t *run_memory(const struct run *run, uint32_t tensor);
void run_program(struct run *run, uint32_t profile);  // 0 where there are none
uint64_t tensor_elements(const struct tensor *t);

#endif
