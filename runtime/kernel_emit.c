// SPDX-License-Identifier: Apache-2.0
// Values of the logic become vectors, in their order; a column is stored as soon as its value is there, so that few values live at a
// time. Where the host's vectors are shorter than a block's 512 rows, a kernel is a loop over parts of the block.
#ifdef BF_HAVE_LLVM
#include "runtime/kernel_emit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Parameters of a kernel; the operands are numbered as the slots of literals.
enum {
  PARAM_D = AP_SLOT_D, PARAM_A = AP_SLOT_A, PARAM_B = AP_SLOT_B, PARAM_FLAGS = AP_SLOT_FLAG,
  PARAM_TAG, PARAM_MASK, PARAM_IMM, PARAM_COUNTS, PARAM_COUNT
};

// The three counters of a block in one word, that all fit: match cells from bit 0, written cells from 21, changed cells from 42.
// Longer programs take a second word, for the changed cells.
#define SHORT_BITS 21
#define LONG_BITS 32

#define MAX_LEVELS 24
// What adds the same to the counters. Where counting bits is dear, functions are first added in bit slices: two of each power
// of two wait for a third.
struct sum {
  int32_t weight[AP_LOGIC_COUNTERS];
  LLVMValueRef counted;                 // numbers of bits so far, one a vector element; NULL: none
  LLVMValueRef waiting[MAX_LEVELS][2];
  unsigned count[MAX_LEVELS];
};

struct emit {
  const struct ap_kernel_host *host;
  const struct ap_kernel_key *key;
  const struct ap_logic *logic;
  LLVMContextRef context;
  LLVMModuleRef module;
  LLVMBuilderRef build;
  LLVMTypeRef word, vector, pointer;  // pointer to words
  LLVMValueRef function, mask;        // mask: NULL if unmasked
  unsigned words;                     // of a vector
  LLVMBasicBlockRef loop;             // NULL: one vector is a whole column
  LLVMValueRef offset;                // first word of this turn of the loop
  LLVMValueRef before[2];             // packed counters of the turns before
  LLVMValueRef *values;
  struct sum *sums; size_t nsums, capacity;
  int64_t always[AP_LOGIC_COUNTERS];  // added for each row of the mask
};

static LLVMValueRef word_const(const struct emit *e, uint64_t value) { return LLVMConstInt(e->word, value, false); }

static LLVMValueRef vector_const(const struct emit *e, uint64_t value) {
  LLVMValueRef words[AP_COLUMN_WORDS];
  for (unsigned i = 0; i < e->words; i++) {
    words[i] = word_const(e, value);
  }
  return LLVMConstVector(words, e->words);
}

static LLVMValueRef param(const struct emit *e, unsigned i) { return LLVMGetParam(e->function, i); }

// Address of word `index` of those that parameter p points to, as a pointer to `type`.
static LLVMValueRef address(const struct emit *e, unsigned p, LLVMValueRef index, LLVMTypeRef type) {
  LLVMValueRef element = LLVMBuildGEP2(e->build, e->word, param(e, p), &index, 1, "");
  return LLVMBuildBitCast(e->build, element, LLVMPointerType(type, 0), "");
}
// Address of this turn's part of a column.
static LLVMValueRef column_address(const struct emit *e, unsigned p, unsigned column) {
  LLVMValueRef first = word_const(e, (uint64_t)column * AP_COLUMN_WORDS);
  return address(e, p, e->loop != NULL ? LLVMBuildAdd(e->build, first, e->offset, "") : first, e->vector);
}
static LLVMValueRef load_column(const struct emit *e, unsigned p, unsigned column) {
  LLVMValueRef load = LLVMBuildLoad2(e->build, e->vector, column_address(e, p, column), "");
  LLVMSetAlignment(load, e->words * 8);
  return load;
}
static void store_column(const struct emit *e, unsigned p, unsigned column, LLVMValueRef value) {
  LLVMSetAlignment(LLVMBuildStore(e->build, value, column_address(e, p, column)), e->words * 8);
}

