// SPDX-License-Identifier: Apache-2.0
#include "isa/program.h"

#include <stdlib.h>

struct ap_program *ap_program_new(void) {
  return bf_alloc(1, sizeof(struct ap_program));
}

void ap_program_free(struct ap_program *program) {
  if (!program)
    return;
  bf_arena_free(&program->arena);
  free(program);
}

uint64_t ap_pattern_sum(const struct ap_pattern *pattern, unsigned set) {
  uint64_t sum = pattern->base;
  for (unsigned i = 0; i < AP_MAX_PATTERN_INPUTS; i++)
    sum += set >> i & 1 ? pattern->add[i] : 0;
  return sum;
}

// Opcode and widths as a number: programs are in its order.
static uint32_t micro_key(enum ap_op op, const uint8_t width[3]) {
  return (uint32_t)op << 24 | (uint32_t)width[0] << 16 | (uint32_t)width[1] << 8 | width[2];
}

const struct ap_micro *ap_program_micro(const struct ap_program *program, const struct ap_instr *instr) {
  const struct ap_op_info *info = ap_op_info((unsigned)instr->op);
  if (!info || info->op_class != AP_CLASS_COMPUTE)
    return NULL;
  uint8_t width[3] = {0, 0, 0};
  for (unsigned i = 0; i < info->micro_widths && i < 3; i++)
    width[i] = instr->f[i].width;
  uint32_t low = 0, high = program->nmicros, wanted = micro_key(instr->op, width);
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    const struct ap_micro *micro = &program->micros[middle];
    if (micro_key(micro->op, micro->width) < wanted)
      low = middle + 1;
    else
      high = middle;
  }
  const struct ap_micro *found = &program->micros[low];
  return low < program->nmicros && micro_key(found->op, found->width) == wanted ? found : NULL;
}

unsigned ap_generator_features(const struct ap_machine *machine, const struct ap_technology *tech) {
  double compare = tech->compare_match_j > tech->compare_mismatch_j ? tech->compare_match_j : tech->compare_mismatch_j;
  bool dear = tech->write_cycles > tech->compare_cycles || tech->write_j > 10 * compare;
  return machine->features | (dear ? AP_PREFER_FEW_WRITES : 0);
}
