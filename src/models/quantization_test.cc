#include "models/quantization.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "models/load_tensor.h"
#include "tensor/block.h"

namespace sluice::models {
namespace {

using tensor::DType;

TensorSlot slot(Slot kind, tensor::Shape shape, int expert = -1) {
  return {.name = "w",
          .shape = shape,
          .slot = kind,
          .layer = 0,
          .expert = expert,
          .stored_shape = shape};
}

TEST(Quantization, NamesAreReadAndOthersRefused) {
  EXPECT_EQ(*parse_quantization("none"), Quantization{});
  EXPECT_EQ(parse_quantization("q8")->ffn, DType::kQ8_0);
  EXPECT_EQ(parse_quantization("mxfp4")->ffn, DType::kMXFP4);
  EXPECT_EQ(parse_quantization("bf16")->others, DType::kBF16Dot);
  const auto refused = parse_quantization("q5");
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("'q5'"), std::string::npos);
}

TEST(Quantization, RoutersVectorsAndOddRowsAreKept) {
  const Quantization q8 = *parse_quantization("q8");
  EXPECT_EQ(dtype_in_memory(q8, slot(Slot::kGate, {64, 96}, 3), DType::kBF16), DType::kQ8_0);
  EXPECT_EQ(dtype_in_memory(q8, slot(Slot::kQ, {64, 96}), DType::kF32), DType::kQ8_0);
  EXPECT_EQ(dtype_in_memory(q8, slot(Slot::kHead, {64, 96}), DType::kF16), DType::kQ8_0);
  EXPECT_EQ(dtype_in_memory(q8, slot(Slot::kRouter, {64, 96}), DType::kBF16), DType::kBF16);
  EXPECT_EQ(dtype_in_memory(q8, slot(Slot::kQ, {64, 90}), DType::kBF16), DType::kBF16);
  EXPECT_EQ(dtype_in_memory(q8, slot(Slot::kFfnNorm, {96}), DType::kBF16), DType::kF32);
  const Quantization q4 = *parse_quantization("q4");
  EXPECT_EQ(dtype_in_memory(q4, slot(Slot::kDown, {64, 256}, 3), DType::kBF16), DType::kQ4_K);
  EXPECT_EQ(dtype_in_memory(q4, slot(Slot::kDown, {64, 96}, 3), DType::kBF16), DType::kQ4_1);
  EXPECT_EQ(dtype_in_memory(q4, slot(Slot::kQ, {64, 256}), DType::kBF16), DType::kQ8_0);
  EXPECT_EQ(dtype_in_memory({}, slot(Slot::kQ, {64, 96}), DType::kQ4_K), DType::kQ4_K);
}

TEST(LoadMatrix, ConvertsRowsInTheirOwnOrder) {
  base::ThreadTeam team(2);
  const int64_t rows = 40, cols = 64;
  std::vector<float> stored(static_cast<size_t>(rows * cols));
  for (size_t i = 0; i < stored.size(); ++i)
    stored[i] = static_cast<float>(static_cast<int>(i * 37 % 255) - 127) / 127.0f;
  TensorSlot tensor = slot(Slot::kQ, {rows, cols});
  tensor.rotary_heads = 2;
  const tensor::TensorView view{
      DType::kF32, {rows, cols}, reinterpret_cast<const std::byte*>(stored.data())};
  for (DType dtype : {DType::kF32, DType::kBF16, DType::kBF16Dot, DType::kQ8_0}) {
    std::vector<std::byte> data(static_cast<size_t>(kernels::packed_bytes(dtype, rows, cols) + 64));
    const auto matrix = load_matrix(view, tensor, dtype, data.data(), &team);
    ASSERT_TRUE(matrix) << matrix.error().message;
    std::vector<float> row(static_cast<size_t>(cols));
    for (int64_t r = 0; r < rows; ++r) {
      kernels::unpack_row(*matrix, r, row.data());
      for (int64_t k = 0; k < cols; ++k) {
        const float expected = stored[static_cast<size_t>(stored_row(tensor, r) * cols + k)];
        EXPECT_NEAR(row[static_cast<size_t>(k)], expected, dtype == DType::kF32 ? 0 : 5e-3);
      }
    }
  }
}

TEST(LoadMatrix, WhatAFormatCannotHoldIsRefusedByName) {
  base::ThreadTeam team(1);
  std::vector<float> stored(64, 1.0f);
  stored[40] = std::numeric_limits<float>::infinity();
  TensorSlot tensor = slot(Slot::kUp, {1, 64}, 0);
  tensor.name = "experts.0.up";
  const tensor::TensorView view{
      DType::kF32, {1, 64}, reinterpret_cast<const std::byte*>(stored.data())};
  std::vector<std::byte> data(static_cast<size_t>(kernels::packed_bytes(DType::kQ8_0, 1, 64)));
  const auto matrix = load_matrix(view, tensor, DType::kQ8_0, data.data(), &team);
  ASSERT_FALSE(matrix);
  EXPECT_NE(matrix.error().message.find("experts.0.up"), std::string::npos);
}

}  // namespace
}  // namespace sluice::models
