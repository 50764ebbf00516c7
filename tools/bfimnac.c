// SPDX-License-Identifier: Apache-2.0
// bfimnac: the compiler's command line.
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/columns.h"
#include "backend/compiler.h"
#include "backend/explain.h"
#include "frontend/load.h"
#include "ir/profile.h"
#include "isa/ledger.h"
#include "quantize/quantize.h"
#include "tools/common/diagnostics.h"
#include "tools/common/network_costs.h"

#define TOOL_OPTION_ROWS "backend/bfimnac_options.def"
#include "tools/common/option_rows.h"

static const char *const emit_names[] = {"apbin", "asm", "ir", "bfn", "dot", "columns"};
enum emit { EMIT_APBIN, EMIT_ASM, EMIT_IR, EMIT_BFN, EMIT_DOT, EMIT_COLUMNS };
static const char *const mapping_names[BF_MAPPING_COUNT] = {"auto", "mac", "output", "pixel"};
static const char *const objective_names[BF_OBJECTIVE_COUNT] = {"cycles", "energy", "edp"};
static const char *const report_names[] = {"text", "json"};

struct settings {
  const char *input, *output, *target, *tech;
  double vdd;
  int emit, mapping, objective, report;  // report: -1 none
  unsigned opt_level;
  uint32_t batch;
  unsigned assume_w, assume_a;
  bool keep_all, verify_each, time_passes, explain;
  const char *passes, *print_after, *profile, *profiles, *cache;
  const char *quantize, *calibrate;
};

static int usage(const char *fmt, const char *what) { return tool_wrong_usage("bfimnac", fmt, what); }

static void help(void) {
  puts("Usage: bfimnac [OPTION]... INPUT\n\nCompiles INPUT (.bfn, .tflite, .onnx or .bfir) for an associative processor.\n");
  tool_options_help(rows, NROWS, 32);
  puts("\nExit status: 0 done, 1 the input is wrong, 2 wrong usage.");
}

// "w8a8": widths of weights and activations, 2 to 16 bits each.
static bool widths(const char *text, unsigned *w, unsigned *a) {
  int end = 0;
  bool form = strspn(text, "wa0123456789") == strlen(text) && sscanf(text, "w%2ua%2u%n", w, a, &end) == 2 && !text[end];
  return form && *w >= 2 && *w <= 16 && *a >= 2 && *a <= 16;
}

