// SPDX-License-Identifier: Apache-2.0
// Validator: microcode, tables, streams, layers and code. Afterwards an engine may execute without any check.
#include <stdlib.h>
#include <string.h>

#include "isa/validate.h"

// What the machine's array lacks of the features `needs`: NULL if nothing.
static const char *lacking(const struct ap_machine *machine, unsigned needs) {
  static const struct { unsigned feature; const char *why; } WHY[] = {
      {AP_FEATURE_ACCUMULATE, "the machine's array lacks the feature accumulate"},
      {AP_FEATURE_TAG_SHIFT, "the machine's array lacks the feature tag-shift"},
      {AP_FEATURE_TWO_D, "the machine's array lacks the feature two-d"},
      {AP_FEATURE_POPCOUNT, "the machine's array lacks the feature popcount"},
  };
  unsigned missing = needs & ~machine->features;
  for (size_t i = 0; i < BF_COUNT(WHY); i++)
    if (missing & WHY[i].feature)
      return WHY[i].why;
  return missing ? "the machine's array lacks a feature" : NULL;
}

static const char *check_micro(const struct ap_program *p, const struct ap_micro *micro, uint32_t *step) {
  const char *why = ap_micro_check_steps(micro, step);
  bool narrow = !(p->machine.features & AP_FEATURE_WIDE_WRITE);
  for (uint32_t i = 0; !why && i < micro->nsteps; i++) {
    const struct ap_step_info *info = ap_step_info(micro->steps[i].kind);
    *step = i;
    why = lacking(&p->machine, info->needs);
    if (!why && narrow && info->event == AP_EVENT_WRITE && micro->steps[i].nlits > AP_NARROW_WRITE)
      why = "it writes more than 2 columns at once, and the machine's array lacks the feature wide-write";
  }
  return why;
}

static bool ascending(const struct ap_micro *x, const struct ap_micro *y) {
  return x->op != y->op ? x->op < y->op : memcmp(x->width, y->width, 3) < 0;
}

void ap_check_micros(struct ap_check *check) {
  const struct ap_program *p = check->program;
  for (uint32_t i = 0; i < p->nmicros && !ap_check_full(check); i++) {
    const struct ap_micro *m = &p->micros[i];
    uint32_t step;
    const char *why = check_micro(p, m, &step);
    if (!why)
      step = m->nsteps;
    if (!why && i && !ascending(&p->micros[i - 1], m))
      why = "the programs are not in ascending order of opcode and widths, or one is there twice";
    if (why) {
      const struct ap_op_info *info = ap_op_info((unsigned)m->op);
      char *place = step < m->nsteps ? bf_format(", step %u", step) : bf_strndup("", 0);
      ap_check_fail_at(check, AP_PLACE_MICRO, i, "microcode program %u (%s, widths %u %u %u)%s: %s", i,
                       info ? info->mnemonic : "?", m->width[0], m->width[1], m->width[2], place, why);
      free(place);
    }
  }
}

static const char *check_move(const struct ap_program *p, const struct ap_instr *instr, uint32_t *grid) {
  if (instr->index >= p->ndescs)
    return "its descriptor does not exist";
  const struct ap_desc *desc = &p->descs[instr->index];
  *grid = desc->grid;
  if (instr->f[0].width != desc->bits)
    return "the field is not as wide as the descriptor's elements";
  if (instr->tap >= (uint64_t)desc->tap_count[0] * desc->tap_count[1] * desc->tap_count[2] * desc->tap_count[3])
    return "its tap does not exist";
  if (instr->op != AP_OP_STORE)
    return NULL;
  const struct ap_tensor *tensor = &p->tensors[desc->tensor];
  if (tensor->storage == AP_STORAGE_CONST)
    return "it stores into a constant";
  if (desc->bits != tensor->bits)
    return "it stores a part of the element's bits";
  for (unsigned k = 0; k < 4; k++) {
    int64_t low, high;
    ap_desc_bounds(p, desc, instr->tap, k, &low, &high);
    if (low < 0 || high >= (int64_t)tensor->shape[k])
      return "it stores outside the tensor";
  }
  return NULL;
}

