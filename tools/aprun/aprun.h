// SPDX-License-Identifier: Apache-2.0
// Parts of the aprun program.
#ifndef APRUN_H
#define APRUN_H

#include "runtime/session.h"

// A "[NAME=]FILE" argument; name is NULL if not given.
struct named_file { char *name; const char *path; };

struct settings {
  const char *binary;
  struct named_file *inputs, *outputs;
  size_t ninputs, inputs_capacity, noutputs, outputs_capacity;
  bool random, check, top, progress;
  enum ap_engine engine;
  enum ap_count count;
  unsigned threads;  // 0: one for each processor
  uint64_t seed;
  const char *target, *tech, *dump_layers, *network, *labels, *classes, *report_file, *trace;
  const char *profile, *schedule, *profiles;
  double vdd;   // 0: as compiled
  int report;   // -1 none, 0 text, 1 JSON
  const volatile bool *stop;  // set when the user wants the run to end
};
// Fills the settings. -1: go on, else the exit status (a message was printed).
int options_parse(struct settings *settings, int argc, char **argv);
void options_free(struct settings *settings);

// Profiles in turn, as --profile-schedule names them. False: an error was added.
struct schedule { uint32_t *items; size_t count, capacity; };
bool schedule_read(struct schedule *schedule, const char *path, const struct ap_program *program, struct bf_diags *diags);

// Compares the collected tensors with the reference evaluator on the network's file. *summary (caller frees) says
// what was compared. False: an error was added, or settings->stop is set.
bool check_reference(const struct settings *settings, const struct ap_session *session, char **summary,
                     struct bf_diags *diags);

// What --classes and --labels give; all zero without them.
struct class_lines { char *text; char **items; size_t count, capacity; };
struct classes { struct class_lines names; int64_t *labels; };
// Reads both. False, and an error: `images` images have no such true classes of the program's first output.
bool classes_read(struct classes *classes, const struct settings *settings, const struct ap_program *program, uint64_t images,
                  struct bf_diags *diags);
void classes_free(struct classes *classes);
// The line for each image: its class, and the true one if labels are given.
void print_classes(const struct classes *classes, const struct ap_session *session, struct bf_buf *out);

// Files to be written together, when all work has succeeded.
struct pending { struct pending_file { char *path; struct bf_buf data; } *items; size_t count, capacity; };
struct bf_buf *pending_add(struct pending *pending, const char *path);
// Writes all; if one fails, those already written that were new are removed.
bool pending_write(struct pending *pending, struct bf_diags *diags);
void pending_free(struct pending *pending);

#endif
