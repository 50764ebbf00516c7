// SPDX-License-Identifier: Apache-2.0
// Assembly text: lexer and parser state, and pieces of the printer. Internal to isa/ and its tools.
#ifndef AP_ASM_H
#define AP_ASM_H

#include "isa/record.h"

enum ap_token_kind {
  AP_TOKEN_END, AP_TOKEN_NEWLINE,
  AP_TOKEN_WORD,    // letters, digits, _ . + -: numbers, names, mnemonics, directives
  AP_TOKEN_STRING,  // quoted; range includes the quotes
  AP_TOKEN_PUNCT,   // one character
  AP_TOKEN_BAD
};
struct ap_token {
  enum ap_token_kind kind;
  size_t begin, end;  // byte range of the source
};
// Reads the token at *at and moves *at behind it. A comment runs from ';' to the end of the line.
struct ap_token ap_lex(const struct bf_source *source, size_t *at);

#define AP_ASM_MAX_ERRORS 20
// One assembly in progress.
struct ap_parser {
  const struct bf_source *source;
  struct bf_diags *diags;
  struct ap_program *program;  // finished lists
  struct ap_token token;       // the current one
  size_t at;                   // behind it
  size_t errors;
  bool line_bad;               // an error was given for this line
  bool seen[AP_RECORD_COUNT], has_version, seen_machine, has_machine, has_const, has_source;
  struct ap_list { char *items; size_t count, capacity; } lists[AP_RECORD_COUNT];
  struct { struct ap_instr *items; size_t count, capacity; } code;
  struct { struct ap_table *items; size_t count, capacity; } tables;
  struct { struct ap_stream *items; size_t count, capacity; } streams;
  struct { struct ap_micro *items; size_t count, capacity; } micros;
  struct { uint32_t *items; size_t count, capacity; } inputs, outputs;
};

// Parser steps. Those that return bool give false after an error; the caller then leaves the line.
void ap_parse_error(struct ap_parser *p, struct ap_token where, const char *hint, const char *fmt, ...) BF_PRINTF(4, 5);
void ap_parse_next(struct ap_parser *p);
bool ap_parse_is(const struct ap_parser *p, char punct);
bool ap_parse_accept(struct ap_parser *p, char punct);
bool ap_parse_expect(struct ap_parser *p, char punct);
bool ap_parse_word_is(const struct ap_parser *p, const char *word);
const char *ap_parse_text(const struct ap_parser *p, size_t *length);  // of the current token
bool ap_parse_u64(struct ap_parser *p, uint64_t limit, uint64_t *out);  // decimal or 0x…
bool ap_parse_prefixed(struct ap_parser *p, const char *prefix, uint64_t limit, uint64_t *out);  // c20, desc3
bool ap_parse_string(struct ap_parser *p, struct bf_buf *out);          // appends the unquoted bytes
void ap_parse_end_of_line(struct ap_parser *p);                         // also after an error: skips the line
// Moves to the next line of a block. False at `.end` (consumed with its line) and at the end of the file (an error).
bool ap_parse_block_line(struct ap_parser *p, struct ap_token opening);

void ap_parse_instr(struct ap_parser *p, struct ap_instr *out);  // one line's instruction
void ap_parse_table(struct ap_parser *p, struct ap_token opening);
void ap_parse_stream(struct ap_parser *p, struct ap_token opening);
void ap_parse_micro(struct ap_parser *p, struct ap_token opening);
void ap_parse_code(struct ap_parser *p, struct ap_token opening);
bool ap_parse_number_is(struct ap_parser *p, size_t expected);   // the item's running number

// Printer pieces, each with line ends.
void ap_asm_print_micro(const struct ap_micro *micro, struct bf_buf *out);
// "; line 12: conv1 = …" or nothing.
void ap_asm_print_line(const struct ap_program *program, uint32_t line, struct bf_buf *out);

#endif
