#include "engine/engine_plan.h"

#include <algorithm>

#include "base/numa.h"
#include "engine/host_memory.h"

namespace sluice::engine {

plan::FitWishes wishes_of(const EngineOptions& options) {
  return {.schedule = options.schedule,
          .threads = options.threads,
          .max_batch_size = options.max_batch_size,
          .micro_batch_size = options.micro_batch_size,
          .max_num_tokens = options.max_num_tokens,
          .max_seq_len = options.max_seq_len,
          .host_memory = options.host_memory,
          .device_memory = options.device_memory,
          .resident_weights = options.resident_weights,
          .attention_on = options.attention_on,
          .experts_on = options.experts_on,
          .resident_kv = options.resident_kv,
          .guess_experts = options.guess_experts,
          .embedding_on = options.embedding_on,
          .kv_cache_memory = options.kv_cache_memory,
          .kv_cache_free_mem_fraction = options.kv_cache_free_mem_fraction,
          .kv_block_tokens = options.kv_block_tokens,
          .kv_dtype = options.kv_dtype};
}

plan::FitMachine fit_machine(int64_t device_memory) {
  const auto nodes = static_cast<int>(base::own_nodes_to_interleave().size());
  return {.available_memory = available_host_memory(),
          .device_memory = device_memory,
          .process_memory = process_memory(),
          .cores = available_cores(),
          .memory_nodes = std::max(1, nodes)};
}

}  // namespace sluice::engine
