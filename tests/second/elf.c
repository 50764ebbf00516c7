// SPDX-License-Identifier: Apache-2.0
// The ELF64 container, section by section.
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "second.h"

void die(const char *format, ...) {
  va_list args;
  va_start(args, format);
  fputs("apsecond: ", stderr);
  vfprintf(stderr, format, args);
  fputs("\n", stderr);
  va_end(args);
  exit(1);
}

void *zalloc(uint64_t count, size_t size) {
  if (count > (UINT64_C(1) << 40) / size)
    die("too large: %llu items", (unsigned long long)count);
  void *p = calloc(count > 0 ? count : 1, size);
  if (!p)
    die("out of memory");
  return p;
}

struct bytes read_file(const char *path) {
  FILE *f = fopen(path, "rb");
  if (!f)
    die("cannot open %s", path);
  struct bytes b = {0};
  size_t room = 0;
  for (;;) {
    if (b.length == room) {
      room = room > 0 ? 2 * room : 65536;
      b.data = realloc(b.data, room);
      if (!b.data)
        die("out of memory");
    }
    size_t got = fread(b.data + b.length, 1, room - b.length, f);
    if (got == 0)
      break;
    b.length += got;
  }
  fclose(f);
  return b;
}

static const char *const NAMES[SECTIONS] = {".ap.meta",    ".ap.machine", ".ap.tensors", ".ap.desc",
                                            ".ap.micro",   ".ap.tables",  ".ap.streams", ".ap.patterns",
                                            ".ap.code",    ".ap.const",   ".ap.lines",   ".ap.profiles", ".ap.source"};

static uint64_t number(struct bytes b, uint64_t at, unsigned size) {
  if (at > b.length || b.length - at < size)
    die("the file ends at byte %llu", (unsigned long long)b.length);
  uint64_t v = 0;
  for (unsigned i = 0; i < size; i++)
    v |= (uint64_t)b.data[at + i] << 8 * i;
  return v;
}

static struct bytes part(struct bytes b, uint64_t at, uint64_t length) {
  if (at > b.length || length > b.length - at)
    die("a section lies outside the file");
  return (struct bytes){b.data + at, length};
}

static void check_header(struct bytes file) {
  static const uint8_t ident[8] = {0x7f, 'E', 'L', 'F', 2, 1, 1, 0};
  if (file.length < 64 || memcmp(file.data, ident, sizeof ident) != 0)
    die("no ELF64 file, little endian");
  if (number(file, 16, 2) != 2)
    die("e_type is not ET_EXEC");
  uint64_t machine = number(file, 18, 2);
  if (machine != 0xBF1A && machine != 0)
    die("e_machine is 0x%llx", (unsigned long long)machine);
  if (number(file, 20, 4) != 1 || number(file, 24, 8) != 0 || number(file, 48, 4) != 0 || number(file, 56, 2) != 0)
    die("version, entry, flags or program headers are wrong");
}

static int section_number(const char *name) {
  for (int i = 0; i < SECTIONS; i++)
    if (strcmp(NAMES[i], name) == 0)
      return i;
  if (strncmp(name, ".ap.", 4) == 0)
    die("unknown section %s", name);
  return -1;
}

void elf_sections(struct bytes file, struct bytes out[SECTIONS]) {
  check_header(file);
  uint64_t at = number(file, 40, 8), count = number(file, 60, 2), names_at = number(file, 62, 2);
  bool seen[SECTIONS] = {false};
  if (number(file, 58, 2) != 64 || names_at >= count)
    die("section headers are wrong");
  struct bytes heads = part(file, at, count * 64);
  struct bytes names = part(file, number(heads, names_at * 64 + 24, 8), number(heads, names_at * 64 + 32, 8));
  for (uint64_t i = 1; i < count; i++) {
    uint64_t name_at = number(heads, i * 64, 4);
    if (name_at >= names.length || !memchr(names.data + name_at, 0, names.length - name_at))
      die("name of section %llu", (unsigned long long)i);
    const char *name = (const char *)names.data + name_at;
    int s = section_number(name);
    if (s < 0)
      continue;
    if (number(heads, i * 64 + 4, 4) != 1 || (number(heads, i * 64 + 8, 8) & 0x800) != 0)
      die("%s is not SHT_PROGBITS, or is compressed", name);
    if (seen[s])
      die("%s stands there twice", name);
    seen[s] = true;
    out[s] = part(file, number(heads, i * 64 + 24, 8), number(heads, i * 64 + 32, 8));
  }
  for (int s = 0; s < SECTIONS; s++)
    if (!seen[s])
      die("no section %s", NAMES[s]);
}
