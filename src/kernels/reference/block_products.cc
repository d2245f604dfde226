#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/reference/block_products.h"

namespace sluice::kernels::reference {
namespace {

constexpr float kSmallestMagnitude = 0x1p-100f;  // of a span; all below is taken for zero

}  // namespace

CodedRow code_row(const float* x, int64_t cols) {
  CodedRow row;
  for (int64_t first = 0; first < cols; first += kSpan) {
    float largest = 0.0f;
    bool finite = true;
    for (int64_t k = first; k < first + kSpan; ++k) {
      finite = finite && std::isfinite(x[k]);
      largest = std::max(largest, std::fabs(x[k]));
    }
    const bool zero = !finite || largest < kSmallestMagnitude;
    for (int64_t k = first; k < first + kSpan; ++k) {
      row.code.push_back(zero ? 0 : static_cast<int>(std::nearbyint(x[k] * (127.0f / largest))));
    }
    row.scale.push_back(!finite ? std::numeric_limits<float>::quiet_NaN()
                        : zero  ? 0.0f
                                : largest / 127.0f);
  }
  return row;
}

BlockRow block_row(const PackedMatrix& w, int64_t r) {
  BlockRow row;
  row.traits = tensor::block_traits(w.dtype);
  row.value.resize(static_cast<size_t>(w.cols));
  row.scale.resize(static_cast<size_t>(w.cols / 16));
  row.min.resize(static_cast<size_t>(w.cols / 16));
  unpack_block_row(w, r, row.value.data(), row.scale.data(), row.min.data());
  return row;
}

float dot(const BlockRow& w, const CodedRow& x) {
  float acc = 0.0f;
  const auto size = static_cast<size_t>(w.traits.group);
  for (size_t first = 0; first < w.value.size(); first += size) {
    int product = 0;
    int codes = 0;
    for (size_t k = first; k < first + size; ++k) {
      product += w.value[k] * x.code[k];
      codes += x.code[k];
    }
    const float scale = x.scale[first / kSpan];
    acc = std::fma(static_cast<float>(product) * w.scale[first / size], scale, acc);
    if (w.traits.has_min) {
      acc = std::fma(-(scale * static_cast<float>(codes)), w.min[first / size], acc);
    }
  }
  return acc;
}

}  // namespace sluice::kernels::reference
