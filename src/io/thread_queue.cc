// Device calls by threads that pread and pwrite: what is left where io_uring is missing.
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "io/device_queue.h"

namespace sluice::io {
namespace {

constexpr int kMaxThreads = 64;

// First in, first out, of a fixed size.
template <class T>
class Ring {
 public:
  explicit Ring(size_t size) : items_(size) {}
  bool empty() const { return count_ == 0; }
  void clear() { count_ = 0; }
  void push(const T& item) {
    SLUICE_CHECK(count_ < items_.size(), "a slot has one call under way");
    items_[(first_ + count_++) % items_.size()] = item;
  }
  T pop() {
    const T item = items_[first_];
    first_ = (first_ + 1) % items_.size();
    --count_;
    return item;
  }

 private:
  std::vector<T> items_;
  size_t first_ = 0, count_ = 0;
};

class ThreadQueue : public DeviceQueue {
 public:
  explicit ThreadQueue(int depth)
      : waiting_(static_cast<size_t>(depth)), ended_(static_cast<size_t>(depth)) {
    for (int i = 0; i < depth; ++i) threads_.emplace_back([this] { work(); });
  }

  ~ThreadQueue() override {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
      waiting_.clear();
    }
    something_waits_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  Backend backend() const override { return Backend::kThreads; }
  int depth() const override { return static_cast<int>(threads_.size()); }

  // A descriptor is all that they know.
  std::optional<std::string> register_file(FileId, int) override { return std::nullopt; }
  std::optional<std::string> register_memory(std::span<std::byte>) override {
    return "only io_uring registers memory";
  }

  void start(int slot, const DeviceCall& call) override {
    {
      const std::lock_guard lock(mutex_);
      waiting_.push({slot, call});
    }
    something_waits_.notify_one();
  }
  void flush() override {}

  size_t collect(std::span<DeviceResult> out, int64_t timeout_ms, bool& woken) override {
    std::unique_lock lock(mutex_);
    const auto ready = [this] { return woken_ || !ended_.empty(); };
    if (timeout_ms > 0) {
      something_ended_.wait_for(lock, std::chrono::milliseconds(timeout_ms), ready);
    }
    size_t count = 0;
    while (count < out.size() && !ended_.empty()) out[count++] = ended_.pop();
    // Whoever only looks does not take a wake() in.
    if (count == 0 && timeout_ms != 0) woken = std::exchange(woken_, false);
    return count;
  }

  void wake() override {
    {
      const std::lock_guard lock(mutex_);
      woken_ = true;
    }
    something_ended_.notify_one();
  }

 private:
  struct Waiting {
    int slot = 0;
    DeviceCall call;
  };

  void work() {
    std::unique_lock lock(mutex_);
    while (true) {
      something_waits_.wait(lock, [this] { return stop_ || !waiting_.empty(); });
      if (stop_) return;
      const Waiting next = waiting_.pop();
      lock.unlock();
      const DeviceCall& call = next.call;
      const auto bytes = static_cast<size_t>(call.bytes);
      const int64_t moved = call.writes ? ::pwrite(call.fd, call.memory, bytes, call.offset)
                                        : ::pread(call.fd, call.memory, bytes, call.offset);
      const int64_t result = moved < 0 ? -int64_t{errno} : moved;
      lock.lock();
      ended_.push({next.slot, result});
      something_ended_.notify_one();
    }
  }

  std::mutex mutex_;
  std::condition_variable something_waits_, something_ended_;
  Ring<Waiting> waiting_;
  Ring<DeviceResult> ended_;
  bool woken_ = false, stop_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace

std::unique_ptr<DeviceQueue> make_thread_queue(int depth) {
  return std::make_unique<ThreadQueue>(std::min(depth, kMaxThreads));
}

}  // namespace sluice::io
