#include "schedule/device_chain.h"

#include <algorithm>

#include "schedule/paged_experts.h"
#include "schedule/stages.h"

namespace sluice::schedule {

using models::Stage;
using models::StageKind;

namespace {

constexpr int64_t kFloat = sizeof(float);

// A chain over several lanes: each task after the one before, and whatever that expanded to.
class LaneChain {
 public:
  LaneChain(const Context& context, Subgraph& out) : context_(context), out_(out) {}

  void stage(Lane lane, const Stage& stage) {
    const TaskIndex index = add_stage(context_, lane, stage, nullptr, out_);
    out_.tasks[index].rank = std::max<int16_t>(stage.layer, 0);
    follow(index);
  }

  void move(Lane lane, Payload payload, int16_t layer, int64_t bytes) {
    const bool up = lane == Lane::kHostToDevice;
    const Transfer transfer{.payload = payload,
                            .from = up ? Level::kHost : Level::kDevice,
                            .to = up ? Level::kDevice : Level::kHost,
                            .bytes = bytes};
    const TaskIndex index = out_.add({.work = transfer,
                                      .lane = lane,
                                      .layer = layer,
                                      .micro_batch = static_cast<uint16_t>(context_.micro_batch),
                                      .rank = load_rank(layer)});
    if (context_.costs != nullptr) {
      out_.tasks[index].predicted_ns = transfer_ns(*context_.costs, lane, transfer);
    }
    follow(index);
  }

 private:
  void follow(TaskIndex index) {
    if (last_ != kNone) {
      const bool grows = out_.tasks[last_].expansion != kNone;
      out_.after(grows ? Dependency::expansion(last_) : Dependency::task(last_));
    }
    last_ = index;
  }

  const Context& context_;
  Subgraph& out_;
  TaskIndex last_ = kNone;
};

}  // namespace

void device_iteration(const Context& context, const Bounds& expansion, Subgraph& out) {
  const int64_t rows = context.batch.rows;
  LaneChain chain(context, out);
  chain.stage(Lane::kDeviceCompute, {.kind = StageKind::kEmbed});
  for (int16_t layer = 0; layer < context.model->layer_count(); ++layer) {
    const models::LayerConfig& config = context.model->layers[static_cast<size_t>(layer)];
    const models::AttentionConfig& a = config.attention;
    const int64_t q = int64_t{a.q_heads} * a.head_dim, kv = int64_t{a.kv_heads} * a.head_dim;
    chain.stage(Lane::kDeviceCompute, {.kind = StageKind::kQkv, .layer = layer});
    chain.move(Lane::kDeviceToHost, Payload::kQkv, layer, rows * (q + 2 * kv) * kFloat);
    chain.stage(Lane::kHostCompute, {.kind = StageKind::kAttend, .layer = layer});
    chain.move(Lane::kHostToDevice, Payload::kHidden, layer, rows * q * kFloat);
    chain.stage(Lane::kDeviceCompute, {.kind = StageKind::kOProj, .layer = layer});
    chain.stage(Lane::kDeviceCompute, {.kind = StageKind::kRoute, .layer = layer});
    if (config.ffn.is_moe()) {
      out.expand(expansion);
    } else {
      chain.stage(Lane::kDeviceCompute, {.kind = StageKind::kShared, .layer = layer});
    }
  }
  // A part's logits are sampled before the next part takes their place.
  const int parts = head_parts(context);
  for (int16_t part = 0; part < parts; ++part) {
    const int64_t part_rows = std::min(context.plan->logit_rows,
                                       context.batch.logit_rows - part * context.plan->logit_rows);
    chain.stage(Lane::kDeviceCompute, {.kind = StageKind::kHead, .first = part, .count = 1});
    chain.move(Lane::kDeviceToHost, Payload::kLogits, -1,
               part_rows * context.model->vocab * kFloat);
    chain.stage(Lane::kHostCompute, {.kind = StageKind::kSample, .first = part, .count = 1});
  }
}

Bounds device_bounds(const Context& context) {
  const int parts = head_parts(context);
  Bounds iteration;
  iteration.tasks = 1 + 3 * parts;
  for (const models::LayerConfig& layer : context.model->layers) {
    const int64_t width = layer.attention.head_dim *
                          (2 * int64_t{layer.attention.q_heads} + 2 * layer.attention.kv_heads);
    iteration.tasks += layer.ffn.is_moe() ? 6 : 7;
    iteration.expansions += layer.ffn.is_moe();
    iteration.bytes += context.batch.rows * width * kFloat;
  }
  iteration.dependencies = iteration.tasks - 1;
  iteration.bytes += context.batch.logit_rows * context.model->vocab * kFloat;
  return iteration;
}

}  // namespace sluice::schedule
