#include "engine/fit.h"

#include <algorithm>

#include "base/units.h"
#include "memory/kv_cache.h"
#include "models/activations.h"

namespace sluice::engine {
namespace {

constexpr int64_t kDefaultBatch = 64;
constexpr int64_t kDefaultTokens = 512;
constexpr int64_t kMaxBatch = 65536;
constexpr int64_t kMaxTokens = int64_t{1} << 20;
constexpr int64_t kMaxThreads = 1024;
// Logits of one head part: large enough that the head's weights are read once per iteration, small
// beside the cache.
constexpr int64_t kLogitBytes = int64_t{64} << 20;
// Blocks beyond what a full batch needs, for prefixes of finished requests.
constexpr int64_t kCacheShare = 2;

using base::format_bytes;

std::string show(int64_t bytes) { return format_bytes(static_cast<double>(bytes)); }

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
               {"--kv-cache-memory", w.kv_cache_memory, int64_t{1} << 50}};
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
  if (w.max_batch_size > 0 && w.micro_batch_size > w.max_batch_size) {
    return Error{ErrorCode::kInvalid,
                 "--micro-batch-size is " + std::to_string(w.micro_batch_size) +
                     ", more than --max-batch-size " + std::to_string(w.max_batch_size)};
  }
  return {};
}

int64_t block_bytes(const models::ModelConfig& config, const plan::Plan& plan) {
  return memory::KvCache::bytes_per_block(
      models::kv_layouts(config, static_cast<int>(plan.kv_block_tokens), plan.kv_dtype));
}

int64_t blocks_for(int64_t tokens, int64_t block_tokens) {
  return (tokens + block_tokens - 1) / block_tokens;
}

plan::Plan open_choices(const models::ModelConfig& config, const FitWishes& w,
                        const FitMachine& machine) {
  plan::Plan plan;
  plan.policy.schedule = w.schedule;
  plan.threads = w.threads > 0 ? w.threads : machine.cores;
  plan.memory_nodes = machine.memory_nodes;
  plan.interleaved = machine.memory_nodes > 1;
  plan.policy.batch =
      w.max_batch_size > 0 ? w.max_batch_size : std::max(kDefaultBatch, w.micro_batch_size);
  plan.policy.micro_batch = w.micro_batch_size > 0 ? w.micro_batch_size : plan.policy.batch;
  plan.max_num_tokens =
      w.max_num_tokens > 0 ? w.max_num_tokens : std::max(kDefaultTokens, plan.policy.micro_batch);
  plan.max_seq_len = w.max_seq_len > 0 ? w.max_seq_len : config.max_positions;
  plan.logit_rows =
      std::clamp<int64_t>(kLogitBytes / (int64_t{4} * config.vocab), 1, plan.policy.micro_batch);
  plan.kv_block_tokens = w.kv_block_tokens;
  return plan;
}

int64_t activations_of(const models::ModelConfig& config, const plan::Plan& plan,
                       bool block_weights) {
  return plan.micro_batches() * models::activation_bytes(config, {.rows = plan.max_num_tokens,
                                                                  .logit_rows = plan.logit_rows,
                                                                  .context = plan.max_seq_len,
                                                                  .block_weights = block_weights});
}

Error no_room(const plan::Plan& plan, int64_t per_sequence, int64_t kv_room, int64_t available) {
  std::string message = "the model does not fit: " + show(plan.weight_bytes) + " of weights, " +
                        show(plan.activation_bytes) + " of activations and " + show(per_sequence) +
                        " of KV cache in " + kernels::name(plan.kv_dtype) +
                        " for one sequence of " + std::to_string(plan.max_seq_len) +
                        " tokens, but " + show(available) + " of memory are available";
  const int64_t tokens = per_sequence > 0 ? kv_room * plan.max_seq_len / per_sequence : 0;
  const int64_t fitting = tokens / plan.kv_block_tokens * plan.kv_block_tokens;
  if (fitting > 0) {
    message += "; --max-seq-len " + std::to_string(fitting) + " would fit";
  } else if (plan.weight_bytes + plan.activation_bytes > available &&
             plan.weight_bytes < available) {
    message += "; a smaller --max-num-tokens or --max-batch-size would make room";
  } else {
    message += "; a smaller model or a machine with more memory is needed";
  }
  return {ErrorCode::kNoRoom, message};
}

}  // namespace

// "auto" keeps of keys and values what the weights that made them keep, and no more than 16 bits of
// weights that keep less.
Result<kernels::KvDType> kv_dtype(const FitWishes& w) {
  if (w.kv_dtype == "auto") {
    if (w.stored == tensor::DType::kF32) return kernels::KvDType::kF32;
    return w.stored == tensor::DType::kBF16 ? kernels::KvDType::kBF16 : kernels::KvDType::kF16;
  }
  if (const auto dtype = kernels::parse_kv_dtype(w.kv_dtype)) return *dtype;
  return Error{ErrorCode::kInvalid,
               "--kv-dtype is '" + w.kv_dtype + "'; auto, f32, f16, bf16 or q8 is expected"};
}

Result<plan::Plan> fit_plan(const models::ModelConfig& config, int64_t weight_bytes,
                            const FitWishes& wishes, const FitMachine& machine) {
  SLUICE_TRY(check_wishes(config, wishes));
  plan::Plan plan = open_choices(config, wishes, machine);
  SLUICE_ASSIGN(plan.kv_dtype, kv_dtype(wishes));
  if (plan.max_num_tokens < plan.policy.micro_batch) {
    return Error{ErrorCode::kInvalid, "--max-num-tokens is " + std::to_string(plan.max_num_tokens) +
                                          ", less than the " +
                                          std::to_string(plan.policy.micro_batch) +
                                          " sequences of a micro-batch, which need a token each"};
  }
  plan.weight_bytes = weight_bytes;
  plan.activation_bytes = activations_of(config, plan, wishes.block_weights);

  const int64_t bytes = block_bytes(config, plan);
  const int64_t left = machine.available_memory - plan.weight_bytes - plan.activation_bytes;
  const int64_t kv_room =
      wishes.kv_cache_memory > 0
          ? wishes.kv_cache_memory
          : static_cast<int64_t>(static_cast<double>(std::max<int64_t>(left, 0)) *
                                 wishes.kv_cache_free_mem_fraction);
  int64_t per_sequence = blocks_for(plan.max_seq_len, plan.kv_block_tokens);
  plan.kv_blocks = std::min(kv_room / bytes, kCacheShare * plan.policy.batch * per_sequence);
  // A length nobody asked for shrinks to what the cache holds; one that was asked for is kept or
  // refused.
  if (wishes.max_seq_len == 0 && plan.kv_blocks < per_sequence && plan.kv_blocks > 0) {
    plan.max_seq_len = plan.kv_blocks * plan.kv_block_tokens;
    per_sequence = plan.kv_blocks;
  }
  plan.kv_bytes = plan.kv_blocks * bytes;
  if (left < plan.kv_bytes || plan.kv_blocks < per_sequence) {
    return no_room(plan, per_sequence * bytes, std::min(kv_room, std::max<int64_t>(left, 0)),
                   machine.available_memory);
  }
  return plan;
}

}  // namespace sluice::engine
