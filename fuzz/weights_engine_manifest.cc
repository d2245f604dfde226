// engine.json as anyone may have written it: whatever parse_engine_manifest lets through lies
// inside its files, apart from each other, and says the same when it is written again.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <map>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "weights/engine_manifest.h"

namespace {

using namespace sluice::weights;

class Places {
 public:
  explicit Places(const EngineManifest& manifest) : manifest_(manifest) {}

  void add(int file, int64_t offset, int64_t bytes) {
    SLUICE_CHECK(file >= 0 && static_cast<size_t>(file) < manifest_.files.size(), "a file");
    SLUICE_CHECK(offset % kEngineAlignment == 0 && offset >= 0 && bytes > 0, "aligned");
    SLUICE_CHECK(bytes <= manifest_.files[static_cast<size_t>(file)].bytes - offset, "inside");
    const auto [at, fresh] = places_.try_emplace({file, offset}, bytes);
    SLUICE_CHECK(fresh, "apart");
    const auto next = std::next(at);
    SLUICE_CHECK(
        next == places_.end() || next->first.first != file || offset + bytes <= next->first.second,
        "apart from what follows");
    if (at == places_.begin()) return;
    const auto before = std::prev(at);
    SLUICE_CHECK(before->first.first != file || before->first.second + before->second <= offset,
                 "apart from what is before");
  }

 private:
  const EngineManifest& manifest_;
  std::map<std::pair<int, int64_t>, int64_t> places_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto manifest = parse_engine_manifest({reinterpret_cast<const char*>(data), size});
  if (!manifest) {
    SLUICE_CHECK(!manifest.error().message.empty(), "an error says something");
    SLUICE_CHECK(manifest.error().message.size() < 4096, "an error fits on a screen");
    return 0;
  }
  Places places(*manifest);
  for (const EngineTensor& tensor : manifest->tensors)
    places.add(tensor.file, tensor.offset, tensor.bytes);
  for (const EngineExperts& experts : manifest->experts) {
    for (const PageRun& run : experts.runs)
      places.add(run.file, run.offset, run.pages * experts.page_bytes);
    if (experts.experts() > 256) continue;
    for (int64_t expert = 0; expert < experts.experts(); ++expert) {
      const PageRun at = page_run_of(experts, expert);
      SLUICE_CHECK(
          at.offset + experts.page_bytes <= manifest->files[static_cast<size_t>(at.file)].bytes,
          "a page is inside its file");
    }
  }
  for (const BesideFile& file : manifest->beside) {
    const auto path = (std::filesystem::path("/m/d") / file.name).lexically_normal().string();
    SLUICE_CHECK(path.starts_with("/m/d/"), "inside the directory");
  }
  const auto again = parse_engine_manifest(engine_manifest_text(*manifest));
  SLUICE_CHECK(again.ok() && *again == *manifest, "written again it says the same");
  return 0;
}
