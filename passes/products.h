// SPDX-License-Identifier: Apache-2.0
// How the mapping `mac` lays out its products.
#ifndef BF_PRODUCTS_H
#define BF_PRODUCTS_H

#include "passes/stored.h"

struct bf_products {
  struct bf_stored stored;
  uint32_t tree, trees;  // products that a CAP adds in pairs of rows (a power of two), and such trees for each (ky, kx) of an output
  uint32_t portion;      // output channels done together; 0: not even one fits in memory
  bool by_line;          // rows of one line of the output each, as trees of several need a row dimension of their own
};
struct bf_products bf_products_of(const struct bf_unit *unit, const struct bf_conv *conv);

#endif
