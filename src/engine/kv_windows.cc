#include "engine/kv_windows.h"

#include <algorithm>

#include "base/check.h"

namespace sluice::engine {

bool KvWindows::claim(size_t flight, int layer, int part) {
  const std::lock_guard lock(mutex_);
  for (Window& window : windows_) {
    if (window.used) continue;
    window = {.used = true, .flight = flight, .layer = layer, .part = part};
    return true;
  }
  return false;
}

void KvWindows::release(size_t flight, int layer, int part) {
  const int window = of(flight, layer, part);
  SLUICE_CHECK(window >= 0, "a window is released once, after its claim");
  const std::lock_guard lock(mutex_);
  windows_[window] = {};
}

void KvWindows::release_all(size_t flight) {
  const std::lock_guard lock(mutex_);
  for (Window& window : windows_) {
    if (!window.used || window.stalled || window.flight != flight) continue;
    if (window.moves) {
      window.stalled = true;
    } else {
      window = {};
    }
  }
}

void KvWindows::begin_move(int window) {
  const std::lock_guard lock(mutex_);
  windows_[window].moves = true;
}

void KvWindows::end_move(int window) {
  const std::lock_guard lock(mutex_);
  windows_[window].moves = false;
  if (windows_[window].stalled) windows_[window] = {};
}

int KvWindows::used() const {
  const std::lock_guard lock(mutex_);
  return static_cast<int>(std::ranges::count_if(
      windows_, [](const Window& window) { return window.used && !window.stalled; }));
}

int KvWindows::stalled() const {
  const std::lock_guard lock(mutex_);
  return static_cast<int>(std::ranges::count_if(windows_, &Window::stalled));
}

int KvWindows::of(size_t flight, int layer, int part) const {
  const std::lock_guard lock(mutex_);
  for (int i = 0; i < kCount; ++i) {
    const Window& window = windows_[i];
    if (window.used && !window.stalled && window.flight == flight && window.layer == layer &&
        window.part == part) {
      return i;
    }
  }
  return -1;
}

}  // namespace sluice::engine
