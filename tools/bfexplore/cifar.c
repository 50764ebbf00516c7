// SPDX-License-Identifier: Apache-2.0
#include "tools/bfexplore/cifar.h"

#include <stdlib.h>

#define RECORD (BFX_CIFAR_ELEMENTS + 1)
#define PIXELS 1024u

bool bfx_cifar_read(const char *path, uint64_t count, struct bfx_cifar *out, struct bf_diags *diags) {
  // Mean and deviation of each channel that the networks were trained with (github:akamaster/pytorch_resnet_cifar10, trainer.py).
  static const float mean[3] = {0.485f, 0.456f, 0.406f}, deviation[3] = {0.229f, 0.224f, 0.225f};
  char *data;
  size_t length;
  *out = (struct bfx_cifar){0};
  if (!bf_diags_read(diags, path, "give the folder of the data with --data=DIR or BFIMNA_DATA", &data, &length)) return false;
  uint64_t held = length / RECORD;
  count = count ? count : held;
  if (length % RECORD || held < count || !count) {
    bf_error_file(diags, path, NULL, "the file holds no %llu records of %u bytes", (unsigned long long)count, RECORD);
    free(data);
    return false;
  }
  out->count = count;
  out->images = bf_alloc(count * BFX_CIFAR_ELEMENTS, sizeof *out->images);
  out->labels = bf_alloc(count, 1);
  for (uint64_t i = 0; i < count; i++) {
    const uint8_t *record = (const uint8_t *)data + i * RECORD;
    out->labels[i] = record[0];
    for (unsigned k = 0; k < BFX_CIFAR_ELEMENTS; k++)
      out->images[i * BFX_CIFAR_ELEMENTS + k % PIXELS * 3 + k / PIXELS] = ((float)record[1 + k] / 255 - mean[k / PIXELS]) / deviation[k / PIXELS];
  }
  free(data);
  return true;
}

void bfx_cifar_free(struct bfx_cifar *cifar) {
  free(cifar->images);
  free(cifar->labels);
}
