#include "models/weights_map.h"

#include <algorithm>
#include <span>

#include "models/embedding_source.h"
#include "models/load_tensor.h"

namespace sluice::models {
namespace {

// Where an entry of the table goes: a packed matrix, or a vector of f32.
struct Target {
  kernels::PackedMatrix* matrix = nullptr;
  const float** vector = nullptr;
};

Target model_target(ModelWeights& weights, Slot slot) {
  switch (slot) {
    case Slot::kEmbedding:
      return {.matrix = &weights.embedding};
    case Slot::kHead:
      return {.matrix = &weights.head};
    case Slot::kFinalNorm:
      return {.vector = &weights.final_norm};
    default:
      base::check_failed("a slot outside the layers", "a layer's slot without a layer", __FILE__,
                         __LINE__);
  }
}

Target layer_target(LayerWeights& layer, Slot slot, FfnWeights& ffn) {
  switch (slot) {
    case Slot::kAttentionNorm:
      return {.vector = &layer.attention_norm};
    case Slot::kQ:
      return {.matrix = &layer.q};
    case Slot::kK:
      return {.matrix = &layer.k};
    case Slot::kV:
      return {.matrix = &layer.v};
    case Slot::kO:
      return {.matrix = &layer.o};
    case Slot::kQBias:
      return {.vector = &layer.q_bias};
    case Slot::kKBias:
      return {.vector = &layer.k_bias};
    case Slot::kVBias:
      return {.vector = &layer.v_bias};
    case Slot::kOBias:
      return {.vector = &layer.o_bias};
    case Slot::kQNorm:
      return {.vector = &layer.q_norm};
    case Slot::kKNorm:
      return {.vector = &layer.k_norm};
    case Slot::kFfnNorm:
      return {.vector = &layer.ffn_norm};
    case Slot::kRouter:
      return {.matrix = &layer.router};
    case Slot::kGate:
      return {.matrix = &ffn.gate};
    case Slot::kUp:
      return {.matrix = &ffn.up};
    case Slot::kDown:
      return {.matrix = &ffn.down};
    case Slot::kGateBias:
      return {.vector = &layer.gate_bias};
    case Slot::kUpBias:
      return {.vector = &layer.up_bias};
    case Slot::kDownBias:
      return {.vector = &layer.down_bias};
    case Slot::kEmbedding:
    case Slot::kHead:
    case Slot::kFinalNorm:
      break;
  }
  base::check_failed("a slot inside a layer", "a model's slot with a layer", __FILE__, __LINE__);
}

Target target_of(ModelWeights& weights, const TensorSlot& tensor) {
  if (tensor.layer < 0) return model_target(weights, tensor.slot);
  LayerWeights& layer = weights.layers[static_cast<size_t>(tensor.layer)];
  FfnWeights& ffn =
      tensor.is_expert() ? layer.experts[static_cast<size_t>(tensor.expert)] : layer.dense;
  return layer_target(layer, tensor.slot, ffn);
}

// What is left of the one region that all weights share.
class Room {
 public:
  explicit Room(std::span<std::byte> bytes) : bytes_(bytes) {}
  std::byte* take(int64_t bytes) {
    const auto wanted = static_cast<size_t>(bytes);
    SLUICE_CHECK(wanted <= bytes_.size(),
                 "the region of the weights is as large as their table says");
    std::byte* taken = bytes_.data();
    bytes_ = bytes_.subspan(wanted);
    return taken;
  }

