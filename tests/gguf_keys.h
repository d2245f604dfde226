// config.json as a GGUF file's keys, and what of it GGUF keeps in a tensor.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "tensor/dtype.h"
#include "weights/gguf_test_file.h"

namespace sluice::tests {

struct GgufTensor {
  tensor::DType dtype = tensor::DType::kF32;
  std::vector<int64_t> dims;  // outermost first
  std::string bytes;
};

uint32_t gguf_number(tensor::DType dtype);          // of the type that a file's tensors have
std::string gguf_architecture(const Json& config);  // "llama", "qwen3moe", "olmoe"
void write_gguf_keys(const Json& config, weights::GgufTestFile& file);
// rope_freqs.weight, of llama3 scaling alone.
std::optional<GgufTensor> gguf_rope_divisors(const Json& config);

inline bool has(const Json& config, const char* key) {
  return config.contains(key) && !config[key].is_null();
}

}  // namespace sluice::tests
