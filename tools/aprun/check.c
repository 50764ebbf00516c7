// SPDX-License-Identifier: Apache-2.0
// --check: every tensor that the run has kept against the reference evaluator.
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontend/load.h"
#include "ir/profile.h"
#include "ir/reference.h"
#include "tools/aprun/aprun.h"

// The network's file: as given, or NET.bfn, NET.tflite or NET.onnx beside NET.apbin. NULL: none. The caller frees it.
static char *network_path(const struct settings *s, struct bf_diags *diags) {
  static const char *const suffixes[] = {".bfn", ".tflite", ".onnx", ".bfir"};
  if (s->network != NULL) {
    return bf_strdup(s->network);
  }
  const char *slash = strrchr(s->binary, '/'), *dot = strrchr(s->binary, '.');
  size_t stem = dot != NULL && dot > (slash != NULL ? slash : s->binary) ? (size_t)(dot - s->binary) : strlen(s->binary);
  for (size_t i = 0; i < BF_COUNT(suffixes); i++) {
    char *path = bf_format("%.*s%s", (int)stem, s->binary, suffixes[i]);
    if (access(path, F_OK) == 0) {
      return path;
    }
    free(path);
  }
  bf_error_file(diags, s->binary, "name the network's file: --check=FILE",
                "--check finds no .bfn, .tflite, .onnx or .bfir file beside the binary");
  return NULL;
}

static const struct bf_tensor *reference_tensor(const struct bf_graph *graph, const struct ap_program *program,
                                                const struct ap_layer *layer) {
  for (size_t i = 0; i < graph->nnodes; i++) {
    if (strcmp(graph->nodes[i]->name, layer->name) == 0) {
      return graph->nodes[i]->output;
    }
  }
  return bf_graph_find_tensor(graph, program->tensors[layer->output].name);
}

static char *index_text(const struct bf_tensor *tensor, uint64_t element) {
  uint64_t index[BF_MAX_RANK];
  for (unsigned k = tensor->rank; k-- > 0;) {
    index[k] = element % tensor->shape[k];
    element /= tensor->shape[k];
  }
  struct bf_buf out = {0};
  for (unsigned k = 0; k < tensor->rank; k++) {
    bf_buf_printf(&out, "%s%llu", k > 0 ? ", " : "", (unsigned long long)index[k]);
  }
  char *text = bf_strdup(bf_buf_cstr(&out));
  bf_buf_free(&out);
  return text;
}

// One check of a run.
struct check {
  const struct settings *settings;
  const struct ap_session *session;
  const struct bf_graph *network;
  char *hint;         // what else may be the reason of a difference; NULL: nothing
  uint64_t compared;  // values
  struct bf_diags *diags;
};

// A binary of one profile alone says nowhere that it is one.
static char *profile_hint(const struct settings *s, const struct ap_program *p, const struct bf_graph *network) {
  if (p->nprofiles > 0 || s->profile != NULL || network == NULL || network->nprofiles == 0) {
    return NULL;
  }
  return bf_format("the network has profiles: if the binary was compiled with --profile=%s%s, give that here, too", network->profiles[0].name,
                   network->nprofiles > 1 ? " or another" : "");
}

// Layer by layer for one image; `p` is the program as its profile has it. False at the first difference.
static bool compare_image(struct check *check, const struct ap_program *p, const struct bf_ref_run *ref, uint64_t image) {
  for (uint32_t i = 0; i < p->nlayers; i++) {
    const struct ap_layer *layer = &p->layers[i];
    const struct ap_images *got = &check->session->values[layer->output];
    const struct bf_tensor *tensor = reference_tensor(ref->graph, p, layer);
    if (tensor == NULL || got->q == NULL || ref->values[tensor->id] == NULL) {
      continue;
    }
    if (tensor->elements != got->elements) {
      bf_error_file(check->diags, check->settings->binary, check->hint, "layer %s has %llu elements, the network's %llu: it is another network",
                    layer->name, (unsigned long long)got->elements, (unsigned long long)tensor->elements);
      return false;
    }
    const int64_t *ap = got->q + image * got->elements, *want = ref->values[tensor->id];
    for (uint64_t e = 0; e < got->elements; e++) {
      if (ap[e] != want[e]) {
        char *index = index_text(tensor, e);
        bf_error_file(check->diags, check->settings->binary, check->hint, "layer %s (%s) differs from the reference in image %llu at index [%s]: AP %lld, reference %lld",
                      layer->name, layer->op, (unsigned long long)image, index, (long long)ap[e], (long long)want[e]);
        free(index);
        return false;
      }
    }
    check->compared += got->elements;
  }
  return true;
}

