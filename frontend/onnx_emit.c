// SPDX-License-Identifier: Apache-2.0
// Printing: layers, numbers, members of the archive.
#include <math.h>
#include <string.h>

#include "frontend/onnx_lower.h"

#define INLINE_NUMBERS 6  // so many stand in the text, more in the archive

const char *bf_onx_shape_text(struct bf_arena *arena, unsigned rank, const uint64_t *shape) {
  struct bf_buf out = {0};
  // The language puts a batch of 1 before shapes of one and three dimensions.
  unsigned from = (rank == 2 || rank == 4) && shape[0] == 1;
  for (unsigned i = from; i < rank; i++)
    bf_buf_printf(&out, "%s%llu", i > from ? ", " : "", (unsigned long long)shape[i]);
  const char *text = bf_arena_strdup(arena, bf_buf_cstr(&out));
  bf_buf_free(&out);
  return text;
}

void bf_onx_number(char *out, double v) {
  float f = (float)v;
  if (!(f > 0x1p-126f)) f = 0x1p-126f;  // scales are positive numbers of float32
  if (!isfinite(f)) f = 0x1p127f;
  bf_float_text(out, f);
}

// ---- the archive

void bf_onx_add_ints(struct bf_onx_lower *l, const char *name, unsigned rank, const uint64_t *shape, const int64_t *v) {
  bf_archive_add(&l->weights, name, bf_array_of_ints(rank, shape, v));
}

void bf_onx_add_floats(struct bf_onx_lower *l, const char *name, uint64_t n, const float *v) {
  struct bf_array array = {.dtype = BF_DTYPE_F32, .rank = 1, .shape = {n}, .elements = n};
  float *data = bf_alloc(n, sizeof *data);
  memcpy(data, v, n * sizeof *data);
  array.data = data;
  bf_archive_add(&l->weights, name, array);
}

// Integers of a requantization: one number, a short list, or a member of the archive named after the layer.
static void put_ints(struct bf_onx_lower *l, struct bf_buf *out, const char *layer, const char *suffix, uint64_t rows,
                     uint64_t columns, const int64_t *v) {
  uint64_t n = rows * columns;
  bool equal = columns == 1;
  for (uint64_t i = 1; i < n; i++) equal &= v[i] == v[0];
  if (equal) {
    bf_buf_printf(out, "%lld", (long long)v[0]);
  } else if (rows == 1 && n <= INLINE_NUMBERS) {
    for (uint64_t i = 0; i < n; i++) bf_buf_printf(out, "%s%lld", i ? ", " : "[", (long long)v[i]);
    bf_buf_puts(out, "]");
  } else {
    const char *name = bf_onx_unique(l, bf_arena_format(&l->arena, "%s_%s", layer, suffix));
    uint64_t shape[2] = {rows, columns};
    if (rows == 1) bf_onx_add_ints(l, name, 1, &columns, v);
    else bf_onx_add_ints(l, name, columns == 1 ? 1 : 2, shape, v);
    bf_buf_printf(out, "\"%s\"", name);
  }
}

static void put_floats(struct bf_onx_lower *l, struct bf_buf *out, const char *layer, uint64_t n, const float *v) {
  char text[40];
  bool equal = true;
  for (uint64_t i = 1; i < n; i++) equal &= v[i] == v[0];
  if (equal) {
    bf_buf_puts(out, bf_float_text(text, v[0]));
    return;
  }
  const char *name = bf_onx_unique(l, bf_arena_format(&l->arena, "%s_f", layer));
  bf_onx_add_floats(l, name, n, v);
  bf_buf_printf(out, "\"%s\"", name);
}

// ---- requantizations

static void put_thresholds(struct bf_onx_lower *l, struct bf_buf *out, const char *layer, struct bf_type type,
                           const struct bf_onx_requant *rq, int64_t zero) {
  uint64_t n = rq->nthresholds;
  bf_buf_puts(out, "thresholds(");
  if (type.kind == BF_TYPE_B) {  // each threshold counts twice there
    int64_t *half = bf_arena_alloc(&l->arena, rq->n, sizeof *half);
    for (uint64_t c = 0; c < rq->n; c++) half[c] = rq->thresholds[2 * c];
    if (rq->n == 1) bf_buf_printf(out, "[%lld]", (long long)half[0]);
    else {
      const char *name = bf_onx_unique(l, bf_arena_format(&l->arena, "%s_t", layer));
      const uint64_t shape[2] = {rq->n, 1};
      bf_onx_add_ints(l, name, 2, shape, half);
      bf_buf_printf(out, "\"%s\"", name);
    }
    bf_buf_puts(out, ")");
    return;
  }
  if (rq->n == 1 && n == 1) bf_buf_printf(out, "[%lld]", (long long)rq->thresholds[0]);
  else if (rq->n > 1 && n == 1) {
    const char *name = bf_onx_unique(l, bf_arena_format(&l->arena, "%s_t", layer));
    const uint64_t shape[2] = {rq->n, 1};
    bf_onx_add_ints(l, name, 2, shape, rq->thresholds);
    bf_buf_printf(out, "\"%s\"", name);
  } else {
    put_ints(l, out, layer, "t", rq->n, n, rq->thresholds);
  }
  if (rq->zero != zero && type.kind != BF_TYPE_T) bf_buf_printf(out, ", zero %lld", (long long)rq->zero);
  bf_buf_puts(out, ")");
}

