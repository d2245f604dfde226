// Routers whose experts are chosen as often as one likes.
//
// A router is linear and has no bias, and no linear map of directionless hidden states can prefer
// an expert for more than half of the tokens: what h chooses first, -h chooses last. So a skewed
// model gets what trained ones have, a direction that all its hidden states share. Each embedding
// is noise of unit variance plus the vector of +-1 given by common_sign(); the residual branches
// add little (see model_writer.cc), so the direction keeps about half of a state's power through
// all layers. Router rows are noise orthogonal to it plus a multiple of it, which acts as a bias.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "bench/make_model/random_normal.h"

namespace sluice::bench {

// The share of a hidden state's power in the common direction: one half after the embedding, less
// by a ninth of it after the last layer; here its middle.
constexpr double kCommonPower = 0.47;

// No expert is asked to take part in more tokens than this; what Zipf's law would give it beyond
// goes to the others in proportion.
constexpr double kMaxInclusion = 0.95;

// +1 or -1 for each of the hidden dimensions.
float common_sign(uint64_t seed, int64_t dimension);

// How likely each expert, most popular first, is among the `top_k` of a token: top_k times Zipf's
// share 1 / rank^alpha, capped. alpha 0 is uniform. Sums to top_k.
std::vector<double> zipf_inclusion(int experts, int top_k, double alpha);

// Logit offsets, in standard deviations of the logits' independent normal noise, under which the
// top_k largest include each expert that often. Found by a seeded simulation, good to a few per
// cent of each.
std::vector<double> offsets_for(const std::vector<double>& inclusion, int top_k, uint64_t seed);

// The router of one layer as f32, [experts, hidden]. alpha 0: plain rows of variance 1 / hidden.
// Which expert is the popular one differs from layer to layer: `ranking` gives the experts, most
// popular first.
struct RouterRows {
  std::vector<float> rows;
  std::vector<int> ranking;
};
RouterRows router_rows(int experts, int64_t hidden, const std::vector<double>& offsets,
                       uint64_t seed, std::string_view name);

}  // namespace sluice::bench
