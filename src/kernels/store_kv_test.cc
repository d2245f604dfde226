#include <bit>
#include <cmath>
#include <limits>

#include "kernels/cases.h"
#include "kernels/each_isa.h"
#include "kernels/kv_copy.h"
#include "kernels/reference/reference.h"

namespace sluice::kernels {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

TEST(KvLayout, CountsBytes) {
  const KvLayout f32{2, 20, 12, 32};
  EXPECT_EQ(f32.head_bytes(), 32 * (20 + 12) * 4);
  EXPECT_EQ(f32.block_bytes(), 2 * f32.head_bytes());
  EXPECT_EQ(f32.bytes_per_token(), 2 * (20 + 12) * 4);
  EXPECT_EQ(f32.key_panel_at(17), 16 * 20 * 4);
  EXPECT_EQ(f32.value_at(3), (32 * 20 + 3 * 12) * 4);
  for (KvDType half : {KvDType::kF16, KvDType::kBF16}) {
    const KvLayout layout{2, 20, 12, 32, half};
    EXPECT_EQ(layout.block_bytes() * 2, f32.block_bytes());
  }
  const KvLayout q8{2, 20, 12, 32, KvDType::kQ8};
  EXPECT_EQ(q8.bytes_per_token(), 2 * (20 + 12 + 2 * 4));
  EXPECT_EQ(q8.key_scale_at(0), 32 * (20 + 12));
  EXPECT_EQ(q8.value_scale_at(0), q8.key_scale_at(0) + 32 * 4);
  EXPECT_EQ(q8.value_scale_at(31) + 4, q8.head_bytes());
}

TEST(KvDTypes, HaveNames) {
  for (KvDType dtype : all_kv_dtypes()) EXPECT_EQ(parse_kv_dtype(name(dtype)), dtype);
  EXPECT_FALSE(parse_kv_dtype("q8_0").has_value());
}

class StoreKv : public testing::TestWithParam<KvDType> {};

TEST_P(StoreKv, MatchesTheReference) {
  KvLayerView cache{{3, 20, 12, 32, GetParam()}, nullptr, 0};
  cache.block_stride = cache.layout.block_bytes();
  Random random(3);
  const int64_t tokens = 37;
  std::vector<float> keys = random.normals(tokens * 61);
  std::vector<float> values = random.normals(tokens * 40);
  // One odd value in a token each; the last token's values are all zero.
  const float odd[] = {65519.0f, 65520.0f, -1e30f, kNaN,      kInfinity,
                       1e-40f,   -0.0f,    6e-8f,  0x1p-101f, -3.4e38f};
  for (size_t i = 0; i < std::size(odd); ++i) keys[i * 61 + 7] = values[(i + 5) * 40 + 3] = odd[i];
  std::fill(values.end() - 40, values.end(), 0.0f);
  std::fill(keys.begin() + 20 * 61, keys.begin() + 21 * 61, 0x1p-101f);
  std::vector<int64_t> slots;
  for (int64_t t = 0; t < tokens; ++t) slots.push_back((t * 7) % 96);
  std::vector<float> expected(static_cast<size_t>(3 * cache.block_stride / 4), 0.0f);
  cache.base = reinterpret_cast<std::byte*>(expected.data());
  reference::store_kv(cache, keys.data(), 61, values.data(), 40, slots.data(), tokens);
  each_isa([&](const Exec& exec) {
    std::vector<float> storage(expected.size(), 0.0f);
    cache.base = reinterpret_cast<std::byte*>(storage.data());
    store_kv(exec, cache, keys.data(), 61, values.data(), 40, slots.data(), tokens);
    ASSERT_TRUE(same_bits(storage, expected));
  });
}

TEST_P(StoreKv, ATokenCopiedIsATokenStored) {
  KvLayerView cache{{2, 20, 12, 32, GetParam()}, nullptr, 0};
  cache.block_stride = cache.layout.block_bytes();
  Random random(5);
  const std::vector<float> keys = random.normals(32 * 40), values = random.normals(32 * 24);
  std::vector<int64_t> slots(32);
  for (int64_t t = 0; t < 32; ++t) slots[static_cast<size_t>(t)] = t;
  const auto block = [&](int64_t tokens) {
    std::vector<std::byte> storage(static_cast<size_t>(cache.block_stride));
    cache.base = storage.data();
    reference::store_kv(cache, keys.data(), 40, values.data(), 24, slots.data(), tokens);
    return storage;
  };
  const std::vector<std::byte> whole = block(32);
  std::vector<std::byte> copied = block(5);
  for (int64_t t = 5; t < 18; ++t) copy_kv_token(cache.layout, t, whole.data(), copied.data());
  EXPECT_EQ(copied, block(18));
}

INSTANTIATE_TEST_SUITE_P(Types, StoreKv, testing::ValuesIn(all_kv_dtypes()),
                         [](const auto& of) { return std::string(name(of.param)); });

// One head's value stored in q8, and what it has become.
struct Coded {
  std::vector<int> codes;
  float scale;
};
Coded coded(const std::vector<float>& value) {
  const auto dim = static_cast<int>(value.size());
  KvLayerView cache{{1, dim, dim, 16, KvDType::kQ8}, nullptr, 0};
  cache.block_stride = cache.layout.block_bytes();
  std::vector<float> storage(static_cast<size_t>(cache.block_stride / 4));
  cache.base = reinterpret_cast<std::byte*>(storage.data());
  base::ThreadTeam team(1);
  const int64_t slot = 5;
  store_kv({&op_table(best_isa()), &team}, cache, value.data(), 0, value.data(), 0, &slot, 1);
  Coded result;
  for (int i = 0; i < dim; ++i)
    result.codes.push_back(
        reinterpret_cast<const int8_t*>(cache.base + cache.layout.value_at(5))[i]);
  std::memcpy(&result.scale, cache.base + cache.layout.value_scale_at(5), 4);
  return result;
}

TEST(StoreKvQ8, RoundsToTheNearestCode) {
  const Coded got = coded({254.0f, 1.0f, -1.0f, 3.0f, -127.0f, 253.2f});
  EXPECT_EQ(got.codes, (std::vector<int>{127, 0, 0, 2, -64, 127}));
  EXPECT_EQ(got.scale, 2.0f);
}

TEST(StoreKvQ8, TellsZerosFromWhatIsNoNumber) {
  for (const float zero : {0.0f, -0.0f, 1e-40f}) {
    const Coded got = coded({zero, 0.0f});
    EXPECT_EQ(got.codes, (std::vector<int>{0, 0}));
    EXPECT_EQ(got.scale, 0.0f);
  }
  for (const float odd : {kNaN, kInfinity, -kInfinity}) {
    const Coded got = coded({1.0f, odd});
    EXPECT_EQ(got.codes, (std::vector<int>{0, 0}));
    EXPECT_TRUE(std::isnan(got.scale));
  }
  EXPECT_EQ(coded({3.4e38f, -3.4e38f}).codes, (std::vector<int>{127, -127}));
}

}  // namespace
}  // namespace sluice::kernels
