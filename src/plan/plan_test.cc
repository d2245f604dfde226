#include "plan/plan.h"

#include <gtest/gtest.h>

namespace sluice::plan {
namespace {

TEST(Plan, SurvivesJson) {
  Plan plan;
  plan.policy = {"serial", 64, 16, Place::kHost, Place::kDevice, 0.5, 0.25, true};
  plan.max_seq_len = 4096;
  plan.kv_blocks = 77;
  plan.embedding_rows = 512;
  plan.kv_dtype = kernels::KvDType::kQ8;
  plan.threads = 3;
  plan.memory_nodes = 2;
  plan.interleaved = true;
  EXPECT_EQ(plan_from_json(to_json(plan)).value(), plan);
  Json without = to_json(plan);
  for (const char* key :
       {"kv_dtype", "memory_nodes", "interleaved", "guess_experts", "embedding_rows"})
    without.erase(key);
  const Plan older = plan_from_json(without).value();
  EXPECT_EQ(older.kv_dtype, kernels::KvDType::kF32);
  EXPECT_EQ(older.memory_nodes, 1);
  EXPECT_FALSE(older.interleaved);
  EXPECT_FALSE(older.policy.guess_experts);
  EXPECT_EQ(older.embedding_rows, 0);
  EXPECT_EQ(plan.micro_batches(), 4);
}

TEST(Plan, NamesWhatIsWrong) {
  Json json = to_json(Plan{.policy = {.batch = 1, .micro_batch = 1}});
  json["attention_on"] = "moon";
  EXPECT_NE(plan_from_json(json).error().message.find("'moon'"), std::string::npos);
  json["attention_on"] = "host";
  json["kv_dtype"] = "q4";
  EXPECT_NE(plan_from_json(json).error().message.find("'q4'"), std::string::npos);
  json["kv_dtype"] = "q8";
  json["memory_nodes"] = 0;
  EXPECT_NE(plan_from_json(json).error().message.find("'memory_nodes'"), std::string::npos);
  json["memory_nodes"] = 1;
  json["kv_blocks"] = -1;
  EXPECT_NE(plan_from_json(json).error().message.find("'kv_blocks'"), std::string::npos);
  json["version"] = 99;
  EXPECT_EQ(plan_from_json(json).error().code, ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace sluice::plan
