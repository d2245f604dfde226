// Which experts a batch hits, as expected values: how many of a layer's experts at least one of so
// many tokens chooses, and how many tokens go to them.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "base/error.h"

namespace sluice::planner {

// One layer's experts, the most used first, each with the share of tokens that choose it.
class Routing {
 public:
  // 1 <= top_k <= experts.
  static Routing uniform(int experts, int top_k);
  // Expert i with weight (i + 1)^-exponent; a token chooses an expert at most once.
  static Routing zipf(int experts, int top_k, double exponent);
  // As counted: a share (0..1) for each expert, in any order.
  static Routing measured(std::vector<double> shares);

  int experts() const { return static_cast<int>(shares_.size()); }
  // Of the experts that lie between these shares of all, in order of use (0 <= from <= to <= 1):
  // how many of them `rows` tokens are expected to hit, choosing independently; and how many
  // (token, expert) pairs are theirs.
  double distinct(double rows, double from = 0, double to = 1) const;
  double tokens(double rows, double from = 0, double to = 1) const;
  // Whether `rows` tokens hit one of them, the one at this place in order of use.
  double hit(int place, double rows) const;

  std::span<const double> shares() const { return shares_; }

 private:
  explicit Routing(std::vector<double> shares);
  // Sums over the first `share` of all experts, an expert cut in between counted in part.
  static double up_to(const std::vector<double>& sums, double share);
  const std::vector<double>& hit_sums(double rows) const;

  std::vector<double> shares_;      // descending
  std::vector<double> share_sums_;  // [experts + 1]
  bool even_ = false;               // all shares are equal
  // By rows: a search asks for few different ones, each of them often.
  mutable std::map<double, std::vector<double>> hit_sums_;
};

// Rows that one expert's products compute where they come in whole tiles: of an expert that is hit
// and has `rows` (at least 1) of many independent tokens on average.
double in_tiles(double rows, int tile);

}  // namespace sluice::planner
