// SPDX-License-Identifier: Apache-2.0
// Numbers to bit columns and back.
#ifndef AP_SLICES_H
#define AP_SLICES_H

#include <stddef.h>
#include <stdint.h>

// `rows` elements of 1, 2, 4 or 8 bytes in the byte order of the host. Bit b of row r goes to bit r % 64 of columns[b * pitch + r / 64], for
// `width` bits (at most those of an element); in the last word that is begun, the other bits are 0. The memory of the elements is a
// multiple of 64 of them, and columns of whole words.
void ap_slice(const void *elements, unsigned size, size_t rows, uint64_t *columns, size_t pitch, unsigned width);
// The other way round; the upper bits of the elements are 0.
void ap_unslice(const uint64_t *columns, size_t pitch, unsigned width, void *elements, unsigned size, size_t rows);

// 64 bytes to words of `bits` (1 to 8) columns, `pitch` words from one to the next, and back.
struct ap_slicer {
  const char *name;
  void (*slice)(const uint8_t *bytes, uint64_t *columns, size_t pitch, unsigned bits);
  void (*unslice)(const uint64_t *columns, size_t pitch, unsigned bits, uint8_t *bytes);
  // The same with 64 elements of 2 bytes and 1 to 16 columns, of 4 bytes and 1 to 32 columns; NULL: byte by byte.
  void (*slice2)(const uint8_t *elements, uint64_t *columns, size_t pitch, unsigned bits);
  void (*unslice2)(const uint64_t *columns, size_t pitch, unsigned bits, uint8_t *elements);
  void (*slice4)(const uint8_t *elements, uint64_t *columns, size_t pitch, unsigned bits);
  void (*unslice4)(const uint64_t *columns, size_t pitch, unsigned bits, uint8_t *elements);
};
const struct ap_slicer *ap_slicer_variant(unsigned i);  // for tests; NULL beyond the last or if this processor cannot run it

#endif
