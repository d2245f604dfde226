// How often each expert is chosen, measured as tokens go by: what decides which experts stay in
// memory, and which are worth reading before a router has asked for them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace sluice::memory {

class ExpertUse {
 public:
  // Nothing is known at first: every expert of a layer is held to be as likely as any other.
  // `layers`, `experts`: of the model; `top_k`: experts of one token.
  ExpertUse(int layers, int experts, int top_k);

  // What one layer's router decided for `rows` tokens; `expert_tokens` [experts].
  void add(int layer, std::span<const int32_t> expert_tokens, int64_t rows);

  // The share of tokens that choose this expert (0..1).
  double share(int layer, int expert) const;
  // How likely it is that at least one of `rows` tokens chooses it.
  double probability(int layer, int expert, int64_t rows) const;

  int layers() const { return layers_; }
  int experts() const { return experts_; }

  // What a later run begins with: decayed counts, [layer * experts + expert], and the tokens of
  // each layer that they are of.
  std::span<const double> counts() const { return counts_; }
  std::span<const double> tokens() const { return tokens_; }
  // False, and nothing is changed, if the sizes are not this model's or a number is none.
  bool restore(std::span<const double> counts, std::span<const double> tokens);

 private:
  int layers_, experts_, top_k_;
  std::vector<double> counts_;
  std::vector<double> tokens_;  // [layers]
};

}  // namespace sluice::memory
