// SPDX-License-Identifier: Apache-2.0
// Building field IR with interval analysis: every value carries the exact range that the operations so
// far allow, and every field becomes as wide as its largest content.
#ifndef BF_BUILDER_H
#define BF_BUILDER_H

#include "passes/pass.h"

// State of the pass `lower` for one node.
struct bf_lower {
  struct bf_unit *unit;
  struct bf_fprogram *fields;
  const struct bf_node *node;
  struct bf_region *region;   // being built (an index would survive growth: see bf_lower_region)
  uint32_t last_grid;
  bool failed;
};

// A number held in a field: columns from `offset` up hold content in [lo, hi]; value = content - bias.
struct bf_val {
  uint32_t field;
  uint16_t offset;
  uint64_t lo, hi;
  int64_t bias;
};

bool bf_lower_fail(struct bf_lower *l, const char *hint, const char *fmt, ...) BF_PRINTF(3, 4);

// Memory of a graph tensor (made on first use; a constant brings its elements), with the range of its contents.
uint32_t bf_lower_mem(struct bf_lower *l, const struct bf_tensor *tensor);
unsigned bf_mem_bits(struct bf_type type);  // columns of an element; b1 takes two (u = q + 1 is 0 or 2)
void bf_mem_range(const struct bf_tensor *tensor, uint64_t *lo, uint64_t *hi);
uint32_t bf_lower_const(struct bf_lower *l, const char *name, unsigned bits, int64_t bias, const uint32_t shape[4],
                        uint64_t *data);
// The weights of an operator, less their zero point, as two's complement of `bits`; they stay where they are.
uint32_t bf_lower_weights(struct bf_lower *l, const struct bf_tensor *weights, unsigned bits, const uint32_t shape[4]);
uint32_t bf_lower_temp(struct bf_lower *l, const char *name, unsigned bits, const uint32_t shape[4]);
// Shape of a tensor as NHWC with leading ones.
void bf_shape4(const struct bf_tensor *tensor, uint32_t shape[4]);

// Begins a layer; begins a region over a row space (rows per tile from the machine). Regions before it may be gone then:
// the rest of the pipeline runs on those that are complete, as soon as they are many.
void bf_lower_layer(struct bf_lower *l, const char *mapping, unsigned bits_w, unsigned bits_a);
void bf_lower_region(struct bf_lower *l, const uint32_t rows[4]);
// Tile i of an epoch belongs to cluster i mod clusters. Of tiles whose loads repeat after `period` of them, so many different ones meet at a port,
// where a multicast serves equal ones of a wave.
uint64_t bf_loads_at_port(const struct ap_machine *machine, uint64_t period);
// Tiles for `rows` rows in each of `regions` regions over the same rows: with the fewest different loads at a port that costs no further wave, or a tenth more
// tiles at most.
uint64_t bf_even_tiles(const struct ap_machine *machine, uint64_t rows, uint64_t regions);
// The same for one of `regions` regions of an epoch that load the same: perhaps fewer rows a tile, so that loads can be shared.
void bf_lower_region_shared(struct bf_lower *l, const uint32_t rows[4], uint64_t regions);
// The same with fewer rows a tile (1 up to the machine's).
void bf_lower_region_tiles(struct bf_lower *l, const uint32_t rows[4], uint32_t tile_rows);
void bf_lower_end_region(struct bf_lower *l, bool barrier);  // settles field widths

// A descriptor over the current grid; fields not set by the caller are zero (tap_count 0 means 1).
uint32_t bf_lower_desc(struct bf_lower *l, struct bf_fdesc desc);
struct bf_fdesc bf_elementwise_desc(uint32_t mem);  // rows = elements
struct bf_fdesc bf_pixel_desc(uint32_t mem, uint32_t channels);  // rows = (n, y, x), tap = channel

struct bf_slice bf_val_slice(const struct bf_val *v);               // as wide as hi needs
struct bf_slice bf_val_low(struct bf_lower *l, struct bf_val *v, unsigned width);  // its low `width` columns

