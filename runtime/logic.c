// SPDX-License-Identifier: Apache-2.0
// Symbolic execution of a microcode program. Steps of one group run together on truth tables while they touch at most six
// different values; a step that touches more (a wide write, a long key) is composed by itself.
#include "runtime/logic.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/logic_internal.h"

#define SLOTS 4
_Static_assert(AP_SLOT_D == 0 && AP_SLOT_A == 1 && AP_SLOT_B == 2 && AP_SLOT_FLAG == 3, "slots are indices");
// Longer programs take more time to compile than they are worth.
#define MAX_SIZE 65536

struct compose {
  const struct ap_micro *micro;
  struct logic_net net;
  struct ap_logic *out;
  bool counted;
  uint32_t column[SLOTS][AP_MAX_WIDTH];  // present values; LOGIC_NONE: as before the program
  uint32_t tag;
  struct logic_splits splits;
};

// What a run of steps does to truth tables over its variables.
struct chunk {
  struct logic_vars vars;
  uint64_t table[SLOTS][AP_MAX_WIDTH];
  struct ap_lit *touched; size_t ntouched, capacity;  // columns that have a table
  uint64_t seen[SLOTS], written[SLOTS];               // a bit for each column
  uint64_t tag;
  bool tagged;     // the tag has a table
  struct logic_terms terms;
};

static const struct ap_lit *step_lits(const struct compose *c, const struct ap_step *step) {
  return &c->micro->lits[step->first];
}
static bool is_compare(const struct ap_step *step) {
  return step->kind == AP_STEP_COMPARE || step->kind == AP_STEP_COMPARE_OR;
}
static bool reads_tag(const struct ap_step *step) {
  return step->kind == AP_STEP_COMPARE_OR || step->kind == AP_STEP_WRITE;
}

static uint32_t column_value(struct compose *c, const struct ap_lit *lit) {
  uint32_t *value = &c->column[lit->slot][lit->bit];
  if (*value == LOGIC_NONE) {
    *value = logic_leaf(&c->net, AP_LOGIC_COLUMN, lit->slot, lit->bit);
  }
  return *value;
}
static uint32_t tag_value(struct compose *c) {
  if (c->tag == LOGIC_NONE) {
    c->tag = logic_leaf(&c->net, AP_LOGIC_TAG, 0, 0);
  }
  return c->tag;
}
static uint32_t literal_value(struct compose *c, const struct ap_lit *lit) {
  switch (lit->value) {
    case AP_LIT_K:
    case AP_LIT_NOT_K: {
      uint32_t k = logic_leaf(&c->net, AP_LOGIC_IMM, 0, lit->kbit);
      return lit->value == AP_LIT_K ? k : logic_function(&c->net, 1, &k, 1);
    }
    default: return logic_const(&c->net, lit->value == AP_LIT_1);  // the sum register stays 0 in such programs
  }
}

// Makes the value a variable unless it is a constant or one already. False if there are too many.
static bool add_var(struct compose *c, struct logic_vars *vars, uint32_t value) {
  bool complement, one;
  value = logic_strip_not(&c->net, value, &complement);
  unsigned i = 0;
  while (i < vars->count && vars->values[i] != value) {
    i++;
  }
  if (i < vars->count || logic_is_const(&c->net, value, &one)) {
    return true;
  }
  if (vars->count == LOGIC_VARS) {
    return false;
  }
  vars->values[vars->count++] = value;
  return true;
}
static uint64_t var_table(struct compose *c, const struct logic_vars *vars, uint32_t value) {
  bool complement, one;
  uint64_t table = 0;
  value = logic_strip_not(&c->net, value, &complement);
  if (logic_is_const(&c->net, value, &one)) {
    table = one ? UINT64_MAX : 0;
  } else {
    unsigned i = 0;
    while (vars->values[i] != value) {
      i++;
    }
    table = logic_var(i);
  }
  return complement ? ~table : table;
}

