#include "models/family.h"

namespace sluice::models {
namespace {

// Parameters of a table, with each expert's counted `experts_read` times over the number there are.
ParameterCount count(const ModelConfig& config) {
  static constexpr TensorNames kAnyNames{"router", "gate{}", "up{}", "down{}"};
  ParameterCount parameters;
  for (const TensorSlot& tensor : tensor_table(config, kAnyNames)) {
    const int64_t elements = tensor.shape.elements();
    switch (tensor.slot) {
      case Slot::kEmbedding:
        parameters.embedding += elements;
        break;
      case Slot::kHead:
        parameters.head += elements;
        break;
      case Slot::kRouter:
        parameters.router += elements;
        break;
      case Slot::kFinalNorm:
      case Slot::kAttentionNorm:
      case Slot::kQNorm:
      case Slot::kKNorm:
      case Slot::kFfnNorm:
        parameters.norms += elements;
        break;
      case Slot::kQ:
      case Slot::kK:
      case Slot::kV:
      case Slot::kO:
      case Slot::kQBias:
      case Slot::kKBias:
      case Slot::kVBias:
      case Slot::kOBias:
        parameters.attention += elements;
        break;
      case Slot::kGate:
      case Slot::kUp:
      case Slot::kDown:
      case Slot::kGateBias:
      case Slot::kUpBias:
      case Slot::kDownBias:
        (tensor.is_expert() ? parameters.experts : parameters.dense) += elements;
        break;
    }
  }
  return parameters;
}

}  // namespace

ParameterCount count_parameters(const ModelConfig& config) { return count(config); }

int64_t active_parameters(const ModelConfig& config) {
  const ParameterCount all = count(config);
  int64_t experts = 0;
  for (const LayerConfig& layer : config.layers) {
    experts += int64_t{3} * layer.ffn.top_k * layer.ffn.inter * config.hidden *
               (layer.ffn.is_moe() ? 1 : 0);
  }
  const int64_t head = config.tied_embeddings ? all.embedding : all.head;
  return config.hidden + all.attention + all.router + experts + all.dense + all.norms + head;
}

}  // namespace sluice::models
