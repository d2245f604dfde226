#include "cli/inspect_engine.h"

#include <algorithm>

#include "base/units.h"
#include "cli/byte_progress.h"

namespace sluice::cli {
namespace {

using base::format_bytes;
using base::format_count;
using weights::EngineExperts;
using weights::EngineManifest;
using weights::EngineTensor;

struct Pages {
  int64_t pages = 0, bytes = 0, smallest = 0, largest = 0;
};

Pages pages_of(const EngineManifest& manifest) {
  Pages all;
  for (const EngineExperts& experts : manifest.experts) {
    const int64_t bytes = experts.page_bytes;
    all.smallest = all.pages == 0 ? bytes : std::min(all.smallest, bytes);
    all.largest = std::max(all.largest, bytes);
    all.pages += experts.experts();
    all.bytes += experts.experts() * bytes;
  }
  return all;
}

std::string size(int64_t bytes) { return format_bytes(static_cast<double>(bytes)); }

}  // namespace

Json engine_json(const weights::EngineDirectory& directory) {
  const EngineManifest& manifest = directory.manifest();
  const Pages pages = pages_of(manifest);
  Json files = Json::array();
  for (const weights::EngineFile& file : manifest.files)
    files.push_back({{"name", file.name}, {"bytes", file.bytes}});
  return {{"version", weights::kEngineVersion},
          {"program", manifest.program},
          {"source", manifest.source_name},
          {"source_fingerprint", manifest.source_fingerprint},
          {"quantization", manifest.quantization},
          {"pages", pages.pages},
          {"page_bytes", pages.bytes},
          {"largest_page_bytes", pages.largest},
          {"files", std::move(files)}};
}

std::string engine_text(const weights::EngineDirectory& directory) {
  const EngineManifest& manifest = directory.manifest();
  const Pages pages = pages_of(manifest);
  std::string text = "built from " + manifest.source_name + " by " + manifest.program +
                     ", --quant " + manifest.quantization + "; ";
  if (pages.pages == 0) return text + "no expert pages";
  text += format_count(pages.pages) + " expert pages of " + size(pages.smallest);
  return pages.smallest == pages.largest ? text : text + " to " + size(pages.largest);
}

Verification verify(const weights::EngineDirectory& directory) {
  const EngineManifest& manifest = directory.manifest();
  int64_t total = pages_of(manifest).bytes;
  for (const EngineTensor& tensor : manifest.tensors) total += tensor.bytes;
  ByteProgress progress("checking", total, 0);
  Verification all;
  const auto take = [&](const Status& status, int file, int64_t offset, int64_t bytes) {
    ++all.groups;
    all.bytes += bytes;
    directory.file(file).drop(offset, bytes);
    if (!status) {
      ++all.damaged;
      if (all.damaged <= Verification::kMostTold) all.damages.push_back(status.error().message);
    }
    progress.update(all.bytes);
  };
  for (const EngineTensor& tensor : manifest.tensors)
    take(directory.check(tensor), tensor.file, tensor.offset, tensor.bytes);
  for (const EngineExperts& experts : manifest.experts) {
    for (int64_t expert = 0; expert < experts.experts(); ++expert) {
      const weights::PageRun at = weights::page_run_of(experts, expert);
      if (expert + 1 < experts.experts()) {
        const weights::PageRun next = weights::page_run_of(experts, expert + 1);
        directory.file(next.file).prefetch(next.offset, experts.page_bytes);
      }
      take(directory.check(experts, expert), at.file, at.offset, experts.page_bytes);
    }
  }
  return all;
}

Json to_json(const Verification& verification) {
  return {{"groups", verification.groups},
          {"bytes", verification.bytes},
          {"damaged", verification.damaged},
          {"damages", verification.damages}};
}

}  // namespace sluice::cli
