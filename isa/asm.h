// SPDX-License-Identifier: Apache-2.0
// Assembly text (docs/assembly.md): lexer, macro expansion, symbols, expressions, parser state, and pieces of the
// printer. Internal to isa/ and its tools.
#ifndef AP_ASM_H
#define AP_ASM_H

#include "isa/record.h"

// ---- tokens

enum ap_token_kind {
  AP_TOKEN_END, AP_TOKEN_NEWLINE,
  AP_TOKEN_WORD,    // names, mnemonics, directives (letters, digits, _ and .) and numbers (1e-05 is one)
  AP_TOKEN_STRING,  // quoted; range includes the quotes
  AP_TOKEN_PUNCT,   // one character
  AP_TOKEN_BAD
};
struct ap_token {
  enum ap_token_kind kind;
  uint32_t frame;     // number of the text that it stands in
  size_t begin, end;  // byte range of that text
};
// Reads the token at *at of a text and moves *at behind it. A comment runs from ';' to the end of the line.
struct ap_token ap_lex(const char *text, size_t length, size_t *at);

// ---- limits

#define AP_ASM_MAX_ERRORS 20                           // of a text that has its .aps; see ap_parse_most_errors
#define AP_ASM_MAX_NEST 32                             // macros and repetitions within each other
#define AP_ASM_MAX_PARAMS 16                           // of a macro
#define AP_ASM_MAX_EXPANDED ((size_t)16 << 20)         // bytes that macros and repetitions make in all
#define AP_ASM_MAX_EXPANSIONS 1000000u                 // and their number

// ---- texts: number 0 is the source, the others are expansions of macros and repetitions

struct ap_frame {
  char *text;          // owned, but for number 0
  size_t length;
  size_t resume;       // where the text that it was expanded in goes on
  uint32_t parent;     // that text
  uint32_t origin;     // the text that its lines were copied from
  size_t origin_begin; // where there
  size_t lines;        // lines of the body; the text repeats them
  struct ap_token call;
  const char *what;    // "macro" or "repetition"
};

// ---- symbols

enum ap_name_space {
  AP_NAME_VALUE,   // .equ and labels
  AP_NAME_FIELD,
  AP_NAME_TENSOR, AP_NAME_GRID, AP_NAME_DESC, AP_NAME_HOST, AP_NAME_TABLE, AP_NAME_STREAM, AP_NAME_PATTERN,
  AP_NAME_MACRO,
  AP_NAME_SPACES
};
// Integers of expressions; every result lies between -2^64 and 2^64.
typedef __int128 ap_int;
struct ap_symbol {
  enum ap_name_space space;
  char *name;              // of the arena
  struct ap_token where;   // its definition
  ap_int value;            // VALUE; number of an item or a macro
  struct ap_field field;   // FIELD
  bool gone;               // a .temp whose scope has ended
};
struct ap_symbols {
  struct ap_symbol *items;
  size_t count, capacity;
  uint32_t *slots;         // open addressing: index + 1 of items
  size_t nslots;
};

struct ap_macro {
  size_t begin, end;       // its body in text 0
  size_t lines;
  unsigned nparams;
  char *params[AP_ASM_MAX_PARAMS];
};

// ---- the parser

struct ap_open { enum ap_op op; struct ap_token label, where; };
struct ap_temp { size_t symbol; uint32_t frame; };

