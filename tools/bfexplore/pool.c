// SPDX-License-Identifier: Apache-2.0
#include "tools/bfexplore/pool.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

struct pool {
  pthread_mutex_t lock;
  pthread_cond_t ended;
  size_t next, count;
  unsigned running;
  bool stop;
  void (*work)(void *context, size_t index);
  void *context;
};

unsigned bfx_processors(void) {
  long n = sysconf(_SC_NPROCESSORS_ONLN);
  return n < 1 ? 1 : n > 1024 ? 1024 : (unsigned)n;
}

static void *worker(void *argument) {
  struct pool *p = argument;
  pthread_mutex_lock(&p->lock);
  while (!p->stop && p->next < p->count) {
    size_t index = p->next++;
    pthread_mutex_unlock(&p->lock);
    p->work(p->context, index);
    pthread_mutex_lock(&p->lock);
  }
  p->running--;
  pthread_cond_signal(&p->ended);
  pthread_mutex_unlock(&p->lock);
  return NULL;
}

static void wait_for_all(struct pool *p, bool (*watch)(void *context)) {
  pthread_mutex_lock(&p->lock);
  while (p->running > 0) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 125000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&p->ended, &p->lock, &until);
    pthread_mutex_unlock(&p->lock);
    bool go_on = !watch || watch(p->context);
    pthread_mutex_lock(&p->lock);
    p->stop |= !go_on;
  }
  pthread_mutex_unlock(&p->lock);
}

void bfx_pool_run(size_t count, unsigned jobs, void (*work)(void *context, size_t index), bool (*watch)(void *context), void *context) {
  struct pool p = {.lock = PTHREAD_MUTEX_INITIALIZER, .ended = PTHREAD_COND_INITIALIZER, .count = count, .work = work,
                   .context = context};
  unsigned wanted = jobs ? jobs : bfx_processors(), started = 0;
  wanted = wanted > count ? (unsigned)count : wanted;
  pthread_t *threads = bf_alloc(wanted + 1, sizeof *threads);
  p.running = wanted;
  while (started < wanted && pthread_create(&threads[started], NULL, worker, &p) == 0) {
    started++;
  }
  pthread_mutex_lock(&p.lock);
  p.running -= wanted - started;
  pthread_mutex_unlock(&p.lock);
  wait_for_all(&p, watch);
  for (unsigned i = 0; i < started; i++) {
    pthread_join(threads[i], NULL);
  }
  if (started == 0 && wanted > 0) {  // the system gives no threads: then here
    p.running = 1;
    worker(&p);
  }
  free(threads);
}
