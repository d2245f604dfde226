// Makes a plan that fits this machine, or says with numbers why there is none.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "models/config.h"
#include "plan/plan.h"

namespace sluice::engine {

// What the caller asked for; 0 leaves a choice open (engine.h has the defaults).
struct FitWishes {
  std::string schedule = "resident";
  int threads = 0;
  int64_t max_batch_size = 0;
  int64_t micro_batch_size = 0;
  int64_t max_num_tokens = 0;
  int64_t max_seq_len = 0;
  int64_t kv_cache_memory = 0;
  double kv_cache_free_mem_fraction = 0.5;
  int64_t kv_block_tokens = 32;
  std::string kv_dtype = "auto";
  bool block_weights = false;  // the model's, not a choice: some weights are of block formats
  tensor::DType stored = tensor::DType::kF32;  // the model's: in which most weights are stored
};

// What there is. Bytes.
struct FitMachine {
  int64_t available_memory = 0;
  int cores = 1;
  int memory_nodes = 1;  // over which weights and KV are interleaved, if there are more
};

// What the KV cache holds; kInvalid for a name that is none.
Result<kernels::KvDType> kv_dtype(const FitWishes& wishes);

// A pure function. Errors: kInvalid for wishes that contradict each other or the model; kNoRoom
// with what is needed, what there is, and the nearest that fits.
Result<plan::Plan> fit_plan(const models::ModelConfig& config, int64_t weight_bytes,
                            const FitWishes& wishes, const FitMachine& machine);

}  // namespace sluice::engine
