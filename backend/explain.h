// SPDX-License-Identifier: Apache-2.0
// Why each layer's code is as it is: plans, what was rejected, lower bounds, for reports.
#ifndef BF_EXPLAIN_H
#define BF_EXPLAIN_H

#include "backend/compiler.h"
#include "isa/ledger.h"

struct bf_explanation { struct ap_report_plan *plans; size_t count; };  // by node, which is by layer

// Of a verified graph. choices: by node, as the pass `map` made them, or NULL: they are made again. Owns its texts; free with bf_explanation_free.
void bf_explain(const struct bf_graph *graph, const struct bf_compile_options *options, const struct bf_choice *choices, struct bf_explanation *out);
void bf_explanation_free(struct bf_explanation *explanation);

#endif
