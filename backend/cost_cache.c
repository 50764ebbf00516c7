// SPDX-License-Identifier: Apache-2.0
#include "backend/cost_cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "backend/build_id.h"

// An entry of the memory: a layer, or the bytes of a network's list.
struct entry {
  struct bf_digest key;
  struct ap_layer_summary *layer;
  char *data;
  size_t length;
};

struct bf_cost_cache {
  pthread_mutex_t lock;  // of all below
  struct entry *entries; size_t count, capacity;
  uint32_t *index; size_t index_size;  // 1 + number of an entry, by open addressing
  char *folder;
  struct bf_cost_cache_use use;
};

struct bf_cost_cache *bf_cost_cache_new(const char *folder) {
  struct bf_cost_cache *cache = bf_alloc(1, sizeof *cache);
  pthread_mutex_init(&cache->lock, NULL);
  // Each build of the compiler has a folder of its own, so that old ones can be told and deleted.
  if (folder && folder[0]) cache->folder = bf_format("%s/%s", folder, BF_BUILD_ID);
  return cache;
}

void bf_cost_cache_free(struct bf_cost_cache *cache) {
  if (!cache) return;
  for (size_t i = 0; i < cache->count; i++) {
    ap_layer_summary_drop(cache->entries[i].layer);
    free(cache->entries[i].data);
  }
  free(cache->entries);
  free(cache->index);
  free(cache->folder);
  pthread_mutex_destroy(&cache->lock);
  free(cache);
}

struct bf_cost_cache_use bf_cost_cache_use(struct bf_cost_cache *cache) {
  pthread_mutex_lock(&cache->lock);
  struct bf_cost_cache_use use = cache->use;
  pthread_mutex_unlock(&cache->lock);
  return use;
}

// --- memory; the caller holds the lock -------------------------------------------------------------------------

static struct entry *find(const struct bf_cost_cache *cache, const struct bf_digest *key) {
  if (!cache->index_size) return NULL;
  for (size_t at = key->words[0] & (cache->index_size - 1); cache->index[at]; at = (at + 1) & (cache->index_size - 1))
    if (bf_digest_equal(&cache->entries[cache->index[at] - 1].key, key)) return &cache->entries[cache->index[at] - 1];
  return NULL;
}

static void note(struct bf_cost_cache *cache, size_t number) {
  size_t at = cache->entries[number].key.words[0] & (cache->index_size - 1);
  while (cache->index[at]) at = (at + 1) & (cache->index_size - 1);
  cache->index[at] = (uint32_t)number + 1;
}

static struct entry *add(struct bf_cost_cache *cache, const struct bf_digest *key) {
  BF_PUSH(cache->entries, cache->count, cache->capacity) = (struct entry){.key = *key};
  if (2 * cache->count <= cache->index_size) {
    note(cache, cache->count - 1);
    return &cache->entries[cache->count - 1];
  }
  free(cache->index);
  cache->index_size = cache->index_size ? 2 * cache->index_size : 64;
  cache->index = bf_alloc(cache->index_size, sizeof *cache->index);
  for (size_t i = 0; i < cache->count; i++) note(cache, i);
  return &cache->entries[cache->count - 1];
}

// --- folder ----------------------------------------------------------------------------------------------------

static char *path_of(const struct bf_cost_cache *cache, const struct bf_digest *key, const char *kind) {
  char text[33];
  return cache->folder ? bf_format("%s/%s.%s", cache->folder, bf_digest_text(text, key), kind) : NULL;
}

static bool read_entry(const struct bf_cost_cache *cache, const struct bf_digest *key, const char *kind, char **data, size_t *length) {
  const char *why;
  char *path = path_of(cache, key, kind);
  bool ok = path && bf_read_file(path, data, length, &why);
  free(path);
  return ok;
}

// Makes the folder and those it lies in.
static void make_folder(const char *folder) {
  char *path = bf_strdup(folder);
  for (char *at = path + 1; *at; at++) {
    if (*at != '/') continue;
    *at = '\0';
    mkdir(path, 0777);
    *at = '/';
  }
  mkdir(path, 0777);
  free(path);
}

