#include "weights/safetensors.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "weights/corrupt.h"
#include "weights/quote.h"
#include "weights/safetensors_header.h"

namespace sluice::weights {
namespace {

constexpr int64_t kLengthBytes = 8;

uint64_t little_endian(std::span<const std::byte> bytes) {
  uint64_t value = 0;
  for (size_t i = 0; i < size_t{kLengthBytes}; ++i)
    value |= static_cast<uint64_t>(bytes[i]) << (8 * i);
  return value;
}

// Checks one tensor by itself. Its offset still counts from the first data byte.
Result<TensorEntry> check_tensor(HeaderTensor&& stated, int64_t data_bytes) {
  TensorEntry entry;
  entry.name = std::move(stated.name);
  entry.dims = std::move(stated.shape);
  entry.dtype = find_stored_dtype(stated.dtype);
  if (entry.dtype == nullptr) return corrupt(entry, "has the unknown dtype " + quote(stated.dtype));
  const std::optional<int64_t> bytes = stored_bytes(entry.dims, *entry.dtype);
  if (!bytes) {
    return corrupt(entry, "has the shape " + to_string(entry.dims) + " of " + entry.dtype->name +
                              ", which is no whole number of bytes below 2^63");
  }
  const int64_t begin = stated.data_offsets[0];
  const int64_t end = stated.data_offsets[1];
  if (begin > end)
    return corrupt(entry, "begins at byte " + std::to_string(begin) + " and ends before, at byte " +
                              std::to_string(end));
  if (end > data_bytes)
    return corrupt(entry, "ends at byte " + std::to_string(end) +
                              " of the data, but the file has " + std::to_string(data_bytes) +
                              "; the file is cut short or damaged");
  if (end - begin != *bytes)
    return corrupt(entry, "of shape " + to_string(entry.dims) + " and type " + entry.dtype->name +
                              " takes " + std::to_string(*bytes) + " bytes, but its offsets span " +
                              std::to_string(end - begin));
  entry.offset = begin;
  entry.bytes = *bytes;
  return entry;
}

// The tensors, sorted by offset, must follow each other from the first data byte to the last.
Status check_cover(const std::vector<TensorEntry>& entries, int64_t data_bytes) {
  int64_t covered = 0;
  const TensorEntry* before = nullptr;
  for (const TensorEntry& entry : entries) {
    if (entry.offset < covered) return corrupt(entry, "overlaps tensor " + quote(before->name));
    if (entry.offset > covered)
      return corrupt(entry, "begins after a gap of " + std::to_string(entry.offset - covered) +
                                " bytes that no tensor covers");
    covered = entry.offset + entry.bytes;
    before = &entry;
  }
  if (covered != data_bytes)
    return corrupt("the file has " + std::to_string(data_bytes - covered) +
                   " bytes after the last tensor" +
                   (before != nullptr ? " " + quote(before->name) : std::string()));
  return {};
}

// From the file's start, so that a mapped view can be read as its element type.
Status check_alignment(const TensorEntry& entry) {
  const int64_t alignment = entry.dtype->alignment();
  if (entry.offset % alignment == 0) return {};
  return corrupt(
      entry, "of type " + std::string(entry.dtype->name) + " begins at byte " +
                 std::to_string(entry.offset) + " of the file, which is not a multiple of " +
                 std::to_string(alignment) + "; save the file again with a current safetensors");
}

}  // namespace

Result<SafetensorsHeader> parse_safetensors(std::span<const std::byte> head, int64_t file_bytes) {
  if (file_bytes < kLengthBytes)
    return corrupt("a file of " + std::to_string(file_bytes) +
                   " bytes is too short for a safetensors header");
  SLUICE_CHECK(head.size() >= size_t{kLengthBytes}, "`head` holds the header if the file does");
  const uint64_t stated = little_endian(head);
  if (stated > uint64_t{kMaxSafetensorsHeaderBytes})
    return corrupt("the header's length is " + std::to_string(stated) +
                   " bytes, over the format's limit of " +
                   std::to_string(kMaxSafetensorsHeaderBytes) + "; is this a safetensors file?");
  const auto header_bytes = static_cast<int64_t>(stated);
  if (header_bytes > file_bytes - kLengthBytes)
    return corrupt("the header's length is " + std::to_string(header_bytes) +
                   " bytes, but the file has " + std::to_string(file_bytes - kLengthBytes) +
                   " after it; the file is cut short or damaged");
  SLUICE_CHECK(head.size() >= static_cast<size_t>(kLengthBytes + header_bytes),
               "`head` holds the header if the file does");
  const std::string_view text(reinterpret_cast<const char*>(head.data()) + kLengthBytes,
                              static_cast<size_t>(header_bytes));
  if (!text.starts_with('{')) return corrupt("the header does not begin with '{'");
  SLUICE_ASSIGN(HeaderJson json, parse_header_json(text));

  SafetensorsHeader header;
  header.data_offset = kLengthBytes + header_bytes;
  header.metadata = std::move(json.metadata);
  header.tensors.reserve(json.tensors.size());
  const int64_t data_bytes = file_bytes - header.data_offset;
  for (HeaderTensor& tensor : json.tensors) {
    SLUICE_ASSIGN(TensorEntry entry, check_tensor(std::move(tensor), data_bytes));
    header.tensors.push_back(std::move(entry));
  }
  SLUICE_TRY(check_names(header.tensors));
  // An empty tensor stands before the one that begins where it does.
  std::ranges::sort(header.tensors, {},
                    [](const TensorEntry& entry) { return std::pair(entry.offset, entry.bytes); });
  SLUICE_TRY(check_cover(header.tensors, data_bytes));
  for (TensorEntry& entry : header.tensors) {
    entry.offset += header.data_offset;
    SLUICE_TRY(check_alignment(entry));
  }
  return header;
}

Result<Checkpoint> open_safetensors(const std::filesystem::path& path) {
  SLUICE_ASSIGN(MappedFile file, MappedFile::open(path));
  auto header = parse_safetensors(file.data(), file.bytes());
  if (!header) return header.error().in(path.string());
  std::vector<MappedFile> files;
  files.push_back(std::move(file));
  return Checkpoint::assemble(path.parent_path(), std::move(files), std::move(header->tensors));
}

}  // namespace sluice::weights
