// SPDX-License-Identifier: Apache-2.0
// Threads of the block engine, and what they do in a stage.
#include "runtime/block_engine.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/block_bind.h"
#include "runtime/block_run.h"

#define MAX_THREADS 256u

struct ap_blocks_pool {
  struct ap_run *run;
  struct ap_blocks *blocks;
  const struct ap_execution *how;
  unsigned threads;
  pthread_t *ids;                // of all but the calling one
  unsigned started;
  pthread_mutex_t lock;
  pthread_cond_t begin, finished;
  uint64_t round;                // of work given out
  unsigned busy;                 // threads that are at it
  bool over;
  const struct ap_block_plan *plan;
  const struct ap_stage_run *stage;
  enum { JOB_RUN, JOB_KEEP, JOB_COUNT, JOB_PLAN, JOB_CONVERT } job;  // regions; loads that the stage keeps; uses of the profile; plans; tensors' forms
  struct ap_block_uses **uses;   // JOB_COUNT: by thread
  bool *used_regions;            // JOB_COUNT: those of the profile; NULL: all
  const struct ap_stage **unplanned; struct ap_block_plan **made; size_t nunplanned;  // JOB_PLAN
  _Atomic size_t made_bytes;
  struct ap_conversion *conversions; size_t nconversions;  // JOB_CONVERT
  _Atomic uint64_t next;         // piece
};
struct worker { struct ap_blocks_pool *pool; unsigned index; };

// --- threads -------------------------------------------------------------------------------------------

static void run_piece(struct ap_block_thread *t, uint64_t piece) {
  const struct ap_block_plan *plan = t->plan;
  size_t low = 0, high = plan->nbundles;
  while (high - low > 1) {
    size_t middle = low + (high - low) / 2;
    *(plan->bundles[middle].pieces_before <= piece ? &low : &high) = middle;
  }
  const struct ap_bundle *bundle = &plan->bundles[low];
  piece -= bundle->pieces_before;
  if (plan->tilewise) {
    ap_block_tile(t, &plan->regions[bundle->first + piece % bundle->count], (uint32_t)(piece / bundle->count));
  } else {
    ap_block_piece(t, bundle, piece);
  }
}

#define KEPT_AT_ONCE 16  // sources

static uint64_t kept_pieces(const struct ap_block_plan *plan) {
  return (plan->nsources + KEPT_AT_ONCE - (uint64_t)1) / KEPT_AT_ONCE * plan->area_blocks;
}

// What is loaded more than once, by groups of sources and blocks.
static void keep_sources(struct ap_blocks_pool *pool, unsigned self) {
  const struct ap_block_plan *plan = pool->plan;
  uint64_t pieces = kept_pieces(plan);
  for (uint64_t piece; (piece = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed)) < pieces;) {
    uint64_t block = piece % plan->area_blocks, first = piece / plan->area_blocks * KEPT_AT_ONCE;
    for (uint64_t i = first; i < first + KEPT_AT_ONCE && i < plan->nsources; i++) {
      const struct ap_source *s = &plan->sources[i];
      if (s->placed && block < s->blocks) {
        ap_block_keep(&pool->blocks->threads[self], s, block);
      }
    }
  }
}

#define COUNTED_AT_ONCE 64  // regions

static void count_uses(struct ap_blocks_pool *pool, unsigned self) {
  const struct ap_run *run = pool->run;
  for (uint64_t first; (first = COUNTED_AT_ONCE * atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed)) < run->nregions;) {
    size_t end = first + COUNTED_AT_ONCE < run->nregions ? (size_t)first + COUNTED_AT_ONCE : run->nregions;
    ap_block_uses_add(pool->uses[self], run, pool->used_regions, (size_t)first, end);
  }
}