// The pattern of an instruction goes with its widths.
static const char *check_pattern(const struct ap_program *p, const struct ap_instr *instr) {
  if (instr->index >= p->npatterns)
    return "its pattern does not exist";
  const struct ap_pattern *pattern = &p->patterns[instr->index];
  uint64_t all = pattern->base;
  for (unsigned i = 0; i < pattern->inputs; i++)
    all |= pattern->add[i];
  if (pattern->inputs != instr->f[1].width)
    return "field a is not as wide as its pattern has inputs";
  if (pattern->key >> instr->f[2].width)
    return "the key of its pattern is wider than field b";
  if (instr->f[0].width < 64 && all >> instr->f[0].width)
    return "a number of its pattern is wider than d";
  return NULL;
}

static const char *check_compute(const struct ap_program *p, const struct ap_instr *instr) {
  const char *why = lacking(&p->machine, ap_op_info((unsigned)instr->op)->needs);
  if (!why && instr->op == AP_OP_PATTERN)
    why = check_pattern(p, instr);
  return why || ap_program_micro(p, instr) ? why : "there is no microcode for it";
}

const char *ap_check_instr(const struct ap_program *program, const struct ap_instr *instr, uint32_t *grid) {
  *grid = AP_NO_GRID;
  const char *why = ap_instr_check(instr, program->machine.columns);
  if (why)
    return why;
  switch (ap_op_info((unsigned)instr->op)->op_class) {
  case AP_CLASS_MOVE:
    return check_move(program, instr, grid);
  case AP_CLASS_COMPUTE:
    return check_compute(program, instr);
  default:
    return "neither a move nor a computation";
  }
}

void ap_check_patterns(struct ap_check *check) {
  const struct ap_program *p = check->program;
  for (uint32_t i = 0; i < p->npatterns && !ap_check_full(check); i++) {
    const struct ap_pattern *pattern = &p->patterns[i];
    uint64_t behind = 0;
    for (unsigned k = pattern->inputs; k < AP_MAX_PATTERN_INPUTS; k++)
      behind |= pattern->add[k];
    if (pattern->inputs < 1 || pattern->inputs > AP_MAX_PATTERN_INPUTS)
      ap_check_fail_at(check, AP_PLACE_PATTERN, i, "pattern %u: %u inputs (allowed: 1..%u)", i, pattern->inputs,
                       AP_MAX_PATTERN_INPUTS);
    else if (pattern->key >> AP_MAX_PATTERN_KEY)
      ap_check_fail_at(check, AP_PLACE_PATTERN, i, "pattern %u: its key has more than %u bits", i, AP_MAX_PATTERN_KEY);
    else if (behind)
      ap_check_fail_at(check, AP_PLACE_PATTERN, i, "pattern %u: a number behind its last input", i);
  }
}

static void check_table(struct ap_check *check, uint32_t number) {
  const struct ap_table *table = &check->program->tables[number];
  uint32_t *of = &check->table_grid[number], grid;
  *of = AP_NO_GRID;
  for (uint32_t i = 0; i < table->count && !ap_check_full(check); i++) {
    const char *why = ap_check_instr(check->program, &table->items[i], &grid);
    if (!why && ap_op_info((unsigned)table->items[i].op)->tag != AP_TAG_CLOBBERS)
      why = "instructions on tags cannot stand in a table: streams do not keep tags";
    if (!why && grid != AP_NO_GRID && *of != AP_NO_GRID && *of != grid)
      why = "its descriptor is of another grid than those before";
    if (why)
      ap_check_fail_at(check, AP_PLACE_TABLE, number, "table %u, entry %u: %s", number, i, why);
    else if (grid != AP_NO_GRID)
      *of = grid;
  }
}

static uint16_t largest_step(const struct ap_stream *stream) {
  uint16_t largest = 0;
  for (uint32_t s = 0; s < stream->count; s++)
    largest = stream->steps[s] > largest ? stream->steps[s] : largest;
  return largest;
}

