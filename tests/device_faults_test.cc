// A device that misbehaves: transfers that fail, once or for ever, or hang; less memory than it was
// said to have.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <map>

#include "device/faults.h"
#include "engine_runs.h"

namespace sluice::tests {
namespace {

using device::Direction;
using ::testing::HasSubstr;

// A fault by what is about to cross, and how many transfers of its kind went before.
class Made final : public device::Faults {
 public:
  using Body = std::function<device::Fault(const device::TransferInfo&, int64_t nth)>;
  explicit Made(Body body) : body_(std::move(body)) {}
  device::Fault of_transfer(const device::TransferInfo& transfer) override {
    return body_(transfer, ++count_[transfer.direction == Direction::kToHost]);
  }
  bool task_fails() override { return task_every > 0 && ++tasks_ % task_every == 0; }
  int64_t memory_bytes(int64_t capacity) override { return memory > 0 ? memory : capacity; }

  int64_t memory = 0;
  int64_t task_every = 0;  // so many tasks of the device one fails

 private:
  Body body_;
  std::atomic<int64_t> count_[2]{};  // the two links have a thread each
  int64_t tasks_ = 0;                // the device too
};

class DeviceFaults : public testing::Test {
 protected:
  std::unique_ptr<engine::Engine> load(const std::string& schedule, device::Faults* faults) const {
    return load_engine(golden_model("mixtral_top2_of_8"), options(schedule, faults));
  }

  engine::EngineOptions options(const std::string& schedule, device::Faults* faults) const {
    engine::EngineOptions options = options_;
    options.schedule = schedule;
    options.max_batch_size = 6;
    options.threads = 1;
    options.kv_cache_memory = int64_t{8} << 20;
    options.retry_pause_ms = 1;
    options.prefix_sharing = false;
    options.per_request_experts = true;
    options.device_faults = faults;
    if (schedule != "resident") {
      options.device = fast_device(testing::TempDir());
      options.resident_weights = 0.3;
      options.micro_batch_size = 2;
    }
    return options;
  }

  // Prompts whose every position's likelihood is asked for: with two sequences in a micro-batch,
  // the head runs in parts, and one sequence is sampled before the other.
  static std::vector<engine::Request> requests(int vocab) {
    std::vector<engine::Request> all = mixed_requests(12, vocab, 16, 6);
    for (size_t i = 0; i < all.size(); ++i) {
      engine::SamplingParams& sampling = all[i].sampling;
      if (i % 2 == 1) sampling.prompt_logprobs = 1;
      if (i % 3 == 0) {
        sampling.temperature = 0.9;
        sampling.seed = i;
        sampling.presence_penalty = 0.5;
      }
      if (i % 4 == 0) sampling.n = 2;
    }
    return all;
  }

