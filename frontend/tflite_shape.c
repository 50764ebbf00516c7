// SPDX-License-Identifier: Apache-2.0
// Operators that move elements and leave them as they are.
#include <string.h>

#include "frontend/tflite_lower.h"

void bf_tfl_lower_reshape(struct bf_tfl_lower *lower, uint32_t op) {
  struct bf_tfl_value in, out;
  if (!bf_tfl_unary(lower, op, &in, &out) || !bf_tfl_require_same(lower, op, &in, &out)) return;
  if (in.elements != out.elements) {
    bf_tfl_problem(lower, op, NULL, "%llu elements become %llu", (unsigned long long)in.elements,
                   (unsigned long long)out.elements);
    return;
  }
  if (out.rank == 1) bf_tfl_begin(lower, lower->layer[op], "flatten", in.text);
  else
    bf_tfl_begin(lower, lower->layer[op], "reshape",
                 bf_arena_format(&lower->arena, "%s, shape [%s]", in.text,
                                 bf_tfl_shape_text(&lower->arena, out.rank, out.shape)));
  bf_tfl_end_same(lower, &out);
}

// PADV2 has the value as its third operand. False: a problem was noted; *value: INT64_MIN if there is none.
static bool pad_value(struct bf_tfl_lower *lower, uint32_t op, const struct bf_tfl_value *in, int64_t *value) {
  uint64_t count;
  *value = INT64_MIN;
  if (lower->model->ops[op].code != BF_TFL_OP_PADV2) return true;
  if (!bf_tfl_constant_ints(lower, op, 2, 1, &count, value)) return false;
  const struct bf_tfl_tensor *tensor =
      &lower->model->tensors[bf_fb_vector_i32(&lower->model->ops[op].inputs, 2)];
  if (tensor->type == in->type) return true;
  bf_tfl_problem(lower, op, "a padding value of the operand's type works", "a padding value of type %s",
                 bf_tfl_type_info(tensor->type)->name);
  return false;
}

void bf_tfl_lower_pad(struct bf_tfl_lower *lower, uint32_t op) {
  struct bf_tfl_value in, out;
  int64_t pads[2 * BF_TFL_MAX_RANK], value;
  uint64_t count;
  if (!bf_tfl_unary(lower, op, &in, &out) || !bf_tfl_require_same(lower, op, &in, &out) ||
      !bf_tfl_constant_ints(lower, op, 1, BF_COUNT(pads), &count, pads) || !pad_value(lower, op, &in, &value))
    return;
  unsigned batch = in.file_rank - in.rank;
  bool good = count == 2 * (uint64_t)in.file_rank && in.rank == out.rank && (!batch || (pads[0] == 0 && pads[1] == 0));
  for (unsigned i = 0; good && i < in.rank; i++) {
    const int64_t *p = &pads[2 * (i + batch)];
    good = p[0] >= 0 && p[1] >= 0 && p[0] <= BF_TFL_LARGEST_OPTION && p[1] <= BF_TFL_LARGEST_OPTION &&
           in.shape[i] + (uint64_t)p[0] + (uint64_t)p[1] == out.shape[i];
  }
  if (!good) {
    bf_tfl_problem(lower, op, "padding of height, width and channels works",
                   "paddings that do not fit operand and result");
    return;
  }
  bf_tfl_begin(lower, lower->layer[op], "pad", in.text);
  bf_buf_puts(&lower->layers, ", pads [");
  for (unsigned i = 0; i < in.rank; i++)
    bf_buf_printf(&lower->layers, "%s[%lld, %lld]", i ? ", " : "", (long long)pads[2 * (i + batch)],
                  (long long)pads[2 * (i + batch) + 1]);
  bf_buf_puts(&lower->layers, "]");
  if (value != INT64_MIN && value != in.zero) bf_buf_printf(&lower->layers, ", value %lld", (long long)value);
  bf_tfl_end_same(lower, &out);
}

static void print_list(struct bf_tfl_lower *lower, const char *name, unsigned rank, const int64_t *list) {
  bf_buf_printf(&lower->layers, ", %s [", name);
  for (unsigned i = 0; i < rank; i++) bf_buf_printf(&lower->layers, "%s%lld", i ? ", " : "", (long long)list[i]);
  bf_buf_puts(&lower->layers, "]");
}

