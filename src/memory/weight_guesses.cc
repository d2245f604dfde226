// Pages that are read because a router may ask for them.
#include "base/check.h"
#include "memory/weight_pages.h"

namespace sluice::memory {

// The share of guesses that were right so far; half of them, before there were any.
double WeightPages::guess_chance() const {
  return static_cast<double>(counts_.guesses_right + 1) /
         static_cast<double>(counts_.guesses_right + counts_.guesses_wrong + 2);
}

void WeightPages::open_guesses(int holder, int layer) {
  const std::lock_guard lock(mutex_);
  end_guesses(holder);
  guessed_layer_[static_cast<size_t>(holder)] = layer;
}

WeightPages::Claim WeightPages::guess(WeightPageId page, int holder) {
  const std::lock_guard lock(mutex_);
  Page& p = pages_[page];
  if (p.state == State::kResident) return Claim::kResident;
  if (p.state == State::kLoading) return Claim::kLoading;
  const int layer = layer_of(page);
  if (guessed_layer_[static_cast<size_t>(holder)] != layer || p.doubtful) return Claim::kNoRoom;
  if (!finds_room(p, true)) return Claim::kNoRoom;
  if (free_.empty() && wait(last_needed(layer), layer) <= wait(page, guess_chance(), layer)) {
    return Claim::kNoRoom;
  }
  --available_;
  start_load(page);
  p.guesser = static_cast<int16_t>(holder);
  return Claim::kLoad;
}

void WeightPages::close_guesses(int holder, int layer, std::span<const int32_t> expert_tokens) {
  const std::lock_guard lock(mutex_);
  if (guessed_layer_[static_cast<size_t>(holder)] != layer) return;
  for (int e = 0; e < std::ssize(expert_tokens); ++e) {
    Page& p = pages_[id(layer, e)];
    if (p.guesser != holder) continue;
    p.guesser = kNobody;
    if (expert_tokens[static_cast<size_t>(e)] > 0) {
      ++counts_.guesses_right;
    } else {
      note_wrong(id(layer, e));
    }
  }
  guessed_layer_[static_cast<size_t>(holder)] = kNoLayer;
}

void WeightPages::note_wrong(WeightPageId page) {
  ++counts_.guesses_wrong;
  ++wrong_guesses_[static_cast<size_t>(layer_of(page))];
}

int64_t WeightPages::wrong_guesses(int layer) const {
  const std::lock_guard lock(mutex_);
  return wrong_guesses_[static_cast<size_t>(layer)];
}

// Of a holder whose router will not speak any more.
void WeightPages::end_guesses(int holder) {
  int& layer = guessed_layer_[static_cast<size_t>(holder)];
  for (int e = 0; layer != kNoLayer && e < shape_.pages_per_layer; ++e) {
    Page& p = pages_[id(layer, e)];
    if (p.guesser == holder) p.guesser = kNobody;
  }
  layer = kNoLayer;
}

}  // namespace sluice::memory
