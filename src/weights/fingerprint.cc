#include "weights/fingerprint.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <span>
#include <string_view>
#include <system_error>

#include "weights/mapped_file.h"

namespace sluice::weights {
namespace {

constexpr std::array kDescriptions{"config.json", "generation_config.json", "tokenizer.json",
                                   "tokenizer_config.json", "chat_template.jinja"};

// FNV-1a, 64 bits: http://www.isthe.com/chongo/tech/comp/fnv/
class Hash {
 public:
  void add(std::span<const std::byte> bytes) {
    for (const std::byte byte : bytes) {
      state_ = (state_ ^ static_cast<uint64_t>(byte)) * 0x100000001b3u;
    }
  }
  void add(int64_t number) { add(std::as_bytes(std::span(&number, 1))); }
  // With its length, so that "ab", "c" and "a", "bc" differ.
  void add(std::string_view text) {
    add(static_cast<int64_t>(text.size()));
    add(std::as_bytes(std::span(text)));
  }
  uint64_t value() const { return state_; }

 private:
  uint64_t state_ = 0xcbf29ce484222325u;
};

void add_samples(const MappedFile& file, Hash& hash) {
  const int64_t size = std::min(kFingerprintSampleBytes, file.bytes());
  const int64_t last = file.bytes() - size;
  // Else the system reads far ahead of each sample what nobody wants yet.
  file.expect_random();
  for (int64_t i = 0; i < kFingerprintSamples; ++i) {
    // Divided first: a file of 2^63 bytes must not overflow.
    const int64_t offset = last / (kFingerprintSamples - 1) * i +
                           last % (kFingerprintSamples - 1) * i / (kFingerprintSamples - 1);
    hash.add(file.data().subspan(static_cast<size_t>(offset), static_cast<size_t>(size)));
  }
  file.expect_usual();
}

Status add_description(const std::filesystem::path& path, const char* name, Hash& hash) {
  std::error_code failure;
  if (!std::filesystem::exists(path, failure)) {
    hash.add(int64_t{-1});
    return {};
  }
  SLUICE_ASSIGN(const MappedFile file, MappedFile::open(path));
  hash.add(std::string_view(name));
  hash.add(file.bytes());
  hash.add(
      file.data().first(static_cast<size_t>(std::min(kMaxFingerprintTextBytes, file.bytes()))));
  return {};
}

void add_metadata(const GgufMetadata& metadata, Hash& hash) {
  for (const auto& [key, value] : metadata.entries()) {
    hash.add(key);
    hash.add(static_cast<int64_t>(value.type));
    hash.add(value.is_array ? value.count : int64_t{-1});
    hash.add(static_cast<int64_t>(value.bytes.size()));
    hash.add(value.bytes.first(
        std::min(value.bytes.size(), static_cast<size_t>(kMaxFingerprintTextBytes))));
  }
}

}  // namespace

Result<std::string> fingerprint(const Checkpoint& checkpoint) {
  Hash hash;
  for (const MappedFile& file : checkpoint.files()) {
    hash.add(std::string_view(file.path().filename().native()));
    hash.add(file.bytes());
    add_samples(file, hash);
  }
  for (const TensorEntry& entry : checkpoint.entries()) {
    hash.add(std::string_view(entry.name));
    hash.add(std::string_view(entry.dtype->name));
    hash.add(static_cast<int64_t>(entry.dims.size()));
    for (const int64_t dim : entry.dims) hash.add(dim);
    hash.add(int64_t{entry.file});
    hash.add(entry.offset);
  }
  if (checkpoint.gguf() != nullptr) {
    add_metadata(*checkpoint.gguf(), hash);
  } else {
    for (const char* name : kDescriptions)
      SLUICE_TRY(add_description(checkpoint.root() / name, name, hash));
  }
  std::array<char, 17> text{};
  std::snprintf(text.data(), text.size(), "%016llx", static_cast<unsigned long long>(hash.value()));
  return std::string(text.data());
}

}  // namespace sluice::weights
