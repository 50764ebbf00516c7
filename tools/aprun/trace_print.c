// SPDX-License-Identifier: Apache-2.0
// The trace as Chrome trace-event JSON, one event a line. A "process" is a kind of track: the network's layers and port stalls, the
// tiles of each CAP, their loads.
#include <jansson.h>
#include <stdlib.h>

#include "tools/aprun/trace.h"

enum pid { PID_NETWORK = 1, PID_TILES, PID_LOADS, PID_LIMIT };
static const char *const process_names[PID_LIMIT] = {NULL, "network", "CAPs: tiles", "CAPs: loads"};

// Where the events of a kind are shown.
static const struct track { enum pid pid; uint32_t tid; bool by_cap; const char *category; } tracks[] = {
    [AP_TRACE_LAYER] = {PID_NETWORK, 0, false, "layer"},
    [AP_TRACE_STALL] = {PID_NETWORK, 1, false, "stall"},
    [AP_TRACE_TILE] = {PID_TILES, 0, true, "tile"},
    [AP_TRACE_LOAD] = {PID_LOADS, 0, true, "load"},
};

static char *quoted(const char *text) {
  json_t *value = json_string(text != NULL ? text : "");
  char *out = value != NULL ? json_dumps(value, JSON_ENCODE_ANY | JSON_ENSURE_ASCII) : NULL;
  json_decref(value);
  return out != NULL ? out : bf_strdup("\"?\"");  // a name from a binary may be no UTF-8
}

static void name_process(struct bf_buf *out, enum pid pid) {
  bf_buf_printf(out, "{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":%d,\"tid\":0,\"args\":{\"name\":\"%s\"}},\n", pid, process_names[pid]);
  bf_buf_printf(out, "{\"ph\":\"M\",\"name\":\"process_sort_index\",\"pid\":%d,\"tid\":0,\"args\":{\"sort_index\":%d}},\n", pid, pid);
}

static void name_track(struct bf_buf *out, enum pid pid, uint32_t tid, const char *name) {
  bf_buf_printf(out, "{\"ph\":\"M\",\"name\":\"thread_name\",\"pid\":%d,\"tid\":%u,\"args\":{\"name\":\"%s\"}},\n", pid, tid, name);
}

// Names of the tracks of the CAPs that something happens on.
static void name_caps(const struct trace *trace, struct bf_buf *out) {
  uint32_t most = 0;
  for (size_t i = 0; i < trace->count; i++) {
    most = trace->spans[i].cap > most ? trace->spans[i].cap : most;
  }
  unsigned char *seen = bf_alloc((size_t)most + 1, 1);
  for (size_t i = 0; i < trace->count; i++) {
    const struct track *track = &tracks[trace->spans[i].kind];
    unsigned char bit = (unsigned char)(1u << track->pid), *mark = &seen[trace->spans[i].cap];
    if (track->by_cap && !(*mark & bit)) {
      char name[24];
      snprintf(name, sizeof name, "CAP %u", trace->spans[i].cap);
      name_track(out, track->pid, trace->spans[i].cap, name);
      *mark |= bit;
    }
  }
  free(seen);
}

static void print_span(const struct trace *trace, const struct trace_span *s, char *const *layers, struct bf_buf *out) {
  const struct track *track = &tracks[s->kind];
  double us = 1e6 / trace->program->machine.clock_hz;
  char begin[40], length[40];
  bf_double_text(begin, (double)s->begin * us);
  bf_double_text(length, (double)s->cycles * us);
  bf_buf_printf(out, "{\"ph\":\"X\",\"cat\":\"%s\",\"name\":%s,\"pid\":%d,\"tid\":%u,\"ts\":%s,\"dur\":%s,\"args\":{\"begin\":%llu,\"cycles\":%llu",
                track->category, layers[s->layer], track->pid, track->by_cap ? s->cap : track->tid, begin, length,
                (unsigned long long)s->begin, (unsigned long long)s->cycles);
  if (track->by_cap) {
    bf_buf_printf(out, ",\"tile\":%u", s->tile);
  } else if (s->kind == AP_TRACE_STALL) {
    bf_buf_printf(out, ",\"cap\":%u", s->cap);
  }
  if (s->merged > 1) {
    bf_buf_printf(out, ",\"merged\":%llu", (unsigned long long)s->merged);
  }
  bf_buf_printf(out, ",\"execution\":%u}},\n", s->execution);
}

void trace_print(const struct trace *trace, struct bf_buf *out) {
  const struct ap_program *p = trace->program;
  char **layers = bf_alloc((size_t)p->nlayers + 1, sizeof *layers), *note = trace_note(trace);
  for (uint32_t i = 0; i <= p->nlayers; i++) {
    layers[i] = quoted(i < p->nlayers ? p->layers[i].name : "?");
  }
  char *network = quoted(p->network), *machine = quoted(p->machine.name), *said = quoted(note), clock[40];
  bf_buf_printf(out, "{\"displayTimeUnit\":\"ns\",\n\"otherData\":{\"network\":%s,\"target\":%s,\"clock_hz\":%s,\"note\":%s},\n\"traceEvents\":[\n",
                network, machine, bf_double_text(clock, p->machine.clock_hz), said);
  for (enum pid pid = PID_NETWORK; pid < PID_LIMIT; pid++) {
    name_process(out, pid);
  }
  name_caps(trace, out);
  name_track(out, PID_NETWORK, tracks[AP_TRACE_STALL].tid, "port stalls");
  for (size_t i = 0; i < trace->count; i++) {
    print_span(trace, &trace->spans[i], layers, out);
  }
  bf_buf_printf(out, "{\"ph\":\"M\",\"name\":\"thread_name\",\"pid\":%d,\"tid\":%u,\"args\":{\"name\":\"layers\"}}\n]}\n", PID_NETWORK,
                tracks[AP_TRACE_LAYER].tid);
  for (uint32_t i = 0; i <= p->nlayers; i++) {
    free(layers[i]);
  }
  free(layers);
  free(network);
  free(machine);
  free(said);
  free(note);
}
