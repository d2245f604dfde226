// A model's weights in memory, packed for compute: views into one arena, found by layer and use.
#pragma once

#include <vector>

#include "base/thread_team.h"
#include "kernels/packed.h"
#include "memory/arena.h"
#include "models/expert_page.h"
#include "models/family.h"
#include "models/stage.h"
#include "models/weight_source.h"

namespace sluice::models {

struct LayerWeights {
  const float* attention_norm = nullptr;  // [hidden]
  kernels::PackedMatrix q, k, v, o;
  const float* q_bias = nullptr;
  const float* k_bias = nullptr;
  const float* v_bias = nullptr;
  const float* o_bias = nullptr;
  const float* q_norm = nullptr;  // [head_dim] or [q_heads * head_dim]
  const float* k_norm = nullptr;
  const float* ffn_norm = nullptr;  // [hidden]
  kernels::PackedMatrix router;
  FfnWeights dense;
  const float* gate_bias = nullptr;
  const float* up_bias = nullptr;
  const float* down_bias = nullptr;
  std::vector<FfnWeights> experts;
};

struct ModelWeights {
  kernels::PackedMatrix embedding;
  kernels::PackedMatrix head;  // the embedding itself when tied
  const float* final_norm = nullptr;
  std::vector<LayerWeights> layers;
};

// What loading takes.
struct WeightNeeds {
  int64_t bytes = 0;           // of the arena
  bool block_weights = false;  // see ActivationLimits
  // In which most of the matrices' weights are stored, before any quantization.
  tensor::DType stored = tensor::DType::kF32;
  int64_t expert_bytes = 0;  // of `bytes`, what is experts'
  // Experts that can be read one by one (WeightSource::check_pages), and the largest page; 0: none.
  int64_t pages = 0;
  int64_t page_bytes = 0;
  // Of `bytes`, the token embedding's, where its rows can be had one by one, and what is read for
  // each. 0: it is the head too, of which every token needs all.
  int64_t embedding_bytes = 0;
  int64_t embedding_read_bytes = 0;
};

WeightNeeds weight_needs(const WeightSource& source);

// Reads the tensors of `source`, which is of a model of `config`, into `arena`; what is left out
// stays where it is, and its matrices empty. Errors: what WeightSource::load() says.
struct LoadedParts {
  bool experts = true;
  bool embedding = true;
};
Result<ModelWeights> load_weights(const ModelConfig& config, WeightSource& source,
                                  const LoadedParts& parts, memory::Arena& arena,
                                  base::ThreadTeam& team, const LoadOptions& options = {});

// What the costs need to know of these weights, with a cache of `kv`.
WeightBytes weight_bytes_of(const ModelWeights& weights, kernels::KvDType kv);

}  // namespace sluice::models
