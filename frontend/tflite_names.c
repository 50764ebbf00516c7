// SPDX-License-Identifier: Apache-2.0
// Short readable names from tensor names such as
//   model/activation/Relu;model/conv2d/BiasAdd/ReadVariableOp/resource;model/conv2d/Conv2D1
// in which the converter lists all that it fused into an operator, and some that it did not.
#include "frontend/tflite_lower.h"

#include <ctype.h>
#include <string.h>

#include "frontend/bfn.h"

#define LONGEST_SOURCE 1024  // bytes of a tensor name that are looked at
#define LONGEST_NAME 48      // of a name made from it

// Last components that name an operation rather than a layer.
static const char *const operations[] = {
    "Relu",           "Relu6",          "relu",        "relu6",
    "BiasAdd",        "Conv2D",         "Conv2D_Fold", "Conv2D_bias",
    "depthwise_Fold", "add_fold",       "MatMul",      "FusedBatchNormV",
    "FusedBatchNorm", "batch_norm",     "BatchNorm",   "BatchNorm_Fold",
    "bias",           "ReadVariableOp", "resource",    "AvgPool",
    "MaxPool",        "Reshape",        "Softmax",     "softmax",
    "Const",          "read",           "weights",     "kernel",
    "Identity",       "Mean",           "Pad",         "concat",
};
// Names of layers that are only fused into the one sought.
static const char *const secondary[] = {"activation", "batch_normalization", "batch_norm", "BatchNorm", "re_lu", "bn"};
// Names that say nothing.
static const char *const empty_names[] = {"Identity", "StatefulPartitionedCall", "PartitionedCall"};

struct span {
  const char *text;
  size_t length;
};

static bool span_is(struct span s, const char *word) {
  return s.length == strlen(word) && memcmp(s.text, word, s.length) == 0;
}

static bool span_begins(struct span s, struct span with) {
  return s.length >= with.length && memcmp(s.text, with.text, with.length) == 0;
}

static struct span without_number(struct span s) {
  while (s.length && isdigit((unsigned char)s.text[s.length - 1])) s.length--;
  if (s.length && s.text[s.length - 1] == '_') s.length--;
  return s;
}

static bool in_list(struct span s, const char *const *list, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (span_is(s, list[i])) return true;
  return false;
}

// The last path component, and what stands before it.
static struct span split_last(struct span path, struct span *parent) {
  size_t at = path.length;
  while (at && path.text[at - 1] != '/') at--;
  *parent = (struct span){path.text, at ? at - 1 : 0};
  return (struct span){path.text + at, path.length - at};
}

// Cuts components that only name operations from the end of a path.
static struct span layer_path(struct span path) {
  static const char call[] = "StatefulPartitionedCall/";
  const struct span prefix = {call, sizeof call - 1};
  if (span_begins(path, prefix)) {
    path.text += prefix.length;
    path.length -= prefix.length;
  }
  for (;;) {
    struct span parent, above, last = split_last(path, &parent), word = without_number(last);
    if (!parent.length) return path;
    struct span layer = split_last(parent, &above);
    // model/add/add, and depthwise_conv2d/depthwise, but not expanded_conv/expand.
    bool repeated =
        word.length && span_begins(layer, word) && (layer.length == word.length || layer.text[word.length] == '_');
    if (!repeated && !in_list(last, operations, BF_COUNT(operations)) &&
        !in_list(word, operations, BF_COUNT(operations)))
      return path;
    path = parent;
  }
}

static bool is_secondary(struct span path) {
  struct span parent, word = without_number(split_last(path, &parent));
  return in_list(word, secondary, BF_COUNT(secondary));
}

