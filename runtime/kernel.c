// SPDX-License-Identifier: Apache-2.0
// Kernels by LLVM. Each module is made and compiled to an object by one thread, in a context and by a target machine of its own; LLJIT
// only links the objects.
#include "runtime/kernel.h"

#ifdef BF_HAVE_LLVM
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runtime/kernel_emit.h"

#define MODULE_KERNELS 16  // few, as compilation stops between modules
#define NAME_BYTES 24

struct entry {
  struct ap_kernel_key key;
  uint64_t hash;
  bool compiled;  // it has code
  ap_kernel *run;
};
struct ap_kernels {
  LLVMOrcLLJITRef jit;
  LLVMTargetRef target;  // owned by LLVM
  char *triple, *cpu, *features;
  unsigned threads;
  struct ap_kernel_host host;
  struct entry *entries; size_t count, capacity;
  double compile_s;
  const volatile bool *stop;  // may be NULL
};

bool ap_kernels_available(void) { return true; }

static void init_llvm(void) {
  LLVMInitializeNativeTarget();
  LLVMInitializeNativeAsmPrinter();
}

// Takes the error.
static bool no_error(LLVMErrorRef error, struct bf_diags *diags) {
  if (error == NULL) {
    return true;
  }
  char *message = LLVMGetErrorMessage(error);
  bf_error_file(diags, NULL, NULL, "compiling kernels: %s", message);
  LLVMDisposeErrorMessage(message);
  return false;
}
static void ignore_error(void *context, LLVMErrorRef error) {  // what fails is reported where it was asked for
  (void)context;
  LLVMConsumeError(error);
}

static LLVMTargetMachineRef make_machine(const struct ap_kernels *k, LLVMCodeGenOptLevel level) {
  return LLVMCreateTargetMachine(k->target, k->triple, k->cpu, k->features, level, LLVMRelocPIC, LLVMCodeModelJITDefault);
}
// The logic is minimal and in a good order: more costs time and gains nothing. Where each value takes one instruction, counting
// kernels are even faster as they stand.
static LLVMCodeGenOptLevel level_for(const struct ap_kernels *k, bool counted) {
  return counted && k->host.ternary && k->host.vector_count ? LLVMCodeGenLevelNone : LLVMCodeGenLevelLess;
}

static bool has_feature(const struct ap_kernels *k, const char *feature) {
  size_t length = strlen(feature);
  for (const char *at = k->features; (at = strstr(at, feature)) != NULL; at += length) {
    if ((at == k->features || at[-1] == ',') && (at[length] == '\0' || at[length] == ',')) {
      return true;
    }
  }
  return false;
}

static unsigned vector_bits(const struct ap_kernels *k) {
  if (has_feature(k, "+avx512f")) {
    return 512;
  }
  bool x86 = strncmp(k->triple, "x86_64", 6) == 0, arm = strncmp(k->triple, "aarch64", 7) == 0;
  return has_feature(k, "+avx2") ? 256 : x86 || arm ? 128 : 64;
}

static bool make_jit(struct ap_kernels *k, struct bf_diags *diags) {
  LLVMTargetMachineRef machine = make_machine(k, LLVMCodeGenLevelLess);
  if (machine == NULL) {
    bf_error_file(diags, NULL, NULL, "the JIT compiler does not know this processor");
    return false;
  }
  LLVMOrcLLJITBuilderRef builder = LLVMOrcCreateLLJITBuilder();
  LLVMOrcLLJITBuilderSetJITTargetMachineBuilder(builder, LLVMOrcJITTargetMachineBuilderCreateFromTargetMachine(machine));
  if (!no_error(LLVMOrcCreateLLJIT(&k->jit, builder), diags)) {  // takes the builder, too, if it fails
    return false;
  }
  LLVMOrcExecutionSessionSetErrorReporter(LLVMOrcLLJITGetExecutionSession(k->jit), ignore_error, NULL);
  return true;
}

static char *llvm_text(char *text) {
  char *copy = bf_strdup(text);
  LLVMDisposeMessage(text);
  return copy;
}

struct ap_kernels *ap_kernels_new_for(unsigned threads, const char *cpu, const char *features, struct bf_diags *diags) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;  // LLVM's own state, not ours
  pthread_once(&once, init_llvm);
  struct ap_kernels *k = bf_alloc(1, sizeof *k);
  k->threads = threads > 0 ? threads : 1;
  k->triple = llvm_text(LLVMGetDefaultTargetTriple());
  k->cpu = cpu != NULL ? bf_strdup(cpu) : llvm_text(LLVMGetHostCPUName());
  k->features = cpu != NULL ? bf_strdup(features) : llvm_text(LLVMGetHostCPUFeatures());
  k->host.ternary = has_feature(k, "+avx512f");
  k->host.vector_count = has_feature(k, "+avx512vpopcntdq");
  k->host.vector_words = vector_bits(k) / 64;
  ap_formulas(k->host.formulas);
  char *why = NULL;
  if (LLVMGetTargetFromTriple(k->triple, &k->target, &why)) {
    bf_error_file(diags, NULL, NULL, "no JIT compiler for %s: %s", k->triple, why);
    LLVMDisposeMessage(why);
    ap_kernels_free(k);
    return NULL;
  }
  if (!make_jit(k, diags)) {
    ap_kernels_free(k);
    return NULL;
  }
  return k;
}

