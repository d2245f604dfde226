// The executor with lanes beside the caller's: failures, timeouts, cancelling, shutting down.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>

#include "pipeline/executor.h"
#include "pipeline/test_runners.h"

namespace sluice::pipeline {
namespace {

using schedule::Context;
using schedule::Dependency;
using schedule::Event;
using schedule::Subgraph;
using std::chrono::milliseconds;
using ::testing::HasSubstr;

const Error kBroken{ErrorCode::kIo, "page 7 of layer 3 could not be read"};
const Event kEvent{.kind = Event::Kind::kOutside, .index = 5};

// One disk task before one on the host.
void read_then_compute(const Context&, Subgraph& g) {
  const auto read = add_task(g, Lane::kDisk, 1);
  add_task(g, Lane::kHostCompute, 2);
  g.after(Dependency::task(read));
}

TEST(Lanes, HandOverBetweenTheirThreadAndTheCallers) {
  std::thread::id disk_thread, host_thread;
  MadeRunner disk([&](const auto&, const auto&) -> Result<TaskResult> {
    disk_thread = std::this_thread::get_id();
    return TaskResult{};
  });
  MadeRunner host([&](const auto&, const auto&) -> Result<TaskResult> {
    host_thread = std::this_thread::get_id();
    return TaskResult{};
  });
  ExecutorOptions options = with_room(1);
  set_runner(options, Lane::kDisk, disk);
  set_runner(options, Lane::kHostCompute, host);
  auto executor = *Executor::create(options);
  const MadeBuilder builder(read_then_compute);
  for (int i = 0; i < 200; ++i) {
    auto ticket = executor->submit({}, builder, 0);
    ASSERT_TRUE(ticket.ok());
    ASSERT_TRUE(executor->wait(*ticket).ok());
  }
  EXPECT_EQ(host_thread, std::this_thread::get_id());
  EXPECT_NE(disk_thread, std::this_thread::get_id());
}

TEST(Lanes, FailOneIterationAndLetTheOthersGoOn) {
  std::atomic<int> computed = 0;
  MadeRunner disk([&](const auto&, const TaskContext& context) -> Result<TaskResult> {
    if (context.user == 1) return kBroken;
    return TaskResult{};
  });
  MadeRunner host([&](const auto&, const auto&) -> Result<TaskResult> {
    ++computed;
    return TaskResult{};
  });
  ExecutorOptions options = with_room(3);
  set_runner(options, Lane::kDisk, disk);
  set_runner(options, Lane::kHostCompute, host);
  auto executor = *Executor::create(options);
  const MadeBuilder builder(read_then_compute);
  std::vector<Ticket> tickets;
  for (uint64_t user = 0; user < 3; ++user) {
    tickets.push_back(*executor->submit({}, builder, user));
  }
  EXPECT_TRUE(executor->wait(tickets[0]).ok());
  EXPECT_EQ(executor->wait(tickets[1]).error(), kBroken);
  EXPECT_TRUE(executor->wait(tickets[2]).ok());
  EXPECT_EQ(computed, 2);
  // The slots are free again.
  for (uint64_t user : {0, 2, 4}) EXPECT_TRUE(executor->submit({}, builder, user).ok());
}

TEST(Lanes, RefuseMoreThanTheNamedLimit) {
  MadeRunner host([](const auto&, const auto&) -> Result<TaskResult> { return TaskResult{}; });
  ExecutorOptions options = with_room(1);
  set_runner(options, Lane::kHostCompute, host);
  auto executor = *Executor::create(options);
  const MadeBuilder builder(
      [](const Context&, Subgraph& g) { add_task(g, Lane::kHostCompute, 0); });
  auto ticket = executor->submit({}, builder, 0);
  const auto refused = executor->submit({}, builder, 0);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kNoRoom);
  EXPECT_THAT(refused.error().message, HasSubstr("max_iterations_in_flight"));
  EXPECT_TRUE(executor->wait(*ticket).ok());
  EXPECT_THAT(executor->submit({}, MadeBuilder(read_then_compute), 0).error().message,
              HasSubstr("needs the lane disk"));
  options.runners = {};
  EXPECT_FALSE(Executor::create(options).ok());
}

TEST(Lanes, NameTheTaskAndLaneThatHang) {
  std::promise<void> let_go;
  std::shared_future<void> gate = let_go.get_future().share();
  std::atomic<bool> left = false;
  MadeRunner disk([gate, &left](const auto&, const auto&) -> Result<TaskResult> {
    gate.wait();
    left = true;
    return TaskResult{};
  });
  MadeRunner host([](const auto&, const auto&) -> Result<TaskResult> { return TaskResult{}; });
  ExecutorOptions options = with_room(2);
  options.lane_timeout_ms = 50;
  set_runner(options, Lane::kDisk, disk);
  set_runner(options, Lane::kHostCompute, host);
  auto executor = *Executor::create(options);
  auto ticket = executor->submit({}, MadeBuilder(read_then_compute), 0);
  const Status status = executor->wait(*ticket);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kTimeout);
  EXPECT_EQ(status.error().message,
            "task 'L01 weights disk>host mb0' on the lane disk has not ended within 50 ms "
            "(lane_timeout_ms)");
  // The host's lane still works, and shutting down does not wait for ever.
  const MadeBuilder host_only(
      [](const Context&, Subgraph& g) { add_task(g, Lane::kHostCompute, 0); });
  auto other = executor->submit({}, host_only, 0);
  EXPECT_TRUE(executor->wait(*other).ok());
  executor.reset();
  let_go.set_value();
  while (!left) std::this_thread::yield();  // what it borrowed must live as long as it runs
}

