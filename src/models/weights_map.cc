#include "models/weights_map.h"

#include <algorithm>
#include <cstring>

#include "models/checkpoint_tensors.h"
#include "tensor/float.h"

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

float element(const tensor::TensorView& view, int64_t at) {
  uint16_t half = 0;
  float value = 0;
  switch (view.dtype) {
    case tensor::DType::kF32:
      std::memcpy(&value, view.data + at * 4, 4);
      return value;
    case tensor::DType::kF16:
      std::memcpy(&half, view.data + at * 2, 2);
      return tensor::f16_to_f32(half);
    case tensor::DType::kBF16:
      std::memcpy(&half, view.data + at * 2, 2);
      return tensor::bf16_to_f32(half);
    default:
      break;
  }
  base::check_failed("known dtype", "a DType outside its enum", __FILE__, __LINE__);
}

int64_t aligned(int64_t bytes) {
  return (bytes + kernels::kPackAlignment - 1) / kernels::kPackAlignment * kernels::kPackAlignment;
}

// What is left of the one region that all weights share.
class Room {
 public:
  explicit Room(std::span<std::byte> bytes) : bytes_(bytes) {}
  std::byte* take(int64_t bytes) {
    const auto wanted = static_cast<size_t>(aligned(bytes));
    SLUICE_CHECK(wanted <= bytes_.size(),
                 "the region of the weights is as large as their table says");
    std::byte* taken = bytes_.data();
    bytes_ = bytes_.subspan(wanted);
    return taken;
  }

 private:
  std::span<std::byte> bytes_;
};

const float* load_vector(const tensor::TensorView& view, const TensorSlot& tensor, Room& room) {
  const int64_t elements = view.shape.elements();
  auto* out = reinterpret_cast<float*>(room.take(elements * 4));
  for (int64_t i = 0; i < elements; ++i) out[i] = element(view, stored_row(tensor, i));
  return out;
}

// Packs panels whose rows are stored in another order: they are put in order first.
void pack_reordered(const tensor::TensorView& view, const TensorSlot& tensor, int64_t first_panel,
                    int64_t last_panel, std::byte* packed) {
  const int64_t row_bytes = tensor::storage_bytes(view.dtype, view.shape[1]);
  const int64_t first = first_panel * kernels::kPanelRows;
  const int64_t last = std::min(last_panel * kernels::kPanelRows, view.shape[0]);
  std::vector<std::byte> rows(static_cast<size_t>((last - first) * row_bytes));
  for (int64_t row = first; row < last; ++row) {
    std::memcpy(rows.data() + (row - first) * row_bytes,
                view.data + stored_row(tensor, row) * row_bytes, static_cast<size_t>(row_bytes));
  }
  const tensor::TensorView ordered{
      .dtype = view.dtype, .shape = {last - first, view.shape[1]}, .data = rows.data()};
  kernels::pack_panels(ordered, 0, last_panel - first_panel,
                       packed + first_panel * kernels::panel_bytes(view.dtype, view.shape[1]));
}

kernels::PackedMatrix load_matrix(const tensor::TensorView& view, const TensorSlot& tensor,
                                  Room& room, base::ThreadTeam& team) {
  kernels::PackedMatrix matrix{.dtype = view.dtype, .rows = view.shape[0], .cols = view.shape[1]};
  const int64_t bytes = kernels::packed_bytes(view.dtype, matrix.rows, matrix.cols);
  std::byte* data = room.take(bytes);
  constexpr int64_t kPanelsPerTask = 8;
  const int64_t panels = matrix.panels();
  team.parallel_for((panels + kPanelsPerTask - 1) / kPanelsPerTask, [&](int64_t task) {
    const int64_t first = task * kPanelsPerTask;
    const int64_t last = std::min(first + kPanelsPerTask, panels);
    if (tensor.rotary_heads == 0) return kernels::pack_panels(view, first, last, data);
    pack_reordered(view, tensor, first, last, data);
  });
  matrix.data = data;
  return matrix;
}

// The rows of a stored tensor that this entry stands for.
tensor::TensorView part_of(const tensor::TensorView& stored, const TensorSlot& tensor) {
  if (!tensor.is_matrix()) return stored;
  return {.dtype = stored.dtype,
          .shape = tensor.shape,
          .data = stored.data +
                  tensor::storage_bytes(stored.dtype, tensor.first_row * tensor.shape[1])};
}

}  // namespace

Result<int64_t> packed_weight_bytes(const ModelConfig& config, const Family& family,
                                    const weights::Checkpoint& checkpoint) {
  const std::vector<TensorSlot> table = tensor_table(config, names_in(checkpoint, config, family));
  SLUICE_TRY(check_tensors(config, table, checkpoint));
  int64_t total = 0;
  for (const TensorSlot& tensor : table) {
    SLUICE_ASSIGN(const tensor::TensorView view, checkpoint.tensor(tensor.name));
    total += aligned(tensor.is_matrix()
                         ? kernels::packed_bytes(view.dtype, tensor.shape[0], tensor.shape[1])
                         : tensor.shape.elements() * 4);
  }
  return total;
}

Result<ModelWeights> load_weights(const ModelConfig& config, const Family& family,
                                  const weights::Checkpoint& checkpoint, memory::Arena& arena,
                                  base::ThreadTeam& team,
                                  const std::function<void(double)>& progress) {
  ModelWeights weights;
  weights.layers.resize(config.layers.size());
  for (size_t i = 0; i < weights.layers.size(); ++i) {
    weights.layers[i].experts.resize(static_cast<size_t>(config.layers[i].ffn.experts));
  }
  const std::vector<TensorSlot> table = tensor_table(config, names_in(checkpoint, config, family));
  SLUICE_ASSIGN(const int64_t bytes, packed_weight_bytes(config, family, checkpoint));
  Room room(arena.allocate("weights", bytes, kernels::kPackAlignment));
  for (size_t i = 0; i < table.size(); ++i) {
    const TensorSlot& tensor = table[i];
    const weights::TensorEntry* entry = checkpoint.find(tensor.name);
    SLUICE_ASSIGN(const tensor::TensorView stored, checkpoint.view(*entry));
    const tensor::TensorView view = part_of(stored, tensor);
    if (i + 1 < table.size()) checkpoint.prefetch(*checkpoint.find(table[i + 1].name));
    const Target target = target_of(weights, tensor);
    if (tensor.is_matrix()) {
      *target.matrix = load_matrix(view, tensor, room, team);
    } else {
      *target.vector = load_vector(view, tensor, room);
    }
    checkpoint.drop(*entry);
    if (progress) progress(static_cast<double>(i + 1) / static_cast<double>(table.size()));
  }
  if (config.tied_embeddings) weights.head = weights.embedding;
  return weights;
}

WeightBytes weight_bytes_of(const ModelWeights& weights) {
  const auto bytes = [](const kernels::PackedMatrix& matrix) {
    return static_cast<double>(tensor::info(matrix.dtype).block_bytes) /
           tensor::info(matrix.dtype).block_elements;
  };
  WeightBytes result;
  result.dense = bytes(weights.layers.front().q);
  for (const LayerWeights& layer : weights.layers) {
    if (layer.experts.empty()) continue;
    result.expert = bytes(layer.experts.front().gate);
    result.router = bytes(layer.router);
    break;
  }
  return result;
}

}  // namespace sluice::models
