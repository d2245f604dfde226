// A model run by calling its stages in a row: no schedule, no lanes, no scheduler. What the
// pipeline gives must equal this, and its overhead is measured against it.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/thread_team.h"
#include "memory/kv_cache.h"
#include "models/family.h"
#include "models/forward.h"

namespace sluice::tests {

struct StraightOptions {
  int threads = 1;
  kernels::Isa isa = kernels::best_isa();
  int64_t rows = 256;      // of one call
  int64_t context = 1024;  // tokens of the one sequence
  int64_t block_tokens = 16;
  kernels::KvDType kv_dtype = kernels::KvDType::kF32;
  std::string quant = "none";
  std::string config_name = "config.json";
};

// One sequence at a time.
class StraightModel {
 public:
  // `path` is a Hugging Face directory or a GGUF file.
  static Result<std::unique_ptr<StraightModel>> load(const std::string& path,
                                                     const StraightOptions& options);

  // Forgets the sequence; the next one's prompt will be `prompt_tokens` long.
  void restart(int64_t prompt_tokens);

  // Appends tokens (at most `rows`) and returns the logits [tokens, vocab] at their positions,
  // valid until the next call.
  std::span<const float> append(std::span<const int32_t> tokens);

  // All stages of one iteration over the rows set up by append(); what a benchmark repeats.
  void run_stages(const models::BatchView& batch);

  // The rows of the last append(); valid until the next.
  const models::BatchView& last_batch() const { return batch_; }

  const models::ModelConfig& config() const { return config_; }
  const models::ForwardContext& context() const { return context_; }
  models::Activations& activations() { return activations_; }

 private:
  explicit StraightModel(int threads) : team_(threads) {}

  models::ModelConfig config_;
  StraightOptions options_;
  base::ThreadTeam team_;
  memory::Arena arena_;
  memory::KvCache cache_;
  std::vector<kernels::KvLayerView> kv_;
  models::ModelWeights weights_;
  models::Activations activations_;
  models::ForwardContext context_;
  std::vector<float> inv_freq_;
  std::vector<int32_t> blocks_, positions_, logit_rows_;
  std::vector<int64_t> slots_;
  std::vector<int32_t> tokens_;
  models::SequenceRows sequence_;
  models::BatchView batch_;
  int64_t length_ = 0;
  int64_t prompt_tokens_ = 0;
};

// The whole of a text file, or an empty string.
std::string read_text(const std::string& path);

}  // namespace sluice::tests
