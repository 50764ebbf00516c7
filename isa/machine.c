// SPDX-License-Identifier: Apache-2.0
// Reading and printing of machine and technology descriptions (docs/machine-files.md).
#include "isa/machine.h"

#include <errno.h>
#include <math.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "isa/micro.h"
#include "isa/presets.h"

enum key_kind { KIND_NAME, KIND_U32, KIND_U64, KIND_REAL, KIND_BOOL, KIND_FEATURES };
struct key {
  const char *name;
  enum key_kind kind;
  size_t offset, size;  // of the member
  double min, max;
};
#define MEMBER(type, member) offsetof(struct type, member), sizeof(((struct type *)0)->member)
static const struct key machine_keys[] = {
#define AP_MACHINE_KEY(key, kind, member, min, max) {key, KIND_##kind, MEMBER(ap_machine, member), min, max},
#include "isa/machine_keys.def"
};
static const struct key technology_keys[] = {
#define AP_TECHNOLOGY_KEY(key, kind, member, min, max) {key, KIND_##kind, MEMBER(ap_technology, member), min, max},
#include "isa/machine_keys.def"
};
#define MAX_KEYS 32

static const struct feature {
  const char *name;
  unsigned bit;
} features[] = {
    {"accumulate", AP_FEATURE_ACCUMULATE},
    {"wide-write", AP_FEATURE_WIDE_WRITE},
    {"row-gating", AP_FEATURE_ROW_GATING},
    {"tag-shift", AP_FEATURE_TAG_SHIFT},
    {"two-d", AP_FEATURE_TWO_D},
    {"popcount", AP_FEATURE_POPCOUNT},
};

// State of one reading. inih has no column or byte positions, so the line reader keeps them.
struct reading {
  const struct bf_source *source;
  struct bf_diags *diags;
  const char *section;  // the only legal section
  const struct key *keys;
  size_t nkeys;
  void *out;
  bool seen[MAX_KEYS], any;  // keys; any of them
  size_t errors;             // from before
  size_t next, begin, end;   // next line; the current line without its line end
  struct bf_buf provenance;
};

static struct bf_range line_range(const struct reading *r) {
  return (struct bf_range){r->source, r->begin, r->end};
}

static const struct key *find_key(const struct reading *r, const char *name, size_t length) {
  for (size_t i = 0; i < r->nkeys; i++) {
    if (strlen(r->keys[i].name) == length && memcmp(r->keys[i].name, name, length) == 0) {
      return &r->keys[i];
    }
  }
  return NULL;
}

// Keeps a comment line "; key: standing: text" for the report.
static void note_provenance(struct reading *r, const char *line, size_t length) {
  while (length > 0 && (*line == ';' || *line == '#' || *line == ' ')) {
    line++, length--;
  }
  const char *colon = memchr(line, ':', length);
  if (colon != NULL && find_key(r, line, (size_t)(colon - line)) != NULL) {
    bf_buf_append(&r->provenance, line, length);
    bf_buf_puts(&r->provenance, "\n");
  }
}

// Ends at the first error until a key was understood: a file of another kind has one, not one a line.
static bool at_end(const struct reading *r) {
  return r->next >= r->source->length || (!r->any && r->diags->errors > r->errors);
}

// fgets for inih. Comments are taken out here, so that they may be longer than inih's line buffer; any other
// line that is too long is an error.
static char *read_line(char *buffer, int size, void *stream) {
  struct reading *r = stream;
  const char *text = r->source->text;
  if (at_end(r)) {
    return NULL;
  }
  const char *stop = memchr(text + r->next, '\n', r->source->length - r->next);
  r->begin = r->next;
  r->end = stop != NULL ? (size_t)(stop - text) : r->source->length;
  r->next = stop != NULL ? r->end + 1 : r->end;
  size_t length = r->end - r->begin;
  if (length > 0 && text[r->begin + length - 1] == '\r') {
    length--;
  }
  size_t indent = strspn(text + r->begin, " \t");
  bool comment = indent < length && strchr(";#", text[r->begin + indent]) != NULL;
  if (comment) {
    note_provenance(r, text + r->begin + indent, length - indent);
    length = 0;
  } else if (length + 2 > (size_t)size) {
    bf_error_at(r->diags, line_range(r), NULL, "line is longer than %d characters", size - 2);
    length = 0;
  } else if (memchr(text + r->begin, 0, length) != NULL) {
    bf_error_at(r->diags, line_range(r), NULL, "the line holds a NUL character");
    length = 0;
  }
  // inih reads an indented line as the continuation of the one before; here each line stands alone.
  size_t skip = length > 0 ? indent : 0;
  memcpy(buffer, text + r->begin + skip, length - skip);
  memcpy(buffer + length - skip, "\n", 2);
  return buffer;
}

