// The planner: for this model, this machine and this workload, what should live where, what should
// be computed where, how large the batch should be, how fast it will be, and what would make it
// faster. A pure function; reads no clock and no file.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "hardware/hardware.h"
#include "plan/plan.h"
#include "planner/predict.h"
#include "planner/search.h"

namespace sluice::planner {

struct Question {
  models::ModelConfig model;
  std::string model_name;
  // Of weights that are here: what they take as they are, which the quantization "none" stands for.
  // Else, and of any other quantization, reckoned from the config and the type they are stored in.
  std::optional<WeightSizes> weights;
  tensor::DType stored = tensor::DType::kBF16;
  hardware::Hardware hardware;
  int devices = 1;
  Efficiency efficiency;
  Workload workload;
  Objective objective = Objective::kThroughput;
  double deadline_seconds = 0;
  std::vector<std::string> quants = {"none"};  // that may be chosen
  std::vector<kernels::KvDType> kv_dtypes;     // empty: as wide as the weights are stored
  RoutingSkew skew;
  std::string schedule = "auto";
  std::vector<plan::Place> experts_on;  // of a device's, that may be chosen; empty: all
  bool runnable_only = false;           // of this program, today
  int64_t batch = 0, micro_batch = 0, max_num_tokens = 0;  // 0: searched
  double most_resident_weights = 1;
  bool kv_on_disk = false;            // a part of the cache may lie there
  std::optional<double> resident_kv;  // of the cache, where attention runs; none: searched
  bool replays = true;
  std::optional<Candidate> first;  // of the search, as `stride` (SearchOptions)
  int stride = 1;
};

// One answer, with everything that explains it.
struct Answer {
  // What it was made for; held here because the rest points into it.
  models::ModelConfig model;
  Machine machine;
  Layers layers;
  WeightSizes weights;
  Subject subject() const { return {model, machine, layers, weights}; }

  Candidate candidate;
  Estimate estimate;  // by the roofline, its pass with its work
  Footprint footprint;
  plan::Plan plan;    // concrete; of a schedule that runs here, as the engine would reserve it
  bool runs = false;  // this program can run it
  std::string why_not;
  std::optional<Replayed> replayed;

  int64_t costed = 0;
  double tokens_per_second = 0;  // predicted: the roofline's, stretched as the replay was
  double seconds = 0;
  double seconds_per_token = 0;
};

// kInvalid for wishes that contradict each other; kNoRoom says what is missing, and the smallest
// change that makes it fit.
Result<Answer> answer(const Question& question);

// "2 x the link": the same question on a machine, or of a workload, that differs in one thing.
struct WhatIf {
  std::string what;
  double gain = 1;  // predicted tokens per second over the answer's
};
// Most useful first.
std::vector<WhatIf> what_ifs(const Question& question, const Answer& answer);

// The plan that a candidate stands for: as fit_plan() reserves it if its schedule is built here.
// kNoRoom, kInvalid as there.
Result<plan::Plan> plan_of(const Subject& subject, const Candidate& candidate,
                           const Workload& workload);

}  // namespace sluice::planner
