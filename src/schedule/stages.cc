#include "schedule/stages.h"

#include <algorithm>
#include <limits>

#include "base/check.h"

namespace sluice::schedule {

namespace {

models::Load load_of(const Context& context, const models::Stage& stage,
                     const RoutingOutcome* routing) {
  const BatchShape& batch = context.batch;
  models::Load load;
  load.tokens = batch.rows;
  load.visible_keys = batch.visible_keys;
  load.context_tokens = batch.context_tokens;
  if (stage.kind == models::StageKind::kAttend && !context.kv_parts.empty()) {
    const KvPart& part = context.kv_parts[static_cast<size_t>(stage.first)];
    load.tokens = part.rows;
    load.visible_keys = part.visible_keys;
    load.context_tokens = part.context_tokens;
  }
  if (stage.kind == models::StageKind::kExpertGroup && routing != nullptr) {
    for (int position = stage.first; position < stage.first + stage.count; ++position) {
      const auto expert = static_cast<size_t>(context.residency.expert_at(stage.layer, position));
      const int32_t tokens = routing->expert_tokens[expert];
      load.expert_tokens += tokens;
      load.active_experts += tokens > 0;
    }
  }
  if (stage.kind == models::StageKind::kHead || stage.kind == models::StageKind::kSample) {
    const int64_t part = context.plan->logit_rows;
    load.logit_rows = std::min(part, batch.logit_rows - stage.first * part);
  }
  return load;
}

}  // namespace

TaskIndex add_stage(const Context& context, Lane lane, const models::Stage& stage,
                    const RoutingOutcome* routing, Subgraph& out) {
  const TaskIndex index = out.add(Task{.work = stage,
                                       .lane = lane,
                                       .layer = stage.layer,
                                       .micro_batch = static_cast<uint16_t>(context.micro_batch)});
  if (context.costs != nullptr) {
    out.tasks[index].predicted_ns =
        stage_ns(*context.costs, *context.model, lane, stage, load_of(context, stage, routing));
  }
  return index;
}

TaskIndex add_transfer(const Context& context, Lane lane, const Transfer& transfer, int layer,
                       int64_t rank, Subgraph& out) {
  const TaskIndex index = out.add({.work = transfer,
                                   .lane = lane,
                                   .layer = static_cast<int16_t>(layer),
                                   .micro_batch = static_cast<uint16_t>(context.micro_batch),
                                   .rank = rank});
  if (context.costs != nullptr) {
    out.tasks[index].predicted_ns = transfer_ns(*context.costs, lane, transfer);
  }
  return index;
}

int head_parts(const Context& context) {
  if (context.batch.logit_rows == 0) return 0;
  SLUICE_CHECK(context.plan->logit_rows > 0, "a plan has at least one row per head part");
  const int64_t parts =
      (context.batch.logit_rows + context.plan->logit_rows - 1) / context.plan->logit_rows;
  SLUICE_CHECK(parts <= std::numeric_limits<int16_t>::max(), "head parts fit Stage::first");
  return static_cast<int>(parts);
}

}  // namespace sluice::schedule
