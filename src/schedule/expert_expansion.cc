#include "schedule/expert_expansion.h"

#include <algorithm>

#include "schedule/stages.h"

namespace sluice::schedule {

using models::StageKind;

namespace {

// All rows of the micro-batch, and the experts that each has chosen.
int64_t input_bytes(const Context& context, int top_k) {
  return context.batch.rows * (context.row_bytes() + top_k * static_cast<int64_t>(sizeof(int32_t)));
}

}  // namespace

Event page_event(const Context& context, int layer, int expert) {
  return {.kind = Event::Kind::kPageResident,
          .layer = static_cast<int16_t>(layer),
          .micro_batch = static_cast<uint16_t>(context.micro_batch),
          .index = static_cast<uint32_t>(expert),
          .iteration = context.iteration};
}

TaskIndex add_page(const PagedLanes& lanes, const Context& context, int layer, int expert,
                   Urgency urgency, int64_t rank, Subgraph& out) {
  const Transfer page{.payload = Payload::kWeights,
                      .from = lanes.from,
                      .to = lanes.to,
                      .pages = {context.residency.page(layer, expert), 1},
                      .bytes = context.residency.page_bytes[static_cast<size_t>(layer)],
                      .urgency = urgency};
  return add_transfer(context, lanes.pages, page, layer, rank, out);
}

int64_t host_expert_bytes(const Context& context) {
  int top_k = 0;
  for (const models::LayerConfig& layer : context.model->layers) {
    top_k = std::max(top_k, layer.ffn.top_k);
  }
  return input_bytes(context, top_k) + context.batch.rows * top_k * context.row_bytes();
}

ExpertExpansion::ExpertExpansion(const PagedLanes& lanes, const Context& context, int16_t layer,
                                 const RoutingOutcome& outcome, bool overlaps, Subgraph& out)
    : lanes_(lanes),
      context_(context),
      layer_(layer),
      outcome_(outcome),
      overlaps_(overlaps),
      out_(out) {
  dispatch_ = stage(lanes_.compute, {.kind = StageKind::kDispatch, .layer = layer});
}

void ExpertExpansion::add_kept(int count) {
  int32_t tokens = 0;
  for (int position = 0; position < count; ++position) {
    const auto expert = static_cast<size_t>(context_.residency.expert_at(layer_, position));
    tokens += outcome_.expert_tokens[expert];
  }
  if (tokens > 0) group(lanes_.compute, 0, count, dispatch_);
}

void ExpertExpansion::add_moving(const Needed& needed) {
  const auto before = static_cast<TaskIndex>(out_.tasks.size() - 1);
  TaskIndex page = kNone;
  if (!needed.ahead) {
    page = add_page(lanes_, context_, layer_, needed.expert, Urgency::kNeeded, asked_rank(layer_),
                    out_);
    follow(before);
  }
  group(lanes_.compute, needed.position, 1, dispatch_);
  if (needed.ahead) {
    out_.wait(page_event(context_, layer_, needed.expert));
  } else {
    out_.after(Dependency::task(page));
  }
  out_.need({context_.residency.page(layer_, needed.expert), 1});
}

void ExpertExpansion::add_on_host(const Needed& needed) {
  if (host_dispatch_ == kNone) {
    const auto before = static_cast<TaskIndex>(out_.tasks.size() - 1);
    const int top_k = context_.model->layers[static_cast<size_t>(layer_)].ffn.top_k;
    const TaskIndex input = transfer(Lane::kDeviceToHost, {.payload = Payload::kExpertInput,
                                                           .from = Level::kDevice,
                                                           .to = Level::kHost,
                                                           .bytes = input_bytes(context_, top_k)});
    out_.after(Dependency::task(dispatch_));
    follow(before);
    host_dispatch_ = stage(Lane::kHostCompute, {.kind = StageKind::kDispatch, .layer = layer_});
    out_.after(Dependency::task(input));
  }
  const auto before = static_cast<TaskIndex>(out_.tasks.size() - 1);
  const TaskIndex computed = group(Lane::kHostCompute, needed.position, 1, host_dispatch_);
  follow(before);
  transfer(Lane::kHostToDevice, {.payload = Payload::kExpertOutput,
                                 .from = Level::kHost,
                                 .to = Level::kDevice,
                                 .pages = {context_.residency.page(layer_, needed.expert), 1},
                                 .bytes = needed.tokens * context_.row_bytes()});
  out_.after(Dependency::task(computed));
}

void ExpertExpansion::finish(bool has_shared) {
  TaskIndex shared = kNone;
  if (has_shared) {
    shared = stage(lanes_.compute, {.kind = StageKind::kShared, .layer = layer_});
    after_results(shared);
  }
  const TaskIndex combine = stage(lanes_.compute, {.kind = StageKind::kCombine, .layer = layer_});
  if (has_shared) {
    out_.after(Dependency::task(shared));
  } else {
    after_results(combine);
  }
}

TaskIndex ExpertExpansion::stage(Lane lane, const models::Stage& stage) {
  const TaskIndex index = add_stage(context_, lane, stage, &outcome_, out_);
  out_.tasks[index].rank = layer_;
  return index;
}

TaskIndex ExpertExpansion::transfer(Lane lane, const Transfer& transfer) {
  return add_transfer(context_, lane, transfer, layer_, load_rank(layer_), out_);
}

TaskIndex ExpertExpansion::group(Lane lane, int first, int count, TaskIndex after) {
  const TaskIndex index = stage(lane, {.kind = StageKind::kExpertGroup,
                                       .layer = layer_,
                                       .first = static_cast<int16_t>(first),
                                       .count = static_cast<int16_t>(count)});
  out_.after(Dependency::task(after));
  return index;
}

// The last task added is also behind `before`, where nothing goes side by side.
void ExpertExpansion::follow(TaskIndex before) {
  if (!overlaps_) out_.after(Dependency::task(before));
}

// Behind every expert's output, wherever it was computed.
void ExpertExpansion::after_results(TaskIndex last) {
  out_.after(Dependency::task(dispatch_));
  for (TaskIndex i = 0; i < last; ++i) {
    const Task& task = out_.tasks[i];
    const bool device_group = task.lane == lanes_.compute && task.stage() != nullptr &&
                              task.stage()->kind == StageKind::kExpertGroup;
    const bool output =
        task.transfer() != nullptr && task.transfer()->payload == Payload::kExpertOutput;
    if (device_group || output) out_.after(Dependency::task(i));
  }
}

}  // namespace sluice::schedule
