#include "plan/fit_kv.h"

#include <algorithm>

#include "base/rounding.h"
#include "memory/kv_cache.h"
#include "memory/streamed_kv_size.h"
#include "plan/fit_memory.h"

namespace sluice::plan {
namespace {

// Of a block on disk, in each layer: what its bytes are checked by when they are read.
constexpr int64_t kSumBytes = 4;

std::vector<kernels::KvLayout> layouts(const models::ModelConfig& config, const Plan& plan) {
  return models::kv_layouts(config, static_cast<int>(plan.kv_block_tokens), plan.kv_dtype);
}

// Bytes of one block in one layer, on disk or in the memory before it; and over all layers.
int64_t layer_place_bytes(const models::ModelConfig& config, const Plan& plan) {
  return memory::kv_place_bytes(layouts(config, plan), memory::kDiskKvAlignment);
}
int64_t place_bytes(const models::ModelConfig& config, const Plan& plan) {
  return config.layer_count() * layer_place_bytes(config, plan);
}

// The plan with so many blocks, of which those stay in memory that must.
Plan with_blocks(const models::ModelConfig& config, const FitWishes& wishes, int64_t blocks,
                 Plan plan) {
  plan.kv_blocks = blocks;
  plan.policy.resident_kv = wishes.resident_kv.value_or(0);
  share_kv(config, wishes.kv_window_bytes, plan);
  return plan;
}

}  // namespace

int64_t blocks_per_sequence(const Plan& plan) {
  return base::div_up(plan.max_seq_len, plan.kv_block_tokens);
}

int64_t kv_block_bytes(const models::ModelConfig& config, const Plan& plan) {
  return memory::KvCache::bytes_per_block(layouts(config, plan));
}

void share_kv(const models::ModelConfig& config, int64_t window_bytes, Plan& plan) {
  const int64_t resident = slots_of(plan.policy.resident_kv, plan.kv_blocks);
  const int64_t home = plan.kv_blocks - resident;
  plan.policy.resident_kv = static_cast<double>(resident) / static_cast<double>(plan.kv_blocks);
  plan.resident_kv_blocks = resident;
  // All of a micro-batch; of those that a host attends over, enough for the disk to be read at its
  // rate, and for any sequence.
  const int64_t micro_batch = plan.policy.micro_batch * blocks_per_sequence(plan);
  plan.kv_window = std::min(home, micro_batch);
  if (plan.policy.attention_on == Place::kDevice) {
    plan.kv_bytes = home * kv_block_bytes(config, plan);
    return;
  }
  if (home == 0) {
    plan.resident_kv_blocks = 0;
    plan.kv_tails = plan.kv_disk_bytes = 0;
    plan.kv_bytes = plan.kv_blocks * kv_block_bytes(config, plan);
    return;
  }
  const int64_t part = window_bytes / layer_place_bytes(config, plan);
  plan.kv_window = std::min(plan.kv_window, std::max(part, blocks_per_sequence(plan)));
  plan.kv_tails = std::min(home, plan.policy.batch);  // one of each sequence at work
  plan.kv_disk_bytes = home * place_bytes(config, plan);
  plan.kv_bytes = streamed_kv_bytes(config, plan) + home * config.layer_count() * kSumBytes;
}

int64_t streamed_kv_bytes(const models::ModelConfig& config, const Plan& plan) {
  const bool on_device = plan.policy.attention_on == Place::kDevice;
  if (!on_device && !plan.policy.kv_on_disk()) return 0;
  return memory::streamed_kv_bytes(
      layouts(config, plan),
      on_device ? memory::KvCache::kBlockAlignment : memory::kDiskKvAlignment,
      plan.resident_kv_blocks + plan.kv_tails, plan.kv_window);
}

int64_t least_kv_bytes(const models::ModelConfig& config, const FitWishes& wishes,
                       const Plan& plan) {
  if (wishes.kv_on != "disk") return blocks_per_sequence(plan) * kv_block_bytes(config, plan);
  return with_blocks(config, wishes, blocks_per_sequence(plan), plan).kv_bytes;
}

FitWishes with_windows_for(int64_t room, FitWishes wishes) {
  constexpr int64_t kMostOfRoom = 8;
  if (wishes.kv_cache_memory == 0)
    wishes.kv_window_bytes = std::min(wishes.kv_window_bytes, room / kMostOfRoom);
  return wishes;
}

void shrink_batch(const models::ModelConfig& config, const FitWishes& wishes, int64_t room,
                  Plan& plan) {
  if (wishes.max_batch_size > 0 || wishes.kv_cache_memory > 0) return;
  const auto with = [&](int64_t sequences) {
    Plan tried = plan;
    tried.policy.batch = sequences;
    tried.policy.micro_batch = std::min(plan.policy.micro_batch, sequences);
    return tried;
  };
  const auto fits = [&](int64_t sequences) {
    const Plan tried = with(sequences);
    const int64_t blocks = sequences * blocks_per_sequence(plan);
    return with_blocks(config, wishes, blocks, tried).kv_bytes <= room;
  };
  int64_t sequences = plan.policy.batch;
  while (sequences > 1 && !fits(sequences)) --sequences;
  plan = with(sequences);
}

int64_t blocks_on_disk(const models::ModelConfig& config, const FitWishes& wishes,
                       const FitMachine& machine, int64_t room, const Plan& plan) {
  const int64_t wanted = plan.policy.batch * blocks_per_sequence(plan);
  const int64_t block = kv_block_bytes(config, plan);
  if (wishes.kv_cache_memory > 0) return std::min(wanted, wishes.kv_cache_memory / block);
  const double disk = wishes.kv_cache_free_mem_fraction * static_cast<double>(machine.disk_room);
  // The largest number with room on both.
  int64_t fits = 0, most = wanted;
  while (fits < most) {
    const int64_t blocks = fits + base::div_up(most - fits, 2);
    const Plan tried = with_blocks(config, wishes, blocks, plan);
    if (tried.kv_bytes <= room && tried.kv_disk_bytes <= static_cast<int64_t>(disk)) {
      fits = blocks;
    } else {
      most = blocks - 1;
    }
  }
  return fits;
}

void keep_kv(const models::ModelConfig& config, const FitWishes& wishes, int64_t room, Plan& plan) {
  Plan most = plan;
  most.policy.resident_kv = 1;
  share_kv(config, wishes.kv_window_bytes, most);
  if (most.kv_bytes <= room) {
    plan = most;
    return;
  }
  plan.policy.resident_kv = 0;
  share_kv(config, wishes.kv_window_bytes, plan);
  const int64_t kept = std::max<int64_t>(room - plan.kv_bytes, 0) / place_bytes(config, plan);
  const int64_t blocks = std::min(kept, plan.kv_blocks - 1);
  plan.policy.resident_kv = static_cast<double>(blocks) / static_cast<double>(plan.kv_blocks);
  share_kv(config, wishes.kv_window_bytes, plan);
}

}  // namespace sluice::plan
