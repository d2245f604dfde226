#include "sim/simulation.h"

#include <atomic>
#include <filesystem>
#include <fstream>
#include <optional>

#include "sim/answers_check.h"
#include "sim/batch_run.h"

namespace sluice::sim {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kProcessId = 4711;  // as journals note it: of the same length every time

class Simulation {
 public:
  Simulation(const Stage& stage, uint64_t seed, const std::string& directory, std::FILE* events,
             Mutation mutation)
      : stage_(stage),
        world_(seed, events),
        files_(world_),
        watch_(world_),
        mutation_(mutation),
        input_((fs::path(directory) / "in.jsonl").string()),
        output_((fs::path(directory) / "out.jsonl").string()) {}

  void run(SeedResult& result);
  void give(SeedResult& result) const {
    result.hash = world_.hash();
    result.violation = world_.violation();
    result.counts = world_.counts;
  }

 private:
  bool live(const Life& life, SeedResult& result);
  batch::JobOptions job_options();
  batch::RunnerHooks hooks(const Life& life);
  bool explained(ErrorCode code) const;
  void judge(const Life& life, const Status& ran, const BatchRun& run);
  void add_stats(const engine::Running& engine);

  const Stage& stage_;
  World world_;
  VirtualFiles files_;
  Watch watch_;
  const Mutation mutation_;
  const std::string input_, output_;
  Scenario scenario_;
  std::atomic<int> stop_{0};
  int64_t steps_ = 0;
  bool may_fail_ = false;  // a request may: something befell a run that does not pass
  bool retries_ = false;   // this run answers again what has failed
  // What befalls this run.
  std::optional<DrawnFaults> disk_;
  std::optional<DrawnDeviceFaults> device_;
};

void Simulation::run(SeedResult& result) {
  std::error_code ignored;
  for (const std::string& path : {output_, output_ + ".journal", output_ + ".retry"})
    fs::remove(path, ignored);
  scenario_ = draw_scenario(world_.random, stage_.pools);
  world_.log(std::string(scenario_.pool->model->name) + ", " +
             std::to_string(scenario_.lines.size()) + " lines, " +
             std::to_string(scenario_.troubled_lives) + " troubled runs");
  {
    std::ofstream input(input_);
    for (const PoolLine* line : scenario_.lines) input << line->text << '\n';
  }
  bool ended = false;
  for (int i = 0; !ended && world_.sound(); ++i) {
    if (i > 0) ++world_.counts[Happening::kResume];
    const bool troubled = i < scenario_.troubled_lives;
    Life life = draw_life(world_.random, *scenario_.pool, stage_.machines, troubled);
    life.lanes.mutation = mutation_;
    life.files.syncs_lie = mutation_ == Mutation::kSyncsLie;
    retries_ = !troubled || world_.random.chance(0.3);
    ended = live(life, result);
    // What has failed is answered by a run that is asked to.
    if (!check_answers(output_, scenario_.lines, ended, may_fail_, world_)) ended = false;
    if (ended && fs::exists(output_ + ".retry"))
      world_.violated("a run that ended the batch has left a file beside the output");
    if (!troubled && !ended) world_.violated("a run without faults did not end the batch");
  }
}

batch::JobOptions Simulation::job_options() {
  return {.input_path = input_,
          .output_path = output_,
          .retry_faults = retries_,
          .sync = scenario_.sync,
          .place = {.faults = &files_, .process_id = kProcessId},
          .clock = &world_.clock};
}

batch::RunnerHooks Simulation::hooks(const Life& life) {
  batch::RunnerHooks hooks;
  hooks.now_unix_s = [] { return int64_t{0}; };
  hooks.stop_requested = &stop_;
  hooks.on_progress = [this, &life](const batch::RunState&, const engine::EngineStats& stats) {
    watch_.between_iterations(stats);
    if (life.stop_in_steps == 0 || ++steps_ != life.stop_in_steps) return;
    ++world_.counts[Happening::kStopRequest];
    world_.event(life.stop_now ? "stop at once" : "stop when what runs is done");
    stop_ = life.stop_now ? batch::kStopNow : batch::kFinishRunning;
  };
  return hooks;
}

// True when the batch is answered.
bool Simulation::live(const Life& life, SeedResult& result) {
  world_.log("a run begins: " + life.machine);
  world_.live(life.kill_in_events);
  files_.begin(life.files);
  stop_ = 0;
  steps_ = 0;
  ++result.schedules[life.engine.schedule];
  disk_.emplace(world_, life.disk);
  device_.emplace(world_, life.device);
  const engine::Environment environment{
      .clock = &world_.clock,
      .make_executor = [&](const pipeline::ExecutorOptions& options)
          -> Result<std::unique_ptr<pipeline::Executor>> {
        return std::unique_ptr<pipeline::Executor>(
            std::make_unique<VirtualExecutor>(world_, watch_, life.lanes, options));
      },
      .make_device_queue =
          [&](int depth) { return make_virtual_queue(world_, life.disk.read_ns, depth); }};
  engine::EngineOptions options = life.engine;
  options.environment = &environment;
  options.disk_faults = &*disk_;
  options.device_faults = &*device_;
  bool at_end = false;
  {
    BatchRun run(job_options(), scenario_.pool->path, options);
    const Status ran =
        run.answer(hooks(life), [&](const engine::Running& engine) { watch_.begin(engine); });
    judge(life, ran, run);
    may_fail_ = may_fail_ || disk_->lasting() || device_->failed();
    at_end = ran.ok() && run.state().at_end && !world_.dead();
    if (run.engine() != nullptr) add_stats(*run.engine());
    watch_.end();
  }
  if (world_.dead()) ++world_.counts[Happening::kKill];
  // After its end too: what is answered was synced.
  if (life.power_lost) files_.power_lost();
  return at_end;
}

bool Simulation::explained(ErrorCode code) const {
  switch (code) {
    case ErrorCode::kIo:
    case ErrorCode::kCorrupt:
    case ErrorCode::kTimeout:
    case ErrorCode::kFault:
      return disk_->lasting() || device_->failed() || (files_.failed() && code == ErrorCode::kIo);
    case ErrorCode::kNoRoom:
      return files_.failed() || device_->short_of_memory();
    case ErrorCode::kInvalid:
    case ErrorCode::kUnsupported:
    case ErrorCode::kNotFound:
    case ErrorCode::kCancelled:
      return false;
  }
  return false;
}

// An end is explained by what befell the run, or it is a bug.
void Simulation::judge(const Life& life, const Status& ran, const BatchRun& run) {
  if (world_.dead()) return;
  if (!ran.ok()) {
    ++world_.counts[Happening::kFailedRun];
    if (!explained(ran.error().code))
      world_.violated("the run ended without a reason: " + ran.error().message);
    return;
  }
  world_.log(run.state().at_end ? "the run has answered everything" : "the run has stopped");
  if (!run.state().at_end && life.stop_in_steps == 0)
    world_.violated("the run stopped, and nobody had asked it to");
  if (run.engine()->idle()) watch_.when_idle();
}

void Simulation::add_stats(const engine::Running& engine) {
  const engine::EngineStats& stats = engine.stats();
  world_.counts[Happening::kPageRead] += stats.disk.pages;
  world_.counts[Happening::kRowRead] += stats.disk.rows;
  world_.counts[Happening::kKvRead] += stats.disk.kv_read_bytes >> 10;
  world_.counts[Happening::kKvWritten] += stats.disk.kv_written_bytes >> 10;
  world_.counts[Happening::kPageRetry] += stats.disk.retries;
  world_.counts[Happening::kPreemption] += stats.preemptions;
  world_.counts[Happening::kMoved] += stats.moved;
  world_.counts[Happening::kSharedPrefix] += stats.cached_prompt_tokens > 0 ? 1 : 0;
}

}  // namespace

Result<Stage> make_stage(const std::string& below) {
  Stage stage;
  std::error_code failure;
  const std::string directory = (fs::path(below) / "stage").string();
  fs::remove_all(directory, failure);  // of an earlier run
  fs::create_directories(directory, failure);
  if (failure)
    return Error{ErrorCode::kIo, "cannot make '" + directory + "': " + failure.message()};
  for (const TinyModel& model : kTinyModelTable) {
    SLUICE_ASSIGN(ModelPool pool, make_pool(model, directory));
    stage.pools.push_back(std::move(pool));
  }
  SLUICE_ASSIGN(stage.machines, make_machines(directory));
  return stage;
}

SeedResult run_seed(const Stage& stage, uint64_t seed, const std::string& directory,
                    std::FILE* events, Mutation mutation) {
  fs::create_directories(directory);
  SeedResult result{.seed = seed};
  Simulation simulation(stage, seed, directory, events, mutation);
  simulation.run(result);
  simulation.give(result);
  return result;
}

}  // namespace sluice::sim
