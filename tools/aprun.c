// SPDX-License-Identifier: Apache-2.0
// aprun: runs a compiled network.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/aprun/aprun.h"
#include "tools/aprun/watch.h"
#include "tools/common/diagnostics.h"

// A binary runs on the machine that it was compiled for: column numbers, tiles and microcode depend on it.
static bool check_target(const struct settings *s, const struct ap_program *program, struct bf_diags *diags) {
  struct ap_machine machine;
  if (s->target == NULL) {
    return true;
  }
  if (!ap_machine_load(s->target, &machine, NULL, diags)) {
    return false;
  }
  struct bf_buf wanted = {0}, compiled = {0};
  ap_machine_print(&machine, &wanted);
  ap_machine_print(&program->machine, &compiled);
  bool same = strcmp(bf_buf_cstr(&wanted), bf_buf_cstr(&compiled)) == 0;
  if (!same) {
    bf_error_file(diags, s->binary, "compile the network again for this target",
                  "the binary was compiled for machine '%s', which is not the target '%s'", program->machine.name, s->target);
  }
  bf_buf_free(&wanted);
  bf_buf_free(&compiled);
  return same;
}

// The supply is that of --vdd; else that of the binary, unless another technology is asked for.
static bool load_technology(const struct settings *s, const struct ap_program *program, struct ap_technology *tech,
                            struct bf_diags *diags) {
  if (!ap_technology_load(s->tech != NULL ? s->tech : program->tech, tech, diags)) {
    return false;
  }
  double vdd = s->vdd > 0 ? s->vdd : s->tech != NULL && strcmp(tech->name, program->tech) != 0 ? tech->vdd : program->vdd;
  return ap_technology_use_vdd(tech, vdd, "--vdd", diags);
}

// Which of `list` (tensor numbers) an argument means: by name, or the first that is not taken. -1: none.
static int64_t find_tensor(const struct ap_program *p, const uint32_t *list, uint32_t count, const bool *taken,
                           const struct named_file *file, const char *what, struct bf_diags *diags) {
  const char **names = bf_alloc((size_t)count + 1, sizeof *names);
  int64_t found = -1;
  for (uint32_t i = 0; i < count; i++) {
    names[i] = p->tensors[list[i]].name;
    bool fits = file->name != NULL ? strcmp(names[i], file->name) == 0 : !taken[i];
    found = fits && found < 0 ? (int64_t)i : found;
  }
  if (found < 0 && file->name != NULL) {
    const char *near = bf_nearest(file->name, names, count);
    char *hint = near != NULL              ? bf_format("did you mean '%s'?", near)
                 : count > 0               ? bf_format("the first %s is '%s'", what, names[0])
                                           : NULL;
    bf_error_file(diags, NULL, hint, "the network has no %s '%s'", what, file->name);
    free(hint);
  } else if (found < 0) {
    bf_error_file(diags, file->path, NULL, "the network has only %u %s%s", count, what, count == 1 ? "" : "s");
  } else if (taken[found]) {
    bf_error_file(diags, file->path, NULL, "%s %s is given twice", what, names[found]);
    found = -1;
  }
  free(names);
  return found;
}

static bool read_input(const struct ap_program *p, uint32_t input, const char *path, struct ap_images *out,
                       struct bf_diags *diags) {
  struct bf_array array = {0};
  if (!bf_npy_read(path, &array, diags)) {
    return false;
  }
  bool good = ap_images_convert(p, p->inputs[input], &array, path, out, diags);
  bf_array_free(&array);
  return good;
}

