#include "memory/kv_cache.h"

#include <gtest/gtest.h>

#include <cstring>

namespace sluice::memory {
namespace {

using kernels::KvLayout;

// Two shapes: grouped heads, and one wide head as a latent would be.
std::vector<KvLayout> two_shapes() {
  return {{.kv_heads = 2, .key_dim = 8, .value_dim = 8, .block_tokens = 16},
          {.kv_heads = 1, .key_dim = 9, .value_dim = 4, .block_tokens = 16}};
}

TEST(KvCache, CountsTheBytesOfABlockOverAllLayers) {
  // 2 heads * 16 tokens * 16 floats, and 16 tokens * 13 floats padded to 64 bytes.
  EXPECT_EQ(KvCache::bytes_per_block(two_shapes()), 2048 + 832);
  const auto cache = KvCache::create(two_shapes(), 5).value();
  EXPECT_EQ(cache.bytes(), 5 * (2048 + 832));
  EXPECT_EQ(cache.arena().used(), cache.bytes());
}

TEST(KvCache, CountsTheBytesOfEveryType) {
  const auto bytes = [](kernels::KvDType dtype) {
    auto layouts = two_shapes();
    for (KvLayout& layout : layouts) layout.dtype = dtype;
    return KvCache::bytes_per_block(layouts);
  };
  EXPECT_EQ(bytes(kernels::KvDType::kBF16), 1024 + 448);  // 416 padded
  EXPECT_EQ(bytes(kernels::KvDType::kF16), 1024 + 448);
  // 2 * 16 tokens * (16 codes and 2 scales), and 16 tokens * (13 codes and 2 scales) padded.
  EXPECT_EQ(bytes(kernels::KvDType::kQ8), 768 + 384);
}

TEST(KvCache, GivesEveryBlockOfEveryLayerItsOwnBytes) {
  const auto layouts = two_shapes();
  const auto cache = KvCache::create(layouts, 5).value();
  ASSERT_EQ(cache.layers(), 2);
  EXPECT_EQ(cache.block_tokens(), 16);
  const auto block_at = [&](int layer, int block) {
    return cache.layer(layer).base + block * cache.layer(layer).block_stride;
  };
  for (int layer = 0; layer < 2; ++layer) {
    EXPECT_EQ(cache.layer(layer).layout, layouts[static_cast<size_t>(layer)]);
    for (int block = 0; block < 5; ++block) {
      std::memset(block_at(layer, block), layer * 5 + block + 1,
                  static_cast<size_t>(cache.layer(layer).layout.block_bytes()));
    }
  }
  for (int layer = 0; layer < 2; ++layer) {
    for (int block = 0; block < 5; ++block) {
      const std::byte* at = block_at(layer, block);
      EXPECT_EQ(reinterpret_cast<uintptr_t>(at) % KvCache::kBlockAlignment, 0u);
      const auto mark = static_cast<std::byte>(layer * 5 + block + 1);
      EXPECT_EQ(at[0], mark);
      EXPECT_EQ(at[cache.layer(layer).layout.block_bytes() - 1], mark);
    }
  }
}

TEST(KvCache, RefusesWhatCannotBe) {
  auto layouts = two_shapes();
  EXPECT_EQ(KvCache::create({}, 5).error().code, ErrorCode::kInvalid);
  EXPECT_EQ(KvCache::create(layouts, 0).error().code, ErrorCode::kInvalid);
  layouts[1].block_tokens = 32;
  EXPECT_NE(KvCache::create(layouts, 5).error().message.find("layer 1"), std::string::npos);
  layouts[0].block_tokens = 20;
  EXPECT_NE(KvCache::create(layouts, 5).error().message.find("20 tokens"), std::string::npos);
  EXPECT_EQ(KvCache::create(two_shapes(), int64_t{1} << 31).error().code, ErrorCode::kInvalid);
}

}  // namespace
}  // namespace sluice::memory
