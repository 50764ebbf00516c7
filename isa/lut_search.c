// SPDX-License-Identifier: Apache-2.0
// The search for the cheapest program: best first over the states of the table's rows, a move being the compares that tag a set
// of rows and one write. With accumulating compares the tags stay part of the state, since a later compare may add to them.
// The order of everything is fixed, so that a table has one program for ever.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "isa/lut_internal.h"

#define DEFAULT_STATES 400000
#define MOVES_PER_STATE 32  // budget of moves tried, in states
#define SETS_PER_MOVE 8     // sets that take the time of a move
#define NO_NODE UINT32_MAX

struct move { uint32_t parent, code; uint64_t rows; bool all; };  // all: a write without compare
struct node { double cost; struct move move; };
struct entry { double bound, cost; uint32_t node; };
struct search {
  struct lut_space space;
  struct lut_sets sets;
  uint32_t *codes, *code_planes, ncodes;  // all writes, and the planes they name
  struct node *nodes;
  uint64_t *states;  // stride words each
  size_t nnodes, node_capacity, state_capacity;
  uint32_t *slots;
  size_t nslots;
  struct entry *heap;
  size_t nheap, heap_capacity;
  double best, two;  // cost of the best program so far; least cost of two writes
  struct move last;  // its last move
  bool found, spent;
  bool hasty;  // by a guess of what remains, not by a bound: finds programs early and proves nothing
  uint64_t moves, max_states;
};

static void add_codes(struct search *s, unsigned plane, uint32_t code, uint32_t planes, size_t *capacity) {
  if (plane == s->space.nplanes) {
    if (planes) {
      size_t same = *capacity;
      s->codes = bf_grow(s->codes, s->ncodes, capacity, sizeof *s->codes);
      s->code_planes = bf_grow(s->code_planes, s->ncodes, &same, sizeof *s->code_planes);
      s->codes[s->ncodes] = code;
      s->code_planes[s->ncodes++] = planes;
    }
    return;
  }
  add_codes(s, plane + 1, code, planes, capacity);
  for (unsigned v = AP_LIT_0; v <= (s->space.has_param ? AP_LIT_NOT_K : AP_LIT_1); v++)
    add_codes(s, plane + 1, code | (v + 1) << (LUT_CODE_BITS * plane), planes | 1u << plane, capacity);
}

// --- the states seen

static uint64_t *state_of(const struct search *s, uint32_t node) { return &s->states[(size_t)node * s->space.stride]; }

static uint32_t *slot_of(const struct search *s, const uint64_t *state) {
  size_t bytes = s->space.stride * sizeof *state;
  uint64_t h = 0;
  for (unsigned i = 0; i < s->space.stride; i++)
    h = (h ^ state[i]) * 0x9E3779B97F4A7C15u, h ^= h >> 29;
  for (size_t i = h & (s->nslots - 1);; i = (i + 1) & (s->nslots - 1))
    if (s->slots[i] == NO_NODE || memcmp(state_of(s, s->slots[i]), state, bytes) == 0)
      return &s->slots[i];
}

static void grow_slots(struct search *s) {
  s->nslots = s->nslots ? 2 * s->nslots : 1024;
  free(s->slots);
  s->slots = bf_alloc(s->nslots, sizeof *s->slots);
  memset(s->slots, 0xFF, s->nslots * sizeof *s->slots);
  for (size_t n = 0; n < s->nnodes; n++)
    *slot_of(s, state_of(s, (uint32_t)n)) = (uint32_t)n;
}

static bool before(const struct entry *x, const struct entry *y) {
  if (x->bound != y->bound)
    return x->bound < y->bound;
  return x->cost != y->cost ? x->cost > y->cost : x->node < y->node;
}

static void push(struct search *s, struct entry e) {
  s->heap = bf_grow(s->heap, s->nheap, &s->heap_capacity, sizeof *s->heap);
  size_t i = s->nheap++;
  for (; i > 0 && before(&e, &s->heap[(i - 1) / 2]); i = (i - 1) / 2)
    s->heap[i] = s->heap[(i - 1) / 2];
  s->heap[i] = e;
}

static struct entry pop(struct search *s) {
  struct entry top = s->heap[0], e = s->heap[--s->nheap];
  size_t i = 0;
  for (size_t child; (child = 2 * i + 1) < s->nheap; i = child) {
    if (child + 1 < s->nheap && before(&s->heap[child + 1], &s->heap[child]))
      child++;
    if (!before(&s->heap[child], &e))
      break;
    s->heap[i] = s->heap[child];
  }
  if (s->nheap)
    s->heap[i] = e;
  return top;
}

