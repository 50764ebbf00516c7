// SPDX-License-Identifier: Apache-2.0
// apfirst: what the project's own reader and engine make of a binary, in the words of apsecond (second.h).
//   apfirst FILE.apbin --dump       the same listing as apsecond --dump
//   apfirst FILE.apbin --run SEED   the same as apsecond --run SEED: events, times, and a checksum of every tensor
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "isa/program.h"
#include "runtime/engine.h"

static const uint64_t SEED = UINT64_C(0xcbf29ce484222325);
static uint64_t mix(uint64_t h, uint64_t v) { return (h ^ v) * UINT64_C(0x100000001b3); }

static void instr(const struct ap_instr *in) {
  printf(" %02x", (unsigned)in->op);
  for (unsigned i = 0; i < 3 && in->f[i].width > 0; i++)
    printf(" c%u:%u", in->f[i].col, in->f[i].width);
  printf(" %u %u %llu\n", in->index, in->tap, (unsigned long long)in->imm);
}

static void tensors(const struct ap_program *p) {
  for (uint32_t i = 0; i < p->ntensors; i++) {
    const struct ap_tensor *t = &p->tensors[i];
    printf("tensor %s %u %u %lld %s [%u %u %u %u] %u %.9g %d %u %llu\n", t->name, (unsigned)t->storage, t->bits,
           (long long)t->bias, t->type, t->shape[0], t->shape[1], t->shape[2], t->shape[3], t->rank, (double)t->scale,
           t->zero, t->alias, (unsigned long long)t->data);
  }
}

static void descs(const struct ap_program *p) {
  for (uint32_t i = 0; i < p->ngrids; i++) {
    const uint32_t *n = p->grids[i].count;
    printf("grid %u %u %u %u tile %u\n", n[0], n[1], n[2], n[3], p->grids[i].tile_rows);
  }
  for (uint32_t i = 0; i < p->ndescs; i++) {
    const struct ap_desc *d = &p->descs[i];
    printf("desc %u %u %u %u %llu\n", d->grid, d->tensor, d->bits, d->bit, (unsigned long long)d->pad_value);
    for (int k = 0; k < 4; k++)
      printf("  %u %d %d %u %d\n", d->row_dim[k], d->row_stride[k], d->origin[k], d->tap_count[k], d->tap_step[k]);
  }
}

static void micros(const struct ap_program *p) {
  for (uint32_t i = 0; i < p->nmicros; i++) {
    const struct ap_micro *m = &p->micros[i];
    uint64_t h = SEED;
    for (uint32_t s = 0; s < m->nsteps; s++) {
      const struct ap_step *st = &m->steps[s];
      h = mix(mix(mix(h, st->kind), st->nlits), st->group);
      for (unsigned k = 0; k < st->nlits; k++) {
        const struct ap_lit *l = &m->lits[st->first + k];
        h = mix(mix(mix(mix(h, l->slot), l->bit), l->value), l->kbit);
      }
    }
    printf("micro %02x %u %u %u: %u steps %016llx\n", (unsigned)m->op, m->width[0], m->width[1], m->width[2], m->nsteps,
           (unsigned long long)h);
  }
}

static void lists(const struct ap_program *p) {
  for (uint32_t i = 0; i < p->ntables; i++) {
    printf("table %u\n", p->tables[i].count);
    for (uint32_t k = 0; k < p->tables[i].count; k++)
      instr(&p->tables[i].items[k]);
  }
  for (uint32_t i = 0; i < p->nstreams; i++) {
    uint64_t h = SEED;
    for (uint32_t k = 0; k < p->streams[i].count; k++)
      h = mix(h, p->streams[i].steps[k]);
    printf("stream %u %u %016llx\n", p->streams[i].table, p->streams[i].count, (unsigned long long)h);
  }
  for (uint32_t i = 0; i < p->npatterns; i++) {
    const struct ap_pattern *x = &p->patterns[i];
    printf("pattern %u %llu %llu", x->inputs, (unsigned long long)x->key, (unsigned long long)x->base);
    for (unsigned k = 0; k < x->inputs; k++)
      printf(" %llu", (unsigned long long)x->add[k]);
    printf("\n");
  }
  printf("code %u\n", p->ncode);
  for (uint32_t i = 0; i < p->ncode; i++)
    instr(&p->code[i]);
  uint64_t h = SEED;
  for (uint64_t i = 0; i < p->consts.count; i++)
    h = mix(h, ap_consts_at(&p->consts, i));
  printf("consts %llu %016llx\n", (unsigned long long)p->consts.count, (unsigned long long)h);
}