 private:
  std::span<std::byte> bytes_;
};

}  // namespace

WeightNeeds weight_needs(const WeightSource& source) {
  WeightNeeds needs{.stored = source.stored()};
  const bool paged = source.check_pages().ok();
  const std::vector<TensorSlot>& table = source.table();
  const bool has_head = std::ranges::any_of(
      table, [](const TensorSlot& tensor) { return tensor.slot == Slot::kHead; });
  for (size_t i = 0; i < table.size(); ++i) {
    const TensorSlot& tensor = table[i];
    const tensor::DType dtype = source.dtype(i);
    const int64_t bytes = source.room(i);
    needs.bytes += bytes;
    needs.block_weights = needs.block_weights || tensor::is_block_format(dtype);
    if (tensor.slot == Slot::kEmbedding && has_head) {
      needs.embedding_bytes = bytes;
      needs.embedding_read_bytes = embedding_read_bytes(dtype, tensor.shape[1]);
    }
    if (!tensor.is_expert()) continue;
    needs.expert_bytes += bytes;
    if (!paged || tensor.slot != Slot::kGate) continue;
    ++needs.pages;
    needs.page_bytes = std::max(needs.page_bytes, source.page(tensor.layer).bytes);
  }
  return needs;
}

Result<ModelWeights> load_weights(const ModelConfig& config, WeightSource& source,
                                  const LoadedParts& parts, memory::Arena& arena,
                                  base::ThreadTeam& team, const LoadOptions& options) {
  ModelWeights weights;
  weights.layers.resize(config.layers.size());
  for (size_t i = 0; i < weights.layers.size(); ++i) {
    weights.layers[i].experts.resize(static_cast<size_t>(config.layers[i].ffn.experts));
  }
  const WeightNeeds needs = weight_needs(source);
  SLUICE_CHECK(parts.embedding || needs.embedding_bytes > 0, "a table that is no head");
  const int64_t left_out =
      (parts.experts ? 0 : needs.expert_bytes) + (parts.embedding ? 0 : needs.embedding_bytes);
  Room room(arena.allocate("weights", needs.bytes - left_out, kLoadAlignment));
  std::vector<WeightSource::Wanted> wanted;
  const std::vector<TensorSlot>& table = source.table();
  for (size_t i = 0; i < table.size(); ++i) {
    const TensorSlot& tensor = table[i];
    if (tensor.is_expert() && !parts.experts) continue;
    if (tensor.slot == Slot::kEmbedding && !parts.embedding) continue;
    const tensor::DType dtype = source.dtype(i);
    std::byte* data = room.take(source.room(i));
    wanted.push_back({i, data});
    const Target target = target_of(weights, tensor);
    if (tensor.is_matrix()) {
      *target.matrix = {
          .dtype = dtype, .rows = tensor.shape[0], .cols = tensor.shape[1], .data = data};
    } else {
      *target.vector = reinterpret_cast<const float*>(data);
    }
  }
  SLUICE_TRY(source.load(wanted, team, options));
  if (config.tied_embeddings) weights.head = weights.embedding;
  return weights;
}

namespace {

// Bytes per weight over all matrices that were added.
class MeanBytes {
 public:
  void add(const kernels::PackedMatrix& matrix) {
    if (matrix.data == nullptr) return;
    weights_ += static_cast<double>(matrix.rows * matrix.cols);
    bytes_ += static_cast<double>(matrix.rows * matrix.cols) *
              static_cast<double>(kernels::panel_bytes(matrix.dtype, matrix.cols)) /
              static_cast<double>(kernels::kPanelRows * matrix.cols);
  }
  void add(const FfnWeights& ffn) {
    add(ffn.gate);
    add(ffn.up);
    add(ffn.down);
  }
  double value_or(double none) const { return weights_ > 0 ? bytes_ / weights_ : none; }

 private:
  double weights_ = 0, bytes_ = 0;
};

}  // namespace

WeightBytes weight_bytes_of(const ModelWeights& weights, kernels::KvDType kv) {
  MeanBytes dense, expert, router;
  dense.add(weights.head);
  for (const LayerWeights& layer : weights.layers) {
    for (const kernels::PackedMatrix* matrix : {&layer.q, &layer.k, &layer.v, &layer.o})
      dense.add(*matrix);
    dense.add(layer.dense);
    router.add(layer.router);
    for (const FfnWeights& of_expert : layer.experts) expert.add(of_expert);
  }
  WeightBytes result{.kv = kv};
  result.dense = dense.value_or(result.dense);
  result.expert = expert.value_or(result.expert);
  result.router = router.value_or(result.router);
  return result;
}

}  // namespace sluice::models