struct bf_val bf_build_load(struct bf_lower *l, uint32_t desc, uint32_t tap, uint64_t lo, uint64_t hi, const char *name);
struct bf_val bf_build_const(struct bf_lower *l, uint64_t content, int64_t bias, const char *name);
struct bf_val bf_build_widen(struct bf_lower *l, struct bf_val v, const char *name);  // a copy that may grow
void bf_build_add(struct bf_lower *l, struct bf_val *d, const struct bf_val *a);      // contents and biases add
struct bf_val bf_build_mul(struct bf_lower *l, const struct bf_val *a, const struct bf_val *b);  // of the values
void bf_build_mack(struct bf_lower *l, struct bf_val *d, const struct bf_val *a, int64_t k, bool in_stream);
void bf_build_addk(struct bf_lower *l, struct bf_val *d, uint64_t k);
struct bf_val bf_build_gtk(struct bf_lower *l, const struct bf_val *a, uint64_t k, const char *name);
struct bf_val bf_build_not(struct bf_lower *l, const struct bf_val *flag);

// y = floor((v*m + r) / 2^s), then, for e > 0, y / 2^e rounded to nearest, half away from zero. The bias of the result is
// congruent to `want` modulo 2^want_bits.
struct bf_val bf_build_scale(struct bf_lower *l, struct bf_val v, int64_t m, int64_t r, unsigned s, unsigned e,
                             int64_t want, unsigned want_bits);
// One requantization for `channel`, clamp and store to `desc`[tap] of a tensor of type `type`.
void bf_build_requant_store(struct bf_lower *l, struct bf_val v, const struct bf_requant *rq, uint32_t channel,
                            struct bf_type type, uint32_t desc, uint32_t tap);
// The second half of it: y is the rule's result, its bias congruent to out_zero less the type's least value modulo 2^(bits of an element).
void bf_build_clamp_store(struct bf_lower *l, struct bf_val y, const struct bf_requant *rq, struct bf_type type, uint32_t desc,
                          uint32_t tap);
// y clamped and less the type's least value, in as many columns as an element has; part of y's field or of a copy.
struct bf_slice bf_build_clamp(struct bf_lower *l, struct bf_val y, const struct bf_requant *rq, struct bf_type type);
// The rule of a requantization without zero point and clamp.
struct bf_val bf_build_requant(struct bf_lower *l, struct bf_val v, const struct bf_requant *rq, uint32_t channel,
                               int64_t want, unsigned want_bits);
// Number of thresholds that the value reaches.
struct bf_val bf_build_thresholds(struct bf_lower *l, struct bf_val v, const struct bf_requant *rq, uint32_t channel,
                                  int64_t want, unsigned want_bits);
// Another computation that gives what the rule and the clamp behind it give, into *y; false if the rule's own is the cheapest. With `fixes` (may be
// NULL) it may be wrong for the sums listed there (passes/near.h), for the caller to put right behind the clamp.
struct bf_fixes;
bool bf_build_steps(struct bf_lower *l, struct bf_val v, const struct bf_requant *rq, uint32_t channel, int64_t want,
                    unsigned want_bits, struct bf_fixes *fixes, struct bf_val *y);
void bf_build_store(struct bf_lower *l, struct bf_slice a, uint32_t desc, uint32_t tap);

// Lowering of operators (lower_*.c).
void bf_lower_conv(struct bf_lower *l);
void bf_lower_pool(struct bf_lower *l);
void bf_lower_binary(struct bf_lower *l);       // bf_op_elementwise
void bf_lower_elementwise(struct bf_lower *l);  // clamp, requantize
void bf_lower_move(struct bf_lower *l);         // pad, concat, transpose, slice, spread
void bf_lower_table(struct bf_lower *l);
void bf_lower_reduce(struct bf_lower *l);
void bf_lower_argmax(struct bf_lower *l);

#endif
