// SPDX-License-Identifier: Apache-2.0
// Images of CIFAR-10, as the float ResNets of the data folder want them.
#ifndef BFX_CIFAR_H
#define BFX_CIFAR_H

#include "base/bf_diag.h"

#define BFX_CIFAR_ELEMENTS (32u * 32u * 3u)

struct bfx_cifar {
  uint64_t count;
  float *images;    // count x [y, x, c], normalized; owned
  uint8_t *labels;  // owned
};
// The first `count` records (all if 0) of a file in CIFAR-10's binary format: a byte of label, then the planes red, green, blue. False:
// an error was added.
bool bfx_cifar_read(const char *path, uint64_t count, struct bfx_cifar *out, struct bf_diags *diags);
void bfx_cifar_free(struct bfx_cifar *cifar);

#endif
