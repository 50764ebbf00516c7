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
// the tensor's type.
bool ap_run_set(struct ap_run *run, uint32_t tensor, const int64_t *q);
void ap_run_get(const struct ap_run *run, uint32_t tensor, int64_t *q);

// Called after each layer; may be NULL. Return false to stop (ap_run_execute then returns false).
typedef bool ap_layer_hook(void *context, const struct ap_run *run, uint32_t layer);

// Executes once with the interpreter. Adds to layers[] (program->nlayers) and *total: real counts.
// `tech` gives latencies and energy. The program must have been validated.
bool ap_run_execute(struct ap_run *run, const struct ap_technology *tech, struct ap_account *layers,
                    struct ap_account *total, ap_layer_hook *hook, void *context);

#endif
