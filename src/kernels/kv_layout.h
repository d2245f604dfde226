// How one layer's keys and values lie in a block of the paged cache. A property of each layer:
// other kinds of attention (a latent, a window) are other layouts.
//
// A block of `block_tokens` tokens (a multiple of 16) of one layer is, per KV head:
//   keys   [block_tokens / 16][key_dim][16 tokens]   so that 16 keys lie across the lanes
//   values [block_tokens][value_dim]                 so that the output lies across the lanes
// all f32, keys of a head first, then its values, head after head.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tensor/dtype.h"

namespace sluice::kernels {

struct KvLayout {
  int kv_heads = 0;
  int key_dim = 0;
  int value_dim = 0;
  int block_tokens = 32;
  tensor::DType dtype = tensor::DType::kF32;

  int64_t head_elements() const { return int64_t{block_tokens} * (key_dim + value_dim); }
  int64_t block_bytes() const { return tensor::storage_bytes(dtype, kv_heads * head_elements()); }
  int64_t bytes_per_token() const { return block_bytes() / block_tokens; }
  bool operator==(const KvLayout&) const = default;
};

// One layer of the cache: block b lies at base + b * block_stride bytes. Owned by memory::KvCache.
struct KvLayerView {
  KvLayout layout;
  std::byte* base = nullptr;
  int64_t block_stride = 0;
};

}  // namespace sluice::kernels
