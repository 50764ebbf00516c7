// SPDX-License-Identifier: Apache-2.0
// Settling: a source and its steps become one layer of the text. The steps up to the last that rounds are the layer's
// requantization; what scales after it is the meaning (scale and zero point) of the integers.
#include <math.h>
#include <string.h>

#include "frontend/onnx_lower.h"

#define FEW_LEVELS 3        // thresholds are cheap then, and rise
#define ASSUMED_HEADROOM 8  // sums rarely come near the largest there could be

static bool rounds(const struct bf_onx_step *s) {
  return s->kind >= STEP_FLOOR && s->kind != STEP_CLIP && s->kind != STEP_CURVE;
}

static struct bf_type type_for(int64_t lo, int64_t hi) {
  unsigned bits = 1;
  if (lo >= 0) {
    while (bits < 48 && hi >> bits) bits++;
    return (struct bf_type){BF_TYPE_U, bits};
  }
  bits = 2;
  while (bits < 48 && (lo < -((int64_t)1 << (bits - 1)) || hi >= (int64_t)1 << (bits - 1))) bits++;
  return (struct bf_type){BF_TYPE_S, bits};
}

// What the first n steps can give: their limits, and where these are infinite the ends of the source's range.
// clipped[0] and [1]: all channels have a limit below and above.
static bool level_range(const struct bf_onx_value *v, size_t n, double *lo, double *hi, bool *clipped) {
  const struct bf_onx_source *s = v->source;
  clipped[0] = clipped[1] = true;
  *lo = INFINITY;
  *hi = -INFINITY;
  for (uint64_t c = 0; c < s->channels; c++) {
    const double ends[2] = {(double)s->lo[c], (double)s->hi[c]}, far[2] = {-INFINITY, INFINITY};
    for (int i = 0; i < 2; i++) {
      double y = bf_onx_apply(v->steps, n, c, far[i]), near = bf_onx_apply(v->steps, n, c, ends[i]);
      if (!isfinite(y)) {
        clipped[y > 0] = false;
        y = near;
      }
      if (isnan(y)) return false;
      *lo = fmin(*lo, y);
      *hi = fmax(*hi, y);
    }
  }
  return fabs(*lo) < 0x1p47 && fabs(*hi) < 0x1p47;
}

// ---- inputs

bool bf_onx_decide_input(struct bf_onx_lower *l, struct bf_onx_text *text, struct bf_type type, double scale,
                         int64_t zero) {
  text->type = type;
  text->scale = scale;
  text->zero = zero;
  text->undecided = false;
  return true;
}

// An input that is quantized at once has that quantization.
static bool input_is_quantized(struct bf_onx_lower *l, struct bf_onx_value *v) {
  struct bf_onx_text *text = v->source->in[0];
  double factor, offset;
  size_t i = 0;
  while (i < v->nsteps && v->steps[i].kind != STEP_ROUND) i++;
  if (i == v->nsteps || !bf_onx_affine(v->steps, i, &factor, &offset) || offset != 0 || factor <= 0) return false;
  double zero = 0;
  size_t k = i + 1;
  if (k < v->nsteps && v->steps[k].kind == STEP_ADD && v->steps[k].n == 1) zero = v->steps[k++].v[0];
  if (k >= v->nsteps || v->steps[k].kind != STEP_CLIP) return false;
  double lo = v->steps[k].lo, hi = v->steps[k].hi;
  if (!(fabs(lo) <= 65536 && fabs(hi) <= 65536 && zero >= lo && zero <= hi) || zero != floor(zero)) return false;
  struct bf_type type = type_for((int64_t)lo, (int64_t)hi);
  return type.bits <= 16 && bf_onx_decide_input(l, text, type, 1 / factor, (int64_t)zero);
}