struct ap_kernels *ap_kernels_new(unsigned threads, struct bf_diags *diags) {
  return ap_kernels_new_for(threads, NULL, NULL, diags);
}

void ap_kernels_free(struct ap_kernels *k) {
  if (k == NULL) {
    return;
  }
  if (k->jit != NULL) {
    LLVMConsumeError(LLVMOrcDisposeLLJIT(k->jit));
  }
  free(k->triple);
  free(k->cpu);
  free(k->features);
  free(k->entries);
  free(k);
}

void ap_kernels_stop_on(struct ap_kernels *k, const volatile bool *stop) { k->stop = stop; }
static bool stopped(const struct ap_kernels *k) { return k->stop != NULL && *k->stop; }

static bool same_bytes(const void *a, const void *b, size_t size) { return size == 0 || memcmp(a, b, size) == 0; }

static uint64_t hash_key(const struct ap_kernel_key *key) {
  const struct ap_micro *m = key->micro;
  const uint64_t parts[3] = {bf_hash(m->steps, m->nsteps * sizeof *m->steps), bf_hash(m->lits, m->nlits * sizeof *m->lits),
                             (uint64_t)m->op << 2 | (uint64_t)key->counted << 1 | key->masked};
  return bf_hash(parts, sizeof parts);
}

// Widths do not matter where the steps are the same.
static bool same_key(const struct ap_kernel_key *a, const struct ap_kernel_key *b) {
  const struct ap_micro *m = a->micro, *n = b->micro;
  return a->counted == b->counted && a->masked == b->masked && m->op == n->op && m->nsteps == n->nsteps && m->nlits == n->nlits &&
         same_bytes(m->steps, n->steps, m->nsteps * sizeof *m->steps) &&
         same_bytes(m->lits, n->lits, m->nlits * sizeof *m->lits);
}

// Index of the entry of the key, which may be new.
static size_t find_entry(struct ap_kernels *k, const struct ap_kernel_key *key) {
  uint64_t hash = hash_key(key);
  for (size_t i = 0; i < k->count; i++) {
    if (k->entries[i].hash == hash && same_key(&k->entries[i].key, key)) {
      return i;
    }
  }
  BF_PUSH(k->entries, k->count, k->capacity) = (struct entry){.key = *key, .hash = hash};
  return k->count - 1;
}

// The modules of one call: entries [first, end), `size` a module.
struct work {
  struct ap_kernels *k;
  size_t first, end, size, nmodules;
  atomic_size_t next;
  LLVMMemoryBufferRef *objects;  // NULL: a module without kernels, or `failed`
  char **failed;                 // messages, one a module
};

static void kernel_name(char name[NAME_BYTES], size_t entry) { snprintf(name, NAME_BYTES, "k%zu", entry); }

static bool emit_module(struct work *work, LLVMModuleRef module, size_t index) {
  struct ap_kernels *k = work->k;
  size_t first = work->first + index * work->size, end = first + work->size < work->end ? first + work->size : work->end;
  bool any = false;
  for (size_t i = first; i < end; i++) {
    struct ap_logic logic;
    if (ap_logic_compose(k->entries[i].key.micro, k->entries[i].key.counted, &logic)) {
      char name[NAME_BYTES];
      kernel_name(name, i);
      ap_kernel_emit(module, &k->host, &k->entries[i].key, &logic, name);
      ap_logic_free(&logic);
      k->entries[i].compiled = any = true;
    }
  }
  return any;
}

// machines: for modules of uncounted kernels, and of counting ones.
static void compile_module(struct work *work, LLVMTargetMachineRef machines[2], size_t index) {
  LLVMTargetMachineRef machine = machines[work->k->entries[work->first + index * work->size].key.counted];
  LLVMContextRef context = LLVMContextCreate();
  LLVMModuleRef module = LLVMModuleCreateWithNameInContext("kernels", context);
  LLVMSetTarget(module, work->k->triple);
  LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(machine);
  LLVMSetModuleDataLayout(module, layout);
  LLVMDisposeTargetData(layout);
  char *why = NULL;
  if (emit_module(work, module, index)) {
    if (LLVMVerifyModule(module, LLVMReturnStatusAction, &why) ||
        (LLVMDisposeMessage(why), why = NULL,
         LLVMTargetMachineEmitToMemoryBuffer(machine, module, LLVMObjectFile, &why, &work->objects[index]))) {
      work->failed[index] = bf_strdup(why != NULL ? why : "unknown");
    }
    LLVMDisposeMessage(why);
  }
  LLVMDisposeModule(module);
  LLVMContextDispose(context);
}