TEST(Lanes, NameTheEventThatNobodySignals) {
  MadeRunner host([](const auto&, const auto&) -> Result<TaskResult> { return TaskResult{}; });
  ExecutorOptions options = with_room(1);
  options.lane_timeout_ms = 30;
  set_runner(options, Lane::kHostCompute, host);
  auto executor = *Executor::create(options);
  const MadeBuilder builder([](const Context&, Subgraph& g) {
    add_task(g, Lane::kHostCompute, 4);
    g.wait(kEvent);
  });
  auto ticket = executor->submit({}, builder, 0);
  const Status status = executor->wait(*ticket);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kTimeout);
  EXPECT_THAT(status.error().message, HasSubstr("task 'L04 qkv mb0'"));
  EXPECT_THAT(status.error().message, HasSubstr("outside 5"));
  EXPECT_TRUE(executor->clear_events().ok());
}

// What hangs and ends in the end: its iteration's end is told then, and the lane goes on.
TEST(Lanes, WaitForAHungTaskBeforeTheyBeginAnew) {
  std::promise<void> let_go;
  std::shared_future<void> gate = let_go.get_future().share();
  MadeRunner disk([gate](const auto&, const TaskContext& context) -> Result<TaskResult> {
    if (context.user == 3) gate.wait();
    return TaskResult{};
  });
  MadeRunner host([](const auto&, const auto&) -> Result<TaskResult> { return TaskResult{}; });
  std::atomic<int> told = 0;
  ExecutorOptions options = with_room(2);
  options.lane_timeout_ms = 40;
  options.on_failed_end = [&](uint64_t user) { told += static_cast<int>(user); };
  set_runner(options, Lane::kDisk, disk);
  set_runner(options, Lane::kHostCompute, host);
  auto executor = *Executor::create(options);
  const MadeBuilder builder(read_then_compute);
  auto ticket = executor->submit({}, builder, 3);
  ASSERT_EQ(executor->wait(*ticket).error().code, ErrorCode::kTimeout);
  const Status still = executor->clear_events();
  ASSERT_FALSE(still.ok());
  EXPECT_EQ(still.error().code, ErrorCode::kTimeout);
  EXPECT_THAT(still.error().message,
              HasSubstr("task 'L01 weights disk>host mb0' still runs on the lane disk"));
  EXPECT_EQ(told, 0);
  let_go.set_value();
  EXPECT_TRUE(executor->clear_events().ok());
  EXPECT_EQ(told, 3);
  ticket = executor->submit({}, builder, 0);
  EXPECT_TRUE(executor->wait(*ticket).ok());
}

