// How one layer's keys and values lie in a block of the paged cache. A property of each layer:
// other kinds of attention (a latent, a window) are other layouts.
//
// A block of `block_tokens` tokens (a multiple of 16) of one layer is, head after head, per KV
// head:
//   keys         [block_tokens / 16][key_dim][16 tokens]   so that 16 keys lie across the lanes
//   values       [block_tokens][value_dim]                 so that the output lies across the lanes
//   key scales   f32 [block_tokens]                        q8 only
//   value scales f32 [block_tokens]                        q8 only
// Keys and values are of `dtype`: f32, f16, bf16, or the 8-bit codes of q8, whose key (or value) is
// scale * code. Every offset is in bytes from where the block, or the head, begins.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "kernels/kv_dtype.h"

namespace sluice::kernels {

const char* name(KvDType dtype);  // "f32", "f16", "bf16", "q8"
std::optional<KvDType> parse_kv_dtype(std::string_view name);
std::span<const KvDType> all_kv_dtypes();  // in the order of the enum

constexpr int64_t element_bytes(KvDType dtype) {
  switch (dtype) {
    case KvDType::kF32:
      return 4;
    case KvDType::kF16:
    case KvDType::kBF16:
      return 2;
    case KvDType::kQ8:
      return 1;
  }
  return 0;
}

struct KvLayout {
  int kv_heads = 0;
  int key_dim = 0;
  int value_dim = 0;
  int block_tokens = 32;
  KvDType dtype = KvDType::kF32;

  bool scaled() const { return dtype == KvDType::kQ8; }
  int64_t key_bytes() const { return key_dim * element_bytes(dtype); }
  int64_t value_bytes() const { return value_dim * element_bytes(dtype); }

  // From the head: the key panel that holds token `token` of the block, whose element d lies at
  // (d * 16 + token % 16) elements from there; the token's value; their scales.
  int64_t key_panel_at(int64_t token) const { return token / 16 * 16 * key_bytes(); }
  int64_t value_at(int64_t token) const {
    return block_tokens * key_bytes() + token * value_bytes();
  }
  int64_t key_scale_at(int64_t token) const {
    return block_tokens * (key_bytes() + value_bytes()) + token * kScaleBytes;
  }
  int64_t value_scale_at(int64_t token) const { return key_scale_at(block_tokens + token); }

  int64_t bytes_per_token() const {
    return kv_heads * (key_bytes() + value_bytes() + (scaled() ? 2 * kScaleBytes : 0));
  }
  int64_t block_bytes() const { return block_tokens * bytes_per_token(); }
  int64_t head_bytes() const { return kv_heads > 0 ? block_bytes() / kv_heads : 0; }
  bool operator==(const KvLayout&) const = default;

 private:
  static constexpr int64_t kScaleBytes = sizeof(float);
};

// One layer of the cache: block b lies at base + b * block_stride bytes. Owned by memory::KvCache.
struct KvLayerView {
  KvLayout layout;
  std::byte* base = nullptr;
  int64_t block_stride = 0;

  std::byte* head(int64_t block, int64_t kv_head) const {
    return base + block * block_stride + kv_head * layout.head_bytes();
  }
};

}  // namespace sluice::kernels