static uint32_t wrong_planes(const struct search *s, const uint64_t *state, uint64_t *needed) {
  uint32_t planes = 0;
  *needed = 0;
  for (unsigned p = 0; p < s->space.nplanes; p++) {
    uint64_t wrong = (state[p] ^ s->space.target[p]) & s->space.care[p];
    *needed |= wrong;
    planes |= wrong ? 1u << p : 0;
  }
  return planes;
}

// What the wrong rows will cost, if each takes a compare, and a write where compares do not accumulate.
static double guess(const struct search *s, const uint64_t *state) {
  uint64_t needed;
  wrong_planes(s, state, &needed);
  return __builtin_popcountll(needed) * (s->space.compare_min + (s->space.accumulate ? 0 : s->space.write_min));
}

static void add_node(struct search *s, const uint64_t *state, uint32_t *slot, double cost, double bound, struct move move) {
  if (*slot == NO_NODE) {
    if (s->nnodes >= s->max_states) {
      s->spent = true;
      return;
    }
    s->nodes = bf_grow(s->nodes, s->nnodes, &s->node_capacity, sizeof *s->nodes);
    s->states = bf_grow(s->states, s->nnodes, &s->state_capacity, s->space.stride * sizeof *s->states);
    memcpy(state_of(s, (uint32_t)s->nnodes), state, s->space.stride * sizeof *state);
    *slot = (uint32_t)s->nnodes++;
  }
  if (s->hasty)
    bound = guess(s, state);
  uint32_t node = *slot;
  s->nodes[node] = (struct node){cost, move};
  push(s, (struct entry){cost + bound, cost, node});
  if (2 * s->nnodes > s->nslots)
    grow_slots(s);
}

// --- moves

// Tries one move from a state, reached at `cost` with its compares.
static void try_move(struct search *s, const uint64_t *state, double cost, struct move move) {
  uint64_t child[AP_LUT_MAX_COLUMNS + 1];
  double limit = s->best - s->space.tolerance, write = lut_write(&s->space, state, move.rows, move.code, child);
  if (write < 0)
    return;
  if (++s->moves + s->sets.work / SETS_PER_MOVE > s->max_states * MOVES_PER_STATE)
    s->spent = true;
  cost += write;
  if (cost >= limit)
    return;
  uint32_t *slot = slot_of(s, child);
  if (*slot != NO_NODE && s->nodes[*slot].cost <= cost + s->space.tolerance)
    return;
  double bound = lut_bound(&s->space, child);
  if (bound <= 0) {
    s->best = cost;
    s->last = move;
    s->found = true;
  } else if (cost + bound < limit) {
    add_node(s, child, slot, cost, bound, move);
  }
}

static void expand(struct search *s, uint32_t node) {
  uint64_t state[AP_LUT_MAX_COLUMNS + 1], needed;
  double cost = s->nodes[node].cost;
  memcpy(state, state_of(s, node), s->space.stride * sizeof *state);
  uint32_t planes = wrong_planes(s, state, &needed);
  lut_sets_find(&s->sets, &s->space, state, s->best - cost - s->space.write_min);
  for (uint32_t w = 0; w < s->ncodes && s->space.write_all; w++)
    try_move(s, state, cost, (struct move){node, s->codes[w], s->space.all, true});
  for (uint32_t i = 0; i < s->sets.nsets && !s->spent; i++) {
    const struct lut_set *set = &s->sets.sets[i];
    double sum = cost + set->cost;
    // Where only one more write can pay, it writes what is wrong and nothing else.
    bool final = sum + s->space.write_min + (s->two - s->space.write_min - s->space.compare_min) >= s->best - s->space.tolerance;
    if (sum + s->space.write_min >= s->best - s->space.tolerance || (final && (needed & ~set->rows)))
      continue;
    for (uint32_t w = 0; w < s->ncodes; w++)
      if (!final || s->code_planes[w] == planes)
        try_move(s, state, sum, (struct move){node, s->codes[w], set->rows, false});
  }
}

// --- the program of a path

static bool emit_write(const struct search *s, struct ap_lut_program *out, unsigned kind, uint32_t code) {
  struct ap_lut_step step = {.kind = (uint8_t)kind};
  if (out->nsteps == AP_LUT_MAX_STEPS)
    return false;
  for (unsigned p = 0; p < s->space.nplanes; p++) {
    unsigned value = code >> (LUT_CODE_BITS * p) & ((1u << LUT_CODE_BITS) - 1);
    if (value)
      step.lits[step.nlits++] = (struct ap_lut_lit){(uint8_t)s->space.column[p], (uint8_t)(value - 1)};
  }
  out->steps[out->nsteps++] = step;
  return true;
}

