// SPDX-License-Identifier: Apache-2.0
// The order of the lanes of several regions: always the call that most of them have next, with operands at the places where their columns will be, so that
// loads of kept columns are no work at all.
#include <stdlib.h>
#include <string.h>

#include "runtime/block_cursor.h"

struct place { uint32_t column; uint8_t place; };
#define NOT_LOADED UINT8_MAX  // a place
enum { COLUMN_UNUSED, COLUMN_DEFINED, COLUMN_READ };  // what its first use does

struct lane {
  struct ap_calls calls;
  uint32_t head;                        // what it calls next
  struct place base[AP_BLOCK_BASES];    // where fields with a base of their own are now
  unsigned char state[AP_MAX_COLUMNS];  // by column of its cells
  struct place loaded[AP_MAX_COLUMNS];  // by column: where what was loaded there lies, if it has not been copied to the cells
};

struct merger {
  const struct ap_run *run;
  const struct ap_block_plan *plan;
  struct ap_block_order *order;
  struct lane *lanes;
  unsigned count;
  bool counted;
  uint16_t *waiting;  // by head: lanes that call it next
  uint32_t done;      // head of lanes that are at their end
  size_t capacity, wide_capacity;
};

// Kinds of calls have numbers after those of the kernels.
static uint32_t head_of(const struct merger *m, const struct lane *lane) {
  if (lane->calls.ops == NULL) {
    return m->done;
  }
  const struct ap_call *call = ap_calls_next(&lane->calls);
  return call->kind == AP_CALL_KERNEL ? call->kernel : m->run->program->nmicros + call->kind;
}

// The call that most lanes have next. False: all are at their end.
static bool choose_head(const struct merger *m, uint32_t *head) {
  unsigned most = 0;
  for (unsigned i = 0; i < m->count; i++) {
    uint32_t h = m->lanes[i].head;
    if (h != m->done && m->waiting[h] > most) {
      most = m->waiting[h];
      *head = h;
    }
  }
  return most > 0;
}

// --- one call ----------------------------------------------------------------------------------------------

static uint32_t lane_column(const struct merger *m, unsigned i, uint32_t column) {
  return (uint32_t)(i * ap_lane_columns(m->run->program)) + column;
}

static void use_columns(struct lane *lane, const struct ap_call *call, unsigned slot, unsigned char state) {
  for (unsigned b = 0, n = call->entry->instr->f[slot].width; b < n && call->base[slot] == 0; b++) {
    unsigned char *at = &lane->state[call->at[slot] + b];
    *at = *at == COLUMN_UNUSED ? state : *at;
  }
}

static void add_short(struct merger *m, uint64_t call) { BF_PUSH(m->order->calls, m->order->count, m->capacity) = call; }

// --- columns that were loaded but not copied ---------------------------------------------------------------

// Columns from `column` on that lie one behind the other where they were loaded from, at most `most`.
static unsigned loaded_run(const struct lane *lane, unsigned column, unsigned most) {
  struct place first = lane->loaded[column];
  unsigned n = first.place != NOT_LOADED;
  while (n > 0 && n < most && lane->loaded[column + n].place == first.place && lane->loaded[column + n].column == first.column + n) {
    n++;
  }
  return n;
}

static void forget_loaded(struct lane *lane, unsigned column, unsigned count) {
  for (unsigned b = 0; b < count; b++) {
    lane->loaded[column + b].place = NOT_LOADED;
  }
}

