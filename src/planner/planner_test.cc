#include "planner/planner.h"

#include <gtest/gtest.h>

#include "base/rounding.h"
#include "hardware/presets.h"
#include "models/shape.h"
#include "planner/answer_json.h"
#include "planner/roofline_svg.h"

namespace sluice::planner {
namespace {

Question asked(const char* model, const hardware::Parts& parts) {
  Question question;
  question.model = models::known_shape(model).value();
  question.model_name = model;
  question.hardware = hardware::combine(parts).value();
  question.workload = known_workload("mtbench", 0, 20000).value();
  return question;
}

TEST(Planner, SmallDevicesComputeExpertsAndLeaveAttentionToTheHost) {
  for (const char* device : {"t4", "l4"}) {
    const auto found = answer(asked("mixtral-8x7b", {.device = device}));
    ASSERT_TRUE(found.ok()) << found.error().message;
    EXPECT_EQ(found->candidate.policy.schedule, "cgopipe") << device;
    EXPECT_EQ(found->candidate.policy.attention_on, plan::Place::kHost);
    EXPECT_EQ(found->estimate.pass.host_experts, 0);
    EXPECT_GT(found->candidate.micro_batches(), 4);
    EXPECT_TRUE(found->runs) << found->why_not;
    ASSERT_TRUE(found->replayed);
    EXPECT_GE(found->replayed->stretch, 1);
    EXPECT_LT(found->replayed->stretch, 1.5);
  }
}

// How a pass fills and drains only replays know.
TEST(Planner, LooksCloserAtCountsOfMicroBatches) {
  Question question =
      asked("mixtral-8x7b", {.device = "l4", .host_memory_bytes = int64_t{192} << 30});
  question.workload = {"w", {{32, 3, 72}}};
  const Answer found = answer(question).value();
  ASSERT_TRUE(found.replayed);
  question.batch = 72;
  for (const int64_t count : {3, 7, 12, 18}) {
    question.micro_batch = base::div_up(question.batch, count);
    EXPECT_GT(found.tokens_per_second, 0.985 * answer(question).value().tokens_per_second) << count;
  }
}

TEST(Planner, AnswersTheSameTwice) {
  const Question question = asked("mixtral-8x7b", {.device = "l4", .disk = "nvme-gen4"});
  const auto json = [&] {
    const Answer found = answer(question).value();
    return to_json(question, found, what_ifs(question, found)).dump();
  };
  EXPECT_EQ(json(), json());
}

TEST(Planner, PlansThreeLevels) {
  Question question = asked("deepseek-v3", {.device = "rtx-4090", .disk = "nvme-gen4"});
  question.quants = {"none", "q8", "q4"};
  const auto found = answer(question);
  ASSERT_TRUE(found.ok()) << found.error().message;
  EXPECT_GT(found->footprint.disk_weights, 0);
  EXPECT_LE(found->footprint.device(), found->machine.device_memory);
  EXPECT_LE(found->footprint.host(), found->machine.host_memory);
  EXPECT_FALSE(found->runs);
  EXPECT_FALSE(found->why_not.empty());
}

TEST(Planner, SaysWhatWouldMakeItFit) {
  const auto found =
      answer(asked("mixtral-8x7b", {.device = "t4", .host_memory_bytes = 16l << 30}));
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.error().code, ErrorCode::kNoRoom);
  EXPECT_NE(found.error().message.find("smallest change"), std::string::npos)
      << found.error().message;
  EXPECT_NE(found.error().message.find("--host-memory"), std::string::npos);
}

TEST(Planner, NamesTheFlagOfADevicesMemory) {
  Question question = asked("mixtral-8x7b", {.device = "t4"});
  for (hardware::Level& level : question.hardware.levels) {
    if (level.kind == hardware::LevelKind::kDevice) level.capacity_bytes = int64_t{1} << 30;
  }
  question.schedule = "cgopipe";
  const auto found = answer(question);
  ASSERT_FALSE(found.ok());
  EXPECT_NE(found.error().message.find("--device-memory of at least"), std::string::npos)
      << found.error().message;
}

TEST(Planner, SaysThatADevicesScheduleNeedsADevice) {
  Question question = asked("mixtral-8x7b", {.host = "xeon-24c"});
  question.schedule = "cgopipe";
  const auto found = answer(question);
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.error().code, ErrorCode::kInvalid) << found.error().message;
}

