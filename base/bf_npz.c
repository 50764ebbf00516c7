// SPDX-License-Identifier: Apache-2.0
// Archives of .npy members, through libzip.
//
// Members are written stored: the bytes then depend on no version of a deflate
// library, and all entries carry the first DOS date.
#include <stdlib.h>
#include <string.h>
#include <zip.h>

#include "base/bf_npy.h"

enum { MAX_MEMBERS = 1 << 16, MAX_NAME = 4096 };
// A large member that expands more than this many times is taken for a zip bomb; small ones
// may be all zeros.
enum { BOMB_RATIO = 200 };
#define BOMB_BYTES ((uint64_t)64 << 20)

const struct bf_array *bf_archive_find(const struct bf_archive *archive, const char *name) {
  for (size_t i = 0; i < archive->count; i++)
    if (!strcmp(archive->items[i].name, name)) return &archive->items[i].array;
  return NULL;
}

void bf_archive_add(struct bf_archive *archive, const char *name, struct bf_array array) {
  struct bf_archive_item item = {bf_strdup(name), array};
  BF_PUSH(archive->items, archive->count, archive->capacity) = item;
}

void bf_archive_free(struct bf_archive *archive) {
  for (size_t i = 0; i < archive->count; i++) {
    free(archive->items[i].name);
    bf_array_free(&archive->items[i].array);
  }
  free(archive->items);
  *archive = (struct bf_archive){0};
}

// An archive without members is its end record alone; libzip makes no file of nothing.
static const char empty_zip[22] = "PK\x05\x06";

// --- reading ---

struct reader {
  zip_t *zip;
  const char *path;
  uint64_t left;  // bytes that all members together may still expand to
  struct bf_diags *diags;
};

// Reads one member whole. The claimed size bounds it, but memory grows only as bytes arrive.
static bool read_member(struct reader *r, const zip_stat_t *st, struct bf_buf *out, const char **why) {
  if (st->size > r->left) {
    *why = "the archive expands to more than 2 GiB";
    return false;
  }
  if (st->size > BOMB_BYTES && st->size / BOMB_RATIO > st->comp_size) {
    *why = "expands more than 200 times: refused as a zip bomb";
    return false;
  }
  zip_file_t *file = zip_fopen_index(r->zip, st->index, 0);
  if (!file) {
    *why = zip_strerror(r->zip);
    return false;
  }
  char chunk[1 << 14];
  zip_int64_t n;
  bool ok = true;
  while ((n = zip_fread(file, chunk, sizeof chunk)) > 0) {
    if (out->length + (uint64_t)n > st->size) {
      ok = false;
      break;
    }
    bf_buf_append(out, chunk, (size_t)n);
  }
  if (n < 0 || !ok || out->length != st->size) {
    *why = "damaged or truncated";
    ok = false;
  }
  zip_fclose(file);
  r->left -= out->length;
  return ok;
}

static bool read_entry(struct reader *r, zip_uint64_t index, struct bf_archive *out) {
  zip_stat_t st;
  zip_stat_init(&st);
  if (zip_stat_index(r->zip, index, 0, &st) != 0 ||
      (~st.valid & (ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE))) {
    bf_error_file(r->diags, r->path, NULL, "damaged archive: entry %llu", (unsigned long long)index);
    return false;
  }
  size_t length = strlen(st.name);
  if (length <= 4 || strcmp(st.name + length - 4, ".npy") != 0) return true;  // not an array
  if (length > MAX_NAME) {
    bf_error_file(r->diags, r->path, NULL, "damaged archive: the name of entry %llu is too long",
                  (unsigned long long)index);
    return false;
  }
  char *name = bf_strndup(st.name, length - 4);
  struct bf_buf bytes = {0};
  struct bf_array array = {0};
  const char *why = "duplicate member";
  bool ok = !bf_archive_find(out, name) && read_member(r, &st, &bytes, &why) &&
            bf_npy_parse(bytes.data ? bytes.data : "", bytes.length, &array, &why);
  if (ok) bf_archive_add(out, name, array);
  else bf_error_file(r->diags, r->path, NULL, "member \"%s\": %s", st.name, why);
  bf_buf_free(&bytes);
  free(name);
  return ok;
}

static bool read_entries(struct reader *r, struct bf_archive *out) {
  zip_int64_t count = zip_get_num_entries(r->zip, 0);
  if (count > MAX_MEMBERS) {
    bf_error_file(r->diags, r->path, NULL, "more than %d members", MAX_MEMBERS);
    return false;
  }
  for (zip_int64_t i = 0; i < count; i++)
    if (!read_entry(r, (zip_uint64_t)i, out)) return false;
  return true;
}

