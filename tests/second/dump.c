// SPDX-License-Identifier: Apache-2.0
// The canonical listing: every record and instruction as numbers, long lists as their FNV-1a. first.c prints the same
// from what the project's reader made of the file.
#include "second.h"

static uint64_t mix(uint64_t h, uint64_t v) { return (h ^ v) * UINT64_C(0x100000001b3); }
static const uint64_t SEED = UINT64_C(0xcbf29ce484222325);

static void instr(FILE *out, const struct instr *in) {
  fprintf(out, " %02x", in->op);
  for (unsigned i = 0; i < in->nfields; i++)
    fprintf(out, " c%u:%u", in->f[i].col, in->f[i].width);
  fprintf(out, " %u %u %llu\n", in->index, in->tap, (unsigned long long)in->imm);
}

static void tensors(const struct binary *b, FILE *out) {
  for (uint32_t i = 0; i < b->ntensors; i++) {
    const struct tensor *t = &b->tensors[i];
    fprintf(out, "tensor %s %u %u %lld %s [%u %u %u %u] %u %.9g %d %u %llu\n", t->name, t->storage, t->bits,
            (long long)t->bias, t->type, t->shape[0], t->shape[1], t->shape[2], t->shape[3], t->rank, (double)t->scale,
            t->zero, t->alias, (unsigned long long)t->data);
  }
}

static void descs(const struct binary *b, FILE *out) {
  for (uint32_t i = 0; i < b->ngrids; i++) {
    const uint32_t *n = b->grids[i].count;
    fprintf(out, "grid %u %u %u %u tile %u\n", n[0], n[1], n[2], n[3], b->grids[i].tile_rows);
  }
  for (uint32_t i = 0; i < b->ndescs; i++) {
    const struct desc *d = &b->descs[i];
    fprintf(out, "desc %u %u %u %u %llu\n", d->grid, d->tensor, d->bits, d->bit, (unsigned long long)d->pad_value);
    for (int k = 0; k < 4; k++)
      fprintf(out, "  %u %d %d %u %d\n", d->row_dim[k], d->row_stride[k], d->origin[k], d->tap_count[k], d->tap_step[k]);
  }
}

static void micros(const struct binary *b, FILE *out) {
  for (uint32_t i = 0; i < b->nmicros; i++) {
    const struct micro *m = &b->micros[i];
    uint64_t h = SEED;
    for (uint32_t s = 0; s < m->nsteps; s++) {
      const struct step *st = &m->steps[s];
      h = mix(mix(mix(h, st->kind), st->nlits), st->group);
      for (unsigned k = 0; k < st->nlits; k++)
        h = mix(mix(mix(mix(h, st->lits[k].slot), st->lits[k].bit), st->lits[k].value), st->lits[k].kbit);
    }
    fprintf(out, "micro %02x %u %u %u: %u steps %016llx\n", m->op, m->width[0], m->width[1], m->width[2], m->nsteps,
            (unsigned long long)h);
  }
}

static void lists(const struct binary *b, FILE *out) {
  for (uint32_t i = 0; i < b->ntables; i++) {
    fprintf(out, "table %u\n", b->tables[i].count);
    for (uint32_t k = 0; k < b->tables[i].count; k++)
      instr(out, &b->tables[i].items[k]);
  }
  for (uint32_t i = 0; i < b->nstreams; i++) {
    uint64_t h = SEED;
    for (uint32_t k = 0; k < b->streams[i].count; k++)
      h = mix(h, b->streams[i].steps[k]);
    fprintf(out, "stream %u %u %016llx\n", b->streams[i].table, b->streams[i].count, (unsigned long long)h);
  }
  for (uint32_t i = 0; i < b->npatterns; i++) {
    const struct pattern *p = &b->patterns[i];
    fprintf(out, "pattern %u %llu %llu", p->inputs, (unsigned long long)p->key, (unsigned long long)p->base);
    for (unsigned k = 0; k < p->inputs; k++)
      fprintf(out, " %llu", (unsigned long long)p->add[k]);
    fprintf(out, "\n");
  }
  fprintf(out, "code %u\n", b->ncode);
  for (uint32_t i = 0; i < b->ncode; i++)
    instr(out, &b->code[i]);
  uint64_t h = SEED;
  for (uint64_t i = 0; i < b->nconsts; i++)
    h = mix(h, b->consts[i]);
  fprintf(out, "consts %llu %016llx\n", (unsigned long long)b->nconsts, (unsigned long long)h);
}

void dump(const struct binary *b, FILE *out) {
  fprintf(out, "network %s %u %s %.17g %d <%s>\n", b->network, b->batch, b->tech, b->vdd, b->keep_all, b->weights);
  fprintf(out, "machine %llu %llu %llu %llu %llu %d%d%d%d%d%d%d%d\n", (unsigned long long)b->machine.clusters,
          (unsigned long long)b->machine.caps_per_cluster, (unsigned long long)b->machine.rows,
          (unsigned long long)b->machine.columns, (unsigned long long)b->machine.port_bits, b->machine.multicast,
          b->machine.unlimited, b->machine.row_gating, b->machine.accumulate, b->machine.two_d, b->machine.tag_shift,
          b->machine.popcount, b->machine.wide_write);
  for (uint32_t i = 0; i < b->nhosts; i++) {
    const struct host *h = &b->hosts[i];
    fprintf(out, "host %u %u %u %.9g %.9g\n", h->kind, h->input, h->output, (double)h->in_scale, (double)h->beta);
  }
  for (uint32_t i = 0; i < b->nlayers; i++) {
    const struct layer *l = &b->layers[i];
    fprintf(out, "layer %s %s %s %u %u %llu %u %u %u %u %u\n", l->name, l->op, l->mapping, l->bits_w, l->bits_a,
            (unsigned long long)l->macs, l->columns_used, l->output, l->first, l->end, l->line);
  }
  for (uint32_t i = 0; i < b->ninputs; i++)
    fprintf(out, "input %u\n", b->inputs[i]);
  for (uint32_t i = 0; i < b->noutputs; i++)
    fprintf(out, "output %u\n", b->outputs[i]);
  for (uint32_t i = 0; i < b->nprofiles; i++) {
    fprintf(out, "profile %s:", b->profiles[i].name);
    for (uint32_t k = 0; k < b->profiles[i].nlayers; k++)
      fprintf(out, " %u", b->profiles[i].layers[k]);
    fprintf(out, "\n");
  }
  tensors(b, out);
  descs(b, out);
  micros(b, out);
  lists(b, out);
  uint64_t h = SEED;
  for (size_t i = 0; i < b->source.length; i++)
    h = mix(h, b->source.data[i]);
  fprintf(out, "source %zu %016llx\n", b->source.length, (unsigned long long)h);
}
