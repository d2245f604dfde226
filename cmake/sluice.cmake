set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()

find_program(SLUICE_CCACHE ccache)
if(SLUICE_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${SLUICE_CCACHE})
endif()

find_package(Threads REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(GTest REQUIRED)

# Canonical arithmetic: the compiler never fuses a multiply and an add that the source keeps apart.
add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wno-missing-field-initializers -Werror
  -ffp-contract=off -fno-omit-frame-pointer)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_BUILD_TYPE STREQUAL "Release")
  # g++ 12 reports these inside the standard library's inlined code at -O3.
  add_compile_options(-Wno-restrict -Wno-array-bounds -Wno-stringop-overflow -Wno-stringop-overread
    -Wno-maybe-uninitialized)
endif()
if(SLUICE_SANITIZE)
  add_compile_options(-fsanitize=${SLUICE_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${SLUICE_SANITIZE})
endif()

# sluice_platform_file(name): sets `name` to name_linux.cc on Linux, elsewhere to the stub
# name_none.cc.
function(sluice_platform_file name)
  if(CMAKE_SYSTEM_NAME STREQUAL "Linux")
    set(${name} ${name}_linux.cc PARENT_SCOPE)
  else()
    set(${name} ${name}_none.cc PARENT_SCOPE)
  endif()
endfunction()

# sluice_library(folder SOURCES a.cc DEPS base TESTS a_test.cc LINK libs)
# One static library per folder under src/, and one test program for the tests beside its sources.
function(sluice_library folder)
  cmake_parse_arguments(A "" "" "SOURCES;DEPS;LINK;TESTS;TEST_DEPS;TEST_LABELS" ${ARGN})
  if(A_SOURCES)
    add_library(sluice_${folder} STATIC ${A_SOURCES})
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

# sluice_test(name SOURCES ... DEPS folders ... LABELS ...): a GoogleTest program, its cases known to
# ctest as <build>/<case>. SLUICE_SOURCE_DIR and SLUICE_BINARY_DIR tell it where the tree lies.
function(sluice_test name)
  cmake_parse_arguments(A "" "TIMEOUT" "SOURCES;DEPS;LINK;LABELS" ${ARGN})
  if(NOT A_TIMEOUT)
    set(A_TIMEOUT 300)
  endif()
  add_executable(${name}_test ${A_SOURCES})
  list(TRANSFORM A_DEPS PREPEND sluice_)
  target_link_libraries(${name}_test PRIVATE ${A_DEPS} ${A_LINK} GTest::gtest GTest::gmock GTest::gtest_main)
  target_compile_definitions(${name}_test PRIVATE
    SLUICE_SOURCE_DIR="${PROJECT_SOURCE_DIR}" SLUICE_BINARY_DIR="${PROJECT_BINARY_DIR}")
  get_filename_component(build ${PROJECT_BINARY_DIR} NAME)
  include(GoogleTest)
  gtest_discover_tests(${name}_test TEST_PREFIX "${build}/" DISCOVERY_MODE PRE_TEST
    DISCOVERY_TIMEOUT 60 PROPERTIES TIMEOUT ${A_TIMEOUT} LABELS "${name};${A_LABELS}")
endfunction()