// One option; -1: go on, else the exit status.
static int take(void *settings, int id, const char *arg) {
  struct settings *s = settings;
  double value = 0;
  int pick = 0;
  switch (id) {
  case OPTION_OUTPUT: s->output = strcmp(arg, "-") ? arg : NULL; return -1;
  case OPTION_EMIT:
    pick = s->emit = tool_choose(emit_names, BF_COUNT(emit_names), arg);
    return pick < 0 ? usage("--emit wants apbin, asm, ir, bfn, dot or columns, not '%s'", arg) : -1;
  case OPTION_ASM: s->emit = EMIT_ASM; return -1;
  case OPTION_TARGET: s->target = arg; return -1;
  case OPTION_TECH: s->tech = arg; return -1;
  case OPTION_VDD:
    if (!tool_real(arg, 1e-3, 100, &s->vdd)) return usage("--vdd wants volts, not '%s'", arg);
    return -1;
  case OPTION_OPTIMIZE:
    if (!tool_real(arg, 0, 3, &value) || value != (int)value) return usage("-O wants 0, 1, 2 or 3, not '%s'", arg);
    s->opt_level = (unsigned)value;
    return -1;
  case OPTION_MAPPING:
    pick = s->mapping = tool_choose(mapping_names, BF_MAPPING_COUNT, arg);
    return pick < 0 ? usage("--mapping wants auto, mac, output or pixel, not '%s'", arg) : -1;
  case OPTION_OBJECTIVE:
    pick = s->objective = tool_choose(objective_names, BF_OBJECTIVE_COUNT, arg);
    return pick < 0 ? usage("--objective wants cycles, energy or edp, not '%s'", arg) : -1;
  case OPTION_BATCH:
    if (strcmp(arg, "auto") && (!tool_real(arg, 1, 65536, &value) || value != (int)value))
      return usage("--batch wants 1 to 65536 or auto, not '%s'", arg);
    s->batch = (uint32_t)value;  // 0: auto
    return -1;
  case OPTION_KEEP:
    s->keep_all = true;
    return strcmp(arg, "all") ? usage("--keep knows only 'all', not '%s'", arg) : -1;
  case OPTION_ASSUME:
    return widths(arg, &s->assume_w, &s->assume_a) ? -1 : usage("--assume wants widths from 2 to 16 bits like w8a8, not '%s'", arg);
  case OPTION_PROFILE: s->profile = arg; return -1;
  case OPTION_PROFILES: s->profiles = arg; return -1;
  case OPTION_QUANTIZE: s->quantize = arg; return -1;
  case OPTION_CALIBRATE: s->calibrate = arg; return -1;
  case OPTION_PASSES: s->passes = arg; return -1;
  case OPTION_PRINT_AFTER: s->print_after = arg; return -1;
  case OPTION_EXPLAIN: s->explain = true; return -1;
  case OPTION_VERIFY_EACH: s->verify_each = true; return -1;
  case OPTION_REPORT:
    pick = s->report = tool_choose(report_names, 2, arg);
    return pick < 0 ? usage("--report wants text or json, not '%s'", arg) : -1;
  case OPTION_TIME_PASSES: s->time_passes = true; return -1;
  case OPTION_CACHE:
    s->cache = arg;
    return arg[0] ? -1 : usage("--cache wants a folder or none%s", "");
  case OPTION_HELP: help(); return 0;
  case OPTION_VERSION: puts("bfimnac " BF_VERSION); return 0;
  default: return usage("option --%s is not available yet", rows[id - OPTION_NONE - 1].name);
  }
}

// Whether code is made; else the network itself is written, in one of its forms.
static bool compiles(const struct settings *s) { return s->emit != EMIT_BFN && s->emit != EMIT_IR && s->emit != EMIT_DOT; }

static int parse(struct settings *s, int argc, char **argv) {
  int status = tool_options_parse(rows, NROWS, argc, argv, usage, take, s);
  if (status >= 0) return status;
  if (optind >= argc) return usage("no input file%s", "");
  if (optind + 1 < argc) return usage("more than one input file: '%s'", argv[optind + 1]);
  s->input = argv[optind];
  if (s->quantize && !s->calibrate) return usage("--quantize needs images: --calibrate=IMAGES.npy%s", "");
  if (s->explain && s->report < 0) return usage("--explain goes with --report=text or json%s", "");
  if (s->report >= 0 && !compiles(s)) return usage("--report is about compiled code; --emit=%s makes none", emit_names[s->emit]);
  if (s->report >= 0 && !s->output && s->emit != EMIT_APBIN)
    return usage("the report and --emit=%s would both go to standard output: -o FILE takes the latter", emit_names[s->emit]);
  if (s->calibrate && !s->quantize) return usage("--calibrate goes with --quantize%s", "");
  if (s->quantize && s->assume_w) return usage("--assume and --quantize exclude each other%s", "");
  return -1;
}

// --- output ----------------------------------------------------------------------------------------------------

static bool write_out(const char *path, const struct bf_buf *data, struct bf_diags *diags) {
  if (!path) {
    if (fwrite(data->data, 1, data->length, stdout) == data->length && !fflush(stdout)) return true;
    bf_error_file(diags, "standard output", NULL, "cannot write");
    return false;
  }
  return bf_diags_write(diags, path, data->data, data->length);
}