// The layer that most of the fused names belong to; the last of equals.
static struct span best_path(struct bf_fb_vector name) {
  struct span all = {(const char *)name.data, name.count < LONGEST_SOURCE ? name.count : LONGEST_SOURCE};
  struct {
    struct span path;
    unsigned score;
  } found[16];
  size_t count = 0;
  for (size_t begin = 0; begin < all.length && count < BF_COUNT(found);) {
    size_t end = begin;
    while (end < all.length && all.text[end] != ';') end++;
    struct span path = layer_path((struct span){all.text + begin, end - begin});
    begin = end + 1;
    size_t i = 0;
    while (i < count && !(found[i].path.length == path.length && span_begins(found[i].path, path))) i++;
    if (i == count) {
      found[count].path = path;
      found[count++].score = is_secondary(path) ? 0 : 16;
    }
    found[i].score++;
  }
  struct span best = {"", 0};
  unsigned score = 0;
  for (size_t i = 0; i < count; i++)
    if (found[i].score >= score) {
      score = found[i].score;
      best = found[i].path;
    }
  return best;
}

static bool is_operator(const char *name) {
  const char *op;
  for (size_t i = 0; (op = bf_bfn_op_name(i)); i++)
    if (strcmp(op, name) == 0) return true;
  return false;
}

// The last `components` of a path as an identifier; NULL if they say nothing.
static char *identifier(struct bf_arena *arena, struct span path, unsigned components) {
  struct span parent, part = split_last(path, &parent);
  for (unsigned i = 1; i < components && parent.length; i++) {
    struct span above;
    split_last(parent, &above);
    size_t from = above.length ? above.length + 1 : 0;
    part = (struct span){path.text + from, path.length - from};
    parent = above;
  }
  char text[LONGEST_NAME + 1];
  size_t length = 0;
  for (size_t i = 0; i < part.length && part.text[i] != ':' && length < LONGEST_NAME; i++) {
    unsigned char c = (unsigned char)part.text[i];
    bool word = c < 128 && isalnum(c);
    if (!word && (!length || text[length - 1] == '_')) continue;
    text[length++] = word ? (char)tolower(c) : '_';
  }
  while (length && text[length - 1] == '_') length--;
  text[length] = 0;
  if (!length) return NULL;
  return bf_arena_format(arena, "%s%s", isdigit((unsigned char)text[0]) ? "t" : "", text);
}

// Converters add such words to the names of inputs and outputs.
static struct span plain(struct span path) {
  static const char serving[] = "serving_default_";
  static const char *const suffixes[] = {"_int8", "_uint8"};
  const struct span prefix = {serving, sizeof serving - 1};
  if (span_begins(path, prefix) && path.length > prefix.length) {
    path.text += prefix.length;
    path.length -= prefix.length;
  }
  for (size_t i = 0; i < BF_COUNT(suffixes); i++) {
    size_t length = strlen(suffixes[i]);
    if (path.length > length && memcmp(path.text + path.length - length, suffixes[i], length) == 0)
      path.length -= length;
  }
  return path;
}

static char *name_of(struct bf_arena *arena, struct bf_fb_vector name, unsigned components) {
  struct span path = plain(best_path(name)), word = path;
  for (size_t i = 0; i < word.length; i++)
    if (word.text[i] == ':') word.length = i;
  if (in_list(without_number(word), empty_names, BF_COUNT(empty_names))) return NULL;
  return identifier(arena, path, components);
}

// Slot of `text`, or the free slot where it belongs.
static struct bf_tfl_name *name_slot(const struct bf_tfl_names *names, const char *text) {
  size_t i = bf_hash(text, strlen(text)) & (names->size - 1);
  while (names->slots[i].text && strcmp(names->slots[i].text, text) != 0) i = (i + 1) & (names->size - 1);
  return &names->slots[i];
}

bool bf_tfl_mark(struct bf_tfl_names *names, const char *text) {
  struct bf_tfl_name *slot = name_slot(names, text);
  if (slot->text) return false;
  slot->text = (char *)text;
  return true;
}

static void names_grow(struct bf_tfl_lower *lower) {
  struct bf_tfl_names old = lower->names, *names = &lower->names;
  if (old.size && old.count < old.size / 2) return;
  names->size = old.size ? old.size * 2 : 64;
  names->slots = bf_arena_alloc(&lower->arena, names->size, sizeof *names->slots);
  for (size_t i = 0; i < old.size; i++)
    if (old.slots[i].text) *name_slot(names, old.slots[i].text) = old.slots[i];
}

