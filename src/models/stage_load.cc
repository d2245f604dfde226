// What a stage's cost depends on, from the batch that it runs for.
#include <algorithm>

#include "base/check.h"
#include "models/forward.h"

namespace sluice::models {

std::span<const int32_t> part_rows(const Stage& stage, const BatchView& batch,
                                   int64_t rows_per_part) {
  const auto total = static_cast<int64_t>(batch.logit_rows.size());
  const int64_t first = std::min(stage.first * rows_per_part, total);
  return batch.logit_rows.subspan(static_cast<size_t>(first),
                                  static_cast<size_t>(std::min(rows_per_part, total - first)));
}

Load batch_load(const BatchView& batch) {
  Load load;
  load.tokens = batch.rows();
  for (const SequenceRows& sequence : batch.sequences) {
    const int64_t context = sequence.first_position + sequence.rows;
    load.context_tokens += context;
    load.visible_keys +=
        sequence.rows * sequence.first_position + sequence.rows * (sequence.rows + 1) / 2;
  }
  return load;
}

Load stage_load(const ModelConfig& config, const Stage& stage, const BatchView& batch,
                const Activations& activations) {
  Load load = batch_load(batch);
  if (stage.kind == StageKind::kExpertGroup) {
    SLUICE_CHECK(
        stage.first + stage.count <= config.layers[static_cast<size_t>(stage.layer)].ffn.experts,
        "an expert group lies within its layer's experts");
    for (int position = stage.first; position < stage.first + stage.count; ++position) {
      const int16_t e = activations.expert_order[position];
      load.expert_tokens += activations.expert_tokens[e];
      load.active_experts += activations.expert_tokens[e] > 0 ? 1 : 0;
    }
  }
  if (stage.kind == StageKind::kHead || stage.kind == StageKind::kSample) {
    load.logit_rows = static_cast<int64_t>(part_rows(stage, batch, activations.logit_rows).size());
  }
  return load;
}

}  // namespace sluice::models
