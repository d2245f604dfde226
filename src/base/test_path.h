// For tests: a path that no other process uses. ctest runs tests side by side, each in a process of
// its own, and those of several builds.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

namespace sluice::base {

// In the folder for temporary files; who writes there removes it.
inline std::string test_path(const std::string& name) {
  return ::testing::TempDir() + "sluice_" + std::to_string(::getpid()) + "_" + name;
}

}  // namespace sluice::base
