// The engine's own rules, on a tiny model: endings, bounds, cancelling. That answers are right and
// do not depend on the schedule is shown in tests/.
#include "engine/engine.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "device/test_machine.h"

namespace sluice::engine {
namespace {

constexpr const char* kModel = SLUICE_SOURCE_DIR "/tests/golden/mixtral_top2_of_4";

class EngineTest : public testing::Test {
 protected:
  void load(EngineOptions options) {
    options.kv_cache_memory = int64_t{8} << 20;
    options.max_num_tokens = 64;
    options.max_batch_size = options.max_batch_size > 0 ? options.max_batch_size : 4;
    options.threads = 2;
    auto loaded = Engine::load(kModel, options);
    ASSERT_TRUE(loaded.ok()) << loaded.error().message;
    engine_ = std::move(loaded).value();
    sink_.on_finished = [this](RequestOutput&& output) {
      outputs_.emplace(output.id, std::move(output));
    };
    sink_.on_token = [this](RequestId id, int, const std::string&, int32_t token) {
      tokens_[id].push_back(token);
    };
  }

  Request greedy(RequestId id, int64_t max_tokens) {
    Request request;
    request.id = id;
    for (int i = 0; i < 20; ++i) request.prompt.push_back((i * 7 + static_cast<int>(id)) % 60);
    request.sampling.temperature = 0;
    request.sampling.ignore_eos = true;
    request.sampling.max_tokens = max_tokens;
    return request;
  }

  void run_to_end() {
    for (int steps = 0; !engine_->idle(); ++steps) {
      ASSERT_LT(steps, 10000);
      const auto status = engine_->step(sink_);
      ASSERT_TRUE(status.ok()) << status.error().message;
    }
  }