// Calls a function of LLVM's own.
#define NAME_BYTES 40
static LLVMValueRef call(const struct emit *e, const char *name, LLVMTypeRef result, LLVMValueRef *args, unsigned nargs) {
  LLVMTypeRef types[4];
  for (unsigned i = 0; i < nargs; i++) {
    types[i] = LLVMTypeOf(args[i]);
  }
  LLVMTypeRef type = LLVMFunctionType(result, types, nargs, false);
  LLVMValueRef callee = LLVMGetNamedFunction(e->module, name);
  if (callee == NULL) {
    callee = LLVMAddFunction(e->module, name, type);
  }
  return LLVMBuildCall2(e->build, type, callee, args, nargs, "");
}

static LLVMValueRef count_bits(const struct emit *e, LLVMValueRef value) {
  char name[NAME_BYTES];
  snprintf(name, sizeof name, "llvm.ctpop.v%ui64", e->words);
  return call(e, name, e->vector, &value, 1);
}

static LLVMValueRef by_formula(const struct emit *e, unsigned table, LLVMValueRef x, LLVMValueRef y, LLVMValueRef z) {
  const struct ap_formula *f = &e->host->formulas[table];
  if (f->op == AP_FORMULA_LEAF) {
    return table == 0xf0 ? x : table == 0xcc ? y : table == 0xaa ? z : vector_const(e, table ? UINT64_MAX : 0);
  }
  LLVMValueRef left = by_formula(e, f->left, x, y, z);
  if (f->op == AP_FORMULA_NOT) {
    return LLVMBuildNot(e->build, left, "");
  }
  LLVMValueRef right = by_formula(e, f->right, x, y, z);
  switch (f->op) {
    case AP_FORMULA_AND: return LLVMBuildAnd(e->build, left, right, "");
    case AP_FORMULA_ANDNOT: return LLVMBuildAnd(e->build, LLVMBuildNot(e->build, left, ""), right, "");
    case AP_FORMULA_OR: return LLVMBuildOr(e->build, left, right, "");
    default: return LLVMBuildXor(e->build, left, right, "");
  }
}

static LLVMValueRef function_of(const struct emit *e, unsigned table, LLVMValueRef x, LLVMValueRef y, LLVMValueRef z) {
  if (!e->host->ternary || e->host->formulas[table].cost <= 1) {
    return by_formula(e, table, x, y, z);
  }
  LLVMValueRef args[4] = {x, y, z, LLVMConstInt(LLVMInt32TypeInContext(e->context), table, false)};
  return call(e, "llvm.x86.avx512.pternlog.q.512", e->vector, args, 4);
}

// ~0 in all rows where the bit of the immediate is 1.
static LLVMValueRef imm_bit(const struct emit *e, unsigned bit) {
  LLVMValueRef shifted = LLVMBuildShl(e->build, param(e, PARAM_IMM), word_const(e, 63 - bit), "");
  LLVMValueRef spread = LLVMBuildAShr(e->build, shifted, word_const(e, 63), "");
  LLVMTypeRef index = LLVMInt32TypeInContext(e->context);
  LLVMValueRef none = LLVMGetUndef(e->vector);
  LLVMValueRef one = LLVMBuildInsertElement(e->build, none, spread, LLVMConstInt(index, 0, false), "");
  return LLVMBuildShuffleVector(e->build, one, none, LLVMConstNull(LLVMVectorType(index, e->words)), "");
}

static LLVMValueRef emit_value(const struct emit *e, const struct ap_logic_value *v) {
  switch (v->kind) {
    case AP_LOGIC_COLUMN: return load_column(e, v->slot, v->bit);
    case AP_LOGIC_TAG: return load_column(e, PARAM_TAG, 0);
    case AP_LOGIC_IMM: return imm_bit(e, v->bit);
    case AP_LOGIC_CONST: return vector_const(e, v->table & 1 ? UINT64_MAX : 0);
    default: return function_of(e, v->table, e->values[v->x], e->values[v->y], e->values[v->z]);
  }
}

