// SPDX-License-Identifier: Apache-2.0
// Inside of the runtime: memory of one program and the parts of the interpreter.
#ifndef AP_RUN_H
#define AP_RUN_H

#include "runtime/cap.h"
#include "runtime/engine.h"

// Memory of one tensor: unsigned elements u of 1, 2, 4 or 8 bytes. Aliases have the memory of their root.
struct ap_memory {
  void *data;
  uint8_t size;
};

struct ap_run {
  const struct ap_program *program;
  struct ap_memory *memory;              // by tensor; only roots own data
  struct ap_cap cap;
  void *gathered;                        // elements of one tile, the largest tile times 8 bytes
  const struct ap_micro **code_micro;    // microcode of code[i], NULL if none
  const struct ap_micro ***table_micro;  // of tables[t].items[i]
  uint64_t *desc_cycles;                 // port cycles of a load or store of the present tile; 0: not known yet
};

const struct ap_memory *ap_run_memory(const struct ap_run *run, uint32_t tensor);
uint64_t ap_memory_get(const struct ap_memory *memory, uint64_t element);
void ap_memory_set(const struct ap_memory *memory, uint64_t element, uint64_t u);

// Moves one field of the present tile (rows from row0), and counts it in the CAP's events.
void ap_run_load(struct ap_run *run, const struct ap_instr *instr, uint64_t row0);
void ap_run_store(struct ap_run *run, const struct ap_instr *instr, uint64_t row0);

// Softmax over the last dimension, as tflite-micro's reference kernels compute it for inputs of 8 and 16 bits. The validator has
// seen that it covers the tensors' types (ap_host_softmax_check).
void ap_host_softmax(const struct ap_run *run, const struct ap_host *host);

#endif
