// GGUF files for tests, written byte by byte, whole or broken on purpose.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "weights/gguf_metadata.h"

namespace sluice::weights {

template <class T>
std::string little_endian_bytes(T value) {
  std::string bytes(sizeof(T), '\0');
  std::memcpy(bytes.data(), &value, sizeof(T));
  return bytes;
}

inline std::string gguf_string(std::string_view text) {
  return little_endian_bytes(uint64_t{text.size()}).append(text);
}

template <class T>
constexpr GgufType gguf_type_of() {
  if constexpr (std::is_same_v<T, bool>) return GgufType::kBool;
  if constexpr (std::is_same_v<T, float>) return GgufType::kFloat32;
  if constexpr (std::is_same_v<T, double>) return GgufType::kFloat64;
  if constexpr (std::is_same_v<T, uint8_t>) return GgufType::kUint8;
  if constexpr (std::is_same_v<T, int8_t>) return GgufType::kInt8;
  if constexpr (std::is_same_v<T, uint16_t>) return GgufType::kUint16;
  if constexpr (std::is_same_v<T, int16_t>) return GgufType::kInt16;
  if constexpr (std::is_same_v<T, uint32_t>) return GgufType::kUint32;
  if constexpr (std::is_same_v<T, int32_t>) return GgufType::kInt32;
  if constexpr (std::is_same_v<T, uint64_t>) return GgufType::kUint64;
  if constexpr (std::is_same_v<T, int64_t>) return GgufType::kInt64;
  return GgufType::kArray;
}

inline std::string gguf_type_bytes(GgufType type) {
  return little_endian_bytes(static_cast<uint32_t>(type));
}

// A tensor's description: dims as the file has them, innermost first.
inline std::string gguf_tensor(std::string_view name, const std::vector<uint64_t>& dims,
                               uint32_t type, uint64_t offset) {
  std::string bytes = gguf_string(name) + little_endian_bytes(static_cast<uint32_t>(dims.size()));
  for (const uint64_t dim : dims) bytes += little_endian_bytes(dim);
  return bytes + little_endian_bytes(type) + little_endian_bytes(offset);
}

// What a well-formed file holds; write() gives its bytes.
class GgufTestFile {
 public:
  uint32_t version = 3;
  uint64_t alignment = 32;  // as tensors are placed; say "general.alignment" if it is another

  // A key with the type and bytes as they are.
  GgufTestFile& raw(std::string_view key, GgufType type, std::string_view bytes) {
    keys_.append(gguf_string(key)).append(gguf_type_bytes(type)).append(bytes);
    ++key_count_;
    return *this;
  }
  template <class T>
  GgufTestFile& number(std::string_view key, T value) {
    return raw(key, gguf_type_of<T>(), little_endian_bytes(value));
  }
  template <class T>
  GgufTestFile& numbers(std::string_view key, const std::vector<T>& values) {
    std::string bytes = gguf_type_bytes(gguf_type_of<T>());
    bytes += little_endian_bytes(uint64_t{values.size()});
    for (const T value : values) bytes += little_endian_bytes(value);
    return raw(key, GgufType::kArray, bytes);
  }
  GgufTestFile& text(std::string_view key, std::string_view value) {
    return raw(key, GgufType::kString, gguf_string(value));
  }
  GgufTestFile& texts(std::string_view key, const std::vector<std::string>& values) {
    std::string bytes = gguf_type_bytes(GgufType::kString);
    bytes += little_endian_bytes(uint64_t{values.size()});
    for (const std::string& value : values) bytes += gguf_string(value);
    return raw(key, GgufType::kArray, bytes);
  }

  // Row-major dims, outermost first, as sluice has them; `data` as the type stores it.
  GgufTestFile& tensor(std::string_view name, std::vector<int64_t> dims, uint32_t type,
                       std::string data) {
    const std::vector<uint64_t> stored(dims.rbegin(), dims.rend());
    tensors_ += gguf_tensor(name, stored, type, data_.size());
    data_ += data;
    pad(data_);
    ++tensor_count_;
    return *this;
  }

  std::string write() const {
    std::string file = "GGUF" + little_endian_bytes(version) + little_endian_bytes(tensor_count_) +
                       little_endian_bytes(key_count_) + keys_ + tensors_;
    pad(file);
    return file + data_;
  }

 private:
  void pad(std::string& bytes) const {
    while (bytes.size() % alignment != 0) bytes += '\0';
  }

  std::string keys_, tensors_, data_;
  uint64_t key_count_ = 0, tensor_count_ = 0;
};

}  // namespace sluice::weights
