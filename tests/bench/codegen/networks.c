// SPDX-License-Identifier: Apache-2.0
// Networks of the zoo at 8 or 4 bits, and the closed formulas.
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/bfn.h"
#include "frontend/load.h"
#include "tests/bench/codegen/codegen.h"
#include "tools/bfweights/synthetic.h"

const char *const bench_names[BENCH_NETWORKS] = {"alexnet", "vgg16", "resnet18", "resnet50"};

// Types and numbers of levels that are parameters of the zoo's blocks.
static const struct { const char *eight, *four; } words[] = {{"s8", "s4"}, {"u8", "u4"}, {"255", "15"}, {"127", "7"}};

static bool is_word(char c) { return isalnum((unsigned char)c) || c == '_' || c == '.'; }

static char *at_four_bits(const char *text) {
  struct bf_buf out = {0};
  for (const char *at = text; *at;) {
    size_t length = 0;
    while (is_word(at[length])) length++;
    const char *word = NULL;
    for (size_t i = 0; i < BF_COUNT(words); i++)
      if (length == strlen(words[i].eight) && !strncmp(at, words[i].eight, length)) word = words[i].four;
    if (word) bf_buf_puts(&out, word);
    else bf_buf_append(&out, at, length ? length : 1);
    at += length ? length : 1;
  }
  char *copy = bf_strdup(bf_buf_cstr(&out));
  bf_buf_free(&out);
  return copy;
}

struct bf_graph *bench_load(const char *name, unsigned bits, uint32_t batch, struct bf_diags *diags) {
  if (strchr(name, '.')) return bf_load_network(name, &(struct bf_load_options){.batch = batch}, diags);
  char *path = bf_format(BF_SOURCE_DIR "/examples/zoo/%s.bfn", name), *data = NULL, *text;
  size_t length;
  struct bf_graph *graph = NULL;
  if (bf_diags_read(diags, path, NULL, &data, &length)) {
    text = bits == 4 ? at_four_bits(data) : bf_strdup(data);
    struct synthetic synthetic = {.seed = 1};
    struct bf_bfn_options options = {.batch = batch, .make = synthetic_make, .make_context = &synthetic};
    const struct bf_source *source = bf_diags_add_source(diags, path, text, strlen(text));
    graph = bf_bfn_compile(source, NULL, &options, diags);
    free(text);
  }
  free(data);
  free(path);
  return graph;
}

double bench_formula(const struct ap_machine *machine, const struct bf_node *node, uint64_t macs) {
  const struct bf_tensor *x = node->inputs[0], *w = node->inputs[1];
  double m = x->type.bits > w->type.bits ? x->type.bits : w->type.bits;
  double j = (double)(w->elements / w->shape[0]), cells = (double)machine->clusters * machine->caps_per_cluster * machine->rows;
  return (2 * m + 8 * m * m + 8 * log2(j) + 2 * m + log2(j)) * ceil((double)macs / cells);
}
