// A directory that `sluice build` makes answers as the model that it was built from: the same
// tokens, the same bits of their log-probabilities.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>

#include "engine/build_engine.h"
#include "engine/model_files.h"
#include "engine_runs.h"
#include "gguf_conversion.h"
#include "models/weights_map.h"
#include "planner/weights.h"

namespace sluice::tests {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

const std::string kDemoModel = SLUICE_SOURCE_DIR "/examples/demo_model";

class BuiltModel : public testing::Test {
 protected:
  void SetUp() override {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = fs::temp_directory_path() /
              ("sluice_built_" + std::string(test->name()) + std::to_string(::getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string out() const { return (folder_ / "out").string(); }

  engine::BuildResult build(const std::string& model, const std::string& quant) const {
    fs::remove_all(out());
    auto built = engine::build_engine(model, out(), {.quant = quant, .program = "test"});
    EXPECT_TRUE(built) << built.error().message;
    return built ? *built : engine::BuildResult();
  }
  std::string refused(const std::string& model, const std::string& quant = "none") const {
    const auto built = engine::build_engine(model, out(), {.quant = quant});
    return built ? "built" : built.error().message;
  }

  static engine::EngineOptions options(const std::string& quant) {
    return {.quant = quant, .max_batch_size = 4, .kv_cache_memory = int64_t{16} << 20};
  }

  // What a plan counts before loading is what lies in memory then.
  void expect_planned_sizes() const {
    const auto opened = engine::open_model(out());
    ASSERT_TRUE(opened) << opened.error().message;
    const auto source = engine::open_weights(*opened, "none").value();
    const planner::WeightSizes planned = planner::weight_sizes(*source);
    memory::Arena arena = memory::Arena::create(planned.fit.weight_bytes).value();
    base::ThreadTeam team(1);
    const auto weights = models::load_weights(opened->model.config, *source, {}, arena, team, {});
    ASSERT_TRUE(weights) << weights.error().message;
    const models::WeightBytes loaded = models::weight_bytes_of(*weights, kernels::KvDType::kF32);
    EXPECT_DOUBLE_EQ(planned.bytes.dense, loaded.dense);
    EXPECT_DOUBLE_EQ(planned.bytes.expert, loaded.expert);
    EXPECT_DOUBLE_EQ(planned.bytes.router, loaded.router);
    EXPECT_EQ(planned.formats.expert, weights->layers.front().experts.front().gate.dtype);
    EXPECT_EQ(planned.formats.dense, weights->layers.front().q.dtype);
  }

  void expect_same_answers(const std::string& model, const std::string& quant) const {
    SCOPED_TRACE(model + " " + quant);
    build(model, quant);
    const auto original = load_engine(model, options(quant));
    const auto built = load_engine(out(), options("none"));
    EXPECT_EQ(built->config(), original->config());
    EXPECT_EQ(built->plan().kv_dtype, original->plan().kv_dtype);
    EXPECT_EQ(built->tokenizer() != nullptr, original->tokenizer() != nullptr);
    EXPECT_EQ(built->chat_template() != nullptr, original->chat_template() != nullptr);
    EXPECT_EQ(built->fingerprint() == original->fingerprint(), quant == "none");
    const int vocab = original->config().vocab;
    const auto expected = run_all(*original, mixed_requests(8, vocab, 60, 20));
    const auto got = run_all(*built, mixed_requests(8, vocab, 60, 20));
    ASSERT_EQ(got.size(), expected.size());
    for (const auto& [id, output] : expected) EXPECT_TRUE(same_answers(got.at(id), output)) << id;
  }

  fs::path folder_;
};

TEST_F(BuiltModel, IsPlannedAsItLiesInMemory) {
  for (const char* quant : {"none", "q8", "q4"}) {
    SCOPED_TRACE(quant);
    build(kDemoModel, quant);
    expect_planned_sizes();
  }
}

TEST_F(BuiltModel, TheDemoModelAnswersTheSame) {
  for (const char* quant : {"none", "q8", "q4"}) expect_same_answers(kDemoModel, quant);
}

TEST_F(BuiltModel, EveryWayInWhichWeightsAreStoredAnswersTheSame) {
  expect_same_answers(golden_model("mixtral_fused"), "none");     // stacked experts
  expect_same_answers(golden_model("mixtral_sharded"), "none");   // several files
  expect_same_answers(golden_model("qwen3_moe_mlp_only"), "q8");  // dense layers among others
  expect_same_answers(golden_model("llama_mqa_tied"), "none");    // no experts, no head
}

TEST_F(BuiltModel, AGgufFileAnswersTheSame) {
  const std::string file = (folder_ / "model.gguf").string();
  convert_to_gguf(kDemoModel, file);
  for (const char* quant : {"none", "q4"}) expect_same_answers(file, quant);
  convert_to_gguf(kDemoModel, file, models::parse_quantization("q4").value());
  expect_same_answers(file, "none");
  // Divisors of rotary frequencies in a tensor; biases and a head that are there or not.
  for (const char* golden : {"llama_rope_llama3", "llama_bias", "mixtral_tied", "olmoe_clip"}) {
    convert_to_gguf(golden_model(golden), file);
    expect_same_answers(file, "none");
  }
  expect_same_answers(convert_to_split_gguf(golden_model("mixtral_top2_of_4"), folder_, 3).string(),
                      "none");
}

TEST_F(BuiltModel, AStoppedBuildGoesOn) {
  build(kDemoModel, "q8");
  const auto expected = load_engine(out(), options("none"));
  const auto requests = mixed_requests(4, expected->config().vocab, 60, 20);
  const auto answers = run_all(*load_engine(out(), options("none")), requests);
  fs::remove_all(out());
  int64_t found = 0;
  for (int run = 0;; ++run) {
    ASSERT_LT(run, 1000);
    std::atomic<int> stop = 0;
    int groups = 0;
    const auto built = engine::build_engine(kDemoModel, out(),
                                            {.quant = "q8",
                                             .program = "test",
                                             .on_progress =
                                                 [&](const engine::BuildState&) {
                                                   if (++groups == 15) stop = 1;
                                                 },
                                             .stop_requested = &stop});
    ASSERT_TRUE(built) << built.error().message;
    EXPECT_EQ(built->state.found, found);
    EXPECT_LE(groups, 15);
    found = built->state.done;
    if (!built->stopped) break;
    EXPECT_FALSE(fs::exists(out()));
    EXPECT_THAT(engine::Engine::load(out() + ".partial", {}).error().message,
                HasSubstr("is not finished"));
  }
  EXPECT_FALSE(fs::exists(out() + ".partial"));
  const auto got = run_all(*load_engine(out(), options("none")), requests);
  for (const auto& [id, output] : answers) EXPECT_TRUE(same_answers(got.at(id), output)) << id;
}

TEST_F(BuiltModel, HoldsOneGroupInMemory) {
  const engine::BuildResult result = build(kDemoModel, "none");
  EXPECT_EQ(result.state.done, result.state.bytes);
  EXPECT_EQ(result.state.found, 0);
  EXPECT_GT(result.pages, 0);
  EXPECT_LT(result.buffer_bytes, result.state.bytes / 4);
}

TEST_F(BuiltModel, WhatCannotBeBuiltIsRefused) {
  EXPECT_THAT(refused(kDemoModel, "q5"), HasSubstr("'q5'"));
  EXPECT_THAT(refused((folder_ / "nothing").string()), HasSubstr("no such"));
  EXPECT_FALSE(fs::exists(out() + ".partial"));
  build(kDemoModel, "q8");
  EXPECT_THAT(refused(kDemoModel, "q8"), HasSubstr("never written again"));
  const auto again = engine::build_engine(out(), (folder_ / "again").string(), {});
  ASSERT_FALSE(again);
  EXPECT_THAT(again.error().message, HasSubstr("already; build from the model 'demo_model'"));
  const auto requantized = engine::Engine::load(out(), options("q4"));
  ASSERT_FALSE(requantized);
  EXPECT_THAT(requantized.error().message, HasSubstr("packed with --quant q8"));
}

}  // namespace
}  // namespace sluice::tests
