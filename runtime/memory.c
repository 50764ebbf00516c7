// SPDX-License-Identifier: Apache-2.0
// Memory of a program: one array of unsigned elements for each tensor that is no alias.
#include <stdlib.h>
#include <string.h>

#include "runtime/block_engine.h"
#include "runtime/row_order.h"

#define MAX_MEMORY_BYTES ((uint64_t)1 << 34)  // all tensors of one program

const struct ap_memory *ap_run_memory(const struct ap_run *run, uint32_t tensor) {
  return &run->memory[ap_tensor_root(run->program, tensor)];
}

uint64_t ap_memory_get(const struct ap_memory *memory, uint64_t element) {
  switch (memory->size) {
    case 1: return ((const uint8_t *)memory->data)[element];
    case 2: return ((const uint16_t *)memory->data)[element];
    case 4: return ((const uint32_t *)memory->data)[element];
    default: return ((const uint64_t *)memory->data)[element];
  }
}

void ap_memory_set(const struct ap_memory *memory, uint64_t element, uint64_t u) {
  switch (memory->size) {
    case 1: ((uint8_t *)memory->data)[element] = (uint8_t)u; break;
    case 2: ((uint16_t *)memory->data)[element] = (uint16_t)u; break;
    case 4: ((uint32_t *)memory->data)[element] = (uint32_t)u; break;
    default: ((uint64_t *)memory->data)[element] = u; break;
  }
}

static uint8_t element_size(unsigned bits) {
  return bits <= 8 ? 1 : bits <= 16 ? 2 : bits <= 32 ? 4 : 8;
}

static void load_constants(struct ap_run *run, uint32_t tensor) {
  const struct ap_tensor *t = &run->program->tensors[tensor];
  for (uint64_t i = 0, n = ap_tensor_elements(t); i < n; i++) {
    ap_memory_set(&run->memory[tensor], i, ap_consts_at(&run->program->consts, t->data + i));
  }
}

static bool allocate_tensors(struct ap_run *run, struct bf_diags *diags) {
  const struct ap_program *p = run->program;
  uint64_t total = 0;
  for (uint32_t i = 0; i < p->ntensors; i++) {
    const struct ap_tensor *t = &p->tensors[i];
    if (t->alias != UINT32_MAX) {
      continue;
    }
    uint64_t elements = ap_tensor_elements(t);
    ap_planes_shape(&run->planes[i], t->shape[3] > 0 ? elements / t->shape[3] : 0, t->shape[3], t->bits);
    run->memory[i].size = element_size(t->bits);
    total += elements * run->memory[i].size;
    if (elements > BF_MAX_ELEMENTS || total > MAX_MEMORY_BYTES) {
      bf_error_file(diags, NULL, NULL, "tensor %s does not fit the runtime's memory limit of %llu MiB", t->name,
                    (unsigned long long)(MAX_MEMORY_BYTES >> 20));
      return false;
    }
    run->memory[i].data = bf_alloc(elements > 0 ? elements : 1, run->memory[i].size);
    if (t->storage == AP_STORAGE_CONST) {
      load_constants(run, i);
      run->planes[i].memory_written = true;
    }
  }
  return true;
}

// Microcode is looked up once, not at each execution.
static void resolve_micros(struct ap_run *run) {
  const struct ap_program *p = run->program;
  run->code_micro = bf_alloc((size_t)p->ncode + 1, sizeof *run->code_micro);
  for (uint32_t i = 0; i < p->ncode; i++) {
    if (ap_op_info(p->code[i].op)->op_class == AP_CLASS_COMPUTE) {
      run->code_micro[i] = ap_program_micro(p, &p->code[i]);
    }
  }
  run->table_micro = bf_alloc((size_t)p->ntables + 1, sizeof *run->table_micro);
  for (uint32_t t = 0; t < p->ntables; t++) {
    run->table_micro[t] = bf_alloc((size_t)p->tables[t].count + 1, sizeof **run->table_micro);
    for (uint32_t i = 0; i < p->tables[t].count; i++) {
      const struct ap_instr *instr = &p->tables[t].items[i];
      if (ap_op_info(instr->op)->op_class == AP_CLASS_COMPUTE) {
        run->table_micro[t][i] = ap_program_micro(p, instr);
      }
    }
  }
}

