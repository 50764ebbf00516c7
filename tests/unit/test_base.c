// SPDX-License-Identifier: Apache-2.0
// Base utilities and the renderer of diagnostics.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bf_diag.h"
#include "base/bf_hash.h"

static void test_arena(void **state) {
  struct bf_arena arena = {0};
  unsigned char *last = NULL;
  for (size_t i = 0; i < 3000; i++) {
    size_t size = i % 97 == 0 ? 40000 : i % 61;
    unsigned char *p = bf_arena_alloc(&arena, size, 1);
    assert_int_equal((uintptr_t)p % 16, 0);
    for (size_t k = 0; k < size; k++) assert_int_equal(p[k], 0);
    memset(p, 0xff, size);
    last = p;
  }
  assert_non_null(last);
  assert_string_equal(bf_arena_format(&arena, "%s-%d", "x", 7), "x-7");
  assert_string_equal(bf_arena_strndup(&arena, "abcdef", 3), "abc");
  bf_arena_free(&arena);
  assert_null(arena.head);
}

static void test_push_and_buf(void **state) {
  int *items = NULL;
  size_t count = 0, capacity = 0;
  for (int i = 0; i < 1000; i++) BF_PUSH(items, count, capacity) = i;
  for (int i = 0; i < 1000; i++) assert_int_equal(items[i], i);
  free(items);
  struct bf_buf buf = {0};
  assert_string_equal(bf_buf_cstr(&buf), "");
  bf_buf_u16(&buf, 0x0201);
  bf_buf_u32(&buf, 0x06050403);
  bf_buf_u64(&buf, 0x0e0d0c0b0a090807);
  for (size_t i = 0; i < buf.length; i++) assert_int_equal(buf.data[i], i + 1);
  bf_buf_printf(&buf, "%0200d", 1);
  assert_int_equal(buf.length, 14 + 200);
  bf_buf_free(&buf);
}

static void test_numbers(void **state) {
  char out[40];
  uint64_t product;
  assert_string_equal(bf_float_text(out, 0.1f), "0.1");
  assert_string_equal(bf_double_text(out, 0.1), "0.1");
  uint32_t bits = 1;
  for (int i = 0; i < 20000; i++) {
    float value;
    bits = bits * 1664525u + 1013904223u;
    memcpy(&value, &bits, 4);
    if (value != value) continue;
    assert_true(strtof(bf_float_text(out, value), NULL) == value);
    assert_true(strlen(out) < 40);
  }
  assert_true(bf_mul_limit(1u << 31, 2, UINT64_MAX, &product));
  assert_int_equal(product, (uint64_t)1 << 32);
  assert_false(bf_mul_limit((uint64_t)1 << 32, (uint64_t)1 << 32, UINT64_MAX, &product));
  assert_false(bf_mul_limit(3, 4, 11, &product));
  // The published FNV-1a test vectors.
  assert_true(bf_hash("", 0) == 0xcbf29ce484222325u);
  assert_true(bf_hash("a", 1) == 0xaf63dc4c8601ec8cu);
  assert_true(bf_hash("foobar", 6) == 0x85944171f73967e8u);
}

static void test_nearest(void **state) {
  const char *names[] = {"conv2d", "dense", "add", "softmax", "relu", "relu6"};
  assert_string_equal(bf_nearest("conv2", names, 6), "conv2d");
  assert_string_equal(bf_nearest("sotfmax", names, 6), "softmax");
  assert_string_equal(bf_nearest("relu7", names, 6), "relu");
  assert_string_equal(bf_nearest("ad", names, 6), "add");
  assert_null(bf_nearest("transformer", names, 6));
  assert_null(bf_nearest("", names, 6));
  assert_null(bf_nearest("x", names, 6));
}

static void test_files(void **state) {
  char dir[] = "bf_test_XXXXXX";
  assert_non_null(mkdtemp(dir));
  char *path = bf_format("%s/file", dir), *data;
  size_t length;
  const char *why = NULL;
  assert_false(bf_read_file(path, &data, &length, &why));
  assert_non_null(why);
  assert_true(bf_write_file(path, "a\0b", 3, &why));
  assert_true(bf_write_file(path, "c\0d", 3, &why));
  assert_true(bf_read_file(path, &data, &length, &why));
  assert_int_equal(length, 3);
  assert_memory_equal(data, "c\0d", 4);
  free(data);
  assert_false(bf_read_file(dir, &data, &length, &why));
  // A folder cannot be replaced by a file, nor is anything left beside it.
  assert_false(bf_write_file(dir, "x", 1, &why));
  char *missing = bf_format("%s/no/such", dir);
  assert_false(bf_write_file(missing, "x", 1, &why));
  assert_true(bf_write_file("/dev/null", "x", 1, &why));
  struct stat info;
  assert_int_equal(stat("/dev/null", &info), 0);
  assert_true(S_ISCHR(info.st_mode));
  unlink(path);
  assert_int_equal(rmdir(dir), 0);  // empty: no temporary file stayed
  free(missing);
  free(path);
}

