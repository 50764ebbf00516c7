// SPDX-License-Identifier: Apache-2.0
// Tensors as bit planes: a second form of a tensor's memory, in which the block engine moves whole columns in place of elements.
//
// The elements of a tensor whose last dimension has C indices are number p C + c: position p of channel c. Bit b of position p of a channel is
// bit p % 64 of word p % 512 / 64 of column b of block p / 512 of the channel. So a load whose rows are successive positions copies columns,
// shifted by bits where it must, and one that begins at a multiple of 512 needs no copy at all.
#ifndef AP_PLANES_H
#define AP_PLANES_H

#include "isa/program.h"

struct ap_run;
struct ap_memory;
struct ap_planes {
  uint64_t *words;               // channels × blocks × bits × pitch; NULL until they are used
  uint64_t positions, blocks;    // of a channel
  uint32_t channels;
  unsigned bits, pitch;          // words from a column to the next: 8, or less for up to 256 positions
  bool current;                  // the planes hold the tensor's values
  bool memory_stale;             // the array of elements does not
};

// How the rows of a load or store lie in the planes of a tensor: row r is position `position` + r of the channel.
struct ap_plane_access {
  uint32_t tensor;               // root
  uint32_t channel;
  int64_t position;              // may be outside of the tensor where a load has padding
  bool whole;                    // all rows of the grid are inside the tensor
};
// False if the rows are not successive positions.
bool ap_plane_access(const struct ap_program *program, const struct ap_instr *move, struct ap_plane_access *out);

// Makes the planes, or the array of elements, hold the values of a tensor that is no alias.
void ap_planes_update(const struct ap_run *run, uint32_t root);
void ap_planes_to_memory(const struct ap_run *run, uint32_t root);

unsigned ap_planes_pitch(const struct ap_tensor *tensor);  // as in the planes of this tensor

// Columns of a block that begins at a multiple of 512 positions.
static inline uint64_t *ap_planes_block(const struct ap_planes *planes, uint32_t channel, uint64_t block) {
  return planes->words + (channel * planes->blocks + block) * planes->bits * planes->pitch;
}
// `rows` (1 to 512) positions from `position` on, to columns of 8 words. What is outside of the tensor is undefined.
void ap_planes_read(const struct ap_planes *planes, uint32_t channel, int64_t position, uint64_t rows, uint64_t *to);
// Writes `rows` (1 to 512) positions from `position` on, which is a multiple of 64; all are inside the tensor.
void ap_planes_write(const struct ap_planes *planes, uint32_t channel, uint64_t position, uint64_t rows, const uint64_t *from);

#endif
