// SPDX-License-Identifier: Apache-2.0
// Costs from our own compiler: the network compiled with all layers at each width, and once more with the widths that were chosen.
#include <stdlib.h>
#include <string.h>

#include "tools/bfexplore/network.h"
#include "tools/bfexplore/point_setup.h"
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

// Takes the network over.
static bool make(struct bf_graph *base, const struct bf_compile_options *options, const struct bf_profile *profile, struct bf_cost_cache *cache,
                 struct priced *out, struct bf_diags *diags) {
  *out = (struct priced){.code = NULL};
  if (bfx_variant_make(&out->variant, base, profile, diags)) {
    out->code = bfx_code_new(out->variant.graph, options, cache, diags);
  }
  if (out->code) {
    bfx_code_price(out->code, &options->tech, &out->price);
  }
  return out->code != NULL;
}

// What a layer of the code counts to: itself; a requantization made for a narrower input to the layer behind it; all else to the nearest
// layer with weights before it, what comes before the first to that one.
static size_t owner(const struct ap_program *p, uint32_t index, const struct bfx_layers *layers, size_t before) {
  uint32_t found = bf_names_find(&layers->names, p->layers[index].name);
  if (found != BF_NAME_NONE) {
    return found;
  }
  if (!strcmp(p->layers[index].op, "requantize") && strstr(p->layers[index].name, "~a")) {
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
    bfx_costs_add(&costs->layers[layer], bits, (double)p->price.layers[i].time.cycles, p->price.layers[i].energy_j);
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
  struct bf_profile profile = {.name = bf_format("w%u", w->widths[i])};
  struct priced priced;
  unsigned bits = w->widths[i];
  struct bf_graph *base = bfx_network_load(w->settings->network, 1, w->settings->seed, &w->diags[i]);
  if (base) {
    bfx_profile_add_layers(&profile, base, bits, w->settings->activation_bits ? w->settings->activation_bits : bits);
  }
  if (make(base, w->options, &profile, w->settings->cache, &priced, &w->diags[i])) {
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
  if (!bfx_machine_options(settings->target, settings->tech, settings->vdd, &options, diags)) {
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
    bfx_errors_take(diags, &w->diags[i]);
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
  if (!bfx_machine_options(settings->target, settings->tech, settings->vdd, &options, diags)) {
    return false;
  }
  struct bf_graph *base = bfx_network_load(settings->network, 1, settings->seed, diags);
  *out = (struct bfx_whole){.known = make(base, &options, profile, settings->cache, &priced, diags)};
  if (out->known) {
    out->cycles = (double)priced.price.total.time.cycles;
    out->energy = priced.price.total.energy_j;
    out->clock_hz = options.machine.clock_hz;
  }
  priced_free(&priced);
  ap_technology_free(&options.tech);
  return out->known;
}
