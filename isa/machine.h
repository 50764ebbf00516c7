// SPDX-License-Identifier: Apache-2.0
// Machine and technology descriptions, read from .ini files (isa/machines, isa/technologies).
#ifndef AP_MACHINE_H
#define AP_MACHINE_H

#include "base/bf_base.h"
#include "base/bf_diag.h"

struct ap_machine {
  char name[32];
  uint32_t clusters;           // 1..65536
  uint32_t caps_per_cluster;   // 1..65536
  uint32_t rows;               // per CAP, 1..65536
  uint32_t columns;            // per CAP, 16..1024
  double clock_hz;
  uint64_t map_bits;           // capacity of one MAP
  uint32_t port_bits;          // width of a cluster's port to its MAP, bits a cycle
  uint32_t mesh_bits;          // width of the mesh, bits a cycle
  bool multicast;              // one load may serve several CAPs of a cluster
  bool unlimited_caps;         // as many CAPs as the largest layer needs (bf-imna-ir)
  unsigned features;           // AP_FEATURE_*
  char technology[32];         // default technology
};
// Standing of a constant, printed by reports.
enum ap_standing { AP_SOURCED, AP_DERIVED, AP_ASSUMED };
struct ap_technology {
  char name[32];
  double vdd, vdd_nominal;     // V
  double compare_match_j;      // J per searched cell of a matching row
  double compare_mismatch_j;   // J per searched cell of a mismatching row
  double write_j;              // J per written cell that changes
  double write_same_j;         // J per written cell that keeps its value
  uint32_t compare_cycles, write_cycles;  // latency of one compare / one write in clock cycles
  double shift_j;              // J per row when the tag moves by one row
  double count_j;              // J per row when the tags are counted
  double load_bit_j, store_bit_j;         // J per bit moved between MAP and CAP
  double external_bit_j;       // J per bit crossing the chip border
  double leakage_w_per_cell;   // W
  double cell_area_m2;
  // Where each constant comes from: "key: sourced|derived|assumed: text", one a line (heap).
  char *provenance;
};

// Reads a description. The whole text is kept by callers that store it in a binary. Unknown keys,
// missing keys and out-of-range values are errors with line numbers.
bool ap_machine_parse(const struct bf_source *source, struct ap_machine *out, struct bf_diags *diags);
bool ap_technology_parse(const struct bf_source *source, struct ap_technology *out, struct bf_diags *diags);
void ap_technology_free(struct ap_technology *technology);
// Finds a preset by name (compiled-in copies of isa/machines/*.ini, isa/technologies/*.ini), or reads
// the file if `name` contains '/' or ends in ".ini". *source is owned by diags.
bool ap_machine_load(const char *name, struct ap_machine *out, const struct bf_source **source, struct bf_diags *diags);
bool ap_technology_load(const char *name, struct ap_technology *out, struct bf_diags *diags);
// Name of feature number `index` in machine files, and its AP_FEATURE_* bit; NULL beyond the last.
const char *ap_feature_name(unsigned index, unsigned *bit);
// Canonical text of a machine (fixed key order): what binaries store; parses back to the same machine.
void ap_machine_print(const struct ap_machine *machine, struct bf_buf *out);
// Supply scaling: dynamic energy × (vdd/nominal)^2, leakage × vdd/nominal (documented in docs/cost-model.md).
// False if vdd is outside 0.3..1.5 × nominal.
bool ap_technology_set_vdd(struct ap_technology *technology, double vdd);
// The same of a supply that was asked for (0: none, the nominal one stays), with an error about `file` that says the range.
bool ap_technology_use_vdd(struct ap_technology *technology, double vdd, const char *file, struct bf_diags *diags);

#endif
