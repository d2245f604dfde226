// Keeps the disk busy ahead of whoever reads parts of files one after another.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace sluice::models {

class ReadAhead {
 public:
  // Asked for at a time; enough for any disk to be at its full pace.
  static constexpr int64_t kBytes = int64_t{64} << 20;

  // `ends`: how many bytes parts 0 to i have together.
  explicit ReadAhead(std::vector<int64_t> ends = {}) : ends_(std::move(ends)) {}

  // Part `at` is read now: prefetch(i) for those behind it that were not asked for yet, at least
  // one, up to kBytes. Going back to the first begins anew.
  template <class Prefetch>
  void reach(size_t at, Prefetch&& prefetch) {
    if (at == 0 || at > next_) next_ = at;
    while (next_ < ends_.size() && (next_ <= at + 1 || ends_[next_] - ends_[at] <= kBytes))
      prefetch(next_++);
  }

 private:
  std::vector<int64_t> ends_;
  size_t next_ = 0;  // the first not asked for
};

}  // namespace sluice::models