// Whether the step's values fit into the chunk with those before; then they are its variables.
static bool add_step_vars(struct compose *c, struct chunk *k, const struct ap_step *step) {
  unsigned before = k->vars.count;
  bool fits = k->tagged || !reads_tag(step) || add_var(c, &k->vars, tag_value(c));
  for (unsigned i = 0; i < step->nlits && fits; i++) {
    const struct ap_lit *lit = &step_lits(c, step)[i];
    fits = (k->seen[lit->slot] >> lit->bit & 1 || add_var(c, &k->vars, column_value(c, lit))) &&
           add_var(c, &k->vars, literal_value(c, lit));
  }
  if (!fits) {
    k->vars.count = before;
    return false;
  }
  if (!k->tagged && reads_tag(step)) {
    k->tag = var_table(c, &k->vars, c->tag);
    k->tagged = true;
  }
  for (unsigned i = 0; i < step->nlits; i++) {
    const struct ap_lit *lit = &step_lits(c, step)[i];
    if (!(k->seen[lit->slot] >> lit->bit & 1)) {
      k->seen[lit->slot] |= (uint64_t)1 << lit->bit;
      k->table[lit->slot][lit->bit] = var_table(c, &k->vars, column_value(c, lit));
      BF_PUSH(k->touched, k->ntouched, k->capacity) = *lit;
    }
  }
  return true;
}

static void count_term(const struct compose *c, struct chunk *k, uint64_t table, enum ap_logic_counter counter, int32_t weight) {
  if (c->counted && table != 0) {
    logic_terms_add(&k->terms, table, counter, weight);
  }
}

static void chunk_step(struct compose *c, struct chunk *k, const struct ap_step *step) {
  const struct ap_lit *lits = step_lits(c, step);
  if (is_compare(step)) {
    uint64_t match = UINT64_MAX;
    for (unsigned i = 0; i < step->nlits; i++) {
      match &= ~(k->table[lits[i].slot][lits[i].bit] ^ var_table(c, &k->vars, literal_value(c, &lits[i])));
    }
    count_term(c, k, match, AP_LOGIC_MATCH, step->nlits);
    k->tag = step->kind == AP_STEP_COMPARE_OR ? k->tag | match : match;
    k->tagged = true;
    return;
  }
  if (step->kind == AP_STEP_WRITE_ALL) {
    k->tag = UINT64_MAX;
    k->tagged = true;
  }
  count_term(c, k, k->tag, AP_LOGIC_WRITTEN, step->nlits);
  for (unsigned i = 0; i < step->nlits; i++) {
    uint64_t *cell = &k->table[lits[i].slot][lits[i].bit];
    uint64_t changed = k->tag & (*cell ^ var_table(c, &k->vars, literal_value(c, &lits[i])));
    count_term(c, k, changed, AP_LOGIC_CHANGED, 1);
    *cell ^= changed;
    k->written[lits[i].slot] |= (uint64_t)1 << lits[i].bit;
  }
}

// Whether anything reads the tag that the steps before `next` leave.
static bool tag_lives(const struct compose *c, uint32_t next) {
  enum ap_tag_use use = ap_op_info(c->micro->op)->tag;
  return next < c->micro->nsteps ? reads_tag(&c->micro->steps[next]) : use == AP_TAG_SETS || use == AP_TAG_USES;
}

static void end_chunk(struct compose *c, struct chunk *k, uint32_t next) {
  for (size_t i = 0; i < k->ntouched; i++) {
    unsigned slot = k->touched[i].slot, bit = k->touched[i].bit;
    if (k->written[slot] >> bit & 1) {
      c->column[slot][bit] = logic_synthesise(&c->net, &k->vars, k->table[slot][bit]);
    }
  }
  if (k->tagged && tag_lives(c, next)) {
    c->tag = logic_synthesise(&c->net, &k->vars, k->tag);
  }
  if (k->terms.count > 0) {
    logic_count(&c->net, &k->vars, &k->terms, &c->splits);
  }
  free(k->vars.known);
  free(k->touched);
  free(k->terms.items);
}

