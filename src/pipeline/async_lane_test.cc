// Lanes whose tasks go on by themselves: several at once, held for lack of room, failing, hanging.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <deque>

#include "pipeline/executor.h"
#include "pipeline/test_runners.h"
#include "pipeline/trace.h"

namespace sluice::pipeline {
namespace {

using schedule::Context;
using schedule::Dependency;
using schedule::Subgraph;
using std::chrono::milliseconds;
using ::testing::HasSubstr;

// A disk of a few buffers: every read takes one until the host task of the same number gives it
// back. Reads end from the newest to the oldest, so out of order.
class Buffers final : public AsyncTaskRunner {
 public:
  Buffers(int capacity, int buffers) : capacity_(capacity), free_(buffers) {}

  int capacity() const override { return capacity_; }
  Result<Start> start(const schedule::Task& task, const TaskContext&, uint64_t token) override {
    const std::lock_guard lock(mutex_);
    if (task.layer == fails_to_start) return Error{ErrorCode::kIo, "no such page"};
    if (free_ == 0) {
      ++held;
      return Start::kNoRoom;
    }
    --free_;
    order.push_back(task.layer);
    if (task.layer % 5 == 3) return Start::kDone;
    if (task.layer == hangs) {
      hung_ = {token, {}};
      return Start::kStarted;
    }
    started_.push_back(
        {token, task.layer == fails ? Status(Error{ErrorCode::kIo, "page 7"}) : Status()});
    most = std::max(most, started_.size());
    return Start::kStarted;
  }
  size_t poll(std::span<Ended> ended, int64_t timeout_ms) override {
    std::unique_lock lock(mutex_);
    woken_.wait_for(lock, milliseconds(timeout_ms), [&] { return wake_ || !started_.empty(); });
    wake_ = false;
    if (started_.empty()) return 0;
    ended[0] = started_.back();
    started_.pop_back();
    return 1;
  }
  void wake() override {
    const std::lock_guard lock(mutex_);
    wake_ = true;
    woken_.notify_one();
  }
  void give_back() {
    const std::lock_guard lock(mutex_);
    ++free_;
  }
  void end_hang() {
    const std::lock_guard lock(mutex_);
    started_.push_back(hung_);
    woken_.notify_one();
  }

  int fails = -1, fails_to_start = -1, hangs = -1;
  std::vector<int> order;
  size_t most = 0;
  std::atomic<int> held = 0;

 private:
  int capacity_, free_;
  std::mutex mutex_;
  std::condition_variable woken_;
  bool wake_ = false;
  std::vector<Ended> started_;
  Ended hung_;
};

// `reads` disk tasks, in the order of their rank, each with a host task behind it that needs its
// page; the host tasks form a chain.
void read_ahead(int reads, Subgraph& g) {
  std::vector<schedule::TaskIndex> read;
  for (int16_t i = 0; i < reads; ++i) {
    read.push_back(add_task(g, Lane::kDisk, i));
    g.tasks.back().rank = i;
  }
  for (int16_t i = 0; i < reads; ++i) {
    const auto host = add_task(g, Lane::kHostCompute, i);
    g.after(Dependency::task(read[static_cast<size_t>(i)]));
    if (i > 0) g.after(Dependency::task(host - 1));
    g.need({static_cast<schedule::PageId>(i), 1});
  }
}

class AsyncLane : public ::testing::Test {
 protected:
  Buffers& make(int capacity, int buffers) {
    executor_.reset();
    disk_ = std::make_unique<Buffers>(capacity, buffers);
    return *disk_;
  }
  void start(int64_t timeout_ms = 30'000) {
    const auto lanes = options_.async_runners;
    Trace* const trace = options_.trace;
    options_ = with_room(2);
    options_.trace = trace;
    options_.async_runners = lanes;
    options_.limits.max_iteration.pages = 256;
    options_.async_runners[static_cast<size_t>(Lane::kDisk)] = disk_.get();
    set_runner(options_, Lane::kHostCompute, host_);
    options_.lane_timeout_ms = timeout_ms;
    auto made = Executor::create(options_);
    ASSERT_TRUE(made.ok()) << made.error().message;
    executor_ = std::move(*made);
  }

