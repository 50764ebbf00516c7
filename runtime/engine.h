// SPDX-License-Identifier: Apache-2.0
// The runtime: memory of a program, engines that execute it, accounts of what happened.
#ifndef AP_ENGINE_H
#define AP_ENGINE_H

#include "isa/ledger.h"

struct ap_run;  // memory and state of one program; the program must outlive it

// Creates the memory (activations zero, constants loaded). NULL and an error if tensors are too large.
struct ap_run *ap_run_new(const struct ap_program *program, struct bf_diags *diags);
void ap_run_free(struct ap_run *run);
// Input and output in the values of the language (q), elements of the tensor in C order. set: false if a value does not fit
// the tensor's type. After the JIT has run a temporary tensor may have lost its values, as such tensors share memory: then it is zeros.
bool ap_run_set(struct ap_run *run, uint32_t tensor, const int64_t *q);
void ap_run_get(const struct ap_run *run, uint32_t tensor, int64_t *q);

// Called after each layer; may be NULL. Return false to stop (ap_run_execute then returns false).
typedef bool ap_layer_hook(void *context, const struct ap_run *run, uint32_t layer);

// The interpreter executes every step as it stands; the JIT runs compiled kernels block by block (runtime/kernel.h). Both give the same outputs
// and, where they count, the same integer counters.
enum ap_engine { AP_ENGINE_INTERP, AP_ENGINE_JIT };
// EXACT: match, written and changed cells are counted; STATIC: they are the expectations of ap_static_account. All other
// counters and the cycles are exact in both.
enum ap_count { AP_COUNT_EXACT, AP_COUNT_STATIC };
bool ap_engine_available(enum ap_engine engine);

// What happens on the simulated time line, for traces: cycles from the begin of the execution.
enum ap_trace_kind { AP_TRACE_LAYER, AP_TRACE_TILE, AP_TRACE_LOAD, AP_TRACE_STALL };
struct ap_trace_event {
  enum ap_trace_kind kind;
  uint32_t layer, tile, cap;
  uint64_t begin, cycles;
};

struct ap_execution {
  enum ap_engine engine;
  enum ap_count count;
  unsigned threads;        // 0: one for each processor
  uint32_t profile;        // of the program; 0 where there is none. Another one at the next execution costs nothing but other code
  uint64_t repeats;        // about how many executions of the run will follow, this one included (0: 1): decides what is worth compiling
  ap_layer_hook *hook;     // may be NULL
  // Called now and then by the calling thread with the share of the whole work that is done; may be NULL.
  void (*progress)(void *context, uint32_t layer, double share);
  // Called for each event, in order of program; may be NULL.
  void (*trace)(void *context, const struct ap_trace_event *event);
  void *context;
  const volatile bool *stop;  // set (by a signal handler, say): the execution ends early and returns false; may be NULL
};

// Executes a profile once. Adds to layers[] (program->nlayers: those of all profiles) and *total. `tech` gives latencies and energy. The program must
// have been validated. False if the hook or `stop` ended it, or with an error in diags if the engine cannot be had.
bool ap_run_execute(struct ap_run *run, const struct ap_technology *tech, struct ap_account *layers,
                    struct ap_account *total, const struct ap_execution *how, struct bf_diags *diags);

#endif
