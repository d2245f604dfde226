#include "sim/batch_run.h"

#include "batch/engine_text.h"
#include "engine/loaded_model.h"
#include "sim/request_pool.h"

namespace sluice::sim {

Status BatchRun::answer(batch::RunnerHooks hooks,
                        const std::function<void(engine::Running&)>& loaded) {
  SLUICE_ASSIGN(job_, batch::Job::open(job_options_));
  SLUICE_ASSIGN(engine_, engine::Running::load(model_, engine_options_));
  if (loaded) loaded(*engine_);
  const Json settings{{"format", 1}, {"kv_dtype", kernels::name(engine_->plan().kv_dtype)}};
  SLUICE_TRY(job_->prepare(engine_->fingerprint(), settings));
  const batch::EngineText text(nullptr, nullptr, 0);
  batch::FeederOptions feeder;
  feeder.default_max_tokens = 8;
  feeder.window_lines = 8;
  return job_->run(*engine_, text, feeder, {text, kModelName, engine_->fingerprint()},
                   std::move(hooks), state_);
}

}  // namespace sluice::sim
