// The shapes that drive the kernels' tests and their benchmark, and the data for both.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <random>
#include <vector>

#include "kernels/ops.h"
#include "kernels/packed.h"
#include "tensor/float.h"

namespace sluice::kernels {

struct LinearCase {
  int64_t rows, cols;
};

// Edges of panels, of pairs of bf16, of every tile, of slabs of K, and of lists of panels.
inline constexpr LinearCase kLinearEdges[] = {{1, 1},   {15, 3},   {16, 16},  {17, 31},
                                              {33, 64}, {48, 20},  {80, 65},  {129, 40},
                                              {272, 7}, {33, 257}, {560, 129}};
inline constexpr int64_t kTokenEdges[] = {1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 24, 25, 70, 73, 145};

// Layers of real models: hidden, experts, top_k, expert width, heads.
struct ModelCase {
  const char* name;
  int64_t hidden, experts, top_k, inter;
  int q_heads, kv_heads, head_dim;
};
inline constexpr ModelCase kModels[] = {{"OLMoE-1B-7B", 2048, 64, 8, 1024, 16, 16, 128},
                                        {"Mixtral-8x7B", 4096, 8, 2, 14336, 32, 8, 128},
                                        {"Qwen3-30B-A3B", 2048, 128, 8, 768, 32, 4, 128}};

struct AttendCase {
  int q_heads, kv_heads, key_dim, value_dim, block_tokens;
};
inline constexpr AttendCase kAttendEdges[] = {
    {1, 1, 16, 16, 16},    {4, 2, 20, 20, 16},  {8, 1, 80, 80, 32}, {3, 3, 96, 96, 64},
    {16, 2, 128, 128, 32}, {2, 1, 24, 200, 48}, {14, 2, 64, 64, 64}};

// first_position and rows of a sequence: decoding, prompts, chunks, over blocks and splits.
struct SpanCase {
  int64_t first_position, rows;
};
inline constexpr SpanCase kSpans[] = {{0, 1},   {15, 1},  {16, 1},   {63, 1},   {64, 1},
                                      {511, 1}, {512, 1}, {1100, 1}, {0, 5},    {0, 70},
                                      {10, 33}, {60, 9},  {500, 30}, {1020, 8}, {300, 1}};

// Bytes aligned as packed matrices are.
class AlignedBytes {
 public:
  explicit AlignedBytes(int64_t size)
      : data_(static_cast<std::byte*>(
            ::operator new(static_cast<size_t>(size) + 1, std::align_val_t{kPackAlignment}))) {}
  ~AlignedBytes() { ::operator delete(data_, std::align_val_t{kPackAlignment}); }
  AlignedBytes(const AlignedBytes&) = delete;
  AlignedBytes& operator=(const AlignedBytes&) = delete;
  std::byte* data() const { return data_; }

 private:
  std::byte* data_;
};

class Random {
 public:
  explicit Random(uint32_t seed) : engine_(seed) {}
  float normal(float deviation = 1.0f) {
    return std::normal_distribution<float>(0.0f, deviation)(engine_);
  }
  int64_t below(int64_t n) { return static_cast<int64_t>(engine_() % static_cast<uint64_t>(n)); }
  std::vector<float> normals(int64_t count, float deviation = 1.0f) {
    std::vector<float> values(static_cast<size_t>(count));
    for (float& value : values) value = normal(deviation);
    return values;
  }

