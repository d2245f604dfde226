#include "weights/gguf_header.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>
#include <utility>

#include "weights/corrupt.h"
#include "weights/quote.h"

namespace sluice::weights {
namespace {

// Reads forward; every step is checked against the end.
class Cursor {
 public:
  explicit Cursor(std::span<const std::byte> bytes)
      : bytes_(bytes.first(std::min(bytes.size(), static_cast<size_t>(kMaxGgufHeaderBytes)))),
        cut_(bytes.size() > bytes_.size()) {}

  int64_t at() const { return static_cast<int64_t>(at_); }
  uint64_t left() const { return bytes_.size() - at_; }

  template <class T>
  std::optional<T> number() {
    const auto bytes = take(sizeof(T));
    if (!bytes) return std::nullopt;
    T value{};
    std::memcpy(&value, bytes->data(), sizeof(T));
    return value;
  }

  std::optional<std::span<const std::byte>> take(uint64_t count) {
    if (count > left()) return std::nullopt;
    const auto taken = bytes_.subspan(at_, static_cast<size_t>(count));
    at_ += static_cast<size_t>(count);
    return taken;
  }

  // Eight bytes of length, and so many bytes.
  std::optional<std::span<const std::byte>> string() {
    const auto size = number<uint64_t>();
    return size ? take(*size) : std::nullopt;
  }

  // What to say when a step failed while reading `what`.
  Error past_end(const std::string& what) const {
    if (cut_) {
      return {ErrorCode::kInvalid, what + " reaches past the first " +
                                       std::to_string(kMaxGgufHeaderBytes) +
                                       " bytes, the limit of a GGUF header"};
    }
    return corrupt(what + " reaches past the end of the file; it is cut short or damaged");
  }