static void put_requant(struct bf_onx_lower *l, struct bf_buf *out, const char *layer, struct bf_type type,
                        const struct bf_onx_requant *rq, int64_t zero) {
  bf_buf_puts(out, " requantize ");
  switch (rq->mode) {
    case BF_REQUANT_AFFINE_FLOOR:
      bf_buf_puts(out, "affine_floor(mult ");
      put_ints(l, out, layer, "m", rq->n, 1, rq->mult);
      bf_buf_puts(out, ", add ");
      put_ints(l, out, layer, "a", rq->n, 1, rq->add);
      bf_buf_printf(out, ", shift %d", rq->shift);
      break;
    case BF_REQUANT_FLOAT_RNE:
      bf_buf_puts(out, "float_rne(scale ");
      put_floats(l, out, layer, rq->n, rq->fscale);
      break;
    case BF_REQUANT_THRESHOLDS: put_thresholds(l, out, layer, type, rq, zero); return;
    default: bf_buf_puts(out, "none"); return;
  }
  if (rq->zero != zero) bf_buf_printf(out, ", zero %lld", (long long)rq->zero);
  bf_buf_puts(out, ")");
}

// The clamp, where the type does not make it.
static void put_activation(struct bf_buf *out, struct bf_type type, double scale, int64_t zero,
                           const struct bf_onx_requant *rq) {
  char lo[40], hi[40];
  int64_t type_lo = bf_type_min(type), type_hi = bf_type_max(type);
  if (rq->mode == BF_REQUANT_THRESHOLDS || (rq->lo <= type_lo && rq->hi >= type_hi)) return;
  if (rq->lo == zero && rq->hi >= type_hi) {
    bf_buf_puts(out, ", activation relu");
    return;
  }
  bf_float_text(lo, (float)(scale * (double)(rq->lo - zero)));
  bf_float_text(hi, (float)(scale * (double)(rq->hi - zero)));
  bf_buf_printf(out, ", activation clamp(%s, %s)", lo, hi);
}

// ---- layers

static struct bf_onx_text *new_text(struct bf_onx_lower *l, const char *name, struct bf_type type, double scale,
                                    int64_t zero, unsigned rank, const uint64_t *shape) {
  struct bf_onx_text *t = bf_arena_alloc(&l->arena, 1, sizeof *t);
  *t = (struct bf_onx_text){.name = name, .type = type, .scale = scale, .zero = zero, .rank = rank};
  memcpy(t->shape, shape, rank * sizeof *shape);
  return t;
}

struct bf_onx_text *bf_onx_print_same(struct bf_onx_lower *l, const char *hint, const char *callee,
                                      const char *operands, const struct bf_onx_text *like, unsigned rank,
                                      const uint64_t *shape) {
  const char *name = bf_onx_unique(l, hint);
  bf_buf_printf(&l->layers, "  %s = %s(%s);\n", name, callee, operands);
  return new_text(l, name, like->type, like->scale, like->zero, rank, shape);
}

struct bf_onx_text *bf_onx_print_layer(struct bf_onx_lower *l, struct bf_onx_source *s, struct bf_type type,
                                       double scale, int64_t zero, const struct bf_onx_requant *rq) {
  struct bf_buf *out = &l->layers;
  const char *name = bf_onx_unique(l, s->hint ? s->hint : "layer");
  char text[40], type_text[8];
  bf_onx_declare(l, s, name);
  bf_buf_printf(out, "  %s = %s(%s", name, s->callee, s->in[0]->name);
  if (s->in[1]) bf_buf_printf(out, ", %s", s->in[1]->name);
  if (s->weights) bf_buf_printf(out, ", %s", s->weights);
  if (s->bias) bf_buf_printf(out, ", %s", s->bias);
  if (s->arguments) bf_buf_puts(out, s->arguments);
  put_activation(out, type, scale, zero, rq);
  bf_buf_printf(out, ")\n      -> %s", bf_type_text(type_text, type));
  bf_onx_number(text, scale);
  if (scale != 1) bf_buf_printf(out, " scale %s", text);
  if (zero) bf_buf_printf(out, " zero %lld", (long long)zero);
  put_requant(l, out, name, type, rq, zero);
  bf_buf_puts(out, ";\n");
  return new_text(l, name, type, scale, zero, s->rank, s->shape);
}

// ---- sources

struct bf_onx_source *bf_onx_source_new(struct bf_onx_lower *l, enum bf_onx_source_kind kind, const char *callee,
                                        uint64_t channels) {
  // Ranges are kept for each channel: a small file must not claim many. What goes on with one channel is thrown away.
  if (channels > l->channels_left) {
    l->exhausted = true;
    bf_onx_fail(l, NULL, "tensors whose channels, or last dimensions, are too large");
    channels = 1;
  } else {
    l->channels_left -= channels;
  }
  struct bf_onx_source *s = bf_arena_alloc(&l->arena, 1, sizeof *s);
  s->kind = kind;
  s->callee = callee;
  s->channels = channels;
  s->lo = bf_arena_alloc(&l->arena, channels + 1, sizeof *s->lo);
  s->hi = bf_arena_alloc(&l->arena, channels + 1, sizeof *s->hi);
  return s;
}

struct bf_onx_source *bf_onx_text_source(struct bf_onx_lower *l, struct bf_onx_text *text,
                                         const struct bf_onx_layout *layout) {
  struct bf_onx_source *s = bf_onx_source_new(l, SOURCE_TEXT, "requantize", text->shape[text->rank - 1]);
  s->in[0] = text;
  s->rank = text->rank;
  memcpy(s->shape, text->shape, text->rank * sizeof *text->shape);
  s->hint = "act";
  for (uint64_t c = 0; c < s->channels && !text->undecided; c++) {
    s->lo[c] = bf_type_min(text->type) - text->zero;
    s->hi[c] = bf_type_max(text->type) - text->zero;
  }
  return s;
}
