// SPDX-License-Identifier: Apache-2.0
// What has been analysed, by key: in memory and, if wanted, in a folder that outlives the process. Any number of threads may use one cache,
// any number of processes one folder.
#ifndef BF_COST_CACHE_H
#define BF_COST_CACHE_H

#include "base/bf_hash.h"
#include "isa/summary.h"

struct bf_cost_cache;
// folder: NULL or "" for memory alone. It is made when something is written first; that it can't be is no error. What lies there counts as
// hostile: an entry that is cut, altered or of another version of the compiler is as none at all.
struct bf_cost_cache *bf_cost_cache_new(const char *folder);
void bf_cost_cache_free(struct bf_cost_cache *cache);  // may be NULL

// Numbers since the cache was made; `unwritable`: why an entry could not be written, or NULL.
struct bf_cost_cache_use { uint64_t networks_found, networks_made, layers_found, layers_made; const char *unwritable; };
struct bf_cost_cache_use bf_cost_cache_use(struct bf_cost_cache *cache);

// Inside the back end. A summary that the caller drops or frees, or NULL.
struct ap_layer_summary *bf_cost_cache_layer(struct bf_cost_cache *cache, const struct bf_digest *key);
void bf_cost_cache_add_layer(struct bf_cost_cache *cache, const struct bf_digest *key, struct ap_layer_summary *layer);
struct ap_summary *bf_cost_cache_network(struct bf_cost_cache *cache, const struct bf_digest *key);
void bf_cost_cache_add_network(struct bf_cost_cache *cache, const struct bf_digest *key, const struct ap_summary *summary,
                               const struct bf_digest *layers);

// The list of a network's layers as bytes, and back.
void bf_network_write(const struct ap_summary *summary, const struct bf_digest *layers, struct bf_buf *out);
// Layers are taken from the cache. NULL if the bytes are no such list or a layer is not there.
struct ap_summary *bf_network_read(const void *data, size_t length, struct bf_cost_cache *cache);

#endif
