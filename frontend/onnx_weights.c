// SPDX-License-Identifier: Apache-2.0
// Weights and biases: which integers they are, how they are declared, and how large sums with them may become.
#include <math.h>
#include <string.h>

#include "frontend/onnx_lower.h"

static struct bf_type type_of(const struct bf_onx_matrix *m, const struct bf_onx_const *c) {
  uint64_t n = m->uniform ? 1 : m->out * m->depth;
  int64_t lo = INT64_MAX, hi = INT64_MIN;
  bool has_zero = false, centred = true;
  for (uint64_t i = 0; i < n; i++) {
    if (m->q[i] < lo) lo = m->q[i];
    if (m->q[i] > hi) hi = m->q[i];
    has_zero |= m->q[i] == 0;
  }
  for (uint64_t o = 0; o < m->out; o++) centred &= m->zero[o] == 0;
  if (centred && lo >= -1 && hi <= 1) return has_zero ? (struct bf_type){BF_TYPE_T, 2} : (struct bf_type){BF_TYPE_B, 1};
  bool is_signed = c->bits ? c->is_signed : lo < 0;
  unsigned bits = c->bits ? c->bits : 1;
  if (lo < 0) is_signed = true;
  while (bits < 48 && (is_signed ? lo < -((int64_t)1 << (bits - 1)) || hi >= (int64_t)1 << (bits - 1) : hi >> bits))
    bits++;
  if (!c->bits) {
    is_signed = true;  // integers without a type: the common widths
    bits += lo >= 0;
    bits = bits <= 2 ? 2 : bits <= 4 ? 4 : bits <= 8 ? 8 : bits;
  }
  return (struct bf_type){is_signed ? BF_TYPE_S : BF_TYPE_U, bits};
}

// Integers kept as floats.
static bool integers_of(struct bf_onx_lower *l, const struct bf_onx_const *c, uint64_t held, int64_t **q) {
  *q = bf_arena_alloc(&l->arena, held, sizeof **q);
  for (uint64_t i = 0; i < held; i++) {
    if (!(fabs(c->real[i]) < 65536) || c->real[i] != floor(c->real[i])) return false;
    (*q)[i] = (int64_t)c->real[i];
  }
  return true;
}

// Symmetric quantization, the scale of each output by its largest weight.
static void quantize(struct bf_onx_lower *l, const struct bf_onx_const *c, struct bf_onx_matrix *m, int64_t *q,
                     double *scale) {
  double top = ldexp(1, (int)l->options->assume_w - 1) - 1;
  for (uint64_t o = 0; o < m->out; o++) {
    double largest = 0;
    for (uint64_t i = 0; i < (m->uniform ? 1 : m->depth); i++)
      largest = fmax(largest, fabs(c->real[m->uniform ? 0 : o * m->depth + i]));
    scale[o] = largest > 0 && isfinite(largest) ? (double)(float)(largest / top) : 1;
    if (!(scale[o] > 0)) scale[o] = 1;
    if (m->uniform && o) continue;
    for (uint64_t i = 0; i < (m->uniform ? 1 : m->depth); i++) {
      double v = nearbyint(c->real[m->uniform ? 0 : o * m->depth + i] / scale[o]);
      q[o * m->depth + i] = v > top ? (int64_t)top : v >= -top ? (int64_t)v : -(int64_t)top;
    }
  }
}

static bool copy_scales(struct bf_onx_lower *l, const struct bf_onx_const *c, uint64_t out, double *scale,
                        int64_t *zero) {
  if (c->nscale > 1 && (c->axis != 0 || c->nscale != out))
    return bf_onx_fail(l, "one scale, or one for each output channel, work",
                       "weights are scaled along another dimension");
  for (uint64_t o = 0; o < out; o++) {
    uint64_t k = c->nscale > 1 ? o : 0;
    scale[o] = c->scale ? c->scale[k] : 1;
    zero[o] = c->scale ? c->zero[k] : 0;
  }
  return true;
}

