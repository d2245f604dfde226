#include "plan/plan.h"

#include "base/numa.h"

namespace sluice::plan {

const char* name(Place place) {
  switch (place) {
    case Place::kDevice:
      return "device";
    case Place::kHost:
      return "host";
    case Place::kAuto:
      return "auto";
  }
  base::check_failed("known place", "a Place outside its enum", __FILE__, __LINE__);
}

namespace {

constexpr int64_t kVersion = 2;

// One of the first `choices` places.
Result<Place> place_field(const Json& json, const char* key, int choices) {
  SLUICE_ASSIGN(const std::string text, base::field<std::string>(json, key, "plan"));
  for (int i = 0; i < choices; ++i) {
    if (text == name(static_cast<Place>(i))) return static_cast<Place>(i);
  }
  return Error{ErrorCode::kInvalid, std::string("plan: '") + key + "' is '" + text + "'; 'device'" +
                                        (choices > 2 ? ", 'host' or 'auto'" : " or 'host'") +
                                        " is expected"};
}

Result<kernels::KvDType> kv_dtype_field(const Json& json) {
  SLUICE_ASSIGN(const std::string text, base::field<std::string>(json, "kv_dtype", "plan"));
  if (const auto dtype = kernels::parse_kv_dtype(text)) return *dtype;
  return Error{ErrorCode::kInvalid,
               "plan: 'kv_dtype' is '" + text + "'; 'f32', 'f16', 'bf16' or 'q8' is expected"};
}

Status read_nodes(const Json& json, Plan& plan) {
  SLUICE_ASSIGN(const int64_t nodes, base::field<int64_t>(json, "memory_nodes", "plan"));
  if (nodes < 1 || nodes > base::kMaxNumaNodes) {
    return Error{ErrorCode::kInvalid, "plan: 'memory_nodes' must be between 1 and " +
                                          std::to_string(base::kMaxNumaNodes)};
  }
  plan.memory_nodes = static_cast<int>(nodes);
  SLUICE_ASSIGN(plan.interleaved, base::field<bool>(json, "interleaved", "plan"));
  return {};
}

}  // namespace

Json to_json(const Plan& plan) {
  const Policy& policy = plan.policy;
  return Json{{"version", kVersion},
              {"schedule", policy.schedule},
              {"batch", policy.batch},
              {"micro_batch", policy.micro_batch},
              {"attention_on", name(policy.attention_on)},
              {"experts_on", name(policy.experts_on)},
              {"resident_weights", policy.resident_weights},
              {"resident_kv", policy.resident_kv},
              {"guess_experts", policy.guess_experts},
              {"max_seq_len", plan.max_seq_len},
              {"max_num_tokens", plan.max_num_tokens},
              {"logit_rows", plan.logit_rows},
              {"kv_dtype", kernels::name(plan.kv_dtype)},
              {"kv_block_tokens", plan.kv_block_tokens},
              {"kv_blocks", plan.kv_blocks},
              {"resident_kv_blocks", plan.resident_kv_blocks},
              {"kv_window", plan.kv_window},
              {"kv_tails", plan.kv_tails},
              {"expert_slots", plan.expert_slots},
              {"moving_slots", plan.moving_slots},
              {"embedding_rows", plan.embedding_rows},
              {"weight_bytes", plan.weight_bytes},
              {"kv_bytes", plan.kv_bytes},
              {"kv_disk_bytes", plan.kv_disk_bytes},
              {"activation_bytes", plan.activation_bytes},
              {"device_bytes", plan.device_bytes},
              {"threads", plan.threads},
              {"memory_nodes", plan.memory_nodes},
              {"interleaved", plan.interleaved}};
}

Result<Plan> plan_from_json(const Json& json) {
  SLUICE_ASSIGN(const int64_t version, base::field<int64_t>(json, "version", "plan"));
  if (version != kVersion) {
    return Error{ErrorCode::kUnsupported, "plan: version " + std::to_string(version) + " is not " +
                                              std::to_string(kVersion) + "; make it again"};
  }
  Plan plan;
  SLUICE_ASSIGN(plan.policy.schedule, base::field<std::string>(json, "schedule", "plan"));
  SLUICE_ASSIGN(plan.policy.attention_on, place_field(json, "attention_on", 2));
  SLUICE_ASSIGN(plan.policy.experts_on, place_field(json, "experts_on", 3));
  SLUICE_ASSIGN(plan.policy.resident_weights,
                base::field<double>(json, "resident_weights", "plan"));
  SLUICE_ASSIGN(plan.policy.resident_kv, base::field<double>(json, "resident_kv", "plan"));
  SLUICE_ASSIGN(plan.kv_dtype, kv_dtype_field(json));
  int64_t threads = 0;
  const struct {
    const char* key;
    int64_t* value;
  } numbers[] = {{"batch", &plan.policy.batch},
                 {"micro_batch", &plan.policy.micro_batch},
                 {"max_seq_len", &plan.max_seq_len},
                 {"max_num_tokens", &plan.max_num_tokens},
                 {"logit_rows", &plan.logit_rows},
                 {"kv_block_tokens", &plan.kv_block_tokens},
                 {"kv_blocks", &plan.kv_blocks},
                 {"weight_bytes", &plan.weight_bytes},
                 {"resident_kv_blocks", &plan.resident_kv_blocks},
                 {"kv_window", &plan.kv_window},
                 {"kv_tails", &plan.kv_tails},
                 {"kv_bytes", &plan.kv_bytes},
                 {"kv_disk_bytes", &plan.kv_disk_bytes},
                 {"activation_bytes", &plan.activation_bytes},
                 {"device_bytes", &plan.device_bytes},
                 {"expert_slots", &plan.expert_slots},
                 {"moving_slots", &plan.moving_slots},
                 {"embedding_rows", &plan.embedding_rows},
                 {"threads", &threads}};
  SLUICE_ASSIGN(plan.policy.guess_experts, base::field<bool>(json, "guess_experts", "plan"));
  for (const auto& number : numbers) {
    SLUICE_ASSIGN(*number.value, base::field<int64_t>(json, number.key, "plan"));
    if (*number.value < 0) {
      return Error{ErrorCode::kInvalid, std::string("plan: '") + number.key + "' is negative"};
    }
  }
  if (plan.policy.micro_batch < 1 || threads < 1 || threads > 4096) {
    return Error{ErrorCode::kInvalid,
                 "plan: 'micro_batch' must be at least 1 and 'threads' between 1 and 4096"};
  }
  plan.threads = static_cast<int>(threads);
  SLUICE_TRY(read_nodes(json, plan));
  return plan;
}

}  // namespace sluice::plan
