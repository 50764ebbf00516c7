// SPDX-License-Identifier: Apache-2.0
// Runs a fuzz target without a fuzzing engine: on every file of the given folders (seeds, past findings), then on cheap
// mutations of them, the same in each run.
//   TARGET [--rounds=N] [--seconds=S] [--seed=N] [--save=FILE] FILE|FOLDER...
// --save writes each mutated input to FILE before it runs, so that the one that fails is left there.
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"

#define MAX_BYTES ((size_t)1 << 18)
#define SECONDS_PER_INPUT 60  // then SIGALRM ends the process

struct inputs {
  struct input { char *path, *data; size_t length; } *items;
  size_t count, capacity;
};

static bool add_path(struct inputs *inputs, const char *path);

static int by_path(const void *a, const void *b) {
  return strcmp(((const struct input *)a)->path, ((const struct input *)b)->path);
}

static bool add_folder(struct inputs *inputs, const char *path) {
  DIR *folder = opendir(path);
  bool ok = folder != NULL;
  for (struct dirent *entry; ok && (entry = readdir(folder));) {
    if (entry->d_name[0] == '.') continue;
    char *child = bf_format("%s/%s", path, entry->d_name);
    ok = add_path(inputs, child);
    free(child);
  }
  if (folder) closedir(folder);
  return ok;
}

// A path that is not there is no error: a target may have no findings yet.
static bool add_path(struct inputs *inputs, const char *path) {
  struct stat info;
  const char *why;
  if (stat(path, &info) != 0) return true;
  if (S_ISDIR(info.st_mode)) return add_folder(inputs, path);
  struct input input = {.path = bf_strdup(path)};
  if (!bf_read_file(path, &input.data, &input.length, &why)) {
    fprintf(stderr, "%s: %s\n", path, why);
    free(input.path);
    return false;
  }
  BF_PUSH(inputs->items, inputs->count, inputs->capacity) = input;
  return true;
}

// A copy of exactly the input's size, so that a sanitizer sees reads beyond it.
static void run(const char *data, size_t length) {
  char *copy = malloc(length ? length : 1);
  if (!copy) abort();
  memcpy(copy, data, length);
  alarm(SECONDS_PER_INPUT);
  LLVMFuzzerTestOneInput((const uint8_t *)copy, length);
  alarm(0);
  free(copy);
}

static size_t below(uint64_t *state, size_t limit) {
  return limit ? (size_t)((fuzz_random(state) >> 11) % limit) : 0;
}

// Bytes [at, at + old) of `b` become `size` bytes of `with`, which is not in `b`.
static void replace(struct bf_buf *b, size_t at, size_t old, const char *with, size_t size) {
  if (b->length - old + size > MAX_BYTES) return;
  struct bf_buf out = {0};
  bf_buf_append(&out, b->data, at);
  bf_buf_append(&out, with, size);
  bf_buf_append(&out, b->data + at + old, b->length - at - old);
  bf_buf_free(b);
  *b = out;
}

static void replace_number(struct bf_buf *b, uint64_t *state) {
  static const char *const NUMBERS[] = {"0", "1", "-1", "255", "65536", "2147483647", "2147483648", "4294967295", "1e308",
                                        "9223372036854775807", "18446744073709551616", "1e-308", "0.5", "64", "7"};
  size_t at = below(state, b->length), end;
  while (at < b->length && (b->data[at] < '0' || b->data[at] > '9')) at++;
  for (end = at; end < b->length && b->data[end] >= '0' && b->data[end] <= '9';) end++;
  const char *number = NUMBERS[below(state, BF_COUNT(NUMBERS))];
  if (end > at) replace(b, at, end - at, number, strlen(number));
}

