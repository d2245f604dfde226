#include "weights/engine_manifest.h"

#include <cstdio>

#include "base/check.h"

namespace sluice::weights {
namespace {

Json to_json(const EngineTensor& tensor) {
  return {{"name", tensor.name},     {"dtype", tensor::info(tensor.dtype).name},
          {"layout", tensor.layout}, {"dims", tensor.dims},
          {"file", tensor.file},     {"offset", tensor.offset},
          {"bytes", tensor.bytes},   {"crc32c", tensor.crc32c}};
}

Json to_json(const EngineExperts& experts) {
  Json runs = Json::array();
  for (const PageRun& run : experts.runs)
    runs.push_back({{"file", run.file}, {"offset", run.offset}, {"pages", run.pages}});
  return {{"layer", experts.layer},
          {"hidden", experts.hidden},
          {"inter", experts.inter},
          {"gate", tensor::info(experts.gate).name},
          {"up", tensor::info(experts.up).name},
          {"down", tensor::info(experts.down).name},
          {"layout", EngineLayout::kRows16},
          {"up_offset", experts.up_offset},
          {"down_offset", experts.down_offset},
          {"page_bytes", experts.page_bytes},
          {"runs", std::move(runs)},
          {"crc32c", experts.crc32c}};
}

template <class Item, class Convert>
Json list(const std::vector<Item>& items, const Convert& convert) {
  Json array = Json::array();
  for (const Item& item : items) array.push_back(convert(item));
  return array;
}

}  // namespace

std::string engine_file_name(int64_t index) {
  char name[32];
  std::snprintf(name, sizeof name, "weights-%05lld.bin", static_cast<long long>(index));
  return name;
}

std::string engine_manifest_text(const EngineManifest& manifest) {
  Json json = {{"format", "sluice engine directory"},
               {"version", kEngineVersion},
               {"program", manifest.program},
               {"source",
                {{"name", manifest.source_name},
                 {"fingerprint", manifest.source_fingerprint},
                 {"stored", tensor::info(manifest.stored).name}}},
               {"quantization", manifest.quantization},
               {"names", manifest.names}};
  if (!manifest.config.is_null()) json["config"] = manifest.config;
  if (!manifest.gguf_tensors.empty()) {
    json["gguf_tensors"] = list(manifest.gguf_tensors, [](const GgufShape& shape) {
      return Json{{"name", shape.name}, {"dims", shape.dims}};
    });
  }
  json["files"] = list(manifest.files, [](const EngineFile& file) {
    return Json{{"name", file.name}, {"bytes", file.bytes}};
  });
  json["beside"] = list(manifest.beside, [](const BesideFile& file) {
    return Json{{"name", file.name}, {"bytes", file.bytes}, {"crc32c", file.crc32c}};
  });
  json["tensors"] = list(manifest.tensors, [](const EngineTensor& t) { return to_json(t); });
  json["experts"] = list(manifest.experts, [](const EngineExperts& e) { return to_json(e); });
  return base::to_line(json) + "\n";
}

PageRun page_run_of(const EngineExperts& experts, int64_t expert) {
  int64_t first = 0;
  for (const PageRun& run : experts.runs) {
    if (expert < first + run.pages)
      return {run.file, run.offset + (expert - first) * experts.page_bytes, 1};
    first += run.pages;
  }
  base::check_failed("an expert of the layer", "an expert past the last run", __FILE__, __LINE__);
}

}  // namespace sluice::weights