static void *run_worker(void *context) {
  struct work *work = context;
  LLVMTargetMachineRef machines[2];
  for (unsigned counted = 0; counted < 2; counted++) {
    machines[counted] = make_machine(work->k, level_for(work->k, counted));
  }
  for (size_t i; (i = atomic_fetch_add(&work->next, 1)) < work->nmodules && !stopped(work->k);) {
    compile_module(work, machines, i);  // a network's kernels count all or none: the first of a module speaks for it
  }
  LLVMDisposeTargetMachine(machines[0]);
  LLVMDisposeTargetMachine(machines[1]);
  return NULL;
}

static void run_workers(struct work *work) {
  unsigned count = work->k->threads < work->nmodules ? work->k->threads : (unsigned)work->nmodules;
  pthread_t *threads = bf_alloc(count, sizeof *threads);
  unsigned started = 1;  // the caller is one of them
  while (started < count && pthread_create(&threads[started], NULL, run_worker, work) == 0) {
    started++;
  }
  run_worker(work);
  for (unsigned i = 1; i < started; i++) {
    pthread_join(threads[i], NULL);
  }
  free(threads);
}

static bool link_objects(struct work *work, struct bf_diags *diags) {
  struct ap_kernels *k = work->k;
  LLVMOrcJITDylibRef library = LLVMOrcLLJITGetMainJITDylib(k->jit);
  bool good = true;
  for (size_t i = 0; i < work->nmodules; i++) {
    if (work->failed[i] != NULL) {
      bf_error_file(diags, NULL, NULL, "compiling kernels: %s", work->failed[i]);
      good = false;
    }
    if (work->objects[i] != NULL) {  // taken, added or not
      good = no_error(LLVMOrcLLJITAddObjectFile(k->jit, library, work->objects[i]), diags) && good;
    }
  }
  for (size_t i = work->first; i < work->end && good; i++) {
    LLVMOrcExecutorAddress address = 0;
    char name[NAME_BYTES];
    kernel_name(name, i);
    if (k->entries[i].compiled) {
      good = no_error(LLVMOrcLLJITLookup(k->jit, &address, name), diags);
      k->entries[i].run = (ap_kernel *)(uintptr_t)address;
    }
  }
  return good;
}

static bool compile_entries(struct ap_kernels *k, size_t first, struct bf_diags *diags) {
  struct work work = {.k = k, .first = first, .end = k->count};
  size_t count = k->count - first, share = (count + 2 * (size_t)k->threads - 1) / (2 * (size_t)k->threads);
  work.size = share < MODULE_KERNELS ? share : MODULE_KERNELS;
  work.nmodules = (count + work.size - 1) / work.size;
  work.objects = bf_alloc(work.nmodules, sizeof *work.objects);
  work.failed = bf_alloc(work.nmodules, sizeof *work.failed);
  run_workers(&work);
  bool stop = stopped(k), good = !stop && link_objects(&work, diags);
  for (size_t i = 0; i < work.nmodules && stop; i++) {
    if (work.objects[i] != NULL) {
      LLVMDisposeMemoryBuffer(work.objects[i]);
    }
  }
  k->count = good ? k->count : first;
  for (size_t i = 0; i < work.nmodules; i++) {
    free(work.failed[i]);
  }
  free(work.failed);
  free(work.objects);
  return good;
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

bool ap_kernels_compile(struct ap_kernels *k, const struct ap_kernel_key *keys, size_t count, ap_kernel **out, struct bf_diags *diags) {
  double begin = now();
  size_t first = k->count, *at = bf_alloc(count + 1, sizeof *at);
  for (size_t i = 0; i < count; i++) {
    at[i] = find_entry(k, &keys[i]);
  }
  bool good = k->count == first || compile_entries(k, first, diags);
  for (size_t i = 0; i < count; i++) {
    out[i] = good ? k->entries[at[i]].run : NULL;
  }
  free(at);
  k->compile_s += now() - begin;
  return good;
}

void ap_kernels_info(const struct ap_kernels *k, struct ap_kernels_info *out) {
  *out = (struct ap_kernels_info){.host = k->cpu, .vector_bits = 64 * k->host.vector_words, .compile_s = k->compile_s};
  for (size_t i = 0; i < k->count; i++) {
    out->kernels += k->entries[i].run != NULL;
  }
}
#endif
