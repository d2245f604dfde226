#include "weights/engine_directory.h"

#include <cstdio>
#include <fstream>
#include <sstream>
#include <system_error>
#include <utility>

#include "base/whole_file.h"
#include "weights/checksum.h"
#include "weights/quote.h"

namespace sluice::weights {
namespace {

namespace fs = std::filesystem;

constexpr const char* kAgain = "; copy it again, or build it again";

Result<std::string> read_whole(const fs::path& path, int64_t most) {
  std::error_code failed;
  const auto bytes = fs::file_size(path, failed);
  if (failed) return Error{ErrorCode::kNotFound, path.string() + " is missing or cannot be read"};
  if (bytes > static_cast<uintmax_t>(most))
    return Error{ErrorCode::kCorrupt, path.string() + " has " + std::to_string(bytes) +
                                          " bytes, over the limit of " + std::to_string(most)};
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  if (!in || text.view().size() != bytes)
    return Error{ErrorCode::kIo, path.string() + " cannot be read to its end"};
  return std::move(text).str();
}

uint32_t crc_of(const std::string& text) { return crc32c(std::as_bytes(std::span(text))); }

Result<EngineManifest> read_manifest(const fs::path& root) {
  const fs::path path = root / kEngineManifestFile;
  SLUICE_ASSIGN(const std::string text, read_whole(path, int64_t{kMaxManifestBytes}));
  // Another version may have another checksum: its number is told first.
  auto manifest = parse_engine_manifest(text);
  if (!manifest && manifest.error().code == ErrorCode::kUnsupported)
    return manifest.error().in(path.string());
  SLUICE_ASSIGN(const std::string stated, read_whole(root / kEngineManifestChecksumFile, 64));
  char computed[16];
  std::snprintf(computed, sizeof computed, "%08x\n", crc_of(text));
  if (stated != computed)
    return Error{ErrorCode::kCorrupt, path.string() + " is not what " +
                                          kEngineManifestChecksumFile +
                                          " was written for: one of the two is damaged" + kAgain};
  if (!manifest) return manifest.error().in(path.string());
  return manifest;
}

// The first group that a file of so many bytes does not hold whole.
std::string first_past(const EngineManifest& manifest, int file, int64_t bytes) {
  int64_t first = INT64_MAX;
  std::string what = "nothing";
  const auto consider = [&](int in, int64_t offset, int64_t size, auto&& name) {
    if (in != file || offset + size <= bytes || offset >= first) return;
    first = offset;
    what = name();
  };
  for (const EngineTensor& tensor : manifest.tensors) {
    consider(tensor.file, tensor.offset, tensor.bytes,
             [&] { return "tensor " + quote(tensor.name); });
  }
  for (const EngineExperts& experts : manifest.experts) {
    for (int64_t expert = 0; expert < experts.experts(); ++expert) {
      const PageRun at = page_run_of(experts, expert);
      consider(at.file, at.offset, experts.page_bytes, [&] {
        return "the page of expert " + std::to_string(expert) + " of layer " +
               std::to_string(experts.layer);
      });
    }
  }
  return what;
}

}  // namespace

bool is_engine_directory(const fs::path& path) {
  return base::is_there(path / kEngineManifestFile) || base::is_there(path / kEngineJournalFile);
}

Result<EngineDirectory> EngineDirectory::open(const fs::path& root) {
  if (!base::is_there(root / kEngineManifestFile) && base::is_there(root / kEngineJournalFile)) {
    return Error{ErrorCode::kInvalid,
                 root.string() +
                     " is an engine directory that is not finished; the 'sluice build' that began "
                     "it goes on when it is run again"};
  }
  EngineDirectory directory;
  directory.root_ = root;
  SLUICE_ASSIGN(directory.manifest_, read_manifest(root));
  SLUICE_TRY(directory.map_files());
  SLUICE_TRY(directory.check_beside());
  return directory;
}

Status EngineDirectory::map_files() {
  for (size_t i = 0; i < manifest_.files.size(); ++i) {
    const EngineFile& stated = manifest_.files[i];
    paths_.push_back(root_ / stated.name);
    SLUICE_ASSIGN(MappedFile file, MappedFile::open(paths_.back()));
    if (file.bytes() < stated.bytes) {
      return Error{ErrorCode::kCorrupt,
                   paths_.back().string() + " has " + std::to_string(file.bytes()) + " of " +
                       std::to_string(stated.bytes) +
                       " bytes: " + first_past(manifest_, static_cast<int>(i), file.bytes()) +
                       " and what follows is cut off" + kAgain};
    }
    if (file.bytes() > stated.bytes) {
      return Error{ErrorCode::kCorrupt,
                   paths_.back().string() + " has " + std::to_string(file.bytes()) +
                       " bytes, and " + std::to_string(stated.bytes) + " are expected" + kAgain};
    }
    files_.push_back(std::move(file));
  }
  return {};
}

Status EngineDirectory::check_beside() const {
  for (const BesideFile& file : manifest_.beside) {
    const fs::path path = root_ / file.name;
    SLUICE_ASSIGN(const std::string text, read_whole(path, file.bytes));
    if (static_cast<int64_t>(text.size()) != file.bytes || crc_of(text) != file.crc32c)
      return Error{ErrorCode::kCorrupt,
                   path.string() +
                       " is not what was written there; an engine directory is never changed: "
                       "build another from the changed model"};
  }
  return {};
}

std::string engine_fingerprint(const std::string& source_fingerprint,
                               const std::string& quantization) {
  return source_fingerprint + (quantization == "none" ? "" : "-" + quantization);
}

std::string EngineDirectory::fingerprint() const {
  return engine_fingerprint(manifest_.source_fingerprint, manifest_.quantization);
}

std::span<const std::byte> EngineDirectory::view(const EngineTensor& tensor) const {
  return file(tensor.file)
      .data()
      .subspan(static_cast<size_t>(tensor.offset), static_cast<size_t>(tensor.bytes));
}

std::span<const std::byte> EngineDirectory::page(const EngineExperts& experts,
                                                 int64_t expert) const {
  const PageRun at = page_run_of(experts, expert);
  return file(at.file).data().subspan(static_cast<size_t>(at.offset),
                                      static_cast<size_t>(experts.page_bytes));
}

Status EngineDirectory::check(const EngineTensor& tensor) const {
  if (crc32c(view(tensor)) == tensor.crc32c) return {};
  return damaged_tensor(file(tensor.file).path(), tensor);
}

Status EngineDirectory::check(const EngineExperts& experts, int64_t expert) const {
  const uint32_t stated = experts.crc32c[static_cast<size_t>(expert)];
  if (crc32c(page(experts, expert)) == stated) return {};
  const PageRun at = page_run_of(experts, expert);
  return damaged_page(file(at.file).path(), experts.layer, expert, at.offset, experts.page_bytes);
}

Error damaged_tensor(const fs::path& file, const EngineTensor& tensor) {
  return {ErrorCode::kCorrupt, file.string() + ": tensor " + quote(tensor.name) + ", " +
                                   std::to_string(tensor.bytes) + " bytes from " +
                                   std::to_string(tensor.offset) +
                                   ", is not what was written there" + kAgain};
}

Error damaged_page(const fs::path& file, int64_t layer, int64_t expert, int64_t offset,
                   int64_t bytes) {
  return {ErrorCode::kCorrupt, file.string() + ": the page of expert " + std::to_string(expert) +
                                   " of layer " + std::to_string(layer) + ", " +
                                   std::to_string(bytes) + " bytes from " + std::to_string(offset) +
                                   ", is not what was written there" + kAgain};
}

}  // namespace sluice::weights