static void write_entry(struct bf_cost_cache *cache, const struct bf_digest *key, const char *kind, const struct bf_buf *data) {
  const char *why = NULL;
  char *path = path_of(cache, key, kind);
  if (path && !bf_write_file(path, data->data, data->length, &why)) {
    make_folder(cache->folder);
    if (bf_write_file(path, data->data, data->length, &why)) why = NULL;
  }
  free(path);
  if (!why) return;
  pthread_mutex_lock(&cache->lock);
  cache->use.unwritable = why;
  pthread_mutex_unlock(&cache->lock);
}

// --- layers ----------------------------------------------------------------------------------------------------

// Holds for the caller what the memory has; takes `layer` (may be NULL) into it first if it has none.
static struct ap_layer_summary *share_layer(struct bf_cost_cache *cache, const struct bf_digest *key, struct ap_layer_summary *layer) {
  pthread_mutex_lock(&cache->lock);
  struct entry *entry = find(cache, key);
  if (!entry && layer) entry = add(cache, key);
  if (entry && !entry->layer && layer) entry->layer = ap_layer_summary_hold(layer);
  struct ap_layer_summary *held = entry && entry->layer ? ap_layer_summary_hold(entry->layer) : NULL;
  cache->use.layers_found += held != NULL;
  pthread_mutex_unlock(&cache->lock);
  return held;
}

struct ap_layer_summary *bf_cost_cache_layer(struct bf_cost_cache *cache, const struct bf_digest *key) {
  struct ap_layer_summary *held = share_layer(cache, key, NULL), *read = NULL;
  char *data;
  size_t length;
  if (held || !read_entry(cache, key, "layer", &data, &length)) return held;
  read = ap_layer_summary_read(data, length);
  free(data);
  if (!read) return NULL;
  held = share_layer(cache, key, read);
  ap_layer_summary_drop(read);
  return held;
}

void bf_cost_cache_add_layer(struct bf_cost_cache *cache, const struct bf_digest *key, struct ap_layer_summary *layer) {
  struct bf_buf out = {0};
  pthread_mutex_lock(&cache->lock);
  struct entry *entry = find(cache, key);
  if (!entry) entry = add(cache, key);
  if (!entry->layer) entry->layer = ap_layer_summary_hold(layer);
  cache->use.layers_made++;
  pthread_mutex_unlock(&cache->lock);
  if (!cache->folder) return;
  ap_layer_summary_write(layer, &out);
  write_entry(cache, key, "layer", &out);
  bf_buf_free(&out);
}

// --- networks --------------------------------------------------------------------------------------------------

static void keep_list(struct bf_cost_cache *cache, const struct bf_digest *key, const void *data, size_t length) {
  pthread_mutex_lock(&cache->lock);
  struct entry *entry = find(cache, key);
  if (!entry) entry = add(cache, key);
  if (!entry->data) {
    entry->data = bf_alloc(length, 1);
    memcpy(entry->data, data, length);
    entry->length = length;
  }
  pthread_mutex_unlock(&cache->lock);
}

// A copy of a network's list, from memory or folder.
static bool find_list(struct bf_cost_cache *cache, const struct bf_digest *key, char **data, size_t *length) {
  pthread_mutex_lock(&cache->lock);
  struct entry *entry = find(cache, key);
  bool found = entry && entry->data;
  if (found) {
    *length = entry->length;
    *data = bf_alloc(entry->length, 1);
    memcpy(*data, entry->data, entry->length);
  }
  pthread_mutex_unlock(&cache->lock);
  return found || read_entry(cache, key, "network", data, length);
}

struct ap_summary *bf_cost_cache_network(struct bf_cost_cache *cache, const struct bf_digest *key) {
  char *data;
  size_t length;
  if (!find_list(cache, key, &data, &length)) return NULL;
  struct ap_summary *summary = bf_network_read(data, length, cache);
  if (summary) keep_list(cache, key, data, length);
  free(data);
  if (!summary) return NULL;
  pthread_mutex_lock(&cache->lock);
  cache->use.networks_found++;
  pthread_mutex_unlock(&cache->lock);
  return summary;
}

void bf_cost_cache_add_network(struct bf_cost_cache *cache, const struct bf_digest *key, const struct ap_summary *summary,
                               const struct bf_digest *layers) {
  struct bf_buf out = {0};
  bf_network_write(summary, layers, &out);
  keep_list(cache, key, out.data, out.length);
  pthread_mutex_lock(&cache->lock);
  cache->use.networks_made++;
  pthread_mutex_unlock(&cache->lock);
  write_entry(cache, key, "network", &out);
  bf_buf_free(&out);
}
