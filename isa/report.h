// SPDX-License-Identifier: Apache-2.0
// Figures that both reports derive from the accounts. Internal to the report files.
#ifndef AP_REPORT_H
#define AP_REPORT_H

#include "isa/ledger.h"

struct ap_figures { double time_s, edp_js, gops, gops_per_w, area_mm2; uint64_t macs; };
struct ap_figures ap_report_figures(const struct ap_report *report);
// MACs of a layer for the images of the report (static: for one execution of the compiled batch).
uint64_t ap_report_macs(const struct ap_report *report, const struct ap_layer *layer);
// Whether the prices are for another technology or supply than the code was selected for.
bool ap_report_repriced(const struct ap_report *report);

// A layer of profiles that did not run.
bool ap_report_skips(const struct ap_report *report, uint32_t layer);

#endif
