// SPDX-License-Identifier: Apache-2.0
// Programs with one thing wrong, which the validator must refuse, with words that say it. A table CASES(X) of X(name, change, words), where
// `change` is an expression on `p`, gives a function for each row and the rows.
#ifndef BF_TEST_REFUSED_H
#define BF_TEST_REFUSED_H

#include "isa/program.h"

struct refused { const char *name; void (*change)(struct ap_program *p); const char *words; };

#define REFUSED_CHANGE(name, change, words) \
  static void change_##name(struct ap_program *p) { change; }
#define REFUSED_ROW(name, change, words) {#name, change_##name, words},

static inline void expect_refused(struct ap_program *(*make)(void), const struct refused *list, size_t count) {
  for (size_t i = 0; i < count; i++) {
    struct ap_program *p = make();
    struct bf_diags diags = {0};
    list[i].change(p);
    if (ap_program_validate(p, &diags)) fail_msg("%s: accepted", list[i].name);
    assert_true(diags.errors > 0);
    bool found = false;
    for (size_t k = 0; k < diags.count; k++) found = found || strstr(diags.items[k].message, list[i].words);
    if (!found) fail_msg("%s: %s", list[i].name, diags.items[0].message);
    bf_diags_free(&diags);
    ap_program_free(p);
  }
}

#endif
