// SPDX-License-Identifier: Apache-2.0
// Macros and repetitions: text made of lines of the source, read in place of the line that asks for it. Every line of an
// expansion comes from one line of a body, so that errors can show that line.
#include <stdlib.h>
#include <string.h>

#include "isa/asm.h"

struct piece { const char *text; size_t length; };
// What replaces what in a body: \name by its value.
struct replace {
  struct piece names[AP_ASM_MAX_PARAMS + 1], values[AP_ASM_MAX_PARAMS + 1];
  size_t count;
  bool repetition;  // names[0] is the counter: repetitions inside with one of the same name keep theirs
};

static bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static bool piece_is(struct piece a, struct piece b) { return a.length == b.length && memcmp(a.text, b.text, a.length) == 0; }

static size_t line_end(const char *text, size_t at, size_t end) {
  const char *stop = at < end ? memchr(text + at, '\n', end - at) : NULL;
  return stop ? (size_t)(stop - text) : end;
}

static struct piece trim(const char *text, size_t begin, size_t end) {
  while (begin < end && (text[begin] == ' ' || text[begin] == '\t' || text[begin] == '\r'))
    begin++;
  while (end > begin && (text[end - 1] == ' ' || text[end - 1] == '\t' || text[end - 1] == '\r'))
    end--;
  return (struct piece){text + begin, end - begin};
}

static bool first_word_is(const char *text, size_t at, size_t end, const char *word) {
  struct ap_token token = ap_lex(text, end, &at);
  return token.kind == AP_TOKEN_WORD && token.end - token.begin == strlen(word) &&
         memcmp(text + token.begin, word, strlen(word)) == 0;
}

// The counter of the .repeat line [at, end).
static struct piece counter_name(const char *text, size_t at, size_t end) {
  for (size_t i = at; i < end && text[i] != ';'; i++)
    if (text[i] == ',') {
      size_t stop = i + 1;
      while (stop < end && text[stop] != ';')
        stop++;
      return trim(text, i + 1, stop);
    }
  return (struct piece){"i", 1};
}

// One line with its replacements; none in quoted texts. \() is nothing: it ends a name.
static void replace_line(const char *text, size_t at, size_t end, const struct replace *r, struct bf_buf *out) {
  bool quoted = false;
  while (at < end) {
    size_t next = at + 1, k = r->count;
    if (text[at] == '"')
      quoted = !quoted;
    else if (text[at] == '\\' && quoted && next < end)
      next++;
    else if (text[at] == '\\' && next < end) {
      while (next < end && is_name_char(text[next]))
        next++;
      if (next == at + 1 && text[next] == '@')
        next++;
      for (k = 0; k < r->count && !piece_is(r->names[k], (struct piece){text + at + 1, next - at - 1}); k++) {}
      if (k == r->count && next == at + 1 && end - next >= 2 && text[next] == '(' && text[next + 1] == ')') {
        at = next + 2;
        continue;
      }
    }
    if (k < r->count)
      bf_buf_append(out, r->values[k].text, r->values[k].length);
    else
      bf_buf_append(out, text + at, next - at);
    at = next;
  }
}

static void replace_body(const char *text, size_t at, size_t end, const struct replace *r, struct bf_buf *out) {
  size_t depth = 0, shadow = 0;  // depth of the repetition that hides the counter
  struct replace none = {0};
  while (at < end) {
    size_t stop = line_end(text, at, end);
    if (first_word_is(text, at, stop, ".endr") && depth && depth-- == shadow)
      shadow = 0;
    replace_line(text, at, stop, shadow ? &none : r, out);
    bf_buf_puts(out, "\n");
    if (first_word_is(text, at, stop, ".repeat")) {
      depth++;
      if (r->repetition && !shadow && piece_is(counter_name(text, at, stop), r->names[0]))
        shadow = depth;
    }
    at = stop + 1;
  }
}