static bool emit_compares(const struct search *s, struct ap_lut_program *out, uint32_t set) {
  const struct lut_set *from = &s->sets.sets[set];
  bool first = from->previous == LUT_FRESH;
  if (!first && from->previous != LUT_CARRIED && !emit_compares(s, out, from->previous))
    return false;
  if (out->nsteps == AP_LUT_MAX_STEPS)
    return false;
  struct ap_lut_step step = {.kind = first ? AP_STEP_COMPARE : AP_STEP_COMPARE_OR};
  uint32_t code = s->sets.cubes[from->cube].code;
  for (unsigned c = 0; c < AP_LUT_MAX_COLUMNS; c++) {
    unsigned value = code >> (LUT_CODE_BITS * c) & ((1u << LUT_CODE_BITS) - 1);
    if (value)
      step.lits[step.nlits++] = (struct ap_lut_lit){(uint8_t)c, (uint8_t)(value - 1)};
  }
  out->steps[out->nsteps++] = step;
  return true;
}

static bool emit(struct search *s, struct ap_lut_program *out, const struct move *move) {
  if (move->parent != 0 && !emit(s, out, &s->nodes[move->parent].move))
    return false;
  if (move->all)
    return emit_write(s, out, AP_STEP_WRITE_ALL, move->code);
  lut_sets_find(&s->sets, &s->space, state_of(s, move->parent), s->best);
  for (uint32_t i = 0; i < s->sets.nsets; i++)
    if (s->sets.sets[i].rows == move->rows)
      return emit_compares(s, out, i) && emit_write(s, out, AP_STEP_WRITE, move->code);
  return false;
}

// --- the whole

double lut_program_cost(const struct ap_lut_table *table, const struct ap_lut_cost *cost, struct ap_lut_program *program) {
  unsigned param = ap_lut_param(table), changes[AP_LUT_MAX_ROWS] = {0};
  double cells = 0;
  program->compares = program->writes = 0;
  program->once = true;
  for (unsigned i = 0; i < program->nsteps; i++) {
    bool write = program->steps[i].kind == AP_STEP_WRITE || program->steps[i].kind == AP_STEP_WRITE_ALL;
    program->writes += write;
    program->compares += !write;
  }
  for (unsigned r = 0; r < table->nrows; r++) {
    uint8_t values = table->row[r].in;
    bool tag = false;
    for (unsigned i = 0; i < program->nsteps; i++) {
      const struct ap_lut_step *step = &program->steps[i];
      bool write = step->kind == AP_STEP_WRITE || step->kind == AP_STEP_WRITE_ALL, match = false;
      uint8_t old = values, probe = values;
      struct ap_lut_step compare = *step;
      compare.kind = AP_STEP_COMPARE;
      ap_lut_apply(&compare, (table->row[r].in & param) != 0, &probe, &match);
      changes[r] += ap_lut_apply(step, (table->row[r].in & param) != 0, &values, &tag);
      unsigned changed = (unsigned)__builtin_popcount((unsigned)(old ^ values));
      if (!write)
        cells += step->nlits * (match ? cost->match_cell : cost->mismatch_cell);
      else if (tag)
        cells += changed * cost->change_cell + (step->nlits - changed) * cost->same_cell;
    }
    program->once &= changes[r] <= 1;
  }
  program->cost = program->compares * cost->compare + program->writes * cost->write + cells / table->nrows;
  return program->cost;
}

static bool search_init(struct search *s, const struct ap_lut_table *table, const struct ap_lut_options *options, double best) {
  uint64_t start[AP_LUT_MAX_COLUMNS + 1];
  size_t capacity = 0;
  lut_space_init(&s->space, table, options);
  lut_sets_init(&s->sets);
  add_codes(s, 0, 0, 0, &capacity);
  s->best = best;
  s->two = 2 * s->space.write_min + (s->space.write_all ? 1 : 2) * s->space.compare_min;
  s->max_states = options->max_states ? options->max_states : DEFAULT_STATES;
  if (s->max_states > NO_NODE / 2)
    s->max_states = NO_NODE / 2;
  lut_space_start(&s->space, start);
  grow_slots(s);
  double bound = lut_bound(&s->space, start);
  add_node(s, start, slot_of(s, start), 0, bound, (struct move){.parent = NO_NODE});
  return bound > 0;
}

static void search_free(struct search *s) {
  lut_sets_free(&s->sets);
  free(s->codes);
  free(s->code_planes);
  free(s->nodes);
  free(s->states);
  free(s->slots);
  free(s->heap);
}

