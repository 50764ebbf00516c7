// SPDX-License-Identifier: Apache-2.0
// Inside vec_graph: operators added to a graph from the keys and tensors of a vector. NULL or false: they do not fit.
#ifndef BF_TEST_VEC_BUILD_H
#define BF_TEST_VEC_BUILD_H

#include "tests/support/vec_graph.h"

struct bf_tensor *vec_new_tensor(struct bf_graph *g, const char *name, struct bf_type type, unsigned rank,
                                 const uint64_t *shape, int64_t zero);
struct bf_tensor *vec_new_constant(struct bf_graph *g, const char *name, struct bf_type type, unsigned rank,
                                   const uint64_t *shape, int64_t zero, const int64_t *values);
struct bf_tensor *vec_new_input(struct vec_graph *out, const char *name, const struct vec_tensor *t, unsigned rank,
                                const uint64_t *shape, int64_t zero);
struct bf_type vec_type(const struct vec_tensor *t);
void vec_set_requant(struct bf_graph *g, const struct vec *v, struct bf_requant *rq, uint64_t channels);

// `name` is that of the result; constants are named after it.
struct bf_tensor *vec_add_conv(struct bf_graph *g, const struct vec *v, bool depthwise, struct bf_tensor *x,
                               const char *name);
struct bf_tensor *vec_add_dense(struct bf_graph *g, const struct vec *v, struct bf_tensor *x, const char *name);
struct bf_tensor *vec_add_transpose_conv(struct bf_graph *g, const struct vec *v, struct bf_tensor *x, const char *name);
struct bf_tensor *vec_add_pool(struct bf_graph *g, const struct vec *v, enum bf_op op, struct bf_tensor *x,
                               const char *name);
// Sets the scale of `x`, which is the softmax's own.
struct bf_tensor *vec_add_softmax(struct bf_graph *g, struct bf_tensor *x, float scale, const char *name);

// Each product of two matrices as a dense layer whose weights are the recorded right operand.
bool vec_build_matmul(const struct vec *v, struct vec_graph *out);
// A network: keys and tensors of its layers carry their numbers.
bool vec_build_chain(const struct vec *v, struct vec_graph *out);

#endif
