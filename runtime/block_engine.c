// SPDX-License-Identifier: Apache-2.0
// Kernels, plans and threads of the block engine.
#include "runtime/block_engine.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/block_run.h"

#define PLAN_BYTES ((size_t)512 << 20)  // plans kept for the next execution, at most
#define FLAT_BYTES ((size_t)192 << 20)  // of regions that are written out
#define MAX_THREADS 256u

// What a run keeps for the block engine from one execution to the next.
struct ap_blocks {
  struct ap_kernels *kernels;
  ap_kernel **fn[2][2];          // by counted, masked: of each microcode program
  struct ap_micro_facts *facts;  // of each microcode program
  struct ap_block_plan **plans;  // by stage; NULL if not made yet or not kept
  unsigned char *bound;          // by stage: 1 + counted, for which its entries have their kernels; 0: none
  size_t plan_bytes, flat_bytes;
  struct ap_block_cache cache;
  struct ap_block_thread *threads;
  unsigned nthreads;
};

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
  bool keeping;                  // the round loads what the stage keeps, else it runs regions
  _Atomic uint64_t next;         // piece
};
struct worker { struct ap_blocks_pool *pool; unsigned index; };

// --- kernels -------------------------------------------------------------------------------------------

// Which kinds of blocks the program has: whole ones, and with rows outside the mask.
static void block_kinds(const struct ap_run *run, bool kinds[2]) {
  for (size_t r = 0; r < run->nregions; r++) {
    const struct ap_grid *grid = &run->program->grids[run->program->code[run->regions[r].grid].index];
    uint64_t rows = ap_grid_rows(grid), tile = rows < grid->tile_rows ? rows : grid->tile_rows;
    uint64_t last = (rows - 1) % grid->tile_rows + 1;
    kinds[0] = kinds[0] || tile >= AP_BLOCK_ROWS;
    kinds[1] = kinds[1] || tile % AP_BLOCK_ROWS != 0 || last % AP_BLOCK_ROWS != 0;
  }
}

// Kernels that do not count need no mask: what they leave outside of it is of no account.
static bool compile(struct ap_run *run, bool counted, unsigned threads, struct bf_diags *diags) {
  struct ap_blocks *blocks = run->blocks;
  const struct ap_program *p = run->program;
  bool kinds[2] = {!counted, false}, good = true;
  if (counted) {
    block_kinds(run, kinds);
  }
  if (blocks->kernels == NULL && (blocks->kernels = ap_kernels_new(threads, diags)) == NULL) {
    return false;
  }
  for (unsigned masked = 0; masked < 2 && good; masked++) {
    if (blocks->fn[counted][masked] != NULL || !kinds[masked]) {
      continue;
    }
    struct ap_kernel_key *keys = bf_alloc((size_t)p->nmicros + 1, sizeof *keys);
    ap_kernel **fn = bf_alloc((size_t)p->nmicros + 1, sizeof *fn);
    for (uint32_t i = 0; i < p->nmicros; i++) {
      keys[i] = (struct ap_kernel_key){&p->micros[i], counted, masked != 0};
    }
    good = ap_kernels_compile(blocks->kernels, keys, p->nmicros, fn, diags);
    blocks->fn[counted][masked] = fn;
    free(keys);
  }
  return good;
}

static enum ap_call_kind op_kind(const struct ap_run *run, const struct ap_entry *e) {
  if (e->kind == AP_ENTRY_KERNEL) {
    return e->fn[0] != NULL || e->fn[1] != NULL ? AP_CALL_KERNEL : AP_CALL_OTHER;
  }
  if (e->kind != AP_ENTRY_LOAD || e->base[0] == 0) {
    return AP_CALL_OTHER;
  }
  if (e->source != AP_NO_SOURCE) {
    return AP_CALL_CACHED;
  }
  const struct ap_grid *grid = &run->program->grids[run->program->descs[e->instr->index].grid];
  return ap_block_in_place(run, grid, e) ? AP_CALL_PLANES : AP_CALL_OTHER;
}

static void bind_op(const struct ap_run *run, const struct ap_block_plan *plan, const struct ap_entry *e) {
  struct ap_call *op = e->op;
  op->kind = (uint8_t)op_kind(run, e);
  op->entry = e;
  for (unsigned i = 0; i < 3; i++) {
    op->base[i] = e->base[i];
    op->at[i] = (uint16_t)(e->at[i] / AP_COLUMN_WORDS);
  }
  if (op->kind == AP_CALL_KERNEL) {
    op->kernel = (uint16_t)(e->micro - run->program->micros);
    op->u.imm = e->instr->imm;
  } else if (op->kind == AP_CALL_CACHED) {
    op->column = (uint32_t)plan->sources[e->source].column;
  } else if (op->kind == AP_CALL_PLANES) {
    const struct ap_planes *planes = &run->planes[e->planes->tensor];
    op->u.columns = ap_planes_block(planes, e->planes->channel, (uint64_t)e->planes->position / AP_BLOCK_ROWS);
    op->column = planes->bits;
  }
}