static bool set_inputs(const struct check *check, struct bf_ref_run *ref, uint64_t image) {
  const struct ap_program *p = check->session->program;
  for (uint32_t i = 0; i < p->ninputs; i++) {
    const char *name = p->tensors[p->inputs[i]].name;
    const struct bf_tensor *tensor = bf_graph_find_tensor(ref->graph, name);
    const struct ap_images *in = &check->session->inputs[i];
    if (tensor == NULL || !tensor->is_input || tensor->elements != in->elements ||
        !bf_ref_set_input(ref, tensor, in->q + image * in->elements)) {
      bf_error_file(check->diags, check->settings->binary, check->hint, "the network has no input like %s: it is another network", name);
      return false;
    }
  }
  return true;
}

static bool every_output_known(const struct check *check, const struct bf_graph *graph, const struct ap_program *p) {
  for (uint32_t i = 0; i < p->noutputs; i++) {
    bool known = false;
    for (uint32_t l = 0; l < p->nlayers; l++) {
      known = known || (p->layers[l].output == p->outputs[i] && reference_tensor(graph, p, &p->layers[l]) != NULL);
    }
    if (!known) {
      bf_error_file(check->diags, check->settings->binary, check->hint, "the network has no output %s: it is another network",
                    p->tensors[p->outputs[i]].name);
      return false;
    }
  }
  return true;
}

// A profile as the reference and the binary have it; made when it is first needed.
struct sides { struct bf_graph *graph; struct ap_program *view; };

// A binary of one profile alone leaves its name to the caller.
static const char *profile_name(const struct settings *s, const struct ap_program *p, uint32_t profile) {
  return p->nprofiles > 0 ? p->profiles[profile].name : s->profile != NULL ? s->profile : BF_PROFILE_BASE;
}

static bool prepare(const struct check *check, struct sides *sides, uint32_t profile) {
  const struct ap_program *p = check->session->program;
  if (sides->graph == NULL) {
    sides->view = sides->view != NULL ? sides->view : ap_profile_view(p, profile);
    sides->graph = bf_graph_apply_profile(check->network, profile_name(check->settings, p, profile), check->diags);
  }
  return sides->graph != NULL && every_output_known(check, sides->graph, sides->view);
}

static bool check_image(struct check *check, const struct sides *sides, uint64_t image) {
  const volatile bool *stop = check->settings->stop;
  struct bf_ref_run *ref = bf_ref_new(sides->graph);
  bool good = (stop == NULL || !*stop) && set_inputs(check, ref, image) && bf_ref_run(ref, check->diags) &&
              compare_image(check, sides->view, ref, image);
  bf_ref_free(ref);
  return good;
}

bool check_reference(const struct settings *s, const struct ap_session *session, char **summary,
                     struct bf_diags *diags) {
  size_t profiles = session->program->nprofiles > 0 ? session->program->nprofiles : 1;
  struct sides *sides = bf_alloc(profiles, sizeof *sides);
  char *path = network_path(s, diags);
  struct bf_load_options load = {.profiles = s->profiles};
  struct bf_graph *network = path != NULL ? bf_load_network(path, &load, diags) : NULL;
  struct check check = {.settings = s, .session = session, .network = network,
                        .hint = profile_hint(s, session->program, network), .diags = diags};
  bool good = network != NULL;
  for (uint64_t image = 0; good && image < session->images; image++) {
    uint32_t profile = ap_session_profile(session, image);
    good = prepare(&check, &sides[profile], profile) && check_image(&check, &sides[profile], image);
  }
  if (good) {
    *summary = bf_format("check: all %llu values of %llu image%s equal the reference evaluator's", (unsigned long long)check.compared,
                         (unsigned long long)session->images, session->images == 1 ? "" : "s");
  }
  for (size_t i = 0; i < profiles; i++) {
    bf_graph_free(sides[i].graph);
    ap_profile_view_free(sides[i].view);
  }
  free(sides);
  free(check.hint);
  bf_graph_free(network);
  free(path);
  return good;
}
