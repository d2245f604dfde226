// What the tests of this room read: a file whose every byte follows from its offset, memory that
// direct reads can write to.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/test_path.h"
#include "io/reader.h"

namespace sluice::io {

inline std::byte byte_at(int64_t offset) {
  auto mixed = static_cast<uint64_t>(offset) * 0x9e3779b97f4a7c15u;
  mixed ^= mixed >> 29;
  return static_cast<std::byte>(mixed * 0xbf58476d1ce4e5b9u >> 56);
}

class TestFile {
 public:
  explicit TestFile(int64_t bytes) : bytes_(bytes) {
    static int count = 0;
    path_ = base::test_path("io_" + std::to_string(count++));
    for (int64_t i = 0; i < bytes; ++i) text_.push_back(static_cast<char>(byte_at(i)));
    std::ofstream(path_, std::ios::binary).write(text_.data(), bytes);
  }
  ~TestFile() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  TestFile(const TestFile&) = delete;
  TestFile& operator=(const TestFile&) = delete;

  const std::filesystem::path& path() const { return path_; }
  int64_t bytes() const { return bytes_; }
  // Whether these are its bytes from `offset` on: first_wrong() for many of them.
  bool holds(const std::byte* found, int64_t offset, int64_t bytes) const {
    return std::memcmp(found, text_.data() + offset, static_cast<size_t>(bytes)) == 0;
  }

 private:
  std::filesystem::path path_;
  std::vector<char> text_;
  int64_t bytes_;
};

class TestMemory {
 public:
  explicit TestMemory(int64_t bytes)
      : bytes_((bytes + kDirectAlignment - 1) / kDirectAlignment * kDirectAlignment),
        data_(static_cast<std::byte*>(
            std::aligned_alloc(kDirectAlignment, static_cast<size_t>(bytes_)))) {
    std::fill_n(data_, bytes_, std::byte{0});
  }
  ~TestMemory() { std::free(data_); }
  TestMemory(const TestMemory&) = delete;
  TestMemory& operator=(const TestMemory&) = delete;

  std::byte* data() const { return data_; }
  std::span<std::byte> all() const { return {data_, static_cast<size_t>(bytes_)}; }

 private:
  int64_t bytes_;
  std::byte* data_;
};

// The first byte that is not the file's, counted from `into`; -1 if all are.
inline int64_t first_wrong(const std::byte* into, int64_t offset, int64_t bytes) {
  for (int64_t i = 0; i < bytes; ++i)
    if (into[i] != byte_at(offset + i)) return i;
  return -1;
}

// A test of one backend; skipped where that does not work.
class ReaderTest : public ::testing::TestWithParam<Backend> {
 protected:
  void SetUp() override {
    auto reader = Reader::create({.backend = GetParam()});
    if (!reader.ok()) GTEST_SKIP() << reader.error().message;
  }

  std::unique_ptr<Reader> make(ReaderOptions options = {}) const {
    options.backend = GetParam();
    auto reader = Reader::create(options);
    EXPECT_TRUE(reader.ok()) << reader.error().message;
    return std::move(*reader);
  }

  // Waits for so many requests, a minute at most.
  static std::vector<Completion> finish(Reader& reader, size_t count) {
    std::vector<Completion> all, some(7);
    while (all.size() < count) {
      const size_t got = reader.wait(some, 60'000);
      if (got == 0) break;
      all.insert(all.end(), some.begin(), some.begin() + static_cast<int64_t>(got));
    }
    EXPECT_EQ(all.size(), count);
    return all;
  }
};

inline std::string backend_name(const ::testing::TestParamInfo<Backend>& info) {
  return info.param == Backend::kUring ? "Uring" : "Threads";
}

}  // namespace sluice::io
