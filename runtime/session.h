// SPDX-License-Identifier: Apache-2.0
// Running images through a program: conversion at the border, groups of the compiled batch, accounts over all of
// them.
#ifndef AP_SESSION_H
#define AP_SESSION_H

#include "base/bf_npy.h"
#include "runtime/engine.h"

// Values of one tensor for a number of images, in the values of the language, image by image.
struct ap_images {
  int64_t *q;         // images × elements; owned
  uint64_t images;
  uint64_t elements;  // of one image
};
void ap_images_free(struct ap_images *images);

// The images of an input from an array. Integers are taken as they are; floats are quantized by the tensor's scale
// and zero point, halves away from zero, and clamped to its type. The array has the tensor's shape with any
// leading batch dimension, or the shape of one image. False and an error about `file` if shape, dtype or a value is wrong.
bool ap_images_convert(const struct ap_program *program, uint32_t tensor, const struct bf_array *array,
                       const char *file, struct ap_images *out, struct bf_diags *diags);
// Uniformly random values of the tensor's type, the same for equal seeds.
void ap_images_random(const struct ap_program *program, uint32_t tensor, uint64_t seed, uint64_t images,
                      struct ap_images *out);
// As an array of the smallest dtype that holds the tensor's type; the caller frees it.
struct bf_array ap_images_array(const struct ap_program *program, uint32_t tensor, const struct ap_images *images);

struct ap_session {
  const struct ap_program *program;
  const struct ap_technology *tech;
  struct ap_images *inputs;    // of program->inputs[i]; equal numbers of images
  const bool *want;            // by tensor: collect its values
  bool (*progress)(void *context, uint64_t done, uint64_t images);  // may be NULL; false stops
  void *context;
  const struct ap_execution *how;  // of each group of images; NULL: interpreter, exact, one thread
  uint32_t profile;            // of all images, if there is no schedule
  const uint32_t *schedule;    // or profiles in turn: image i has schedule[i % nschedule]; groups do not mix them
  size_t nschedule;

  // Results, owned by the session.
  struct ap_images *values;    // by tensor, empty where not wanted
  struct ap_account *layers, total;
  struct ap_profile_use *uses; // by profile (one if the program has none): what it took
  uint64_t images, executions;
  uint64_t switches;           // executions with another profile than the one before
  uint64_t padded;             // images of the last group that only fill it up
};
uint32_t ap_session_profile(const struct ap_session *session, uint64_t image);  // of an image
// Fills the results. False and errors in diags if memory or inputs do not fit; false without an error if how->stop ended it.
bool ap_session_run(struct ap_session *session, struct bf_diags *diags);
// Frees the results alone.
void ap_session_free(struct ap_session *session);

#endif
