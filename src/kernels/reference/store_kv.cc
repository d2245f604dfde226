#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/reference/reference.h"
#include "tensor/float.h"

namespace sluice::kernels::reference {
namespace {

// The largest magnitude; NaN if x holds one, or an infinity.
float largest_of(const float* x, int64_t dim) {
  float largest = 0.0f;
  for (int64_t i = 0; i < dim; ++i) {
    if (!std::isfinite(x[i])) return std::numeric_limits<float>::quiet_NaN();
    largest = std::max(largest, std::fabs(x[i]));
  }
  return largest;
}

// Puts x[i] at element first + i * stride and returns the scale of q8.
float store(KvDType dtype, const float* x, int64_t dim, std::byte* to, int64_t first,
            int64_t stride) {
  const float largest = largest_of(x, dim);
  const bool codes = largest >= kSmallestKvMagnitude;
  for (int64_t i = 0; i < dim; ++i) {
    const int64_t at = first + i * stride;
    switch (dtype) {
      case KvDType::kF32:
        reinterpret_cast<float*>(to)[at] = x[i];
        break;
      case KvDType::kF16:
        reinterpret_cast<uint16_t*>(to)[at] = tensor::f32_to_f16(x[i]);
        break;
      case KvDType::kBF16:
        reinterpret_cast<uint16_t*>(to)[at] = tensor::f32_to_bf16(x[i]);
        break;
      case KvDType::kQ8:
        reinterpret_cast<int8_t*>(to)[at] =
            codes ? static_cast<int8_t>(std::nearbyint(x[i] * (127.0f / largest))) : int8_t{0};
        break;
    }
  }
  if (std::isnan(largest)) return largest;
  return codes ? largest / 127.0f : 0.0f;
}

}  // namespace

void store_kv(const KvLayerView& cache, const float* keys, int64_t ld_keys, const float* values,
              int64_t ld_values, const int64_t* slots, int64_t tokens) {
  const KvLayout& layout = cache.layout;
  for (int64_t t = 0; t < tokens; ++t) {
    const int64_t offset = slots[t] % layout.block_tokens;
    for (int64_t head = 0; head < layout.kv_heads; ++head) {
      std::byte* to = cache.head(slots[t] / layout.block_tokens, head);
      const float key_scale =
          store(layout.dtype, keys + t * ld_keys + head * layout.key_dim, layout.key_dim,
                to + layout.key_panel_at(offset), offset % 16, 16);
      const float value_scale =
          store(layout.dtype, values + t * ld_values + head * layout.value_dim, layout.value_dim,
                to + layout.value_at(offset), 0, 1);
      if (!layout.scaled()) continue;
      *reinterpret_cast<float*>(to + layout.key_scale_at(offset)) = key_scale;
      *reinterpret_cast<float*>(to + layout.value_scale_at(offset)) = value_scale;
    }
  }
}

}  // namespace sluice::kernels::reference
