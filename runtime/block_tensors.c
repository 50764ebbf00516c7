// SPDX-License-Identifier: Apache-2.0
// In which form, elements or planes, the moves of a stage find their tensors.
#include <stdlib.h>
#include <string.h>

#include "runtime/block_plan.h"

#define MAX_VIEWS (sizeof((struct ap_block_plan *)0)->views / sizeof(struct ap_plane_view *))
#define INSIDE_BYTES ((size_t)16 << 20)  // of masks, at most

static bool is_move(const struct ap_entry *e) { return e->kind == AP_ENTRY_LOAD || e->kind == AP_ENTRY_STORE; }

static struct ap_tensor_use *use_of(struct ap_block_plan *plan, uint32_t *numbers, uint32_t root) {
  if (numbers[root] == 0) {
    BF_PUSH(plan->tensors, plan->ntensors, plan->tensors_capacity) = (struct ap_tensor_use){.tensor = root};
    numbers[root] = (uint32_t)plan->ntensors;
  }
  return &plan->tensors[numbers[root] - 1];
}

// The planes of the plan that are such a view.
static struct ap_planes *view_planes(struct ap_block_plan *plan, const struct ap_plane_view *like) {
  for (size_t i = 0; i < plan->nviews; i++) {
    if (ap_plane_same_view(plan->views[i], like)) {
      return &plan->views[i]->planes;
    }
  }
  if (plan->nviews == MAX_VIEWS) {
    return NULL;
  }
  struct ap_plane_view *view = bf_alloc(1, sizeof *view);
  *view = *like;
  plan->views[plan->nviews++] = view;
  return &view->planes;
}

// Whether this move can be done in planes. Threads that store must not meet in a word.
static bool in_planes(const struct ap_run *run, struct ap_block_plan *plan, const struct ap_entry *e, struct ap_plane_access *out) {
  struct ap_plane_view view;
  struct ap_move move = ap_move_of(run->program, e->instr);
  if (e->order != NULL) {
    bool store = e->kind == AP_ENTRY_STORE;
    return ap_channel_access(run, e->order, &move, store, &view, out) &&
           (out->constants != NULL || out->planes != NULL || (out->planes = view_planes(plan, &view)) != NULL);
  }
  if (!ap_plane_access(run, &move, out)) {
    return e->kind == AP_ENTRY_LOAD && !plan->tilewise && ap_plane_view(run, &move, &view, out) &&
           (out->planes = view_planes(plan, &view)) != NULL;
  }
  const struct ap_grid *grid = &run->program->grids[run->program->descs[e->instr->index].grid];
  bool aligned = out->position % 64 == 0 && (grid->tile_rows % 64 == 0 || ap_grid_tiles(grid) == 1);
  return e->kind == AP_ENTRY_LOAD || (out->whole && aligned && out->repeat == 1);
}

// Tensors at two widths in one memory: no form of planes is both.
static void find_mixed(const struct ap_run *run, const struct ap_block_plan *plan, bool *mixed) {
  const struct ap_program *p = run->program;
  uint8_t *bits = bf_alloc((size_t)p->ntensors + 1, sizeof *bits);
  for (size_t i = 0; i < plan->nused; i++) {
    const struct ap_entry *e = plan->used[i];
    if (is_move(e)) {
      const struct ap_desc *desc = &p->descs[e->instr->index];
      uint32_t root = ap_tensor_root(p, desc->tensor);
      uint8_t held = p->tensors[desc->tensor].bits;  // a load of some bits of them doesn't matter
      mixed[root] = mixed[root] || (bits[root] != 0 && bits[root] != held);
      bits[root] = held;
    }
  }
  free(bits);
}

// All stores of a tensor in one form: this one keeps to elements if one of them must.
static void forbid_planes(const struct ap_run *run, struct ap_block_plan *plan, bool *forbidden) {
  struct ap_plane_access access;
  for (size_t i = 0; i < plan->nused; i++) {
    const struct ap_entry *e = plan->used[i];
    if (e->kind == AP_ENTRY_STORE && (plan->tilewise || !in_planes(run, plan, e, &access))) {
      forbidden[ap_tensor_root(run->program, run->program->descs[e->instr->index].tensor)] = true;
    }
  }
}

// --- rows inside -----------------------------------------------------------------------------------------

// What the rows that loads find inside of their tensors depend on.
struct inside_key { uint32_t grid, shape[4]; int64_t low[4]; uint8_t row_dim[4]; int32_t row_stride[4]; };
struct inside { struct inside_key key; const uint64_t *masks; };
struct insides { struct inside *items; size_t count, capacity, bytes; };

