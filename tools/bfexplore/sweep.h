// SPDX-License-Identifier: Apache-2.0
// Sweeps: what a specification asks for, the journal of points that are done, and the files at the end.
#ifndef BFX_SWEEP_H
#define BFX_SWEEP_H

#include "tools/bfexplore/points.h"

#define BFX_MAX_POINTS 200000u
#define BFX_MAX_SWEEP_PLOTS 4u

struct bfx_sweep {
  struct bfx_points points;
  char *series;                                      // axis that tells series of plots apart
  struct { char *x, *y; } plots[BFX_MAX_SWEEP_PLOTS];  // figures on the axes; owned
  size_t nplots;
};

// Reads a specification (docs/bfexplore.md). False and an error. bfx_sweep_free in either case.
bool bfx_sweep_read(const char *path, struct bfx_sweep *out, struct bf_diags *diags);
void bfx_sweep_free(struct bfx_sweep *sweep);

// The journal: a JSON object a line for every point that is done, in order of time.
struct bfx_journal { int file; };
// Opens it for appending, made if need be; sets results of points that it has. A torn last line (of an interrupted run) is cut off.
// *known: how many points it had. `fresh`: begins anew. False and an error.
bool bfx_journal_open(const char *path, bool fresh, struct bfx_points *points, struct bfx_journal *out, size_t *known, struct bf_diags *diags);
// One line, written by one call. False: the disk is full, say.
bool bfx_journal_add(struct bfx_journal *journal, const struct bfx_point *point);
void bfx_journal_close(struct bfx_journal *journal);

// results.csv, results.json and pareto.svg in the folder. False and an error.
bool bfx_sweep_write(const struct bfx_sweep *sweep, const char *folder, struct bf_diags *diags);

#endif
