// The declarative table of a model's tensors: name, shape, and where each is used. Loading,
// sharding, building and inspecting all walk this one list.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/config.h"
#include "tensor/view.h"

namespace sluice::models {

enum class Slot : uint8_t {
  kEmbedding,
  kHead,
  kFinalNorm,
  kAttentionNorm,
  kQ,
  kK,
  kV,
  kO,
  kQBias,
  kKBias,
  kVBias,
  kOBias,
  kQNorm,
  kKNorm,
  kFfnNorm,
  kRouter,
  kGate,
  kUp,
  kDown,
  kGateBias,
  kUpBias,
  kDownBias,
};

// What a tensor's weights are for, as reports count them.
enum class Use : uint8_t { kEmbedding, kAttention, kRouter, kExpert, kDense, kNorm, kHead };
inline constexpr int kUses = 7;
const char* name(Use use);  // "embedding", "attention", ..., "dense ffn", "norms", "head"

struct TensorSlot {
  std::string name;
  tensor::Shape shape;  // a matrix is [outputs, inputs]
  Slot slot = Slot::kEmbedding;
  int layer = -1;
  int expert = -1;  // of kGate, kUp, kDown; -1 in a dense layer
  // The tensor of that name in the checkpoint, when it holds more than this one: all experts of a
  // layer in one (rank 3), of which this is the rows from `first_row` when flattened to rank 2.
  tensor::Shape stored_shape;
  int64_t first_row = 0;

  bool is_matrix() const { return shape.rank == 2; }
  bool is_expert() const { return expert >= 0; }
  Use use() const;
};

// What a family calls the parts that differ; {} in an expert's names stands for its number. Names
// are relative to "model.layers.N.".
struct TensorNames {
  const char* router;
  const char* expert_gate;
  const char* expert_up;
  const char* expert_down;
};

// All tensors in the order in which a forward pass reads them.
std::vector<TensorSlot> tensor_table(const ModelConfig& config, const TensorNames& names);

// How transformers 5 names and stacks the experts of every family in memory, and some tools in
// files.
const TensorNames& stacked_expert_names();

// Names that some checkpoints carry and that change nothing.
extern const std::vector<std::string> kIgnoredTensors;

}  // namespace sluice::models
