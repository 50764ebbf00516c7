// SPDX-License-Identifier: Apache-2.0
// The contents of the sections (docs/apbin.md) and the instruction words (docs/isa.md).
#include <stdlib.h>
#include <string.h>

#include "second.h"

struct cursor {
  const char *what;
  struct bytes b;
  size_t at;
};

static uint64_t get(struct cursor *c, unsigned size) {
  if (c->b.length - c->at < size)
    die("%s ends early", c->what);
  uint64_t v = 0;
  for (unsigned i = 0; i < size; i++)
    v |= (uint64_t)c->b.data[c->at + i] << 8 * i;
  c->at += size;
  return v;
}
static uint8_t u8(struct cursor *c) { return (uint8_t)get(c, 1); }
static uint32_t u32(struct cursor *c) { return (uint32_t)get(c, 4); }

static bool boolean(struct cursor *c) {
  uint8_t v = u8(c);
  if (v > 1)
    die("%s: a bool is %u", c->what, v);
  return v == 1;
}

static float f32(struct cursor *c) {
  uint32_t bits = u32(c);
  float v;
  memcpy(&v, &bits, sizeof v);
  if ((bits >> 23 & 0xff) == 0xff)
    die("%s: a real is not finite", c->what);
  return v;
}

static double f64(struct cursor *c) {
  uint64_t bits = get(c, 8);
  double v;
  memcpy(&v, &bits, sizeof v);
  if ((bits >> 52 & 0x7ff) == 0x7ff)
    die("%s: a real is not finite", c->what);
  return v;
}

static char *text(struct cursor *c) {
  uint32_t n = u32(c);
  if (c->b.length - c->at < n || memchr(c->b.data + c->at, 0, n))
    die("%s: a text is wrong", c->what);
  char *s = zalloc((uint64_t)n + 1, 1);
  memcpy(s, c->b.data + c->at, n);
  c->at += n;
  return s;
}

// The count of a list whose items have at least `smallest` bytes.
static uint32_t count(struct cursor *c, unsigned smallest) {
  uint32_t n = u32(c);
  if (n > (c->b.length - c->at) / smallest)
    die("%s: a list of %u items is longer than the section", c->what, n);
  return n;
}

static void done(const struct cursor *c) {
  if (c->at != c->b.length)
    die("%s: bytes behind the contents", c->what);
}

static uint32_t below(struct cursor *c, uint32_t limit) {
  uint32_t v = u32(c);
  if (v >= limit)
    die("%s: number %u of %u", c->what, v, limit);
  return v;
}

static uint64_t fnv(struct bytes b) {
  uint64_t h = UINT64_C(0xcbf29ce484222325);
  for (size_t i = 0; i < b.length; i++)
    h = (h ^ b.data[i]) * UINT64_C(0x100000001b3);
  return h;
}

static uint32_t *numbers(struct cursor *c, uint32_t *n) {
  *n = count(c, 4);
  uint32_t *list = zalloc(*n, sizeof *list);
  for (uint32_t i = 0; i < *n; i++)
    list[i] = u32(c);
  return list;
}

static void read_meta(struct binary *b, struct bytes section) {
  struct cursor c = {"meta", section, 0};
  if (u32(&c) != 3)
    die("not version 3");
  b->hash = get(&c, 8);
  b->network = text(&c);
  b->batch = u32(&c);
  b->tech = text(&c);
  b->vdd = f64(&c);
  b->keep_all = boolean(&c);
  b->weights = text(&c);
  if (strlen(b->weights) > 200)
    die("the origin of the weights is too long");
  for (const char *at = b->weights; *at; at++)
    if (*at < 32 || *at > 126)
      die("the origin of the weights is no printable text");
  b->nhosts = count(&c, 20);
  b->hosts = zalloc(b->nhosts, sizeof *b->hosts);
  for (uint32_t i = 0; i < b->nhosts; i++) {
    struct host *h = &b->hosts[i];
    h->kind = below(&c, 1);
    h->input = u32(&c);
    h->output = u32(&c);
    h->in_scale = f32(&c);
    h->beta = f32(&c);
  }
  b->nlayers = count(&c, 30);
  b->layers = zalloc(b->nlayers, sizeof *b->layers);
  for (uint32_t i = 0; i < b->nlayers; i++) {
    struct layer *l = &b->layers[i];
    l->name = text(&c);
    l->op = text(&c);
    l->mapping = text(&c);
    l->bits_w = u8(&c);
    l->bits_a = u8(&c);
    l->macs = get(&c, 8);
    l->columns_used = u32(&c);
    l->output = u32(&c);
  }
  b->inputs = numbers(&c, &b->ninputs);
  b->outputs = numbers(&c, &b->noutputs);
  done(&c);
}

