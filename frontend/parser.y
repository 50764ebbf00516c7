/* SPDX-License-Identifier: Apache-2.0 */
/* The grammar of .bfn texts; docs/language.md shows it in one piece. Errors resynchronise at the
   end of the statement, so that one run reports many. */
%require "3.8"
%define api.pure full
%define api.prefix {bfn_yy}
%define api.token.prefix {TOK_}
%define api.location.type {struct bfn_loc}
%define api.value.union.name bfn_value_token
%define parse.error custom
%define parse.lac full
%locations
%parse-param {struct bfn_parse *p} {void *scanner}
%lex-param {struct bfn_parse *p} {void *scanner}

%code requires {
#include "frontend/ast.h"
}

%code {
#include "frontend/scan_bfn.h"
#include "frontend/syntax_error.h"

#define YYMAXDEPTH 5000
#define YYLLOC_DEFAULT(current, rhs, n)                      \
  do {                                                       \
    if (n) {                                                 \
      (current).begin = YYRHSLOC(rhs, 1).begin;              \
      (current).line = YYRHSLOC(rhs, 1).line;                \
      (current).end = YYRHSLOC(rhs, n).end;                  \
    } else {                                                 \
      (current).begin = (current).end = YYRHSLOC(rhs, 0).end;\
      (current).line = YYRHSLOC(rhs, 0).line;                \
    }                                                        \
  } while (0)
#define bfn_yylex bfn_next_token

static void bfn_yyerror(struct bfn_loc *loc, struct bfn_parse *p, void *scanner, const char *message);
}

%union {
  char *text;
  struct ast_expr *expr;
  struct ast_arg *arg;
  struct ast_name *name;
  struct ast_type *type;
  struct ast_clauses *clauses;
  struct ast_stmt *stmt;
  struct ast_profile_entry *entry;
  struct ast_block *block;
}

%token END 0 "end of file"
%token <text> NAME "a name" CALLEE "a name before `(`" STRING "a string"
%token <expr> INT "an integer" REAL "a number"
%token <text> BFN "`bfn`" NETWORK "`network`" BLOCK "`block`" INPUT "`input`" CONST "`const`"
%token <text> OUTPUT "`output`" WEIGHTS "`weights`" PROFILE "`profile`"
%token <text> SCALE "`scale`" ZERO "`zero`" AXIS "`axis`" FROM "`from`" REQUANTIZE "`requantize`"
%token ARROW "`->`" LBRACE "`{`" RBRACE "`}`" LPAREN "`(`" RPAREN "`)`" LBRACKET "`[`" RBRACKET "`]`"
%token COMMA "`,`" SEMICOLON "`;`" COLON "`:`" EQUALS "`=`" PLUS "`+`" MINUS "`-`" STAR "`*`" SLASH "`/`"

%type <name> name callee names params param param_list words
%type <expr> primary factor term expr exprs value value_term layer_call
%type <arg> args arg arg_list
%type <type> type
%type <clauses> clauses
%type <stmt> body profile statement block_body block_statement const layer
%type <entry> entries entry
%type <block> blocks block
%type <text> contextual

%%

file: version items;

version: BFN INT SEMICOLON  { p->file->version = $2; }
       | error SEMICOLON
       ;

items: blocks  { p->file->blocks = BFN_HEAD($1); p->file->profiles = BFN_HEAD(p->file->profiles); }
     ;

/* Blocks, the network, and profiles beside it, in any order. */
blocks: %empty                                        { $$ = NULL; }
      | blocks block                                  { $$ = BFN_JOIN($1, $2); }
      | blocks NETWORK name LBRACE body RBRACE        { ast_add_network(p, $3, BFN_HEAD($5)); $$ = $1; }
      | blocks NETWORK error LBRACE body RBRACE       { $$ = $1; }
      | blocks profile                                { p->file->profiles = BFN_JOIN(p->file->profiles, $2); $$ = $1; }
      | blocks error RBRACE                           { yyerrok; $$ = $1; }
      ;

block: BLOCK callee LPAREN params RPAREN ARROW names LBRACE block_body RBRACE {
         $$ = bf_arena_alloc(p->arena, 1, sizeof *$$);
         $$->name = $2;
         $$->params = BFN_HEAD($4);
         $$->outputs = BFN_HEAD($7);
         $$->body = BFN_HEAD($9);
       }
     ;

params: %empty      { $$ = NULL; }
      | param_list
      ;

