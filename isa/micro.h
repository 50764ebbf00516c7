// SPDX-License-Identifier: Apache-2.0
// Microcode: what a compute instruction means, as an ordered list of compares and writes at given
// operand widths. The engines know these steps and nothing else.
#ifndef AP_MICRO_H
#define AP_MICRO_H

#include "isa/isa.h"

enum ap_step_kind {
#define AP_STEP_KIND(id, number, ...) AP_STEP_##id = number,
#include "isa/step_kinds.def"
  AP_STEP_COUNT
};
enum ap_step_literals { AP_LITERALS_KEY, AP_LITERALS_VALUE, AP_LITERALS_SUM, AP_LITERALS_NOTHING };
enum ap_step_event { AP_EVENT_COMPARE, AP_EVENT_WRITE, AP_EVENT_SHIFT, AP_EVENT_COUNT };
struct ap_step_info {
  const char *text;
  enum ap_step_literals literals;
  enum ap_step_event event;
  unsigned needs;  // AP_FEATURE_*
  const char *meaning;
};
const struct ap_step_info *ap_step_info(unsigned kind);  // NULL for an unknown kind

// Where a literal's column lies. PARTNER: field a of the partner row (pair steps only). SUM: bit `bit` of the sum register,
// which is 0 when an instruction begins (count steps only).
enum ap_lit_slot { AP_SLOT_D, AP_SLOT_A, AP_SLOT_B, AP_SLOT_FLAG, AP_SLOT_PARTNER, AP_SLOT_SUM, AP_SLOT_COUNT };
// Value of a literal: a constant, bit `kbit` of the immediate, its complement, or bit `kbit` of the sum register (writes only).
// Instructions with a pattern: K is a bit of its key; P (writes only) bit `kbit` of base + the sum of add[i] over the bits i of field a
// that the latest compare step of the instruction searched for as 1 (base before there was one), modulo 2^W(d).
enum ap_lit_value { AP_LIT_0, AP_LIT_1, AP_LIT_K, AP_LIT_NOT_K, AP_LIT_S, AP_LIT_P, AP_LIT_COUNT };

struct ap_lit {
  uint8_t slot;   // enum ap_lit_slot
  uint8_t bit;    // column = field(slot).col + bit; FLAG: column = bit; SUM: power of two
  uint8_t value;  // enum ap_lit_value; 1 in a count step
  uint8_t kbit;   // for K, NOT_K, S and P; 0 otherwise
};
struct ap_step {
  uint8_t kind;   // enum ap_step_kind
  uint8_t nlits;  // 1..AP_MAX_LITS; 0 in shift steps
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

// Not a feature of the array: writes of the technology cost more than compares, so prefer programs with fewer writes.
#define AP_PREFER_FEW_WRITES 0x80000000u

// Generates the program of a compute instruction at the given widths for the features (and AP_PREFER_FEW_WRITES). On success
// the caller owns steps and lits (ap_micro_free). False if op is no compute op, a width is illegal or the array lacks a
// feature that the op needs. The programs are strung together from the tables of isa/bit_steps.def.
bool ap_micro_generate(enum ap_op op, const uint8_t width[3], unsigned features, struct ap_micro *out);
void ap_micro_free(struct ap_micro *micro);

// Whether `op` is a compute op that may have these operand widths (the conditions of isa/ap_isa.def).
bool ap_micro_widths_legal(enum ap_op op, const uint8_t width[3]);

// Checks one program: kinds, literals of the kind's sort, in range of the widths, kbit below 64, no column twice in a
// step, first/nlits within the arrays, nothing that uses tags before a compare or write.all has set them (raw tag
// instructions of the table excepted). NULL or what is wrong.
const char *ap_micro_check(const struct ap_micro *micro);
// As above; *step: the step that is wrong, or nsteps where it is the program as a whole.
const char *ap_micro_check_steps(const struct ap_micro *micro, uint32_t *step);

// Cost that does not depend on data.
struct ap_micro_cost {
  uint64_t compares, writes;          // cycles of each kind (times the technology's latency)
  uint64_t shifts;                    // shift steps: imm cycles each
  uint64_t counts;                    // count steps: one cycle each
  uint64_t compare_cells;             // columns searched, summed over compares (× rows = cells)
  double expected_tags;               // expected tagged fraction of rows, summed over WRITE steps × columns
                                      // written: uniform independent random bits; WRITE_ALL counts 1 per column
  double expected_changed;            // same, cells expected to change
  double expected_matches;            // expected matching fraction of rows × columns searched, summed over compares
};
struct ap_micro_cost ap_micro_cost(const struct ap_micro *micro);

#endif