static struct sum *find_sum(struct emit *e, const int32_t *weight) {
  for (size_t i = 0; i < e->nsums; i++) {
    if (memcmp(e->sums[i].weight, weight, sizeof e->sums[i].weight) == 0) {
      return &e->sums[i];
    }
  }
  struct sum *sum = &BF_PUSH(e->sums, e->nsums, e->capacity);
  memset(sum, 0, sizeof *sum);
  memcpy(sum->weight, weight, sizeof sum->weight);
  return sum;
}

static void add_counted(const struct emit *e, struct sum *sum, LLVMValueRef number) {
  sum->counted = sum->counted == NULL ? number : LLVMBuildAdd(e->build, sum->counted, number, "");
}

static void add_rows(const struct emit *e, struct sum *sum, LLVMValueRef rows) {
  if (e->host->vector_count) {
    add_counted(e, sum, count_bits(e, rows));
    return;
  }
  for (unsigned level = 0; level < MAX_LEVELS; level++) {  // never more: a program has less than 2^20 counts
    if (sum->count[level] < 2) {
      sum->waiting[level][sum->count[level]++] = rows;
      return;
    }
    LLVMValueRef *two = sum->waiting[level], carry = function_of(e, 0xE8, two[0], two[1], rows);
    two[0] = function_of(e, 0x96, two[0], two[1], rows);
    sum->count[level] = 1;
    rows = carry;
  }
}

// The counts of value i, which are the next ones in the list.
static size_t emit_counts(struct emit *e, size_t at, uint32_t value) {
  const struct ap_logic_value *v = &e->logic->values[value];
  int32_t weight[AP_LOGIC_COUNTERS] = {0};
  size_t first = at;
  for (; at < e->logic->ncounts && e->logic->counts[at].value == value; at++) {
    weight[e->logic->counts[at].counter] += e->logic->counts[at].weight;
  }
  if (at == first || (v->kind == AP_LOGIC_CONST && !(v->table & 1))) {
    return at;
  }
  if (v->kind == AP_LOGIC_CONST) {
    for (unsigned k = 0; k < AP_LOGIC_COUNTERS; k++) {
      e->always[k] += weight[k];
    }
    return at;
  }
  LLVMValueRef rows = e->values[value];
  if (e->mask != NULL) {
    rows = LLVMBuildAnd(e->build, rows, e->mask, "");
  }
  add_rows(e, find_sum(e, weight), rows);
  return at;
}

// Stores that can be done once value `done` is there, and the old value of the column has been read.
struct store_at { uint32_t at, store; };
static int by_position(const void *pa, const void *pb) {
  const struct store_at *a = pa, *b = pb;
  return a->at != b->at ? (a->at < b->at ? -1 : 1) : (a->store > b->store) - (a->store < b->store);
}
static struct store_at *order_stores(const struct ap_logic *logic, bool at_end) {
  struct store_at *order = bf_alloc(logic->nstores + 1, sizeof *order);
  uint32_t loaded[4][AP_MAX_WIDTH] = {{0}};
  for (uint32_t i = 0; i < logic->nvalues; i++) {
    const struct ap_logic_value *v = &logic->values[i];
    if (v->kind == AP_LOGIC_COLUMN) {
      loaded[v->slot][v->bit] = i;
    }
  }
  for (uint32_t i = 0; i < logic->nstores; i++) {
    const struct ap_logic_store *s = &logic->stores[i];
    uint32_t old = loaded[s->slot][s->bit];
    order[i].store = i;
    order[i].at = at_end ? (uint32_t)logic->nvalues - 1 : old > s->value ? old : s->value;
  }
  qsort(order, logic->nstores, sizeof *order, by_position);
  return order;
}

