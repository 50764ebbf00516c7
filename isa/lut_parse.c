// SPDX-License-Identifier: Apache-2.0
// The expression language of truth tables, by recursive descent into a small tree that is evaluated for each combination of
// initial values. Binding, tightest first: ! ~, &, ^, |, = <, ?: (so `a ^ b = c` compares a ^ b with c).
#include <string.h>

#include "isa/lut_internal.h"

#define MAX_NODES 512
#define MAX_DEPTH 64

enum node_kind { NODE_CONST, NODE_NAME, NODE_NOT, NODE_AND, NODE_XOR, NODE_OR, NODE_EQUAL, NODE_LESS, NODE_MUX, NODE_MAJ, NODE_ANY };
struct node { enum node_kind kind; unsigned value; int child[3]; };  // value: of a constant; column of a name

enum token_kind { TOKEN_END, TOKEN_NAME, TOKEN_PUNCT, TOKEN_WRONG };
struct token { enum token_kind kind; size_t begin, end; };

struct result { struct token name; bool has_initial; uint8_t initial; int value; int column; };
struct parser {
  const struct bf_source *source;
  struct bf_diags *diags;
  struct ap_lut_table *table;
  struct token token;
  struct node nodes[MAX_NODES];
  unsigned nnodes, depth, nresults;
  struct result results[AP_LUT_MAX_COLUMNS];
  bool failed;
};

static int fail(struct parser *p, struct token at, const char *hint, const char *message) {
  if (!p->failed)
    bf_error_at(p->diags, (struct bf_range){p->source, at.begin, at.end}, hint, "%s", message);
  p->failed = true;
  return -1;
}

// --- tokens

static bool letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
static bool digit(char c) { return c >= '0' && c <= '9'; }
static bool space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

static void next(struct parser *p) {
  const char *text = p->source->text;
  size_t i = p->token.end, length = p->source->length;
  while (i < length && space(text[i]))
    i++;
  struct token t = {TOKEN_END, i, i};
  if (i < length) {
    t.end = i + 1;
    bool sigil = text[i] == '$' && i + 1 < length && letter(text[i + 1]);
    if (letter(text[i]) || sigil) {
      t.kind = TOKEN_NAME;
      while (t.end < length && (letter(text[t.end]) || digit(text[t.end])))
        t.end++;
    } else {
      t.kind = text[i] && strchr("!~&^|=<?:(),01-", text[i]) ? TOKEN_PUNCT : TOKEN_WRONG;
    }
  }
  p->token = t;
}

static bool at(const struct parser *p, char c) { return p->token.kind == TOKEN_PUNCT && p->source->text[p->token.begin] == c; }

static bool accept(struct parser *p, char c) {
  if (!at(p, c))
    return false;
  next(p);
  return true;
}

static bool same_text(const struct parser *p, struct token t, const char *text) {
  return t.end - t.begin == strlen(text) && memcmp(p->source->text + t.begin, text, t.end - t.begin) == 0;
}

static bool at_word(const struct parser *p, const char *word) { return p->token.kind == TOKEN_NAME && same_text(p, p->token, word); }

static int unexpected(struct parser *p, const char *wanted) {
  char message[96];
  size_t n = 0;
  static const char TAIL[] = " is expected here";
  for (; wanted[n] && n < 60; n++)
    message[n] = wanted[n];
  memcpy(message + n, TAIL, sizeof TAIL);
  return fail(p, p->token, p->token.kind == TOKEN_WRONG ? "operators are ! ~ & ^ | = < ? :, constants 0 and 1" : NULL, message);
}

// --- columns

static int find_column(const struct parser *p, struct token name) {
  for (unsigned c = 0; c < p->table->ncolumns; c++)
    if (same_text(p, name, p->table->column[c].name))
      return (int)c;
  return -1;
}

static int add_column(struct parser *p, struct token name, enum ap_lut_role role) {
  size_t length = name.end - name.begin;
  if (p->table->ncolumns == AP_LUT_MAX_COLUMNS)
    return fail(p, name, "a table has at most 8 columns", "too many columns");
  if (length >= sizeof p->table->column[0].name)
    return fail(p, name, NULL, "the name is too long");
  struct ap_lut_column *column = &p->table->column[p->table->ncolumns];
  memcpy(column->name, p->source->text + name.begin, length);
  column->role = role;
  return (int)p->table->ncolumns++;
}

