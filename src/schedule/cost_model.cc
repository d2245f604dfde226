#include "schedule/cost_model.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace sluice::schedule {

int64_t predicted_ns(const Rates& rates, double flops, double bytes) {
  double seconds = 0;
  if (rates.flops_per_second > 0) seconds = flops / rates.flops_per_second;
  if (rates.bytes_per_second > 0) seconds = std::max(seconds, bytes / rates.bytes_per_second);
  return std::llround((seconds + rates.latency_s) * 1e9);
}

double rate_at(const std::vector<ProductRate>& curve, double tokens) {
  SLUICE_CHECK(!curve.empty(), "a curve has points");
  const auto above = std::find_if(curve.begin(), curve.end(),
                                  [&](const ProductRate& point) { return point.tokens >= tokens; });
  if (above == curve.end()) return curve.back().flops_per_second;
  if (above == curve.begin()) {
    // Below one token a matrix is read for less: the memory's rate is what stays.
    return above->flops_per_second * tokens / above->tokens;
  }
  const ProductRate& below = *(above - 1);
  const double share = std::log(tokens / below.tokens) / std::log(above->tokens / below.tokens);
  return below.flops_per_second * std::pow(above->flops_per_second / below.flops_per_second, share);
}

namespace {

using models::StageKind;

const std::vector<ProductRate>* curve_of(const CostModel& costs, Lane lane, StageKind kind) {
  if (lane != Lane::kHostCompute) return nullptr;
  switch (kind) {
    case StageKind::kExpertGroup:
      return costs.host_experts.empty() ? nullptr : &costs.host_experts;
    case StageKind::kQkv:
    case StageKind::kOProj:
    case StageKind::kShared:
    case StageKind::kHead:
      return costs.host_dense.empty() ? nullptr : &costs.host_dense;
    case StageKind::kEmbed:
    case StageKind::kAttend:
    case StageKind::kRoute:
    case StageKind::kGuess:
    case StageKind::kDispatch:
    case StageKind::kCombine:
    case StageKind::kSample:
      return nullptr;
  }
  base::check_failed("known stage", "a StageKind outside its enum", __FILE__, __LINE__);
}

// Rows that each matrix of a stage is multiplied with.
double tokens_each(models::StageKind kind, const models::Load& load) {
  if (kind == StageKind::kExpertGroup) {
    return static_cast<double>(load.expert_tokens) /
           static_cast<double>(std::max<int64_t>(load.active_experts, 1));
  }
  return static_cast<double>(kind == StageKind::kHead ? load.logit_rows : load.tokens);
}

}  // namespace

int64_t cost_ns(const CostModel& costs, Lane lane, models::StageKind kind, const models::Cost& cost,
                double tokens) {
  const Rates& rates = costs.rates[static_cast<size_t>(lane)];
  const std::vector<ProductRate>* const curve = curve_of(costs, lane, kind);
  if (curve == nullptr || tokens <= 0) return predicted_ns(rates, cost.flops, cost.bytes());
  return predicted_ns({.flops_per_second = rate_at(*curve, tokens), .latency_s = rates.latency_s},
                      cost.flops, 0);
}

int64_t stage_ns(const CostModel& costs, const models::ModelConfig& model, Lane lane,
                 const models::Stage& stage, const models::Load& load) {
  const models::Cost cost = models::stage_cost(model, stage, load, costs.weights);
  return cost_ns(costs, lane, stage.kind, cost, tokens_each(stage.kind, load));
}

int64_t transfer_ns(const CostModel& costs, Lane lane, const Transfer& transfer) {
  return predicted_ns(costs.rates[static_cast<size_t>(lane)], 0,
                      static_cast<double>(transfer.bytes));
}

}  // namespace sluice::schedule
