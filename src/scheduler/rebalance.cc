// Which sequences change their micro-batch as they age. Refills come one at a time, each to the one
// slot that is free, so contexts that were balanced at admission drift apart.
#include <algorithm>
#include <cstdlib>
#include <utility>

#include "scheduler/scheduler.h"

namespace sluice::scheduler {

// Where the contexts of `group`, about to be formed, and of the micro-batch that differs most from
// it lie too far apart, one sequence of the heavier changes places with one of the lighter, or
// takes a free slot there. One whose micro-batch is out computes on with it, and joins the other
// when that is formed next: the exchange costs a sequence one turn, so it must halve the
// difference.
void Scheduler::rebalance(int64_t group) {
  int64_t all = 0, other = group;
  const auto apart = [&](int64_t g) { return std::abs(load(g) - load(group)); };
  for (int64_t g = 0; g < std::ssize(groups_); ++g) {
    all += load(g);
    if (apart(g) > apart(other)) other = g;
  }
  if (apart(other) * std::ssize(groups_) * kBalancedParts <= all) return;
  const auto [light, heavy] =
      std::minmax(group, other, [&](int64_t a, int64_t b) { return load(a) < load(b); });
  const Exchange found =
      best_exchange(groups_[static_cast<size_t>(heavy)], groups_[static_cast<size_t>(light)]);
  if (found.leaves < 0) return;
  // Both are out before one is in: no micro-batch ever holds more than its slots.
  drop(found.leaves);
  if (found.comes >= 0) drop(found.comes);
  move_in(found.leaves, light);
  if (found.comes >= 0) move_in(found.comes, heavy);
}

// A sequence of `heavy` and one of `light`, or none where that has a free slot, whose lengths
// differ by about half of what the two do: what is left apart is least, and at most half of what
// was.
Scheduler::Exchange Scheduler::best_exchange(const Group& heavy, const Group& light) {
  exchangeable_.clear();
  for (int32_t member : light.members) {
    if (may_move(sequence(member))) exchangeable_.push_back(member);
  }
  const auto length = [&](int32_t record) { return record < 0 ? 0 : sequence(record).length(); };
  std::ranges::sort(exchangeable_, {}, [&](int32_t r) { return std::pair(length(r), r); });
  // Not into an empty one: its weights would cross for one sequence.
  const bool room = !light.members.empty() && std::ssize(light.members) < light.slots;
  const int64_t difference = heavy.tokens - light.tokens;
  Exchange best;
  int64_t least = difference / 2 + 1;
  const auto consider = [&](int32_t leaves, int32_t comes) {
    const int64_t left = std::abs(difference - 2 * (length(leaves) - length(comes)));
    if (left < least) {
      least = left;
      best = {leaves, comes};
    }
  };
  for (int32_t leaves : heavy.members) {
    if (!may_move(sequence(leaves))) continue;
    if (room) consider(leaves, -1);
    const int64_t wanted = length(leaves) - difference / 2;
    const auto from = std::ranges::lower_bound(exchangeable_, wanted, {}, length);
    if (from != exchangeable_.end()) consider(leaves, *from);
    if (from != exchangeable_.begin()) consider(leaves, *(from - 1));
  }
  return best;
}

// Not twice without having computed anything in between, or it might never come to its turn.
bool Scheduler::may_move(const Sequence& s) const {
  return !s.cancelled && s.computed != s.computed_when_moved;
}

void Scheduler::move_in(int32_t record, int64_t group) {
  join(record, group);
  Sequence& s = sequence(record);
  s.computed_when_moved = s.computed;
  ++counters_.moved;
}

// Among the members of `group`, oldest first.
void Scheduler::join(int32_t record, int64_t group) {
  Sequence& s = sequence(record);
  Group& to = groups_[static_cast<size_t>(group)];
  s.group = static_cast<int>(group);
  to.tokens += s.length();
  const auto younger = [&](int32_t other) { return sequence(other).arrival > s.arrival; };
  to.members.insert(std::ranges::find_if(to.members, younger), record);
}

void Scheduler::drop(int32_t record) {
  Sequence& s = sequence(record);
  Group& from = groups_[static_cast<size_t>(s.group)];
  from.tokens -= s.length();
  std::erase(from.members, record);
  s.group = -1;
}

}  // namespace sluice::scheduler
