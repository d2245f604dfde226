#include "plan/plan.h"

#include <gtest/gtest.h>

namespace sluice::plan {
namespace {

TEST(Plan, SurvivesJson) {
  Plan plan;
  plan.policy = {"serial", 64, 16, Place::kHost, Place::kDevice, 0.5, 0.25, true};
  plan.max_seq_len = 4096;
  plan.kv_blocks = 77;
  plan.resident_kv_blocks = 7;
  plan.kv_window = 5;
  plan.kv_tails = 64;
  plan.kv_disk_bytes = 70 << 20;
  plan.embedding_rows = 512;
  plan.kv_dtype = kernels::KvDType::kQ8;
  plan.threads = 3;
  plan.memory_nodes = 2;
  plan.interleaved = true;
  EXPECT_EQ(plan_from_json(to_json(plan)).value(), plan);
  Json without = to_json(plan);
  without.erase("kv_tails");
  EXPECT_NE(plan_from_json(without).error().message.find("kv_tails"), std::string::npos);
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
