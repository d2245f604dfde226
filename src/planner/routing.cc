#include "planner/routing.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numbers>

#include "base/check.h"

namespace sluice::planner {
namespace {

constexpr size_t kMostRemembered = 4096;

double chance(double share, double rows) { return 1 - std::pow(1 - share, rows); }

}  // namespace

Routing::Routing(std::vector<double> shares) : shares_(std::move(shares)) {
  SLUICE_CHECK(!shares_.empty(), "a layer that routes has experts");
  std::sort(shares_.begin(), shares_.end(), std::greater<>());
  share_sums_.assign(1, 0);
  for (const double share : shares_) share_sums_.push_back(share_sums_.back() + share);
  even_ = shares_.front() == shares_.back();
}

Routing Routing::uniform(int experts, int top_k) {
  return Routing(
      std::vector<double>(static_cast<size_t>(experts), static_cast<double>(top_k) / experts));
}

Routing Routing::zipf(int experts, int top_k, double exponent) {
  std::vector<double> shares(static_cast<size_t>(experts));
  for (size_t i = 0; i < shares.size(); ++i)
    shares[i] = std::pow(static_cast<double>(i + 1), -exponent);
  // Scaled so that all sum to top_k; what would pass 1 is shared by those below.
  double left = top_k;
  double weights = 0;
  for (const double share : shares) weights += share;
  for (double& share : shares) {
    const double weight = share;
    share = std::min(1.0, weights > 0 ? weight * left / weights : 0.0);
    left -= share;
    weights -= weight;
  }
  return Routing(std::move(shares));
}

Routing Routing::measured(std::vector<double> shares) { return Routing(std::move(shares)); }

double Routing::up_to(const std::vector<double>& sums, double share) {
  const double at = std::clamp(share, 0.0, 1.0) * static_cast<double>(sums.size() - 1);
  const auto whole = std::min(static_cast<size_t>(at), sums.size() - 2);
  return sums[whole] + (at - static_cast<double>(whole)) * (sums[whole + 1] - sums[whole]);
}

const std::vector<double>& Routing::hit_sums(double rows) const {
  const auto known = hit_sums_.find(rows);
  if (known != hit_sums_.end()) return known->second;
  if (hit_sums_.size() >= kMostRemembered) hit_sums_.clear();
  std::vector<double> sums(1, 0.0);
  for (const double share : shares_) sums.push_back(sums.back() + chance(share, rows));
  return hit_sums_.emplace(rows, std::move(sums)).first->second;
}

double Routing::distinct(double rows, double from, double to) const {
  if (even_) return (to - from) * static_cast<double>(experts()) * chance(shares_.front(), rows);
  const std::vector<double>& sums = hit_sums(rows);
  return up_to(sums, to) - up_to(sums, from);
}

double Routing::tokens(double rows, double from, double to) const {
  return rows * (up_to(share_sums_, to) - up_to(share_sums_, from));
}

double Routing::hit(int place, double rows) const {
  return chance(shares_[static_cast<size_t>(place)], rows);
}

// The count is nearly Poisson, and its tail nearly normal.
double in_tiles(double rows, int tile) {
  constexpr double kSurely = 6;  // deviations
  const double deviation = std::sqrt(rows);
  double tiles = 1;
  for (int64_t first = tile;; first += tile) {  // rows before the next tile
    const double above = (static_cast<double>(first) + 0.5 - rows) / deviation;
    if (above > kSurely) return tiles * tile;
    tiles += std::erfc(above / std::numbers::sqrt2) / 2;
  }
}

}  // namespace sluice::planner
