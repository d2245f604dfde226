#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tensor/dtype.h"
#include "tensor/float.h"
#include "tensor/view.h"

namespace sluice::tensor {
namespace {

TEST(Float, EveryHalfSurvivesTheRoundTrip) {
  for (uint32_t bits = 0; bits < 0x10000u; ++bits) {
    const float wide = f16_to_f32(static_cast<uint16_t>(bits));
    if (std::isnan(wide)) continue;
    EXPECT_EQ(f32_to_f16(wide), bits);
#if defined(__FLT16_MAX__)
    EXPECT_EQ(wide, static_cast<float>(std::bit_cast<_Float16>(static_cast<uint16_t>(bits))));
#endif
  }
}

#if defined(__FLT16_MAX__)
TEST(Float, NarrowingRoundsAsTheCompilerDoes) {
  for (uint32_t bits = 0; bits < 0x7f800000u; bits += 4093) {
    const auto value = std::bit_cast<float>(bits);
    EXPECT_EQ(f32_to_f16(value), std::bit_cast<uint16_t>(static_cast<_Float16>(value))) << value;
  }
}
#endif

TEST(Float, Bf16RoundsToNearestEven) {
  EXPECT_EQ(f32_to_bf16(1.0f), 0x3f80);
  EXPECT_EQ(f32_to_bf16(std::bit_cast<float>(0x3f808000u)), 0x3f80);  // tie, even below
  EXPECT_EQ(f32_to_bf16(std::bit_cast<float>(0x3f818000u)), 0x3f82);  // tie, even above
  EXPECT_EQ(f32_to_bf16(std::bit_cast<float>(0x3f808001u)), 0x3f81);
  EXPECT_TRUE(std::isnan(bf16_to_f32(f32_to_bf16(std::numeric_limits<float>::quiet_NaN()))));
  for (uint32_t bits = 0; bits < 0x10000u; ++bits) {
    const float wide = bf16_to_f32(static_cast<uint16_t>(bits));
    if (std::isnan(wide)) continue;
    EXPECT_EQ(f32_to_bf16(wide), bits);
  }
}

TEST(DType, NamesAndSizes) {
  for (DType dtype : {DType::kF32, DType::kF16, DType::kBF16, DType::kBF16Dot})
    EXPECT_EQ(parse_dtype(info(dtype).name), dtype);
  EXPECT_EQ(parse_dtype("BF16"), DType::kBF16);
  EXPECT_FALSE(parse_dtype("q9"));
  EXPECT_EQ(storage_bytes(DType::kBF16, 12), 24);
  EXPECT_EQ(to_string(Shape{3, 5}), "[3, 5]");
  EXPECT_EQ((Shape{3, 5}.elements()), 15);
}

}  // namespace
}  // namespace sluice::tensor
