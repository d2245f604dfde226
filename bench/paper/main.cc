// Predicted beside published: MoE-Lightning's tables, by the planner's roofline model, with and
// without two efficiency constants for each device. Prints Markdown, as docs/planner.md has it.
#include <cmath>
#include <cstdio>
#include <string>
#include <string_view>

#include "bench/paper/predict.h"

namespace sluice::bench {
namespace {

std::string policy_text(int64_t micro_batch, int64_t micro_batches) {
  return std::to_string(micro_batch) + " x " + std::to_string(micro_batches);
}

// exp(mean |ln(predicted / published)|) - 1: how far off a point is, up or down.
class MeanError {
 public:
  void add(double predicted, double published) {
    sum_ += std::abs(std::log(predicted / published));
    ++count_;
  }
  double percent() const { return count_ > 0 ? 100 * (std::exp(sum_ / count_) - 1) : 0; }
  int count() const { return count_; }

 private:
  double sum_ = 0;
  int count_ = 0;
};

void print_policies(Paper& paper) {
  std::printf(
      "| setting | workload | generated | published mu x N/mu | searched | A_g | F_g | r_w | bound "
      "|\n|---|---|---:|---:|---:|---:|---:|---:|---|\n");
  for (const Published& point : published()) {
    const std::string_view system = point.system;
    if (!system.starts_with("MoE-Lightning") || point.micro_batch == 0) continue;
    const Prediction p = paper.predict(point, {}, true);
    const plan::Policy& policy = p.candidate.policy;
    std::printf("| %s%s | %s | %d | %s | %s | %d | %d | %.3f | %s |\n", point.setting,
                system.ends_with("(p)") ? " (p)" : "", point.workload, point.generated,
                policy_text(point.micro_batch, point.micro_batches).c_str(),
                policy_text(policy.micro_batch, p.candidate.micro_batches()).c_str(),
                policy.attention_on == plan::Place::kDevice,
                policy.experts_on == plan::Place::kDevice, policy.resident_weights,
                schedule::name(p.estimate.pass.bound));
  }
}

void print_points(Paper& paper, const Constants& constants) {
  MeanError pure, fitted, judged, judged_lightning;
  std::printf(
      "\n| setting | system | workload | generated | mu x N/mu | published | roofline | with "
      "constants | error | |\n|---|---|---|---:|---:|---:|---:|---:|---:|---|\n");
  for (const Published& point : published()) {
    const Prediction p = paper.predict(point, constants);
    const double roofline = paper.predict(point, {}).estimate.tokens_per_second;
    const double with = p.estimate.tokens_per_second;
    const bool fit = fitted_on(point);
    pure.add(roofline, point.tokens_per_second);
    (fit ? fitted : judged).add(with, point.tokens_per_second);
    if (!fit && std::string_view(point.system).starts_with("MoE"))
      judged_lightning.add(with, point.tokens_per_second);
    std::printf("| %s | %s | %s | %d | %s%s | %.1f | %.1f | %.1f | %+.0f %% | %s |\n",
                point.setting, point.system, point.workload, point.generated,
                policy_text(p.candidate.policy.micro_batch, p.candidate.micro_batches()).c_str(),
                p.searched ? " (searched)" : "", point.tokens_per_second, roofline, with,
                100 * (with / point.tokens_per_second - 1), fit ? "fitted" : "");
  }
  std::printf(
      "\n| rows | points | mean error |\n|---|---:|---:|\n"
      "| all, pure roofline | %d | %.0f %% |\n| fitted rows, with constants | %d | %.0f %% |\n"
      "| all others, with constants | %d | %.0f %% |\n"
      "| of these MoE-Lightning's | %d | %.0f %% |\n",
      pure.count(), pure.percent(), fitted.count(), fitted.percent(), judged.count(),
      judged.percent(), judged_lightning.count(), judged_lightning.percent());
}

// Pairs of systems of one setting, workload and length: whether the faster one is predicted faster.
void print_order(Paper& paper, const Constants& constants) {
  const std::vector<Published> all = published();
  int pairs = 0, same = 0;
  for (size_t i = 0; i < all.size(); ++i) {
    for (size_t j = i + 1; j < all.size(); ++j) {
      const Published &a = all[i], &b = all[j];
      if (std::string_view(a.setting) != b.setting || a.generated != b.generated ||
          std::string_view(a.workload) != b.workload)
        continue;
      const double predicted = paper.predict(a, constants).estimate.tokens_per_second -
                               paper.predict(b, constants).estimate.tokens_per_second;
      ++pairs;
      same += (predicted > 0) == (a.tokens_per_second > b.tokens_per_second);
    }
  }
  std::printf(
      "\nOf %d pairs of systems in the same setting, %d are predicted in the published "
      "order.\n",
      pairs, same);
}

int run() {
  Paper paper;
  Constants constants;
  for (const char* device : {"T4", "L4"}) constants[device] = paper.fit(device);
  for (const auto& [device, e] : constants) {
    std::printf("%s: arithmetic %.3f, link %.3f of the constants' peaks\n", device.c_str(),
                e.arithmetic, e.link);
  }
  std::printf("\n");
  print_policies(paper);
  print_points(paper, constants);
  print_order(paper, constants);
  return 0;
}

}  // namespace
}  // namespace sluice::bench

int main() { return sluice::bench::run(); }
