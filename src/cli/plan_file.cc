#include "cli/plan_file.h"

#include "cli/json_file.h"
#include "engine/host_memory.h"
#include "planner/answer_json.h"

namespace sluice::cli {
namespace {

// What a plan decides.
constexpr const char* kPlanned[] = {
    "--max-batch-size",  "--micro-batch-size", "--max-num-tokens",
    "--max-seq-len",     "--kv-dtype",         "--schedule",
    "--quant",           "--resident-weights", "--threads",
    "--kv-cache-memory", "--kv-block-tokens",  "--kv-cache-free-mem-fraction",
    "--attention-on",    "--experts-on",       "--resident-kv",
    "--guess-experts",   "--embedding-on",     "--kv-on"};

Result<planner::PlanFile> read(const std::string& path) {
  SLUICE_ASSIGN(const Json json, read_json_file(path, kMaxPlanFileBytes));
  auto file = planner::plan_file(json);
  if (!file.ok()) return file.error().in(path);
  return file;
}

}  // namespace

Result<plan::Plan> apply_plan(const std::string& path, const CLI::App& command,
                              engine::EngineOptions& options) {
  for (const char* flag : kPlanned) {
    if (command.count(flag) == 0) continue;
    return Error{ErrorCode::kInvalid,
                 std::string(flag) + " says what --plan decides; leave out one of them"};
  }
  SLUICE_ASSIGN(const planner::PlanFile file, read(path));
  if (!file.runs) {
    return Error{ErrorCode::kInvalid, "the plan '" + path + "' cannot be run: " + file.why_not +
                                          "; 'sluice plan --runnable' finds one that can"};
  }
  const plan::Plan& plan = file.plan;
  if (plan.device_bytes > 0 && options.device.empty()) {
    return Error{ErrorCode::kInvalid,
                 "the plan '" + path + "' computes on a device; name it with --device"};
  }
  if (plan.threads > engine::available_cores()) {
    return Error{ErrorCode::kNoRoom,
                 "the plan '" + path + "' computes with " + std::to_string(plan.threads) +
                     " threads, and this process may use " +
                     std::to_string(engine::available_cores()) + " cores; plan again here"};
  }
  options.schedule = plan.policy.schedule;
  options.quant = file.quant;
  options.max_batch_size = plan.policy.batch;
  options.micro_batch_size = plan.policy.micro_batch;
  options.max_num_tokens = plan.max_num_tokens;
  options.max_seq_len = plan.max_seq_len;
  options.kv_dtype = kernels::name(plan.kv_dtype);
  options.kv_block_tokens = plan.kv_block_tokens;
  options.kv_cache_memory = file.kv_cache_bytes;
  options.resident_weights = plan.expert_slots > 0 ? plan.policy.resident_weights : 1.0;
  if (plan.device_bytes > 0) {
    options.experts_on = plan::name(plan.policy.experts_on);
    options.attention_on = plan::name(plan.policy.attention_on);
    if (plan.policy.attention_on == plan::Place::kDevice)
      options.resident_kv = plan.policy.resident_kv;
  }
  if (plan.policy.kv_on_disk()) {
    options.kv_on = "disk";
    options.resident_kv = plan.policy.resident_kv;
  }
  options.embedding_on = plan.embedding_rows > 0 ? "auto" : "host";
  options.guess_experts = plan.policy.guess_experts ? "on" : "off";
  options.threads = plan.threads;
  return plan;
}

Status holds(const plan::Plan& planned, const plan::Plan& here) {
  if (here.expert_slots >= planned.expert_slots && here.kv_blocks >= planned.kv_blocks) return {};
  const auto text = [](const plan::Plan& plan) {
    return std::to_string(plan.expert_slots) + " experts' slots and " +
           std::to_string(plan.kv_blocks) + " KV blocks";
  };
  return Error{ErrorCode::kNoRoom, "the plan cannot hold here: it reserves " + text(planned) +
                                       ", and there is room for " + text(here) +
                                       "; plan again on this machine"};
}

}  // namespace sluice::cli
