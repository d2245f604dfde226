#include <gtest/gtest.h>

#include "kernels/block_cases.h"
#include "kernels/each_isa.h"
#include "tensor/block.h"

namespace sluice::kernels {
namespace {

class PackedBlock : public testing::TestWithParam<tensor::DType> {};

INSTANTIATE_TEST_SUITE_P(Formats, PackedBlock, testing::ValuesIn(block_formats()), format_name);

TEST_P(PackedBlock, EveryRowComesBack) {
  Random random(1);
  for (const LinearCase& shape : block_shapes(GetParam())) {
    const RandomBlocks w(GetParam(), shape.rows, shape.cols, random);
    std::vector<float> expected(static_cast<size_t>(shape.cols)), row(expected.size());
    for (int64_t r = 0; r < shape.rows; ++r) {
      tensor::dequantize(GetParam(), w.row(r), shape.cols, expected.data());
      unpack_row(w.matrix, r, row.data());
      ASSERT_TRUE(same_bits(row, expected)) << "row " << r;
    }
  }
}

TEST_P(PackedBlock, RowsPastTheEndAndPaddingAreZeros) {
  Random random(2);
  const int64_t cols = tensor::info(GetParam()).block_elements;
  const RandomBlocks w(GetParam(), 3, cols, random);
  PackedMatrix all = w.matrix;
  all.rows = kPanelRows;
  std::vector<float> row(static_cast<size_t>(cols));
  for (int64_t r = 3; r < kPanelRows; ++r) {
    std::vector<float> scale(row.size()), min(row.size());
    std::vector<int16_t> value(row.size());
    unpack_block_row(all, r, value.data(), scale.data(), min.data());
    for (int64_t g = 0; g < cols / tensor::block_traits(GetParam()).group; ++g) {
      // MXFP4's scale is an exponent, and that of zero bits is the smallest.
      EXPECT_LE(scale[static_cast<size_t>(g)], 0x1p-127f);
      EXPECT_EQ(min[static_cast<size_t>(g)], 0.0f);
    }
  }
  EXPECT_EQ(panel_bytes(GetParam(), cols) % kPackAlignment, 0);
}

}  // namespace
}  // namespace sluice::kernels