static void check_render(struct bf_diags *diags, const char *wanted) {
  struct bf_buf out = {0};
  bf_diags_render(diags, &out);
  assert_string_equal(bf_buf_cstr(&out), wanted);
  bf_buf_free(&out);
}

static void test_render(void **state) {
  struct bf_diags diags = {.default_file = "model.bin"};
  const char *text = "first\n\tsecond line\x1b\nlast";
  const struct bf_source *source = bf_diags_add_source(&diags, "a.bfn", text, strlen(text));
  bf_error_at(&diags, (struct bf_range){source, 7, 13}, "try this", "bad %s", "word");
  bf_warning_at(&diags, (struct bf_range){source, 23, 23}, NULL, "at the end");
  bf_note_at(&diags, (struct bf_range){NULL, 28, 28}, "binary");
  bf_error_file(&diags, NULL, NULL, "whole file");
  bf_error_file(&diags, "x.npz", "way out", "other file");
  assert_int_equal(diags.errors, 3);
  check_render(&diags,
               "a.bfn:2:2: error: bad word\n"
               "    2 |  second line?\n"
               "      |  ^~~~~~\n"
               "hint: try this\n"
               "a.bfn:3:4: warning: at the end\n"
               "    3 | last\n"
               "      |    ^\n"
               "model.bin: note: binary (at byte 28)\n"
               "model.bin: error: whole file\n"
               "x.npz: error: other file\n"
               "hint: way out\n");
  bf_diags_free(&diags);
  bf_diags_free(&diags);
}

// Ranges beyond the text, over several lines, and very long lines stay within bounds.
static void test_render_bounds(void **state) {
  struct bf_diags diags = {0};
  struct bf_buf text = {0}, out = {0};
  for (int i = 0; i < 5000; i++) bf_buf_puts(&text, "x");
  bf_buf_puts(&text, "\n\n");
  const struct bf_source *source = bf_diags_add_source(&diags, "long", text.data, text.length);
  bf_error_at(&diags, (struct bf_range){source, 2500, 5002}, NULL, "a");
  bf_error_at(&diags, (struct bf_range){source, 99999, 100000}, NULL, "b");
  bf_error_at(&diags, (struct bf_range){source, 5000, 5001}, NULL, "c");
  const struct bf_source *empty = bf_diags_add_source(&diags, "empty", "", 0);
  bf_error_at(&diags, (struct bf_range){empty, 0, 0}, NULL, "d");
  bf_diags_render(&diags, &out);
  assert_true(out.length < 1500);
  assert_non_null(strstr(out.data, "long:1:2501: error: a"));
  assert_non_null(strstr(out.data, "empty:1:1: error: d"));
  bf_buf_free(&out);
  bf_buf_free(&text);
  bf_diags_free(&diags);
}

// The verification value that SMHasher publishes for MurmurHash3_x64_128: hashes of the keys 0, 01, 012, … with seeds 256 - length, hashed.
static void test_hash(void **state) {
  unsigned char key[256], all[256 * 16];
  char text[33];
  struct bf_hasher h;
  for (unsigned n = 0; n < 256; n++) {
    key[n] = (unsigned char)n;
    bf_hasher_begin(&h, 256 - n);
    bf_hasher_add(&h, key, n / 3);  // in pieces
    bf_hasher_add(&h, key + n / 3, n - n / 3);
    struct bf_digest d = bf_hasher_end(&h);
    for (unsigned i = 0; i < 16; i++) all[16 * n + i] = (unsigned char)(d.words[i / 8] >> 8 * (i % 8));
  }
  bf_hasher_begin(&h, 0);
  bf_hasher_add(&h, all, sizeof all);
  struct bf_digest d = bf_hasher_end(&h);
  assert_int_equal((uint32_t)d.words[0], 0x6384BA69);
  assert_int_equal(strlen(bf_digest_text(text, &d)), 32);
}

// However the bytes come in pieces, the hash is the same.
static void test_hash_pieces(void **state) {
  char bytes[100];
  for (unsigned i = 0; i < sizeof bytes; i++) bytes[i] = (char)(i * 7);
  struct bf_hasher h;
  bf_hasher_begin(&h, 1);
  bf_hasher_add(&h, bytes, sizeof bytes);
  struct bf_digest whole = bf_hasher_end(&h);
  for (size_t a = 0; a <= sizeof bytes; a++)
    for (size_t b = a; b <= sizeof bytes; b++) {
      bf_hasher_begin(&h, 1);
      bf_hasher_add(&h, bytes, a);
      bf_hasher_add(&h, bytes + a, b - a);
      bf_hasher_add(&h, bytes + b, sizeof bytes - b);
      struct bf_digest d = bf_hasher_end(&h);
      assert_true(bf_digest_equal(&d, &whole));
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_arena),   cmocka_unit_test(test_push_and_buf),
      cmocka_unit_test(test_numbers), cmocka_unit_test(test_nearest),
      cmocka_unit_test(test_files),   cmocka_unit_test(test_render),
      cmocka_unit_test(test_render_bounds), cmocka_unit_test(test_hash), cmocka_unit_test(test_hash_pieces),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