static bool take(struct bf_tfl_lower *lower, const char *text) {
  names_grow(lower);
  struct bf_tfl_name *slot = name_slot(&lower->names, text);
  if (slot->text) return false;
  *slot = (struct bf_tfl_name){bf_arena_strdup(&lower->arena, text), 2};
  lower->names.count++;
  return true;
}

const char *bf_tfl_unique(struct bf_tfl_lower *lower, const char *base) {
  char *text = bf_arena_strdup(&lower->arena, base);
  // The network's first "conv2d" becomes conv2d_0: the next ones are conv2d_1, conv2d_2, ….
  if (bf_bfn_reserved(text) || is_operator(text)) text = bf_arena_format(&lower->arena, "%s_0", text);
  if (take(lower, text)) return text;
  for (;;) {
    // Looked up anew each time: take may have moved the slots.
    struct bf_tfl_name *slot = name_slot(&lower->names, text);
    char *next = bf_arena_format(&lower->arena, "%s_%u", text, slot->next++);
    if (take(lower, next)) return next;
  }
}

const char *bf_tfl_tensor_name(struct bf_tfl_lower *lower, struct bf_fb_vector name, const char *otherwise) {
  const char *text = name_of(&lower->arena, name, 1);
  return bf_tfl_unique(lower, text ? text : otherwise);
}

static const char *default_name(struct bf_tfl_lower *lower, int64_t code) {
  const char *name = bf_tfl_op_info(code).name;
  char *text = bf_arena_strdup(&lower->arena, name ? name : "layer");
  for (char *c = text; *c; c++) *c = (char)tolower((unsigned char)*c);
  return text;
}

// A set of the short names in use, to find out which occur twice.
static bool is_repeated(const struct bf_tfl_names *seen, const char *name) { return name_slot(seen, name)->next > 1; }

void bf_tfl_name_layers(struct bf_tfl_lower *lower) {
  const struct bf_tfl_model *model = lower->model;
  const char **names = bf_arena_alloc(&lower->arena, model->nops + 1, sizeof *names);
  struct bf_tfl_names seen = {.size = 64};
  while (seen.size < 2 * (size_t)model->nops) seen.size *= 2;
  seen.slots = bf_arena_alloc(&lower->arena, seen.size, sizeof *seen.slots);
  for (uint32_t i = 0; i < model->nops; i++) {
    const struct bf_tfl_op *op = &model->ops[i];
    if (!lower->live[i]) continue;
    names[i] = name_of(&lower->arena, model->tensors[bf_fb_vector_i32(&op->outputs, 0)].name, 1);
    if (!names[i]) continue;
    struct bf_tfl_name *slot = name_slot(&seen, names[i]);
    slot->text = (char *)names[i];
    slot->next++;
  }
  for (uint32_t i = 0; i < model->nops; i++) {
    const struct bf_tfl_op *op = &model->ops[i];
    if (!lower->live[i]) continue;
    const char *name = names[i];
    // "depthwise" alone says little if there are many: take "expanded_conv_1_depthwise".
    if (name && is_repeated(&seen, name))
      name = name_of(&lower->arena, model->tensors[bf_fb_vector_i32(&op->outputs, 0)].name, 2);
    lower->layer[i] = bf_tfl_unique(lower, name ? name : default_name(lower, op->code));
  }
}

const char *bf_tfl_printable(struct bf_arena *arena, struct bf_fb_vector name) {
  char text[100];
  size_t length = 0;
  for (uint32_t i = 0; i < name.count && length < 96; i++)
    text[length++] = name.data[i] >= 32 && name.data[i] < 127 ? (char)name.data[i] : '?';
  if (name.count > 96) memcpy(text + length - 3, "...", 3);
  return bf_arena_strndup(arena, text, length);
}
