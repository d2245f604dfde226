// Of a replay: which experts' pages are where, decided by the residency that the engine has
// (memory::WeightPages, here with slots of no size), and which experts tokens choose.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "base/random.h"
#include "memory/weight_pages.h"
#include "plan/plan.h"
#include "planner/hrm.h"
#include "schedule/residency_table.h"

namespace sluice::planner {

class ReplayExperts {
 public:
  // kNoRoom for a model of more pages than that.
  static Result<std::unique_ptr<ReplayExperts>> create(const Subject& subject,
                                                       const plan::Plan& plan, int64_t most_pages);

  const schedule::Residency& residency() const { return table_.residency(); }
  // While nothing is in flight: which are kept, for iterations of so many rows.
  void settle(int64_t rows);

  enum class Claim : uint8_t { kThere, kMoves, kNoRoom };
  // `flight`: whose iteration asks.
  Claim claim(const schedule::Transfer& transfer, size_t flight);
  void moved(const schedule::Transfer& transfer);  // its task ended; of any transfer
  void release(const schedule::PageRange& range, size_t flight);

 private:
  ReplayExperts(const Subject& subject, const plan::Plan& plan);

  const plan::Plan& plan_;
  int experts_ = 0;
  memory::ExpertUse use_;
  std::unique_ptr<memory::WeightPages> pages_;
  schedule::ResidencyTable table_;
};

// Draws which experts some rows choose, in a fixed pseudo-random order: the same replay draws the
// same.
class RoutingSampler {
 public:
  // [experts], (token, expert) pairs of each; valid until the next call.
  std::span<const int32_t> sample(const Routing& routing, int64_t rows, int top_k);

 private:
  base::SplitMix64 random_{base::kSplitMixStep};
  std::vector<int32_t> counts_;
};

}  // namespace sluice::planner
