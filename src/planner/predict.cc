#include "planner/predict.h"

namespace sluice::planner {

Prediction predict(const Subject& subject, const plan::Plan& plan, const Estimate& estimate,
                   const Workload& workload, const ReplayLimits& limits) {
  Prediction prediction{estimate, std::nullopt};
  auto replayed = replay(subject, plan, workload, limits);
  if (!replayed.ok()) return prediction;
  Estimate& predicted = prediction.estimate;
  predicted.seconds = replayed->whole ? replayed->seconds : predicted.seconds * replayed->stretch;
  predicted.seconds_per_token *= replayed->stretch;
  predicted.joules_per_token *= replayed->stretch;
  predicted.tokens_per_second =
      static_cast<double>(workload.count()) * workload.mean_generated() / predicted.seconds;
  prediction.replayed = std::move(*replayed);
  return prediction;
}

Candidate candidate_of(const plan::Plan& plan) {
  const bool paged = plan.expert_slots > 0 && plan.device_bytes == 0;
  return {.policy = plan.policy,
          .embedding_rows = plan.embedding_rows,
          .host_weights = paged ? plan.policy.resident_weights : 1,
          .kv_dtype = plan.kv_dtype,
          .max_num_tokens = plan.max_num_tokens};
}

}  // namespace sluice::planner