// match and all literals from `first` on, a few at a time.
static uint32_t match_all(struct compose *c, const struct ap_step *step) {
  const struct ap_lit *lits = step_lits(c, step);
  uint32_t match = logic_const(&c->net, true);
  for (unsigned i = 0; i < step->nlits;) {
    struct logic_vars vars = {.count = 0};
    unsigned first = i;
    add_var(c, &vars, match);
    while (i < step->nlits && vars.count + 2 <= LOGIC_VARS) {
      add_var(c, &vars, column_value(c, &lits[i]));
      add_var(c, &vars, literal_value(c, &lits[i]));
      i++;
    }
    uint64_t table = var_table(c, &vars, match);
    for (unsigned n = first; n < i; n++) {
      table &= ~(var_table(c, &vars, column_value(c, &lits[n])) ^ var_table(c, &vars, literal_value(c, &lits[n])));
    }
    match = logic_synthesise(&c->net, &vars, table);
    free(vars.known);
  }
  return match;
}

static void count_value(struct compose *c, uint32_t value, enum ap_logic_counter counter, int32_t weight) {
  if (c->counted) {
    logic_count_value(&c->net, value, counter, weight);
  }
}

// A step with more values than a truth table has variables.
static void wide_step(struct compose *c, const struct ap_step *step) {
  const struct ap_lit *lits = step_lits(c, step);
  if (is_compare(step)) {
    uint32_t match = match_all(c, step);
    count_value(c, match, AP_LOGIC_MATCH, step->nlits);
    c->tag = step->kind == AP_STEP_COMPARE ? match : logic_function(&c->net, 0xE, (uint32_t[]){tag_value(c), match}, 2);
    return;
  }
  uint32_t tag = c->tag = step->kind == AP_STEP_WRITE_ALL ? logic_const(&c->net, true) : tag_value(c);
  count_value(c, tag, AP_LOGIC_WRITTEN, step->nlits);
  for (unsigned i = 0; i < step->nlits; i++) {
    // Index: cell + 2 value + 4 tag.
    const uint32_t in[3] = {column_value(c, &lits[i]), literal_value(c, &lits[i]), tag};
    if (c->counted) {
      count_value(c, logic_function(&c->net, 0x60, in, 3), AP_LOGIC_CHANGED, 1);
    }
    c->column[lits[i].slot][lits[i].bit] = logic_function(&c->net, 0xCA, in, 3);
  }
}

static void run(struct compose *c) {
  for (uint32_t s = 0; s < c->micro->nsteps;) {
    const struct ap_step *first = &c->micro->steps[s], *step = first;
    struct chunk k;
    memset(&k, 0, sizeof k);
    while (s < c->micro->nsteps && step->group == first->group && add_step_vars(c, &k, step)) {
      chunk_step(c, &k, step);
      step = &c->micro->steps[++s];
    }
    end_chunk(c, &k, s);
    if (step == first) {
      wide_step(c, step);
      s++;
    }
  }
}

// Fields that may share columns. The values of the program are right all the same if none of the two is touched
// once the other has been written.
static bool overlap_matters(const struct ap_micro *micro) {
  enum ap_op op = micro->op;
  bool key = ap_op_info(op)->format == AP_FORMAT_KEY;
  bool d_a = op == AP_OP_SETKIF || op == AP_OP_ADDPAIR;
  unsigned written = 0;
  for (uint32_t s = 0; s < micro->nsteps && !key; s++) {
    const struct ap_step *step = &micro->steps[s];
    for (unsigned i = 0; i < step->nlits; i++) {
      unsigned slot = micro->lits[step->first + i].slot;
      unsigned others = slot == AP_SLOT_A ? 1u << AP_SLOT_B | (d_a ? 1u << AP_SLOT_D : 0)
                        : slot == AP_SLOT_B ? 1u << AP_SLOT_A
                        : slot == AP_SLOT_D && d_a ? 1u << AP_SLOT_A : 0;
      if (written & others) {
        return true;
      }
      written |= is_compare(step) ? 0 : 1u << slot;
    }
  }
  return false;
}

static bool can_compose(const struct ap_micro *micro) {
  uint64_t lits = 0;
  for (uint32_t s = 0; s < micro->nsteps; s++) {
    lits += micro->steps[s].nlits;
    if (micro->steps[s].kind > AP_STEP_WRITE_ALL) {
      return false;
    }
  }
  return lits <= MAX_SIZE && !overlap_matters(micro);
}
_Static_assert(AP_STEP_COMPARE < 4 && AP_STEP_COMPARE_OR < 4 && AP_STEP_WRITE < 4 && AP_STEP_WRITE_ALL == 3,
               "the steps up to write.all stay within their row");

