// The key-value pairs at the head of a GGUF file, read in place: a vocabulary of 150,000 strings
// costs nothing until somebody asks for it.
// https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace sluice::weights {

// As the file numbers them.
enum class GgufType : uint32_t {
  kUint8,
  kInt8,
  kUint16,
  kInt16,
  kUint32,
  kInt32,
  kFloat32,
  kBool,
  kString,
  kArray,
  kUint64,
  kInt64,
  kFloat64,
};

// Bytes of one value; 0 for strings and arrays, which say their own.
int64_t fixed_bytes(GgufType type);
const char* name(GgufType type);  // "a 32-bit whole number", "a string"

// One value, or an array of values of one type. A view into the file's bytes.
struct GgufValue {
  GgufType type = GgufType::kUint8;  // of an array: of its elements
  bool is_array = false;
  int64_t count = 1;
  // As in the file, little-endian. Of a string its text; of an array of strings each text after the
  // eight bytes of its length.
  std::span<const std::byte> bytes;

  // Nothing if the value is of another kind; of an array, its element `at`, which must be below
  // `count`. whole(): also nothing beyond 63 bits.
  std::optional<int64_t> whole(int64_t at = 0) const;
  std::optional<double> real(int64_t at = 0) const;  // kFloat32 and kFloat64
  std::optional<bool> flag(int64_t at = 0) const;
  std::optional<std::string_view> text() const;  // not of an array
  std::vector<std::string_view> texts() const;   // of an array of strings, else empty

  bool is_whole() const;  // of a type that holds whole numbers, or an array of one
};

struct GgufEntry {
  std::string_view key;
  GgufValue value;
};

// Views into mapped bytes: valid as long as these are, wherever the object is moved to.
class GgufMetadata {
 public:
  GgufMetadata() = default;
  // Keys must be different.
  explicit GgufMetadata(std::vector<GgufEntry> entries);

  std::span<const GgufEntry> entries() const { return entries_; }  // sorted by key
  const GgufValue* find(std::string_view key) const;               // null: there is none
  std::string_view text_or(std::string_view key, std::string_view fallback) const;
  std::optional<int64_t> whole(std::string_view key) const;

 private:
  std::vector<GgufEntry> entries_;
};

}  // namespace sluice::weights