static bool read_inputs(const struct settings *s, const struct ap_program *p, struct ap_images *inputs,
                        struct bf_diags *diags) {
  bool *given = bf_alloc((size_t)p->ninputs + 1, sizeof *given);
  bool good = true;
  uint64_t images = p->batch;
  for (size_t i = 0; i < s->ninputs && good; i++) {
    int64_t at = find_tensor(p, p->inputs, p->ninputs, given, &s->inputs[i], "input", diags);
    good = at >= 0 && read_input(p, (uint32_t)at, s->inputs[i].path, &inputs[at], diags);
    if (good) {
      given[at] = true;
      images = inputs[at].images;
    }
  }
  for (uint32_t i = 0; i < p->ninputs && good; i++) {
    if (!given[i] && !s->random) {
      bf_error_file(diags, s->binary, "give it with --input=FILE.npy or ask for --random-input=SEED",
                    "input %s is missing", p->tensors[p->inputs[i]].name);
      good = false;
    } else if (!given[i]) {
      ap_images_random(p, p->inputs[i], s->seed, images, &inputs[i]);
    }
  }
  free(given);
  return good;
}

static void add_array(struct pending *pending, const char *path, const struct ap_session *session, uint32_t tensor) {
  struct bf_array array = ap_images_array(session->program, tensor, &session->values[tensor]);
  bf_npy_print(&array, pending_add(pending, path));
  bf_array_free(&array);
}

// Results never replace what was read, nor each other.
static bool path_is_free(const struct settings *s, const char *path, size_t outputs, struct bf_diags *diags) {
  bool clash = bf_same_file(path, s->binary);
  for (size_t i = 0; i < s->ninputs; i++) clash = clash || bf_same_file(path, s->inputs[i].path);
  if (clash) bf_error_file(diags, path, "choose another name", "the output is a file that this run reads");
  for (size_t i = 0; i < outputs && !clash; i++) {
    clash = !strcmp(path, s->outputs[i].path);
    if (clash) bf_error_file(diags, path, "choose another name", "two outputs go to one file");
  }
  return !clash;
}

static bool add_outputs(const struct settings *s, const struct ap_session *session, struct pending *pending,
                        struct bf_diags *diags) {
  const struct ap_program *p = session->program;
  bool *taken = bf_alloc((size_t)p->noutputs + 1, sizeof *taken);
  bool good = true;
  for (size_t i = 0; i < s->noutputs && good; i++) {
    int64_t at = find_tensor(p, p->outputs, p->noutputs, taken, &s->outputs[i], "output", diags);
    good = at >= 0 && path_is_free(s, s->outputs[i].path, i, diags);
    if (good) {
      taken[at] = true;
      add_array(pending, s->outputs[i].path, session, p->outputs[at]);
    }
  }
  free(taken);
  return good;
}

// Report and trace are outputs too.
static bool paths_are_free(const struct settings *s, struct bf_diags *diags) {
  if (s->trace != NULL && s->report_file != NULL && !strcmp(s->trace, s->report_file)) {
    bf_error_file(diags, s->trace, "choose another name", "two outputs go to one file");
    return false;
  }
  return (s->trace == NULL || path_is_free(s, s->trace, s->noutputs, diags)) &&
         (s->report_file == NULL || path_is_free(s, s->report_file, s->noutputs, diags));
}

// A layer's file has its name; characters that no file name should have become '_'.
static void add_layers(const struct settings *s, const struct ap_session *session, struct pending *pending) {
  struct ap_program *p = ap_profile_view(session->program, session->profile);
  for (uint32_t i = 0; i < p->nlayers; i++) {
    char *path = bf_format("%s/%s.npy", s->dump_layers, p->layers[i].name);
    for (char *c = path + strlen(s->dump_layers) + 1; *c != 0; c++) {
      *c = *c == '/' || (unsigned char)*c < ' ' ? '_' : *c;
    }
    add_array(pending, path, session, p->layers[i].output);
    free(path);
  }
  ap_profile_view_free(p);
}

static void print_report(const struct settings *s, const struct ap_session *session, const struct ap_report *report,
                         struct bf_buf *out) {
  if (s->report == 1) {
    ap_report_json(report, out);
    return;
  }
  ap_report_text(report, out);
  if (session->padded > 0) {
    bf_buf_printf(out, "waste   groups of %u images held %llu that were only padding\n", session->program->batch,
                  (unsigned long long)session->padded);
  }
}