// x.bfn gets x.npz beside it.
static bool write_bfn(const char *path, const struct bf_buf *text, const struct bf_archive *weights, struct bf_diags *diags) {
  const char *dot = strrchr(path, '.');
  size_t stem = dot && !strchr(dot, '/') ? (size_t)(dot - path) : strlen(path);
  char *npz = bf_format("%.*s.npz", (int)stem, path);
  bool ok = strcmp(npz, path) != 0;
  if (!ok) bf_error_file(diags, path, "name it .bfn", "the archive of weights would have the same name as the text");
  ok = ok && bf_npz_write(npz, weights, diags);
  if (ok && !write_out(path, text, diags)) {
    remove(npz);
    ok = false;
  }
  free(npz);
  return ok;
}

// What the compiler tells beside the program.
struct story { struct bf_columns columns; struct bf_explanation explanation; };

static bool is_svg(const char *path) {
  size_t length = path ? strlen(path) : 0;
  return length > 4 && !strcmp(path + length - 4, ".svg");
}

static void print_columns(const struct settings *s, const struct bf_columns *columns, const struct ap_machine *machine, struct bf_buf *out) {
  if (is_svg(s->output)) bf_columns_svg(columns, machine, out);
  else bf_columns_text(columns, machine, out);
}

static bool print_report(const struct settings *s, const struct ap_report *r, const struct bf_buf *further, struct bf_diags *diags) {
  struct bf_buf out = {0};
  if (s->report) ap_report_json(r, &out);
  else ap_report_text(r, &out);
  if (!s->report) bf_buf_append(&out, further->data, further->length);
  bool ok = write_out(NULL, &out, diags);
  bf_buf_free(&out);
  return ok;
}

// What each profile adds to the binary, and what it takes.
static void list_profiles(const struct ap_program *program, const struct ap_technology *tech, struct bf_buf *out) {
  struct ap_account *layers = bf_alloc((size_t)program->nlayers + 1, sizeof *layers);
  uint64_t *bytes = bf_alloc((size_t)program->nprofiles + 1, sizeof *bytes);
  ap_profile_sizes(program, bytes);
  bf_buf_printf(out, "\n%-24s %12s %7s %14s %12s\n", "profile", "adds bytes", "layers", "cycles", "energy J");
  for (uint32_t i = 0; i < program->nprofiles; i++) {
    struct ap_account total = {0};
    ap_static_account_of(program, i, tech, layers, &total);
    bf_buf_printf(out, "%-24s %12llu %7u %14llu %12.4g\n", program->profiles[i].name, (unsigned long long)bytes[i],
                  program->profiles[i].nlayers, (unsigned long long)total.time.cycles, total.energy_j);
  }
  bf_buf_printf(out, "a switch between them takes %u cycles\n", AP_SWITCH_CYCLES);
  free(bytes);
  free(layers);
}

// Of the binary's first profile; the text lists the others.
static bool report(const struct settings *s, const struct ap_program *program, const struct ap_technology *tech, const struct story *story,
                   struct bf_diags *diags) {
  struct ap_account *all = bf_alloc((size_t)program->nlayers + 1, sizeof *all), total = {0};
  struct ap_account *layers = bf_alloc((size_t)program->nlayers + 1, sizeof *layers);
  struct ap_program *view = ap_profile_view(program, 0);
  struct bf_buf further = {0};
  ap_static_account(program, tech, all, &total);
  ap_profile_accounts(program, 0, all, layers);
  if (!s->report && program->nprofiles) list_profiles(program, tech, &further);
  struct ap_report r = {.program = view, .tech = tech, .layers = layers, .total = &total, .count = "expected",
                        .profile = program->nprofiles ? program->profiles[0].name : s->profile,
                        .plans = story->explanation.count == view->nlayers ? story->explanation.plans : NULL};
  bool ok = print_report(s, &r, &further, diags);
  bf_buf_free(&further);
  ap_profile_view_free(view);
  free(layers);
  free(all);
  return ok;
}

