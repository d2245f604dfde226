// The forward pass, stage by stage. A stage reads and writes one micro-batch's activations and the
// KV cache; nothing else carries state between stages.
#pragma once

#include <span>

#include "kernels/ops.h"
#include "memory/embedding_rows.h"
#include "models/activations.h"
#include "models/batch_view.h"
#include "models/stage.h"
#include "models/weights_map.h"
#include "parallel/context.h"

namespace sluice::models {

// What the stages of one model share. Everything is borrowed.
struct ForwardContext {
  const ModelConfig* config = nullptr;
  const ModelWeights* weights = nullptr;
  std::span<const kernels::KvLayerView> kv;  // by layer
  const float* inv_freq = nullptr;           // [head_dim / 2] at ordinary lengths
  // Where the embedding lies on disk: the rows that `embed` needs. Else null.
  const memory::EmbeddingRows* embedding_rows = nullptr;
  // [layer * max_experts + position]: the expert there; empty: its own number. A stage with a run
  // of experts means positions.
  std::span<const int16_t> expert_order{};
  kernels::Exec exec;
  parallel::Context parallel;
};

// Runs any stage but kSample on the calling thread and its team. Stages of one micro-batch must run
// in the order of the graph's dependencies.
void run_stage(const ForwardContext& context, const Stage& stage, const BatchView& batch,
               Activations& activations);

// The rows of the micro-batch whose logits a kHead or kSample stage makes.
std::span<const int32_t> part_rows(const Stage& stage, const BatchView& batch,
                                   int64_t rows_per_part);

// The load of a stage, for its cost. For kExpertGroup the counts and the order of the layer's
// experts are read, so its dispatch stage must have run.
Load stage_load(const ModelConfig& config, const Stage& stage, const BatchView& batch,
                const Activations& activations);

// The same for the parts of it that do not depend on the stage: summed once per iteration.
Load batch_load(const BatchView& batch);

}  // namespace sluice::models
