// SPDX-License-Identifier: Apache-2.0
// The trace of aprun in bounded memory: nothing is lost but detail.
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

// Parts of a program, which no library has.
#include "tools/aprun/trace.c"
#include "tools/aprun/trace_print.c"

static struct ap_layer layers[] = {{.name = "a"}, {.name = "quote\" and \xff"}, {.name = "c"}};
static const struct ap_program program = {.network = "net", .layers = layers, .nlayers = 3, .machine = {.name = "m", .clock_hz = 1e9}};

// `waves` tiles on each CAP in each layer, every one 10 cycles with a load in its first 4.
static void feed(struct trace *t, uint32_t executions, uint32_t waves, uint32_t caps) {
  uint64_t cycles = 10 * (uint64_t)waves;
  for (uint32_t e = 0; e < executions; e++) {
    for (uint32_t l = 0; l < 3; l++) {
      for (uint32_t w = 0; w < waves; w++) {
        for (uint32_t c = 0; c < caps; c++) {
          uint64_t begin = l * cycles + 10 * (uint64_t)w;
          trace_add(t, &(struct ap_trace_event){AP_TRACE_TILE, l, w * caps + c, c, begin, 10}, e, 3 * cycles * e);
          trace_add(t, &(struct ap_trace_event){AP_TRACE_LOAD, l, w * caps + c, c, begin, 4}, e, 3 * cycles * e);
        }
      }
      trace_add(t, &(struct ap_trace_event){AP_TRACE_LAYER, l, 0, 0, l * cycles, cycles}, e, 3 * cycles * e);
    }
  }
}

static void check(const struct trace *t, uint64_t cycles) {
  uint64_t merged = 0, layer_end = 0;
  for (size_t i = 0; i < t->count; i++) {
    const struct trace_span *s = &t->spans[i];
    merged += s->merged;
    assert_true(s->begin + s->cycles <= cycles);
    if (s->kind == AP_TRACE_LAYER) {
      assert_int_equal(s->begin, layer_end);
      layer_end += s->cycles;
      assert_int_equal(s->merged, 1);
    }
  }
  assert_int_equal(merged, t->events);
  assert_int_equal(layer_end, cycles);
}

static void test_few(void **state) {
  (void)state;
  struct trace t;
  trace_begin(&t, &program, 1000);
  feed(&t, 2, 4, 8);
  assert_int_equal(t.count, 2 * 3 * (2 * 4 * 8 + 1));
  assert_null(trace_note(&t));
  check(&t, 2 * 3 * 40);
  trace_free(&t);
}

static void test_many(void **state) {
  (void)state;
  static const uint32_t shapes[][3] = {{1, 3000, 4}, {2, 100, 64}, {1, 7, 3000}, {20, 3, 5}, {1, 1, 20000}};
  for (size_t i = 0; i < BF_COUNT(shapes); i++) {
    struct trace t;
    trace_begin(&t, &program, 500);
    feed(&t, shapes[i][0], shapes[i][1], shapes[i][2]);
    assert_true(t.count <= 500 && !t.ended);
    check(&t, 30 * (uint64_t)shapes[i][0] * shapes[i][1]);
    char *note = trace_note(&t);
    assert_non_null(note);
    free(note);
    trace_free(&t);
  }
}

static void test_no_room(void **state) {
  (void)state;
  struct trace t;
  trace_begin(&t, &program, 500);
  feed(&t, 1000, 2, 2);
  assert_true(t.ended && t.count <= 500);
  uint32_t last = t.spans[t.count - 1].execution;
  for (size_t i = 0, n = 0; i < t.count; i++) {  // whole executions alone
    n += t.spans[i].kind == AP_TRACE_LAYER;
    assert_true(i + 1 < t.count || n == 3 * ((size_t)last + 1));
  }
  trace_free(&t);
}

static void test_json(void **state) {
  (void)state;
  struct trace t;
  struct bf_buf out = {0};
  trace_begin(&t, &program, 500);
  feed(&t, 3, 50, 6);
  trace_print(&t, &out);
  json_t *root = json_loads(bf_buf_cstr(&out), JSON_REJECT_DUPLICATES, NULL);
  assert_non_null(root);
  json_t *event, *events = json_object_get(root, "traceEvents");
  size_t i, spans = 0;
  json_int_t cycles = 0;
  double microseconds = 0;
  json_array_foreach(events, i, event) {
    bool span = !strcmp(json_string_value(json_object_get(event, "ph")), "X");
    spans += span;
    if (span && !strcmp(json_string_value(json_object_get(event, "cat")), "layer")) {
      cycles += json_integer_value(json_object_get(json_object_get(event, "args"), "cycles"));
      microseconds += json_number_value(json_object_get(event, "dur"));
    }
  }
  assert_int_equal(spans, t.count);
  assert_int_equal(cycles, 3 * 3 * 500);
  assert_true(microseconds > 4.4999 && microseconds < 4.5001);
  assert_string_not_equal(json_string_value(json_object_get(json_object_get(root, "otherData"), "note")), "");
  json_decref(root);
  bf_buf_free(&out);
  trace_free(&t);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_few), cmocka_unit_test(test_many), cmocka_unit_test(test_no_room),
                                     cmocka_unit_test(test_json)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