static int read_column(struct parser *p, struct token name) {
  int column = find_column(p, name);
  if (column >= 0)
    return column;
  bool param = p->source->text[name.begin] == '$';
  if (param && ap_lut_param(p->table))
    return fail(p, name, "K literals have the value of the one parameter", "a table has at most one parameter");
  for (unsigned i = 0; i < p->nresults; i++) {
    struct token left = p->results[i].name;
    if (left.end - left.begin == name.end - name.begin
        && memcmp(p->source->text + left.begin, p->source->text + name.begin, name.end - name.begin) == 0)
      return add_column(p, name, AP_LUT_INOUT);
  }
  return add_column(p, name, param ? AP_LUT_PARAM : AP_LUT_INPUT);
}

// --- expressions; each function returns the number of a node, or -1 after an error

static int expression(struct parser *p);

static int add_node(struct parser *p, enum node_kind kind, unsigned value, int a, int b, int c) {
  if (p->failed || a == -1 || b == -1 || c == -1)
    return -1;
  if (p->nnodes == MAX_NODES)
    return fail(p, p->token, NULL, "the expressions are too long");
  p->nodes[p->nnodes] = (struct node){kind, value, {a, b, c}};
  return (int)p->nnodes++;
}

static int call(struct parser *p, enum node_kind kind) {
  int args[3];
  next(p);
  if (!accept(p, '('))
    return unexpected(p, "'(' and three operands");
  for (unsigned i = 0; i < 3; i++) {
    args[i] = expression(p);
    if (args[i] < 0)
      return -1;
    if (!accept(p, i < 2 ? ',' : ')'))
      return unexpected(p, i < 2 ? "',' and the next of three operands" : "')' after the third operand");
  }
  return add_node(p, kind, 0, args[0], args[1], args[2]);
}

static int primary(struct parser *p) {
  struct token token = p->token;
  if (at(p, '0') || at(p, '1')) {
    unsigned value = at(p, '1');
    next(p);
    return add_node(p, NODE_CONST, value, 0, 0, 0);
  }
  if (accept(p, '(')) {
    int inner = expression(p);
    if (inner >= 0 && !accept(p, ')'))
      return unexpected(p, "')'");
    return inner;
  }
  if (at_word(p, "maj"))
    return call(p, NODE_MAJ);
  if (at_word(p, "mux"))
    return call(p, NODE_MUX);
  if (token.kind != TOKEN_NAME || at_word(p, "where"))
    return unexpected(p, "an operand");
  int column = read_column(p, token);
  next(p);
  return column < 0 ? -1 : add_node(p, NODE_NAME, (unsigned)column, 0, 0, 0);
}

static int unary(struct parser *p) {
  unsigned inversions = 0;
  while (accept(p, '!') || accept(p, '~'))
    inversions++;
  int node = primary(p);
  return inversions & 1 && node >= 0 ? add_node(p, NODE_NOT, 0, node, 0, 0) : node;
}

static int binary(struct parser *p, unsigned level) {
  static const struct { char text; unsigned level; enum node_kind kind; } OPS[] = {
    {'&', 3, NODE_AND}, {'^', 2, NODE_XOR}, {'|', 1, NODE_OR}, {'=', 0, NODE_EQUAL}, {'<', 0, NODE_LESS}};
  if (level > 3)
    return unary(p);
  int left = binary(p, level + 1);
  while (left >= 0) {
    size_t op = 0;
    while (op < BF_COUNT(OPS) && !(OPS[op].level == level && at(p, OPS[op].text)))
      op++;
    if (op == BF_COUNT(OPS))
      break;
    next(p);
    left = add_node(p, OPS[op].kind, 0, left, binary(p, level + 1), 0);
  }
  return left;
}

static int expression(struct parser *p) {
  if (p->depth == MAX_DEPTH)
    return fail(p, p->token, NULL, "the expression is nested too deeply");
  p->depth++;
  int node = binary(p, 0);
  if (node >= 0 && accept(p, '?')) {
    int yes = expression(p), no = -1;
    if (yes >= 0 && !accept(p, ':'))
      unexpected(p, "':'");
    else if (yes >= 0)
      no = expression(p);
    node = add_node(p, NODE_MUX, 0, node, yes, no);
  }
  p->depth--;
  return node;
}

static unsigned evaluate(const struct parser *p, int index, unsigned values) {
  const struct node *n = &p->nodes[index];
  unsigned v[3] = {0};
  if (n->kind == NODE_CONST || n->kind == NODE_ANY)
    return n->value;
  if (n->kind == NODE_NAME)
    return values >> n->value & 1u;
  unsigned operands = n->kind == NODE_NOT ? 1 : n->kind >= NODE_MUX ? 3 : 2;
  for (unsigned i = 0; i < operands; i++)
    v[i] = evaluate(p, n->child[i], values);
  switch (n->kind) {
  case NODE_NOT: return !v[0];
  case NODE_AND: return v[0] & v[1];
  case NODE_XOR: return v[0] ^ v[1];
  case NODE_OR: return v[0] | v[1];
  case NODE_EQUAL: return v[0] == v[1];
  case NODE_LESS: return v[0] < v[1];
  case NODE_MUX: return v[0] ? v[1] : v[2];
  default: return v[0] + v[1] + v[2] > 1;
  }
}