// As many plans as can be kept.
static void make_plans(struct ap_blocks_pool *pool) {
  const struct ap_blocks *blocks = pool->blocks;
  for (uint64_t i; (i = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed)) < pool->nunplanned;) {
    bool stopped = pool->how->stop != NULL && *pool->how->stop;
    if (!stopped && atomic_load(&pool->made_bytes) <= AP_PLAN_BYTES - blocks->plan_bytes) {
      pool->made[i] = ap_block_plan_new(pool->run, pool->unplanned[i], blocks->facts, blocks->uses[pool->how->profile]);
      atomic_fetch_add(&pool->made_bytes, pool->made[i]->bytes);
    }
  }
}

static void convert_tensors(struct ap_blocks_pool *pool) {
  const struct ap_conversion *list = pool->conversions, *last = &list[pool->nconversions - 1];
  for (uint64_t part; (part = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed)) < last->before + last->parts;) {
    const struct ap_conversion *c = list;
    while (part >= c->before + c->parts) {
      c++;
    }
    ap_planes_convert(pool->run, c->tensor, c->to_planes, part - c->before);
  }
}

static void run_regions(struct ap_blocks_pool *pool, unsigned self) {
  struct ap_block_thread *t = &pool->blocks->threads[self];
  const struct ap_stage_run *s = pool->stage;
  const struct ap_block_plan *plan = pool->plan;
  double base = self == 0 ? s->control->done : 0, share = s->stage->work / (double)plan->pieces;
  while (!ap_control_stopped(s->control)) {
    uint64_t piece = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed);
    if (piece >= plan->pieces) {
      break;
    }
    run_piece(t, piece);
    if (self == 0) {
      ap_control_show(s->control, s->stage->layer, base + share * (double)(piece + 1));
    }
  }
}

static void work(struct ap_blocks_pool *pool, unsigned self) {
  switch (pool->job) {
    case JOB_KEEP: keep_sources(pool, self); break;
    case JOB_COUNT: count_uses(pool, self); break;
    case JOB_PLAN: make_plans(pool); break;
    case JOB_CONVERT: convert_tensors(pool); break;
    default: run_regions(pool, self); break;
  }
}

static void *worker_main(void *arg) {
  struct worker *w = arg;
  struct ap_blocks_pool *pool = w->pool;
  uint64_t seen = 0;
  pthread_mutex_lock(&pool->lock);
  for (;;) {
    while (!pool->over && pool->round == seen) {
      pthread_cond_wait(&pool->begin, &pool->lock);
    }
    if (pool->over) {
      break;
    }
    seen = pool->round;
    pthread_mutex_unlock(&pool->lock);
    work(pool, w->index);
    pthread_mutex_lock(&pool->lock);
    if (--pool->busy == 0) {
      pthread_cond_signal(&pool->finished);
    }
  }
  pthread_mutex_unlock(&pool->lock);
  free(w);
  return NULL;
}

static unsigned wanted_threads(const struct ap_execution *how) {
  long online = sysconf(_SC_NPROCESSORS_ONLN);
  unsigned wanted = how->threads > 0 ? how->threads : online > 0 ? (unsigned)online : 1;
  return wanted < MAX_THREADS ? wanted : MAX_THREADS;
}

// As many threads as the system gives; one is enough.
static void start_threads(struct ap_blocks_pool *pool) {
  struct ap_blocks *blocks = pool->blocks;
  if (pool->threads > blocks->nthreads) {
    blocks->threads = bf_realloc(blocks->threads, pool->threads, sizeof *blocks->threads);
    while (blocks->nthreads < pool->threads) {
      ap_block_thread_init(&blocks->threads[blocks->nthreads++], pool->run);
    }
  }
  pool->ids = bf_alloc(pool->threads, sizeof *pool->ids);
  pthread_mutex_init(&pool->lock, NULL);
  pthread_cond_init(&pool->begin, NULL);
  pthread_cond_init(&pool->finished, NULL);
  while (pool->started + 1 < pool->threads) {
    struct worker *w = bf_alloc(1, sizeof *w);
    *w = (struct worker){pool, pool->started + 1};
    if (pthread_create(&pool->ids[pool->started], NULL, worker_main, w) != 0) {
      free(w);
      break;
    }
    pool->started++;
  }
  pool->threads = pool->started + 1;
}