static bool parse_number(struct reading *r, const struct key *key, const char *value, bool integer, double *out) {
  char *end;
  errno = 0;
  double v = strtod(value, &end);
  if (end == value || *end != 0 || !isfinite(v)) {
    bf_error_at(r->diags, line_range(r), NULL, "%s wants a number, not '%s'", key->name, value);
  } else if (integer && v != floor(v)) {
    bf_error_at(r->diags, line_range(r), NULL, "%s wants a whole number, not '%s'", key->name, value);
  } else if (v < key->min || v > key->max) {
    bf_error_at(r->diags, line_range(r), NULL, "%s = %s is outside %.12g..%.12g", key->name, value, key->min,
                key->max);
  } else {
    *out = v;
    return true;
  }
  return false;
}

static void parse_name(struct reading *r, const struct key *key, const char *value, char *out) {
  size_t length = strlen(value);
  size_t legal = strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
  if (length == 0 || length >= key->size || legal != length) {
    bf_error_at(r->diags, line_range(r), NULL, "%s wants a word of 1 to %zu letters, digits, '.', '_', '-'",
                key->name, key->size - 1);
    return;
  }
  memcpy(out, value, length + 1);
}

static void parse_features(struct reading *r, const char *value, unsigned *out) {
  *out = 0;
  while (*(value += strspn(value, " ,")) != 0) {
    size_t length = strcspn(value, " ,");
    bool known = length == 7 && memcmp(value, "classic", 7) == 0;  // the array without features
    for (size_t i = 0; i < BF_COUNT(features); i++) {
      if (strlen(features[i].name) == length && memcmp(features[i].name, value, length) == 0) {
        *out |= features[i].bit;
        known = true;
      }
    }
    if (!known) {
      struct bf_buf hint = {0};
      bf_buf_puts(&hint, "known features: classic");
      for (size_t i = 0; i < BF_COUNT(features); i++) {
        bf_buf_printf(&hint, ", %s", features[i].name);
      }
      bf_error_at(r->diags, line_range(r), bf_buf_cstr(&hint), "unknown array feature '%.*s'", (int)length, value);
      bf_buf_free(&hint);
    }
    value += length;
  }
}

static void parse_value(struct reading *r, const struct key *key, const char *value) {
  char *member = (char *)r->out + key->offset;
  double number = 0;
  switch (key->kind) {
    case KIND_NAME: parse_name(r, key, value, member); break;
    case KIND_FEATURES: parse_features(r, value, (unsigned *)member); break;
    case KIND_BOOL:
      if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0) {
        bf_error_at(r->diags, line_range(r), NULL, "%s wants yes or no, not '%s'", key->name, value);
      }
      *(bool *)member = strcmp(value, "yes") == 0;
      break;
    case KIND_U32:
      if (parse_number(r, key, value, true, &number)) {
        *(uint32_t *)member = (uint32_t)number;
      }
      break;
    case KIND_U64:
      if (parse_number(r, key, value, true, &number)) {
        *(uint64_t *)member = (uint64_t)number;
      }
      break;
    case KIND_REAL:
      if (parse_number(r, key, value, false, &number)) {
        *(double *)member = number;
      }
      break;
  }
}