static bool emit_program(const struct settings *s, const struct ap_program *program, const struct ap_technology *tech, const struct story *story,
                         struct bf_diags *diags) {
  struct bf_buf out = {0};
  bool ok = true;
  if (s->emit == EMIT_ASM) ap_asm_print(program, &out);
  else if (s->emit == EMIT_COLUMNS) print_columns(s, &story->columns, &program->machine, &out);
  else ok = ap_program_write(program, &out, diags);
  bool wanted = s->output || s->emit != EMIT_APBIN;  // a binary goes nowhere without -o
  if (ok && wanted) ok = write_out(s->output, &out, diags);
  bf_buf_free(&out);
  return ok && (s->report < 0 || report(s, program, tech, story, diags));
}

static void print_times(const struct bf_pass_times *times) {
  for (size_t i = 0; i < times->count; i++) fprintf(stderr, "%-12s %9.3f ms\n", times->items[i].name, 1e3 * times->items[i].seconds);
}

static struct bf_load_options load_options(const struct settings *s) {
  return (struct bf_load_options){.assume_w = s->assume_w, .assume_a = s->assume_a, .batch = s->batch, .profiles = s->profiles};
}

// The network, or its profile of that name.
static struct bf_graph *take_profile(struct bf_graph *graph, const char *profile, struct bf_diags *diags) {
  return graph && profile ? bf_graph_apply_profile(graph, profile, diags) : graph;
}

// The network, quantized if that is asked for; text and weights of its .bfn form where they aren't NULL.
static struct bf_graph *load_graph(const struct settings *s, struct bf_buf *text, struct bf_archive *weights, struct bf_diags *diags) {
  struct bf_load_options load = load_options(s);
  load.text = text;
  load.weights = weights;
  return s->quantize ? bf_quantize_load(s->input, s->quantize, s->calibrate, s->batch, text, weights, diags)
                     : bf_load_network(s->input, &load, diags);
}

static bool compile(const struct settings *s, struct bf_compile_options *o, struct bf_diags *diags) {
  struct bf_graph *loaded = load_graph(s, NULL, NULL, diags), *graph = take_profile(loaded, s->profile, diags);
  struct story story = {.columns = {0}};
  struct bf_choice *choices = NULL;
  if (s->emit == EMIT_COLUMNS) o->columns = &story.columns;
  if (s->explain) o->choices = &choices;
  struct ap_program *program = !graph ? NULL : s->profile ? bf_compile(graph, o, diags) : bf_compile_profiles(graph, o, diags);
  if (program && choices) bf_explain(graph, o, choices, &story.explanation);
  if (graph != loaded) bf_graph_free(graph);
  bf_graph_free(loaded);
  if (o->print_out->length) fwrite(o->print_out->data, 1, o->print_out->length, stderr);
  if (s->time_passes) print_times(o->times);
  bool ok = program && emit_program(s, program, &o->tech, &story, diags);
  ap_program_free(program);
  free(choices);
  bf_columns_free(&story.columns);
  bf_explanation_free(&story.explanation);
  return ok;
}

// --- costs without code ----------------------------------------------------------------------------------------

static void print_story(const struct tool_costs_story *story, struct bf_cost_cache *cache, const struct bf_pass_times *times) {
  const struct bf_cost_cache_use use = cache ? bf_cost_cache_use(cache) : (struct bf_cost_cache_use){0};
  const struct { const char *name; double seconds; } stages[] = {
      {"digest", story->digest_s}, {"find", story->find_s}, {"load", story->load_s}, {"analyse", story->analyse_s}};
  for (size_t i = 0; i < BF_COUNT(stages); i++) fprintf(stderr, "%-12s %9.3f ms\n", stages[i].name, 1e3 * stages[i].seconds);
  print_times(times);
  fprintf(stderr, "cache: %s", !cache ? "none" : story->found ? "found" : "not found");
  if (cache && !story->found) fprintf(stderr, ", %llu layers of it were", (unsigned long long)use.layers_found);
  fprintf(stderr, "%s%s\n", use.unwritable ? "; cannot be written: " : "", use.unwritable ? use.unwritable : "");
}

