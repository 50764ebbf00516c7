// SPDX-License-Identifier: Apache-2.0
#include "tools/bfexplore/study_accuracy.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontend/bfn.h"
#include "tools/bfexplore/cifar.h"
#include "tools/bfexplore/judge.h"
#include "tools/bfexplore/layers.h"
#include "tools/bfexplore/measure.h"

#define CLASSES 10u
#define MOST_TRIES 8u  // of a mixed network, until it keeps its budget as compiled

struct study_net {
  struct bf_graph *graph;
  struct bfx_code *code;
  struct bfx_price price;
};

struct work {
  struct bfx_study *study;
  const struct bfx_accuracy_options *options;
  struct bf_compile_options compile;
  struct bf_float_net *net;
  struct bfx_cifar cifar;
  struct bf_calibration *calibration;
  float *outputs;                        // of the float network, for the images that judge
  struct study_net uniform[BFX_MAX_BITS + 1];
  double edp;                            // of the widest uniform network
  struct bfx_measures measures;
};

static void free_net(struct study_net *n) {
  if (n->code) bfx_price_free(&n->price);
  bfx_code_free(n->code);
  bf_graph_free(n->graph);
  *n = (struct study_net){0};
}

static uint64_t judged(const struct work *w) { return w->cifar.count - w->options->calibration; }
static const float *judged_images(const struct work *w) { return w->cifar.images + w->options->calibration * BFX_CIFAR_ELEMENTS; }

// ---- networks

static bool make_net(struct work *w, const struct bf_quantize_spec *spec, struct study_net *out) {
  struct bf_diags *diags = w->study->diags;
  struct bf_buf text = {0};
  struct bf_archive weights = {0};
  *out = (struct study_net){0};
  if (bf_quantize(w->calibration, spec, &text, &weights, diags)) {
    const struct bf_source *source = bf_diags_add_source(diags, "quantized.bfn", bf_buf_cstr(&text), text.length);
    out->graph = bf_bfn_compile(source, &weights, NULL, diags);
  }
  bf_buf_free(&text);
  bf_archive_free(&weights);
  if (out->graph) out->code = bfx_code_new(out->graph, &w->compile, NULL, diags);
  if (out->code) bfx_code_price(out->code, &w->compile.tech, &out->price);
  return out->code != NULL;
}

// Mean bits of the weights.
static double mean_bits(const struct bf_graph *graph) {
  double bits = 0, all = 0;
  for (size_t i = 0; i < graph->nnodes; i++) {
    const struct bf_node *n = graph->nodes[i];
    if (!bf_node_macs(n)) continue;
    bits += (double)n->inputs[1]->elements * n->inputs[1]->type.bits;
    all += (double)n->inputs[1]->elements;
  }
  return bits / all;
}

static void add_row(struct work *w, const char *name, const struct study_net *net, const struct bfx_judgement *j) {
  json_t *row = json_object();
  json_object_set_new(row, "profile", json_string(name));
  json_object_set_new(row, "bits_avg", json_real(net ? mean_bits(net->graph) : 32));
  json_object_set_new(row, "accuracy", json_real(j->accuracy));
  json_object_set_new(row, "ci_low", json_real(j->low));
  json_object_set_new(row, "ci_high", json_real(j->high));
  json_object_set_new(row, "logit_mse", json_real(j->mse));
  json_object_set_new(row, "images", json_integer((json_int_t)j->images));
  if (net) {
    double edp = net->price.figures.edp_js;
    if (!(w->edp > 0)) w->edp = edp;
    json_object_set_new(row, "cycles", json_integer((json_int_t)net->price.total.time.cycles));
    json_object_set_new(row, "energy_j", json_real(net->price.total.energy_j));
    json_object_set_new(row, "edp_js", json_real(edp));
    json_object_set_new(row, "edp_norm", json_real(edp / w->edp));
  }
  json_array_append_new(w->study->rows, row);
}