struct ap_parser {
  const struct bf_source *source;
  struct bf_diags *diags;
  struct ap_program *program;  // finished lists
  struct ap_token token;       // the current one
  size_t at;                   // behind it, in text `frame`
  uint32_t frame;
  bool line_start;             // the next token begins a line
  bool raw;                    // no macros here: constants, the source, the machine
  size_t errors;
  bool line_bad;               // an error was given for this line
  size_t last_bad;             // place in the source of the last error,
  bool again;                  // and whether the present one is the same, in another expansion: it is not shown
  struct { struct ap_frame *items; size_t count, capacity; } frames;
  size_t expanded, expansions;
  unsigned nest;
  struct { struct ap_macro *items; size_t count, capacity; } macros;
  struct ap_symbols symbols;
  uint16_t column_use[AP_MAX_COLUMNS];  // named fields on each column
  struct { struct ap_temp *items; size_t count, capacity; } temps;
  struct { struct ap_open *items; size_t count, capacity; } open;  // loops and regions
  bool seen[AP_RECORD_COUNT], has_version, seen_machine, has_machine, has_const, has_source;
  bool has_tech, has_vdd, has_network, vdd_unknown;
  struct ap_list { char *items; size_t count, capacity; } lists[AP_RECORD_COUNT];
  struct { unsigned *items; size_t count, capacity; } grid_ranks;  // dimensions as written
  bool in_main;                // the last layer is that of code outside of blocks
  unsigned mains;
  struct { struct ap_instr *items; size_t count, capacity; } code;
  struct { struct ap_token *items; size_t count, capacity; } code_at;
  struct { struct ap_table *items; size_t count, capacity; } tables;
  struct { struct ap_stream *items; size_t count, capacity; } streams;
  struct { struct ap_pattern *items; size_t count, capacity; } patterns;
  struct { struct ap_micro *items; size_t count, capacity; } micros;
  struct { struct ap_profile *items; size_t count, capacity; } profiles;
  // Where items stand in the text, for the validator's errors.
  struct ap_places { struct ap_token *items; size_t count, capacity; } record_at[AP_RECORD_COUNT], table_at, stream_at, profile_at, pattern_at;
  struct { struct ap_micro_place { struct ap_token where; enum ap_op op; uint8_t width[3]; } *items; size_t count, capacity; } micro_at;
  struct { uint64_t *items; size_t count, capacity; } consts;  // of values=
  struct { uint32_t *items; size_t count, capacity; } inputs, outputs;
};
void ap_parser_init(struct ap_parser *p, const struct bf_source *source, struct bf_diags *diags);
void ap_parser_free(struct ap_parser *p);  // the program lives on

// ---- asm_token.c: small steps. Those that return bool give false after an error; the caller then leaves the line.

// Errors until the rest is not looked at. A text without .aps is none of ours: that is one error, not one a line.
size_t ap_parse_most_errors(const struct ap_parser *p);
void ap_parse_error(struct ap_parser *p, struct ap_token where, const char *hint, const char *fmt, ...) BF_PRINTF(4, 5);
// As above, with the nearest of the names as hint.
void ap_parse_unknown(struct ap_parser *p, struct ap_token where, const char *const *names, size_t count,
                      const char *fmt, ...) BF_PRINTF(5, 6);
void ap_parse_note(struct ap_parser *p, struct ap_token where, const char *fmt, ...) BF_PRINTF(3, 4);
bool ap_parse_expected(struct ap_parser *p, const char *what);  // "expected …, found …"; false
void ap_parse_next(struct ap_parser *p);
bool ap_parse_is(const struct ap_parser *p, char punct);
bool ap_parse_accept(struct ap_parser *p, char punct);
bool ap_parse_expect(struct ap_parser *p, char punct);
bool ap_parse_word_is(const struct ap_parser *p, const char *word);
const char *ap_parse_text(const struct ap_parser *p, size_t *length);  // of the current token
const char *ap_token_text(const struct ap_parser *p, struct ap_token token, size_t *length);
bool ap_token_is(const struct ap_parser *p, struct ap_token token, const char *word);
bool ap_parse_prefixed(struct ap_parser *p, const char *prefix, uint64_t limit, uint64_t *out);  // flag3, k5
bool ap_parse_string(struct ap_parser *p, struct bf_buf *out);          // appends the unquoted bytes
void ap_parse_end_of_line(struct ap_parser *p);                         // also after an error: skips the line
// Moves to the next line of a block. False at `.end` (consumed with its line) and at the end of the file (an error).
bool ap_parse_block_line(struct ap_parser *p, struct ap_token opening);
// Digits of base 10, 16 (0x) or 2 (0b). False if it is no number or above the limit.
bool ap_number_text(const char *text, size_t length, uint64_t limit, uint64_t *out);

// ---- asm_macro.c

// The token after the current one; expands macros and repetitions where a line begins.
void ap_macro_next(struct ap_parser *p);
// Place of a token in the source; *exact: whether the text stands there as it is, and not with replacements.
struct bf_range ap_macro_place(const struct ap_parser *p, struct ap_token token, bool *exact);

// ---- asm_symbol.c

// NULL if there is none.
struct ap_symbol *ap_symbol_find(const struct ap_parser *p, enum ap_name_space space, const char *name, size_t length);
// Defines the name of token `where`; NULL after an error (a second definition, or no name).
struct ap_symbol *ap_symbol_define(struct ap_parser *p, enum ap_name_space space, struct ap_token where);
const char *ap_name_space_text(enum ap_name_space space);  // "a field", …
void ap_symbol_unknown(struct ap_parser *p, enum ap_name_space space, struct ap_token where);  // the error
void ap_symbols_free(struct ap_symbols *symbols);

