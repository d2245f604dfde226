#include "models/batch_angles.h"

#include <algorithm>

#include "models/rope_config.h"

namespace sluice::models {
namespace {

// Past the trained length of dynamic rope every row has frequencies of its own.
void fill_row_frequencies(const RopeConfig& rope, int head_dim, const BatchView& batch,
                          float* inv_freq) {
  for (const SequenceRows& sequence : batch.sequences) {
    for (int64_t i = 0; i < sequence.rows; ++i) {
      const int64_t length = std::max(sequence.prompt_tokens, sequence.first_position + i + 1);
      rope_frequencies(rope, head_dim, length,
                       inv_freq + (sequence.first_row + i) * (head_dim / 2));
    }
  }
}

bool rows_differ_in_frequency(const RopeConfig& rope, const BatchView& batch) {
  if (rope.kind != RopeKind::kDynamic) return false;
  return std::ranges::any_of(batch.sequences, [&](const SequenceRows& s) {
    return rope_depends_on_length(rope, std::max(s.prompt_tokens, s.first_position + s.rows));
  });
}

}  // namespace

void fill_angles(const ForwardContext& context, const BatchView& batch, Activations& activations) {
  const RopeConfig& rope = context.config->rope;
  const int head_dim = context.config->layers.front().attention.head_dim;
  const bool by_row = rows_differ_in_frequency(rope, batch);
  if (by_row) fill_row_frequencies(rope, head_dim, batch, activations.inv_freq);
  kernels::rope_angles(context.exec, batch.rows(), head_dim, batch.positions.data(),
                       by_row ? activations.inv_freq : context.inv_freq, by_row ? head_dim / 2 : 0,
                       static_cast<float>(rope.attention_factor), activations.angles);
}

}  // namespace sluice::models