static struct inside_key inside_key(const struct ap_program *p, const struct ap_move *load) {
  const struct ap_desc *desc = load->desc;
  uint32_t tap = load->tap;
  struct inside_key key;
  memset(&key, 0, sizeof key);  // keys are compared as memory
  key.grid = desc->grid;
  memcpy(key.shape, p->tensors[desc->tensor].shape, sizeof key.shape);
  memcpy(key.row_dim, desc->row_dim, sizeof key.row_dim);
  memcpy(key.row_stride, desc->row_stride, sizeof key.row_stride);
  for (int k = 3; k >= 0; k--) {
    key.low[k] = desc->origin[k] + (int64_t)(tap % desc->tap_count[k]) * desc->tap_step[k];
    tap /= desc->tap_count[k];
  }
  bool along = memchr(key.row_dim, 3, sizeof key.row_dim) != NULL;
  if (!along && key.low[3] >= 0 && key.low[3] < key.shape[3]) {
    key.low[3] = 0;  // any channel
  }
  return key;
}

static const uint64_t *work_out(const struct ap_run *run, struct ap_block_plan *plan, struct insides *all, const struct ap_entry *load) {
  struct ap_move move = ap_move_of(run->program, load->instr);
  uint64_t blocks = load->order != NULL ? load->order->each : ap_order_blocks(NULL, move.grid);
  if (blocks > (INSIDE_BYTES - all->bytes) / (AP_COLUMN_WORDS * sizeof(uint64_t))) {
    return NULL;
  }
  uint64_t *masks = bf_arena_alloc(&plan->arena, (size_t)(blocks * AP_COLUMN_WORDS), sizeof *masks);
  for (uint64_t b = 0; b < blocks; b++) {
    struct ap_block_rows at;
    if (!ap_order_block(load->order, move.grid, b, &at)) {
      continue;
    }
    if (load->order != NULL) {
      ap_channel_rows_inside(run, load->order, &move, at.row0, at.rows, masks + b * AP_COLUMN_WORDS);
    } else {
      ap_rows_inside(run, &move, at.row0, at.rows, masks + b * AP_COLUMN_WORDS);
    }
  }
  all->bytes += (size_t)(blocks * AP_COLUMN_WORDS) * sizeof *masks;
  return masks;
}

#define MAX_INSIDES 256  // kinds of loads that are looked at

static const uint64_t *rows_inside(const struct ap_run *run, struct ap_block_plan *plan, struct insides *all, const struct ap_entry *load) {
  struct ap_move move = ap_move_of(run->program, load->instr);
  struct ap_channel_move first;
  if (load->order != NULL) {
    ap_move_of_channel(&move, 0, &first);
    move = first.move;
  }
  struct inside_key key = inside_key(run->program, &move);
  for (size_t i = 0; i < all->count; i++) {
    if (memcmp(&all->items[i].key, &key, sizeof key) == 0) {
      return all->items[i].masks;
    }
  }
  if (all->count == MAX_INSIDES) {
    return NULL;
  }
  const uint64_t *masks = work_out(run, plan, all, load);
  BF_PUSH(all->items, all->count, all->capacity) = (struct inside){key, masks};
  return masks;
}

// --- constants -------------------------------------------------------------------------------------------

#define ROW_VIEW_BYTES ((size_t)96 << 20)  // of a plan

// The view of the load's descriptor, with its tap filled. `numbers`, by descriptor: which view of the plan it is, from 1 on. NULL: there is none.
static struct ap_row_view *row_view(const struct ap_run *run, struct ap_block_plan *plan, uint32_t *numbers, const struct ap_instr *load) {
  uint32_t *number = &numbers[load->index];
  struct ap_row_view view;
  if (*number == 0) {
    if (!ap_row_view(run, load, &view) || ap_planes_bytes(&view.planes) > ROW_VIEW_BYTES - plan->row_view_bytes) {
      return NULL;
    }
    struct ap_row_view *kept = bf_alloc(1, sizeof *kept);
    *kept = view;
    BF_PUSH(plan->row_views, plan->nrow_views, plan->row_views_capacity) = kept;
    plan->row_view_bytes += (size_t)ap_planes_bytes(&view.planes);
    *number = (uint32_t)plan->nrow_views;
  }
  ap_row_view_fill(run, plan->row_views[*number - 1], load);
  return plan->row_views[*number - 1];
}

