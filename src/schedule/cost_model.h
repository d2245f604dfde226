// Predicted times: a stage's own cost statement against the rates of the lane it runs on.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "models/config.h"
#include "models/stage.h"
#include "schedule/task.h"

namespace sluice::schedule {

// What a lane does at best; 0: not known, and then not counted.
struct Rates {
  double flops_per_second = 0;
  double bytes_per_second = 0;
  double latency_s = 0;  // of each task
  bool operator==(const Rates&) const = default;
};

// What products of weights reach on the host with so many tokens for each matrix: the memory's part
// in it included.
struct ProductRate {
  double tokens = 0;
  double flops_per_second = 0;
  bool operator==(const ProductRate&) const = default;
};

struct CostModel {
  std::array<Rates, kLanes> rates{};  // by Lane
  models::WeightBytes weights;
  // Curves of the host, by growing tokens; empty: its lane's rates stand for them. Of experts, and
  // of the other matrices.
  std::vector<ProductRate> host_experts, host_dense;
};

// The curve at `tokens`, on a straight line between logarithms; beyond its end level, below its
// beginning in proportion to the tokens.
double rate_at(const std::vector<ProductRate>& curve, double tokens);

// T = latency + max(bytes / b, flops / p)   // HRM eq. 14
int64_t predicted_ns(const Rates& rates, double flops, double bytes);
// Of a stage that states this cost for products with `tokens` rows to each matrix.
int64_t cost_ns(const CostModel& costs, Lane lane, models::StageKind kind, const models::Cost& cost,
                double tokens);
int64_t stage_ns(const CostModel& costs, const models::ModelConfig& model, Lane lane,
                 const models::Stage& stage, const models::Load& load);
int64_t transfer_ns(const CostModel& costs, Lane lane, const Transfer& transfer);

}  // namespace sluice::schedule
