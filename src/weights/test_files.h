// Small safetensors files for tests, written byte by byte: the writer is not trusted to test the
// reader.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/test_path.h"

namespace sluice::weights {

// The bytes of a file with that header and that many data bytes, 0, 1, 2, ...
inline std::string safetensors_bytes(const std::string& header, int64_t data_bytes) {
  std::string file;
  for (size_t i = 0; i < 8; ++i) file += static_cast<char>((header.size() >> (8 * i)) & 0xffu);
  file += header;
  for (int64_t i = 0; i < data_bytes; ++i) file += static_cast<char>(i & 0xff);
  return file;
}

// Padded with spaces, so that the data begins at a multiple of eight.
inline std::string padded(std::string header) {
  while (header.size() % 8 != 0) header += ' ';
  return header;
}

// A directory of its own for each test, removed at the end.
class WeightsDirectory : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    directory_ = base::test_path(std::string(test->test_suite_name()) + "_" + test->name());
    std::filesystem::create_directories(directory_);
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::filesystem::path write(const std::string& name, const std::string& bytes) const {
    std::ofstream(directory_ / name, std::ios::binary) << bytes;
    return directory_ / name;
  }

  std::filesystem::path directory_;
};

}  // namespace sluice::weights
