// SPDX-License-Identifier: Apache-2.0
// A microcode program on one block of rows, step by step as the interpreter does it: what kernels are tested against, and what runs where
// there is no kernel.
#include <string.h>

#include "runtime/kernel.h"
#include "runtime/passes.h"

void ap_block_run(const struct ap_micro *micro, uint64_t *d, uint64_t *a, uint64_t *b, uint64_t *flags, uint64_t *tag,
                  const uint64_t *mask, uint64_t imm, struct ap_kernel_counts *counts) {
  _Alignas(AP_COLUMN_WORDS * sizeof(uint64_t)) uint64_t tags[AP_COLUMN_WORDS] = {0};
  enum ap_tag_use use = ap_op_info(micro->op)->tag;
  for (unsigned i = 0; i < AP_COLUMN_WORDS && (use == AP_TAG_USES || use == AP_TAG_TAKES); i++) {
    tags[i] = tag[i] & mask[i];
  }
  struct ap_operands o = ap_operands_of(d, a, b, flags, AP_COLUMN_WORDS, imm, NULL);
  ap_passes_run(ap_steps_select(), micro, 0, &o, &(struct ap_rows){mask, tags, AP_COLUMN_WORDS}, counts);
  if (use == AP_TAG_USES || use == AP_TAG_SETS) {
    memcpy(tag, tags, sizeof tags);
  }
}

void ap_block_run_pattern(const struct ap_micro *micro, const struct ap_pattern *pattern, uint64_t *d, uint64_t *a, uint64_t *b,
                          uint64_t *flags, const uint64_t *mask, struct ap_kernel_counts *counts) {
  _Alignas(AP_COLUMN_WORDS * sizeof(uint64_t)) uint64_t tags[AP_COLUMN_WORDS] = {0};
  struct ap_operands o = ap_operands_of(d, a, b, flags, AP_COLUMN_WORDS, 0, pattern);
  ap_passes_run(ap_steps_select(), micro, 0, &o, &(struct ap_rows){mask, tags, AP_COLUMN_WORDS}, counts);
}