bool bf_onx_matrix(struct bf_onx_lower *l, const struct bf_onx_const *c, struct bf_onx_matrix *m) {
  *m = (struct bf_onx_matrix){.out = c->shape.rank ? c->shape.dims[0] : 1, .uniform = c->uniform};
  if (!c->count || m->out > BF_ONX_MAX_CHANNELS) return bf_onx_fail(l, NULL, "weights of no or too many elements");
  m->depth = c->count / m->out;
  uint64_t held = c->uniform ? 1 : c->count;
  double *scale = bf_arena_alloc(&l->arena, m->out, sizeof *scale);
  int64_t *zero = bf_arena_alloc(&l->arena, m->out, sizeof *zero), *q = NULL;
  m->scale = scale;
  m->zero = zero;
  if (!copy_scales(l, c, m->out, scale, zero)) return false;
  if (c->ints) {
    m->q = c->ints;
  } else if (integers_of(l, c, held, &q)) {
    m->q = q;
  } else if (l->options->assume_w) {
    quantize(l, c, m, q, scale);
    m->q = q;
    m->type = (struct bf_type){BF_TYPE_S, l->options->assume_w};
    return true;
  } else {
    return bf_onx_fail(l, "--quantize=w8a8 --calibrate=IMAGES.npy quantizes the model; --assume=w8a8 only assumes widths, for reports of cost",
                       "float weights: here a quantization is needed");
  }
  m->type = type_of(m, c);
  if (m->type.bits > 16) return bf_onx_fail(l, "weights of up to 16 bits work", "weights of %u bits", m->type.bits);
  for (uint64_t o = 0; o < m->out; o++)
    if (zero[o] < bf_type_min(m->type) || zero[o] > bf_type_max(m->type))
      return bf_onx_fail(l, NULL, "the zero point of the weights is outside their type");
  return true;
}

// ---- declarations

static void put_scales(struct bf_onx_lower *l, const char *name, const struct bf_onx_matrix *m) {
  struct bf_buf *out = &l->constants;
  bool equal = true, zeros = true, same_zero = true;
  char text[40];
  for (uint64_t o = 0; o < m->out; o++) {
    equal &= m->scale[o] == m->scale[0];
    zeros &= m->zero[o] == 0;
    same_zero &= m->zero[o] == m->zero[0];
  }
  bf_onx_number(text, m->scale[0]);
  if (equal && m->scale[0] != 1) {
    bf_buf_printf(out, " scale %s", text);
  } else if (!equal) {
    const char *scales = bf_onx_unique(l, bf_arena_format(&l->arena, "%s_scale", name));
    float *f = bf_arena_alloc(&l->arena, m->out, sizeof *f);
    for (uint64_t o = 0; o < m->out; o++) {
      bf_onx_number(text, m->scale[o]);
      f[o] = (float)m->scale[o] > 0x1p-126f ? (float)m->scale[o] : 0x1p-126f;
    }
    bf_onx_add_floats(l, scales, m->out, f);
    bf_buf_printf(out, " scale \"%s\"", scales);
  }
  if (zeros) return;
  if (same_zero) {
    bf_buf_printf(out, " zero %lld", (long long)m->zero[0]);
  } else {
    const char *name_of_zeros = bf_onx_unique(l, bf_arena_format(&l->arena, "%s_zero", name));
    bf_onx_add_ints(l, name_of_zeros, 1, &m->out, m->zero);
    bf_buf_printf(out, " zero \"%s\"", name_of_zeros);
  }
}

static const char *declare_weights(struct bf_onx_lower *l, const struct bf_onx_source *s, const char *layer) {
  const struct bf_onx_matrix *m = s->matrix;
  const char *name = bf_onx_unique(l, bf_arena_format(&l->arena, "%s_w", layer));
  struct bf_buf *out = &l->constants;
  char type[8];
  bf_buf_printf(out, "  const %s: %s[", name, bf_type_text(type, m->type));
  for (unsigned i = 0; i < s->weights_rank; i++)
    bf_buf_printf(out, "%s%llu", i ? ", " : "", (unsigned long long)s->weights_shape[i]);
  bf_buf_puts(out, "]");
  put_scales(l, name, m);
  if (m->uniform) bf_buf_printf(out, " = %lld", (long long)m->q[0]);
  else bf_onx_add_ints(l, name, s->weights_rank, s->weights_shape, m->q);
  bf_buf_puts(out, ";\n");
  return name;
}

