#include "pipeline/executor.h"

#include <gtest/gtest.h>

#include <vector>

#include "schedule/builder.h"

namespace sluice::pipeline {
namespace {

using models::StageKind;

// Records what it was asked to run; every expert gets as many tokens as its number.
class Recorder : public TaskRunner {
 public:
  explicit Recorder(int experts) {
    for (int e = 0; e < experts; ++e) counts_.push_back(e);
  }
  Result<TaskResult> run(const schedule::Task& task, const TaskContext& context) override {
    labels.push_back(label(task) + "/" + std::to_string(context.user));
    TaskResult result;
    if (task.expansion != schedule::kNone) result.routing.expert_tokens = counts_;
    return result;
  }
  std::vector<std::string> labels;

 private:
  std::vector<int32_t> counts_;
};

struct Model {
  explicit Model(int layers) {
    models::LayerConfig layer;
    layer.ffn = {.inter = 64, .experts = 4, .top_k = 2};
    config.hidden = 32;
    config.vocab = 100;
    config.layers.assign(static_cast<size_t>(layers), layer);
    plan.logit_rows = 2;
    context = {.model = &config, .plan = &plan, .batch = {.rows = 3, .logit_rows = 3}};
  }
  models::ModelConfig config;
  plan::Plan plan;
  schedule::Context context;
};

ExecutorOptions host_only(TaskRunner& runner, const schedule::BuilderBounds& bounds) {
  ExecutorOptions options;
  options.runners[static_cast<size_t>(Lane::kHostCompute)] = &runner;
  options.limits.max_iterations_in_flight = 2;
  options.limits.max_iteration = bounds.total();
  options.limits.max_expansion = bounds.expansion;
  return options;
}

TEST(Executor, RunsTheResidentScheduleOnTheCallingThread) {
  Model model(1);
  Recorder runner(4);
  const schedule::Builder& builder = **schedule::find("resident");
  auto executor = Executor::create(host_only(runner, builder.bounds(model.context)));
  ASSERT_TRUE(executor.ok());
  auto ticket = (*executor)->submit(model.context, builder, 7);
  ASSERT_TRUE(ticket.ok());
  EXPECT_FALSE((*executor)->ended(*ticket));
  ASSERT_TRUE((*executor)->wait(*ticket).ok());
  const std::vector<std::string> expected = {"embed mb0/7",
                                             "L00 qkv mb0/7",
                                             "L00 attend mb0/7",
                                             "L00 o_proj mb0/7",
                                             "L00 route mb0/7",
                                             "L00 dispatch mb0/7",
                                             "L00 expert_group 0-3 mb0/7",
                                             "L00 combine mb0/7",
                                             "head 0 mb0/7",
                                             "sample 0 mb0/7",
                                             "head 1 mb0/7",
                                             "sample 1 mb0/7"};
  EXPECT_EQ(runner.labels, expected);
}

TEST(Executor, RunsOneTaskPerExpertThatHasTokensWhenSerial) {
  Model model(2);
  Recorder runner(4);
  const schedule::Builder& builder = **schedule::find("serial");
  auto executor = Executor::create(host_only(runner, builder.bounds(model.context)));
  ASSERT_TRUE(executor.ok());
  auto first = (*executor)->submit(model.context, builder, 1);
  auto second = (*executor)->submit(model.context, builder, 2);
  ASSERT_TRUE(first.ok() && second.ok());
  ASSERT_TRUE((*executor)->wait(*second).ok());
  ASSERT_TRUE((*executor)->wait(*first).ok());
  ASSERT_EQ(runner.labels.size(), 2 * (1 + 2 * (4 + 1 + 3 + 1) + 4));
  EXPECT_EQ(runner.labels[6], "L00 expert_group 1 mb0/1");
  for (size_t i = 0; i < runner.labels.size(); ++i) {
    EXPECT_EQ(runner.labels[i].back(), i < runner.labels.size() / 2 ? '1' : '2');
  }
}

}  // namespace
}  // namespace sluice::pipeline
