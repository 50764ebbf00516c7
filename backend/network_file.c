// SPDX-License-Identifier: Apache-2.0
// The list of a network's layers as bytes: what reports say of the network, the names of the layers and the keys of their summaries.
#include <stdlib.h>

#include "backend/cost_cache.h"
#include "isa/packed.h"

static const char mark[8] = {'b', 'f', 'n', 'e', 't', 'w', 'k', 2};  // the last: version of the form

void bf_network_write(const struct ap_summary *s, const struct bf_digest *layers, struct bf_buf *out) {
  struct bf_buf body = {0};
  ap_put_text(&body, s->head.network);
  ap_put_text(&body, s->head.weights);
  ap_put(&body, s->head.batch);
  ap_put(&body, s->head.keep_all);
  ap_put(&body, s->input_bits);
  ap_put(&body, s->output_bits);
  ap_put(&body, s->nprofiles);
  for (uint32_t i = 0; i < s->nprofiles; i++) ap_put_text(&body, s->profiles[i]);
  ap_put(&body, s->head.nlayers);
  for (uint32_t i = 0; i < s->head.nlayers; i++) {
    ap_put_text(&body, s->head.layers[i].name);
    ap_put(&body, s->head.layers[i].line);
    bf_buf_u64(&body, layers[i].words[0]);
    bf_buf_u64(&body, layers[i].words[1]);
  }
  ap_packed_seal(out, mark, &body);
  bf_buf_free(&body);
}

static uint64_t get_u64(struct ap_packed *in) {
  uint64_t v = 0;
  in->wrong |= in->end - in->at < 8;
  for (unsigned i = 0; i < 8 && !in->wrong; i++) v |= (uint64_t)*in->at++ << 8 * i;
  return v;
}

static bool get_layer(struct ap_packed *in, struct ap_summary *s, uint32_t i, struct bf_cost_cache *cache) {
  s->head.layers[i].name = ap_get_text(in, &s->head.arena);
  s->head.layers[i].line = (uint32_t)ap_get(in, UINT32_MAX);
  struct bf_digest key = {{get_u64(in), 0}};
  key.words[1] = get_u64(in);
  if (!in->wrong) s->layers[i] = bf_cost_cache_layer(cache, &key);
  return s->layers[i] && s->layers[i]->microcodes == AP_MICROCODES;
}

// All but the layers; how many of those follow.
static uint32_t get_head(struct ap_packed *in, struct ap_summary *s) {
  struct bf_arena *arena = &s->head.arena;
  s->head.network = ap_get_text(in, arena);
  s->head.weights = ap_get_text(in, arena);
  s->head.batch = (uint32_t)ap_get(in, UINT32_MAX);
  s->head.keep_all = ap_get(in, 1);
  s->input_bits = ap_get(in, UINT64_MAX);
  s->output_bits = ap_get(in, UINT64_MAX);
  s->nprofiles = ap_get_count(in, 1);
  s->profiles = bf_arena_alloc(arena, (size_t)s->nprofiles + 1, sizeof *s->profiles);
  for (uint32_t i = 0; i < s->nprofiles; i++) s->profiles[i] = ap_get_text(in, arena);
  return ap_get_count(in, 18);
}

struct ap_summary *bf_network_read(const void *data, size_t length, struct bf_cost_cache *cache) {
  struct ap_packed in;
  if (!ap_packed_open(&in, mark, data, length)) return NULL;
  struct ap_summary *s = ap_summary_new(0);
  ap_summary_size(s, get_head(&in, s));
  bool ok = s->head.batch > 0;
  for (uint32_t i = 0; i < s->head.nlayers && ok; i++) ok = get_layer(&in, s, i, cache);
  if (ok && !in.wrong && in.at == in.end) {
    ap_summary_name_layers(s);
    return s;
  }
  ap_summary_free(s);
  return NULL;
}
