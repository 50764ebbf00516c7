// SPDX-License-Identifier: Apache-2.0
// Where elements lie. The model's tensors are NCHW, the text's NHWC; reshapes and transposes of the model only change
// the description, and are printed when an operator needs another order than the text has.
#include <string.h>

#include "frontend/onnx_lower.h"

// One part for each dimension above 1, in the order `dims`.
static void layout_of(struct bf_onx_layout *layout, const struct bf_onx_shape *shape, const unsigned *dims) {
  uint8_t part_of[BF_ONX_DIMS];
  *layout = (struct bf_onx_layout){.shape = *shape};
  for (unsigned d = 0; d < shape->rank && d < BF_ONX_DIMS; d++) {
    if (shape->dims[d] == 1) continue;
    part_of[d] = (uint8_t)layout->nparts;
    layout->part[layout->nparts] = shape->dims[d];
    layout->dim[layout->nparts++] = (uint8_t)d;
  }
  unsigned n = 0;
  for (unsigned i = 0; i < shape->rank && i < BF_ONX_DIMS; i++)
    if (shape->dims[dims[i]] != 1) layout->order[n++] = part_of[dims[i]];
}

void bf_onx_layout_plain(struct bf_onx_layout *layout, const struct bf_onx_shape *shape) {
  static const unsigned dims[BF_ONX_DIMS] = {0, 1, 2, 3, 4, 5, 6, 7};
  layout_of(layout, shape, dims);
}

void bf_onx_layout_image(struct bf_onx_layout *layout, const struct bf_onx_shape *shape) {
  unsigned dims[BF_ONX_DIMS] = {0};
  for (unsigned i = 1; i < shape->rank && i < BF_ONX_DIMS; i++) dims[i] = i + 1 < shape->rank ? i + 1 : 1;
  layout_of(layout, shape, dims);
}

// Cuts part p into `outer` and the rest, which lie beside each other in the text too.
static bool split(struct bf_onx_layout *layout, unsigned p, uint64_t outer) {
  if (layout->nparts >= BF_ONX_DIMS || layout->part[p] % outer) return false;
  unsigned n = layout->nparts, at = 0;
  layout->nparts = n + 1;
  for (unsigned i = n; i > p; i--) {
    layout->part[i] = layout->part[i - 1];
    layout->dim[i] = layout->dim[i - 1];
  }
  layout->part[p + 1] = layout->part[p] / outer;
  layout->part[p] = outer;
  for (unsigned i = 0; i < n; i++) {
    if (layout->order[i] > p) layout->order[i]++;
    if (layout->order[i] == p) at = i;
  }
  for (unsigned i = n; i > at + 1; i--) layout->order[i] = layout->order[i - 1];
  layout->order[at + 1] = (uint8_t)(p + 1);
  return true;
}

bool bf_onx_layout_reshape(struct bf_onx_layout *layout, const struct bf_onx_shape *to) {
  if (bf_onx_elements(&layout->shape) != bf_onx_elements(to)) return false;
  unsigned p = 0;
  for (unsigned d = 0; d < to->rank; d++) {
    uint64_t need = to->dims[d];
    while (need > 1) {
      if (p == layout->nparts) return false;
      if (layout->part[p] > need && !split(layout, p, need)) return false;
      if (need % layout->part[p]) return false;
      need /= layout->part[p];
      layout->dim[p++] = (uint8_t)d;
    }
  }
  layout->shape = *to;
  return true;
}

void bf_onx_layout_transpose(struct bf_onx_layout *layout, const unsigned *perm) {
  struct bf_onx_layout old = *layout;
  uint8_t now[BF_ONX_DIMS];  // old part -> new part
  unsigned n = 0;
  for (unsigned d = 0; d < old.shape.rank; d++) {
    layout->shape.dims[d] = old.shape.dims[perm[d]];
    for (unsigned p = 0; p < old.nparts; p++)
      if (old.dim[p] == perm[d]) {
        layout->part[n] = old.part[p];
        layout->dim[n] = (uint8_t)d;
        now[p] = (uint8_t)n++;
      }
  }
  for (unsigned i = 0; i < old.nparts; i++) layout->order[i] = now[old.order[i]];
}

// Parts that follow each other in the text too may as well be one.
static void merge(struct bf_onx_layout *layout) {
  for (unsigned p = 0; p + 1 < layout->nparts;) {
    unsigned at = 0;
    while (layout->order[at] != p) at++;
    if (layout->dim[p] != layout->dim[p + 1] || at + 1 >= layout->nparts || layout->order[at + 1] != p + 1) {
      p++;
      continue;
    }
    layout->part[p] *= layout->part[p + 1];
    layout->nparts--;
    for (unsigned i = p + 1; i < layout->nparts; i++) {
      layout->part[i] = layout->part[i + 1];
      layout->dim[i] = layout->dim[i + 1];
    }
    for (unsigned i = at + 1; i < layout->nparts; i++) layout->order[i] = layout->order[i + 1];
    for (unsigned i = 0; i < layout->nparts && i < BF_ONX_DIMS; i++)
      if (layout->order[i] > p) layout->order[i]--;
  }
}

