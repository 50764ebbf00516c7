// SPDX-License-Identifier: Apache-2.0
// Costs from our own compiler: the network compiled with all layers at each width, and once more with the widths that were chosen.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/bfexplore/network.h"
#include "tools/bfexplore/pool.h"
#include "tools/bfexplore/precision.h"
#include "tools/bfexplore/price.h"
#include "tools/bfexplore/variant.h"

// Priced code at one set of widths.
struct priced {
  struct bfx_variant variant;
  struct bfx_code *code;
  struct bfx_price price;
};

static void priced_free(struct priced *p) {
  if (p->code) {
    bfx_price_free(&p->price);
  }
  bfx_code_free(p->code);
  bfx_variant_free(&p->variant);
}

static bool make(const struct bfx_settings *s, const struct bf_compile_options *options, const struct bf_profile *profile, struct priced *out,
                 struct bf_diags *diags) {
  struct bf_graph *base = bfx_network_load(s->network, 1, s->seed, diags);
  *out = (struct priced){.code = NULL};
  if (bfx_variant_make(&out->variant, base, profile, diags)) {
    out->code = bfx_code_new(out->variant.graph, options, s->cache, diags);
  }
  if (out->code) {
    bfx_code_price(out->code, &options->tech, &out->price);
  }
  return out->code != NULL;
}

static bool options_of(const struct bfx_settings *s, struct bf_compile_options *out, struct bf_diags *diags) {
  const struct bf_source *source;
  *out = (struct bf_compile_options){.opt_level = 2, .batch = 1};
  if (!ap_machine_load(s->target, &out->machine, &source, diags) ||
      !ap_technology_load(s->tech ? s->tech : out->machine.technology, &out->tech, diags)) {
    return false;
  }
  if (s->vdd > 0 && !ap_technology_set_vdd(&out->tech, s->vdd)) {
    bf_error_file(diags, "--vdd", "the nominal supply is in the technology file", "%g V is outside the range of technology %s", s->vdd,
                  out->tech.name);
    ap_technology_free(&out->tech);
    return false;
  }
  return true;
}

// What a layer of the code counts to: itself; a requantization made for a narrower input to the layer behind it; all else to the nearest
// layer with weights before it, what comes before the first to that one.
static size_t owner(const struct ap_program *p, uint32_t index, const struct bfx_layers *layers, size_t before) {
  uint32_t found = bf_names_find(&layers->names, p->layers[index].name);
  if (found != BF_NAME_NONE) {
    return found;
  }
  if (!strcmp(p->layers[index].op, "requantize") && strstr(p->layers[index].name, ".to")) {
    for (uint32_t i = index + 1; i < p->nlayers; i++) {
      found = bf_names_find(&layers->names, p->layers[i].name);
      if (found != BF_NAME_NONE) {
        return found;
      }
    }
  }
  return before;
}

static void add_costs(const struct priced *p, unsigned bits, const struct bfx_layers *layers, struct bfx_costs *costs) {
  const struct ap_program *program = bfx_code_program(p->code);
  size_t before = 0;
  for (uint32_t i = 0; i < program->nlayers; i++) {
    size_t layer = owner(program, i, layers, before);
    before = bf_names_find(&layers->names, program->layers[i].name) != BF_NAME_NONE ? layer : before;
    double *value = costs->layers[layer].value[bits];
    value[BFX_CYCLES] = (isnan(value[BFX_CYCLES]) ? 0 : value[BFX_CYCLES]) + (double)p->price.layers[i].time.cycles;
    value[BFX_ENERGY] = (isnan(value[BFX_ENERGY]) ? 0 : value[BFX_ENERGY]) + p->price.layers[i].energy_j;
  }
}

struct work {
  const struct bfx_settings *settings;
  const struct bf_compile_options *options;
  const struct bfx_layers *layers;
  struct bfx_costs *costs;   // each width has cells of its own: no lock
  unsigned widths[BFX_MAX_BITS];
  struct bf_diags diags[BFX_MAX_BITS];
};

static void work_on(void *context, size_t i) {
  struct work *w = context;
  struct bf_profile profile = {0};
  struct priced priced;
  unsigned bits = w->widths[i];
  bfx_profile_add(&profile, "default", bits, w->settings->activation_bits ? w->settings->activation_bits : bits);
  if (make(w->settings, w->options, &profile, &priced, &w->diags[i])) {
    add_costs(&priced, bits, w->layers, w->costs);
  }
  priced_free(&priced);
  bfx_profile_free(&profile);
}

static uint32_t widths_wanted(const struct bfx_settings *s, const struct bfx_layers *layers) {
  uint32_t wanted = s->bits;
  for (size_t i = 0; i < layers->count; i++) {
    wanted |= layers->items[i].fixed ? UINT32_C(1) << layers->items[i].fixed : 0;
  }
  return wanted;
}

bool bfx_costs_compiled(const struct bfx_settings *settings, const struct bfx_layers *layers, struct bfx_costs *costs, struct bf_diags *diags) {
  struct bf_compile_options options;
  if (!options_of(settings, &options, diags)) {
    return false;
  }
  struct work *w = bf_alloc(1, sizeof *w);
  size_t count = 0;
  *w = (struct work){.settings = settings, .options = &options, .layers = layers, .costs = costs};
  for (unsigned bits = BFX_MAX_BITS; bits > 0; bits--) {
    if (widths_wanted(settings, layers) >> bits & 1) {
      w->widths[count++] = bits;
    }
  }
  bfx_pool_run(count, 0, work_on, NULL, w);
  for (size_t i = 0; i < count; i++) {
    for (size_t k = 0; k < w->diags[i].count && !diags->errors; k++) {
      const struct bf_diag *d = &w->diags[i].items[k];
      if (d->severity == BF_ERROR) bf_error_file(diags, d->file, d->hint, "%s", d->message);
    }
    bf_diags_free(&w->diags[i]);
  }
  costs->known |= 1u << BFX_CYCLES | 1u << BFX_ENERGY;
  ap_technology_free(&options.tech);
  free(w);
  return !diags->errors;
}

bool bfx_costs_whole(const struct bfx_settings *settings, const struct bf_profile *profile, struct bfx_whole *out, struct bf_diags *diags) {
  struct bf_compile_options options;
  struct priced priced;
  if (!options_of(settings, &options, diags)) {
    return false;
  }
  *out = (struct bfx_whole){.known = make(settings, &options, profile, &priced, diags)};
  if (out->known) {
    out->cycles = (double)priced.price.total.time.cycles;
    out->energy = priced.price.total.energy_j;
    out->clock_hz = options.machine.clock_hz;
  }
  priced_free(&priced);
  ap_technology_free(&options.tech);
  return out->known;
}
