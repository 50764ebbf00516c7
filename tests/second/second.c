// SPDX-License-Identifier: Apache-2.0
// apsecond: reads and runs a binary with the second implementation (second.h).
//   apsecond FILE.apbin [--dump] [--input [NAME=]FILE.npy]... [--output [NAME=]FILE.npy]... [--tech FILE.ini]
//            [--events] [--values] [--run SEED] [--profile N]
// --dump lists the contents. Otherwise the program runs. --output takes any tensor; without a name, the first output.
// --events lists all counters; --values those of the JSON report, one a line, as `testkit json` prints them.
// --run sets the inputs to a pattern, runs once and lists counters and a checksum of every tensor, as apfirst does.
// --profile: its number, in a program that has profiles; the first is 0 and the default.
// Host ops are not executed: what they would write stays 0.
#include <stdlib.h>
#include <string.h>

#include "second.h"

struct want { uint32_t tensor; const char *path; struct array array; };
struct options {
  const char *binary, *tech, *inputs[32], *outputs[32];
  unsigned ninputs, noutputs;
  bool dump, events, values, run;
  uint64_t seed;
  uint32_t profile;
};

static struct options parse(int argc, char **argv) {
  struct options o = {0};
  for (int i = 1; i < argc; i++) {
    const char *next = i + 1 < argc ? argv[i + 1] : NULL;
    if (strcmp(argv[i], "--dump") == 0)
      o.dump = true;
    else if (strcmp(argv[i], "--events") == 0)
      o.events = true;
    else if (strcmp(argv[i], "--values") == 0)
      o.values = true;
    else if (strcmp(argv[i], "--input") == 0 && next && o.ninputs < 32)
      o.inputs[o.ninputs++] = argv[++i];
    else if (strcmp(argv[i], "--output") == 0 && next && o.noutputs < 32)
      o.outputs[o.noutputs++] = argv[++i];
    else if (strcmp(argv[i], "--run") == 0 && next)
      o.run = true, o.seed = strtoull(argv[++i], NULL, 10);
    else if (strcmp(argv[i], "--profile") == 0 && next)
      o.profile = (uint32_t)strtoul(argv[++i], NULL, 10);
    else if (strcmp(argv[i], "--tech") == 0 && next)
      o.tech = argv[++i];
    else if (argv[i][0] != '-' && !o.binary)
      o.binary = argv[i];
    else
      die("argument %s", argv[i]);
  }
  if (!o.binary)
    die("no binary");
  return o;
}

// The tensor and file that [NAME=]FILE means.
static struct want resolve(const struct binary *b, const char *text, const uint32_t *list, uint32_t count) {
  const char *equals = strchr(text, '=');
  if (!equals) {
    if (count == 0)
      die("no tensor for %s", text);
    return (struct want){list[0], text, {0}};
  }
  for (uint32_t i = 0; i < b->ntensors; i++)
    if (strlen(b->tensors[i].name) == (size_t)(equals - text) &&
        strncmp(b->tensors[i].name, text, (size_t)(equals - text)) == 0)
      return (struct want){i, equals + 1, {0}};
  die("no tensor named in %s", text);
}

static int64_t highest(const struct tensor *t) {
  return t->bits >= 63 ? INT64_MAX : t->bias + (int64_t)((UINT64_C(1) << t->bits) - 1);
}

// Of a number in memory, those that belong to this tensor: it may share the memory of a wider one.
static uint64_t lowest_bits(const struct tensor *t) { return t->bits < 64 ? (UINT64_C(1) << t->bits) - 1 : UINT64_MAX; }

// Image `first` and the others of its group into memory; the rest of the group is stored number 0.
static void set_input(struct run *run, const struct want *in, uint64_t first) {
  const struct tensor *t = &run->b->tensors[in->tensor];
  uint64_t all = tensor_elements(t), at = first * (all / run->b->batch), *memory = run_memory(run, in->tensor);
  for (uint64_t i = 0; i < all; i++) {
    memory[i] = 0;
    if (at + i >= in->array.count)
      continue;
    int64_t v = in->array.values[at + i];
    if (v < t->bias || v > highest(t))
      die("%s: %lld does not fit", in->path, (long long)v);
    memory[i] = (uint64_t)v - (uint64_t)t->bias;
  }
}

static void get_output(const struct run *run, struct want *out, uint64_t first) {
  const struct tensor *t = &run->b->tensors[out->tensor];
  uint64_t all = tensor_elements(t), at = first * (all / run->b->batch), *memory = run_memory(run, out->tensor);
  for (uint64_t i = 0; i < all && at + i < out->array.count; i++)
    out->array.values[at + i] = (int64_t)((memory[i] & lowest_bits(t)) + (uint64_t)t->bias);
}

static void shape_output(const struct binary *b, struct want *out, uint64_t images) {
  const struct tensor *t = &b->tensors[out->tensor];
  struct array *a = &out->array;
  uint64_t one = tensor_elements(t) / b->batch;
  a->count = images * one;
  a->values = zalloc(a->count, sizeof *a->values);
  a->rank = t->rank;
  for (unsigned i = 0; i < t->rank; i++)
    a->shape[i] = t->shape[4 - t->rank + i];
  a->shape[0] = a->shape[0] / b->batch * images;
  if (a->shape[0] == 0) {
    a->rank = 2;
    a->shape[0] = images;
    a->shape[1] = one;
  }
}