// ---- asm_expr.c

// An expression: numbers, names, ( ) ~ - * / % + - << >> & ^ |, width(field), col(field).
bool ap_parse_expr(struct ap_parser *p, ap_int *out);
bool ap_parse_range(struct ap_parser *p, ap_int low, ap_int high, ap_int *out);
bool ap_parse_u64(struct ap_parser *p, uint64_t limit, uint64_t *out);  // 0..limit
// A number for `bits` bits: -2^(bits-1)..2^bits-1, as its lowest bits.
bool ap_parse_bits(struct ap_parser *p, unsigned bits, uint64_t *out);
// The number of an item: its name, or a number up to the limit.
bool ap_parse_item(struct ap_parser *p, enum ap_name_space space, uint64_t limit, uint64_t *out);

// ---- asm_operand.c

bool ap_parse_field(struct ap_parser *p, struct ap_field *out);  // c20:18, acc, acc[3], acc[3:8]
void ap_parse_field_directive(struct ap_parser *p, bool temp);
void ap_temps_end(struct ap_parser *p, bool all, uint32_t frame);  // .temp fields of a text, or all, go
void ap_parse_instr(struct ap_parser *p, struct ap_instr *out);  // one line's instruction
// An instruction without the end of its line; *where: all of it.
void ap_parse_operation(struct ap_parser *p, struct ap_instr *out, struct ap_token *where);
enum ap_op ap_parse_mnemonic(struct ap_parser *p);

// ---- asm_parse_code.c and asm_parse_micro.c

void ap_parse_code_line(struct ap_parser *p);                    // labels and an instruction
void ap_parse_code(struct ap_parser *p, struct ap_token opening);
void ap_parse_table(struct ap_parser *p, struct ap_token opening);
void ap_parse_stream(struct ap_parser *p, struct ap_token opening);
void ap_parse_micro(struct ap_parser *p, struct ap_token opening);
void ap_parse_pattern(struct ap_parser *p, struct ap_token directive);  // asm_pattern.c: .pattern name key= base= add=[…]
// An item's running number or, for a new name, the name. False after an error.
bool ap_parse_item_name(struct ap_parser *p, enum ap_name_space space, size_t number, struct ap_token *name);

// ---- asm_record.c and asm_default.c

// Which fields of a record the text gave, and how many elements each has there.
struct ap_filled {
  uint64_t given;
  uint8_t counts[16];
  struct ap_token directive, name;
  struct { ap_int *items; size_t count, capacity; } values;  // of a constant tensor
  bool has_values;
};
bool ap_filled_has(const struct ap_filled *filled, enum ap_record record, const char *key);
unsigned ap_filled_count(const struct ap_filled *filled, enum ap_record record, const char *key);
// Computes what the text left out. False after an error.
bool ap_record_complete(struct ap_parser *p, enum ap_record record, void *data, const struct ap_filled *filled);
void ap_layer_complete(struct ap_parser *p, struct ap_layer *layer, bool columns, bool output);
void ap_network_complete(struct ap_parser *p);

// False if the directive is none of a record.
bool ap_parse_record_directive(struct ap_parser *p, struct ap_token directive);
void ap_parse_layer(struct ap_parser *p, struct ap_token directive);
void ap_main_begin(struct ap_parser *p);  // code outside of blocks is in a layer of its own
void ap_main_end(struct ap_parser *p);

// ---- asm_profile.c

void ap_parse_profile(struct ap_parser *p, struct ap_token directive);

// ---- asm_parse.c

bool ap_parse_definition(struct ap_parser *p);  // .equ, .field, .temp; false if it is another line

// The arena keeps a finished list; the growing copy goes.
void *ap_parse_keep(struct ap_parser *p, void *items, size_t count, size_t size);

// Sorts the programs and generates those that the code needs and the text lacks.
void ap_micros_complete(struct ap_parser *p);

// ---- printer pieces, each with line ends

void ap_asm_print_patterns(const struct ap_program *program, struct bf_buf *out);
void ap_asm_print_micro(const struct ap_micro *micro, struct bf_buf *out);
// "; line 12: conv1 = …" or nothing.
void ap_asm_print_line(const struct ap_program *program, uint32_t line, struct bf_buf *out);
void ap_asm_print_step(const struct ap_micro *micro, const struct ap_step *step, struct bf_buf *out);  // no line end

#endif
