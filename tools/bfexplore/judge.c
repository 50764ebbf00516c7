// SPDX-License-Identifier: Apache-2.0
#include "tools/bfexplore/judge.h"

#include <math.h>
#include <stdlib.h>

#include "ir/reference.h"
#include "quantize/float_net.h"
#include "runtime/session.h"

#define GROUP 20  // images of one unit of work

// Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference" (1927).
void bfx_wilson(uint64_t part, uint64_t all, double *low, double *high) {
  const double z = 1.959963984540054, n = (double)all;
  if (!all) {
    *low = 0, *high = 1;
    return;
  }
  double p = (double)part / n, centre = p + z * z / (2 * n), spread = z * sqrt(p * (1 - p) / n + z * z / (4 * n * n));
  *low = (centre - spread) / (1 + z * z / n);
  *high = (centre + spread) / (1 + z * z / n);
}

void bfx_judge_outputs(const float *outputs, const uint8_t *labels, uint64_t count, const float *reference, uint64_t classes,
                       struct bfx_judgement *out) {
  *out = (struct bfx_judgement){.images = count};
  for (uint64_t i = 0; i < count; i++) {
    const float *v = outputs + i * classes;
    uint64_t best = 0;
    for (uint64_t k = 0; k < classes; k++) {
      if (v[k] > v[best]) best = k;
      double e = (double)v[k] - (double)reference[i * classes + k];
      out->mse += e * e;
    }
    out->correct += best == labels[i];
  }
  out->mse /= (double)(count * classes);
  out->accuracy = (double)out->correct / (double)count;
  bfx_wilson(out->correct, count, &out->low, &out->high);
}

struct run {
  const struct bf_graph *graph;
  const struct bf_tensor *in, *result;
  const float *images;
  uint64_t count;
  float *outputs;
};

// As the runtime quantizes at the border: halves away from zero, clamped.
static int64_t quantized(const struct bf_tensor *t, float v) {
  double q = round((double)v / (double)bf_quant_scale(&t->quant, 0)) + bf_quant_zero(&t->quant, 0);
  double lo = (double)bf_type_min(t->type), hi = (double)bf_type_max(t->type);
  return (int64_t)(q < lo ? lo : q > hi ? hi : q);
}

static void run_group(void *context, uint64_t group) {
  const struct run *r = context;
  struct bf_ref_run *run = bf_ref_new(r->graph);
  struct bf_diags diags = {0};
  int64_t *values = bf_alloc(r->in->elements, sizeof *values);
  double scale = (double)bf_quant_scale(&r->result->quant, 0);
  for (uint64_t i = group * GROUP; i < r->count && i < (group + 1) * GROUP; i++) {
    for (uint64_t k = 0; k < r->in->elements; k++) values[k] = quantized(r->in, r->images[i * r->in->elements + k]);
    bf_ref_set_input(run, r->in, values);
    bf_ref_run(run, &diags);  // fails only without inputs
    for (uint64_t k = 0; k < r->result->elements; k++)
      r->outputs[i * r->result->elements + k] =
          (float)(scale * (double)(run->values[r->result->id][k] - bf_quant_zero(&r->result->quant, 0)));
  }
  free(values);
  bf_ref_free(run);
  bf_diags_free(&diags);
}

// The outputs by the runtime.
static bool run_program(const struct ap_program *p, const struct ap_technology *tech, const float *images, uint64_t count, unsigned threads,
                        float *outputs, struct bf_diags *diags) {
  const struct ap_tensor *in = &p->tensors[p->inputs[0]], *result = &p->tensors[p->outputs[0]];
  struct ap_execution how = {.engine = AP_ENGINE_JIT, .count = AP_COUNT_STATIC, .threads = threads};
  struct ap_images input;
  struct bf_array array = {.dtype = BF_DTYPE_F32, .rank = in->rank, .data = (void *)images};
  bool *want = bf_alloc(p->ntensors, sizeof *want);
  for (unsigned i = 0; i < in->rank; i++) array.shape[i] = in->shape[4 - in->rank + i];
  array.shape[0] *= count;
  array.elements = count * ap_tensor_elements(in);
  want[p->outputs[0]] = true;
  struct ap_session session = {.program = p, .tech = tech, .inputs = &input, .want = want, .how = &how};
  struct ap_account expected = {0}, *layers = bf_alloc(p->nlayers + 1, sizeof *layers);
  ap_static_account(p, tech, layers, &expected);
  free(layers);
  bool ok = ap_images_convert(p, p->inputs[0], &array, "images", &input, diags) && ap_session_run(&session, diags);
  if (ok && session.total.time.cycles != count * expected.time.cycles) {
    bf_error_file(diags, NULL, NULL, "%s: other cycles were executed than the static account says", p->network);
    ok = false;
  }
  for (uint64_t i = 0; ok && i < count * ap_tensor_elements(result); i++)
    outputs[i] = (float)((double)result->scale * (double)(session.values[p->outputs[0]].q[i] - result->zero));
  ap_session_free(&session);
  ap_images_free(&input);
  free(want);
  return ok;
}

bool bfx_judge(const struct bf_graph *graph, const struct ap_program *program, const struct ap_technology *tech, const float *images,
               const uint8_t *labels, uint64_t count, const float *reference, uint64_t classes, unsigned threads,
               struct bfx_judgement *out, struct bf_diags *diags) {
  struct run r = {.graph = graph, .images = images, .count = count};
  for (size_t i = 0; i < graph->ntensors; i++) {
    const struct bf_tensor *t = graph->tensors[i];
    if (t->is_input) r.in = t;
    if (t->is_output) r.result = t;
  }
  if (program->ninputs != 1 || program->noutputs != 1 || r.result->elements != classes) {
    bf_error_file(diags, NULL, NULL, "network %s has not one input and one output of %llu classes", graph->name, (unsigned long long)classes);
    return false;
  }
  r.outputs = bf_alloc(count * classes, sizeof *r.outputs);
  bool ok = true;
  if (ap_engine_available(AP_ENGINE_JIT)) ok = run_program(program, tech, images, count, threads, r.outputs, diags);
  else bf_parallel((count + GROUP - 1) / GROUP, threads, run_group, &r);
  if (ok) bfx_judge_outputs(r.outputs, labels, count, reference, classes, out);
  free(r.outputs);
  return ok;
}
