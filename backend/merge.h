// SPDX-License-Identifier: Apache-2.0
// Several programs as the profiles of one, inside the back end.
#ifndef BF_MERGE_H
#define BF_MERGE_H

#include "base/bf_diag.h"
#include "isa/program.h"

struct bf_merger;
// Begins with the program of the first profile, which becomes the merger's.
struct bf_merger *bf_merge_begin(struct ap_program *first, const char *name);
// Adds a profile. Layers with the same content as one that is there are shared; others join as variants "LAYER@PROFILE", with their
// tensors: "TENSOR@PROFILE" lies in the memory of TENSOR. `program` is not changed, and not needed afterwards. False and an error if
// a limit of the format is passed.
bool bf_merge_add(struct bf_merger *merger, const struct ap_program *program, const char *name, struct bf_diags *diags);
// The program, owned by the caller; the merger is gone. NULL if `keep` is false: all is freed.
struct ap_program *bf_merge_end(struct bf_merger *merger, bool keep);

#endif