static size_t count_lines(const char *text, size_t at, size_t end) {
  size_t lines = 0;
  for (; at < end; at = line_end(text, at, end) + 1)
    lines++;
  return lines;
}

// Errors of the expansion itself are lines of their own.
static void fail(struct ap_parser *p, struct ap_token where, const char *hint, const char *text) {
  p->line_bad = false;
  ap_parse_error(p, where, hint, "%s", text);
  p->line_bad = false;
}

// Behind the line of the block's end, or of the text if it has none (an error). *body_end: where its body ends.
static size_t find_end(struct ap_parser *p, struct ap_token opening, size_t at, const char *begin_word, const char *end_word,
                       size_t *body_end) {
  const struct ap_frame *frame = &p->frames.items[p->frame];
  size_t depth = 1;
  while (at < frame->length) {
    size_t stop = line_end(frame->text, at, frame->length);
    if (first_word_is(frame->text, at, stop, begin_word))
      depth++;
    else if (first_word_is(frame->text, at, stop, end_word) && --depth == 0) {
      *body_end = at;
      struct ap_token token = ap_lex(frame->text, stop, &at);
      return token.end;
    }
    at = stop + 1;
  }
  char *hint = bf_format("it ends with a line %s", end_word);
  fail(p, opening, hint, "the block is not closed");
  free(hint);
  *body_end = frame->length;
  return frame->length;
}

static void enter(struct ap_parser *p, struct bf_buf *text, struct ap_frame frame) {
  frame.length = text->length;
  frame.text = text->length ? text->data : (bf_buf_free(text), bf_strdup(""));
  frame.parent = p->frame;
  p->expanded += frame.length;
  p->expansions++;
  p->frame = (uint32_t)p->frames.count;
  BF_PUSH(p->frames.items, p->frames.count, p->frames.capacity) = frame;
  p->at = 0;
  p->nest++;
  p->line_start = true;
}

static bool may_enter(struct ap_parser *p, struct ap_token call) {
  if (p->nest >= AP_ASM_MAX_NEST)
    fail(p, call, "does a macro call itself?", "macros and repetitions nest deeper than 32");
  else if (p->expansions >= AP_ASM_MAX_EXPANSIONS || p->expanded > AP_ASM_MAX_EXPANDED)
    fail(p, call, NULL, "macros and repetitions make more than 16 MiB of text or a million expansions");
  else
    return true;
  return false;
}

// .macro name a, b
static void define(struct ap_parser *p, struct ap_token opening) {
  struct ap_macro macro = {0};
  const char *text = p->frames.items[p->frame].text;
  ap_macro_next(p);
  struct ap_symbol *symbol = ap_symbol_define(p, AP_NAME_MACRO, p->token);
  ap_macro_next(p);
  while (p->token.kind == AP_TOKEN_WORD && !p->line_bad) {
    size_t length;
    const char *word = ap_parse_text(p, &length);
    if (macro.nparams == AP_ASM_MAX_PARAMS)
      ap_parse_error(p, p->token, NULL, "a macro has at most %d parameters", AP_ASM_MAX_PARAMS);
    else
      macro.params[macro.nparams++] = bf_arena_strndup(&p->program->arena, word, length);
    ap_macro_next(p);
    ap_parse_accept(p, ',');
  }
  if (p->token.kind != AP_TOKEN_NEWLINE && !p->line_bad)
    ap_parse_expected(p, "a parameter");
  while (p->token.kind != AP_TOKEN_NEWLINE && p->token.kind != AP_TOKEN_END)
    ap_macro_next(p);
  p->line_bad = false;
  macro.begin = p->at;
  p->at = find_end(p, opening, p->at, ".macro", ".endm", &macro.end);
  macro.lines = count_lines(text, macro.begin, macro.end);
  p->line_start = false;
  if (p->frame)
    fail(p, opening, NULL, "a macro is defined within a macro or repetition");
  else if (symbol) {
    symbol->value = (ap_int)p->macros.count;
    BF_PUSH(p->macros.items, p->macros.count, p->macros.capacity) = macro;
  }
}