TEST(Lanes, CloseWhenWhatRunsHasEnded) {
  std::atomic<bool> begun = false, ended = false;
  MadeRunner disk([&](const auto&, const auto&) -> Result<TaskResult> {
    begun = true;
    std::this_thread::sleep_for(milliseconds(60));
    ended = true;
    return TaskResult{};
  });
  ExecutorOptions options = with_room(1);
  options.lane_timeout_ms = 5;
  set_runner(options, Lane::kDisk, disk);
  auto executor = *Executor::create(options);
  const MadeBuilder builder([](const Context&, Subgraph& g) { add_task(g, Lane::kDisk, 0); });
  ASSERT_TRUE(executor->submit({}, builder, 0).ok());
  while (!begun) std::this_thread::yield();
  executor->close();
  EXPECT_TRUE(ended);
}

TEST(Lanes, AreJoinedBySignalsFromOtherThreads) {
  MadeRunner host([](const auto&, const auto&) -> Result<TaskResult> { return TaskResult{}; });
  ExecutorOptions options = with_room(1);
  set_runner(options, Lane::kHostCompute, host);
  auto executor = *Executor::create(options);
  const MadeBuilder builder([](const Context&, Subgraph& g) {
    add_task(g, Lane::kHostCompute, 0);
    g.wait(kEvent);
  });
  for (const bool fails : {false, true}) {
    auto ticket = executor->submit({}, builder, 0);
    std::thread outside([&] {
      std::this_thread::sleep_for(milliseconds(5));
      EXPECT_TRUE(executor->signal({kEvent, 1}, fails ? &kBroken : nullptr).ok());
    });
    const Status status = executor->wait(*ticket);
    outside.join();
    EXPECT_EQ(status.ok(), !fails);
  }
}

TEST(Lanes, CancelFromAnotherThread) {
  std::atomic<int> ran = 0;
  MadeRunner disk([&](const auto&, const auto&) -> Result<TaskResult> {
    ++ran;
    std::this_thread::sleep_for(milliseconds(2));
    return TaskResult{};
  });
  ExecutorOptions options = with_room(1);
  set_runner(options, Lane::kDisk, disk);
  auto executor = *Executor::create(options);
  const MadeBuilder builder([](const Context&, Subgraph& g) {
    for (int16_t i = 0; i < 200; ++i) add_task(g, Lane::kDisk, i);
  });
  auto ticket = executor->submit({}, builder, 0);
  std::thread outside([&] {
    while (ran < 3) std::this_thread::yield();
    executor->cancel(*ticket);
  });
  const Status status = executor->wait(*ticket);
  outside.join();
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kCancelled);
  EXPECT_GE(ran, 3);
  EXPECT_LT(ran, 200);
}

TEST(Lanes, DropWhatIsInFlightAtTheEnd) {
  std::atomic<int> begun = 0, ended = 0;
  MadeRunner disk([&](const auto&, const auto&) -> Result<TaskResult> {
    ++begun;
    std::this_thread::sleep_for(milliseconds(3));
    ++ended;
    return TaskResult{};
  });
  ExecutorOptions options = with_room(4);
  set_runner(options, Lane::kDisk, disk);
  set_runner(options, Lane::kNetwork, disk);
  auto executor = *Executor::create(options);
  const MadeBuilder builder([](const Context&, Subgraph& g) {
    for (int16_t i = 0; i < 50; ++i) add_task(g, i % 2 == 0 ? Lane::kDisk : Lane::kNetwork, i);
  });
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(executor->submit({}, builder, 0).ok());
  while (begun < 2) std::this_thread::yield();
  executor.reset();
  EXPECT_EQ(begun, ended);
  EXPECT_LT(ended, 200);
}

}  // namespace
}  // namespace sluice::pipeline
