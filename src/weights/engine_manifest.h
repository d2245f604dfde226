// engine.json: what an engine directory holds and where. docs/engine_directory.md has every field.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "tensor/dtype.h"

namespace sluice::weights {

constexpr int64_t kEngineVersion = 1;
constexpr const char* kEngineManifestFile = "engine.json";
constexpr const char* kEngineManifestChecksumFile = "engine.json.crc32c";
constexpr const char* kEngineJournalFile = "build.journal";  // of a directory that is being built
constexpr const char* kEngineGgufFile = "metadata.gguf";     // keys of the GGUF file it came from
constexpr int64_t kEngineAlignment = 4096;                   // of groups, as O_DIRECT wants it
// A data file is no larger, unless a single group is: any file system and any copy takes it.
constexpr int64_t kMaxEngineFileBytes = int64_t{4} << 30;

// Limits on what a manifest may state.
constexpr size_t kMaxManifestBytes = size_t{64} << 20;
constexpr int64_t kMaxEngineFiles = 99'999;
constexpr int64_t kMaxEngineTensors = int64_t{1} << 20;
constexpr int64_t kMaxEngineLayers = 4096;
constexpr int64_t kMaxEnginePages = int64_t{1} << 22;  // of all layers
constexpr int64_t kMaxBesideFiles = 256;

// How the values of a group lie. The numbers stand in files and do not change.
enum class EngineLayout : int64_t {
  kPlain = 0,   // a vector, f32
  kRows16 = 1,  // kernels/packed.h
};

// A file of weights: nothing but groups, each at a multiple of kEngineAlignment.
struct EngineFile {
  std::string name;
  int64_t bytes = 0;
  bool operator==(const EngineFile&) const = default;
};

// A file that describes the model: tokenizer.json and the like.
struct BesideFile {
  std::string name;  // may lie in a folder: "additional_chat_templates/tool_use.jinja"
  int64_t bytes = 0;
  uint32_t crc32c = 0;
  bool operator==(const BesideFile&) const = default;
};

// A tensor that is no expert's; a group of its own.
struct EngineTensor {
  std::string name;
  tensor::DType dtype = tensor::DType::kF32;
  EngineLayout layout = EngineLayout::kPlain;
  std::vector<int64_t> dims;  // [elements], or [rows, cols]
  int file = 0;
  int64_t offset = 0;
  int64_t bytes = 0;  // zeros follow, up to the next multiple of kEngineAlignment
  uint32_t crc32c = 0;
  bool operator==(const EngineTensor&) const = default;
};

// Pages of neighbouring experts, one behind the other.
struct PageRun {
  int file = 0;
  int64_t offset = 0;
  int64_t pages = 0;
  bool operator==(const PageRun&) const = default;
};

// The experts of one layer: each is a page, a group of its own, with its gate at 0.
struct EngineExperts {
  int64_t layer = 0;
  int64_t hidden = 0, inter = 0;  // gate and up are [inter, hidden], down is [hidden, inter]
  tensor::DType gate = tensor::DType::kF32;
  tensor::DType up = tensor::DType::kF32;
  tensor::DType down = tensor::DType::kF32;
  int64_t up_offset = 0, down_offset = 0;  // inside the page
  int64_t page_bytes = 0;
  std::vector<PageRun> runs;     // in the order of the experts
  std::vector<uint32_t> crc32c;  // by expert, of the whole page
  int64_t experts() const { return static_cast<int64_t>(crc32c.size()); }
  bool operator==(const EngineExperts&) const = default;
};

// What a GGUF file said of a tensor's shape: with its keys, what tells the model.
struct GgufShape {
  std::string name;
  std::vector<int64_t> dims;  // outermost first
  bool operator==(const GgufShape&) const = default;
};

struct EngineManifest {
  std::string program;                         // that wrote it: "sluice 0.1.0"
  std::string source_name;                     // of the model's directory or file
  std::string source_fingerprint;              // weights/fingerprint.h
  tensor::DType stored = tensor::DType::kF32;  // most matrices' weights in the source
  std::string quantization = "none";           // as --quant names it
  std::string names = "family";                // of tensors: the family's, "stacked" or "gguf"
  Json config;  // the source's config.json; null if it was a GGUF file
  std::vector<GgufShape> gguf_tensors;
  std::vector<EngineFile> files;
  std::vector<BesideFile> beside;
  std::vector<EngineTensor> tensors;
  std::vector<EngineExperts> experts;  // by layer, layers without experts left out
  bool operator==(const EngineManifest&) const = default;
};

// "weights-00002.bin"
std::string engine_file_name(int64_t index);

// The text of engine.json; parse_engine_manifest() gives back what it was made of.
std::string engine_manifest_text(const EngineManifest& manifest);

// Reads and checks all that can be checked without the files. kUnsupported: another version;
// kCorrupt, with the field, tensor or layer: groups that overlap, reach past the end of their file,
// or are not aligned; names that lead out of the directory; numbers out of range.
Result<EngineManifest> parse_engine_manifest(std::string_view text);

// Where the page of an expert lies. `expert` is below experts.experts().
PageRun page_run_of(const EngineExperts& experts, int64_t expert);  // of one page

}  // namespace sluice::weights