static struct ap_blocks *blocks_new(const struct ap_run *run) {
  const struct ap_program *p = run->program;
  struct ap_blocks *blocks = bf_alloc(1, sizeof *blocks);
  blocks->facts = bf_alloc((size_t)p->nmicros + 1, sizeof *blocks->facts);
  for (uint32_t i = 0; i < p->nmicros; i++) {
    blocks->facts[i] = ap_micro_facts(&p->micros[i]);
  }
  blocks->plans = bf_alloc(run->nstages + 1, sizeof *blocks->plans);
  blocks->bound = bf_alloc(run->nstages + 1, sizeof *blocks->bound);
  blocks->planned = bf_alloc((size_t)p->nprofiles + 1, sizeof *blocks->planned);
  blocks->uses = bf_alloc((size_t)p->nprofiles + 1, sizeof *blocks->uses);
  blocks->meter = ap_meter_new(p);
  blocks->expected = bf_alloc(run->nregions + 1, sizeof *blocks->expected);
  return blocks;
}

void ap_blocks_end(struct ap_blocks_pool *pool) {
  if (pool == NULL) {
    return;
  }
  pthread_mutex_lock(&pool->lock);
  pool->over = true;
  pthread_cond_broadcast(&pool->begin);
  pthread_mutex_unlock(&pool->lock);
  for (unsigned i = 0; i < pool->started; i++) {
    pthread_join(pool->ids[i], NULL);
  }
  pthread_mutex_destroy(&pool->lock);
  pthread_cond_destroy(&pool->begin);
  pthread_cond_destroy(&pool->finished);
  free(pool->ids);
  free(pool);
}

// All threads work, or the calling one alone.
static void run_round(struct ap_blocks_pool *pool, const struct ap_block_plan *plan, const struct ap_stage_run *s, unsigned job,
                      bool together) {
  together = together && pool->started > 0;
  pthread_mutex_lock(&pool->lock);
  pool->plan = plan;
  pool->stage = s;
  pool->job = job;
  atomic_store(&pool->next, 0);
  if (together) {
    pool->round++;
    pool->busy = pool->started;
    pthread_cond_broadcast(&pool->begin);
  }
  pthread_mutex_unlock(&pool->lock);
  work(pool, 0);
  pthread_mutex_lock(&pool->lock);
  while (together && pool->busy > 0) {
    pthread_cond_wait(&pool->finished, &pool->lock);
  }
  pthread_mutex_unlock(&pool->lock);
}

static void find_uses(struct ap_blocks_pool *pool) {
  struct ap_blocks *blocks = pool->blocks;
  pool->uses = bf_alloc(pool->threads, sizeof *pool->uses);
  for (unsigned i = 0; i < pool->threads; i++) {
    pool->uses[i] = ap_block_uses_new(pool->run);
  }
  pool->used_regions = ap_block_uses_regions(pool->run, pool->how->profile);
  run_round(pool, NULL, NULL, JOB_COUNT, pool->run->nregions > COUNTED_AT_ONCE);
  struct ap_block_uses *all = pool->uses[0];
  for (unsigned i = 1; i < pool->threads; i++) {
    ap_block_uses_merge(all, pool->uses[i]);
    ap_block_uses_free(pool->uses[i]);
  }
  free(pool->uses);
  free(pool->used_regions);
  pool->uses = NULL;
  pool->used_regions = NULL;
  ap_block_uses_finish(all, pool->run);
  blocks->uses[pool->how->profile] = all;
}

static void list_unplanned(struct ap_blocks_pool *pool, size_t first, size_t end) {
  for (size_t s = first; s < end; s++) {
    if (pool->run->stages[s].kind == AP_STAGE_REGIONS && pool->blocks->plans[s] == NULL) {
      pool->unplanned[pool->nunplanned++] = &pool->run->stages[s];
    }
  }
}

