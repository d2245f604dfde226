// engine.json as text to EngineManifest: types, ranges and names. That what it states fits together
// is engine_manifest_check.cc's.
#include <algorithm>
#include <limits>
#include <optional>

#include "weights/engine_manifest.h"
#include "weights/engine_manifest_check.h"
#include "weights/quote.h"

namespace sluice::weights {
namespace {

constexpr int64_t kMostBytes = int64_t{1} << 62;  // sums of two stay in range
constexpr int64_t kMostWide = int64_t{1} << 40;   // of a dimension

// One object of the manifest; the first thing wrong with any of them is kept in `error`.
class Fields {
 public:
  Fields(const Json& json, std::string where, std::optional<Error>& error)
      : json_(json), where_(std::move(where)), error_(error) {}

  int64_t whole(const char* key, int64_t least, int64_t most) {
    const auto value = base::field<int64_t>(json_, key, where_);
    if (!value) return keep(value.error()), least;
    if (*value >= least && *value <= most) return *value;
    keep({ErrorCode::kCorrupt, where_ + ": '" + key + "' is " + std::to_string(*value) +
                                   ", outside " + std::to_string(least) + " to " +
                                   std::to_string(most)});
    return least;
  }
  std::string text(const char* key) {
    auto value = base::field<std::string>(json_, key, where_);
    if (!value) return keep(value.error()), std::string();
    return std::move(*value);
  }
  tensor::DType dtype(const char* key) {
    const std::string name = text(key);
    if (const auto known = tensor::parse_dtype(name)) return *known;
    keep({ErrorCode::kUnsupported,
          where_ + ": '" + key + "' is " + quote(name) + ", which is no type that sluice knows"});
    return tensor::DType::kF32;
  }
  const Json& list(const char* key, int64_t most) {
    static const Json kNone = Json::array();
    if (!json_.is_object() || !json_.contains(key) || !json_[key].is_array()) {
      keep({ErrorCode::kCorrupt, where_ + ": '" + key + "' is not a list"});
      return kNone;
    }
    if (json_[key].size() <= static_cast<size_t>(most)) return json_[key];
    keep({ErrorCode::kCorrupt, where_ + ": '" + key + "' has more than " + std::to_string(most) +
                                   " entries, the limit"});
    return kNone;
  }
  // A list of whole numbers.
  template <class Number>
  std::vector<Number> wholes(const char* key, int64_t least, int64_t most, int64_t most_entries) {
    std::vector<Number> numbers;
    for (const Json& item : list(key, most_entries)) {
      const bool whole = item.is_number_integer() && (!item.is_number_unsigned() ||
                                                      item.get<uint64_t>() <= uint64_t{INT64_MAX});
      const int64_t value = whole ? item.get<int64_t>() : least - 1;
      if (value < least || value > most) {
        keep({ErrorCode::kCorrupt, where_ + ": '" + key + "' holds what is no whole number from " +
                                       std::to_string(least) + " to " + std::to_string(most)});
        return {};
      }
      numbers.push_back(static_cast<Number>(value));
    }
    return numbers;
  }
  bool has(const char* key) const { return json_.is_object() && json_.contains(key); }