static void bind(const struct ap_run *run, struct ap_block_plan *plan, bool counted) {
  ap_kernel **const *fn = run->blocks->fn[counted];
  for (size_t i = 0; i < plan->nused; i++) {
    struct ap_entry *e = plan->used[i];
    for (unsigned masked = 0; masked < 2 && e->kind == AP_ENTRY_KERNEL; masked++) {
      ap_kernel **of = fn[counted ? masked : 0];
      e->fn[masked] = of != NULL && !e->stepwise && !run->plain_blocks ? of[e->micro - run->program->micros] : NULL;
    }
    bind_op(run, plan, e);
  }
}

static struct ap_block_plan *stage_plan(struct ap_run *run, const struct ap_stage *stage, bool counted) {
  struct ap_blocks *blocks = run->blocks;
  size_t at = (size_t)(stage - run->stages);
  struct ap_block_plan *plan = blocks->plans[at];
  if (plan == NULL) {
    plan = ap_block_plan_new(run, stage, blocks->facts);
    blocks->bound[at] = 0;
    if (plan->bytes <= PLAN_BYTES - blocks->plan_bytes) {
      blocks->plan_bytes += plan->bytes;
      blocks->plans[at] = plan;
    }
  }
  ap_block_prepare_tensors(run, plan);
  if (blocks->bound[at] != 1 + counted) {
    bind(run, plan, counted);
    if (blocks->bound[at] == 0 && blocks->plans[at] == plan) {
      size_t before = plan->bytes;
      ap_block_flatten(run, plan, blocks->facts, FLAT_BYTES - blocks->flat_bytes);
      blocks->flat_bytes += plan->bytes - before;
    }
    blocks->bound[at] = (unsigned char)(1 + counted);
  }
  return plan;
}

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
  const struct ap_block_region *region = &plan->regions[bundle->first + piece % bundle->count];
  if (plan->tilewise) {
    ap_block_tile(t, region, (uint32_t)(piece / bundle->count));
  } else {
    uint64_t block = piece / bundle->count * plan->group, end = block + plan->group;
    ap_block_piece(t, region, block, end < bundle->blocks ? end : bundle->blocks);
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
      if (s->placed && block < ap_grid_tiles(s->grid) * ap_tile_blocks(s->grid)) {
        ap_block_keep(&pool->blocks->threads[self], s, block);
      }
    }
  }
}

static void work(struct ap_blocks_pool *pool, unsigned self) {
  if (pool->keeping) {
    keep_sources(pool, self);
    return;
  }
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
  return blocks;
}

struct ap_blocks_pool *ap_blocks_begin(struct ap_run *run, const struct ap_execution *how, struct bf_diags *diags) {
  if (run->blocks == NULL) {
    run->blocks = blocks_new(run);
  }
  unsigned threads = wanted_threads(how);
  if (!run->plain_blocks && !compile(run, how->count == AP_COUNT_EXACT, threads, diags)) {
    return NULL;
  }
  struct ap_blocks_pool *pool = bf_alloc(1, sizeof *pool);
  pool->run = run;
  pool->blocks = run->blocks;
  pool->how = how;
  pool->threads = threads;
  start_threads(pool);
  return pool;
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

// --- a stage -------------------------------------------------------------------------------------------

static void prepare_cache(struct ap_block_cache *cache, const struct ap_block_plan *plan) {
  size_t bytes = plan->area_columns * plan->area_blocks * AP_COLUMN_WORDS * sizeof *cache->words;
  if (bytes > cache->capacity) {
    free(cache->words);
    cache->words = aligned_alloc(AP_COLUMN_WORDS * sizeof *cache->words, bytes);
    if (cache->words == NULL) {
      abort();  // as bf_alloc
    }
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

// All threads work, or the calling one alone.
static void run_round(struct ap_blocks_pool *pool, const struct ap_block_plan *plan, const struct ap_stage_run *s, bool keeping,
                      bool together) {
  together = together && pool->started > 0;
  pthread_mutex_lock(&pool->lock);
  pool->plan = plan;
  pool->stage = s;
  pool->keeping = keeping;
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

bool ap_blocks_stage(struct ap_blocks_pool *pool, const struct ap_stage_run *s) {
  struct ap_block_plan *plan = stage_plan(pool->run, s->stage, pool->how->count == AP_COUNT_EXACT);
  prepare_cache(&pool->blocks->cache, plan);
  prepare_threads(pool, plan, s);
  use_account(plan, s);
  if (plan->nsources > 0) {
    run_round(pool, plan, s, true, kept_pieces(plan) > 8);
  }
  run_round(pool, plan, s, false, !plan->ordered && plan->pieces > 1);
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

void ap_blocks_free(struct ap_blocks *blocks, size_t nstages) {
  if (blocks == NULL) {
    return;
  }
  for (size_t i = 0; i < nstages; i++) {
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
  free(blocks->facts);
  free(blocks->bound);
  free(blocks->cache.words);
  free(blocks->plans);
  free(blocks);
}
