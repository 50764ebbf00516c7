// SPDX-License-Identifier: Apache-2.0
// Regions written out: loops unrolled, streams resolved, and each operand at the place where its columns will be, so that loads of kept columns are
// no work at all.
#include <stdlib.h>
#include <string.h>

#include "runtime/block_plan.h"

struct place { uint32_t column; uint8_t base; };

struct flattener {
  const struct ap_run *run;
  struct ap_block_plan *plan;
  const struct ap_micro_facts *facts;
  const struct ap_block_region *region;
  size_t budget;                        // calls
  uint8_t *tensor_base;                 // by tensor: its place base, 0: none yet
  struct place place[AP_BLOCK_BASES];   // of the fields that have a base of their own, now
  unsigned char state[AP_MAX_COLUMNS];  // by column of the block's cells
};
enum { COLUMN_UNUSED, COLUMN_DEFINED, COLUMN_READ };  // what its first use does

static bool planes_place(struct flattener *f, const struct ap_entry *e, struct place *out) {
  struct ap_block_plan *plan = f->plan;
  uint8_t *base = &f->tensor_base[e->planes->tensor];
  if (*base == 0) {
    if (plan->nplaces == AP_BLOCK_PLACES) {
      return false;
    }
    plan->place_tensor[plan->nplaces] = e->planes->tensor;
    *base = (uint8_t)plan->nplaces++;
  }
  const struct ap_planes *planes = &f->run->planes[e->planes->tensor];
  uint64_t block = (uint64_t)e->planes->position / AP_BLOCK_ROWS;
  *out = (struct place){(uint32_t)((e->planes->channel * planes->blocks + block) * planes->bits), *base};
  return true;
}

static struct place operand(const struct flattener *f, const struct ap_entry *e, unsigned slot) {
  uint32_t column = e->at[slot] / AP_COLUMN_WORDS;
  struct place p = {column, AP_PLACE_CELLS};
  if (e->base[slot] != 0) {
    p = f->place[e->base[slot]];
    p.column += column;
  }
  return p;
}

static void use_columns(struct flattener *f, const struct ap_entry *e, unsigned slot, unsigned char state) {
  for (unsigned i = 0; i < e->instr->f[slot].width && e->base[slot] == 0; i++) {
    unsigned char *at = &f->state[e->instr->f[slot].col + i];
    *at = *at == COLUMN_UNUSED ? state : *at;
  }
}

static void add_kernel(struct flattener *f, const struct ap_entry *e) {
  struct ap_block_plan *plan = f->plan;
  struct place d = operand(f, e, 0), a = operand(f, e, 1), b = operand(f, e, 2);
  struct ap_flat *call = &BF_PUSH(plan->flat, plan->nflat, plan->flat_capacity);
  *call = (struct ap_flat){.d = d.column, .a = a.column, .b = b.column, .dbase = d.base, .abase = a.base, .bbase = b.base,
                           .kind = e->stepwise ? AP_FLAT_STEPS : AP_FLAT_KERNEL, .entry = e};
  if (!e->stepwise) {
    call->kernel = (uint16_t)(e->micro - f->run->program->micros);
    call->imm = e->instr->imm;
  }
  for (unsigned slot = 1; slot < 3; slot++) {
    use_columns(f, e, slot, COLUMN_READ);
  }
  use_columns(f, e, 0, f->facts[e->micro - f->run->program->micros].defines && !e->stepwise ? COLUMN_DEFINED : COLUMN_READ);
}

// A move of whole rows in planes, with all that it has to know.
static void add_plane_move(struct flattener *f, const struct ap_entry *e, enum ap_flat_kind kind, struct place at) {
  struct ap_block_plan *plan = f->plan;
  BF_PUSH(plan->flat, plan->nflat, plan->flat_capacity) =
      (struct ap_flat){.d = at.column, .dbase = at.base, .a = e->planes->channel, .b = e->planes->tensor, .kind = kind,
                       .imm = (uint64_t)e->planes->position};
}

static bool add_load(struct flattener *f, const struct ap_entry *e) {
  struct ap_block_plan *plan = f->plan;
  struct place own = {e->instr->f[0].col, AP_PLACE_CELLS};
  unsigned base = e->base[0];
  bool good = true;
  if (base != 0 && e->source != AP_NO_SOURCE) {
    f->place[base] = (struct place){(uint32_t)plan->sources[e->source].column, AP_PLACE_AREA};
  } else if (base != 0 && e->op->kind == AP_CALL_PLANES) {
    good = planes_place(f, e, &f->place[base]);
  } else {
    f->place[base] = own;
    use_columns(f, e, 0, COLUMN_READ);  // a load leaves rows outside the mask alone
    if (e->source == AP_NO_SOURCE && e->planes != NULL && e->planes->whole) {
      add_plane_move(f, e, AP_FLAT_LOAD_PLANES, own);
      return true;
    }
    BF_PUSH(plan->flat, plan->nflat, plan->flat_capacity) =
        (struct ap_flat){.d = own.column, .dbase = own.base, .kind = AP_FLAT_LOAD, .entry = e};
  }
  return good;
}

