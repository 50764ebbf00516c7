// SPDX-License-Identifier: Apache-2.0
// Names of the assembly text. Each name space has its own: a field and a tensor may both be called x.
#include <stdlib.h>
#include <string.h>

#include "isa/asm.h"

const char *ap_name_space_text(enum ap_name_space space) {
  static const char *const TEXTS[AP_NAME_SPACES] = {
      [AP_NAME_VALUE] = "a value or label", [AP_NAME_FIELD] = "a field",   [AP_NAME_TENSOR] = "a tensor",
      [AP_NAME_GRID] = "a grid",            [AP_NAME_DESC] = "a descriptor", [AP_NAME_HOST] = "a host op",
      [AP_NAME_TABLE] = "a table",          [AP_NAME_STREAM] = "a stream",
      [AP_NAME_PATTERN] = "a pattern",      [AP_NAME_MACRO] = "a macro"};
  return TEXTS[space];
}

static size_t hash_name(enum ap_name_space space, const char *name, size_t length) {
  return (size_t)(bf_hash(name, length) * 31 + (unsigned)space);
}

static bool is_symbol(const struct ap_symbol *s, enum ap_name_space space, const char *name, size_t length) {
  return s->space == space && strlen(s->name) == length && memcmp(s->name, name, length) == 0;
}

// The slot of a name, or the empty one where it belongs.
static size_t find_slot(const struct ap_symbols *symbols, enum ap_name_space space, const char *name, size_t length) {
  size_t at = hash_name(space, name, length) & (symbols->nslots - 1);
  while (symbols->slots[at] && !is_symbol(&symbols->items[symbols->slots[at] - 1], space, name, length))
    at = (at + 1) & (symbols->nslots - 1);
  return at;
}

static void grow_slots(struct ap_symbols *symbols) {
  if (symbols->nslots > 2 * symbols->count + 2)
    return;
  free(symbols->slots);
  symbols->nslots = symbols->nslots ? 2 * symbols->nslots : 64;
  symbols->slots = bf_alloc(symbols->nslots, sizeof *symbols->slots);
  for (size_t i = 0; i < symbols->count; i++) {
    const struct ap_symbol *s = &symbols->items[i];
    symbols->slots[find_slot(symbols, s->space, s->name, strlen(s->name))] = (uint32_t)i + 1;
  }
}

struct ap_symbol *ap_symbol_find(const struct ap_parser *p, enum ap_name_space space, const char *name, size_t length) {
  const struct ap_symbols *symbols = &p->symbols;
  if (!symbols->count)
    return NULL;
  uint32_t index = symbols->slots[find_slot(symbols, space, name, length)];
  return index && !symbols->items[index - 1].gone ? &symbols->items[index - 1] : NULL;
}

// Why a text is no name, or NULL. A column (c20), a sum or product of the language itself may not be renamed.
static const char *check_name(enum ap_name_space space, const char *name, size_t length) {
  static const char *const TAKEN[] = {"c", "width", "col", "none", "table"};
  bool letter = (name[0] >= 'a' && name[0] <= 'z') || (name[0] >= 'A' && name[0] <= 'Z') || name[0] == '_';
  uint64_t number;
  if (!letter)
    return "a name begins with a letter or _";
  for (size_t i = 0; i < BF_COUNT(TAKEN); i++)
    if (strlen(TAKEN[i]) == length && memcmp(TAKEN[i], name, length) == 0)
      return "this word has a meaning of its own";
  if (space == AP_NAME_FIELD && name[0] == 'c' && ap_number_text(name + 1, length - 1, UINT64_MAX, &number))
    return "c with a number is a column, and cannot name a field";
  if (space == AP_NAME_DESC && length > 4 && memcmp(name, "desc", 4) == 0 &&
      ap_number_text(name + 4, length - 4, UINT64_MAX, &number))
    return "desc with a number is the descriptor of that number";
  if (space == AP_NAME_MACRO && ap_op_find(name, length) != AP_OP_INVALID)
    return "a macro cannot have the name of an instruction";
  return NULL;
}

struct ap_symbol *ap_symbol_define(struct ap_parser *p, enum ap_name_space space, struct ap_token where) {
  size_t length;
  const char *name = ap_token_text(p, where, &length);
  if (where.kind != AP_TOKEN_WORD) {
    ap_parse_error(p, where, NULL, "expected a name");
    return NULL;
  }
  const char *why = check_name(space, name, length);
  if (why) {
    ap_parse_error(p, where, NULL, "%s", why);
    return NULL;
  }
  grow_slots(&p->symbols);
  size_t slot = find_slot(&p->symbols, space, name, length);
  uint32_t index = p->symbols.slots[slot];
  if (index && !p->symbols.items[index - 1].gone) {
    bool first = !p->line_bad;
    ap_parse_error(p, where, NULL, "%.*s is already %s", length < 64 ? (int)length : 64, name, ap_name_space_text(space));
    if (first)
      ap_parse_note(p, p->symbols.items[index - 1].where, "it was defined here");
    return NULL;
  }
  struct ap_symbol symbol = {.space = space, .where = where};
  if (index) {  // the name of a field that went
    symbol.name = p->symbols.items[index - 1].name;
    p->symbols.items[index - 1] = symbol;
    return &p->symbols.items[index - 1];
  }
  symbol.name = bf_arena_strndup(&p->program->arena, name, length);
  p->symbols.slots[slot] = (uint32_t)p->symbols.count + 1;
  BF_PUSH(p->symbols.items, p->symbols.count, p->symbols.capacity) = symbol;
  return &p->symbols.items[p->symbols.count - 1];
}

void ap_symbol_unknown(struct ap_parser *p, enum ap_name_space space, struct ap_token where) {
  struct { const char **items; size_t count, capacity; } names = {0};
  for (size_t i = 0; i < p->symbols.count && names.count < 1000 && !p->line_bad; i++)
    if (p->symbols.items[i].space == space && !p->symbols.items[i].gone)
      BF_PUSH(names.items, names.count, names.capacity) = p->symbols.items[i].name;
  ap_parse_unknown(p, where, names.items, names.count, "expected %s", ap_name_space_text(space));
  free(names.items);
}

void ap_symbols_free(struct ap_symbols *symbols) {
  free(symbols->items);
  free(symbols->slots);
}