static bool assume_input(struct bf_onx_lower *l, struct bf_onx_value *v) {
  struct bf_onx_text *text = v->source->in[0];
  const struct bf_onnx_options *o = l->options;
  if (!l->integer_graph && !l->has_quantizers && !o->assume_a && !o->input_type.bits)
    return bf_onx_fail(l, "--quantize=w8a8 --calibrate=IMAGES.npy quantizes the model; --assume=w8a8 only assumes widths, for reports of cost",
                       "float values: here a quantization is needed");
  if (o->input_type.bits) {
    bf_onx_decide_input(l, text, o->input_type, l->integer_graph ? 1 : ldexp(1, 1 - (int)o->input_type.bits), 0);
    return true;
  }
  unsigned bits = o->assume_a ? o->assume_a : 8;
  bf_onx_decide_input(l, text, (struct bf_type){BF_TYPE_U, bits}, l->integer_graph ? 1 : 1 / (ldexp(1, (int)bits) - 1),
                      0);
  if (l->integer_graph) return true;
  bf_warning_file(l->diags, l->file, NULL, "input \"%s\" has no quantization in the model: u%u from 0 to 1 is assumed",
                  bf_onx_printable(&l->arena, text->model_name), bits);
  return true;
}

static void set_text_range(struct bf_onx_source *s) {
  const struct bf_onx_text *t = s->in[0];
  for (uint64_t c = 0; c < s->channels; c++) {
    s->lo[c] = bf_type_min(t->type) - t->zero;
    s->hi[c] = bf_type_max(t->type) - t->zero;
  }
}

// ---- meanings of the integers

// How steps[n..] read the integers of a layer: real = scale * (q - zero), q = factor * level + offset.
struct meaning {
  double scale;
  int64_t zero, factor, offset;
};

static bool meaning_of(struct bf_onx_lower *l, const struct bf_onx_value *v, size_t n, struct meaning *m) {
  double scale, offset, ratio;
  *m = (struct meaning){1, 0, 1, 0};
  if (!bf_onx_affine(v->steps + n, v->nsteps - n, &scale, &offset) || scale < 0)
    return bf_onx_fail(l, "one positive scale for the whole tensor works",
                       "the result is scaled in a way the text cannot say");
  m->scale = scale;
  ratio = offset / scale;
  bool counted = n && (v->steps[n - 1].kind == STEP_COUNT ||
                       (n > 1 && v->steps[n - 1].kind == STEP_CLIP && v->steps[n - 2].kind == STEP_COUNT));
  double nearest = nearbyint(ratio), twice = nearbyint(2 * ratio);
  if (fabs(ratio - nearest) < 1e-6 && fabs(nearest) < 65536) {
    if (counted) m->offset = (int64_t)nearest;
    else m->zero = -(int64_t)nearest;
    return true;
  }
  if (fabs(2 * ratio - twice) < 1e-6 && fabs(twice) < 65536) {  // -1 and 1 as 2n - 1
    m->scale = scale / 2;
    m->factor = 2;
    m->offset = (int64_t)twice;
    return true;
  }
  return bf_onx_fail(l, NULL, "the result has an offset that is no multiple of its scale");
}

// Replaces source and steps by the activation `text`, whose integers less their zero point times its scale are the
// value.
static void become(struct bf_onx_lower *l, struct bf_onx_value *v, struct bf_onx_text *text) {
  v->source = bf_onx_text_source(l, text, &v->layout);
  v->nsteps = 0;
  bf_onx_push_scalar(l, v, STEP_MUL, text->scale);
}

// The steps of a text activation that leave every integer as it is (plus `shift`).
static bool is_identity(const struct bf_onx_value *v, size_t n, int64_t *shift) {
  const struct bf_onx_source *s = v->source;
  if (s->kind != SOURCE_TEXT || !s->channels) return false;
  for (size_t i = 0; i < n; i++)
    if (v->steps[i].n > 1) return false;
  double first = bf_onx_apply(v->steps, n, 0, (double)s->lo[0]) - (double)s->lo[0];
  if (!(fabs(first) < 65536)) return false;
  for (int64_t x = s->lo[0]; x <= s->hi[0]; x++)
    if (bf_onx_apply(v->steps, n, 0, (double)x) != (double)x + first) return false;
  *shift = (int64_t)first;
  return true;
}

// ---- layers

