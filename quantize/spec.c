// SPDX-License-Identifier: Apache-2.0
// What is wanted of a quantization, as text: "w4a4,first=w8a8,…", or a file with a line for each layer.
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "quantize/quantize.h"

void bf_quantize_spec_init(struct bf_quantize_spec *spec) {
  *spec = (struct bf_quantize_spec){.residual = 8, .percentile = 99.99};
}

void bf_quantize_spec_free(struct bf_quantize_spec *spec) {
  for (size_t i = 0; i < spec->nlayers; i++) free(spec->layers[i].name);
  free(spec->layers);
  spec->layers = NULL;
  spec->nlayers = spec->capacity = 0;
}

void bf_quantize_spec_add(struct bf_quantize_spec *spec, const char *layer, struct bf_widths widths, struct bf_range range) {
  BF_PUSH(spec->layers, spec->nlayers, spec->capacity) = (struct bf_layer_widths){bf_strdup(layer), widths, range};
}

// "w4" or "a4" at *at, which moves on.
static bool width(const char **at, const char *end, char letter, unsigned *out) {
  const char *p = *at;
  if (p == end || *p++ != letter) return false;
  unsigned value = 0, digits = 0;
  for (; p < end && *p >= '0' && *p <= '9' && digits < 3; p++, digits++) value = 10 * value + (unsigned)(*p - '0');
  *at = p;
  *out = value;
  return digits > 0 && value >= 1 && value <= 16;
}

bool bf_widths_parse(const char *text, size_t length, struct bf_widths *out) {
  const char *end = text + length;
  return width(&text, end, 'w', &out->w) && width(&text, end, 'a', &out->a) && text == end;
}

// ---- a file

struct words {
  const struct bf_source *source;
  size_t at, begin, end;  // the word is [begin, end)
};

static bool is_separator(char c) { return isspace((unsigned char)c) || c == ':' || c == ';' || c == ','; }

// The next word; the signs { and } are words.
static bool next_word(struct words *w) {
  const char *text = w->source->text;
  size_t n = w->source->length;
  while (w->at < n && (is_separator(text[w->at]) || text[w->at] == '#')) {
    if (text[w->at] == '#')
      while (w->at < n && text[w->at] != '\n') w->at++;
    else w->at++;
  }
  w->begin = w->at;
  if (w->at < n && (text[w->at] == '{' || text[w->at] == '}')) w->at++;
  else
    while (w->at < n && !is_separator(text[w->at]) && !strchr("{}#", text[w->at])) w->at++;
  w->end = w->at;
  return w->end > w->begin;
}

static struct bf_range range_of(const struct words *w) { return (struct bf_range){w->source, w->begin, w->end}; }
static bool is_word(const struct words *w, const char *word) {
  return w->end - w->begin == strlen(word) && memcmp(w->source->text + w->begin, word, w->end - w->begin) == 0;
}

// "w4" "a8" or "w4a8" after the layer's name.
static bool file_widths(struct words *w, struct bf_widths *out, struct bf_diags *diags) {
  const struct words before = *w;
  if (next_word(w)) {
    const char *at = w->source->text + w->begin, *end = w->source->text + w->end;
    if (width(&at, end, 'w', &out->w)) {
      if (at < end && width(&at, end, 'a', &out->a) && at == end) return true;
      bool alone = at == end;
      if (alone && next_word(w)) {
        at = w->source->text + w->begin, end = w->source->text + w->end;
        if (width(&at, end, 'a', &out->a) && at == end) return true;
      }
    }
  }
  bf_error_at(diags, w->end > w->begin ? range_of(w) : range_of(&before), "for instance: conv1 w4 a8",
              "the layer's widths are expected, w1 to w16 and a1 to a16");
  return false;
}

static bool file_entry(struct words *w, struct bf_quantize_spec *spec, struct bf_diags *diags) {
  struct bf_range range = range_of(w);
  char *name = bf_strndup(w->source->text + w->begin, w->end - w->begin);
  struct bf_widths widths = {0};
  bool ok = file_widths(w, &widths, diags);
  if (ok && strcmp(name, "default") == 0) {
    spec->all = widths;
  } else if (ok) {
    for (size_t i = 0; ok && i < spec->nlayers; i++) {
      if (strcmp(spec->layers[i].name, name) != 0) continue;
      bf_error_at(diags, range, NULL, "the widths of `%s` are given twice", name);
      ok = false;
    }
    if (ok) bf_quantize_spec_add(spec, name, widths, range);
  }
  free(name);
  return ok;
}

