// What the executor costs per task, beside calling the stages in a row: a dense model of 8 layers
// (43 tasks a token, about as many as 150 us hold) at batch 1 on the calling thread, with tasks
// that do nothing and with tasks that spin for a while. The ceiling is 2 % of such a token: 70 ns.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "pipeline/executor.h"
#include "pipeline/trace.h"
#include "schedule/builder.h"

namespace {

using namespace sluice;
using Clock = std::chrono::steady_clock;

// Rounds are short and many, so that some are not cut by the machine's other work.
constexpr int kRounds = 400;
constexpr int64_t kTasksPerRound = 200;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Work that takes the same time each time: a chain of dependent multiplications.
class Spinner : public pipeline::TaskRunner {
 public:
  explicit Spinner(int64_t steps, int experts) : steps_(steps), counts_(experts, 1) {}
  Result<pipeline::TaskResult> run(const schedule::Task& task,
                                   const pipeline::TaskContext&) override {
    work();
    ++tasks;
    pipeline::TaskResult result;
    if (task.expansion != schedule::kNone) result.routing.expert_tokens = counts_;
    return result;
  }
  void work() {
    uint64_t x = value_;
    for (int64_t i = 0; i < steps_; ++i) x = x * 6364136223846793005u + 1442695040888963407u;
    value_ = x;
  }
  int64_t tasks = 0;
  uint64_t value_ = 1;

 private:
  int64_t steps_;
  std::vector<int32_t> counts_;
};

struct Case {
  models::ModelConfig config;
  plan::Plan plan;
  schedule::Context context;
  const schedule::Builder* builder = nullptr;
};

Case make_case(const char* schedule, int layers, int experts) {
  Case c;
  c.config.hidden = 256;
  c.config.vocab = 1024;
  models::LayerConfig layer;
  layer.ffn = {.inter = 256, .experts = experts, .top_k = experts > 0 ? 2 : 0};
  c.config.layers.assign(static_cast<size_t>(layers), layer);
  c.plan.logit_rows = 64;
  auto found = schedule::find(schedule);
  if (!found) std::exit(1);
  c.builder = *found;
  return c;
}

// Nanoseconds a task: the least of several rounds, since the machine has other work.
double through_executor(Case& c, Spinner& runner, pipeline::Trace* trace, int64_t iterations) {
  c.context = {
      .model = &c.config, .plan = &c.plan, .batch = {.rows = 1, .sequences = 1, .logit_rows = 1}};
  const schedule::BuilderBounds bounds = c.builder->bounds(c.context);
  pipeline::ExecutorOptions options;
  options.runners[static_cast<size_t>(schedule::Lane::kHostCompute)] = &runner;
  options.limits.max_iteration = bounds.total();
  options.limits.max_expansion = bounds.expansion;
  options.trace = trace;
  auto executor = pipeline::Executor::create(options);
  double best = 1e30;
  for (int round = 0; round < kRounds; ++round) {
    runner.tasks = 0;
    const Clock::time_point start = Clock::now();
    for (int64_t i = 0; i < iterations; ++i) {
      c.context.iteration = i;
      auto ticket = (*executor)->submit(c.context, *c.builder, 0);
      if (!ticket || !(*executor)->wait(*ticket)) std::exit(1);
    }
    best = std::min(best, seconds_since(start) * 1e9 / static_cast<double>(runner.tasks));
  }
  return best;
}

double in_a_row(Spinner& runner, int64_t tasks) {
  double best = 1e30;
  for (int round = 0; round < kRounds; ++round) {
    const Clock::time_point start = Clock::now();
    for (int64_t i = 0; i < tasks; ++i) runner.work();
    best = std::min(best, seconds_since(start) * 1e9 / static_cast<double>(tasks));
  }
  return best;
}

// Steps of work() that take about `ns`.
int64_t steps_for(double ns) {
  Spinner spinner(1000, 0);
  return std::llround(1000 * ns / in_a_row(spinner, 10));
}

void report(const char* name, Case c, int64_t steps) {
  Spinner runner(steps, c.config.layers[0].ffn.experts);
  const int64_t iterations = kTasksPerRound / 40;
  const double row = in_a_row(runner, kTasksPerRound);
  const double executor = through_executor(c, runner, nullptr, iterations);
  pipeline::Trace trace({.max_tasks = 1 << 20});
  const double traced = through_executor(c, runner, &trace, iterations);
  const double tasks = static_cast<double>(runner.tasks) / static_cast<double>(iterations);
  std::printf("%-18s %5.0f tasks  row %7.1f  executor +%6.1f", name, tasks, row, executor - row);
  if (steps > 0) std::printf(" (%5.2f %%)", 100 * (executor - row) / row);
  std::printf("  traced +%6.1f\n", traced - row);
}

}  // namespace

int main() {
  std::printf("nanoseconds a task, tasks of one iteration; the least of %d rounds\n", kRounds);
  const int64_t three_us = steps_for(3000);
  report("dense, empty", make_case("resident", 8, 0), 0);
  report("moe 8, empty", make_case("resident", 5, 8), 0);
  report("dense, spinning", make_case("resident", 8, 0), three_us);
  report("moe 8, spinning", make_case("resident", 5, 8), three_us);
  report("serial, spinning", make_case("serial", 5, 8), three_us);
  return 0;
}
