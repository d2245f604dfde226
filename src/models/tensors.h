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
  // Above 0: the rows of each of so many heads, or their biases, are stored with rotary partners
  // beside each other; stored_row() says where.
  int rotary_heads = 0;

  bool is_matrix() const { return shape.rank == 2; }
  bool is_expert() const { return expert >= 0; }
  Use use() const;
};

// What a kind of file calls the tensors that every family has; ".weight" or ".bias" follows.
struct DecoderNames {
  const char* layers;  // its number and a dot follow, and then the names of the layer's tensors
  const char *embedding, *final_norm, *head;
  const char *attention_norm, *q, *k, *v, *q_norm, *k_norm, *o;
  const char *ffn_norm, *gate, *up, *down;
};
extern const DecoderNames kHuggingFaceNames;
extern const DecoderNames kGgufNames;

// What a family calls the parts that differ; {} in an expert's names stands for its number, a name
// without it is that of a stack of all experts. Names are relative to the layer.
struct TensorNames {
  const char* router;
  const char* expert_gate;
  const char* expert_up;
  const char* expert_down;
  const DecoderNames* decoder = &kHuggingFaceNames;
  bool interleaved_rotary = false;  // see TensorSlot::rotary_heads
};

// All tensors in the order in which a forward pass reads them.
std::vector<TensorSlot> tensor_table(const ModelConfig& config, const TensorNames& names);

// How transformers 5 names and stacks the experts of every family in memory, and some tools in
// files.
const TensorNames& stacked_expert_names();

// GGUF's names, which all families share.
const TensorNames& gguf_names(bool interleaved_rotary);

// Where in a table the token embedding is.
size_t embedding_slot(const std::vector<TensorSlot>& table);

// The row of the stored matrix (of a bias: the element) that is this tensor's `row`. Half-split
// rotary embeddings turn row i of a head together with row i + head_dim / 2; where partners are
// stored beside each other, they are rows 2i and 2i + 1.
int64_t stored_row(const TensorSlot& tensor, int64_t row);

// Names that some checkpoints carry and that change nothing.
extern const std::vector<std::string> kIgnoredTensors;

// Of GGUF files: RopeConfig::divisors, which the config holds.
constexpr const char* kGgufRopeDivisors = "rope_freqs.weight";

}  // namespace sluice::models
