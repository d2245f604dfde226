#include "planner/replay_experts.h"

#include <algorithm>
#include <cmath>

namespace sluice::planner {

using schedule::Level;

namespace {

constexpr int64_t kNoBytes = 4096;  // the least a slot can have
// Rows for which every choice is drawn; of more, counts are expected values, rounded by draws.
constexpr int64_t kDrawnRows = 16;

}  // namespace

ReplayExperts::ReplayExperts(const Subject& subject, const plan::Plan& plan)
    : plan_(plan),
      experts_(subject.model.max_experts()),
      use_(subject.model.layer_count(), experts_, subject.model.max_top_k()),
      table_(subject.model, page_bytes(subject.model, subject.weights),
             plan.device_bytes > 0 ? Level::kDevice : Level::kHost,
             plan.device_bytes > 0 ? Level::kHost : Level::kDisk) {}

Result<std::unique_ptr<ReplayExperts>> ReplayExperts::create(const Subject& subject,
                                                             const plan::Plan& plan,
                                                             int64_t most_pages) {
  const int64_t all = int64_t{subject.model.layer_count()} * subject.model.max_experts();
  if (all > most_pages) {
    return Error{ErrorCode::kNoRoom, "a replay holds " + std::to_string(most_pages) +
                                         " experts; this model has " + std::to_string(all)};
  }
  std::unique_ptr<ReplayExperts> made(new ReplayExperts(subject, plan));
  SLUICE_ASSIGN(made->pages_,
                memory::WeightPages::create(
                    {.layers = subject.model.layer_count(),
                     .pages_per_layer = made->experts_,
                     .slot_bytes = kNoBytes,
                     .slots = plan.expert_slots,
                     .reserved = memory::reserved_slots(plan.expert_slots, plan.moving_slots),
                     .holders = static_cast<int>(plan.micro_batches())}));
  // What is assumed of the model: positions are experts, the most used first.
  std::vector<int32_t> chosen(static_cast<size_t>(made->experts_));
  constexpr double kRows = 4096;
  for (const LayerKind& kind : subject.layers.kinds) {
    if (kind.routing < 0) continue;
    const auto shares = subject.layers.routings[static_cast<size_t>(kind.routing)].shares();
    for (size_t e = 0; e < shares.size(); ++e)
      chosen[e] = static_cast<int32_t>(std::llround(shares[e] * kRows));
    for (int layer = 0; layer < subject.model.layer_count(); ++layer) {
      const auto& layers = subject.model.layers;
      if (layers[static_cast<size_t>(layer)] == layers[static_cast<size_t>(kind.layer)])
        made->use_.add(layer, std::span<const int32_t>(chosen).first(shares.size()),
                       static_cast<int64_t>(kRows));
    }
  }
  // A replay begins as a run that has gone on for a while: slots hold the most used pages.
  const int64_t fill = plan.expert_slots - plan.moving_slots;
  for (int round = 0; round < made->experts_ && made->pages_->resident_pages() < fill; ++round) {
    for (int layer = 0; layer < subject.model.layer_count(); ++layer) {
      if (round >= subject.model.layers[static_cast<size_t>(layer)].ffn.experts) continue;
      const memory::WeightPageId page = made->pages_->id(layer, round);
      if (made->pages_->claim(page, 0) == memory::WeightPages::Claim::kLoad) {
        made->pages_->loaded(page);
        made->pages_->release(page, 0);
      }
    }
  }
  made->settle(plan.max_num_tokens);
  return made;
}

void ReplayExperts::settle(int64_t rows) {
  pages_->settle(use_, rows, plan_.moving_slots);
  table_.settle(*pages_, use_, true);
}

ReplayExperts::Claim ReplayExperts::claim(const schedule::Transfer& transfer, size_t flight) {
  switch (pages_->claim(transfer.pages.first, static_cast<int>(flight),
                        transfer.urgency == schedule::Urgency::kAhead)) {
    case memory::WeightPages::Claim::kResident:
      return Claim::kThere;
    case memory::WeightPages::Claim::kLoading:  // a lane moves one page at a time
    case memory::WeightPages::Claim::kNoRoom:
      return Claim::kNoRoom;
    case memory::WeightPages::Claim::kLoad:
      return Claim::kMoves;
  }
  base::check_failed("known claim", "a Claim outside its enum", __FILE__, __LINE__);
}

void ReplayExperts::moved(const schedule::Transfer& transfer) {
  if (transfer.payload != schedule::Payload::kWeights) return;
  if (!pages_->resident(transfer.pages.first)) pages_->loaded(transfer.pages.first);
}

void ReplayExperts::release(const schedule::PageRange& range, size_t flight) {
  for (uint32_t i = 0; i < range.count; ++i)
    pages_->release(range.first + i, static_cast<int>(flight));
}

std::span<const int32_t> RoutingSampler::sample(const Routing& routing, int64_t rows, int top_k) {
  const auto shares = routing.shares();
  counts_.assign(shares.size(), 0);
  const auto experts = static_cast<int64_t>(shares.size());
  if (rows <= kDrawnRows) {
    // Systematic sampling of top_k experts with their shares: an expert at most once a row.
    for (int64_t row = 0; row < rows; ++row) {
      double next = random_.uniform(), sum = 0;
      const auto turn = static_cast<size_t>(random_.uniform() * static_cast<double>(experts));
      for (size_t i = 0; i < shares.size(); ++i) {
        const size_t e = (i * 7919 + turn) % shares.size();
        sum += shares[e];
        if (sum <= next) continue;
        ++counts_[e];
        next += 1;
      }
    }
    return counts_;
  }
  int64_t left = rows * top_k;
  for (size_t e = 0; e < shares.size(); ++e) {
    const double expected = shares[e] * static_cast<double>(rows);
    // A rare expert is hit or not; one that is hit often gets its share.
    const auto count = std::min<int64_t>(static_cast<int64_t>(expected + random_.uniform()), left);
    counts_[e] = static_cast<int32_t>(count);
    left -= count;
  }
  for (size_t e = 0; left > 0; e = (e + 1) % shares.size()) {
    if (counts_[e] >= rows) continue;
    ++counts_[e];
    --left;
  }
  return counts_;
}

}  // namespace sluice::planner
