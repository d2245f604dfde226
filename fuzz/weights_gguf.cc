// A GGUF file in memory: whatever parse_gguf lets through must lie inside the file, its values must
// be readable, and its tensors apart.
#include <cstddef>
#include <cstdint>
#include <set>
#include <span>
#include <string_view>

#include "base/check.h"
#include "weights/gguf.h"

namespace {

// Every value as every kind; the sum keeps the reads.
size_t read_value(const sluice::weights::GgufValue& value) {
  size_t sum = value.text().value_or("").size();
  const auto texts = value.texts();
  for (const std::string_view text : texts) sum += text.size();
  SLUICE_CHECK(texts.empty() || static_cast<int64_t>(texts.size()) == value.count,
               "a list has as many texts as it says");
  const bool fixed = sluice::weights::fixed_bytes(value.type) > 0;
  for (int64_t i = 0; fixed && i < value.count; ++i) {
    sum += static_cast<size_t>(value.whole(i).value_or(0));
    sum += value.flag(i).value_or(false) ? 1 : 0;
    sum += value.real(i).value_or(0) > 0 ? 1 : 0;
  }
  return sum;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span bytes(reinterpret_cast<const std::byte*>(data), size);
  const auto file = sluice::weights::parse_gguf(bytes);
  if (!file) {
    SLUICE_CHECK(!file.error().message.empty(), "an error says something");
    SLUICE_CHECK(file.error().message.size() < 4096, "an error fits on a screen");
    return 0;
  }
  [[maybe_unused]] volatile size_t sum = 0;
  std::string_view before;
  for (const auto& [key, value] : file->metadata.entries()) {
    SLUICE_CHECK(before < key, "keys are unique and sorted");
    SLUICE_CHECK(file->metadata.find(key) != nullptr, "a key is found");
    sum = sum + read_value(value);
    before = key;
  }
  int64_t covered = file->data_offset;
  std::set<std::string_view> names;
  for (const auto& tensor : file->tensors) {
    SLUICE_CHECK(names.insert(tensor.name).second, "names are unique");
    SLUICE_CHECK(tensor.offset >= covered, "tensors follow each other");
    SLUICE_CHECK(tensor.bytes > 0, "no tensor is empty");
    SLUICE_CHECK(tensor.offset % sluice::weights::kMinGgufAlignment == 0, "tensors are aligned");
    covered = tensor.offset + tensor.bytes;
    SLUICE_CHECK(covered <= static_cast<int64_t>(size), "tensors lie inside the file");
  }
  return 0;
}