// Whether fields that may overlap are written: then all is read before anything is.
static bool overlaps(const struct emit *e) {
  enum ap_op op = e->key->micro->op;
  bool writes_operand = op == AP_OP_SETKIF || op == AP_OP_ADDPAIR;
  for (size_t i = 0; i < e->logic->nstores && ap_op_info(op)->format != AP_FORMAT_KEY; i++) {
    unsigned slot = e->logic->stores[i].slot;
    writes_operand = writes_operand || slot == AP_SLOT_A || slot == AP_SLOT_B;
  }
  return writes_operand;
}

static void emit_values(struct emit *e, bool careful) {
  const struct ap_logic *logic = e->logic;
  struct store_at *order = order_stores(logic, careful);
  size_t count = 0, store = 0;
  for (uint32_t i = 0; i < logic->nvalues; i++) {
    e->values[i] = emit_value(e, &logic->values[i]);
    if (e->key->counted) {
      count = emit_counts(e, count, i);
    }
    for (; store < logic->nstores && order[store].at == i; store++) {
      const struct ap_logic_store *s = &logic->stores[order[store].store];
      store_column(e, s->slot, s->bit, e->values[s->value]);
    }
  }
  if (logic->tag != UINT32_MAX) {
    LLVMValueRef tag = e->values[logic->tag];
    store_column(e, PARAM_TAG, 0, e->mask != NULL ? LLVMBuildAnd(e->build, tag, e->mask, "") : tag);
  }
  free(order);
}

// Numbers of a sum, one a vector element: what has been counted, and what waits.
static LLVMValueRef finish_sum(const struct emit *e, struct sum *sum) {
  for (unsigned level = 0; level < MAX_LEVELS; level++) {
    for (unsigned i = 0; i < sum->count[level]; i++) {
      LLVMValueRef number = count_bits(e, sum->waiting[level][i]);
      add_counted(e, sum, level > 0 ? LLVMBuildShl(e->build, number, vector_const(e, level), "") : number);
    }
  }
  return sum->counted;
}

static uint64_t packed(const int64_t *weight, unsigned word, bool is_long) {
  uint64_t match = (uint64_t)weight[AP_LOGIC_MATCH], written = (uint64_t)weight[AP_LOGIC_WRITTEN];
  uint64_t changed = (uint64_t)weight[AP_LOGIC_CHANGED];
  if (!is_long) {
    return match + (written << SHORT_BITS) + (changed << 2 * SHORT_BITS);
  }
  return word == 0 ? match + (written << LONG_BITS) : changed;
}

// Sum of what this turn counts, in packed counters modulo 2^64, one a vector element; NULL: nothing.
static LLVMValueRef turn_total(struct emit *e, unsigned word, bool is_long) {
  LLVMValueRef all = NULL;
  for (size_t i = 0; i <= e->nsums; i++) {
    bool last = i == e->nsums;  // what each row of the mask adds
    if (last && e->mask == NULL) {
      break;
    }
    int64_t weight[AP_LOGIC_COUNTERS];
    for (unsigned k = 0; k < AP_LOGIC_COUNTERS; k++) {
      weight[k] = last ? e->always[k] : e->sums[i].weight[k];
    }
    uint64_t factor = packed(weight, word, is_long);
    if (factor != 0) {
      LLVMValueRef number = last ? count_bits(e, e->mask) : e->sums[i].counted;
      LLVMValueRef part = LLVMBuildMul(e->build, number, vector_const(e, factor), "");
      all = all == NULL ? part : LLVMBuildAdd(e->build, all, part, "");
    }
  }
  return all;
}

// One word of the block's packed counters.
static LLVMValueRef block_total(struct emit *e, unsigned word, bool is_long, LLVMValueRef all) {
  uint64_t always = e->mask == NULL ? packed(e->always, word, is_long) * AP_BLOCK_ROWS : 0;
  char name[NAME_BYTES];
  snprintf(name, sizeof name, "llvm.vector.reduce.add.v%ui64", e->words);
  return LLVMBuildAdd(e->build, call(e, name, e->word, &all, 1), word_const(e, always), "");
}

