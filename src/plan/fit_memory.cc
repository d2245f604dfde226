#include "plan/fit_memory.h"

#include <algorithm>

#include "base/rounding.h"
#include "base/units.h"
#include "memory/weight_pages.h"
#include "plan/fit_kv.h"

namespace sluice::plan {
namespace {

// Blocks beyond what a full batch needs, for prefixes of finished requests.
constexpr int64_t kCacheShare = 2;
// Beside arenas: threads' stacks, queues, what tokenizers and requests grow by.
constexpr int64_t kProcessGrowth = int64_t{64} << 20;
// Experts on their way or waiting for their turn; with fewer the disk would wait for the host.
constexpr int64_t kMovingSlots = 48;

std::string show(int64_t bytes) { return base::format_bytes(static_cast<double>(bytes)); }

// What --host-memory must be at least for this plan and a cache of one sequence, in whole MiB.
int64_t least_host_memory(const Plan& plan, int64_t per_sequence, const FitWishes& wishes,
                          const FitMachine& machine) {
  // Beside experts the cache may have to leave them half.
  const double share = wishes.kv_cache_memory > 0 ? 1
                       : plan.expert_slots > 0    ? std::min(wishes.kv_cache_free_mem_fraction, 0.5)
                                                  : wishes.kv_cache_free_mem_fraction;
  const auto cache = static_cast<int64_t>(static_cast<double>(per_sequence) / share);
  return base::round_up(
      machine.process_memory + kProcessGrowth + plan.weight_bytes + plan.activation_bytes + cache,
      int64_t{1} << 20);
}

Error no_room(const Plan& plan, int64_t per_sequence, int64_t kv_room, const FitWishes& wishes,
              const FitMachine& machine) {
  const int64_t room = room_for(wishes, machine);
  const bool limited = wishes.host_memory > 0 && room < machine.available_memory;
  const bool disk = wishes.kv_on == "disk";
  std::string message = "the model does not fit: " + show(plan.weight_bytes) + " of weights, " +
                        show(plan.activation_bytes) + " of activations and " + show(per_sequence) +
                        " of KV cache in " + kernels::name(plan.kv_dtype) + " for " +
                        (disk ? "what is at work of a sequence of " : "one sequence of ") +
                        std::to_string(plan.max_seq_len) + " tokens, but ";
  if (limited) {
    message += "of --host-memory " + show(wishes.host_memory) + " the program itself takes " +
               show(machine.process_memory + kProcessGrowth) +
               (room > 0 ? " and leaves " + show(room) : "");
  } else {
    message += show(std::max<int64_t>(room, 0)) + " of memory are available";
  }
  const int64_t tokens = per_sequence > 0 && !disk ? kv_room * plan.max_seq_len / per_sequence : 0;
  const int64_t fitting = tokens / plan.kv_block_tokens * plan.kv_block_tokens;
  const int64_t least = least_host_memory(plan, per_sequence, wishes, machine);
  const std::string more = "--host-memory of at least " + std::to_string(least >> 20) + "M";
  if (fitting > 0) {
    message += "; --max-seq-len " + std::to_string(fitting) +
               (limited ? ", or " + more + "," : "") + " would fit";
  } else if (limited && least - wishes.host_memory <= machine.available_memory - room) {
    message += "; " + more + " would fit";
  } else if (disk) {
    message +=
        "; a smaller --micro-batch-size, --max-seq-len or --resident-kv, or more room on the disk, "
        "would help";
  } else if (plan.weight_bytes + plan.activation_bytes > room && plan.weight_bytes < room) {
    message += "; a smaller --max-num-tokens or --max-batch-size would make room";
  } else {
    message += "; a smaller model or a machine with more memory is needed";
  }
  return {ErrorCode::kNoRoom, message};
}

// What the cache may take of `left` where nobody says how large it is.
int64_t kv_share_of(const FitWishes& wishes, int64_t left) {
  return static_cast<int64_t>(static_cast<double>(std::max<int64_t>(left, 0)) *
                              wishes.kv_cache_free_mem_fraction);
}

// What the cache may take of `left`, which it shares with experts. A sequence less in flight costs
// its share of the throughput, an expert less in memory one read of many; so where the length of
// sequences is known, all of the batch come first, but for the slots that pages pass through.
int64_t kv_room_beside_experts(const FitModel& model, const FitWishes& wishes, int64_t left) {
  if (wishes.kv_cache_memory > 0) return wishes.kv_cache_memory;
  if (wishes.max_seq_len > 0) {
    return left - std::min(left / 2, std::min(kMovingSlots, model.pages) * model.page_bytes);
  }
  return kv_share_of(wishes, left);
}

// A length nobody asked for shrinks to what the cache holds; one that was asked for is kept or
// refused.
void shorten(const FitWishes& wishes, Plan& plan) {
  if (wishes.max_seq_len > 0 || plan.kv_blocks >= blocks_per_sequence(plan) || plan.kv_blocks == 0)
    return;
  plan.max_seq_len = plan.kv_blocks * plan.kv_block_tokens;
}

// Gives the cache its blocks and, of what then is left, slots to the experts that find room.
// `base`: of the weights that are not experts'.
void share_out(const models::ModelConfig& config, const FitModel& model, const FitWishes& asked,
               const FitMachine& machine, int64_t base, Plan& plan) {
  const int64_t room = room_for(asked, machine), block = kv_block_bytes(config, plan);
  const int64_t fewest = std::min(model.pages, kLeastSlots);
  const int64_t least = memory::WeightPages::bytes(fewest, model.page_bytes);
  const int64_t left = std::max<int64_t>(room - base - plan.activation_bytes - least, 0);
  const bool disk = asked.kv_on == "disk";
  const int64_t kv_room = kv_room_beside_experts(model, asked, left);
  const FitWishes wishes = with_windows_for(kv_room, asked);
  if (disk) {
    shrink_batch(config, wishes, kv_room, plan);
    plan.kv_blocks = blocks_on_disk(config, wishes, machine, kv_room, plan);
    shorten(wishes, plan);
    plan.policy.resident_kv = wishes.resident_kv.value_or(0);
    if (plan.kv_blocks > 0) share_kv(config, wishes.kv_window_bytes, plan);
  } else {
    plan.kv_blocks = std::min(kv_room / block, plan.policy.batch * blocks_per_sequence(plan));
    plan.kv_bytes = plan.kv_blocks * block;
    shorten(wishes, plan);
  }
  const int64_t slots =
      (left + least - plan.kv_bytes - memory::WeightPages::bytes(0, 0)) / model.page_bytes;
  const int64_t share = slots_of(wishes.resident_weights, model.pages);
  plan.expert_slots = std::clamp<int64_t>(std::min(slots, share), fewest, model.pages);
  plan.moving_slots =
      std::min({kMovingSlots, std::max(plan.expert_slots / 2, kLeastSlots), plan.expert_slots});
  plan.weight_bytes = base + memory::WeightPages::bytes(plan.expert_slots, model.page_bytes);
  plan.policy.resident_weights =
      static_cast<double>(plan.expert_slots) / static_cast<double>(model.pages);
  // A byte of either is read once an iteration; experts come first, since they need no writes.
  const int64_t rest = room - plan.weight_bytes - plan.activation_bytes;
  if (disk && !wishes.resident_kv && plan.kv_blocks > 0 && rest > plan.kv_bytes)
    keep_kv(config, wishes, rest, plan);
}

// Beside weights that are all in memory, a cache whose home is the disk.
Result<Plan> fit_resident_beside_disk(const models::ModelConfig& config, const FitWishes& asked,
                                      const FitMachine& machine, Plan plan) {
  const int64_t left = room_for(asked, machine) - plan.weight_bytes - plan.activation_bytes;
  const int64_t kv_room = kv_share_of(asked, left);
  const FitWishes wishes = with_windows_for(kv_room, asked);
  plan.policy.resident_kv = 0;
  shrink_batch(config, wishes, kv_room, plan);
  plan.kv_blocks = blocks_on_disk(config, wishes, machine, kv_room, plan);
  shorten(wishes, plan);
  if (plan.kv_blocks >= blocks_per_sequence(plan)) {
    if (wishes.resident_kv) {
      plan.policy.resident_kv = *wishes.resident_kv;
      share_kv(config, wishes.kv_window_bytes, plan);
    } else {
      keep_kv(config, wishes, kv_room, plan);
    }
    if (plan.kv_bytes <= left) return plan;
  }
  return no_room(plan, least_kv_bytes(config, wishes, plan), 0, wishes, machine);
}

}  // namespace

int64_t slots_of(double share, int64_t pages) {
  return static_cast<int64_t>(static_cast<double>(pages) * share + 1e-6);
}

int64_t room_for(const FitWishes& wishes, const FitMachine& machine) {
  if (wishes.host_memory == 0) return machine.available_memory;
  return std::min(machine.available_memory,
                  wishes.host_memory - machine.process_memory - kProcessGrowth);
}

Result<Plan> fit_resident(const models::ModelConfig& config, const FitWishes& wishes,
                          const FitMachine& machine, Plan plan) {
  if (wishes.kv_on == "disk") return fit_resident_beside_disk(config, wishes, machine, plan);
  const int64_t room = room_for(wishes, machine);
  const int64_t bytes = kv_block_bytes(config, plan);
  const int64_t left = room - plan.weight_bytes - plan.activation_bytes;
  const int64_t kv_room =
      wishes.kv_cache_memory > 0 ? wishes.kv_cache_memory : kv_share_of(wishes, left);
  plan.kv_blocks =
      std::min(kv_room / bytes, kCacheShare * plan.policy.batch * blocks_per_sequence(plan));
  shorten(wishes, plan);
  plan.kv_bytes = plan.kv_blocks * bytes;
  if (left < plan.kv_bytes || plan.kv_blocks < blocks_per_sequence(plan)) {
    return no_room(plan, least_kv_bytes(config, wishes, plan),
                   std::min(kv_room, std::max<int64_t>(left, 0)), wishes, machine);
  }
  return plan;
}

Result<Plan> fit_paged(const models::ModelConfig& config, const FitModel& model,
                       const FitWishes& wishes, const FitMachine& machine, Plan plan) {
  if (wishes.schedule == "auto") plan.policy.schedule = "layer_stream";
  const int64_t room = room_for(wishes, machine);
  plan.embedding_rows = wishes.embedding_on == "disk"   ? embedding_rows(config, plan)
                        : wishes.embedding_on == "host" ? 0
                                                        : smaller_embedding(config, model, plan);
  const int64_t base = model.weight_bytes - model.expert_bytes - model.embedding_bytes +
                       embedding_bytes(config, model, plan);
  share_out(config, model, wishes, machine, base, plan);
  if (plan.total_bytes() > room || plan.kv_blocks < blocks_per_sequence(plan)) {
    return no_room(plan, least_kv_bytes(config, wishes, plan), plan.kv_bytes, wishes, machine);
  }
  return plan;
}

int64_t embedding_rows(const models::ModelConfig& config, const Plan& plan) {
  return std::min<int64_t>(config.vocab, plan.micro_batches() * plan.max_num_tokens);
}

memory::EmbeddingRowsShape embedding_shape(const models::ModelConfig& config, const FitModel& model,
                                           const Plan& plan) {
  return {.vocab = config.vocab,
          .hidden = config.hidden,
          .rows = plan.embedding_rows,
          .read_bytes = model.embedding_read_bytes,
          .holders = static_cast<int>(plan.micro_batches()),
          .holder_rows = std::min<int64_t>(config.vocab, plan.max_num_tokens)};
}

int64_t embedding_bytes(const models::ModelConfig& config, const FitModel& model,
                        const Plan& plan) {
  if (plan.embedding_rows == 0) return model.embedding_bytes;
  return memory::EmbeddingRows::bytes(embedding_shape(config, model, plan));
}

int64_t smaller_embedding(const models::ModelConfig& config, const FitModel& model, Plan plan) {
  plan.embedding_rows = embedding_rows(config, plan);
  return embedding_bytes(config, model, plan) < model.embedding_bytes ? plan.embedding_rows : 0;
}

Result<Plan> fit_device(const models::ModelConfig& config, const FitModel& model,
                        const FitWishes& wishes, const FitMachine& machine, Plan plan) {
  SLUICE_ASSIGN(plan, fit_resident(config, wishes, machine, plan));
  const bool attends_there = plan.policy.attention_on == Place::kDevice;
  if (attends_there) share_kv(config, wishes.kv_window_bytes, plan);
  const int64_t room = wishes.device_memory > 0
                           ? std::min(wishes.device_memory, machine.device_memory)
                           : machine.device_memory;
  // The same activations as on the host, the weights that are not experts', and keys and values.
  const int64_t kv = attends_there ? streamed_kv_bytes(config, plan) : 0;
  const int64_t base = model.weight_bytes - model.expert_bytes + plan.activation_bytes + kv;
  const int64_t least = std::min(model.pages, kLeastSlots);
  const int64_t slots = (room - base - memory::WeightPages::bytes(0, 0)) / model.page_bytes;
  if (room < base || slots < least) {
    return Error{ErrorCode::kNoRoom,
                 "the device has " + show(room) + ", but " + show(base) +
                     " of weights, activations and KV (" + show(kv) +
                     ") must lie there, and at least " + std::to_string(least) + " experts of " +
                     show(model.page_bytes) + "; a smaller --micro-batch-size, --max-num-tokens, " +
                     (kv > 0 ? "--max-seq-len or --resident-kv" : "or a larger --device-memory") +
                     " would make room"};
  }
  // Where the host computes all experts, none comes here.
  const int64_t share = plan.policy.experts_on == Place::kHost
                            ? least
                            : slots_of(wishes.resident_weights, model.pages);
  plan.expert_slots = std::clamp(std::min(slots, share), least, model.pages);
  plan.moving_slots = plan.expert_slots;
  plan.policy.resident_weights =
      static_cast<double>(plan.expert_slots) / static_cast<double>(model.pages);
  plan.device_bytes = base + memory::WeightPages::bytes(plan.expert_slots, model.page_bytes);
  return plan;
}

}  // namespace sluice::plan