// The plans of all stages of a profile that is executed for the first time, each by one thread.
static void plan_stages(struct ap_blocks_pool *pool) {
  const struct ap_program *p = pool->run->program;
  pool->unplanned = bf_alloc(pool->run->nstages + 1, sizeof *pool->unplanned);
  for (uint32_t i = 0; p->nprofiles > 0 && i < ap_profile_length(p, pool->how->profile); i++) {
    uint32_t layer = ap_profile_layer(p, pool->how->profile, i);
    list_unplanned(pool, pool->run->layer_stages[layer], pool->run->layer_stages[layer + 1]);
  }
  if (p->nprofiles == 0) {
    list_unplanned(pool, 0, pool->run->nstages);
  }
  pool->made = bf_alloc(pool->nunplanned + 1, sizeof(struct ap_block_plan *));
  run_round(pool, NULL, NULL, JOB_PLAN, pool->nunplanned > 1);
  for (size_t i = 0; i < pool->nunplanned; i++) {
    if (pool->made[i] != NULL && !ap_blocks_keep_plan(pool->run, pool->unplanned[i], pool->made[i])) {
      ap_block_plan_free(pool->made[i]);
    }
  }
  free(pool->made);
  free(pool->unplanned);
  pool->blocks->planned[pool->how->profile] = true;
  ap_blocks_share(pool->run);
}

struct ap_blocks_pool *ap_blocks_begin(struct ap_run *run, const struct ap_execution *how, struct bf_diags *diags) {
  if (run->blocks == NULL) {
    run->blocks = blocks_new(run);
  }
  struct ap_blocks_pool *pool = bf_alloc(1, sizeof *pool);
  pool->run = run;
  pool->blocks = run->blocks;
  pool->how = how;
  pool->threads = wanted_threads(how);
  start_threads(pool);
  if (how->stop != NULL && *how->stop) {
    ap_blocks_end(pool);
    return NULL;
  }
  if (run->blocks->uses[how->profile] == NULL) {
    find_uses(pool);
  }
  if (!run->plain_blocks && !ap_blocks_compile(run, how, pool->threads, diags)) {
    ap_blocks_end(pool);
    return NULL;
  }
  if (!run->blocks->planned[how->profile]) {
    plan_stages(pool);
  }
  return pool;
}

void ap_blocks_expect(const struct ap_run *run, struct ap_account *layers) {
  ap_block_expect(run, run->blocks->expected, layers);
}

// --- a stage -------------------------------------------------------------------------------------------

static void prepare_cache(struct ap_block_cache *cache, const struct ap_block_plan *plan) {
  size_t bytes = plan->area_columns * plan->area_blocks * AP_COLUMN_WORDS * sizeof *cache->words;
  if (bytes > cache->capacity) {
    free(cache->words);
    cache->words = ap_columns_alloc(bytes);
    cache->capacity = bytes;
  }
}

static void prepare_threads(struct ap_blocks_pool *pool, const struct ap_block_plan *plan, const struct ap_stage_run *s) {
  for (unsigned i = 0; i < pool->threads; i++) {
    struct ap_block_thread *t = &pool->blocks->threads[i];
    bool counted = pool->how->count == AP_COUNT_EXACT;
    t->plan = plan;
    t->counted = counted;
    t->fns[0] = (ap_kernel *const *)pool->blocks->fn[counted][0];
    t->fns[1] = (ap_kernel *const *)pool->blocks->fn[counted][counted];
    t->cache = &pool->blocks->cache;
    t->tech = s->tech;
    t->times = s->times;
    t->meter = pool->blocks->meter;
    t->expected = pool->blocks->expected;
    memset(&t->events, 0, sizeof t->events);
    memset(&t->counts, 0, sizeof t->counts);
  }
}

static void collect(struct ap_blocks_pool *pool, struct ap_events *events) {
  for (unsigned i = 0; i < pool->threads; i++) {
    struct ap_block_thread *t = &pool->blocks->threads[i];
    t->events.match_cells += t->counts.match_cells;
    t->events.written_cells += t->counts.written_cells;
    t->events.changed_cells += t->counts.changed_cells;
    ap_events_add(events, &t->events);
  }
}

