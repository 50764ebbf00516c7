// SPDX-License-Identifier: Apache-2.0
// --profile-schedule: a profile for each image. A line of the file is the name of a profile; lines without one, and what stands
// behind #, say nothing. Image i takes line i, from the first again behind the last.
#include <stdlib.h>
#include <string.h>

#include "tools/aprun/aprun.h"

static bool add_line(struct schedule *schedule, const struct ap_program *program, const struct bf_source *source, size_t begin,
                     size_t end, struct bf_diags *diags) {
  const char *text = source->text, *comment = memchr(text + begin, '#', end - begin);
  uint32_t profile;
  end = comment != NULL ? (size_t)(comment - text) : end;
  while (begin < end && strchr(" \t\r", text[begin]) != NULL) {
    begin++;
  }
  while (end > begin && strchr(" \t\r", text[end - 1]) != NULL) {
    end--;
  }
  if (begin == end) {
    return true;
  }
  char *name = bf_strndup(text + begin, end - begin);
  bool found = ap_profile_find(program, name, &profile);
  if (found) {
    BF_PUSH(schedule->items, schedule->count, schedule->capacity) = profile;
  } else {
    bf_error_at(diags, (struct bf_range){source, begin, end}, NULL, "the binary has no profile '%s'", name);
  }
  free(name);
  return found;
}

bool schedule_read(struct schedule *schedule, const char *path, const struct ap_program *program, struct bf_diags *diags) {
  const struct bf_source *source = bf_diags_read_source(diags, path, NULL);
  if (source == NULL) {
    return false;
  }
  size_t length = source->length;
  bool good = memchr(source->text, 0, length) == NULL;
  if (!good) {
    bf_error_file(diags, path, "a line is the name of a profile", "this is no text");
    return false;
  }
  for (size_t begin = 0; good && begin < length;) {
    const char *stop = memchr(source->text + begin, '\n', length - begin);
    size_t end = stop != NULL ? (size_t)(stop - source->text) : length;
    good = add_line(schedule, program, source, begin, end, diags);
    begin = end + 1;
  }
  if (good && schedule->count == 0) {
    bf_error_file(diags, path, "a line is the name of a profile", "the schedule names no profile");
    good = false;
  }
  return good;
}
