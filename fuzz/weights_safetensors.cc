// A file of safetensors in memory: whatever parse_safetensors lets through must lie inside the file
// and cover its data exactly.
#include <cstddef>
#include <cstdint>
#include <set>
#include <span>
#include <string_view>

#include "base/check.h"
#include "weights/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span bytes(reinterpret_cast<const std::byte*>(data), size);
  const auto header = sluice::weights::parse_safetensors(bytes, static_cast<int64_t>(size));
  if (!header) {
    SLUICE_CHECK(!header.error().message.empty(), "an error says something");
    SLUICE_CHECK(header.error().message.size() < 4096, "an error fits on a screen");
    return 0;
  }
  int64_t covered = header->data_offset;
  std::set<std::string_view> names;
  for (const auto& tensor : header->tensors) {
    SLUICE_CHECK(names.insert(tensor.name).second, "names are unique");
    SLUICE_CHECK(tensor.offset == covered, "tensors follow each other");
    SLUICE_CHECK(tensor.bytes >= 0, "sizes are not negative");
    SLUICE_CHECK(tensor.offset % tensor.dtype->alignment() == 0, "tensors are aligned");
    covered += tensor.bytes;
  }
  SLUICE_CHECK(covered == static_cast<int64_t>(size), "tensors cover the file");
  return 0;
}
