// SPDX-License-Identifier: Apache-2.0
// Microcode: what a compute instruction means, as an ordered list of compares and writes at given
// operand widths. The engines know these steps and nothing else.
#ifndef AP_MICRO_H
#define AP_MICRO_H

#include "isa/isa.h"

enum ap_step_kind {
  AP_STEP_COMPARE,     // tag := row mask and all literals match                 1 compare cycle
  AP_STEP_COMPARE_OR,  // tag := tag or (row mask and all literals match)        1 compare cycle (feature `accumulate`)
  AP_STEP_WRITE,       // literals into the tagged rows, tag kept                1 write cycle
  AP_STEP_WRITE_ALL,   // literals into all rows of the row mask; tag := row mask  1 write cycle
  AP_STEP_COUNT
};
enum ap_lit_slot { AP_SLOT_D, AP_SLOT_A, AP_SLOT_B, AP_SLOT_FLAG, AP_SLOT_COUNT };
// Value of a literal: a constant, or bit `kbit` of the immediate, or its complement.
enum ap_lit_value { AP_LIT_0, AP_LIT_1, AP_LIT_K, AP_LIT_NOT_K, AP_LIT_COUNT };

struct ap_lit {
  uint8_t slot;   // enum ap_lit_slot
  uint8_t bit;    // column = field(slot).col + bit; FLAG: column = bit
  uint8_t value;  // enum ap_lit_value
  uint8_t kbit;   // for K and NOT_K; 0 otherwise
};
struct ap_step {
  uint8_t kind;   // enum ap_step_kind
  uint8_t nlits;  // 1..AP_MAX_LITS
  uint16_t group; // bit step that this belongs to, for listings; non-decreasing
  uint32_t first; // index of the first literal in the program's lits
};
#define AP_MAX_LITS 68

struct ap_micro {
  enum ap_op op;
  uint8_t width[3];  // widths of d, a, b (0: absent): the key of the program
  struct ap_step *steps;
  uint32_t nsteps;
  struct ap_lit *lits;
  uint32_t nlits;
};

// Array features that change what the generator emits.
#define AP_FEATURE_ACCUMULATE 1u
#define AP_FEATURE_WIDE_WRITE 2u
#define AP_FEATURE_ROW_GATING 4u

// Generates the program of a compute instruction at the given widths for the features. On success
// the caller owns steps and lits (ap_micro_free). False if op is no compute op or a width is illegal.
// Sources of the pass tables: see docs/isa.md.
bool ap_micro_generate(enum ap_op op, const uint8_t width[3], unsigned features, struct ap_micro *out);
void ap_micro_free(struct ap_micro *micro);

// Whether `op` is a compute op that may have these operand widths (the conditions of isa/ap_isa.def).
bool ap_micro_widths_legal(enum ap_op op, const uint8_t width[3]);

// Checks one program: kinds, literal ranges within the widths, kbit below 64, no column twice in a
// step, first/nlits within the arrays, COMPARE_OR only after a compare. NULL or what is wrong.
const char *ap_micro_check(const struct ap_micro *micro);

// Cost that does not depend on data.
struct ap_micro_cost {
  uint64_t compares, writes;          // cycles of each kind (times the technology's latency)
  uint64_t compare_cells;             // columns searched, summed over compares (× rows = cells)
  double expected_tags;               // expected tagged fraction of rows, summed over WRITE steps × columns
                                      // written: uniform independent random bits; WRITE_ALL counts 1 per column
  double expected_changed;            // same, cells expected to change
  double expected_matches;            // expected matching fraction of rows × columns searched, summed over compares
};
struct ap_micro_cost ap_micro_cost(const struct ap_micro *micro);

#endif
