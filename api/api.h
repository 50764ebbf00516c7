// SPDX-License-Identifier: Apache-2.0
// What the files of the public C API share. Not installed.
#ifndef BF_API_H
#define BF_API_H

#include "base/bf_base.h"
#include "base/bf_diag.h"
#include "bfimna/bfimna.h"
#include "isa/machine.h"
#include "isa/program.h"

struct bfimna_program {
  struct ap_program *program;
  struct ap_technology tech;  // that of the program, at its voltage
};

// Moves the rendered messages to *text (if the caller wants them) and frees the list. Returns `status`.
bfimna_status bf_api_done(bfimna_status status, struct bf_diags *diags, char **text);
// Takes ownership of `program` and loads its technology; NULL and errors if there is none of that name.
bfimna_program *bf_api_wrap(struct ap_program *program, struct bf_diags *diags);

#endif
