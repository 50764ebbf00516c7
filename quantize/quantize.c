// SPDX-License-Identifier: Apache-2.0
// The quantization as a whole.
#include "quantize/quantize.h"

#include <stdlib.h>
#include <string.h>

#include "frontend/bfn.h"
#include "quantize/quantize_inside.h"

// Layers of the spec must be there, and each layer must have widths.
static bool check_spec(const struct bf_float_net *net, const struct bf_quantize_spec *spec, struct bf_diags *diags) {
  size_t count = 0, errors = diags->errors;
  while (bf_quantize_layer(net, count)) count++;
  const char **names = bf_alloc(count + 1, sizeof *names);
  for (size_t i = 0; i < count; i++) names[i] = bf_quantize_layer(net, i)->name;
  for (size_t i = 0; i < spec->nlayers; i++) {
    const struct bf_layer_widths *l = &spec->layers[i];
    bool found = false;
    for (size_t k = 0; k < count; k++) found |= strcmp(names[k], l->name) == 0;
    if (found) continue;
    const char *near = bf_nearest(l->name, names, count);
    char *hint = near ? bf_format("did you mean `%s`?", near) : NULL;
    if (l->range.source) bf_error_at(diags, l->range, hint, "the model has no layer with weights named `%s`", l->name);
    else bf_error_file(diags, NULL, hint, "the model has no layer with weights named `%s`", l->name);
    free(hint);
  }
  for (size_t i = 0; i < count && diags->errors == errors; i++)
    if (!bf_quantize_widths(spec, bf_quantize_layer(net, i), i, count).w)
      bf_error_file(diags, NULL, "give them, or default widths: default w8 a8", "layer `%s` has no widths", names[i]);
  free(names);
  return diags->errors == errors;
}

bool bf_quantize(struct bf_calibration *c, const struct bf_quantize_spec *spec, struct bf_buf *text,
                 struct bf_archive *weights, struct bf_diags *diags) {
  if (!check_spec(c->net, spec, diags)) return false;
  struct bf_quantize_plan plan;
  bf_quantize_plan_make(&plan, c, spec);
  if (spec->correction != BF_CORRECT_NOTHING) bf_quantize_plan_correct(&plan);
  bf_quantize_plan_print(&plan, text, weights);
  bf_quantize_plan_free(&plan);
  return true;
}

// ---- for the command line

struct job {
  struct bf_float_net *net;
  struct bf_quantize_spec spec;
  struct bf_array array;
  float *images;
  uint64_t count;
  struct bf_calibration *calibration;
  struct bf_buf text;
  struct bf_archive weights;
};

static struct bf_float_net *read_model(const char *path, struct bf_diags *diags) {
  size_t n = strlen(path);
  if (n < 5 || strcmp(path + n - 5, ".onnx") != 0) {
    bf_error_file(diags, path, "other networks are quantized already", "only float models in .onnx files can be quantized");
    return NULL;
  }
  return bf_float_net_load(path, NULL, diags);
}

static struct bf_graph *compile(struct job *j, const char *model, uint32_t batch, struct bf_diags *diags) {
  char *name = bf_format("%s (quantized, as .bfn)", model);
  const struct bf_source *source = bf_diags_add_source(diags, name, bf_buf_cstr(&j->text), j->text.length);
  struct bf_bfn_options options = {.batch = batch};
  free(name);
  return bf_bfn_compile(source, &j->weights, &options, diags);
}

struct bf_graph *bf_quantize_load(const char *model, const char *spec, const char *images, uint32_t batch, struct bf_buf *text,
                                  struct bf_archive *weights, struct bf_diags *diags) {
  struct job j = {0};
  struct bf_graph *graph = NULL;
  bool ok = bf_quantize_spec_parse(spec, &j.spec, diags) && (j.net = read_model(model, diags)) && check_spec(j.net, &j.spec, diags) &&
            bf_npy_read(images, &j.array, diags) && bf_float_images(j.net, &j.array, images, &j.images, &j.count, diags) &&
            (j.calibration = bf_calibrate(j.net, j.images, j.count, 0, diags)) &&
            bf_quantize(j.calibration, &j.spec, &j.text, &j.weights, diags);
  if (ok) graph = compile(&j, model, batch, diags);
  if (graph && text) bf_buf_append(text, j.text.data, j.text.length);
  if (graph && weights) *weights = j.weights;  // handed over
  else bf_archive_free(&j.weights);
  bf_buf_free(&j.text);
  bf_calibration_free(j.calibration);
  free(j.images);
  bf_array_free(&j.array);
  bf_float_net_free(j.net);
  bf_quantize_spec_free(&j.spec);
  return graph;
}
