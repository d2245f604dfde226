#include "schedule/task_chain.h"

#include "schedule/paged_experts.h"

namespace sluice::schedule {

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
  if (!ahead) follow(there);
  const models::Stage attend{.kind = models::StageKind::kAttend, .layer = layer};
  const TaskIndex attended = add_stage(context_, lane, attend, nullptr, out_);
  out_.tasks[attended].rank = rank;
  follow(attended);
  if (ahead) out_.after(Dependency::task(there));
  const TaskIndex home = move(goes, load_rank(layer));
  if (!ahead) return follow(home);
  out_.after(Dependency::task(attended));
}

}  // namespace sluice::schedule
