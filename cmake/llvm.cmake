# SPDX-License-Identifier: Apache-2.0
# LLVM for the JIT engine, by its llvm-config: versions 14 to 19 are known to fit, the newest is preferred. Sets BF_LLVM_FOUND,
# BF_LLVM_INCLUDE_DIR and BF_LLVM_LIBRARY (the path of the shared library). Without it the interpreter does all.
option(BF_LLVM "Build the JIT engine if LLVM is there" ON)
find_program(BF_LLVM_CONFIG NAMES llvm-config-19 llvm-config-18 llvm-config-17 llvm-config-16 llvm-config-15 llvm-config-14
             llvm-config DOC "llvm-config of LLVM 14 to 19")
set(BF_LLVM_FOUND OFF)
if(BF_LLVM AND BF_LLVM_CONFIG)
  macro(bf_llvm_config variable)
    execute_process(COMMAND ${BF_LLVM_CONFIG} ${ARGN} OUTPUT_VARIABLE ${variable} OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  endmacro()
  bf_llvm_config(BF_LLVM_VERSION --version)
  bf_llvm_config(BF_LLVM_INCLUDE_DIR --includedir)
  bf_llvm_config(BF_LLVM_LIBRARY --link-shared --libfiles core orcjit native)
  if(BF_LLVM_VERSION VERSION_GREATER_EQUAL 14 AND BF_LLVM_VERSION VERSION_LESS 20 AND EXISTS "${BF_LLVM_LIBRARY}"
     AND EXISTS "${BF_LLVM_INCLUDE_DIR}/llvm-c/LLJIT.h")
    set(BF_LLVM_FOUND ON)
    get_filename_component(BF_PC_LLVM ${BF_LLVM_LIBRARY} NAME_WE)
    string(REGEX REPLACE "^lib" "-l" BF_PC_LLVM ${BF_PC_LLVM})  # for bfimna.pc
  endif()
endif()
if(BF_LLVM_FOUND)
  message(STATUS "JIT engine: LLVM ${BF_LLVM_VERSION}")
else()
  message(STATUS "JIT engine: none (no LLVM 14 to 19 with its headers found)")
endif()

# Only programs that have kernels load LLVM.
function(bf_link_llvm target visibility)
  if(BF_LLVM_FOUND)
    target_link_libraries(${target} ${visibility} -Wl,--push-state,--as-needed ${BF_LLVM_LIBRARY} -Wl,--pop-state)
  endif()
endfunction()