static void add_counter(const struct emit *e, unsigned index, LLVMValueRef number) {
  LLVMValueRef at = address(e, PARAM_COUNTS, word_const(e, index), e->word);
  LLVMBuildStore(e->build, LLVMBuildAdd(e->build, LLVMBuildLoad2(e->build, e->word, at, ""), number, ""), at);
}

// `bits` bits of a word from bit `shift`.
static LLVMValueRef part_of(const struct emit *e, LLVMValueRef word, unsigned shift, unsigned bits) {
  LLVMValueRef moved = LLVMBuildLShr(e->build, word, word_const(e, shift), "");
  return LLVMBuildAnd(e->build, moved, word_const(e, ((uint64_t)1 << bits) - 1), "");
}

_Static_assert(offsetof(struct ap_kernel_counts, match_cells) == 0 && offsetof(struct ap_kernel_counts, written_cells) == 8 &&
               offsetof(struct ap_kernel_counts, changed_cells) == 16, "three words in the order of enum ap_logic_counter");

// Whether the counters need two words.
static bool long_counters(const struct emit *e) {
  uint64_t most = 0;  // what one row can add to a counter
  for (uint32_t s = 0; s < e->key->micro->nsteps; s++) {
    most += e->key->micro->steps[s].nlits;
  }
  return most * AP_BLOCK_ROWS >> SHORT_BITS != 0;
}

static void end_counters(struct emit *e, bool is_long, LLVMValueRef *totals) {
  unsigned bits = is_long ? LONG_BITS : SHORT_BITS;
  LLVMValueRef word = block_total(e, 0, is_long, totals[0]);
  add_counter(e, AP_LOGIC_MATCH, part_of(e, word, 0, bits));
  add_counter(e, AP_LOGIC_WRITTEN, part_of(e, word, bits, bits));
  add_counter(e, AP_LOGIC_CHANGED, is_long ? block_total(e, 1, true, totals[1]) : part_of(e, word, 2 * bits, bits));
}

static void add_attribute(const struct emit *e, unsigned where, const char *name) {
  unsigned kind = LLVMGetEnumAttributeKindForName(name, strlen(name));
  LLVMAddAttributeAtIndex(e->function, where, LLVMCreateEnumAttribute(e->context, kind, 0));
}
static void add_text_attribute(const struct emit *e, const char *name, const char *value) {
  LLVMAttributeRef a = LLVMCreateStringAttribute(e->context, name, (unsigned)strlen(name), value, (unsigned)strlen(value));
  LLVMAddAttributeAtIndex(e->function, LLVMAttributeFunctionIndex, a);
}

static void begin_function(struct emit *e, const char *name, bool careful) {
  LLVMTypeRef params[PARAM_COUNT];
  for (unsigned i = 0; i < PARAM_COUNT; i++) {
    params[i] = i == PARAM_IMM ? e->word : e->pointer;
  }
  LLVMTypeRef type = LLVMFunctionType(LLVMVoidTypeInContext(e->context), params, PARAM_COUNT, false);
  e->function = LLVMAddFunction(e->module, name, type);
  add_attribute(e, LLVMAttributeFunctionIndex, "nounwind");
  for (unsigned i = 0; i < PARAM_COUNT; i++) {
    bool field = i == PARAM_D || i == PARAM_A || i == PARAM_B;
    if (i != PARAM_IMM && !(field && careful)) {
      add_attribute(e, i + 1, "noalias");
    }
  }
  if (e->host->ternary) {  // processors that would rather have shorter vectors gain nothing from them here
    add_text_attribute(e, "min-legal-vector-width", "512");
    add_text_attribute(e, "prefer-vector-width", "512");
  }
  LLVMPositionBuilderAtEnd(e->build, LLVMAppendBasicBlockInContext(e->context, e->function, ""));
}