// The search for programs cheaper than `limit`, the cost of *best (INFINITY: none is known).
static enum ap_lut_result search(const struct ap_lut_table *table, const struct ap_lut_options *options, double limit,
                                       bool hasty, struct ap_lut_program *best) {
  struct search s = {.hasty = hasty};
  bool known = limit < INFINITY;
  if (!search_init(&s, table, options, limit)) {
    *best = (struct ap_lut_program){0};
    known = true;
  } else {
    while (s.nheap && !s.spent) {
      struct entry e = pop(&s);
      if (!hasty && e.bound >= s.best - s.space.tolerance)
        break;
      if (e.cost <= s.nodes[e.node].cost)
        expand(&s, e.node);
    }
  }
  struct ap_lut_program out = {0};
  bool overflow = s.sets.overflow;
  s.spent |= hasty;
  if (s.found && emit(&s, &out, &s.last) && !ap_lut_check(table, &out))
    *best = out, known = true;
  else if (s.found)
    s.spent = true;  // too long for a program
  bool exhausted = !s.spent && !overflow;
  best->states = s.nnodes;
  best->optimal = known && exhausted;
  search_free(&s);
  return known ? AP_LUT_FOUND : exhausted ? AP_LUT_IMPOSSIBLE : AP_LUT_BUDGET;
}

// The cost by which the search compares programs: with what breaks ties.
static double tied_cost(const struct ap_lut_table *table, const struct ap_lut_options *options, struct ap_lut_program *program) {
  double unit = options->cost.compare + options->cost.write, plain = lut_program_cost(table, &options->cost, program);
  double literals = 0;
  for (unsigned i = 0; i < program->nsteps; i++)
    if (program->steps[i].kind == AP_STEP_COMPARE || program->steps[i].kind == AP_STEP_COMPARE_OR)
      literals += program->steps[i].nlits;
  struct ap_lut_cost cells = {.change_cell = 1, .same_cell = 1};
  struct ap_lut_program copy = *program;
  return plain + unit * (LUT_WRITE_TIE * program->writes + LUT_CELL_TIE * lut_program_cost(table, &cells, &copy) + LUT_LITERAL_TIE * literals);
}

// The better of the known program, if any, and the greedy one.
static bool try_greedy(const struct ap_lut_table *table, const struct ap_lut_options *options, bool known,
                       struct ap_lut_program *best) {
  struct ap_lut_program greedy;
  if (!lut_greedy(table, (options->features & AP_FEATURE_ACCUMULATE) != 0, &greedy) || ap_lut_check(table, &greedy))
    return known;
  if (!known || tied_cost(table, options, &greedy) < tied_cost(table, options, best))
    *best = greedy;
  best->optimal = best->nsteps == 0;
  return true;
}

enum ap_lut_result ap_lut_search(const struct ap_lut_table *table, const struct ap_lut_options *options,
                                 struct ap_lut_program *out, const char **why) {
  struct ap_lut_program best = {0};
  struct ap_lut_options stage = *options;
  enum ap_lut_result result = AP_LUT_BUDGET;
  uint64_t states = 0;
  bool known = false;
  *out = best;
  *why = ap_lut_valid(table);
  if (*why)
    return AP_LUT_IMPOSSIBLE;
  // The classic program is the bound that the search with accumulating compares starts from.
  for (unsigned round = 0; round < 2 && result != AP_LUT_IMPOSSIBLE; round++) {
    stage.features = round ? options->features : options->features & ~AP_FEATURE_ACCUMULATE;
    if (round && stage.features == (options->features & ~AP_FEATURE_ACCUMULATE))
      break;
    known = try_greedy(table, &stage, known, &best);
    result = known ? AP_LUT_FOUND : AP_LUT_BUDGET;
    if (table->nrows <= LUT_EXACT_ROWS) {
      result = search(table, &stage, known ? tied_cost(table, options, &best) : INFINITY, false, &best);
      known = result == AP_LUT_FOUND;
      states += best.states;
      if (result != AP_LUT_IMPOSSIBLE && !best.optimal) {
        result = search(table, &stage, known ? tied_cost(table, options, &best) : INFINITY, true, &best);
        known = result == AP_LUT_FOUND;
        states += best.states;
      }
    }
  }
  if (result == AP_LUT_BUDGET && table->nrows > LUT_EXACT_ROWS)
    result = AP_LUT_TOO_LARGE;
  if (result == AP_LUT_IMPOSSIBLE)
    *why = "no program exists: each write makes rows equal that must become different; a further column that marks "
           "the rows already rewritten may help";
  else if (result == AP_LUT_TOO_LARGE)
    *why = "no program is found: tables of more than 64 rows are not searched, and going from row to row gives none of up to 96 "
           "steps";
  else if (result == AP_LUT_BUDGET)
    *why = "the search budget is spent and no program is found";
  else if (!lut_once_order(table))
    *why = "no order rewrites each row once (what the rows become is cyclic): rows pass through intermediate states";
  if (result != AP_LUT_FOUND)
    return result;
  lut_program_cost(table, &options->cost, &best);
  best.states = states;
  *out = best;
  return result;
}