// Also among the finalists, whatever their objective.
TEST(Planner, KeepsADeadline) {
  Question question = asked("mixtral-8x7b", {.device = "l4"});
  const Answer free = answer(question).value();
  question.deadline_seconds = free.seconds_per_token / 2;
  for (const Objective objective : {Objective::kThroughput, Objective::kLatency}) {
    question.objective = objective;
    const Answer bound = answer(question).value();
    EXPECT_LE(bound.seconds_per_token, question.deadline_seconds) << name(objective);
    EXPECT_LT(bound.tokens_per_second, free.tokens_per_second) << name(objective);
  }
  // Not the least latency: the best throughput that keeps it.
  question.deadline_seconds = 0;
  const Answer soonest = answer(question).value();
  EXPECT_LT(soonest.seconds_per_token, free.seconds_per_token / 4);
}

// A faster memory changes nothing of a curve that is at its best, and nothing falls.
TEST(Planner, AFasterMemoryIsNotATheoreticalOne) {
  Question question = asked("olmoe-1b-7b", {.host = "xeon-24c"});
  for (hardware::Level& level : question.hardware.levels) {
    if (!level.compute || level.kind != hardware::LevelKind::kHost) continue;
    for (const int64_t tokens : {1, 128})  // arithmetic binds both
      level.compute->kernel_rates.push_back({"bf16", tokens, 1e10, 1e10});
  }
  const Answer found = answer(question).value();
  for (const WhatIf& what : what_ifs(question, found)) {
    if (what.what == "2 x the host's bandwidth") {
      EXPECT_LT(what.gain, 1.2);
    }
  }
}

TEST(Planner, WhatIfsComeMostUsefulFirst) {
  const Question question = asked("mixtral-8x7b", {.device = "l4"});
  const Answer found = answer(question).value();
  const auto gains = what_ifs(question, found);
  ASSERT_GT(gains.size(), 5);
  for (size_t i = 1; i < gains.size(); ++i) EXPECT_GE(gains[i - 1].gain, gains[i].gain);
  for (const WhatIf& what_if : gains) {
    if (what_if.what.starts_with("2 x")) {
      EXPECT_GE(what_if.gain, 1 - 1e-9) << what_if.what;
    }
  }
}

TEST(Planner, AFileOfAPlanIsReadBackAndDiffed) {
  Question question = asked("mixtral-8x7b", {.device = "l4"});
  const Answer found = answer(question).value();
  const Json json = to_json(question, found, {});
  const auto file = plan_file(json);
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_EQ(file->plan, found.plan);
  EXPECT_EQ(file->quant, "none");
  EXPECT_TRUE(difference(json, json).empty());
  question.quants = {"q8"};
  const Answer other = answer(question).value();
  bool quant = false;
  for (const Difference& d : difference(json, to_json(question, other, {})))
    quant |= d.field == "policy.quant" && d.before == "none" && d.after == "q8";
  EXPECT_TRUE(quant);
  Json broken = json;
  broken.erase("policy");
  EXPECT_NE(plan_file(broken).error().message.find("'policy'"), std::string::npos);
}

TEST(Planner, DrawsEveryStageItCosts) {
  const Question question = asked("mixtral-8x7b", {.device = "l4"});
  const std::string svg = roofline_svg(question, answer(question).value());
  for (const char* part : {"<svg", "attend on the host", "expert_group on the device",
                           "experts over the link", "</svg>"})
    EXPECT_NE(svg.find(part), std::string::npos) << part;
}

}  // namespace
}  // namespace sluice::planner