 private:
  void keep(Error error) {
    if (!error_) error_ = std::move(error);
  }
  const Json& json_;
  std::string where_;
  std::optional<Error>& error_;
};

constexpr int64_t kMostCrc = std::numeric_limits<uint32_t>::max();

EngineTensor read_tensor(const Json& json, size_t index, std::optional<Error>& error) {
  EngineTensor tensor;
  tensor.name = Fields(json, "tensor " + std::to_string(index), error).text("name");
  Fields fields(json, "tensor " + quote(tensor.name), error);
  tensor.dtype = fields.dtype("dtype");
  tensor.layout = static_cast<EngineLayout>(fields.whole("layout", 0, 1));
  tensor.dims = fields.wholes<int64_t>("dims", 1, kMostWide, 2);
  tensor.file = static_cast<int>(fields.whole("file", 0, kMaxEngineFiles - 1));
  tensor.offset = fields.whole("offset", 0, kMostBytes);
  tensor.bytes = fields.whole("bytes", 1, kMostBytes);
  tensor.crc32c = static_cast<uint32_t>(fields.whole("crc32c", 0, kMostCrc));
  return tensor;
}

EngineExperts read_experts(const Json& json, std::optional<Error>& error) {
  EngineExperts experts;
  experts.layer = Fields(json, "experts", error).whole("layer", 0, kMaxEngineLayers - 1);
  const std::string where = "experts of layer " + std::to_string(experts.layer);
  Fields fields(json, where, error);
  experts.hidden = fields.whole("hidden", 1, kMostWide);
  experts.inter = fields.whole("inter", 1, kMostWide);
  experts.gate = fields.dtype("gate");
  experts.up = fields.dtype("up");
  experts.down = fields.dtype("down");
  fields.whole("layout", static_cast<int64_t>(EngineLayout::kRows16),
               static_cast<int64_t>(EngineLayout::kRows16));
  experts.up_offset = fields.whole("up_offset", 1, kMostBytes);
  experts.down_offset = fields.whole("down_offset", 1, kMostBytes);
  experts.page_bytes = fields.whole("page_bytes", kEngineAlignment, kMostBytes);
  experts.crc32c = fields.wholes<uint32_t>("crc32c", 0, kMostCrc, kMaxEnginePages);
  for (const Json& item : fields.list("runs", kMaxEngineFiles)) {
    Fields run(item, where, error);
    experts.runs.push_back({static_cast<int>(run.whole("file", 0, kMaxEngineFiles - 1)),
                            run.whole("offset", 0, kMostBytes),
                            run.whole("pages", 1, kMaxEnginePages)});
  }
  return experts;
}

void read_source(const Json& json, EngineManifest& manifest, std::optional<Error>& error) {
  static const Json kNone;
  Fields source(json.contains("source") ? json["source"] : kNone, "source", error);
  manifest.source_name = source.text("name");
  manifest.source_fingerprint = source.text("fingerprint");
  manifest.stored = source.dtype("stored");
}

void read_files(Fields& fields, EngineManifest& manifest, std::optional<Error>& error) {
  for (const Json& item : fields.list("files", kMaxEngineFiles)) {
    Fields file(item, "files", error);
    manifest.files.push_back({file.text("name"), file.whole("bytes", 1, kMostBytes)});
  }
  for (const Json& item : fields.list("beside", kMaxBesideFiles)) {
    Fields file(item, "beside", error);
    manifest.beside.push_back({file.text("name"), file.whole("bytes", 0, kMostBytes),
                               static_cast<uint32_t>(file.whole("crc32c", 0, kMostCrc))});
  }
}

void read_model(Fields& fields, const Json& json, EngineManifest& manifest,
                std::optional<Error>& error) {
  if (fields.has("config")) manifest.config = json["config"];
  if (!fields.has("gguf_tensors")) return;
  for (const Json& item : fields.list("gguf_tensors", kMaxEngineTensors)) {
    Fields shape(item, "gguf_tensors", error);
    manifest.gguf_tensors.push_back(
        {shape.text("name"), shape.wholes<int64_t>("dims", 1, kMostWide, 4)});
  }
}

}  // namespace

Result<EngineManifest> parse_engine_manifest(std::string_view text) {
  base::JsonLimits limits;
  limits.bytes = kMaxManifestBytes;
  auto parsed = base::parse_json(text, limits);
  // It may quote a key of any length.
  if (!parsed) return Error{ErrorCode::kCorrupt, parsed.error().message.substr(0, kMaxQuotedBytes)};
  const Json& json = *parsed;
  std::optional<Error> error;
  Fields fields(json, "the manifest", error);
  if (fields.text("format") != "sluice engine directory" && !error)
    error = Error{ErrorCode::kCorrupt, "'format' is not that of an engine directory"};
  if (error) return *error;
  SLUICE_ASSIGN(const int64_t version, base::field<int64_t>(json, "version", "the manifest"));
  if (version != kEngineVersion) {
    return Error{ErrorCode::kUnsupported,
                 "is of version " + std::to_string(version) + ", and this program reads version " +
                     std::to_string(kEngineVersion) + "; build the directory again"};
  }
  EngineManifest manifest;
  manifest.program = fields.text("program");
  read_source(json, manifest, error);
  manifest.quantization = fields.text("quantization");
  manifest.names = fields.text("names");
  read_model(fields, json, manifest, error);
  read_files(fields, manifest, error);
  for (const Json& item : fields.list("tensors", kMaxEngineTensors)) {
    if (error) break;
    manifest.tensors.push_back(read_tensor(item, manifest.tensors.size(), error));
  }
  for (const Json& item : fields.list("experts", kMaxEngineLayers)) {
    if (error) break;
    manifest.experts.push_back(read_experts(item, error));
  }
  if (error) return *error;
  SLUICE_TRY(check_engine_manifest(manifest));
  return manifest;
}

}  // namespace sluice::weights