static bool add_entry(struct flattener *f, const struct ap_entry *e) {
  struct ap_block_plan *plan = f->plan;
  if (plan->nflat >= f->budget) {
    return false;
  }
  if (e->kind == AP_ENTRY_LOAD) {
    return add_load(f, e);
  }
  if (e->kind == AP_ENTRY_STORE) {
    struct place from = operand(f, e, 0);
    use_columns(f, e, 0, COLUMN_READ);
    if (e->planes != NULL) {
      add_plane_move(f, e, AP_FLAT_STORE_PLANES, from);
      return true;
    }
    BF_PUSH(plan->flat, plan->nflat, plan->flat_capacity) =
        (struct ap_flat){.d = from.column, .dbase = from.base, .kind = AP_FLAT_STORE, .entry = e};
    return true;
  }
  add_kernel(f, e);
  return true;
}

static bool add_code(struct flattener *f) {
  const struct ap_block_region *region = f->region;
  struct { uint32_t start, left; } open[AP_MAX_LOOP_NEST];
  unsigned depth = 0;
  for (uint32_t i = 0, n = region->region->end - region->region->grid - 1; i < n; i++) {
    const struct ap_entry *e = &region->code[i];
    if (e->kind == AP_ENTRY_STEPS) {
      const struct ap_stream *stream = &f->run->program->streams[e->instr->index];
      for (uint32_t s = 0; s < stream->count; s++) {
        if (!add_entry(f, &e->table[stream->steps[s]])) {
          return false;
        }
      }
    } else if (e->kind != AP_ENTRY_NONE) {
      if (!add_entry(f, e)) {
        return false;
      }
    } else if (e->instr->op == AP_OP_LOOP) {
      open[depth].start = i;
      open[depth++].left = e->instr->index;
    } else if (--open[depth - 1].left > 0) {
      i = open[depth - 1].start;
    } else {
      depth--;
    }
  }
  return true;
}

// Columns that are 0 when the region begins: if changed cells are counted all that it uses, else those that it reads first.
static struct ap_columns *list_zero(struct flattener *f, bool counted, uint32_t *count) {
  struct ap_columns list[AP_MAX_COLUMNS / 2 + 1];
  *count = 0;
  for (unsigned c = 0; c < AP_MAX_COLUMNS; c++) {
    if (f->state[c] == COLUMN_READ || (counted && f->state[c] == COLUMN_DEFINED)) {
      if (*count == 0 || list[*count - 1].first + list[*count - 1].count != c) {
        list[(*count)++] = (struct ap_columns){(uint16_t)c, 0};
      }
      list[*count - 1].count++;
    }
  }
  struct ap_columns *kept = bf_arena_alloc(&f->plan->arena, *count + (size_t)1, sizeof *kept);
  memcpy(kept, list, *count * sizeof *kept);
  return kept;
}

static bool flatten_region(struct flattener *f, struct ap_block_region *region) {
  struct ap_block_plan *plan = f->plan;
  f->region = region;
  region->flat = plan->nflat;
  memset(f->state, COLUMN_UNUSED, sizeof f->state);
  memset(f->state, COLUMN_READ, AP_FLAG_COLUMNS);
  for (unsigned k = 0; k < AP_BLOCK_BASES; k++) {
    f->place[k] = (struct place){0, AP_PLACE_ZEROS};
  }
  if (!add_code(f)) {
    return false;
  }
  region->nflat = plan->nflat - region->flat;
  for (unsigned counted = 0; counted < 2; counted++) {
    region->zero[counted] = list_zero(f, counted != 0, &region->nzero[counted]);
  }
  return true;
}

bool ap_block_flatten(const struct ap_run *run, struct ap_block_plan *plan, const struct ap_micro_facts *facts, size_t budget) {
  struct flattener f = {.run = run, .plan = plan, .facts = facts, .budget = budget / sizeof *plan->flat};
  bool good = !plan->tilewise && !run->plain_blocks && run->program->nmicros <= UINT16_MAX;
  f.tensor_base = bf_alloc((size_t)run->program->ntensors + 1, sizeof *f.tensor_base);
  plan->nplaces = AP_PLACE_TENSORS;
  for (uint32_t r = 0; r < plan->stage->count && good; r++) {
    good = flatten_region(&f, &plan->regions[r]);
  }
  free(f.tensor_base);
  if (!good) {
    free(plan->flat);
    plan->flat = NULL;
    plan->nflat = plan->flat_capacity = 0;
  }
  plan->flattened = good;
  plan->bytes += plan->flat_capacity * sizeof *plan->flat;
  return good;
}