// Where the requantization ends: behind the last step that rounds, and clips after it. Clips behind scalings become
// clips of the integers.
static size_t requantization_end(struct bf_onx_lower *l, struct bf_onx_value *v) {
  size_t last = 0;
  for (size_t i = 0; i < v->nsteps; i++)
    if (rounds(&v->steps[i])) last = i + 1;
  if (!last) return 0;
  size_t end = last;
  for (size_t i = last; i < v->nsteps; i++) {
    double scale, offset;
    if (v->steps[i].kind == STEP_ADD && i == end && v->steps[i].n == 1 && i + 1 < v->nsteps &&
        v->steps[i + 1].kind == STEP_CLIP && v->steps[i].v[0] == floor(v->steps[i].v[0])) {
      end = i + 2;  // a zero point
      i++;
      continue;
    }
    if (v->steps[i].kind != STEP_CLIP) continue;
    if (i == end) {
      end++;
      continue;
    }
    if (!bf_onx_affine(v->steps + end, i - end, &scale, &offset) || scale <= 0) return 0;
    struct bf_onx_step clip = v->steps[i], *steps = bf_arena_alloc(&l->arena, v->nsteps, sizeof *steps);
    clip.lo = isfinite(clip.lo) ? nearbyint((clip.lo - offset) / scale) : clip.lo;
    clip.hi = isfinite(clip.hi) ? nearbyint((clip.hi - offset) / scale) : clip.hi;
    memcpy(steps, v->steps, v->nsteps * sizeof *steps);
    memmove(steps + end + 1, v->steps + end, (i - end) * sizeof *steps);
    steps[end++] = clip;
    v->steps = steps;
  }
  return end;
}

// Whether every step gives integers from integers.
static bool integral(const struct bf_onx_value *v) {
  bool clips = false;
  for (size_t i = 0; i < v->nsteps; i++) {
    const struct bf_onx_step *s = &v->steps[i];
    if (s->kind == STEP_DIV || s->kind == STEP_COUNT || s->kind == STEP_CURVE) return false;
    clips |= s->kind == STEP_CLIP;
    for (uint64_t k = 0; s->v && k < s->n; k++)
      if (s->v[k] != floor(s->v[k])) return false;
  }
  return clips;
}

// Appends the quantization that a float graph does not have.
static void assume(struct bf_onx_lower *l, struct bf_onx_value *v) {
  double lo, hi, scale = 1;
  bool clipped[2];
  unsigned bits = l->options->assume_a;
  if (level_range(v, v->nsteps, &lo, &hi, clipped))
    scale = fmax(fabs(lo), fabs(hi)) / ASSUMED_HEADROOM / ldexp(1, (int)bits - (lo < 0));
  else lo = -1;
  if (!(scale > 1e-30) || !isfinite(scale)) scale = 1;
  scale = (double)(float)scale;
  bf_onx_push_scalar(l, v, STEP_DIV, scale);
  bf_onx_push(l, v, (struct bf_onx_step){.kind = STEP_ROUND});
  double top = ldexp(1, (int)bits - (lo < 0)) - 1;
  bf_onx_push_clip(l, v, lo < 0 ? -top - 1 : 0, top);
  bf_onx_push_scalar(l, v, STEP_MUL, scale);
  v->integer_type = 0;
}

static bool curved(const struct bf_onx_value *v, size_t end) {
  for (size_t i = 0; i < end; i++)
    if (v->steps[i].kind == STEP_CURVE) return true;
  return false;
}

// Any function of an activation of 8 bits, as a table.
static struct bf_onx_text *print_table(struct bf_onx_lower *l, struct bf_onx_value *v, size_t end, struct bf_type type,
                                       const struct meaning *m, const struct bf_onx_requant *rq) {
  const struct bf_onx_text *x = v->source->in[0];
  int64_t first = bf_type_min(x->type), n = bf_type_max(x->type) - first + 1, t[256];
  char text[40], type_text[8];
  for (int64_t i = 0; i < n; i++) {
    double y = bf_onx_apply(v->steps, end, 0, (double)(first + i - x->zero)) * (double)m->factor + (double)m->offset;
    t[i] = y < (double)rq->lo ? rq->lo : y > (double)rq->hi ? rq->hi : (int64_t)y;
  }
  const char *name = bf_onx_unique(l, bf_arena_format(&l->arena, "%s_t", v->source->hint));
  bf_onx_number(text, m->scale);
  bf_buf_printf(&l->constants, "  const %s: %s[%lld] scale %s zero %lld;\n", name, bf_type_text(type_text, type),
                (long long)n, text, (long long)m->zero);
  bf_onx_add_ints(l, name, 1, &(uint64_t){(uint64_t)n}, t);
  struct bf_onx_text *out = bf_onx_print_same(
      l, v->source->hint, "table", bf_arena_format(&l->arena, "%s, %s", x->name, name), x, x->rank, x->shape);
  out->type = type;
  out->scale = m->scale;
  out->zero = m->zero;
  return out;
}