// The constants of a tap for the channels of a grid, one byte each; NULL if they are larger, or too many.
static const uint8_t *channel_values(const struct ap_run *run, struct ap_block_plan *plan, const struct ap_instr *load, const struct ap_plane_access *x) {
  const struct ap_desc *desc = &run->program->descs[load->index];
  uint64_t channels = x->order->channels, most = ROW_VIEW_BYTES - plan->row_view_bytes, taps = ap_desc_taps(desc, most);
  if (x->bits > 8 || taps > most || channels > most || taps * channels + 8 > most) {
    return NULL;
  }
  if (plan->channel_values == NULL) {
    plan->ndescs = run->program->ndescs;
    plan->channel_values = bf_alloc((size_t)plan->ndescs + 1, sizeof *plan->channel_values);
  }
  uint8_t **values = &plan->channel_values[load->index];
  if (*values == NULL) {
    *values = bf_alloc((size_t)(taps * channels) + 8, 1);
    plan->row_view_bytes += (size_t)(taps * channels) + 8;
  }
  uint8_t *of_tap = *values + load->tap * channels;
  for (uint64_t c = 0; c < channels; c++) {
    of_tap[c] = (uint8_t)(ap_memory_get(x->constants, x->element + c * x->step) >> x->bit);
  }
  return of_tap;
}

// --- stages that load what they store --------------------------------------------------------------------

struct stored { bool is; bool seen; int64_t position; uint8_t bits; };

static bool moves_in_block(const struct ap_run *run, const struct ap_grid *grid, const struct ap_entry *e, struct stored *stored) {
  const struct ap_desc *desc = &run->program->descs[e->instr->index];
  struct ap_plane_access access;
  struct ap_move move = ap_move_of(run->program, e->instr);
  if (&run->program->grids[desc->grid] != grid || !ap_plane_access(run, &move, &access) || !access.whole || access.repeat != 1 ||
      access.position % 64 != 0 || (stored->seen && (access.position != stored->position || run->program->tensors[desc->tensor].bits != stored->bits))) {
    return false;
  }
  stored->seen = true;
  stored->position = access.position;
  stored->bits = run->program->tensors[desc->tensor].bits;
  return true;
}

bool ap_block_meets_in_blocks(const struct ap_run *run, const struct ap_block_plan *plan) {
  const struct ap_program *p = run->program;
  const struct ap_grid *grid = plan->regions[0].grid;
  struct stored *stored = bf_alloc((size_t)p->ntensors + 1, sizeof *stored);
  bool good = grid->tile_rows % 64 == 0 || ap_grid_tiles(grid) == 1;
  for (uint32_t r = 0; r < plan->stage->count; r++) {
    good = good && plan->regions[r].grid == grid;
  }
  for (size_t i = 0; i < plan->nused; i++) {
    const struct ap_entry *e = plan->used[i];
    if (e->kind == AP_ENTRY_STORE) {
      stored[ap_tensor_root(p, p->descs[e->instr->index].tensor)].is = true;
    }
  }
  for (size_t i = 0; i < plan->nused && good; i++) {
    const struct ap_entry *e = plan->used[i];
    struct stored *of = is_move(e) ? &stored[ap_tensor_root(p, p->descs[e->instr->index].tensor)] : NULL;
    good = of == NULL || !of->is || moves_in_block(run, grid, e, of);
  }
  free(stored);
  return good;
}

// --- a stage's moves -------------------------------------------------------------------------------------