// Copies those of the columns to the cells that are not there.
static void bring_loaded(struct merger *m, unsigned i, unsigned column, unsigned count) {
  struct lane *lane = &m->lanes[i];
  for (unsigned b = 0, n; b < count; b += n) {
    n = loaded_run(lane, column + b, count - b);
    if (n == 0) {
      n = 1;
      continue;
    }
    struct place from = lane->loaded[column + b];
    BF_PUSH(m->order->wide, m->order->nwide, m->wide_capacity) =
        (struct ap_wide_call){.imm = n, .column = {lane_column(m, i, column + b), from.column}, .place = {AP_PLACE_CELLS, from.place},
                              .lane = (uint8_t)i, .kind = AP_WIDE_COPY};
    add_short(m, AP_SHORT(AP_SHORT_WIDE, i, 0, 0, m->order->nwide - 1));
    forget_loaded(lane, column + b, n);
    for (unsigned c = column + b; c < column + b + n; c++) {
      lane->state[c] = lane->state[c] == COLUMN_UNUSED ? COLUMN_DEFINED : lane->state[c];
    }
  }
}

// Where an operand that is read lies; it is copied to the cells if it is not all in one place.
static struct place operand(struct merger *m, unsigned i, const struct ap_call *call, unsigned slot) {
  struct lane *lane = &m->lanes[i];
  unsigned width = call->entry->instr->f[slot].width, at = call->at[slot];
  if (call->base[slot] != 0) {
    struct place p = lane->base[call->base[slot]];
    p.column += at;
    return p;
  }
  if (width > 0 && loaded_run(lane, at, width) == width) {
    return lane->loaded[at];
  }
  bring_loaded(m, i, at, width);
  use_columns(lane, call, slot, COLUMN_READ);
  return (struct place){lane_column(m, i, at), AP_PLACE_CELLS};
}

// Where an operand that is written lies. What was loaded there is still wanted unless all of it is overwritten unseen; cells that change are counted.
static struct place target(struct merger *m, unsigned i, const struct ap_call *call, bool defined) {
  struct lane *lane = &m->lanes[i];
  const struct ap_field *f = call->entry->instr->f;
  unsigned width = f[0].width, at = call->at[0];
  if (call->base[0] != 0) {
    return operand(m, i, call, 0);
  }
  if (m->counted || !defined || ap_fields_meet(f[0], f[1]) || ap_fields_meet(f[0], f[2])) {
    bring_loaded(m, i, at, width);
  }
  forget_loaded(lane, at, width);
  use_columns(lane, call, 0, defined ? COLUMN_DEFINED : COLUMN_READ);
  return (struct place){lane_column(m, i, at), AP_PLACE_CELLS};
}

// --- calls -------------------------------------------------------------------------------------------------

static void add_wide(struct merger *m, unsigned i, const struct ap_call *call, const struct place *at) {
  struct ap_wide_call *w = &BF_PUSH(m->order->wide, m->order->nwide, m->wide_capacity);
  const struct ap_entry *e = call->entry;
  *w = (struct ap_wide_call){.entry = e, .lane = (uint8_t)i, .kind = AP_WIDE_ENTRY};
  if (call->kind == AP_CALL_KERNEL) {
    w->kind = AP_WIDE_KERNEL;
    w->kernel = call->kernel;
    w->imm = e->instr->imm;
  } else if (call->kind == AP_CALL_PATTERN) {
    w->kind = AP_WIDE_PATTERN;
  } else if (e->kind != AP_ENTRY_KERNEL && e->planes != NULL && e->source == AP_NO_SOURCE) {
    w->kind = e->kind == AP_ENTRY_STORE ? AP_WIDE_STORE_PLANES : e->planes->values != NULL ? AP_WIDE_CONSTANTS : AP_WIDE_LOAD_PLANES;
    w->planes = e->planes;
  }
  for (unsigned slot = 0; slot < 3; slot++) {
    w->column[slot] = at[slot].column;
    w->place[slot] = at[slot].place;
  }
  add_short(m, AP_SHORT(AP_SHORT_WIDE, i, 0, 0, m->order->nwide - 1));
}

