// SPDX-License-Identifier: Apache-2.0
// ONNX models: import, and the way between the model's tensors and the graph's.
#include <math.h>
#include <stdlib.h>

#include "frontend/bfn.h"
#include "tests/conformance/conformance.h"

bool cf_import_onnx(const char *path, struct bf_onnx_options options, struct cf_subject *out) {
  struct cf_bytes file = cf_read(bf_strdup(path));
  struct bf_diags diags = {0};
  struct bf_buf text = {0};
  struct bf_archive weights = {0};
  bf_onnx_interface_free(&out->interface);
  out->interface = (struct bf_onnx_interface){0};
  options.interface = &out->interface;
  if (!file.data)
    bf_error_file(&diags, path, NULL, "cannot read the file");
  else if (bf_onnx_import(file.data, file.length, path, &options, &text, &weights, &diags))
    out->graph = bf_bfn_compile(bf_diags_add_source(&diags, "imported.bfn", bf_buf_cstr(&text), text.length), &weights, NULL, &diags);
  if (!out->graph) cf_refuse_diags(out, &diags);
  bf_buf_free(&text);
  bf_archive_free(&weights);
  bf_diags_free(&diags);
  free(file.data);
  return out->graph != NULL;
}

const struct bf_tensor *cf_port_tensor(const struct cf_subject *subject, bool input, size_t n) {
  const struct bf_onnx_interface *i = &subject->interface;
  if (n >= (input ? i->ninputs : i->noutputs)) return NULL;
  const struct bf_onnx_port *port = &(input ? i->inputs : i->outputs)[n];
  const struct bf_tensor *tensor = bf_graph_find_tensor(subject->graph, port->text);
  uint64_t elements = 1;
  for (unsigned k = 0; k < port->nparts; k++) elements *= port->parts[k];
  return tensor && tensor->elements == elements ? tensor : NULL;
}

// For each element in the graph's order the index of the model's.
static uint64_t model_index(const struct bf_onnx_port *port, uint64_t element) {
  uint64_t digit[BF_ONNX_MAX_RANK] = {0}, index = 0;
  for (unsigned k = port->nparts; k-- > 0;) {
    uint64_t size = port->parts[port->order[k]];
    digit[port->order[k]] = element % size;
    element /= size;
  }
  for (unsigned k = 0; k < port->nparts; k++) index = index * port->parts[k] + digit[k];
  return index;
}

void cf_port_values(const struct bf_onnx_port *port, const struct bf_tensor *tensor, enum cf_values what,
                    const double *values, int64_t *out) {
  int32_t zero = bf_quant_zero(&tensor->quant, 0);
  for (uint64_t i = 0; i < tensor->elements; i++) {
    double v = values[model_index(port, i)];
    if (what == CF_ELEMENTS) {
      out[i] = (int64_t)v;
    } else if (what == CF_INPUT) {
      // As QuantizeLinear does: a division in float32, halves to the even neighbour.
      double q = nearbyintf((float)(v - port->offset) / (float)port->scale) + zero;
      double lo = (double)bf_type_min(tensor->type), hi = (double)bf_type_max(tensor->type);
      out[i] = (int64_t)(q < lo ? lo : q > hi ? hi : q);
    } else {
      double q = (v - port->offset) / port->scale;
      bool between = !(fabs(q) < 1e15) || fabs(q - round(q)) > 0.01;
      out[i] = between ? INT64_MIN : (int64_t)round(q) + zero;
    }
  }
}
