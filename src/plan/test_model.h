// What the tests of this room plan for.
#pragma once

#include "models/family.h"
#include "plan/fit.h"

namespace sluice::plan {

inline constexpr int64_t kMiB = int64_t{1} << 20;
inline constexpr int64_t kGiB = int64_t{1} << 30;

// A dense model of two layers.
inline models::ModelConfig small() {
  return models::read_config(
             base::parse_json(
                 R"({"architectures":["LlamaForCausalLM"],"hidden_size":64,"vocab_size":1000,
    "num_hidden_layers":2,"num_attention_heads":4,"intermediate_size":96,"max_position_embeddings":4096})")
                 .value())
      .value();
}

// 100 experts of 1 MiB each, and 50 MiB of other weights.
inline FitModel with_experts() {
  return {.weight_bytes = 150 * kMiB, .pages = 100, .page_bytes = kMiB, .expert_bytes = 100 * kMiB};
}

}  // namespace sluice::plan
