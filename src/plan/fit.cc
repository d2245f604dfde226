#include "plan/fit.h"

#include <algorithm>

#include "models/activations.h"
#include "plan/fit_memory.h"
#include "plan/fit_policy.h"

namespace sluice::plan {
namespace {

constexpr int64_t kDefaultBatch = 64;
constexpr int64_t kDefaultTokens = 512;
constexpr int64_t kMaxBatch = 65536;
constexpr int64_t kMaxTokens = int64_t{1} << 20;
constexpr int64_t kMaxThreads = 1024;
// Logits of one head part: large enough that the head's weights are read once per iteration, small
// beside the cache.
constexpr int64_t kLogitBytes = int64_t{64} << 20;

Status check_wishes(const models::ModelConfig& config, const FitWishes& w) {
  const struct {
    const char* flag;
    int64_t value, most;
  } sizes[] = {{"--threads", w.threads, kMaxThreads},
               {"--max-batch-size", w.max_batch_size, kMaxBatch},
               {"--micro-batch-size", w.micro_batch_size, kMaxBatch},
               {"--max-num-tokens", w.max_num_tokens, kMaxTokens},
               {"--max-seq-len", w.max_seq_len, config.max_positions},
               {"--kv-block-tokens", w.kv_block_tokens, 1024},
               {"--kv-cache-memory", w.kv_cache_memory, int64_t{1} << 50},
               {"--host-memory", w.host_memory, int64_t{1} << 50},
               {"--device-memory", w.device_memory, int64_t{1} << 50}};
  for (const auto& size : sizes) {
    if (size.value < 0 || size.value > size.most) {
      return Error{ErrorCode::kInvalid,
                   std::string(size.flag) + " is " + std::to_string(size.value) +
                       "; this model and program allow up to " + std::to_string(size.most)};
    }
  }
  if (w.kv_block_tokens < 16 || w.kv_block_tokens % 16 != 0) {
    return Error{ErrorCode::kInvalid, "--kv-block-tokens is " + std::to_string(w.kv_block_tokens) +
                                          "; a multiple of 16 is expected"};
  }
  if (!(w.kv_cache_free_mem_fraction > 0) || w.kv_cache_free_mem_fraction > 1) {
    return Error{ErrorCode::kInvalid, "--kv-cache-free-mem-fraction must be above 0 and at most 1"};
  }
  if (!(w.resident_weights >= 0) || w.resident_weights > 1) {
    return Error{ErrorCode::kInvalid, "--resident-weights must be between 0 and 1"};
  }
  if (w.resident_kv && (!(*w.resident_kv >= 0) || *w.resident_kv > 1)) {
    return Error{ErrorCode::kInvalid, "--resident-kv must be between 0 and 1"};
  }
  if (w.max_batch_size > 0 && w.micro_batch_size > w.max_batch_size) {
    return Error{ErrorCode::kInvalid,
                 "--micro-batch-size is " + std::to_string(w.micro_batch_size) +
                     ", more than --max-batch-size " + std::to_string(w.max_batch_size)};
  }
  return {};
}

Plan open_choices(const models::ModelConfig& config, const FitWishes& w,
                  const FitMachine& machine) {
  Plan plan;
  plan.policy.schedule = w.schedule == "auto" ? "resident" : w.schedule;
  plan.threads = w.threads > 0 ? w.threads : machine.cores;
  plan.memory_nodes = machine.memory_nodes;
  plan.interleaved = machine.memory_nodes > 1;
  plan.policy.batch =
      w.max_batch_size > 0 ? w.max_batch_size : std::max(kDefaultBatch, w.micro_batch_size);
  plan.policy.micro_batch = w.micro_batch_size > 0 ? w.micro_batch_size : plan.policy.batch;
  plan.max_num_tokens =
      w.max_num_tokens > 0 ? w.max_num_tokens : std::max(kDefaultTokens, plan.policy.micro_batch);
  plan.max_seq_len = w.max_seq_len > 0 ? w.max_seq_len : config.max_positions;
  plan.logit_rows = logit_rows(config, plan.policy.micro_batch);
  plan.kv_block_tokens = w.kv_block_tokens;
  return plan;
}

int64_t activations_of(const models::ModelConfig& config, const Plan& plan, bool block_weights) {
  return plan.micro_batches() * models::activation_bytes(config, {.rows = plan.max_num_tokens,
                                                                  .logit_rows = plan.logit_rows,
                                                                  .context = plan.max_seq_len,
                                                                  .block_weights = block_weights});
}

}  // namespace

int64_t logit_rows(const models::ModelConfig& config, int64_t micro_batch) {
  return std::clamp<int64_t>(kLogitBytes / (int64_t{4} * config.vocab), 1, micro_batch);
}

FitModel fit_model(const models::WeightNeeds& needs) {
  return {.weight_bytes = needs.bytes,
          .block_weights = needs.block_weights,
          .stored = needs.stored,
          .pages = needs.pages,
          .page_bytes = needs.page_bytes,
          .expert_bytes = needs.expert_bytes,
          .embedding_bytes = needs.embedding_bytes,
          .embedding_read_bytes = needs.embedding_read_bytes};
}

// "auto" keeps of keys and values what the weights that made them keep, and no more than 16 bits of
// weights that keep less.
Result<kernels::KvDType> kv_dtype(const FitWishes& w, tensor::DType stored) {
  if (w.kv_dtype == "auto") {
    if (stored == tensor::DType::kF32) return kernels::KvDType::kF32;
    return stored == tensor::DType::kBF16 ? kernels::KvDType::kBF16 : kernels::KvDType::kF16;
  }
  if (const auto dtype = kernels::parse_kv_dtype(w.kv_dtype)) return *dtype;
  return Error{ErrorCode::kInvalid,
               "--kv-dtype is '" + w.kv_dtype + "'; auto, f32, f16, bf16 or q8 is expected"};
}

Result<Plan> fit_plan(const models::ModelConfig& config, const FitModel& model,
                      const FitWishes& wishes, const FitMachine& machine) {
  SLUICE_TRY(check_wishes(config, wishes));
  Plan plan = open_choices(config, wishes, machine);
  SLUICE_ASSIGN(plan.kv_dtype, kv_dtype(wishes, model.stored));
  if (plan.max_num_tokens < plan.policy.micro_batch) {
    return Error{ErrorCode::kInvalid, "--max-num-tokens is " + std::to_string(plan.max_num_tokens) +
                                          ", less than the " +
                                          std::to_string(plan.policy.micro_batch) +
                                          " sequences of a micro-batch, which need a token each"};
  }
  SLUICE_TRY(choose_places(model, wishes, machine, plan.policy));
  SLUICE_TRY(check_embedding(model, wishes, machine));
  plan.weight_bytes = model.weight_bytes;
  plan.activation_bytes = activations_of(config, plan, model.block_weights);
  if (machine.device_memory > 0) return fit_device(config, model, wishes, machine, plan);
  if (wishes.resident_weights < 1.0) return fit_paged(config, model, wishes, machine, plan);
  Result<Plan> resident = fit_resident(config, wishes, machine, plan);
  if (resident.ok() && wishes.embedding_on == "disk") {
    return Error{ErrorCode::kInvalid,
                 "--embedding-on disk is for models larger than memory, and this one fits; "
                 "--host-memory or --resident-weights leaves experts on disk too"};
  }
  const bool full = !resident.ok() && resident.error().code == ErrorCode::kNoRoom;
  if (!full || !reads_experts(wishes.schedule) || model.pages == 0) return resident;
  return fit_paged(config, model, wishes, machine, plan);
}

}  // namespace sluice::plan
