// Predicted times: a stage's own cost statement against the rates of the lane it runs on.
#pragma once

#include <array>
#include <cstdint>

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

struct CostModel {
  std::array<Rates, kLanes> rates{};  // by Lane
  models::WeightBytes weights;
};

// T = latency + max(bytes / b, flops / p)   // HRM eq. 14
int64_t predicted_ns(const Rates& rates, double flops, double bytes);
int64_t stage_ns(const CostModel& costs, const models::ModelConfig& model, Lane lane,
                 const models::Stage& stage, const models::Load& load);
int64_t transfer_ns(const CostModel& costs, Lane lane, const Transfer& transfer);

}  // namespace sluice::schedule
