// SPDX-License-Identifier: Apache-2.0
// What the parser says about a text that is no .bfn: what was found, what was expected.
#include "frontend/syntax_error.h"

#include <stdlib.h>
#include <string.h>

#include "frontend/bfn.h"
#include "frontend/parser.tab.h"
#include "frontend/scan_bfn.h"

#define MAX_TEXT ((size_t)64 << 20)
#define MAX_ERRORS 50

struct keyword {
  int token;
  const char *word;
  bool reserved;
};

static const struct keyword keywords[] = {
#define BFN_KEYWORD(id, word, reserved) {TOK_##id, word, reserved},
#include "frontend/keywords.def"
};

int bfn_keyword(const char *word, size_t length) {
  for (size_t i = 0; i < BF_COUNT(keywords); i++)
    if (strlen(keywords[i].word) == length && !memcmp(keywords[i].word, word, length))
      return keywords[i].token;
  return 0;
}

bool bfn_keyword_reserved(int token) {
  for (size_t i = 0; i < BF_COUNT(keywords); i++)
    if (keywords[i].token == token) return keywords[i].reserved;
  return false;
}

bool bf_bfn_reserved(const char *word) {
  return bfn_keyword_reserved(bfn_keyword(word, strlen(word)));
}

struct bfn_loc bfn_span(struct bfn_loc first, struct bfn_loc last) {
  return (struct bfn_loc){first.begin, last.end, first.line};
}

bool bfn_syntax_admit(struct bfn_parse *p) {
  const char *nul = memchr(p->source->text, 0, p->source->length);
  if (nul) {
    bf_error_file(p->diags, p->source->name, NULL, "this is no text: byte %zu is zero",
                  (size_t)(nul - p->source->text));
  } else if (p->source->length > MAX_TEXT) {
    bf_error_file(p->diags, p->source->name, "put constants into the archive", "the text is larger than 64 MiB");
  } else {
    return true;
  }
  return false;
}

// Gives up after many errors: the rest of such a text says nothing new.
int bfn_next_token(union bfn_value_token *value, struct bfn_loc *loc, struct bfn_parse *p, void *scanner) {
  if (p->errors >= MAX_ERRORS) {
    *loc = p->last_loc;
    return TOK_END;
  }
  p->space = false;
  int token = bfn_yylex(value, loc, scanner);
  if (token == TOK_END) *loc = (struct bfn_loc){p->offset, p->offset, p->line};
  p->last_token = token;
  p->last_loc = *loc;
  return token;
}

void bfn_bad_bytes(struct bfn_parse *p, struct bfn_loc loc) {
  unsigned char byte = (unsigned char)p->source->text[loc.begin];
  if (p->errors++ >= MAX_ERRORS) return;
  if (byte >= 0x20 && byte < 0x7f)
    bf_error_at(p->diags, bfn_range(p->source, loc), NULL, "unexpected character `%c`", byte);
  else
    bf_error_at(p->diags, bfn_range(p->source, loc), "only strings and comments may hold other than ASCII",
                "unexpected byte 0x%02x", byte);
}

static bool is_contextual(const char *symbol) {
  for (size_t i = 0; i < BF_COUNT(keywords); i++) {
    size_t length = strlen(keywords[i].word);
    if (!keywords[i].reserved && symbol[0] == '`' && !strncmp(symbol + 1, keywords[i].word, length) &&
        symbol[length + 1] == '`')
      return true;
  }
  return false;
}

// "`;`, `->` or a name".
static void put_expected(const struct bfn_syntax *error, struct bf_buf *out) {
  const char *list[64];
  size_t count = 0;
  for (size_t i = 0; i < error->count && count < BF_COUNT(list); i++) {
    const char *name = error->names[i];
    if (error->name_expected && (is_contextual(name) || !strcmp(name, "a name before `(`"))) continue;
    // A number may be an integer or a real: say it once.
    if (!strcmp(name, "an integer") && i + 1 < error->count && !strcmp(error->names[i + 1], "a number"))
      continue;
    list[count++] = name;
  }
  for (size_t i = 0; i < count; i++)
    bf_buf_printf(out, "%s%s", i == 0 ? "" : i + 1 == count ? " or " : ", ", list[i]);
}

static bool expects(const struct bfn_syntax *error, const char *symbol) {
  for (size_t i = 0; i < error->count; i++)
    if (!strcmp(error->names[i], symbol)) return true;
  return false;
}