// The account of the stage is the same each time.
static void use_account(struct ap_block_plan *plan, const struct ap_stage_run *s) {
  if (plan->times != NULL && plan->compare_cycles == s->tech->compare_cycles && plan->write_cycles == s->tech->write_cycles) {
    memcpy(s->times, plan->times, s->stage->tiles * sizeof *s->times);
    ap_events_add(s->events, &plan->events);
  } else {
    free(plan->times);
    plan->times = NULL;
  }
}

static void keep_account(struct ap_blocks_pool *pool, struct ap_block_plan *plan, const struct ap_stage_run *s) {
  memset(&plan->events, 0, sizeof plan->events);
  for (unsigned i = 0; i < pool->threads; i++) {
    ap_events_add(&plan->events, &pool->blocks->threads[i].events);
  }
  plan->times = bf_alloc(s->stage->tiles + (size_t)1, sizeof *plan->times);
  memcpy(plan->times, s->times, s->stage->tiles * sizeof *s->times);
  plan->compare_cycles = s->tech->compare_cycles;
  plan->write_cycles = s->tech->write_cycles;
}

#define FEW_PARTS 4  // that one thread has converted before others are awake

static void convert_forms(struct ap_blocks_pool *pool, const struct ap_block_plan *plan, const struct ap_stage_run *s) {
  pool->conversions = bf_alloc(2 * plan->ntensors + 1, sizeof *pool->conversions);
  pool->nconversions = ap_block_conversions(pool->run, plan, pool->conversions);
  if (pool->nconversions > 0) {
    const struct ap_conversion *last = &pool->conversions[pool->nconversions - 1];
    run_round(pool, plan, s, JOB_CONVERT, last->before + last->parts > FEW_PARTS);
  }
  for (size_t i = 0; i < pool->nconversions; i++) {
    ap_planes_converted(pool->run, pool->conversions[i].tensor, pool->conversions[i].to_planes);
  }
  free(pool->conversions);
}

bool ap_blocks_stage(struct ap_blocks_pool *pool, const struct ap_stage_run *s) {
  struct ap_block_plan *plan = ap_blocks_plan(pool->run, s->stage, pool->how);
  convert_forms(pool, plan, s);
  ap_blocks_bind(pool->run, plan, pool->how);
  prepare_cache(&pool->blocks->cache, plan);
  prepare_threads(pool, plan, s);
  use_account(plan, s);
  if (plan->nsources > 0) {
    run_round(pool, plan, s, JOB_KEEP, kept_pieces(plan) > 8);
  }
  run_round(pool, plan, s, JOB_RUN, !plan->ordered && plan->pieces > 1);
  bool done = atomic_load(&pool->next) >= plan->pieces && !ap_control_stopped(s->control);
  if (done && plan->times == NULL) {
    keep_account(pool, plan, s);
  }
  collect(pool, s->events);
  if (pool->blocks->plans[s->stage - pool->run->stages] != plan) {
    ap_block_plan_free(plan);  // there was no room to keep it
  }
  return done;
}

void ap_blocks_free(struct ap_blocks *blocks, const struct ap_run *run) {
  if (blocks == NULL) {
    return;
  }
  for (size_t i = 0; i < run->nstages; i++) {
    ap_block_plan_free(blocks->plans[i]);
  }
  for (unsigned i = 0; i < blocks->nthreads; i++) {
    ap_block_thread_free(&blocks->threads[i]);
  }
  free(blocks->threads);
  for (unsigned i = 0; i < 4; i++) {
    free(blocks->fn[i / 2][i % 2]);
  }
  ap_kernels_free(blocks->kernels);
  for (uint32_t i = 0; i <= run->program->nprofiles; i++) {
    ap_block_uses_free(blocks->uses[i]);
  }
  free(blocks->uses);
  ap_meter_free(blocks->meter);
  free(blocks->expected);
  free(blocks->facts);
  free(blocks->bound);
  free(blocks->planned);
  free(blocks->cache.words);
  free(blocks->plans);
  free(blocks);
}
