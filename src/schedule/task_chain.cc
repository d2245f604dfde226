#include "schedule/task_chain.h"

#include <array>
#include <limits>

#include "base/check.h"
#include "memory/streamed_kv_size.h"
#include "schedule/paged_experts.h"

namespace sluice::schedule {

namespace {

// Of one block, as it lies on disk.
int64_t disk_block_bytes(const Context& context, int layer) {
  const std::array layouts{
      models::kv_layout(context.model->layers[static_cast<size_t>(layer)].attention,
                        static_cast<int>(context.plan->kv_block_tokens), context.plan->kv_dtype)};
  return memory::kv_place_bytes(layouts, memory::kDiskKvAlignment);
}

}  // namespace

Bounds kv_bounds(const Context& context) {
  const KvMoves& kv = context.batch.kv;
  if (kv.blocks == 0) return {};
  // Of each part they come and go, and all but the first attend as well.
  const auto parts = static_cast<int32_t>(kv.parts);
  const int32_t layers = context.model->layer_count();
  return {.tasks = layers * (3 * parts - 1), .dependencies = layers * (4 * parts - 1)};
}

Bounds disk_kv_bounds(const Context& context) {
  Bounds bounds = kv_bounds(context);
  const KvMoves& kv = context.batch.kv;
  if (kv.blocks == 0) return bounds;
  for (int layer = 0; layer < context.model->layer_count(); ++layer)
    bounds.bytes += (kv.arriving_blocks + kv.leaving_blocks) * disk_block_bytes(context, layer);
  return bounds;
}

void TaskChain::follow(TaskIndex index) {
  if (last_ != kNone) {
    const bool grows = out_.tasks[last_].expansion != kNone;
    out_.after(grows ? Dependency::expansion(last_) : Dependency::task(last_));
  }
  last_ = index;
}

TaskIndex TaskChain::compute(Lane lane, const models::Stage& stage, int64_t rank,
                             const RoutingOutcome* routing) {
  const TaskIndex index = add_stage(context_, lane, stage, routing, out_);
  out_.tasks[index].rank = rank;
  follow(index);
  return index;
}

void TaskChain::attend_between(const KvHome& home, Lane lane, int16_t layer, int64_t rank,
                               bool ahead, TaskIndex after) {
  models::Stage attend{.kind = models::StageKind::kAttend, .layer = layer};
  if (context_.batch.kv.blocks == 0) {
    compute(lane, attend, rank);
    return;
  }
  const KvPart whole{.kv = context_.batch.kv};
  const std::span parts =
      context_.kv_parts.empty() ? std::span<const KvPart>(&whole, 1) : context_.kv_parts;
  SLUICE_CHECK(parts.size() <= std::numeric_limits<int16_t>::max(), "parts fit Stage::first");
  for (size_t i = 0; i < parts.size(); ++i) {
    const KvMoves& kv = parts[i].kv;
    attend.first = static_cast<int16_t>(i);
    const Transfer comes{.payload = Payload::kKv,
                         .from = home.far,
                         .to = home.near,
                         .bytes = kv.arriving_blocks * home.block_bytes,
                         .part = attend.first};
    const TaskIndex there = add_transfer(context_, home.comes, comes, layer,
                                         ahead ? kv_rank(layer) : load_rank(layer), out_);
    if (!ahead) follow(there);
    if (ahead && after != kNone) out_.after(Dependency::task(after));
    const TaskIndex attended = compute(lane, attend, rank);
    if (ahead) out_.after(Dependency::task(there));
    const Transfer goes{
        .payload = Payload::kKv,
        .from = home.near,
        .to = home.far,
        .bytes = kv.leaving_blocks * home.block_bytes + kv.leaving_tokens * home.token_bytes,
        .part = attend.first};
    const TaskIndex gone = add_transfer(context_, home.goes, goes, layer, load_rank(layer), out_);
    if (ahead) {
      out_.after(Dependency::task(attended));
    } else {
      follow(gone);
    }
  }
}

void TaskChain::attend_on_host(int16_t layer, int64_t rank, bool ahead, TaskIndex after) {
  attend_between({.block_bytes = disk_block_bytes(context_, layer)}, Lane::kHostCompute, layer,
                 rank, ahead, after);
}

}  // namespace sluice::schedule