 private:
  std::mt19937_64 engine_;
};

// Rows of activations with what real ones have: outliers, zeros, denormals; NaN and infinities if
// asked for.
inline std::vector<float> activations(int64_t rows, int64_t cols, Random& random,
                                      bool finite = true) {
  std::vector<float> x = random.normals(rows * cols);
  for (float& value : x) {
    const int64_t kind = random.below(200);
    if (kind == 0) value *= 100.0f;
    if (kind == 1) value = 0.0f;
    if (kind == 2) value *= 1e-40f;
    if (kind == 3 && !finite) value = std::numeric_limits<float>::quiet_NaN();
    if (kind == 4 && !finite) value = -std::numeric_limits<float>::infinity();
  }
  for (int64_t k = 0; k < std::min<int64_t>(cols, kSpan); ++k) x[static_cast<size_t>(k)] *= 1e-35f;
  return x;
}

// A random matrix, row-major as a checkpoint has it, and packed. Its values are about `scale` /
// sqrt(cols).
class RandomMatrix {
 public:
  RandomMatrix(tensor::DType dtype, int64_t rows, int64_t cols, Random& random, float scale = 1.0f)
      : source_(tensor::storage_bytes(dtype, rows * cols)),
        packed_(packed_bytes(dtype, rows, cols)),
        view_{dtype, {rows, cols}, source_.data()} {
    for (int64_t i = 0; i < rows * cols; ++i) {
      const float value = random.normal(scale / std::sqrt(static_cast<float>(cols)));
      const uint16_t half =
          dtype == tensor::DType::kF16 ? tensor::f32_to_f16(value) : tensor::f32_to_bf16(value);
      if (dtype == tensor::DType::kF32) {
        std::memcpy(source_.data() + i * 4, &value, 4);
      } else {
        std::memcpy(source_.data() + i * 2, &half, 2);
      }
    }
    matrix = {dtype, Layout::kRows16, rows, cols, packed_.data()};
    pack_panels(view_, 0, matrix.panels(), packed_.data());
  }
  const tensor::TensorView& source() const { return view_; }

  PackedMatrix matrix;

 private:
  AlignedBytes source_;
  AlignedBytes packed_;
  tensor::TensorView view_;
};

// Random blocks, row-major as a checkpoint has them, and packed. Codes and whole scales take every
// value that their bits can have; f16 scales make weights of about 1/sqrt(cols).
class RandomBlocks {
 public:
  RandomBlocks(tensor::DType dtype, int64_t rows, int64_t cols, Random& random)
      : row_bytes_(tensor::storage_bytes(dtype, cols)),
        source_(rows * row_bytes_),
        packed_(packed_bytes(dtype, rows, cols)) {
    const tensor::DTypeInfo& info = tensor::info(dtype);
    for (int64_t block = 0; block < rows * cols / info.block_elements; ++block)
      fill(dtype, source_.data() + block * info.block_bytes, cols, random);
    matrix = {dtype, Layout::kRows16, rows, cols, packed_.data()};
    pack_panels({dtype, {rows, cols}, source_.data()}, 0, matrix.panels(), packed_.data());
  }
  const std::byte* row(int64_t r) const { return source_.data() + r * row_bytes_; }

  PackedMatrix matrix;

 private:
  static void fill(tensor::DType dtype, std::byte* block, int64_t cols, Random& random) {
    const int bytes = tensor::info(dtype).block_bytes;
    for (int i = 0; i < bytes; ++i) block[i] = static_cast<std::byte>(random.below(256));
    const auto put_half = [&](int at, float value) {
      const uint16_t bits = tensor::f32_to_f16(value);
      std::memcpy(block + at, &bits, 2);
    };
    const float unit = random.normal(1.0f / std::sqrt(static_cast<float>(cols)));
    switch (dtype) {
      case tensor::DType::kF32:
      case tensor::DType::kF16:
      case tensor::DType::kBF16:
      case tensor::DType::kBF16Dot:
        return;
      case tensor::DType::kQ8_0:
        return put_half(0, unit / 64);
      case tensor::DType::kQ4_0:
      case tensor::DType::kQ5_0:
        return put_half(0, unit / 8);
      case tensor::DType::kIQ4_NL:
        return put_half(0, unit / 64);
      case tensor::DType::kQ4_1:
      case tensor::DType::kQ5_1:
        put_half(0, unit / 8);
        return put_half(2, -unit);
      case tensor::DType::kQ4_K:
      case tensor::DType::kQ5_K:
        put_half(0, unit / 256);
        return put_half(2, unit / 32);
      case tensor::DType::kQ2_K:
        put_half(80, unit / 16);
        return put_half(82, unit / 16);
      case tensor::DType::kQ3_K:
        return put_half(108, unit / 64);
      case tensor::DType::kQ6_K:
        return put_half(208, unit / 2048);
      case tensor::DType::kIQ4_XS:
        return put_half(0, unit / 1024);
      case tensor::DType::kMXFP4:
        block[0] =
            static_cast<std::byte>(random.below(16) == 0 ? random.below(3) : 118 + random.below(4));
        return;
    }
  }

  int64_t row_bytes_;
  AlignedBytes source_;
  AlignedBytes packed_;
};

}  // namespace sluice::kernels
