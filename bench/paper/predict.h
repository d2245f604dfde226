// Predictions of what the paper publishes.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "bench/paper/paper_machine.h"

namespace sluice::bench {

struct Prediction {
  planner::Candidate candidate;  // the published policy, or what the search finds
  bool searched = false;
  planner::Estimate estimate;
};

// By device: "T4", "L4".
using Constants = std::map<std::string, planner::Efficiency>;

class Paper {
 public:
  // The published models' shapes; they are known, so this cannot fail.
  Paper();

  // `search_always`: also where a policy is published.
  Prediction predict(const Published& point, const Constants& constants,
                     bool search_always = false);
  // Both constants of a device, by least squares of the logarithms of predicted over published, on
  // MTBench's rows of its one-device setting with 32 and 64 generated tokens.
  planner::Efficiency fit(const std::string& device);

 private:
  struct Model {
    models::ModelConfig config;
    planner::Layers layers;
    planner::WeightSizes weights;
  };
  const Model& model(const Setting& setting) const;
  planner::Candidate policy(const Published& point, const Setting& setting, bool search_always,
                            bool& searched);

  std::map<std::string, Model> models_;
  std::map<std::string, planner::Candidate> searched_;  // by point: constants do not change them
};

const Setting& setting_of(const Published& point);
bool fitted_on(const Published& point);

}  // namespace sluice::bench