param_list: param                   { $$ = BFN_JOIN((struct ast_name *)NULL, $1); }
          | param_list COMMA param  { $$ = BFN_JOIN($1, $3); }
          ;

param: name
     | name EQUALS expr  { $$ = $1; $$->value = $3; }
     ;

body: %empty                { $$ = NULL; }
    | body statement        { $$ = $2 ? BFN_JOIN($1, $2) : $1; }
    | body error SEMICOLON  { yyerrok; $$ = $1; }
    ;

block_body: %empty                      { $$ = NULL; }
          | block_body block_statement  { $$ = BFN_JOIN($1, $2); }
          | block_body error SEMICOLON  { yyerrok; $$ = $1; }
          ;

block_statement: const | layer;

statement: const
         | layer
         | WEIGHTS STRING SEMICOLON {
             $$ = ast_stmt(p, AST_WEIGHTS, @$);
             $$->value = ast_text(p, AST_STRING, $2, @2);
           }
         | INPUT name COLON type clauses SEMICOLON {
             $$ = ast_stmt(p, AST_INPUT, @$);
             $$->names = $2;
             $$->type = $4;
             $$->clauses = $5;
           }
         | OUTPUT names SEMICOLON {
             $$ = ast_stmt(p, AST_OUTPUT, @$);
             $$->names = BFN_HEAD($2);
           }
         | profile
         ;

profile: PROFILE name LBRACE entries RBRACE {
           $$ = ast_stmt(p, AST_PROFILE, @$);
           $$->names = $2;
           $$->entries = BFN_HEAD($4);
         }
       ;

const: CONST name COLON type clauses SEMICOLON {
         $$ = ast_stmt(p, AST_CONST, @$);
         $$->names = $2;
         $$->type = $4;
         $$->clauses = $5;
       }
     | CONST name COLON type clauses EQUALS expr SEMICOLON {
         $$ = ast_stmt(p, AST_CONST, @$);
         $$->names = $2;
         $$->type = $4;
         $$->clauses = $5;
         $$->value = $7;
       }
     ;

layer: names EQUALS layer_call SEMICOLON {
         $$ = ast_stmt(p, AST_LAYER, @$);
         $$->names = BFN_HEAD($1);
         $$->value = $3;
       }
     | names EQUALS layer_call ARROW type clauses SEMICOLON {
         $$ = ast_stmt(p, AST_LAYER, @$);
         $$->names = BFN_HEAD($1);
         $$->value = $3;
         $$->type = $5;
         $$->clauses = $6;
       }
     ;

layer_call: callee LPAREN args RPAREN  { $$ = ast_call(p, $1, BFN_HEAD($3), @$); }
          ;

entries: %empty                   { $$ = NULL; }
       | entries entry            { $$ = BFN_JOIN($1, $2); }
       | entries error SEMICOLON  { yyerrok; $$ = $1; }
       ;

entry: name COLON words SEMICOLON {
         $$ = bf_arena_alloc(p->arena, 1, sizeof *$$);
         $$->layer = $1;
         $$->words = BFN_HEAD($3);
         $$->loc = @$;
       }
     ;

words: name        { $$ = BFN_JOIN((struct ast_name *)NULL, $1); }
     | words name  { $$ = BFN_JOIN($1, $2); }
     ;

names: name              { $$ = BFN_JOIN((struct ast_name *)NULL, $1); }
     | names COMMA name  { $$ = BFN_JOIN($1, $3); }
     ;

/* Words with a meaning in one place are names everywhere else. */
name: NAME        { $$ = ast_name(p, $1, @1); }
    | contextual  { $$ = ast_name(p, $1, @1); }
    ;

contextual: SCALE | ZERO | AXIS | FROM | REQUANTIZE;

callee: CALLEE  { $$ = ast_name(p, $1, @1); }
      | name
      ;

type: name                         {
        $$ = bf_arena_alloc(p->arena, 1, sizeof *$$);
        $$->name = $1;
        $$->loc = @$;
      }
    | name LBRACKET exprs RBRACKET {
        $$ = bf_arena_alloc(p->arena, 1, sizeof *$$);
        $$->name = $1;
        $$->has_shape = true;
        $$->shape = BFN_HEAD($3);
        $$->loc = @$;
      }
    ;