bool bf_onx_layout_same(const struct bf_onx_layout *a, const struct bf_onx_layout *b) {
  struct bf_onx_layout x = *a, y = *b;
  merge(&x);
  merge(&y);
  return x.nparts == y.nparts && memcmp(x.part, y.part, x.nparts * sizeof *x.part) == 0 &&
         memcmp(x.dim, y.dim, x.nparts) == 0 && memcmp(x.order, y.order, x.nparts) == 0;
}

void bf_onx_layout_text(const struct bf_onx_layout *layout, unsigned *rank, uint64_t *shape) {
  const uint64_t *d = layout->shape.dims;
  *rank = 4;
  if (layout->shape.rank == 4) {
    memcpy(shape, (const uint64_t[]){d[0], d[2], d[3], d[1]}, 4 * sizeof *shape);
  } else if (layout->shape.rank == 3) {
    memcpy(shape, (const uint64_t[]){d[0], 1, d[2], d[1]}, 4 * sizeof *shape);
  } else {
    *rank = 2;
    shape[0] = layout->shape.rank >= 2 ? d[0] : 1;
    shape[1] = bf_onx_elements(&layout->shape) / (shape[0] ? shape[0] : 1);
  }
}

int bf_onx_channel_dim(const struct bf_onx_layout *layout) {
  if (!layout->nparts) return -1;
  int dim = layout->dim[layout->order[layout->nparts - 1]];
  unsigned first = 0, count = 0;
  for (unsigned p = 0; p < layout->nparts; p++) {
    if (layout->dim[p] != dim) continue;
    if (!count++) first = p;
  }
  for (unsigned i = 0; i < count; i++)
    if (layout->order[layout->nparts - count + i] != first + i) return -1;
  return dim;
}

// ---- moving

static bool print_reshape(struct bf_onx_lower *l, struct bf_onx_value *v, unsigned rank, const uint64_t *shape) {
  struct bf_onx_text *x = v->source->in[0];
  if (x->rank == rank && memcmp(x->shape, shape, rank * sizeof *shape) == 0) return true;
  bool flat = rank == 2 && shape[0] == x->shape[0];
  const char *operands =
      flat ? x->name : bf_arena_format(&l->arena, "%s, shape [%s]", x->name, bf_onx_shape_text(&l->arena, rank, shape));
  struct bf_onx_text *y =
      bf_onx_print_same(l, flat ? "flat" : "view", flat ? "flatten" : "reshape", operands, x, rank, shape);
  v->source = bf_onx_text_source(l, y, &v->layout);
  return true;
}

// Runs of parts that stay together on the way from the text's order to `want`: their sizes and first parts. The number
// of runs.
static unsigned blocks_of(const struct bf_onx_layout *layout, const uint8_t *want, uint64_t *block, unsigned *place) {
  unsigned n = layout->nparts, nblocks = 0, rank_of[BF_ONX_DIMS], first[BF_ONX_DIMS];
  for (unsigned i = 0; i < n; i++) rank_of[want[i]] = i;
  for (unsigned i = 0; i < n; i++) {
    unsigned here = rank_of[layout->order[i]];
    if (i && here == rank_of[layout->order[i - 1]] + 1) {
      block[nblocks - 1] *= layout->part[layout->order[i]];
      continue;
    }
    first[nblocks] = here;
    block[nblocks++] = layout->part[layout->order[i]];
  }
  for (unsigned i = 0; i < nblocks; i++) {
    place[i] = 0;
    for (unsigned k = 0; k < nblocks; k++) place[i] += first[k] < first[i];
  }
  return nblocks;
}

// The order in which one run of parts has come to its place: first .. | run | rest. So that no more than 4 groups move.
static void one_move(const struct bf_onx_layout *layout, const uint8_t *want, uint8_t *next) {
  unsigned n = layout->nparts, p = 0, from, count = 1, out;
  while (layout->order[p] == want[p]) p++;
  for (from = p; layout->order[from] != want[p];) from++;
  while (from + count < n && p + count < n && layout->order[from + count] == want[p + count]) count++;
  memcpy(next, layout->order, p);
  memcpy(next + p, layout->order + from, count);
  out = p + count;
  for (unsigned i = p; i < n; i++)
    if (i < from || i >= from + count) next[out++] = layout->order[i];
}