static LLVMValueRef begin_phi(const struct emit *e, LLVMTypeRef type, LLVMBasicBlockRef entry) {
  LLVMValueRef phi = LLVMBuildPhi(e->build, type, ""), none = LLVMConstNull(type);
  LLVMAddIncoming(phi, &none, &entry, 1);
  return phi;
}

static void begin_loop(struct emit *e, unsigned counters) {
  if (e->words == AP_COLUMN_WORDS) {
    return;
  }
  LLVMBasicBlockRef entry = LLVMGetInsertBlock(e->build);
  e->loop = LLVMAppendBasicBlockInContext(e->context, e->function, "");
  LLVMBuildBr(e->build, e->loop);
  LLVMPositionBuilderAtEnd(e->build, e->loop);
  e->offset = begin_phi(e, e->word, entry);
  for (unsigned i = 0; i < counters; i++) {
    e->before[i] = begin_phi(e, e->vector, entry);
  }
}

static void end_loop(struct emit *e, unsigned counters, LLVMValueRef *totals) {
  if (e->loop == NULL) {
    return;
  }
  LLVMValueRef next = LLVMBuildAdd(e->build, e->offset, word_const(e, e->words), "");
  LLVMAddIncoming(e->offset, &next, &e->loop, 1);
  for (unsigned i = 0; i < counters; i++) {
    LLVMAddIncoming(e->before[i], &totals[i], &e->loop, 1);
  }
  LLVMValueRef more = LLVMBuildICmp(e->build, LLVMIntULT, next, word_const(e, AP_COLUMN_WORDS), "");
  LLVMBasicBlockRef after = LLVMAppendBasicBlockInContext(e->context, e->function, "");
  LLVMBuildCondBr(e->build, more, e->loop, after);
  LLVMPositionBuilderAtEnd(e->build, after);
}

// All that happens to `words` words of each column.
static void emit_turn(struct emit *e, bool careful, unsigned counters, LLVMValueRef *totals) {
  bool needed = e->key->counted || e->logic->tag != UINT32_MAX;
  e->mask = e->key->masked && needed ? load_column(e, PARAM_MASK, 0) : NULL;
  emit_values(e, careful);
  for (size_t i = 0; i < e->nsums; i++) {
    finish_sum(e, &e->sums[i]);
  }
  for (unsigned i = 0; i < counters; i++) {
    totals[i] = turn_total(e, i, counters == 2);
    if (totals[i] == NULL) {
      totals[i] = vector_const(e, 0);
    }
    totals[i] = e->before[i] == NULL ? totals[i] : LLVMBuildAdd(e->build, e->before[i], totals[i], "");
  }
}

void ap_kernel_emit(LLVMModuleRef module, const struct ap_kernel_host *host, const struct ap_kernel_key *key,
                    const struct ap_logic *logic, const char *name) {
  struct emit e = {.host = host, .key = key, .logic = logic, .module = module};
  e.context = LLVMGetModuleContext(module);
  e.build = LLVMCreateBuilderInContext(e.context);
  e.word = LLVMInt64TypeInContext(e.context);
  e.words = host->vector_words;
  e.vector = LLVMVectorType(e.word, e.words);
  e.pointer = LLVMPointerType(e.word, 0);
  e.values = bf_alloc(logic->nvalues + 1, sizeof *e.values);
  bool careful = overlaps(&e);
  begin_function(&e, name, careful);
  unsigned counters = !key->counted ? 0 : long_counters(&e) ? 2 : 1;
  LLVMValueRef totals[2] = {NULL, NULL};
  begin_loop(&e, counters);
  emit_turn(&e, careful, counters, totals);
  end_loop(&e, counters, totals);
  if (counters > 0) {
    end_counters(&e, counters == 2, totals);
  }
  LLVMBuildRetVoid(e.build);
  LLVMDisposeBuilder(e.build);
  free(e.values);
  free(e.sums);
}
#endif
