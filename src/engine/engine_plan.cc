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
          .kv_on = options.kv_on,
          .resident_kv = options.resident_kv,
          .kv_window_bytes = options.kv_window_bytes,
          .guess_experts = options.guess_experts,
          .embedding_on = options.embedding_on,
          .kv_cache_memory = options.kv_cache_memory,
          .kv_cache_free_mem_fraction = options.kv_cache_free_mem_fraction,
          .kv_block_tokens = options.kv_block_tokens,
          .kv_dtype = options.kv_dtype};
}

std::filesystem::path kv_directory(const EngineOptions& options, const std::string& model) {
  if (!options.kv_directory.empty()) return options.kv_directory;
  std::error_code ignored;
  const std::filesystem::path path = model;
  if (std::filesystem::is_directory(path, ignored)) return path;
  return path.has_parent_path() ? path.parent_path() : ".";
}

plan::FitMachine fit_machine(int64_t device_memory, const std::filesystem::path& kv_directory) {
  std::error_code error;
  const std::filesystem::space_info disk = std::filesystem::space(kv_directory, error);
  const auto nodes = static_cast<int>(base::own_nodes_to_interleave().size());
  return {.available_memory = available_host_memory(),
          .device_memory = device_memory,
          .process_memory = process_memory(),
          .disk_room = error ? 0 : static_cast<int64_t>(disk.available),
          .cores = available_cores(),
          .memory_nodes = std::max(1, nodes)};
}

}  // namespace sluice::engine
