#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "base/check.h"
#include "kernels/ops.h"
#include "tensor/float.h"

namespace sluice::kernels {
namespace {

// Element i of x goes to to[i * stride], as convert() makes it.
template <class Element, class Convert>
void put(const float* x, int64_t dim, std::byte* to, int64_t stride, const Convert& convert) {
  auto* elements = reinterpret_cast<Element*>(to);
  for (int64_t i = 0; i < dim; ++i) elements[i * stride] = convert(x[i]);
}

// The bits of the largest magnitude: as whole numbers they order as the magnitudes do, infinity and
// NaN above all.
uint32_t largest_bits(const float* x, int64_t dim) {
  uint32_t largest = 0;
  for (int64_t i = 0; i < dim; ++i)
    largest = std::max(largest, std::bit_cast<uint32_t>(x[i]) & 0x7fffffffu);
  return largest;
}

// Codes of q8; returns their scale.
float put_codes(const float* x, int64_t dim, std::byte* to, int64_t stride) {
  const uint32_t bits = largest_bits(x, dim);
  const auto largest = std::bit_cast<float>(bits);
  const bool finite = bits < 0x7f800000u;
  if (!finite || largest < kSmallestKvMagnitude) {
    put<int8_t>(x, dim, to, stride, [](float) { return int8_t{0}; });
    return finite ? 0.0f : std::numeric_limits<float>::quiet_NaN();
  }
  const float inverse = 127.0f / largest;
  // Adding 1.5 * 2^23 leaves no bits below the ones: the sum is rounded to nearest even.
  constexpr float kRound = 0x1.8p23f;
  put<int8_t>(x, dim, to, stride, [&](float value) {
    return static_cast<int8_t>(static_cast<int32_t>(value * inverse + kRound - kRound));
  });
  return largest / 127.0f;
}

// Returns the scale of q8, and else nothing that matters.
float put_vector(KvDType dtype, const float* x, int64_t dim, std::byte* to, int64_t stride) {
  switch (dtype) {
    case KvDType::kF32:
      put<float>(x, dim, to, stride, [](float value) { return value; });
      break;
    case KvDType::kF16:
      put<uint16_t>(x, dim, to, stride, tensor::f32_to_f16);
      break;
    case KvDType::kBF16:
      put<uint16_t>(x, dim, to, stride, tensor::f32_to_bf16);
      break;
    case KvDType::kQ8:
      return put_codes(x, dim, to, stride);
  }
  return 1.0f;
}

}  // namespace

void store_kv(const Exec& exec, const KvLayerView& cache, const float* keys, int64_t ld_keys,
              const float* values, int64_t ld_values, const int64_t* slots, int64_t tokens) {
  const KvLayout& layout = cache.layout;
  SLUICE_CHECK(layout.block_tokens % 16 == 0, "a block of the KV cache is whole sixteens of keys");
  constexpr int64_t kTokensPerItem = 8;
  exec.team->parallel_for((tokens + kTokensPerItem - 1) / kTokensPerItem, [&](int64_t item) {
    const int64_t last = std::min(tokens, (item + 1) * kTokensPerItem);
    // A key touches every line of its panel, so the tokens that share one come one after the other.
    for (int64_t head = 0; head < layout.kv_heads; ++head) {
      for (int64_t t = item * kTokensPerItem; t < last; ++t) {
        const int64_t offset = slots[t] % layout.block_tokens;
        std::byte* to = cache.head(slots[t] / layout.block_tokens, head);
        const float key_scale = put_vector(
            layout.dtype, keys + t * ld_keys + head * layout.key_dim, layout.key_dim,
            to + layout.key_panel_at(offset) + offset % 16 * element_bytes(layout.dtype), 16);
        const float value_scale =
            put_vector(layout.dtype, values + t * ld_values + head * layout.value_dim,
                       layout.value_dim, to + layout.value_at(offset), 1);
        if (!layout.scaled()) continue;
        std::memcpy(to + layout.key_scale_at(offset), &key_scale, sizeof key_scale);
        std::memcpy(to + layout.value_scale_at(offset), &value_scale, sizeof value_scale);
      }
    }
  });
}

}  // namespace sluice::kernels
