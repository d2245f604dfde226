#include "schedule/chain.h"

#include <algorithm>

namespace sluice::schedule {

using models::Stage;
using models::StageKind;

namespace {

// Whether there is such a layer, with a router.
bool guessed(const models::ModelConfig& model, int layer) {
  return layer < model.layer_count() && model.layers[static_cast<size_t>(layer)].ffn.is_moe();
}

}  // namespace

void Chain::add(const Stage& stage, const RoutingOutcome* routing) {
  compute(Lane::kHostCompute, stage, 0, routing);
}

void Chain::aside(const Stage& stage, const Bounds& bounds) {
  add_stage(context_, Lane::kHostCompute, stage, nullptr, out_);
  out_.after(Dependency::task(last_));
  out_.expand(bounds);
}

// Before all else in the disk's order: nobody can do anything without them.
void Chain::embed() {
  const EmbeddingReads& reads = context_.embedding;
  for (const PageId row : reads.rows) {
    const Transfer transfer{.payload = Payload::kRow,
                            .from = Level::kDisk,
                            .to = Level::kHost,
                            .pages = {row, 1},
                            .bytes = reads.row_bytes};
    add_transfer(context_, Lane::kDisk, transfer, -1, 0, out_);
  }
  add({.kind = StageKind::kEmbed});
  for (TaskIndex row = 0; row < reads.rows.size(); ++row) out_.after(Dependency::task(row));
}

void chain_iteration(const Context& context, const Bounds& expansion, Subgraph& out,
                     const Bounds* guess, bool kv_ahead) {
  Chain chain(context, out);
  const auto guess_at = [&](int layer) {
    if (guess == nullptr || !guessed(*context.model, layer)) return;
    chain.aside({.kind = StageKind::kGuess, .layer = static_cast<int16_t>(layer)}, *guess);
  };
  chain.embed();
  guess_at(0);
  for (int16_t layer = 0; layer < context.model->layer_count(); ++layer) {
    chain.add({.kind = StageKind::kQkv, .layer = layer});
    chain.attend(layer, kv_ahead);
    chain.add({.kind = StageKind::kOProj, .layer = layer});
    chain.add({.kind = StageKind::kRoute, .layer = layer});
    if (context.model->layers[layer].ffn.is_moe()) {
      chain.expand(expansion);
    }
    guess_at(layer + 1);
    if (!context.model->layers[layer].ffn.is_moe()) {
      chain.add({.kind = StageKind::kShared, .layer = layer});
    }
  }
  // A part's logits are sampled before the next part takes their place.
  const int parts = head_parts(context);
  for (int16_t part = 0; part < parts; ++part) {
    chain.add({.kind = StageKind::kHead, .first = part, .count = 1});
    chain.add({.kind = StageKind::kSample, .first = part, .count = 1});
  }
}

Bounds chain_bounds(const Context& context, bool guesses) {
  Bounds bounds;
  bounds.tasks = 1 + 2 * head_parts(context);
  for (const models::LayerConfig& layer : context.model->layers) {
    bounds.tasks += layer.ffn.is_moe() ? 4 : 5;
    bounds.expansions += layer.ffn.is_moe();
  }
  bounds.dependencies = bounds.tasks - 1;
  bounds += disk_kv_bounds(context);
  const int64_t rows = std::min(context.batch.rows, context.plan->embedding_rows);
  bounds.tasks += static_cast<int32_t>(rows);
  bounds.dependencies += static_cast<int32_t>(rows);
  bounds.bytes += rows * context.embedding.row_bytes;
  if (!guesses) return bounds;
  for (int layer = 0; layer < context.model->layer_count(); ++layer) {
    if (!guessed(*context.model, layer)) continue;
    ++bounds.tasks;
    ++bounds.dependencies;
    ++bounds.expansions;
  }
  return bounds;
}

}  // namespace sluice::schedule