static void dump(const struct ap_program *p) {
  const struct ap_machine *m = &p->machine;
  const unsigned f = m->features;
  printf("network %s %u %s %.17g %d <%s>\n", p->network, p->batch, p->tech, p->vdd, p->keep_all, p->weights);
  printf("machine %u %u %u %u %u %d%d%d%d%d%d%d%d\n", m->clusters, m->caps_per_cluster, m->rows, m->columns, m->port_bits,
         m->multicast, m->unlimited_caps, (f & AP_FEATURE_ROW_GATING) != 0, (f & AP_FEATURE_ACCUMULATE) != 0,
         (f & AP_FEATURE_TWO_D) != 0, (f & AP_FEATURE_TAG_SHIFT) != 0, (f & AP_FEATURE_POPCOUNT) != 0,
         (f & AP_FEATURE_WIDE_WRITE) != 0);
  for (uint32_t i = 0; i < p->nhosts; i++) {
    const struct ap_host *h = &p->hosts[i];
    printf("host %u %u %u %.9g %.9g\n", h->kind, h->input, h->output, (double)h->in_scale, (double)h->beta);
  }
  for (uint32_t i = 0; i < p->nlayers; i++) {
    const struct ap_layer *l = &p->layers[i];
    printf("layer %s %s %s %u %u %llu %u %u %u %u %u\n", l->name, l->op, l->mapping, l->bits_w, l->bits_a,
           (unsigned long long)l->macs, l->columns_used, l->output, l->first, l->end, l->line);
  }
  for (uint32_t i = 0; i < p->ninputs; i++)
    printf("input %u\n", p->inputs[i]);
  for (uint32_t i = 0; i < p->noutputs; i++)
    printf("output %u\n", p->outputs[i]);
  for (uint32_t i = 0; i < p->nprofiles; i++) {
    printf("profile %s:", p->profiles[i].name);
    for (uint32_t k = 0; k < p->profiles[i].nlayers; k++)
      printf(" %u", p->profiles[i].layers[k]);
    printf("\n");
  }
  tensors(p);
  descs(p);
  micros(p);
  lists(p);
  uint64_t h = SEED;
  for (size_t i = 0; i < p->source.length; i++)
    h = mix(h, (uint8_t)p->source.data[i]);
  printf("source %zu %016llx\n", p->source.length, (unsigned long long)h);
}

static void print_account(const char *name, const struct ap_account *account) {
  const struct ap_layer_time *t = &account->time;
  printf("layer %s rows %llu tiles %u waves %u cycles %llu compute %llu stall %llu\n", name, (unsigned long long)t->rows,
         t->tiles, t->waves, (unsigned long long)t->cycles, (unsigned long long)t->compute, (unsigned long long)t->stall);
#define EVENT(name) printf("  %s %llu\n", #name, (unsigned long long)account->events.name);
#include "tests/second/events.def"
#undef EVENT
}

// Stored number `i` of an input, the same in apsecond.
static uint64_t pattern(uint64_t seed, uint64_t i, unsigned bits) {
  return (seed + i + 1) * UINT64_C(0x9e3779b97f4a7c15) >> 20 & ((UINT64_C(1) << (bits < 40 ? bits : 40)) - 1);
}

static bool by_host(const struct ap_program *p, uint32_t tensor) {
  for (uint32_t i = 0; i < p->nhosts; i++)
    if (ap_tensor_root(p, p->hosts[i].output) == ap_tensor_root(p, tensor))
      return true;
  return false;
}

static void print_tensors(const struct ap_program *p, const struct ap_run *run) {
  for (uint32_t i = 0; i < p->ntensors; i++) {
    uint64_t n = ap_tensor_elements(&p->tensors[i]), h = SEED;
    int64_t *q = bf_alloc(n, sizeof *q);
    ap_run_get(run, i, q);
    for (uint64_t e = 0; e < n; e++)
      h = mix(h, (uint64_t)q[e]);
    if (!by_host(p, i))
      printf("tensor %s %016llx\n", p->tensors[i].name, (unsigned long long)h);
    free(q);
  }
}

static bool execute(const struct ap_program *p, uint64_t seed, uint32_t profile, struct bf_diags *diags) {
  struct ap_technology tech;
  if (!ap_technology_load(p->tech, &tech, diags))
    return false;
  struct ap_run *run = ap_run_new(p, diags);
  struct ap_account total = {0}, *layers = bf_alloc((size_t)p->nlayers + 1, sizeof *layers);
  for (uint32_t i = 0; run && i < p->ninputs; i++) {
    const struct ap_tensor *t = &p->tensors[p->inputs[i]];
    uint64_t n = ap_tensor_elements(t);
    int64_t *q = bf_alloc(n, sizeof *q);
    for (uint64_t e = 0; e < n; e++)
      q[e] = t->bias + (int64_t)pattern(seed + i, e, t->bits);
    ap_run_set(run, p->inputs[i], q);
    free(q);
  }
  bool good = run && ap_run_execute(run, &tech, layers, &total, &(struct ap_execution){.threads = 1, .profile = profile}, diags);
  for (uint32_t i = 0; good && i < p->nlayers; i++)
    print_account(p->layers[i].name, &layers[i]);
  if (good)
    print_tensors(p, run);
  ap_run_free(run);
  ap_technology_free(&tech);
  free(layers);
  return good;
}

int main(int argc, char **argv) {
  struct bf_diags diags = {0};
  char *data = NULL;
  size_t length = 0;
  const char *why = NULL;
  bool chosen = argc == 6 && strcmp(argv[4], "--profile") == 0, run = (argc == 4 || chosen) && strcmp(argv[2], "--run") == 0;
  uint32_t profile = chosen ? (uint32_t)strtoul(argv[5], NULL, 10) : 0;
  if (!run && !(argc == 3 && strcmp(argv[2], "--dump") == 0)) {
    fputs("usage: apfirst FILE.apbin --dump | --run SEED [--profile N]\n", stderr);
    return 2;
  }
  if (!bf_read_file(argv[1], &data, &length, &why)) {
    fprintf(stderr, "apfirst: %s: %s\n", argv[1], why);
    return 1;
  }
  struct ap_program *p = ap_program_read(data, length, argv[1], &diags);
  bool good = p != NULL;
  if (good && profile > 0 && profile >= p->nprofiles) {
    bf_error_file(&diags, argv[1], NULL, "there is no profile %u", profile);
    good = false;
  }
  if (good && run)
    good = execute(p, strtoull(argv[3], NULL, 10), profile, &diags);
  else if (good)
    dump(p);
  struct bf_buf text = {0};
  bf_diags_render(&diags, &text);
  fputs(bf_buf_cstr(&text), stderr);
  bf_buf_free(&text);
  bf_diags_free(&diags);
  ap_program_free(p);
  free(data);
  return good ? 0 : 1;
}
