// What a fault lets be done again is not planned work: no lane was busier for it.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <numeric>

#include "engine/build_engine.h"
#include "engine_runs.h"
#include "io/faults.h"
#include "weights/engine_directory.h"

namespace sluice::tests {
namespace {

namespace fs = std::filesystem;

constexpr int kLastLayer = 4;

// Every read of an expert takes long; those of the last layer fail so many times.
class SlowDisk final : public io::Faults {
 public:
  SlowDisk(int64_t last_layer, int64_t failures) : last_layer_(last_layer), left_(failures) {}
  io::Fault of_read(io::FileId, int64_t offset, int64_t) override {
    if (offset >= last_layer_ && left_ > 0) {
      --left_;
      return {.error = EIO};
    }
    return {.stall_ms = 15};
  }

 private:
  int64_t last_layer_;
  int64_t left_;
};

class RepeatedWork : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() /
              ("sluice_repeated_" + std::string(GetParam()) + std::to_string(::getpid()));
    fs::create_directories(folder_);
    model_ = (folder_ / "model").string();
    const auto built =
        engine::build_engine(SLUICE_SOURCE_DIR "/examples/demo_model", model_, {.quant = "q8"});
    ASSERT_TRUE(built) << built.error().message;
  }
  void TearDown() override { fs::remove_all(folder_); }

  // One iteration of one prompt.
  engine::EngineStats run(int64_t failures) const {
    const auto directory = weights::EngineDirectory::open(model_);
    int64_t last = 0;
    for (const weights::EngineExperts& experts : directory->manifest().experts) {
      if (experts.layer == kLastLayer) last = weights::page_run_of(experts, 0).offset;
    }
    SlowDisk disk(last, failures);
    engine::EngineOptions options{.schedule = GetParam(),
                                  .threads = 1,
                                  .max_batch_size = 1,
                                  .resident_weights = 0,
                                  .guess_experts = "off",
                                  .kv_cache_memory = int64_t{16} << 20};
    options.disk_faults = &disk;
    options.retry_pause_ms = 1;
    auto engine = load_engine(model_, options);
    auto requests = mixed_requests(1, engine->config().vocab, 60, 1);
    run_all(*engine, requests);
    return engine->stats();
  }
  static double stage_seconds(const engine::EngineStats& stats) {
    return std::accumulate(
        stats.stages.begin(), stats.stages.end(), 0.0,
        [](double sum, const engine::StageStats& stage) { return sum + stage.busy_seconds; });
  }

  fs::path folder_;
  std::string model_;
};

TEST_P(RepeatedWork, IsNoPlannedWork) {
  const engine::EngineStats plain = run(0);
  const engine::EngineStats faulty = run(24);
  ASSERT_EQ(plain.failed_iterations, 0);
  ASSERT_GE(faulty.failed_iterations, 1);
  // All layers but the last were read again; with four places for experts nothing had stayed.
  const double before = plain.lane(schedule::Lane::kDisk).busy_seconds;
  const double after = faulty.lane(schedule::Lane::kDisk).busy_seconds;
  EXPECT_GT(faulty.disk.pages, static_cast<int64_t>(1.5 * static_cast<double>(plain.disk.pages)));
  EXPECT_LT(after, 1.5 * before);
  // And computed again, which the stages' own times tell.
  const double planned = faulty.lane(schedule::Lane::kHostCompute).busy_seconds;
  EXPECT_LT(planned, 0.75 * stage_seconds(faulty));
  EXPECT_NEAR(plain.lane(schedule::Lane::kHostCompute).busy_seconds, stage_seconds(plain),
              0.02 * stage_seconds(plain));
}

INSTANTIATE_TEST_SUITE_P(Schedules, RepeatedWork, testing::Values("layer_stream", "expert_fetch"));

}  // namespace
}  // namespace sluice::tests
