// What must hold whatever the machine, model and workload: drawn at random, the same each time.
#include <gtest/gtest.h>

#include <random>

#include "base/sanitized.h"
#include "hardware/presets.h"
#include "models/shape.h"
#include "planner/planner.h"

namespace sluice::planner {
namespace {

const int kCases = base::address_sanitized() ? 8 : 24;

class Draws {
 public:
  explicit Draws(uint32_t seed) : engine_(seed) {}
  double between(double low, double high) {  // in equal shares of the logarithm
    const double u = static_cast<double>(engine_()) / 4294967296.0;
    return low * std::pow(high / low, u);
  }
  size_t below(size_t n) { return engine_() % n; }

 private:
  std::mt19937 engine_;
};

Question drawn(Draws& draws) {
  Question question;
  const auto shapes = models::known_shapes();
  question.model_name = shapes[draws.below(shapes.size())].name;
  question.model = models::known_shape(question.model_name).value();
  const auto devices = hardware::device_presets();
  hardware::Parts parts{.host = "xeon-24c", .disk = "nvme-gen4"};
  if (draws.below(4) > 0) parts.device = devices[draws.below(devices.size())].name;
  question.hardware = hardware::combine(parts).value();
  for (hardware::Level& level : question.hardware.levels) {
    level.capacity_bytes =
        static_cast<int64_t>(draws.between(0.5, 8) * static_cast<double>(level.capacity_bytes));
    level.read_bytes_per_second *= draws.between(0.2, 5);
  }
  for (hardware::Link& link : question.hardware.links)
    link.bytes_per_second *= draws.between(0.2, 5);
  question.workload = {
      "drawn",
      {{static_cast<int64_t>(draws.between(16, 2000)), static_cast<int64_t>(draws.between(4, 400)),
        static_cast<int64_t>(draws.between(1, 5000))}}};
  question.quants = {"q4"};
  if (draws.below(2) > 0) question.skew.zipf_exponent = draws.between(0.2, 1.5);
  question.kv_on_disk = draws.below(4) == 0;
  question.replays = false;
  return question;
}

// Each resource of a machine, more of it.
std::vector<hardware::Hardware> richer(const hardware::Hardware& hardware, double times) {
  std::vector<hardware::Hardware> all;
  for (size_t i = 0; i < hardware.levels.size(); ++i) {
    hardware::Hardware more = hardware;
    more.levels[i].capacity_bytes =
        static_cast<int64_t>(times * static_cast<double>(more.levels[i].capacity_bytes));
    all.push_back(more);
    more = hardware;
    more.levels[i].read_bytes_per_second *= times;
    all.push_back(more);
    if (!hardware.levels[i].compute) continue;
    more = hardware;
    for (auto& [dtype, flops] : more.levels[i].compute->peak_flops) flops *= times;
    all.push_back(more);
  }
  for (size_t i = 0; i < hardware.links.size(); ++i) {
    hardware::Hardware more = hardware;
    more.links[i].bytes_per_second *= times;
    all.push_back(more);
  }
  return all;
}

// after(question, before) for each resource of each drawn machine of which there is more.
template <class After>
void for_each_richer(Draws draws, const std::vector<plan::Place>& experts_on, const After& after) {
  int answered = 0;
  for (int i = 0; i < kCases; ++i) {
    Question question = drawn(draws);
    question.experts_on = experts_on;
    const auto before = answer(question);
    const auto all = richer(question.hardware, draws.between(1.05, 4));
    if (!before.ok()) continue;
    ++answered;
    for (const hardware::Hardware& more : all) {
      question.hardware = more;
      after(question, before->estimate.seconds);
    }
  }
  EXPECT_GT(answered, kCases / 2);
}

double seconds(const Question& question) {
  const auto found = answer(question);
  EXPECT_TRUE(found.ok()) << found.error().message;
  return found.ok() ? found->estimate.seconds : 0;
}

TEST(PlannerProperties, MoreOfAResourceIsNeverSlower) {
  for_each_richer(Draws(6), {plan::Place::kDevice, plan::Place::kHost},
                  [](const Question& question, double before) {
                    EXPECT_LE(seconds(question), before * (1 + 1e-6))
                        << question.model_name << " on " << to_json(question.hardware).dump();
                  });
}

TEST(PlannerProperties, ExpertsWhereEachIsSoonerAreNoWorseThanInOnePlaceNorSlowerWithMore) {
  for_each_richer(Draws(6), {}, [](Question question, double before) {
    const double any = seconds(question);
    EXPECT_LE(any, before * (1 + 1e-6))
        << question.model_name << " on " << to_json(question.hardware).dump();
    question.experts_on = {plan::Place::kDevice, plan::Place::kHost};
    EXPECT_LE(any, seconds(question) * (1 + 1e-6));
  });
}

// What the search counts on is at least what the engine would reserve, and no more than a tenth
// above it.
TEST(PlannerProperties, TheFootprintIsWhatIsReserved) {
  for (const char* device : {"", "t4", "l4", "a100-80g"}) {
    for (const char* model : {"mixtral-8x7b", "qwen3-30b-a3b", "olmoe-1b-7b"}) {
      Question question;
      question.model = models::known_shape(model).value();
      question.model_name = model;
      question.hardware =
          hardware::combine({.device = device, .host = "xeon-24c", .disk = "nvme-gen4"}).value();
      question.workload = {"w", {{300, 100, 5000}}};
      question.runnable_only = true;
      question.replays = false;
      const auto found = answer(question);
      ASSERT_TRUE(found.ok()) << found.error().message;
      const auto reserved = static_cast<double>(found->plan.total_bytes());
      const auto counted = static_cast<double>(found->footprint.host());
      if (*device == '\0') {
        EXPECT_LT(reserved, static_cast<double>(found->machine.host_memory) + 1);
      }
      EXPECT_GE(counted, reserved) << model << " on " << device;
      EXPECT_LE(counted, 1.1 * reserved) << model << " on " << device;
      EXPECT_LE(found->plan.device_bytes, found->machine.device_memory);
      if (found->plan.device_bytes > 0) {
        const auto device_bytes = static_cast<double>(found->plan.device_bytes);
        EXPECT_NEAR(static_cast<double>(found->footprint.device()), device_bytes,
                    0.1 * device_bytes)
            << model << " on " << device;
      }
    }
  }
}

}  // namespace
}  // namespace sluice::planner
