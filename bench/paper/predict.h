// Predictions of what the paper publishes.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "bench/paper/paper_machine.h"

namespace sluice::bench {

struct Prediction {
  planner::Candidate candidate;
  planner::Estimate estimate;
};

// By device: "T4", "L4". A device without them has its peaks.
using Constants = std::map<std::string, planner::Efficiency>;

class Paper {
 public:
  // The published models' shapes; they are known, so this cannot fail.
  Paper();

  // What the published policy takes.
  Prediction predict(const Published& point, const Constants& constants) const;
  // What the search finds instead, of MoE-Lightning's policies, at the peaks.
  planner::Choice search(const Published& point) const;
  // Both constants of a device, by least squares of the logarithms of predicted over published, on
  // MTBench's rows of its one-device setting with 32 and 64 generated tokens.
  planner::Efficiency fit(const std::string& device) const;

 private:
  struct Model {
    models::ModelConfig config;
    planner::Layers layers;
    planner::WeightSizes weights;
  };
  const Model& model(const Setting& setting) const;
  planner::Candidate policy(const Published& point, const Setting& setting) const;

  std::map<std::string, Model> models_;
};

const Setting& setting_of(const Published& point);
bool fitted_on(const Published& point);

// exp(mean |ln(predicted / published)|) - 1: how far off a point is, up or down.
class MeanError {
 public:
  void add(double predicted, double published);
  double percent() const;
  int count() const { return count_; }

 private:
  double sum_ = 0;
  int count_ = 0;
};

// Pairs of published points of one setting, workload and length: whether the faster one is
// predicted faster.
struct Order {
  int pairs = 0, same = 0;
};
Order order(const Paper& paper, const Constants& constants);

}  // namespace sluice::bench