  engine::EngineOptions options_;
};

int64_t told(const StoppableRun& run) {
  int64_t tokens = 0;
  for (const auto& [id, of_request] : run.tokens) tokens += std::ssize(of_request);
  return tokens;
}

TEST_F(DeviceFaults, ThatPassChangeNothing) {
  auto resident = load("resident", nullptr);
  const auto all = requests(resident->config().vocab);
  const StoppableRun undisturbed = run_until_stopped(*resident, all);
  const auto& expected = undisturbed.outputs;
  const struct {
    const char* what;
    Made::Body body;
  } cases[] = {
      {"every 40th to the device",
       [](const device::TransferInfo& t, int64_t nth) {
         return device::Fault{.fails = t.direction == Direction::kToDevice && nth % 40 == 0};
       }},
      {"every 75th to the host: of logits too, when others are sampled",
       [](const device::TransferInfo& t, int64_t nth) {
         return device::Fault{.fails = t.direction == Direction::kToHost && nth % 75 == 0};
       }},
      {"late", [](const device::TransferInfo&, int64_t nth) {
         return device::Fault{.stall_ms = nth % 100 == 0 ? 5 : 0};
       }}};
  for (const char* schedule : {"cgopipe", "serial"}) {
    for (const auto& c : cases) {
      SCOPED_TRACE(std::string(schedule) + ", " + c.what);
      Made faults(c.body);
      auto engine = load(schedule, &faults);
      const StoppableRun got = run_until_stopped(*engine, all);
      ASSERT_TRUE(got.stopped.empty()) << got.stopped;
      for (const auto& [id, output] : expected)
        EXPECT_TRUE(same_answers(got.outputs.at(id), output)) << id;
      EXPECT_EQ(told(got), told(undisturbed)) << "each token once";
      EXPECT_EQ(engine->stats().failed_iterations > 0, c.what != std::string("late"));
      EXPECT_EQ(engine->stats().requests_failed, 0);
    }
  }
}

TEST_F(DeviceFaults, OfItsTasksThatPassChangeNothing) {
  auto resident = load("resident", nullptr);
  const auto all = requests(resident->config().vocab);
  const auto expected = run_all(*resident, all);
  for (const char* schedule : {"cgopipe", "kv_prefetch", "serial"}) {
    SCOPED_TRACE(schedule);
    Made faults([](const device::TransferInfo&, int64_t) { return device::Fault{}; });
    faults.task_every = 97;
    auto engine = load(schedule, &faults);
    const StoppableRun got = run_until_stopped(*engine, all);
    ASSERT_TRUE(got.stopped.empty()) << got.stopped;
    for (const auto& [id, output] : expected)
      EXPECT_TRUE(same_answers(got.outputs.at(id), output)) << id;
    EXPECT_GT(engine->stats().failed_iterations, 0);
  }
}

TEST_F(DeviceFaults, OfOneExpertFailOnlyWhoNeedsIt) {
  auto resident = load("resident", nullptr);
  const auto all = requests(resident->config().vocab);
  const auto expected = run_all(*resident, all);
  // An expert that some requests need, and some do not.
  int64_t page = -1;
  const auto needs = [&](const engine::RequestOutput& output) {
    return output.expert_tokens[static_cast<size_t>(page)] > 0;
  };
  const auto split = [&] {
    size_t needed = 0;
    for (const auto& [id, output] : expected) needed += needs(output);
    return needed >= 1 && needed < expected.size();
  };
  for (page = 0; !split(); ++page) ASSERT_LT(page + 1, std::ssize(expected.at(1).expert_tokens));
  for (const char* schedule : {"cgopipe", "serial"}) {
    SCOPED_TRACE(schedule);
    Made faults([&](const device::TransferInfo& t, int64_t) {
      return device::Fault{.fails = t.page == page};
    });
    auto engine = load(schedule, &faults);
    const StoppableRun got = run_until_stopped(*engine, all);
    ASSERT_TRUE(got.stopped.empty()) << got.stopped;
    for (const auto& [id, output] : expected) {
      ASSERT_EQ(got.outputs.at(id).error.has_value(), needs(output)) << id;
      if (!needs(output)) {
        EXPECT_TRUE(same_answers(got.outputs.at(id), output)) << id;
        continue;
      }
      EXPECT_EQ(got.outputs.at(id).error->code, ErrorCode::kFault);
      EXPECT_THAT(got.outputs.at(id).error->message,
                  HasSubstr("the link from host to device failed while it moved expert " +
                            std::to_string(page % 8) + " of layer " + std::to_string(page / 8)));
    }
  }
}

TEST_F(DeviceFaults, ThatStayOfItsTasksStopTheEngine) {
  Made faults([](const device::TransferInfo&, int64_t) { return device::Fault{}; });
  faults.task_every = 1;
  auto engine = load("cgopipe", &faults);
  const StoppableRun got = run_until_stopped(*engine, requests(engine->config().vocab));
  EXPECT_THAT(got.stopped, HasSubstr("the device failed at '"));
  EXPECT_TRUE(got.outputs.empty()) << "no request is to blame";
}

TEST_F(DeviceFaults, ThatStayStopTheEngine) {
  for (const Direction direction : {Direction::kToDevice, Direction::kToHost}) {
    Made faults([&](const device::TransferInfo& t, int64_t) {
      return device::Fault{.fails = t.direction == direction && !t.page};
    });
    auto engine = load("cgopipe", &faults);
    const StoppableRun got = run_until_stopped(*engine, requests(engine->config().vocab));
    EXPECT_THAT(got.stopped, HasSubstr("the engine stops: nothing has succeeded in 8 attempts"));
    EXPECT_THAT(got.stopped, HasSubstr("the link from"));
    EXPECT_TRUE(got.outputs.empty()) << "no request is to blame";
  }
}

// A transfer that takes longer than its lane may: what it writes to stays until it has ended.
TEST_F(DeviceFaults, AHungTransferIsWaitedForOrStopsTheEngine) {
  options_.lane_timeout_ms = 300;
  auto resident = load("resident", nullptr);
  const auto all = requests(resident->config().vocab);
  const auto expected = run_all(*resident, all);
  for (const int64_t stall_ms : {450, 3000}) {
    SCOPED_TRACE(stall_ms);
    Made faults([&](const device::TransferInfo& t, int64_t nth) {
      return device::Fault{.stall_ms =
                               t.direction == Direction::kToDevice && nth == 30 ? stall_ms : 0};
    });
    auto engine = load("cgopipe", &faults);
    const StoppableRun got = run_until_stopped(*engine, all);
    if (stall_ms > 2 * options_.lane_timeout_ms) {
      EXPECT_THAT(got.stopped, HasSubstr("still runs on the lane host to device"));
      EXPECT_THAT(got.stopped, HasSubstr("(lane_timeout_ms)"));
      continue;
    }
    ASSERT_TRUE(got.stopped.empty()) << got.stopped;
    for (const auto& [id, output] : expected)
      EXPECT_TRUE(same_answers(got.outputs.at(id), output)) << id;
    EXPECT_GT(engine->stats().failed_iterations, 0);
  }
}

TEST_F(DeviceFaults, LessMemoryIsRefusedWithWhatFits) {
  Made faults([](const device::TransferInfo&, int64_t) { return device::Fault{}; });
  const std::string model = golden_model("mixtral_top2_of_8");
  auto wishes = options("cgopipe", &faults);
  wishes.resident_weights = 1.0;
  faults.memory = load_engine(model, wishes)->plan().device_bytes - 8192;
  auto refused = engine::Engine::load(model, wishes);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kNoRoom);
  const std::string hint = "--device-memory " + std::to_string(faults.memory) + " would fit";
  EXPECT_THAT(refused.error().message, HasSubstr(hint));
  wishes.device_memory = faults.memory;
  EXPECT_TRUE(engine::Engine::load(model, wishes).ok()) << "as it said";
  faults.memory = 4096;
  wishes.device_memory = 0;
  refused = engine::Engine::load(model, wishes);
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, HasSubstr("must lie there"));
}

}  // namespace
}  // namespace sluice::tests
