// A model in memory with all that its stages need: weights, KV cache, activations, thread team.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/thread_team.h"
#include "engine/device_side.h"
#include "engine/engine.h"
#include "engine/expert_paging.h"
#include "engine/model_files.h"
#include "memory/arena.h"
#include "memory/embedding_rows.h"
#include "memory/kv_cache.h"
#include "models/activations.h"
#include "models/embedding_source.h"
#include "models/forward.h"
#include "models/weights_map.h"
#include "plan/plan.h"

namespace sluice::engine {

// Not movable: `forward` points into it.
struct LoadedModel {
  ModelFiles files;
  // Kept where experts are read while the model runs; else gone when it is loaded.
  std::unique_ptr<OpenModel> opened;
  std::unique_ptr<models::WeightSource> source;
  plan::Plan plan;
  std::string fingerprint;
  bool block_weights = false;
  std::unique_ptr<base::ThreadTeam> team;
  memory::Arena weight_arena, activation_arena;
  memory::KvCache cache;
  std::unique_ptr<StreamedKv> streamed_kv;  // in its place, of a cache whose home is the disk
  std::filesystem::path kv_directory;       // where that is
  std::vector<kernels::KvLayerView> kv;     // by layer
  models::ModelWeights weights;
  std::unique_ptr<ExpertPaging> paging;  // null: all experts are in memory
  // Null: all of the embedding is.
  std::unique_ptr<models::EmbeddingSource> embedding;
  std::unique_ptr<memory::EmbeddingRows> embedding_rows;
  std::vector<models::Activations> activations;  // one set per micro-batch, handed to its flight
  std::vector<float> inv_freq;
  models::ForwardContext forward;
  std::unique_ptr<DeviceSide> device;  // null: there is none

  // Prefix blocks are shared only between prompts whose keys are the same: with dynamic rope they
  // depend on the prompt's length.
  uint64_t prefix_salt(int64_t prompt_tokens) const;
};

// Makes the plan, reserves everything, packs the weights. `opened` was quantized as the options
// say.
Result<std::unique_ptr<LoadedModel>> load_model(OpenedModel opened, const EngineOptions& options,
                                                const LoadProgress& progress);

}  // namespace sluice::engine
