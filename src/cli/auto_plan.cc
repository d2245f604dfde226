#include "cli/auto_plan.h"

#include <algorithm>
#include <cstdio>

#include "batch/bars.h"
#include "cli/batch_lengths.h"
#include "cli/engine_flags.h"
#include "cli/machine.h"
#include "cli/plan_model.h"
#include "device/emulated.h"
#include "engine/engine_plan.h"
#include "engine/host_memory.h"
#include "plan/fit_kv.h"
#include "plan/fit_memory.h"

namespace sluice::cli {
namespace {

// Who says where things live has chosen.
constexpr const char* kPlacedByHand[] = {"--resident-weights", "--attention-on",
                                         "--experts-on",       "--resident-kv",
                                         "--kv-cache-memory",  "--kv-cache-free-mem-fraction",
                                         "--kv-block-tokens",  "--kv-reserve-fraction"};
// A gain that is less is within what predictions are off.
constexpr double kLeastGain = 1.05;
// What of an input is read, and of its text goes through the tokenizer: a fraction of a second's
// work.
constexpr LengthLimits kLimits{.file_bytes = int64_t{16} << 20, .text_bytes = int64_t{1} << 20};
// Enough of a job for its pace, in a fraction of a second.
constexpr planner::ReplayLimits kReplay{.tasks = 20'000, .timeline_tasks = 0};

// Whether flags leave something open that the planner can cost.
bool leaves_a_choice(const CLI::App& command, const engine::EngineOptions& options) {
  const auto given = [&](const char* flag) { return command.count(flag) > 0; };
  if (std::ranges::any_of(kPlacedByHand, given)) return false;
  const planner::ScheduleKind* kind = planner::find_schedule(options.schedule);
  const bool costed =
      options.schedule == "auto" || (kind != nullptr && kind->device == !options.device.empty());
  const bool open = options.schedule == "auto" || options.max_batch_size == 0 ||
                    options.micro_batch_size == 0 || options.max_num_tokens == 0;
  return costed && open;
}

// The machine of --device, or this one if it was measured; nothing else.
Result<hardware::Hardware> machine_for(const engine::EngineOptions& options) {
  if (!options.device.empty()) return device::parse_device_hardware(options.device);
  if (auto known = known_hardware(options.threads)) return std::move(*known);
  return Error{ErrorCode::kNotFound,
               "'sluice probe', which measures more, once lets batches be planned"};
}

// This machine, beside a device of so many bytes.
plan::FitMachine machine_beside(int64_t device_memory, const AutoPlanRequest& request,
                                const engine::EngineOptions& options) {
  return engine::fit_machine(device_memory, engine::kv_directory(options, request.model->path));
}

void limit_memory(const AutoPlanRequest& request, const engine::EngineOptions& options,
                  hardware::Hardware& machine) {
  const plan::FitMachine here = machine_beside(0, request, options);
  const int64_t host = plan::room_for(engine::wishes_of(options), here);
  for (hardware::Level& level : machine.levels) {
    if (level.kind == hardware::LevelKind::kHost) level.capacity_bytes = host;
    if (level.kind == hardware::LevelKind::kDevice && options.device_memory > 0)
      level.capacity_bytes = std::min(level.capacity_bytes, options.device_memory);
    if (level.kind == hardware::LevelKind::kDisk && options.kv_on == "disk")
      level.capacity_bytes = here.disk_room;
  }
}

// Requests that the model refuses cost nothing; of longer answers it gives what it can.
planner::Workload answerable(planner::Workload workload, int64_t max_positions) {
  for (planner::Lengths& lengths : workload.requests) {
    lengths.prompt = std::min(lengths.prompt, max_positions - 1);
    lengths.generated = std::min(lengths.generated, max_positions - lengths.prompt);
  }
  return workload;
}

Result<planner::Question> question_of(const AutoPlanRequest& request,
                                      const engine::EngineOptions& options) {
  planner::Question question;
  SLUICE_ASSIGN(question.hardware, machine_for(options));
  limit_memory(request, options, question.hardware);
  const engine::OpenedModel& model = *request.model;
  question.model_name = model_name(model.path);
  take_model(model.files.config, *model.source, question);
  question.workload = answerable(request.workload, question.model.max_positions);
  question.objective =
      request.latency ? planner::Objective::kLatency : planner::Objective::kThroughput;
  if (const auto kv = kernels::parse_kv_dtype(options.kv_dtype)) question.kv_dtypes = {*kv};
  question.skew.measured = measured_routing(model.files.config, model.fingerprint);
  question.schedule = options.schedule;
  question.runnable_only = true;
  question.kv_on_disk = options.kv_on == "disk";
  question.batch = options.max_batch_size;
  question.micro_batch = options.micro_batch_size;
  question.max_num_tokens = options.max_num_tokens;
  return question;
}

// A plan that the engine would make, and how fast it is predicted to be.
struct Predicted {
  plan::Plan plan;
  planner::Estimate estimate;
};

Result<Predicted> predicted(const planner::Answer& answer, const AutoPlanRequest& request,
                            const planner::Workload& workload,
                            const engine::EngineOptions& options) {
  Predicted found;
  const planner::Subject subject = answer.subject();
  SLUICE_ASSIGN(found.plan,
                plan::fit_plan(answer.model, answer.weights.fit, engine::wishes_of(options),
                               machine_beside(answer.machine.device_memory, request, options)));
  const planner::Estimate estimate =
      planner::estimate(subject, planner::candidate_of(found.plan), workload, true);
  found.estimate = planner::predict(subject, found.plan, estimate, workload, kReplay).estimate;
  return found;
}

// The kind of work that takes most of the busiest lane.
std::string bound_of(const planner::Pass& pass) {
  const planner::WorkTime* most = nullptr;
  for (const planner::WorkTime& work : pass.work) {
    if (work.lane == pass.bound && (most == nullptr || work.seconds > most->seconds)) most = &work;
  }
  std::string bound = schedule::name(pass.bound);
  if (most != nullptr) bound += std::string(" (") + most->what + ")";
  return bound;
}

std::string words(const Predicted& chosen, double gain) {
  const plan::Plan& plan = chosen.plan;
  std::string text =
      "planned: schedule " + plan.policy.schedule + ", batch " + std::to_string(plan.policy.batch);
  if (plan.micro_batches() > 1) text += " by " + std::to_string(plan.policy.micro_batch);
  text += ", " + std::to_string(plan.max_num_tokens) + " tokens an iteration";
  if (plan.device_bytes > 0)
    text += std::string(", experts ") + planner::words(plan.policy.experts_on);
  else if (plan.expert_slots > 0)
    text += ", " + batch::percent(plan.policy.resident_weights) + " of the experts resident";
  if (plan.policy.kv_on_disk())
    text += ", " + batch::percent(1 - plan.policy.resident_kv) + " of the KV cache on disk";
  text += ": " + batch::rate(chosen.estimate.tokens_per_second) + " tokens/s predicted, bound by " +
          bound_of(chosen.estimate.pass);
  char times[32];
  std::snprintf(times, sizeof times, "%.2f", gain);
  if (gain > 1) text += std::string("; ") + times + " x the usual policy";
  return text;
}

engine::EngineOptions with(const planner::Answer& answer, const AutoPlanRequest& request,
                           engine::EngineOptions options) {
  const planner::Candidate& candidate = answer.candidate;
  options.schedule = candidate.policy.schedule;
  options.max_batch_size = candidate.policy.batch;
  options.micro_batch_size = candidate.policy.micro_batch;
  options.max_num_tokens = candidate.max_num_tokens;
  const bool attends_there = candidate.policy.attention_on == plan::Place::kDevice;
  if (answer.machine.has_device()) {
    options.experts_on = plan::name(candidate.policy.experts_on);
    options.attention_on = plan::name(candidate.policy.attention_on);
    // What of the cache a device has no room for lies in host memory.
    if (attends_there) options.kv_on = "host";
  }
  if (attends_there || options.kv_on == "disk") options.resident_kv = candidate.policy.resident_kv;
  // What the cache does not need is room for experts; who may be longer than all that is known
  // needs what the usual rule gives.
  const bool shared = answer.plan.expert_slots > 0 || answer.plan.policy.kv_on_disk();
  if (request.all_lengths && options.max_seq_len == 0 && shared && !answer.machine.has_device()) {
    options.kv_cache_memory =
        answer.plan.kv_blocks * plan::kv_block_bytes(answer.model, answer.plan);
  }
  return options;
}

// Whether experts would move, as the engine would run without a choice, or might have to.
bool experts_move(const planner::Question& question, const AutoPlanRequest& request,
                  const engine::EngineOptions& options) {
  if (!options.device.empty()) return true;
  const auto plan = plan::fit_plan(question.model, question.weights->fit,
                                   engine::wishes_of(options), machine_beside(0, request, options));
  return !plan.ok() || plan->expert_slots > 0;
}

Result<std::string> choose(const AutoPlanRequest& request, engine::EngineOptions& options) {
  SLUICE_ASSIGN(const planner::Question question, question_of(request, options));
  // One sequence of a model that is in memory: there is one way.
  if (request.latency && !experts_move(question, request, options)) return std::string();
  SLUICE_ASSIGN(const planner::Answer answer, planner::answer(question));
  const engine::EngineOptions next = with(answer, request, options);
  SLUICE_ASSIGN(const Predicted chosen, predicted(answer, request, question.workload, next));
  const auto usual = predicted(answer, request, question.workload, options);
  if (!usual.ok()) {
    options = next;
    return words(chosen, 1);
  }
  const auto value = [&](const Predicted& p) {
    return planner::score(p.estimate, question.objective);
  };
  const double gain = value(*usual) / value(chosen);
  if (gain < kLeastGain) return words(*usual, 1) + "; no policy is predicted to be faster";
  options = next;
  return words(chosen, gain);
}

}  // namespace

std::string choose_policy(const AutoPlanRequest& request, engine::EngineOptions& options) {
  if (!leaves_a_choice(*request.command, options)) return "";
  // A batch is worth a word on what would help it, one answer is not.
  const bool measured = !options.device.empty() || known_hardware(options.threads).has_value();
  if (request.latency && !measured) return "";
  auto chosen = choose(request, options);
  if (chosen.ok()) return *chosen;
  return "the usual policy runs: " + chosen.error().message;
}

std::string choose_batch_policy(const engine::OpenedModel& model, const CLI::App& command,
                                const batch::Input& input, int64_t default_max_tokens,
                                engine::EngineOptions& options) {
  if (!leaves_a_choice(command, options)) return "";
  // Tokens are counted for a plan alone, and there is none for a machine that was not measured.
  const bool counts = model.files.tokenizer && machine_for(options).ok();
  auto lengths =
      batch_lengths(input.file, input.name, input.first_offset,
                    counts ? &*model.files.tokenizer : nullptr, default_max_tokens, kLimits);
  if (!lengths.ok()) return "";  // nothing to answer
  return choose_policy({.model = &model,
                        .command = &command,
                        .workload = std::move(lengths->workload),
                        .all_lengths = lengths->whole},
                       options);
}

}  // namespace sluice::cli