// --- the table

static bool parse_results(struct parser *p) {
  do {
    struct result r = {.name = p->token, .column = -1};
    if (p->token.kind != TOKEN_NAME || at_word(p, "where") || at_word(p, "maj") || at_word(p, "mux"))
      return unexpected(p, "the name of a result") >= 0;
    if (p->source->text[p->token.begin] == '$')
      return fail(p, p->token, NULL, "a parameter is no result") >= 0;
    if (p->nresults == AP_LUT_MAX_COLUMNS)
      return fail(p, p->token, "a table has at most 8 columns", "too many results") >= 0;
    for (unsigned i = 0; i < p->nresults; i++) {
      struct token other = p->results[i].name;
      if (other.end - other.begin == r.name.end - r.name.begin
          && memcmp(p->source->text + other.begin, p->source->text + r.name.begin, r.name.end - r.name.begin) == 0)
        return fail(p, p->token, NULL, "the result is named twice") >= 0;
    }
    next(p);
    if (accept(p, '(')) {
      if (!at(p, '0') && !at(p, '1'))
        return unexpected(p, "the initial value 0 or 1") >= 0;
      r.has_initial = true;
      r.initial = at(p, '1');
      next(p);
      if (!accept(p, ')'))
        return unexpected(p, "')'") >= 0;
    }
    p->results[p->nresults++] = r;
  } while (accept(p, ','));
  return accept(p, '=') || unexpected(p, "',' or '='") >= 0;
}

static bool parse_values(struct parser *p) {
  for (unsigned i = 0; i < p->nresults; i++) {
    if (i > 0 && !accept(p, ','))
      return fail(p, p->token, NULL, "there are fewer expressions than results") >= 0;
    p->results[i].value = accept(p, '-') ? add_node(p, NODE_ANY, 0, 0, 0, 0) : expression(p);
    if (p->results[i].value < 0)
      return false;
  }
  if (at(p, ','))
    return fail(p, p->token, NULL, "there are more expressions than results") >= 0;
  return true;
}

static bool bind_results(struct parser *p) {
  for (unsigned i = 0; i < p->nresults; i++) {
    struct result *r = &p->results[i];
    r->column = find_column(p, r->name);
    if (r->column >= 0 && r->has_initial)
      return fail(p, r->name, "only a result that no expression reads has an initial value of its own",
                  "the result is also an operand") >= 0;
    if (r->column < 0)
      r->column = add_column(p, r->name, AP_LUT_OUTPUT);
    if (r->column < 0)
      return false;
    p->table->column[r->column].initial = r->initial;
  }
  return true;
}

static bool add_rows(struct parser *p, int where, struct token where_token) {
  struct ap_lut_table *table = p->table;
  unsigned outputs = 0, initial = 0;
  for (unsigned c = 0; c < table->ncolumns; c++) {
    bool output = table->column[c].role == AP_LUT_OUTPUT;
    outputs |= output ? 1u << c : 0;
    initial |= output && table->column[c].initial ? 1u << c : 0;
  }
  for (unsigned in = 0; in < 1u << table->ncolumns; in++) {
    unsigned out = in, care = (1u << table->ncolumns) - 1;
    if ((in & outputs) != initial || (where >= 0 && !evaluate(p, where, in)))
      continue;
    for (unsigned i = 0; i < p->nresults; i++) {
      const struct result *r = &p->results[i];
      unsigned bit = 1u << r->column;
      if (p->nodes[r->value].kind == NODE_ANY)
        care &= ~bit;
      else
        out = (out & ~bit) | (evaluate(p, r->value, in) ? bit : 0);
    }
    table->row[table->nrows++] = (struct ap_lut_row){(uint8_t)in, (uint8_t)out, (uint8_t)care};
  }
  return table->nrows > 0 || fail(p, where_token, NULL, "no combination of values fulfils the condition") >= 0;
}

bool ap_lut_parse(const struct bf_source *source, struct ap_lut_table *out, struct bf_diags *diags) {
  struct parser p = {.source = source, .diags = diags, .table = out};
  int where = -1;
  *out = (struct ap_lut_table){0};
  next(&p);
  if (!parse_results(&p) || !parse_values(&p))
    return false;
  struct token where_token = p.token;
  if (at_word(&p, "where")) {
    next(&p);
    where = expression(&p);
    if (where < 0)
      return false;
  }
  if (p.token.kind != TOKEN_END)
    return unexpected(&p, "the end or 'where'") >= 0;
  return bind_results(&p) && add_rows(&p, where, where_token);
}