// The arguments of a call, split at commas outside of brackets and quotes. Returns their number.
static size_t split(const char *text, size_t at, size_t end, struct replace *r) {
  size_t begin = at, count = 0, depth = 0;
  bool quoted = false, ended = false;
  for (; !ended; at++) {
    char c = at < end ? text[at] : ';';
    if (c == '"' && at < end)
      quoted = !quoted;
    if (at >= end || (c == ';' && !quoted))
      ended = true;
    else if (!quoted && (c == '(' || c == '['))
      depth++;
    else if (!quoted && (c == ')' || c == ']') && depth)
      depth--;
    if (!ended && (c != ',' || quoted || depth))
      continue;
    struct piece arg = trim(text, begin, at);
    if (!ended || count || arg.length) {
      if (count < AP_ASM_MAX_PARAMS)
        r->values[count] = arg;
      count++;
    }
    begin = at + 1;
  }
  return count;
}

static void invoke(struct ap_parser *p, struct ap_token call, const struct ap_macro *macro) {
  const struct ap_frame *frame = &p->frames.items[p->frame];
  struct replace r = {.count = macro->nparams + 1u};
  char *unique = bf_format("%zu", p->expansions);
  size_t stop = line_end(frame->text, call.end, frame->length);
  size_t given = split(frame->text, call.end, stop, &r);
  p->at = stop;
  p->line_start = false;
  if (given != macro->nparams) {
    struct bf_buf hint = {0};
    for (unsigned i = 0; i < macro->nparams; i++)
      bf_buf_printf(&hint, "%s%s", i ? ", " : "its parameters are ", macro->params[i]);
    char *why = bf_format("the macro takes %u argument%s, not %zu", macro->nparams,
                          macro->nparams == 1 ? "" : "s", given);
    fail(p, call, hint.length ? hint.data : NULL, why);
    free(why);
    bf_buf_free(&hint);
  } else if (may_enter(p, call)) {
    struct bf_buf text = {0};
    for (unsigned i = 0; i < macro->nparams; i++)
      r.names[i] = (struct piece){macro->params[i], strlen(macro->params[i])};
    r.names[macro->nparams] = (struct piece){"@", 1};
    r.values[macro->nparams] = (struct piece){unique, strlen(unique)};
    replace_body(p->frames.items[0].text, macro->begin, macro->end, &r, &text);
    enter(p, &text, (struct ap_frame){.resume = stop, .origin = 0, .origin_begin = macro->begin, .lines = macro->lines,
                                      .call = call, .what = "macro"});
  }
  free(unique);
}

// .repeat count, counter: the lines up to .endr as often as the count says
static void repeat(struct ap_parser *p, struct ap_token opening) {
  uint64_t count = 0;
  struct replace r = {.count = 1, .repetition = true, .names[0] = {"i", 1}};
  uint32_t origin = p->frame;
  ap_macro_next(p);
  bool ok = ap_parse_u64(p, AP_ASM_MAX_EXPANSIONS, &count);
  if (ok && ap_parse_accept(p, ',')) {
    r.names[0].text = ap_parse_text(p, &r.names[0].length);
    if (p->token.kind == AP_TOKEN_WORD)
      ap_macro_next(p);
    else
      ap_parse_expected(p, "the name of the counter");
  }
  if (!p->line_bad && p->token.kind != AP_TOKEN_NEWLINE && p->token.kind != AP_TOKEN_END)
    ap_parse_expected(p, "the end of the line");
  ok = !p->line_bad;
  while (p->token.kind != AP_TOKEN_NEWLINE && p->token.kind != AP_TOKEN_END)
    ap_macro_next(p);
  p->line_bad = false;
  size_t begin = p->at, end, resume = find_end(p, opening, begin, ".repeat", ".endr", &end);
  const char *text = p->frames.items[origin].text;
  struct bf_buf out = {0};
  p->at = resume;
  p->line_start = false;
  ok = ok && may_enter(p, opening);
  for (uint64_t i = 0; i < count && ok; i++) {
    char *number = bf_format("%llu", (unsigned long long)i);
    r.values[0] = (struct piece){number, strlen(number)};
    replace_body(text, begin, end, &r, &out);
    free(number);
    if (out.length > AP_ASM_MAX_EXPANDED) {
      fail(p, opening, NULL, "the repetition makes more than 16 MiB of text");
      ok = false;
    }
  }
  if (ok && begin < end)
    enter(p, &out, (struct ap_frame){.resume = resume, .origin = origin, .origin_begin = begin,
                                     .lines = count_lines(text, begin, end), .call = opening, .what = "repetition"});
  else
    bf_buf_free(&out);
}