bool bf_npz_parse(const void *data, size_t length, const char *name, struct bf_archive *out, struct bf_diags *diags) {
  *out = (struct bf_archive){0};
  if (length < sizeof empty_zip) {  // libzip takes a file of no bytes for an empty archive
    bf_error_file(diags, name, NULL, "not a whole .npz archive: too short");
    return false;
  }
  zip_error_t error;
  zip_error_init(&error);
  zip_source_t *source = zip_source_buffer_create(data, length, 0, &error);
  zip_t *zip = source ? zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, &error) : NULL;
  bool ok = zip != NULL;
  if (!zip) {
    bf_error_file(diags, name, NULL, "not a whole .npz archive: %s", zip_error_strerror(&error));
    zip_source_free(source);
  } else {
    struct reader r = {zip, name, BF_MAX_FILE_BYTES, diags};
    ok = read_entries(&r, out);
    zip_discard(zip);
  }
  zip_error_fini(&error);
  if (!ok) bf_archive_free(out);
  return ok;
}

bool bf_npz_read(const char *path, struct bf_archive *out, struct bf_diags *diags) {
  char *data;
  size_t length;
  *out = (struct bf_archive){0};
  if (!bf_diags_read(diags, path, NULL, &data, &length)) return false;
  bool ok = bf_npz_parse(data, length, path, out, diags);
  free(data);
  return ok;
}

// --- writing ---

static bool add_member(zip_t *zip, const struct bf_archive_item *item) {
  struct bf_buf bytes = {0};
  bf_npy_print(&item->array, &bytes);
  zip_source_t *source = zip_source_buffer(zip, bytes.data, bytes.length, 1);  // owns the bytes
  if (!source) {
    bf_buf_free(&bytes);
    return false;
  }
  char *name = bf_format("%s.npy", item->name);
  zip_int64_t index = zip_file_add(zip, name, source, ZIP_FL_ENC_UTF_8);
  free(name);
  if (index < 0) {
    zip_source_free(source);
    return false;
  }
  // 1980-01-01 00:00, the zero of DOS time; no time zone takes part.
  return zip_set_file_compression(zip, (zip_uint64_t)index, ZIP_CM_STORE, 0) == 0 &&
         zip_file_set_dostime(zip, (zip_uint64_t)index, 0, 0x21, 0) == 0;
}

// The finished archive, from the memory source that libzip wrote it to.
static bool take_bytes(zip_source_t *source, struct bf_buf *out) {
  char chunk[1 << 14];
  zip_int64_t n;
  if (zip_source_open(source) != 0) return false;
  while ((n = zip_source_read(source, chunk, sizeof chunk)) > 0) bf_buf_append(out, chunk, (size_t)n);
  zip_source_close(source);
  return n == 0;
}

static bool build(const struct bf_archive *archive, struct bf_buf *out) {
  zip_error_t error;
  zip_error_init(&error);
  zip_source_t *target = zip_source_buffer_create(NULL, 0, 0, &error);
  zip_t *zip = target ? zip_open_from_source(target, ZIP_CREATE | ZIP_TRUNCATE, &error) : NULL;
  bool ok = zip != NULL;
  if (ok) {
    zip_source_keep(target);
    for (size_t i = 0; ok && i < archive->count; i++) ok = add_member(zip, &archive->items[i]);
    if (!ok) {
      zip_discard(zip);
    } else if (zip_close(zip) != 0) {
      zip_discard(zip);
      ok = false;
    }
    ok = ok && take_bytes(target, out);
  }
  zip_source_free(target);
  zip_error_fini(&error);
  return ok;
}

bool bf_npz_print(const struct bf_archive *archive, struct bf_buf *out) {
  if (archive->count > 0) return build(archive, out);
  bf_buf_append(out, empty_zip, sizeof empty_zip);
  return true;
}

bool bf_npz_write(const char *path, const struct bf_archive *archive, struct bf_diags *diags) {
  struct bf_buf bytes = {0};
  const char *why = "the archive could not be built";
  bool ok = bf_npz_print(archive, &bytes) && bf_write_file(path, bytes.data, bytes.length, &why);
  if (!ok) bf_error_file(diags, path, NULL, "cannot write: %s", why);
  bf_buf_free(&bytes);
  return ok;
}