static const char *declare_bias(struct bf_onx_lower *l, const struct bf_onx_source *s, const char *layer) {
  const int64_t *q = s->bias_values;
  const char *name = bf_onx_unique(l, bf_arena_format(&l->arena, "%s_b", layer));
  bool wide = false, same = true;
  for (uint64_t o = 0; o < s->channels; o++) {
    wide |= q[o] != (int32_t)q[o];
    same &= q[o] == q[0];
  }
  bf_buf_printf(&l->constants, "  const %s: s%d[%llu]", name, wide ? 48 : 32, (unsigned long long)s->channels);
  if (same) bf_buf_printf(&l->constants, " = %lld", (long long)q[0]);
  else bf_onx_add_ints(l, name, 1, &s->channels, q);
  bf_buf_puts(&l->constants, ";\n");
  return name;
}

void bf_onx_declare(struct bf_onx_lower *l, struct bf_onx_source *s, const char *name) {
  if (s->matrix && !s->weights) s->weights = declare_weights(l, s, name);
  if (s->bias_values && !s->bias) s->bias = declare_bias(l, s, name);
}

// The matrix with the rows of the channels marked negated.
static const struct bf_onx_matrix *negated(struct bf_onx_lower *l, const struct bf_onx_matrix *m, const double *sign) {
  struct bf_onx_matrix *out = bf_arena_alloc(&l->arena, 1, sizeof *out);
  *out = *m;
  out->uniform = false;
  if (m->out * m->depth > l->budget) return NULL;
  l->budget -= m->out * m->depth;
  int64_t *q = bf_arena_alloc(&l->arena, m->out * m->depth, sizeof *q);
  for (uint64_t i = 0; i < m->out * m->depth; i++) {
    q[i] = m->q[m->uniform ? 0 : i] * (int64_t)sign[i / m->depth];
    if (m->zero[i / m->depth] || q[i] < bf_type_min(m->type) || q[i] > bf_type_max(m->type)) return NULL;
  }
  out->q = q;
  return out;
}

bool bf_onx_rising(struct bf_onx_lower *l, const struct bf_onx_value *v, size_t n, struct bf_onx_value *out) {
  struct bf_onx_source *s;
  const struct bf_onx_source *old = v->source;
  double *sign = bf_arena_alloc(&l->arena, old->channels + 1, sizeof *sign);
  bool falls = false;
  if (!old->matrix) return false;
  for (uint64_t c = 0; c < old->channels; c++) {
    sign[c] =
        bf_onx_apply(v->steps, n, c, (double)old->lo[c]) > bf_onx_apply(v->steps, n, c, (double)old->hi[c]) ? -1 : 1;
    falls |= sign[c] < 0;
  }
  const struct bf_onx_matrix *m = falls ? negated(l, old->matrix, sign) : NULL;
  if (!m) return false;
  *out = *v;
  out->source = s = bf_onx_source_new(l, old->kind, old->callee, old->channels);
  int64_t *lo = s->lo, *hi = s->hi;
  *s = *old;
  s->lo = lo;
  s->hi = hi;
  s->matrix = m;
  s->weights = s->bias = NULL;
  if (old->bias_values) s->bias_values = bf_arena_alloc(&l->arena, s->channels, sizeof *s->bias_values);
  for (uint64_t c = 0; c < s->channels; c++) {
    s->lo[c] = sign[c] > 0 ? old->lo[c] : -old->hi[c];
    s->hi[c] = sign[c] > 0 ? old->hi[c] : -old->lo[c];
    if (old->bias_values) s->bias_values[c] = old->bias_values[c] * (int64_t)sign[c];
  }
  struct bf_onx_step *steps = bf_arena_alloc(&l->arena, v->nsteps + 1, sizeof *steps);
  steps[0] = (struct bf_onx_step){.kind = STEP_MUL, .n = s->channels, .v = sign};
  memcpy(steps + 1, v->steps, v->nsteps * sizeof *steps);
  out->steps = steps;
  out->nsteps = v->nsteps + 1;
  return true;
}

