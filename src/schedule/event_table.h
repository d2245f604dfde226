// The events that somebody waits for or will wait for. Sized once; never allocates but for an
// error's text.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/error.h"
#include "schedule/task.h"

namespace sluice::schedule {

class EventTable {
 public:
  enum class State : uint8_t { kPending, kDone, kFailed };

  // Room for `events` names and `waits` waiting tasks at a time.
  EventTable(int64_t events, int64_t waits);

  // Registers one wait. Anything but kPending: it counts as made, and nothing is kept of the
  // waiter. For kFailed `error` is why.
  State wait(const Event& event, TaskRef waiter, Error& error);

  // Resolves an event, with an error if its cause failed. Calls released(TaskRef) for every task
  // that waits for it.
  template <class Released>
  void signal(const Signal& signal, const Error* error, Released&& released) {
    uint32_t waiter = resolve(signal, error);
    while (waiter != kNone) {
      const Waiter at = waiters_[waiter];
      free_waiter(waiter);
      waiter = at.next;
      released(at.task);
    }
  }

  // The waiter will never run: it is not released any more. Its wait still counts as made.
  void withdraw(const Event& event, TaskRef waiter);

  // Forgets every event; no task may be waiting.
  void clear();

  int64_t size() const { return used_; }
  int64_t capacity() const { return capacity_; }
  // Any event that tasks wait for, for a message about a stall.
  std::optional<Event> pending() const;

 private:
  struct Entry {
    Event event;
    State state = State::kPending;
    bool used = false;
    uint32_t waits_seen = 0;
    uint32_t waits_left = 0;  // once resolved
    uint32_t waiters = kNone;
    Error error;
  };
  struct Waiter {
    TaskRef task;
    uint32_t next = kNone;
  };

  size_t home(const Event& event) const;
  size_t find(const Event& event) const;  // its place, or the empty one where it belongs
  Entry& find_or_add(const Event& event);
  void erase(Entry& entry);
  uint32_t resolve(const Signal& signal, const Error* error);
  void free_waiter(uint32_t waiter);

  std::vector<Entry> entries_;  // open addressing, linear probing, a power of two
  std::vector<Waiter> waiters_;
  uint32_t free_waiters_ = kNone;
  int64_t used_ = 0;
  int64_t capacity_ = 0;
};

}  // namespace sluice::schedule
