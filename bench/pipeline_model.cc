// What the pipeline costs on a real model at batch 1: the same decode iteration through the
// executor and by calling its stages in a row, in alternating rounds. Usage: pipeline_model MODEL
// [THREADS].
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "pipeline/executor.h"
#include "schedule/builder.h"
#include "straight_model.h"

namespace {

using namespace sluice;
using Clock = std::chrono::steady_clock;

constexpr int kRounds = 301;
constexpr double kRoundSeconds =
    0.004;  // short rounds: some are not cut by the machine's other work
constexpr int64_t kContext = 128;

template <class T>
T must(Result<T> result) {
  if (result) return std::move(result).value();
  std::fprintf(stderr, "pipeline_model: %s\n", result.error().message.c_str());
  std::exit(1);
}

class StageRunner : public pipeline::TaskRunner {
 public:
  StageRunner(tests::StraightModel& model, const models::BatchView& batch)
      : model_(model), batch_(batch) {}
  Result<pipeline::TaskResult> run(const schedule::Task& task,
                                   const pipeline::TaskContext&) override {
    const models::Stage& stage = *task.stage();
    pipeline::TaskResult result;
    if (stage.kind == models::StageKind::kSample) return result;  // the engine's own
    models::run_stage(model_.context(), stage, batch_, model_.activations());
    if (task.expansion != schedule::kNone) {
      const auto& ffn = model_.config().layers[static_cast<size_t>(stage.layer)].ffn;
      result.routing.expert_tokens = {model_.activations().expert_tokens,
                                      static_cast<size_t>(ffn.experts)};
    }
    return result;
  }

 private:
  tests::StraightModel& model_;
  const models::BatchView& batch_;
};

double seconds_of(const auto& body, int repeats) {
  const auto start = Clock::now();
  for (int i = 0; i < repeats; ++i) body();
  return std::chrono::duration<double>(Clock::now() - start).count() / repeats;
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: pipeline_model MODEL [THREADS]\n");
    return 2;
  }
  const int threads = argc > 2 ? std::max(1, std::atoi(argv[2])) : 1;
  auto model = must(tests::StraightModel::load(
      argv[1],
      {.threads = threads, .rows = kContext, .context = kContext + 1, .block_tokens = 32}));
  std::vector<int32_t> prompt(static_cast<size_t>(kContext), 1);
  model->restart(kContext);
  model->append(prompt);
  const int32_t token = 1;
  model->append({&token, 1});
  const models::BatchView batch = model->last_batch();

  plan::Plan plan;
  plan.policy.batch = plan.policy.micro_batch = 1;
  plan.logit_rows = 1;
  const schedule::Context context{
      .model = &model->config(), .plan = &plan, .batch = schedule::shape_of(batch)};
  const schedule::Builder& builder = *must(schedule::find("resident"));
  const schedule::BuilderBounds bounds = builder.bounds(context);
  StageRunner runner(*model, batch);
  pipeline::ExecutorOptions options;
  options.runners[static_cast<size_t>(schedule::Lane::kHostCompute)] = &runner;
  options.limits = {.max_iterations_in_flight = 1,
                    .max_iteration = bounds.total(),
                    .max_expansion = bounds.expansion};
  const auto executor = must(pipeline::Executor::create(options));
  const auto in_a_row = [&] { model->run_stages(batch); };
  const auto through = [&] {
    const auto status = executor->wait(must(executor->submit(context, builder, 0)));
    if (!status) std::abort();
  };

  const int repeats = std::max(1, static_cast<int>(kRoundSeconds / seconds_of(in_a_row, 5)));
  std::vector<double> row, piped, ratio;
  for (int round = 0; round < kRounds; ++round) {
    row.push_back(seconds_of(in_a_row, repeats));
    piped.push_back(seconds_of(through, repeats));
    ratio.push_back(piped.back() / row.back());
  }
  std::printf("one token, stages in a row: median %.2f us, least %.2f us\n", 1e6 * median(row),
              1e6 * *std::ranges::min_element(row));
  std::printf("one token, pipeline:        median %.2f us, least %.2f us\n", 1e6 * median(piped),
              1e6 * *std::ranges::min_element(piped));
  std::printf(
      "pipeline over stages in a row: median of pairs %+.2f %%, of the least %+.2f %% (at most +2 "
      "%%)\n",
      100 * (median(ratio) - 1),
      100 * (*std::ranges::min_element(piped) / *std::ranges::min_element(row) - 1));
  return 0;
}
