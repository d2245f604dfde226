#include "planner/answer_json.h"

#include <map>

namespace sluice::planner {
namespace {

Json workload_json(const Workload& workload) {
  Json lengths = Json::array();
  for (const Lengths& l : workload.requests) {
    lengths.push_back(Json{
        {"prompt_tokens", l.prompt}, {"generated_tokens", l.generated}, {"requests", l.requests}});
  }
  return Json{{"name", workload.name}, {"lengths", lengths}};
}

Json policy_json(const Candidate& candidate) {
  const plan::Policy& policy = candidate.policy;
  return Json{{"schedule", policy.schedule},
              {"batch", policy.batch},
              {"micro_batch", policy.micro_batch},
              {"micro_batches", candidate.micro_batches()},
              {"max_num_tokens", candidate.max_num_tokens},
              {"attention_on", plan::name(policy.attention_on)},
              {"experts_on", plan::name(policy.experts_on)},
              {"resident_weights", policy.resident_weights},
              {"host_weights", candidate.host_weights},
              {"embedding_rows", candidate.embedding_rows},
              {"resident_kv", policy.resident_kv},
              {"kv_dtype", kernels::name(candidate.kv_dtype)},
              {"quant", candidate.quant}};
}

Json footprint_json(const Footprint& f, int64_t kv_cache_bytes) {
  return Json{{"kv_cache_bytes", kv_cache_bytes},
              {"device_weight_bytes", f.device_weights},
              {"device_kv_bytes", f.device_kv},
              {"device_activation_bytes", f.device_activations},
              {"host_weight_bytes", f.host_weights},
              {"host_kv_bytes", f.host_kv},
              {"host_activation_bytes", f.host_activations},
              {"disk_weight_bytes", f.disk_weights},
              {"disk_kv_bytes", f.disk_kv}};
}

Json lanes_json(const Answer& answer) {
  Json lanes = Json::object();
  for (int lane = 0; lane < schedule::kLanes; ++lane) {
    const double seconds = answer.estimate.pass.lanes[static_cast<size_t>(lane)];
    if (seconds > 0) lanes[schedule::name(static_cast<schedule::Lane>(lane))] = seconds;
  }
  return lanes;
}

Json predicted_json(const Question& question, const Answer& answer) {
  Json json{{"tokens_per_second", answer.tokens_per_second},
            {"seconds", answer.seconds},
            {"seconds_per_token", answer.seconds_per_token},
            {"bound", schedule::name(answer.estimate.pass.bound)},
            {"pass_seconds", answer.estimate.pass.seconds},
            {"pass_lane_seconds", lanes_json(answer)},
            {"figures", answer.machine.measured ? "measured machine" : "stated machine"}};
  if (answer.candidate.policy.experts_on == plan::Place::kAuto)
    json["host_experts"] = answer.estimate.pass.host_experts;
  if (answer.replayed) {
    json["replay"] = Json{{"stretch", answer.replayed->stretch},
                          {"tasks", answer.replayed->tasks},
                          {"whole_job", answer.replayed->whole}};
  }
  if (answer.estimate.joules_per_token > 0)
    json["joules_per_token_estimated"] = answer.estimate.joules_per_token;
  if (question.deadline_seconds > 0) json["deadline_seconds"] = question.deadline_seconds;
  return json;
}

void flatten(const Json& json, const std::string& path, std::map<std::string, std::string>& out) {
  if (json.is_object()) {
    for (const auto& [key, value] : json.items())
      flatten(value, path.empty() ? key : path + "." + key, out);
    return;
  }
  if (json.is_array()) {
    for (size_t i = 0; i < json.size(); ++i)
      flatten(json[i], path + "[" + std::to_string(i) + "]", out);
    return;
  }
  out[path] = json.is_string() ? json.get<std::string>() : json.dump();
}

}  // namespace

Json to_json(const Question& question, const Answer& answer, const std::vector<WhatIf>& what_ifs) {
  Json gains = Json::array();
  for (const WhatIf& what_if : what_ifs)
    gains.push_back(Json{{"what", what_if.what}, {"times", what_if.gain}});
  return Json{{"plan_file_version", kPlanFileVersion},
              {"model", question.model_name},
              {"hardware", answer.machine.name},
              {"devices", answer.machine.devices},
              {"workload", workload_json(question.workload)},
              {"objective", name(question.objective)},
              {"runs", answer.runs},
              {"why_not", answer.why_not},
              {"policy", policy_json(answer.candidate)},
              {"predicted", predicted_json(question, answer)},
              {"reserved",
               footprint_json(answer.footprint, kv_cache_bytes(answer.subject(), answer.candidate,
                                                               question.workload))},
              {"what_ifs", gains},
              {"candidates", answer.costed},
              {"plan", answer.runs ? plan::to_json(answer.plan) : Json()}};
}

Result<PlanFile> plan_file(const Json& json) {
  const std::string where = "plan file";
  SLUICE_ASSIGN(const int64_t version, base::field<int64_t>(json, "plan_file_version", where));
  if (version != kPlanFileVersion) {
    return Error{ErrorCode::kUnsupported, where + ": plan_file_version " + std::to_string(version) +
                                              " is not " + std::to_string(kPlanFileVersion) +
                                              "; make it again with sluice plan"};
  }
  PlanFile file;
  SLUICE_ASSIGN(file.runs, base::field<bool>(json, "runs", where));
  SLUICE_ASSIGN(file.why_not, base::field_or<std::string>(json, "why_not", "", where));
  if (!json.contains("policy")) return Error{ErrorCode::kInvalid, where + ": 'policy' is missing"};
  SLUICE_ASSIGN(file.quant, base::field<std::string>(json["policy"], "quant", where + ": policy"));
  if (!file.runs) return file;
  if (!json.contains("reserved"))
    return Error{ErrorCode::kInvalid, where + ": 'reserved' is missing"};
  SLUICE_ASSIGN(file.kv_cache_bytes,
                base::field<int64_t>(json["reserved"], "kv_cache_bytes", where + ": reserved"));
  if (!json.contains("plan")) return Error{ErrorCode::kInvalid, where + ": 'plan' is missing"};
  SLUICE_ASSIGN(file.plan, plan::plan_from_json(json["plan"]));
  return file;
}

std::vector<Difference> difference(const Json& before, const Json& after) {
  std::map<std::string, std::string> a, b;
  flatten(before, "", a);
  flatten(after, "", b);
  std::vector<Difference> found;
  for (const auto& [field, value] : a) {
    const auto other = b.find(field);
    if (other == b.end())
      found.push_back({field, value, ""});
    else if (other->second != value)
      found.push_back({field, value, other->second});
  }
  for (const auto& [field, value] : b)
    if (!a.contains(field)) found.push_back({field, "", value});
  return found;
}

}  // namespace sluice::planner