// Of one profile: its layers. Of several in turn: the layers of all of them, and what each profile took.
static void make_report(const struct settings *s, struct ap_session *session, struct bf_buf *out) {
  const struct ap_program *p = session->program;
  struct ap_report report = {.program = p, .tech = session->tech, .layers = session->layers,
                             .total = &session->total, .engine = s->engine == AP_ENGINE_JIT ? "jit" : "interp",
                             .images = session->images, .count = s->count == AP_COUNT_STATIC ? "expected" : "exact"};
  if (session->nschedule > 0) {
    report.uses = session->uses;
    report.nuses = p->nprofiles;
    report.switches = session->switches;
    print_report(s, session, &report, out);
    return;
  }
  struct ap_program *view = ap_profile_view(p, session->profile);
  struct ap_account *layers = bf_alloc((size_t)view->nlayers + 1, sizeof *layers);
  ap_profile_accounts(p, session->profile, session->layers, layers);
  report.program = view;
  report.layers = layers;
  report.profile = p->nprofiles > 0 ? p->profiles[session->profile].name : NULL;
  print_report(s, session, &report, out);
  free(layers);
  ap_profile_view_free(view);
}

// Outputs, and the layers' tensors of the profiles that run.
static void choose_tensors(const struct settings *s, const struct ap_session *session, bool *want) {
  const struct ap_program *p = session->program;
  for (uint32_t i = 0; i < p->noutputs; i++) {
    want[p->outputs[i]] = true;
  }
  size_t profiles = session->nschedule > 0 ? session->nschedule : 1;
  for (size_t i = 0; i < profiles && (s->check || s->dump_layers != NULL); i++) {
    uint32_t profile = ap_session_profile(session, i);
    for (uint32_t l = 0; l < ap_profile_length(p, profile); l++) {
      want[p->layers[ap_profile_layer(p, profile, l)].output] = true;
    }
  }
}

// What the run yields, all of it in memory until nothing can fail any more but the writing.
static bool finish(const struct settings *s, struct ap_session *session, const struct watch *watch, const struct classes *classes,
                   struct bf_diags *diags) {
  struct pending pending = {0};
  struct bf_buf text = {0}, report = {0};
  char *summary = NULL;
  bool good = (!s->check || check_reference(s, session, &summary, diags)) && add_outputs(s, session, &pending, diags) &&
              paths_are_free(s, diags);
  if (good && s->top && session->program->noutputs > 0) {
    print_classes(classes, session, &text);
  }
  if (good && s->dump_layers != NULL) {
    if (mkdir(s->dump_layers, 0777) != 0 && errno != EEXIST) {
      bf_error_file(diags, s->dump_layers, NULL, "cannot make the folder: %s", strerror(errno));
      good = false;
    }
    add_layers(s, session, &pending);
  }
  if (good && (s->report >= 0 || s->report_file != NULL)) {
    make_report(s, session, s->report_file != NULL ? pending_add(&pending, s->report_file) : &report);
  }
  if (good && s->trace != NULL) {
    trace_print(&watch->trace, pending_add(&pending, s->trace));
  }
  good = good && !*s->stop && pending_write(&pending, diags);
  if (good) {
    FILE *side = s->report == 1 && s->report_file == NULL ? stderr : stdout;  // keeps JSON on stdout parsable
    fwrite(bf_buf_cstr(&text), 1, text.length, side);
    fwrite(bf_buf_cstr(&report), 1, report.length, stdout);
    if (summary != NULL) {
      fprintf(side, "%s\n", summary);
    }
    if (fflush(stdout) != 0) {
      bf_error_file(diags, "standard output", NULL, "cannot write: %s", strerror(errno));
      good = false;
    }
  }
  char *note = good && s->trace != NULL ? trace_note(&watch->trace) : NULL;
  if (note != NULL) {
    fprintf(stderr, "aprun: %s: %s\n", s->trace, note);
  }
  free(note);
  free(summary);
  bf_buf_free(&text);
  bf_buf_free(&report);
  pending_free(&pending);
  return good;
}

