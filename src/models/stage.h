// The stages of a forward pass: the points at which data may change hands between lanes, levels and
// ranks. Collectives and the host/device split fall between stages, never inside one.
#pragma once

#include <cstddef>
#include <cstdint>

#include "models/config.h"

namespace sluice::models {

enum class StageKind : uint8_t {
  kEmbed,     // rows of the table, and the angles of rope for all layers
  kQkv,       // norm, projections, qk-norm, rope
  kAttend,    // the new keys and values into the KV cache, and attention over it
  kOProj,     // output projection, added to the residual stream
  kRoute,     // norm, router, top-k; a dense layer's norm
  kGuess,     // the same router over what is there before its layer has begun: what it may choose
  kDispatch,  // tokens sorted by expert
  kExpertGroup,  // a run of experts over their tokens
  kShared,       // shared experts, or a dense FFN
  kCombine,  // expert outputs weighted, summed in the router's order, added to the residual stream
  kHead,     // final norm and logits of one part of the rows that need them
  kSample,   // the next tokens of that part; the engine's own
};

inline constexpr size_t kStageKinds = 12;
const char* name(StageKind kind);

// Rows of a micro-batch for which a router is guessed at, at most: of many, all experts are needed.
inline constexpr int64_t kMaxGuessRows = 16;

struct Stage {
  StageKind kind = StageKind::kEmbed;
  int16_t layer = -1;
  int16_t first = 0;  // kExpertGroup: position of the first expert; kHead, kSample: first part of
                      // `logit_rows`; kAttend: part of the sequences, where they attend in parts
  int16_t count = 0;  // kExpertGroup: experts; kHead, kSample: 1
  bool operator==(const Stage&) const = default;
};

// What a stage's cost depends on.
struct Load {
  int64_t tokens = 0;          // rows of the micro-batch
  int64_t visible_keys = 0;    // sum over rows of the keys it attends to
  int64_t context_tokens = 0;  // sum over sequences of its keys, each read once for all its rows
  int64_t expert_tokens = 0;   // kExpertGroup: (token, expert) pairs of the stage
  int64_t active_experts = 0;  // kExpertGroup: experts of the stage with at least one token
  int64_t logit_rows = 0;      // kHead, kSample
};

// Bytes one weight takes where the stage reads it, by use, and what the KV cache is made of.
struct WeightBytes {
  double dense = 2.0;  // attention, shared and dense FFN, head, embedding
  double expert = 2.0;
  double router = 4.0;
  kernels::KvDType kv = kernels::KvDType::kF32;  // what the cache holds
};

// A stage's own statement, in FLOPs and bytes moved at the level where it runs. The planner, the
// replay, the closing report and the benchmarks read this and no other formula.
struct Cost {
  double flops = 0;
  double weight_bytes = 0;
  double kv_bytes = 0;
  double activation_bytes = 0;

  double bytes() const { return weight_bytes + kv_bytes + activation_bytes; }
  Cost& operator+=(const Cost& other);
};

Cost stage_cost(const ModelConfig& config, const Stage& stage, const Load& load,
                const WeightBytes& weights);

}  // namespace sluice::models
