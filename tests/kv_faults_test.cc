// A disk that misbehaves while keys and values lie on it: what passes changes nothing, what does
// not fails the requests that have the block, or stops the engine if nothing can be had; nothing
// hangs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "disk_trouble.h"

namespace sluice::tests {
namespace {

using ::testing::HasSubstr;

class KvFaults : public testing::Test {
 protected:
  std::unique_ptr<engine::Engine> load(io::Faults* faults, bool on_disk = true) const {
    engine::EngineOptions options;
    options.schedule = "resident";
    options.max_batch_size = 6;
    options.micro_batch_size = 3;
    options.max_num_tokens = 64;
    options.max_seq_len = 256;
    options.threads = 1;
    options.kv_block_tokens = 16;
    options.retry_pause_ms = 1;
    options.disk_timeout_ms = timeout_ms_;
    options.disk_faults = faults;
    if (on_disk) {
      options.kv_on = "disk";
      options.resident_kv = 0;
      options.kv_window_bytes = window_bytes_;
      options.kv_directory = testing::TempDir();
    }
    return load_engine(golden_model("mixtral_long"), options);
  }
  // Longer than a block, so that some of each is read.
  static std::vector<engine::Request> requests(const engine::Engine& engine) {
    auto all = mixed_requests(14, engine.config().vocab, 60, 24);
    for (size_t i = 0; i < all.size(); i += 3) {
      all[i].sampling.temperature = 0.9;
      all[i].sampling.seed = i;
    }
    return all;
  }

  int64_t timeout_ms_ = 60'000;
  int64_t window_bytes_ = 1;  // attention in parts
};

TEST_F(KvFaults, ThatPassChangeNothing) {
  const struct {
    const char* what;
    int64_t every;
    io::Fault fault;
    bool repeated;  // by the disk lane; the reader sees to the others itself
  } cases[] = {{"an error", 5, {.error = EIO}, true},
               {"a flipped bit", 7, {.flipped_bit = 12345}, true},
               {"a short call", 2, {.most_bytes = 4096}, false},
               {"try again", 3, {.error = EAGAIN}, false},
               {"a stall", 9, {.stall_ms = 5}, false}};
  auto resident = load(nullptr, false);
  const auto expected = run_all(*resident, requests(*resident));
  for (const auto& c : cases) {
    SCOPED_TRACE(c.what);
    Every faults(c.every, c.fault);
    auto engine = load(&faults);
    const auto got = run_all(*engine, requests(*engine));
    for (const auto& [id, output] : expected) EXPECT_TRUE(same_answers(got.at(id), output)) << id;
    EXPECT_EQ(engine->stats().disk.retries > 0, c.repeated);
  }
}

// Tries of the lane are not enough, another attempt of the iteration is.
TEST_F(KvFaults, ThatPassLaterAreOvercomeByAnotherAttempt) {
  auto resident = load(nullptr, false);
  const auto expected = run_all(*resident, requests(*resident));
  for (const bool writes : {false, true}) {
    for (const io::Fault& fault : {io::Fault{.error = EIO}, io::Fault{.stall_ms = 300}}) {
      SCOPED_TRACE(std::string(writes ? "writes" : "reads") +
                   (fault.error ? ", errors" : ", stalls"));
      io::ListedFaults faults;
      for (int64_t place = 0; place < 12; place += 4) {
        faults.add({.offset = place * 4096,
                    .fault = fault,
                    .uses = fault.error != 0 ? 4 : 1,
                    .of_writes = writes});
      }
      timeout_ms_ = fault.error != 0 ? 60'000 : 150;
      auto engine = load(&faults);
      expect_overcome(*engine, requests(*engine), expected);
    }
  }
}

// One block that cannot be had: whose it is, is told so, the others never notice.
TEST_F(KvFaults, ThatStayFailOnlyWhoHasTheBlock) {
  auto resident = load(nullptr, false);
  const auto expected = run_all(*resident, requests(*resident));
  for (const bool writes : {false, true}) {
    SCOPED_TRACE(writes);
    io::ListedFaults faults;
    faults.add({.offset = 3 * 4096, .fault = {.error = EIO}, .of_writes = writes});
    auto engine = load(&faults);
    const StoppableRun got = run_until_stopped(*engine, requests(*engine));
    EXPECT_TRUE(got.stopped.empty()) << got.stopped;
    size_t failed = 0;
    for (const auto& [id, output] : expected) {
      if (!got.outputs.at(id).error) {
        EXPECT_TRUE(same_answers(got.outputs.at(id), output)) << id;
        continue;
      }
      ++failed;
      EXPECT_EQ(got.outputs.at(id).error->code, ErrorCode::kFault);
      const std::string& message = got.outputs.at(id).error->message;
      EXPECT_THAT(message, HasSubstr("keys and values of block"));
      EXPECT_THAT(message, HasSubstr("Input/output error"));
    }
    EXPECT_GE(failed, 1u);
    EXPECT_LT(failed, expected.size());
    EXPECT_EQ(engine->stats().requests_failed, static_cast<int64_t>(failed));
    EXPECT_TRUE(engine->idle());
  }
}

TEST_F(KvFaults, ThatAreEverywhereStopTheEngineWithTheirPlace) {
  Every broken(1, {.error = EIO}), stalled(1, {.stall_ms = 60'000});
  auto resident = load(nullptr, false);
  // Each longer than a block.
  auto all = mixed_requests(60, resident->config().vocab, 60, 24);
  std::erase_if(all, [](const engine::Request& one) { return one.prompt.size() < 20; });
  ASSERT_GT(all.size(), 30u);
  const auto expected = run_all(*resident, all);
  timeout_ms_ = 60;
  for (io::Faults* faults : {&broken, &stalled}) {
    auto engine = load(faults);
    const StoppableRun got = run_until_stopped(*engine, all);
    EXPECT_THAT(got.stopped, HasSubstr("the engine stops: "));
    EXPECT_THAT(got.stopped, testing::AnyOf(HasSubstr("keys and values of"),
                                            HasSubstr("of keys and values have stalled")));
    EXPECT_THAT(got.stopped, HasSubstr("check the disk"));
    // A block goes to the disk beside what follows: an answer's last token may come before it
    // fails.
    for (const auto& [id, output] : got.outputs) {
      EXPECT_TRUE(output.error || same_answers(output, expected.at(id))) << id;
    }
    EXPECT_LT(got.outputs.size(), all.size());
  }
}

}  // namespace
}  // namespace sluice::tests