// What each profile takes. The layers that it has in common with others are in the cache.
static bool list_costs(struct tool_network *net, const struct bf_costs *base, const struct ap_account *base_total, struct bf_buf *out) {
  const struct bf_compile_options *o = net->options;
  bf_buf_printf(out, "\n%-24s %7s %14s %12s\n", "profile", "layers", "cycles", "energy J");
  for (uint32_t i = 0; i <= bf_costs_profiles(base); i++) {
    const char *name = i ? bf_costs_profile(base, i - 1) : BF_PROFILE_BASE;
    struct bf_costs *own = i ? tool_network_costs(net, name) : NULL;
    if (i && !own) return false;
    uint32_t count = bf_costs_layers(i ? own : base);
    struct ap_account *layers = bf_alloc((size_t)count + 1, sizeof *layers), total = *base_total;
    if (i) bf_costs_price(own, &o->machine, &o->tech, layers, &total);  // for the machine that it was analysed for
    bf_buf_printf(out, "%-24s %7u %14llu %12.4g\n", name, count, (unsigned long long)total.time.cycles, total.energy_j);
    free(layers);
    bf_costs_free(own);
  }
  bf_buf_printf(out, "a switch between them takes %u cycles; with -o, what each adds to the binary is listed, too\n", AP_SWITCH_CYCLES);
  return true;
}

static bool report_costs(const struct settings *s, struct tool_network *net, const struct bf_costs *costs) {
  const struct bf_compile_options *o = net->options;
  struct ap_account *layers = bf_alloc((size_t)bf_costs_layers(costs) + 1, sizeof *layers), total;
  struct ap_program program;
  struct bf_buf further = {0};
  bool ok = bf_costs_price(costs, &o->machine, &o->tech, layers, &total);
  bf_costs_program(costs, &o->machine, &o->tech, &program);
  struct ap_report r = {.program = &program, .tech = &o->tech, .layers = layers, .total = &total, .count = "expected",
                        .profile = bf_costs_profiles(costs) ? BF_PROFILE_BASE : s->profile};
  ok = ok && (s->report || !bf_costs_profiles(costs) || list_costs(net, costs, &total, &further)) &&
       print_report(s, &r, &further, net->diags);
  bf_buf_free(&further);
  free(layers);
  return ok;
}

// The report alone needs no code: the analysis of the network is taken from the cache where it is there.
static bool analyse(const struct settings *s, const struct bf_compile_options *o, struct bf_diags *diags) {
  struct bf_load_options load = load_options(s);
  char *folder = tool_cache_folder(s->cache);
  struct bf_cost_cache *cache = bf_cost_cache_new(folder);  // without a folder for the profiles of this call alone
  struct tool_network net = {.path = s->input, .load = &load, .options = o, .cache = cache, .diags = diags};
  tool_network_open(&net);
  struct bf_costs *costs = tool_network_costs(&net, s->profile);
  bool ok = costs && report_costs(s, &net, costs);
  if (o->print_out->length) fwrite(o->print_out->data, 1, o->print_out->length, stderr);
  if (s->time_passes) print_story(&net.story, folder ? cache : NULL, o->times);
  tool_network_close(&net);
  bf_costs_free(costs);
  bf_cost_cache_free(cache);
  free(folder);
  return ok;
}

#define MOST_IMAGES 256

// --batch=auto: what the estimates for one image, times as many, say. 0: errors were added.
static uint32_t choose_batch(const struct settings *s, const struct bf_compile_options *o, struct bf_diags *diags) {
  struct settings one = *s;
  one.batch = 1;
  struct bf_diags unheard = {.default_file = diags->default_file};  // warnings come again with the network that is compiled
  struct bf_graph *graph = load_graph(&one, NULL, NULL, &unheard);
  if (!graph) load_graph(&one, NULL, NULL, diags);
  uint32_t batch = graph ? bf_compile_batch(graph, o, MOST_IMAGES, diags) : 0;
  bf_graph_free(graph);
  if (batch > 1 && !s->quantize) {  // some networks have a meaning for one image only
    one.batch = batch;
    graph = load_graph(&one, NULL, NULL, &unheard);
    if (!graph) batch = 1;
    bf_graph_free(graph);
  }
  bf_diags_free(&unheard);
  return batch;
}

