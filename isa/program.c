// SPDX-License-Identifier: Apache-2.0
#include "isa/program.h"

#include <stdlib.h>
#include <string.h>

struct ap_program *ap_program_new(void) {
  return bf_alloc(1, sizeof(struct ap_program));
}

void ap_program_free(struct ap_program *program) {
  if (!program)
    return;
  bf_arena_free(&program->arena);
  free(program);
}

// The order of program->micros.
static int compare_key(const struct ap_micro *micro, enum ap_op op, const uint8_t width[3]) {
  if (micro->op != op)
    return micro->op < op ? -1 : 1;
  return memcmp(micro->width, width, 3);
}

const struct ap_micro *ap_program_micro(const struct ap_program *program, const struct ap_instr *instr) {
  const struct ap_op_info *info = ap_op_info((unsigned)instr->op);
  if (!info || info->op_class != AP_CLASS_COMPUTE)
    return NULL;
  uint8_t width[3] = {0, 0, 0};
  for (unsigned i = 0; i < info->micro_widths && i < 3; i++)
    width[i] = instr->f[i].width;
  uint32_t low = 0, high = program->nmicros;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    int order = compare_key(&program->micros[middle], instr->op, width);
    if (order == 0)
      return &program->micros[middle];
    if (order < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return NULL;
}

unsigned ap_generator_features(const struct ap_machine *machine, const struct ap_technology *tech) {
  double compare = tech->compare_match_j > tech->compare_mismatch_j ? tech->compare_match_j : tech->compare_mismatch_j;
  bool dear = tech->write_cycles > tech->compare_cycles || tech->write_j > 10 * compare;
  return machine->features | (dear ? AP_PREFER_FEW_WRITES : 0);
}
