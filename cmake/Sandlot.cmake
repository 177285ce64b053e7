# Compiler flags and the two functions that every folder uses.
#
#   sandlot_library(NAME SOURCES ... PUBLIC ... PRIVATE ...)   one static library per folder
#   sandlot_test(NAME SOURCES ... LINK ... LABELS ...)         one GoogleTest binary, registered with CTest
#
# PUBLIC is what a folder's headers expose. The direction of dependencies (docs/architecture.md) is the list of
# targets a folder may link; tests/lint checks the includes as well.

add_library(sandlot_flags INTERFACE)
target_compile_options(sandlot_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor
  -Woverloaded-virtual -Wimplicit-fallthrough -Werror -fpch-preprocess -fno-omit-frame-pointer)
# g++ 12 at -O2 sees overflows in its own std::string and mismatched deletes in Asio's coroutine frames that are not
# there (GCC bugs 105329, 105651, 109224). The checks stay on for everything the compiler judges without inlining.
target_compile_options(sandlot_flags INTERFACE
  $<$<CONFIG:Release>:-Wno-array-bounds -Wno-stringop-overflow -Wno-stringop-overread -Wno-restrict
  -Wno-mismatched-new-delete -Wno-maybe-uninitialized>)
target_compile_definitions(sandlot_flags INTERFACE
  BOOST_ASIO_SEPARATE_COMPILATION BOOST_BEAST_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED
  BOOST_ASIO_DISABLE_BOOST_COROUTINE SANDLOT_VERSION="${PROJECT_VERSION}")
target_include_directories(sandlot_flags INTERFACE ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR})
target_link_libraries(sandlot_flags INTERFACE Boost::headers tl::expected Threads::Threads)
if(SANDLOT_SANITIZE)
  target_compile_options(sandlot_flags INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=undefined)
  target_link_options(sandlot_flags INTERFACE -fsanitize=address,undefined)
else()
  target_link_options(sandlot_flags INTERFACE -static-libstdc++ -static-libgcc)
endif()
find_program(SANDLOT_MOLD mold)
if(SANDLOT_MOLD)
  target_link_options(sandlot_flags INTERFACE -fuse-ld=mold)
endif()

# ccache: a precompiled header needs these two settings to be cacheable.
find_program(SANDLOT_CCACHE ccache)
if(SANDLOT_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER
    ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
    ${SANDLOT_CCACHE})
endif()

# One small precompiled header for the whole tree: std, awaitable, expected. Never our own headers.
file(WRITE ${CMAKE_BINARY_DIR}/pch/pch.cc "// Carries the precompiled header.\n")
add_library(sandlot_pch STATIC ${CMAKE_BINARY_DIR}/pch/pch.cc)
target_link_libraries(sandlot_pch PRIVATE sandlot_flags)
target_precompile_headers(sandlot_pch PRIVATE
  <algorithm> <array> <chrono> <cstdint> <functional> <map> <memory> <optional> <span> <string>
  <string_view> <unordered_map> <utility> <vector>
  <boost/asio/awaitable.hpp> <boost/asio/use_awaitable.hpp> <tl/expected.hpp>)

function(sandlot_library name)
  cmake_parse_arguments(A "" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  add_library(${name} STATIC ${A_SOURCES})
  target_link_libraries(${name} PUBLIC sandlot_flags ${A_PUBLIC} PRIVATE ${A_PRIVATE})
  target_precompile_headers(${name} REUSE_FROM sandlot_pch)
endfunction()

# LABELS: unit (no privileges) or root (makes namespaces, cgroups, mounts of its own).
function(sandlot_test name)
  cmake_parse_arguments(A "" "" "SOURCES;LINK;LABELS" ${ARGN})
  add_executable(${name} ${A_SOURCES})
  target_link_libraries(${name} PRIVATE sandlot_flags ${A_LINK} sandlot_asio GTest::gtest GTest::gmock GTest::gtest_main)
  target_precompile_headers(${name} REUSE_FROM sandlot_pch)
  if(NOT A_LABELS)
    set(A_LABELS unit)
  endif()
  gtest_discover_tests(${name} DISCOVERY_TIMEOUT 60 PROPERTIES LABELS "${A_LABELS}" TIMEOUT 120)
endfunction()

# A folder that may not be built yet.
function(sandlot_folders)
  foreach(folder ${ARGN})
    if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${folder}/CMakeLists.txt)
      add_subdirectory(${folder})
    endif()
  endforeach()
endfunction()
