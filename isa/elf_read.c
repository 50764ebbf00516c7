// SPDX-License-Identifier: Apache-2.0
// Reads the container. The outer structure is checked here, the contents of each section in isa/section_read.c, the
// sense of it all in the validator; nothing is believed before.
#include <libelf.h>
#include <stdlib.h>
#include <string.h>

#include "isa/container.h"

struct piece {
  const uint8_t *data;  // NULL: not found
  uint64_t offset, length;
};

static bool refuse(struct ap_reader *r, uint64_t offset, const char *hint, const char *why) {
  bf_error_file(r->diags, r->file, hint, "byte 0x%llx: %s", (unsigned long long)offset, why);
  return false;
}

// The file header, before libelf sees it: identification and the place of the section headers.
static bool check_header(struct ap_reader *r, const uint8_t *image, size_t length) {
  const char *no = "not an AP program: it is made by bfimnac or apas";
  Elf64_Ehdr h;
  if (length < SELFMAG || memcmp(image, ELFMAG, SELFMAG) != 0)
    return refuse(r, 0, no, "no ELF file");
  if (length < sizeof h)
    return refuse(r, length, NULL, "the file ends within its header");
  memcpy(&h, image, sizeof h);
  if (h.e_ident[EI_CLASS] != ELFCLASS64 || h.e_ident[EI_DATA] != ELFDATA2LSB)
    return refuse(r, EI_CLASS, no, "not a 64-bit little-endian ELF file");
  if (h.e_ident[EI_VERSION] != EV_CURRENT)
    return refuse(r, EI_VERSION, no, "unknown version of ELF");
  struct ap_cursor c = {.data = image, .length = length, .at = offsetof(Elf64_Ehdr, e_type)};
  uint64_t type = ap_cursor_uint(&c, 2), machine = ap_cursor_uint(&c, 2);
  if (type != ET_EXEC)
    return refuse(r, offsetof(Elf64_Ehdr, e_type), no, "not an executable file");
  // GNU strip and objcopy, which do not know the machine, write "none".
  if (machine != AP_ELF_MACHINE && machine != EM_NONE)
    return refuse(r, offsetof(Elf64_Ehdr, e_machine), no, "code for another machine");
  c.at = offsetof(Elf64_Ehdr, e_flags);
  uint64_t flags = ap_cursor_uint(&c, 4);
  c.at = offsetof(Elf64_Ehdr, e_phnum);
  uint64_t program_headers = ap_cursor_uint(&c, 2);
  c.at = offsetof(Elf64_Ehdr, e_version);
  if (ap_cursor_uint(&c, 4) != EV_CURRENT || ap_cursor_uint(&c, 8) != 0 || flags != 0 || program_headers != 0)
    return refuse(r, offsetof(Elf64_Ehdr, e_version), no, "the version, entry, flags or program headers of an AP binary are others");
  c.at = offsetof(Elf64_Ehdr, e_shoff);
  uint64_t table = ap_cursor_uint(&c, 8);
  c.at = offsetof(Elf64_Ehdr, e_shentsize);
  uint64_t entry = ap_cursor_uint(&c, 2), count = ap_cursor_uint(&c, 2);
  if (entry != sizeof(Elf64_Shdr) || count == 0)
    return refuse(r, offsetof(Elf64_Ehdr, e_shentsize), NULL, "no section headers of the right size");
  if (table > length || entry * count > length - table || table % 8)
    return refuse(r, offsetof(Elf64_Ehdr, e_shoff), "the file may be cut off", "the section headers lie outside the file");
  return true;
}

// The section names: a table within the file that ends with a zero byte.
static bool find_names(struct ap_reader *r, Elf *elf, const uint8_t *image, size_t length, struct piece *names) {
  size_t index;
  Elf_Scn *section = elf_getshdrstrndx(elf, &index) == 0 ? elf_getscn(elf, index) : NULL;
  Elf64_Shdr *header = section ? elf64_getshdr(section) : NULL;
  if (!header || header->sh_type != SHT_STRTAB || header->sh_offset > length ||
      header->sh_size > length - header->sh_offset || header->sh_size == 0 ||
      image[header->sh_offset + header->sh_size - 1] != 0)
    return refuse(r, offsetof(Elf64_Ehdr, e_shstrndx), NULL, "no table of section names");
  *names = (struct piece){image + header->sh_offset, header->sh_offset, header->sh_size};
  return true;
}

