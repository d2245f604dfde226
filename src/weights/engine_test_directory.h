// A small engine directory for tests: a norm, a matrix, and three experts of one layer, in files of
// at most three pages.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "weights/engine_writer.h"
#include "weights/test_files.h"

namespace sluice::weights {

constexpr int64_t kTestPageBytes = 8192;
constexpr size_t kTestGroups = 5;

inline EnginePlaces test_places() {
  const std::vector<int64_t> sizes{128, 5000, kTestPageBytes, kTestPageBytes, kTestPageBytes};
  return place_groups(sizes, 5 * kEngineAlignment);
}

inline std::vector<std::byte> test_group(size_t group) {
  std::vector<std::byte> bytes(static_cast<size_t>(test_places().groups[group].bytes));
  for (size_t i = 0; i < bytes.size(); ++i)
    bytes[i] = static_cast<std::byte>((i * 7 + group * 31 + i / 256) & 0xffu);
  return bytes;
}

inline BuildIdentity test_identity() {
  return {.model = "0123456789abcdef",
          .quantization = "q8",
          .program = "sluice 0.0.0",
          .groups = static_cast<int64_t>(kTestGroups),
          .bytes = test_places().bytes};
}

// `crc32c` by group.
inline EngineManifest test_manifest(const std::vector<uint32_t>& crc32c) {
  const EnginePlaces places = test_places();
  EngineManifest manifest;
  manifest.program = "sluice 0.0.0";
  manifest.source_name = "m";
  manifest.source_fingerprint = "0123456789abcdef";
  manifest.quantization = "q8";
  manifest.config = {{"architectures", {"MixtralForCausalLM"}}};
  manifest.files = places.files;
  for (size_t i = 0; i < 2; ++i) {
    const EnginePlace& at = places.groups[i];
    EngineTensor tensor{.name = i == 0 ? "norm" : "head", .dtype = tensor::DType::kF32};
    tensor.layout = i == 0 ? EngineLayout::kPlain : EngineLayout::kRows16;
    tensor.dims = i == 0 ? std::vector<int64_t>{32} : std::vector<int64_t>{10, 125};
    tensor.file = at.file;
    tensor.offset = at.offset;
    tensor.bytes = at.bytes;
    tensor.crc32c = crc32c[i];
    manifest.tensors.push_back(tensor);
  }
  EngineExperts experts{.layer = 0, .hidden = 32, .inter = 16};
  experts.up_offset = 2048;
  experts.down_offset = 4096;
  experts.page_bytes = kTestPageBytes;
  for (size_t i = 2; i < kTestGroups; ++i) {
    experts.runs.push_back({places.groups[i].file, places.groups[i].offset, 1});
    experts.crc32c.push_back(crc32c[i]);
  }
  manifest.experts.push_back(experts);
  return manifest;
}

inline std::vector<BesideText> test_beside() {
  return {{"config.json", "{}"}, {"additional_chat_templates/tool_use.jinja", ""}};
}

inline EngineWriter open_test_writer(const std::filesystem::path& out) {
  return EngineWriter::open(out, test_identity(), test_places(), 0).value();
}

inline Status finish_test_directory(EngineWriter& writer) {
  std::vector<uint32_t> crc32c;
  for (size_t i = 0; i < kTestGroups; ++i) crc32c.push_back(writer.checksum(i));
  return writer.finish(test_manifest(crc32c), test_beside());
}

inline void write_test_directory(const std::filesystem::path& out) {
  EngineWriter writer = open_test_writer(out);
  for (size_t i = 0; i < kTestGroups; ++i) ASSERT_TRUE(writer.write(i, test_group(i)).ok());
  const Status finished = finish_test_directory(writer);
  ASSERT_TRUE(finished.ok()) << finished.error().message;
}

inline std::string file_bytes(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void flip_bit(const std::filesystem::path& path, int64_t at) {
  std::string bytes = file_bytes(path);
  bytes.at(static_cast<size_t>(at)) ^= 1;
  std::ofstream(path, std::ios::binary) << bytes;
}

}  // namespace sluice::weights
