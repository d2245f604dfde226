// Predicted beside published: MoE-Lightning's tables, by the planner's roofline model, with and
// without two efficiency constants for each device. Prints Markdown, as docs/planner.md has it.
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "bench/paper/predict.h"

namespace sluice::bench {
namespace {

bool is_lightning(const Published& point) {
  return std::string_view(point.system).starts_with("MoE-Lightning");
}

void print_constants(const Constants& constants) {
  std::printf("Constants:");
  const char* separator = " ";
  for (const auto& [device, e] : constants) {
    std::printf("%s%s: arithmetic %.3f, link %.3f of the constants' peaks", separator,
                device.c_str(), e.arithmetic, e.link);
    separator = "; ";
  }
  std::printf(".\n");
}

void print_policies(const Paper& paper) {
  std::printf(
      "\n**Policies.** What the search finds beside what MoE-Lightning ran:\n\n"
      "| setting | workload | generated | published mu x N/mu | searched | A_g | F_g | r_w | bound "
      "|\n|---|---|---:|---:|---:|---:|---:|---:|---|\n");
  for (const Published& point : published()) {
    if (!is_lightning(point)) continue;
    const planner::Choice choice = paper.search(point);
    const plan::Policy& policy = choice.candidate.policy;
    std::printf(
        "| %s%s | %s | %d | %d x %d | %d x %d | %d | %d | %.3f | %s |\n", point.setting,
        std::string_view(point.system).ends_with("(p)") ? " (p)" : "", point.workload,
        point.generated, point.policy.micro_batch, point.policy.micro_batches,
        static_cast<int>(policy.micro_batch), static_cast<int>(choice.candidate.micro_batches()),
        policy.attention_on == plan::Place::kDevice, policy.experts_on == plan::Place::kDevice,
        policy.resident_weights, schedule::name(choice.estimate.pass.bound));
  }
}

struct Errors {
  std::string rows;
  MeanError error;
};

void print_errors(const std::vector<Errors>& all) {
  std::printf("\n| rows | points | mean error |\n|---|---:|---:|\n");
  for (const Errors& e : all)
    std::printf("| %s | %d | %.0f %% |\n", e.rows.c_str(), e.error.count(), e.error.percent());
}

void print_points(const Paper& paper, const Constants& constants) {
  std::vector<Errors> errors = {{"all, pure roofline", {}},
                                {"fitted rows, with constants", {}},
                                {"all others, with constants", {}},
                                {"of these MoE-Lightning's", {}}};
  const size_t systems = errors.size();
  std::printf(
      "\n**Throughput**, generated tokens per second over prefill and decode:\n\n"
      "| setting | system | workload | generated | mu x N/mu | published | roofline | with "
      "constants | error | |\n|---|---|---|---:|---:|---:|---:|---:|---:|---|\n");
  for (const Published& point : published()) {
    const double roofline = paper.predict(point, {}).estimate.tokens_per_second;
    const double with = paper.predict(point, constants).estimate.tokens_per_second;
    const bool fit = fitted_on(point);
    errors[0].error.add(roofline, point.tokens_per_second);
    errors[fit ? 1 : 2].error.add(with, point.tokens_per_second);
    if (!fit) {
      if (is_lightning(point)) errors[3].error.add(with, point.tokens_per_second);
      const std::string rows = std::string(point.setting) + ", " + point.system;
      size_t at = systems;
      while (at < errors.size() && errors[at].rows != rows) ++at;
      if (at == errors.size()) errors.push_back({rows, {}});
      errors[at].error.add(with, point.tokens_per_second);
    }
    std::printf("| %s | %s | %s | %d | %d x %d | %.1f | %.1f | %.1f | %+.0f %% | %s |\n",
                point.setting, point.system, point.workload, point.generated,
                point.policy.micro_batch, point.policy.micro_batches, point.tokens_per_second,
                roofline, with, 100 * (with / point.tokens_per_second - 1), fit ? "fitted" : "");
  }
  print_errors(errors);
}

int run() {
  const Paper paper;
  Constants constants;
  for (const char* device : {"T4", "L4"}) constants[device] = paper.fit(device);
  print_constants(constants);
  print_policies(paper);
  print_points(paper, constants);
  const Order found = order(paper, constants);
  std::printf(
      "\n(The mean error is exp(mean |ln(predicted / published)|) - 1.) Of %d pairs of systems in "
      "the same setting, %d are predicted in the published order.\n",
      found.pairs, found.same);
  return 0;
}

}  // namespace
}  // namespace sluice::bench

int main() { return sluice::bench::run(); }
