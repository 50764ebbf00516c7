// SPDX-License-Identifier: Apache-2.0
// The directive .profile: name= and layers=, by number.
#include <string.h>

#include "isa/asm.h"

static bool parse_name(struct ap_parser *p, struct ap_profile *profile) {
  struct bf_buf text = {0};
  size_t length;
  const char *word = ap_parse_text(p, &length);
  bool quoted = p->token.kind != AP_TOKEN_WORD, ok = true;
  if (quoted) {
    ok = ap_parse_string(p, &text);
  } else {
    bf_buf_append(&text, word, length);
    ap_parse_next(p);
  }
  if (ok && text.length && !memchr(text.data, 0, text.length))
    profile->name = bf_arena_strndup(&p->program->arena, text.data, text.length);
  else if (ok)
    ap_parse_error(p, p->token, NULL, "expected the name of a profile");
  bf_buf_free(&text);
  return profile->name != NULL;
}

static bool parse_layers(struct ap_parser *p, struct ap_profile *profile) {
  struct { uint32_t *items; size_t count, capacity; } list = {0};
  uint64_t layer = 0;
  bool ok = ap_parse_expect(p, '[');
  do {
    ok = ok && ap_parse_u64(p, UINT32_MAX - 1, &layer);
    if (ok)
      BF_PUSH(list.items, list.count, list.capacity) = (uint32_t)layer;
  } while (ok && ap_parse_accept(p, ','));
  ok = ok && ap_parse_expect(p, ']');
  profile->nlayers = (uint32_t)list.count;
  profile->layers = ap_parse_keep(p, list.items, list.count, sizeof *list.items);
  return ok;
}

void ap_parse_profile(struct ap_parser *p, struct ap_token directive) {
  static const char *const KEYS[] = {"name", "layers"};
  struct ap_profile profile = {0};
  bool ok = true;
  while (ok && p->token.kind == AP_TOKEN_WORD) {
    bool name = ap_parse_word_is(p, "name"), twice = name ? profile.name != NULL : profile.layers != NULL;
    if (!name && !ap_parse_word_is(p, "layers")) {
      ap_parse_unknown(p, p->token, KEYS, BF_COUNT(KEYS), "unknown field of .profile");
      break;
    }
    if (twice) {
      ap_parse_error(p, p->token, NULL, "this field is given twice");
      break;
    }
    ap_parse_next(p);
    ok = ap_parse_expect(p, '=') && (name ? parse_name(p, &profile) : parse_layers(p, &profile));
  }
  if (ok && !p->line_bad && (!profile.name || !profile.layers))
    ap_parse_error(p, directive, "like .profile name=low layers=[0, 3, 2]", ".profile needs name= and layers=");
  BF_PUSH(p->profiles.items, p->profiles.count, p->profiles.capacity) = profile;
  BF_PUSH(p->profile_at.items, p->profile_at.count, p->profile_at.capacity) = directive;
  ap_parse_end_of_line(p);
}
