#include "cli/plan_model.h"

#include <filesystem>
#include <fstream>
#include <sstream>

#include "cli/engine_flags.h"
#include "cli/machine.h"
#include "engine/expert_use_file.h"
#include "engine/model_files.h"
#include "models/shape.h"

namespace sluice::cli {
namespace {

namespace fs = std::filesystem;

Status read_config(const fs::path& config, planner::Question& question) {
  std::ifstream in(config, std::ios::binary);
  if (!in) return Error{ErrorCode::kNotFound, "cannot read '" + config.string() + "'"};
  std::ostringstream text;
  text << in.rdbuf();
  const auto json = base::parse_json(text.str(), {.bytes = engine::kMaxConfigBytes});
  if (!json.ok()) return json.error().in(config.string());
  auto shape = models::read_shape(*json);
  if (!shape.ok()) return shape.error().in(config.string());
  question.model = std::move(*shape);
  return {};
}

}  // namespace

Status read_plan_model(const std::string& model, const std::string& quant,
                       planner::Question& question) {
  question.model_name = model_name(model);
  if (!fs::exists(model)) {
    SLUICE_ASSIGN(question.model, models::known_shape(model));
    return {};
  }
  const fs::path path(model);
  if (path.extension() == ".json") return read_config(path, question);
  const auto opened = engine::open_model(model);
  if (!opened.ok()) {
    const ErrorCode code = opened.error().code;
    const bool absent = code == ErrorCode::kNotFound || code == ErrorCode::kUnsupported;
    if (!absent || !fs::exists(path / "config.json")) return opened.error();
    return read_config(path / "config.json", question);
  }
  question.model = opened->model.config;
  SLUICE_ASSIGN(const auto source, engine::open_weights(*opened, quant));
  question.weights = planner::weight_sizes(*source);
  question.stored = question.weights->fit.stored;
  return {};
}

std::vector<std::vector<double>> measured_routing(const std::string& path) {
  const std::string directory = expert_use_directory();
  if (directory.empty() || !fs::exists(path)) return {};
  const auto opened = engine::open_model(path);
  if (!opened.ok()) return {};
  const auto fingerprint = engine::fingerprint_of(*opened);
  if (!fingerprint.ok()) return {};
  const models::ModelConfig& config = opened->model.config;
  if (config.max_experts() == 0) return {};
  memory::ExpertUse use(config.layer_count(), config.max_experts(), config.max_top_k());
  if (!engine::read_expert_use(engine::expert_use_path(directory, *fingerprint), use)) return {};
  std::vector<std::vector<double>> shares(config.layers.size());
  for (size_t layer = 0; layer < shares.size(); ++layer) {
    for (int expert = 0; expert < config.layers[layer].ffn.experts; ++expert)
      shares[layer].push_back(use.share(static_cast<int>(layer), expert));
  }
  return shares;
}

}  // namespace sluice::cli