// Code or costs, with as many images as asked for or chosen.
static bool build_batch(const struct settings *s, struct bf_compile_options *o, struct bf_diags *diags) {
  struct settings own = *s;
  if (!own.batch) o->batch = own.batch = choose_batch(s, o, diags);
  bool report_alone = own.report >= 0 && !own.output && own.emit == EMIT_APBIN && !own.quantize && !own.explain;
  return own.batch && (report_alone ? analyse(&own, o, diags) : compile(&own, o, diags));
}

// Machine and technology, then code or costs.
static bool build(const struct settings *s, struct bf_diags *diags) {
  struct bf_buf printed = {0};
  struct bf_pass_times times = {0};
  struct bf_compile_options o = {.opt_level = s->opt_level, .mapping = (enum bf_mapping)s->mapping,
                                 .objective = (enum bf_objective)s->objective, .batch = s->batch, .keep_all = s->keep_all,
                                 .verify_each = s->verify_each, .passes = s->passes, .print_after = s->print_after,
                                 .print_out = &printed, .times = &times};
  const struct bf_source *source;
  if (!ap_machine_load(s->target, &o.machine, &source, diags)) return false;
  if (!ap_technology_load(s->tech ? s->tech : o.machine.technology, &o.tech, diags)) return false;
  bool ok = ap_technology_use_vdd(&o.tech, s->vdd, "--vdd", diags) && build_batch(s, &o, diags);
  bf_buf_free(&printed);
  ap_technology_free(&o.tech);
  return ok;
}

static bool emit_graph(const struct settings *s, const struct bf_graph *graph, const struct bf_buf *text,
                       const struct bf_archive *weights, struct bf_diags *diags) {
  if (s->emit == EMIT_BFN) {
    if (!text->length) {
      bf_error_file(diags, s->input, "use --emit=ir", "this input has no .bfn text");
      return false;
    }
    return s->output ? write_bfn(s->output, text, weights, diags) : write_out(NULL, text, diags);
  }
  struct bf_buf out = {0};
  if (s->emit == EMIT_DOT) bf_graph_print_dot(graph, &out);
  else bf_graph_print(graph, &out);
  bool ok = write_out(s->output, &out, diags);
  bf_buf_free(&out);
  return ok;
}

// The network itself, in one of its forms.
static bool translate(const struct settings *s, struct bf_diags *diags) {
  struct bf_buf text = {0};
  struct bf_archive weights = {0};
  bool bfn = s->emit == EMIT_BFN;
  struct settings own = *s;
  own.batch += !own.batch;  // auto
  struct bf_graph *loaded = load_graph(&own, bfn ? &text : NULL, bfn ? &weights : NULL, diags), *graph = take_profile(loaded, s->profile, diags);
  bool ok = graph && emit_graph(s, graph, &text, &weights, diags);
  if (graph != loaded) bf_graph_free(graph);
  bf_graph_free(loaded);
  bf_buf_free(&text);
  bf_archive_free(&weights);
  return ok;
}

static bool run(const struct settings *s, struct bf_diags *diags) {
  if (s->output && bf_same_file(s->input, s->output)) {
    bf_error_file(diags, s->output, NULL, "the output is the input file itself");
    return false;
  }
  return compiles(s) ? build(s, diags) : translate(s, diags);
}

int main(int argc, char **argv) {
  struct settings s = {.target = "bf-imna-lr", .report = -1, .opt_level = 2, .batch = 1};
  int status = parse(&s, argc, argv);
  if (status >= 0) return status;
  struct bf_diags diags = {.default_file = s.input};
  bool ok = run(&s, &diags);
  tool_print_diagnostics(&diags);
  bf_diags_free(&diags);
  return ok ? 0 : 1;
}