static bool read_file(const char *path, struct bf_quantize_spec *spec, struct bf_diags *diags) {
  struct words w = {.source = bf_diags_read_source(diags, path, "--quantize wants widths like w4a4, or a file of them")};
  bool ok = w.source != NULL;
  while (ok && next_word(&w)) {
    if (is_word(&w, "}") || is_word(&w, "{")) continue;
    if (is_word(&w, "profile")) next_word(&w);  // its name
    else ok = file_entry(&w, spec, diags);
  }
  return ok;
}

// ---- the text

static bool wrong(const char *item, size_t length, const char *hint, struct bf_diags *diags) {
  bf_error_file(diags, "--quantize", hint, "`%.*s` is not understood", (int)(length < 100 ? length : 100), item);
  return false;
}

static bool is_value(const char *value, size_t length, const char *word) { return strlen(word) == length && memcmp(value, word, length) == 0; }

static bool read_range(const char *value, size_t n, struct bf_quantize_spec *spec) {
  char text[16] = {0}, *end;
  if (is_value(value, n, "mse")) spec->method = BF_RANGE_MSE;
  else if (is_value(value, n, "max")) spec->method = BF_RANGE_MAX;
  else {
    if (n == 0 || n >= sizeof text) return false;
    memcpy(text, value, n);
    spec->method = BF_RANGE_PERCENTILE;
    spec->percentile = isdigit((unsigned char)*text) ? strtod(text, &end) : 0;
    return spec->percentile >= 50 && spec->percentile <= 100 && !*end;
  }
  return true;
}

static bool read_setting(const char *item, size_t length, struct bf_quantize_spec *spec, struct bf_diags *diags) {
  const char *equals = memchr(item, '=', length), *value = equals ? equals + 1 : item;
  size_t name = equals ? (size_t)(equals - item) : length, n = length - (size_t)(value - item);
  if (equals && is_value(item, name, "first"))
    return bf_widths_parse(value, n, &spec->first) || wrong(item, length, "for instance first=w8a8, with 1 to 16 bits", diags);
  if (equals && is_value(item, name, "last"))
    return bf_widths_parse(value, n, &spec->last) || wrong(item, length, "for instance last=w8a8, with 1 to 16 bits", diags);
  if (equals && is_value(item, name, "residual")) {
    unsigned bits = 0;
    for (size_t i = 0; i < n && i < 3; i++) bits = value[i] >= '0' && value[i] <= '9' ? 10 * bits + (unsigned)(value[i] - '0') : 99;
    spec->residual = bits;
    return (n > 0 && bits >= 1 && bits <= 16) || wrong(item, length, "residual=1 to residual=16", diags);
  }
  if (equals && is_value(item, name, "range")) return read_range(value, n, spec) || wrong(item, length, "range=mse, range=max, or a percentile like range=99.9", diags);
  if (equals && is_value(item, name, "rounding")) {
    spec->rounding = is_value(value, n, "nearest") ? BF_ROUND_NEAREST : BF_ROUND_COMPENSATED;
    return spec->rounding == BF_ROUND_NEAREST || is_value(value, n, "compensated") || wrong(item, length, "rounding=compensated or rounding=nearest", diags);
  }
  if (equals && is_value(item, name, "correction")) {
    static const char *const words[] = {[BF_CORRECT_AFFINE] = "affine", [BF_CORRECT_BIAS] = "bias", [BF_CORRECT_NOTHING] = "none"};
    for (size_t i = 0; i < BF_COUNT(words); i++)
      if (is_value(value, n, words[i])) {
        spec->correction = (enum bf_correction)i;
        return true;
      }
    return wrong(item, length, "correction=affine, correction=bias or correction=none", diags);
  }
  return wrong(item, length, "settings are first, last, residual, range, rounding, correction; for instance w4a4,first=w8a8", diags);
}

bool bf_quantize_spec_parse(const char *text, struct bf_quantize_spec *spec, struct bf_diags *diags) {
  bf_quantize_spec_init(spec);
  bool first = true, ok = true;
  for (const char *at = text; ok && at; first = false) {
    size_t length = strcspn(at, ",");
    const char *comma = at[length] ? at + length + 1 : NULL;
    if (!first) {
      ok = read_setting(at, length, spec, diags);
    } else if (!bf_widths_parse(at, length, &spec->all)) {
      spec->all = (struct bf_widths){0};
      // What looks like widths is no file.
      bool looks = length == 0 || (*at == 'w' && strspn(at, "wa0123456789") == length);
      char *path = bf_strndup(at, length);
      ok = looks ? wrong(at, length, "widths are w1a1 to w16a16", diags) : read_file(path, spec, diags);
      free(path);
    }
    at = comma;
  }
  if (!ok) bf_quantize_spec_free(spec);
  return ok;
}
