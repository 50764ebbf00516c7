// SPDX-License-Identifier: Apache-2.0
// .npy and .npz: round trips, and hostile bytes.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <zip.h>

#include "base/bf_npy.h"

static struct bf_array make(enum bf_dtype dtype, unsigned rank, const uint64_t *shape) {
  struct bf_array array = {.dtype = dtype, .rank = rank, .elements = 1};
  for (unsigned i = 0; i < rank; i++) array.elements *= array.shape[i] = shape[i];
  size_t bytes = (size_t)array.elements * bf_dtype_size(dtype);
  array.data = bf_alloc(bytes, 1);
  for (size_t i = 0; i < bytes; i++) ((unsigned char *)array.data)[i] = (unsigned char)(i * 7 + 1);
  return array;
}

static void test_round_trip(void **state) {
  const uint64_t shape[] = {2, 3, 1, 5};
  for (int dtype = 0; dtype < BF_DTYPE_COUNT; dtype++)
    for (unsigned rank = 0; rank <= 4; rank++) {
      struct bf_array a = make((enum bf_dtype)dtype, rank, shape), b;
      struct bf_buf buf = {0};
      const char *why;
      bf_npy_print(&a, &buf);
      assert_int_equal((buf.length - a.elements * bf_dtype_size(a.dtype)) % 64, 0);
      assert_true(bf_npy_parse(buf.data, buf.length, &b, &why));
      assert_int_equal(b.dtype, a.dtype);
      assert_int_equal(b.rank, rank);
      assert_int_equal(b.elements, a.elements);
      assert_memory_equal(a.shape, b.shape, sizeof a.shape);
      assert_memory_equal(a.data, b.data, a.elements * bf_dtype_size(a.dtype));
      // Every truncation is refused, and so is a byte too many.
      for (size_t cut = 0; cut < buf.length; cut++) {
        char *part = malloc(cut ? cut : 1);  // exact size, so that an overread is caught
        memcpy(part, buf.data, cut);
        struct bf_array c;
        assert_false(bf_npy_parse(part, cut, &c, &why));
        free(part);
      }
      bf_buf_puts(&buf, "x");
      struct bf_array c;
      assert_false(bf_npy_parse(buf.data, buf.length, &c, &why));
      bf_buf_free(&buf);
      bf_array_free(&a);
      bf_array_free(&b);
    }
}

static void test_values(void **state) {
  int8_t i8[] = {-128, 127};
  uint16_t u16[] = {0, 65535};
  float f32[] = {0.5f, -2};
  struct bf_array a = {.dtype = BF_DTYPE_I8, .data = i8};
  assert_int_equal(bf_array_int(&a, 0), -128);
  struct bf_array b = {.dtype = BF_DTYPE_U16, .data = u16};
  assert_int_equal(bf_array_int(&b, 1), 65535);
  struct bf_array c = {.dtype = BF_DTYPE_F32, .data = f32};
  assert_true(bf_array_real(&c, 1) == -2);
  assert_true(bf_array_real(&b, 1) == 65535);
}

static bool parse_header(const char *dict, size_t payload, const char **why) {
  struct bf_buf buf = {0};
  struct bf_array array;
  bf_buf_append(&buf, "\x93NUMPY\x01\x00", 8);
  bf_buf_u16(&buf, (uint16_t)strlen(dict));
  bf_buf_puts(&buf, dict);
  for (size_t i = 0; i < payload; i++) bf_buf_puts(&buf, "z");
  bool ok = bf_npy_parse(buf.data, buf.length, &array, why);
  bf_buf_free(&buf);
  bf_array_free(&array);
  return ok;
}