// Moves the parts of v into the order `want`.
static bool print_transpose(struct bf_onx_lower *l, struct bf_onx_value *v, const uint8_t *want) {
  struct bf_onx_layout *layout = &v->layout;
  uint64_t block[BF_ONX_DIMS], shape[4] = {1, 1, 1, 1}, result[4];
  unsigned place[BF_ONX_DIMS], perm[4] = {0, 1, 2, 3}, n = layout->nparts;
  unsigned nblocks = blocks_of(layout, want, block, place);
  if (nblocks > 4) {
    uint8_t next[BF_ONX_DIMS];
    one_move(layout, want, next);
    return print_transpose(l, v, next) && print_transpose(l, v, want);
  }
  unsigned lead = 4 - nblocks;
  for (unsigned i = 0; i < nblocks; i++) {
    shape[lead + i] = block[i];
    perm[lead + place[i]] = lead + i;
  }
  for (unsigned i = 0; i < 4; i++) result[i] = shape[perm[i]];
  if (!print_reshape(l, v, 4, shape)) return false;
  const struct bf_onx_text *x = v->source->in[0];
  const char *operands =
      bf_arena_format(&l->arena, "%s, perm [%u, %u, %u, %u]", x->name, perm[0], perm[1], perm[2], perm[3]);
  struct bf_onx_text *y = bf_onx_print_same(l, "turned", "transpose", operands, x, 4, result);
  memcpy(layout->order, want, n);
  v->source = bf_onx_text_source(l, y, layout);
  return true;
}

bool bf_onx_arrange(struct bf_onx_lower *l, struct bf_onx_value *v, const struct bf_onx_layout *want, unsigned rank,
                    const uint64_t *shape) {
  // The parts of v are at least as fine as those of `want`: each dimension of it is listed by its parts in the model's
  // order.
  uint8_t order[BF_ONX_DIMS];
  unsigned n = 0;
  for (unsigned i = 0; i < want->nparts; i++)
    for (unsigned p = 0; p < v->layout.nparts && n < BF_ONX_DIMS; p++)
      if (v->layout.dim[p] == want->dim[want->order[i]]) order[n++] = (uint8_t)p;
  if (n != v->layout.nparts) return bf_onx_fail(l, NULL, "dimensions that cannot be arranged");
  if (memcmp(order, v->layout.order, n) != 0 && !print_transpose(l, v, order)) return false;
  return print_reshape(l, v, rank, shape);
}

bool bf_onx_image(struct bf_onx_lower *l, struct bf_onx_value *v, double *scale) {
  if (!bf_onx_settle(l, v) || !bf_onx_scale(l, v, scale)) return false;
  if (v->layout.shape.rank != 3 && v->layout.shape.rank != 4)
    return bf_onx_fail(l, "images of one or two dimensions work", "an operand of %u dimensions", v->layout.shape.rank);
  struct bf_onx_layout want;
  unsigned rank;
  uint64_t shape[4];
  bf_onx_layout_image(&want, &v->layout.shape);
  bf_onx_layout_text(&want, &rank, shape);
  return bf_onx_arrange(l, v, &want, rank, shape);
}

bool bf_onx_pad(struct bf_onx_lower *l, struct bf_onx_value *v) {
  int64_t *p = v->pad;
  double scale;
  if (!p[0] && !p[1] && !p[2] && !p[3]) return true;
  if (!bf_onx_image(l, v, &scale)) return false;
  const struct bf_onx_text *x = v->source->in[0];
  const char *operands = bf_arena_format(&l->arena, "%s, pads [[%lld, %lld], [%lld, %lld], [0, 0]]", x->name,
                                         (long long)p[0], (long long)p[1], (long long)p[2], (long long)p[3]);
  uint64_t shape[4] = {x->shape[0], x->shape[1] + (uint64_t)(p[0] + p[1]), x->shape[2] + (uint64_t)(p[2] + p[3]),
                       x->shape[3]};
  struct bf_onx_text *y = bf_onx_print_same(l, "padded", "pad", operands, x, 4, shape);
  struct bf_onx_shape padded = bf_onx_image_shape(v->layout.shape.rank, shape[0], shape[3], shape[1], shape[2]);
  bf_onx_layout_image(&v->layout, &padded);
  v->source = bf_onx_text_source(l, y, &v->layout);
  memset(p, 0, sizeof v->pad);
  return true;
}

bool bf_onx_activation(struct bf_onx_lower *l, struct bf_onx_value *v, double *scale) {
  return bf_onx_settle(l, v) && bf_onx_scale(l, v, scale) && bf_onx_pad(l, v);
}