static void read_tensors(struct binary *b, struct bytes section) {
  struct cursor c = {"tensors", section, 0};
  b->ntensors = count(&c, 60);
  b->tensors = zalloc(b->ntensors, sizeof *b->tensors);
  for (uint32_t i = 0; i < b->ntensors; i++) {
    struct tensor *t = &b->tensors[i];
    t->name = text(&c);
    t->storage = below(&c, 3);
    t->bits = u8(&c);
    t->bias = (int64_t)get(&c, 8);
    t->type = text(&c);
    for (int k = 0; k < 4; k++)
      t->shape[k] = u32(&c);
    t->rank = u8(&c);
    t->scale = f32(&c);
    t->zero = (int32_t)u32(&c);
    t->alias = u32(&c);
    t->data = get(&c, 8);
    if (t->bits < 1 || t->bits > 64 || t->rank < 1 || t->rank > 4 || (t->alias != NONE && t->alias >= b->ntensors))
      die("tensor %s is wrong", t->name);
  }
  done(&c);
}

static unsigned dim(struct cursor *c) {
  unsigned v = u8(c);
  if (v > 3 && v != 255)
    die("a dim is %u", v);
  return v;
}

static void read_desc(struct binary *b, struct bytes section) {
  struct cursor c = {"desc", section, 0};
  b->ngrids = count(&c, 20);
  b->grids = zalloc(b->ngrids, sizeof *b->grids);
  for (uint32_t i = 0; i < b->ngrids; i++) {
    for (int k = 0; k < 4; k++)
      b->grids[i].count[k] = u32(&c);
    b->grids[i].tile_rows = u32(&c);
  }
  b->ndescs = count(&c, 86);
  b->descs = zalloc(b->ndescs, sizeof *b->descs);
  for (uint32_t i = 0; i < b->ndescs; i++) {
    struct desc *d = &b->descs[i];
    d->grid = below(&c, b->ngrids);
    d->tensor = below(&c, b->ntensors);
    d->bits = u8(&c);
    d->bit = u8(&c);
    for (int k = 0; k < 4; k++)
      d->row_dim[k] = dim(&c);
    for (int k = 0; k < 4; k++)
      d->row_stride[k] = (int32_t)u32(&c);
    for (int k = 0; k < 4; k++)
      d->origin[k] = (int32_t)u32(&c);
    for (int k = 0; k < 4; k++)
      d->tap_count[k] = u32(&c);
    for (int k = 0; k < 4; k++)
      d->tap_step[k] = (int32_t)u32(&c);
    d->pad_value = get(&c, 8);
    if (d->bits < 1 || d->bit + d->bits > b->tensors[d->tensor].bits)
      die("bits of descriptor %u", i);
  }
  done(&c);
}

static void read_step(struct cursor *c, struct step *s) {
  s->kind = u8(c);
  s->nlits = u8(c);
  s->group = (uint16_t)get(c, 2);
  if (s->kind > 8 || s->nlits > 68)
    die("a step has kind %u and %u literals", s->kind, s->nlits);
  bool shift = s->kind == 6 || s->kind == 7;
  if (shift ? s->nlits != 0 : s->kind == 8 ? s->nlits != 1 : s->nlits == 0)
    die("a step of kind %u has %u literals", s->kind, s->nlits);
  s->lits = zalloc(s->nlits, sizeof *s->lits);
  for (unsigned i = 0; i < s->nlits; i++) {
    struct lit *l = &s->lits[i];
    l->slot = u8(c);
    l->bit = u8(c);
    l->value = u8(c);
    l->kbit = u8(c);
    if (l->slot > 5 || l->value > 5 || l->bit > 63 || l->kbit > 63 || (l->slot == 3 && l->bit > 3))
      die("a literal is wrong");
  }
}

