// Writes a model of random weights in Hugging Face layout.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "base/error.h"
#include "bench/make_model/geometry.h"
#include "tensor/dtype.h"

namespace sluice::bench {

struct ModelRecipe {
  std::string geometry;
  GeometryCut cut;
  tensor::DType dtype = tensor::DType::kBF16;
  uint64_t seed = 0;
  double zipf_alpha = 0;  // of the routers; 0 is uniform
  int64_t max_shard_bytes = 4'000'000'000;
};

// Room on the disk that is left alone, beside what the model takes.
constexpr int64_t kSpareDiskBytes = int64_t{256} << 20;

// Matrices are normal with variance 1 / fan-in, so that activations keep their size; the ones that
// add to the residual stream (attention output, FFN down) are smaller by 1 / sqrt(8 * layers), so
// that together they add at most a quarter of the embedding's power. Norms are 1 and biases 0.
// Embeddings have variance 1; with a Zipf router also the common direction (router_skew.h).
//
// `directory` is made, and must be empty. Errors: see geometry_config(); no room on the disk; what
// the system says. `progress` hears bytes done and in all after every few megabytes.
// Returns the bytes of weights written.
Result<int64_t> write_random_model(const std::filesystem::path& directory,
                                   const ModelRecipe& recipe,
                                   const std::function<void(int64_t, int64_t)>& progress = {});

}  // namespace sluice::bench