static bool settle_layer(struct bf_onx_lower *l, struct bf_onx_value *v, size_t end, bool assumed, bool wide) {
  struct meaning m;
  double lo, hi;
  bool clipped[2];
  if (!meaning_of(l, v, end, &m)) return false;
  if (!level_range(v, end, &lo, &hi, clipped)) return bf_onx_fail(l, NULL, "results beyond 48 bits");
  struct bf_onx_requant rq = {.assumed = assumed, .has_zero = m.zero != 0};
  rq.lo = (int64_t)ceil(lo) * m.factor + m.offset;
  rq.hi = (int64_t)floor(hi) * m.factor + m.offset;
  struct bf_type type = type_for(rq.lo < m.zero ? rq.lo : m.zero, rq.hi > m.zero ? rq.hi : m.zero);
  unsigned bits;
  bool is_signed;
  if (v->integer_type && bf_onx_int_type(v->integer_type, &bits, &is_signed) && bits <= 16) {
    const struct bf_type own = {is_signed ? BF_TYPE_S : BF_TYPE_U, bits};
    // Real numbers made of codes may have become larger than these.
    bool held = clipped[0] && clipped[1] && bf_type_holds(own, rq.lo) && bf_type_holds(own, rq.hi) &&
                bf_type_holds(own, m.zero);
    if (!v->dequantized || held) type = own;
  }
  if (curved(v, end)) {
    if (v->source->kind != SOURCE_TEXT || v->source->in[0]->type.bits > 8 || v->source->in[0]->type.kind == BF_TYPE_B ||
        type.bits > 16)
      return bf_onx_fail(l, "a quantization to 8 bits before it works",
                         "a function of something else than an activation of 8 bits");
    become(l, v, print_table(l, v, end, type, &m, &rq));
    return true;
  }
  if (rq.lo == -1 && rq.hi == 1) type = m.factor == 2 ? (struct bf_type){BF_TYPE_B, 1} : (struct bf_type){BF_TYPE_T, 2};
  if (type.bits > 16 && !wide)
    return bf_onx_fail(l, "a Clip before the next layer works", "its result may need %u bits, activations have 16",
                       type.bits);
  // Bounds that are only those of the sums need no clamp.
  if (!clipped[0] && type.kind != BF_TYPE_B && type.kind != BF_TYPE_T) rq.lo = bf_type_min(type);
  if (!clipped[1] && type.kind != BF_TYPE_B && type.kind != BF_TYPE_T) rq.hi = bf_type_max(type);
  struct bf_onx_value rising;
  if (rq.hi - rq.lo <= FEW_LEVELS && bf_onx_rising(l, v, end, &rising)) {
    v->source = rising.source;
    v->steps = rising.steps;
    v->nsteps = rising.nsteps;
    end++;
  }
  if (!bf_onx_find_requant(l, v, end, m.factor, m.offset, &rq))
    return bf_onx_fail(l, "products, sums and divisions by powers of two before one rounding work",
                       "there is no requantization that equals the model's scaling");
  become(l, v, bf_onx_print_layer(l, v->source, type, m.scale, m.zero, &rq));
  return true;
}

