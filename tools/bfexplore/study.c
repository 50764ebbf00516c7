// SPDX-License-Identifier: Apache-2.0
// The command `study`: options, the table of studies, files.
#include "tools/bfexplore/study.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/bfexplore/explore.h"

#define TOOL_OPTION_ROWS "tools/bfexplore/study_options.def"
#include "tools/common/option_rows.h"

// What every study takes, in bits by option.
#define BFX_TAKES(id) (1u << OPTION_##id % 32)
#define ALL_TAKE (BFX_TAKES(JSON) | BFX_TAKES(CSV) | BFX_TAKES(PLOT) | BFX_TAKES(TARGET))
static const struct entry { const char *name; bfx_study_function *run; uint32_t takes; const char *help; } studies[] = {
#define BFX_STUDY(name, function, takes, help) {name, function, takes | ALL_TAKE, help},
#include "tools/bfexplore/studies.def"
};
_Static_assert(NROWS <= 32, "a bit for each option");

struct command {
  struct bfx_study study;
  uint32_t given;  // options, as `takes`
};

static void help(void) {
  puts("Usage: bfexplore study NAME [OPTION]...\n\nStudies:");
  for (size_t i = 0; i < BF_COUNT(studies); i++) {
    printf("  %-18s %s\n", studies[i].name, studies[i].help);
  }
  puts("\nOptions:");
  tool_options_help(rows, NROWS, 24);
  puts("\nA table is printed on standard output, with the standing of every constant behind it.\n"
       "Exit status: 0 done, 1 the input is wrong, 2 wrong usage.");
}

static int take_number(struct bfx_study *s, int id, const char *arg) {
  uint64_t number;
  char *end;
  switch (id) {
    case OPTION_VDD:
      s->vdd = *arg >= '0' && *arg <= '9' ? strtod(arg, &end) : -1;
      return s->vdd > 0 && !*end ? -1 : bfx_usage("--vdd wants a voltage, not '%s'", arg);
    case OPTION_SEED:
      return tool_whole(arg, 0, UINT64_MAX - 1, &s->seed) ? -1 : bfx_usage("--seed wants a whole number, not '%s'", arg);
    default:
      if (!tool_whole(arg, 1, 1024, &number)) {
        return bfx_usage("--threads and --jobs want 1 to 1024, not '%s'", arg);
      }
      *(id == OPTION_THREADS ? &s->threads : &s->jobs) = (unsigned)number;
      return -1;
  }
}

static int take(void *settings, int id, const char *arg) {
  struct command *command = settings;
  struct bfx_study *s = &command->study;
  command->given |= 1u << id % 32;
  switch (id) {
    case OPTION_JSON: s->json = arg; return -1;
    case OPTION_CSV: s->csv = arg; return -1;
    case OPTION_PLOT: s->plot = arg; return -1;
    case OPTION_DATA: s->data = arg; return -1;
    case OPTION_TARGET: s->target = arg; return -1;
    case OPTION_TECH: s->tech = arg; return -1;
    case OPTION_ONLY: s->only = arg; return -1;
    case OPTION_BITS: s->bits = arg; return -1;
    case OPTION_RUN: s->run = true; return -1;
    case OPTION_HELP: help(); return 0;
    default: return take_number(s, id, arg);
  }
}

static bool write_file(struct bfx_study *s, const char *path, struct bf_buf *text) {
  bool ok = bf_diags_write(s->diags, path, text->data, text->length);
  bf_buf_free(text);
  return ok;
}

static bool write_files(struct bfx_study *s) {
  struct bf_buf text = {0};
  bool ok = true;
  if (s->json) {
    bfx_study_print_json(s, &text);
    ok = write_file(s, s->json, &text);
  }
  if (ok && s->csv) {
    bfx_study_print_csv(s, &text);
    ok = write_file(s, s->csv, &text);
  }
  if (ok && s->plot) {
    bfx_plot_svg(s->plots, s->nplots, &text);
    ok = write_file(s, s->plot, &text);
  }
  return ok;
}

