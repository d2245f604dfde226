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

double rate_at(const Curve& curve, double x) {
  SLUICE_CHECK(!curve.empty(), "a curve has points");
  const auto above = std::find_if(curve.begin(), curve.end(),
                                  [&](const CurvePoint& point) { return point.x >= x; });
  if (above == curve.end()) return curve.back().per_second;
  // Below one token a matrix is read for less: the memory's rate is what stays.
  if (above == curve.begin()) return above->per_second * x / above->x;
  const CurvePoint& below = *(above - 1);
  const double share = std::log(x / below.x) / std::log(above->x / below.x);
  return below.per_second * std::pow(above->per_second / below.per_second, share);
}

namespace {

using models::StageKind;

const Curve* curve_of(const CostModel& costs, Lane lane, StageKind kind) {
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

double over(int64_t part, int64_t whole) {
  return static_cast<double>(part) / static_cast<double>(std::max<int64_t>(whole, 1));
}

// Rows that each matrix of a stage is multiplied with.
double tokens_each(models::StageKind kind, const models::Load& load) {
  if (kind == StageKind::kExpertGroup) return over(load.expert_tokens, load.active_experts);
  return static_cast<double>(kind == StageKind::kHead ? load.logit_rows : load.tokens);
}

// The new keys and values are stored, then all are attended to.
double attend_seconds(const CostModel& costs, const models::AttentionConfig& attention,
                      const models::Load& load, const models::Cost& cost) {
  const Rates& rates = costs.rates[static_cast<size_t>(Lane::kHostCompute)];
  const double rows_per_key = over(load.visible_keys, load.context_tokens);
  const double queries = rows_per_key * over(attention.q_heads, attention.kv_heads);
  const double stored = costs.host_store.empty()
                            ? 0.0
                            : cost.kv_bytes * over(load.tokens, load.tokens + load.context_tokens);
  double seconds = cost.flops / rate_at(costs.host_attend, std::max(queries, 1.0));
  // The curve was measured with fewer bytes to each key than some models have.
  if (rates.bytes_per_second > 0)
    seconds = std::max(seconds, (cost.kv_bytes - stored) / rates.bytes_per_second);
  if (stored <= 0) return seconds;
  // On average a row of a prompt sees half of it.
  return seconds + stored / rate_at(costs.host_store, std::max(2 * rows_per_key - 1, 1.0));
}

}  // namespace

int64_t cost_ns(const CostModel& costs, Lane lane, models::StageKind kind, const models::Cost& cost,
                double tokens) {
  const Rates& rates = costs.rates[static_cast<size_t>(lane)];
  const Curve* const curve = curve_of(costs, lane, kind);
  if (curve == nullptr || tokens <= 0) return predicted_ns(rates, cost.flops, cost.bytes());
  double seconds = cost.flops / rate_at(*curve, tokens) + rates.latency_s;
  // Experts were measured with all that their activations take; around the other products there are
  // norms and rotations.
  if (kind != StageKind::kExpertGroup && rates.bytes_per_second > 0)
    seconds += cost.activation_bytes / rates.bytes_per_second;
  return std::llround(seconds * 1e9);
}

int64_t cost_ns(const CostModel& costs, const models::ModelConfig& model, Lane lane,
                const models::Stage& stage, const models::Load& load, const models::Cost& cost) {
  if (stage.kind == StageKind::kAttend && lane == Lane::kHostCompute &&
      !costs.host_attend.empty()) {
    const auto& attention = model.layers[static_cast<size_t>(stage.layer)].attention;
    const double seconds = attend_seconds(costs, attention, load, cost) +
                           costs.rates[static_cast<size_t>(lane)].latency_s;
    return std::llround(seconds * 1e9);
  }
  return cost_ns(costs, lane, stage.kind, cost, tokens_each(stage.kind, load));
}

int64_t stage_ns(const CostModel& costs, const models::ModelConfig& model, Lane lane,
                 const models::Stage& stage, const models::Load& load) {
  const models::Cost cost = models::stage_cost(model, stage, load, costs.weights);
  return cost_ns(costs, model, lane, stage, load, cost);
}

int64_t transfer_ns(const CostModel& costs, Lane lane, const Transfer& transfer) {
  return predicted_ns(costs.rates[static_cast<size_t>(lane)], 0,
                      static_cast<double>(transfer.bytes));
}

}  // namespace sluice::schedule