 private:
  std::span<const std::byte> bytes_;
  size_t at_ = 0;
  bool cut_ = false;
};

// A key or a tensor's name. `what` says which: "key 3".
Result<std::string_view> read_name(Cursor& cursor, const std::string& what, int64_t most) {
  const auto bytes = cursor.string();
  if (!bytes) return cursor.past_end("the name of " + what);
  const std::string_view name(reinterpret_cast<const char*>(bytes->data()), bytes->size());
  if (name.empty()) return corrupt(what + " has an empty name");
  if (static_cast<int64_t>(name.size()) > most)
    return corrupt("the name of " + what + " is " + std::to_string(name.size()) +
                   " bytes long, over the format's limit of " + std::to_string(most));
  if (!std::ranges::all_of(name, [](char c) { return c > ' ' && c < '\x7f'; }))
    return corrupt("the name of " + what + " is not printable ASCII");
  return name;
}

Status read_array(Cursor& cursor, const std::string& what, GgufValue& value) {
  const auto type = cursor.number<uint32_t>();
  const auto count = cursor.number<uint64_t>();
  if (!type || !count) return cursor.past_end(what);
  if (*type > static_cast<uint32_t>(GgufType::kFloat64))
    return corrupt(what + " is a list of the unknown type " + std::to_string(*type));
  value.type = static_cast<GgufType>(*type);
  value.is_array = true;
  if (value.type == GgufType::kArray)
    return Error{ErrorCode::kUnsupported, what + " is a list of lists, which sluice does not read"};
  // A string has at least its length.
  const uint64_t each = value.type == GgufType::kString
                            ? sizeof(uint64_t)
                            : static_cast<uint64_t>(fixed_bytes(value.type));
  if (*count > cursor.left() / each) return cursor.past_end(what);
  value.count = static_cast<int64_t>(*count);
  if (value.type != GgufType::kString) {
    value.bytes = *cursor.take(*count * each);
    return {};
  }
  Cursor end = cursor;
  for (uint64_t i = 0; i < *count; ++i) {
    if (!end.string()) return cursor.past_end(what);
  }
  value.bytes = *cursor.take(static_cast<uint64_t>(end.at() - cursor.at()));
  return {};
}

Result<GgufValue> read_value(Cursor& cursor, const std::string& what) {
  GgufValue value;
  const auto type = cursor.number<uint32_t>();
  if (!type) return cursor.past_end(what);
  if (*type > static_cast<uint32_t>(GgufType::kFloat64))
    return corrupt(what + " is of the unknown type " + std::to_string(*type));
  value.type = static_cast<GgufType>(*type);
  if (value.type == GgufType::kArray) {
    SLUICE_TRY(read_array(cursor, what, value));
    return value;
  }
  const auto bytes = value.type == GgufType::kString
                         ? cursor.string()
                         : cursor.take(static_cast<uint64_t>(fixed_bytes(value.type)));
  if (!bytes) return cursor.past_end(what);
  value.bytes = *bytes;
  if (value.type == GgufType::kBool && value.bytes[0] > std::byte{1})
    return corrupt(what + " is neither true nor false");
  return value;
}

Result<GgufMetadata> read_metadata(Cursor& cursor, uint64_t count) {
  std::vector<GgufEntry> entries;
  for (uint64_t i = 0; i < count; ++i) {
    GgufEntry entry;
    SLUICE_ASSIGN(entry.key, read_name(cursor, "key " + std::to_string(i), kMaxGgufKeyBytes));
    SLUICE_ASSIGN(entry.value, read_value(cursor, "the value of " + quote(entry.key)));
    entries.push_back(entry);
  }
  std::ranges::sort(entries, {}, &GgufEntry::key);
  const auto twice = std::ranges::adjacent_find(entries, {}, &GgufEntry::key);
  if (twice != entries.end()) return corrupt("the key " + quote(twice->key) + " stands twice");
  return GgufMetadata(std::move(entries));
}

Result<GgufTensor> read_tensor(Cursor& cursor, uint64_t number) {
  GgufTensor tensor;
  SLUICE_ASSIGN(tensor.name,
                read_name(cursor, "tensor " + std::to_string(number), kMaxGgufNameBytes));
  const std::string what = "tensor " + quote(tensor.name);
  const auto rank = cursor.number<uint32_t>();
  if (!rank) return cursor.past_end(what);
  if (*rank < 1 || *rank > kMaxGgufDims)
    return corrupt(what + " has " + std::to_string(*rank) + " dimensions; 1 to " +
                   std::to_string(kMaxGgufDims) + " are expected");
  for (uint32_t axis = 0; axis < *rank; ++axis) {
    const auto dim = cursor.number<uint64_t>();
    if (!dim) return cursor.past_end(what);
    if (*dim < 1 || !std::in_range<int64_t>(*dim))
      return corrupt(what + " has a dimension of " + std::to_string(*dim));
    tensor.dims.push_back(static_cast<int64_t>(*dim));
  }
  std::ranges::reverse(tensor.dims);
  const auto type = cursor.number<uint32_t>();
  const auto offset = cursor.number<uint64_t>();
  if (!type || !offset) return cursor.past_end(what);
  tensor.type = *type;
  tensor.offset = *offset;
  return tensor;
}

Status check_version(uint32_t version) {
  if (version == 2 || version == 3) return {};
  if ((version & 0xffffu) == 0 && version != 0)
    return Error{ErrorCode::kUnsupported,
                 "is a GGUF file for big-endian machines; sluice reads little-endian ones"};
  return Error{ErrorCode::kUnsupported,
               "is of GGUF version " + std::to_string(version) + "; sluice reads versions 2 and 3"};
}

}  // namespace

Result<GgufHeader> parse_gguf_header(std::span<const std::byte> file) {
  Cursor cursor(file);
  const auto magic = cursor.take(4);
  if (!magic || std::memcmp(magic->data(), "GGUF", 4) != 0)
    return corrupt("does not begin with 'GGUF'; is this a GGUF file?");
  GgufHeader header;
  const auto version = cursor.number<uint32_t>();
  if (!version) return cursor.past_end("the version");
  SLUICE_TRY(check_version(*version));
  header.version = *version;
  const auto tensors = cursor.number<uint64_t>();
  const auto keys = cursor.number<uint64_t>();
  if (!tensors || !keys) return cursor.past_end("the number of tensors and keys");
  if (*tensors > kMaxGgufTensors || *keys > kMaxGgufKeys)
    return Error{ErrorCode::kInvalid, "states " + std::to_string(*tensors) + " tensors and " +
                                          std::to_string(*keys) + " keys; up to " +
                                          std::to_string(kMaxGgufTensors) + " and " +
                                          std::to_string(kMaxGgufKeys) + " are read"};
  SLUICE_ASSIGN(header.metadata, read_metadata(cursor, *keys));
  for (uint64_t i = 0; i < *tensors; ++i) {
    SLUICE_ASSIGN(GgufTensor tensor, read_tensor(cursor, i));
    header.tensors.push_back(std::move(tensor));
  }
  header.bytes = cursor.at();
  return header;
}

}  // namespace sluice::weights
