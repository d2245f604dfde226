// What --host-memory holds, and what is said where it is too little.
#include <gtest/gtest.h>

#include <regex>

#include "plan/fit.h"
#include "plan/test_model.h"

namespace sluice::plan {
namespace {

TEST(Fit, HostMemoryIsAPromiseOfTheWholeProcess) {
  const FitWishes wishes{.max_batch_size = 4, .max_seq_len = 256, .host_memory = 260 * kMiB};
  const FitMachine machine{.available_memory = kGiB, .process_memory = 60 * kMiB};
  const auto plan = fit_plan(small(), with_experts(), wishes, machine);
  ASSERT_TRUE(plan.ok()) << plan.error().message;
  EXPECT_GT(plan->expert_slots, 0);
  EXPECT_LE(plan->total_bytes() + machine.process_memory, wishes.host_memory);
}

TEST(Fit, ABudgetBelowTheProgramsOwnMemoryIsNotANegativeNumber) {
  const auto plan = fit_plan(small(), {.weight_bytes = 1 << 20}, {.host_memory = kMiB},
                             {.available_memory = kGiB, .process_memory = 70 * kMiB});
  EXPECT_FALSE(std::regex_search(plan.error().message, std::regex("-[0-9]")))
      << plan.error().message;
}

TEST(Fit, SaysTheLeastHostMemoryThatFits) {
  const FitMachine machine{.available_memory = 4 * kGiB, .process_memory = 70 * kMiB};
  for (const FitModel& model : {FitModel{.weight_bytes = 100 << 20}, with_experts()}) {
    for (const int64_t length : {0, 256}) {
      FitWishes wishes{.max_batch_size = 4, .max_seq_len = length, .host_memory = 90 * kMiB};
      const auto refused = fit_plan(small(), model, wishes, machine);
      ASSERT_FALSE(refused.ok());
      const std::string& message = refused.error().message;
      EXPECT_NE(message.find("of --host-memory 90.0 MiB the program itself takes"),
                std::string::npos)
          << message;
      std::smatch least;
      ASSERT_TRUE(
          std::regex_search(message, least, std::regex("--host-memory of at least (\\d+)M")))
          << message;
      wishes.host_memory = std::stoll(least[1]) * kMiB;
      const auto plan = fit_plan(small(), model, wishes, machine);
      EXPECT_TRUE(plan.ok()) << message << "\n" << plan.error().message;
    }
  }
}

}  // namespace
}  // namespace sluice::plan