static int on_value(void *user, const char *section, const char *name, const char *value) {
  struct reading *r = user;
  const struct key *key = find_key(r, name, strlen(name));
  if (strcmp(section, r->section) != 0) {
    char *hint = bf_format("the first line of a %s description is [%s]", r->section, r->section);
    bf_error_at(r->diags, line_range(r), hint, "'%s' stands outside the section [%s]", name, r->section);
    free(hint);
  } else if (key == NULL) {
    const char *names[MAX_KEYS];
    for (size_t i = 0; i < r->nkeys; i++) {
      names[i] = r->keys[i].name;
    }
    const char *near = bf_nearest(name, names, r->nkeys);
    char *hint = near != NULL ? bf_format("did you mean '%s'?", near) : NULL;
    bf_error_at(r->diags, line_range(r), hint, "unknown key '%s'", name);
    free(hint);
  } else if (r->seen[key - r->keys]) {
    bf_error_at(r->diags, line_range(r), NULL, "'%s' is given twice", name);
  } else {
    r->seen[key - r->keys] = r->any = true;
    parse_value(r, key, value);
  }
  return 1;
}

static bool read_description(struct reading *r) {
  r->errors = r->diags->errors;
  int bad_line = ini_parse_stream(read_line, r, on_value, r);
  if (bad_line != 0 && r->diags->errors == r->errors) {
    size_t begin = 0;
    for (int line = 1; line < bad_line; line++) {
      begin += strcspn(r->source->text + begin, "\n");
      begin += r->source->text[begin] == '\n';
    }
    struct bf_range range = {r->source, begin, begin + strcspn(r->source->text + begin, "\n")};
    bf_error_at(r->diags, range, NULL, "expected [%s] or 'key = value'", r->section);
  }
  for (size_t i = 0; i < r->nkeys && r->diags->errors == r->errors; i++) {
    if (!r->seen[i]) {
      bf_error_file(r->diags, r->source->name, NULL, "[%s] lacks the key '%s'", r->section, r->keys[i].name);
    }
  }
  return r->diags->errors == r->errors;
}

bool ap_machine_parse(const struct bf_source *source, struct ap_machine *out, struct bf_diags *diags) {
  memset(out, 0, sizeof *out);
  struct reading r = {.source = source, .diags = diags, .section = "machine", .keys = machine_keys,
                      .nkeys = BF_COUNT(machine_keys), .out = out};
  bool good = read_description(&r);
  bf_buf_free(&r.provenance);
  return good;
}

bool ap_technology_parse(const struct bf_source *source, struct ap_technology *out, struct bf_diags *diags) {
  memset(out, 0, sizeof *out);
  struct reading r = {.source = source, .diags = diags, .section = "technology", .keys = technology_keys,
                      .nkeys = BF_COUNT(technology_keys), .out = out};
  bool good = read_description(&r);
  out->vdd = out->vdd_nominal;
  if (good) {
    out->provenance = bf_strdup(bf_buf_cstr(&r.provenance));
  }
  bf_buf_free(&r.provenance);
  return good;
}

void ap_technology_free(struct ap_technology *technology) {
  free(technology->provenance);
  technology->provenance = NULL;
}

static bool is_path(const char *name) {
  size_t length = strlen(name);
  return strchr(name, '/') != NULL || (length > 4 && strcmp(name + length - 4, ".ini") == 0);
}

// The text of a preset or file, as a source of `diags`. NULL: an error was added.
static const struct bf_source *find_source(const char *kind, const char *what, const char *name,
                                           struct bf_diags *diags) {
  if (is_path(name)) {
    char *data;
    size_t length;
    const char *why;
    if (!bf_read_file(name, &data, &length, &why)) {
      bf_error_file(diags, name, NULL, "cannot read the %s description: %s", what, why);
      return NULL;
    }
    const struct bf_source *source = bf_diags_add_source(diags, name, data, length);
    free(data);
    return source;
  }
  struct bf_buf hint = {0};
  bf_buf_printf(&hint, "presets:");
  const struct bf_source *source = NULL;
  for (const struct ap_preset *p = ap_presets; p->kind != NULL && source == NULL; p++) {
    if (strcmp(p->kind, kind) == 0 && strcmp(p->name, name) == 0) {
      source = bf_diags_add_source(diags, name, p->text, strlen(p->text));
    } else if (strcmp(p->kind, kind) == 0) {
      bf_buf_printf(&hint, " %s", p->name);
    }
  }
  if (source == NULL) {
    bf_buf_printf(&hint, "; or give a file that ends in .ini");
    bf_error_file(diags, NULL, bf_buf_cstr(&hint), "unknown %s '%s'", what, name);
  }
  bf_buf_free(&hint);
  return source;
}