  ExecutorOptions options_;
  Trace trace_{{.max_tasks = 1000}};
  std::unique_ptr<Buffers> disk_;  // outlives the executor
  std::vector<int> computed_;
  MadeRunner host_{[this](const schedule::Task& task, const TaskContext&) -> Result<TaskResult> {
    computed_.push_back(task.layer);
    disk_->give_back();
    return TaskResult{};
  }};
  std::unique_ptr<Executor> executor_;
  const MadeBuilder reads_{[](const Context&, Subgraph& g) { read_ahead(40, g); }};
};

TEST_F(AsyncLane, StartsInOrderAndEndsInAnyOrder) {
  Buffers& disk = make(8, 1000);
  start();
  for (int round = 0; round < 50; ++round) {
    computed_.clear();
    disk.order.clear();
    auto ticket = executor_->submit({}, reads_, 0);
    ASSERT_TRUE(ticket.ok()) << ticket.error().message;
    ASSERT_TRUE(executor_->wait(*ticket).ok());
    EXPECT_EQ(computed_.size(), 40u);
    EXPECT_TRUE(std::ranges::is_sorted(computed_));
    EXPECT_TRUE(std::ranges::is_sorted(disk.order));
  }
  EXPECT_LE(disk.most, 8u);
  EXPECT_GE(disk.most, 2u);
}

TEST_F(AsyncLane, HoldsATaskUntilPagesAreGivenBack) {
  Buffers& disk = make(8, 2);
  start();
  for (int round = 0; round < 50; ++round) {
    auto ticket = executor_->submit({}, reads_, 0);
    ASSERT_TRUE(executor_->wait(*ticket).ok());
  }
  EXPECT_EQ(computed_.size(), 50u * 40u);
  EXPECT_GT(disk.held, 0);
  EXPECT_LE(disk.most, 2u);
}

// A link whose transfers give a buffer back when they have ended.
class GivesBack final : public AsyncTaskRunner {
 public:
  explicit GivesBack(std::unique_ptr<Buffers>& disk) : disk_(disk) {}
  int capacity() const override { return 1; }
  Result<Start> start(const schedule::Task&, const TaskContext&, uint64_t token) override {
    moving_ = token;
    return Start::kStarted;
  }
  size_t poll(std::span<Ended> ended, int64_t) override {
    if (!moving_) return 0;
    disk_->give_back();
    ended[0] = {*moving_, {}};
    moving_.reset();
    return 1;
  }
  void wake() override {}

 private:
  std::unique_ptr<Buffers>& disk_;
  std::optional<uint64_t> moving_;
};

TEST_F(AsyncLane, HoldsATaskUntilATransferOfAnotherLaneGivesBack) {
  make(8, 1);
  GivesBack link(disk_);
  options_.async_runners[static_cast<size_t>(Lane::kDeviceToHost)] = &link;
  start();
  const MadeBuilder through([](const Context&, Subgraph& g) {
    for (int16_t i = 0; i < 20; ++i) {
      add_task(g, Lane::kDisk, static_cast<int16_t>(5 * i));
      g.tasks.back().rank = i;
      const auto read = static_cast<schedule::TaskIndex>(g.tasks.size() - 1);
      add_task(g, Lane::kDeviceToHost, i);
      g.after(Dependency::task(read));
    }
  });
  auto ticket = executor_->submit({}, through, 0);
  ASSERT_TRUE(ticket.ok()) << ticket.error().message;
  const Status status = executor_->wait(*ticket);
  EXPECT_TRUE(status.ok()) << status.error().message;
  executor_.reset();
}

TEST_F(AsyncLane, CarriesAFailureToWhatNeedsThePage) {
  for (bool at_start : {false, true}) {
    Buffers& disk = make(4, 1000);
    (at_start ? disk.fails_to_start : disk.fails) = 7;
    start();
    computed_.clear();
    auto ticket = executor_->submit({}, reads_, 0);
    const Status status = executor_->wait(*ticket);
    ASSERT_FALSE(status.ok());
    EXPECT_THAT(status.error().message, HasSubstr("page"));
    // What was before it in the chain, as far as it had come.
    EXPECT_TRUE(std::ranges::is_sorted(computed_));
    EXPECT_LE(computed_.size(), 7u);
    for (const int layer : computed_) EXPECT_LT(layer, 7);
  }
}

// The pages that the failed iteration's tasks would have given back are never given back.
TEST_F(AsyncLane, FailsAHeldTaskWithItsIteration) {
  Buffers& disk = make(4, 4);
  disk.fails = 2;
  start();
  auto ticket = executor_->submit({}, reads_, 0);
  const Status status = executor_->wait(*ticket);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kIo);
}

TEST_F(AsyncLane, NamesATaskThatHangs) {
  Buffers& disk = make(4, 1000);
  disk.hangs = 5;
  start(50);
  auto ticket = executor_->submit({}, reads_, 0);
  const Status status = executor_->wait(*ticket);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kTimeout);
  EXPECT_THAT(status.error().message, HasSubstr("on the lane disk"));
  disk.end_hang();
}

TEST_F(AsyncLane, IsTracedFromStartToEnd) {
  make(4, 1000);
  options_.trace = &trace_;
  start();
  auto ticket = executor_->submit({}, reads_, 0);
  ASSERT_TRUE(executor_->wait(*ticket).ok());
  executor_.reset();
  EXPECT_EQ(trace_.recorded(), 80);
}

TEST_F(AsyncLane, IsRefusedWithoutCapacityOrOnTheHost) {
  Buffers none(0, 1), some(1, 1);
  ExecutorOptions options = with_room(1);
  options.async_runners[static_cast<size_t>(Lane::kDisk)] = &none;
  EXPECT_FALSE(Executor::create(options).ok());
  options.async_runners[static_cast<size_t>(Lane::kDisk)] = nullptr;
  options.async_runners[static_cast<size_t>(Lane::kHostCompute)] = &some;
  EXPECT_FALSE(Executor::create(options).ok());
}

}  // namespace
}  // namespace sluice::pipeline
