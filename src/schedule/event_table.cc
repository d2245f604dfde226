#include "schedule/event_table.h"

#include <algorithm>
#include <bit>

#include "base/check.h"

namespace sluice::schedule {

EventTable::EventTable(int64_t events, int64_t waits)
    : entries_(std::bit_ceil(static_cast<size_t>(std::max<int64_t>(2 * events, 2)))),
      waiters_(static_cast<size_t>(waits)),
      capacity_(events) {
  for (size_t i = waiters_.size(); i > 0; --i) free_waiter(static_cast<uint32_t>(i - 1));
}

size_t EventTable::home(const Event& event) const {
  uint64_t key = static_cast<uint64_t>(event.kind) | uint64_t{event.micro_batch} << 8 |
                 uint64_t{static_cast<uint16_t>(event.layer)} << 24;
  key = (key ^ event.index) * 0x9e3779b97f4a7c15u;
  key = (key ^ (key >> 29) ^ static_cast<uint64_t>(event.iteration)) * 0xbf58476d1ce4e5b9u;
  return (key ^ (key >> 32)) & (entries_.size() - 1);
}

size_t EventTable::find(const Event& event) const {
  size_t i = home(event);
  while (entries_[i].used && !(entries_[i].event == event)) i = (i + 1) & (entries_.size() - 1);
  return i;
}

EventTable::Entry& EventTable::find_or_add(const Event& event) {
  Entry& entry = entries_[find(event)];
  if (!entry.used) {
    SLUICE_CHECK(used_ < capacity_, "the event table has room for what was admitted");
    ++used_;
    entry.event = event;
    entry.state = State::kPending;
    entry.used = true;
    entry.waits_seen = entry.waits_left = 0;
    entry.waiters = kNone;
  }
  return entry;
}

// Backward-shift deletion: later entries of the same run move up, so no tombstones gather.
void EventTable::erase(Entry& entry) {
  const size_t mask = entries_.size() - 1;
  size_t hole = static_cast<size_t>(&entry - entries_.data());
  for (size_t i = (hole + 1) & mask; entries_[i].used; i = (i + 1) & mask) {
    const size_t distance = (i - home(entries_[i].event)) & mask;
    if (distance < ((i - hole) & mask)) continue;
    std::swap(entries_[hole], entries_[i]);
    hole = i;
  }
  entries_[hole].used = false;
  entries_[hole].error = {};
  --used_;
}

EventTable::State EventTable::wait(const Event& event, TaskRef waiter, Error& error) {
  Entry& entry = find_or_add(event);
  if (entry.state == State::kPending) {
    SLUICE_CHECK(free_waiters_ != kNone, "the event table has room for the waits admitted");
    const uint32_t index = free_waiters_;
    free_waiters_ = waiters_[index].next;
    waiters_[index] = {waiter, entry.waiters};
    entry.waiters = index;
    ++entry.waits_seen;
    return State::kPending;
  }
  const State state = entry.state;
  if (state == State::kFailed) error = entry.error;
  if (--entry.waits_left == 0) erase(entry);
  return state;
}

void EventTable::withdraw(const Event& event, TaskRef waiter) {
  Entry& entry = entries_[find(event)];
  if (!entry.used) return;
  for (uint32_t* at = &entry.waiters; *at != kNone; at = &waiters_[*at].next) {
    if (!(waiters_[*at].task == waiter)) continue;
    const uint32_t gone = *at;
    *at = waiters_[gone].next;
    return free_waiter(gone);
  }
}

uint32_t EventTable::resolve(const Signal& signal, const Error* error) {
  if (signal.waits == 0) return kNone;
  Entry& entry = find_or_add(signal.event);
  SLUICE_CHECK(entry.state == State::kPending, "an event has one signaller");
  SLUICE_CHECK(entry.waits_seen <= signal.waits, "an event has no more waits than it states");
  const uint32_t waiters = entry.waiters;
  entry.waiters = kNone;
  entry.waits_left = signal.waits - entry.waits_seen;
  entry.state = error == nullptr ? State::kDone : State::kFailed;
  if (error != nullptr) entry.error = *error;
  if (entry.waits_left == 0) erase(entry);
  return waiters;
}

void EventTable::free_waiter(uint32_t waiter) {
  waiters_[waiter] = {TaskRef{}, free_waiters_};
  free_waiters_ = waiter;
}

void EventTable::clear() {
  for (Entry& entry : entries_) {
    SLUICE_CHECK(!entry.used || entry.waiters == kNone, "no task waits when events are forgotten");
    entry.used = false;
    entry.error = {};
  }
  used_ = 0;
}

std::optional<Event> EventTable::pending() const {
  for (const Entry& entry : entries_) {
    if (entry.used && entry.waiters != kNone) return entry.event;
  }
  return std::nullopt;
}

}  // namespace sluice::schedule