static void add_stores(struct compose *c) {
  for (unsigned slot = 0; slot < SLOTS; slot++) {
    for (unsigned bit = 0; bit < AP_MAX_WIDTH; bit++) {
      uint32_t value = c->column[slot][bit];
      if (value == LOGIC_NONE) {
        continue;
      }
      const struct ap_logic_value *v = &c->out->values[value];
      if (v->kind != AP_LOGIC_COLUMN || v->slot != slot || v->bit != bit) {
        BF_PUSH(c->out->stores, c->out->nstores, c->out->stores_capacity) =
            (struct ap_logic_store){(uint8_t)slot, (uint8_t)bit, value};
      }
    }
  }
}

static int by_value(const void *pa, const void *pb) {
  const struct ap_logic_count *a = pa, *b = pb;
  return a->value != b->value ? (a->value < b->value ? -1 : 1) : (int)a->counter - (int)b->counter;
}

// One count for each pair of value and counter, none of weight 0.
static void merge_counts(struct ap_logic *out) {
  if (out->ncounts == 0) {
    return;
  }
  qsort(out->counts, out->ncounts, sizeof *out->counts, by_value);
  size_t kept = 0;
  for (size_t i = 0; i < out->ncounts;) {
    struct ap_logic_count sum = out->counts[i++];
    while (i < out->ncounts && by_value(&sum, &out->counts[i]) == 0) {
      sum.weight += out->counts[i++].weight;
    }
    if (sum.weight != 0) {
      out->counts[kept++] = sum;
    }
  }
  out->ncounts = kept;
}

// Drops values that nothing needs.
static void drop_unused(struct ap_logic *out) {
  uint32_t *at = bf_alloc(out->nvalues + 1, sizeof *at);  // 1: needed; then the new index
  for (size_t i = 0; i < out->nstores; i++) at[out->stores[i].value] = 1;
  for (size_t i = 0; i < out->ncounts; i++) at[out->counts[i].value] = 1;
  if (out->tag != LOGIC_NONE) at[out->tag] = 1;
  for (size_t i = out->nvalues; i-- > 0;) {
    const struct ap_logic_value *v = &out->values[i];
    if (at[i] && v->kind == AP_LOGIC_FUNCTION) {
      at[v->x] = at[v->y] = at[v->z] = 1;
    }
  }
  uint32_t kept = 0;
  for (size_t i = 0; i < out->nvalues; i++) {
    if (!at[i]) {
      continue;
    }
    struct ap_logic_value v = out->values[i];
    if (v.kind == AP_LOGIC_FUNCTION) {
      v.x = at[v.x];
      v.y = at[v.y];
      v.z = at[v.z];
    }
    at[i] = kept;
    out->values[kept++] = v;
  }
  out->nvalues = kept;
  for (size_t i = 0; i < out->nstores; i++) out->stores[i].value = at[out->stores[i].value];
  for (size_t i = 0; i < out->ncounts; i++) out->counts[i].value = at[out->counts[i].value];
  if (out->tag != LOGIC_NONE) out->tag = at[out->tag];
  free(at);
}

bool ap_logic_compose(const struct ap_micro *micro, bool counted, struct ap_logic *out) {
  memset(out, 0, sizeof *out);
  if (!can_compose(micro) || micro->op == AP_OP_PATTERN) {  // patterns have a kernel of their own (runtime/pattern.h)
    return false;
  }
  struct compose c = {.micro = micro, .out = out, .counted = counted, .tag = LOGIC_NONE};
  memset(c.column, 0xff, sizeof c.column);
  logic_net_begin(&c.net, out);
  run(&c);
  out->tag = tag_lives(&c, micro->nsteps) ? tag_value(&c) : LOGIC_NONE;
  add_stores(&c);
  merge_counts(out);
  drop_unused(out);
  logic_net_end(&c.net);
  free(c.splits.items);
  return true;
}

void ap_logic_free(struct ap_logic *logic) {
  free(logic->values);
  free(logic->stores);
  free(logic->counts);
  memset(logic, 0, sizeof *logic);
}
