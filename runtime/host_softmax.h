// SPDX-License-Identifier: Apache-2.0
// Inside the runtime: the kernels of the softmax host op.
#ifndef AP_HOST_SOFTMAX_H
#define AP_HOST_SOFTMAX_H

#include "runtime/run.h"

// For inputs of 16 bits (ap_host_softmax calls it).
void ap_host_softmax16(const struct ap_run *run, const struct ap_host *host);

#endif