static void read_micro(struct binary *b, struct bytes section) {
  struct cursor c = {"micro", section, 0};
  b->nmicros = count(&c, 8);
  b->micros = zalloc(b->nmicros, sizeof *b->micros);
  for (uint32_t i = 0; i < b->nmicros; i++) {
    struct micro *m = &b->micros[i];
    m->op = u8(&c);
    for (int k = 0; k < 3; k++)
      m->width[k] = u8(&c);
    m->nsteps = count(&c, 4);
    m->steps = zalloc(m->nsteps, sizeof *m->steps);
    for (uint32_t s = 0; s < m->nsteps; s++)
      read_step(&c, &m->steps[s]);
    if (i > 0 && memcmp(&b->micros[i - 1], m, 4) >= 0)
      die("microcode is not in ascending order");
  }
  done(&c);
}

// The formats of docs/isa.md: N none, X index, L load; D, DA, DB: one to three fields, i an immediate; K key, I;
// P two or three fields, and the index in a word of its own.
static const struct format { uint8_t op; const char *format; } FORMATS[] = {
    {0x01, "N"},  {0x02, "N"},  {0x03, "X"},  {0x04, "N"},  {0x05, "X"},  {0x06, "N"},  {0x07, "X"},  {0x08, "X"},
    {0x10, "L"},  {0x11, "L"},  {0x12, "L"},  {0x20, "1i"}, {0x21, "2i"}, {0x22, "2"},  {0x23, "3"},  {0x24, "2"},
    {0x25, "2"},  {0x28, "2"},  {0x29, "2"},  {0x2A, "2"},  {0x2B, "3"},  {0x2C, "3"},  {0x2D, "3"},  {0x30, "2"},
    {0x31, "2"},  {0x32, "2"},  {0x33, "2"},  {0x34, "1i"}, {0x35, "2"},  {0x36, "3"},  {0x37, "3"},  {0x38, "1"},
    {0x39, "2"},  {0x3A, "2"},  {0x3B, "2"},  {0x3C, "1i"}, {0x40, "3"},  {0x41, "3"},  {0x42, "3"},  {0x50, "2"},
    {0x51, "2i"}, {0x52, "3"},  {0x53, "2"},  {0x54, "3"},  {0x55, "3"},  {0x56, "3"},  {0x57, "3"},  {0x58, "3"},
    {0x59, "2i"}, {0x5A, "1i"}, {0x5B, "1i"}, {0x5C, "1"},  {0x60, "Ki"}, {0x61, "Ki"}, {0x62, "Ki"}, {0x63, "0i"},
    {0x64, "0i"}, {0x65, "1"},  {0x68, "P"},  {0x70, "2i"}, {0x71, "2i"}, {0x72, "2i"}, {0x73, "2"},
};

static const char *format_of(unsigned op) {
  for (size_t i = 0; i < sizeof FORMATS / sizeof *FORMATS; i++)
    if (FORMATS[i].op == op)
      return FORMATS[i].format;
  die("unknown opcode 0x%02x", op);
}

static struct field field_of(const struct binary *b, uint64_t word, unsigned at) {
  struct field f = {word >> at & 0x3ff, (word >> (at + 10) & 0x3f) + 1};
  if (f.col < 4 || f.col + f.width > b->machine.columns)
    die("field c%u:%u", f.col, f.width);
  return f;
}