static bool judge_net(struct work *w, const char *name, const struct study_net *net) {
  struct bfx_judgement j;
  struct ap_program *program = bf_compile(net->graph, &w->compile, w->study->diags);
  bool ok = program && bfx_judge(net->graph, program, &w->compile.tech, judged_images(w), w->cifar.labels + w->options->calibration,
                                 judged(w), w->outputs, CLASSES, w->study->threads, &j, w->study->diags);
  ap_program_free(program);
  if (ok) add_row(w, name, net, &j);
  return ok;
}

static bool do_uniform(struct work *w) {
  for (unsigned b = BFX_MAX_BITS; b >= 1; b--) {
    char name[16];
    struct bf_quantize_spec spec;
    if (!(w->options->bits >> b & 1)) continue;
    bf_quantize_spec_init(&spec);
    spec.all = (struct bf_widths){b, b};
    snprintf(name, sizeof name, "w%ua%u", b, b);
    if (!make_net(w, &spec, &w->uniform[b]) || !judge_net(w, name, &w->uniform[b])) return false;
  }
  return true;
}

// ---- mixed widths

// Cycles and energy of each layer from the uniform networks; a layer without weights counts to the one before it.
static void fill_costs(const struct work *w, const struct bfx_layers *layers, struct bfx_costs *costs) {
  bfx_costs_model(layers, 0, costs);
  costs->known |= 1u << BFX_CYCLES | 1u << BFX_ENERGY;
  for (unsigned b = 1; b <= BFX_MAX_BITS; b++) {
    const struct study_net *net = &w->uniform[b];
    if (!net->code) continue;
    const struct ap_program *p = bfx_code_program(net->code);
    size_t at = 0;
    for (uint32_t i = 0; i < p->nlayers; i++) {
      uint32_t found = bf_names_find(&layers->names, p->layers[i].name);
      at = found != BF_NAME_NONE ? found : at;
      bfx_costs_add(&costs->layers[at], b, (double)net->price.layers[i].time.cycles, net->price.layers[i].energy_j);
    }
  }
}

static bool rate_layers(const struct work *w, struct bfx_layers *layers, struct bf_diags *diags) {
  for (size_t i = 0; i < w->measures.count; i++) {
    size_t at = bfx_layers_index(layers, w->measures.layers[i].name, (struct bf_range){0}, NULL, diags);
    if (at == layers->count) return false;
    layers->items[at].rated = true;
    layers->items[at].widths = w->options->bits;
    memcpy(layers->items[at].sensitivity, w->measures.layers[i].value, sizeof layers->items[at].sensitivity);
  }
  return true;
}

// One choice under `limit` cycles by the costs of the uniform networks, as a spec.
static bool choose(struct work *w, const struct bfx_layers *layers, struct bfx_problem *problem, const size_t *item_of, double limit,
                   struct bf_quantize_spec *spec) {
  struct bfx_limit bound = {BFX_CYCLES, limit};
  struct bfx_solution solution;
  problem->objective = BFX_SENSITIVITY;
  problem->limits = &bound;
  problem->nlimits = 1;
  problem->seconds = 30;
  bfx_solve(problem, &solution);
  for (size_t i = 0; solution.choice && i < layers->count; i++) {
    unsigned bits = problem->items[item_of[i]].choices[solution.choice[item_of[i]]].bits;
    bf_quantize_spec_add(spec, layers->items[i].name, (struct bf_widths){bits, bits}, (struct bf_range){0});
  }
  bool ok = solution.choice != NULL;
  if (!ok) bf_error_file(w->study->diags, NULL, NULL, "no choice of widths keeps to %g cycles", limit);
  bfx_solution_free(&solution);
  return ok;
}

// Costs of a layer depend a little on its neighbours' widths: the bound is lowered until the compiled network keeps it.
static bool mixed_net(struct work *w, const struct bfx_layers *layers, struct bfx_problem *problem, const size_t *item_of, unsigned budget,
                      struct study_net *out) {
  double most = (double)w->uniform[budget].price.total.time.cycles, limit = most;
  for (unsigned i = 0; i < MOST_TRIES; i++) {
    struct bf_quantize_spec spec;
    bf_quantize_spec_init(&spec);
    bool ok = choose(w, layers, problem, item_of, limit, &spec) && make_net(w, &spec, out);
    bf_quantize_spec_free(&spec);
    if (!ok) return false;
    double cycles = (double)out->price.total.time.cycles;
    if (cycles <= most) return true;
    limit *= most / cycles * 0.9995;
    free_net(out);
  }
  bf_error_file(w->study->diags, NULL, NULL, "no mixed network was found that keeps to the cycles of %u bits as compiled", budget);
  return false;
}

