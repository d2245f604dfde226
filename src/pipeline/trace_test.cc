#include "pipeline/trace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/test_path.h"
#include "pipeline/test_runners.h"

namespace sluice::pipeline {
namespace {

using schedule::Context;
using schedule::Subgraph;

class TraceFile : public ::testing::Test {
 protected:
  TraceFile() : path_(base::test_path("trace.json")) {}
  ~TraceFile() override { std::filesystem::remove(path_); }
  nlohmann::json read() const {
    std::ifstream in(path_);
    return nlohmann::json::parse(in);
  }
  std::filesystem::path path_;
};

TEST_F(TraceFile, HoldsEveryTaskOfEveryLane) {
  Trace trace;
  MadeRunner disk([](const auto&, const auto&) -> Result<TaskResult> {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return TaskResult{.bytes = 4096};
  });
  MadeRunner host([](const auto&, const auto&) -> Result<TaskResult> {
    return Error{ErrorCode::kFault, "no"};
  });
  ExecutorOptions options = with_room(1);
  options.trace = &trace;
  set_runner(options, Lane::kDisk, disk);
  set_runner(options, Lane::kHostCompute, host);
  auto executor = *Executor::create(options);
  const MadeBuilder builder([](const Context&, Subgraph& g) {
    add_task(g, Lane::kDisk, 3);
    g.tasks[0].predicted_ns = 1500;
    add_task(g, Lane::kHostCompute, 4);
    g.after(schedule::Dependency::task(0));
  });
  auto ticket = executor->submit({}, builder, 0);
  EXPECT_FALSE(executor->wait(*ticket).ok());
  EXPECT_EQ(trace.recorded(), 2);
  ASSERT_TRUE(trace.write(path_).ok());

  const nlohmann::json json = read();
  std::vector<nlohmann::json> tasks, threads;
  for (const auto& event : json["traceEvents"]) {
    if (event["ph"] == "X") tasks.push_back(event);
    if (event["name"] == "thread_name") threads.push_back(event);
  }
  ASSERT_EQ(tasks.size(), 2u);
  ASSERT_EQ(threads.size(), 2u);
  EXPECT_EQ(tasks[0]["name"], "L03 weights disk>host mb0");
  EXPECT_EQ(tasks[0]["cat"], "transfer");
  EXPECT_EQ(tasks[0]["args"]["predicted_us"], 1.5);
  EXPECT_EQ(tasks[0]["args"]["bytes"], 4096);
  EXPECT_GE(tasks[0]["dur"].get<double>(), 1000);
  EXPECT_EQ(tasks[1]["name"], "L04 qkv mb0");
  EXPECT_EQ(tasks[1]["args"]["failed"], true);
  EXPECT_GE(tasks[1]["ts"].get<double>(),
            tasks[0]["ts"].get<double>() + tasks[0]["dur"].get<double>());
  for (const auto& thread : threads) {
    const bool is_disk = thread["args"]["name"] == "disk";
    EXPECT_EQ(thread["tid"], tasks[is_disk ? 0 : 1]["tid"]);
  }
}

TEST_F(TraceFile, CountsWhatItCouldNotKeep) {
  Trace trace({.max_tasks = 3});
  schedule::Task task{.work = models::Stage{.kind = models::StageKind::kEmbed}};
  for (int i = 0; i < 5; ++i) trace.record(task, 0, {}, {}, TaskResult{});
  EXPECT_EQ(trace.recorded(), 3);
  EXPECT_EQ(trace.dropped(), 2);
  ASSERT_TRUE(trace.write(path_).ok());
  EXPECT_EQ(read()["otherData"]["dropped_tasks"], 2);
}

TEST_F(TraceFile, IsValidWhenEmptyAndSaysWhereItCannotBeWritten) {
  const Trace trace;
  ASSERT_TRUE(trace.write(path_).ok());
  EXPECT_TRUE(read()["traceEvents"].is_array());
  const Status status = trace.write("/nowhere/at/all.json");
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kIo);
  EXPECT_THAT(status.error().message, ::testing::HasSubstr("'/nowhere/at/all.json'"));
}

}  // namespace
}  // namespace sluice::pipeline
