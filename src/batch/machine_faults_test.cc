// Requests that fail by faults of the machine: their lines, when a run stops, how they are answered
// again.
#include <gmock/gmock.h>

#include "batch/test_batch.h"
#include "batch/test_files.h"

namespace sluice::batch {
namespace {

using ::testing::HasSubstr;

std::string lines(int count, int every_fault) {
  std::string input;
  for (int i = 0; i < count; ++i) {
    const bool fault = every_fault > 0 && i % every_fault == 0;
    input += Batch::request("r" + std::to_string(i), fault ? "bad !" : "good");
  }
  return input;
}

TEST_F(Batch, FaultsOfTheMachineAreToldFromMistakes) {
  write("in.jsonl", lines(12, 4) + R"({"custom_id":"mistake","prompt":"x","top_p":7})" + "\n");
  fault_on_ = '!';
  const Status ran = run();
  ASSERT_TRUE(ran.ok()) << ran.error().message;
  EXPECT_EQ(state_.answered, 9);
  EXPECT_EQ(state_.failed, 4);
  EXPECT_EQ(state_.faulted, 3);
  const auto all = answers();
  EXPECT_EQ(all.at("r4")["error"]["code"], "server_error");
  EXPECT_EQ(all.at("r4")["response"]["status_code"], 500);
  EXPECT_THAT(std::string(all.at("r4")["error"]["message"]), HasSubstr("expert 3 of layer 1"));
  EXPECT_EQ(all.at("mistake")["error"]["code"], "invalid_value");
}

TEST_F(Batch, FaultLinesStayUntilTheyAreAskedForAgain) {
  write("in.jsonl", lines(12, 4) + R"({"custom_id":"mistake","prompt":"x","top_p":7})" + "\n");
  fault_on_ = '!';
  ASSERT_TRUE(run().ok());
  fault_on_ = 0;
  const std::string before = read("out.jsonl");
  ASSERT_TRUE(run().ok());
  EXPECT_EQ(read("out.jsonl"), before) << "each line once";
  retry_faults_ = true;
  const Status again = run();
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_EQ(state_.answered, 3);
  EXPECT_EQ(state_.answered_before, 10);
  const auto all = answers();
  ASSERT_EQ(all.size(), 13u);
  for (const auto& [id, answer] : all) EXPECT_EQ(answer["error"].is_null(), id != "mistake") << id;
  EXPECT_FALSE(std::filesystem::exists(path("out.jsonl.retry")));
  // With nothing to take out, nothing changes.
  const std::string whole = read("out.jsonl");
  ASSERT_TRUE(run().ok());
  EXPECT_EQ(read("out.jsonl"), whole);
}

// A kill while the file is replaced leaves the one or the other, and bytes that no line ends.
TEST_F(Batch, TakingFaultLinesOutSurvivesATornEnd) {
  write("in.jsonl", lines(12, 4));
  fault_on_ = '!';
  ASSERT_TRUE(run().ok());
  fault_on_ = 0;
  std::ofstream(path("out.jsonl"), std::ios::app) << "{\"id\":\"batch_req_";
  std::ofstream(path("out.jsonl.retry")) << "left by a kill";
  retry_faults_ = true;
  const Status again = run();
  ASSERT_TRUE(again.ok()) << again.error().message;
  const auto all = answers();
  ASSERT_EQ(all.size(), 12u);
  for (const auto& [id, answer] : all) EXPECT_TRUE(answer["error"].is_null()) << id;
}

TEST_F(Batch, TakingFaultLinesOutOnAFullDiskChangesNothing) {
  write("in.jsonl", lines(12, 4));
  fault_on_ = '!';
  ASSERT_TRUE(run().ok());
  fault_on_ = 0;
  const std::string before = read("out.jsonl");
  SmallDisk disk(200);  // the journal's first line fits
  file_faults_ = &disk;
  retry_faults_ = true;
  const Status full = run();
  ASSERT_FALSE(full.ok());
  EXPECT_EQ(full.error().code, ErrorCode::kNoRoom);
  EXPECT_THAT(full.error().message, HasSubstr("is as it was, and needs room"));
  EXPECT_EQ(read("out.jsonl"), before);
  EXPECT_FALSE(std::filesystem::exists(path("out.jsonl.retry")));
  file_faults_ = nullptr;
  ASSERT_TRUE(run().ok());
  const auto all = answers();
  ASSERT_EQ(all.size(), 12u);
  for (const auto& [id, answer] : all) EXPECT_TRUE(answer["error"].is_null()) << id;
}

TEST_F(Batch, WhatAKillLeftBesideTheOutputIsRemovedByAnyRun) {
  write("in.jsonl", lines(3, 0));
  write("out.jsonl.retry", "left by a kill");
  ASSERT_TRUE(run().ok());
  EXPECT_FALSE(std::filesystem::exists(path("out.jsonl.retry")));
  EXPECT_EQ(answers().size(), 3u);
}

TEST_F(Batch, ARunThatMostlyFailsStopsAndGoesOn) {
  write("in.jsonl", lines(1000, 1));
  fault_on_ = '!';
  const Status ran = run();
  ASSERT_FALSE(ran.ok());
  EXPECT_EQ(ran.error().code, ErrorCode::kFault);
  EXPECT_THAT(ran.error().message, HasSubstr("failed 100 requests, more than were answered"));
  EXPECT_LE(answers().size(), 104u);
  fault_on_ = 0;
  retry_faults_ = true;
  ASSERT_TRUE(run().ok());
  const auto all = answers();
  ASSERT_EQ(all.size(), 1000u);
  for (const auto& [id, answer] : all) EXPECT_TRUE(answer["error"].is_null()) << id;
}

}  // namespace
}  // namespace sluice::batch