// Every name of --only must be that of a row: its profile or its network.
static void check_only(struct bfx_study *s) {
  for (const char *at = s->only; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
    size_t length = strcspn(at, ","), i;
    bool found = false;
    json_t *row;
    json_array_foreach(s->rows, i, row) {
      const char *profile = json_string_value(json_object_get(row, "profile")), *network = json_string_value(json_object_get(row, "network"));
      found |= (profile && strlen(profile) == length && !strncmp(profile, at, length)) ||
               (network && strlen(network) == length && !strncmp(network, at, length));
    }
    if (!found) {
      bf_error_file(s->diags, "--only", NULL, "the study has nothing called `%.*s`", (int)length, at);
      return;
    }
  }
}

static bool writable(const char *path) {
  const char *slash = strrchr(path, '/');
  char *folder = slash ? bf_format("%.*s", (int)(slash - path + 1), path) : bf_strdup(".");
  struct stat info;
  bool there = stat(path, &info) == 0, is_folder = there && S_ISDIR(info.st_mode);
  bool ok = !is_folder && access(there && !S_ISREG(info.st_mode) ? path : folder, W_OK) == 0;
  int why = is_folder ? EISDIR : errno;
  free(folder);
  errno = why;
  return ok;
}

// What takes minutes shouldn't find out at its end that its files can't be written.
static bool check_files(struct bfx_study *s) {
  const char *files[] = {s->json, s->csv, s->plot};
  for (size_t i = 0; i < BF_COUNT(files); i++) {
    if (files[i] && !writable(files[i])) {
      bf_error_file(s->diags, files[i], NULL, "%s", strerror(errno));
      return false;
    }
    if (files[i] && (bf_same_file(files[i], s->target) || (s->tech && bf_same_file(files[i], s->tech)))) {
      bf_error_file(s->diags, files[i], NULL, "is an input: it would be overwritten");
      return false;
    }
    for (size_t k = 0; k < i && files[i]; k++) {
      if (files[k] && (!strcmp(files[k], files[i]) || bf_same_file(files[k], files[i]))) {
        bf_error_file(s->diags, files[i], NULL, "is asked for twice: one result would overwrite the other");
        return false;
      }
    }
  }
  return true;
}

static int run(struct bfx_study *s, bfx_study_function *function) {
  struct bf_diags diags = {.default_file = s->name};
  struct bf_buf out = {0};
  s->diags = &diags;
  s->rows = json_array();
  bool ok = check_files(s) && function(s);
  if (ok) {
    check_only(s);
  }
  if (!diags.errors && write_files(s)) {
    bfx_study_print_text(s, &out);
  }
  int status = bfx_end(&diags, &out);
  json_decref(s->rows);
  bf_buf_free(&s->notes);
  for (size_t i = 0; i < s->nplots; i++) {
    bfx_plot_free(&s->plots[i]);
  }
  return status;
}

// Options that the study would ignore are wrong usage.
static int run_study(struct command *command, const struct entry *entry) {
  uint32_t extra = command->given & ~entry->takes;
  for (int i = 0; i < NROWS; i++) {
    if (extra >> (OPTION_NONE + 1 + i) % 32 & 1) {
      char *what = bf_format("--%s", rows[i].name);
      int status = bfx_usage("this study has no use for %s", what);
      free(what);
      return status;
    }
  }
  return run(&command->study, entry->run);
}

int command_study(int argc, char **argv) {
  struct command *command = bf_alloc(1, sizeof *command);
  struct bfx_study *s = &command->study;
  s->target = "bf-imna-lr";
  s->seed = 1;
  const struct entry *entry = NULL;
  int status = tool_options_parse(rows, NROWS, argc, argv, bfx_usage, take, command);
  if (status < 0) {
    s->name = optind < argc ? argv[optind] : "";
    for (size_t i = 0; i < BF_COUNT(studies); i++) {
      entry = !strcmp(studies[i].name, s->name) ? &studies[i] : entry;
    }
    status = optind >= argc ? bfx_usage("study: no name given%s", "")
             : optind + 1 < argc ? bfx_usage("one study at a time; what is '%s'?", argv[optind + 1])
             : !entry ? bfx_usage("there is no study '%s'", s->name) : run_study(command, entry);
  }
  free(command);
  return status;
}
