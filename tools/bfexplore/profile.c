// SPDX-License-Identifier: Apache-2.0
// Profiles: lists of widths by layer, and the ways to write one on a command line.
#include <stdlib.h>
#include <string.h>

#include "tools/bfexplore/hawq.h"
#include "tools/bfexplore/network.h"
#include "tools/bfexplore/variant.h"

void bfx_profile_add(struct bf_profile *profile, const char *layer, unsigned bits_w, unsigned bits_a) {
  struct bf_profile_entry entry = {bf_strdup(layer), bits_w, bits_a};
  BF_PUSH(profile->entries, profile->count, profile->capacity) = entry;
}

void bfx_profile_free(struct bf_profile *profile) {
  for (size_t i = 0; i < profile->count; i++) {
    free(profile->entries[i].layer);
  }
  free(profile->entries);
  free(profile->name);
  memset(profile, 0, sizeof *profile);
}

// A letter and 1 to 16; *at moves behind it.
static unsigned width(const char **at, char letter) {
  char *end;
  if (**at != letter || (*at)[1] < '0' || (*at)[1] > '9') {
    return 0;
  }
  unsigned long bits = strtoul(*at + 1, &end, 10);
  *at = end;
  return bits >= 1 && bits <= 16 ? (unsigned)bits : 0;
}

static bool widths(const char *text, unsigned bits[2]) {
  bits[0] = width(&text, 'w');
  bits[1] = width(&text, 'a');
  return bits[0] && bits[1] && *text == 0;
}

bool bfx_is_layer(const struct bf_node *n) { return n->op == BF_OP_CONV2D || n->op == BF_OP_DENSE; }

static bool has_entry(const struct bf_profile *profile, const char *layer) {
  for (size_t i = 0; i < profile->count; i++) {
    if (!strcmp(profile->entries[i].layer, layer)) {
      return true;
    }
  }
  return false;
}

void bfx_profile_add_layers(struct bf_profile *profile, const struct bf_graph *graph, unsigned bits_w, unsigned bits_a) {
  for (size_t i = 0; i < graph->nnodes; i++) {
    if (bfx_is_layer(graph->nodes[i]) && !has_entry(profile, graph->nodes[i]->name)) {
      bfx_profile_add(profile, graph->nodes[i]->name, bits_w, bits_a);
    }
  }
}

static void add_ends(const struct bf_graph *graph, struct bf_profile *out) {
  const struct bf_node *first = NULL, *last = NULL;
  for (size_t i = 0; i < graph->nnodes; i++) {
    if (bfx_is_layer(graph->nodes[i])) {
      first = first ? first : graph->nodes[i];
      last = graph->nodes[i];
    }
  }
  if (first) {
    bfx_profile_add(out, first->name, 8, 8);
  }
  if (last && last != first) {
    bfx_profile_add(out, last->name, 8, 8);
  }
}

static bool read_hawq(const char *column, const char *table, const struct bf_graph *graph, struct bf_profile *out, struct bf_diags *diags) {
  char *file = bf_format("hawq/%s_bits.csv", table);
  const char *text = bfx_file_text(file);
  bool ok = text != NULL;
  if (!ok) {
    bf_error_file(diags, NULL, "resnet18 and resnet50 have them", "there is no table of HAWQ-V3's bits for %s", table);
  } else {
    const struct bf_source *csv = bf_diags_add_source(diags, file, text, strlen(text));
    for (size_t i = 0; ok && i < graph->nnodes; i++) {
      if (bfx_is_layer(graph->nodes[i])) {
        unsigned bits = bfx_hawq_bits(csv, graph->nodes[i]->name, column, diags);
        ok = bits > 0;
        if (ok) bfx_profile_add(out, graph->nodes[i]->name, bits, bits);
      }
    }
  }
  free(file);
  return ok;
}

// ---- a file with one block: profile NAME { layer: wB aB; ... }

struct reader { const struct bf_source *source; const char *at; struct bf_diags *diags; };

static void skip(struct reader *r) {
  for (;;) {
    r->at += strspn(r->at, " \t\r\n");
    if (*r->at != '#') {
      return;
    }
    r->at += strcspn(r->at, "\n");
  }
}

static bool expected(struct reader *r, const char *what) {
  size_t at = (size_t)(r->at - r->source->text);
  bf_error_at(r->diags, (struct bf_range){r->source, at, at + (*r->at != 0)}, "profile NAME { layer: w4 a4; default: w8 a8; }",
              "%s is expected", what);
  return false;
}

// The word at the place, a heap copy; NULL if there is none.
static char *word(struct reader *r) {
  static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789.";
  skip(r);
  size_t length = strspn(r->at, letters);
  char *text = length ? bf_strndup(r->at, length) : NULL;
  r->at += length;
  return text;
}

static bool mark(struct reader *r, char c) {
  skip(r);
  bool found = *r->at == c;
  r->at += found;
  return found;
}

static bool read_entry(struct reader *r, struct bf_profile *out) {
  unsigned bits[2] = {0, 0};
  char *layer = word(r);
  bool ok = layer ? mark(r, ':') || expected(r, "`:`") : expected(r, "a layer's name");
  for (int i = 0; ok && i < 2; i++) {
    skip(r);
    bits[i] = width(&r->at, i ? 'a' : 'w');
    ok = bits[i] > 0 || expected(r, i ? "the width of activations, a1 to a16," : "the width of weights, w1 to w16,");
  }
  ok = ok && (mark(r, ';') || expected(r, "`;`"));
  if (ok) {
    bfx_profile_add(out, layer, bits[0], bits[1]);
  }
  free(layer);
  return ok;
}

static bool read_file(const char *path, struct bf_profile *out, struct bf_diags *diags) {
  struct reader r = {.source = bf_diags_read_source(diags, path, NULL), .diags = diags};
  if (!r.source) {
    return false;
  }
  r.at = r.source->text;
  char *keyword = word(&r), *name = keyword && !strcmp(keyword, "profile") ? word(&r) : NULL;
  free(keyword);
  bool ok = name ? mark(&r, '{') || expected(&r, "`{`") : expected(&r, "`profile` and a name");
  free(name);
  while (ok && !mark(&r, '}')) {
    ok = read_entry(&r, out);
  }
  return ok;
}

bool bfx_profile_read(const char *text, const char *table, const struct bf_graph *graph, struct bf_profile *out, struct bf_diags *diags) {
  unsigned bits[2];
  const char *rest = strncmp(text, "ends8:", 6) == 0 ? text + 6 : text;
  out->name = bf_strdup(text);
  if (!strcmp(text, "base")) {
    return true;
  }
  if (!strncmp(text, "hawq:", 5)) {
    return read_hawq(text + 5, table, graph, out, diags);
  }
  if (widths(rest, bits)) {
    if (rest != text) {
      add_ends(graph, out);
    }
    bfx_profile_add_layers(out, graph, bits[0], bits[1]);
    return true;
  }
  for (size_t i = 0; i < graph->nprofiles; i++) {
    const struct bf_profile *own = &graph->profiles[i];
    for (size_t k = 0; !strcmp(own->name, text) && k < own->count; k++) {
      bfx_profile_add(out, own->entries[k].layer, own->entries[k].bits_w, own->entries[k].bits_a);
    }
    if (!strcmp(own->name, text)) {
      return true;
    }
  }
  if (strpbrk(text, "./")) {
    return read_file(text, out, diags);
  }
  bf_error_file(diags, NULL, "base, w4a4, ends8:w4a4, hawq:latency_0.5, a profile of the network, or a file", "there is no profile `%s`", text);
  return false;
}
