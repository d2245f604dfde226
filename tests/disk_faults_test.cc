// A disk that misbehaves while experts stream from it: what passes is tried again and changes
// nothing; what does not fails the requests that need it with a sentence that names the place, or
// stops the engine if nothing can be had; nothing hangs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <map>

#include "disk_trouble.h"
#include "engine/build_engine.h"
#include "weights/engine_directory.h"

namespace sluice::tests {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class DiskFaults : public testing::Test {
 protected:
  void SetUp() override {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = fs::temp_directory_path() /
              ("sluice_faults_" + std::string(test->name()) + std::to_string(::getpid()));
    fs::create_directories(folder_);
    model_ = (folder_ / "model").string();
    const auto built =
        engine::build_engine(SLUICE_SOURCE_DIR "/examples/demo_model", model_, {.quant = "q8"});
    ASSERT_TRUE(built) << built.error().message;
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::unique_ptr<engine::Engine> load(const std::string& schedule, io::Faults* faults) const {
    engine::EngineOptions options = options_;
    options.schedule = schedule;
    options.max_batch_size = 4;
    options.threads = 1;
    options.kv_cache_memory = int64_t{16} << 20;
    options.resident_weights = schedule == "resident" ? 1.0 : 0.2;
    options.disk_faults = faults;
    options.retry_pause_ms = 1;
    // What comes from the prefix cache is routed by another request.
    options.prefix_sharing = false;
    return load_engine(model_, options);
  }

  // Where the page of an expert begins in the one file there is.
  int64_t place_of(int layer, int expert) const {
    const auto directory = weights::EngineDirectory::open(model_);
    for (const weights::EngineExperts& experts : directory->manifest().experts) {
      if (experts.layer == layer) return weights::page_run_of(experts, expert).offset;
    }
    ADD_FAILURE() << "layer " << layer << " has no experts";
    return 0;
  }

  // Short ones, of all kinds of state that an answer has: draws, guides, stop strings, choices.
  static std::vector<engine::Request> varied_requests(int vocab) {
    std::vector<engine::Request> requests = mixed_requests(12, vocab, 6, 5);
    for (size_t i = 0; i < requests.size(); ++i) {
      engine::SamplingParams& sampling = requests[i].sampling;
      if (i % 2 == 0) {
        sampling.temperature = 0.9;
        sampling.seed = i;
        sampling.frequency_penalty = 0.5;
      }
      if (i % 4 == 1) requests[i].guide = engine::GuideRegex{"[a-z ]{1,9}"};
      if (i % 4 == 2) sampling.n = 2;
      if (i % 4 == 3) {
        sampling.stop = {"e"};
        sampling.prompt_logprobs = 1;
      }
    }
    return requests;
  }

  // An expert of the layer that some requests need, and some do not.
  static int needed_by_some(const std::map<engine::RequestId, engine::RequestOutput>& outputs,
                            int layer, int experts) {
    for (int expert = 0; expert < experts; ++expert) {
      size_t needed = 0;
      for (const auto& [id, output] : outputs) {
        needed += output.expert_tokens[static_cast<size_t>(layer * experts + expert)] > 0;
      }
      if (needed >= 2 && needed + 2 <= outputs.size()) return expert;
    }
    ADD_FAILURE() << "every expert is needed by all, or by none";
    return 0;
  }

  fs::path folder_;
  std::string model_;
  engine::EngineOptions options_;
};

TEST_F(DiskFaults, ThatPassChangeNothing) {
  const struct {
    const char* what;
    int64_t every;
    io::Fault fault;
    bool repeated;  // by the disk lane; the reader sees to the others itself
  } cases[] = {{"an error", 5, {.error = EIO}, true},
               {"a flipped bit", 7, {.flipped_bit = 12345}, true},
               {"a short read", 2, {.most_bytes = 4096}, false},
               {"try again", 3, {.error = EAGAIN}, false},
               {"a stall", 9, {.stall_ms = 30}, false}};
  auto resident = load("resident", nullptr);
  const int vocab = resident->config().vocab;
  const auto expected = run_all(*resident, mixed_requests(6, vocab, 40, 8));
  for (const char* schedule : {"layer_stream", "expert_fetch"}) {
    for (const auto& c : cases) {
      SCOPED_TRACE(std::string(schedule) + ", " + c.what);
      Every faults(c.every, c.fault);
      auto engine = load(schedule, &faults);
      const auto got = run_all(*engine, mixed_requests(6, vocab, 40, 8));
      for (const auto& [id, output] : expected) EXPECT_TRUE(same_answers(got.at(id), output));
      EXPECT_EQ(engine->stats().disk.retries > 0, c.repeated);
    }
  }
}

// Tries of the lane are not enough, another attempt of the iteration is.
TEST_F(DiskFaults, ThatPassLaterAreOvercomeByAnotherAttempt) {
  const struct {
    const char* what;
    io::Fault fault;
    int64_t uses;
  } cases[] = {{"an error", {.error = EIO}, 4},
               {"an error, longer", {.error = EIO}, 8},
               {"a stall", {.stall_ms = 900}, 1}};
  auto resident = load("resident", nullptr);
  const auto requests = varied_requests(resident->config().vocab);
  const auto expected = run_all(*resident, requests);
  for (const char* schedule : {"layer_stream", "expert_fetch"}) {
    for (const auto& c : cases) {
      SCOPED_TRACE(std::string(schedule) + ", " + c.what);
      io::ListedFaults faults;
      for (int expert = 0; expert < 8; ++expert) {
        faults.add({.offset = place_of(2, expert), .fault = c.fault, .uses = c.uses});
      }
      options_.disk_timeout_ms = c.fault.stall_ms > 0 ? 300 : 60'000;
      auto engine = load(schedule, &faults);
      expect_overcome(*engine, requests, expected);
    }
  }
}

// One expert that cannot be had: who needs it is told so, the others never notice.
TEST_F(DiskFaults, ThatStayFailOnlyWhoNeedsThePage) {
  const struct {
    const char* what;
    io::Fault fault;
    const char* said;
  } cases[] = {{"an error", {.error = EIO}, "Input/output error"},
               {"a flipped bit", {.flipped_bit = 99}, "is not what was written there"},
               {"a stall", {.stall_ms = 60'000}, "has not come within 300 ms (disk_timeout_ms)"}};
  options_.per_request_experts = true;
  auto resident = load("resident", nullptr);
  const auto requests = varied_requests(resident->config().vocab);
  const auto expected = run_all(*resident, requests);
  constexpr int kLayer = 1;
  const int expert = needed_by_some(expected, kLayer, resident->config().max_experts());
  for (const char* schedule : {"layer_stream", "expert_fetch"}) {
    for (const int64_t micro_batch : {4, 2}) {
      for (const auto& c : cases) {
        SCOPED_TRACE(std::string(schedule) + ", " + c.what);
        io::ListedFaults faults;
        faults.add({.offset = place_of(kLayer, expert), .fault = c.fault});
        options_.disk_timeout_ms = c.fault.stall_ms > 0 ? 300 : 60'000;
        options_.micro_batch_size = micro_batch;
        auto engine = load(schedule, &faults);
        const StoppableRun got = run_until_stopped(*engine, requests);
        EXPECT_TRUE(got.stopped.empty()) << got.stopped;
        int failed = 0;
        for (const auto& [id, output] : expected) {
          const bool needs = output.expert_tokens[static_cast<size_t>(kLayer * 8 + expert)] > 0;
          ASSERT_EQ(got.outputs.at(id).error.has_value(), needs) << id;
          failed += needs;
          if (!needs) {
            EXPECT_TRUE(same_answers(got.outputs.at(id), output)) << id;
            EXPECT_EQ(got.tokens.at(id).size(), static_cast<size_t>(output.completion_tokens));
            continue;
          }
          EXPECT_EQ(got.outputs.at(id).error->code, ErrorCode::kFault);
          const std::string& message = got.outputs.at(id).error->message;
          EXPECT_THAT(message, HasSubstr("weights-00000.bin"));
          EXPECT_THAT(message, HasSubstr("expert " + std::to_string(expert) + " of layer 1"));
          EXPECT_THAT(message, HasSubstr(c.said));
        }
        EXPECT_EQ(engine->stats().requests_failed, failed);
        EXPECT_TRUE(engine->idle());
      }
    }
  }
}

// A disk that gives nothing any more stops the engine, before all requests are answered with an
// error; another engine then answers them.
TEST_F(DiskFaults, ThatAreEverywhereStopTheEngineWithTheirPlace) {
  Every broken(1, {.error = EIO}), stalled(1, {.stall_ms = 60'000});
  options_.disk_timeout_ms = 60;
  auto resident = load("resident", nullptr);
  auto requests = mixed_requests(40, resident->config().vocab, 40, 8);
  for (const char* schedule : {"layer_stream", "expert_fetch"}) {
    for (io::Faults* faults : {&broken, &stalled}) {
      SCOPED_TRACE(schedule);
      auto engine = load(schedule, faults);
      const StoppableRun got = run_until_stopped(*engine, requests);
      EXPECT_THAT(got.stopped, HasSubstr("the engine stops: "));
      EXPECT_THAT(got.stopped, HasSubstr("nothing has succeeded"));
      EXPECT_THAT(got.stopped, HasSubstr("weights-00000.bin"));
      for (const auto& [id, output] : got.outputs) EXPECT_TRUE(output.error.has_value()) << id;
      EXPECT_LE(got.outputs.size(), 20u);
      engine::EventSink sink;
      const Status again = engine->step(sink);
      EXPECT_EQ(again.error().message, got.stopped) << "it stays so";
    }
  }
}

// A read that takes long is work of the disk; one that is done again after a fault is not.
TEST_F(DiskFaults, OnlyTheFirstTryOfAReadIsPlannedWork) {
  for (const bool again : {false, true}) {
    SCOPED_TRACE(again);
    io::ListedFaults faults;
    for (int expert = 0; expert < 8; ++expert) {
      const int64_t place = place_of(1, expert);
      if (again) faults.add({.offset = place, .fault = {.error = EIO}, .uses = 1});
      faults.add({.offset = place, .fault = {.stall_ms = 400}, .uses = 1});
    }
    auto engine = load("layer_stream", &faults);
    run_all(*engine, mixed_requests(1, engine->config().vocab, 6, 2));
    const engine::LaneStats& disk = engine->stats().lane(schedule::Lane::kDisk);
    double waited = disk.idle_seconds;
    for (const double seconds : disk.waited_seconds) waited += seconds;
    EXPECT_EQ(engine->stats().disk.retries > 0, again);
    if (again) {
      EXPECT_GT(waited, 0.3);
    } else {
      EXPECT_GT(disk.busy_seconds, 0.3);
    }
  }
}

// Cancelled, or dropped with the engine, while reads stall: nobody waits for them.
TEST_F(DiskFaults, DoNotKeepAnEngineFromItsEnd) {
  Every stalled(4, {.stall_ms = 60'000});
  options_.disk_timeout_ms = 50;
  auto engine = load("layer_stream", &stalled);
  const auto requests = varied_requests(engine->config().vocab);
  for (const engine::Request& request : requests) ASSERT_TRUE(engine->submit(request).ok());
  engine::EventSink sink;
  int ended = 0;
  sink.on_finished = [&](engine::RequestOutput&&) { ++ended; };
  (void)engine->step(sink);
  for (const engine::Request& request : requests) engine->cancel(request.id);
  for (int i = 0; i < 20 && !engine->idle(); ++i) (void)engine->step(sink);
  EXPECT_TRUE(engine->idle());
  EXPECT_EQ(ended, static_cast<int>(requests.size()));
}

}  // namespace
}  // namespace sluice::tests
