#include "weights/checkpoint.h"

#include <algorithm>
#include <utility>

#include "weights/quote.h"

namespace sluice::weights {

std::string to_string(const std::vector<int64_t>& dims) {
  std::string text = "[";
  for (size_t axis = 0; axis < dims.size(); ++axis) {
    if (axis > 0) text += ", ";
    text += std::to_string(dims[axis]);
  }
  return text + "]";
}

Status check_names(std::span<const TensorEntry> entries) {
  std::vector<std::string_view> names;
  names.reserve(entries.size());
  for (const TensorEntry& entry : entries) names.push_back(entry.name);
  std::ranges::sort(names);
  const auto twice = std::ranges::adjacent_find(names);
  if (twice == names.end()) return {};
  return Error{ErrorCode::kCorrupt, "tensor " + quote(*twice) + " stands twice"};
}

Result<Checkpoint> Checkpoint::assemble(std::filesystem::path root, std::vector<MappedFile> files,
                                        std::vector<TensorEntry> entries,
                                        std::optional<GgufMetadata> gguf) {
  std::ranges::sort(entries, {}, &TensorEntry::name);
  const auto twice = std::ranges::adjacent_find(entries, {}, &TensorEntry::name);
  if (twice != entries.end()) {
    const auto file_name = [&](const TensorEntry& entry) {
      return files[static_cast<size_t>(entry.file)].path().filename().string();
    };
    return Error{ErrorCode::kCorrupt, root.string() + ": tensor " + quote(twice->name) +
                                          " stands in both " + file_name(*twice) + " and " +
                                          file_name(*std::next(twice))};
  }
  for (const TensorEntry& entry : entries) {
    const int64_t size = files[static_cast<size_t>(entry.file)].bytes();
    SLUICE_CHECK(entry.dtype != nullptr && entry.offset >= 0 && entry.bytes >= 0 &&
                     entry.bytes <= size && entry.offset <= size - entry.bytes,
                 "a reader checks that its tensors lie inside their file");
  }
  Checkpoint checkpoint;
  checkpoint.root_ = std::move(root);
  checkpoint.files_ = std::move(files);
  checkpoint.entries_ = std::move(entries);
  checkpoint.gguf_ = std::move(gguf);
  return checkpoint;
}

std::string Checkpoint::where() const { return (gguf_ ? files_.front().path() : root_).string(); }

const TensorEntry* Checkpoint::find(std::string_view name) const {
  const auto it = std::ranges::lower_bound(
      entries_, name, {}, [](const TensorEntry& entry) { return std::string_view(entry.name); });
  return it != entries_.end() && it->name == name ? &*it : nullptr;
}

Result<tensor::TensorView> Checkpoint::tensor(std::string_view name) const {
  const TensorEntry* entry = find(name);
  if (entry == nullptr)
    return Error{ErrorCode::kNotFound, where() + ": there is no tensor " + quote(name)};
  return view(*entry);
}

Result<tensor::TensorView> Checkpoint::view(const TensorEntry& entry) const {
  const auto refuse = [&](const std::string& why) {
    return Error{ErrorCode::kUnsupported,
                 file_of(entry).string() + ": tensor " + quote(entry.name) + " " + why};
  };
  if (!entry.dtype->readable) {
    return refuse("has elements of type " + std::string(entry.dtype->name) +
                  ", with which sluice does not compute");
  }
  if (entry.dims.size() > tensor::Shape::kMaxRank)
    return refuse("has " + std::to_string(entry.dims.size()) + " dimensions; sluice reads up to " +
                  std::to_string(tensor::Shape::kMaxRank));
  tensor::TensorView view;
  view.dtype = *entry.dtype->readable;
  view.shape.rank = static_cast<int>(entry.dims.size());
  std::ranges::copy(entry.dims, view.shape.dims.begin());
  view.data = files_[static_cast<size_t>(entry.file)].data().data() + entry.offset;
  return view;
}

void Checkpoint::prefetch(const TensorEntry& entry) const {
  files_[static_cast<size_t>(entry.file)].prefetch(entry.offset, entry.bytes);
}

void Checkpoint::drop(const TensorEntry& entry) const {
  files_[static_cast<size_t>(entry.file)].drop(entry.offset, entry.bytes);
}

}  // namespace sluice::weights