// The token's own text, cut to a readable length.
static char *found_text(const struct bfn_parse *p, const struct bfn_syntax *error) {
  size_t length = error->loc.end - error->loc.begin;
  const char *text = p->source->text + error->loc.begin;
  if (length == 0) return bf_strdup("the end of the file");
  const char *kind = !strncmp(error->found, "a name", 6) ? "the name "
                     : bfn_keyword_reserved(bfn_keyword(text, length)) ? "the reserved word " : "";
  if (*text == '"') return bf_format("the string %.*s", (int)(length < 40 ? length : 40), text);
  return bf_format("%s`%.*s`", kind, (int)(length < 40 ? length : 40), text);
}

// The word just before the error, if it looks like a slip of a keyword: `inptu x: …`.
static const char *slip_before(const struct bfn_parse *p, const struct bfn_syntax *error, struct bf_buf *word) {
  const char *names[BF_COUNT(keywords)];
  size_t end = error->loc.begin, begin;
  while (end > 0 && strchr(" \t", p->source->text[end - 1])) end--;
  for (begin = end; begin > 0 && strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789.",
                                        p->source->text[begin - 1]);)
    begin--;
  if (begin == end) return NULL;
  bf_buf_append(word, p->source->text + begin, end - begin);
  if (bfn_keyword(word->data, word->length)) return NULL;
  for (size_t i = 0; i < BF_COUNT(keywords); i++) names[i] = keywords[i].word;
  return bf_nearest(word->data, names, BF_COUNT(keywords));
}

// The keyword among those expected that the word found is near to: `scle 0.1`.
static const char *slip_here(const struct bfn_parse *p, const struct bfn_syntax *error, struct bf_buf *word) {
  const char *names[BF_COUNT(keywords)];
  size_t count = 0;
  if (strcmp(error->found, "a name")) return NULL;
  bf_buf_append(word, p->source->text + error->loc.begin, error->loc.end - error->loc.begin);
  for (size_t i = 0; i < BF_COUNT(keywords); i++) {
    char *symbol = bf_format("`%s`", keywords[i].word);
    if (expects(error, symbol)) names[count++] = keywords[i].word;
    free(symbol);
  }
  return bf_nearest(word->data, names, count);
}

// End of the last token before the error.
static size_t end_before(const struct bfn_parse *p, size_t offset) {
  const char *text = p->source->text;
  for (;;) {
    while (offset > 0 && strchr(" \t\r\n", text[offset - 1])) offset--;
    // A comment on the line is no token; quotes before the '#' would make it one.
    size_t begin = offset, hash = SIZE_MAX;
    while (begin > 0 && text[begin - 1] != '\n') begin--;
    bool quoted = false;
    for (size_t i = begin; i < offset && hash == SIZE_MAX; i++) {
      if (text[i] == '"') quoted = !quoted;
      if (text[i] == '#' && !quoted) hash = i;
    }
    if (hash == SIZE_MAX || offset == 0) return offset;
    offset = hash;
  }
}

void bfn_syntax_error(struct bfn_parse *p, const struct bfn_syntax *error) {
  struct bf_buf expected = {0}, word = {0};
  struct bfn_loc loc = error->loc;
  if (p->errors++ >= MAX_ERRORS) return;
  put_expected(error, &expected);
  char *found = found_text(p, error), *hint = NULL;
  const char *slip = slip_here(p, error, &word);
  word.length = 0;
  if (!slip) slip = slip_before(p, error, &word);
  bool new_line = false;
  if (expects(error, "`;`")) {
    // A forgotten semicolon: point where it belongs, not at the next line.
    size_t end = end_before(p, loc.begin);
    new_line = memchr(p->source->text + end, '\n', loc.begin - end) != NULL;
    if (new_line) loc = (struct bfn_loc){end, end, loc.line};
  }
  if (slip && !new_line) hint = bf_format("did you mean `%s`?", slip);
  else if (expects(error, "`;`") && new_line) hint = bf_strdup("a statement ends with `;`");
  else if (error->name_expected && !strncmp(found, "the reserved", 12))
    hint = bf_strdup("reserved words cannot be names");
  if (error->count == 0) bf_error_at(p->diags, bfn_range(p->source, loc), hint, "unexpected %s", found);
  else
    bf_error_at(p->diags, bfn_range(p->source, loc), hint, "expected %s, found %s%s", expected.data, found,
                new_line ? " on a later line" : "");
  free(found);
  free(hint);
  bf_buf_free(&expected);
  bf_buf_free(&word);
}
