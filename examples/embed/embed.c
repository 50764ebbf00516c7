// SPDX-License-Identifier: Apache-2.0
// Compiles a network, runs it on one image through the public C API and prints the outputs and the cost:
//   embed NETWORK [TARGET]
// The image is a ramp over the input's type; a real program would read one.
#include <bfimna/bfimna.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static int64_t *ramp(const bfimna_tensor *tensor) {
  int64_t *values = calloc(tensor->elements, sizeof *values);
  if (values)
    for (uint64_t i = 0; i < tensor->elements; i++) values[i] = (int64_t)(i % 2);  // fits every type but b1
  return values;
}

static int run(const bfimna_program *program) {
  bfimna_tensor input;
  if (bfimna_input_count(program) != 1 || bfimna_input(program, 0, &input) != BFIMNA_OK) {
    fprintf(stderr, "embed: the network should have one input\n");
    return 1;
  }
  int64_t *image = ramp(&input);
  if (!image) return 1;
  bfimna_result *result;
  char *messages;
  bfimna_run_options how = {.size = sizeof how};  // engine, count and threads stay at their defaults
  bfimna_status status = bfimna_run_with(program, (const int64_t *const[]){image}, &how, &result, &messages);
  free(image);
  if (messages) fputs(messages, stderr);
  bfimna_free(messages);
  if (status != BFIMNA_OK) return 1;

  for (size_t i = 0; i < bfimna_output_count(program); i++) {
    bfimna_tensor output;
    bfimna_output(program, i, &output);
    printf("%s:", output.name);
    for (uint64_t k = 0; k < output.elements; k++) printf(" %" PRId64, bfimna_result_output(result, i)[k]);
    printf("\n");
  }
  printf("%" PRIu64 " cycles, %g J\n", bfimna_result_cycles(result), bfimna_result_energy(result));
  bfimna_result_free(result);
  return 0;
}

int main(int argc, char **argv) {
  if (argc < 2) {
    fprintf(stderr, "usage: embed NETWORK [TARGET]\n");
    return 2;
  }
  bfimna_options options = {.size = sizeof options, .target = argc > 2 ? argv[2] : NULL};
  bfimna_program *program;
  char *messages;
  bfimna_status status = bfimna_compile(argv[1], &options, &program, &messages);
  if (messages) fputs(messages, stderr);
  bfimna_free(messages);
  if (status != BFIMNA_OK) return 1;
  int code = run(program);
  bfimna_program_free(program);
  return code;
}