// Where a line begins: true if it asked for an expansion, or defined one.
static bool expand(struct ap_parser *p) {
  const struct ap_frame *frame = &p->frames.items[p->frame];
  size_t at = p->at, length;
  struct ap_token token = ap_lex(frame->text, frame->length, &at);
  token.frame = p->frame;
  if (token.kind != AP_TOKEN_WORD)
    return false;
  const char *text = ap_token_text(p, token, &length);
  bool macro = ap_token_is(p, token, ".macro");
  if (macro || ap_token_is(p, token, ".repeat")) {
    p->at = at;
    (macro ? define : repeat)(p, token);
    return true;
  }
  if (!p->macros.count)
    return false;
  const struct ap_symbol *symbol = ap_symbol_find(p, AP_NAME_MACRO, text, length);
  if (!symbol || ap_lex(frame->text, frame->length, &at).begin >= frame->length)
    at = token.end;
  if (!symbol || frame->text[at - 1] == ':')  // a label of the same name
    return false;
  struct ap_macro copy = p->macros.items[(size_t)symbol->value];
  invoke(p, token, &copy);
  return true;
}

void ap_macro_next(struct ap_parser *p) {
  for (;;) {
    bool start = p->line_start && !p->raw;
    p->line_start = false;
    if (start && expand(p))
      continue;
    const struct ap_frame *frame = &p->frames.items[p->frame];
    struct ap_token token = ap_lex(frame->text, frame->length, &p->at);
    token.frame = p->frame;
    if (token.kind == AP_TOKEN_END && p->frame) {
      ap_temps_end(p, false, p->frame);
      p->at = frame->resume;
      p->frame = frame->parent;
      p->nest--;
      continue;  // at the end of the line that asked for the expansion
    }
    p->line_start = token.kind == AP_TOKEN_NEWLINE;
    p->token = token;
    return;
  }
}

struct bf_range ap_macro_place(const struct ap_parser *p, struct ap_token token, bool *exact) {
  size_t begin = token.begin, end = token.end;
  *exact = true;
  for (uint32_t f = token.frame; f; f = p->frames.items[f].origin) {
    const struct ap_frame *frame = &p->frames.items[f], *from = &p->frames.items[frame->origin];
    size_t line = 0, start = 0, at = frame->origin_begin;
    for (size_t i = 0; i < begin; i++)
      if (frame->text[i] == '\n') {
        line++;
        start = i + 1;
      }
    for (size_t n = frame->lines ? line % frame->lines : 0; n; n--)
      at = line_end(from->text, at, from->length) + 1;
    size_t stop = line_end(frame->text, start, frame->length), from_stop = line_end(from->text, at, from->length);
    if (stop - start == from_stop - at && memcmp(frame->text + start, from->text + at, stop - start) == 0) {
      begin = at + (begin - start);
      end = at + (end < stop ? end - start : stop - start);
    } else {
      struct piece shown = trim(from->text, at, from_stop);
      begin = (size_t)(shown.text - from->text);
      end = begin + shown.length;
      *exact = false;
    }
  }
  return (struct bf_range){p->source, begin, end};
}
