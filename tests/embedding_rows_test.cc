// A token embedding that lies on disk: the same answers from few rows of it in memory, each row
// read once while it has room; and what becomes of a row that cannot be read.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <set>

#include "engine/build_engine.h"
#include "engine_runs.h"
#include "io/faults.h"
#include "kernels/packed.h"
#include "weights/engine_directory.h"

namespace sluice::tests {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class EmbeddingRows : public testing::Test {
 protected:
  void SetUp() override {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = fs::temp_directory_path() /
              ("sluice_rows_" + std::string(test->name()) + std::to_string(::getpid()));
    fs::create_directories(folder_);
    model_ = (folder_ / "model").string();
    const auto built =
        engine::build_engine(SLUICE_SOURCE_DIR "/examples/demo_model", model_, {.quant = "q8"});
    ASSERT_TRUE(built) << built.error().message;
    auto resident = load("resident", nullptr);
    vocab_ = resident->config().vocab;
    requests_ = mixed_requests(14, vocab_, 40, 6);
    expected_ = run_all(*resident, requests_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::unique_ptr<engine::Engine> load(const std::string& schedule, io::Faults* faults) const {
    engine::EngineOptions options = options_;
    options.schedule = schedule;
    options.max_batch_size = 4;
    options.threads = 1;
    options.kv_cache_memory = int64_t{16} << 20;
    if (schedule != "resident") {
      options.resident_weights = 0.3;
      options.embedding_on = "disk";
    }
    options.disk_faults = faults;
    options.retry_pause_ms = 1;
    options.prefix_sharing = false;  // every token is computed
    return load_engine(model_, options);
  }

  // The tokens that go through a model: a choice's last one does not.
  static std::set<int32_t> tokens_of(const engine::Request& request,
                                     const engine::RequestOutput& output) {
    std::set<int32_t> tokens(request.prompt.begin(), request.prompt.end());
    for (const engine::Choice& choice : output.choices) {
      if (choice.tokens.empty()) continue;
      tokens.insert(choice.tokens.begin(), choice.tokens.end() - 1);
    }
    return tokens;
  }
  // Of all requests, as they are answered.
  std::set<int32_t> all_tokens() const {
    std::set<int32_t> all;
    for (const engine::Request& request : requests_)
      all.merge(tokens_of(request, expected_.at(request.id)));
    return all;
  }

  // A byte in the one file there is that is read for this row, and for 15 others.
  int64_t place_of(int32_t row) const {
    const auto directory = weights::EngineDirectory::open(model_);
    const weights::EngineTensor& table = directory->manifest().tensors.front();
    return table.offset +
           row / kernels::kPanelRows * kernels::panel_bytes(table.dtype, table.dims[1]) + 100;
  }
  // That byte's first bit in what is read for the row.
  int64_t bit_of(int32_t row) const {
    const int64_t begin = place_of(row) - 100;
    return 8 * (begin % 4096 + 100);
  }
  // A row beside which, and beside whose neighbours in the file, nobody needs one.
  static int32_t nobodys_row(const std::set<int32_t>& needed, int vocab) {
    constexpr auto kRows = static_cast<int32_t>(kernels::kPanelRows);
    for (int32_t row = vocab - 1 - kRows; row > kRows; --row) {
      const int32_t panel = row / kRows;
      const auto near = needed.lower_bound((panel - 1) * kRows);
      if (near == needed.end() || *near >= (panel + 2) * kRows) return row;
    }
    ADD_FAILURE() << "every row has one beside it that is needed";
    return 0;
  }

  void expect_same(const std::map<engine::RequestId, engine::RequestOutput>& got) const {
    ASSERT_EQ(got.size(), expected_.size());
    for (const auto& [id, output] : expected_) EXPECT_TRUE(same_answers(got.at(id), output)) << id;
  }

  fs::path folder_;
  std::string model_;
  engine::EngineOptions options_;
  int vocab_ = 0;
  std::vector<engine::Request> requests_;
  std::map<engine::RequestId, engine::RequestOutput> expected_;
};

TEST_F(EmbeddingRows, AreReadOnceWhileThereIsRoom) {
  options_.max_num_tokens = vocab_;
  for (const char* schedule : {"layer_stream", "expert_fetch"}) {
    for (const int64_t micro_batch : {4, 2}) {
      options_.micro_batch_size = micro_batch;
      auto engine = load(schedule, nullptr);
      EXPECT_EQ(engine->plan().embedding_rows, vocab_);
      expect_same(run_all(*engine, requests_));
      EXPECT_EQ(engine->stats().disk.rows, static_cast<int64_t>(all_tokens().size()));
      EXPECT_EQ(engine->stats().disk.row_bytes % engine->stats().disk.rows, 0);
    }
  }
}

TEST_F(EmbeddingRows, FewSuffice) {
  options_.max_num_tokens = 6;
  options_.micro_batch_size = 2;
  for (const char* schedule : {"layer_stream", "expert_fetch"}) {
    auto engine = load(schedule, nullptr);
    EXPECT_EQ(engine->plan().embedding_rows, 12);
    expect_same(run_all(*engine, requests_));
    EXPECT_GT(engine->stats().disk.rows, static_cast<int64_t>(all_tokens().size()));
    EXPECT_LE(engine->stats().disk.rows, engine->stats().computed_tokens);
  }
}

TEST_F(EmbeddingRows, FaultsThatPassChangeNothing) {
  const struct {
    const char* what;
    io::Fault fault;
    bool repeated;
  } cases[] = {{"an error", {.error = EIO}, true},
               {"a flipped bit", {.flipped_bit = 12345}, true},
               {"a short read", {.most_bytes = 4096}, false},
               {"a stall", {.stall_ms = 20}, false}};
  for (const char* schedule : {"layer_stream", "expert_fetch"}) {
    for (const auto& c : cases) {
      SCOPED_TRACE(std::string(schedule) + ", " + c.what);
      io::ListedFaults faults;
      // So far from each other that no read meets two.
      for (int32_t row = 0; row < vocab_; row += 3 * kernels::kPanelRows)
        faults.add({.offset = place_of(row), .fault = c.fault, .uses = 1});
      auto engine = load(schedule, &faults);
      expect_same(run_all(*engine, requests_));
      EXPECT_EQ(engine->stats().disk.retries > 0, c.repeated);
      EXPECT_EQ(engine->stats().failed_iterations, 0);
    }
  }
}

// The tries of a read are not enough, another attempt of the iteration is.
TEST_F(EmbeddingRows, FaultsThatPassLaterAreOvercomeByAnotherAttempt) {
  const struct {
    const char* what;
    io::Fault fault;
    int64_t uses;
  } cases[] = {{"an error", {.error = EIO}, 9}, {"a stall", {.stall_ms = 900}, 1}};
  for (const auto& c : cases) {
    SCOPED_TRACE(c.what);
    io::ListedFaults faults;
    const int32_t row = requests_.front().prompt.front();
    faults.add({.offset = place_of(row), .fault = c.fault, .uses = c.uses});
    options_.disk_timeout_ms = c.fault.stall_ms > 0 ? 300 : 60'000;
    auto engine = load("layer_stream", &faults);
    expect_same(run_all(*engine, requests_));
    EXPECT_GT(engine->stats().failed_iterations, 0);
    EXPECT_EQ(engine->stats().requests_failed, 0);
  }
}

// Who has the token is told so, the others never notice.
TEST_F(EmbeddingRows, FaultsThatStayFailOnlyWhoHasTheToken) {
  const struct {
    const char* what;
    io::Fault fault;
    const char* said;
  } cases[] = {{"an error", {.error = EIO}, "Input/output error"},
               {"a flipped bit", {.flipped_bit = 0}, "not what was written there"},
               {"a stall", {.stall_ms = 60'000}, "has not come within 300 ms (disk_timeout_ms)"}};
  for (engine::Request& request : requests_) {
    for (int32_t& token : request.prompt) token %= 600;
  }
  expected_ = run_all(*load("resident", nullptr), requests_);
  const int32_t row = nobodys_row(all_tokens(), vocab_);
  engine::Request& unlucky = requests_[4];
  unlucky.prompt.front() = row;
  for (const char* schedule : {"layer_stream", "expert_fetch"}) {
    for (const auto& c : cases) {
      SCOPED_TRACE(std::string(schedule) + ", " + c.what);
      io::ListedFaults faults;
      io::Fault fault = c.fault;
      if (fault.flipped_bit) fault.flipped_bit = bit_of(row);
      faults.add({.offset = place_of(row), .fault = fault});
      options_.disk_timeout_ms = c.fault.stall_ms > 0 ? 300 : 60'000;
      auto engine = load(schedule, &faults);
      const StoppableRun got = run_until_stopped(*engine, requests_);
      EXPECT_TRUE(got.stopped.empty()) << got.stopped;
      for (const auto& [id, output] : expected_) {
        ASSERT_EQ(got.outputs.at(id).error.has_value(), id == unlucky.id) << id;
        if (id != unlucky.id) {
          EXPECT_TRUE(same_answers(got.outputs.at(id), output)) << id;
          continue;
        }
        EXPECT_EQ(got.outputs.at(id).error->code, ErrorCode::kFault);
        const std::string& message = got.outputs.at(id).error->message;
        EXPECT_THAT(message, HasSubstr("weights-00000.bin"));
        EXPECT_THAT(message, HasSubstr("row"));
        EXPECT_THAT(message, HasSubstr(c.said));
      }
      EXPECT_TRUE(engine->idle());
    }
  }
}

}  // namespace
}  // namespace sluice::tests
