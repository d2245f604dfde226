// A disk that misbehaves while experts stream from it: what passes is tried again and changes
// nothing; what does not ends the run with a sentence that names the place, and nothing hangs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "engine/build_engine.h"
#include "engine_runs.h"
#include "io/faults.h"

namespace sluice::tests {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

// One fault for every so many reads.
class Every final : public io::Faults {
 public:
  Every(int64_t reads, const io::Fault& fault) : every_(reads), fault_(fault) {}
  io::Fault of_read(io::FileId, int64_t, int64_t) override {
    return ++reads_ % every_ == 0 ? fault_ : io::Fault{};
  }

 private:
  int64_t every_;
  io::Fault fault_;
  int64_t reads_ = 0;
};

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
    engine::EngineOptions options;
    options.schedule = schedule;
    options.max_batch_size = 4;
    options.kv_cache_memory = int64_t{16} << 20;
    options.resident_weights = schedule == "resident" ? 1.0 : 0.2;
    options.disk_faults = faults;
    return load_engine(model_, options);
  }

  // Steps until nothing is left to do, or to the first error.
  static Status run(engine::Engine& engine) {
    for (engine::Request& request : mixed_requests(6, engine.config().vocab, 40, 8)) {
      const Status submitted = engine.submit(std::move(request));
      if (!submitted.ok()) return submitted;
    }
    engine::EventSink sink;
    while (!engine.idle()) {
      if (const Status stepped = engine.step(sink); !stepped.ok()) return stepped;
    }
    return {};
  }

  fs::path folder_;
  std::string model_;
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

TEST_F(DiskFaults, ThatStayEndTheRunWithTheirPlace) {
  Every broken(1, {.error = EIO}), flipped(1, {.flipped_bit = 99});
  for (const char* schedule : {"layer_stream", "expert_fetch"}) {
    auto engine = load(schedule, &broken);
    const Status read = run(*engine);
    ASSERT_FALSE(read.ok()) << schedule;
    EXPECT_EQ(read.error().code, ErrorCode::kIo);
    EXPECT_THAT(read.error().message, HasSubstr("weights-00000.bin"));

    engine = load(schedule, &flipped);
    const Status checked = run(*engine);
    ASSERT_FALSE(checked.ok()) << schedule;
    EXPECT_EQ(checked.error().code, ErrorCode::kCorrupt);
    EXPECT_THAT(checked.error().message, HasSubstr("expert"));
  }
}

}  // namespace
}  // namespace sluice::tests
