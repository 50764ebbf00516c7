// SPDX-License-Identifier: Apache-2.0
// Small definitions that the static account and the engines share, so that they cannot differ.
#include "isa/ledger.h"

void ap_events_add(struct ap_events *to, const struct ap_events *from) {
  to->compare += from->compare;
  to->write += from->write;
  to->load += from->load;
  to->store += from->store;
  to->load_bits += from->load_bits;
  to->store_bits += from->store_bits;
  to->move += from->move;
  to->shift += from->shift;
  to->count += from->count;
  to->shift_rows += from->shift_rows;
  to->count_rows += from->count_rows;
  to->external += from->external;
  to->host += from->host;
  to->compare_cells += from->compare_cells;
  to->match_cells += from->match_cells;
  to->written_cells += from->written_cells;
  to->changed_cells += from->changed_cells;
}

void ap_account_add(struct ap_account *to, const struct ap_account *from) {
  ap_events_add(&to->events, &from->events);
  to->time.cycles += from->time.cycles;
  to->time.compute += from->time.compute;
  to->time.stall += from->time.stall;
  to->time.tiles += from->time.tiles;
  to->time.waves += from->time.waves;
  to->time.rows += from->time.rows;
  to->time.caps = from->time.caps > to->time.caps ? from->time.caps : to->time.caps;
  to->energy_j += from->energy_j;
}

void ap_account_price(struct ap_account *account, const struct ap_technology *tech, const struct ap_machine *machine) {
  uint64_t cells = (uint64_t)account->time.caps * machine->rows * machine->columns;
  account->energy_j = ap_energy(tech, machine, &account->events, account->time.cycles, cells);
}

uint64_t ap_searched_rows(const struct ap_machine *machine, uint64_t rows) {
  return machine->features & AP_FEATURE_ROW_GATING ? rows : machine->rows;
}

uint64_t ap_tensor_bits(const struct ap_tensor *tensor) { return ap_tensor_elements(tensor) * tensor->bits; }

uint64_t ap_external_bits(const struct ap_program *program, bool first, bool last) {
  uint64_t bits = 0;
  if (first) {
    for (uint32_t i = 0; i < program->ninputs; i++) {
      bits += ap_tensor_bits(&program->tensors[program->inputs[i]]);
    }
  }
  if (last) {
    for (uint32_t i = 0; i < program->noutputs; i++) {
      bits += ap_tensor_bits(&program->tensors[program->outputs[i]]);
    }
  }
  return bits;
}

void ap_profile_accounts(const struct ap_program *program, uint32_t profile, const struct ap_account *layers,
                         struct ap_account *out) {
  for (uint32_t i = 0; i < ap_profile_length(program, profile); i++) {
    out[i] = layers[ap_profile_layer(program, profile, i)];
  }
}

uint32_t ap_layer_of(const struct ap_program *program, uint32_t index) {
  for (uint32_t i = 0; i < program->nlayers; i++) {
    if (index >= program->layers[i].first && index < program->layers[i].end) {
      return i;
    }
  }
  return program->nlayers;
}

uint32_t ap_region_end(const struct ap_program *program, uint32_t grid) {
  while (program->code[grid].op != AP_OP_ENDGRID) {
    grid++;
  }
  return grid;
}

static uint64_t add_load(uint64_t key, const struct ap_instr *instr) {
  return instr->op == AP_OP_LOAD || instr->op == AP_OP_LOADP ? ap_load_key_load(key, instr->index, instr->tap) : key;
}

uint64_t ap_region_load_key(const struct ap_program *program, uint32_t grid) {
  uint64_t key = AP_LOAD_KEY_BEGIN;
  uint32_t end = ap_region_end(program, grid);
  for (uint32_t i = grid; i < end; i++) {
    const struct ap_instr *instr = &program->code[i];
    if (instr->op == AP_OP_STEPS) {
      const struct ap_stream *stream = &program->streams[instr->index];
      const struct ap_table *table = &program->tables[stream->table];
      for (uint32_t s = 0; s < stream->count; s++) {
        key = add_load(key, &table->items[stream->steps[s]]);
      }
    } else if (instr->op == AP_OP_LOOP || instr->op == AP_OP_ENDLOOP) {
      key = ap_load_key_loop(key, instr);
    } else {
      key = add_load(key, instr);
    }
  }
  return key;
}

double ap_energy(const struct ap_technology *tech, const struct ap_machine *machine, const struct ap_events *events,
                 uint64_t cycles, uint64_t cells) {
  // Expected counts may be rounded, so a difference is never taken below zero.
  uint64_t mismatch = events->compare_cells > events->match_cells ? events->compare_cells - events->match_cells : 0;
  uint64_t same = events->written_cells > events->changed_cells ? events->written_cells - events->changed_cells : 0;
  double dynamic = (double)events->match_cells * tech->compare_match_j + (double)mismatch * tech->compare_mismatch_j +
                   (double)events->changed_cells * tech->write_j + (double)same * tech->write_same_j +
                   (double)events->load_bits * tech->load_bit_j + (double)events->store_bits * tech->store_bit_j +
                   (double)events->shift_rows * tech->shift_j + (double)events->count_rows * tech->count_j +
                   (double)events->external * tech->external_bit_j;
  double leakage = tech->leakage_w_per_cell * (double)cells * ((double)cycles / machine->clock_hz);
  return dynamic + leakage;
}
