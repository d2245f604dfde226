// A directory that `sluice build` made: a model's weights packed for compute, each expert a page.
// docs/engine_directory.md describes its files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "weights/engine_manifest.h"
#include "weights/mapped_file.h"

namespace sluice::weights {

// Whether that is one, finished or not.
bool is_engine_directory(const std::filesystem::path& path);

// Maps the files; views are valid as long as it lives, and survive a move of it. Reading is
// thread-safe.
class EngineDirectory {
 public:
  // Errors, with the file and where there is one the tensor or page: a build that was not finished;
  // a manifest that is damaged, of another version, or contradicts itself; a file that is missing,
  // shorter or longer than the manifest says; a description that is not what was written. The
  // weights' checksums are for their readers to check.
  static Result<EngineDirectory> open(const std::filesystem::path& root);

  const std::filesystem::path& root() const { return root_; }
  const EngineManifest& manifest() const { return manifest_; }
  // Of the weights, in the order of manifest().files.
  std::span<const std::filesystem::path> paths() const { return paths_; }

  std::string fingerprint() const;  // engine_fingerprint()

  std::span<const std::byte> view(const EngineTensor& tensor) const;
  std::span<const std::byte> page(const EngineExperts& experts, int64_t expert) const;
  const MappedFile& file(int index) const { return files_[static_cast<size_t>(index)]; }
  std::span<const MappedFile> files() const { return files_; }

  // Reads all of the tensor or page. kCorrupt, with its name and place, if it is not what was
  // written.
  Status check(const EngineTensor& tensor) const;
  Status check(const EngineExperts& experts, int64_t expert) const;

 private:
  Status map_files();
  Status check_beside() const;

  std::filesystem::path root_;
  EngineManifest manifest_;
  std::vector<std::filesystem::path> paths_;
  std::vector<MappedFile> files_;
};

// The same for the same answers, wherever it lies: of an unquantized build its source's.
std::string engine_fingerprint(const std::string& source_fingerprint,
                               const std::string& quantization);

// What is said of a tensor, and of a page, whose checksum does not match.
Error damaged_tensor(const std::filesystem::path& file, const EngineTensor& tensor);
Error damaged_page(const std::filesystem::path& file, int64_t layer, int64_t expert, int64_t offset,
                   int64_t bytes);

}  // namespace sluice::weights
