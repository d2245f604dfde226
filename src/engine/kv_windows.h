// Who has which of the windows that keys and values pass through where attention runs.
#pragma once

#include <cstddef>
#include <mutex>

#include "memory/streamed_kv_size.h"

namespace sluice::engine {

// From any thread.
class KvWindows {
 public:
  static constexpr int kCount = memory::kKvWindows;

  // For one layer of a part of a micro-batch; false if none is free.
  bool claim(size_t flight, int layer, int part = 0);
  int of(size_t flight, int layer, int part = 0) const;  // -1: it has none
  void release(size_t flight, int layer, int part = 0);
  // Once an iteration that failed has ended: the windows that it still has. One in which something
  // still moves is nobody's until that has ended.
  void release_all(size_t flight);
  void begin_move(int window);
  void end_move(int window);
  int used() const;     // of iterations
  int stalled() const;  // nobody's, as release_all() leaves them

 private:
  struct Window {
    bool used = false, moves = false, stalled = false;
    size_t flight = 0;
    int layer = 0, part = 0;
  };

  mutable std::mutex mutex_;
  Window windows_[kCount];
};

}  // namespace sluice::engine
