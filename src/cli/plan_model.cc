#include "cli/plan_model.h"

#include <filesystem>

#include "cli/engine_flags.h"
#include "cli/json_file.h"
#include "cli/machine.h"
#include "engine/expert_use_file.h"
#include "models/shape.h"

namespace sluice::cli {
namespace {

namespace fs = std::filesystem;

Status read_config(const fs::path& config, planner::Question& question) {
  SLUICE_ASSIGN(const Json json, read_json_file(config.string(), engine::kMaxConfigBytes));
  auto shape = models::read_shape(json);
  if (!shape.ok()) return shape.error().in(config.string());
  question.model = std::move(*shape);
  return {};
}

}  // namespace

Result<std::optional<engine::OpenModel>> read_plan_model(const std::string& model,
                                                         planner::Question& question) {
  std::optional<engine::OpenModel> here;
  question.model_name = model_name(model);
  if (!fs::exists(model)) {
    SLUICE_ASSIGN(question.model, models::known_shape(model));
    return here;
  }
  const fs::path path(model);
  if (path.extension() == ".json") {
    SLUICE_TRY(read_config(path, question));
    return here;
  }
  auto opened = engine::open_model(model);
  if (!opened.ok()) {
    const ErrorCode code = opened.error().code;
    const bool absent = code == ErrorCode::kNotFound || code == ErrorCode::kUnsupported;
    if (!absent || !fs::exists(path / "config.json")) return opened.error();
    SLUICE_TRY(read_config(path / "config.json", question));
    return here;
  }
  SLUICE_ASSIGN(const auto source, engine::open_weights(*opened, "none"));
  take_model(opened->model.config, *source, question);
  here = std::move(*opened);
  return here;
}

void take_model(const models::ModelConfig& config, const models::WeightSource& source,
                planner::Question& question) {
  question.model = config;
  question.weights = planner::weight_sizes(source);
  question.stored = question.weights->fit.stored;
}

std::vector<std::vector<double>> measured_routing(const models::ModelConfig& config,
                                                  const std::string& fingerprint) {
  const std::string directory = expert_use_directory();
  if (directory.empty() || config.max_experts() == 0) return {};
  memory::ExpertUse use(config.layer_count(), config.max_experts(), config.max_top_k());
  if (!engine::read_expert_use(engine::expert_use_path(directory, fingerprint), use)) return {};
  std::vector<std::vector<double>> shares(config.layers.size());
  for (size_t layer = 0; layer < shares.size(); ++layer) {
    for (int expert = 0; expert < config.layers[layer].ffn.experts; ++expert)
      shares[layer].push_back(use.share(static_cast<int>(layer), expert));
  }
  return shares;
}

}  // namespace sluice::cli