void ap_check_tables(struct ap_check *check) {
  const struct ap_program *p = check->program;
  for (uint32_t i = 0; i < p->ntables && !ap_check_full(check); i++)
    check_table(check, i);
  for (uint32_t i = 0; i < p->nstreams && !ap_check_full(check); i++) {
    const struct ap_stream *stream = &p->streams[i];
    if (stream->table >= p->ntables) {
      ap_check_fail_at(check, AP_PLACE_STREAM, i, "stream %u: its table does not exist", i);
      continue;
    }
    if (largest_step(stream) < p->tables[stream->table].count)
      continue;
    for (uint32_t s = 0; s < stream->count; s++)
      if (stream->steps[s] >= p->tables[stream->table].count) {
        ap_check_fail_at(check, AP_PLACE_STREAM, i, "stream %u, step %u: table %u has no entry %u", i, s, stream->table,
                         stream->steps[s]);
        break;
      }
  }
}

// State of the walk over the code.
struct walk {
  uint32_t grid;             // of the open region, or AP_NO_GRID
  unsigned depth;            // open loops
  bool tagged;               // the tag is defined: by instructions in straight-line code before
  uint64_t times[AP_MAX_LOOP_NEST + 1];  // executions of the code at each depth; [0]: tiles of the region
  uint64_t executed, tiles;  // totals, at most the limits
};

static const char *add_work(struct walk *w, uint64_t count) {
  uint64_t work;
  if (!bf_mul_limit(w->times[w->depth], count, AP_MAX_EXECUTED, &work) || work > AP_MAX_EXECUTED - w->executed)
    return "the program executes more than 2^40 instructions";
  w->executed += work;
  return NULL;
}

static const char *walk_region(struct walk *w, const struct ap_program *p, const struct ap_instr *instr) {
  if (instr->op == AP_OP_ENDGRID) {
    if (w->grid == AP_NO_GRID)
      return "no region is open";
    if (w->depth)
      return "the region ends within a loop";
    w->grid = AP_NO_GRID;
    w->times[0] = 1;
    return NULL;
  }
  if (w->grid != AP_NO_GRID)
    return "a region within a region";
  if (instr->index >= p->ngrids)
    return "its grid does not exist";
  w->grid = instr->index;
  w->times[0] = ap_grid_tiles(&p->grids[instr->index]);
  if (w->times[0] > AP_MAX_TILES - w->tiles)
    return "the program has more than 2^20 tiles";
  w->tiles += w->times[0];
  return NULL;
}

static const char *walk_loop(struct walk *w, const struct ap_instr *instr) {
  if (w->grid == AP_NO_GRID)
    return "outside a tile region";
  if (instr->op == AP_OP_ENDLOOP) {
    if (!w->depth)
      return "no loop is open";
    w->depth--;
    return NULL;
  }
  if (w->depth == AP_MAX_LOOP_NEST)
    return "loops nest deeper than 4";
  if (!bf_mul_limit(w->times[w->depth], instr->index, AP_MAX_EXECUTED, &w->times[w->depth + 1]))
    return "the program executes more than 2^40 instructions";
  w->depth++;
  return NULL;
}

static const char *walk_steps(struct ap_check *check, struct walk *w, const struct ap_instr *instr) {
  if (w->grid == AP_NO_GRID)
    return "outside a tile region";
  if (instr->index >= check->program->nstreams)
    return "its stream does not exist";
  const struct ap_stream *stream = &check->program->streams[instr->index];
  uint32_t grid = check->table_grid[stream->table];
  if (grid != AP_NO_GRID && grid != w->grid)
    return "the descriptors of its table are of another grid";
  return add_work(w, stream->count);
}

// Tags pass from one instruction on tags to the next; loads and stores between them do not touch them, everything else does.
static const char *walk_tag(struct walk *w, const struct ap_instr *instr) {
  const struct ap_op_info *info = ap_op_info((unsigned)instr->op);
  bool given = w->tagged;
  if (info->op_class == AP_CLASS_MOVE)
    return NULL;
  w->tagged = info->tag == AP_TAG_SETS || info->tag == AP_TAG_USES;
  if ((info->tag == AP_TAG_USES || info->tag == AP_TAG_TAKES) && !given)
    return "no tags are defined here: a compare must come before it, with nothing between but instructions on tags, loads and "
           "stores";
  return NULL;
}

