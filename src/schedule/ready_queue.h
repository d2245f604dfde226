// The tasks of one lane that may start, in the order in which they will.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "schedule/event_table.h"

namespace sluice::schedule {

// A binary heap: lowest rank first, then the older iteration, then the earlier task. Grows never
// past what it was reserved for, since each task in flight is in it at most once.
class ReadyQueue {
 public:
  struct Item {
    int64_t rank = 0;
    uint64_t iteration = 0;
    TaskRef ref;
  };

  void reserve(int64_t tasks) { heap_.reserve(static_cast<size_t>(tasks)); }
  bool empty() const { return heap_.empty(); }
  size_t size() const { return heap_.size(); }

  void push(const Item& item) {
    heap_.push_back(item);
    std::push_heap(heap_.begin(), heap_.end(), later);
  }

  TaskRef pop() {
    std::pop_heap(heap_.begin(), heap_.end(), later);
    const TaskRef ref = heap_.back().ref;
    heap_.pop_back();
    return ref;
  }

  void remove_iteration(uint64_t iteration) {
    std::erase_if(heap_, [&](const Item& item) { return item.iteration == iteration; });
    std::make_heap(heap_.begin(), heap_.end(), later);
  }

 private:
  static bool later(const Item& a, const Item& b) {
    if (a.rank != b.rank) return a.rank > b.rank;
    if (a.iteration != b.iteration) return a.iteration > b.iteration;
    return a.ref.task > b.ref.task;
  }

  std::vector<Item> heap_;
};

}  // namespace sluice::schedule
