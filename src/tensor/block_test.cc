// Block formats against the `gguf` package: testdata is made by tools/goldens/blocks.py.
#include "tensor/block.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "tensor/block_goldens.h"

namespace sluice::tensor {
namespace {

bool same(float a, float b) {
  return std::isnan(a) ? std::isnan(b) : std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b);
}

class BlockFormats : public testing::TestWithParam<DType> {};

std::vector<DType> block_formats() {
  std::vector<DType> formats;
  for (DType dtype : all_dtypes()) {
    if (is_block_format(dtype)) formats.push_back(dtype);
  }
  return formats;
}

std::string format_name(const testing::TestParamInfo<DType>& format) {
  return info(format.param).name;
}

INSTANTIATE_TEST_SUITE_P(Blocks, BlockFormats, testing::ValuesIn(block_formats()), format_name);

TEST_P(BlockFormats, WidenToTheBitsOfGguf) {
  const std::string name = info(GetParam()).name;
  const std::vector<float> expected = golden_floats(name + ".f32");
  std::vector<std::byte> blocks = golden(name + ".blocks");
  ASSERT_EQ(static_cast<int64_t>(blocks.size()),
            storage_bytes(GetParam(), static_cast<int64_t>(expected.size())));
  // One byte in: blocks lie at any address.
  blocks.insert(blocks.begin(), std::byte{0});
  std::vector<float> values(expected.size());
  dequantize(GetParam(), blocks.data() + 1, static_cast<int64_t>(values.size()), values.data());
  for (size_t i = 0; i < values.size(); ++i)
    ASSERT_TRUE(same(values[i], expected[i])) << i << ": " << values[i] << ", " << expected[i];
}

TEST_P(BlockFormats, PartsStayInsideTheirTraits) {
  const BlockTraits& traits = block_traits(GetParam());
  const DTypeInfo& size = info(GetParam());
  ASSERT_TRUE(traits.group == 16 || traits.group == 32);
  ASSERT_LE(size.block_elements / traits.group, kMaxBlockGroups);
  ASSERT_EQ(traits.values != nullptr,
            traits.code_bits == 4 && traits.offset == 0 && !traits.has_min);
  const std::vector<std::byte> blocks = golden(std::string(size.name) + ".blocks");
  std::vector<bool> seen(1u << traits.code_bits);
  for (size_t at = 0; at < blocks.size(); at += static_cast<size_t>(size.block_bytes)) {
    BlockParts parts;
    take_apart(GetParam(), blocks.data() + at, &parts);
    for (size_t k = 0; k < static_cast<size_t>(size.block_elements); ++k) {
      ASSERT_LT(parts.code[k], seen.size());
      seen[parts.code[k]] = true;
    }
    if (traits.has_min) continue;
    ASSERT_EQ(parts.dmin, 0);
    for (int g = 0; g < size.block_elements / traits.group; ++g)
      ASSERT_EQ(parts.min[static_cast<size_t>(g)], 0);
  }
  EXPECT_EQ(std::count(seen.begin(), seen.end(), true), static_cast<int>(seen.size()));
}

TEST(Blocks, ValuesAreTheScaledCodesLessTheMinimum) {
  // One hand-made block: Q4_1 with d = 0.5, m = -2 and the code 9 everywhere.
  std::vector<std::byte> block(20, std::byte{0x99});
  const uint8_t scales[4] = {0x00, 0x38, 0x00, 0xc0};
  std::memcpy(block.data(), scales, sizeof scales);
  float values[32];
  dequantize(DType::kQ4_1, block.data(), 32, values);
  for (float value : values) EXPECT_EQ(value, 0.5f * 9 - 2);
  BlockParts parts;
  take_apart(DType::kQ4_1, block.data(), &parts);
  EXPECT_EQ(parts.d, 0x3800);
  EXPECT_EQ(parts.dmin, 0x4000);  // + 2, to be taken away
  EXPECT_EQ(parts.scale[0], 1);
  EXPECT_EQ(parts.min[0], 1);
}

TEST(Blocks, FloatsWidenToo) {
  const uint16_t halves[3] = {0x3c00, 0xc000, 0x0001};
  float values[3];
  dequantize(DType::kF16, reinterpret_cast<const std::byte*>(halves), 3, values);
  EXPECT_EQ(values[0], 1.0f);
  EXPECT_EQ(values[1], -2.0f);
  EXPECT_EQ(values[2], 0x1p-24f);
  dequantize(DType::kBF16, reinterpret_cast<const std::byte*>(halves), 2, values);
  EXPECT_EQ(values[0], 0x1p-7f);
  EXPECT_EQ(values[1], -2.0f);
  const float floats[2] = {0.1f, -3.5f};
  dequantize(DType::kF32, reinterpret_cast<const std::byte*>(floats), 2, values);
  EXPECT_EQ(values[0], floats[0]);
  EXPECT_EQ(values[1], floats[1]);
}

}  // namespace
}  // namespace sluice::tensor
