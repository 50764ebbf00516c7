// SPDX-License-Identifier: Apache-2.0
#include "ir/text.h"

static const unsigned requant_fields[BF_REQUANT_COUNT] = {
    [BF_REQUANT_NONE] = 0,
    [BF_REQUANT_TFLITE] = BF_RQ_MULT | BF_RQ_SHIFT,
    [BF_REQUANT_TFLITE16] = BF_RQ_MULT | BF_RQ_SHIFT,
    [BF_REQUANT_DYADIC] = BF_RQ_MULT | BF_RQ_SHIFT,
    [BF_REQUANT_AFFINE_FLOOR] = BF_RQ_MULT | BF_RQ_ADD | BF_RQ_SHIFT,
    [BF_REQUANT_FLOAT_RNE] = BF_RQ_SCALE,
    [BF_REQUANT_THRESHOLDS] = BF_RQ_THRESHOLDS,
    [BF_REQUANT_POW2] = BF_RQ_SHIFT,
};

unsigned bf_requant_fields(enum bf_requant_mode mode) {
  return (unsigned)mode < BF_REQUANT_COUNT ? requant_fields[mode] : 0;
}

const struct bf_attr_list bf_attr_lists[9] = {
    {"kernel", BF_ATTR_WINDOW, offsetof(struct bf_attrs, kernel), 2},
    {"stride", BF_ATTR_WINDOW, offsetof(struct bf_attrs, stride), 2},
    {"dilation", BF_ATTR_WINDOW, offsetof(struct bf_attrs, dilation), 2},
    {"pad", BF_ATTR_WINDOW, offsetof(struct bf_attrs, pad), 4},
    {"perm", BF_ATTR_PERM, offsetof(struct bf_attrs, perm), BF_MAX_RANK},
    {"begin", BF_ATTR_SLICE, offsetof(struct bf_attrs, begin), BF_MAX_RANK},
    {"step", BF_ATTR_SLICE, offsetof(struct bf_attrs, step), BF_MAX_RANK},
    {"count", BF_ATTR_SLICE, offsetof(struct bf_attrs, count), BF_MAX_RANK},
    {"factor", BF_ATTR_FACTOR, offsetof(struct bf_attrs, factor), 2},
};
