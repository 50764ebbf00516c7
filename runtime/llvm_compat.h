// SPDX-License-Identifier: Apache-2.0
// LLVM's C API, versions 14 to 19: all includes and all differences between them. Pointers are made by LLVMPointerType and cast before use,
// which is right both with typed (14) and opaque pointers.
#ifndef AP_LLVM_COMPAT_H
#define AP_LLVM_COMPAT_H

#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wstrict-prototypes"
#endif
#include <llvm-c/Analysis.h>
#include <llvm-c/Core.h>
#include <llvm-c/Error.h>
#include <llvm-c/LLJIT.h>
#include <llvm-c/Orc.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

#endif