// Sums as they are, with all their bits.
static bool settle_sums(struct bf_onx_lower *l, struct bf_onx_value *v) {
  int64_t lo = 0, hi = 0;
  for (uint64_t c = 0; c < v->source->channels; c++) {
    if (v->source->lo[c] < lo) lo = v->source->lo[c];
    if (v->source->hi[c] > hi) hi = v->source->hi[c];
  }
  struct bf_type type = type_for(lo, hi);
  unsigned bits = type.bits <= 8 ? 8 : type.bits <= 16 ? 16 : type.bits <= 32 ? 32 : 48;
  struct bf_onx_requant rq = {.mode = BF_REQUANT_NONE};
  type = (struct bf_type){BF_TYPE_S, type.kind == BF_TYPE_U && type.bits == bits ? 2 * bits : bits};
  if (type.bits > 48) type.bits = 48;
  rq.lo = bf_type_min(type);
  rq.hi = bf_type_max(type);
  double scale, offset;
  bool plain = bf_onx_affine(v->steps, v->nsteps, &scale, &offset) && scale > 0 && offset == 0;
  struct bf_onx_text *text = bf_onx_print_layer(l, v->source, type, plain ? scale : 1, 0, &rq);
  v->source = bf_onx_text_source(l, text, &v->layout);
  return true;
}

// Sums that are activations as they are.
static bool sums_fit(const struct bf_onx_source *s) {
  for (uint64_t c = 0; c < s->channels; c++)
    if (s->lo[c] < INT16_MIN || s->hi[c] > INT16_MAX) return false;
  return true;
}

static bool settle(struct bf_onx_lower *l, struct bf_onx_value *v, bool output) {
  double scale, offset;
  int64_t shift;
  struct bf_onx_source *s = v->source;
  if (s->kind == SOURCE_TEXT && s->in[0]->undecided) {
    if (!input_is_quantized(l, v) && !assume_input(l, v)) return false;
    set_text_range(s);
  }
  if (s->kind == SOURCE_TEXT) set_text_range(s);  // the input may have been decided by another reader
  size_t end = requantization_end(l, v);
  bool assumed = false, text = s->kind == SOURCE_TEXT;
  if (!end && text && bf_onx_affine(v->steps, v->nsteps, &scale, &offset)) return true;
  if (!end && integral(v)) end = v->nsteps;
  bool sums = !end && !text && bf_onx_affine(v->steps, v->nsteps, &scale, &offset) && scale > 0 && offset == 0;
  if (!end && !l->options->assume_a && (output || (sums && sums_fit(v->source)))) return text || settle_sums(l, v);
  if (!end && l->options->assume_a) {
    assume(l, v);
    assumed = true;
    end = requantization_end(l, v);
  }
  if (!end)
    return bf_onx_fail(l, "--quantize=w8a8 --calibrate=IMAGES.npy quantizes the model; --assume=w8a8 only assumes widths, for reports of cost",
                       "float values: here a quantization is needed");
  if (is_identity(v, end, &shift)) {
    struct bf_onx_step *rest = v->steps + end;
    size_t n = v->nsteps - end;
    v->nsteps = 0;
    bf_onx_push_scalar(l, v, STEP_ADD, (double)shift);
    for (size_t i = 0; i < n; i++) bf_onx_push(l, v, rest[i]);
    return true;
  }
  return settle_layer(l, v, end, assumed, output);
}

bool bf_onx_settle(struct bf_onx_lower *l, struct bf_onx_value *v) { return settle(l, v, false); }
bool bf_onx_settle_output(struct bf_onx_lower *l, struct bf_onx_value *v) { return settle(l, v, true); }

// Nodes that make a layer of their operands.
static bool is_layer(const BfOnnx__Node *n, const struct bf_onx_lower *l) {
  static const char *const ops[] = {"Conv", "Gemm",    "MatMul",  "Pool",     "Concat",
                                    "Sum",  "Flatten", "Reshape", "Transpose"};
  if (!n || !n->op_type) return false;
  for (size_t i = 0; i < BF_COUNT(ops); i++)
    if (strstr(n->op_type, ops[i])) return true;
  if (strcmp(n->op_type, "Add") != 0 || n->n_input < 2) return false;
  for (size_t i = 0; i < 2; i++) {
    const struct bf_onx_value *v = *bf_onx_map_at(l->map, n->input[i]);
    if (v && v->constant) return false;
  }
  return true;
}

