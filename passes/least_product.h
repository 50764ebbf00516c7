// SPDX-License-Identifier: Apache-2.0
// Choosing one of several points (cycles, energy) for each of many items so that the product of both sums is least.
#ifndef BF_LEAST_PRODUCT_H
#define BF_LEAST_PRODUCT_H

#include "base/bf_base.h"

struct bf_point { double cycles, energy; };  // finite, not negative

// points: `choices` of item 0, then those of item 1, …; picked: receives the number of a choice for each item. No other combination has a smaller
// (sum of cycles) * (sum of energy): the product is quasi-concave, so that its least value over the convex hull of all sums of points lies at a
// corner, and corners are sums of points that are best for one and the same price of energy. All prices are walked through. O(n log n).
void bf_least_product(const struct bf_point *points, size_t items, size_t choices, size_t *picked);

#endif
