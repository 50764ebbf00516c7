// SPDX-License-Identifier: Apache-2.0
// The command `sensitivity`.
#include "tools/bfexplore/measure.h"

#include <getopt.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/bfexplore/explore.h"

void bfx_measure(struct bf_calibration *calibration, const struct bf_float_net *net, const struct bf_quantize_spec *spec, uint32_t bits,
                 unsigned activation_bits, uint64_t images, void (*progress)(size_t, size_t), struct bfx_measures *out) {
  *out = (struct bfx_measures){0};
  while (bf_quantize_layer(net, out->count)) out->count++;
  out->layers = bf_alloc(out->count + 1, sizeof *out->layers);
  for (size_t i = 0; i < out->count; i++) {
    out->layers[i].name = bf_quantize_layer(net, i)->name;
    if (progress) progress(i, out->count);
    for (unsigned b = 0; b <= BFX_MAX_BITS; b++) {
      struct bf_widths widths = {b, activation_bits ? activation_bits : b};
      out->layers[i].value[b] = bits >> b & 1 ? bf_quantize_sensitivity(calibration, spec, i, widths, images) : NAN;
    }
  }
}

void bfx_measures_free(struct bfx_measures *measures) { free(measures->layers); }

void bfx_measures_json(const struct bfx_measures *m, const char *network, uint64_t images, struct bf_buf *out) {
  json_t *o = json_object(), *layers = json_object();
  json_object_set_new(o, "network", json_string(network));
  json_object_set_new(o, "measure", json_string("mean squared error of the outputs, this layer alone quantized"));
  json_object_set_new(o, "images", json_integer((json_int_t)images));
  for (size_t i = 0; i < m->count; i++) {
    json_t *layer = json_object();
    for (unsigned b = 1; b <= BFX_MAX_BITS; b++) {
      char key[12];
      snprintf(key, sizeof key, "%u", b);
      if (!isnan(m->layers[i].value[b])) json_object_set_new(layer, key, json_real(m->layers[i].value[b]));
    }
    json_object_set_new(layers, m->layers[i].name, layer);
  }
  json_object_set_new(o, "layers", layers);
  char *text = json_dumps(o, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
  bf_buf_puts(out, text);
  bf_buf_puts(out, "\n");
  free(text);
  json_decref(o);
}

// ---- the command

#define TOOL_OPTION_ROWS "tools/bfexplore/measure_options.def"
#include "tools/common/option_rows.h"

struct settings {
  const char *model, *inputs, *json, *quantize;
  uint32_t bits;
  unsigned activation_bits;
  uint64_t images;
};

static void help(void) {
  puts("Usage: bfexplore sensitivity NET.onnx --inputs=IMAGES.npy [OPTION]...\n\n"
       "Quantizes one layer of a float model at a time and measures what that does to its outputs: the mean squared error, in the square of\n"
       "their own unit. Writes the JSON that `bfexplore precision --sensitivity` reads; the layers have the names that\n"
       "`bfimnac --quantize` gives them.\n");
  tool_options_help(rows, NROWS, 24);
  puts("\nExit status: 0 done, 1 the input is wrong, 2 wrong usage.");
}

static int take(void *settings, int id, const char *arg) {
  struct settings *s = settings;
  uint64_t value;
  switch (id) {
    case OPTION_INPUTS: s->inputs = arg; return -1;
    case OPTION_JSON: s->json = arg; return -1;
    case OPTION_QUANTIZE: s->quantize = arg; return -1;
    case OPTION_BITS: return bfx_take_bits(arg, &s->bits) ? -1 : bfx_usage("--bits wants widths from 1 to 16, not '%s'", arg);
    case OPTION_IMAGES: return tool_whole(arg, 1, UINT32_MAX, &s->images) ? -1 : bfx_usage("--images wants a number, not '%s'", arg);
    case OPTION_ACTIVATION_BITS:
      if (!tool_whole(arg, 1, BFX_MAX_BITS, &value)) return bfx_usage("--activation-bits wants 1 to 16, not '%s'", arg);
      s->activation_bits = (unsigned)value;
      return -1;
    default: help(); return 0;
  }
}

struct work {
  struct settings settings;
  struct bf_diags diags;
  struct bf_quantize_spec spec;
  struct bf_float_net *net;
  struct bf_array array;
  float *images;
  uint64_t count;
  struct bf_calibration *calibration;
  struct bfx_measures measures;
};

// The settings of --quantize alone: its widths have no meaning here.
static bool read_spec(struct work *w) {
  char *text = bf_format("w8a8%s%s", w->settings.quantize ? "," : "", w->settings.quantize ? w->settings.quantize : "");
  bool ok = bf_quantize_spec_parse(text, &w->spec, &w->diags);
  free(text);
  return ok;
}

static bool read_net(struct work *w) {
  const char *model = w->settings.model, *dot = strrchr(model, '.');
  if (!dot || strcmp(dot, ".onnx") != 0) {
    bf_error_file(&w->diags, model, "give the float model that the network was quantized from", "sensitivities are measured on float models in .onnx files");
    return false;
  }
  w->net = bf_float_net_load(model, NULL, &w->diags);
  return w->net != NULL;
}

static bool write_json(struct work *w, struct bf_buf *out) {
  const struct settings *s = &w->settings;
  bfx_measures_json(&w->measures, w->net->name, s->images < w->count ? s->images : w->count, out);
  if (!s->json) return true;
  bool ok = bf_diags_write(&w->diags, s->json, out->data, out->length);
  bf_buf_free(out);
  return ok;
}

static bool check_output(struct work *w) {
  const struct settings *s = &w->settings;
  if (!s->json || (!bf_same_file(s->json, s->model) && !bf_same_file(s->json, s->inputs))) return true;
  bf_error_file(&w->diags, s->json, NULL, "is an input: it would be overwritten");
  return false;
}

static bool measure(struct work *w, struct bf_buf *out) {
  const struct settings *s = &w->settings;
  if (!check_output(w) || !read_spec(w) || !read_net(w) || !bf_npy_read(s->inputs, &w->array, &w->diags) ||
      !bf_float_images(w->net, &w->array, s->inputs, &w->images, &w->count, &w->diags) ||
      !(w->calibration = bf_calibrate(w->net, w->images, w->count, 0, &w->diags)))
    return false;
  if (!bf_quantize_layer(w->net, 0)) {
    bf_error_file(&w->diags, s->model, NULL, "the model has no layer with weights");
    return false;
  }
  bfx_measure(w->calibration, w->net, &w->spec, s->bits, s->activation_bits, s->images, NULL, &w->measures);
  return write_json(w, out);
}

int command_sensitivity(int argc, char **argv) {
  struct work w = {.settings = {.bits = 1u << 2 | 1u << 3 | 1u << 4 | 1u << 6 | 1u << 8, .images = 100}};
  struct bf_buf out = {0};
  int status = tool_options_parse(rows, NROWS, argc, argv, bfx_usage, take, &w.settings);
  if (status < 0 && optind >= argc) status = bfx_usage("sensitivity: no model given%s", "");
  else if (status < 0 && optind + 1 < argc) status = bfx_usage("one model at a time; what is '%s'?", argv[optind + 1]);
  else if (status < 0 && !w.settings.inputs) status = bfx_usage("--inputs is missing%s", "");
  if (status < 0) {
    w.settings.model = argv[optind];
    w.diags.default_file = w.settings.model;
    (void)measure(&w, &out);
    status = bfx_end(&w.diags, &out);
  }
  bfx_measures_free(&w.measures);
  bf_calibration_free(w.calibration);
  free(w.images);
  bf_array_free(&w.array);
  bf_float_net_free(w.net);
  bf_quantize_spec_free(&w.spec);
  return status;
}
