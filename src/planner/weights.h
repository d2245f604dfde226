// What a model's weights take: those that are here, and under a quantization, from the stages' own
// statements. Nothing is read of a file.
#pragma once

#include <string>
#include <vector>

#include "models/quantization.h"
#include "models/stage.h"
#include "models/weight_source.h"
#include "plan/fit.h"
#include "planner/machine.h"
#include "planner/routing.h"

namespace sluice::planner {

struct WeightSizes {
  models::WeightBytes bytes;  // of one weight; kv is the candidate's
  Formats formats;            // kv is the candidate's
  plan::FitModel fit;         // in memory, as what reserves it wants to know
  int64_t dense_bytes() const { return fit.weight_bytes - fit.expert_bytes; }
};

// Of weights that are here, as they will lie in memory.
WeightSizes weight_sizes(const models::WeightSource& source);
// Of weights stored as `stored`, quantized as `quant` ("none", "q8", ...) says. kInvalid for a name
// that is none.
Result<WeightSizes> weight_sizes(const models::ModelConfig& config, const std::string& quant,
                                 tensor::DType stored = tensor::DType::kBF16);

// Of an expert, by layer; 0 where there are none.
std::vector<int64_t> page_bytes(const models::ModelConfig& config, const WeightSizes& weights);

// How coarse a quantization is: larger is finer. -1 for a name that is none.
int fineness(const std::string& quant);

// A model without experts, whose FFNs could move as experts do: each the one expert of its layer,
// which every token chooses. One with experts comes back as it is.
models::ModelConfig with_movable_ffns(models::ModelConfig config);

// Layers that cost the same.
struct LayerKind {
  int layer = 0;  // one of them
  int count = 0;
  int routing = -1;  // of Layers::routings; -1: dense
};

// What the costs of a pass walk: few kinds of layers, however many layers there are.
struct Layers {
  std::vector<LayerKind> kinds;
  std::vector<Routing> routings;
  // Of the kinds' own layers, as schedule::Residency states them: by place in order of use, the
  // share of tokens that choose an expert.
  std::vector<float> share;
};

// How tokens choose experts: as `measured` counted it or, where that is empty, by Zipf's law.
struct RoutingSkew {
  double zipf_exponent = 0;  // 0: every expert as often as any other
  // By layer: the share of tokens that choose each of its experts, in any order. A layer that has
  // none, and one whose experts are not so many, goes by the law.
  std::vector<std::vector<double>> measured;
};
// Layers of one kind share what was measured of them: the mean of their most used experts, of their
// second, and so on.
Layers layers_of(const models::ModelConfig& config, const RoutingSkew& skew);

}  // namespace sluice::planner