void ap_block_find_planes(const struct ap_run *run, struct ap_block_plan *plan) {
  const struct ap_program *p = run->program;
  bool *forbidden = bf_alloc((size_t)p->ntensors + 1, sizeof *forbidden);
  uint32_t *numbers = bf_alloc((size_t)p->ntensors + 1, sizeof *numbers);
  bool *mixed = bf_alloc((size_t)p->ntensors + 1, sizeof *mixed);
  uint32_t *row_views = bf_alloc((size_t)p->ndescs + 1, sizeof *row_views);
  struct insides insides = {0};
  forbid_planes(run, plan, forbidden);
  find_mixed(run, plan, mixed);
  for (size_t i = 0; i < plan->nused; i++) {
    struct ap_entry *e = plan->used[i];
    struct ap_plane_access access;
    struct ap_row_view *view;
    if (!is_move(e)) {
      continue;
    }
    uint32_t root = ap_tensor_root(p, p->descs[e->instr->index].tensor);
    struct ap_tensor_use *use = use_of(plan, numbers, root);
    use->stored = use->stored || e->kind == AP_ENTRY_STORE;
    use->loaded = use->loaded || e->kind == AP_ENTRY_LOAD;
    if (!plan->tilewise && !mixed[root] && in_planes(run, plan, e, &access) && !(e->kind == AP_ENTRY_STORE && forbidden[root])) {
      struct ap_plane_access *kept = bf_arena_alloc(&plan->arena, 1, sizeof *kept);
      *kept = access;
      kept->move = e->instr;
      kept->pad = p->descs[e->instr->index].pad_value;
      kept->values = access.constants != NULL ? channel_values(run, plan, e->instr, &access) : NULL;
      kept->inside = access.whole ? NULL : rows_inside(run, plan, &insides, e);
      e->planes = kept;
      plan->bytes += sizeof *kept;
      use->planes = use->planes || kept->constants == NULL;
      use->bits = p->tensors[p->descs[e->instr->index].tensor].bits;
    } else if (e->kind == AP_ENTRY_LOAD && !plan->tilewise && e->order == NULL && (view = row_view(run, plan, row_views, e->instr)) != NULL) {
      struct ap_plane_access *kept = bf_arena_alloc(&plan->arena, 1, sizeof *kept);
      *kept = ap_row_view_access(view, e->instr);
      kept->tensor = root;
      kept->move = e->instr;
      e->planes = kept;
      plan->bytes += sizeof *kept;
    } else {
      use->elements = true;
    }
  }
  for (size_t i = 0; i < plan->nused && plan->blockwise; i++) {
    struct ap_entry *e = plan->used[i];
    if (e->kind == AP_ENTRY_LOAD && e->planes != NULL && e->planes->period == 0) {
      e->planes->changes = plan->tensors[numbers[e->planes->tensor] - 1].stored;
    }
  }
  plan->bytes += insides.bytes + plan->row_view_bytes;
  free(row_views);
  free(insides.items);
  free(forbidden);
  free(mixed);
  free(numbers);
}

// Of a block whose rows are taken channel by channel.
static bool channels_in_place(const struct ap_plane_access *x) {
  if (x->constants != NULL || !x->whole || x->limit < x->order->channels || x->position % AP_BLOCK_ROWS != 0) {
    return false;
  }
  uint32_t inner = (1u << x->order->shift) - 1;
  bool same = x->planes->shift == x->order->shift && (x->channel & inner) == 0;
  return x->step > 0 ? same && x->planes->blocks == x->order->each : x->order->shift == 0 && same;
}

bool ap_block_in_place(const struct ap_run *run, const struct ap_grid *grid, const struct ap_entry *e) {
  if (e->order != NULL) {
    return e->planes != NULL && channels_in_place(e->planes);
  }
  return e->planes != NULL && e->planes->whole && e->planes->repeat == 1 && e->planes->period == 0 && !e->planes->changes &&
         e->planes->position % AP_BLOCK_ROWS == 0 &&
         e->planes->planes->shift == 0 &&
         (grid->tile_rows % AP_BLOCK_ROWS == 0 || ap_grid_tiles(grid) == 1);
}

static size_t list_conversion(const struct ap_run *run, uint32_t tensor, bool to_planes, struct ap_conversion *list, size_t count) {
  uint64_t before = count > 0 ? list[count - 1].before + list[count - 1].parts : 0, parts = ap_planes_conversion(run, tensor, to_planes);
  list[count] = (struct ap_conversion){tensor, to_planes, before, parts};
  return count + (parts > 0);
}

size_t ap_block_conversions(const struct ap_run *run, const struct ap_block_plan *plan, struct ap_conversion *list) {
  size_t count = 0;
  for (size_t i = 0; i < plan->ntensors; i++) {
    const struct ap_tensor_use *use = &plan->tensors[i];
    if (use->planes) {
      ap_planes_narrow(run, use->tensor, use->bits);
      count = list_conversion(run, use->tensor, true, list, count);
    }
    if (use->elements) {
      count = list_conversion(run, use->tensor, false, list, count);
    }
  }
  return count;
}

void ap_block_prepare_tensors(const struct ap_run *run, const struct ap_block_plan *plan) {
  for (size_t i = 0; i < plan->ntensors; i++) {
    const struct ap_tensor_use *use = &plan->tensors[i];
    struct ap_planes *planes = &run->planes[use->tensor];
    if (use->elements) {
      ap_planes_to_memory(run, use->tensor);
    }
    if (use->planes) {
      ap_planes_narrow(run, use->tensor, use->bits);
      ap_planes_update(run, use->tensor);
    }
    if (use->stored) {  // never in both forms: a stage that loads what it stores is tilewise
      planes->current = use->planes;
      planes->memory_stale = use->planes;
      planes->memory_written = planes->memory_written || use->elements;
    }
  }
  for (size_t i = 0; i < plan->nviews; i++) {
    ap_plane_view_update(run, plan->views[i]);  // what a stage stores it does not load, or it is tilewise
  }
}