static void add_kernel(struct merger *m, unsigned i, const struct ap_call *call) {
  const struct ap_entry *e = call->entry;
  const struct ap_micro_facts *facts = &m->plan->facts[e->micro - m->run->program->micros];
  struct place at[3];
  for (unsigned slot = 0; slot < 3; slot++) {
    bool written = slot > 0 && facts->first_write[slot] != UINT32_MAX;  // besides d, as by a write of a whole key
    if (call->base[slot] == 0 && (e->stepwise || written)) {
      bring_loaded(m, i, call->at[slot], e->instr->f[slot].width);
    }
  }
  at[1] = operand(m, i, call, 1);
  at[2] = operand(m, i, call, 2);
  at[0] = target(m, i, call, facts->defines && !e->stepwise);
  bool has_a = e->instr->f[1].width > 0, in_place_of_a = !has_a && e->instr->imm < AP_SHORT_COLUMNS;
  if (in_place_of_a) {
    at[1] = (struct place){(uint32_t)e->instr->imm, AP_PLACE_CELLS};
  }
  bool fits = call->kind == AP_CALL_KERNEL && call->kernel < AP_SHORT_WIDE && e->instr->f[2].width == 0 && at[0].place == AP_PLACE_CELLS &&
              (has_a ? ap_op_info(e->instr->op)->imm == AP_IMM_NONE : in_place_of_a) && at[1].place < 16 && at[1].column < AP_SHORT_COLUMNS;
  if (fits) {
    add_short(m, AP_SHORT(call->kernel, i, at[0].column, at[1].place, at[1].column));
  } else {
    add_wide(m, i, call, at);
  }
}

static uint8_t planes_place(const struct merger *m, const struct ap_plane_access *x) {
  unsigned k = AP_PLACE_PLANES;
  while (k < m->plan->nplaces && !ap_plane_place_is(&m->plan->places[k], x)) {
    k++;
  }
  return (uint8_t)(k < m->plan->nplaces ? k : 0);
}

// Where a load finds its columns without moving them; NOT_LOADED if it does not.
static struct place find_loaded(const struct merger *m, const struct ap_entry *e) {
  const struct ap_program *program = m->run->program;
  struct place none = {0, NOT_LOADED};
  if (e->source != AP_NO_SOURCE) {
    return (struct place){(uint32_t)m->plan->sources[e->source].column, AP_PLACE_AREA};
  }
  uint8_t place = e->planes != NULL && e->planes->planes != NULL ? planes_place(m, e->planes) : 0;
  if (place == 0 || !ap_block_in_place(m->run, &program->grids[program->descs[e->instr->index].grid], e)) {
    return none;
  }
  const struct ap_planes *p = e->planes->planes;
  uint64_t block = (uint64_t)e->planes->position / AP_BLOCK_ROWS, channel = e->planes->channel >> p->shift;
  return (struct place){(uint32_t)((channel * p->blocks + block) * p->bits + e->planes->bit), place};
}

static void add_load(struct merger *m, unsigned i, const struct ap_call *call) {
  const struct ap_entry *e = call->entry;
  struct lane *lane = &m->lanes[i];
  struct place loaded = find_loaded(m, e), own[3] = {{lane_column(m, i, e->instr->f[0].col), AP_PLACE_CELLS}};
  bool based = call->base[0] != 0;
  if (loaded.place == NOT_LOADED) {
    lane->base[call->base[0]] = based ? own[0] : lane->base[0];
    forget_loaded(lane, e->instr->f[0].col, e->instr->f[0].width);
    use_columns(lane, call, 0, COLUMN_READ);  // a load leaves rows outside the mask alone
    add_wide(m, i, call, own);
  } else if (based) {
    lane->base[call->base[0]] = loaded;
  } else {
    for (unsigned b = 0; b < e->instr->f[0].width; b++) {
      lane->loaded[e->instr->f[0].col + b] = (struct place){loaded.column + b, loaded.place};
    }
  }
}

static void add_call(struct merger *m, unsigned i, const struct ap_call *call) {
  struct place own[3] = {{0}};
  switch (call->entry->kind) {
    case AP_ENTRY_KERNEL: add_kernel(m, i, call); break;
    case AP_ENTRY_STORE:
      own[0] = operand(m, i, call, 0);
      add_wide(m, i, call, own);
      break;
    default: add_load(m, i, call); break;
  }
}