static void test_headers(void **state) {
  const char *why;
  assert_true(parse_header("{\"shape\":(3,),'descr':'|u1','fortran_order':False}\n", 3, &why));
  assert_true(parse_header("{'shape': (), 'descr': '<f4', 'fortran_order': False, }", 4, &why));
  assert_true(parse_header("{'shape': (4,), 'descr': '<i1', 'fortran_order': True, }", 4, &why));
  assert_true(parse_header("{'shape': (0, 99999999999), 'descr': '<f4', 'fortran_order': False}", 0, &why));
  static const struct {
    const char *dict, *why;
  } bad[] = {
      {"", "damaged"},
      {"{", "damaged"},
      {"{}", "missing"},
      {"{'shape': (1,), 'descr': '|u1'}", "missing"},
      {"{'shape': (1,), 'shape': (1,), 'descr': '|u1', 'fortran_order': False}", "twice"},
      {"{'shape': (1,), 'descr': '|u1', 'fortran_order': False, 'x': 1}", "unknown key"},
      {"{'shape': (1,), 'descr': '|u1', 'fortran_order': False} trailing", "damaged"},
      {"{'shape': (1, 'descr': '|u1', 'fortran_order': False}", "shape"},
      {"{'shape': (-1,), 'descr': '|u1', 'fortran_order': False}", "shape"},
      {"{'shape': (1,1,1,1,1,1,1,1,1), 'descr': '|u1', 'fortran_order': False}", "8 dimensions"},
      {"{'shape': (1,), 'descr': '>i4', 'fortran_order': False}", "big-endian"},
      {"{'shape': (1,), 'descr': '<c8', 'fortran_order': False}", "not supported"},
      {"{'shape': (1,), 'descr': [('a', '<i4')], 'fortran_order': False}", "record"},
      {"{'shape': (1,1), 'descr': '|u1', 'fortran_order': True}", "Fortran"},
      {"{'shape': (4294967296, 4294967296), 'descr': '|u1', 'fortran_order': False}", "too large"},
      {"{'shape': (99999999999999999999999,), 'descr': '|u1', 'fortran_order': False}", "too large"},
      {"{'shape': (2147483649,), 'descr': '|u1', 'fortran_order': False}", "too large"},
      {"{'shape': (2147483648,), 'descr': '<i8', 'fortran_order': False}", "truncated"},
      {"{'shape': (2,), 'descr': '|u1', 'fortran_order': False}", "truncated"},
  };
  for (size_t i = 0; i < BF_COUNT(bad); i++) {
    assert_false(parse_header(bad[i].dict, 1, &why));
    assert_non_null(strstr(why, bad[i].why));
  }
}

// --- archives ---

struct folder {
  char dir[32];
  char *path;
};

static int set_up(void **state) {
  struct folder *f = bf_alloc(1, sizeof *f);
  strcpy(f->dir, "bf_test_XXXXXX");
  if (!mkdtemp(f->dir)) return -1;
  f->path = bf_format("%s/a.npz", f->dir);
  *state = f;
  return 0;
}

static int tear_down(void **state) {
  struct folder *f = *state;
  unlink(f->path);
  int result = rmdir(f->dir);
  free(f->path);
  free(f);
  return result;
}

