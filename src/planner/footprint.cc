#include "planner/footprint.h"

#include <algorithm>
#include <cmath>

#include "memory/kv_cache.h"
#include "memory/weight_pages.h"
#include "models/activations.h"
#include "plan/fit.h"
#include "plan/fit_kv.h"
#include "plan/fit_memory.h"

namespace sluice::planner {
namespace {

int64_t blocks(double tokens) {
  return static_cast<int64_t>(std::ceil(tokens / plan::kKvBlockTokens));
}

int64_t kv_block_bytes(const Subject& subject, const Candidate& candidate) {
  int64_t bytes = 0;
  for (const LayerKind& kind : subject.layers.kinds) {
    const models::LayerConfig& layer = subject.model.layers[static_cast<size_t>(kind.layer)];
    const std::vector layouts{models::kv_layout(
        layer.attention, static_cast<int>(plan::kKvBlockTokens), candidate.kv_dtype)};
    bytes += kind.count * memory::KvCache::bytes_per_block(layouts);
  }
  return bytes;
}

// Of the whole batch: every sequence with room for its answer, whole blocks.
int64_t kv_blocks(const Subject& subject, const Candidate& candidate, const Workload& workload) {
  const int64_t batch = std::min(candidate.policy.batch, workload.count());
  const double mean = workload.mean_prompt() + workload.mean_generated();
  return std::max(batch * blocks(mean),
                  blocks(static_cast<double>(workload.max_seq_len(subject.model.max_positions))));
}

struct KvBytes {
  int64_t disk = 0, host = 0, device = 0;
};

// What the cache takes of each level, as fit_plan() shares it out.
KvBytes kv_places(const Subject& subject, const Candidate& candidate, const Workload& workload) {
  plan::Plan plan{.policy = candidate.policy,
                  .max_seq_len = workload.max_seq_len(subject.model.max_positions),
                  .kv_dtype = candidate.kv_dtype,
                  .kv_block_tokens = plan::kKvBlockTokens,
                  .kv_blocks = kv_blocks(subject, candidate, workload)};
  const bool on_device = candidate.policy.attention_on == plan::Place::kDevice;
  if (!on_device && !candidate.policy.kv_on_disk())
    return {.host = plan.kv_blocks * kv_block_bytes(subject, candidate)};
  plan::share_kv(subject.model, plan::kKvWindowBytes, plan);
  return {.disk = plan.kv_disk_bytes,
          .host = plan.kv_bytes,
          .device = on_device ? plan::streamed_kv_bytes(subject.model, plan) : 0};
}

int64_t activation_bytes(const Subject& subject, const Candidate& candidate,
                         const Workload& workload) {
  return candidate.micro_batches() *
         models::activation_bytes(
             subject.model,
             {.rows = candidate.max_num_tokens,
              .logit_rows = plan::logit_rows(subject.model, candidate.policy.micro_batch),
              .context = workload.max_seq_len(subject.model.max_positions),
              .block_weights = subject.weights.fit.block_weights});
}

// What of the candidate says how many rows of the embedding are in memory.
plan::Plan plan_of(const Candidate& candidate) {
  return {.policy = candidate.policy,
          .max_num_tokens = candidate.max_num_tokens,
          .embedding_rows = candidate.embedding_rows};
}

// Experts that so many bytes have room for.
double share_of(const plan::FitModel& fit, int64_t bytes) {
  if (fit.pages == 0) return 1;
  const double slots = std::floor(static_cast<double>(bytes - memory::WeightPages::bytes(0, 0)) /
                                  static_cast<double>(fit.page_bytes));
  return std::clamp(slots / static_cast<double>(fit.pages), 0.0, 1.0);
}

// What slots for this share of the experts take, as fit_plan() reserves them.
int64_t slot_bytes(const plan::FitModel& fit, double share) {
  const int64_t least = std::min(fit.pages, plan::kLeastSlots);
  const int64_t slots = std::clamp(plan::slots_of(share, fit.pages), least, fit.pages);
  return memory::WeightPages::bytes(slots, fit.page_bytes);
}

// Where all experts have found room, and the whole embedding does too.
void keep_embedding(const Subject& subject, const Workload& workload, Candidate& candidate) {
  if (candidate.host_weights < 1) return;
  Candidate whole = candidate;
  whole.embedding_rows = 0;
  if (footprint(subject, whole, workload).host() <= subject.machine.host_memory) candidate = whole;
}

}  // namespace

int64_t kv_cache_bytes(const Subject& subject, const Candidate& candidate,
                       const Workload& workload) {
  return kv_blocks(subject, candidate, workload) * kv_block_bytes(subject, candidate);
}

double least_share(const Subject& subject) {
  const auto pages = static_cast<double>(subject.weights.fit.pages);
  return pages == 0 ? 0.0 : std::min(pages, double{plan::kLeastSlots}) / pages;
}

Footprint footprint(const Subject& subject, const Candidate& candidate, const Workload& workload) {
  const plan::FitModel& fit = subject.weights.fit;
  const ScheduleKind& kind = *find_schedule(candidate.policy.schedule);
  const KvBytes kv = kv_places(subject, candidate, workload);
  const int64_t activations = activation_bytes(subject, candidate, workload);
  const int64_t dense = subject.weights.dense_bytes() - fit.embedding_bytes +
                        plan::embedding_bytes(subject.model, fit, plan_of(candidate));
  Footprint f;
  f.host_activations = activations;
  f.host_weights = dense + fit.expert_bytes;
  if (candidate.host_weights < 1) {
    f.host_weights = dense + slot_bytes(fit, candidate.host_weights);
    f.disk_weights =
        static_cast<int64_t>((1 - candidate.host_weights) * static_cast<double>(fit.expert_bytes));
  }
  if (candidate.embedding_rows > 0) f.disk_weights += fit.embedding_bytes;
  f.host_kv = kv.host;
  f.disk_kv = kv.disk;
  if (!kind.device) return f;
  f.device_kv = kv.device;
  f.device_activations = activations;
  f.device_weights = dense + slot_bytes(fit, candidate.policy.resident_weights);
  return f;
}

std::optional<Shortage> settle(const Subject& subject, const Workload& workload,
                               Candidate& candidate) {
  const plan::FitModel& fit = subject.weights.fit;
  const ScheduleKind& kind = *find_schedule(candidate.policy.schedule);
  const Machine& machine = subject.machine;
  const double least = least_share(subject);
  candidate.policy.resident_weights = least;
  const bool from_disk = kind.moves && (!kind.device || machine.disk_feeds_device);
  candidate.host_weights = machine.has_disk() && from_disk ? least : 1;
  candidate.embedding_rows = candidate.host_weights < 1 && !kind.device
                                 ? plan::smaller_embedding(subject.model, fit, plan_of(candidate))
                                 : 0;
  Footprint f = footprint(subject, candidate, workload);
  if (f.host() > machine.host_memory)
    return Shortage{schedule::Level::kHost, f.host() - machine.host_memory};
  // What the disk has no room for would have to be in memory.
  if (f.disk_kv > machine.disk_bytes)
    return Shortage{schedule::Level::kHost, f.disk_kv - machine.disk_bytes};
  if (f.device() > machine.device_memory)
    return Shortage{schedule::Level::kDevice, f.device() - machine.device_memory};
  const int64_t floor = slot_bytes(fit, least);
  if (candidate.host_weights < 1)
    candidate.host_weights = std::max(least, share_of(fit, machine.host_memory - f.host() + floor));
  if (!kind.device) {
    keep_embedding(subject, workload, candidate);
    candidate.policy.resident_weights = candidate.host_weights;
    return std::nullopt;
  }
  candidate.policy.resident_weights =
      std::max(least, share_of(fit, machine.device_memory - f.device() + floor));
  return std::nullopt;
}

}  // namespace sluice::planner
