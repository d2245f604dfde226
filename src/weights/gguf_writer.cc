#include "weights/gguf_writer.h"

#include <bit>
#include <cstring>
#include <vector>

#include "base/check.h"
#include "weights/gguf.h"

namespace sluice::weights {
namespace {

static_assert(std::endian::native == std::endian::little, "numbers are written as they lie");

template <class T>
void put(std::string& to, T value) {
  char bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof(T));
  to.append(bytes, sizeof(T));
}

void put(std::string& to, std::string_view text) {
  put(to, uint64_t{text.size()});
  to += text;
}

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void put(std::string& to, const GgufValue& value) {
  if (value.is_array) {
    put(to, static_cast<uint32_t>(GgufType::kArray));
    put(to, static_cast<uint32_t>(value.type));
    put(to, static_cast<uint64_t>(value.count));
    to += text_of(value.bytes);
  } else if (value.type == GgufType::kString) {
    put(to, static_cast<uint32_t>(value.type));
    put(to, text_of(value.bytes));
  } else {
    put(to, static_cast<uint32_t>(value.type));
    to += text_of(value.bytes);
  }
}

uint32_t number_of(const StoredDType& dtype) {
  constexpr uint32_t kMost = 256;
  for (uint32_t number = 0; number < kMost; ++number) {
    if (find_gguf_dtype(number) == &dtype) return number;
  }
  base::check_failed("a type of GGUF's", "the entry is of a GGUF file", __FILE__, __LINE__);
}

void pad(std::string& bytes) {
  bytes.append(
      (kDefaultGgufAlignment - bytes.size() % kDefaultGgufAlignment) % kDefaultGgufAlignment, '\0');
}

}  // namespace

std::string gguf_description(const Checkpoint& checkpoint,
                             std::span<const std::string_view> tensors) {
  SLUICE_CHECK(checkpoint.gguf() != nullptr, "the checkpoint is a GGUF file");
  std::string keys, described, data;
  uint64_t key_count = 0, tensor_count = 0;
  for (const auto& [key, value] : checkpoint.gguf()->entries()) {
    if (key == "general.alignment" || key.starts_with("split.")) continue;
    put(keys, key);
    put(keys, value);
    ++key_count;
  }
  for (const std::string_view name : tensors) {
    const TensorEntry* entry = checkpoint.find(name);
    if (entry == nullptr) continue;
    put(described, name);
    put(described, static_cast<uint32_t>(entry->dims.size()));
    for (size_t axis = entry->dims.size(); axis-- > 0;)
      put(described, static_cast<uint64_t>(entry->dims[axis]));
    put(described, number_of(*entry->dtype));
    put(described, uint64_t{data.size()});
    data += text_of(checkpoint.files()[static_cast<size_t>(entry->file)].data().subspan(
        static_cast<size_t>(entry->offset), static_cast<size_t>(entry->bytes)));
    pad(data);
    ++tensor_count;
  }
  std::string file = "GGUF";
  put(file, uint32_t{3});
  put(file, tensor_count);
  put(file, key_count);
  file += keys + described;
  pad(file);
  return file + data;
}

}  // namespace sluice::weights