void bf_onx_share(struct bf_onx_lower *l, struct bf_onx_value *v) {
  if (!v->source || v->left_out || v->source->kind == SOURCE_TEXT || (v->uses < 2 && !is_layer(v->reader, l))) return;
  if (requantization_end(l, v)) bf_onx_settle(l, v);
}

// The same integers with zero point `zero`; an input that nobody else reads simply has it.
static bool retag(struct bf_onx_lower *l, struct bf_onx_value *v, double scale, int64_t zero) {
  struct bf_onx_text *text = v->source->in[0];
  if (zero < bf_type_min(text->type) || zero > bf_type_max(text->type))
    return bf_onx_fail(l, NULL, "a zero point outside its type");
  struct bf_onx_source *s = bf_onx_source_new(l, SOURCE_TEXT, "requantize", v->source->channels);
  *s = *v->source;
  s->hint = "centred";
  // The layer sees q - text->zero; what is wanted is q.
  struct bf_onx_requant rq = {.mode = BF_REQUANT_AFFINE_FLOOR,
                              .n = 1,
                              .mult = (int64_t[]){1},
                              .add = (int64_t[]){text->zero},
                              .lo = bf_type_min(text->type),
                              .hi = bf_type_max(text->type)};
  become(l, v, bf_onx_print_layer(l, s, text->type, scale, zero, &rq));
  return true;
}

bool bf_onx_say_scale(struct bf_onx_lower *l, struct bf_onx_value *v) {
  double scale;
  if (!bf_onx_scale(l, v, &scale)) return false;
  const struct bf_onx_text *text = v->source->in[0];
  return (float)scale == (float)text->scale || retag(l, v, scale, text->zero);
}

bool bf_onx_scale(struct bf_onx_lower *l, struct bf_onx_value *v, double *scale) {
  double offset;
  if (!bf_onx_affine(v->steps, v->nsteps, scale, &offset) || *scale < 0)
    return bf_onx_fail(l, "one positive scale for the whole tensor works",
                       "an operand is scaled in a way the text cannot say");
  if (offset == 0) return true;
  double zero = nearbyint(-offset / *scale);
  if (fabs(zero + offset / *scale) > 1e-6 || fabs(zero) > 65536)
    return bf_onx_fail(l, NULL, "an operand has an offset that is no multiple of its scale");
  // real = scale * (q - text->zero - zero)
  return retag(l, v, *scale, (int64_t)zero + v->source->in[0]->zero);
}

struct bf_onx_value *bf_onx_plain(struct bf_onx_lower *l, const struct bf_onx_value *v) {
  struct bf_onx_value *out = bf_arena_alloc(&l->arena, 1, sizeof *out);
  *out = *v;
  if (v->coded) {
    bf_onx_push_scalar(l, out, STEP_DIV, v->code_scale);
    bf_onx_push_scalar(l, out, STEP_ADD, v->code_zero);
    out->coded = false;
  }
  return out;
}

struct bf_onx_value *bf_onx_center(struct bf_onx_lower *l, struct bf_onx_value *v, double scale, double zero) {
  struct bf_onx_text *text = v->source->kind == SOURCE_TEXT ? v->source->in[0] : NULL;
  if (v->coded && text && text->retaggable && zero >= (double)bf_type_min(text->type) &&
      zero <= (double)bf_type_max(text->type) && zero == floor(zero)) {
    text->retaggable = false;
    text->zero = (int64_t)zero;
    text->scale = scale;  // the value's first step multiplies by it
    v->code_scale = scale;
    v->code_zero = zero;
    set_text_range(v->source);
  }
  bool same = v->coded && v->code_scale == scale && v->code_zero == zero;
  struct bf_onx_value *out = bf_onx_plain(l, v);
  out->integer_type = v->integer_type;
  if (same) {
    out->steps = v->steps;
    out->nsteps = v->nsteps;
    return out;
  }
  bf_onx_push_scalar(l, out, STEP_ADD, -zero);
  bf_onx_push_scalar(l, out, STEP_MUL, scale);
  return out;
}
