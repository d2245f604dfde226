// Files of testdata/, which tools/goldens/blocks.py writes.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace sluice::tensor {

inline std::vector<std::byte> golden(const std::string& name) {
  std::ifstream file(SLUICE_SOURCE_DIR "/src/tensor/testdata/" + name, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  EXPECT_FALSE(text.empty()) << name;
  std::vector<std::byte> bytes(text.size());
  std::memcpy(bytes.data(), text.data(), text.size());
  return bytes;
}

inline std::vector<float> golden_floats(const std::string& name) {
  const std::vector<std::byte> bytes = golden(name);
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
  return values;
}

}  // namespace sluice::tensor
