#include "engine/engine.h"

#include "engine/loaded_model.h"
#include "engine/running.h"
#include "schedule/builder.h"

namespace sluice::engine {
namespace {

constexpr int64_t kMaxQueuedRequests = int64_t{1} << 19;

Status check_options(const EngineOptions& options) {
  if (options.max_queued_requests < 1 || options.max_queued_requests > kMaxQueuedRequests) {
    return Error{ErrorCode::kInvalid, "max_queued_requests is " +
                                          std::to_string(options.max_queued_requests) + "; 1 to " +
                                          std::to_string(kMaxQueuedRequests) + " is expected"};
  }
  if (!(options.kv_reserve_fraction >= 0) || options.kv_reserve_fraction > 1) {
    return Error{ErrorCode::kInvalid, "--kv-reserve-fraction must be between 0 and 1"};
  }
  if (options.schedule != "auto") SLUICE_TRY(schedule::find(options.schedule));
  return {};
}

}  // namespace

const char* name(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return "stop";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kCancelled:
      return "cancelled";
  }
  base::check_failed("known reason", "a FinishReason outside its enum", __FILE__, __LINE__);
}

Result<std::unique_ptr<Engine>> Engine::load(const std::string& path, const EngineOptions& options,
                                             const LoadProgress& progress) {
  SLUICE_ASSIGN(auto engine, Running::load(path, options, progress));
  return std::unique_ptr<Engine>(std::move(engine));
}

Result<std::unique_ptr<Engine>> Engine::load(OpenedModel model, const EngineOptions& options,
                                             const LoadProgress& progress) {
  SLUICE_ASSIGN(auto engine, Running::load(std::move(model), options, progress));
  return std::unique_ptr<Engine>(std::move(engine));
}

Result<std::unique_ptr<Running>> Running::load(const std::string& path,
                                               const EngineOptions& options,
                                               const LoadProgress& progress) {
  // What is wrong of the options is told before a file is opened.
  SLUICE_TRY(check_options(options));
  SLUICE_ASSIGN(OpenedModel opened, open_to_load(path, options.quant));
  return load(std::move(opened), options, progress);
}

Result<std::unique_ptr<Running>> Running::load(OpenedModel opened, const EngineOptions& options,
                                               const LoadProgress& progress) {
  SLUICE_TRY(check_options(options));
  SLUICE_ASSIGN(auto model, load_model(std::move(opened), options, progress));
  SLUICE_ASSIGN(const schedule::Builder* builder, schedule::find(model->plan.policy.schedule));
  auto engine = std::make_unique<Running>(std::move(model), options, *builder);
  SLUICE_TRY(engine->start());
  return engine;
}

}  // namespace sluice::engine
