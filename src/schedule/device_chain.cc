#include "schedule/device_chain.h"

#include <algorithm>

#include "schedule/paged_experts.h"
#include "schedule/task_chain.h"

namespace sluice::schedule {

using models::Stage;
using models::StageKind;

namespace {

constexpr int64_t kFloat = sizeof(float);

// Of a compute lane's ready tasks those of lower layers go first.
int64_t compute_rank(int16_t layer) { return std::max<int16_t>(layer, 0); }

// A chain over the lanes of a device.
class LaneChain : private TaskChain {
 public:
  LaneChain(const Context& context, Subgraph& out)
      : TaskChain(context, out), pages_(static_cast<TaskIndex>(out.tasks.size())) {}

  void stage(Lane lane, const Stage& stage) { compute(lane, stage, compute_rank(stage.layer)); }

  void move(Lane lane, Payload payload, int16_t layer, int64_t bytes) {
    const bool up = lane == Lane::kHostToDevice;
    const Transfer transfer{.payload = payload,
                            .from = up ? Level::kHost : Level::kDevice,
                            .to = up ? Level::kDevice : Level::kHost,
                            .bytes = bytes};
    follow(add_transfer(context_, lane, transfer, layer, load_rank(layer), out_));
  }

  // Queries, keys and values to the host, and what came of them back.
  void attend_on_host(int16_t layer, bool ahead) {
    const models::AttentionConfig& a = context_.model->layers[static_cast<size_t>(layer)].attention;
    const int64_t rows = context_.batch.rows;
    const int64_t q = int64_t{a.q_heads} * a.head_dim, kv = int64_t{a.kv_heads} * a.head_dim;
    move(Lane::kDeviceToHost, Payload::kQkv, layer, rows * (q + 2 * kv) * kFloat);
    TaskChain::attend_on_host(layer, compute_rank(layer), ahead, last_page_before(layer));
    move(Lane::kHostToDevice, Payload::kHidden, layer, rows * q * kFloat);
  }

  // Attention over keys and values of which some come from the host, and whose new ones go there.
  void attend_on_device(int16_t layer, bool ahead) {
    const kernels::KvLayout layout = layout_of(layer);
    attend_between({.comes = Lane::kHostToDevice,
                    .goes = Lane::kDeviceToHost,
                    .far = Level::kHost,
                    .near = Level::kDevice,
                    .block_bytes = layout.block_bytes(),
                    .token_bytes = layout.bytes_per_token()},
                   Lane::kDeviceCompute, layer, compute_rank(layer), ahead);
  }

 private:
  kernels::KvLayout layout_of(int16_t layer) const {
    return models::kv_layout(context_.model->layers[static_cast<size_t>(layer)].attention,
                             static_cast<int>(context_.plan->kv_block_tokens),
                             context_.plan->kv_dtype);
  }
  // Of the pages ahead of lower layers; asked layer by layer.
  TaskIndex last_page_before(int16_t layer) {
    while (seen_ < pages_ && out_.tasks[seen_].layer < layer) ++seen_;
    return seen_ > 0 ? seen_ - 1 : kNone;
  }

  const TaskIndex pages_;  // so many are ahead
  TaskIndex seen_ = 0;     // of them
};

// Bytes of one layer over the links.
int64_t attend_bytes(const Context& context, const models::AttentionConfig& a,
                     const Attention& attention) {
  if (attention.on == plan::Place::kHost) {
    return context.batch.rows * a.head_dim * (2 * int64_t{a.q_heads} + 2 * a.kv_heads) * kFloat;
  }
  const kernels::KvLayout layout =
      models::kv_layout(a, static_cast<int>(context.plan->kv_block_tokens), context.plan->kv_dtype);
  const KvMoves& kv = context.batch.kv;
  return kv.arriving_blocks * layout.block_bytes() + kv.leaving_tokens * layout.bytes_per_token();
}

}  // namespace

void device_iteration(const Context& context, const Attention& attention, const Bounds& expansion,
                      Subgraph& out) {
  LaneChain chain(context, out);
  chain.stage(Lane::kDeviceCompute, {.kind = StageKind::kEmbed});
  for (int16_t layer = 0; layer < context.model->layer_count(); ++layer) {
    const models::LayerConfig& config = context.model->layers[static_cast<size_t>(layer)];
    chain.stage(Lane::kDeviceCompute, {.kind = StageKind::kQkv, .layer = layer});
    if (attention.on == plan::Place::kHost) {
      chain.attend_on_host(layer, attention.ahead);
    } else {
      chain.attend_on_device(layer, attention.ahead);
    }
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

Bounds device_bounds(const Context& context, const Attention& attention) {
  const int parts = head_parts(context);
  const bool on_host = attention.on == plan::Place::kHost;
  Bounds iteration;
  iteration.tasks = 1 + 3 * parts;
  for (const models::LayerConfig& layer : context.model->layers) {
    iteration.tasks += (layer.ffn.is_moe() ? 4 : 5) + (on_host ? 2 : 0);
    iteration.expansions += layer.ffn.is_moe();
    iteration.bytes += attend_bytes(context, layer.attention, attention);
  }
  iteration.dependencies = iteration.tasks - 1;
  iteration.bytes += context.batch.logit_rows * context.model->vocab * kFloat;
  return iteration += on_host ? disk_kv_bounds(context) : kv_bounds(context);
}

}  // namespace sluice::schedule