static void note_widths(struct work *w, const char *name, const struct bf_graph *graph) {
  struct bf_buf text = {0};
  for (size_t i = 0; i < graph->nnodes; i++)
    if (bf_node_macs(graph->nodes[i])) bf_buf_printf(&text, " %u", graph->nodes[i]->inputs[1]->type.bits);
  bfx_study_note(w->study, "%s: bits of the layers in order:%s", name, bf_buf_cstr(&text));
  bf_buf_free(&text);
}

static bool judge_mixed(struct work *w, const struct bfx_layers *layers, struct bfx_problem *problem, const size_t *item_of) {
  for (unsigned i = 0; i < w->options->nbudgets; i++) {
    struct study_net net = {0};
    char name[24];
    snprintf(name, sizeof name, "mixed-as-w%ua%u", w->options->budgets[i], w->options->budgets[i]);
    bool ok = mixed_net(w, layers, problem, item_of, w->options->budgets[i], &net) && judge_net(w, name, &net);
    if (ok) note_widths(w, name, net.graph);
    free_net(&net);
    if (!ok) return false;
  }
  return true;
}

static bool do_mixed(struct work *w) {
  struct bf_diags *diags = w->study->diags;
  struct bfx_layers layers = {0};
  struct bfx_costs costs = {0};
  struct bfx_problem problem = {0};
  struct bf_quantize_spec spec;
  if (!w->options->nbudgets) return true;
  bf_quantize_spec_init(&spec);
  bfx_measure(w->calibration, w->net, &spec, w->options->bits, 0, w->options->rated, NULL, &w->measures);
  const struct bf_graph *any = w->uniform[w->options->budgets[0]].graph;
  bool ok = bfx_layers_find(any, &layers, diags) && rate_layers(w, &layers, diags);
  size_t *item_of = bf_alloc(layers.count + 1, sizeof *item_of);
  bfx_costs_init(&costs, layers.count);
  fill_costs(w, &layers, &costs);
  ok = ok && bfx_items_make(&layers, &costs, w->options->bits, NULL, &problem, item_of, diags) && judge_mixed(w, &layers, &problem, item_of);
  free(item_of);
  free(problem.items);
  bfx_costs_free(&costs);
  bfx_layers_free(&layers);
  return ok;
}

// ---- the whole

static bool prepare(struct work *w) {
  struct bf_diags *diags = w->study->diags;
  const struct bfx_accuracy_options *o = w->options;
  w->net = bf_float_net_load(o->model, "give the folder of the data with --data=DIR or BFIMNA_DATA", diags);
  if (!w->net || !bfx_cifar_read(o->records, o->images, &w->cifar, diags)) return false;
  if (bf_float_elements(w->net->nodes[0]) != BFX_CIFAR_ELEMENTS || bf_float_elements(w->net->output) != CLASSES || o->calibration >= w->cifar.count) {
    bf_error_file(diags, o->model, NULL, "this is no model of CIFAR-10, or there are no images left to judge it");
    return false;
  }
  w->calibration = bf_calibrate(w->net, w->cifar.images, o->calibration, w->study->threads, diags);
  if (!w->calibration) return false;
  w->outputs = bf_float_run(w->net, judged_images(w), judged(w), w->study->threads);
  struct bfx_judgement j;
  bfx_judge_outputs(w->outputs, w->cifar.labels + o->calibration, judged(w), w->outputs, CLASSES, &j);
  add_row(w, "float", NULL, &j);
  return bfx_study_options(w->study, &w->compile);
}

