#include "schedule/expert_fetch.h"

#include <algorithm>
#include <array>

#include "base/check.h"
#include "schedule/chain.h"
#include "schedule/expert_expansion.h"

namespace sluice::schedule {

namespace {

bool may_guess(const Context& context) {
  return context.plan->policy.guess_experts && context.residency.moves();
}

// Of the reads for one guess. More than the slots that pages pass through would find no room.
Bounds guess_bounds(const Context& context) {
  const auto reads = static_cast<int32_t>(
      std::min<int64_t>(context.model->max_experts(), context.plan->moving_slots));
  int64_t page = 0;
  for (int64_t bytes : context.residency.page_bytes) page = std::max(page, bytes);
  return {.tasks = reads, .bytes = reads * page};
}

// The experts of the layer that are not there and may be read before they are asked for, the
// likeliest first.
void add_guesses(const Context& context, int layer, std::span<const int32_t> points, int32_t most,
                 Subgraph& out) {
  const Residency& residency = context.residency;
  std::array<int16_t, models::kMaxExperts> guessed;
  int count = 0;
  for (int expert = 0; expert < std::ssize(points); ++expert) {
    if (points[static_cast<size_t>(expert)] == 0) continue;
    if (residency.expert(layer, expert) != Level::kDisk) continue;
    if (!residency.share.empty() && residency.share[residency.page(layer, expert)] <= 0) continue;
    guessed[static_cast<size_t>(count++)] = static_cast<int16_t>(expert);
  }
  std::sort(guessed.begin(), guessed.begin() + count, [&](int16_t a, int16_t b) {
    const int32_t points_a = points[static_cast<size_t>(a)];
    const int32_t points_b = points[static_cast<size_t>(b)];
    return points_a != points_b ? points_a > points_b : a < b;
  });
  for (int i = 0; i < std::min(count, most); ++i) {
    add_page({}, context, layer, guessed[static_cast<size_t>(i)], Urgency::kGuess,
             guess_rank(layer), out);
  }
}

}  // namespace

void ExpertFetch::iteration(const Context& context, Subgraph& out) const {
  const Bounds guess = guess_bounds(context);
  const bool guesses = may_guess(context) && context.batch.rows <= models::kMaxGuessRows;
  chain_iteration(context, expansion_bounds(context), out, guesses ? &guess : nullptr);
}

void ExpertFetch::expand(const Context& context, const ExpansionPoint& point,
                         const RoutingOutcome& outcome, Subgraph& out) const {
  if (!point.guess) return PagedExperts::expand(context, point, outcome, out);
  add_guesses(context, point.layer, outcome.expert_tokens, point.bounds.tasks, out);
}

BuilderBounds ExpertFetch::bounds(const Context& context) const {
  return {chain_bounds(context, may_guess(context)), expansion_bounds(context)};
}

}  // namespace sluice::schedule