bool ap_machine_load(const char *name, struct ap_machine *out, const struct bf_source **source,
                     struct bf_diags *diags) {
  const struct bf_source *found = find_source("machines", "machine", name, diags);
  if (source != NULL) {
    *source = found;
  }
  return found != NULL && ap_machine_parse(found, out, diags);
}

bool ap_technology_load(const char *name, struct ap_technology *out, struct bf_diags *diags) {
  const struct bf_source *found = find_source("technologies", "technology", name, diags);
  return found != NULL && ap_technology_parse(found, out, diags);
}

const char *ap_feature_name(unsigned index, unsigned *bit) {
  if (index >= BF_COUNT(features)) {
    return NULL;
  }
  *bit = features[index].bit;
  return features[index].name;
}

static void print_features(unsigned bits, struct bf_buf *out) {
  bf_buf_puts(out, bits == 0 ? "classic" : "");
  bool first = true;
  for (size_t i = 0; i < BF_COUNT(features); i++) {
    if (bits & features[i].bit) {
      bf_buf_printf(out, "%s%s", first ? "" : " ", features[i].name);
      first = false;
    }
  }
}

void ap_machine_print(const struct ap_machine *machine, struct bf_buf *out) {
  bf_buf_puts(out, "[machine]\n");
  for (size_t i = 0; i < BF_COUNT(machine_keys); i++) {
    const struct key *key = &machine_keys[i];
    const char *member = (const char *)machine + key->offset;
    char number[48];
    bf_buf_printf(out, "%s = ", key->name);
    switch (key->kind) {
      case KIND_NAME: bf_buf_puts(out, member); break;
      case KIND_U32: bf_buf_printf(out, "%lu", (unsigned long)*(const uint32_t *)member); break;
      case KIND_U64: bf_buf_printf(out, "%llu", (unsigned long long)*(const uint64_t *)member); break;
      case KIND_REAL: bf_buf_puts(out, bf_double_text(number, *(const double *)member)); break;
      case KIND_BOOL: bf_buf_puts(out, *(const bool *)member ? "yes" : "no"); break;
      case KIND_FEATURES: print_features(*(const unsigned *)member, out); break;
    }
    bf_buf_puts(out, "\n");
  }
}

bool ap_technology_set_vdd(struct ap_technology *technology, double vdd) {
  double nominal = technology->vdd_nominal;
  if (!(vdd >= 0.3 * nominal && vdd <= 1.5 * nominal)) {
    return false;
  }
  // From the present supply, so that a second call starts from scaled constants correctly.
  double ratio = vdd / technology->vdd, square = ratio * ratio;
  technology->compare_match_j *= square;
  technology->compare_mismatch_j *= square;
  technology->write_j *= square;
  technology->write_same_j *= square;
  technology->shift_j *= square;
  technology->count_j *= square;
  technology->load_bit_j *= square;
  technology->store_bit_j *= square;
  technology->external_bit_j *= square;
  technology->leakage_w_per_cell *= ratio;
  technology->vdd = vdd;
  return true;
}

bool ap_technology_use_vdd(struct ap_technology *technology, double vdd, const char *file, struct bf_diags *diags) {
  if (vdd == 0 || ap_technology_set_vdd(technology, vdd)) {
    return true;
  }
  bf_error_file(diags, file, NULL, "%g V is outside 0.3 to 1.5 times the nominal %g V of technology %s", vdd, technology->vdd_nominal,
                technology->name);
  return false;
}
