// The weights of a model as they lie in files: tensors by name, mapped and read in place.
//
// Each format is a reader, a function that checks its files and returns a Checkpoint; nobody above
// knows which one it was.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "tensor/view.h"
#include "weights/gguf_metadata.h"
#include "weights/mapped_file.h"
#include "weights/stored_dtype.h"

namespace sluice::weights {

// Where one tensor lies. Readers have checked it against its file before anyone sees it.
struct TensorEntry {
  std::string name;
  const StoredDType* dtype = nullptr;
  std::vector<int64_t> dims;  // row-major, outermost first; empty for a scalar
  int file = 0;               // index into Checkpoint::files()
  int64_t offset = 0;         // of the first byte, from the start of that file
  int64_t bytes = 0;
};

// "[32, 7]"
std::string to_string(const std::vector<int64_t>& dims);

// For readers of one file: its tensors have a name each. Errors name the one that stands twice.
Status check_names(std::span<const TensorEntry> entries);

// An opened set of tensors. Owns its mappings: views are valid as long as the Checkpoint lives, and
// survive a move of it. Reading is thread-safe.
class Checkpoint {
 public:
  // For readers. Entries must be inside their files; two of one name are refused here, because
  // they may come from two files. `gguf`: of a GGUF file, views into the first of `files`.
  static Result<Checkpoint> assemble(std::filesystem::path root, std::vector<MappedFile> files,
                                     std::vector<TensorEntry> entries,
                                     std::optional<GgufMetadata> gguf = {});

  // The directory that holds the files, and config.json beside them.
  const std::filesystem::path& root() const { return root_; }
  // What a GGUF file says of its model, as config.json and tokenizer.json do elsewhere; null if
  // this is none.
  const GgufMetadata* gguf() const { return gguf_ ? &*gguf_ : nullptr; }
  // What errors call it: the directory, or the GGUF file.
  std::string where() const;
  std::span<const MappedFile> files() const { return files_; }
  // Sorted by name (bytewise).
  std::span<const TensorEntry> entries() const { return entries_; }
  // Null if there is none of that name.
  const TensorEntry* find(std::string_view name) const;
  const std::filesystem::path& file_of(const TensorEntry& entry) const {
    return files_[static_cast<size_t>(entry.file)].path();
  }

  // The tensor of that name, in place. Errors: kNotFound; kUnsupported for an element type that
  // sluice does not compute with (I64, F8_E4M3, ...) or more than four dimensions.
  Result<tensor::TensorView> tensor(std::string_view name) const;
  Result<tensor::TensorView> view(const TensorEntry& entry) const;

  // See MappedFile::prefetch and drop: before a tensor is read, and after it was packed elsewhere.
  void prefetch(const TensorEntry& entry) const;
  void drop(const TensorEntry& entry) const;

 private:
  std::filesystem::path root_;
  std::vector<MappedFile> files_;
  std::vector<TensorEntry> entries_;
  std::optional<GgufMetadata> gguf_;
};

// Opens MODEL: a Hugging Face directory (model.safetensors, or model.safetensors.index.json and
// its shards), a .gguf file (of a split one the first part), or one .safetensors file. Errors name
// the file, and the tensor where there is one.
Result<Checkpoint> open_checkpoint(const std::filesystem::path& path);

}  // namespace sluice::weights