static const char *walk_instr(struct ap_check *check, struct walk *w, uint32_t at) {
  const struct ap_program *p = check->program;
  const struct ap_instr *instr = &p->code[at];
  uint32_t grid;
  const char *why = ap_instr_check(instr, p->machine.columns);
  if (!why)
    why = add_work(w, 1);
  if (!why)
    why = walk_tag(w, instr);
  if (why)
    return why;
  switch (instr->op) {
  case AP_OP_GRID:
  case AP_OP_ENDGRID:
    return walk_region(w, p, instr);
  case AP_OP_LOOP:
  case AP_OP_ENDLOOP:
    return walk_loop(w, instr);
  case AP_OP_STEPS:
    return walk_steps(check, w, instr);
  case AP_OP_HALT:
    if (at + 1 != p->ncode)
      return "not at the end of the program";
    return w->grid == AP_NO_GRID ? NULL : "within a tile region";
  case AP_OP_BARRIER:
    return w->grid == AP_NO_GRID ? NULL : "within a tile region";
  case AP_OP_HOST:
    if (instr->index >= p->nhosts)
      return "its host op does not exist";
    return w->grid == AP_NO_GRID ? NULL : "within a tile region";
  default:
    if (w->grid == AP_NO_GRID)
      return "outside a tile region";
    why = ap_check_instr(p, instr, &grid);
    return why || grid == AP_NO_GRID || grid == w->grid ? why : "its descriptor is of another grid";
  }
}

static void check_layers(struct ap_check *check) {
  const struct ap_program *p = check->program;
  uint32_t next = 0;
  for (uint32_t i = 0; i < p->nlayers && !ap_check_full(check); i++) {
    const struct ap_layer *l = &p->layers[i];
    if (l->first < next || l->end < l->first || l->end > p->ncode)
      ap_check_fail(check, "layer %s: its code is not in order or not in range", l->name);
    else
      next = l->end;
    if (l->output >= p->ntensors)
      ap_check_fail(check, "layer %s: its output tensor does not exist", l->name);
  }
}

static bool belongs_to_no_layer(const struct ap_instr *instr) {
  return instr->op == AP_OP_BARRIER || instr->op == AP_OP_HALT;
}

void ap_check_code(struct ap_check *check) {
  const struct ap_program *p = check->program;
  struct walk w = {.grid = AP_NO_GRID, .times[0] = 1};
  check_layers(check);
  if (p->ncode == 0 || p->code[p->ncode - 1].op != AP_OP_HALT)
    ap_check_fail(check, "the code does not end with halt");
  if (check->errors)
    return;
  uint32_t layer = 0;
  for (uint32_t at = 0; at < p->ncode; at++) {
    while (layer < p->nlayers && at >= p->layers[layer].end) {
      // Regions and loops are closed where a layer ends; where one begins this is so, too, as only
      // barrier and halt stand between layers.
      if (at == p->layers[layer].end && w.grid != AP_NO_GRID) {
        ap_check_fail(check, "layer %s ends within a tile region", p->layers[layer].name);
        return;
      }
      layer++;
    }
    bool inside = layer < p->nlayers && at >= p->layers[layer].first;
    const char *why = walk_instr(check, &w, at);
    if (!why && !inside && !belongs_to_no_layer(&p->code[at]))
      why = "it belongs to no layer";
    if (why && p->place_error) {
      check->errors++;
      p->place_error(p->place_error_context, AP_PLACE_INSTR, at, why);
      return;
    }
    if (why) {
      struct bf_buf text = {0};
      if (ap_op_info((unsigned)p->code[at].op))
        ap_asm_print_instr(&p->code[at], &text);
      ap_check_fail(check, "instruction %u (%s)%s%s: %s", at, bf_buf_cstr(&text), inside ? " of layer " : "",
                    inside ? p->layers[layer].name : "", why);
      bf_buf_free(&text);
      return;
    }
  }
}
