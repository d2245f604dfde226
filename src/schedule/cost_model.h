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

// A point of a measured curve: what is reached per second at `x`.
struct CurvePoint {
  double x = 0;
  double per_second = 0;
  bool operator==(const CurvePoint&) const = default;
};
using Curve = std::vector<CurvePoint>;  // by growing x

struct CostModel {
  std::array<Rates, kLanes> rates{};  // by Lane
  models::WeightBytes weights;
  // Of the host; empty: its lane's rates stand for them. FLOPs of products, the memory's part in
  // them included, by rows to each matrix: of experts, and of the other matrices. FLOPs of
  // attention by the queries that share a key. Bytes of new keys and values, by rows of a sequence.
  Curve host_experts, host_dense, host_attend, host_store;
};

// The curve at `x`, on a straight line between logarithms; beyond its end level, below its
// beginning in proportion.
double rate_at(const Curve& curve, double x);

// T = latency + max(bytes / b, flops / p)   // HRM eq. 14
int64_t predicted_ns(const Rates& rates, double flops, double bytes);
// Of a stage that states this cost for products with `tokens` rows to each matrix.
int64_t cost_ns(const CostModel& costs, Lane lane, models::StageKind kind, const models::Cost& cost,
                double tokens);
// Of a stage with this load, which states this cost.
int64_t cost_ns(const CostModel& costs, const models::ModelConfig& model, Lane lane,
                const models::Stage& stage, const models::Load& load, const models::Cost& cost);
int64_t stage_ns(const CostModel& costs, const models::ModelConfig& model, Lane lane,
                 const models::Stage& stage, const models::Load& load);
int64_t transfer_ns(const CostModel& costs, Lane lane, const Transfer& transfer);

}  // namespace sluice::schedule
