// SPDX-License-Identifier: Apache-2.0
// Reader of recorded kernel vectors (.vec): lines "case NAME", "kind NAME", "cfg KEY VALUE", "tensor NAME TYPE COUNT" followed by
// COUNT integers, "end". Trusts its input: test data.
#ifndef BF_TEST_VEC_H
#define BF_TEST_VEC_H

#include <stdlib.h>
#include <string.h>

#include "base/bf_base.h"

#define VEC_MAX 640

struct vec {
  char name[80], kind[32];
  struct vec_cfg {
    char key[48];
    char value[32];
  } cfg[VEC_MAX];
  struct vec_tensor {
    char name[48], type[16];
    uint64_t count;
    int64_t *values;
  } tensors[VEC_MAX];
  size_t ncfg, ntensors;
};

static inline void vec_free(struct vec *vec) {
  for (size_t i = 0; i < vec->ntensors; i++) free(vec->tensors[i].values);
  free(vec);
}

// Splits `text` in place.
static inline struct vec *vec_parse(char *text) {
  struct vec *vec = bf_alloc(1, sizeof *vec);
  char *save, *line_end = text;
  for (char *line = text; *line; line = line_end) {
    line_end = line + strcspn(line, "\n");
    if (*line_end) *line_end++ = '\0';
    char *word = strtok_r(line, " ", &save);
    if (!word || *word == '#') continue;
    if (strcmp(word, "case") == 0) {
      strncpy(vec->name, strtok_r(NULL, " ", &save), sizeof vec->name - 1);
    } else if (strcmp(word, "kind") == 0) {
      strncpy(vec->kind, strtok_r(NULL, " ", &save), sizeof vec->kind - 1);
    } else if (strcmp(word, "cfg") == 0 && vec->ncfg < VEC_MAX) {
      struct vec_cfg *cfg = &vec->cfg[vec->ncfg++];
      strncpy(cfg->key, strtok_r(NULL, " ", &save), sizeof cfg->key - 1);
      strncpy(cfg->value, strtok_r(NULL, " ", &save), sizeof cfg->value - 1);
    } else if (strcmp(word, "tensor") == 0 && vec->ntensors < VEC_MAX) {
      struct vec_tensor *t = &vec->tensors[vec->ntensors++];
      strncpy(t->name, strtok_r(NULL, " ", &save), sizeof t->name - 1);
      strncpy(t->type, strtok_r(NULL, " ", &save), sizeof t->type - 1);
      t->count = strtoull(strtok_r(NULL, " ", &save), NULL, 10);
      t->values = bf_alloc(t->count ? t->count : 1, sizeof *t->values);
      for (uint64_t i = 0; i < t->count; i++) t->values[i] = strtoll(line_end, &line_end, 10);
    }
  }
  return vec;
}

static inline const char *vec_text(const struct vec *vec, const char *key) {
  for (size_t i = 0; i < vec->ncfg; i++)
    if (strcmp(vec->cfg[i].key, key) == 0) return vec->cfg[i].value;
  return NULL;
}

static inline int64_t vec_int(const struct vec *vec, const char *key, int64_t missing) {
  const char *text = vec_text(vec, key);
  return text ? strtoll(text, NULL, 10) : missing;
}

static inline const struct vec_tensor *vec_tensor(const struct vec *vec, const char *name) {
  for (size_t i = 0; i < vec->ntensors; i++)
    if (strcmp(vec->tensors[i].name, name) == 0) return &vec->tensors[i];
  return NULL;
}

#endif
