#include "schedule/task_chain.h"

#include <array>

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

Bounds disk_kv_bounds(const Context& context) {
  Bounds bounds;
  const KvMoves& kv = context.batch.kv;
  if (kv.blocks == 0) return bounds;
  const int layers = context.model->layer_count();
  bounds.tasks = bounds.dependencies = 2 * layers;
  for (int layer = 0; layer < layers; ++layer)
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

void TaskChain::attend_between(const KvMove& comes, Lane lane, const KvMove& goes, int16_t layer,
                               int64_t rank, bool ahead) {
  const auto move = [&](const KvMove& kv, int64_t at) {
    const Transfer transfer{
        .payload = Payload::kKv, .from = kv.from, .to = kv.to, .bytes = kv.bytes};
    return add_transfer(context_, kv.lane, transfer, layer, at, out_);
  };
  const TaskIndex there = move(comes, ahead ? kv_rank(layer) : load_rank(layer));
  if (!ahead) {
    follow(there);
  } else if (comes.after != kNone) {
    out_.after(Dependency::task(comes.after));
  }
  const models::Stage attend{.kind = models::StageKind::kAttend, .layer = layer};
  const TaskIndex attended = add_stage(context_, lane, attend, nullptr, out_);
  out_.tasks[attended].rank = rank;
  follow(attended);
  if (ahead) out_.after(Dependency::task(there));
  const TaskIndex home = move(goes, load_rank(layer));
  if (!ahead) return follow(home);
  out_.after(Dependency::task(attended));
}

void TaskChain::attend_on_host(int16_t layer, int64_t rank, bool ahead, TaskIndex after) {
  const KvMoves& kv = context_.batch.kv;
  if (kv.blocks == 0) {
    const models::Stage attend{.kind = models::StageKind::kAttend, .layer = layer};
    const TaskIndex attended = add_stage(context_, Lane::kHostCompute, attend, nullptr, out_);
    out_.tasks[attended].rank = rank;
    return follow(attended);
  }
  const int64_t block = disk_block_bytes(context_, layer);
  attend_between({Lane::kDisk, Level::kDisk, Level::kHost, kv.arriving_blocks * block, after},
                 Lane::kHostCompute,
                 {Lane::kDisk, Level::kHost, Level::kDisk, kv.leaving_blocks * block}, layer, rank,
                 ahead);
}

}  // namespace sluice::schedule
