// What is written, against the `gguf` package where it defines the bytes, and within bounds of
// error where the search is sluice's own.
#include "tensor/quantize.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "tensor/block.h"
#include "tensor/block_goldens.h"

namespace sluice::tensor {
namespace {

std::vector<std::byte> quantized(DType to, const std::vector<float>& values) {
  const auto elements = static_cast<int64_t>(values.size());
  std::vector<std::byte> blocks(static_cast<size_t>(storage_bytes(to, elements)));
  EXPECT_TRUE(quantize(to, values.data(), elements, blocks.data()));
  return blocks;
}

std::vector<float> widened(DType of, const std::vector<std::byte>& blocks, size_t elements) {
  std::vector<float> values(elements);
  dequantize(of, blocks.data(), static_cast<int64_t>(elements), values.data());
  return values;
}

std::vector<float> round_trip(DType to, const std::vector<float>& values) {
  return widened(to, quantized(to, values), values.size());
}

double squared_error(const float* a, const float* b, size_t count) {
  double sum = 0;
  for (size_t i = 0; i < count; ++i) sum += std::pow(static_cast<double>(a[i]) - b[i], 2);
  return sum;
}

double root_mean_square(const std::vector<float>& values, const std::vector<float>& from) {
  return std::sqrt(squared_error(values.data(), from.data(), values.size()) /
                   static_cast<double>(values.size()));
}

std::vector<float> normal_values(size_t count, float deviation) {
  std::mt19937 random(7);
  std::normal_distribution<float> normal(0, deviation);
  std::vector<float> values(count);
  for (float& value : values) value = normal(random);
  return values;
}

// The root of the mean squared error for normal values of deviation 1. Least possible for one scale
// per 32 values: q4_0 0.0807, q4_1 0.0693, iq4_nl 0.0732.
struct Bound {
  DType format;
  double error;
};

constexpr Bound kBounds[] = {
    {DType::kF32, 0},        {DType::kF16, 3e-4},    {DType::kBF16, 2e-3},
    {DType::kBF16Dot, 2e-3}, {DType::kQ8_0, 0.0055}, {DType::kQ4_0, 0.0815},
    {DType::kQ4_1, 0.0705},  {DType::kQ4_K, 0.0710}, {DType::kIQ4_NL, 0.0740},
    {DType::kMXFP4, 0.1130},
};

constexpr int kBlock = 256;  // whole blocks of every format

class Quantizers : public testing::TestWithParam<Bound> {};

std::string format_name(const testing::TestParamInfo<Bound>& bound) {
  return info(bound.param.format).name;
}

INSTANTIATE_TEST_SUITE_P(Quantize, Quantizers, testing::ValuesIn(kBounds), format_name);

TEST(Quantize, WritesTheFormatsWithABound) {
  for (DType dtype : all_dtypes()) {
    const bool bounded =
        std::ranges::any_of(kBounds, [&](const Bound& bound) { return bound.format == dtype; });
    EXPECT_EQ(can_quantize(dtype), bounded) << info(dtype).name;
  }
}

TEST(Quantize, Q8_0IsGgufsByteForByte) {
  EXPECT_EQ(quantized(DType::kQ8_0, golden_floats("values.f32")), golden("values.q8_0"));
}

TEST(Quantize, ErrsNoMoreThanGguf) {
  const std::vector<float> values = golden_floats("values.f32");
  for (DType format : {DType::kQ4_0, DType::kQ4_1, DType::kMXFP4}) {
    const std::vector<float> ours = round_trip(format, values);
    const std::vector<float> theirs =
        widened(format, golden(std::string("values.") + info(format).name), values.size());
    for (size_t at = 0; at < values.size(); at += kBlock) {
      EXPECT_LE(squared_error(&ours[at], &values[at], kBlock),
                squared_error(&theirs[at], &values[at], kBlock))
          << info(format).name << ", row " << at / kBlock;
    }
  }
}

TEST_P(Quantizers, KeepNormalValuesWithinTheBoundAtAnySize) {
  for (float deviation : {1.0f, 0.02f, 300.0f}) {
    const std::vector<float> values = normal_values(kBlock * 100, deviation);
    EXPECT_LE(root_mean_square(round_trip(GetParam().format, values), values),
              GetParam().error * deviation)
        << deviation;
  }
}

TEST_P(Quantizers, KeepZerosAndConstants) {
  for (float constant : {0.0f, 0.02f, -0.02f, 1.0f, -65504.0f, 65504.0f}) {
    const std::vector<float> values(kBlock, constant);
    // A step of MXFP4 near its largest values is a third of them.
    const float off = GetParam().format == DType::kMXFP4 ? 0.2f : 0.01f;
    for (float value : round_trip(GetParam().format, values))
      ASSERT_NEAR(value, constant, off * std::fabs(constant));
  }
}

TEST_P(Quantizers, KeepAnOutlierAndItsNeighboursInPlace) {
  std::vector<float> values = normal_values(kBlock, 0.01f);
  values[70] = -5;
  const std::vector<float> kept = round_trip(GetParam().format, values);
  for (size_t i = 0; i < values.size(); ++i) {
    // MXFP4 has nothing between 4 and 6. Half a step of a code of 4 bits over the range; other runs
    // of 32 do not see the outlier, but for Q4_K, whose scales are 63rds of the largest.
    const bool near = i / 32 == 70 / 32 || GetParam().format == DType::kQ4_K;
    ASSERT_NEAR(kept[i], values[i], i == 70 ? 1.0f : near ? 0.4f : 0.01f) << i;
  }
}

TEST_P(Quantizers, KeepTinyValuesFiniteAndTiny) {
  for (float size : {1e-45f, 1e-39f, 1e-30f, 1e-12f, 1e-7f, 1e-5f}) {
    std::vector<float> values = normal_values(kBlock, 1);
    for (float& value : values) value *= size;
    const std::vector<float> kept = round_trip(GetParam().format, values);
    // f16 has no scale below 2^-24. Half of that is lost, times 127 or, in Q4_K, whose scales are
    // themselves multiplied, 63 for the minimum and 15 times 63.
    const float most = GetParam().format == DType::kQ4_K ? 16 * 63 : 127;
    const float lost = std::max(size, 0x1p-25f * most);
    for (size_t i = 0; i < values.size(); ++i) ASSERT_NEAR(kept[i], values[i], lost) << size;
  }
}

TEST_P(Quantizers, SeeOneBlockAtATime) {
  const DTypeInfo& size = info(GetParam().format);
  const std::vector<float> values = golden_floats("values.f32");
  const std::vector<std::byte> whole = quantized(GetParam().format, values);
  // One byte in: blocks may begin at any address.
  std::vector<std::byte> block(static_cast<size_t>(size.block_bytes) + 1);
  for (size_t at = 0, byte = 0; at < values.size();
       at += static_cast<size_t>(size.block_elements)) {
    ASSERT_TRUE(quantize(GetParam().format, &values[at], size.block_elements, block.data() + 1));
    ASSERT_EQ(std::memcmp(block.data() + 1, &whole[byte], block.size() - 1), 0) << at;
    byte += block.size() - 1;
  }
}

TEST_P(Quantizers, RefuseWhatTheyCannotHold) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const bool wide = GetParam().format == DType::kF32 || is_bf16(GetParam().format);
  std::vector<std::byte> blocks(kBlock * sizeof(float));
  const auto takes = [&](float value) {
    std::vector<float> values(kBlock, 1.0f);
    values[200] = value;
    return quantize(GetParam().format, values.data(), kBlock, blocks.data());
  };
  EXPECT_TRUE(takes(-65504.0f));
  EXPECT_EQ(takes(65505.0f), wide);
  EXPECT_EQ(takes(-0x1.fep127f), wide);
  EXPECT_EQ(takes(std::numeric_limits<float>::max()), GetParam().format == DType::kF32);
  EXPECT_FALSE(takes(kInfinity));
  EXPECT_FALSE(takes(-kInfinity));
  EXPECT_FALSE(takes(std::numeric_limits<float>::quiet_NaN()));
}

}  // namespace
}  // namespace sluice::tensor
