// Steady state allocates nothing: every operator new of this program is counted.
#include <gtest/gtest.h>

#include "base/counted_allocations.h"
#include "pipeline/executor.h"
#include "pipeline/trace.h"
#include "schedule/builder.h"

namespace sluice::pipeline {
namespace {

class Counts final : public TaskRunner {
 public:
  Result<TaskResult> run(const schedule::Task& task, const TaskContext&) override {
    TaskResult result;
    if (task.expansion != schedule::kNone) result.routing.expert_tokens = tokens_;
    return result;
  }

 private:
  const std::vector<int32_t> tokens_ = {3, 1, 0, 2, 0, 0, 1, 1};
};

TEST(Allocation, DoesNotHappenOnceTheExecutorIsMade) {
  models::ModelConfig config;
  models::LayerConfig layer;
  layer.ffn = {.inter = 64, .experts = 8, .top_k = 2};
  config.layers.assign(12, layer);
  plan::Plan plan;
  plan.logit_rows = 2;
  Counts runner;
  Trace trace({.max_tasks = 100});
  schedule::Context context{
      .model = &config, .plan = &plan, .batch = {.rows = 4, .sequences = 4, .logit_rows = 4}};
  for (const schedule::Builder* builder : schedule::builders()) {
    const schedule::BuilderBounds bounds = builder->bounds(context);
    ExecutorOptions options;
    for (Lane lane :
         {Lane::kHostCompute, Lane::kDeviceCompute, Lane::kHostToDevice, Lane::kDeviceToHost}) {
      options.runners[static_cast<size_t>(lane)] = &runner;
    }
    options.limits.max_iterations_in_flight = 3;
    options.limits.max_iteration = bounds.total();
    options.limits.max_expansion = bounds.expansion;
    options.trace = &trace;
    auto executor = *Executor::create(options);
    const int64_t before = base::allocations;
    ASSERT_GT(before, 0);
    for (int64_t i = 0; i < 50; ++i) {
      std::array<Ticket, 3> tickets;
      for (Ticket& ticket : tickets) ticket = *executor->submit(context, *builder, 0);
      for (const Ticket& ticket : tickets) ASSERT_TRUE(executor->wait(ticket).ok());
    }
    EXPECT_EQ(base::allocations, before) << builder->name();
  }
}

}  // namespace
}  // namespace sluice::pipeline