static bool take_section(struct ap_reader *r, const Elf64_Shdr *header, const char *name, size_t length,
                         const uint8_t *image, struct piece pieces[AP_SECTION_COUNT]) {
  for (enum ap_section s = 0; s < AP_SECTION_COUNT; s++) {
    if (strcmp(ap_section_name(s), name) != 0)
      continue;
    const char *why = NULL;
    if (pieces[s].data)
      why = "is there twice";
    else if (header->sh_type != SHT_PROGBITS || header->sh_flags & SHF_COMPRESSED)
      why = "has another type than PROGBITS or is compressed";
    else if (header->sh_offset > length || header->sh_size > length - header->sh_offset)
      why = "lies outside the file";
    if (why) {
      bf_error_file(r->diags, r->file, NULL, "section %s %s", name, why);
      return false;
    }
    pieces[s] = (struct piece){image + header->sh_offset, header->sh_offset, header->sh_size};
    return true;
  }
  // Sections that tools add are none of ours, but one that looks like ours may change the meaning.
  if (strncmp(name, ".ap.", 4) == 0) {
    bf_error_file(r->diags, r->file, NULL, "section %.64s is unknown to this version", name);
    return false;
  }
  return true;
}

static bool find_sections(struct ap_reader *r, Elf *elf, const uint8_t *image, size_t length,
                          struct piece pieces[AP_SECTION_COUNT]) {
  struct piece names;
  if (!find_names(r, elf, image, length, &names))
    return false;
  for (Elf_Scn *section = elf_nextscn(elf, NULL); section; section = elf_nextscn(elf, section)) {
    const Elf64_Shdr *header = elf64_getshdr(section);
    if (!header || header->sh_name >= names.length)
      return refuse(r, 0, NULL, "a section has no name");
    if (!take_section(r, header, (const char *)names.data + header->sh_name, length, image, pieces))
      return false;
  }
  for (enum ap_section s = 0; s < AP_SECTION_COUNT; s++)
    if (!pieces[s].data) {
      bf_error_file(r->diags, r->file, NULL, "section %s is missing", ap_section_name(s));
      return false;
    }
  return true;
}

static bool read_sections(struct ap_reader *r, const struct piece pieces[AP_SECTION_COUNT]) {
  for (enum ap_section s = 0; s < AP_SECTION_COUNT; s++) {
    struct ap_cursor cursor = {.data = pieces[s].data, .length = pieces[s].length};
    if (ap_section_read(s, r, &cursor))
      continue;
    bf_error_file(r->diags, r->file, NULL, "section %s, byte 0x%llx (file offset 0x%llx): %s", ap_section_name(s),
                  (unsigned long long)cursor.at, (unsigned long long)(pieces[s].offset + cursor.at), cursor.bad);
    return false;
  }
  return true;
}

// Validation messages name the file that the program came from.
static bool validate(struct ap_reader *r) {
  const char *old = r->diags->default_file;
  r->diags->default_file = r->file;
  bool ok = ap_program_validate(r->program, r->diags);
  r->diags->default_file = old;
  return ok;
}

struct ap_program *ap_program_read(const void *data, size_t length, const char *file, struct bf_diags *diags) {
  struct ap_reader r = {.diags = diags, .file = file};
  struct piece pieces[AP_SECTION_COUNT] = {{0}};
  // libelf wants aligned structures; it reads, and writes nothing to files of the host's byte order or another.
  bool aligned = (uintptr_t)data % 16 == 0;
  uint8_t *copy = aligned ? NULL : bf_alloc(length, 1);
  if (copy && length)
    memcpy(copy, data, length);
  const uint8_t *image = aligned ? data : copy;
  bool ok = check_header(&r, image, length);
  if (ok) {
    elf_version(EV_CURRENT);
    Elf *elf = elf_memory((char *)(uintptr_t)image, length);
    if (!elf || elf_kind(elf) != ELF_K_ELF)
      ok = refuse(&r, 0, NULL, elf ? "no ELF file" : elf_errmsg(-1));
    ok = ok && find_sections(&r, elf, image, length, pieces);
    elf_end(elf);
  }
  if (ok) {
    r.program = ap_program_new();
    ok = read_sections(&r, pieces) && validate(&r);
  }
  free(copy);
  if (ok)
    return r.program;
  ap_program_free(r.program);
  return NULL;
}

struct ap_program *ap_program_load(const char *path, struct bf_diags *diags) {
  char *data;
  size_t length;
  if (!bf_diags_read(diags, path, NULL, &data, &length))
    return NULL;
  struct ap_program *program = ap_program_read(data, length, path, diags);
  free(data);
  return program;
}