static struct instr read_instr(const struct binary *b, struct cursor *c) {
  uint64_t word = get(c, 8), used = 0xff;
  struct instr in = {.op = word & 0xff};
  const char *format = format_of(in.op);
  if (*format == 'X') {
    in.index = (uint32_t)(word >> 32);
    used |= UINT64_C(0xffffffff) << 32;
  } else if (*format == 'L') {
    in.nfields = 1;
    in.f[0] = field_of(b, word, 8);
    in.index = word >> 32 & 0xffff;
    in.tap = word >> 48 & 0xffff;
    used |= UINT64_C(0xffffffff00ffff00);
  } else if (*format != 'N') {
    bool counted = *format == 'K' || *format == 'P';
    in.nfields = counted ? word >> 8 & 3 : (unsigned)(*format - '0');
    if (counted)
      used |= 0x300;
    if (in.nfields < (*format == 'P' ? 2 : 1) && *format != '0')
      die("too few fields");
    for (unsigned i = 0; i < in.nfields; i++) {
      in.f[i] = field_of(b, word, 16 + 16 * i);
      used |= UINT64_C(0xffff) << (16 + 16 * i);
    }
  }
  if ((word & ~used) != 0)
    die("word %016llx has reserved bits", (unsigned long long)word);
  if (*format != 'N' && format[1] == 'i')
    in.imm = get(c, 8);
  if (*format == 'P') {
    in.index = u32(c);
    if (u32(c) != 0)
      die("reserved bits behind the number of a pattern");
  }
  return in;
}

static void read_tables(struct binary *b, struct bytes section) {
  struct cursor c = {"tables", section, 0};
  b->ntables = count(&c, 4);
  b->tables = zalloc(b->ntables, sizeof *b->tables);
  for (uint32_t i = 0; i < b->ntables; i++) {
    struct table *t = &b->tables[i];
    t->count = count(&c, 8);
    t->items = zalloc(t->count, sizeof *t->items);
    for (uint32_t k = 0; k < t->count; k++) {
      t->items[k] = read_instr(b, &c);
      if (t->items[k].op < 0x10 || (t->items[k].op >= 0x60 && t->items[k].op <= 0x65))
        die("instruction 0x%02x in a table", t->items[k].op);
    }
  }
  done(&c);
}

static void read_streams(struct binary *b, struct bytes section) {
  struct cursor c = {"streams", section, 0};
  b->nstreams = count(&c, 9);
  b->streams = zalloc(b->nstreams, sizeof *b->streams);
  for (uint32_t i = 0; i < b->nstreams; i++) {
    struct stream *s = &b->streams[i];
    s->table = below(&c, b->ntables);
    uint32_t n = u32(&c);
    unsigned size = u8(&c), most = 0;
    if ((size != 1 && size != 2) || n > (c.b.length - c.at) / size)
      die("stream %u is wrong", i);
    s->count = n;
    s->steps = zalloc(n, sizeof *s->steps);
    for (uint32_t k = 0; k < n; k++) {
      s->steps[k] = (uint16_t)get(&c, size);
      most = s->steps[k] > most ? s->steps[k] : most;
    }
    if ((n > 0 && most >= b->tables[s->table].count) || size != (most < 256 ? 1 : 2))
      die("stream %u is wrong", i);
  }
  done(&c);
}

// How many bytes hold the number.
static unsigned bytes_of(uint64_t v) {
  unsigned n = 1;
  while (n < 8 && v >> 8 * n)
    n++;
  return n;
}

static void read_patterns(struct binary *b, struct bytes section) {
  struct cursor c = {"patterns", section, 0};
  b->npatterns = count(&c, 5);
  b->patterns = zalloc(b->npatterns, sizeof *b->patterns);
  for (uint32_t i = 0; i < b->npatterns; i++) {
    struct pattern *p = &b->patterns[i];
    p->inputs = u8(&c);
    p->key = u8(&c);
    unsigned size = u8(&c), most = 1;
    if (p->inputs < 1 || p->inputs > 8 || size < 1 || size > 8)
      die("pattern %u is wrong", i);
    p->base = get(&c, size);
    most = bytes_of(p->base);
    for (unsigned k = 0; k < p->inputs; k++) {
      p->add[k] = get(&c, size);
      most = bytes_of(p->add[k]) > most ? bytes_of(p->add[k]) : most;
    }
    if (size != most)
      die("numbers of pattern %u have more bytes than they need", i);
  }
  done(&c);
}