  std::unique_ptr<Engine> engine_;
  EventSink sink_;
  std::map<RequestId, RequestOutput> outputs_;
  std::map<RequestId, std::vector<int32_t>> tokens_;
};

TEST_F(EngineTest, EndsAtMaxTokens) {
  load({});
  ASSERT_TRUE(engine_->submit(greedy(1, 9)).ok());
  run_to_end();
  const RequestOutput& output = outputs_.at(1);
  ASSERT_EQ(output.choices.size(), 1u);
  EXPECT_EQ(output.choices[0].finish, FinishReason::kLength);
  EXPECT_EQ(output.choices[0].tokens.size(), 9u);
  EXPECT_EQ(output.choices[0].tokens, tokens_.at(1));
  EXPECT_EQ(output.completion_tokens, 9);
  EXPECT_EQ(output.prompt_tokens, 20);
  EXPECT_TRUE(engine_->idle());
  EXPECT_EQ(engine_->stats().generated_tokens, 9);
}

TEST_F(EngineTest, EndsAtAStopTokenWhichIsNotPartOfTheAnswer) {
  load({});
  ASSERT_TRUE(engine_->submit(greedy(1, 12)).ok());
  run_to_end();
  const std::vector<int32_t> free_run = outputs_.at(1).choices[0].tokens;
  Request stopped = greedy(1, 12);
  stopped.id = 2;
  stopped.sampling.stop_token_ids = {free_run[5]};
  const auto first = std::ranges::find(free_run, free_run[5]) - free_run.begin();
  ASSERT_TRUE(engine_->submit(stopped).ok());
  run_to_end();
  const Choice& choice = outputs_.at(2).choices[0];
  EXPECT_EQ(choice.finish, FinishReason::kStop);
  EXPECT_EQ(choice.tokens, std::vector<int32_t>(free_run.begin(), free_run.begin() + first));
  EXPECT_EQ(outputs_.at(2).completion_tokens, first + 1);

  stopped.id = 3;
  stopped.sampling.min_tokens = 12;
  ASSERT_TRUE(engine_->submit(stopped).ok());
  run_to_end();
  EXPECT_EQ(outputs_.at(3).choices[0].tokens.size(), 12u);
}

TEST_F(EngineTest, AskedForChoicesComeInOrderAndDiffer) {
  load({.max_batch_size = 8});
  Request request = greedy(1, 12);
  request.sampling.temperature = 1.5;
  request.sampling.seed = 5;
  request.sampling.n = 4;
  ASSERT_TRUE(engine_->submit(request).ok());
  run_to_end();
  const auto& choices = outputs_.at(1).choices;
  ASSERT_EQ(choices.size(), 4u);
  for (size_t i = 0; i < choices.size(); ++i) EXPECT_EQ(choices[i].index, static_cast<int>(i));
  EXPECT_NE(choices[0].tokens, choices[1].tokens);
  EXPECT_EQ(outputs_.at(1).completion_tokens, 48);
}

TEST_F(EngineTest, CancelsWaitingAndRunning) {
  load({.max_batch_size = 2, .micro_batch_size = 1});
  for (RequestId id = 1; id <= 4; ++id) ASSERT_TRUE(engine_->submit(greedy(id, 50)).ok());
  for (int i = 0; i < 6; ++i) ASSERT_TRUE(engine_->step(sink_).ok());
  EXPECT_EQ(engine_->running(), 2);
  engine_->cancel(1);
  engine_->cancel(4);
  engine_->cancel(77);
  run_to_end();
  EXPECT_EQ(outputs_.at(1).choices[0].finish, FinishReason::kCancelled);
  EXPECT_EQ(outputs_.at(4).choices[0].finish, FinishReason::kCancelled);
  EXPECT_TRUE(outputs_.at(4).choices[0].tokens.empty());
  EXPECT_EQ(outputs_.at(2).choices[0].tokens.size(), 50u);
  EXPECT_EQ(outputs_.at(3).choices[0].tokens.size(), 50u);
}

TEST_F(EngineTest, QueueIsBounded) {
  load({.max_batch_size = 1, .max_queued_requests = 2});
  EXPECT_TRUE(engine_->submit(greedy(1, 2)).ok());
  EXPECT_TRUE(engine_->submit(greedy(2, 2)).ok());
  const auto third = engine_->submit(greedy(3, 2));
  ASSERT_FALSE(third.ok());
  EXPECT_EQ(third.error().code, ErrorCode::kNoRoom);
  EXPECT_FALSE(engine_->submit(greedy(2, 2)).ok());
  run_to_end();
  EXPECT_EQ(outputs_.size(), 2u);
}

TEST_F(EngineTest, RefusesByField) {
  load({});
  const auto message = [&](auto change) {
    Request request = greedy(9, 4);
    change(request);
    const auto status = engine_->check(request);
    return status.ok() ? std::string("accepted") : status.error().message;
  };
  EXPECT_NE(message([](Request& r) { r.prompt.clear(); }).find("prompt is empty"),
            std::string::npos);
  EXPECT_NE(message([](Request& r) { r.prompt[3] = 100000; }).find("100000"), std::string::npos);
  EXPECT_NE(message([](Request& r) { r.sampling.max_tokens = 1 << 20; }).find("max_tokens"),
            std::string::npos);
  EXPECT_NE(message([](Request& r) { r.sampling.top_p = 0; }).find("top_p"), std::string::npos);
  EXPECT_NE(message([](Request& r) { r.sampling.n = 1000; }).find("n is"), std::string::npos);
  EXPECT_NE(message([](Request& r) { r.sampling.stop = {"x"}; }).find("tokenizer"),
            std::string::npos);
  EXPECT_NE(message([](Request& r) { r.guide = GuideJsonObject{}; }).find("tokenizer"),
            std::string::npos);
  EXPECT_EQ(message([](Request&) {}), "accepted");
}

TEST_F(EngineTest, CountsExpertsPerRequest) {
  load({.prefix_sharing = false, .per_request_experts = true});
  ASSERT_TRUE(engine_->submit(greedy(1, 5)).ok());
  ASSERT_TRUE(engine_->submit(greedy(2, 3)).ok());
  run_to_end();
  const auto& config = engine_->config();
  for (RequestId id : {1u, 2u}) {
    int64_t pairs = 0;
    for (uint32_t count : outputs_.at(id).expert_tokens) pairs += count;
    const int64_t rows = 20 + (id == 1 ? 5 : 3) - 1;
    EXPECT_EQ(pairs, rows * config.layers[0].ffn.top_k * config.layer_count());
  }
}

TEST(EngineLoad, TheCacheFollowsTheStoredWeights) {
  const auto cache_of = [](const char* model, const char* quant, const char* kv_dtype) {
    const auto engine =
        Engine::load(std::string(SLUICE_SOURCE_DIR "/tests/golden/") + model,
                     {.quant = quant, .kv_cache_memory = 1 << 22, .kv_dtype = kv_dtype});
    return engine.ok() ? kernels::name((*engine)->plan().kv_dtype) : engine.error().message;
  };
  EXPECT_EQ(cache_of("mixtral_top2_of_4", "none", "auto"), "f32");
  EXPECT_EQ(cache_of("mixtral_top2_of_8", "none", "auto"), "bf16");
  EXPECT_EQ(cache_of("mixtral_top2_of_8", "q8", "auto"), "bf16");
  EXPECT_EQ(cache_of("mixtral_tied", "none", "auto"), "f16");
  EXPECT_EQ(cache_of("mixtral_sharded", "none", "auto"), "bf16");  // norms in f32
  EXPECT_EQ(cache_of("mixtral_top2_of_8", "none", "q8"), "q8");
}

TEST(EngineLoad, NamesWhatIsMissing) {
  const auto none = Engine::load("/nonexistent/model", {});
  ASSERT_FALSE(none.ok());
  EXPECT_NE(none.error().message.find("/nonexistent/model"), std::string::npos);
  const auto schedule = Engine::load(kModel, {.schedule = "imaginary"});
  ASSERT_FALSE(schedule.ok());
  EXPECT_NE(schedule.error().message.find("imaginary"), std::string::npos);
}

// Every lane there is, several micro-batches at once: what ThreadSanitizer looks at.
TEST_F(EngineTest, MovesExpertsWhileItComputes) {
  load({});
  for (RequestId id = 1; id <= 6; ++id) ASSERT_TRUE(engine_->submit(greedy(id, 8)).ok());
  run_to_end();
  const auto expected = tokens_;
  const std::string machine = testing::TempDir() + "engine_test_device.json";
  ASSERT_TRUE(hardware::write_file(device::test_machine(), machine).ok());
  for (const char* schedule : {"layer_stream", "expert_fetch", "cgopipe", "serial"}) {
    EngineOptions options{.schedule = schedule, .micro_batch_size = 2, .resident_weights = 0.5};
    const bool device = schedule == std::string("cgopipe") || schedule == std::string("serial");
    if (device) options.device = "emulated:" + machine;
    tokens_.clear();
    load(options);
    for (RequestId id = 1; id <= 6; ++id) ASSERT_TRUE(engine_->submit(greedy(id, 8)).ok());
    run_to_end();
    EXPECT_EQ(tokens_, expected) << schedule;
    EXPECT_EQ(engine_->stats().device.present, device);
  }
}

}  // namespace
}  // namespace sluice::engine
