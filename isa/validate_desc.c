// SPDX-License-Identifier: Apache-2.0
// Validator: grids and descriptors. Afterwards every element index of every row and tap is computed without
// overflow and lies in its tensor or is padding.
#include "isa/validate.h"

static const char *check_grid(const struct ap_grid *grid) {
  uint64_t rows = 1;
  for (unsigned j = 0; j < 4; j++)
    if (grid->count[j] < 1 || !bf_mul_limit(rows, grid->count[j], BF_MAX_ELEMENTS, &rows))
      return "a row dimension is 0 or the rows are too many";
  return NULL;
}

// With at most 2^31 rows the sum over j of r_j * row_stride[j] stays below 2^63: the row dimensions multiply to
// at most 2^31, so they add up to at most 2^31 + 3; a tap adds less than 2^47.
static const char *check_desc(const struct ap_program *p, const struct ap_desc *desc) {
  if (desc->grid >= p->ngrids)
    return "its grid does not exist";
  if (desc->tensor >= p->ntensors)
    return "its tensor does not exist";
  if (desc->bits < 1 || (unsigned)desc->bit + desc->bits > p->tensors[desc->tensor].bits)
    return "its bits are not among those of its tensor";
  if (desc->bits < 64 && desc->pad_value >> desc->bits)
    return "its padding value has too many bits";
  uint64_t taps = 1;
  for (unsigned k = 0; k < 4; k++) {
    if (desc->row_dim[k] > 3 && desc->row_dim[k] != UINT8_MAX)
      return "a row dimension selects no tensor dimension (0..3 or none)";
    if (desc->tap_count[k] < 1 || !bf_mul_limit(taps, desc->tap_count[k], AP_MAX_TAPS, &taps))
      return "a tap dimension is 0 or the taps are more than 65536";
  }
  return NULL;
}

void ap_check_descriptors(struct ap_check *check) {
  const struct ap_program *p = check->program;
  for (uint32_t i = 0; i < p->ngrids && !ap_check_full(check); i++) {
    const char *why = check_grid(&p->grids[i]);
    if (why)
      ap_check_fail_at(check, AP_PLACE_GRID, i, "grid %u: %s", i, why);
    else if (p->grids[i].tile_rows < 1 || p->grids[i].tile_rows > p->machine.rows)
      ap_check_fail_at(check, AP_PLACE_GRID, i, "grid %u: tiles of %u rows; a CAP has 1 to %u", i, p->grids[i].tile_rows,
                       p->machine.rows);
  }
  for (uint32_t i = 0; i < p->ndescs && !ap_check_full(check); i++) {
    const char *why = check_desc(p, &p->descs[i]);
    if (why)
      ap_check_fail_at(check, AP_PLACE_DESC, i, "descriptor %u: %s", i, why);
  }
}

void ap_desc_bounds(const struct ap_program *program, const struct ap_desc *desc, uint32_t tap, unsigned k,
                    int64_t *low, int64_t *high) {
  const struct ap_grid *grid = &program->grids[desc->grid];
  uint32_t digit = tap;
  for (unsigned j = 3; j > k; j--)
    digit /= desc->tap_count[j];
  digit %= desc->tap_count[k];
  *low = *high = (int64_t)desc->origin[k] + (int64_t)digit * desc->tap_step[k];
  for (unsigned j = 0; j < 4; j++) {
    if (desc->row_dim[j] != k)
      continue;
    int64_t reach = (int64_t)(grid->count[j] - 1) * desc->row_stride[j];
    *(reach < 0 ? low : high) += reach;
  }
}