static void test_archive(void **state) {
  struct folder *f = *state;
  struct bf_archive a = {0}, b;
  struct bf_diags diags = {0};
  const uint64_t shape[] = {3, 4};
  bf_archive_add(&a, "w", make(BF_DTYPE_I8, 2, shape));
  bf_archive_add(&a, "dense/bias", make(BF_DTYPE_I32, 1, shape));
  assert_true(bf_npz_write(f->path, &a, &diags));
  assert_true(bf_npz_read(f->path, &b, &diags));
  assert_int_equal(b.count, 2);
  assert_string_equal(b.items[1].name, "dense/bias");
  assert_memory_equal(bf_archive_find(&b, "w")->data, a.items[0].array.data, 12);
  assert_null(bf_archive_find(&b, "x"));
  // Same items, same bytes, in another time zone too.
  char *first, *second;
  size_t n1, n2;
  const char *why;
  assert_true(bf_read_file(f->path, &first, &n1, &why));
  setenv("TZ", "Pacific/Kiritimati", 1);
  assert_true(bf_npz_write(f->path, &b, &diags));
  unsetenv("TZ");
  assert_true(bf_read_file(f->path, &second, &n2, &why));
  assert_int_equal(n1, n2);
  assert_memory_equal(first, second, n1);
  bf_archive_free(&b);
  // Every truncation is refused with one diagnostic.
  for (size_t cut = 0; cut < n1; cut += 7) {
    assert_true(bf_write_file(f->path, first, cut, &why));
    assert_false(bf_npz_read(f->path, &b, &diags));
    assert_int_equal(diags.errors, 1);
    bf_diags_free(&diags);
  }
  // Flipped bits give an error or, where they meet nothing that is checked, the same values.
  for (size_t at = 0; at < n1; at += 3) {
    first[at] ^= 0x10;
    assert_true(bf_write_file(f->path, first, n1, &why));
    if (bf_npz_read(f->path, &b, &diags)) bf_archive_free(&b);
    bf_diags_free(&diags);
    first[at] ^= 0x10;
  }
  free(first);
  free(second);
  bf_archive_free(&a);
}

static void test_empty_archive(void **state) {
  struct folder *f = *state;
  struct bf_archive a = {0}, b;
  struct bf_diags diags = {0};
  assert_true(bf_npz_write(f->path, &a, &diags));
  assert_true(bf_npz_read(f->path, &b, &diags));
  assert_int_equal(b.count, 0);
  assert_false(bf_npz_read("/nonexistent/a.npz", &b, &diags));
  assert_int_equal(diags.errors, 1);
  assert_false(bf_npz_write("/nonexistent/a.npz", &a, &diags));
  bf_diags_free(&diags);
}

static void write_member(const char *path, const char *name, const void *data, size_t length) {
  int error;
  zip_t *zip = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, &error);
  assert_non_null(zip);
  zip_source_t *source = zip_source_buffer(zip, data, length, 0);
  assert_true(zip_file_add(zip, name, source, 0) >= 0);
  assert_int_equal(zip_close(zip), 0);
}

static void test_bomb(void **state) {
  struct folder *f = *state;
  struct bf_archive b;
  struct bf_diags diags = {0};
  size_t size = (size_t)96 << 20;
  char *zeros = calloc(size, 1);
  write_member(f->path, "bomb.npy", zeros, size);
  free(zeros);
  assert_false(bf_npz_read(f->path, &b, &diags));
  assert_int_equal(diags.errors, 1);
  assert_non_null(strstr(diags.items[0].message, "zip bomb"));
  bf_diags_free(&diags);
  // Members that are no arrays are left alone; damaged arrays are named.
  write_member(f->path, "readme.txt", "hello", 5);
  assert_true(bf_npz_read(f->path, &b, &diags));
  assert_int_equal(b.count, 0);
  write_member(f->path, "w.npy", "hello", 5);
  assert_false(bf_npz_read(f->path, &b, &diags));
  assert_non_null(strstr(diags.items[0].message, "member \"w.npy\": not a .npy file"));
  bf_diags_free(&diags);
}

static void test_npy_files(void **state) {
  struct folder *f = *state;
  struct bf_diags diags = {0};
  const uint64_t shape[] = {5};
  struct bf_array a = make(BF_DTYPE_F32, 1, shape), b;
  assert_true(bf_npy_write(f->path, &a, &diags));
  assert_true(bf_npy_read(f->path, &b, &diags));
  assert_memory_equal(a.data, b.data, 20);
  bf_array_free(&b);
  assert_false(bf_npy_read("/nonexistent/x.npy", &b, &diags));
  assert_int_equal(diags.errors, 1);
  bf_array_free(&a);
  bf_diags_free(&diags);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_round_trip),
      cmocka_unit_test(test_values),
      cmocka_unit_test(test_headers),
      cmocka_unit_test_setup_teardown(test_archive, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_empty_archive, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_bomb, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_npy_files, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