bool bf_onx_set_range(struct bf_onx_lower *l, struct bf_onx_source *s, const struct bf_onx_matrix *m) {
  const struct bf_onx_text *x = s->in[0];
  double lo = (double)(bf_type_min(x->type) - x->zero), hi = (double)(bf_type_max(x->type) - x->zero);
  // Padding contributes 0.
  lo = fmin(lo, 0);
  hi = fmax(hi, 0);
  for (uint64_t o = 0; o < m->out; o++) {
    double below = 0, above = 0;
    for (uint64_t i = 0; i < (m->uniform ? 1 : m->depth); i++) {
      double w = (double)(m->q[m->uniform ? 0 : o * m->depth + i] - m->zero[o]),
             times = m->uniform ? (double)m->depth : 1;
      below += times * w * (w > 0 ? lo : hi);
      above += times * w * (w > 0 ? hi : lo);
    }
    if (-below > (double)BF_ONX_ACC_LIMIT || above > (double)BF_ONX_ACC_LIMIT)
      return bf_onx_fail(l, NULL, "sums of more than 47 bits");
    s->lo[o] = (int64_t)below;
    s->hi[o] = (int64_t)above;
  }
  return true;
}

// The bias in units of the sums, if it is integers there.
static int64_t *integer_bias(struct bf_onx_lower *l, double x_scale, const struct bf_onx_matrix *m,
                             const double *bias) {
  int64_t *q = bf_arena_alloc(&l->arena, m->out, sizeof *q);
  for (uint64_t o = 0; o < m->out; o++) {
    double v = bias[o] / (x_scale * m->scale[o]), near = nearbyint(v);
    if (!(fabs(near) < 0x1p45) || fabs(v - near) > 1e-6 * fmax(1, fabs(v)) || (fabs(v) < 1 && v != near)) return NULL;
    q[o] = (int64_t)near;
  }
  return q;
}

bool bf_onx_finish_sum(struct bf_onx_lower *l, struct bf_onx_value *v, double x_scale, const struct bf_onx_matrix *m,
                       const struct bf_onx_const *bias, double factor) {
  struct bf_onx_source *s = v->source;
  double *scale = bf_arena_alloc(&l->arena, m->out, sizeof *scale), *b = NULL;
  bool equal = true;
  for (uint64_t o = 0; o < m->out; o++) {
    scale[o] = (double)((float)x_scale * (float)m->scale[o]);
    if (x_scale == 1 && m->scale[o] == 1) scale[o] = 1;
    equal &= scale[o] == scale[0];
  }
  if (bias) {
    if (bias->count != m->out && bias->count != 1)
      return bf_onx_fail(l, NULL, "a bias of another length than the outputs");
    b = bf_arena_alloc(&l->arena, m->out, sizeof *b);
    for (uint64_t o = 0; o < m->out; o++) b[o] = factor * bf_onx_real(bias, bias->count == 1 ? 0 : o);
  }
  int64_t *q = b ? integer_bias(l, x_scale, m, b) : NULL;
  for (uint64_t o = 0; q && o < m->out; o++) {
    s->lo[o] += q[o];
    s->hi[o] += q[o];
    if (s->lo[o] < -BF_ONX_ACC_LIMIT || s->hi[o] > BF_ONX_ACC_LIMIT)
      return bf_onx_fail(l, NULL, "sums of more than 47 bits");
  }
  s->bias_values = q;
  if (equal) bf_onx_push_scalar(l, v, STEP_MUL, scale[0]);
  else bf_onx_push(l, v, (struct bf_onx_step){.kind = STEP_MUL, .n = m->out, .v = scale});
  if (b && !q) bf_onx_push(l, v, (struct bf_onx_step){.kind = STEP_ADD, .n = m->out, .v = b});
  return true;
}
