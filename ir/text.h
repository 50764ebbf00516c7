// SPDX-License-Identifier: Apache-2.0
// What the printer, the parser and the verifier of the graph share: which parameters each
// requantization mode has, and the words of the text form.
#ifndef BF_IR_TEXT_H
#define BF_IR_TEXT_H

#include "ir/graph.h"

#define BF_RQ_MULT 1u
#define BF_RQ_SHIFT 2u
#define BF_RQ_ADD 4u
#define BF_RQ_SCALE 8u
#define BF_RQ_THRESHOLDS 16u

// The parameters of a mode (BF_RQ_*); 0 for NONE and for numbers that are no mode.
unsigned bf_requant_fields(enum bf_requant_mode mode);

// Lists of fixed length among the attributes of a node, printed "keyword [a, b]". `group` is the
// BF_ATTR_* bit that makes it meaningful.
struct bf_attr_list {
  const char *keyword;
  unsigned group;
  size_t offset;  // of an int32_t array in struct bf_attrs
  unsigned count;
};
extern const struct bf_attr_list bf_attr_lists[9];

#endif
