#include "weights/engine_manifest_check.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "base/check.h"
#include "weights/corrupt.h"
#include "weights/quote.h"

namespace sluice::weights {
namespace {

constexpr int64_t kMatrixAlignment = 64;  // of matrices inside a page

// Inside the directory, at most one folder down, and none of the files that the format itself has.
bool is_beside_name(const std::string& name) {
  const std::filesystem::path path(name);
  const auto parts = std::distance(path.begin(), path.end());
  if (name.empty() || path.is_absolute() || parts > 2 || path.lexically_normal() != path)
    return false;
  for (const auto& part : path) {
    if (part == ".." || part == "." || part.empty()) return false;
  }
  return name != kEngineManifestFile && name != kEngineManifestChecksumFile &&
         name != kEngineJournalFile && !name.starts_with("weights-");
}

Status check_file_names(const EngineManifest& manifest) {
  for (size_t i = 0; i < manifest.files.size(); ++i) {
    const std::string expected = engine_file_name(static_cast<int64_t>(i));
    if (manifest.files[i].name != expected)
      return corrupt("file " + std::to_string(i) + " is called " + quote(manifest.files[i].name) +
                     "; '" + expected + "' is expected");
  }
  std::set<std::string> names;
  for (const BesideFile& file : manifest.beside) {
    if (!is_beside_name(file.name) || !names.insert(file.name).second)
      return corrupt("the file " + quote(file.name) +
                     " stands twice or is not one that lies beside the weights");
  }
  return {};
}

// A group's place in its file, and what errors call it.
struct Place {
  int file = 0;
  int64_t offset = 0, bytes = 0;
  std::string what;
};

Status check_place(const Place& place, const EngineManifest& manifest) {
  if (static_cast<size_t>(place.file) >= manifest.files.size())
    return corrupt(place.what + " lies in file " + std::to_string(place.file) + ", and there are " +
                   std::to_string(manifest.files.size()));
  const EngineFile& file = manifest.files[static_cast<size_t>(place.file)];
  if (place.offset % kEngineAlignment != 0)
    return corrupt(place.what + " begins at byte " + std::to_string(place.offset) + " of " +
                   file.name + ", which is no multiple of " + std::to_string(kEngineAlignment));
  if (place.bytes > file.bytes || place.offset > file.bytes - place.bytes)
    return corrupt(place.what + " takes " + std::to_string(place.bytes) + " bytes from byte " +
                   std::to_string(place.offset) + " of " + file.name + ", which has " +
                   std::to_string(file.bytes));
  return {};
}

Status check_overlaps(std::vector<Place>& places) {
  std::ranges::sort(places, [](const Place& a, const Place& b) {
    return a.file != b.file ? a.file < b.file : a.offset < b.offset;
  });
  for (size_t i = 1; i < places.size(); ++i) {
    const Place& before = places[i - 1];
    if (places[i].file == before.file && places[i].offset < before.offset + before.bytes)
      return corrupt(places[i].what + " overlaps " + before.what + " at byte " +
                     std::to_string(places[i].offset) + " of file " +
                     std::to_string(places[i].file));
  }
  return {};
}

Status add_tensors(const EngineManifest& manifest, std::vector<Place>& places) {
  std::set<std::string_view> names;
  for (const EngineTensor& tensor : manifest.tensors) {
    const std::string what = "tensor " + quote(tensor.name);
    if (tensor.name.empty() || !names.insert(tensor.name).second)
      return corrupt(what + " stands twice or has no name");
    const bool fits = tensor.layout == EngineLayout::kRows16
                          ? tensor.dims.size() == 2
                          : tensor.dims.size() == 1 && tensor.dtype == tensor::DType::kF32;
    if (!fits) return corrupt(what + " has a layout that is not for its dims and type");
    places.push_back({tensor.file, tensor.offset, tensor.bytes, what});
  }
  return {};
}

Status add_experts(const EngineManifest& manifest, std::vector<Place>& places) {
  int64_t pages = 0;
  int64_t before = -1;
  for (const EngineExperts& experts : manifest.experts) {
    const std::string what = "the experts of layer " + std::to_string(experts.layer);
    if (experts.layer <= before) return corrupt(what + " stand twice or out of order");
    before = experts.layer;
    if (experts.page_bytes % kEngineAlignment != 0 || experts.up_offset % kMatrixAlignment != 0 ||
        experts.down_offset % kMatrixAlignment != 0 || experts.down_offset <= experts.up_offset ||
        experts.page_bytes <= experts.down_offset)
      return corrupt(what + " have pages whose parts do not follow each other");
    int64_t in_runs = 0;
    for (const PageRun& run : experts.runs) {
      int64_t bytes = 0;
      if (__builtin_mul_overflow(run.pages, experts.page_bytes, &bytes))
        return corrupt(what + " take more than 2^63 bytes");
      in_runs += run.pages;
      places.push_back({run.file, run.offset, bytes,
                        "a run of pages of layer " + std::to_string(experts.layer)});
    }
    pages += experts.experts();
    if (in_runs != experts.experts() || in_runs == 0)
      return corrupt(what + " are " + std::to_string(experts.experts()) +
                     " by their checksums and " + std::to_string(in_runs) + " by their places");
    if (pages > kMaxEnginePages)
      return corrupt("there are more than " + std::to_string(kMaxEnginePages) +
                     " pages, the limit");
  }
  return {};
}

}  // namespace

Status check_engine_manifest(const EngineManifest& manifest) {
  constexpr std::array<std::string_view, 3> kNames{"family", "stacked", "gguf"};
  if (std::ranges::find(kNames, manifest.names) == kNames.end())
    return corrupt("'names' is " + quote(manifest.names) + "; family, stacked or gguf is expected");
  if ((manifest.names == "gguf") == manifest.config.is_object())
    return corrupt("'config' belongs to models that were no GGUF file, and to each of them");
  SLUICE_TRY(check_file_names(manifest));
  std::vector<Place> places;
  SLUICE_TRY(add_tensors(manifest, places));
  SLUICE_TRY(add_experts(manifest, places));
  for (const Place& place : places) SLUICE_TRY(check_place(place, manifest));
  return check_overlaps(places);
}

}  // namespace sluice::weights
