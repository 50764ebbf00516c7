// SPDX-License-Identifier: Apache-2.0
// Writes the container: an ELF64 file made by libelf. The bytes depend on the program alone.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE  // memfd_create
#endif
#include <errno.h>
#include <libelf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "isa/container.h"

enum { EXTRA_SYMTAB, EXTRA_STRTAB, EXTRA_SHSTRTAB, EXTRA_COUNT };

struct writer {
  Elf *elf;
  struct bf_buf parts[AP_SECTION_COUNT + EXTRA_COUNT];  // must live until elf_update
  struct bf_buf names;                                  // section names
};

// Adds a section with the bytes of `part`; returns its index, or 0 on an error of libelf.
static size_t add_section(struct writer *w, const char *name, Elf64_Word type, uint64_t align, struct bf_buf *part,
                          Elf_Type data_type) {
  Elf_Scn *section = elf_newscn(w->elf);
  Elf64_Shdr *header = section ? elf64_getshdr(section) : NULL;
  Elf_Data *data = section ? elf_newdata(section) : NULL;
  if (!header || !data)
    return 0;
  header->sh_name = (Elf64_Word)w->names.length;
  bf_buf_append(&w->names, name, strlen(name) + 1);
  header->sh_type = type;
  header->sh_addralign = align;
  data->d_buf = part->data;
  data->d_size = part->length;
  data->d_align = align;
  data->d_type = data_type;
  data->d_version = EV_CURRENT;
  return elf_ndxscn(section);
}

// One symbol for each layer: the byte range of its code.
static void make_symbols(const struct ap_program *p, size_t code_index, struct bf_buf *symbols, struct bf_buf *strings) {
  Elf64_Sym symbol = {0};
  uint64_t *offset = bf_alloc((size_t)p->ncode + 1, sizeof *offset);
  for (uint32_t i = 0; i < p->ncode; i++)
    offset[i + 1] = offset[i] + 8 * (uint64_t)ap_format_info(ap_op_info((unsigned)p->code[i].op)->format)->words;
  bf_buf_append(symbols, &symbol, sizeof symbol);
  bf_buf_append(strings, "", 1);
  for (uint32_t i = 0; i < p->nlayers; i++) {
    const struct ap_layer *layer = &p->layers[i];
    symbol.st_name = (Elf64_Word)strings->length;
    symbol.st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC);
    symbol.st_shndx = (Elf64_Section)code_index;
    symbol.st_value = offset[layer->first];
    symbol.st_size = offset[layer->end] - offset[layer->first];
    bf_buf_append(strings, layer->name, strlen(layer->name) + 1);
    bf_buf_append(symbols, &symbol, sizeof symbol);
  }
  free(offset);
}

static bool add_symbols(struct writer *w, const struct ap_program *p, size_t code_index) {
  struct bf_buf *symbols = &w->parts[AP_SECTION_COUNT + EXTRA_SYMTAB];
  struct bf_buf *strings = &w->parts[AP_SECTION_COUNT + EXTRA_STRTAB];
  make_symbols(p, code_index, symbols, strings);
  size_t symtab = add_section(w, ".symtab", SHT_SYMTAB, 8, symbols, ELF_T_SYM);
  size_t strtab = add_section(w, ".strtab", SHT_STRTAB, 1, strings, ELF_T_BYTE);
  if (!symtab || !strtab)
    return false;
  Elf64_Shdr *header = elf64_getshdr(elf_getscn(w->elf, symtab));
  header->sh_link = (Elf64_Word)strtab;
  header->sh_info = 1;  // the first symbol that is not local
  header->sh_entsize = sizeof(Elf64_Sym);
  return true;
}

static bool add_names(struct writer *w, Elf64_Ehdr *header) {
  struct bf_buf *part = &w->parts[AP_SECTION_COUNT + EXTRA_SHSTRTAB];
  size_t index = add_section(w, ".shstrtab", SHT_STRTAB, 1, part, ELF_T_BYTE);
  if (!index)
    return false;
  Elf_Data *data = elf_getdata(elf_getscn(w->elf, index), NULL);
  data->d_buf = w->names.data;
  data->d_size = w->names.length;
  header->e_shstrndx = (Elf64_Half)index;
  return true;
}

static bool build(struct writer *w, const struct ap_program *p) {
  Elf64_Ehdr *header = elf64_newehdr(w->elf);
  if (!header)
    return false;
  header->e_ident[EI_DATA] = ELFDATA2LSB;
  header->e_ident[EI_OSABI] = ELFOSABI_NONE;
  header->e_type = ET_EXEC;
  header->e_machine = AP_ELF_MACHINE;
  header->e_version = EV_CURRENT;
  bf_buf_append(&w->names, "", 1);
  size_t code_index = 0;
  for (enum ap_section s = 0; s < AP_SECTION_COUNT; s++) {
    ap_section_write(s, p, &w->parts[s]);
    size_t index = add_section(w, ap_section_name(s), SHT_PROGBITS, 8, &w->parts[s], ELF_T_BYTE);
    if (!index)
      return false;
    if (s == AP_SECTION_CODE)
      code_index = index;
  }
  return add_symbols(w, p, code_index) && add_names(w, header) && elf_update(w->elf, ELF_C_WRITE) >= 0;
}

static bool read_back(int file, struct bf_buf *out) {
  char chunk[65536];
  off_t at = 0, size = lseek(file, 0, SEEK_END);
  if (size > 0)
    bf_buf_reserve(out, (size_t)size);
  for (;;) {
    ssize_t n = pread(file, chunk, sizeof chunk, at);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return n == 0;
    bf_buf_append(out, chunk, (size_t)n);
    at += n;
  }
}

bool ap_program_write(const struct ap_program *program, struct bf_buf *out, struct bf_diags *diags) {
  struct writer w = {0};
  size_t start = out->length;
  elf_version(EV_CURRENT);
  // libelf writes to a file descriptor: one in memory.
  int file = memfd_create("apbin", MFD_CLOEXEC);
  if (file < 0) {
    bf_error_file(diags, NULL, NULL, "no memory for the container: %s", strerror(errno));
    return false;
  }
  w.elf = elf_begin(file, ELF_C_WRITE, NULL);
  bool ok = w.elf && build(&w, program);
  if (!ok)
    bf_error_file(diags, NULL, NULL, "the container cannot be written: %s", elf_errmsg(-1));
  elf_end(w.elf);
  for (size_t i = 0; i < BF_COUNT(w.parts); i++)  // not twice in memory
    bf_buf_free(&w.parts[i]);
  bf_buf_free(&w.names);
  if (ok && !(ok = read_back(file, out)))
    bf_error_file(diags, NULL, NULL, "the container cannot be read back: %s", strerror(errno));
  close(file);
  if (!ok)
    out->length = start;
  return ok;
}
