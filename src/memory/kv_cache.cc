#include "memory/kv_cache.h"

#include <string>
#include <utility>

#include "base/rounding.h"
#include "memory/kv_blocks.h"

namespace sluice::memory {
namespace {

int64_t stride(const kernels::KvLayout& layout) {
  return base::round_up(layout.block_bytes(), KvCache::kBlockAlignment);
}

Status check_layouts(std::span<const kernels::KvLayout> layers, int64_t blocks) {
  if (layers.empty()) return Error{ErrorCode::kInvalid, "a KV cache needs at least one layer"};
  if (blocks < 1 || blocks > kMaxKvBlocks) {
    return Error{ErrorCode::kInvalid, "a KV cache of " + std::to_string(blocks) +
                                          " blocks is out of range; give it 1 to " +
                                          std::to_string(kMaxKvBlocks)};
  }
  const int tokens = layers.front().block_tokens;
  if (tokens < 16 || tokens % 16 != 0) {
    return Error{ErrorCode::kInvalid, "KV blocks of " + std::to_string(tokens) +
                                          " tokens are not possible; use a multiple of 16"};
  }
  for (size_t i = 0; i < layers.size(); ++i) {
    if (layers[i].block_tokens != tokens || layers[i].block_bytes() <= 0) {
      return Error{ErrorCode::kInvalid, "the KV layout of layer " + std::to_string(i) +
                                            " does not agree with that of layer 0: every layer's "
                                            "block holds the same, positive number of tokens"};
    }
  }
  return {};
}

}  // namespace

int64_t KvCache::bytes_per_block(std::span<const kernels::KvLayout> layers) {
  int64_t bytes = 0;
  for (const kernels::KvLayout& layout : layers) bytes += stride(layout);
  return bytes;
}

Result<KvCache> KvCache::create(std::span<const kernels::KvLayout> layers, int64_t blocks,
                                const ArenaOptions& options) {
  SLUICE_TRY(check_layouts(layers, blocks));
  KvCache cache;
  cache.blocks_ = blocks;
  SLUICE_ASSIGN(cache.arena_, Arena::create(blocks * bytes_per_block(layers), options));
  cache.views_.reserve(layers.size());
  for (size_t i = 0; i < layers.size(); ++i) {
    const int64_t bytes = stride(layers[i]);
    const auto region =
        cache.arena_.allocate("kv layer " + std::to_string(i), blocks * bytes, kBlockAlignment);
    cache.views_.push_back({layers[i], region.data(), bytes});
  }
  return cache;
}

}  // namespace sluice::memory
