#include "weights/gguf.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "weights/corrupt.h"
#include "weights/gguf_header.h"
#include "weights/gguf_split.h"
#include "weights/quote.h"

namespace sluice::weights {
namespace {

constexpr const char* kAlignmentKey = "general.alignment";

Result<int64_t> read_alignment(const GgufMetadata& metadata) {
  const GgufValue* value = metadata.find(kAlignmentKey);
  if (value == nullptr) return kDefaultGgufAlignment;
  const int64_t alignment = metadata.whole(kAlignmentKey).value_or(0);
  if (alignment >= kMinGgufAlignment && alignment <= kMaxGgufAlignment &&
      (alignment & (alignment - 1)) == 0) {
    return alignment;
  }
  return corrupt(quote(kAlignmentKey) + " is not a power of two from " +
                 std::to_string(kMinGgufAlignment) + " to " + std::to_string(kMaxGgufAlignment));
}

// Up to the next multiple, or nothing beyond 63 bits.
std::optional<int64_t> padded(int64_t bytes, int64_t alignment) {
  int64_t up = 0;
  if (__builtin_add_overflow(bytes, alignment - 1, &up)) return std::nullopt;
  return up / alignment * alignment;
}

// Checks one tensor by itself. Its offset still counts from the first data byte.
Result<TensorEntry> check_tensor(const GgufTensor& stated) {
  TensorEntry entry;
  entry.name = stated.name;
  entry.dims = stated.dims;
  entry.dtype = find_gguf_dtype(stated.type);
  if (entry.dtype == nullptr)
    return Error{ErrorCode::kUnsupported,
                 "tensor " + quote(entry.name) + " is of GGUF's type number " +
                     std::to_string(stated.type) + ", which sluice does not know"};
  if (entry.dims.back() % entry.dtype->block_elements != 0)
    return corrupt(entry, "has rows of " + std::to_string(entry.dims.back()) + ", but " +
                              entry.dtype->name + " stores " +
                              std::to_string(entry.dtype->block_elements) + " values together");
  const std::optional<int64_t> bytes = stored_bytes(entry.dims, *entry.dtype);
  if (!bytes || !std::in_range<int64_t>(stated.offset))
    return corrupt(entry, "has the shape " + to_string(entry.dims) + " at the offset " +
                              std::to_string(stated.offset) + ", which lies beyond 2^63 bytes");
  entry.bytes = *bytes;
  entry.offset = static_cast<int64_t>(stated.offset);
  return entry;
}

// The tensors, sorted by offset, follow each other from the first data byte and end inside.
Status check_places(const std::vector<TensorEntry>& entries, int64_t alignment,
                    int64_t data_bytes) {
  int64_t next = 0;
  const TensorEntry* before = nullptr;
  for (const TensorEntry& entry : entries) {
    if (before != nullptr && entry.offset < before->offset + before->bytes)
      return corrupt(entry, "overlaps tensor " + quote(before->name));
    if (entry.offset != next)
      return corrupt(entry, "begins at byte " + std::to_string(entry.offset) +
                                " of the data; by the alignment of " + std::to_string(alignment) +
                                " it is expected at byte " + std::to_string(next));
    if (entry.bytes > data_bytes - entry.offset)
      return corrupt(entry, "takes " + std::to_string(entry.bytes) + " bytes from byte " +
                                std::to_string(entry.offset) + " of the data, but the file has " +
                                std::to_string(data_bytes) + "; it is cut short or damaged");
    const std::optional<int64_t> end = padded(entry.offset + entry.bytes, alignment);
    // The last one need not be padded: there is nothing after it.
    next = end.value_or(entry.offset + entry.bytes);
    before = &entry;
  }
  return {};
}

struct Opened {
  MappedFile mapped;
  GgufFile file;
};

Result<Opened> open_one(const std::filesystem::path& path) {
  SLUICE_ASSIGN(MappedFile mapped, MappedFile::open(path));
  auto file = parse_gguf(mapped.data());
  if (!file) return file.error().in(path.string());
  return Opened{std::move(mapped), std::move(file).value()};
}

}  // namespace

Result<GgufFile> parse_gguf(std::span<const std::byte> file) {
  SLUICE_ASSIGN(GgufHeader header, parse_gguf_header(file));
  SLUICE_ASSIGN(const int64_t alignment, read_alignment(header.metadata));
  GgufFile parsed;
  parsed.metadata = std::move(header.metadata);
  parsed.tensors.reserve(header.tensors.size());
  for (const GgufTensor& stated : header.tensors) {
    SLUICE_ASSIGN(TensorEntry entry, check_tensor(stated));
    parsed.tensors.push_back(std::move(entry));
  }
  SLUICE_TRY(check_names(parsed.tensors));
  std::ranges::sort(parsed.tensors, {}, &TensorEntry::offset);
  // A file of keys alone may end without the padding before its data.
  const auto file_bytes = static_cast<int64_t>(file.size());
  parsed.data_offset = padded(header.bytes, alignment).value_or(file_bytes);
  SLUICE_TRY(check_places(parsed.tensors, alignment,
                          std::max<int64_t>(file_bytes - parsed.data_offset, 0)));
  for (TensorEntry& entry : parsed.tensors) entry.offset += parsed.data_offset;
  return parsed;
}

Result<Checkpoint> open_gguf(const std::filesystem::path& path) {
  SLUICE_ASSIGN(Opened first, open_one(path));
  auto split = find_split(path, first.file.metadata);
  if (!split) return split.error().in(path.string());
  std::vector<MappedFile> files;
  std::vector<TensorEntry> entries = std::move(first.file.tensors);
  files.push_back(std::move(first.mapped));
  for (size_t i = 1; i < split->files.size(); ++i) {
    const std::filesystem::path& part = split->files[i];
    SLUICE_ASSIGN(Opened opened, open_one(part));
    const auto agrees =
        check_part(opened.file.metadata, first.file.metadata, static_cast<int64_t>(i), *split);
    if (!agrees) return agrees.error().in(part.string());
    for (TensorEntry& entry : opened.file.tensors) {
      entry.file = static_cast<int>(i);
      entries.push_back(std::move(entry));
    }
    files.push_back(std::move(opened.mapped));
  }
  if (split->tensors && *split->tensors != static_cast<int64_t>(entries.size())) {
    return corrupt(path.string() + ": 'split.tensors.count' says " +
                   std::to_string(*split->tensors) + " tensors, but the files hold " +
                   std::to_string(entries.size()));
  }
  return Checkpoint::assemble(path.parent_path(), std::move(files), std::move(entries),
                              std::move(first.file.metadata));
}

}  // namespace sluice::weights
