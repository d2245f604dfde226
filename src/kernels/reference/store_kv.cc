#include "kernels/reference/reference.h"

namespace sluice::kernels::reference {

void store_kv(const KvLayerView& cache, const float* keys, int64_t ld_keys, const float* values,
              int64_t ld_values, const int64_t* slots, int64_t tokens) {
  const KvLayout& layout = cache.layout;
  for (int64_t t = 0; t < tokens; ++t) {
    const int64_t block = slots[t] / layout.block_tokens;
    const int64_t offset = slots[t] % layout.block_tokens;
    for (int64_t head = 0; head < layout.kv_heads; ++head) {
      auto* base = reinterpret_cast<float*>(cache.base + block * cache.block_stride) +
                   head * layout.head_elements();
      for (int64_t d = 0; d < layout.key_dim; ++d)
        base[(offset / 16 * layout.key_dim + d) * 16 + offset % 16] =
            keys[t * ld_keys + head * layout.key_dim + d];
      for (int64_t d = 0; d < layout.value_dim; ++d)
        base[layout.block_tokens * layout.key_dim + offset * layout.value_dim + d] =
            values[t * ld_values + head * layout.value_dim + d];
    }
  }
}

}  // namespace sluice::kernels::reference
