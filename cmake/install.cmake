# SPDX-License-Identifier: Apache-2.0
# The library libbfimna (shared and static, from the objects of all folders and the public C API), and what
# `cmake --install` puts in place: programs, library, header, pkg-config and CMake package files, data.

add_custom_target(programs DEPENDS ${BF_PROGRAMS})

file(GLOB api_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/api/*.c)
add_library(bf_api OBJECT ${api_sources})
target_include_directories(bf_api PUBLIC ${CMAKE_SOURCE_DIR}/include ${CMAKE_SOURCE_DIR} ${BF_DEPS_INCLUDE_DIRS})
target_compile_definitions(bf_api PRIVATE BF_VERSION="${PROJECT_VERSION}")

foreach(kind SHARED STATIC)
  string(TOLOWER _${kind} suffix)
  string(REPLACE _shared "" suffix ${suffix})
  set(library bfimna${suffix})
  add_library(${library} ${kind} ${BF_OBJECTS} $<TARGET_OBJECTS:bf_api>)
  set_target_properties(${library} PROPERTIES OUTPUT_NAME bfimna LINKER_LANGUAGE C)
  target_include_directories(${library} INTERFACE $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/include>
                             $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_link_libraries(${library} PRIVATE ${BF_DEPS_LIBRARIES} m ${CMAKE_THREAD_LIBS_INIT})
  bf_link_llvm(${library} PRIVATE)
endforeach()
set_target_properties(bfimna PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}
                      LINK_DEPENDS ${CMAKE_SOURCE_DIR}/cmake/bfimna.map)
# Only the public names leave the shared library.
target_link_options(bfimna PRIVATE -Wl,--version-script=${CMAKE_SOURCE_DIR}/cmake/bfimna.map)
if(NOT BF_SANITIZE)
  target_link_options(bfimna PRIVATE -Wl,--no-undefined)
endif()

set(BF_DATA_DIR ${CMAKE_INSTALL_DATADIR}/bfimna)
set(BF_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/bfimna)

install(TARGETS ${BF_PROGRAMS} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS bfimna bfimna_static EXPORT bfimnaTargets
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT bfimnaTargets NAMESPACE bfimna:: DESTINATION ${BF_PACKAGE_DIR})
install(FILES include/bfimna/bfimna.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/bfimna)

# The path from lib/pkgconfig back to the prefix: the installed tree may be moved.
file(RELATIVE_PATH BF_PC_UP /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
configure_file(cmake/bfimna.pc.in ${CMAKE_BINARY_DIR}/bfimna.pc @ONLY)
configure_package_config_file(cmake/bfimnaConfig.cmake.in ${CMAKE_BINARY_DIR}/bfimnaConfig.cmake
                              INSTALL_DESTINATION ${BF_PACKAGE_DIR} PATH_VARS BF_DATA_DIR)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/bfimnaConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/bfimna.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
install(FILES ${CMAKE_BINARY_DIR}/bfimnaConfig.cmake ${CMAKE_BINARY_DIR}/bfimnaConfigVersion.cmake
        DESTINATION ${BF_PACKAGE_DIR})

foreach(folder isa/machines isa/technologies examples editors)
  if(EXISTS ${CMAKE_SOURCE_DIR}/${folder})
    get_filename_component(name ${folder} NAME)
    install(DIRECTORY ${folder}/ DESTINATION ${BF_DATA_DIR}/${name})
  endif()
endforeach()
install(FILES LICENSE README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs/ DESTINATION ${CMAKE_INSTALL_DOCDIR} FILES_MATCHING PATTERN "*.md")
