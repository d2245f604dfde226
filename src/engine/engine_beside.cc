#include "engine/engine_beside.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "models/checkpoint_tensors.h"
#include "weights/fingerprint.h"
#include "weights/gguf_writer.h"

namespace sluice::engine {
namespace {

namespace fs = std::filesystem;

constexpr const char* kConfig = "config.json";
constexpr std::array kDescriptions{kConfig,
                                   "generation_config.json",
                                   "tokenizer.json",
                                   "tokenizer_config.json",
                                   "special_tokens_map.json",
                                   "chat_template.jinja"};
constexpr const char* kTemplates = "additional_chat_templates";

Result<weights::BesideText> read_one(const fs::path& directory, const fs::path& name) {
  const fs::path path = directory / name;
  std::error_code failed;
  if (const auto bytes = fs::file_size(path, failed);
      !failed && bytes > static_cast<uintmax_t>(kMaxBesideBytes)) {
    return Error{ErrorCode::kInvalid, path.string() + " has " + std::to_string(bytes) +
                                          " bytes, over the limit of " +
                                          std::to_string(kMaxBesideBytes)};
  }
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  // Of an empty file nothing comes, which the stream takes for a failure.
  if (in.peek() != std::ifstream::traits_type::eof()) text << in.rdbuf();
  if (!in.is_open() || in.bad()) return Error{ErrorCode::kIo, path.string() + " cannot be read"};
  return weights::BesideText{name.string(), std::move(text).str()};
}

std::vector<fs::path> descriptions_in(const fs::path& directory) {
  std::vector<fs::path> names;
  std::error_code ignored;
  for (const char* name : kDescriptions) {
    if (fs::exists(directory / name, ignored)) names.emplace_back(name);
  }
  for (const auto& item : fs::directory_iterator(directory / kTemplates, ignored)) {
    if (item.path().extension() == ".jinja")
      names.push_back(fs::path(kTemplates) / item.path().filename());
  }
  std::ranges::sort(names);
  return names;
}

}  // namespace

Result<std::vector<weights::BesideText>> beside_of(const std::string& path,
                                                   const OpenModel& opened) {
  std::vector<weights::BesideText> beside;
  if (opened.checkpoint.gguf() != nullptr) {
    constexpr std::array<std::string_view, 1> kKept{models::kGgufRopeDivisors};
    beside.push_back(
        {weights::kEngineGgufFile, weights::gguf_description(opened.checkpoint, kKept)});
    return beside;
  }
  for (const fs::path& name : descriptions_in(path)) {
    SLUICE_ASSIGN(weights::BesideText text, read_one(path, name));
    beside.push_back(std::move(text));
  }
  return beside;
}

Result<weights::EngineManifest> manifest_of(const std::string& path, const OpenModel& opened,
                                            const std::vector<weights::BesideText>& beside) {
  weights::EngineManifest manifest;
  fs::path name = fs::absolute(path).lexically_normal();
  if (!name.has_filename()) name = name.parent_path();
  manifest.source_name = name.filename().string();
  SLUICE_ASSIGN(manifest.source_fingerprint, weights::fingerprint(opened.checkpoint));
  manifest.names = models::name(models::naming_in(opened.checkpoint, opened.model.config));
  if (opened.checkpoint.gguf() == nullptr) {
    const auto config = std::ranges::find(beside, kConfig, &weights::BesideText::name);
    SLUICE_CHECK(config != beside.end(), "a Hugging Face model has a config.json");
    SLUICE_ASSIGN(manifest.config, base::parse_json(config->bytes));
    return manifest;
  }
  for (const weights::TensorEntry& entry : opened.checkpoint.entries())
    manifest.gguf_tensors.push_back({entry.name, entry.dims});
  return manifest;
}

}  // namespace sluice::engine