void bf_tfl_lower_transpose(struct bf_tfl_lower *lower, uint32_t op) {
  struct bf_tfl_value in, out;
  int64_t perm[BF_TFL_MAX_RANK], inside[4] = {0};
  uint64_t count, from[4], to[4];
  if (!bf_tfl_unary(lower, op, &in, &out) || !bf_tfl_require_same(lower, op, &in, &out) ||
      !bf_tfl_constant_ints(lower, op, 1, BF_COUNT(perm), &count, perm))
    return;
  unsigned rank = bf_tfl_inside(&in, from), added = rank - in.file_rank, seen = 0;
  bool good = count == in.file_rank && in.file_rank == out.file_rank && bf_tfl_inside(&out, to) == rank;
  for (unsigned i = 0; good && i < rank; i++) {
    int axis = i < added ? 0 : bf_tfl_axis(&in, perm[i - added]);
    good = axis >= 0 && !(seen >> axis & 1) && to[i] == from[axis];
    if (!good) break;
    seen |= 1u << axis;
    inside[i] = axis;
  }
  if (good && inside[0] == 0) {
    bf_tfl_begin(lower, lower->layer[op], "transpose", in.text);
    print_list(lower, "perm", rank, inside);
    bf_tfl_end_same(lower, &out);
  } else {
    bf_tfl_problem(lower, op, "an order of all dimensions but the batch works",
                   "a permutation that does not fit operand and result");
  }
}

// Elements begin + i*step of each dimension inside, count of them.
struct slice {
  int64_t begin[4], step[4], count[4];
};

static struct slice whole(unsigned rank, const uint64_t *shape) {
  struct slice s = {0};
  for (unsigned i = 0; i < rank; i++) {
    s.step[i] = 1;
    s.count[i] = (int64_t)shape[i];
  }
  return s;
}

// Prints the slice of `in` and, if the result has another shape, the reshape to it.
static void print_slice(struct bf_tfl_lower *lower, uint32_t op, const char *name, const struct bf_tfl_value *in,
                        const struct slice *s, const struct bf_tfl_value *out) {
  uint64_t sizes[4], elements = 1;
  unsigned rank = in->rank + 1;
  bool steps = false, same = rank == out->rank + 1;
  for (unsigned i = 0; i < rank; i++) {
    sizes[i] = (uint64_t)s->count[i];
    elements *= sizes[i];
    steps |= s->step[i] != 1;
    if (i && same) same = sizes[i] == out->shape[i - 1];
  }
  if (elements != out->elements || s->count[0] != 1) {
    bf_tfl_problem(lower, op, NULL, "a slice [%s] where the result has the shape [%s]",
                   bf_tfl_shape_text(&lower->arena, rank, sizes),
                   bf_tfl_shape_text(&lower->arena, out->rank, out->shape));
    return;
  }
  const char *layer = same ? name : bf_tfl_helper(lower, op, "slice");
  bf_tfl_begin(lower, layer, "slice", in->text);
  print_list(lower, "begin", rank - 1, s->begin + 1);
  print_list(lower, "count", rank - 1, s->count + 1);
  if (steps) print_list(lower, "step", rank - 1, s->step + 1);
  bf_tfl_end_same(lower, out);
  if (!same) bf_tfl_reshape(lower, name, layer, out->rank, out->shape);
}

static int64_t clamp(int64_t v, int64_t lo, int64_t hi) { return v < lo ? lo : v > hi ? hi : v; }

// One dimension of a STRIDED_SLICE, `bit` of the masks. False if nothing is left of it, or its stride is 0.
static bool strided_dimension(const struct bf_tfl_options *o, unsigned bit, int64_t size, int64_t begin, int64_t end,
                              int64_t stride, struct slice *s, int axis) {
  int64_t low = stride > 0 ? 0 : -1, high = stride > 0 ? size : size - 1;
  if (stride == 0) return false;
  int64_t first = begin < 0 ? begin + size : begin;
  if (o->begin_mask >> bit & 1) first = stride > 0 ? 0 : size - 1;
  first = clamp(first, low, high);
  if (o->offset) end += first;
  else if (end < 0) end += size;
  if (o->end_mask >> bit & 1) end = stride > 0 ? size : -1;
  end = clamp(end, low, high);
  if (o->shrink_axis_mask >> bit & 1) {
    end = first + 1;
    stride = 1;
  }
  s->begin[axis] = first;
  s->step[axis] = stride;
  s->count[axis] = stride > 0 ? (end - first + stride - 1) / stride : (first - end - stride - 1) / -stride;
  return s->count[axis] > 0 && first >= 0 && first < size;
}

