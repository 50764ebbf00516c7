// SPDX-License-Identifier: Apache-2.0
// Parts of runtime/kernel_pattern.c.
#ifndef AP_PATTERN_INTERNAL_H
#define AP_PATTERN_INTERNAL_H

#include "runtime/pattern.h"

#if defined(__x86_64__)
bool ap_pattern_has_vbmi(void);
extern const struct ap_pattern_variant ap_pattern_vbmi;
// Rows of the mask whose field b holds one of the table's keys, and the kernel without byte planes; both for AVX-512.
void ap_pattern_match(const struct ap_pattern_table *table, const uint64_t *b, const uint64_t *mask, uint64_t *out);
ap_pattern_kernel ap_pattern_wide;
#endif

#endif