clauses: %empty                   { $$ = bf_arena_alloc(p->arena, 1, sizeof *$$); }
       | clauses SCALE expr       { ast_add_clause(p, $$ = $1, CLAUSE_SCALE, $3, bfn_span(@2, @3)); }
       | clauses ZERO expr        { ast_add_clause(p, $$ = $1, CLAUSE_ZERO, $3, bfn_span(@2, @3)); }
       | clauses AXIS expr        { ast_add_clause(p, $$ = $1, CLAUSE_AXIS, $3, bfn_span(@2, @3)); }
       | clauses FROM expr        { ast_add_clause(p, $$ = $1, CLAUSE_FROM, $3, bfn_span(@2, @3)); }
       | clauses REQUANTIZE expr  { ast_add_clause(p, $$ = $1, CLAUSE_REQUANTIZE, $3, bfn_span(@2, @3)); }
       ;

args: %empty    { $$ = NULL; }
    | arg_list
    ;

arg_list: arg                 { $$ = BFN_JOIN((struct ast_arg *)NULL, $1); }
        | arg_list COMMA arg  { $$ = BFN_JOIN($1, $3); }
        ;

arg: expr        { $$ = ast_arg(p, NULL, $1, @$); }
   | name value  { $$ = ast_arg(p, $1, $2, @$); }
   ;

exprs: expr              { $$ = BFN_JOIN((struct ast_expr *)NULL, $1); }
     | exprs COMMA expr  { $$ = BFN_JOIN($1, $3); }
     ;

/* An option's value: an expression that does not begin with an operator. */
value: value_term
     | value PLUS term   { $$ = ast_binary(p, AST_ADD, $1, $3, @$); }
     | value MINUS term  { $$ = ast_binary(p, AST_SUB, $1, $3, @$); }
     ;

value_term: primary
          | value_term STAR factor   { $$ = ast_binary(p, AST_MUL, $1, $3, @$); }
          | value_term SLASH factor  { $$ = ast_binary(p, AST_DIV, $1, $3, @$); }
          ;

expr: term
    | expr PLUS term   { $$ = ast_binary(p, AST_ADD, $1, $3, @$); }
    | expr MINUS term  { $$ = ast_binary(p, AST_SUB, $1, $3, @$); }
    ;

term: factor
    | term STAR factor   { $$ = ast_binary(p, AST_MUL, $1, $3, @$); }
    | term SLASH factor  { $$ = ast_binary(p, AST_DIV, $1, $3, @$); }
    ;

factor: primary
      | MINUS factor  { $$ = ast_binary(p, AST_NEG, $2, NULL, @$); }
      ;

primary: INT
       | REAL
       | STRING                        { $$ = ast_text(p, AST_STRING, $1, @1); }
       | name                          { $$ = ast_text(p, AST_NAME, $1->text, @1); }
       | CALLEE LPAREN args RPAREN     { $$ = ast_call(p, ast_name(p, $1, @1), BFN_HEAD($3), @$); }
       | LPAREN expr RPAREN            { $$ = $2; }
       | LBRACKET exprs RBRACKET       { $$ = ast_list(p, BFN_HEAD($2), @$); }
       ;

%%

static void bfn_yyerror(struct bfn_loc *loc, struct bfn_parse *p, void *scanner, const char *message) {
  (void)scanner;
  (void)message;  // "memory exhausted": the stack's limit is the only way here
  p->errors++;
  bf_error_at(p->diags, bfn_range(p->source, *loc), NULL, "the text is nested too deeply here");
}

static int yyreport_syntax_error(const yypcontext_t *context, struct bfn_parse *p, void *scanner) {
  yysymbol_kind_t expected[YYNTOKENS];
  const char *names[YYNTOKENS];
  struct bfn_syntax error = {.loc = *yypcontext_location(context), .names = names};
  (void)scanner;
  int count = yypcontext_expected_tokens(context, expected, YYNTOKENS);
  if (count < 0) return count;
  for (int i = 0; i < count; i++) {
    if (expected[i] == YYSYMBOL_NAME) error.name_expected = true;
    names[error.count++] = yysymbol_name(expected[i]);
  }
  error.found = yysymbol_name(yypcontext_token(context));
  bfn_syntax_error(p, &error);
  return 0;
}

struct ast_file *bfn_parse_text(const struct bf_source *source, struct bf_arena *arena,
                                struct bf_diags *diags) {
  struct bfn_parse p = {.source = source, .diags = diags, .arena = arena, .line = 1};
  void *scanner;
  p.file = bf_arena_alloc(arena, 1, sizeof *p.file);
  if (!bfn_syntax_admit(&p) || !bfn_scan_begin(&p, &scanner)) return NULL;
  int failed = bfn_yyparse(&p, scanner);
  bfn_scan_end(scanner);
  return failed || p.errors ? NULL : p.file;
}