// --- a group -----------------------------------------------------------------------------------------------

static void list_zero(struct ap_block_order *order, unsigned i, const unsigned char *state) {
  size_t capacity = 0;
  for (unsigned c = 0; c < AP_MAX_COLUMNS; c++) {
    if (state[c] != COLUMN_READ) {
      continue;
    }
    struct ap_columns *last = order->nzero[i] > 0 ? &order->zero[i][order->nzero[i] - 1] : NULL;
    if (last != NULL && last->first + last->count == (int)c) {
      last->count++;
    } else {
      BF_PUSH(order->zero[i], order->nzero[i], capacity) = (struct ap_columns){(uint16_t)c, 1};
    }
  }
}

// Calls of both kinds in one piece of memory, that a processor fetches on its own.
static struct ap_block_order *pack(struct ap_block_order *order) {
  size_t bytes = order->nwide * sizeof *order->wide;
  unsigned char *all = bf_alloc(bytes + order->count * sizeof *order->calls + 1, 1);
  if (order->nwide > 0) {
    memcpy(all, order->wide, bytes);
  }
  if (order->count > 0) {
    memcpy(all + bytes, order->calls, order->count * sizeof *order->calls);
  }
  free(order->wide);
  free(order->calls);
  order->wide = (struct ap_wide_call *)(void *)all;
  order->calls = (uint64_t *)(void *)(all + bytes);
  return order;
}

static size_t order_bytes(const struct ap_block_order *order) {
  return sizeof *order + order->nwide * sizeof *order->wide + order->count * sizeof *order->calls;
}

struct ap_block_order *ap_block_order_new(const struct ap_run *run, const struct ap_block_plan *plan, const struct ap_block_region *regions,
                                          unsigned lanes, bool counted, size_t most) {
  const struct ap_program *p = run->program;
  struct merger m = {.run = run, .plan = plan, .count = lanes, .counted = counted, .done = p->nmicros + AP_CALL_OTHER + 1};
  uint32_t head = 0;
  m.order = bf_alloc(1, sizeof *m.order);
  m.lanes = bf_alloc(lanes, sizeof *m.lanes);
  m.waiting = bf_alloc((size_t)m.done + 1, sizeof *m.waiting);
  for (unsigned i = 0; i < lanes; i++) {
    struct lane *lane = &m.lanes[i];
    ap_calls_begin(&lane->calls, p, &regions[i]);
    lane->head = head_of(&m, lane);
    m.waiting[lane->head]++;
    memset(lane->state, COLUMN_READ, AP_FLAG_COLUMNS);
    forget_loaded(lane, 0, AP_MAX_COLUMNS);
    for (unsigned k = 0; k < AP_BLOCK_BASES; k++) {
      lane->base[k] = (struct place){0, AP_PLACE_ZEROS};
    }
  }
  while (choose_head(&m, &head) && order_bytes(m.order) <= most) {
    for (unsigned i = 0; i < lanes; i++) {
      for (struct lane *lane = &m.lanes[i]; lane->head == head && order_bytes(m.order) <= most;) {
        add_call(&m, i, ap_calls_next(&lane->calls));
        m.waiting[head]--;
        ap_calls_step(&lane->calls, p);
        lane->head = head_of(&m, lane);
        m.waiting[lane->head]++;
      }
    }
  }
  for (unsigned i = 0; i < lanes; i++) {
    list_zero(m.order, i, m.lanes[i].state);
  }
  free(m.waiting);
  free(m.lanes);
  m.order->bytes = order_bytes(m.order);
  if (m.order->bytes > most) {
    free(m.order->calls);
    m.order->calls = NULL;
    ap_block_order_free(m.order);
    return NULL;
  }
  return pack(m.order);
}

void ap_block_order_free(struct ap_block_order *order) {
  if (order == NULL) {
    return;
  }
  for (unsigned i = 0; i < AP_BLOCK_LANES; i++) {
    free(order->zero[i]);
  }
  free(order->wide);  // with the calls
  free(order);
}
