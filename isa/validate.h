// SPDX-License-Identifier: Apache-2.0
// The validator's parts. Internal to isa/. Each rule is checked in one place; a later part relies on the
// earlier ones, so ap_program_validate stops after a part that found errors.
#ifndef AP_VALIDATE_H
#define AP_VALIDATE_H

#include "isa/program.h"

#define AP_MAX_ERRORS 20                       // then the rest is not looked at
#define AP_MAX_TAPS 65536u                     // taps of a descriptor: a tap is 16 bits
#define AP_MAX_TILES ((uint64_t)1 << 20)       // tiles that one run executes
#define AP_MAX_EXECUTED ((uint64_t)1 << 40)    // instructions that one run executes, over all tiles
#define AP_MAX_PROFILES 1024u
#define AP_NO_GRID UINT32_MAX
#define AP_NARROW_WRITE 2u                     // columns of one write without AP_FEATURE_WIDE_WRITE

struct ap_check {
  const struct ap_program *program;
  struct bf_diags *diags;
  size_t errors;
  uint32_t *table_grid;  // for each table the grid of its descriptors, or AP_NO_GRID
};
void ap_check_fail(struct ap_check *check, const char *fmt, ...) BF_PRINTF(2, 3);
// An error about one item (ap_program's place_error).
void ap_check_fail_at(struct ap_check *check, enum ap_place place, uint32_t number, const char *fmt, ...)
    BF_PRINTF(4, 5);
bool ap_check_full(const struct ap_check *check);  // enough errors

void ap_check_structure(struct ap_check *check);    // header values, tensors, constants, inputs and outputs, host ops
void ap_check_descriptors(struct ap_check *check);  // grids and descriptors
void ap_check_micros(struct ap_check *check);       // microcode programs
void ap_check_patterns(struct ap_check *check);     // numbers of pattern instructions
void ap_check_tables(struct ap_check *check);       // tables and streams; fills table_grid
void ap_check_code(struct ap_check *check);         // layers, regions, loops, every instruction, total work

void ap_check_profiles(struct ap_check *check);     // each profile's layers, and that each finds its operands as it wants them

// One MOVE or COMPUTE instruction, without the rule of tags. NULL or what is wrong. *grid: the grid of its descriptor, or AP_NO_GRID.
const char *ap_check_instr(const struct ap_program *program, const struct ap_instr *instr, uint32_t *grid);
// Whether the softmax kernel covers the types, shapes and scales of a host op whose tensors exist. NULL or what is wrong.
#define AP_SOFTMAX_DIFF_BITS 5  // integer bits of the kernel's scaled differences
const char *ap_host_softmax_check(const struct ap_program *program, const struct ap_host *host);
// Bounds of coordinate k of a descriptor at one tap over all rows of its grid.
void ap_desc_bounds(const struct ap_program *program, const struct ap_desc *desc, uint32_t tap, unsigned k,
                    int64_t *low, int64_t *high);

#endif
