#include "schedule/cost_model.h"

#include <algorithm>
#include <cmath>

namespace sluice::schedule {

int64_t predicted_ns(const Rates& rates, double flops, double bytes) {
  double seconds = 0;
  if (rates.flops_per_second > 0) seconds = flops / rates.flops_per_second;
  if (rates.bytes_per_second > 0) seconds = std::max(seconds, bytes / rates.bytes_per_second);
  return std::llround((seconds + rates.latency_s) * 1e9);
}

int64_t stage_ns(const CostModel& costs, const models::ModelConfig& model, Lane lane,
                 const models::Stage& stage, const models::Load& load) {
  const models::Cost cost = models::stage_cost(model, stage, load, costs.weights);
  return predicted_ns(costs.rates[static_cast<size_t>(lane)], cost.flops, cost.bytes());
}

int64_t transfer_ns(const CostModel& costs, Lane lane, const Transfer& transfer) {
  return predicted_ns(costs.rates[static_cast<size_t>(lane)], 0,
                      static_cast<double>(transfer.bytes));
}

}  // namespace sluice::schedule