static bool strided_slice(struct bf_tfl_lower *lower, uint32_t op, const struct bf_tfl_value *in, struct slice *s) {
  const struct bf_tfl_options *o = bf_tfl_options(lower, op);
  int64_t lists[3][BF_TFL_MAX_RANK];  // begin, end, stride
  uint64_t counts[3], shape[4];
  for (uint32_t i = 0; i < 3; i++)
    if (!bf_tfl_constant_ints(lower, op, i + 1, BF_TFL_MAX_RANK, &counts[i], lists[i])) return false;
  if (o->ellipsis_mask || o->new_axis_mask) {
    bf_tfl_problem(lower, op, "begin, end and shrink masks work", "a mask for an ellipsis or a new axis");
    return false;
  }
  bf_tfl_inside(in, shape);
  bool good = counts[0] == counts[1] && counts[0] == counts[2] && counts[0] <= in->file_rank;
  for (unsigned i = 0; good && i < counts[0]; i++) {
    int axis = bf_tfl_axis(in, i);
    int64_t limit = (int64_t)1 << 31;
    for (int k = 0; k < 3; k++) good &= lists[k][i] >= -limit && lists[k][i] < limit;
    good = good && strided_dimension(o, i, (int64_t)shape[axis], lists[0][i], lists[1][i], lists[2][i], s, axis);
  }
  if (!good) bf_tfl_problem(lower, op, NULL, "begin, end and strides that do not fit the operand, or leave nothing of it");
  return good;
}

static bool plain_slice(struct bf_tfl_lower *lower, uint32_t op, const struct bf_tfl_value *in, struct slice *s) {
  int64_t begin[BF_TFL_MAX_RANK], size[BF_TFL_MAX_RANK];
  uint64_t counts[2], shape[4];
  if (!bf_tfl_constant_ints(lower, op, 1, BF_TFL_MAX_RANK, &counts[0], begin) ||
      !bf_tfl_constant_ints(lower, op, 2, BF_TFL_MAX_RANK, &counts[1], size))
    return false;
  bf_tfl_inside(in, shape);
  bool good = counts[0] == in->file_rank && counts[1] == in->file_rank;
  for (unsigned i = 0; good && i < counts[0]; i++) {
    int axis = bf_tfl_axis(in, i);
    int64_t whole_size = (int64_t)shape[axis];
    good = begin[i] >= 0 && begin[i] < whole_size;
    if (good && size[i] == -1) size[i] = whole_size - begin[i];
    good = good && size[i] > 0 && size[i] <= whole_size - begin[i];
    s->begin[axis] = begin[i];
    s->count[axis] = size[i];
  }
  if (!good) bf_tfl_problem(lower, op, NULL, "begin and size that do not fit the operand");
  return good;
}

void bf_tfl_lower_slice(struct bf_tfl_lower *lower, uint32_t op) {
  struct bf_tfl_value in, out;
  uint64_t shape[4];
  if (!bf_tfl_unary(lower, op, &in, &out) || !bf_tfl_require_same(lower, op, &in, &out)) return;
  struct slice s = whole(bf_tfl_inside(&in, shape), shape);
  bool strided = lower->model->ops[op].code == BF_TFL_OP_STRIDED_SLICE;
  if (strided ? strided_slice(lower, op, &in, &s) : plain_slice(lower, op, &in, &s))
    print_slice(lower, op, lower->layer[op], &in, &s, &out);
}

// SPLIT has the operands axis, data; SPLIT_V data, sizes, axis. The results follow each other along the axis, each as
// long as its tensor says.
void bf_tfl_lower_split(struct bf_tfl_lower *lower, uint32_t op) {
  const struct bf_fb_vector *results = &lower->model->ops[op].outputs;
  bool sized = lower->model->ops[op].code == BF_TFL_OP_SPLIT_V;
  struct bf_tfl_value in, out;
  int64_t file_axis;
  uint64_t count, shape[4], at = 0;
  if (!bf_tfl_operand(lower, op, sized ? 0 : 1, &in) ||
      !bf_tfl_constant_ints(lower, op, sized ? 2 : 0, 1, &count, &file_axis))
    return;
  int axis = bf_tfl_axis(&in, file_axis);
  unsigned rank = bf_tfl_inside(&in, shape);
  for (uint32_t i = 0; i < results->count; i++) {
    int32_t index = bf_fb_vector_i32(results, i);
    if (!bf_tfl_view(lower, op, index, &out) || !bf_tfl_require_same(lower, op, &in, &out)) return;
    if (axis < 1 || out.rank != in.rank || at + out.shape[axis - 1] > shape[axis]) {
      bf_tfl_problem(lower, op, "parts along height, width or channels work", "parts that do not fit along axis %lld",
                     (long long)file_axis);
      return;
    }
    struct slice s = whole(rank, shape);
    s.begin[axis] = (int64_t)at;
    s.count[axis] = (int64_t)out.shape[axis - 1];
    at += out.shape[axis - 1];
    const char *name = i ? bf_tfl_unique(lower, lower->layer[op]) : lower->layer[op];
    print_slice(lower, op, name, &in, &s, &out);
    lower->value[index] = name;
  }
}
