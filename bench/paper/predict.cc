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
  if (system == "DeepSpeed") return "zero_inference";
  return "moe_lightning";
}

planner::Candidate candidate_of(const Published& point) {
  planner::Candidate candidate;
  candidate.policy.schedule = schedule_of(point.system);
  candidate.policy.experts_on = plan::Place::kDevice;
  candidate.policy.attention_on = planner::find_schedule(candidate.policy.schedule)->attention_on;
  candidate.policy.micro_batch = point.policy.micro_batch;
  candidate.policy.batch = int64_t{point.policy.micro_batch} * point.policy.micro_batches;
  candidate.policy.resident_weights = point.policy.resident_weights;
  // All of the cache stays where it is attended over, but for FlexGen's.
  candidate.policy.resident_kv = std::string_view(point.system) == "FlexGen" ? 0 : 1;
  candidate.kv_dtype = kernels::KvDType::kF16;
  return candidate;
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

planner::Candidate Paper::policy(const Published& point, const Setting& setting) const {
  planner::Candidate candidate = candidate_of(point);
  if (!std::string_view(point.system).starts_with("MoE-Lightning")) return candidate;
  const Model& m = model(setting);
  const planner::Machine machine = paper_machine(setting, point.system, peaks());
  // A published policy ran, whatever the artifact's constraints say of it.
  if (paper_settle({m.config, machine, m.layers, m.weights},
                   workload_of(point, candidate.policy.batch), candidate))
    candidate.policy.resident_weights = 0;
  // Its engine keeps whole experts, the same ones of every layer, and rounds down.
  const double experts = m.config.layers.front().ffn.experts;
  double& share = candidate.policy.resident_weights;
  share = std::floor(share * experts) / experts;
  return candidate;
}

planner::Choice Paper::search(const Published& point) const {
  const Setting& setting = setting_of(point);
  const Model& m = model(setting);
  const planner::Machine machine = paper_machine(setting, point.system, peaks());
  const planner::SearchOptions options{.schedules = {schedule_of(point.system)},
                                       .kv_dtypes = {kernels::KvDType::kF16},
                                       .experts_on = {plan::Place::kDevice},
                                       .settle = paper_settle};
  const auto found = planner::search({m.config, machine, m.layers, m.weights},
                                     workload_of(point, 1 << 20), options);
  SLUICE_CHECK(!found.finalists.empty(), "the paper's models fit its machines");
  return found.finalists.front();
}

Prediction Paper::predict(const Published& point, const Constants& constants) const {
  const Setting& setting = setting_of(point);
  const Model& m = model(setting);
  const auto fitted = constants.find(setting.device);
  const planner::Machine machine = paper_machine(
      setting, point.system, fitted == constants.end() ? peaks() : reached(fitted->second));
  Prediction prediction{.candidate = policy(point, setting)};
  prediction.estimate =
      planner::estimate({m.config, machine, m.layers, m.weights}, prediction.candidate,
                        workload_of(point, prediction.candidate.policy.batch));
  return prediction;
}

planner::Efficiency Paper::fit(const std::string& device) const {
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

void MeanError::add(double predicted, double published) {
  sum_ += std::abs(std::log(predicted / published));
  ++count_;
}

double MeanError::percent() const { return count_ > 0 ? 100 * (std::exp(sum_ / count_) - 1) : 0; }

Order order(const Paper& paper, const Constants& constants) {
  const std::vector<Published> all = published();
  std::vector<double> predicted;
  for (const Published& point : all)
    predicted.push_back(paper.predict(point, constants).estimate.tokens_per_second);
  Order order;
  for (size_t i = 0; i < all.size(); ++i) {
    for (size_t j = i + 1; j < all.size(); ++j) {
      const Published &a = all[i], &b = all[j];
      if (std::string_view(a.setting) != b.setting || a.generated != b.generated ||
          std::string_view(a.workload) != b.workload)
        continue;
      ++order.pairs;
      order.same += (predicted[i] > predicted[j]) == (a.tokens_per_second > b.tokens_per_second);
    }
  }
  return order;
}

}  // namespace sluice::bench
