set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
# With -O3 the compiler takes longer, and what is not LOOPS is no faster.
string(REPLACE "-O3" "-O2" CMAKE_CXX_FLAGS_RELEASE "${CMAKE_CXX_FLAGS_RELEASE}")

find_program(SLUICE_CCACHE ccache)
if(SLUICE_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${SLUICE_CCACHE})
endif()

find_package(Threads REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(GTest REQUIRED)
find_package(CLI11 REQUIRED)

# Canonical arithmetic: the compiler never fuses a multiply and an add that the source keeps apart.
add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wno-missing-field-initializers -Werror
  -ffp-contract=off -fno-omit-frame-pointer)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 reports these inside the standard library's inlined code.
  add_compile_options(-Wno-restrict -Wno-array-bounds -Wno-stringop-overflow -Wno-stringop-overread
    -Wno-maybe-uninitialized)
endif()
if(SLUICE_SANITIZE)
  add_compile_options(-fsanitize=${SLUICE_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${SLUICE_SANITIZE})
endif()

# For what needs no speed of its own, tests and the reading of flags: optimizing them is a third of the
# time that g++ takes to compile them, half of what clang takes with sanitizers.
set(SLUICE_LIGHT_OPTIONS $<$<CONFIG:Release>:-O1>)
if(SLUICE_SANITIZE AND CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  set(SLUICE_LIGHT_OPTIONS -O0)
endif()

# The standard library's headers cost a file more than its own lines do, so each tree reads them once:
# what libraries share, what those share that speak JSON (which slows the others' files down), what programs
# share (CLI11 with it) and what tests share (GoogleTest with it).
# A source still includes what it uses; -DSLUICE_PRECOMPILE=OFF shows where one does not.
option(SLUICE_PRECOMPILE "Precompile the headers that most files include" ON)
if(SLUICE_PRECOMPILE)
  set(standard <algorithm> <array> <atomic> <chrono> <cmath> <condition_variable> <cstdint> <cstdio> <cstring> <deque>
    <filesystem> <fstream> <functional> <limits> <map> <memory> <mutex> <numeric> <optional> <random> <set> <span>
    <sstream> <string> <string_view> <thread> <tuple> <unordered_map> <utility> <variant> <vector>)
  set(nothing ${PROJECT_BINARY_DIR}/precompiled.cc)
  file(CONFIGURE OUTPUT ${nothing} CONTENT "int main() { return 0; }\n")
  add_library(sluice_precompiled OBJECT EXCLUDE_FROM_ALL ${nothing})
  target_precompile_headers(sluice_precompiled PRIVATE ${standard})
  add_library(sluice_json_precompiled OBJECT EXCLUDE_FROM_ALL ${nothing})
  target_precompile_headers(sluice_json_precompiled PRIVATE ${standard} <nlohmann/json.hpp>)
  add_executable(sluice_program_precompiled EXCLUDE_FROM_ALL ${nothing})
  target_precompile_headers(sluice_program_precompiled PRIVATE ${standard} <CLI/CLI.hpp>)
  target_link_libraries(sluice_program_precompiled PRIVATE CLI11::CLI11)
  add_executable(sluice_test_precompiled EXCLUDE_FROM_ALL ${nothing})
  target_precompile_headers(sluice_test_precompiled PRIVATE ${standard} <gtest/gtest.h> <gmock/gmock.h>)
  target_link_libraries(sluice_test_precompiled PRIVATE GTest::gtest GTest::gmock)
  target_compile_options(sluice_test_precompiled PRIVATE ${SLUICE_LIGHT_OPTIONS})
  if(SLUICE_FUZZ)
    foreach(headers sluice_precompiled sluice_json_precompiled)
      target_compile_options(${headers} PRIVATE -fsanitize=fuzzer-no-link)
    endforeach()
  endif()
endif()

# sluice_precompile(target from): `target` reads the headers that `from` has precompiled.
function(sluice_precompile target from)
  if(SLUICE_PRECOMPILE)
    target_precompile_headers(${target} REUSE_FROM ${from})
  endif()
endfunction()

# sluice_platform_file(name): sets `name` to name_linux.cc on Linux, elsewhere to the stub
# name_none.cc.
function(sluice_platform_file name)
  if(CMAKE_SYSTEM_NAME STREQUAL "Linux")
    set(${name} ${name}_linux.cc PARENT_SCOPE)
  else()
    set(${name} ${name}_none.cc PARENT_SCOPE)
  endif()
endfunction()

# sluice_library(folder SOURCES a.cc DEPS base TESTS a_test.cc LINK libs ALONE b.cc [SEPARATE] [UNCOVERED] [JSON] [LOOPS])
# One static library per folder under src/, and one test program for the tests beside its sources.
# Fuzz targets see which branches of it they reach unless it is UNCOVERED. Trees with sanitizers, built whole
# and seldom, compile eight files at once, which halves their time; not those that are ALONE, nor any of a
# folder that is SEPARATE, because their private names are the same on purpose. JSON: most of its files read
# or write it. LOOPS: of numbers, which -O3 makes faster.
function(sluice_library folder)
  cmake_parse_arguments(A "SEPARATE;UNCOVERED;JSON;LOOPS" "" "SOURCES;DEPS;LINK;TESTS;TEST_DEPS;TEST_LABELS;ALONE" ${ARGN})
  if(A_SOURCES)
    add_library(sluice_${folder} STATIC ${A_SOURCES})
    if(SLUICE_SANITIZE AND NOT A_SEPARATE)
      set_target_properties(sluice_${folder} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 8)
      set_source_files_properties(${A_ALONE} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
    endif()
    if(A_LOOPS)
      target_compile_options(sluice_${folder} PRIVATE $<$<CONFIG:Release>:-O3>)
    endif()
    if(SLUICE_FUZZ AND NOT A_UNCOVERED)
      target_compile_options(sluice_${folder} PRIVATE -fsanitize=fuzzer-no-link)
      target_link_options(sluice_${folder} PUBLIC -fsanitize=fuzzer-no-link)
    endif()
    if(NOT SLUICE_FUZZ OR NOT A_UNCOVERED)
      if(A_JSON)
        sluice_precompile(sluice_${folder} sluice_json_precompiled)
      else()
        sluice_precompile(sluice_${folder} sluice_precompiled)
      endif()
    endif()
    set(scope PUBLIC)
  else()
    add_library(sluice_${folder} INTERFACE)
    set(scope INTERFACE)
  endif()
  target_include_directories(sluice_${folder} ${scope} ${PROJECT_SOURCE_DIR}/src)
  list(TRANSFORM A_DEPS PREPEND sluice_)
  target_link_libraries(sluice_${folder} ${scope} ${A_DEPS} ${A_LINK} Threads::Threads)
  if(A_TESTS)
    sluice_test(${folder} SOURCES ${A_TESTS} DEPS ${folder} ${A_TEST_DEPS} LABELS ${A_TEST_LABELS})
  endif()
endfunction()

# sluice_test(name SOURCES ... DEPS folders ... LABELS ... [SERIAL]): a GoogleTest program, its cases
# known to ctest as <build>/<case>; SERIAL where they judge times, so that no other test runs beside
# them. SLUICE_SOURCE_DIR and SLUICE_BINARY_DIR tell it where the tree lies.
function(sluice_test name)
  cmake_parse_arguments(A "SERIAL" "TIMEOUT" "SOURCES;DEPS;LINK;LABELS" ${ARGN})
  if(NOT A_TIMEOUT)
    set(A_TIMEOUT 300)
  endif()
  add_executable(${name}_test ${A_SOURCES})
  target_compile_options(${name}_test PRIVATE ${SLUICE_LIGHT_OPTIONS})
  sluice_precompile(${name}_test sluice_test_precompiled)
  list(TRANSFORM A_DEPS PREPEND sluice_)
  target_link_libraries(${name}_test PRIVATE ${A_DEPS} ${A_LINK} GTest::gtest GTest::gmock GTest::gtest_main)
  target_compile_definitions(${name}_test PRIVATE
    SLUICE_SOURCE_DIR="${PROJECT_SOURCE_DIR}" SLUICE_BINARY_DIR="${PROJECT_BINARY_DIR}")
  get_filename_component(build ${PROJECT_BINARY_DIR} NAME)
  include(GoogleTest)
  gtest_discover_tests(${name}_test TEST_PREFIX "${build}/" DISCOVERY_MODE PRE_TEST
    DISCOVERY_TIMEOUT 60 PROPERTIES TIMEOUT ${A_TIMEOUT} RUN_SERIAL ${A_SERIAL} LABELS "${name};${A_LABELS}")
endfunction()
