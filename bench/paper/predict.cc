#include "bench/paper/predict.h"

#include <cmath>
#include <limits>
#include <string_view>

#include "base/check.h"
#include "models/shape.h"

namespace sluice::bench {
namespace {

const char* schedule_of(std::string_view system) {
  if (system == "FlexGen") return "flexgen";
  if (system == "FlexGen(c)") return "flexgen_c";
  return "moe_lightning";
}

// Only MoE-Lightning itself packs prompts without padding.
planner::Workload workload_of(const Published& point, int64_t requests) {
  const int64_t whole = std::max<int64_t>(requests, 16);
  planner::Workload workload =
      planner::known_workload(point.workload, point.generated, whole).value();
  if (std::string_view(point.system) != "MoE-Lightning") workload = workload.padded();
  const double mean = workload.mean_prompt();
  workload.requests = {{std::llround(mean), point.generated, requests}};
  return workload;
}

}  // namespace

const Setting& setting_of(const Published& point) {
  for (const Setting& setting : settings())
    if (std::string_view(setting.name) == point.setting) return setting;
  base::check_failed("known setting", point.setting, __FILE__, __LINE__);
}

bool fitted_on(const Published& point) {
  return std::string_view(point.workload) == "mtbench" && point.generated <= 64 &&
         std::string_view(point.system) != "FlexGen(c)" && setting_of(point).devices == 1;
}

Paper::Paper() {
  for (const Setting& setting : settings()) {
    if (models_.contains(setting.model)) continue;
    Model model;
    model.config = models::known_shape(setting.model).value();
    model.layers = planner::layers_of(model.config, {});
    model.weights = planner::weight_sizes(model.config, "none").value();
    models_.emplace(setting.model, std::move(model));
  }
}

const Paper::Model& Paper::model(const Setting& setting) const { return models_.at(setting.model); }

planner::Candidate Paper::policy(const Published& point, const Setting& setting, bool search_always,
                                 bool& searched) {
  const Model& m = model(setting);
  const planner::Machine machine = paper_machine(setting, point.system, {});
  const planner::Subject subject{m.config, machine, m.layers, m.weights};
  planner::Candidate candidate;
  candidate.policy.schedule = schedule_of(point.system);
  candidate.policy.experts_on = plan::Place::kDevice;
  candidate.policy.attention_on = planner::find_schedule(candidate.policy.schedule)->attention_on;
  candidate.policy.resident_kv = 0;
  candidate.kv_dtype = kernels::KvDType::kF16;
  searched = search_always || point.micro_batch == 0;
  if (!searched) {
    candidate.policy.micro_batch = point.micro_batch;
    candidate.policy.batch = int64_t{point.micro_batch} * point.micro_batches;
    const planner::Workload workload = workload_of(point, candidate.policy.batch);
    // A published policy ran, whatever the artifact's constraints say of it.
    if (paper_settle(subject, workload, candidate)) candidate.policy.resident_weights = 0;
    return candidate;
  }
  const std::string key =
      std::string(point.setting) + point.system + point.workload + std::to_string(point.generated);
  if (const auto known = searched_.find(key); known != searched_.end()) return known->second;
  const planner::SearchOptions options{.schedules = {candidate.policy.schedule},
                                       .kv_dtypes = {kernels::KvDType::kF16},
                                       .experts_on_host = false,
                                       .settle = paper_settle};
  const auto found = planner::search(subject, workload_of(point, 1 << 20), options);
  SLUICE_CHECK(!found.finalists.empty(), "the paper's models fit its machines");
  return searched_[key] = found.finalists.front().candidate;
}

Prediction Paper::predict(const Published& point, const Constants& constants, bool search_always) {
  const Setting& setting = setting_of(point);
  Prediction prediction;
  prediction.candidate = policy(point, setting, search_always, prediction.searched);
  const auto efficiency = constants.find(setting.device);
  const planner::Machine machine =
      paper_machine(setting, point.system,
                    efficiency == constants.end() ? planner::Efficiency{} : efficiency->second);
  const Model& m = model(setting);
  prediction.estimate =
      planner::estimate({m.config, machine, m.layers, m.weights}, prediction.candidate,
                        workload_of(point, prediction.candidate.policy.batch), true);
  return prediction;
}

planner::Efficiency Paper::fit(const std::string& device) {
  planner::Efficiency best;
  double least = std::numeric_limits<double>::infinity();
  for (int a = 0; a <= 60; ++a) {
    for (int b = 0; b <= 30; ++b) {
      // In steps of 5 % down from the peaks.
      const planner::Efficiency e{std::pow(0.95, a), std::pow(0.95, b)};
      double sum = 0;
      for (const Published& point : published()) {
        if (setting_of(point).device != device || !fitted_on(point)) continue;
        const double predicted = predict(point, {{device, e}}).estimate.tokens_per_second;
        sum += std::pow(std::log(predicted / point.tokens_per_second), 2);
      }
      if (sum < least) {
        least = sum;
        best = e;
      }
    }
  }
  return best;
}

}  // namespace sluice::bench