static void mutate(struct bf_buf *b, const struct inputs *inputs, uint64_t *state) {
  static const unsigned char BYTES[] = {0, 1, 0x7f, 0x80, 0xff, 0x20, '\n', '(', ')', '"', ';', '-'};
  size_t at = below(state, b->length), left = b->length - at;
  const struct input *other = &inputs->items[below(state, inputs->count)];
  size_t from = below(state, other->length), size = below(state, (other->length - from < 64 ? other->length - from : 64) + 1);
  if (b->length == 0) {
    bf_buf_append(b, "0", 1);
    return;
  }
  switch (below(state, 10)) {
  case 0:
  case 1: b->data[at] ^= (char)(1 << below(state, 8)); break;
  case 2: b->data[at] = (char)BYTES[below(state, sizeof BYTES)]; break;
  case 3: b->data[at] = (char)(b->data[at] + (int)below(state, 17) - 8); break;
  case 4: b->length = at; break;
  case 5: replace(b, at, below(state, left < 32 ? left : 32), "", 0); break;
  case 6: replace(b, at, below(state, left < 32 ? left : 32), other->data + from, size); break;
  case 7: replace(b, at, 0, other->data + from, size); break;
  case 8: replace_number(b, state); break;
  default:  // a little-endian number of 4 bytes
    if (left >= 4) memcpy(b->data + at, (const uint32_t[]){(uint32_t)(fuzz_random(state) >> (32 + below(state, 32)))}, 4);
  }
}

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most) {
  if (size) data[size / 2] ^= 1;
  return size;
}

#pragma weak LLVMFuzzerCustomMutator
static void mutate_in_format(struct bf_buf *b, uint64_t *state) {
  size_t most = 2 * b->length + 64;
  uint8_t *data = bf_alloc(most, 1);
  if (b->length) memcpy(data, b->data, b->length);
  size_t size = LLVMFuzzerCustomMutator(data, b->length, most, (unsigned)(fuzz_random(state) >> 32));
  b->length = 0;
  bf_buf_append(b, data, size);
  free(data);
}

static void run_mutation(const struct inputs *inputs, uint64_t *state, const char *save) {
  const struct input *input = &inputs->items[below(state, inputs->count)];
  struct bf_buf b = {0};
  bf_buf_append(&b, input->data, input->length < MAX_BYTES ? input->length : MAX_BYTES);
  bool in_format = LLVMFuzzerCustomMutator && below(state, 4);
  for (size_t n = 1 + below(state, 4); n > 0; n--)
    if (in_format) mutate_in_format(&b, state);
    else mutate(&b, inputs, state);
  const char *why;
  if (save && !bf_write_file(save, b.length ? b.data : "", b.length, &why)) fprintf(stderr, "%s: %s\n", save, why);
  run(b.length ? b.data : "", b.length);
  bf_buf_free(&b);
}

int main(int argc, char **argv) {
  struct inputs inputs = {0};
  unsigned long rounds = 20000, done = 0;
  double seconds = 2;
  uint64_t state = 20240229;
  const char *save = NULL;
  for (int i = 1; i < argc; i++) {
    if (!strncmp(argv[i], "--rounds=", 9)) rounds = strtoul(argv[i] + 9, NULL, 10);
    else if (!strncmp(argv[i], "--seconds=", 10)) seconds = strtod(argv[i] + 10, NULL);
    else if (!strncmp(argv[i], "--seed=", 7)) state = strtoul(argv[i] + 7, NULL, 10) * 2 + 1;
    else if (!strncmp(argv[i], "--save=", 7)) save = argv[i] + 7;
    else if (!add_path(&inputs, argv[i])) return 1;
  }
  if (inputs.count == 0) {
    fprintf(stderr, "no inputs\n");
    return 1;
  }
  qsort(inputs.items, inputs.count, sizeof *inputs.items, by_path);
  for (size_t i = 0; i < inputs.count; i++) {
    fprintf(stderr, "%s\n", inputs.items[i].path);  // the last line names the input that fails
    run(inputs.items[i].data, inputs.items[i].length);
  }
  run("", 0);
  clock_t start = clock();
  for (; done < rounds && (double)(clock() - start) < seconds * CLOCKS_PER_SEC; done++) run_mutation(&inputs, &state, save);
  printf("%zu files, %lu mutations\n", inputs.count, done);
  for (size_t i = 0; i < inputs.count; i++) {
    free(inputs.items[i].path);
    free(inputs.items[i].data);
  }
  free(inputs.items);
  return 0;
}
