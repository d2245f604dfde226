#include "weights/gguf_metadata.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"

namespace sluice::weights {
namespace {

template <class T>
T read(std::span<const std::byte> bytes, int64_t at) {
  T value{};
  std::memcpy(&value, bytes.data() + static_cast<size_t>(at) * sizeof(T), sizeof(T));
  return value;
}

std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

int64_t fixed_bytes(GgufType type) {
  switch (type) {
    case GgufType::kUint8:
    case GgufType::kInt8:
    case GgufType::kBool:
      return 1;
    case GgufType::kUint16:
    case GgufType::kInt16:
      return 2;
    case GgufType::kUint32:
    case GgufType::kInt32:
    case GgufType::kFloat32:
      return 4;
    case GgufType::kUint64:
    case GgufType::kInt64:
    case GgufType::kFloat64:
      return 8;
    case GgufType::kString:
    case GgufType::kArray:
      return 0;
  }
  return 0;
}

const char* name(GgufType type) {
  switch (type) {
    case GgufType::kUint8:
    case GgufType::kInt8:
      return "an 8-bit whole number";
    case GgufType::kUint16:
    case GgufType::kInt16:
      return "a 16-bit whole number";
    case GgufType::kUint32:
    case GgufType::kInt32:
      return "a 32-bit whole number";
    case GgufType::kUint64:
    case GgufType::kInt64:
      return "a 64-bit whole number";
    case GgufType::kFloat32:
    case GgufType::kFloat64:
      return "a real number";
    case GgufType::kBool:
      return "true or false";
    case GgufType::kString:
      return "a string";
    case GgufType::kArray:
      return "a list";
  }
  return "";
}

bool GgufValue::is_whole() const {
  return fixed_bytes(type) > 0 && type != GgufType::kFloat32 && type != GgufType::kFloat64 &&
         type != GgufType::kBool;
}

std::optional<int64_t> GgufValue::whole(int64_t at) const {
  SLUICE_CHECK(at >= 0 && at < count, "an element of the array");
  switch (type) {
    case GgufType::kUint8:
      return read<uint8_t>(bytes, at);
    case GgufType::kInt8:
      return read<int8_t>(bytes, at);
    case GgufType::kUint16:
      return read<uint16_t>(bytes, at);
    case GgufType::kInt16:
      return read<int16_t>(bytes, at);
    case GgufType::kUint32:
      return read<uint32_t>(bytes, at);
    case GgufType::kInt32:
      return read<int32_t>(bytes, at);
    case GgufType::kInt64:
      return read<int64_t>(bytes, at);
    case GgufType::kUint64: {
      const auto value = read<uint64_t>(bytes, at);
      if (!std::in_range<int64_t>(value)) return std::nullopt;
      return static_cast<int64_t>(value);
    }
    case GgufType::kFloat32:
    case GgufType::kFloat64:
    case GgufType::kBool:
    case GgufType::kString:
    case GgufType::kArray:
      break;
  }
  return std::nullopt;
}

std::optional<double> GgufValue::real(int64_t at) const {
  SLUICE_CHECK(at >= 0 && at < count, "an element of the array");
  if (type == GgufType::kFloat32) return static_cast<double>(read<float>(bytes, at));
  if (type == GgufType::kFloat64) return read<double>(bytes, at);
  return std::nullopt;
}

std::optional<bool> GgufValue::flag(int64_t at) const {
  SLUICE_CHECK(at >= 0 && at < count, "an element of the array");
  if (type != GgufType::kBool) return std::nullopt;
  return read<uint8_t>(bytes, at) != 0;
}

std::optional<std::string_view> GgufValue::text() const {
  if (type != GgufType::kString || is_array) return std::nullopt;
  return as_text(bytes);
}

std::vector<std::string_view> GgufValue::texts() const {
  std::vector<std::string_view> list;
  if (type != GgufType::kString || !is_array) return list;
  list.reserve(static_cast<size_t>(count));
  std::span<const std::byte> rest = bytes;
  for (int64_t i = 0; i < count; ++i) {
    const auto size = static_cast<size_t>(read<uint64_t>(rest, 0));
    rest = rest.subspan(sizeof(uint64_t));
    list.push_back(as_text(rest.first(size)));
    rest = rest.subspan(size);
  }
  return list;
}

GgufMetadata::GgufMetadata(std::vector<GgufEntry> entries) : entries_(std::move(entries)) {
  std::ranges::sort(entries_, {}, &GgufEntry::key);
  SLUICE_CHECK(std::ranges::adjacent_find(entries_, {}, &GgufEntry::key) == entries_.end(),
               "a reader refuses a key that stands twice");
}

const GgufValue* GgufMetadata::find(std::string_view key) const {
  const auto it = std::ranges::lower_bound(entries_, key, {}, &GgufEntry::key);
  return it != entries_.end() && it->key == key ? &it->value : nullptr;
}

std::string_view GgufMetadata::text_or(std::string_view key, std::string_view fallback) const {
  const GgufValue* value = find(key);
  return value == nullptr ? fallback : value->text().value_or(fallback);
}

std::optional<int64_t> GgufMetadata::whole(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr || value->is_array) return std::nullopt;
  return value->whole();
}

}  // namespace sluice::weights