static void print_events(const struct run *run) {
#define EVENT(name) #name,
  static const char *const NAMES[] = {
#include "events.def"
  };
#undef EVENT
  for (uint32_t l = 0; l < run->b->nlayers; l++) {
    const struct time *t = &run->times[l];
    printf("layer %s rows %llu tiles %llu waves %llu cycles %llu compute %llu stall %llu\n", run->b->layers[l].name,
           (unsigned long long)run->rows[l], (unsigned long long)t->tiles, (unsigned long long)t->waves,
           (unsigned long long)t->cycles, (unsigned long long)t->compute, (unsigned long long)t->stall);
    for (int e = 0; e < EVENTS; e++)
      printf("  %s %llu\n", NAMES[e], (unsigned long long)run->events[l][e]);
  }
}

static void print_values(const struct run *run) {
  static const enum event KEYS[] = {EV_compare, EV_write, EV_load,     EV_store, EV_move,
                                    EV_shift,   EV_count, EV_external, EV_host};
  enum { COUNT = sizeof KEYS / sizeof *KEYS };
  uint64_t cycles = 0, total[COUNT + 1] = {0};
  for (uint32_t l = 0; l < run->b->nlayers; l++) {
    for (int k = 0; k < COUNT; k++)
      total[k] += run->events[l][KEYS[k]];
    total[COUNT] += run->times[l].stall;
    cycles += run->times[l].cycles;
  }
  printf("%llu\n", (unsigned long long)cycles);
  for (int k = 0; k <= COUNT; k++)
    printf("%llu\n", (unsigned long long)total[k]);
  for (uint32_t l = 0; l < run->b->nlayers; l++)
    printf("%llu\n", (unsigned long long)run->times[l].cycles);
  for (int k = 0; k <= COUNT; k++)
    for (uint32_t l = 0; l < run->b->nlayers; l++)
      printf("%llu\n", (unsigned long long)(k < COUNT ? run->events[l][KEYS[k]] : run->times[l].stall));
}

// Stored number `i` of an input, the same in apfirst.
static uint64_t pattern(uint64_t seed, uint64_t i, unsigned bits) {
  return (seed + i + 1) * UINT64_C(0x9e3779b97f4a7c15) >> 20 & ((UINT64_C(1) << (bits < 40 ? bits : 40)) - 1);
}

static bool by_host(const struct run *run, uint32_t tensor) {
  for (uint32_t i = 0; i < run->b->nhosts; i++)
    if (run_memory(run, run->b->hosts[i].output) == run_memory(run, tensor))
      return true;
  return false;
}

static void run_pattern(struct run *run, uint64_t seed, uint32_t profile) {
  const struct binary *b = run->b;
  for (uint32_t i = 0; i < b->ninputs; i++) {
    const struct tensor *t = &b->tensors[b->inputs[i]];
    for (uint64_t e = 0; e < tensor_elements(t); e++)
      run_memory(run, b->inputs[i])[e] = pattern(seed + i, e, t->bits);
  }
  run_program(run, profile);
  print_events(run);
  for (uint32_t i = 0; i < b->ntensors; i++) {
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (uint64_t e = 0; e < tensor_elements(&b->tensors[i]); e++)
      h = (h ^ ((run_memory(run, i)[e] & lowest_bits(&b->tensors[i])) + (uint64_t)b->tensors[i].bias)) * UINT64_C(0x100000001b3);
    if (!by_host(run, i))
      printf("tensor %s %016llx\n", b->tensors[i].name, (unsigned long long)h);
  }
}

// Latencies of compares and writes; 1 without a technology file.
static uint64_t latency(const struct bytes *tech, const char *key) {
  char value[64];
  return tech->length > 0 && ini_find(*tech, key, value, sizeof value) ? strtoull(value, NULL, 10) : 1;
}

int main(int argc, char **argv) {
  static struct binary *b;  // static: kept to the end, and no leak to a sanitizer
  static struct run *run;
  static struct want in[32], out[32];
  struct options o = parse(argc, argv);
  b = binary_read(o.binary);
  if (o.dump) {
    dump(b, stdout);
    return 0;
  }
  if (o.profile > 0 && o.profile >= b->nprofiles)
    die("there is no profile %u", o.profile);
  struct bytes tech = o.tech ? read_file(o.tech) : (struct bytes){0};
  uint64_t compares = latency(&tech, "compare_cycles"), writes = latency(&tech, "write_cycles");
  free(tech.data);
  run = run_new(b, compares, writes);
  if (o.run) {
    run_pattern(run, o.seed, o.profile);
    return 0;
  }
  uint64_t images = b->batch;
  for (unsigned i = 0; i < o.ninputs; i++) {
    in[i] = resolve(b, o.inputs[i], b->inputs, b->ninputs);
    in[i].array = npy_read(in[i].path);
    images = in[i].array.count / (tensor_elements(&b->tensors[in[i].tensor]) / b->batch);
  }
  for (unsigned i = 0; i < o.noutputs; i++) {
    out[i] = resolve(b, o.outputs[i], b->outputs, b->noutputs);
    shape_output(b, &out[i], images);
  }
  for (uint64_t first = 0; first < images; first += b->batch) {
    for (unsigned i = 0; i < o.ninputs; i++)
      set_input(run, &in[i], first);
    run_program(run, o.profile);
    for (unsigned i = 0; i < o.noutputs; i++)
      get_output(run, &out[i], first);
  }
  for (unsigned i = 0; i < o.noutputs; i++) {
    const struct tensor *t = &b->tensors[out[i].tensor];
    npy_write(out[i].path, &out[i].array, t->bias, highest(t));
  }
  if (o.events)
    print_events(run);
  if (o.values)
    print_values(run);
  if (run->skipped_hosts > 0)
    fprintf(stderr, "apsecond: host ops were not executed: %llu\n", (unsigned long long)run->skipped_hosts);
  return 0;
}