static void read_code(struct binary *b, struct bytes section) {
  struct cursor c = {"code", section, 0};
  b->code = zalloc(section.length / 8, sizeof *b->code);
  while (c.at < c.b.length)
    b->code[b->ncode++] = read_instr(b, &c);
}

static void read_const(struct binary *b, struct bytes section) {
  struct cursor c = {"const", section, 0};
  b->nconsts = get(&c, 8);
  if (b->nconsts > section.length)
    die("the constant pool is longer than its section");
  b->consts = zalloc(b->nconsts, sizeof *b->consts);
  for (uint64_t i = 0; i < b->nconsts;) {
    unsigned size = u8(&c);
    if (size != 1 && size != 2 && size != 4 && size != 8)
      die("numbers of %u bytes", size);
    uint64_t end = b->nconsts - i < 4096 ? b->nconsts : i + 4096;
    for (; i < end; i++)
      b->consts[i] = get(&c, size);
  }
  done(&c);
}

static void read_lines(struct binary *b, struct bytes section) {
  struct cursor c = {"lines", section, 0};
  uint32_t at = 0;
  if (count(&c, 12) != b->nlayers)
    die("another number of lines than layers");
  for (uint32_t i = 0; i < b->nlayers; i++) {
    struct layer *l = &b->layers[i];
    l->first = u32(&c);
    l->end = u32(&c);
    l->line = u32(&c);
    if (l->first < at || l->end < l->first || l->end > b->ncode)
      die("code of layer %s", l->name);
    at = l->end;
  }
  done(&c);
}

static void read_profiles(struct binary *b, struct bytes section) {
  struct cursor c = {"profiles", section, 0};
  b->nprofiles = count(&c, 8);
  b->profiles = zalloc(b->nprofiles, sizeof *b->profiles);
  for (uint32_t i = 0; i < b->nprofiles; i++) {
    struct profile *p = &b->profiles[i];
    p->name = text(&c);
    p->layers = numbers(&c, &p->nlayers);
    if (p->nlayers == 0)
      die("profile %s has no layers", p->name);
    for (uint32_t k = 0; k < p->nlayers; k++)
      if (p->layers[k] >= b->nlayers)
        die("profile %s has layer %u", p->name, p->layers[k]);
  }
  done(&c);
}

// What refers to tensors but stands before them in the file.
static void check_numbers(const struct binary *b) {
  for (uint32_t i = 0; i < b->ninputs; i++)
    if (b->inputs[i] >= b->ntensors)
      die("input %u", i);
  for (uint32_t i = 0; i < b->noutputs; i++)
    if (b->outputs[i] >= b->ntensors)
      die("output %u", i);
  for (uint32_t i = 0; i < b->nhosts; i++)
    if (b->hosts[i].input >= b->ntensors || b->hosts[i].output >= b->ntensors)
      die("host op %u", i);
  if (b->batch == 0)
    die("a batch of 0 images");
}

struct binary *binary_read(const char *path) {
  struct bytes section[SECTIONS];
  struct binary *b = zalloc(1, sizeof *b);
  b->file = read_file(path);
  elf_sections(b->file, section);
  read_meta(b, section[META]);
  b->machine_text = section[MACHINE];
  if (fnv(section[MACHINE]) != b->hash)
    die("the hash of the machine is wrong");
  machine_parse(section[MACHINE], &b->machine);
  read_tensors(b, section[TENSORS]);
  read_desc(b, section[DESC]);
  read_micro(b, section[MICRO]);
  read_tables(b, section[TABLES]);
  read_streams(b, section[STREAMS]);
  read_patterns(b, section[PATTERNS]);
  read_code(b, section[CODE]);
  read_const(b, section[CONST]);
  read_lines(b, section[LINES]);
  read_profiles(b, section[PROFILES]);
  b->source = section[SOURCE];
  check_numbers(b);
  return b;
}