struct ap_run *ap_run_new(const struct ap_program *program, struct bf_diags *diags) {
  struct ap_run *run = bf_alloc(1, sizeof *run);
  run->program = program;
  run->memory = bf_alloc((size_t)program->ntensors + 1, sizeof *run->memory);
  run->planes = bf_alloc((size_t)program->ntensors + 1, sizeof *run->planes);
  run->executions = bf_alloc((size_t)program->nprofiles + 1, sizeof *run->executions);
  if (!allocate_tensors(run, diags)) {
    ap_run_free(run);
    return NULL;
  }
  uint64_t rows = 1;
  for (uint32_t i = 0; i < program->ngrids; i++) {
    rows = program->grids[i].tile_rows > rows ? program->grids[i].tile_rows : rows;
  }
  ap_cap_init(&run->cap, program->machine.columns, rows);
  run->cap.patterns = program->patterns;
  run->gathered = bf_alloc((rows + 63) / 64 * 64, sizeof(uint64_t));
  run->desc_cycles = bf_alloc((size_t)program->ndescs + 1, sizeof *run->desc_cycles);
  resolve_micros(run);
  ap_run_plan(run);
  run->orders = ap_row_orders_new(run);
  return run;
}

void ap_run_free(struct ap_run *run) {
  if (run == NULL) {
    return;
  }
  for (uint32_t i = 0; i < run->program->ntensors; i++) {
    if (!run->memory[i].shared) {
      free(run->memory[i].data);
    }
    free(run->planes[i].owned);
  }
  for (uint32_t t = 0; run->table_micro != NULL && t < run->program->ntables; t++) {
    free(run->table_micro[t]);
  }
  for (size_t i = 0; i < run->nshared; i++) {
    free(run->shared[i]);
  }
  free(run->shared);
  ap_blocks_free(run->blocks, run);
  ap_cap_free(&run->cap);
  free(run->regions);
  free(run->stages);
  free(run->layer_stages);
  free(run->expected_of);
  free(run->executions);
  free(run->expected);
  free(run->table_micro);
  free(run->code_micro);
  free(run->memory);
  free(run->planes);
  free(run->gathered);
  free(run->desc_cycles);
  free(run->orders);
  free(run);
}

bool ap_run_set(struct ap_run *run, uint32_t tensor, const int64_t *q) {
  const struct ap_tensor *t = &run->program->tensors[tensor];
  const struct ap_memory *memory = ap_run_memory(run, tensor);
  struct ap_planes *planes = &run->planes[ap_tensor_root(run->program, tensor)];
  planes->current = planes->memory_stale = false;
  planes->memory_written = true;
  uint64_t elements = ap_tensor_elements(t), most = t->bits < 64 ? ((uint64_t)1 << t->bits) - 1 : UINT64_MAX;
  for (uint64_t i = 0; i < elements; i++) {
    uint64_t u = (uint64_t)q[i] - (uint64_t)t->bias;
    if (u > most) {
      return false;
    }
    ap_memory_set(memory, i, u);
  }
  return true;
}

void ap_run_get(const struct ap_run *run, uint32_t tensor, int64_t *q) {
  const struct ap_tensor *t = &run->program->tensors[tensor];
  const struct ap_memory *memory = ap_run_memory(run, tensor);
  if (memory->shared) {
    for (uint64_t i = 0, n = ap_tensor_elements(t); i < n; i++) {
      q[i] = t->bias;
    }
    return;
  }
  ap_planes_to_memory(run, ap_tensor_root(run->program, tensor));
  uint64_t bits = t->bits < 64 ? ((uint64_t)1 << t->bits) - 1 : UINT64_MAX;  // another profile may have left more
  for (uint64_t i = 0, n = ap_tensor_elements(t); i < n; i++) {
    q[i] = (int64_t)((ap_memory_get(memory, i) & bits) + (uint64_t)t->bias);
  }
}