// Which profiles run.
static bool choose_profiles(const struct settings *s, struct ap_session *session, struct schedule *schedule, struct bf_diags *diags) {
  const struct ap_program *p = session->program;
  if (s->schedule != NULL) {
    bool good = schedule_read(schedule, s->schedule, p, diags);
    session->schedule = schedule->items;
    session->nschedule = schedule->count;
    if (good && s->dump_layers != NULL) {
      bf_error_file(diags, s->schedule, "choose one with --profile", "--dump-layers wants one profile for all images");
      good = false;
    }
    return good;
  }
  // A binary without profiles may be one profile's: --check then takes the name.
  bool alone = p->nprofiles == 0 && s->check;
  if (s->profile != NULL && !alone && !ap_profile_find(p, s->profile, &session->profile)) {
    ap_profile_unknown(p, s->profile, s->binary, diags);
    return false;
  }
  return true;
}

// Everything that may be wrong about the images is looked at before they run.
static bool read_images(const struct settings *s, struct ap_session *session, struct classes *classes, struct bf_diags *diags) {
  const struct ap_program *p = session->program;
  return read_inputs(s, p, session->inputs, diags) &&
         classes_read(classes, s, p, p->ninputs > 0 ? session->inputs[0].images : p->batch, diags);
}

static bool run_session(const struct settings *s, struct ap_session *session, bool *want, struct bf_diags *diags) {
  struct watch watch;
  struct ap_execution how = {.engine = s->engine, .count = s->count, .threads = s->threads, .stop = s->stop,
                             .progress = watch_progress, .trace = s->trace != NULL ? watch_trace : NULL, .context = &watch};
  struct classes classes = {.labels = NULL};
  session->how = &how;
  choose_tensors(s, session, want);
  bool good = read_images(s, session, &classes, diags);
  watch_begin(&watch, session, s->progress, s->trace != NULL);
  good = good && ap_session_run(session, diags);
  watch_end(&watch, good);
  good = good && finish(s, session, &watch, &classes, diags);
  classes_free(&classes);
  watch_free(&watch);
  return good;
}

static bool run_program(const struct settings *s, const struct ap_program *p, const struct ap_technology *tech,
                        struct bf_diags *diags) {
  struct schedule schedule = {0};
  bool *want = bf_alloc((size_t)p->ntensors + 1, sizeof *want);
  struct ap_session session = {.program = p, .tech = tech, .want = want};
  session.inputs = bf_alloc((size_t)p->ninputs + 1, sizeof *session.inputs);
  bool good = choose_profiles(s, &session, &schedule, diags) && run_session(s, &session, want, diags);
  for (uint32_t i = 0; i < p->ninputs; i++) {
    ap_images_free(&session.inputs[i]);
  }
  ap_session_free(&session);
  free(schedule.items);
  free(session.inputs);
  free(want);
  return good;
}

static bool run(const struct settings *s, struct bf_diags *diags) {
  struct ap_technology tech = {0};
  struct ap_program *program = ap_program_load(s->binary, diags);
  bool good = program != NULL && check_target(s, program, diags) && load_technology(s, program, &tech, diags);
  if (good && s->dump_layers != NULL && !program->keep_all) {
    bf_error_file(diags, s->binary, "compile it with --keep=all", "--dump-layers wants a binary that keeps every layer's tensor");
    good = false;
  }
  good = good && run_program(s, program, &tech, diags);
  ap_technology_free(&tech);
  ap_program_free(program);
  return good;
}

int main(int argc, char **argv) {
  struct settings s = {.report = -1};
  int status = options_parse(&s, argc, argv);
  if (status < 0) {
    struct bf_diags diags = {.default_file = s.binary};
    s.stop = stop_on_signals();
    status = run(&s, &diags) ? 0 : *s.stop ? 130 : 1;
    if (status == 130) {
      fprintf(stderr, "aprun: interrupted; nothing was written\n");
    }
    tool_print_diagnostics(&diags);
    bf_diags_free(&diags);
  }
  options_free(&s);
  return status;
}