static void draw(struct bfx_study *s) {
  struct bfx_plot *plot = bfx_study_plot(s, "Accuracy and cost", "energy-delay product of an image (J s)", "top-1 accuracy (%)");
  struct bfx_plot *error = bfx_study_plot(s, "Error and cost", "cycles of an image", "mean squared error of the logits");
  size_t i;
  json_t *row;
  if (!plot || !error) return;
  plot->x_log = true;
  error->y_log = true;
  size_t series[2][2] = {{bfx_plot_series(plot, "uniform", BFX_LINE), bfx_plot_series(plot, "mixed", BFX_POINTS)},
                         {bfx_plot_series(error, "uniform", BFX_LINE), bfx_plot_series(error, "mixed", BFX_POINTS)}};
  json_array_foreach(s->rows, i, row) {
    const char *name = json_string_value(json_object_get(row, "profile"));
    json_t *edp = json_object_get(row, "edp_js");
    bool mixed = !strncmp(name, "mixed", 5);
    if (!edp) continue;
    bfx_plot_point(plot, series[0][mixed], json_real_value(edp), 100 * json_real_value(json_object_get(row, "accuracy")), name);
    bfx_plot_point(error, series[1][mixed], (double)json_integer_value(json_object_get(row, "cycles")),
                   json_real_value(json_object_get(row, "logit_mse")), name);
  }
}

static void notes(struct work *w) {
  bfx_study_note(w->study, "accuracy: top-1 of %llu images that were not used to calibrate or to choose widths (the first %llu were), with its 95 %% interval (Wilson).",
                 (unsigned long long)judged(w), (unsigned long long)w->options->calibration);
  bfx_study_note(w->study, "logit_mse: mean squared difference of the outputs to the float network's; bits_avg: mean over the weights of all layers.");
  bfx_study_note(w->study, "cycles, energy (expected), EDP of one image on %s, %s at %g V; mixed networks keep to the cycles of the uniform one they are named after.",
                 w->compile.machine.name, w->compile.tech.name, w->compile.tech.vdd);
  bfx_study_note_technology(w->study, &w->compile.tech);
}

bool bfx_accuracy_run(struct bfx_study *study, const struct bfx_accuracy_options *options) {
  static const struct bfx_column columns[] = {{"profile", "profile", "%s"},       {"bits_avg", "bits", "%.2f"},       {"accuracy", "accuracy", "%.4f"},
                                              {"ci_low", "95 % from", "%.4f"},    {"ci_high", "to", "%.4f"},          {"logit_mse", "logit MSE", "%.4g"},
                                              {"cycles", "cycles", "%d"},         {"energy_j", "energy (J)", "%.4g"}, {"edp_js", "EDP (J s)", "%.4g"},
                                              {"edp_norm", "EDP norm.", "%.4f"}, {NULL, NULL, NULL}};
  struct work *w = bf_alloc(1, sizeof *w);
  w->study = study;
  w->options = options;
  study->columns = columns;
  bool ok = prepare(w) && do_uniform(w) && do_mixed(w);
  if (ok) {
    draw(study);
    notes(w);
  }
  for (unsigned b = 0; b <= BFX_MAX_BITS; b++) free_net(&w->uniform[b]);
  ap_technology_free(&w->compile.tech);
  bfx_measures_free(&w->measures);
  bf_calibration_free(w->calibration);
  bf_float_net_free(w->net);
  bfx_cifar_free(&w->cifar);
  free(w->outputs);
  free(w);
  return ok;
}

// The data folder: --data, BFIMNA_DATA, else ../shared/data.
bool bfx_study_accuracy(struct bfx_study *study) {
  const char *folder = study->data ? study->data : getenv("BFIMNA_DATA");
  char *model = bf_format("%s/onnx/resnet_cifar10_f32/resnet20_cifar10_f32.onnx", folder ? folder : "../shared/data");
  char *records = bf_format("%s/datasets/cifar10/test_first1000.bin", folder ? folder : "../shared/data");
  struct bfx_accuracy_options options = {.model = model, .records = records, .images = 1000, .calibration = 200, .rated = 100,
                                         .bits = 0x1fc, .budgets = {4, 3}, .nbudgets = 2};
  bool ok = bfx_accuracy_run(study, &options);
  free(model);
  free(records);
  return ok;
}
