#include <algorithm>

#include "base/check.h"
#include "kernels/ops.h"

namespace sluice::kernels {

void store_kv(const Exec& exec, const KvLayerView& cache, const float* keys, int64_t ld_keys,
              const float* values, int64_t ld_values, const int64_t* slots, int64_t tokens) {
  const KvLayout& layout = cache.layout;
  SLUICE_CHECK(layout.dtype == tensor::DType::kF32, "the KV cache is f32");
  SLUICE_CHECK(layout.block_tokens % 16 == 0, "a block of the KV cache is whole sixteens of keys");
  constexpr int64_t kTokensPerItem = 8;
  exec.team->parallel_for((tokens + kTokensPerItem - 1) / kTokensPerItem, [&](int64_t item) {
    const int64_t last = std::min(tokens, (item + 1) * kTokensPerItem);
    for (int64_t t = item * kTokensPerItem; t < last; ++t) {
      const int64_t offset = slots[t] % layout.block_tokens;
      auto* block = reinterpret_cast<float*>(cache.base +
                                             slots[t] / layout.block_tokens * cache.block_stride);
      for (int head = 0; head < layout.kv_heads; ++head) {
        float* head_keys = block + head * layout.head_elements();
        float* tile = head_keys + offset / 16 * 16 * layout.key_dim + offset % 16;
        const float* key = keys + t * ld_keys + int64_t{head} * layout.key_dim;
        for (int d = 0; d < layout.key_dim; ++d) tile[d * 16] = key[d];
        const float* value = values + t * ld_values + int64_t{head} * layout.value_dim;
        std::copy(
            value, value + layout.value_dim,
            head_keys + int64_t{layout.block_tokens} * layout.key_dim + offset * layout.value_dim);
      }
    }
  });
}

}  // namespace sluice::kernels
